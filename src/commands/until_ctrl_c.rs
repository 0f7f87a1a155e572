//! Waiting for Ctrl-C, and telling meanwhile what is seen. (lab)

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use piecemeal::lab::notes::{Note, Notes};

use super::failure::{Failure, OTHER};

/// How often notes are shown.
const TICK: Duration = Duration::from_millis(200);

/// Ctrl-C does not end the program any more; it ends the wait.
pub struct UntilCtrlC {
    pressed: Receiver<()>,
}

impl UntilCtrlC {
    /// From now on.
    pub fn new() -> Result<UntilCtrlC, Failure> {
        let (press, pressed) = mpsc::channel();
        let on_ctrl_c = move || {
            let _ = press.send(()); // nobody listens any more once the end has begun
        };
        ctrlc::set_handler(on_ctrl_c).map_err(|error| Failure::new(OTHER, format!("Ctrl-C cannot be handled: {error}")))?;
        Ok(UntilCtrlC { pressed })
    }

    /// Shows each note, until Ctrl-C or until that fails, which is no error: whoever
    /// read them has read enough.
    pub fn show(self, notes: &Notes, mut show: impl FnMut(&Note) -> io::Result<()>) {
        let mut over = false;
        while !over {
            over = self.pressed.recv_timeout(TICK) != Err(RecvTimeoutError::Timeout);
            over |= notes.take().iter().try_for_each(&mut show).is_err();
        }
    }
}
