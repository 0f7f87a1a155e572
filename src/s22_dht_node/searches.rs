//! The lookups that run at this moment, and what comes after one: the announce.
//!
//! ```text
//!   waiting --> looking --> announcing --> done
//!               lookup of   to the keepers that
//!               stage 21    gave a token
//! ```
//! A lookup says whom to ask next and is told what came. What is left to do here is to run several
//! of them side by side, and to report their peers.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::mpsc::Sender;
use std::time::Instant;

use crate::s02_metainfo::InfoHash;
use crate::s21_dht_lookup::krpc::Query;
use crate::s21_dht_lookup::steps::{LookupCounts, Step};
use crate::s21_dht_lookup::{Ask, Goal, Lookup, Neighbor};

/// The most lookups at a time. Each has four questions on their way.
const MAX_RUNNING: usize = 8;
/// The most that wait. Our own program has few torrents.
const MAX_WAITING: usize = 100;

/// What a search reports to whoever wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A node has named peers that nobody had named before.
    Peers {
        /// The node's address: how far away it is decides which of them may be dialed.
        by: SocketAddr,
        /// The peers.
        peers: Vec<SocketAddr>,
    },
    /// The search is over. Nothing follows.
    Done {
        /// How many nodes were asked, and how it went.
        counts: LookupCounts,
        /// The nodes closest to the torrent that have answered, the nearest first.
        closest: Vec<Neighbor>,
        /// How many of them have written us down.
        announced: usize,
    },
}

/// What an announce says of us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announce {
    /// Where we listen for peers, over TCP. Never 0.
    pub port: u16,
    /// Whether we have all of the torrent.
    pub is_seed: bool,
}

/// A search that somebody has asked for.
#[derive(Debug)]
pub struct Wanted {
    /// The torrent.
    pub info_hash: InfoHash,
    /// What is to be announced after it. `None`: nothing.
    pub announce: Option<Announce>,
    /// Where the peers go.
    pub found: Sender<Found>,
}

/// What a search has sent a question for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// For its lookup, which knows the question by this number.
    Lookup(usize),
    /// To announce us.
    Announce,
}

/// A question that is to be sent now.
#[derive(Debug)]
pub struct Question {
    /// The number of the search.
    pub search: usize,
    /// What it is for.
    pub purpose: Purpose,
    /// The address of the node.
    pub to: SocketAddr,
    /// The question.
    pub query: Query,
}

/// One search: a lookup, and then the announces.
struct Search {
    /// Says which search an answer belongs to.
    number: usize,
    /// Whom to ask next, and what came. It stays until the end, since it knows the closest nodes.
    lookup: Lookup,
    /// Whom it is for. `None`: it is our own, which only fills the table.
    wanted: Option<Wanted>,
    /// The nodes to which an announce is still to be sent; `None` while the lookup runs.
    to_announce: Option<VecDeque<Neighbor>>,
    /// The number of announces without an answer.
    unanswered: usize,
    /// The number of nodes that have written us down.
    announced: usize,
}

/// All searches.
#[derive(Default)]
pub struct Searches {
    /// In the order of their turns: the last one has just had its.
    running: Vec<Search>,
    /// Those for which there is no room yet.
    waiting: VecDeque<Wanted>,
    /// Numbers are not used twice: an answer that comes late must not find another search.
    next_number: usize,
}

impl Searches {
    /// Adds a search. It begins when [`Searches::begin`] is called and there is room. If too many
    /// wait, it is dropped, and whoever wants it hears that its channel has ended.
    pub fn want(&mut self, wanted: Wanted) {
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push_back(wanted);
        }
    }

    /// Begins searches that wait, with a lookup that `make` makes of each.
    pub fn begin(&mut self, mut make: impl FnMut(Goal) -> Lookup) {
        while self.running.len() < MAX_RUNNING
            && let Some(wanted) = self.waiting.pop_front()
        {
            let lookup = make(Goal::Peers(wanted.info_hash));
            self.add(lookup, Some(wanted));
        }
    }

    /// Begins a lookup of our own: its answers fill the table. Returns its number.
    pub fn begin_own(&mut self, lookup: Lookup) -> usize {
        self.add(lookup, None)
    }

    /// Adds a search that begins now, and returns its number.
    fn add(&mut self, lookup: Lookup, wanted: Option<Wanted>) -> usize {
        let number = self.next_number;
        self.next_number += 1;
        self.running.push(Search {
            number,
            lookup,
            wanted,
            to_announce: None,
            unanswered: 0,
            announced: 0,
        });
        number
    }

    /// Whether the search with this number runs.
    pub fn runs(&self, number: usize) -> bool {
        self.running.iter().any(|search| search.number == number)
    }

    /// Returns the next question of any search. Each gets its turn, so that one with much to ask
    /// does not keep the others waiting.
    pub fn next(&mut self, now: Instant) -> Option<Question> {
        for _ in 0..self.running.len() {
            self.running.rotate_left(1);
            if let Some(question) = self.running.last_mut().and_then(|search| search.next(now)) {
                return Some(question);
            }
        }
        None
    }

    /// Returns the search for an answer.
    fn search(&mut self, number: usize) -> Option<&mut Search> {
        self.running.iter_mut().find(|search| search.number == number)
    }

    /// Gives an answer to the lookup that it is for. If that is over, nobody wants it.
    pub fn with_lookup(&mut self, number: usize, take: impl FnOnce(&mut Lookup)) {
        if let Some(search) = self.search(number) {
            take(&mut search.lookup);
        }
    }

    /// Gives hosts to all lookups that run. One that has eight nodes does not ask them. Without
    /// this, a search that began with a silent host would end with nobody, although the next host
    /// may answer.
    pub fn start_from_hosts(&mut self, addresses: &[SocketAddr]) {
        let looking = self.running.iter_mut().filter(|search| search.to_announce.is_none());
        looking.for_each(|search| {
            addresses.iter().for_each(|address| search.lookup.start_from_host(*address));
        });
    }

    /// Notes that an announce was answered or given up, and whether the node has written us down.
    pub fn announce_ended(&mut self, number: usize, accepted: bool) {
        if let Some(search) = self.search(number) {
            search.unanswered = search.unanswered.saturating_sub(1);
            search.announced += usize::from(accepted);
        }
    }

    /// Reports what is new, and ends searches that are over.
    pub fn report(&mut self) {
        self.running.retain_mut(Search::report);
    }

    /// Returns when the next lookup has to be asked again, unless an answer comes before that.
    pub fn due(&self) -> Option<Instant> {
        let looking = self.running.iter().filter(|search| search.to_announce.is_none());
        looking.filter_map(|search| search.lookup.due()).min()
    }
}

impl Search {
    /// Returns the next question: one of the lookup, or an announce once that is over.
    fn next(&mut self, now: Instant) -> Option<Question> {
        let Some(to_announce) = &mut self.to_announce else {
            let Ask { number, to, query } = self.lookup.next(now)?;
            return Some(Question {
                search: self.number,
                purpose: Purpose::Lookup(number),
                to,
                query,
            });
        };
        let neighbor = to_announce.pop_front()?;
        let wanted = self.wanted.as_ref()?;
        let Announce { port, is_seed } = wanted.announce?;
        let query = Query::AnnouncePeer {
            info_hash: wanted.info_hash,
            port: Some(port),
            token: neighbor.token?,
            seed: is_seed,
        };
        self.unanswered += 1;
        let (search, to) = (self.number, neighbor.contact.address);
        Some(Question { search, purpose: Purpose::Announce, to, query })
    }

    /// Reports what is new. Returns whether the search goes on.
    fn report(&mut self) -> bool {
        let steps = self.lookup.take_steps();
        if let Some(wanted) = &self.wanted {
            for step in steps {
                if let Step::Peers { by, peers } = step {
                    // Even if nobody listens any more, it goes on: its answers fill the table.
                    let _ = wanted.found.send(Found::Peers { by, peers });
                }
            }
        }
        // From here on the lookup asks nobody. Slow answers may still come; they change nothing
        // about whom we announce ourselves to.
        if self.to_announce.is_none() && self.lookup.is_done() {
            let announces = self.wanted.as_ref().is_some_and(|wanted| wanted.announce.is_some());
            let keepers = if announces { self.lookup.keepers() } else { Vec::new() };
            // Not every node gives a token. To one without, we cannot announce ourselves.
            self.to_announce =
                Some(keepers.into_iter().filter(|node| node.token.is_some()).collect());
        }
        let is_over =
            self.to_announce.as_ref().is_some_and(VecDeque::is_empty) && self.unanswered == 0;
        if is_over && let Some(wanted) = &self.wanted {
            let (counts, closest) = (self.lookup.counts(), self.lookup.closest());
            let _ = wanted.found.send(Found::Done { counts, closest, announced: self.announced });
        }
        !is_over
    }
}
