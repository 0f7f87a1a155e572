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

/// How often clients are asked to announce.
pub const INTERVAL: Duration = Duration::from_secs(60);
/// Who has not announced for so long is gone.
const EXPIRY: Duration = Duration::from_secs(150);
/// The most torrents that are remembered.
const MAX_TORRENTS: usize = 1_000;
/// The most peers of a torrent.
const MAX_PEERS: usize = 1_000;
/// How many peers are named to who does not say how many he wants.
const DEFAULT_NUMWANT: usize = 50;
/// And at the most.
const MAX_NUMWANT: usize = 200;

/// The torrents and their peers.
#[derive(Default)]
pub struct PhoneBook {
    /// By address and in its order, so that a small swarm's answer is always the same.
    torrents: HashMap<InfoHash, BTreeMap<SocketAddr, Entry>>,
    /// How often each was reported to be completed; none that is not in `torrents`.
    downloads: HashMap<InfoHash, u64>,
}

struct Entry {
    peer_id: PeerId,
    complete: bool,
    /// When it announced. `None` was entered by hand, and stays.
    seen: Option<Instant>,
}

/// What an announce is answered with.
pub struct Page {
    /// Others that have the torrent, or want it.
    pub peers: Vec<(SocketAddr, PeerId)>,
    /// How many of the torrent's peers are complete.
    pub complete: usize,
    /// And how many are not.
    pub incomplete: usize,
    compact: bool,
}

impl PhoneBook {
    /// Enters a complete peer that need not announce, and never expires.
    pub fn add(&mut self, info_hash: InfoHash, peer_id: PeerId, address: SocketAddr) {
        self.torrents.entry(info_hash).or_default().insert(address, Entry { peer_id, complete: true, seen: None });
    }

    /// Takes in an announce of a peer that listens at this address, and looks up others.
    ///
    /// # Errors
    /// If there is no room for one more torrent or peer.
    pub fn announce(&mut self, address: SocketAddr, heard: &Heard, now: Instant) -> Result<Page, &'static str> {
        let ask = &heard.announce;
        if self.torrents.len() >= MAX_TORRENTS && !self.torrents.contains_key(&ask.info_hash) {
            self.torrents.values_mut().for_each(|peers| expire(peers, now));
            self.torrents.retain(|_, peers| !peers.is_empty());
            self.downloads.retain(|torrent, _| self.torrents.contains_key(torrent));
            if self.torrents.len() >= MAX_TORRENTS {
                return Err("this tracker has no room for one more torrent");
            }
        }
        let peers = self.torrents.entry(ask.info_hash).or_default();
        expire(peers, now);
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
        if ask.event == Some(Event::Completed) {
            *self.downloads.entry(ask.info_hash).or_default() += 1;
        }
        let complete = peers.values().filter(|entry| entry.complete).count();
        // Nobody is told of itself. Complete peers are told of each other, useless as that
        // is: aria2 says `left=0` also while it has only a magnet link.
        let others = |(other, entry): &(&SocketAddr, &Entry)| **other != address && entry.peer_id != ask.peer_id;
        let wanted = ask.numwant.map_or(DEFAULT_NUMWANT, |count| (count as usize).min(MAX_NUMWANT));
        let wanted = if ask.event == Some(Event::Stopped) { 0 } else { wanted };
        let mut page: Vec<_> = peers.iter().filter(others).map(|(other, entry)| (*other, entry.peer_id)).collect();
        if page.len() > wanted {
            page = page.into_iter().sample(&mut rand::rng(), wanted);
        }
        Ok(Page { peers: page, complete, incomplete: peers.len() - complete, compact: heard.compact })
    }

    /// What a scrape is answered with. Nobody has a torrent that is not known.
    pub fn counts(&mut self, info_hash: InfoHash, now: Instant) -> Counts {
        let Some(peers) = self.torrents.get_mut(&info_hash) else { return Counts::default() };
        expire(peers, now);
        let seeders = peers.values().filter(|entry| entry.complete).count() as u64;
        let downloads = self.downloads.get(&info_hash).copied().unwrap_or_default();
        Counts { seeders, downloads, leechers: peers.len() as u64 - seeders }
    }
}

fn expire(peers: &mut BTreeMap<SocketAddr, Entry>, now: Instant) {
    peers.retain(|_, entry| entry.seen.is_none_or(|seen| now.saturating_duration_since(seen) < EXPIRY));
}

impl Page {
    /// The bencoded answer.
    pub fn encode(&self) -> Vec<u8> {
        let mut keys = vec![
            ("interval", encode::integer(INTERVAL.as_secs())),
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
