//! A listener that runs a script for each connection.

use super::jitter;
use super::line::Line;
use super::recording::Recording;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// The most connections that are taken. A client that comes more often is in a loop.
const MAX_CONNECTIONS: usize = 8_192;

type Script = dyn Fn(&mut Line, usize) + Send + Sync;
type Partner = dyn Fn(SocketAddr) -> String + Send + Sync;

/// Listens on loopback, and runs a closure for each connection, on a thread of its own.
///
/// Dropping it stops accepting, ends all connections and waits for their threads.
#[derive(Debug)]
pub struct Scripted {
    address: SocketAddr,
    recordings: Arc<Mutex<Vec<Recording>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread that accepts needs.
struct Listening {
    listener: TcpListener,
    script: Arc<Script>,
    partner: String,
    recordings: Arc<Mutex<Vec<Recording>>>,
    stop: Arc<AtomicBool>,
}

impl Scripted {
    /// Listens on a free port of this address. The script sees the connection, and how many came
    /// before it; when it returns, the connection is closed.
    ///
    /// # Errors
    /// If the address is none of this machine's.
    pub fn listen(
        address: IpAddr,
        script: impl Fn(&mut Line, usize) + Send + Sync + 'static,
    ) -> io::Result<Scripted> {
        Scripted::start(address, &|address| address.to_string(), Arc::default(), script)
    }

    /// The same, with the name under which the client knows it, and with a flag that ends it.
    pub(super) fn start(
        address: IpAddr,
        partner: &Partner,
        stop: Arc<AtomicBool>,
        script: impl Fn(&mut Line, usize) + Send + Sync + 'static,
    ) -> io::Result<Scripted> {
        let listener = TcpListener::bind((address, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let recordings = Arc::new(Mutex::new(Vec::new()));
        let listening = Listening {
            listener,
            script: Arc::new(script),
            partner: partner(address),
            recordings: recordings.clone(),
            stop: stop.clone(),
        };
        let thread = Builder::new().name("actor".into()).spawn(move || listening.run())?;
        Ok(Scripted { address, recordings, stop, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The recordings of all connections so far, in order.
    pub fn recordings(&self) -> Vec<Recording> {
        jitter::lock(&self.recordings).clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Listening {
    fn run(self) {
        let mut threads: Vec<JoinHandle<()>> = Vec::new();
        while !self.stop.load(Ordering::SeqCst) {
            match self.listener.accept() {
                Ok((stream, client)) => {
                    threads.retain(|thread| !thread.is_finished());
                    threads.extend(self.connected(stream, client));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(3)),
            }
        }
        // Whoever dials from now on is refused, while the last connections end.
        drop(self.listener);
        for thread in threads {
            let _ = thread.join();
        }
    }

    /// Starts the script for a connection. Without a thread for it, the connection is closed.
    fn connected(&self, stream: TcpStream, client: SocketAddr) -> Option<JoinHandle<()>> {
        let recording = Recording::new(self.partner.clone(), Some(client));
        let number = {
            let mut recordings = jitter::lock(&self.recordings);
            if recordings.len() >= MAX_CONNECTIONS {
                return None;
            }
            recordings.push(recording.clone());
            recordings.len() - 1
        };
        let (script, stop) = (self.script.clone(), self.stop.clone());
        let run = move || {
            if let Ok(mut line) = Line::new(stream, recording, stop) {
                script(&mut line, number);
            }
        };
        Builder::new().name("actor's line".into()).spawn(run).ok()
    }
}
