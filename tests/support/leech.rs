//! A peer that dials and downloads, well or as badly as the test likes.

use super::torrent::Torrent;
use super::wire;
use super::{LIMIT, jitter};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The time without a message that counts as silence.
const SILENCE: Duration = Duration::from_millis(400);
/// The number of outstanding requests of an honest peer.
const AHEAD: usize = 16;

/// What came next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A message that is not a keep-alive: its id, and what follows.
    Message(u8, Vec<u8>),
    /// The end of the connection, of whatever kind.
    Closed,
    /// Nothing for a while.
    Silence,
}

/// One connection to a peer that uploads.
pub struct Leech {
    stream: TcpStream,
    input: Vec<u8>,
    closed: bool,
    /// Whether it may receive blocks in spite of a choke (BEP 6).
    fast: bool,
    /// The handshake that came back.
    pub handshake: Vec<u8>,
}

/// The payload of request, cancel and reject.
pub fn numbers(piece: u32, begin: u32, length: u32) -> Vec<u8> {
    [piece, begin, length].iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// A request, with its length prefix.
pub fn request(piece: u32, begin: u32, length: u32) -> Vec<u8> {
    wire::message(wire::REQUEST, &numbers(piece, begin, length))
}

/// A peer id that no other leech of this process has.
pub fn peer_id() -> [u8; 20] {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let text = format!("-LE0001-{:012}", NEXT.fetch_add(1, Ordering::Relaxed));
    text.into_bytes().try_into().expect("eight and twelve are twenty")
}

impl Leech {
    /// Speaks no extension at all.
    pub fn plain(address: SocketAddr, torrent: &Torrent) -> Leech {
        Leech::dial(address, torrent, [0; 8]).expect("the seed takes us in")
    }

    /// Speaks the fast extension, and has nothing.
    pub fn fast(address: SocketAddr, torrent: &Torrent) -> Leech {
        let mut leech = Leech::dial(address, torrent, [0, 0, 0, 0, 0, 0, 0, wire::FAST_BIT])
            .expect("the seed takes us in");
        leech.fast = true;
        leech.say(&wire::message(wire::HAVE_NONE, b""));
        leech
    }

    /// Speaks the extension protocol, and has not yet greeted.
    pub fn extended(address: SocketAddr, torrent: &Torrent) -> Leech {
        Leech::dial(address, torrent, [0, 0, 0, 0, 0, wire::EXTENSION_BIT, 0, 0])
            .expect("the seed takes us in")
    }

    /// Connects and shakes hands.
    pub fn dial(address: SocketAddr, torrent: &Torrent, reserved: [u8; 8]) -> io::Result<Leech> {
        let mut leech = Leech::connect(address)?;
        leech.stream.write_all(&wire::handshake(reserved, torrent.info_hash, peer_id()))?;
        leech.stream.set_read_timeout(Some(LIMIT))?;
        let mut handshake = vec![0; 68];
        leech.stream.read_exact(&mut handshake)?;
        leech.handshake = handshake;
        Ok(leech)
    }

    /// Connects, and says nothing.
    pub fn connect(address: SocketAddr) -> io::Result<Leech> {
        let stream = TcpStream::connect_timeout(&address, LIMIT)?;
        stream.set_write_timeout(Some(LIMIT))?;
        stream.set_nodelay(true)?;
        Ok(Leech { stream, input: Vec::new(), closed: false, fast: false, handshake: Vec::new() })
    }

    /// Sends bytes; false if the other side is gone.
    pub fn try_say(&mut self, bytes: &[u8]) -> bool {
        jitter::around(|| self.stream.write_all(bytes)).is_ok()
    }

    /// Sends bytes that must be accepted.
    #[track_caller]
    pub fn say(&mut self, bytes: &[u8]) {
        jitter::around(|| self.stream.write_all(bytes)).expect("the seed takes what we say");
    }

    /// Sends these bytes up to `times` times, as far as the socket takes them without delay;
    /// returns the number of bytes sent. Reads nothing.
    pub fn flood(&mut self, bytes: &[u8], times: usize) -> usize {
        let _ = self.stream.set_write_timeout(Some(Duration::from_millis(700)));
        let mut gone = 0;
        for _ in 0..times {
            let mut rest = bytes;
            while !rest.is_empty() {
                match self.stream.write(rest) {
                    Ok(count) if count > 0 => (gone, rest) = (gone + count, &rest[count..]),
                    _ => return gone,
                }
            }
        }
        let _ = self.stream.set_write_timeout(Some(LIMIT));
        gone
    }

    /// What comes next, within this time.
    pub fn hear_within(&mut self, time: Duration) -> Heard {
        let until = Instant::now() + time;
        loop {
            let length =
                self.input.first_chunk().map(|prefix| u32::from_be_bytes(*prefix) as usize);
            if let Some(length) = length.filter(|length| self.input.len() >= 4 + length) {
                let message: Vec<u8> = self.input.drain(..4 + length).skip(4).collect();
                match message.split_first() {
                    Some((id, payload)) => return Heard::Message(*id, payload.to_vec()),
                    None => continue,
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            if self.closed || left.is_zero() {
                return if self.closed { Heard::Closed } else { Heard::Silence };
            }
            let _ = self.stream.set_read_timeout(Some(left));
            let mut chunk = [0; 65_536];
            match jitter::around(|| self.stream.read(&mut chunk)) {
                Ok(0) => self.closed = true,
                Ok(count) => self.input.extend_from_slice(&chunk[..count]),
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                Err(_) => self.closed = true,
            }
        }
    }

    /// The next message, which must come.
    #[track_caller]
    pub fn hear(&mut self) -> (u8, Vec<u8>) {
        match self.hear_within(LIMIT) {
            Heard::Message(id, payload) => (id, payload),
            other => panic!("a message was expected, not {other:?}"),
        }
    }

    /// Skips messages until one with this id, which must come.
    #[track_caller]
    pub fn until(&mut self, id: u8) -> Vec<u8> {
        loop {
            let (found, payload) = self.hear();
            if found == id {
                return payload;
            }
        }
    }

    /// All messages until nothing comes for a while, and whether the connection ended.
    pub fn until_silence(&mut self) -> (Vec<(u8, Vec<u8>)>, bool) {
        let mut all = Vec::new();
        loop {
            match self.hear_within(SILENCE) {
                Heard::Message(id, payload) => all.push((id, payload)),
                Heard::Closed => return (all, true),
                Heard::Silence => return (all, false),
            }
        }
    }

    /// Waits until the seed has handled everything sent so far, and returns its messages until
    /// then: a request for a metadata piece that does not exist is rejected. For [`Leech::extended`].
    #[track_caller]
    pub fn fence(&mut self) -> Vec<(u8, Vec<u8>)> {
        self.say(&wire::extended(0, b"d1:md11:ut_metadatai3eee"));
        self.say(&wire::extended(1, b"d8:msg_typei0e5:piecei99999ee"));
        let mut before = Vec::new();
        loop {
            let message = self.hear();
            if message == (wire::EXTENDED, b"\x03d8:msg_typei2e5:piecei99999ee".to_vec()) {
                return before;
            }
            before.push(message);
        }
    }

    /// Whether the seed hangs up, whatever it says before that.
    pub fn is_hung_up_on(&mut self) -> bool {
        let until = Instant::now() + LIMIT;
        while Instant::now() < until {
            if self.hear_within(until.saturating_duration_since(Instant::now())) == Heard::Closed {
                return true;
            }
        }
        false
    }

    /// Is interested, and waits for a slot.
    #[track_caller]
    pub fn wait_for_slot(&mut self) {
        self.say(&wire::message(wire::INTERESTED, b""));
        self.until(wire::UNCHOKE);
    }

    /// Waits for a slot, downloads these pieces, and compares each block.
    #[track_caller]
    pub fn takes(&mut self, torrent: &Torrent, pieces: impl IntoIterator<Item = usize>) {
        self.wait_for_slot();
        self.takes_on(torrent, pieces);
    }

    /// Downloads these pieces with the slot that it has, and compares each block.
    #[track_caller]
    pub fn takes_on(&mut self, torrent: &Torrent, pieces: impl IntoIterator<Item = usize>) {
        let blocks = |piece: usize| {
            let size = torrent.piece(piece).len();
            (0..size)
                .step_by(16_384)
                .map(move |begin| (piece as u32, begin as u32, (size - begin).min(16_384) as u32))
        };
        let mut wanted: Vec<(u32, u32, u32)> = pieces.into_iter().flat_map(blocks).collect();
        wanted.reverse();
        let mut asked = Vec::new();
        // A request from before a choke. If the seed read it before the choke, it drops it; if
        // after the next unchoke, it still answers.
        let mut crossed = Vec::new();
        let mut choked = false;
        while !(wanted.is_empty() && asked.is_empty()) {
            let mut out = Vec::new();
            while !choked
                && asked.len() < AHEAD
                && let Some(next) = wanted.pop()
            {
                out.extend(request(next.0, next.1, next.2));
                asked.push(next);
            }
            self.say(&out);
            match self.hear() {
                (wire::PIECE, payload) => {
                    assert!(self.fast || !choked, "a block comes in spite of a choke");
                    let (piece, begin, block) = block_of(&payload);
                    let key = (piece, begin, block.len() as u32);
                    let list = if asked.contains(&key) { &mut asked } else { &mut crossed };
                    let place = list
                        .iter()
                        .position(|asked| *asked == key)
                        .expect("only what was asked for comes");
                    list.remove(place);
                    wanted.retain(|wanted| *wanted != key);
                    let (begin, end) = (begin as usize, begin as usize + block.len());
                    assert!(
                        torrent.piece(piece as usize)[begin..end] == *block,
                        "piece {piece}, {begin}: wrong bytes"
                    );
                }
                (wire::CHOKE, _) => {
                    choked = true;
                    crossed.extend_from_slice(&asked);
                    wanted.append(&mut asked);
                }
                (wire::UNCHOKE, _) => choked = false,
                _ => {}
            }
        }
    }
}

/// Piece, begin and bytes of a block.
pub fn block_of(payload: &[u8]) -> (u32, u32, &[u8]) {
    let number =
        |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().expect("four bytes"));
    (number(0), number(4), &payload[8..])
}

/// An honest peer comes, and gets all pieces right.
#[track_caller]
pub fn is_served(address: SocketAddr, torrent: &Torrent) {
    Leech::plain(address, torrent).takes(torrent, 0..torrent.pieces());
}
