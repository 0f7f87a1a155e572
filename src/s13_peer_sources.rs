//! Stage 13: where peers come from, again and again.
//!
//! Stage 3 asks a tracker once. A download of an hour asks forty times: the tracker must hear that
//! we are still here, peers go and others come, and the tracker itself may fail and be back. So each
//! source of peers has a thread, and reports what it finds until it is told to stop.
//!
//! * **Run it:** `piecemeal announce lab/sample.torrent`
//! * **Spec:** BEP 3, 12; **chapter:** `docs/13-peer-sources.md`
//! * **Builds on:** `Tier` and `Tracker` from stage 3, `Counters` from stage 12
//!
//! ```text
//!   announcer: tier 1  --+
//!   announcer: tier 2  --+-- SourceReport -->  whoever runs them
//!   --peer 10.0.0.1:80 --+                           |
//!          ^                                         |
//!          +--------- hungry, completed, stop -------+
//! ```
//! # Decisions
//! * **A source waits on its own thread,** for a tracker or for a name to be looked up. Nobody else
//!   waits with it, and a tier that fails holds up no other tier.
//! * **It reports through a function,** and knows nothing of who listens. A swarm does (stage 15), and
//!   so does the command `announce`, which only prints.
//! * **It is told three things:** that there are no peers, so that it may ask sooner; that the last
//!   piece has come, which a tracker counts; and that it is over, so that it says goodbye.
//! * **Left out:** whom to dial of all that are found. That is stage 14.

pub mod announcer;
pub mod signals;
pub mod source;

use std::thread;

use self::source::{Finder, PeerSource, SourceHost, SourceReport};

/// The stack of a source's thread, and of a peer's. They need little; the default of 2 MiB would be
/// 100 MiB for 50 peers where the system reserves what it is asked for.
pub const STACK: usize = 512 * 1024;

/// Starts the thread of a source, which has this number in its reports. The last one is that it has
/// gone, however it ends.
pub fn start(source: Box<dyn PeerSource>, number: usize, host: &SourceHost) {
    let gone = Gone(host.clone(), number);
    let finder = Finder::new(source.name(), number, host.clone());
    let (name, report) = (source.name(), host.report.clone());
    let work = move || {
        let _gone = gone;
        if let Err(error) = source.run(finder) {
            report(SourceReport::Said { source: name, what: error.to_string(), failed: true });
        }
    };
    // Where the system refuses a thread, `gone` is dropped with it.
    let _ = thread::Builder::new().name("source".to_owned()).stack_size(STACK).spawn(work);
}

/// Says when dropped that a source has gone.
struct Gone(SourceHost, usize);

impl Drop for Gone {
    fn drop(&mut self) {
        (self.0.report)(SourceReport::Gone(self.1));
    }
}
