//! A peer that has everything and gives it away, well or badly.
//!
//! It listens on a loopback address of its own, where the system has more than one,
//! so that the seeders of a lab look like machines. What can go wrong with a peer, a
//! [`Fault`] makes go wrong on purpose.

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::content::Content;
use super::notes::Notes;
use super::pace::Pace;
use super::service::{Crowd, Service};
use super::session;
use crate::s01_bencode::counted;
use crate::s03_tracker::PeerId;
use crate::s05_messages::bitfield::Bitfield;

/// How many peers a seeder serves at a time.
const MAX_CONNECTIONS: usize = 100;
/// How many peers it can tell apart.
const MOST_SERVED: usize = 10_000;

/// What a seeder does wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Spoils the last byte of some blocks: of the first it gives, and of each `every`
    /// blocks after it one.
    Corrupt {
        /// 1 spoils all blocks.
        every: u64,
    },
    /// Ends, with all its connections, once it has given so many blocks.
    Dies {
        /// To all peers together. 0 ends at the first request.
        after_blocks: u64,
    },
    /// Gives its blocks in drops of this many bytes a second.
    Slow {
        /// For all peers together.
        per_second: u64,
    },
    /// Chokes after every so many blocks of a connection, forgets what it was asked,
    /// and unchokes a moment later.
    Chokes {
        /// 0 counts as 1.
        every: u64,
    },
    /// Takes connections and says nothing, not even a handshake.
    Silent,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Fault::None => write!(out, "gives what it has"),
            Fault::Corrupt { every } => write!(out, "spoils one block of {every}"),
            Fault::Dies { after_blocks } => write!(out, "dies after {}", counted(*after_blocks, "block")),
            Fault::Slow { per_second } => write!(out, "gives {} a second", counted(*per_second, "byte")),
            Fault::Chokes { every } => {
                write!(out, "chokes after every {}, and forgets what it was asked", counted(*every, "block"))
            }
            Fault::Silent => write!(out, "takes connections and says nothing"),
        }
    }
}

/// Which pieces a seeder has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Holds {
    /// All of them.
    #[default]
    All,
    /// Those before the middle.
    FirstHalf,
    /// Those from the middle on.
    SecondHalf,
    /// These.
    Only(Vec<u32>),
}

impl Holds {
    fn bitfield(&self, pieces: u32) -> Bitfield {
        let middle = pieces.div_ceil(2);
        let mut has = Bitfield::new(pieces);
        let indices = match self {
            Holds::All => 0..pieces,
            Holds::FirstHalf => 0..middle,
            Holds::SecondHalf => middle..pieces,
            Holds::Only(indices) => {
                for index in indices {
                    has.set(*index, true);
                }
                return has;
            }
        };
        for index in indices {
            has.set(index, true);
        }
        has
    }
}

/// What a seeder is to be like. The default listens where the system likes, has
/// everything, and gives it as fast as it goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The port, if it is free; 0 lets the system choose one.
    pub port: u16,
    /// What it does wrong.
    pub fault: Fault,
    /// Which pieces it has.
    pub holds: Holds,
    /// Bytes of blocks per second, to all peers together.
    pub rate: Option<u64>,
}

impl Plan {
    /// A seeder with a fault.
    pub fn with_fault(fault: Fault) -> Plan {
        Plan { fault, ..Plan::default() }
    }

    /// The same at this many bytes a second.
    pub fn at_rate(mut self, per_second: u64) -> Plan {
        self.rate = Some(per_second);
        self
    }
}

/// A running seeder. Dropping it ends it.
pub struct Seeder {
    service: Service,
    shared: Arc<Shared>,
}

/// What a seeder's threads share.
pub(super) struct Shared {
    pub(super) peer_id: PeerId,
    /// Where it listens, for notes.
    pub(super) address: SocketAddr,
    /// The torrents it serves.
    pub(super) torrents: Vec<(Content, Bitfield)>,
    pub(super) fault: Fault,
    pub(super) pace: Pace,
    pub(super) notes: Notes,
    /// Blocks that have been begun, to count faults by.
    pub(super) begun: AtomicU64,
    /// Blocks that have gone out whole, and the bytes in them.
    pub(super) blocks: AtomicU64,
    pub(super) bytes: AtomicU64,
    /// Whom they went to.
    served: Mutex<HashSet<PeerId>>,
}

impl Shared {
    /// This peer has got a block.
    pub(super) fn remember(&self, peer_id: PeerId) {
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        if served.len() < MOST_SERVED {
            served.insert(peer_id);
        }
    }
}

impl Seeder {
    /// Starts seeder `number`, counted from 1, on 127.0.0.`number + 1`.
    ///
    /// # Errors
    /// If there is no address or thread to be had.
    pub fn start(number: u8, contents: &[Content], plan: &Plan, notes: Notes) -> io::Result<Seeder> {
        let listener = bind(number, plan.port)?;
        let rate = if let Fault::Slow { per_second } = plan.fault { Some(per_second) } else { plan.rate };
        let holding = |content: &Content| (content.clone(), plan.holds.bitfield(content.info.piece_count()));
        let shared = Arc::new(Shared {
            peer_id: peer_id(number),
            address: listener.local_addr()?,
            torrents: contents.iter().map(holding).collect(),
            fault: plan.fault,
            pace: Pace::new(rate),
            notes,
            begun: AtomicU64::new(0),
            blocks: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            served: Mutex::default(),
        });
        let for_threads = Arc::clone(&shared);
        let serve = Arc::new(move |transport, reached| {
            let transport = match for_threads.notes.tap() {
                Some(tap) => tap.transport(transport, &format!("came in at {reached}")),
                None => transport,
            };
            session::serve(&for_threads, transport)
        });
        let service = Service::start(listener, &format!("seeder {number}"), MAX_CONNECTIONS, Crowd::Shares, serve)?;
        Ok(Seeder { service, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.service.address()
    }

    /// How it calls itself: always the same for the same number.
    pub fn peer_id(&self) -> PeerId {
        self.shared.peer_id
    }

    /// What it does wrong.
    pub fn fault(&self) -> Fault {
        self.shared.fault
    }

    /// Whether it has not died.
    pub fn is_alive(&self) -> bool {
        self.service.is_running()
    }

    /// Blocks it has given, corrupt ones included.
    pub fn blocks(&self) -> u64 {
        self.shared.blocks.load(Ordering::Relaxed)
    }

    /// The bytes in them.
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// How many peers they went to, by their peer ids.
    pub fn served(&self) -> usize {
        self.shared.served.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// `-LB0001-seeder000001`
fn peer_id(number: u8) -> PeerId {
    let mut id = *b"-LB0001-seeder000...";
    id[17..].copy_from_slice(format!("{number:03}").as_bytes());
    PeerId(id)
}

/// Linux and Windows have all of 127.x.x.x on loopback, other systems 127.0.0.1 only.
/// There the seeders differ by their ports, which the system chooses: a well-known
/// one might be the one that a client announces from the same address.
fn bind(number: u8, port: u16) -> io::Result<TcpListener> {
    let own = Ipv4Addr::new(127, 0, 0, number.saturating_add(1));
    TcpListener::bind((own, port))
        .or_else(|_| TcpListener::bind((own, 0)))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
}
