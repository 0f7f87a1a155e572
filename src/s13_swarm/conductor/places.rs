//! Which peers get one of the places, and which has to leave one.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Conductor;
use crate::s04_handshake::origin::Origin;
use crate::s11_work_queue::PeerNumber;
use crate::s12_session::stats::{PeerFlags, PeerStats};
use crate::s13_swarm::Live;
use crate::s13_swarm::peer::{Ended, start_thread};
use crate::s13_swarm::sharing::{Holder, first_to_go, makes_way};
use crate::s13_swarm::source::Candidate;

/// How many addresses are dialled at the same time.
const DIALLING: usize = 30;
/// How long nobody is dialled when the system has no room for another connection.
const REST: Duration = Duration::from_secs(1);
/// How long a place that is needed is left to a peer to and from which nothing goes.
const USELESS_TIME: Duration = Duration::from_secs(180);
/// And how long to one that has not been of any use yet, if one of us waits to be
/// unchoked, or for the info dictionary...
const WAITING_TIME: Duration = Duration::from_secs(90);
/// ...and if neither wants anything.
const IDLE_TIME: Duration = Duration::from_secs(10);

/// What a peer's place is worth: the bytes of blocks that have lately gone over its
/// connection, in either direction; where there are none, the time of the last one.
type Worth = (u64, Instant);

impl Conductor<'_> {
    /// Fills free places: with connections that others have made and with addresses to dial.
    /// The one whose IP has fewer places goes first. Among equals they take turns, so that
    /// neither kind can keep the other out.
    pub(super) fn dial(&mut self) {
        let now = Instant::now();
        let live = self.count_live();
        while self.threads.len() < self.limits.max_peers {
            let may_dial = self.threads.len() < live + DIALLING && !self.turns.rests(now);
            let filled = match self.receives_first(now) {
                true => self.receive() || (may_dial && self.dial_next(now)),
                false => (may_dial && self.dial_next(now)) || self.receive(),
            };
            if !filled {
                return;
            }
        }
        self.make_room(now);
    }

    /// Counts the peers that are connected, and what they have brought for their IPs.
    fn count_live(&mut self) -> usize {
        let live = self.swarm.live();
        for (number, live) in live.iter() {
            let address = self.threads.get(number);
            address.into_iter().for_each(|address| self.addresses.brought(*address, live.stats.take_pieces()));
        }
        live.len()
    }

    fn receives_first(&self, now: Instant) -> bool {
        let held = self.held();
        let places = |origin: Origin| held.iter().filter(|held| **held == origin).count();
        let (waits, named) = (self.swarm.signals.lobby.turn(&held), self.named(now));
        let (Some(waits), Some(named)) = (waits, named) else { return waits.is_some() };
        places(waits) < places(named) || (places(waits) == places(named) && self.turns.dialled)
    }

    /// The IP that would be dialled next.
    fn named(&self, now: Instant) -> Option<Origin> {
        self.addresses.due(now).map(|address| Origin::of(address.ip()))
    }

    /// Takes in a connection that waits. `false` if there is none, or if the system refuses a
    /// thread: then it waits on.
    fn receive(&mut self) -> bool {
        let lobby = &self.swarm.signals.lobby;
        let Some(connection) = lobby.next(&self.held()) else { return false };
        let peer = connection.peer;
        self.turns.dialled = false;
        if self.addresses.is_banned(peer) {
            return true;
        }
        match self.start(Candidate::Met(Box::new(connection)), peer) {
            Err(Candidate::Met(connection)) => {
                self.swarm.signals.lobby.put_back(*connection);
                false
            }
            _ => true,
        }
    }

    /// Dials an address that is due. `false` if there is none, or if the system refuses
    /// a thread.
    fn dial_next(&mut self, now: Instant) -> bool {
        let Some(peer) = self.addresses.next(now) else { return false };
        self.turns.dialled = true;
        let started = self.start(Candidate::Dial(peer), peer).is_ok();
        if !started {
            self.addresses.put_back(peer);
        }
        started
    }

    fn start(&mut self, candidate: Candidate, peer: SocketAddr) -> Result<(), Candidate> {
        let number = self.next_number;
        self.next_number += 1;
        let started = start_thread(&self.swarm, number, candidate, peer);
        if started.is_ok() {
            self.threads.insert(number, peer);
            if !self.gives_only() {
                self.known.insert(number, peer);
            }
        }
        started
    }

    /// What the places count against, one for each.
    fn held(&self) -> Vec<Origin> {
        self.threads.values().map(|peer| Origin::of(peer.ip())).collect()
    }

    /// All places are taken. If others wait, one peer may have to go: first of an address that
    /// has too many, then one that has been useless for too long, and now and then the
    /// slowest. The others get a chance to be faster.
    fn make_room(&mut self, now: Instant) {
        let held = self.held();
        let newcomer = self.swarm.signals.lobby.turn(&held);
        let mut live = self.swarm.live();
        let slowest_goes = self.turns.pass(now, self.limits.retry, &live);
        // One at a time: its place is not free before its thread has ended.
        let named = self.named(now);
        if (newcomer.is_none() && named.is_none()) || live.values().any(|live| live.parted.is_some()) {
            return;
        }
        let moved = |number, live: &Live| (self.turns.moved(number, &live.stats), latest(&live.stats));
        let shared = self.holders(|number| live.get(&number).map(|live| moved(number, live)));
        let crowded = newcomer.and_then(|newcomer| makes_way(&shared.1, newcomer));
        let goes = crowded.and_then(|position| shared.0.get(position).copied());
        // An address that is only due may have nobody at it: for that alone, only a peer goes that has
        // been of no use yet, and whose IP has too many places.
        let goes = goes.or_else(|| {
            let is_idle = |live: &&Live| is_unproved(live, now) && !self.gives_only();
            let idle = self.holders(|number| live.get(&number).filter(is_idle).map(|live| moved(number, live)));
            named.and_then(|named| makes_way(&idle.1, named)).and_then(|position| idle.0.get(position).copied())
        });
        let learning = self.swarm.torrent.get().is_none();
        let goes = goes.or_else(|| useless(&live, now, learning, self.gives_only()));
        let goes = goes.or_else(|| {
            let known = |number| live.get(&number).filter(|live| self.turns.knows(number) && live.stats.last_useful().is_some());
            let slow = self.holders(|number| known(number).map(|live| moved(number, live)));
            first_to_go(&slow.1).filter(|_| slowest_goes).and_then(|position| slow.0.get(position).copied())
        });
        let hang_up = goes.and_then(|number| live.get_mut(&number)).map(|live| {
            live.parted = Some(Ended::MadeRoom);
            Arc::clone(&live.hang_up)
        });
        drop(live);
        if let Some(hang_up) = hang_up {
            hang_up();
        }
    }

    /// All that have a place, in one order: their numbers, and what counts of each.
    fn holders(&self, worth: impl Fn(PeerNumber) -> Option<Worth>) -> (Vec<PeerNumber>, Vec<Holder<Worth>>) {
        let holder = |(number, peer): (&PeerNumber, &SocketAddr)| {
            (*number, Holder { origin: Origin::of(peer.ip()), worth: worth(*number) })
        };
        self.threads.iter().map(holder).unzip()
    }
}

/// When it last was of use; at first, when it came.
fn latest(traffic: &PeerStats) -> Instant {
    traffic.last_useful().unwrap_or_else(|| traffic.start())
}

/// Whether nothing has gone over a connection yet, though there was time for it.
fn is_unproved(live: &Live, now: Instant) -> bool {
    live.stats.last_useful().is_none() && now.duration_since(live.stats.start()) >= IDLE_TIME
}

/// The peer that has been useless longest, and for too long.
fn useless(live: &HashMap<PeerNumber, Live>, now: Instant, learning: bool, gives_only: bool) -> Option<PeerNumber> {
    let over = |traffic: &PeerStats| {
        let may = match traffic.last_useful() {
            Some(_) => USELESS_TIME,
            // It is in line for a slot, and the longest wait comes next.
            None if gives_only && traffic.flags().peer_interested() => USELESS_TIME,
            None if learning || wants_something(traffic.flags()) => WAITING_TIME,
            None => IDLE_TIME,
        };
        now.duration_since(latest(traffic)).checked_sub(may)
    };
    let useless = live.iter().filter_map(|(number, live)| Some((over(&live.stats)?, *number)));
    useless.max().map(|(_, number)| number)
}

/// Whose turn it is, and what has gone over each connection lately: in the turn before this
/// one, and in this one so far.
#[derive(Default)]
pub(super) struct Turns {
    /// Whether the last free place went to an address that we dialled.
    dialled: bool,
    /// When we may dial again, after the system had no room for another connection.
    rests_until: Option<Instant>,
    /// When this turn began.
    since: Option<Instant>,
    /// Bytes that had gone over each connection when the turn before this one began, and
    /// when this one did.
    counted: HashMap<PeerNumber, [u64; 2]>,
}

impl Turns {
    /// The system has no room for another connection: nobody is dialled for a while.
    pub(super) fn rest(&mut self) {
        self.rests_until = Some(Instant::now() + REST);
    }

    fn rests(&self, now: Instant) -> bool {
        self.rests_until.is_some_and(|until| now < until)
    }

    /// Ends the turn once it has taken this long. Returns whether it has: the slowest
    /// may go once in each.
    fn pass(&mut self, now: Instant, time: Duration, live: &HashMap<PeerNumber, Live>) -> bool {
        let since = *self.since.get_or_insert(now);
        if now.duration_since(since) < time {
            return false;
        }
        self.since = Some(now);
        let count = |(number, live): (&PeerNumber, &Live)| {
            let [_, last] = self.counted.get(number).copied().unwrap_or_default();
            (*number, [last, total(&live.stats)])
        };
        self.counted = live.iter().map(count).collect();
        true
    }

    /// Whether a peer has been here long enough for its speed to be known.
    fn knows(&self, number: PeerNumber) -> bool {
        self.counted.get(&number).is_some_and(|[before, _]| *before > 0)
    }

    fn moved(&self, number: PeerNumber, traffic: &PeerStats) -> u64 {
        let [before, _] = self.counted.get(&number).copied().unwrap_or_default();
        total(traffic).saturating_sub(before)
    }
}

fn total(traffic: &PeerStats) -> u64 {
    traffic.downloaded() + traffic.uploaded()
}

/// Whether one of us wants something that the other has.
fn wants_something(flags: &PeerFlags) -> bool {
    flags.am_interested() || flags.peer_interested()
}
