//! The files that are kept open, since opening one for each block would cost too much.
//!
//! ```text
//!   file(7) --> in `open`? --yes--> an Arc of it
//!                  | no
//!                  v
//!               `opening`: one thread opens, the others wait --> kept, the oldest closed
//! ```
//! A file is handed out as an [`Arc`], and read and written without a lock. So it may be closed
//! here while another thread is still using it. The descriptor goes when the last Arc does.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};

use super::place::How;
use super::{Storage, StorageError};
use crate::s04_handshake::descriptors::is_exhausted;

/// The most files that are kept open. By default the system allows 1,024 descriptors
/// in all, and sockets need some of them.
const OPEN_FILES: usize = 64;

/// Open files by number, and the order in which they were opened.
///
/// The oldest goes first, even if it is in use. A list of the latest uses would have to be changed
/// for every block, under the lock that all threads need.
#[derive(Default)]
pub(super) struct OpenFiles {
    by_number: HashMap<usize, Arc<File>>,
    /// The keys of `by_number`, each once.
    oldest_first: VecDeque<usize>,
}

impl OpenFiles {
    /// The file with this number, if it is open.
    pub fn get(&self, number: usize) -> Option<Arc<File>> {
        self.by_number.get(&number).map(Arc::clone)
    }

    /// Keeps a file open, and closes the oldest if there are too many.
    pub fn keep(&mut self, number: usize, file: &Arc<File>) {
        if self.by_number.insert(number, Arc::clone(file)).is_none() {
            self.oldest_first.push_back(number);
        }
        if self.oldest_first.len() > OPEN_FILES {
            self.close_oldest();
        }
    }

    /// Closes the file that was opened first, as soon as no thread is using it. Returns `false`
    /// if none is open.
    pub fn close_oldest(&mut self) -> bool {
        let oldest = self.oldest_first.pop_front();
        oldest.and_then(|oldest| self.by_number.remove(&oldest)).is_some()
    }
}

impl Storage {
    /// Returns the file with this number, opened if necessary. May wait for another thread that is
    /// opening a file; so no thread calls it with `open` or `seals` locked.
    pub(super) fn file(&self, number: usize) -> Result<Arc<File>, StorageError> {
        if let Some(file) = self.lock().get(number) {
            return Ok(file);
        }
        // One thread at a time: while a file is opened its folders are open as well, and fifty
        // threads at once could need a hundred descriptors.
        let _turn = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have opened this file while we waited for our turn.
        if let Some(file) = self.lock().get(number) {
            return Ok(file);
        }
        // A file that was complete and is gone now must not be made again, empty.
        let writes = self.writable && !self.sealed.load(Ordering::SeqCst);
        let how = if writes { How::Make } else { self.reads };
        let file = Arc::new(self.open_uncached(number, how)?);
        self.lock().keep(number, &file);
        Ok(file)
    }

    /// Opens a file, whether or not it is open already, and does not keep it. If there are no
    /// descriptors left, it closes files that we keep open.
    pub(super) fn open_uncached(&self, number: usize, how: How) -> Result<File, StorageError> {
        let exhausted = |error: &StorageError| matches!(error, StorageError::Io { error, .. } if is_exhausted(error));
        // Ends: each round closes a file, and with none left to close the error is returned.
        loop {
            let opened = self.place(number).open(how);
            if !opened.as_ref().is_err_and(exhausted) || !self.lock().close_oldest() {
                return opened;
            }
        }
    }

    /// Takes the lock on the open files, even after a panic in another thread: a lookup cannot
    /// leave the map half changed.
    fn lock(&self) -> MutexGuard<'_, OpenFiles> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
