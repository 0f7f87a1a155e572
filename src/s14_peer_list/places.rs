//! Which peer gets the next place, and which gives one up.
//!
//! A free place goes to the IP with the fewest places, whether we dial that peer or it has dialed
//! us. When all places are taken and others wait, a peer may have to go: one of an IP that has too
//! many, one that is of no use, or now and then the slowest. A newcomer may be faster.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::sharing::{Holder, first_to_go, makes_way};
use crate::s04_handshake::origin::Origin;
use crate::s11_work_queue::PeerNumber;

/// How long nobody is dialed once the system has refused a connection.
const REST: Duration = Duration::from_secs(1);
/// Time in a wanted place after a block, or in a seed's queue.
const USELESS_TIME: Duration = Duration::from_secs(180);
/// The same before its first block, if one side wants to be unchoked, or we want the info
/// dictionary. The optimistic unchoke goes round every 30 s (BEP 3): that makes three chances.
const WAITING_TIME: Duration = Duration::from_secs(90);
/// Before the first block, if nobody wants anything; also for `is_unproved`.
const IDLE_TIME: Duration = Duration::from_secs(10);

/// A peer that has a place.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// The peer.
    pub number: PeerNumber,
    /// The IP its place counts for.
    pub origin: Origin,
    /// What has gone over the connection. `None` while it is being dialed: such a peer never makes
    /// way, since nothing is known of it yet.
    pub activity: Option<Activity>,
}

/// What has gone over a connection.
#[derive(Debug, Clone, Copy)]
pub struct Activity {
    /// When it was made.
    pub since: Instant,
    /// When the last block went over it, in either direction.
    pub last_useful: Option<Instant>,
    /// Bytes of all blocks.
    pub bytes: u64,
    /// We want something that the peer has.
    pub am_interested: bool,
    /// The peer wants something that we have.
    pub peer_interested: bool,
}

impl Activity {
    /// When it was last of use; if never, when it was made.
    fn latest(&self) -> Instant {
        self.last_useful.unwrap_or(self.since)
    }

    /// Whether it has not been of any use yet, although there was time for that.
    fn is_unproved(&self, now: Instant) -> bool {
        self.last_useful.is_none() && now.duration_since(self.since) >= IDLE_TIME
    }

    /// How long it has been useless beyond its limit. `None` if within it.
    fn overdue(&self, aims: Aims, now: Instant) -> Option<Duration> {
        let wants = self.am_interested || self.peer_interested;
        let allowed = match self.last_useful {
            Some(_) => USELESS_TIME,
            // A seed serves a queue, and a peer that has to leave would lose its position.
            None if aims.gives_only && self.peer_interested => USELESS_TIME,
            None if aims.learning || wants => WAITING_TIME,
            None => IDLE_TIME,
        };
        now.duration_since(self.latest()).checked_sub(allowed)
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

/// Those that want a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contenders {
    /// Where the next connection in the lobby comes from. That peer is certainly there.
    pub waits: Option<Origin>,
    /// Where the next address to dial is. It may be dead.
    pub named: Option<Origin>,
}

/// Why a peer makes way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Its IP has more than its share of the places.
    Crowded,
    /// The same, and no block has come or gone yet: reason enough to try an address.
    Unproved,
    /// It has been of no use for too long.
    Useless,
    /// It is the slowest, and it is time to give another peer a chance.
    Slowest,
}

/// What a place is worth: the bytes of blocks that have gone over the connection lately, in either
/// direction; where these are equal, `latest`.
type Worth = (u64, Instant);

/// What is remembered between decisions: the turns, and the bytes lately moved by each connection.
///
/// Time is cut into turns. *Lately* means the last whole turn and this one so far, so a peer is
/// never judged by a moment.
#[derive(Default)]
pub struct Places {
    /// The last free place went to an address that we dialed, and not to a connection that waited.
    last_was_dialed: bool,
    /// When we may dial again, after the system has refused a connection.
    rests_until: Option<Instant>,
    /// When this turn began.
    turn_began: Option<Instant>,
    /// Bytes that had gone over each connection when the turn before this one began, and when this
    /// one did. A peer that came later is not in here.
    counted: HashMap<PeerNumber, [u64; 2]>,
}

impl Places {
    /// Notes that a free place was filled: with an address that we dial, or with a connection that
    /// waited.
    pub fn note_filled(&mut self, dialed: bool) {
        self.last_was_dialed = dialed;
    }

    /// Notes that the system has refused a connection: nobody is dialed for a while.
    pub fn pause_dialing(&mut self, now: Instant) {
        self.rests_until = Some(now + REST);
    }

    /// Whether dialing is paused.
    pub fn is_paused(&self, now: Instant) -> bool {
        self.rests_until.is_some_and(|until| now < until)
    }

    /// Whether a free place goes to the connection that waits, and not to the address that is
    /// named. The one whose IP holds fewer of the places in `held` goes first. Equals take turns,
    /// so that neither kind can keep the other out.
    pub fn lobby_first(&self, held: &[Origin], contenders: Contenders) -> bool {
        let Contenders { waits: Some(waits), named: Some(named) } = contenders else {
            return contenders.waits.is_some();
        };
        let places = |origin: Origin| held.iter().filter(|held| **held == origin).count();
        places(waits) < places(named) || (places(waits) == places(named) && self.last_was_dialed)
    }

    /// All places are taken: returns the peer that has to leave its place to one of the contenders,
    /// and why. Usually nobody has to. It is called often; the slowest goes only once in each
    /// `turn`.
    pub fn who_leaves(
        &mut self,
        members: &[Member],
        Contenders { waits, named }: Contenders,
        aims: Aims,
        turn: Duration,
        now: Instant,
    ) -> Option<(PeerNumber, Why)> {
        // Turns end on time, whether anybody wants a place or not: the counts must be recent.
        let turn_ends = self.end_turn(members, turn, now);
        if waits.is_none() && named.is_none() {
            return None;
        }
        if let Some(goes) =
            waits.and_then(|waits| makes_way(&self.holders(members, |_| true), waits))
        {
            return number(members, goes, Why::Crowded);
        }
        // There may be nobody at an address that is only named. It crowds out no peer that has been
        // of use.
        let is_unproved = |activity: &Activity| activity.is_unproved(now) && !aims.gives_only;
        let unproved = |member: &Member| member.activity.as_ref().is_some_and(is_unproved);
        if let Some(goes) =
            named.and_then(|named| makes_way(&self.holders(members, unproved), named))
        {
            return number(members, goes, Why::Unproved);
        }
        let overdue = members
            .iter()
            .filter_map(|member| Some((member.activity?.overdue(aims, now)?, member.number)));
        if let Some((_, number)) = overdue.max() {
            return Some((number, Why::Useless));
        }
        if !turn_ends {
            return None;
        }
        // A peer that is too new to have a speed, or waits for its first block, is not the slowest.
        let known = |member: &Member| {
            self.knows(member.number)
                && member.activity.is_some_and(|activity| activity.last_useful.is_some())
        };
        first_to_go(&self.holders(members, known))
            .and_then(|goes| number(members, goes, Why::Slowest))
    }

    /// Returns all that have a place, and what it is worth. A member that may not `go` counts for
    /// its IP, and stays.
    fn holders(&self, members: &[Member], go: impl Fn(&Member) -> bool) -> Vec<Holder<Worth>> {
        let worth = |member: &Member| {
            let activity = member.activity.filter(|_| go(member))?;
            Some((self.moved(member.number, activity.bytes), activity.latest()))
        };
        members
            .iter()
            .map(|member| Holder { origin: member.origin, worth: worth(member) })
            .collect()
    }

    /// Ends the turn once it has taken this long; returns whether it has.
    fn end_turn(&mut self, members: &[Member], turn: Duration, now: Instant) -> bool {
        let began = *self.turn_began.get_or_insert(now);
        if now.duration_since(began) < turn {
            return false;
        }
        self.turn_began = Some(now);
        let count = |member: &Member| {
            let [_, last] = self.counted.get(&member.number).copied().unwrap_or_default();
            Some((member.number, [last, member.activity?.bytes]))
        };
        self.counted = members.iter().filter_map(count).collect();
        true
    }

    /// Whether a peer's speed is known: a whole turn lies between its first bytes and now.
    fn knows(&self, number: PeerNumber) -> bool {
        self.counted.get(&number).is_some_and(|[before, _]| *before > 0)
    }

    /// Returns the bytes that have gone over a peer's connection lately.
    fn moved(&self, number: PeerNumber, bytes: u64) -> u64 {
        let [before, _] = self.counted.get(&number).copied().unwrap_or_default();
        bytes.saturating_sub(before)
    }
}

fn number(members: &[Member], position: usize, why: Why) -> Option<(PeerNumber, Why)> {
    members.get(position).map(|member| (member.number, why))
}
