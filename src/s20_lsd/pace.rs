//! When to announce ourselves.
//!
//! | why | when | source |
//! |---|---|---|
//! | we have just started | at once, and 2 s and 6 s later | libtorrent |
//! | we are still here | every 5 minutes | BEP 14 |
//! | a newcomer announces itself, or we have no peers | at once, but not twice in a minute | BEP 14 |
//!
//! The first is repeated because nobody reports a lost datagram, and on Wi-Fi many multicast ones
//! are lost. Thanks to the last row a newcomer finds us at once, even if we cannot dial it. The
//! limit keeps a room of a hundred from answering each other without end.

use std::time::{Duration, Instant};

/// The pauses after the first datagrams.
const FIRST_PAUSES: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(4)];
/// The pause after each later one.
const INTERVAL: Duration = Duration::from_secs(5 * 60);
/// Shortest pause between two datagrams that others have caused.
const MIN_ANSWER_PAUSE: Duration = Duration::from_secs(60);

/// The time of the next datagram.
#[derive(Debug)]
pub struct Pace {
    due: Instant,
    /// Number of datagrams so far.
    sent: usize,
    /// When others last caused one, or will.
    asked: Option<Instant>,
}

impl Pace {
    /// Makes a pace whose first datagram is due now.
    pub fn new(now: Instant) -> Pace {
        Pace { due: now, sent: 0, asked: None }
    }

    /// Returns when the next datagram is due.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Notes that a datagram goes out now, and returns the pause after it.
    pub fn announced(&mut self, now: Instant) -> Duration {
        let pause = FIRST_PAUSES.get(self.sent).copied().unwrap_or(INTERVAL);
        self.sent += 1;
        self.due = now + pause;
        pause
    }

    /// Notes that somebody wants to hear from us. The next datagram is then due at once; if the
    /// last minute had one for that reason, when the minute is over. So nobody is forgotten.
    pub fn asked(&mut self, now: Instant) {
        let earliest = self.asked.map_or(now, |last| now.max(last + MIN_ANSWER_PAUSE));
        if earliest < self.due {
            self.asked = Some(earliest);
            self.due = earliest;
        }
    }
}
