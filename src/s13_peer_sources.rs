//! Stage 13: find peers, again and again, from several sources at once.
//!
//! Stage 3 asks a tracker once. An hour-long download asks several times: the tracker must hear
//! that we are still here, peers leave and others come, and the tracker itself may fail for a
//! while. So each source of peers runs on a thread of its own, and reports what it finds until it
//! is told to stop.
//!
//! * **Run it:** `piecemeal announce lab/sample.torrent`
//! * **Spec:** BEP 3, 12, 27, 31; **chapter:** `docs/13-peer-sources.md`
//! * **Builds on:** [`Tier`](crate::s03_tracker::tiers::Tier) and
//!   [`Tracker`](crate::s03_tracker::Tracker) from stage 3,
//!   [`Counters`](crate::s12_session::host::Counters) from stage 12
//!
//! ```text
//!   announcer: tier 1  --+
//!   announcer: tier 2  --+-- SourceReport -->  the swarm, or a command
//!   --peer 10.0.0.1:80 --+                           |
//!          ^                                         |
//!          +--------- hungry, completed, stop -------+
//! ```
//! # How to use it
//! 1. Fill in a [`SourceHost`]: the signals, the counters, and a function that takes the reports.
//! 2. Number each source and [`start`] it.
//! 3. Read the reports. The last one of each source is [`SourceReport::Gone`].
//! 4. [`Signals::stop`](signals::Signals::stop) ends them all; wait for the `Gone`s, but not
//!    forever.
//!
//! # Decisions
//! * **A source waits on its own thread,** for a tracker or for a name to be looked up. Nobody else
//!   waits with it, and a tier that is silent does not delay the others.
//! * **It reports through a function,** and does not know whose. A swarm listens in stage 15. The
//!   command `announce` listens as well, and only prints.
//! * **It is told three things:** that there are no peers, so it may ask sooner; that the last
//!   piece has arrived, which a tracker counts; and that it must stop, so it says goodbye.
//! * **Its end is never missed.** [`SourceReport::Gone`] is sent by a destructor: an early return,
//!   a panic and a thread that never started all report the same.
//! * **It may bring pieces itself.** A web server has the content, but is no peer. For sources of
//!   that kind there is a [`hand`], which can be skipped at first reading: nothing here has one.
//! * **Left out:** which of the peers to dial. That is stage 14.

pub mod announcer;
pub mod hand;
pub mod signals;
pub mod source;

use std::thread;

use self::source::{PeerSource, SourceHandle, SourceHost, SourceReport};

/// Stack of a source's thread, and of a peer's, in bytes. They need little. The default of 2 MiB
/// would be 100 MiB for 50 peers on a system that reserves it all at once.
pub const STACK: usize = 512 * 1024;

/// Starts a source's thread. `Again` and `Gone` will carry this number.
///
/// The last report is [`SourceReport::Gone`], however the source ends.
pub fn start(source: Box<dyn PeerSource>, number: usize, host: &SourceHost) {
    let gone = Gone(host.clone(), number);
    let handle = SourceHandle::new(&*source, number, host.clone());
    let (name, report) = (source.name(), host.report.clone());
    let work = move || {
        // Dropped last, so the error below comes before it.
        let _gone = gone;
        if let Err(error) = source.run(handle) {
            report(SourceReport::Said { source: name, what: error.to_string(), failed: true });
        }
    };
    // If the system refuses a thread, `work` is dropped, and `gone` with it.
    let _ = thread::Builder::new().name("source".to_owned()).stack_size(STACK).spawn(work);
}

/// Reports, when it is dropped, that the source with this number has ended.
struct Gone(SourceHost, usize);

impl Drop for Gone {
    fn drop(&mut self) {
        (self.0.report)(SourceReport::Gone(self.1));
    }
}
