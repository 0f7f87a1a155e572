//! A peer that has the content and gives it away, well or badly.
//!
//! It listens on a loopback address of its own, if the system has more than one, so that
//! the seeders of a lab look like separate machines. A [`Fault`] makes it misbehave on
//! purpose, in the ways that real peers do.

pub(crate) mod end;
mod handshake;
mod outgoing;
mod peer_log;
pub mod quirk;
pub(crate) mod request_check;
mod session;
mod shared;
mod swapped;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use self::quirk::Quirk;
use self::shared::{Holding, Shared};
use super::content::Content;
use super::notes::Notes;
use super::service::{Service, WhenFull};
use super::sockets;
use crate::actors::{self, Torrent};
use crate::s01_bencode::counted;
use crate::s03_tracker::PeerId;
use crate::s05_messages::bitfield::Bitfield;
use crate::s19_pex::Gossip;

/// The most peers that a seeder serves at a time.
const MAX_CONNECTIONS: usize = 100;

/// What a seeder does wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Spoils the last byte of some blocks: of the first one, and then of one in every
    /// `every`.
    Corrupt {
        /// 1 spoils all blocks.
        every: u64,
    },
    /// Ends, with all its connections, once it has given this many blocks.
    Dies {
        /// The number of blocks, to all peers together; 0 ends at the first request.
        after_blocks: u64,
    },
    /// Gives its blocks at this many bytes a second.
    Slow {
        /// Bytes a second, to all peers together.
        per_second: u64,
    },
    /// Chokes a peer after every few blocks, forgets its requests, and unchokes it a moment
    /// later.
    Chokes {
        /// The number of blocks; 0 counts as 1.
        every: u64,
    },
    /// Accepts connections and says nothing, not even a handshake.
    Silent,
    /// Is unusual in this one thing.
    Quirk(Quirk),
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Fault::None => write!(out, "gives what it has"),
            Fault::Corrupt { every } => write!(out, "spoils one block of {every}"),
            Fault::Dies { after_blocks } => {
                write!(out, "dies after {}", counted(*after_blocks, "block"))
            }
            Fault::Slow { per_second } => {
                write!(out, "gives {} a second", counted(*per_second, "byte"))
            }
            Fault::Chokes { every } => {
                write!(
                    out,
                    "chokes after every {}, and forgets what it was asked",
                    counted(*every, "block")
                )
            }
            Fault::Silent => write!(out, "takes connections and says nothing"),
            Fault::Quirk(quirk) => quirk.fmt(out),
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
    /// Changes the plan of a seeder that has all pieces.
    fn of(&self, plan: actors::Plan) -> actors::Plan {
        let pieces = plan.have.len();
        let middle = pieces.div_ceil(2);
        match self {
            Holds::All => plan,
            Holds::FirstHalf => plan.only(0..middle),
            Holds::SecondHalf => plan.only(middle..pieces),
            Holds::Only(indices) => plan.only(indices.iter().map(|index| *index as usize)),
        }
    }
}

/// The properties of a seeder. By default the system chooses its port, and it gives
/// everything as fast as it can.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The port, if it is free; 0 lets the system choose one.
    pub port: u16,
    /// The room: it listens on 127.room.0.x.
    pub room: u8,
    /// What it does wrong.
    pub fault: Fault,
    /// Which pieces it has.
    pub holds: Holds,
    /// Bytes of blocks per second, to all peers together.
    pub rate: Option<u64>,
}

impl Plan {
    /// Returns a plan with a fault.
    pub fn with_fault(fault: Fault) -> Plan {
        Plan { fault, ..Plan::default() }
    }

    /// Returns the plan with a limit of this many bytes a second.
    pub fn at_rate(mut self, per_second: u64) -> Plan {
        self.rate = Some(per_second);
        self
    }
}

/// A running seeder. Dropping it ends it.
pub struct Seeder {
    service: Service,
    /// The listener for clients that send a port low byte first.
    _swapped: Option<Service>,
    shared: Arc<Shared>,
    has_all: bool,
}

impl Seeder {
    /// Starts seeder `number`, counted from 1, on 127.0.0.`number + 1`. In a room of its own it
    /// gets the port of its plan or none.
    ///
    /// # Errors
    /// If the system has no address or thread left.
    pub fn start(
        number: u8,
        contents: &[Content],
        plan: &Plan,
        gossip: &Arc<Gossip>,
        notes: Notes,
    ) -> io::Result<Seeder> {
        let listener = bind(number, plan)?;
        let rate =
            if let Fault::Slow { per_second } = plan.fault { Some(per_second) } else { plan.rate };
        let shared = Arc::new(Shared::new(
            peer_id(number),
            listener.local_addr()?,
            contents.iter().map(|content| holding(content, peer_id(number), plan)).collect(),
            Arc::clone(gossip),
            (plan.fault, metadata_id(number)),
            rate,
            notes,
        ));
        let for_threads = Arc::clone(&shared);
        let serve = Arc::new(move |transport, reached| {
            let transport = match for_threads.notes.tap() {
                Some(tap) => tap.transport(transport, &format!("came in at {reached}")),
                None => transport,
            };
            session::serve(&for_threads, transport)
        });
        let service = Service::start(
            listener,
            &format!("seeder {number}"),
            MAX_CONNECTIONS,
            WhenFull::Shares,
            serve,
        )?;
        let _swapped = swapped::listen(service.address(), plan.port, &shared.notes);
        Ok(Seeder { service, _swapped, shared, has_all: plan.holds == Holds::All })
    }

    /// Returns the address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.service.address()
    }

    /// Whether it has all pieces.
    pub fn has_all(&self) -> bool {
        self.has_all
    }

    /// Returns its peer id, which is always the same for the same number.
    pub fn peer_id(&self) -> PeerId {
        self.shared.peer_id
    }

    /// Returns its fault.
    pub fn fault(&self) -> Fault {
        self.shared.fault
    }

    /// Whether it has not died.
    pub fn is_alive(&self) -> bool {
        self.service.is_running()
    }

    /// Returns the number of blocks it has given, corrupt ones included.
    pub fn blocks(&self) -> u64 {
        self.shared.blocks.load(Ordering::Relaxed)
    }

    /// Returns the number of bytes in these blocks.
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// Returns the number of peers that they went to, by peer id.
    pub fn served(&self) -> usize {
        self.shared.served()
    }
}

/// Returns what a seeder with this plan has of a content.
fn holding(content: &Content, peer_id: PeerId, plan: &Plan) -> Holding {
    let info = &content.info;
    // A plan needs no data: the session brings each block.
    let torrent =
        Torrent::of_info(content.metadata.to_vec(), Vec::new(), info.piece_length as usize);
    let mut good = actors::Plan::new(&torrent).peer_id(peer_id.0);
    good.have = vec![true; info.piece_count() as usize];
    let good = plan.holds.of(good);
    let plan = match plan.fault {
        Fault::Quirk(quirk) => quirk.of(good),
        _ => good,
    };
    let mut has = Bitfield::new(info.piece_count());
    for (index, _) in (0..).zip(&plan.have).filter(|(_, has)| **has) {
        has.set(index, true);
    }
    Holding { content: content.clone(), has, plan }
}

/// Returns the peer id of a seeder: `-LB0001-seeder000001`.
pub(super) fn peer_id(number: u8) -> PeerId {
    let mut id = *b"-LB0001-seeder000...";
    id[17..].copy_from_slice(format!("{number:03}").as_bytes());
    PeerId(id)
}

/// Returns the number that a seeder gives ut_metadata. It differs from one seeder to the next, and
/// from 1, which is most clients' own: an id belongs to the side that chose it.
fn metadata_id(number: u8) -> u8 {
    [3, 7, 113].into_iter().cycle().nth(usize::from(number.saturating_sub(1))).unwrap_or(3)
}

/// Binds a seeder's listener. Linux and Windows have all of 127.x.x.x on loopback, other
/// systems only 127.0.0.1. There the seeders differ by port, and the system chooses it: a
/// client might announce the well-known one from the same address.
fn bind(number: u8, plan: &Plan) -> io::Result<TcpListener> {
    let own = Ipv4Addr::new(127, plan.room, 0, number.saturating_add(1));
    let listener = TcpListener::bind((own, plan.port));
    if plan.room != 0 {
        return listener.map_err(|error| sockets::not_there((own, plan.port).into(), &error));
    }
    listener
        .or_else(|_| TcpListener::bind((own, 0)))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
}
