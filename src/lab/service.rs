//! Listening: a thread that accepts, one for each connection, and an end that comes.
//!
//! `accept` cannot be interrupted in std. So whoever stops the service connects to
//! it, which wakes the thread that waits there; every other wait in here is in a
//! read or a write, and those a hang-up wakes.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::s04_handshake::transport::{Hangup, Transport, over_tcp};
use crate::s12_seeding::listener::wake;

/// What each thread gets of the address space.
const STACK: usize = 512 << 10;
/// How long the end waits for its threads.
const END_TIME: Duration = Duration::from_secs(2);
/// How long a new connection has until its owner sets a deadline.
const FIRST_DEADLINE: Duration = Duration::from_secs(10);

/// What happens to the service once a connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// It goes on.
    GoOn,
    /// It stops, and with it all connections.
    Stop,
}

/// What is done with a connection, on a thread of its own; with it goes the address by
/// which the other side reached us. It must come back soon after the connection was
/// hung up.
pub type Serve = Arc<dyn Fn(Transport, SocketAddr) -> After + Send + Sync>;

/// A listener and its connections. Dropping it ends them.
pub struct Service {
    shared: Arc<Shared>,
}

struct Shared {
    address: SocketAddr,
    state: Mutex<State>,
    /// Something in `state` has ended.
    changed: Condvar,
}

struct State {
    stopping: bool,
    accepting: bool,
    next: u64,
    open: HashMap<u64, Hangup>,
}

impl Service {
    /// Serves at most `limit` connections at a time; one too many is closed at once.
    ///
    /// # Errors
    /// If the listener has no address, or the system refuses a thread.
    pub fn start(listener: TcpListener, name: &str, limit: usize, serve: Serve) -> io::Result<Service> {
        let state = State { stopping: false, accepting: true, next: 0, open: HashMap::new() };
        let shared = Arc::new(Shared { address: listener.local_addr()?, state: Mutex::new(state), changed: Condvar::new() });
        let accepting = Accepting(Arc::clone(&shared));
        let thread_name = format!("{name} peer");
        let work = move || {
            let accepting = accepting; // the first to be made, so that it is the last to go
            accepting.0.accept_all(listener, limit, &thread_name, &serve);
        };
        thread::Builder::new().name(format!("{name} accept")).stack_size(STACK).spawn(work)?;
        Ok(Service { shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Whether it has not been stopped.
    pub fn is_running(&self) -> bool {
        !self.shared.lock().stopping
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.shared.stop();
        let until = Instant::now() + END_TIME;
        let mut state = self.shared.lock();
        while state.accepting || !state.open.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return; // whoever is left has deadlines of its own
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept_all(self: &Arc<Shared>, listener: TcpListener, limit: usize, name: &str, serve: &Serve) {
        loop {
            let accepted = listener.accept();
            if self.lock().stopping {
                return; // closes the listener, and resets who is still in its queue
            }
            match accepted {
                Ok((stream, _)) => self.spawn(stream, limit, name, serve),
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                // No descriptor is free, most likely. It will be one day.
                Err(_) => thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    fn spawn(self: &Arc<Shared>, stream: TcpStream, limit: usize, name: &str, serve: &Serve) {
        // A stream that has ended already, or one too many, is just dropped.
        let Ok(reached) = stream.local_addr() else { return };
        let Ok(transport) = over_tcp(stream, Instant::now() + FIRST_DEADLINE) else { return };
        let Some(open) = Open::new(self, &transport.hang_up, limit) else { return };
        let serve = Arc::clone(serve);
        let work = move || {
            let open = open; // as above
            if serve(transport, reached) == After::Stop {
                open.shared.stop();
            }
        };
        // Without a thread, the closure is dropped, and with it the connection.
        let _ = thread::Builder::new().name(name.to_owned()).stack_size(STACK).spawn(work);
    }

    /// Hangs up on all, and wakes the thread that accepts. Waits for nobody.
    fn stop(&self) {
        let hang_ups: Vec<Hangup> = {
            let mut state = self.lock();
            if std::mem::replace(&mut state.stopping, true) {
                return;
            }
            state.open.values().cloned().collect()
        };
        hang_ups.iter().for_each(|hang_up| hang_up());
        wake(self.address);
    }
}

/// The thread that accepts is there.
struct Accepting(Arc<Shared>);

impl Drop for Accepting {
    fn drop(&mut self) {
        self.0.lock().accepting = false;
        self.0.changed.notify_all();
    }
}

/// A connection's place in the list of those that are open.
struct Open {
    shared: Arc<Shared>,
    number: u64,
}

impl Open {
    /// `None` when it is one too many, or too late. To look and to enter are one turn
    /// at the lock, so that no connection can miss the hang-up.
    fn new(shared: &Arc<Shared>, hang_up: &Hangup, limit: usize) -> Option<Open> {
        let mut state = shared.lock();
        if state.stopping || state.open.len() >= limit {
            return None;
        }
        let number = state.next;
        state.next += 1;
        state.open.insert(number, Arc::clone(hang_up));
        Some(Open { shared: Arc::clone(shared), number })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // It is the socket's last owner, and must not close it under the lock.
        let hang_up = self.shared.lock().open.remove(&self.number);
        if let Some(hang_up) = hang_up {
            hang_up();
        }
        self.shared.changed.notify_all();
    }
}
