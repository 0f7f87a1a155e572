//! The system's limit on open files and connections.
//!
//! Each connection and each open file takes a descriptor. On some systems a process may have 256,
//! or fewer if an administrator has set a limit. Code that needs many of them asks how many it may
//! have. When there are no more, it waits instead of giving up.

use std::io;

/// Returns how many descriptors this process may have open. Raises the limit up to `wanted`
/// if the system allows it; never lowers it.
///
/// A Unix process has two limits. The current one counts, and is often 1,024 or 256. Any
/// process may raise it up to the maximum. Without a limit, the answer is `wanted`.
pub fn allowed(wanted: usize) -> usize {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        let Some(current) = current else { return wanted };
        let raised = maximum.map_or(wanted as u64, |maximum| maximum.min(wanted as u64));
        let may = raised > current
            && setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }).is_ok();
        usize::try_from(if may { raised } else { current }).unwrap_or(wanted)
    }
    #[cfg(not(unix))]
    wanted
}

/// Whether an error means that this process, or the whole system, has no descriptor left. It
/// says nothing about the peer or the file: the same call may succeed a second later, so
/// callers wait and try again.
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
