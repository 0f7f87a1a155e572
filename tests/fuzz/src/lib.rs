//! What must hold for any input: one function for each thing that reads what strangers send.
//!
//! Two programs call these functions. libFuzzer makes inputs up (`src/bin`, `make fuzz`).
//! `tests/fuzzed.rs` takes them from `tests/data/fuzz/`, where there are a few to begin with
//! and every one that has ever failed; so `make test` fails again if an error comes back.
//!
//! A function that returns has found nothing. It panics where a property does not hold.

use std::io::{self, ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use piecemeal::s04_handshake::transport::ReadHalf;

pub mod bencode;
pub mod bitfield;
pub mod bt_search;
pub mod capture;
pub mod explain;
pub mod extension_handshake;
pub mod framing;
pub mod handshake;
pub mod hash_message;
pub mod http_request;
pub mod krpc;
pub mod lt_metadata;
pub mod magnet;
mod memory;
pub mod metadata_message;
pub mod metainfo;
pub mod pex_message;
pub mod scrape;
pub mod script;
pub mod session;
pub mod storage;
pub mod torrent;
pub mod tracker_answer;
pub mod udp_packet;
pub mod work_queue;

#[allow(dead_code)] // its samples are for the trace's own tests
#[path = "../../trace/bytes.rs"]
mod bytes;
#[path = "../../trace/taken.rs"]
mod taken;

/// What checks an input.
pub type Check = fn(&[u8]);

/// All of them, by the names of the programs in `src/bin`.
pub const TARGETS: [(&str, Check); 22] = [
    ("bencode", bencode::check),
    ("metainfo", metainfo::check),
    ("tracker_answer", tracker_answer::check),
    ("handshake", handshake::check),
    ("framing", framing::check),
    ("bitfield", bitfield::check),
    ("magnet", magnet::check),
    ("extension_handshake", extension_handshake::check),
    ("metadata_message", metadata_message::check),
    ("lt_metadata", lt_metadata::check),
    ("udp_packet", udp_packet::check),
    ("scrape", scrape::check),
    ("pex_message", pex_message::check),
    ("bt_search", bt_search::check),
    ("krpc", krpc::check),
    ("hash_message", hash_message::check_all),
    ("explain", explain::check),
    ("capture", capture::check),
    ("http_request", http_request::check),
    ("session", session::check),
    ("work_queue", work_queue::check),
    ("storage", storage::check),
];

/// Runs `act` and returns its answer. Panics if at any time it held more memory than `factor`
/// bytes for each byte of input, and 16 KiB.
#[track_caller]
pub fn bounded<T>(input: usize, factor: usize, act: impl FnOnce() -> T) -> T {
    let mut answer = None;
    let held = allocation_counter::measure(|| answer = Some(act())).bytes_max;
    let limit = (input * factor + (16 << 10)) as u64;
    assert!(
        held <= limit,
        "{held} bytes of memory for {input} bytes of input; the limit is {limit}"
    );
    answer.expect("it was run")
}

/// Panics if a terminal would obey some of this text.
#[track_caller]
pub fn is_printable(text: impl ToString) {
    bytes::harmless(&text.to_string());
}

/// A stream that arrives in chunks of these sizes, over and over. In place of a chunk of no bytes
/// a deadline comes, or a signal.
pub struct Chunks {
    bytes: Vec<u8>,
    sizes: Vec<u8>,
    turn: usize,
    /// How many bytes have been read.
    pub read: Arc<AtomicUsize>,
}

impl Chunks {
    /// These bytes, in such chunks; all at once if no size is given.
    pub fn new(bytes: &[u8], sizes: &[u8]) -> Chunks {
        Chunks { bytes: bytes.to_vec(), sizes: sizes.to_vec(), turn: 0, read: Arc::default() }
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self
            .sizes
            .get(self.turn % self.sizes.len().max(1))
            .map_or(usize::MAX, |size| usize::from(*size));
        self.turn += 1;
        // Two failures never follow one another, or a reader would go round forever.
        if size == 0 && self.turn % 2 == 1 {
            return Err(if self.turn % 4 == 1 {
                ErrorKind::Interrupted
            } else {
                ErrorKind::TimedOut
            }
            .into());
        }
        let at = self.read.load(Ordering::Relaxed);
        let left = self.bytes.get(at..).unwrap_or_default();
        let length = size.max(1).min(buffer.len()).min(left.len());
        buffer[..length].copy_from_slice(&left[..length]);
        self.read.store(at + length, Ordering::Relaxed);
        Ok(length)
    }
}

impl ReadHalf for Chunks {
    fn set_deadline(&mut self, _: Instant) {}

    fn has_ended(&self) -> bool {
        false
    }
}

/// Cuts an input in two: as many bytes as its first one says, and the rest.
pub fn parted(input: &[u8]) -> (&[u8], &[u8]) {
    let Some((length, rest)) = input.split_first() else { return (&[], &[]) };
    rest.split_at(rest.len().min(usize::from(*length)))
}
