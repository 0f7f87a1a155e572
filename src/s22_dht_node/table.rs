//! The routing table: the nodes that we know, many near to our own id and few far away.
//!
//! Nobody can know ten million nodes, and nobody has to. A lookup halves the distance with each
//! step, so it needs a few nodes at each distance. The table has a *bucket* of eight for each
//! number of leading bits that an id shares with ours:
//!
//! ```text
//!   our id     1011...
//!   bucket 0   0xxx...   half of all ids, and eight nodes of them
//!   bucket 1   11xx...   a quarter
//!   bucket 2   100x...   an eighth
//!   bucket 3   101x...   the rest, with ourselves in it: the only bucket that is ever split
//! ```
//! The last bucket is split when a ninth node comes to it. So we know nearly everybody close by,
//! and can say who is closest to an info hash that is near to us. That is what others ask us for.
//!
//! A node that has been there for a long time will most likely stay, so a newcomer never displaces
//! one that still answers. That also makes it hard to push honest nodes out of the table.
//!
//! | a node is | if | what becomes of it |
//! |---|---|---|
//! | good | it has answered in the last 15 minutes, or has ever answered and asked us in that time | stays |
//! | questionable | neither | is asked if somebody waits for its place |
//! | bad | it was silent, or refused, three times in a row | gives its place to the next that comes |

mod rules;

use std::cmp::Reverse;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use self::rules::{conflicts, is_possible, random_in_bucket, shared_bits};
use crate::s03_tracker::reach::Reach;
use crate::s21_dht_lookup::K;
use crate::s21_dht_lookup::krpc::Contact;
use crate::s21_dht_lookup::node_id::{ID_BITS, NodeId};

/// How long a node is good after its last answer, and how long a bucket may stay as it is before we
/// look for other nodes (BEP 5).
pub const FRESH: Duration = Duration::from_secs(15 * 60);
/// The number of silences in a row after which a node is bad. One or two datagrams may be lost.
pub const MAX_SILENCES: u8 = 3;
/// The shortest time between two checks of one node.
const CHECK_PAUSE: Duration = Duration::from_secs(15);

/// The nodes that we know.
#[derive(Debug)]
pub struct Table {
    /// Our own id, which has no place in it.
    own: NodeId,
    /// Addresses nearer than this are not taken.
    nearest: Reach,
    /// The bucket with the number n has ids that share n leading bits with ours; the last one, n or
    /// more. Never empty.
    buckets: Vec<Bucket>,
}

/// Up to eight nodes, and those that wait for one of their places.
#[derive(Debug)]
struct Bucket {
    /// In no order. Eight are compared faster than they are sorted.
    nodes: Vec<Node>,
    /// Nodes that have answered, and that found no place. When a node goes bad, the last one that
    /// came gets its place: it has answered most recently.
    replacements: Vec<Node>,
    /// When a node last came, answered or was replaced.
    changed: Instant,
}

/// A node, and when we heard of it.
#[derive(Debug, Clone, Copy)]
struct Node {
    /// Its id and address. A node with another one of either is another node.
    contact: Contact,
    /// When it last answered. `None` if it comes from a file, and has not answered yet.
    answered: Option<Instant>,
    /// When it last asked us something.
    asked: Option<Instant>,
    /// When we last wanted to know whether it is still there.
    checked: Option<Instant>,
    /// The number of our questions since its last answer, those that it refused among them.
    silences: u8,
}

impl Node {
    /// A node that has answered at this time, or never yet.
    fn new(contact: Contact, answered: Option<Instant>) -> Node {
        Node { contact, answered, asked: None, checked: None, silences: 0 }
    }

    /// Whether it may lose its place to anybody.
    fn is_bad(&self) -> bool {
        self.silences >= MAX_SILENCES
    }

    /// Whether it keeps its place, whoever comes.
    fn is_good(&self, now: Instant) -> bool {
        let fresh = |at: Instant| now.saturating_duration_since(at) < FRESH;
        !self.is_bad() && self.answered.is_some_and(|at| fresh(at) || self.asked.is_some_and(fresh))
    }
}

impl Bucket {
    fn new(now: Instant) -> Bucket {
        Bucket { nodes: Vec::new(), replacements: Vec::new(), changed: now }
    }
}

impl Table {
    /// Makes the table of a node with this id. It takes no addresses of this computer or of its
    /// network: see [`admit`](Table::admit).
    pub fn new(own: NodeId, now: Instant) -> Table {
        Table { own, nearest: Reach::Internet, buckets: vec![Bucket::new(now)] }
    }

    /// Takes nodes that are this near from now on. Only somebody who is here, or whom the user has
    /// named, shows that there is a DHT on this network. If a stranger could show it, a stranger
    /// could make us send datagrams to each printer.
    pub fn admit(&mut self, reach: Reach) {
        self.nearest = self.nearest.min(reach);
    }

    /// Whether an address may be a node's.
    pub fn admits(&self, address: SocketAddr) -> bool {
        is_possible(address) && Reach::of(address.ip()) >= self.nearest
    }

    /// Notes that a node has answered. It gets a place, if there is one.
    ///
    /// | there is already | then |
    /// |---|---|
    /// | the same id at the same address | it is good again |
    /// | another id at the same address | both are dropped: a node that changes its id wants to be near something |
    /// | the same id at another address | the first one keeps it, unless it is bad |
    /// | another node with the same IP, far away | likewise: one computer may not fill a table |
    pub fn answered(&mut self, contact: Contact, now: Instant) {
        if let Some(node) = self.at_mut(contact.address) {
            if node.contact.id == contact.id {
                (node.answered, node.silences) = (Some(now), 0);
                self.bucket_mut(contact.id).changed = now;
            } else {
                self.remove(contact.address);
            }
            return;
        }
        self.add(Node::new(contact, Some(now)), now);
    }

    /// Notes that a node has asked us something. Returns whether to check it: it is new, and there
    /// would be a place for it. It gets none before it has answered, since anybody can send a
    /// question with somebody else's address.
    pub fn asked(&mut self, contact: Contact, now: Instant) -> bool {
        if let Some(node) = self.at_mut(contact.address) {
            if node.contact.id == contact.id {
                node.asked = Some(now);
            }
            return false;
        }
        // Not worth a datagram, if it could only wait: there may be thousands that would like a
        // place among the far ones, and eight get one.
        let bucket = self.bucket(contact.id);
        let is_last = bucket + 1 == self.buckets.len();
        let room = self.buckets.get(bucket).is_some_and(|bucket| {
            is_last || bucket.nodes.len() < K || bucket.nodes.iter().any(|node| !node.is_good(now))
        });
        room && contact.id != self.own
            && self.admits(contact.address)
            && !self.has_conflict(contact)
    }

    /// Notes that a node did not answer a question: it was silent, or refused. If it is bad now,
    /// one that waits gets its place. If nobody waits it stays, since it may be our own network
    /// that is down.
    pub fn silent(&mut self, address: SocketAddr, now: Instant) {
        let Some(node) = self.at_mut(address) else { return };
        node.silences = node.silences.saturating_add(1);
        let (id, is_bad) = (node.contact.id, node.is_bad());
        if is_bad && let Some(replacement) = self.bucket_mut(id).replacements.pop() {
            self.remove(address);
            self.add(replacement, now);
        }
    }

    /// Adds a node from a file. It counts as questionable until it answers, and is named to nobody.
    pub fn remember(&mut self, contact: Contact, now: Instant) {
        if self.at(contact.address).is_none() {
            self.add(Node::new(contact, None), now);
        }
    }

    /// Returns the nodes closest to an id that we name to somebody at this distance. All of them
    /// have answered, and answered our last question. Somebody far away is not told who is near us.
    pub fn named(&self, target: NodeId, asker: Reach) -> Vec<Contact> {
        // Whoever is told of a node that is gone loses a second. So one silence is enough here,
        // even if the node keeps its place.
        let known = self.nodes().filter(|node| {
            node.answered.is_some()
                && node.silences == 0
                && Reach::of(node.contact.address.ip()) >= asker
        });
        nearest(target, known)
    }

    /// Returns the nodes closest to an id from which a lookup may start. Bad ones only if there are
    /// no others: after a time without a network all are bad, and most are still there.
    pub fn closest(&self, target: NodeId) -> Vec<Contact> {
        let usable = nearest(target, self.nodes().filter(|node| !node.is_bad()));
        if usable.is_empty() { nearest(target, self.nodes()) } else { usable }
    }

    /// Returns the nodes that are good, nearest first.
    pub fn good(&self, now: Instant) -> Vec<Contact> {
        let mut good: Vec<Contact> =
            self.nodes().filter(|node| node.is_good(now)).map(|node| node.contact).collect();
        good.sort_by_key(|contact| contact.id.distance(self.own));
        good
    }

    /// Returns all nodes, the farthest bucket first.
    pub fn contacts(&self) -> Vec<Contact> {
        self.nodes().map(|node| node.contact).collect()
    }

    /// Whether we know no node that answers: each is bad, or has never answered.
    pub fn is_cut_off(&self) -> bool {
        !self.nodes().any(|node| node.answered.is_some() && !node.is_bad())
    }

    /// Returns the number of nodes.
    pub fn len(&self) -> usize {
        self.nodes().count()
    }

    /// Whether there are no nodes at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of nodes in each bucket, from the farthest to our own.
    pub fn sizes(&self) -> Vec<usize> {
        self.buckets.iter().map(|bucket| bucket.nodes.len()).collect()
    }

    /// Returns a node to ask whether it is still there, if there is one: it was silent, or is
    /// questionable while somebody waits for its place. Of several, the one that has not answered
    /// for longest. It counts as asked once [`Table::checks`] has been called.
    pub fn doubtful(&self, now: Instant) -> Option<Contact> {
        let rested = |node: &Node| {
            node.checked.is_none_or(|at| now.saturating_duration_since(at) >= CHECK_PAUSE)
        };
        let doubtful = self.buckets.iter().flat_map(|bucket| {
            let wanted = !bucket.replacements.is_empty();
            bucket.nodes.iter().filter(move |node| {
                !node.is_bad() && (node.silences > 0 || wanted && !node.is_good(now))
            })
        });
        let node = doubtful.filter(|node| rested(node)).min_by_key(|node| node.answered)?;
        Some(node.contact)
    }

    /// Notes that a node is asked whether it is still there.
    pub fn checks(&mut self, address: SocketAddr, now: Instant) {
        if let Some(node) = self.at_mut(address) {
            node.checked = Some(now);
        }
    }

    /// Returns an id to look for if a bucket has not changed for 15 minutes. It is random within
    /// the bucket, so that the lookup ends at nodes that belong there.
    pub fn refresh(&mut self, now: Instant, random: [u8; 20]) -> Option<NodeId> {
        let count = self.buckets.len();
        let (number, bucket) = self
            .buckets
            .iter_mut()
            .enumerate()
            .filter(|(_, bucket)| now.saturating_duration_since(bucket.changed) >= FRESH)
            .min_by_key(|(_, bucket)| bucket.changed)?;
        // Even if the lookup finds nobody: it is tried again in 15 minutes, not at once.
        bucket.changed = now;
        Some(random_in_bucket(self.own, number, number + 1 == count, random))
    }

    /// Takes another id for our own, and puts each node where it belongs now.
    pub fn move_to(&mut self, own: NodeId, now: Instant) {
        let old = std::mem::replace(&mut self.buckets, vec![Bucket::new(now)]);
        self.own = own;
        // Those that have answered most recently first: the new buckets may not have room for all.
        let mut nodes: Vec<Node> = old
            .into_iter()
            .flat_map(|bucket| bucket.nodes.into_iter().chain(bucket.replacements))
            .collect();
        nodes.sort_by_key(|node| Reverse(node.answered));
        nodes.into_iter().for_each(|node| self.add(node, now));
    }

    /// Gives a node a place, or lets it wait for one.
    fn add(&mut self, node: Node, now: Instant) {
        let contact = node.contact;
        if contact.id == self.own || !self.admits(contact.address) {
            return;
        }
        // A bad node keeps no other out.
        let alike = |other: &Node| other.is_bad() && conflicts(other.contact, contact);
        let bad: Vec<_> =
            self.nodes().filter(|it| alike(it)).map(|it| it.contact.address).collect();
        bad.into_iter().for_each(|address| self.remove(address));
        if self.has_conflict(contact) {
            return;
        }
        // Ends, since each round splits a bucket, and there are at most 160.
        loop {
            let number = self.bucket(contact.id);
            let splits = number + 1 == self.buckets.len() && self.buckets.len() < ID_BITS as usize;
            let bucket = self.bucket_mut(contact.id);
            if bucket.nodes.len() >= K {
                bucket.nodes.iter().position(Node::is_bad).map(|bad| bucket.nodes.remove(bad));
            }
            if bucket.nodes.len() < K {
                bucket.nodes.push(node);
                bucket.changed = now;
                return;
            }
            // All eight answer, or may. It waits, and they are asked, those in doubt first.
            if !splits {
                bucket.replacements.retain(|replacement| !conflicts(replacement.contact, contact));
                bucket.replacements.push(node);
                if bucket.replacements.len() > K {
                    bucket.replacements.remove(0);
                }
                return;
            }
            self.split();
        }
    }

    /// Splits the last bucket: those that share one more bit with us go to a new one. Half of them,
    /// if ids are random, and all of them if somebody has made them up.
    fn split(&mut self) {
        let shared = self.buckets.len();
        let own = self.own;
        let Some(last) = self.buckets.last_mut() else { return };
        let stays = |node: &Node| shared_bits(own, node.contact.id) < shared;
        let (here, next) = last.nodes.drain(..).partition(stays);
        // It was never full without being split, so nobody waits in it.
        let bucket = Bucket { nodes: next, replacements: Vec::new(), changed: last.changed };
        last.nodes = here;
        self.buckets.push(bucket);
    }

    /// Returns the number of the bucket for an id.
    fn bucket(&self, id: NodeId) -> usize {
        shared_bits(self.own, id).min(self.buckets.len() - 1)
    }

    /// Returns the bucket for an id.
    fn bucket_mut(&mut self, id: NodeId) -> &mut Bucket {
        let number = self.bucket(id);
        self.buckets.get_mut(number).expect("there is a bucket for each id")
    }

    /// Returns all that have a place.
    fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.buckets.iter().flat_map(|bucket| &bucket.nodes)
    }

    /// Returns the node with a place at this address. A pass over all: a table has a hundred nodes,
    /// or two.
    fn at(&self, address: SocketAddr) -> Option<&Node> {
        self.nodes().find(|node| node.contact.address == address)
    }

    /// Returns the node with a place at this address, to change it.
    fn at_mut(&mut self, address: SocketAddr) -> Option<&mut Node> {
        let mut nodes = self.buckets.iter_mut().flat_map(|bucket| &mut bucket.nodes);
        nodes.find(|node| node.contact.address == address)
    }

    /// Takes a node's place away. It is up to the caller whether one that waits gets it.
    fn remove(&mut self, address: SocketAddr) {
        for bucket in &mut self.buckets {
            bucket.nodes.retain(|node| node.contact.address != address);
        }
    }

    /// Whether a node has a place that keeps this one out of the table.
    fn has_conflict(&self, contact: Contact) -> bool {
        self.nodes().any(|node| conflicts(node.contact, contact))
    }
}

/// Returns the eight nodes that are closest to an id, the closest first.
fn nearest<'n>(target: NodeId, nodes: impl Iterator<Item = &'n Node>) -> Vec<Contact> {
    let mut nodes: Vec<Contact> = nodes.map(|node| node.contact).collect();
    nodes.sort_by_key(|contact| contact.id.distance(target));
    nodes.truncate(K);
    nodes
}
