//! Who gets the next place, and who has to leave one.
//!
//! A free place goes to the IP with the fewest places, be it one to dial or one that has come by
//! itself. When all are taken and others wait, one peer goes: of an IP that has too many, or one that
//! is of no use, or now and then the slowest. The others get a chance to be faster.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::sharing::{Holder, first_to_go, makes_way};
use crate::s04_handshake::origin::Origin;
use crate::s11_work_queue::PeerNumber;

/// How long nobody is dialled when the system has no room for another connection.
const REST: Duration = Duration::from_secs(1);
/// How long a place that is needed is left to a peer to and from which nothing goes.
const USELESS_TIME: Duration = Duration::from_secs(180);
/// The same for one that has not been of any use yet, if one of us waits to be unchoked, or for
/// the info dictionary...
const WAITING_TIME: Duration = Duration::from_secs(90);
/// ...and if neither wants anything.
const IDLE_TIME: Duration = Duration::from_secs(10);

/// A peer that has a place.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// The peer.
    pub number: PeerNumber,
    /// What its place counts against.
    pub origin: Origin,
    /// What has come of it. `None` while it is being dialled.
    pub activity: Option<Activity>,
}

/// What has come of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Activity {
    /// When it was made.
    pub since: Instant,
    /// When the last block went over it, in either direction.
    pub last_useful: Option<Instant>,
    /// Bytes in those blocks.
    pub bytes: u64,
    /// We want something that the peer has.
    pub am_interested: bool,
    /// The peer wants something that we have.
    pub peer_interested: bool,
}

impl Activity {
    /// When it was last of use; at first, when it came.
    fn latest(&self) -> Instant {
        self.last_useful.unwrap_or(self.since)
    }

    /// Whether it has not been of use yet, though there was time for it.
    fn is_unproved(&self, now: Instant) -> bool {
        self.last_useful.is_none() && now.duration_since(self.since) >= IDLE_TIME
    }

    /// For how long it has been useless beyond what it may be.
    fn overdue(&self, aims: Aims, now: Instant) -> Option<Duration> {
        let wants = self.am_interested || self.peer_interested;
        let may = match self.last_useful {
            Some(_) => USELESS_TIME,
            // It is in line for a slot, and the longest wait comes next.
            None if aims.gives_only && self.peer_interested => USELESS_TIME,
            None if aims.learning || wants => WAITING_TIME,
            None => IDLE_TIME,
        };
        now.duration_since(self.latest()).checked_sub(may)
    }
}

/// What we want of our peers.
#[derive(Debug, Clone, Copy)]
pub struct Aims {
    /// We lack the info dictionary.
    pub learning: bool,
    /// We want no pieces.
    pub gives_only: bool,
}

/// What a place is worth: the bytes of blocks that have lately gone over the connection, in either
/// direction; where there are none, the time of the last one.
type Worth = (u64, Instant);

/// Whose turn it is, and what has gone over each connection lately: in the turn before this one, and
/// in this one so far.
#[derive(Default)]
pub struct Places {
    /// Whether the last free place went to an address that we dialled.
    dialled: bool,
    /// When we may dial again, after the system had no room for another connection.
    rests_until: Option<Instant>,
    /// When this turn began.
    since: Option<Instant>,
    /// Bytes that had gone over each connection when the turn before this one began, and when
    /// this one did.
    counted: HashMap<PeerNumber, [u64; 2]>,
}

impl Places {
    /// A free place was filled: with an address that we dial, or with a connection that waited.
    pub fn filled(&mut self, dialled: bool) {
        self.dialled = dialled;
    }

    /// The system has no room for another connection: nobody is dialled for a while.
    pub fn rest(&mut self, now: Instant) {
        self.rests_until = Some(now + REST);
    }

    /// Whether nobody is dialled for now.
    pub fn rests(&self, now: Instant) -> bool {
        self.rests_until.is_some_and(|until| now < until)
    }

    /// Whether a free place goes to the connection that `waits`, and not to the address that is
    /// `named`; `held` is what the places that are taken count against. The IP with fewer goes first. Among equals they take turns, so that neither
    /// kind can keep the other out.
    pub fn receives_first(&self, held: &[Origin], waits: Option<Origin>, named: Option<Origin>) -> bool {
        let (Some(waits), Some(named)) = (waits, named) else { return waits.is_some() };
        let places = |origin: Origin| held.iter().filter(|held| **held == origin).count();
        places(waits) < places(named) || (places(waits) == places(named) && self.dialled)
    }

    /// All places are taken: returns the peer that has to leave its place, if one has to, for a
    /// connection that `waits` or an address that is `named`. Called again and again; `turn` is the
    /// time after which the slowest may go once more.
    pub fn makes_room(
        &mut self,
        members: &[Member],
        (waits, named): (Option<Origin>, Option<Origin>),
        aims: Aims,
        turn: Duration,
        now: Instant,
    ) -> Option<PeerNumber> {
        let slowest_goes = self.pass(members, turn, now);
        if waits.is_none() && named.is_none() {
            return None;
        }
        // First of an IP that has too many.
        if let Some(goes) = waits.and_then(|waits| makes_way(&self.holders(members, |_| true), waits)) {
            return number(members, goes);
        }
        // An address that is only due may have nobody at it: for that alone, only a peer goes that has
        // been of no use yet, and whose IP has too many places.
        let is_idle = |activity: &Activity| activity.is_unproved(now) && !aims.gives_only;
        let idle = |member: &Member| member.activity.as_ref().is_some_and(is_idle);
        if let Some(goes) = named.and_then(|named| makes_way(&self.holders(members, idle), named)) {
            return number(members, goes);
        }
        // Then the one that has been useless longest, and for too long.
        let overdue = members.iter().filter_map(|member| Some((member.activity?.overdue(aims, now)?, member.number)));
        if let Some((_, number)) = overdue.max() {
            return Some(number);
        }
        // And now and then the slowest.
        let known =
            |member: &Member| self.knows(member.number) && member.activity.is_some_and(|activity| activity.last_useful.is_some());
        if slowest_goes { first_to_go(&self.holders(members, known)).and_then(|goes| number(members, goes)) } else { None }
    }

    /// All that have a place. Those that `may` not go count, and are worth more than anything.
    fn holders(&self, members: &[Member], may: impl Fn(&Member) -> bool) -> Vec<Holder<Worth>> {
        let worth = |member: &Member| {
            let activity = member.activity.filter(|_| may(member))?;
            Some((self.moved(member.number, activity.bytes), activity.latest()))
        };
        members.iter().map(|member| Holder { origin: member.origin, worth: worth(member) }).collect()
    }

    /// Ends the turn once it has taken this long. Returns whether it has: the slowest may go once in
    /// each.
    fn pass(&mut self, members: &[Member], turn: Duration, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        if now.duration_since(since) < turn {
            return false;
        }
        self.since = Some(now);
        let count = |member: &Member| {
            let [_, last] = self.counted.get(&member.number).copied().unwrap_or_default();
            Some((member.number, [last, member.activity?.bytes]))
        };
        self.counted = members.iter().filter_map(count).collect();
        true
    }

    /// Whether a peer has been here long enough for its speed to be known.
    fn knows(&self, number: PeerNumber) -> bool {
        self.counted.get(&number).is_some_and(|[before, _]| *before > 0)
    }

    fn moved(&self, number: PeerNumber, bytes: u64) -> u64 {
        let [before, _] = self.counted.get(&number).copied().unwrap_or_default();
        bytes.saturating_sub(before)
    }
}

fn number(members: &[Member], position: usize) -> Option<PeerNumber> {
    members.get(position).map(|member| member.number)
}
