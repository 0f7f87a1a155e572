//! A simulated peer: its connections, the pieces it is fetching, and the client's own bookkeeping.

use std::sync::Arc;

use super::clock::{Due, Micros};
use super::strategy::Strategy;
use crate::s05_messages::bitfield::{Bitfield, PeerPieces};
use crate::s11_work_queue::board::Board;
use crate::s11_work_queue::seats::Seat;
use crate::s17_seeding::slots::Slots;

/// No loan.
pub const NONE: u32 = u32::MAX;

/// A peer, from when it comes until it has left; then only what it has done remains.
pub struct Peer {
    pub class: u16,
    pub here: bool,
    /// Where it is in the tracker's list.
    pub listed: u32,
    pub arrived: Micros,
    /// When it asks the tracker next. An announce that comes earlier is an old one.
    pub announces: Micros,
    /// When it had everything.
    pub done: Option<Micros>,
    /// Where each piece is: waiting, on loan, or done.
    pub board: Board<u32>,
    /// Which of its neighbors have a slot.
    pub slots: Slots<u32>,
    pub links: Links,
    pub loans: Loans,
    /// What few peers need.
    pub extras: Extras,
    pub account: Account,
}

/// What only some peers have.
#[derive(Default)]
pub struct Extras {
    /// Its own rules.
    pub strategy: Option<Box<dyn Strategy>>,
    /// What a super seed shows each of its peers, by the number of the connection.
    pub shown: Option<Box<Shown>>,
    /// For a strategy: the part of our line that each connection gets, beside the others. The rest
    /// have 1.
    pub weights: Vec<f32>,
    /// For a strategy: what came and went by each connection, at the last two rounds.
    pub counted: Vec<[(f64, f64); 2]>,
    /// The number of rounds.
    pub rounds: u32,
    /// Whether its own rules have dealt out the slots in the last round.
    pub has_dealt: bool,
    /// The piece that it suggests next, once it has everything.
    pub suggests: u32,
}

impl Extras {
    /// The part of our line that a connection gets, beside the others.
    pub fn weight(&self, link: u32) -> f64 {
        f64::from(self.weights.get(link as usize).copied().unwrap_or(1.0))
    }
}

/// What a super seed has shown.
pub struct Shown {
    /// The pieces that each peer was shown, by the number of the connection.
    pub to: Vec<PeerPieces>,
    /// The last piece that each was shown, and whether it has been seen elsewhere.
    pub last: Vec<u32>,
    /// How often each piece was shown.
    pub times: Vec<u32>,
    /// The pieces that somebody has been seen to have.
    pub seen: Bitfield,
}

/// What a peer gave and took, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Account {
    pub given: f64,
    /// What it had given when it was done.
    pub given_when_done: f64,
    pub taken: f64,
    pub from_seeds: f64,
}

/// One peer's side of a connection. There are a million of these, so each is 64 bytes, no more.
#[derive(Clone)]
pub struct Link {
    /// The other peer, or [`NONE`]: the connection is gone, and its number is used again.
    pub to: u32,
    /// The number of its side of the connection.
    pub back: u32,
    /// The loan that it is fetching for us, or [`NONE`].
    pub loan: u32,
    /// The piece that it has suggested to begin with, or [`NONE`].
    pub suggested: u32,
    /// The number of pieces that it can give and that we lack.
    pub wanted: u32,
    /// Bytes a second that come from it now.
    pub rate: f64,
    /// Bytes that came from it, and went to it.
    pub came: f64,
    pub went: f64,
    /// When the connection was made.
    pub since: Micros,
    /// When something came last.
    pub heard: Micros,
    pub flags: Flags,
}

impl Link {
    /// Whether the connection is there.
    pub fn is_here(&self) -> bool {
        self.to != NONE
    }
}

/// What is so, or is not.
#[derive(Debug, Clone, Copy, Default)]
pub struct Flags {
    /// It has a slot of ours.
    pub unchoked: bool,
    /// It is on our list of peers that have ever wanted something.
    pub entered: bool,
    /// Its pieces are counted on our board.
    pub counted: bool,
    /// It gives us something now.
    pub flowing: bool,
}

/// A peer's connections, each with a number for as long as it lasts.
#[derive(Default)]
pub struct Links {
    all: Vec<Link>,
    free: Vec<u32>,
    /// The numbers of those that we give to now.
    pub given_to: Vec<u32>,
    /// The number of those that give to us now.
    pub flowing: u32,
}

impl Links {
    /// Those that are there, with their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Link)> {
        (0..).zip(&self.all).filter(|(_, link)| link.is_here())
    }

    /// How many are there.
    pub fn count(&self) -> usize {
        self.all.len() - self.free.len()
    }

    /// All numbers in use, now or before, are below this.
    pub fn end(&self) -> u32 {
        self.all.len() as u32
    }

    pub fn get(&self, link: u32) -> &Link {
        &self.all[link as usize]
    }

    pub fn get_mut(&mut self, link: u32) -> &mut Link {
        &mut self.all[link as usize]
    }

    /// The number that the next connection gets.
    pub fn next(&self) -> u32 {
        self.free.last().copied().unwrap_or(self.end())
    }

    /// Adds a connection.
    pub fn add(&mut self, link: Link) {
        match self.free.pop() {
            Some(number) => self.all[number as usize] = link,
            None => {
                // In small steps: doubling would leave half of a hundred megabytes empty.
                if self.all.len() == self.all.capacity() {
                    self.all.reserve_exact(4);
                }
                self.all.push(link);
            }
        }
    }

    /// Removes a connection, to which nothing goes.
    pub fn remove(&mut self, link: u32) {
        let gone = self.get_mut(link);
        (gone.to, gone.flags) = (NONE, Flags::default());
        self.free.push(link);
    }
}

/// A piece that is being fetched, or that was begun.
pub struct Loan {
    pub piece: u32,
    /// Bytes that are missing.
    pub left: f64,
    /// When `left` was right.
    pub updated: Micros,
    /// When it is expected to be complete, unless the rate changes before.
    pub due: Option<Due>,
    /// The connections by which it comes; empty while it waits.
    pub holders: Vec<Holder>,
}

/// A connection by which a piece comes.
pub struct Holder {
    pub link: u32,
    pub seat: Arc<Seat>,
    /// Bytes that came, and how many blocks of them the seat knows of.
    pub bytes: f64,
    pub blocks: u32,
}

/// A peer's loans, by number.
#[derive(Default)]
pub struct Loans {
    all: Vec<Loan>,
    free: Vec<u32>,
    /// The loans that wait and were begun.
    pub begun: Vec<u32>,
}

impl Loans {
    pub fn get(&self, loan: u32) -> &Loan {
        &self.all[loan as usize]
    }

    pub fn get_mut(&mut self, loan: u32) -> &mut Loan {
        &mut self.all[loan as usize]
    }

    /// Those that somebody gives now.
    pub fn active(&self) -> impl Iterator<Item = u32> + '_ {
        (0..).zip(&self.all).filter(|(_, loan)| !loan.holders.is_empty()).map(|(number, _)| number)
    }

    /// Begins a piece, and returns the number of its loan.
    pub fn begin(&mut self, piece: u32, length: f64, now: Micros) -> u32 {
        match self.free.pop() {
            Some(number) => {
                let loan = self.get_mut(number);
                (loan.piece, loan.left, loan.updated) = (piece, length, now);
                number
            }
            None => {
                // One holder, but for the end game; and few loans, so in small steps as well.
                let holders = Vec::with_capacity(1);
                if self.all.len() == self.all.capacity() {
                    self.all.reserve_exact(4);
                }
                self.all.push(Loan { piece, left: length, updated: now, due: None, holders });
                self.all.len() as u32 - 1
            }
        }
    }

    /// Ends a loan that nobody holds.
    pub fn end(&mut self, loan: u32) {
        self.free.push(loan);
    }
}

/// A swarm of ten thousand peers has half a million connections.
const _: () = assert!(size_of::<Link>() == 64);
