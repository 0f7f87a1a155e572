//! A peer's thread, from dialing to the end of its session. The torrent loop always hears of the
//! end.
//!
//! ```text
//!   an address ---- dial, handshake --\
//!                                      >-- join -- info dictionary, if unknown -- session -- end
//!   a connection from the lobby ------/
//! ```
//! Every step can fail, and returns the reason as an [`Ended`]. There is one way out, and no step
//! cleans up after another: what has to be undone is undone by a destructor.

use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread;

use super::ended::Ended;
use super::magnet::fetch_info_first;
use super::{Live, Swarm, SwarmMessage};
use crate::s02_metainfo::InfoHash;
use crate::s05_messages::FAST_BIT;
use crate::s05_messages::connection::Connection;
use crate::s07_extension::Extensions;
use crate::s07_extension::dont_have::DontHave;
use crate::s07_extension::extension::Extension;
use crate::s08_metadata::UtMetadata;
use crate::s11_work_queue::PeerNumber;
use crate::s12_session::host::SessionEnd;
use crate::s12_session::stats::PeerStats;
use crate::s12_session::{Start, run};
use crate::s13_peer_sources::STACK;
use crate::s14_peer_list::doubles::UNPROVED;

/// A peer that a source has found, and that has just got a place.
pub(super) enum Candidate {
    /// An address to dial, and the name of the torrent by which to do so.
    Dial(SocketAddr, InfoHash),
    /// A connection that the peer has made, and whose handshakes are done.
    Met(Box<Connection>),
}

/// Starts the thread of one peer. `peer` is the address that is dialed, or that the connection
/// comes from. The thread's last message is [`SwarmMessage::Ended`] with this number.
///
/// # Errors
/// If the system refuses a thread. The candidate comes back: an address is due again then, and a
/// connection waits on in the lobby.
pub(super) fn start_thread(
    swarm: &Arc<Swarm>,
    number: PeerNumber,
    candidate: Candidate,
    peer: SocketAddr,
) -> Result<(), Candidate> {
    let shared = Arc::clone(swarm);
    let work = move |candidate| {
        // Declared first, so that it is dropped last: when the torrent loop hears of the end, even
        // of one by a panic, all leases are back and the connection is closed.
        let mut farewell = Farewell { swarm: &shared, number, peer, why: Some(Ended::Panic) };
        // Until this line has run, the reason is a panic. A session returns no error if it was told
        // to stop.
        farewell.why = talk(&shared, number, candidate).err().or(Some(SessionEnd::Stopped.into()));
    };
    spawn_with(
        thread::Builder::new().name(format!("peer {peer}")).stack_size(STACK),
        candidate,
        work,
    )
}

/// Starts a thread that takes a value with it. `std` moves the closure into the thread, and drops
/// it if the system refuses one; here the value comes back. So it is not in the closure, but
/// follows through a channel.
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
    // The thread is waiting for this. It has nothing else to do, so this cannot fail.
    give.send(luggage).map_err(|mpsc::SendError(luggage)| luggage)
}

/// Tells the torrent loop, when it is dropped, that a peer's thread ends. Code at the end of a
/// function would be skipped by an early return or a panic; a destructor runs in any case.
struct Farewell<'s> {
    swarm: &'s Swarm,
    number: PeerNumber,
    peer: SocketAddr,
    /// Why the thread ends. `Some` until it is dropped.
    why: Option<Ended>,
}

impl Drop for Farewell<'_> {
    fn drop(&mut self) {
        let why = self.why.take().unwrap_or(Ended::Panic);
        self.swarm.send(SwarmMessage::Ended(self.number, self.peer, why));
    }
}

/// Holds the whole conversation with a peer. Returns without an error if the download is over.
///
/// # Errors
/// The reason why the connection ended, or could not be made.
fn talk(swarm: &Arc<Swarm>, number: PeerNumber, candidate: Candidate) -> Result<(), Ended> {
    let dialed = matches!(candidate, Candidate::Dial(..));
    let mut connection = match candidate {
        Candidate::Dial(peer, name) => swarm.meet(peer, name)?,
        Candidate::Met(connection) => *connection,
    };
    // From here on, the peer counts as connected, and the torrent loop can hang up on it.
    let stats = register(swarm, number, &connection, dialed)?;
    let mut ours: Vec<Box<dyn Extension>> =
        vec![Box::new(UtMetadata::shared(&swarm.metadata)), Box::new(DontHave)];
    ours.extend(swarm.offers.iter().filter_map(|offer| offer.open(&connection)));
    let mut extensions = Extensions::new(ours);
    // `p` in our extension handshake: a peer that we have dialed cannot see where we listen.
    extensions.port = Some(swarm.port).filter(|port| *port != 0);
    // Our handshake has the bit if we knew the info dictionary at that time. If we did not, the
    // peer first gets our extension handshake, even if the dictionary has come since.
    let from_magnet = !connection.ours.has_bit(FAST_BIT);
    let torrent = match swarm.torrent.get() {
        Some(torrent) if !from_magnet => Arc::clone(torrent),
        _ => match fetch_info_first(swarm, &mut connection, &mut extensions)? {
            Some(torrent) => torrent,
            None => return Ok(()), // the swarm is over
        },
    };
    let (host, torrent, stats) = (&swarm.host, &torrent, &stats);
    Ok(run(Start { host, torrent, number, stats, extensions, from_magnet }, connection)?)
}

/// Adds the connection to the live ones, unless its peer is among them already:
///
/// | a live connection to the same peer | what happens |
/// |---|---|
/// | there is none | the new one joins |
/// | there is one, and the two have crossed | the new one joins, and we hang up on the old one |
/// | there is one | the new one ends as [`Ended::Twice`] |
///
/// Stage 14 decides what counts as the same peer (`doubles`). Both sides decide by the same facts,
/// so they keep the same connection of two that have crossed.
///
/// Then it checks whether the swarm is over. The other way round, it could miss the hang-up: the
/// swarm first says that it stops, and then hangs up on the live ones.
fn register(
    swarm: &Swarm,
    number: PeerNumber,
    connection: &Connection,
    dialed: bool,
) -> Result<Arc<PeerStats>, Ended> {
    let live = entry(connection, dialed);
    let stats = Arc::clone(&live.stats);
    // One lock for the look and the entry: of two threads with the same peer, one is the second.
    let mut all = swarm.live();
    let unproved = UNPROVED * swarm.place_time;
    let new = live.link();
    let crossed = match all.values_mut().find(|other| other.link().is_doubled_by(&new, unproved)) {
        None => None,
        Some(other) if other.link().is_crossed_by(&new, swarm.peer_id) => {
            // It stays in the list until its thread has ended. Its leases are not back before that.
            other.parted = Some(Ended::Crossed);
            Some(Arc::clone(&other.hang_up))
        }
        Some(other) => {
            // The port that a peer has dialed us from cannot be dialed.
            if dialed {
                other.add_double(connection.peer);
            }
            return Err(Ended::Twice);
        }
    };
    all.insert(number, live);
    // A hang-up is a system call, plus whatever a wrapper around the transport does. No lock is
    // held for that.
    drop(all);
    if let Some(hang_up) = crossed {
        hang_up();
    }
    swarm.send(SwarmMessage::Joined(connection.peer));
    if swarm.host.is_stopping() { Err(SessionEnd::Stopped.into()) } else { Ok(stats) }
}

/// Makes the entry of a new connection, whose age counts from here.
fn entry(connection: &Connection, dialed: bool) -> Live {
    let stats = Arc::new(PeerStats::new(connection.peer));
    if dialed {
        // We have reached the peer there. The port that it will name may be one behind a router.
        stats.set_listen_port(connection.peer.port());
    }
    Live {
        peer_id: connection.theirs.peer_id,
        dialed,
        hang_up: Arc::clone(&connection.line.0),
        stats,
        parted: None,
        doubles: Vec::new(),
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
