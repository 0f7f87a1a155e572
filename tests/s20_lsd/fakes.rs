//! A room without a network, and a host that hands over what a source reports.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s03_tracker::PeerId;
use piecemeal::s04_handshake::Handshake;
use piecemeal::s13_peer_sources::source::{SourceHost, SourceReport};
use piecemeal::s13_peer_sources::start;
use piecemeal::s20_lsd::pace::Pace;
use piecemeal::s20_lsd::room::Room;
use piecemeal::s20_lsd::{GROUP_V4, LocalDiscovery};

use super::datagrams::HASH;
use crate::support::LIMIT;

/// The source's side of the room.
struct FakeRoom {
    inbox: Receiver<Said>,
    sent: Mutex<Sender<Vec<u8>>>,
}

impl Room for FakeRoom {
    fn group(&self) -> SocketAddr {
        GROUP_V4
    }

    fn send(&self, datagram: &[u8]) -> io::Result<()> {
        let sent = self.sent.lock().expect("no room panics");
        sent.send(datagram.to_vec()).map_err(|_| io::Error::other("the test is over"))
    }

    fn receive(
        &self,
        time: Duration,
        buffer: &mut [u8],
    ) -> io::Result<Option<(usize, SocketAddr)>> {
        match self.inbox.recv_timeout(time) {
            Ok((datagram, from)) => {
                let length = datagram.len().min(buffer.len());
                buffer[..length].copy_from_slice(&datagram[..length]);
                Ok(Some((length, from)))
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("the room is closed")),
        }
    }
}

/// What is said in a room: a datagram and its sender.
pub type Said = (Vec<u8>, SocketAddr);

/// A room; what is said in it; and what the source sends, until the source is gone.
pub fn room() -> (Box<dyn Room>, Sender<Said>, Receiver<Vec<u8>>) {
    let (say, inbox) = mpsc::channel();
    let (sent, sent_out) = mpsc::channel();
    (Box::new(FakeRoom { inbox, sent: Mutex::new(sent) }), say, sent_out)
}

/// A source in a room, from the room's side. It is told to stop when this is dropped.
pub struct Inhabited {
    say: Option<Sender<Said>>,
    sent: Receiver<Vec<u8>>,
    reports: Receiver<SourceReport>,
    host: SourceHost,
}

impl Inhabited {
    /// A source that listens at this port, and has just started.
    pub fn by(port: u16) -> Inhabited {
        Inhabited::at_pace(port, Pace::new(Instant::now()))
    }

    /// One that has been here for a while: its next datagram is due in five minutes, far beyond the
    /// limit of any wait here.
    pub fn settled() -> Inhabited {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        for _ in 0..3 {
            pace.announced(now);
        }
        Inhabited::at_pace(6881, pace)
    }

    fn at_pace(port: u16, pace: Pace) -> Inhabited {
        let (room, say, sent_out) = room();
        let (report, reports) = mpsc::channel();
        let host = SourceHost {
            signals: Arc::default(),
            counters: Arc::default(),
            handshake: Arc::new(|| Handshake::new(InfoHash([0; 20]), PeerId::random())),
            names: HASH.into(),
            max_handshakes: 0,
            report: Arc::new(move |said| report.send(said).is_ok()),
            hands: None,
        };
        start(Box::new(LocalDiscovery::new(room, HASH, port).at_pace(pace)), 3, &host);
        Inhabited { say: Some(say), sent: sent_out, reports, host }
    }

    /// Somebody in the room sends a datagram.
    pub fn says(&self, datagram: impl AsRef<[u8]>, from: &str) {
        let from = from.parse().expect("an address");
        let say = self.say.as_ref().expect("the room is open");
        say.send((datagram.as_ref().to_vec(), from)).expect("the source listens");
    }

    /// The next datagram of the source.
    #[track_caller]
    pub fn sent(&self) -> Vec<u8> {
        self.sent.recv_timeout(LIMIT).expect("the source sends")
    }

    /// The datagrams that have gone out since.
    pub fn sent_so_far(&self) -> usize {
        self.sent.try_iter().count()
    }

    /// The next addresses that are to be dialed.
    #[track_caller]
    pub fn found(&self) -> Vec<String> {
        loop {
            match self.reports.recv_timeout(LIMIT).expect("the source reports") {
                SourceReport::Found { addresses, .. } => {
                    return addresses.iter().map(ToString::to_string).collect();
                }
                SourceReport::Gone(_) => panic!("the source has ended"),
                _ => {}
            }
        }
    }

    /// The room's network is gone, once all that was said has been heard.
    pub fn close(&mut self) {
        self.say = None;
    }

    /// Tells the source to stop.
    pub fn stop(&self) {
        self.host.signals.stop();
    }

    /// Says that there are no peers.
    pub fn hungry(&self) {
        self.host.signals.hungry();
    }

    /// What it says and finds until its end.
    #[track_caller]
    pub fn last_words(&self) -> Vec<String> {
        let mut words = Vec::new();
        loop {
            match self.reports.recv_timeout(LIMIT).expect("the source reports its end") {
                SourceReport::Said { source, what, .. } => words.push(format!("{source}: {what}")),
                SourceReport::Found { addresses, .. } => words.push(format!("found {addresses:?}")),
                SourceReport::Gone(3) => return words,
                _ => {}
            }
        }
    }
}

impl Drop for Inhabited {
    fn drop(&mut self) {
        self.stop();
    }
}
