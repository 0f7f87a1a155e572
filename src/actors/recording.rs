//! What went over one connection, byte by byte, with the times.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The most bytes of one connection that are kept, each way. Any more are only counted.
pub const MAX: usize = 2 << 20;
/// The most bytes that all recordings of the process keep together.
const MAX_ALL: usize = 16 << 20;
/// The first bytes of a connection, which are kept even then: a flood elsewhere hides no handshake.
const ALWAYS: usize = 1 << 10;
/// The most chunks of one connection. Each costs more memory than a byte.
const MAX_CHUNKS: usize = 65_536;
/// Bytes that follow each other faster than this are one chunk.
const ONE_CHUNK: Duration = Duration::from_millis(1);

/// Bytes that are kept at the moment, in all recordings.
static KEPT: AtomicUsize = AtomicUsize::new(0);

/// The direction of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client to the actor.
    FromClient,
    /// From the actor to the client.
    ToClient,
}

/// Bytes that went the same way at about the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// When the first of them was read or written.
    pub at: Instant,
    /// Their direction.
    pub way: Way,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// All bytes of one connection, both ways, with their times. Each way the first [`MAX`] are kept.
///
/// A clone is another handle of the same recording.
#[derive(Debug, Clone)]
pub struct Recording(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    partner: String,
    client: Option<SocketAddr>,
    begun: Instant,
    tape: Mutex<Tape>,
}

impl Inner {
    /// Locks without jitter: it is called for every read and write, and these have their own.
    fn tape(&self) -> MutexGuard<'_, Tape> {
        self.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Tape {
    chunks: Vec<Chunk>,
    /// Bytes kept, by their way.
    kept: [usize; 2],
    /// Bytes that went over the connection, by their way.
    counted: [u64; 2],
    ended: Option<Instant>,
}

impl Recording {
    /// Starts a recording. `partner` is the actor as the client knows it: `127.0.0.1:6881`, or a
    /// tracker's URL.
    pub fn new(partner: String, client: Option<SocketAddr>) -> Recording {
        let tape = Mutex::default();
        Recording(Arc::new(Inner { partner, client, begun: Instant::now(), tape }))
    }

    /// The actor as the client knows it: `127.0.0.1:6881`, or a tracker's URL.
    pub fn partner(&self) -> &str {
        &self.0.partner
    }

    /// The client's address, if it is known.
    pub fn client(&self) -> Option<SocketAddr> {
        self.0.client
    }

    /// When the connection began.
    pub fn begun(&self) -> Instant {
        self.0.begun
    }

    /// Everything that was kept, in order.
    pub fn chunks(&self) -> Vec<Chunk> {
        self.beginning(usize::MAX)
    }

    /// The first chunks, up to this many bytes of both ways together.
    pub fn beginning(&self, most: usize) -> Vec<Chunk> {
        let mut room = most;
        let cut = |chunk: &Chunk| {
            let bytes = chunk.bytes[..chunk.bytes.len().min(room)].to_vec();
            room -= bytes.len();
            (!bytes.is_empty()).then_some(Chunk { bytes, ..*chunk })
        };
        self.0.tape().chunks.iter().map_while(cut).collect()
    }

    /// What the client sent, joined.
    pub fn from_client(&self) -> Vec<u8> {
        self.joined(Way::FromClient, usize::MAX)
    }

    /// The first bytes that the client sent, at most this many.
    pub fn opening(&self, most: usize) -> Vec<u8> {
        self.joined(Way::FromClient, most)
    }

    /// What the client was sent, joined.
    pub fn to_client(&self) -> Vec<u8> {
        self.joined(Way::ToClient, usize::MAX)
    }

    fn joined(&self, way: Way, most: usize) -> Vec<u8> {
        let tape = self.0.tape();
        let mut joined = Vec::with_capacity(tape.kept[way as usize].min(most));
        for chunk in tape.chunks.iter().filter(|chunk| chunk.way == way) {
            let room = most - joined.len();
            joined.extend_from_slice(&chunk.bytes[..chunk.bytes.len().min(room)]);
        }
        joined
    }

    /// Whether the client has sent nothing.
    pub fn is_silent(&self) -> bool {
        self.counted(Way::FromClient) == 0
    }

    /// The number of bytes that went this way, those that were not kept included.
    pub fn counted(&self, way: Way) -> u64 {
        self.0.tape().counted[way as usize]
    }

    /// When the client left, or the connection ended.
    pub fn ended(&self) -> Option<Instant> {
        self.0.tape().ended
    }

    /// Whether the actor is a tracker.
    pub fn is_tracker(&self) -> bool {
        self.0.partner.contains("://")
    }

    /// Adds bytes of a stream. What comes in pieces right after each other is one chunk.
    pub fn add(&self, way: Way, bytes: &[u8]) {
        let mut tape = self.0.tape();
        let kept = tape.keep(way, bytes);
        match tape.chunks.last_mut() {
            Some(last) if last.way == way && last.at.elapsed() < ONE_CHUNK => {
                last.bytes.extend_from_slice(kept);
            }
            _ => tape.push(way, kept),
        }
    }

    /// Adds a packet, which is always a chunk of its own.
    pub fn add_packet(&self, way: Way, bytes: &[u8]) {
        let mut tape = self.0.tape();
        let kept = tape.keep(way, bytes);
        tape.push(way, kept);
    }

    /// Notes the end, unless it is known already.
    pub fn end(&self) {
        self.0.tape().ended.get_or_insert_with(Instant::now);
    }
}

impl Tape {
    /// Counts the bytes, and returns those that there is room for.
    fn keep<'a>(&mut self, way: Way, bytes: &'a [u8]) -> &'a [u8] {
        self.counted[way as usize] += bytes.len() as u64;
        let mine = self.kept[way as usize];
        let shared = MAX_ALL.saturating_sub(KEPT.load(Ordering::Relaxed));
        let room = (MAX - mine).min(shared.max(ALWAYS.saturating_sub(mine)));
        // Once a byte is lost, what comes after it would not join.
        let lost = self.counted[way as usize] > (self.kept[way as usize] + bytes.len()) as u64;
        let full = lost || self.chunks.len() >= MAX_CHUNKS;
        let kept = &bytes[..if full { 0 } else { room.min(bytes.len()) }];
        self.kept[way as usize] += kept.len();
        KEPT.fetch_add(kept.len(), Ordering::Relaxed);
        kept
    }

    fn push(&mut self, way: Way, kept: &[u8]) {
        if !kept.is_empty() {
            self.chunks.push(Chunk { at: Instant::now(), way, bytes: kept.to_vec() });
        }
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        KEPT.fetch_sub(self.kept[0] + self.kept[1], Ordering::Relaxed);
    }
}
