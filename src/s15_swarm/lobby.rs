//! Where incoming connections wait until there is a place for them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::s04_handshake::origin::Origin;
use crate::s05_messages::connection::Connection;
use crate::s14_peer_list::sharing::{Holder, makes_way, next_in_turn};

/// Incoming connections after their handshakes, the longest wait first. A leaf lock.
pub(super) struct Lobby {
    waiting: Mutex<VecDeque<Connection>>,
    most: usize,
}

impl Lobby {
    /// Creates an empty lobby for this many connections.
    pub fn new(most: usize) -> Lobby {
        Lobby { waiting: Mutex::default(), most }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Connection>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Adds a connection; returns whether it is the only one. If the lobby is full, connections that
    /// have ended meanwhile make room. If none has, we hang up on the newcomer, or on the latest
    /// connection of the address with the most.
    pub fn enter(&self, connection: Connection) -> bool {
        // Declared before the lock, so that these sockets are closed after it is released.
        let mut sent_away = Vec::new();
        let mut waiting = self.lock();
        if waiting.len() >= self.most {
            for mut connection in std::mem::take(&mut *waiting) {
                if connection.has_ended() {
                    sent_away.push(connection)
                } else {
                    waiting.push_back(connection)
                }
            }
        }
        if waiting.len() >= self.most {
            let place = |(position, connection): (usize, &Connection)| Holder {
                origin: Origin::of(connection.peer.ip()),
                worth: Some(self.most - position),
            };
            let places: Vec<_> = waiting.iter().enumerate().map(place).collect();
            let Some(position) = makes_way(&places, Origin::of(connection.peer.ip())) else {
                return false;
            };
            sent_away.extend(waiting.remove(position));
        }
        waiting.push_back(connection);
        waiting.len() == 1
    }

    /// Returns the address whose turn it is, given those that hold places.
    pub fn turn(&self, held: &[Origin]) -> Option<Origin> {
        let mut ended = Vec::new();
        let mut waiting = self.lock();
        next(&mut waiting, held, &mut ended).map(|(_, origin)| origin)
    }

    /// Removes and returns the connection whose turn it is.
    pub fn next(&self, held: &[Origin]) -> Option<Connection> {
        let mut ended = Vec::new();
        let mut waiting = self.lock();
        let (position, _) = next(&mut waiting, held, &mut ended)?;
        waiting.remove(position)
    }

    /// Puts a connection back at the front: it had its turn, but could not be started.
    pub fn put_back(&self, connection: Connection) {
        self.lock().push_front(connection);
    }
}

/// Returns the connection whose turn it is. It must still be alive, because a connected peer may
/// have to go for it. So connections that have ended are taken out.
fn next(
    waiting: &mut VecDeque<Connection>,
    held: &[Origin],
    ended: &mut Vec<Connection>,
) -> Option<(usize, Origin)> {
    loop {
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

    /// A connection from 192.0.2.`host`, and its other end.
    fn connection(host: u8) -> (Connection, Transport) {
        let hello = Handshake::new(InfoHash([7; 20]), PeerId([host; 20]));
        let (ours, theirs) = pair(
            100,
            SocketAddr::from(([10, 0, 0, 1], 1)),
            SocketAddr::from(([192, 0, 2, host], 6881)),
        );
        (Connection::new(ours, hello, hello), theirs)
    }

    fn origin(host: u8) -> Origin {
        Origin::of([192, 0, 2, host].into())
    }

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
        assert_eq!(
            lobby.next(&held).map(|connection| connection.peer.ip()),
            Some([192, 0, 2, 2].into())
        );
        assert!(lobby.next(&held).is_none() && lobby.is_empty());
    }

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
        lobby.enter(connection(3).0);
        let order: Vec<_> =
            std::iter::from_fn(|| lobby.next(&[])).map(|connection| connection.peer.ip()).collect();
        assert_eq!(
            order,
            [[192, 0, 2, 1], [192, 0, 2, 2]].map(std::net::IpAddr::from),
            "the newcomer has hung up since"
        );
    }

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
