//! Why a download failed: how much of it is verified, which peers it knew, and why they were of no
//! use. The error carries it, because nothing else remembers.
//!
//! `no peer could be used for 60 s` helps nobody. Were there no addresses? Did nobody answer? Do
//! all peers choke us? Each has a different remedy, and the difference is known only while it
//! happens. So the torrent loop notes every end in a `PeerRecord`, on its own thread and without
//! a lock, and makes a [`FailureReport`] of it if the download fails. The sentences are in
//! `report`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;

use crate::s12_session::stats::PeerFlags;
use crate::s14_peer_list::addresses::REMEMBERED;

/// The peers that a download has met, and what became of each. Kept while it runs.
#[derive(Default)]
pub(super) struct PeerRecord {
    /// At most [`REMEMBERED`], as many as there are addresses. Later ones are not recorded.
    peers: HashMap<SocketAddr, Peer>,
    /// The last failure of each tracker or other source, until it answers. In order of their names,
    /// so that two runs report the same.
    sources: BTreeMap<String, Source>,
    /// Addresses that turned out to be our own: a handshake there brought our own peer id. A
    /// tracker may name us to ourselves.
    ourselves: HashSet<SocketAddr>,
}

/// What became of a peer. Only the last of each kind is kept: the user needs a reason, not a log.
#[derive(Default)]
struct Peer {
    /// A handshake with it was done, at any time.
    met: bool,
    /// Why the peer cannot give the info dictionary. Before there is one, nothing else matters.
    lacks: Option<&'static str>,
    /// Why the last connection to it ended.
    why: Option<String>,
    /// Why one of them ended, if it was a lie about the hashes of pieces.
    lie: Option<String>,
}

/// What a source said last.
#[derive(Default)]
struct Source {
    /// It has reported something other than a failure, at any time.
    answered: bool,
    /// Its last failure, with its name; `None` again after an answer.
    failed: Option<String>,
}

impl PeerRecord {
    /// Notes a source that begins to look for peers.
    pub fn source(&mut self, name: String) {
        self.sources.entry(name).or_default();
    }

    /// Notes what a source has reported, and whether it failed. A source that only waits for
    /// incoming connections is not recorded: it looks for nobody, so it cannot fail to find
    /// anybody.
    pub fn said(&mut self, source: &str, what: &str, failed: bool) {
        let Some(known) = self.sources.get_mut(source) else { return };
        known.answered |= !failed;
        // A tracker's report begins with its URL already.
        let named =
            if what.starts_with(source) { what.to_owned() } else { format!("{source}: {what}") };
        known.failed = failed.then_some(named);
    }

    /// Returns the entry of an address, a new one if there is room; `None` if there is none.
    fn peer(&mut self, address: SocketAddr) -> Option<&mut Peer> {
        let room = self.peers.len() < REMEMBERED || self.peers.contains_key(&address);
        room.then(|| self.peers.entry(address).or_default())
    }

    /// Notes that a peer's handshake is done.
    pub fn met(&mut self, address: SocketAddr) {
        if let Some(peer) = self.peer(address) {
            peer.met = true;
        }
    }

    /// Notes why a peer cannot give the info dictionary; `None` if it can.
    pub fn lacks(&mut self, address: SocketAddr, lacks: Option<&'static str>) {
        if let Some(peer) = self.peer(address) {
            peer.lacks = lacks;
        }
    }

    /// Notes why a connection ended, or why there was none.
    pub fn lost(&mut self, address: SocketAddr, why: String) {
        if let Some(peer) = self.peer(address) {
            peer.why = Some(why);
        }
    }

    /// Notes what a peer has sent instead of right hashes. It may come back and lie again. As long
    /// as the hashes are not known, this is all that matters about it.
    pub fn lied(&mut self, address: SocketAddr, lie: String) {
        if let Some(peer) = self.peer(address) {
            peer.why = Some(lie.clone());
            peer.lie = Some(lie);
        }
    }

    /// The number of peers that have lied about the hashes of pieces.
    pub fn liars(&self) -> usize {
        self.peers.values().filter(|peer| peer.lie.is_some()).count()
    }

    /// Notes that an address is our own. It no longer counts as a peer.
    pub fn ourselves(&mut self, address: SocketAddr) {
        self.peers.remove(&address);
        if self.ourselves.len() < REMEMBERED {
            self.ourselves.insert(address);
        }
    }

    /// Sums up. `pieces` is how many are verified, and of how many; `None` without the info
    /// dictionary. `named` are all known addresses, dialed or not, `live` the connected peers.
    /// Called with the swarm's list of peers locked, so it must not wait.
    pub fn sum_up<'p>(
        &self,
        pieces: Option<(u32, u32)>,
        named: impl Iterator<Item = SocketAddr>,
        live: impl Iterator<Item = (SocketAddr, &'p PeerFlags)>,
    ) -> FailureReport {
        let is_new = |address: &SocketAddr| {
            !self.peers.contains_key(address) && !self.ourselves.contains(address)
        };
        // A source with a URL for a name is a tracker. Others have an address.
        let trackers = || {
            self.sources.iter().filter(|(name, _)| name.contains("://")).map(|(_, tracker)| tracker)
        };
        FailureReport {
            pieces,
            known: self.peers.len() + named.filter(is_new).count(),
            connected: self.peers.values().filter(|peer| peer.met).count(),
            only_us: !self.ourselves.is_empty(),
            sources: self.sources.len(),
            trackers: trackers().count(),
            answered: trackers().filter(|tracker| tracker.answered).count(),
            reasons: self.reasons(pieces.is_some(), live),
            failures: self.sources.values().filter_map(|source| source.failed.clone()).collect(),
        }
    }

    /// Returns the reasons why peers were of no use, the most frequent one first. Each peer counts
    /// for one reason, so the numbers add up to no more than the peers.
    fn reasons<'p>(
        &self,
        has_info: bool,
        live: impl Iterator<Item = (SocketAddr, &'p PeerFlags)>,
    ) -> Vec<Reason> {
        let mut whys: HashMap<SocketAddr, &str> = HashMap::new();
        for (address, peer) in &self.peers {
            // What a peer lacked is of interest only if we still lack it as well.
            let lacks = peer.lie.as_deref().or(peer.lacks).filter(|_| !has_info);
            whys.extend(lacks.or(peer.why.as_deref()).map(|why| (*address, why)));
        }
        // What keeps a connected peer from being of use now replaces why it was lost before.
        // Without the info dictionary nothing can be requested, so the flags say nothing.
        let mut here = HashSet::new();
        for (address, flags) in live {
            let now = if has_info { flags.supply().complaint() } else { None };
            here.extend(now);
            whys.extend(now.map(|why| (address, why)));
        }
        let mut counts: BTreeMap<&str, Reason> = BTreeMap::new();
        for (address, why) in whys {
            let new = || Reason { peers: 0, example: address, why: why.to_owned() };
            let reason = counts.entry(why).or_insert_with(new);
            reason.peers += 1;
            // The smallest, not the first: the order of a hash map changes from run to run.
            reason.example = reason.example.min(address);
        }
        let mut reasons: Vec<Reason> = counts.into_values().collect();
        // Among equals, a peer that is still connected says more than one that is gone.
        reasons.sort_by_key(|reason| Reverse((reason.peers, here.contains(reason.why.as_str()))));
        reasons
    }
}

/// Why a download was given up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailureReport {
    /// The number of verified pieces, and of all pieces; `None` if the info dictionary never came.
    pub pieces: Option<(u32, u32)>,
    /// The number of peers that a source named, or that connected to us.
    pub known: usize,
    /// The number of those with which a handshake was ever done.
    pub connected: usize,
    /// Whether our own address was among those named. If nobody else was, the trackers work, and
    /// know only us.
    pub only_us: bool,
    /// The number of sources that could name peers.
    pub sources: usize,
    /// The number of those that are trackers.
    pub trackers: usize,
    /// The number of trackers that have ever answered.
    pub answered: usize,
    /// Why peers were lost or are of no use, the most frequent reason first.
    pub reasons: Vec<Reason>,
    /// The last failure of each source that has not answered since.
    pub failures: Vec<String>,
}

/// A reason why peers were of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The number of those peers.
    pub peers: usize,
    /// One of them, to look at more closely.
    pub example: SocketAddr,
    /// The reason, in words.
    pub why: String,
}

impl FailureReport {
    /// Whether the trackers are to blame: no peer is known, and no tracker answered. A tracker that
    /// answers and names nobody is not to blame.
    pub fn no_tracker(&self) -> bool {
        self.known == 0 && self.answered == 0 && self.trackers > 0 && !self.failures.is_empty()
    }

    /// Whether any piece is verified, and so kept. The same command can then go on from there, and
    /// the help says so.
    pub fn has_some(&self) -> bool {
        self.pieces.is_some_and(|(have, _)| have > 0)
    }
}
