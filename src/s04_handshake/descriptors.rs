//! Descriptors: the system counts what a process has open, and there is an end to it.
//!
//! Each connection and each open file takes one. On some systems a process may have 256,
//! or less where somebody has set a limit. So whoever opens many at a time plans with the
//! number that there is, and takes "no more" for a reason to wait, not to give up.

use std::io;

/// How many this process may have open, or close to that. If it may raise the limit up to
/// `wanted`, it does.
pub fn allowed(wanted: usize) -> usize {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        let Some(current) = current else { return wanted };
        let raised = maximum.map_or(wanted as u64, |maximum| maximum.min(wanted as u64));
        let may = raised > current && setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }).is_ok();
        usize::try_from(if may { raised } else { current }).unwrap_or(wanted)
    }
    #[cfg(not(unix))]
    wanted
}

/// Whether the system refuses to open one more, here or altogether.
pub fn is_exhausted(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
    }
    #[cfg(not(unix))]
    {
        let _ = error;
        false
    }
}
