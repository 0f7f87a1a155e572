//! A peer that dials and downloads, well or badly.

use super::line::{Heard, Line};
use super::recording::Recording;
use super::torrent::Torrent;
use super::wire;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The limit for the handshake, and for the client to take what is sent. It is far more than
/// either takes, even if all cores are busy.
const LIMIT: Duration = Duration::from_secs(60);
/// The time without a message that counts as silence.
const SILENCE: Duration = Duration::from_millis(400);
/// The time without progress after which a flood is over.
const FULL: Duration = Duration::from_millis(700);

/// One connection to a peer that uploads.
#[derive(Debug)]
pub struct Leech {
    line: Line,
    /// Whether it may receive blocks in spite of a choke (BEP 6).
    pub fast: bool,
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
    let mut id = *b"-LE0001-000000000000";
    let number = format!("{:012}", NEXT.fetch_add(1, Ordering::Relaxed));
    id[8..].copy_from_slice(number.as_bytes());
    id
}

impl Leech {
    /// Speaks no extension at all.
    ///
    /// # Errors
    /// Like all that dial: if the client does not accept, or does not answer the handshake.
    pub fn plain(address: SocketAddr, torrent: &Torrent) -> io::Result<Leech> {
        Leech::dial(address, torrent, [0; 8])
    }

    /// Speaks the fast extension, and has nothing.
    ///
    /// # Errors
    /// If the client does not accept, or does not answer the handshake.
    pub fn fast(address: SocketAddr, torrent: &Torrent) -> io::Result<Leech> {
        let mut leech = Leech::dial(address, torrent, [0, 0, 0, 0, 0, 0, 0, wire::FAST_BIT])?;
        leech.fast = true;
        leech.line.send(&wire::message(wire::HAVE_NONE, b""))?;
        Ok(leech)
    }

    /// Speaks the extension protocol, and has not yet greeted.
    ///
    /// # Errors
    /// If the client does not accept, or does not answer the handshake.
    pub fn extended(address: SocketAddr, torrent: &Torrent) -> io::Result<Leech> {
        Leech::dial(address, torrent, [0, 0, 0, 0, 0, wire::EXTENSION_BIT, 0, 0])
    }

    /// Connects and shakes hands.
    ///
    /// # Errors
    /// If the client does not accept, or does not answer the handshake.
    pub fn dial(address: SocketAddr, torrent: &Torrent, reserved: [u8; 8]) -> io::Result<Leech> {
        let mut leech = Leech::connect(address)?;
        leech.line.send(&wire::handshake(reserved, torrent.info_hash, peer_id()))?;
        let handshake = leech.line.handshake(LIMIT).map_err(|_| ErrorKind::UnexpectedEof)?;
        leech.handshake = handshake.to_vec();
        Ok(leech)
    }

    /// Connects, and says nothing.
    ///
    /// # Errors
    /// If the client does not accept.
    pub fn connect(address: SocketAddr) -> io::Result<Leech> {
        Ok(Leech { line: Line::dial(address, LIMIT)?, fast: false, handshake: Vec::new() })
    }

    /// The connection.
    pub fn line(&mut self) -> &mut Line {
        &mut self.line
    }

    /// Everything that went over it.
    pub fn recording(&self) -> &Recording {
        self.line.recording()
    }

    /// Sends bytes; false if the other side is gone.
    pub fn try_say(&mut self, bytes: &[u8]) -> bool {
        self.line.send(bytes).is_ok()
    }

    /// Sends these bytes up to `times` times, as far as the socket takes them without delay;
    /// returns the number of bytes sent. Reads nothing.
    pub fn flood(&mut self, bytes: &[u8], times: usize) -> usize {
        let mut gone = 0;
        for _ in 0..times {
            let count = self.line.push(bytes, FULL);
            gone += count;
            if count < bytes.len() {
                break;
            }
        }
        gone
    }

    /// What comes next, within this time. Keep-alives are passed over.
    pub fn hear_within(&mut self, time: Duration) -> Heard {
        let until = Instant::now() + time;
        loop {
            match self.line.hear_within(until.saturating_duration_since(Instant::now())) {
                Heard::KeepAlive if Instant::now() < until => {}
                Heard::KeepAlive => return Heard::Silence,
                heard => return heard,
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
                Heard::KeepAlive | Heard::Silence => return (all, false),
            }
        }
    }

    /// Whether the client hangs up within this time, whatever it says before that.
    pub fn is_hung_up_on(&mut self, time: Duration) -> bool {
        let until = Instant::now() + time;
        while Instant::now() < until {
            if self.hear_within(until.saturating_duration_since(Instant::now())) == Heard::Closed {
                return true;
            }
        }
        false
    }
}

/// Piece, begin and bytes of a block, if it has all three.
pub fn block_of(payload: &[u8]) -> Option<(u32, u32, &[u8])> {
    let (piece, rest) = payload.split_first_chunk()?;
    let (begin, block) = rest.split_first_chunk()?;
    Some((u32::from_be_bytes(*piece), u32::from_be_bytes(*begin), block))
}
