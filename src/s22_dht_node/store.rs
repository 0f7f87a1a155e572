//! What others have asked us to write down: who has which torrent.
//!
//! A place in it costs a stranger nothing. So everything has a limit, and the table says whom each
//! limit hits:
//!
//! | limit | beyond it | so a stranger |
//! |---|---|---|
//! | 30 minutes for each entry | it is forgotten | must announce again, as a peer that is still there does |
//! | 2,000 torrents, 50,000 entries in all | the torrent farthest from our id goes | pushes out far ones first; near us, it takes twenty addresses, and hashes made up for our id |
//! | 500 peers of a torrent | its oldest one goes | must keep on announcing |
//! | 10 entries of a torrent from one IP | the oldest one of that IP goes | cannot fill a torrent alone |
//! | 100 entries from one IP | nothing more is taken | cannot fill the store alone |
//!
//! The last two are not for addresses near us: a lab or a class may have a single one.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::filter::Filter;
use crate::s02_metainfo::InfoHash;
use crate::s03_tracker::reach::Reach;
use crate::s04_handshake::origin::Origin;
use crate::s21_dht_lookup::node_id::{Distance, NodeId};

/// The most torrents. A node far away from most of them is asked to keep a few hundred.
pub const MAX_TORRENTS: usize = 2_000;
/// The most peers of one torrent. An answer has room for a hundred, and each gets others.
pub const MAX_PEERS: usize = 500;
/// The most entries in all. Each takes 56 bytes, and so all of them 3 MB: the product of the two
/// limits above would be twenty times as much, and only an attack would fill it.
pub const MAX_ENTRIES: usize = 50_000;
/// The most entries of one torrent that one IP far away has. Behind a router there may be several
/// peers, and one that was restarted has another port.
pub const PER_TORRENT: usize = 10;
/// The most entries that one IP far away has. A computer that seeds thousands of torrents has only
/// those with us for which we are one of the eight closest nodes.
pub const PER_ORIGIN: usize = 100;
/// How long an entry counts. Clients announce again after 15 minutes, so one of them may be lost.
pub const LIFETIME: Duration = Duration::from_secs(30 * 60);
/// How long the same torrents are named to those that want to know some (BEP 51).
pub const SAMPLE_TIME: Duration = Duration::from_secs(10 * 60);

/// The time between two looks for old entries.
const SWEEP: Duration = Duration::from_secs(60);

/// Who has which torrent.
#[derive(Debug)]
pub struct Store {
    /// Our id, from which distances are counted.
    own: NodeId,
    /// By their distance from our id, so that the last is the first to go.
    torrents: BTreeMap<Distance, Torrent>,
    /// The number of entries of each IP far away. An IP without entries has none here, so there are
    /// never more than entries.
    shares: HashMap<Origin, usize>,
    /// The number of all entries.
    entries: usize,
    /// When it was made.
    began: Instant,
    /// When old entries were last looked for.
    swept: Instant,
}

/// A torrent, and who has it. One that nobody has is not kept.
#[derive(Debug)]
struct Torrent {
    info_hash: InfoHash,
    /// The one that announced longest ago comes first.
    peers: Vec<Entry>,
}

/// A peer that has announced itself.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Where it listens, over TCP.
    peer: SocketAddr,
    /// Whether it says that it has all of the torrent.
    is_seed: bool,
    /// When it last announced itself.
    since: Instant,
}

impl Store {
    /// Makes the store of a node with this id.
    pub fn new(own: NodeId, now: Instant) -> Store {
        Store {
            own,
            torrents: BTreeMap::new(),
            shares: HashMap::new(),
            entries: 0,
            began: now,
            swept: now,
        }
    }

    /// Writes a peer down. Returns whether there was room for it. One that is written down already
    /// counts from now on, and goes to the end of the list.
    pub fn announce(
        &mut self,
        info_hash: InfoHash,
        peer: SocketAddr,
        is_seed: bool,
        now: Instant,
    ) -> bool {
        self.sweep(now);
        // First of all, so that a peer that announces again does not count twice below.
        self.remove(info_hash, |entry| entry.peer == peer);
        let origin = far(peer);
        let share = origin.and_then(|origin| self.shares.get(&origin)).copied().unwrap_or(0);
        if share >= PER_ORIGIN || !self.make_room(info_hash, origin) {
            return false;
        }
        if let Some(origin) = origin {
            *self.shares.entry(origin).or_default() += 1;
        }
        self.entries += 1;
        let place = self.place(info_hash);
        let torrent =
            self.torrents.entry(place).or_insert(Torrent { info_hash, peers: Vec::new() });
        torrent.peers.push(Entry { peer, is_seed, since: now });
        true
    }

    /// Returns up to `count` peers of a torrent that somebody at this distance may hear of. `turn`
    /// says where in the list to begin: others get others. With `noseed`, seeds are left out: two
    /// of them have nothing to give each other, and would take the places of others (BEP 33).
    pub fn peers(
        &mut self,
        info_hash: InfoHash,
        (asker, noseed): (Reach, bool),
        (count, turn): (usize, usize),
        now: Instant,
    ) -> Vec<SocketAddr> {
        self.sweep(now);
        let wanted = self.entries(info_hash, now).filter(|entry| !(noseed && entry.is_seed));
        let known = wanted.map(|entry| entry.peer);
        let known: Vec<_> = known.filter(|peer| Reach::of(peer.ip()) >= asker).collect();
        // The list is read as a ring, from another place each time.
        let begin = turn.checked_rem(known.len()).unwrap_or(0);
        known.iter().cycle().skip(begin).take(count.min(known.len())).copied().collect()
    }

    /// Returns a filter with the seeds of a torrent and one with its other peers (BEP 33).
    pub fn filters(&self, info_hash: InfoHash, now: Instant) -> (Filter, Filter) {
        let (mut seeds, mut peers) = (Filter::default(), Filter::default());
        for entry in self.entries(info_hash, now) {
            let filter = if entry.is_seed { &mut seeds } else { &mut peers };
            filter.add(entry.peer.ip());
        }
        (seeds, peers)
    }

    /// Returns up to `count` torrents (BEP 51): the same ones for ten minutes, then the next ones.
    pub fn samples(&self, count: usize, now: Instant) -> Vec<InfoHash> {
        // BEP 51 lets a node choose how fast it can be read out. Whoever asks each ten minutes gets
        // everything after a while, and whoever asks more often gains nothing.
        let turn = now.saturating_duration_since(self.began).as_secs() / SAMPLE_TIME.as_secs();
        let all = self.torrents.len();
        let begin = (turn as usize).wrapping_mul(count).checked_rem(all).unwrap_or(0);
        let known = self.torrents.values().map(|torrent| torrent.info_hash);
        let known: Vec<_> = known.collect();
        known.iter().cycle().skip(begin).take(count.min(all)).copied().collect()
    }

    /// Returns the number of torrents.
    pub fn torrents(&self) -> usize {
        self.torrents.len()
    }

    /// Returns the number of peers, of all torrents. One that has two torrents counts twice.
    pub fn len(&self) -> usize {
        self.entries
    }

    /// Whether nobody is written down.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Takes another id for our own: what is far from it goes first from now on.
    pub fn move_to(&mut self, own: NodeId) {
        self.own = own;
        let torrents = std::mem::take(&mut self.torrents).into_values();
        self.torrents = torrents.map(|it| (NodeId::from(it.info_hash).distance(own), it)).collect();
    }

    /// Returns the place of a torrent: how far it is from us.
    fn place(&self, info_hash: InfoHash) -> Distance {
        NodeId::from(info_hash).distance(self.own)
    }

    /// Returns the entries of a torrent that still count. Old ones may be there until the next
    /// sweep, so each reader looks at their age.
    fn entries(&self, info_hash: InfoHash, now: Instant) -> impl Iterator<Item = &Entry> {
        let torrent = self.torrents.get(&self.place(info_hash));
        torrent
            .into_iter()
            .flat_map(|torrent| &torrent.peers)
            .filter(move |entry| is_fresh(entry, now))
    }

    /// Makes room for one more entry. Returns whether there is some.
    ///
    /// Whoever is in the way goes in this order: the oldest entry of the same IP, if that has ten
    /// of the torrent; the torrent's oldest, if that is full; the farthest torrent, if everything
    /// is full. If there is none farther than this one, this one is not taken.
    fn make_room(&mut self, info_hash: InfoHash, origin: Option<Origin>) -> bool {
        let place = self.place(info_hash);
        let peers = self.torrents.get(&place).map_or(&[][..], |torrent| &torrent.peers);
        let same = |entry: &&Entry| origin.is_some() && far(entry.peer) == origin;
        let oldest = if peers.iter().filter(same).count() >= PER_TORRENT {
            peers.iter().find(same)
        } else {
            peers.first().filter(|_| peers.len() >= MAX_PEERS)
        };
        if let Some(oldest) = oldest.map(|entry| entry.peer) {
            self.remove(info_hash, |entry| entry.peer == oldest);
            return true;
        }
        let full = self.entries >= MAX_ENTRIES
            || self.torrents.len() >= MAX_TORRENTS && !self.torrents.contains_key(&place);
        let Some((farthest, torrent)) = self.torrents.last_key_value().filter(|_| full) else {
            return true;
        };
        let (is_nearer, torrent) = (place < *farthest, torrent.info_hash);
        if is_nearer {
            self.remove(torrent, |_| true);
        }
        is_nearer
    }

    /// Forgets what is too old, once a minute at most: it is a pass over everything. Called when
    /// somebody asks, since a store that nobody asks may be as old as it likes.
    fn sweep(&mut self, now: Instant) {
        if now.saturating_duration_since(self.swept) >= SWEEP {
            self.swept = now;
            let all: Vec<InfoHash> = self.torrents.values().map(|it| it.info_hash).collect();
            all.into_iter().for_each(|it| self.remove(it, |entry| !is_fresh(entry, now)));
        }
    }

    /// Removes some entries of a torrent. All removals go this way, so that the counts stay right:
    /// a share that is too large would keep an honest address out, one that is too small would let
    /// a stranger in again and again.
    fn remove(&mut self, info_hash: InfoHash, which: impl Fn(&Entry) -> bool) {
        let place = self.place(info_hash);
        let Some(torrent) = self.torrents.get_mut(&place) else { return };
        torrent.peers.retain(|entry| {
            let goes = which(entry);
            if goes {
                self.entries -= 1;
            }
            if let Some(origin) = far(entry.peer).filter(|_| goes)
                && let Some(share) = self.shares.get_mut(&origin)
            {
                *share -= 1;
                if *share == 0 {
                    self.shares.remove(&origin);
                }
            }
            !goes
        });
        if torrent.peers.is_empty() {
            self.torrents.remove(&place);
        }
    }
}

/// Returns what the entries of an address are counted by. Near us they are not counted: one
/// computer may be a whole class.
fn far(peer: SocketAddr) -> Option<Origin> {
    (Reach::of(peer.ip()) == Reach::Internet).then(|| Origin::of(peer.ip()))
}

/// Whether an entry is not too old.
fn is_fresh(entry: &Entry, now: Instant) -> bool {
    now.saturating_duration_since(entry.since) < LIFETIME
}
