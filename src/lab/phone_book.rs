//! What a tracker remembers: for each torrent, who has announced and where they listen.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand::seq::IteratorRandom;

use super::announce::Heard;
use crate::s01_bencode::encode;
use crate::s02_metainfo::InfoHash;
use crate::s03_tracker::{Event, PeerId};
use crate::s13_udp_tracker::packet::Counts;

/// How often clients are asked to announce, unless somebody wants it otherwise.
pub const INTERVAL: Duration = Duration::from_secs(60);
/// Who has not announced for two intervals and a half is gone, but not earlier than
/// this: however short the interval, few clients announce twice in half a minute.
const EARLIEST_EXPIRY: Duration = Duration::from_secs(150);
/// The most torrents that are remembered.
const MAX_TORRENTS: usize = 1_000;
/// The most peers of a torrent.
const MAX_PEERS: usize = 1_000;
/// How many peers are named to who does not say how many he wants.
const DEFAULT_NUMWANT: usize = 50;
/// And at the most.
const MAX_NUMWANT: usize = 200;

/// The torrents and their peers.
pub struct PhoneBook {
    interval: Duration,
    torrents: HashMap<InfoHash, Torrent>,
}

#[derive(Default)]
struct Torrent {
    /// By address and in its order, so that a small swarm's answer is always the same.
    peers: BTreeMap<SocketAddr, Entry>,
    announces: u64,
    completed: u64,
}

struct Entry {
    peer_id: PeerId,
    complete: bool,
    /// When it announced. `None` was entered by hand, and stays.
    seen: Option<Instant>,
}

/// Who announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    /// Where it listens: the address that it called from, with the port that it named.
    pub listens: SocketAddr,
    /// Our address, as it was called: by that one the asker reaches this machine.
    /// Unspecified if it is not known.
    pub reached: IpAddr,
}

impl Asker {
    /// Addresses as an IPv4 socket would have them, whatever socket it was.
    pub fn new(from: IpAddr, port: u16, reached: IpAddr) -> Asker {
        Asker { listens: SocketAddr::new(from.to_canonical(), port), reached: reached.to_canonical() }
    }

    /// Where this asker finds a peer. Who announced over loopback is on the tracker's
    /// own machine, and loopback means another machine to everybody else.
    fn way_to(&self, peer: SocketAddr) -> SocketAddr {
        let elsewhere = peer.ip().is_loopback() && !self.listens.ip().is_loopback() && !self.reached.is_unspecified();
        if elsewhere { SocketAddr::new(self.reached, peer.port()) } else { peer }
    }
}

/// What an announce is answered with.
#[derive(Debug)]
pub struct Page {
    /// Others that have the torrent, or want it.
    pub peers: Vec<(SocketAddr, PeerId)>,
    /// How many have all of it.
    pub complete: usize,
    /// How many have not.
    pub incomplete: usize,
    /// When to ask again.
    pub interval: Duration,
    compact: bool,
}

/// What is known of a torrent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// The torrent.
    pub info_hash: InfoHash,
    /// Peers that are there now and have all of it.
    pub complete: usize,
    /// Peers that are there now and have not.
    pub incomplete: usize,
    /// Announces so far.
    pub announces: u64,
    /// How many announces said that the last piece had just come.
    pub completed: u64,
}

impl Default for PhoneBook {
    fn default() -> PhoneBook {
        PhoneBook::new(INTERVAL)
    }
}

impl PhoneBook {
    /// An empty one, whose clients are to announce so often.
    pub fn new(interval: Duration) -> PhoneBook {
        PhoneBook { interval, torrents: HashMap::new() }
    }

    /// Enters a complete peer that need not announce, and never expires.
    pub fn add(&mut self, info_hash: InfoHash, peer_id: PeerId, address: SocketAddr) {
        let peers = &mut self.torrents.entry(info_hash).or_default().peers;
        peers.insert(address, Entry { peer_id, complete: true, seen: None });
    }

    /// Takes in an announce, and looks up others.
    ///
    /// # Errors
    /// If there is no room for one more torrent or peer.
    pub fn announce(&mut self, asker: &Asker, heard: &Heard, now: Instant) -> Result<Page, &'static str> {
        let (ask, address) = (&heard.announce, asker.listens);
        if self.torrents.len() >= MAX_TORRENTS && !self.torrents.contains_key(&ask.info_hash) {
            self.expire(now);
            self.torrents.retain(|_, torrent| !torrent.peers.is_empty());
            if self.torrents.len() >= MAX_TORRENTS {
                return Err("this tracker has no room for one more torrent");
            }
        }
        let expiry = self.expiry();
        let torrent = self.torrents.entry(ask.info_hash).or_default();
        torrent.expire(now, expiry);
        torrent.announces += 1;
        torrent.completed += u64::from(ask.event == Some(Event::Completed));
        let peers = &mut torrent.peers;
        let by_hand = peers.get(&address).is_some_and(|entry| entry.seen.is_none());
        if by_hand {
            // Whatever announces from there, the peer that was entered listens there.
        } else if ask.event == Some(Event::Stopped) {
            peers.remove(&address);
        } else if peers.len() >= MAX_PEERS && !peers.contains_key(&address) {
            return Err("this tracker has no room for one more peer of this torrent");
        } else {
            peers.insert(address, Entry { peer_id: ask.peer_id, complete: ask.left == 0, seen: Some(now) });
        }
        // Nobody is told of itself. Complete peers are told of each other, useless as that
        // is: aria2 says `left=0` also while it has only a magnet link.
        let others = peers.iter().filter(|(_, entry)| entry.peer_id != ask.peer_id);
        // Two peers may be the same to this asker: one that moved from 127.0.0.1 to ::1.
        let others: BTreeMap<_, _> = others.map(|(other, entry)| (asker.way_to(*other), entry.peer_id)).collect();
        let mut page: Vec<_> = others.into_iter().filter(|(other, _)| *other != address).collect();
        let wanted = ask.numwant.map_or(DEFAULT_NUMWANT, |count| (count as usize).min(MAX_NUMWANT));
        let wanted = if ask.event == Some(Event::Stopped) { 0 } else { wanted };
        if page.len() > wanted {
            page = page.into_iter().sample(&mut rand::rng(), wanted);
        }
        let (complete, incomplete) = torrent.count();
        Ok(Page { peers: page, complete, incomplete, interval: self.interval, compact: heard.compact.unwrap_or(true) })
    }

    /// What there is now, in the order of the info hashes.
    pub fn tallies(&mut self, now: Instant) -> Vec<Tally> {
        self.expire(now);
        let tally = |(info_hash, torrent): (&InfoHash, &Torrent)| {
            let (complete, incomplete) = torrent.count();
            Tally { info_hash: *info_hash, complete, incomplete, announces: torrent.announces, completed: torrent.completed }
        };
        let mut tallies: Vec<Tally> = self.torrents.iter().map(tally).collect();
        tallies.sort_by_key(|tally| tally.info_hash.0);
        tallies
    }

    fn expiry(&self) -> Duration {
        (self.interval * 5 / 2).max(EARLIEST_EXPIRY)
    }

    fn expire(&mut self, now: Instant) {
        let expiry = self.expiry();
        self.torrents.values_mut().for_each(|torrent| torrent.expire(now, expiry));
    }

    /// What a scrape is answered with. Nobody has a torrent that is not known.
    pub fn counts(&mut self, info_hash: InfoHash, now: Instant) -> Counts {
        let expiry = self.expiry();
        let Some(torrent) = self.torrents.get_mut(&info_hash) else { return Counts::default() };
        torrent.expire(now, expiry);
        let (complete, incomplete) = torrent.count();
        Counts { seeders: complete as u64, downloads: torrent.completed, leechers: incomplete as u64 }
    }
}

impl Torrent {
    fn expire(&mut self, now: Instant, expiry: Duration) {
        self.peers.retain(|_, entry| entry.seen.is_none_or(|seen| now.saturating_duration_since(seen) < expiry));
    }

    /// Peers that have all, and those that have not.
    fn count(&self) -> (usize, usize) {
        let complete = self.peers.values().filter(|entry| entry.complete).count();
        (complete, self.peers.len() - complete)
    }
}

impl Page {
    /// The bencoded answer.
    pub fn encode(&self) -> Vec<u8> {
        let mut keys = vec![
            ("interval", encode::integer(self.interval.as_secs())),
            ("complete", encode::integer(self.complete as u64)),
            ("incomplete", encode::integer(self.incomplete as u64)),
        ];
        if self.compact {
            let (mut four, mut six) = (Vec::new(), Vec::new());
            for (address, _) in &self.peers {
                match address.ip() {
                    IpAddr::V4(ip) => four.extend(ip.octets().into_iter().chain(address.port().to_be_bytes())),
                    IpAddr::V6(ip) => six.extend(ip.octets().into_iter().chain(address.port().to_be_bytes())),
                }
            }
            keys.push(("peers", encode::bytes(four)));
            keys.extend((!six.is_empty()).then(|| ("peers6", encode::bytes(six))));
        } else {
            let entry = |(address, peer_id): &(SocketAddr, PeerId)| {
                encode::dictionary([
                    ("ip", encode::bytes(address.ip().to_string())),
                    ("peer id", encode::bytes(peer_id.0)),
                    ("port", encode::integer(address.port())),
                ])
            };
            keys.push(("peers", encode::list(self.peers.iter().map(entry))));
        }
        encode::dictionary(keys)
    }
}
