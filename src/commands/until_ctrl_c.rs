//! Waiting for Ctrl-C, and telling meanwhile what is seen. (lab)

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use piecemeal::lab::notes::{Note, Notes};

use super::failure::Failure;
use super::interrupt::interrupt;

/// How often notes are shown.
const TICK: Duration = Duration::from_millis(200);

/// Ctrl-C does not end the program any more; it ends the wait.
pub struct UntilCtrlC {
    pressed: Arc<AtomicBool>,
}

impl UntilCtrlC {
    /// From now on.
    pub fn new() -> Result<UntilCtrlC, Failure> {
        Ok(UntilCtrlC { pressed: interrupt()? })
    }

    /// Shows each note, until Ctrl-C or until that fails, which is no error: whoever
    /// read them has read enough.
    pub fn show(self, notes: &Notes, mut show: impl FnMut(&Note) -> io::Result<()>) {
        let mut over = false;
        while !over {
            thread::sleep(TICK);
            over = self.pressed.load(Ordering::SeqCst);
            over |= notes.take().iter().try_for_each(&mut show).is_err();
        }
    }
}
