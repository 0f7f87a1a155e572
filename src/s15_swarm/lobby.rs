//! Where incoming connections wait until there is a place for them.
//!
//! BitTorrent has no message for "full, come back later". A connection that is closed tells the
//! peer nothing, and it dials again, now or in a while. So a connection waits here instead, and
//! gets a place when its turn has come.
//!
//! ```text
//!   listener ---- enter ----> lobby ---- next ----> a peer's thread
//!                             |   ^                      |
//!   hung up on: it has ended, |   +------ put_back ------+  the system refused the thread
//!   or its IP has too many    v
//! ```
//! A waiting connection costs a descriptor, and no thread. Nothing is read from it: what the peer
//! sends after its handshake stays in the system's buffer, and is read by its session later. So we
//! learn that it has hung up only by asking
//! ([`has_ended`](crate::s05_messages::connection::Connection::has_ended)), and do so whenever that
//! matters: when there is no room, and before a connected peer has to make way for it. Connections
//! that still wait when the download ends are dropped with the swarm, and that hangs up.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::s04_handshake::origin::Origin;
use crate::s05_messages::connection::Connection;
use crate::s14_peer_list::sharing::{Holder, makes_way, next_in_turn};

/// Incoming connections after their handshakes. A listener's threads put them in, and the torrent
/// loop takes them out.
pub(super) struct Lobby {
    /// The longest wait first. A leaf lock: a socket is asked under it, but never closed, read or
    /// written.
    waiting: Mutex<VecDeque<Connection>>,
    /// The largest number that may wait, from [`Budget`](crate::s14_peer_list::budget::Budget).
    capacity: usize,
}

/// Each method locks for itself and waits for nothing else, so any thread may call them.
impl Lobby {
    /// Creates an empty lobby for this many connections.
    pub fn new(capacity: usize) -> Lobby {
        Lobby { waiting: Mutex::default(), capacity }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Connection>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody waits. Connections that have ended count, until they are asked.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Adds a connection; returns whether it is the only one, so that the torrent loop must be
    /// woken. If others wait already, it has been woken, or is busy with them.
    ///
    /// If the lobby is full, connections that have ended meanwhile make room. If none has, we hang
    /// up on the newcomer, or on the latest connection of the address with the most.
    pub fn enter(&self, connection: Connection) -> bool {
        // Declared before the lock, so that these sockets are closed after it is released.
        let mut sent_away = Vec::new();
        let mut waiting = self.lock();
        if waiting.len() >= self.capacity {
            // Not by `retain_mut`, which would close the sockets here, under the lock.
            for mut connection in std::mem::take(&mut *waiting) {
                if connection.has_ended() {
                    sent_away.push(connection)
                } else {
                    waiting.push_back(connection)
                }
            }
        }
        if waiting.len() >= self.capacity {
            // The least worth goes first. To send away those that have waited longest would reward
            // a stranger that keeps dialing.
            let place = |(position, connection): (usize, &Connection)| Holder {
                origin: Origin::of(connection.peer.ip()),
                worth: Some(self.capacity - position),
            };
            let places: Vec<_> = waiting.iter().enumerate().map(place).collect();
            let Some(position) = makes_way(&places, Origin::of(connection.peer.ip())) else {
                // No IP has at least two more than the newcomer's, so the newcomer goes. It is
                // closed after the lock is released: arguments are dropped last.
                return false;
            };
            sent_away.extend(waiting.remove(position));
        }
        waiting.push_back(connection);
        waiting.len() == 1
    }

    /// Returns the address whose turn it is. `held` has the address of the peer in each place.
    /// `None` if nobody waits. Its connection was alive a moment ago.
    pub fn turn(&self, held: &[Origin]) -> Option<Origin> {
        // Before the lock, for the reason given in `enter`; so in `next`.
        let mut ended = Vec::new();
        let mut waiting = self.lock();
        next(&mut waiting, held, &mut ended).map(|(_, origin)| origin)
    }

    /// Removes and returns the connection whose turn it is. Others may enter after a call of
    /// [`Lobby::turn`], so this may not be from the address that it named.
    pub fn next(&self, held: &[Origin]) -> Option<Connection> {
        let mut ended = Vec::new();
        let mut waiting = self.lock();
        let (position, _) = next(&mut waiting, held, &mut ended)?;
        waiting.remove(position)
    }

    /// Puts a connection back at the front: it had its turn, but could not be started. The limit is
    /// not checked, so there may be one too many until the next turn.
    pub fn put_back(&self, connection: Connection) {
        self.lock().push_front(connection);
    }
}

/// Returns the position and the origin of the connection whose turn it is: of the IP with the
/// fewest places, the one that has waited longest. It must still be alive, because a connected peer
/// may have to go for it. So connections that have ended are moved to `ended`; the caller drops
/// them once the lock is released.
fn next(
    waiting: &mut VecDeque<Connection>,
    held: &[Origin],
    ended: &mut Vec<Connection>,
) -> Option<(usize, Origin)> {
    loop {
        // Made again after each removal, which shifts the positions. Only the connection whose turn
        // it is gets asked: one system call in the usual case, not one for each that waits.
        let line: Vec<Origin> =
            waiting.iter().map(|connection| Origin::of(connection.peer.ip())).collect();
        let position = next_in_turn(&line, held.iter().copied())?;
        if !waiting.get_mut(position)?.has_ended() {
            return Some((position, *line.get(position)?));
        }
        ended.extend(waiting.remove(position));
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::s02_metainfo::InfoHash;
    use crate::s03_tracker::PeerId;
    use crate::s04_handshake::Handshake;
    use crate::s04_handshake::transport::{Transport, pair};

    /// A connection from 192.0.2.`host`, and its other end. To drop the other end is what a peer
    /// does when it hangs up.
    fn connection(host: u8) -> (Connection, Transport) {
        let hello = Handshake::new(InfoHash([7; 20]), PeerId([host; 20]));
        let address = |ip: [u8; 4]| SocketAddr::from((ip, 6881));
        let (ours, theirs) = pair(100, address([10, 0, 0, 1]), address([192, 0, 2, host]));
        (Connection::new(ours, hello, hello), theirs)
    }

    fn origin(host: u8) -> Origin {
        Origin::of([192, 0, 2, host].into())
    }

    /// Takes out the connection whose turn it is, and returns where it is from.
    fn take(lobby: &Lobby, held: &[Origin]) -> Option<Origin> {
        lobby.next(held).map(|connection| Origin::of(connection.peer.ip()))
    }

    // Otherwise a connected peer could be sent away for one that is no longer there.
    #[test]
    fn whoever_has_hung_up_has_no_turn() {
        let lobby = Lobby::new(10);
        let (dead, other_end) = connection(1);
        let (alive, _stays) = connection(2);
        assert!(lobby.enter(dead) && !lobby.enter(alive));
        let held = [origin(2), origin(2)];
        assert_eq!(lobby.turn(&held), Some(origin(1)), "it has waited longer, and has no place");
        drop(other_end);
        assert_eq!(lobby.turn(&held), Some(origin(2)));
        assert_eq!(take(&lobby, &held), Some(origin(2)));
        assert!(take(&lobby, &held).is_none() && lobby.is_empty());
    }

    // Full of dead connections, the lobby would turn away those that are alive.
    #[test]
    fn whoever_has_hung_up_goes_before_a_peer_that_is_there() {
        let lobby = Lobby::new(3);
        let (alive, _stays) = connection(1);
        let ((first, first_end), (second, _second_end)) = (connection(2), connection(2));
        lobby.enter(alive);
        lobby.enter(first);
        lobby.enter(second);
        drop(first_end);
        // Of two that are there, the later one would have to go.
        lobby.enter(connection(3).0); // its other end is dropped at once
        let order: Vec<_> = std::iter::from_fn(|| take(&lobby, &[])).collect();
        assert_eq!(order, [origin(1), origin(2)], "the newcomer has hung up since");
    }

    // Its wait was the longest, and it is not the peer's fault that we had no thread.
    #[test]
    fn a_connection_that_was_taken_back_is_the_first_again() {
        let lobby = Lobby::new(3);
        let ((first, _first_end), (second, _second_end)) = (connection(1), connection(2));
        lobby.enter(first);
        lobby.enter(second);
        let taken = lobby.next(&[]).expect("two wait");
        lobby.put_back(taken);
        assert_eq!(lobby.turn(&[]), Some(origin(1)));
    }
}
