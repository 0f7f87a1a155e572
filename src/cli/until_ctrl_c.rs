//! Waits for Ctrl-C, and shows notes meanwhile. (lab)

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use piecemeal::lab::notes::{Note, Notes};

use super::failure::Failure;
use super::interrupt::interrupt;

/// The time between two looks for notes.
const TICK: Duration = Duration::from_millis(200);

/// A wait that Ctrl-C ends, in place of the program.
pub struct UntilCtrlC {
    pressed: Arc<AtomicBool>,
}

impl UntilCtrlC {
    /// Takes over Ctrl-C from now on.
    pub fn new() -> Result<UntilCtrlC, Failure> {
        Ok(UntilCtrlC { pressed: interrupt()? })
    }

    /// Shows each note until Ctrl-C, or until `show` fails. That is no error: the reader has
    /// closed the pipe.
    pub fn show(self, notes: &Notes, mut show: impl FnMut(&Note) -> io::Result<()>) {
        let mut over = false;
        while !over {
            thread::sleep(TICK);
            over = self.pressed.load(Ordering::SeqCst);
            over |= notes.take().iter().try_for_each(&mut show).is_err();
        }
    }
}
