//! What cannot leave at once, and how long a peer may leave it unread. No test here waits.

use piecemeal::s04_handshake::transport::WriteHalf;
use piecemeal::s12_session::send_path::{BEHIND, Direct, Due, SendPath};
use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_byte_now_and_then_does_not_keep_a_session() {
    let start = Instant::now();
    let (mut due, mut unsent) = (Due::new(start), 200_000);
    assert!(!due.is_late(0, unsent, start));
    let ends = (1..100).find(|turn| {
        unsent -= 1;
        due.is_late(1, unsent, start + 19 * *turn * SECOND)
    });
    assert_eq!(ends, Some(2), "the second byte leaves after 38 s");
}

#[test]
fn a_peer_that_reads_everything_in_time_is_never_late() {
    let start = Instant::now();
    let mut due = Due::new(start);
    assert!(!due.is_late(0, 1000, start));
    for turn in 1..100 {
        // By the time that the last ones have left, others have been added.
        let now = start + 19 * turn * SECOND;
        assert!(!due.is_late(400, 600, now), "turn {turn}");
        assert!(!due.is_late(600, 1000, now), "turn {turn}");
    }
    let last = start + 19 * 99 * SECOND;
    assert!(!due.is_late(999, 1, last + 20 * SECOND));
    assert!(due.is_late(0, 1, last + 21 * SECOND), "one byte is left");
}

#[test]
fn what_is_added_after_a_pause_has_its_own_time() {
    let start = Instant::now();
    let mut due = Due::new(start);
    assert!(!due.is_late(10, 0, start));
    let later = start + 1000 * SECOND;
    assert!(!due.is_late(0, 10, later));
    assert!(!due.is_late(0, 10, later + 20 * SECOND));
    assert!(due.is_late(0, 10, later + 21 * SECOND));
}

/// Takes this many bytes, and then no more.
struct Full(Arc<AtomicUsize>);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.0.load(Ordering::SeqCst).min(bytes.len());
        self.0.fetch_sub(taken, Ordering::SeqCst);
        if taken > 0 { Ok(taken) } else { Err(ErrorKind::TimedOut.into()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl WriteHalf for Full {
    fn set_deadline(&mut self, _: Instant) {}
}

#[test]
fn an_opening_of_any_length_does_not_keep_us_from_reading() {
    let room = Arc::new(AtomicUsize::new(1000));
    let mut path = Direct::new(Box::new(Full(Arc::clone(&room))));
    // Two peers that both begin with such a bitfield must both read.
    path.send(&vec![0; 2 * BEHIND]).expect("it is kept");
    assert!(path.has_unsent() && !path.is_behind());
    path.send(&vec![0; BEHIND]).expect("it is kept");
    assert!(!path.is_behind());
    path.send(&[0]).expect("it is kept");
    assert!(path.is_behind(), "more than that are answers");
    room.store(2 * BEHIND - 1000, Ordering::SeqCst);
    path.send(&[]).expect("the opening leaves");
    assert!(path.is_behind(), "the answers are all there still");
    room.store(1, Ordering::SeqCst);
    path.send(&[]).expect("a byte leaves");
    assert!(path.has_unsent() && !path.is_behind());
}
