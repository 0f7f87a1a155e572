//! A crowd of peers without a network: who is there, what each gives, and when it goes. (stage 14)

use std::net::SocketAddr;

use clap::ValueEnum;
use piecemeal::s01_bencode::counted;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use super::exit_codes::USAGE;
use super::failure::Failure;

/// How many ports of one IP are named, with nobody at any of them.
const EMPTY_PORTS: usize = 50;
const KIB: u64 = 1024;

/// What a group of the crowd does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fault {
    /// Nothing.
    None,
    /// Nobody is at the address.
    Dead,
    /// One IP is named with many ports, and nobody is at any of them.
    Ports,
    /// Peers of one IP that send bad data.
    Liars,
    /// One IP with many ports. Its peers give something, and would take all places.
    Crowd,
    /// Gives very little.
    Slow,
    /// Gives nothing and wants nothing.
    Idle,
}

/// A peer, or an address with nobody at it.
pub struct Peer {
    /// Where it listens, or from where it dials us.
    pub address: SocketAddr,
    /// What it does wrong.
    pub fault: Fault,
    /// It dials us. Otherwise the tracker names it.
    pub dials_us: bool,
    /// Bytes that it gives in a second.
    pub rate: u64,
    /// The second from which on it is there.
    pub there_from: u64,
    /// What has come of it.
    pub tally: PeerTally,
}

/// What has come of a peer.
#[derive(Default)]
pub struct PeerTally {
    /// How often we dialed it.
    pub dialed: u32,
    /// How often it was connected.
    pub connected: u32,
    /// For how many seconds it was connected.
    pub seconds: u64,
    /// Bytes that came from it.
    pub bytes: u64,
    /// When it is dialed again, after it last was.
    pub again: Option<Again>,
}

/// When a peer that has gone may have a place again.
#[derive(Clone, Copy)]
pub enum Again {
    /// It is dialed at this second.
    At(u64),
    /// It is not dialed any more.
    Never,
    /// It may dial us.
    DialsUs,
}

/// What a connected peer is going to do, in seconds of the story.
#[derive(Clone, Copy)]
pub struct Visit {
    /// When its first block comes. `None` if none ever does.
    pub gives_from: Option<u64>,
    /// When a piece of its own turns out to be wrong.
    pub lies_at: Option<u64>,
    /// When it leaves.
    pub leaves_at: u64,
}

/// The peers, and the dice after they were drawn.
pub struct Crowd {
    /// In the order in which they are named.
    pub peers: Vec<Peer>,
    /// What follows is drawn from these.
    pub dice: StdRng,
}

impl Crowd {
    /// Draws the peers: an equal share for each fault, and the rest is honest.
    pub fn draw(count: u8, faults: &[Fault], seed: u64) -> Result<Crowd, Failure> {
        let count = usize::from(count);
        if faults.len() > count {
            let what = format!(
                "--faults names {} groups, but there are {}",
                faults.len(),
                counted(count, "peer")
            );
            let help = format!("add --peers {}, or leave some groups out", faults.len());
            return Err(Failure::new(USAGE, what).help(help).see("14-peer-list"));
        }
        let mut dice = StdRng::seed_from_u64(seed);
        let share = (count / (faults.len() + 1)).max(1);
        let mut kinds: Vec<Fault> = faults.iter().flat_map(|fault| vec![*fault; share]).collect();
        kinds.resize(count, Fault::None);
        let mut numbers = std::collections::HashMap::new();
        let mut peers = Vec::new();
        for fault in kinds {
            let number: &mut u8 = numbers.entry(fault as u8).or_insert(0);
            *number += 1;
            match fault {
                Fault::Ports if *number > 1 => {} // one IP, however large its share is
                Fault::Ports => peers
                    .extend((1..=EMPTY_PORTS).map(|port| Peer::new(fault, port as u8, &mut dice))),
                _ => peers.push(Peer::new(fault, *number, &mut dice)),
            }
        }
        peers.shuffle(&mut dice);
        Ok(Crowd { peers, dice })
    }
}

impl Peer {
    fn new(fault: Fault, number: u8, dice: &mut StdRng) -> Peer {
        let port = u16::from(number) + 7000;
        // All of these are reserved for examples and tests.
        let address = match fault {
            Fault::None => ([192, 0, 2, number], 6881),
            Fault::Dead => ([198, 51, 100, number], 6881),
            Fault::Slow => ([198, 18, 0, number], 6881),
            Fault::Idle => ([198, 19, 0, number], 6881),
            Fault::Liars => ([203, 0, 113, 66], port),
            Fault::Crowd => ([203, 0, 113, 7], port),
            Fault::Ports => ([203, 0, 113, 80], port),
        };
        let rate = KIB
            * match fault {
                Fault::None => dice.random_range(50..400),
                Fault::Slow => dice.random_range(1..5),
                Fault::Crowd => dice.random_range(20..60),
                Fault::Liars => 100,
                _ => 0,
            };
        // A crowd mostly dials us, and every third honest peer does.
        let dials_us = match fault {
            Fault::None => number.is_multiple_of(3),
            Fault::Crowd => !number.is_multiple_of(4),
            _ => false,
        };
        let there_from = match fault {
            Fault::Crowd if dials_us => dice.random_range(1..10),
            _ if dials_us => dice.random_range(5..120),
            _ => 0,
        };
        Peer {
            address: address.into(),
            fault,
            dials_us,
            rate,
            there_from,
            tally: PeerTally::default(),
        }
    }

    /// Whether a connection to it is made.
    pub fn answers(&self, second: u64) -> bool {
        !matches!(self.fault, Fault::Dead | Fault::Ports) && self.there_from <= second
    }

    /// Draws what it does once it is connected.
    pub fn visit(&self, second: u64, dice: &mut StdRng) -> Visit {
        let gives_from = (self.rate > 0).then(|| second + dice.random_range(2..20));
        let lies_at = (self.fault == Fault::Liars).then(|| second + dice.random_range(20..40));
        let stay = if self.fault == Fault::None {
            dice.random_range(60..480)
        } else {
            u64::from(u32::MAX)
        };
        Visit { gives_from, lies_at, leaves_at: second + stay }
    }
}
