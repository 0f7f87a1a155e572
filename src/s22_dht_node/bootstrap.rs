//! How a node that knows nobody gets in: by hosts with a name, asked until somebody answers.
//!
//! | hosts | asked |
//! |---|---|
//! | that the user names | at each start, and whenever we know nobody |
//! | that a torrent names | likewise, unless the address is that of a service of this network |
//! | that the program brings along | only when we know nobody: everybody asks them |
//!
//! A node that has got in knows a few others, and gets to know its neighbors by a lookup of its own
//! id. While it knows fewer than eight nodes, it does so again after 2 s, 4 s, and so on: others
//! come in as well.
//!
//! When nobody answers, the hosts are asked again after 15 s, 30 s, and so on up to ten minutes. A
//! network that was down may come back.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use super::table::FRESH;
use super::{Handle, Order};
use crate::s03_tracker::names::Lookups;
use crate::s03_tracker::reach::packet_refusal;
use crate::s13_peer_sources::STACK;
use crate::s21_dht_lookup::K;
use crate::s21_dht_lookup::ask::resolve;

/// The first pause before the hosts are asked again. It doubles each time.
const FIRST_PAUSE: Duration = Duration::from_secs(15);
/// The longest such pause.
const MAX_PAUSE: Duration = Duration::from_secs(10 * 60);
/// The first pause before a node that knows few others looks for more. It doubles each time.
const FIRST_LOOK: Duration = Duration::from_secs(2);
/// The most addresses that are kept. One that answers is enough.
const MAX_ADDRESSES: usize = 32;

/// The longest time for names to be looked up. One that takes longer is not used this time.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(10);
/// The number of names that are looked up at the same time. A torrent may name a hundred.
const SIDE_BY_SIDE: usize = 16;

/// Hosts that are ways into the DHT, each a `HOST:PORT`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts {
    /// Those that the user names.
    pub named: Vec<String>,
    /// Those that a torrent names. Its author may be anybody.
    pub linked: Vec<String>,
    /// Those that the program brings along.
    pub known: Vec<String>,
}

/// The ways in, and when to take them.
#[derive(Debug)]
pub struct Bootstrap {
    hosts: Hosts,
    /// The addresses that their names have led to.
    addresses: Vec<SocketAddr>,
    /// Whether there are hosts that are asked at each start, and they have not been asked yet.
    begin: bool,
    /// Whether names are being looked up.
    is_looking: bool,
    /// The hosts are not asked again before this time.
    next: Option<Instant>,
    /// How long they are left alone after the next time.
    pause: Duration,
    /// When we last looked for other nodes, and the pause after that.
    looked: Option<(Instant, Duration)>,
}

impl Bootstrap {
    /// Begins with hosts that have not been asked.
    pub fn new(hosts: Hosts) -> Bootstrap {
        let begin = !hosts.named.is_empty() || !hosts.linked.is_empty();
        Bootstrap {
            hosts,
            addresses: Vec::new(),
            begin,
            is_looking: false,
            next: None,
            pause: FIRST_PAUSE,
            looked: None,
        }
    }

    /// Returns the hosts to ask now, if it is time. There may be none among them: then all that is
    /// left is to try the nodes again that we know, and that have not answered.
    ///
    /// `cut_off`: we know nobody who answers. `runs`: a lookup of ours is running, and may still
    /// find somebody. The hosts that are asked at each start need not wait for it.
    pub fn due(&mut self, cut_off: bool, runs: bool, now: Instant) -> Option<Hosts> {
        if !cut_off {
            self.pause = FIRST_PAUSE;
        }
        let alone = cut_off && !runs;
        let is_time = self.next.is_none_or(|next| now >= next);
        if self.is_looking || !(self.begin || alone && is_time) {
            return None;
        }
        let mut hosts = self.hosts.clone();
        if !alone {
            hosts.known.clear();
        }
        (self.begin, self.next) = (false, Some(now + self.pause));
        self.pause = (2 * self.pause).min(MAX_PAUSE);
        self.is_looking = hosts != Hosts::default();
        Some(hosts)
    }

    /// Whether it is time to look for other nodes again, as we know only this many.
    pub fn looks_again(&mut self, known: usize, now: Instant) -> bool {
        let (last, pause) = *self.looked.get_or_insert((now, FIRST_LOOK));
        let is_time = known < K && now.saturating_duration_since(last) >= pause;
        if is_time {
            self.looked = Some((now, (2 * pause).min(FRESH)));
        }
        is_time
    }

    /// Takes addresses that a name has led to.
    pub fn add(&mut self, addresses: &[SocketAddr]) {
        for address in addresses {
            if !self.addresses.contains(address) && self.addresses.len() < MAX_ADDRESSES {
                self.addresses.push(*address);
            }
        }
    }

    /// Notes that all names have been looked up.
    pub fn looked_up(&mut self) {
        self.is_looking = false;
    }

    /// Whether names are being looked up that may lead somewhere.
    pub fn is_looking(&self) -> bool {
        self.is_looking
    }

    /// Returns the addresses.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

/// Looks the names up side by side, and gives the addresses of one family to the node as they come.
/// To be called on a thread of its own: it takes as long as the slowest name server.
pub(super) fn look_up(hosts: &Hosts, is_ipv4: bool, handle: &Handle) {
    let deadline = Instant::now() + LOOK_UP_TIMEOUT;
    let lookups = Lookups::default();
    let strangers = hosts.linked.iter().chain(&hosts.known).map(|host| (host, true));
    let all: Vec<_> = hosts.named.iter().map(|host| (host, false)).chain(strangers).collect();
    let look_up = |(host, is_stranger): (&String, bool)| {
        // A datagram goes out before anything shows that a node is there, as with a UDP tracker.
        let may = |it: &SocketAddr| !is_stranger || packet_refusal(*it).is_none();
        let found = resolve(&lookups, host, deadline).unwrap_or_default();
        let family = found.into_iter().filter(|it| it.is_ipv4() == is_ipv4 && may(it)).collect();
        handle.order(Order::HostAddresses(family));
    };
    for some in all.chunks(SIDE_BY_SIDE) {
        thread::scope(|scope| {
            for host in some {
                // Without a thread, the name is looked up here.
                let work = move || look_up(*host);
                let thread = thread::Builder::new().name("name".to_owned()).stack_size(STACK);
                if thread.spawn_scoped(scope, work).is_err() {
                    work();
                }
            }
        });
    }
    handle.order(Order::LookedUp);
}
