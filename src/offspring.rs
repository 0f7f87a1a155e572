//! Programs of others that we run, each ended with everything that it has started.
//!
//! The grader runs learners' clients, and the arena runs strategies. Such a program may ignore
//! polite signals, fork on and on, or leave its parent and its session as a daemon does. Still
//! nothing of it may outlive its run.
//!
//! # How it is found again
//! * **Its process group** ends with one signal. That is all there is outside of Linux.
//! * **Its mark** is a variable in its environment, which all that it starts inherits. (Linux)
//! * **Adoption** is for what has deleted its mark: an orphan below us becomes our child, and not
//!   that of the system's first process. The program asks for it with [`adopt_orphans`]. (Linux)

#[cfg(target_os = "linux")]
pub(crate) mod descendants;

use std::io;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus};

/// A program that we have started. Dropping it ends it, with everything that it has started.
pub struct Offspring {
    child: Child,
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    mark: String,
    status: Option<ExitStatus>,
    is_ended: bool,
}

impl Offspring {
    /// Starts a command in a process group of its own.
    ///
    /// # Errors
    /// If the system does not start it.
    pub fn start(command: &mut Command) -> io::Result<Offspring> {
        let mark = format!("{}-{:016x}", std::process::id(), rand::random::<u64>());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        let child = spawn(command, &mark)?;
        Ok(Offspring { child, mark, status: None, is_ended: false })
    }

    /// Returns its ends of the pipes that the command asked for, once.
    pub fn pipes(&mut self) -> (Option<ChildStdin>, Option<ChildStdout>, Option<ChildStderr>) {
        (self.child.stdin.take(), self.child.stdout.take(), self.child.stderr.take())
    }

    /// Returns how it ended; `None` while it is running.
    pub fn status(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status
    }

    /// Asks its group to end, as Ctrl-C does.
    pub fn interrupt(&mut self) {
        #[cfg(unix)]
        if self.status().is_none() {
            self.signal(rustix::process::Signal::INT);
        }
    }

    /// Ends it and everything that it has started, now.
    pub fn end(&mut self) {
        if std::mem::replace(&mut self.is_ended, true) {
            return;
        }
        // Once it has been waited for, its number may be somebody else's. What is left of its group
        // then is found by its mark, where there are marks.
        #[cfg(unix)]
        if self.status.is_none() || cfg!(not(target_os = "linux")) {
            self.signal(rustix::process::Signal::KILL);
        }
        if self.status.is_none() {
            let _ = self.child.kill();
            self.status = self.child.wait().ok();
        }
        #[cfg(target_os = "linux")]
        {
            descendants::live().remove(&self.child.id());
            descendants::end_what_is_left(&self.mark);
        }
    }

    /// Sends a signal to its group.
    #[cfg(unix)]
    fn signal(&self, signal: rustix::process::Signal) {
        let group = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(group) = group {
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }
}

impl Drop for Offspring {
    fn drop(&mut self) {
        self.end();
    }
}

/// Starts a command that has this mark, and those of the runs that we are in ourselves.
#[cfg(target_os = "linux")]
fn spawn(command: &mut Command, mark: &str) -> io::Result<Child> {
    let outer = std::env::var(descendants::MARK).map(|outer| outer + ":").unwrap_or_default();
    command.env(descendants::MARK, outer + mark);
    // Until its program runs, a child has our environment, and so no mark: nobody may look for
    // orphans at that time.
    let mut live = descendants::live();
    let child = command.spawn()?;
    live.insert(child.id(), mark.to_owned());
    Ok(child)
}

#[cfg(not(target_os = "linux"))]
fn spawn(command: &mut Command, _mark: &str) -> io::Result<Child> {
    command.spawn()
}

/// Orphans of runs are our children, so that none is lost. Dropping it ends all of them.
pub struct Adopted(());

/// Makes every orphan of a run our child. The program calls it; a test that starts children of its
/// own must not.
pub fn adopt_orphans() -> Adopted {
    #[cfg(target_os = "linux")]
    descendants::adopt_orphans();
    Adopted(())
}

impl Drop for Adopted {
    fn drop(&mut self) {
        #[cfg(target_os = "linux")]
        descendants::end_all();
    }
}

/// Ends all runs, and lets no other begin: for a program that is about to end without waiting for
/// its threads. Only for one that has adopted its orphans.
pub fn end_for_good() {
    #[cfg(target_os = "linux")]
    {
        // Whoever wants to start another waits for this lock, and is not given it anymore.
        std::mem::forget(descendants::live());
        descendants::end_all();
    }
}
