//! Where connections that others have made wait until there is a place for them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::sharing::{Holder, makes_way, next_in_turn};
use crate::s04_handshake::origin::Origin;
use crate::s05_messages::connection::Connection;

/// Connections whose handshakes are done, the longest wait first. A leaf lock.
pub(super) struct Lobby {
    waiting: Mutex<VecDeque<Connection>>,
    most: usize,
}

impl Lobby {
    /// An empty one, for this many.
    pub fn new(most: usize) -> Lobby {
        Lobby { waiting: Mutex::default(), most }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Connection>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Takes one in; returns whether nobody else waits. If the lobby is full, it is
    /// shared by address: the newcomer, or the latest of the address with the most, is
    /// hung up on.
    pub fn enter(&self, connection: Connection) -> bool {
        let mut waiting = self.lock();
        let mut sent_away = None;
        if waiting.len() >= self.most {
            let place = |(position, connection): (usize, &Connection)| Holder {
                origin: Origin::of(connection.peer.ip()),
                worth: Some(self.most - position),
            };
            let places: Vec<_> = waiting.iter().enumerate().map(place).collect();
            let Some(position) = makes_way(&places, Origin::of(connection.peer.ip())) else { return false };
            sent_away = waiting.remove(position);
        }
        waiting.push_back(connection);
        let alone = waiting.len() == 1;
        drop(waiting);
        // It closes its socket, and not under the lock.
        drop(sent_away);
        alone
    }

    /// The address whose turn it is, if these have places.
    pub fn turn(&self, held: &[Origin]) -> Option<Origin> {
        next(&self.lock(), held).map(|(_, origin)| origin)
    }

    /// The connection whose turn it is. It waits no longer.
    pub fn next(&self, held: &[Origin]) -> Option<Connection> {
        let mut waiting = self.lock();
        let (position, _) = next(&waiting, held)?;
        waiting.remove(position)
    }
}

fn next(waiting: &VecDeque<Connection>, held: &[Origin]) -> Option<(usize, Origin)> {
    let line: Vec<Origin> = waiting.iter().map(|connection| Origin::of(connection.peer.ip())).collect();
    let position = next_in_turn(&line, held.iter().copied())?;
    Some((position, *line.get(position)?))
}
