//! Serving peers one after the other, on this thread. (stage 16)

use std::cell::Cell;
use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use piecemeal::s01_bencode::counted;
use piecemeal::s03_tracker::DEFAULT_PORT;
use piecemeal::s04_handshake::transport::{Hangup, Transport, over_tcp};
use piecemeal::s04_handshake::{Handshake, HandshakeError};
use piecemeal::s05_messages::connection::{Connection, HANDSHAKE_TIMEOUT};
use piecemeal::s07_extension::Extensions;
use piecemeal::s07_extension::dont_have::DontHave;
use piecemeal::s08_metadata::UtMetadata;
use piecemeal::s12_session::host::{Host, Report, Torrent};
use piecemeal::s12_session::stats::PeerStats;
use piecemeal::s12_session::{self, Start};
use piecemeal::s16_uploading::incoming::answer;
use piecemeal::s16_uploading::{UnchokeAll, Uploader};
use serde_json::{Value, json};

use super::failure::Failure;
use super::listening::{cannot_listen, tell_listening};
use super::{Options, json_line, print_line};

/// Time from one look for a peer, or for Ctrl-C, to the next.
const LOOK: Duration = Duration::from_millis(50);
/// BEP 3: "if that port is taken try 6882, then 6883, etc. and give up after 6889".
const LAST_PORT: u16 = 6889;

/// Listens at this port, or at the first of BEP 3's that is free, or else at any.
pub fn listen(ip: IpAddr, port: Option<u16>, options: &Options) -> Result<TcpListener, Failure> {
    let at = |port: u16| TcpListener::bind((ip, port));
    let bound = match port {
        Some(port) => at(port),
        None => (DEFAULT_PORT..=LAST_PORT).find_map(|port| at(port).ok()).map_or_else(|| at(0), Ok),
    };
    let listening = bound.and_then(|listener| {
        // `accept` cannot be interrupted in std, and Ctrl-C must be.
        listener.set_nonblocking(true)?;
        tell_listening(&[listener.local_addr()?], true, options);
        Ok(listener)
    });
    listening.map_err(|error| cannot_listen(Some(ip), port, &error).see("16-uploading"))
}

/// Waits for the next peer; `None` once a signal has come.
pub fn next_peer(listener: &TcpListener, stop: &AtomicBool) -> Option<TcpStream> {
    while !stop.load(Ordering::SeqCst) {
        match listener.accept() {
            // On some systems a stream takes after its listener.
            Ok((stream, _)) if stream.set_nonblocking(false).is_ok() => return Some(stream),
            // Nobody is there, or hung up at once, or no descriptor is free just now.
            _ => thread::sleep(LOOK),
        }
    }
    None
}

/// Serves peers, one at a time. All of them are unchoked.
pub struct Server<'o> {
    /// The host of all sessions, with what was given in all.
    pub host: Arc<Host>,
    ours: Handshake,
    torrent: Arc<Torrent>,
    metadata: Arc<[u8]>,
    /// Number of pieces that are known to have been withdrawn.
    withdrawn: Cell<usize>,
    options: &'o Options,
}

impl Server<'_> {
    /// Says `ours` to each peer, and ends its session when `stop` is set.
    pub fn new(
        ours: Handshake,
        torrent: Torrent,
        stop: Arc<AtomicBool>,
        options: &Options,
    ) -> Server<'_> {
        let say = options.narrator();
        say.say(16, "a peer that wants a piece dials us; one at a time is let in, and all that it requests is answered");
        let mut host = Host::new(move |report| {
            if let Report::PassedOver(peer, what) = report {
                say.say(7, format!("{peer}: {what}"));
            }
        });
        (host.uploads, host.stopping) = (Arc::new(Uploader::new(UnchokeAll)), stop);
        let metadata = torrent.queue.info().raw.clone().into();
        Server {
            host: Arc::new(host),
            ours,
            torrent: Arc::new(torrent),
            metadata,
            withdrawn: Cell::new(0),
            options,
        }
    }

    /// Serves one peer until it leaves. Returns whether it was one: some only check whether anybody
    /// is there.
    pub fn serve(&self, stream: TcpStream) -> bool {
        let Ok(transport) = over_tcp(stream, Instant::now() + HANDSHAKE_TIMEOUT) else {
            return false;
        };
        let transport = super::tracing::came_in(transport); // plugged in
        let (peer, hang_up) = (transport.peer, Arc::clone(&transport.hang_up));
        let served = unless_stopped(&self.host.stopping, &hang_up, || self.talk(transport));
        if let Err(error) = &served {
            self.options.narrator().say(4, format!("{peer} cannot be served: {error}"));
        }
        served.is_ok()
    }

    /// The conversation with one peer, from its handshake to the end.
    fn talk(&self, mut transport: Transport) -> Result<(), HandshakeError> {
        let names = self.torrent.queue.info().names.clone();
        let theirs = answer(&mut transport, &self.ours, &names)?;
        let connection = Connection::new(transport, self.ours, theirs);
        let (peer, stats) = (connection.peer, Arc::new(PeerStats::new(connection.peer)));
        let say = self.options.narrator();
        say.say(
            4,
            format!("{peer} is connected: its handshake names this torrent, and ours has answered"),
        );
        self.tell(&json!({ "event": "joined", "peer": peer.to_string() }));
        let (queue, mut seen) = (&self.torrent.queue, self.withdrawn.get());
        let start = Start {
            host: &self.host,
            torrent: &self.torrent,
            number: 1,
            stats: &stats,
            extensions: Extensions::new(vec![
                Box::new(UtMetadata::new(Some(Arc::clone(&self.metadata)))),
                Box::new(DontHave),
            ]),
            from_magnet: false,
        };
        let why = match s12_session::run(start, connection) {
            Err(end) if !self.host.is_stopping() => end.to_string(),
            _ => "we were told to stop".to_owned(),
        };
        say.say(16, format!("{peer} is gone: {why}"));
        for piece in queue.withdrawn_since(&mut seen) {
            self.options.note(&format!("piece {piece} was changed on disk: it is no longer given"));
        }
        self.withdrawn.set(seen);
        let bytes = stats.uploaded();
        self.options.note(&format!("{} took {}, and has left", peer.ip(), counted(bytes, "byte")));
        self.tell(
            &json!({ "event": "left", "peer": peer.to_string(), "why": why, "bytes": bytes }),
        );
        Ok(())
    }

    fn tell(&self, event: &Value) {
        if self.options.json {
            print_line(&json_line(event));
        }
    }
}

/// Does `work`, and hangs up meanwhile if a signal comes: a read may have to wait for long.
fn unless_stopped<R>(stop: &AtomicBool, hang_up: &Hangup, work: impl FnOnce() -> R) -> R {
    thread::scope(|scope| {
        let (working, done) = mpsc::channel::<()>();
        scope.spawn(move || {
            while done.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                if stop.load(Ordering::SeqCst) {
                    return hang_up();
                }
            }
        });
        let result = work();
        drop(working);
        result
    })
}
