//! The bookkeeping of the slots: which peers want one, which have one, and since when.
//!
//! The rules are elsewhere: [`choking`](super::choking) for a round,
//! [`sharing_slots`](super::sharing_slots) for addresses with many connections. This is the memory
//! that they lack: how long each peer has waited, and what it has brought and taken.
//!
//! Nothing here knows a lock, a socket or a clock, and nobody is told of anything: the time and the
//! counters come with each call, and what has changed is returned. So a simulation of a thousand
//! peers decides as the client does.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use super::choking::{Decision, LUCKY_ROUNDS, NEWCOMER, SNUBBED, Standing, is_ahead};
use super::sharing_slots::{Claim, has_two, share_slots};
use crate::s04_handshake::origin::Origin;

/// A peer that has a slot now, or has one no longer.
pub type Change<T> = (T, bool);

/// What has gone over a peer's connection.
#[derive(Debug, Clone, Copy)]
pub struct Traffic {
    /// Bytes that have come from it.
    pub came: u64,
    /// Bytes that have gone to it.
    pub went: u64,
    /// When the last bytes came from it. A peer that never gave anything has been silent since it
    /// came.
    pub heard: Instant,
    /// When it came.
    pub start: Instant,
    /// Its address.
    pub origin: Origin,
}

/// What the slots must be told when they decide.
pub struct Moment<'m, T> {
    /// The time.
    pub now: Instant,
    /// Whether we take nothing in return.
    pub seeding: bool,
    /// The length of a piece, in bytes.
    pub piece_length: u64,
    /// The counters of each peer.
    pub traffic: &'m dyn Fn(&T) -> Traffic,
}

/// The slots, and the peers that have ever wanted one. `T` names a peer.
pub struct Slots<T> {
    /// How many peers are unchoked at the same time.
    slots: usize,
    /// How long a round lasts.
    round: Duration,
    /// Whether our upload is limited.
    scarce: bool,
    /// At most one for each connected peer. Each round sorts them by `since`; new ones are added at
    /// the end.
    entries: Vec<Entry<T>>,
    /// The peer with the lucky slot.
    lucky: Option<T>,
    /// The number of rounds left to that peer, this one included.
    lucky_rounds: u32,
}

/// A peer on the list.
///
/// | `interested` | `turn` | the peer |
/// |---|---|---|
/// | no | none | wants nothing, and is choked |
/// | yes | none | has waited since `since` |
/// | yes | some | has had a slot since `since` |
/// | no | some | has a slot that it does not use; it makes room as soon as another waits |
struct Entry<T> {
    peer: T,
    /// What the peer said last.
    interested: bool,
    /// Its slot, if it has one.
    turn: Option<Turn>,
    /// When it began to wait, or got its slot.
    since: Instant,
    /// (Bytes from it, bytes to it) as counted by the last two rounds, the older count first.
    /// *Lately* means since the older count: one to two rounds.
    counted: [(u64, u64); 2],
}

/// What counts from the moment a peer gets its slot.
#[derive(Clone, Copy)]
struct Turn {
    /// The round it is in; 1 is the one in which it got the slot. It is never 0, so `Option<Turn>`
    /// is no larger than `Turn`: a simulated swarm has half a million of them.
    round: NonZeroU32,
    /// Bytes that had gone to it before.
    before: u64,
}

impl<T: Clone + PartialEq> Slots<T> {
    /// This many slots, and nobody who wants one. `scarce`: what can be given is limited, so a seed
    /// shares it evenly.
    pub fn new(slots: usize, round: Duration, scarce: bool) -> Slots<T> {
        Slots { slots, round, scarce, entries: Vec::new(), lucky: None, lucky_rounds: 0 }
    }

    /// Adds a peer; [`Slots::set_interested`] follows. What it gave before does not count.
    pub fn enter(&mut self, peer: T, traffic: &Traffic, now: Instant) {
        let counted = [(traffic.came, traffic.went); 2];
        // In small steps: doubling would leave half of it empty, in each peer of a large swarm.
        if self.entries.len() == self.entries.capacity() {
            self.entries.reserve_exact(4);
        }
        self.entries.push(Entry { peer, interested: false, turn: None, since: now, counted });
    }

    /// Removes a peer. Its slot is free.
    pub fn leave(&mut self, peer: &T) {
        self.entries.retain(|entry| entry.peer != *peer);
        self.lucky.take_if(|lucky| lucky == peer);
    }

    /// Notes whether a peer is interested. One that no longer is keeps its slot until the next
    /// round, or until another has a use for it.
    pub fn set_interested(&mut self, peer: &T, yes: bool, now: Instant) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.peer == *peer)
            && entry.interested != yes
        {
            entry.interested = yes;
            // Otherwise a peer could keep its place in line while it wants nothing.
            if entry.turn.is_none() {
                entry.since = now;
            }
        }
    }

    /// Gives free slots to the peers that have waited longest: nobody needs to wait for the next
    /// round while there is room. A holder that now wants nothing makes room, but only for a peer
    /// that waits. If all want something, a seed with a limit takes the slot of one that is ahead.
    pub fn fill(&mut self, moment: &Moment<T>) -> Vec<Change<T>> {
        let mut changed = Vec::new();
        // Counted before the loop: a peer that makes room does not take the next slot.
        let waiting = self.entries.iter().filter(|entry| entry.waits()).count();
        // Saturating, although nobody hands out more than there are: a subtraction must not panic.
        let mut free = self
            .slots
            .saturating_sub(self.entries.iter().filter(|entry| entry.turn.is_some()).count());
        for _ in 0..waiting {
            if free == 0 {
                // Left empty where nothing is scarce: then nobody is ahead of anybody.
                let shared = self.scarce && moment.seeding;
                let lately = self.entries.iter().filter(|_| shared);
                let lately: Vec<u64> = lately.map(|entry| entry.took_lately(moment)).collect();
                let makes_room =
                    self.entries.iter_mut().filter(|entry| entry.makes_room(&lately, moment));
                // `false` is the least, so one that wants nothing comes first.
                let Some(holder) = makes_room.min_by_key(|entry| entry.interested) else { break };
                changed.extend(holder.set_slot(false, moment));
                free += 1;
            }
            let waiting = self.entries.iter_mut().filter(|entry| entry.waits());
            let Some(entry) = waiting.min_by_key(|entry| entry.since) else { break };
            changed.extend(entry.set_slot(true, moment));
            free -= 1;
        }
        // Whoever still waits may be from an address without a slot, while another has several.
        if self.entries.iter().any(Entry::waits) {
            let unchoked =
                self.entries.iter().enumerate().filter(|(_, entry)| entry.turn.is_some());
            let mut unchoked: Vec<usize> = unchoked.map(|(position, _)| position).collect();
            if self.share(&mut unchoked, moment) {
                changed.extend(self.apply(&unchoked, moment));
            }
        }
        changed
    }

    /// The peers that have ever been interested, in no particular order.
    pub fn peers(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().map(|entry| &entry.peer)
    }

    /// Sorts the peers by how long they have waited, or had their slot, and returns them.
    pub fn line(&mut self) -> impl Iterator<Item = &T> {
        self.entries.sort_by_key(|entry| entry.since);
        self.entries.iter().map(|entry| &entry.peer)
    }

    /// Deals out the slots for a new round, by a rule that is given the standings, the number of
    /// slots and the position of the lucky peer. The standings are in the order of
    /// [`Slots::line`].
    pub fn round(
        &mut self,
        moment: &Moment<T>,
        rule: impl FnOnce(&[Standing], usize, Option<usize>) -> Decision,
    ) -> Vec<Change<T>> {
        // The order alone tells the rules which peer has waited longest.
        self.entries.sort_by_key(|entry| entry.since);
        let round = self.round;
        let standings: Vec<Standing> =
            self.entries.iter_mut().map(|entry| entry.standing(moment, round)).collect();
        self.lucky_rounds = self.lucky_rounds.saturating_sub(1);
        // From a peer to its position, which is new after the sort.
        let lucky = self.lucky.as_ref().filter(|_| self.lucky_rounds > 0);
        let lucky = self.entries.iter().position(|entry| Some(&entry.peer) == lucky);
        let mut decision = rule(&standings, self.slots, lucky);
        // A peer that keeps the lucky slot does not get three more rounds.
        if decision.lucky != lucky {
            self.lucky_rounds = LUCKY_ROUNDS;
        }
        let lucky = decision.lucky.and_then(|position| self.entries.get(position));
        self.lucky = lucky.map(|entry| entry.peer.clone());
        // The rules look at connections, and a stranger can have many of those.
        self.share(&mut decision.unchoked, moment);
        self.apply(&decision.unchoked, moment)
    }

    /// Evens out a decision by address. Returns whether an address had two slots; if not, the
    /// decision is as it was, and the peers that wait have not been looked at.
    fn share(&self, unchoked: &mut [usize], moment: &Moment<T>) -> bool {
        let entries = unchoked.iter().filter_map(|position| self.entries.get(*position));
        let has_two = has_two(entries.map(|entry| (moment.traffic)(&entry.peer).origin));
        if has_two {
            let claims: Vec<Claim> = self.entries.iter().map(|entry| entry.claim(moment)).collect();
            share_slots(unchoked, &claims);
        }
        has_two
    }

    /// Applies a decision: these positions have a slot. Returns what it changes.
    fn apply(&mut self, unchoked: &[usize], moment: &Moment<T>) -> Vec<Change<T>> {
        let apply = |(position, entry): (usize, &mut Entry<T>)| {
            entry.set_slot(unchoked.contains(&position), moment)
        };
        self.entries.iter_mut().enumerate().filter_map(apply).collect()
    }
}

impl<T: Clone> Entry<T> {
    /// Bytes it has taken lately, as defined at `counted`.
    fn took_lately(&self, moment: &Moment<T>) -> u64 {
        let [(_, before), _] = self.counted;
        (moment.traffic)(&self.peer).went - before
    }

    /// Whether it has a slot and makes room for a peer that waits. `lately` is what each peer took;
    /// it is empty if that does not count, and then nobody is ahead.
    fn makes_room(&self, lately: &[u64], moment: &Moment<T>) -> bool {
        // A piece helps the swarm only when it is whole, so nobody leaves with less than one.
        let ahead = |turn: Turn| {
            (moment.traffic)(&self.peer).went - turn.before >= moment.piece_length
                && is_ahead(self.took_lately(moment), lately)
        };
        self.turn.is_some_and(|turn| !self.interested || ahead(turn))
    }

    /// Returns its claim when slots are shared by IP.
    fn claim(&self, moment: &Moment<T>) -> Claim {
        let traffic = (moment.traffic)(&self.peer);
        let (came, went) = self.counted[0];
        let moved = (traffic.came - came) + (traffic.went - went);
        Claim { origin: traffic.origin, interested: self.interested, moved, since: self.since }
    }

    /// Whether it wants a slot and has none.
    fn waits(&self) -> bool {
        self.interested && self.turn.is_none()
    }

    /// Gives the peer a slot, or takes its slot away; returns the change if there is one.
    fn set_slot(&mut self, unchoked: bool, moment: &Moment<T>) -> Option<Change<T>> {
        if self.turn.is_some() == unchoked {
            return None;
        }
        let before = || (moment.traffic)(&self.peer).went;
        self.turn = unchoked.then(|| Turn { round: NonZeroU32::MIN, before: before() });
        // In both cases: a peer that loses its slot goes to the end of the line.
        self.since = moment.now;
        Some((self.peer.clone(), unchoked))
    }

    /// Returns its standing as a new round begins, and starts the counts of that round.
    fn standing(&mut self, moment: &Moment<T>, round: Duration) -> Standing {
        let Traffic { came, went, heard, start, .. } = (moment.traffic)(&self.peer);
        let (now, seeding) = (moment.now, moment.seeding);
        if let Some(turn) = &mut self.turn {
            turn.round = turn.round.saturating_add(1);
        }
        let [before, last] = self.counted;
        self.counted = [last, (came, went)];
        // Two rounds, not one: a slot that was given a moment ago has brought nothing yet.
        let bytes = if seeding { went - before.1 } else { came - before.0 };
        Standing {
            interested: self.interested,
            unchoked: self.turn.is_some(),
            rounds: self.turn.map_or(0, |turn| turn.round.get() - 1),
            bytes,
            idle: self.turn.is_some() && bytes == 0 && now.duration_since(self.since) >= round,
            snubs: !seeding && now.duration_since(heard) > SNUBBED,
            newcomer: now.duration_since(start) < NEWCOMER,
        }
    }
}
