//! Content in memory, which fails when it is told to.

use std::io::{Error, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use piecemeal::s10_storage::{StorageError, Store};

/// A store of so many bytes, none of which has been written.
pub struct Memory {
    content: Mutex<Vec<u8>>,
    /// Whether the next write fails.
    pub fails: AtomicBool,
}

impl Memory {
    /// One that holds these bytes.
    pub fn of(content: Vec<u8>) -> Memory {
        Memory { content: Mutex::new(content), fails: AtomicBool::new(false) }
    }

    /// All that it holds.
    pub fn content(&self) -> Vec<u8> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Store for Memory {
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), StorageError> {
        if self.fails.swap(false, Ordering::SeqCst) {
            return Err(StorageError::Io {
                path: "memory".to_owned(),
                error: ErrorKind::StorageFull.into(),
            });
        }
        let mut content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        let place = content
            .get_mut(offset as usize..offset as usize + data.len())
            .expect("a block lies in the content");
        place.copy_from_slice(data);
        Ok(())
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), StorageError> {
        let content = self.content.lock().unwrap_or_else(PoisonError::into_inner);
        let place = content.get(offset as usize..offset as usize + buffer.len());
        let short = || StorageError::Io {
            path: "memory".to_owned(),
            error: Error::from(ErrorKind::UnexpectedEof),
        };
        buffer.copy_from_slice(place.ok_or_else(short)?);
        Ok(())
    }
}
