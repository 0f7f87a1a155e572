//! The numbers a command ends with, and how a signal changes them. (stage 1)

use std::sync::atomic::{AtomicU8, Ordering};

/// Exit code: any other failure.
pub const OTHER: u8 = 1;
/// Exit code: the arguments are wrong.
pub const USAGE: u8 = 2;
/// Exit code: a torrent, link or value is broken.
pub const BAD_INPUT: u8 = 3;
/// Exit code: no tracker gave a good answer.
pub const TRACKER: u8 = 4;
/// Exit code: no peer could be used.
pub const NO_PEER: u8 = 5;
/// Exit code: content has the wrong hash.
pub const WRONG_HASH: u8 = 6;
/// Exit code: a file could not be read or written.
pub const LOCAL: u8 = 7;

/// Exit code: Ctrl-C. A shell shows a signal as 128 and its number; so do we.
pub const INTERRUPTED: u8 = 130;
/// Exit code: SIGTERM.
pub const TERMINATED: u8 = 143;
/// Exit code: SIGHUP, as when the terminal closes.
pub const HUNG_UP: u8 = 129;

/// The exit code of the first signal that came; 0 before that.
static FIRST: AtomicU8 = AtomicU8::new(0);

/// Records that a signal with this exit code came. Only the first one counts.
pub fn signal_came(code: u8) {
    let _ = FIRST.compare_exchange(0, code, Ordering::SeqCst, Ordering::SeqCst);
}

/// Returns the exit code for work that was stopped before its end.
pub fn stopped() -> u8 {
    match FIRST.load(Ordering::SeqCst) {
        0 => INTERRUPTED,
        code => code,
    }
}

/// Returns the exit code for work that has its answer although a signal ended it. Ctrl-C
/// is the normal end of `seed` and `tracker`, so it counts as success; the other signals
/// come from elsewhere, and the parent process may want to know.
pub fn answered() -> u8 {
    match FIRST.load(Ordering::SeqCst) {
        INTERRUPTED => 0,
        code => code,
    }
}
