//! A tracker's memory: for each torrent, the peers that have announced and their addresses.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand::seq::SliceRandom;

use super::announce::ReceivedAnnounce;
use crate::s01_bencode::encode;
use crate::s02_metainfo::InfoHash;
use crate::s03_tracker::{AnnounceRequest, Event, PeerId};
use crate::s04_handshake::origin::Origin;
use crate::s14_peer_list::sharing::{Holder, first_to_go};
use crate::s18_udp_tracker::packet::ScrapeCounts;

/// The default time between two announces of a client.
pub const INTERVAL: Duration = Duration::from_secs(60);
/// A peer that has not announced for two and a half intervals is gone, but never sooner
/// than this: however short the interval, few clients announce twice in half a minute.
const EARLIEST_EXPIRY: Duration = Duration::from_secs(150);
/// The most torrents that are remembered.
const MAX_TORRENTS: usize = 1_000;
/// The most peers of a torrent.
const MAX_PEERS: usize = 1_000;
/// The most peers of all torrents together.
const MAX_ENTRIES: usize = 10_000;
/// The number of peers in an answer if the client sends no `numwant`.
const DEFAULT_NUMWANT: usize = 50;
/// The most peers in an answer.
const MAX_NUMWANT: usize = 200;

/// The torrents and their peers.
pub struct PhoneBook {
    interval: Duration,
    torrents: HashMap<InfoHash, Torrent>,
}

#[derive(Default)]
struct Torrent {
    /// The peers, sorted by address, so that the answer for a small swarm is always the same.
    peers: BTreeMap<SocketAddr, Entry>,
    announces: u64,
    completed: u64,
}

struct Entry {
    peer_id: PeerId,
    complete: bool,
    /// The time of its last announce; `None` for a peer that was entered by hand, and stays.
    seen: Option<Instant>,
}

/// The sender of an announce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    /// The address it listens on: the one that it called from, with the port that it named.
    pub listens: SocketAddr,
    /// Our address as the asker dialed it, by which it can reach this machine. Unspecified if
    /// it is not known.
    pub reached: IpAddr,
}

impl Asker {
    /// Makes an asker, with addresses as an IPv4 socket would have them.
    pub fn new(from: IpAddr, port: u16, reached: IpAddr) -> Asker {
        Asker {
            listens: SocketAddr::new(from.to_canonical(), port),
            reached: reached.to_canonical(),
        }
    }

    /// Returns the address at which this asker finds a peer. A peer that announced over
    /// loopback is on the tracker's machine, and loopback means another machine to all others.
    fn way_to(&self, peer: SocketAddr) -> SocketAddr {
        let elsewhere = peer.ip().is_loopback()
            && !self.listens.ip().is_loopback()
            && !self.reached.is_unspecified();
        if elsewhere { SocketAddr::new(self.reached, peer.port()) } else { peer }
    }
}

/// The answer to an announce.
#[derive(Debug)]
pub struct AnnounceReply {
    /// Other peers that have the torrent, or want it.
    pub peers: Vec<(SocketAddr, PeerId)>,
    /// The number of peers that have everything.
    pub complete: usize,
    /// The number of peers that do not.
    pub incomplete: usize,
    /// The time until the next announce.
    pub interval: Duration,
    compact: bool,
}

/// The counts of a torrent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TorrentCounts {
    /// The torrent.
    pub info_hash: InfoHash,
    /// The number of present peers that have everything.
    pub complete: usize,
    /// The number of present peers that do not.
    pub incomplete: usize,
    /// The number of announces so far.
    pub announces: u64,
    /// The number of announces with the event `completed`.
    pub completed: u64,
}

impl Default for PhoneBook {
    fn default() -> PhoneBook {
        PhoneBook::new(INTERVAL)
    }
}

impl PhoneBook {
    /// Makes an empty phone book whose clients should announce at this interval.
    pub fn new(interval: Duration) -> PhoneBook {
        PhoneBook { interval, torrents: HashMap::new() }
    }

    /// Enters a complete peer that never announces and never expires.
    pub fn add(&mut self, info_hash: InfoHash, peer_id: PeerId, address: SocketAddr) {
        let peers = &mut self.torrents.entry(info_hash).or_default().peers;
        peers.insert(address, Entry { peer_id, complete: true, seen: None });
    }

    /// Enters an announce, and returns other peers. Every announce is answered, even if all
    /// places are taken by peers that cannot be dropped.
    pub fn announce(
        &mut self,
        asker: &Asker,
        received: &ReceivedAnnounce,
        now: Instant,
    ) -> AnnounceReply {
        let (ask, address) = (&received.announce, asker.listens);
        let (wanted, compact) = (how_many(ask), received.compact.unwrap_or(true));
        if !self.has_room_for(ask.info_hash, address, now) {
            let (complete, incomplete) = Default::default();
            return AnnounceReply {
                peers: Vec::new(),
                complete,
                incomplete,
                interval: self.interval,
                compact,
            };
        }
        let expiry = self.expiry();
        let torrent = self.torrents.entry(ask.info_hash).or_default();
        torrent.expire(now, expiry);
        torrent.announces += 1;
        torrent.completed += u64::from(ask.event == Some(Event::Completed));
        let peers = &mut torrent.peers;
        let by_hand = peers.get(&address).is_some_and(|entry| entry.seen.is_none());
        if by_hand {
            // An announce from there changes nothing: the peer entered by hand listens there.
        } else if ask.event == Some(Event::Stopped) {
            peers.remove(&address);
        } else {
            peers.insert(
                address,
                Entry { peer_id: ask.peer_id, complete: ask.left == 0, seen: Some(now) },
            );
        }
        // A peer is not told about itself. Seeds are told about each other although it is
        // useless, since aria2 also says `left=0` while it has only a magnet link.
        let others = peers.iter().filter(|(_, entry)| entry.peer_id != ask.peer_id);
        // Two peers may be the same to this asker: one that moved from 127.0.0.1 to ::1.
        let others: BTreeMap<_, _> =
            others.map(|(other, entry)| (asker.way_to(*other), entry.peer_id)).collect();
        let mut others: Vec<_> =
            others.into_iter().filter(|(other, _)| *other != address).collect();
        share(&mut others, wanted);
        let (complete, incomplete) = torrent.count();
        AnnounceReply { peers: others, complete, incomplete, interval: self.interval, compact }
    }

    /// Returns the counts of all torrents, in the order of the info hashes.
    pub fn torrent_counts(&mut self, now: Instant) -> Vec<TorrentCounts> {
        self.expire(now);
        let counts = |(info_hash, torrent): (&InfoHash, &Torrent)| {
            let (complete, incomplete) = torrent.count();
            TorrentCounts {
                info_hash: *info_hash,
                complete,
                incomplete,
                announces: torrent.announces,
                completed: torrent.completed,
            }
        };
        let mut torrent_counts: Vec<TorrentCounts> = self.torrents.iter().map(counts).collect();
        torrent_counts.sort_by_key(|counts| counts.info_hash.0);
        torrent_counts
    }

    /// Makes room for one more torrent and peer if needed, and returns whether there is room.
    fn has_room_for(&mut self, info_hash: InfoHash, address: SocketAddr, now: Instant) -> bool {
        let torrent = self.torrents.get(&info_hash);
        if torrent.is_some_and(|torrent| torrent.peers.contains_key(&address)) {
            return true;
        }
        let (known, of_torrent) =
            (torrent.is_some(), torrent.map_or(0, |torrent| torrent.peers.len()));
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

    /// Drops torrents of the address that is in the most of them. A torrent counts for the one
    /// of its addresses that is in the fewest, so that a torrent with a modest peer stays.
    fn drop_torrent(&mut self) -> bool {
        let mut held: HashMap<Origin, usize> = HashMap::new();
        for torrent in self.torrents.values() {
            let origins: BTreeSet<Origin> =
                torrent.peers.keys().map(|address| Origin::of(address.ip())).collect();
            origins.into_iter().for_each(|origin| *held.entry(origin).or_default() += 1);
        }
        let modest = |torrent: &Torrent| {
            let origins = torrent.peers.keys().map(|address| Origin::of(address.ip()));
            origins.min_by_key(|origin| (held.get(origin), *origin))
        };
        let with_peers = self
            .torrents
            .iter()
            .filter_map(|(hash, torrent)| Some((*hash, torrent, modest(torrent)?)));
        let torrents: Vec<_> = with_peers.collect();
        let holder = |(_, torrent, origin): &(InfoHash, &Torrent, Origin)| {
            // Fewest peers first, then the longest time since an announce.
            let by_hand = torrent.peers.values().any(|entry| entry.seen.is_none());
            let newest =
                torrent.peers.values().filter_map(|entry| entry.seen).max().filter(|_| !by_hand);
            Holder { origin: *origin, worth: newest.map(|newest| (torrent.peers.len(), newest)) }
        };
        let go = all_to_go(&torrents.iter().map(holder).collect::<Vec<_>>());
        let go: Vec<InfoHash> =
            go.into_iter().filter_map(|position| Some(torrents.get(position)?.0)).collect();
        go.iter().for_each(|hash| drop(self.torrents.remove(hash)));
        !go.is_empty()
    }

    /// Drops the peers with the oldest announces of the address with the most peers: in one
    /// torrent, or in all.
    fn drop_peer(&mut self, of: Option<InfoHash>) -> bool {
        let torrents = self.torrents.iter().filter(|(hash, _)| of.is_none_or(|of| of == **hash));
        let places: Vec<(InfoHash, SocketAddr, Option<Instant>)> = torrents
            .flat_map(|(hash, torrent)| {
                torrent.peers.iter().map(|(address, entry)| (*hash, *address, entry.seen))
            })
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

    /// Returns the counts for a scrape; all are 0 for an unknown torrent.
    pub fn counts(&mut self, info_hash: InfoHash, now: Instant) -> ScrapeCounts {
        let expiry = self.expiry();
        let Some(torrent) = self.torrents.get_mut(&info_hash) else {
            return ScrapeCounts::default();
        };
        torrent.expire(now, expiry);
        let (complete, incomplete) = torrent.count();
        ScrapeCounts {
            seeders: complete as u64,
            downloads: torrent.completed,
            leechers: incomplete as u64,
        }
    }
}

/// Returns the positions to drop: the first to go, and a tenth of its address's others.
/// Finding it takes a scan of all, so one scan should serve more than one announce.
fn all_to_go<W: Ord>(holders: &[Holder<W>]) -> Vec<usize> {
    let Some(first) = first_to_go(holders).and_then(|position| holders.get(position)) else {
        return Vec::new();
    };
    let of_origin = holders
        .iter()
        .enumerate()
        .filter(|(_, holder)| holder.origin == first.origin && holder.worth.is_some());
    let mut go: Vec<(usize, &Holder<W>)> = of_origin.collect();
    go.sort_by(|(_, one), (_, other)| one.worth.cmp(&other.worth));
    go.truncate(1 + go.len() / 10);
    go.into_iter().map(|(position, _)| position).collect()
}

/// Returns the number of peers to put in the answer.
fn how_many(ask: &AnnounceRequest) -> usize {
    let wanted = ask.numwant.map_or(DEFAULT_NUMWANT, |count| (count as usize).min(MAX_NUMWANT));
    if ask.event == Some(Event::Stopped) { 0 } else { wanted }
}

/// Keeps `wanted` peers, drawn at random and shared evenly among addresses. Otherwise one
/// address with a thousand ports could fill every answer.
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
        self.peers.retain(|_, entry| {
            entry.seen.is_none_or(|seen| now.saturating_duration_since(seen) < expiry)
        });
    }

    /// Counts the peers that have everything, and those that do not.
    fn count(&self) -> (usize, usize) {
        let complete = self.peers.values().filter(|entry| entry.complete).count();
        (complete, self.peers.len() - complete)
    }
}

impl AnnounceReply {
    /// Returns the bencoded answer.
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
                    IpAddr::V4(ip) => {
                        four.extend(ip.octets().into_iter().chain(address.port().to_be_bytes()))
                    }
                    IpAddr::V6(ip) => {
                        six.extend(ip.octets().into_iter().chain(address.port().to_be_bytes()))
                    }
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
