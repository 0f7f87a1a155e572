//! How much all strangers together may cost us in a time.
//!
//! A limit for each connection would be none: whoever hangs up and dials again has a new one. So
//! there is one budget for all peers of a torrent. It is a bucket of bytes that fills up as time
//! passes, and each answer takes from it. If there is too little, the answer is a reject.
//!
//! ```text
//!   full  |      |  taken a moment ago
//!         |######|  the upper half: for everybody
//!   half  |------|
//!         |######|  the lower half: only for whoever owes nothing
//!   empty |######|
//! ```
//! With one bucket alone, whoever asks most often would get it all. So each IP also has a debt of
//! its own, which shrinks as if it had a 256th of the rate. A flood from one IP takes the upper
//! half and what trickles into it. One from fifty empties both now and then, but not for long.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::s04_handshake::origin::Origin;

/// Among how many IPs the rate is divided: several times as many as a torrent has connections, so
/// that all of them together leave most of it to a newcomer.
const SHARES: u32 = 256;

/// A budget of bytes.
#[derive(Debug)]
pub struct Budget {
    /// What comes in, in bytes a second.
    rate: f64,
    /// The most that can be there, as the time in which it comes in.
    full: Duration,
    /// When the bucket will be full again. A time instead of a number of bytes, as in
    /// [`Rate`](crate::s12_session::rate::Rate): nothing is rounded, however often somebody asks.
    full_at: Option<Instant>,
    /// When each IP will owe nothing. Those that owe nothing are not in here, and a debt is 256
    /// times what was taken. So there are never many more than [`SHARES`], or than a full bucket
    /// has answers.
    debts: HashMap<Origin, Instant>,
}

impl Budget {
    /// Makes a budget of `rate` bytes a second. It is full, of `full` bytes.
    pub fn new(rate: u64, full: u64) -> Budget {
        let rate = rate.max(1) as f64;
        let full = Duration::from_secs_f64(full as f64 / rate);
        Budget { rate, full, full_at: None, debts: HashMap::new() }
    }

    /// Takes this many bytes for somebody, or nothing: returns whether there were enough.
    pub fn take(&mut self, bytes: u64, who: Origin, now: Instant) -> bool {
        self.debts.retain(|_, paid_at| *paid_at > now);
        let cost = Duration::from_secs_f64(bytes as f64 / self.rate);
        let missing = self.full_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        let debt = self.debts.get(&who).map(|paid_at| *paid_at - now);
        // Somebody that owes nothing may take more than its share at once: it cannot ask for half
        // of a piece. It then waits until that is paid for.
        let allowed = if debt.is_none() { self.full } else { self.full / 2 };
        if missing + cost > allowed {
            return false;
        }
        self.full_at = Some(now + missing + cost);
        let debt = debt.unwrap_or_default() + cost * SHARES;
        self.debts.insert(who, now + debt);
        true
    }
}
