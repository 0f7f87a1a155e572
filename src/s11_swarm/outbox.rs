//! The way out for a session that also gives: an outbox, emptied by a writer thread.
//!
//! A session that only takes writes a few requests now and then, and its one thread
//! does both. One that gives could block in a write of blocks, while the peer, also
//! giving, blocks in a write to us: neither reads, and both wait for ever. So the
//! first time that a peer gets something from us, its writes move to a thread of
//! their own, and the reader never waits for a write again.
//!
//! [`Uploads`] is a seam: what is given, to whom and how fast is a later stage's
//! subject. Until it is plugged in, nothing is.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::s04_handshake::transport::{Hangup, WriteHalf};
use crate::s05_messages::{Message, Request};
use crate::s07_extension::BoxError;

/// How long one write may take: a peer that does not read is let go.
pub(super) const WRITE_TIME: Duration = Duration::from_secs(20);
/// How many bytes of messages may wait to be written.
const WAITING_MESSAGES: usize = 1 << 20;
/// How many blocks leave in one write.
const BLOCKS_A_WRITE: usize = 4;

/// What a download gives while it takes.
pub trait Uploads: Send + Sync {
    /// A peer is interested for the first time. `None`: it gets nothing.
    fn open(&self, peer: SocketAddr, outbox: &Arc<Outbox>) -> Option<Box<dyn Upload>>;

    /// Reads a block that is due: `None` if it cannot be given after all.
    fn block(&self, request: Request) -> Option<Vec<u8>>;
}

/// What one peer gets. It answers through the [`Outbox`] it was opened with.
pub trait Upload: Send {
    /// The peer is interested, or no longer.
    fn interested(&mut self, yes: bool);

    /// The peer asks for a block.
    ///
    /// # Errors
    /// If the request breaks a rule: the connection ends.
    fn request(&mut self, request: Request) -> Result<(), BoxError>;

    /// The peer does not need the block any more.
    fn cancel(&mut self, request: Request);
}

/// Gives nothing.
pub struct NoUploads;

impl Uploads for NoUploads {
    fn open(&self, _: SocketAddr, _: &Arc<Outbox>) -> Option<Box<dyn Upload>> {
        None
    }

    fn block(&self, _: Request) -> Option<Vec<u8>> {
        None
    }
}

/// What is to be sent to one peer. Its lock is a leaf: nothing here blocks.
#[derive(Default)]
pub struct Outbox {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Messages, encoded: they go before blocks.
    messages: Vec<u8>,
    blocks: VecDeque<Request>,
    closed: bool,
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a message, before any blocks that wait.
    pub fn message(&self, message: &Message) {
        message.encode_to(&mut self.lock().messages);
        self.changed.notify_one();
    }

    /// Sends messages that are encoded already; `false` if too many wait.
    fn bytes(&self, messages: &[u8]) -> bool {
        let mut state = self.lock();
        let room = state.messages.len() + messages.len() <= WAITING_MESSAGES;
        if room {
            state.messages.extend_from_slice(messages);
            self.changed.notify_one();
        }
        room
    }

    /// Sends a block in its turn, unless `limit` of them wait already.
    pub fn block(&self, request: Request, limit: usize) -> bool {
        let mut state = self.lock();
        let room = state.blocks.len() < limit;
        if room {
            state.blocks.push_back(request);
            self.changed.notify_one();
        }
        room
    }

    /// Takes back the blocks that wait and are no longer wanted, and returns them.
    pub fn forget(&self, which: impl Fn(&Request) -> bool) -> Vec<Request> {
        let mut state = self.lock();
        let (gone, kept) = std::mem::take(&mut state.blocks).into_iter().partition(|request| which(request));
        state.blocks = kept;
        Vec::from(gone)
    }

    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// What to write next: all messages, else a few blocks. `None` once closed.
    fn next(&self) -> Option<(Vec<u8>, Vec<Request>)> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if !state.messages.is_empty() {
                return Some((std::mem::take(&mut state.messages), Vec::new()));
            }
            if !state.blocks.is_empty() {
                let few = state.blocks.len().min(BLOCKS_A_WRITE);
                return Some((Vec::new(), state.blocks.drain(..few).collect()));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Where a session's messages leave: straight into the socket, or by the outbox.
pub(super) enum Outlet {
    Direct(Box<dyn WriteHalf>),
    Thread(WriterEnd),
    /// The system refused the writer its thread, which took the socket with it.
    Lost,
}

impl Outlet {
    /// Sends messages that are encoded already.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Outlet::Direct(output) => {
                output.set_deadline(Instant::now() + WRITE_TIME);
                output.write_all(bytes)
            }
            Outlet::Thread(end) => {
                // A peer that asks and never reads must not choose our memory.
                if end.0.bytes(bytes) { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
            }
            Outlet::Lost => Err(io::ErrorKind::OutOfMemory.into()),
        }
    }

    /// From now on everything goes through the outbox.
    pub(super) fn start_writer(&mut self, outbox: &Arc<Outbox>, uploads: &Arc<dyn Uploads>, hang_up: &Hangup) {
        let Outlet::Direct(output) = std::mem::replace(self, Outlet::Lost) else { return };
        let (inside, uploads, hang_up) = (Arc::clone(outbox), Arc::clone(uploads), Arc::clone(hang_up));
        let work = move || {
            // An error ends the connection, and so wakes the reader.
            let _ = write_all(output, &inside, &*uploads);
            hang_up();
        };
        if thread::Builder::new().name("writer".to_owned()).stack_size(super::peer::STACK).spawn(work).is_ok() {
            *self = Outlet::Thread(WriterEnd(Arc::clone(outbox)));
        }
    }
}

/// The session's end of the outbox: when it is dropped, the writer ends.
pub(super) struct WriterEnd(Arc<Outbox>);

impl Drop for WriterEnd {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The writer thread.
fn write_all(mut output: Box<dyn WriteHalf>, outbox: &Outbox, uploads: &dyn Uploads) -> io::Result<()> {
    while let Some((mut bytes, requests)) = outbox.next() {
        for request in requests {
            if let Some(block) = uploads.block(request) {
                Message::Piece { index: request.index, begin: request.begin, block: &block }.encode_to(&mut bytes);
            }
        }
        output.set_deadline(Instant::now() + WRITE_TIME);
        output.write_all(&bytes)?;
    }
    Ok(())
}
