//! A peer's thread, from dialing to the end of its session. The torrent loop always hears of the
//! end.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Instant;

use thiserror::Error;

use super::magnet::fetch_info_first;
use super::{Live, Swarm, SwarmMessage};
use crate::s02_metainfo::MetainfoError;
use crate::s04_handshake::HandshakeError;
use crate::s05_messages::connection::{Connection, HANDSHAKE_TIMEOUT};
use crate::s05_messages::{FAST_BIT, MessageError};
use crate::s07_extension::dont_have::DontHave;
use crate::s07_extension::{ExtensionError, Extensions};
use crate::s08_metadata::{MetadataError, UtMetadata};
use crate::s11_work_queue::PeerNumber;
use crate::s12_session::host::SessionEnd;
use crate::s12_session::stats::PeerStats;
use crate::s12_session::{Start, run};
use crate::s13_peer_sources::STACK;
use crate::s14_peer_list::doubles::UNPROVED;

/// A peer that a source has found.
pub(super) enum Candidate {
    /// An address to dial.
    Dial(SocketAddr),
    /// A connection whose handshakes are done.
    Met(Box<Connection>),
}

/// Starts the thread of one peer. If the system refuses, returns the candidate.
pub(super) fn start_thread(
    swarm: &Arc<Swarm>,
    number: PeerNumber,
    candidate: Candidate,
    peer: SocketAddr,
) -> Result<(), Candidate> {
    let shared = Arc::clone(swarm);
    let work = move |candidate| {
        // Declared first, so that it is dropped last: when the torrent loop hears of the end, even
        // of one by a panic, all leases are back.
        let mut farewell = Farewell { swarm: &shared, number, peer, why: Some(Ended::Panic) };
        farewell.why = talk(&shared, number, candidate).err().or(Some(SessionEnd::Stopped.into()));
    };
    spawn_with(
        thread::Builder::new().name(format!("peer {peer}")).stack_size(STACK),
        candidate,
        work,
    )
}

/// Starts a thread that takes a value with it. `std` loses the value if the system refuses the
/// thread; here it comes back.
fn spawn_with<T: Send + 'static>(
    builder: thread::Builder,
    luggage: T,
    work: impl FnOnce(T) + Send + 'static,
) -> Result<(), T> {
    let (give, take) = mpsc::channel();
    let started = builder.spawn(move || take.recv().map(work));
    if started.is_err() {
        return Err(luggage);
    }
    // The thread is waiting for this.
    give.send(luggage).map_err(|mpsc::SendError(luggage)| luggage)
}

struct Farewell<'s> {
    swarm: &'s Swarm,
    number: PeerNumber,
    peer: SocketAddr,
    why: Option<Ended>,
}

impl Drop for Farewell<'_> {
    fn drop(&mut self) {
        let why = self.why.take().unwrap_or(Ended::Panic);
        self.swarm.send(SwarmMessage::Ended(self.number, self.peer, why));
    }
}

/// The whole life of a connection.
fn talk(swarm: &Arc<Swarm>, number: PeerNumber, candidate: Candidate) -> Result<(), Ended> {
    let dialed = matches!(candidate, Candidate::Dial(_));
    let mut connection = match candidate {
        Candidate::Dial(peer) => Connection::open(
            &*swarm.dial,
            peer,
            &swarm.handshake(),
            Instant::now() + HANDSHAKE_TIMEOUT,
        )?,
        Candidate::Met(connection) => *connection,
    };
    let stats = register(swarm, number, &connection, dialed)?;
    let mut extensions =
        Extensions::new(vec![Box::new(UtMetadata::shared(&swarm.metadata)), Box::new(DontHave)]);
    extensions.port = Some(swarm.port).filter(|port| *port != 0);
    // Our handshake has the bit if we knew the info dictionary at that time.
    let from_magnet = !connection.ours.has_bit(FAST_BIT);
    let torrent = match swarm.torrent.get() {
        Some(torrent) if !from_magnet => Arc::clone(torrent),
        _ => match fetch_info_first(swarm, &mut connection, &mut extensions)? {
            Some(torrent) => torrent,
            None => return Ok(()),
        },
    };
    let (host, torrent, stats) = (&swarm.host, &torrent, &stats);
    Ok(run(Start { host, torrent, number, stats, extensions, from_magnet }, connection)?)
}

/// Adds the connection to the live ones, and then checks whether the swarm is over. The other way
/// round, it could miss the hang-up.
fn register(
    swarm: &Swarm,
    number: PeerNumber,
    connection: &Connection,
    dialed: bool,
) -> Result<Arc<PeerStats>, Ended> {
    let stats = Arc::new(PeerStats::new(connection.peer));
    if dialed {
        // We have reached the peer there. The port that it will name may be one behind a router.
        stats.set_listen_port(connection.peer.port());
    }
    let peer_id = connection.theirs.peer_id;
    let hang_up = Arc::clone(&connection.line.0);
    let live = Live {
        peer_id,
        dialed,
        hang_up,
        stats: Arc::clone(&stats),
        parted: None,
        doubles: Vec::new(),
    };
    let mut all = swarm.live();
    let unproved = UNPROVED * swarm.place_time;
    let new = live.link();
    let crossed = match all.values_mut().find(|other| other.link().is_doubled_by(&new, unproved)) {
        None => None,
        Some(other) if other.link().is_crossed_by(&new, swarm.peer_id) => {
            other.parted = Some(Ended::Crossed);
            Some(Arc::clone(&other.hang_up))
        }
        Some(other) => {
            if dialed {
                other.add_double(connection.peer);
            }
            return Err(Ended::Twice);
        }
    };
    all.insert(number, live);
    drop(all);
    if let Some(hang_up) = crossed {
        hang_up();
    }
    swarm.send(SwarmMessage::Joined(connection.peer));
    if swarm.host.is_stopping() { Err(SessionEnd::Stopped.into()) } else { Ok(stats) }
}

/// Why a connection ended.
#[derive(Debug, Error)]
#[allow(missing_docs)] // the messages say what each is
pub enum Ended {
    #[error("{0}")]
    Handshake(HandshakeError),
    #[error(transparent)]
    Session(SessionEnd),
    #[error(transparent)]
    Metadata(MetadataError),
    #[error("{0}")]
    WrongMetadata(MetadataError),
    #[error("blocks that it brought were wrong")]
    Banned,
    #[error("it is ourselves")]
    Ourselves,
    #[error("it is connected already")]
    Twice,
    #[error("two connections to it crossed, and the other one stays")]
    Crossed,
    #[error("others wait for its place, and it was of no use for long")]
    MadeRoom,
    /// A bug of ours. The other peers go on.
    #[error("its thread panicked, which is a bug in piecemeal")]
    Panic,
    /// The magnet link's torrent itself cannot be used. The download ends.
    #[error("{0}")]
    Unusable(MetainfoError),
}

impl From<HandshakeError> for Ended {
    fn from(error: HandshakeError) -> Ended {
        match error {
            HandshakeError::Ourselves => Ended::Ourselves,
            error => Ended::Handshake(error),
        }
    }
}

impl From<MetadataError> for Ended {
    fn from(error: MetadataError) -> Ended {
        match error {
            MetadataError::Metainfo(error) => Ended::Unusable(error),
            error @ MetadataError::WrongHash { .. } => Ended::WrongMetadata(error),
            error => Ended::Metadata(error),
        }
    }
}

impl From<SessionEnd> for Ended {
    fn from(end: SessionEnd) -> Ended {
        Ended::Session(end)
    }
}

impl From<MessageError> for Ended {
    fn from(error: MessageError) -> Ended {
        SessionEnd::from(error).into()
    }
}

impl From<ExtensionError> for Ended {
    fn from(error: ExtensionError) -> Ended {
        SessionEnd::from(error).into()
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Ended {
        SessionEnd::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_refused_thread_was_to_take_along_comes_back() {
        let unlimited = thread::Builder::new().stack_size(usize::MAX / 4);
        assert_eq!(
            spawn_with(unlimited, 7, |_| unreachable!("there is no room for its stack")),
            Err(7)
        );
        let (give, take) = mpsc::channel();
        assert_eq!(
            spawn_with(thread::Builder::new(), 8, move |luggage| give
                .send(luggage)
                .expect("we listen")),
            Ok(())
        );
        assert_eq!(take.recv(), Ok(8));
    }
}
