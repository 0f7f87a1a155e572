//! How a download stood when it was given up: what there is of it, whom it knew, and why
//! they were of no use. The error says so, since nobody else remembers.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;

use crate::s12_session::stats::PeerFlags;
use crate::s14_peer_list::addresses::REMEMBERED;

/// Whom a download has met, and what came of each. Kept while it runs.
#[derive(Default)]
pub(super) struct Record {
    peers: HashMap<SocketAddr, Peer>,
    /// What each tracker, or other source, failed with last; nothing once it has answered.
    sources: BTreeMap<String, Source>,
    /// Addresses that are our own: nobody to download from.
    ourselves: HashSet<SocketAddr>,
}

#[derive(Default)]
struct Peer {
    met: bool,
    /// Why no info dictionary came from it. Before there is one, nothing else matters.
    lacks: Option<&'static str>,
    /// Why its last connection ended.
    why: Option<String>,
}

#[derive(Default)]
struct Source {
    answered: bool,
    failed: Option<String>,
}

impl Record {
    /// A source begins to look for peers.
    pub fn source(&mut self, name: String) {
        self.sources.entry(name).or_default();
    }

    /// A source has said something good, or why it found nobody.
    pub fn said(&mut self, source: &str, what: &str, failed: bool) {
        let Some(known) = self.sources.get_mut(source) else { return };
        known.answered |= !failed;
        // A tracker's own words name its URL already.
        let named = if what.starts_with(source) { what.to_owned() } else { format!("{source}: {what}") };
        known.failed = failed.then_some(named);
    }

    fn peer(&mut self, address: SocketAddr) -> Option<&mut Peer> {
        let room = self.peers.len() < REMEMBERED || self.peers.contains_key(&address);
        room.then(|| self.peers.entry(address).or_default())
    }

    /// Its handshake is done.
    pub fn met(&mut self, address: SocketAddr) {
        if let Some(peer) = self.peer(address) {
            peer.met = true;
        }
    }

    /// It cannot give the info dictionary, or nothing speaks against it any more.
    pub fn lacks(&mut self, address: SocketAddr, lacks: Option<&'static str>) {
        if let Some(peer) = self.peer(address) {
            peer.lacks = lacks;
        }
    }

    /// Its connection has ended.
    pub fn lost(&mut self, address: SocketAddr, why: String) {
        if let Some(peer) = self.peer(address) {
            peer.why = Some(why);
        }
    }

    /// The address is our own.
    pub fn ourselves(&mut self, address: SocketAddr) {
        self.peers.remove(&address);
        if self.ourselves.len() < REMEMBERED {
            self.ourselves.insert(address);
        }
    }

    /// Sums up. `named` are all addresses that are known, `live` who is connected now.
    pub fn sum_up<'p>(
        &self,
        pieces: Option<(u32, u32)>,
        named: impl Iterator<Item = SocketAddr>,
        live: impl Iterator<Item = (SocketAddr, &'p PeerFlags)>,
    ) -> Standing {
        let mut whys: HashMap<SocketAddr, &str> = HashMap::new();
        for (address, peer) in &self.peers {
            let lacks = peer.lacks.filter(|_| pieces.is_none());
            whys.extend(lacks.or(peer.why.as_deref()).map(|why| (*address, why)));
        }
        let mut here = HashSet::new();
        for (address, flags) in live {
            let now = if pieces.is_some() { flags.supply().complaint() } else { None };
            here.extend(now);
            whys.extend(now.map(|why| (address, why)));
        }
        let mut counts: BTreeMap<&str, Reason> = BTreeMap::new();
        for (address, why) in whys {
            let new = || Reason { peers: 0, example: address, why: why.to_owned() };
            let reason = counts.entry(why).or_insert_with(new);
            (reason.peers, reason.example) = (reason.peers + 1, address.min(reason.example));
        }
        let mut reasons: Vec<Reason> = counts.into_values().collect();
        // Among equals, who is still here says more than who is gone.
        reasons.sort_by_key(|reason| Reverse((reason.peers, here.contains(reason.why.as_str()))));
        // A source that is called by a URL is a tracker.
        let trackers = || self.sources.iter().filter(|(name, _)| name.contains("://")).map(|(_, tracker)| tracker);
        Standing {
            pieces,
            known: self.peers.len()
                + named.filter(|address| !self.peers.contains_key(address) && !self.ourselves.contains(address)).count(),
            connected: self.peers.values().filter(|peer| peer.met).count(),
            only_us: !self.ourselves.is_empty(),
            sources: self.sources.len(),
            trackers: trackers().count(),
            answered: trackers().filter(|tracker| tracker.answered).count(),
            reasons,
            failures: self.sources.values().filter_map(|source| source.failed.clone()).collect(),
        }
    }
}

/// How a download stood when it was given up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// How many pieces are verified, and how many there are: nothing, if the info
    /// dictionary never came.
    pub pieces: Option<(u32, u32)>,
    /// Peers that anybody named, or that came by themselves, and how many of them ever
    /// shook hands.
    pub known: usize,
    /// As above.
    pub connected: usize,
    /// Whether our own address was among those that were named.
    pub only_us: bool,
    /// How many could name peers, how many of them are trackers, and how many of these
    /// have ever answered.
    pub sources: usize,
    /// As above.
    pub trackers: usize,
    /// As above.
    pub answered: usize,
    /// Why peers were lost, or are of no use: the most frequent first.
    pub reasons: Vec<Reason>,
    /// Why those failed who could have named peers.
    pub failures: Vec<String>,
}

/// Why some peers were of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// How many.
    pub peers: usize,
    /// One of them.
    pub example: SocketAddr,
    /// The last that is known of them.
    pub why: String,
}

impl Standing {
    /// Whether it is the trackers' fault: nobody is known, and none of them answered.
    pub fn no_tracker(&self) -> bool {
        self.known == 0 && self.answered == 0 && self.trackers > 0 && !self.failures.is_empty()
    }

    /// Whether anything is verified, and so kept.
    pub fn has_some(&self) -> bool {
        self.pieces.is_some_and(|(have, _)| have > 0)
    }
}
