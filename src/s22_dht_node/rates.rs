//! How much a node says in a second.
//!
//! Datagrams come from anybody, with any sender. A node that answers all of them can be used as a
//! mirror: somebody sends small questions with a victim's address, and long answers go to the
//! victim. It can also be kept busy at no cost. So there are limits, and beyond them there is
//! silence. An error would be an answer as well.
//!
//! | what | far away | near us |
//! |---|---|---|
//! | answers to one address, a second | 10 | no limit of its own |
//! | answers in all | 100 | 2,000 |
//! | our own questions | 50 in all, near and far | |
//! | of them, to see whether somebody is there | 10 | |
//!
//! Near us, one computer may be a whole class, or a lab of a thousand nodes at one address, and
//! this many datagrams fill nobody's line.
//!
//! The limits count whole seconds. A token bucket would be smoother, but there would have to be one
//! for each sender, however many there are. Counts that begin at 0 each second have nothing to
//! remember.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::s03_tracker::reach::Reach;
use crate::s04_handshake::origin::Origin;

/// The most answers to one address far away, in a second.
pub const PER_ORIGIN: u32 = 10;
/// The most answers to all addresses far away.
pub const FAR: u32 = 100;
/// The most answers to all addresses near us.
pub const NEAR: u32 = 2_000;
/// The most questions of ours.
pub const QUESTIONS: u32 = 50;
/// The most of them that only see whether somebody is there. Strangers cause most of them.
pub const CHECKS: u32 = 10;

/// All counts begin at 0 again after this time.
const SECOND: Duration = Duration::from_secs(1);

/// What was said in this second.
#[derive(Debug)]
pub struct Rates {
    /// When this second began.
    began: Instant,
    /// Answers to each address far away. No more entries than [`FAR`], so it needs no other limit.
    origins: HashMap<Origin, u32>,
    far: u32,
    near: u32,
    questions: u32,
    checks: u32,
}

impl Rates {
    /// Starts counting.
    pub fn new(now: Instant) -> Rates {
        Rates { began: now, origins: HashMap::new(), far: 0, near: 0, questions: 0, checks: 0 }
    }

    /// Whether a question from this address may be answered. It counts as answered.
    pub fn may_answer(&mut self, ip: IpAddr, now: Instant) -> bool {
        self.begin(now);
        if Reach::of(ip) < Reach::Internet {
            return take(&mut self.near, NEAR);
        }
        // In this order: a stranger that has had its ten takes nothing from the others.
        self.far < FAR
            && take(self.origins.entry(Origin::of(ip)).or_default(), PER_ORIGIN)
            && take(&mut self.far, FAR)
    }

    /// Whether a question of a lookup may be sent. It does not count yet, since a lookup may have
    /// none: see [`asked`](Rates::asked).
    pub fn may_ask(&mut self, now: Instant) -> bool {
        self.begin(now);
        self.questions < QUESTIONS
    }

    /// Counts a question that was sent.
    pub fn asked(&mut self) {
        self.questions += 1;
    }

    /// Whether we may ask whether somebody is there. It counts as sent.
    pub fn may_check(&mut self, now: Instant) -> bool {
        self.begin(now);
        self.questions < QUESTIONS
            && take(&mut self.checks, CHECKS)
            && take(&mut self.questions, QUESTIONS)
    }

    /// Returns when more may be said.
    pub fn next(&self) -> Instant {
        self.began + SECOND
    }

    /// Begins a second, if the last one is over.
    fn begin(&mut self, now: Instant) {
        if now.saturating_duration_since(self.began) >= SECOND {
            // The map's memory is kept: it is small.
            self.origins.clear();
            (self.began, self.far, self.near, self.questions, self.checks) = (now, 0, 0, 0, 0);
        }
    }
}

/// Counts one more, if the limit allows it.
fn take(count: &mut u32, limit: u32) -> bool {
    let allowed = *count < limit;
    *count += u32::from(allowed);
    allowed
}
