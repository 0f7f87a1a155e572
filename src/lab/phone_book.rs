//! What a tracker remembers: for each torrent, who has announced and where they listen.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand::seq::SliceRandom;

use super::announce::Heard;
use crate::s01_bencode::encode;
use crate::s02_metainfo::InfoHash;
use crate::s03_tracker::{Announce, Event, PeerId};
use crate::s04_handshake::origin::Origin;
use crate::s14_peer_list::sharing::{Holder, first_to_go};
use crate::s18_udp_tracker::packet::Counts;

/// How often clients are asked to announce, unless somebody wants it otherwise.
pub const INTERVAL: Duration = Duration::from_secs(60);
/// Who has not announced for two intervals and a half is gone, but not earlier than
/// this: however short the interval, few clients announce twice in half a minute.
const EARLIEST_EXPIRY: Duration = Duration::from_secs(150);
/// The most torrents that are remembered.
const MAX_TORRENTS: usize = 1_000;
/// The most peers of a torrent.
const MAX_PEERS: usize = 1_000;
/// The most peers of all torrents together.
const MAX_ENTRIES: usize = 10_000;
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

    /// Takes in an announce, and looks up others. Whoever announces is answered, also when
    /// all places are taken by others that cannot go.
    pub fn announce(&mut self, asker: &Asker, heard: &Heard, now: Instant) -> Page {
        let (ask, address) = (&heard.announce, asker.listens);
        let (wanted, compact) = (how_many(ask), heard.compact.unwrap_or(true));
        if !self.has_room_for(ask.info_hash, address, now) {
            let (complete, incomplete) = Default::default();
            return Page { peers: Vec::new(), complete, incomplete, interval: self.interval, compact };
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
        } else {
            peers.insert(address, Entry { peer_id: ask.peer_id, complete: ask.left == 0, seen: Some(now) });
        }
        // Nobody is told of itself. Complete peers are told of each other, useless as that
        // is: aria2 says `left=0` also while it has only a magnet link.
        let others = peers.iter().filter(|(_, entry)| entry.peer_id != ask.peer_id);
        // Two peers may be the same to this asker: one that moved from 127.0.0.1 to ::1.
        let others: BTreeMap<_, _> = others.map(|(other, entry)| (asker.way_to(*other), entry.peer_id)).collect();
        let mut page: Vec<_> = others.into_iter().filter(|(other, _)| *other != address).collect();
        share(&mut page, wanted);
        let (complete, incomplete) = torrent.count();
        Page { peers: page, complete, incomplete, interval: self.interval, compact }
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

    /// Makes room for one more torrent and peer, as far as that is needed. Whether there is any.
    fn has_room_for(&mut self, info_hash: InfoHash, address: SocketAddr, now: Instant) -> bool {
        let torrent = self.torrents.get(&info_hash);
        if torrent.is_some_and(|torrent| torrent.peers.contains_key(&address)) {
            return true;
        }
        let (known, of_torrent) = (torrent.is_some(), torrent.map_or(0, |torrent| torrent.peers.len()));
        let crowded = of_torrent >= MAX_PEERS || self.entries() >= MAX_ENTRIES;
        if crowded || (!known && self.torrents.len() >= MAX_TORRENTS) {
            self.expire(now);
        }
        if !known && self.torrents.len() >= MAX_TORRENTS {
            self.torrents.retain(|_, torrent| !torrent.peers.is_empty());
            if self.torrents.len() >= MAX_TORRENTS && !self.drop_torrent() {
                return false;
            }
        }
        let of_torrent = self.torrents.get(&info_hash).map_or(0, |torrent| torrent.peers.len());
        let full = of_torrent >= MAX_PEERS && !self.drop_peer(Some(info_hash));
        !full && (self.entries() < MAX_ENTRIES || self.drop_peer(None))
    }

    fn entries(&self) -> usize {
        self.torrents.values().map(|torrent| torrent.peers.len()).sum()
    }

    /// Drops torrents of the address that is in the most of them. A torrent counts for that one of
    /// its peers' addresses that is in the fewest, so that one with a modest peer stays.
    fn drop_torrent(&mut self) -> bool {
        let mut held: HashMap<Origin, usize> = HashMap::new();
        for torrent in self.torrents.values() {
            let origins: BTreeSet<Origin> = torrent.peers.keys().map(|address| Origin::of(address.ip())).collect();
            origins.into_iter().for_each(|origin| *held.entry(origin).or_default() += 1);
        }
        let modest = |torrent: &Torrent| {
            let origins = torrent.peers.keys().map(|address| Origin::of(address.ip()));
            origins.min_by_key(|origin| (held.get(origin), *origin))
        };
        let with_peers = self.torrents.iter().filter_map(|(hash, torrent)| Some((*hash, torrent, modest(torrent)?)));
        let torrents: Vec<_> = with_peers.collect();
        let holder = |(_, torrent, origin): &(InfoHash, &Torrent, Origin)| {
            // Fewest peers first, and of these the one that was announced longest ago.
            let by_hand = torrent.peers.values().any(|entry| entry.seen.is_none());
            let newest = torrent.peers.values().filter_map(|entry| entry.seen).max().filter(|_| !by_hand);
            Holder { origin: *origin, worth: newest.map(|newest| (torrent.peers.len(), newest)) }
        };
        let go = all_to_go(&torrents.iter().map(holder).collect::<Vec<_>>());
        let go: Vec<InfoHash> = go.into_iter().filter_map(|position| Some(torrents.get(position)?.0)).collect();
        go.iter().for_each(|hash| drop(self.torrents.remove(hash)));
        !go.is_empty()
    }

    /// Drops peers that announced longest ago, of the address with the most of them: in
    /// one torrent, or in all.
    fn drop_peer(&mut self, of: Option<InfoHash>) -> bool {
        let torrents = self.torrents.iter().filter(|(hash, _)| of.is_none_or(|of| of == **hash));
        let places: Vec<(InfoHash, SocketAddr, Option<Instant>)> = torrents
            .flat_map(|(hash, torrent)| torrent.peers.iter().map(|(address, entry)| (*hash, *address, entry.seen)))
            .collect();
        let holder = |(_, address, seen): &(InfoHash, SocketAddr, Option<Instant>)| Holder {
            origin: Origin::of(address.ip()),
            worth: *seen,
        };
        let go = all_to_go(&places.iter().map(holder).collect::<Vec<_>>());
        for (hash, address, _) in go.iter().filter_map(|position| places.get(*position)) {
            self.torrents.get_mut(hash).and_then(|torrent| torrent.peers.remove(address));
        }
        !go.is_empty()
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

/// The positions of those that go: the first to go, and a tenth of what its address has beside it.
/// To find it takes a look at all, which is not to be worth a single announce.
fn all_to_go<W: Ord>(holders: &[Holder<W>]) -> Vec<usize> {
    let Some(first) = first_to_go(holders).and_then(|position| holders.get(position)) else { return Vec::new() };
    let of_origin = holders.iter().enumerate().filter(|(_, holder)| holder.origin == first.origin && holder.worth.is_some());
    let mut go: Vec<(usize, &Holder<W>)> = of_origin.collect();
    go.sort_by(|(_, one), (_, other)| one.worth.cmp(&other.worth));
    go.truncate(1 + go.len() / 10);
    go.into_iter().map(|(position, _)| position).collect()
}

/// How many peers to name.
fn how_many(ask: &Announce) -> usize {
    let wanted = ask.numwant.map_or(DEFAULT_NUMWANT, |count| (count as usize).min(MAX_NUMWANT));
    if ask.event == Some(Event::Stopped) { 0 } else { wanted }
}

/// Keeps `wanted` peers, drawn at random and shared evenly among addresses. Otherwise one
/// address with a thousand ports would be all that a swarm hears of.
fn share(peers: &mut Vec<(SocketAddr, PeerId)>, wanted: usize) {
    if peers.len() <= wanted {
        return;
    }
    peers.shuffle(&mut rand::rng());
    let mut named: HashMap<Origin, usize> = HashMap::new();
    peers.sort_by_cached_key(|(address, _)| {
        let turn = named.entry(Origin::of(address.ip())).or_default();
        *turn += 1;
        *turn
    });
    peers.truncate(wanted);
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
