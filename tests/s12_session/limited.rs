//! A session with a limit of its own, on a line that answers on the session's thread. So what it
//! does between two sleeps is known exactly, however busy the machine is.

use super::super::support::{Torrent, wire};
use super::memory::{Memory, info, queue};
use piecemeal::s03_tracker::PeerId;
use piecemeal::s04_handshake::Handshake;
use piecemeal::s04_handshake::transport::{ReadHalf, Transport, WriteHalf};
use piecemeal::s05_messages::connection::Connection;
use piecemeal::s07_extension::Extensions;
use piecemeal::s10_storage::Store;
use piecemeal::s12_session::host::{Host, SessionEnd};
use piecemeal::s12_session::rate::Rate;
use piecemeal::s12_session::stats::PeerStats;
use piecemeal::s12_session::{Start, host, run};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Instant;

/// What the session does, as its line sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Sleeps,
    Requests,
}

/// A peer that has everything, and has answered before a write returns.
struct Perfect {
    torrent: Torrent,
    deadline: Instant,
    /// What the session has written, from the start of a message.
    written: Vec<u8>,
    /// What it can read.
    answers: VecDeque<u8>,
    deeds: Vec<Deed>,
}

impl Perfect {
    fn answer(&mut self) {
        while let Some(length) = self.written.first_chunk().map(|four| u32::from_be_bytes(*four)) {
            let end = 4 + length as usize;
            if self.written.len() < end {
                return;
            }
            let message: Vec<u8> = self.written.drain(..end).collect();
            match message.get(4) {
                Some(&wire::INTERESTED) => self.answers.extend(wire::message(wire::UNCHOKE, &[])),
                Some(&wire::REQUEST) => {
                    self.deeds.push(Deed::Requests);
                    let (piece, begin, length) = wire::three(&message[5..]).expect("three numbers");
                    let (begin, end) = (begin as usize, (begin + length) as usize);
                    let block = &self.torrent.piece(piece as usize)[begin..end];
                    self.answers.extend(wire::block(piece, begin as u32, block));
                }
                _ => {}
            }
        }
    }
}

/// Both halves of the line.
#[derive(Clone)]
struct Line(Arc<Mutex<Perfect>>);

impl Line {
    fn peer(&self) -> MutexGuard<'_, Perfect> {
        self.0.lock().expect("nobody panics with this lock")
    }
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut peer = self.peer();
        if !peer.answers.is_empty() {
            return peer.answers.read(buffer);
        }
        peer.deeds.push(Deed::Sleeps);
        thread::sleep(peer.deadline.saturating_duration_since(Instant::now()));
        Err(ErrorKind::TimedOut.into())
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut peer = self.peer();
        peer.written.extend_from_slice(bytes);
        peer.answer();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ReadHalf for Line {
    fn set_deadline(&mut self, deadline: Instant) {
        self.peer().deadline = deadline;
    }

    fn has_ended(&self) -> bool {
        false
    }
}

impl WriteHalf for Line {
    fn set_deadline(&mut self, _: Instant) {}
}

#[test]
fn a_session_asks_as_soon_as_its_limit_lets_it() {
    // Ten blocks a second. So the limit lets it ask again within one sleep of 250 ms.
    let (torrent, rate) = (Torrent::of_pieces(5, 12), 10 * 16_384);
    let store = Memory::of(&torrent);
    let all = wire::message(wire::BITFIELD, &wire::bitfield(&vec![true; torrent.pieces()]));
    let line = Line(Arc::new(Mutex::new(Perfect {
        torrent: torrent.clone(),
        deadline: Instant::now(),
        written: Vec::new(),
        answers: all.into(),
        deeds: Vec::new(),
    })));
    let host = Host { download_limit: Rate::new(Some(rate)), ..Host::new(|_| {}) };
    let shared = host::Torrent {
        queue: queue(&torrent),
        store: Arc::clone(&store) as Arc<dyn Store>,
        upload_only: false,
    };
    let peer = SocketAddr::from(([10, 12, 0, 1], 6881));
    let hello = || Handshake::new(info(&torrent).info_hash, PeerId::random());
    let transport = Transport {
        peer,
        reader: Box::new(line.clone()),
        writer: Box::new(line.clone()),
        hang_up: Arc::new(|| {}),
    };
    let start = Start {
        host: &Arc::new(host),
        torrent: &Arc::new(shared),
        number: 1,
        stats: &Arc::new(PeerStats::new(peer)),
        extensions: Extensions::default(),
        from_magnet: false,
    };
    let end = run(start, Connection::new(transport, hello(), hello()));
    assert!(matches!(end, Err(SessionEnd::BothComplete)), "{end:?}");
    assert!(store.content() == torrent.content);
    let deeds = line.peer().deeds.clone();
    assert!(deeds.contains(&Deed::Sleeps), "the limit makes it wait: {deeds:?}");
    let twice = deeds.windows(2).any(|two| two == [Deed::Sleeps; 2]);
    assert!(!twice, "it woke up when it could ask, and slept on: {deeds:?}");
}
