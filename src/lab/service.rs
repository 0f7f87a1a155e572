//! A listener with a thread that accepts, a thread for each connection, and a reliable end.
//!
//! std cannot interrupt `accept`. So the end connects to the listener, which wakes the waiting
//! thread. Every other wait is in a read or a write, which a hang-up wakes.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::s04_handshake::descriptors::is_exhausted;
use crate::s04_handshake::origin::Origin;
use crate::s04_handshake::transport::{Hangup, Transport, over_tcp};
use crate::s14_peer_list::sharing::{Holder, first_to_go, makes_way};
use crate::s17_seeding::accept::wake;

/// The stack of each thread, in bytes.
const STACK: usize = 512 << 10;
/// The wait after the system refuses another connection.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);
/// The longest time that the end waits for the threads.
const END_TIMEOUT: Duration = Duration::from_secs(2);
/// The deadline of a new connection until its owner sets one.
const FIRST_DEADLINE: Duration = Duration::from_secs(10);

/// What happens to a newcomer when all places are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// The oldest connection of the address with the most always goes. That suits short
    /// conversations: a client that has not finished by then is too slow for the crowd.
    OneGoes,
    /// The oldest connection of the address with the most goes only if that address has too
    /// many, compared with the newcomer's. Otherwise the newcomer is turned away.
    Shares,
}

/// What happens to the service after a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterServing {
    /// It goes on.
    GoOn,
    /// It stops, and with it all connections.
    Stop,
}

/// Serves a connection on a thread of its own; the address is ours, as the other side
/// dialed it. It must return soon after a hang-up.
pub type Serve = Arc<dyn Fn(Transport, SocketAddr) -> AfterServing + Send + Sync>;

/// A listener and its connections. Dropping it ends them.
pub struct Service {
    shared: Arc<Shared>,
}

struct Shared {
    address: SocketAddr,
    state: Mutex<State>,
    /// Signals that something in `state` has ended.
    changed: Condvar,
}

struct State {
    stopping: bool,
    accepting: bool,
    next: u64,
    /// The connections by number, so in the order of their arrival.
    open: BTreeMap<u64, ServedConnection>,
}

/// A connection that is being served.
struct ServedConnection {
    origin: Origin,
    hang_up: Hangup,
}

impl Service {
    /// Serves at most `limit` connections at a time. Places are shared by address.
    ///
    /// # Errors
    /// If the listener has no address, or the system refuses a thread.
    pub fn start(
        listener: TcpListener,
        name: &str,
        limit: usize,
        when_full: WhenFull,
        serve: Serve,
    ) -> io::Result<Service> {
        let state = State { stopping: false, accepting: true, next: 0, open: BTreeMap::new() };
        let shared = Arc::new(Shared {
            address: listener.local_addr()?,
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let accepting = Accepting(Arc::clone(&shared));
        let thread_name = format!("{name} peer");
        let work = move || {
            let accepting = accepting; // the first to be made, so that it is the last to go
            accepting.0.accept_all(listener, (limit, when_full), &thread_name, &serve);
        };
        thread::Builder::new().name(format!("{name} accept")).stack_size(STACK).spawn(work)?;
        Ok(Service { shared })
    }

    /// Returns the address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Whether the service still runs.
    pub fn is_running(&self) -> bool {
        !self.shared.lock().stopping
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.shared.stop();
        let deadline = Instant::now() + END_TIMEOUT;
        let mut state = self.shared.lock();
        while state.accepting || !state.open.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return; // the threads that are left have deadlines of their own
            }
            state = self
                .shared
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept_all(
        self: &Arc<Shared>,
        listener: TcpListener,
        limit: (usize, WhenFull),
        name: &str,
        serve: &Serve,
    ) {
        loop {
            let accepted = listener.accept();
            if self.lock().stopping {
                return; // closes the listener, and resets connections in its queue
            }
            match accepted {
                Ok((stream, _)) => self.spawn(stream, limit, name, serve),
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => self.wait_for_room(limit.1, &error),
            }
        }
    }

    fn spawn(
        self: &Arc<Shared>,
        stream: TcpStream,
        limit: (usize, WhenFull),
        name: &str,
        serve: &Serve,
    ) {
        // A stream that has ended already, or one too many, is dropped.
        let Ok(reached) = stream.local_addr() else { return };
        let Ok(transport) = over_tcp(stream, Instant::now() + FIRST_DEADLINE) else { return };
        let Some(open) = OpenGuard::new(self, &transport, limit) else { return };
        let serve = Arc::clone(serve);
        let work = move || {
            let open = open; // moved in, to be dropped when the thread ends
            if serve(transport, reached) == AfterServing::Stop {
                open.shared.stop();
            }
        };
        // If the system refuses a thread, the closure is dropped, and with it the connection.
        let _ = thread::Builder::new().name(name.to_owned()).stack_size(STACK).spawn(work);
    }

    /// Waits a moment for a connection to end. If the process may open no more descriptors, a
    /// connection has to go even though places are free.
    fn wait_for_room(&self, when_full: WhenFull, error: &io::Error) {
        let goes = if is_exhausted(error) { self.lock().make_room(None, when_full) } else { None };
        if let Some(place) = goes {
            (place.hang_up)();
        }
        drop(self.changed.wait_timeout(self.lock(), ACCEPT_RETRY));
    }

    /// Hangs up on all connections, and wakes the thread that accepts. Does not wait for any.
    fn stop(&self) {
        let hang_ups: Vec<Hangup> = {
            let mut state = self.lock();
            if std::mem::replace(&mut state.stopping, true) {
                return;
            }
            state.open.values().map(|place| Arc::clone(&place.hang_up)).collect()
        };
        hang_ups.iter().for_each(|hang_up| hang_up());
        wake(self.address);
    }
}

/// A marker that the accepting thread exists.
struct Accepting(Arc<Shared>);

impl Drop for Accepting {
    fn drop(&mut self) {
        self.0.lock().accepting = false;
        self.0.changed.notify_all();
    }
}

/// A connection's place in the list of those that are open.
struct OpenGuard {
    shared: Arc<Shared>,
    number: u64,
}

impl OpenGuard {
    /// Enters a connection; `None` if it is one too many, or too late. The check and the entry
    /// happen under one lock, so that no connection can miss the hang-up.
    fn new(
        shared: &Arc<Shared>,
        transport: &Transport,
        (limit, when_full): (usize, WhenFull),
    ) -> Option<OpenGuard> {
        let newcomer = Origin::of(transport.peer.ip());
        let mut state = shared.lock();
        if state.stopping {
            return None;
        }
        let goes = if state.open.len() >= limit {
            Some(state.make_room(Some(newcomer), when_full)?)
        } else {
            None
        };
        let number = state.next;
        state.next += 1;
        state.open.insert(
            number,
            ServedConnection { origin: newcomer, hang_up: Arc::clone(&transport.hang_up) },
        );
        drop(state);
        // The thread of that connection wakes up and finds that it has no place any more.
        if let Some(place) = goes {
            (place.hang_up)();
        }
        Some(OpenGuard { shared: Arc::clone(shared), number })
    }
}

impl State {
    /// Removes the connection that makes way for a newcomer, whose address may be unknown;
    /// `None` if none has to.
    fn make_room(
        &mut self,
        newcomer: Option<Origin>,
        when_full: WhenFull,
    ) -> Option<ServedConnection> {
        let holders: Vec<_> = self
            .open
            .iter()
            .map(|(number, place)| Holder { origin: place.origin, worth: Some(*number) })
            .collect();
        let position = match when_full {
            WhenFull::OneGoes => first_to_go(&holders)?,
            WhenFull::Shares => makes_way(&holders, newcomer?)?,
        };
        let number = *self.open.keys().nth(position)?;
        self.open.remove(&number)
    }
}

impl Drop for OpenGuard {
    fn drop(&mut self) {
        // The place is the socket's last owner, and must not be dropped under the lock.
        let place = self.shared.lock().open.remove(&self.number);
        if let Some(place) = place {
            (place.hang_up)();
        }
        self.shared.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the number of the place that is given up; places are in the order of arrival.
    fn goes(places: &str, newcomer: char, when_full: WhenFull) -> Option<u64> {
        let origin = |name: char| Origin::of([192, 0, 2, name as u8].into());
        let place = |name| ServedConnection { origin: origin(name), hang_up: Arc::new(|| {}) };
        let open: BTreeMap<u64, ServedConnection> = (0..).zip(places.chars().map(place)).collect();
        let mut state = State { stopping: false, accepting: true, next: 100, open };
        let before: Vec<u64> = state.open.keys().copied().collect();
        state.make_room(Some(origin(newcomer)), when_full)?;
        before.into_iter().find(|number| !state.open.contains_key(number))
    }

    #[test]
    fn the_oldest_of_the_address_with_the_most_places_goes() {
        for (places, newcomer, one_goes, shares) in [
            ("ABB", 'C', Some(1), Some(1)),
            ("ABBB", 'A', Some(1), Some(1)),
            ("BAB", 'B', Some(0), None),
            ("ABC", 'D', Some(0), None),
        ] {
            assert_eq!(
                goes(places, newcomer, WhenFull::OneGoes),
                one_goes,
                "{newcomer} comes to {places}"
            );
            assert_eq!(
                goes(places, newcomer, WhenFull::Shares),
                shares,
                "{newcomer} comes to {places}"
            );
        }
    }
}
