//! A swarm in virtual time: who comes, what happens next, and when it is over.
//!
//! ```text
//!   Arrive -> announce, connect          Round -> slots: chokes, unchokes --+
//!   Finish -> tell the neighbors: interest begins and ends -> slots --------+--> `again`
//!   Leave  -> disconnect ---------------------------------------------------+      |
//!                                                                                  v
//!             what a connection fetches next; then the new rates, and when pieces finish
//! ```
//! Each event first changes what is decided, and notes the connections that this concerns. Only
//! then do they begin or end to fetch, and only then are rates computed: so a rate is computed once
//! an event, and nothing is decided on half of a change.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::books::Books;
use super::clock::{Clock, Event, Micros, SECOND, micros};
use super::dice::Dice;
use super::outcome::{Ending, Run};
use super::peer::{Account, Extras, Links, Loans, Peer, Shown};
use super::setup::{Arrival, Class, Holds, Setup, SlotRule, Stay};
use crate::s05_messages::bitfield::{Bitfield, PeerPieces};
use crate::s11_work_queue::board::Board;
use crate::s17_seeding::choking::ROUND;
use crate::s17_seeding::slots::Slots;

/// The most events of a run, which take some minutes. A thousand peers with a thousand pieces take
/// one and a half million.
const MAX_EVENTS: u64 = 100_000_000;
/// A run is given up if nothing moves for this long.
const PATIENCE: Micros = 900 * SECOND;
/// After this many events we look again whether the user wants to stop.
const LOOK: u64 = 1024;

/// A swarm.
pub struct Swarm<'s> {
    pub(super) setup: &'s Setup,
    /// Virtual time 0, for functions of the client, which are given the time as an `Instant`.
    pub(super) start: Instant,
    pub(super) clock: Clock,
    pub(super) dice: Dice,
    pub(super) peers: Vec<Peer>,
    /// What each peer has. They are not in `peers`, because one peer's board is asked about
    /// another's pieces.
    pub(super) pieces: Vec<PeerPieces>,
    /// Those that are here, in no order: the tracker's list.
    pub(super) listed: Vec<u32>,
    /// Connections (a peer, and its number for it) by which something else may be fetched now.
    pub(super) again: VecDeque<(u32, u32)>,
    /// Peers whose rates have to be computed again: those of what they give, and those of what they
    /// take.
    pub(super) changed: [Vec<u32>; 2],
    pub(super) books: Books,
    /// How many of each class are still to come.
    to_come: Vec<u32>,
}

impl<'s> Swarm<'s> {
    /// Sets up a swarm, with the dice of this seed.
    pub fn new(setup: &'s Setup, seed: u64) -> Swarm<'s> {
        let mut swarm = Swarm {
            setup,
            start: Instant::now(),
            clock: Clock::default(),
            dice: Dice::new(seed),
            peers: Vec::new(),
            pieces: Vec::new(),
            listed: Vec::new(),
            again: VecDeque::new(),
            changed: [Vec::new(), Vec::new()],
            books: Books::new(setup),
            to_come: setup.classes.iter().map(|class| class.count).collect(),
        };
        for (number, class) in (0..).zip(&setup.classes) {
            let arrive = Event::Arrive { class: number };
            match class.arrival {
                Arrival::At(at) => {
                    for _ in 0..class.count {
                        swarm.clock.after(micros(at), arrive);
                    }
                }
                Arrival::Crowd(within) => {
                    for _ in 0..class.count {
                        let at = swarm.dice.unit() * within;
                        swarm.clock.after(micros(at), arrive);
                    }
                }
                Arrival::Poisson(rate) => swarm.next_of(number, rate),
            }
        }
        swarm.clock.after(0, Event::Sample);
        swarm
    }

    /// Runs until it is over.
    pub fn run(mut self, label: &str, seed: u64, stop: &AtomicBool) -> Run {
        let until = self.setup.until.map_or(Micros::MAX, micros);
        let mut events = 0u64;
        let ending = loop {
            let Some(event) = self.clock.next() else { break Ending::NobodyCanFinish };
            if self.clock.now() > until {
                break Ending::TimeOver;
            }
            if events > MAX_EVENTS {
                break Ending::TooLong;
            }
            if events.is_multiple_of(LOOK) && stop.load(Ordering::Relaxed) {
                break Ending::Stopped;
            }
            events += 1;
            self.step(event);
            self.carry_out();
            if cfg!(debug_assertions) {
                self.check(events);
            }
            if self.books.leechers == 0 && self.to_come.iter().all(|count| *count == 0) {
                break Ending::AllDone;
            }
            if event == Event::Sample && self.is_stuck() {
                break Ending::NobodyCanFinish;
            }
        };
        self.settle_everything();
        self.books.sample(self.clock.now());
        self.books.close(
            &self.peers,
            self.setup,
            self.clock.now(),
            Run { label: label.to_owned(), seed, ending, events, ..Run::default() },
        )
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Arrive { class } => self.arrive(class),
            Event::Leave { peer } => self.leave(peer),
            Event::Announce { peer } => self.announce(peer),
            Event::Round { peer } => self.round(peer),
            Event::Finish { peer, loan } => self.finish(peer, loan),
            Event::Sample => {
                self.books.sample(self.clock.now());
                self.clock.after(self.books.step, Event::Sample);
            }
        }
    }

    /// The time, as the client's functions know it.
    pub(super) fn instant(&self) -> Instant {
        self.start + Duration::from_micros(self.clock.now())
    }

    pub(super) fn peer(&self, peer: u32) -> &Peer {
        &self.peers[peer as usize]
    }

    pub(super) fn peer_mut(&mut self, peer: u32) -> &mut Peer {
        &mut self.peers[peer as usize]
    }

    /// A peer's class.
    pub(super) fn class(&self, peer: u32) -> &'s Class {
        &self.setup.classes[usize::from(self.peer(peer).class)]
    }

    /// Whether nothing has moved for long, and nobody is to come who could help.
    fn is_stuck(&mut self) -> bool {
        let now = self.clock.now();
        let moves = |peer: &Peer| peer.links.iter().any(|(_, link)| link.rate > 0.0);
        if self.peers.iter().any(|peer| peer.links.flowing > 0 && moves(peer)) {
            self.books.last_moved = now;
        }
        let coming = self.to_come.iter().any(|count| *count > 0);
        !coming && now.saturating_sub(self.books.last_moved) > PATIENCE
    }

    /// Notes when the next peer of a class comes.
    fn next_of(&mut self, class: u16, rate: f64) {
        let pause = micros(self.dice.exponential(1.0 / rate));
        self.clock.after(pause, Event::Arrive { class });
    }

    fn arrive(&mut self, number: u16) {
        let (setup, now) = (self.setup, self.clock.now());
        let class = &setup.classes[usize::from(number)];
        let left = &mut self.to_come[usize::from(number)];
        *left -= 1;
        if let (Arrival::Poisson(rate), 1..) = (class.arrival, *left) {
            self.next_of(number, rate);
        }
        let peer = self.peers.len() as u32;
        let have = match class.holds {
            Holds::Nothing => Bitfield::new(setup.pieces),
            Holds::Everything => Bitfield::full(setup.pieces),
            Holds::AllBut(piece) => {
                let mut have = Bitfield::full(setup.pieces);
                have.set(piece, false);
                have
            }
        };
        self.books.came(&have, class.is_seed());
        self.peers.push(new_peer(setup, number, peer, now, &have, self.listed.len() as u32));
        let is_full = have.is_full();
        self.pieces.push(if is_full { PeerPieces::All } else { PeerPieces::Some(have) });
        self.listed.push(peer);
        self.announce(peer);
        let phase = micros(self.dice.unit() * ROUND.as_secs_f64());
        self.clock.after(phase, Event::Round { peer });
    }

    /// A peer has everything: it may leave, now or later.
    pub(super) fn complete(&mut self, peer: u32) {
        let now = self.clock.now();
        let ended = self.peer_mut(peer);
        ended.done = Some(now);
        ended.account.given_when_done = ended.account.given;
        self.books.finished();
        match self.class(peer).stay {
            Stay::Seconds(stay) => {
                self.clock.after(micros(stay), Event::Leave { peer });
            }
            Stay::Forever | Stay::Copies(_) => {}
        }
        // Two peers that are both complete part, as they do in stage 15.
        let links = self.peer(peer).links.iter();
        let parting: Vec<u32> = links
            .filter(|(_, link)| self.peer(link.to).done.is_some())
            .map(|(number, _)| number)
            .collect();
        for link in parting {
            self.disconnect(peer, link);
        }
    }

    /// A peer leaves if it has given what it wanted to give.
    pub(super) fn leave_if_it_gave_enough(&mut self, peer: u32) {
        let Stay::Copies(copies) = self.class(peer).stay else { return };
        let Peer { here, done, account, .. } = self.peer(peer);
        if *here && done.is_some() && account.given >= copies * self.setup.length() {
            self.clock.after(0, Event::Leave { peer });
        }
    }

    fn leave(&mut self, peer: u32) {
        if !self.peer(peer).here {
            return;
        }
        for link in 0..self.peer(peer).links.end() {
            if self.peer(peer).links.get(link).is_here() {
                self.disconnect(peer, link);
            }
        }
        let listed = self.peer(peer).listed;
        self.listed.swap_remove(listed as usize);
        if let Some(moved) = self.listed.get(listed as usize).copied() {
            self.peer_mut(moved).listed = listed;
        }
        let pieces = &mut self.pieces[peer as usize];
        self.books.left(pieces);
        // What it had is not needed anymore, and thousands may come and go.
        *pieces = PeerPieces::Some(Bitfield::new(0));
        let gone = self.peer_mut(peer);
        gone.here = false;
        gone.board = Board::new(0, &Bitfield::new(0), &Bitfield::new(0));
        (gone.links, gone.loans, gone.extras) = Default::default();
    }
}

/// Returns a peer that has just come, with this number, and knows nobody yet.
fn new_peer(
    setup: &Setup,
    number: u16,
    peer: u32,
    now: Micros,
    have: &Bitfield,
    listed: u32,
) -> Peer {
    let class = &setup.classes[usize::from(number)];
    let slots = match &class.slot_rule {
        SlotRule::Nobody => 0,
        // A line on which nothing moves: a slot would only hold a piece back.
        _ if class.up <= 0.0 => 0,
        SlotRule::Everybody => usize::MAX,
        _ => class.slots,
    };
    let mut extras = Extras::default();
    if let SlotRule::Strategy(make) = &class.slot_rule {
        extras.strategy = Some(make(peer));
    }
    if class.super_seed {
        extras.shown = Some(Box::new(Shown::new(setup.pieces)));
    }
    Peer {
        class: number,
        here: true,
        listed,
        arrived: now,
        announces: now,
        done: have.is_full().then_some(now),
        board: Board::new(setup.pieces, have, &Bitfield::full(setup.pieces)),
        slots: Slots::new(slots, ROUND, setup.scarce),
        links: Links::default(),
        loans: Loans::default(),
        extras,
        account: Account::default(),
    }
}
