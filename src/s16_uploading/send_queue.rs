//! What is to be sent to one peer, and the thread that sends it.
//!
//! A session that only downloads writes a few requests now and then, straight into the socket. At
//! the peer's first `interested` this takes over: all messages go into a queue, and a writer thread
//! empties it. The writer may wait, because nobody waits for it. Blocks are read from the disk
//! there, several for one write.
//!
//! ```text
//!   session's thread                         writer's thread
//!   haves, requests, rejects  --> messages --.
//!                                            |--> socket     messages go first
//!   the peer's requests       --> blocks ----'
//! ```
//! Messages go first because they are small and others wait for them: a reject frees a request at
//! the peer, and a choke that waited behind 500 blocks would come minutes late.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::s04_handshake::transport::{Hangup, WriteHalf};
use crate::s05_messages::{Message, Request};
use crate::s12_session::host::{Host, Torrent};
use crate::s12_session::rate::Rate;
use crate::s12_session::send_path::{
    BEHIND, MAX_UNSENT, SendPath, WRITE_TIMEOUT, does_not_read, write,
};
use crate::s12_session::stats::PeerStats;

/// The number of blocks in one write. A gigabyte takes 0.69 s of CPU with one, 0.46 s with four,
/// and hardly less with more.
const BLOCKS_A_WRITE: usize = 4;
/// Stack of a writer, in bytes.
const STACK: usize = 512 * 1024;

/// Where the blocks that peers ask for come from.
pub trait Blocks: Send + Sync {
    /// Appends the `piece` message for `request` to `out`; returns false, and appends nothing, if
    /// it cannot.
    fn append(&self, torrent: &Torrent, request: Request, out: &mut Vec<u8>) -> bool;
}

/// What is to be sent to one peer. Three threads share it: the peer's session and the choker put
/// things in, and the writer takes them out. Its lock is a leaf, and never held while waiting.
#[derive(Default)]
pub struct SendQueue {
    state: Mutex<State>,
    /// Wakes the writer, the only thread that waits here.
    changed: Condvar,
}

/// What is queued.
#[derive(Default)]
pub struct Queued {
    /// Messages, encoded. They go before blocks.
    pub messages: Vec<u8>,
    /// Requested blocks, oldest first. A block is read when its turn comes: until then it costs
    /// twelve bytes, and may still be canceled.
    pub blocks: VecDeque<Request>,
}

#[derive(Default)]
struct State {
    queued: Queued,
    /// The session is over, so the writer is to end. Never reset.
    closed: bool,
    /// Why the writer has ended, until the session takes the reason.
    failed: Option<io::Error>,
}

impl Queued {
    /// Whether so much is queued that the peer does not seem to read it. Only messages count:
    /// requests are limited in number (`OUR_REQQ`), and their blocks are not read yet.
    fn is_full(&self) -> bool {
        self.messages.len() > MAX_UNSENT
    }
}

impl SendQueue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is queued. Nobody sees it half done; `change` must not take a lock. A choke
    /// uses that: the message, the rejects and the removal of the requests are one change.
    pub fn edit<R>(&self, change: impl FnOnce(&mut Queued) -> R) -> R {
        let result = change(&mut self.lock().queued);
        self.changed.notify_one();
        result
    }

    /// Ends the writer. What is still queued is never sent.
    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Waits for what to write next: all messages, else a few blocks once the limit allows them.
    /// `None` when the queue is closed.
    fn next(&self, limit: &Rate) -> Option<Queued> {
        // With a limit, several at once would be a burst and then a pause.
        let max = if limit.is_limited() { 1 } else { BLOCKS_A_WRITE };
        loop {
            // Asked before our own lock is taken: no thread holds both.
            let now = Instant::now();
            let later = limit.wait_until(now);
            let mut state = self.lock();
            // First, so that a peer with much to get cannot keep the session from ending.
            if state.closed {
                return None;
            }
            if !state.queued.messages.is_empty() {
                let messages = std::mem::take(&mut state.queued.messages);
                return Some(Queued { messages, ..Queued::default() });
            }
            // After a wait, look again from the top: the limit may allow more, or less, by now.
            match later {
                _ if state.queued.blocks.is_empty() => drop(self.changed.wait(state)),
                Some(later) => drop(self.changed.wait_timeout(state, later - now)),
                None => {
                    let few = state.queued.blocks.len().min(max);
                    let blocks = state.queued.blocks.drain(..few).collect();
                    return Some(Queued { blocks, ..Queued::default() });
                }
            }
        }
    }
}

/// What a writer thread needs.
pub struct Writer {
    /// The host of the peer's session.
    pub host: Arc<Host>,
    /// The torrent.
    pub torrent: Arc<Torrent>,
    /// The peer's counters.
    pub stats: Arc<PeerStats>,
    /// Whether a block that cannot be given is rejected (BEP 6). Otherwise the connection ends.
    pub fast: bool,
    /// Where blocks come from.
    pub blocks: Arc<dyn Blocks>,
    /// What to send.
    pub queue: Arc<SendQueue>,
}

impl Writer {
    /// Takes over the sending: starts a thread that writes, and returns the path that feeds it.
    /// `hang_up` ends the connection. The thread ends when the path is dropped, or with the
    /// connection.
    pub fn take_over(self, path: Box<dyn SendPath>, hang_up: &Hangup) -> Box<dyn SendPath> {
        let Some((output, unsent)) = path.into_socket() else { return Box::new(Lost) };
        let queue = Arc::clone(&self.queue);
        // The old path may have sent half of a message. The rest must come before all else.
        queue.edit(|queued| queued.messages.splice(..0, unsent).for_each(drop));
        let wake = Arc::clone(hang_up);
        let work = move || {
            // An error ends the connection, and so wakes the reader. The reason is stored before
            // that, or the reader would find only a closed socket.
            let ended = self.write_all(output);
            self.queue.lock().failed = ended.err();
            wake();
        };
        match thread::Builder::new().name("writer".to_owned()).stack_size(STACK).spawn(work) {
            Ok(thread) => {
                let hang_up = Arc::clone(hang_up);
                Box::new(ToWriter { queue, hang_up, thread: Some(thread) })
            }
            // The system refused the thread, and the socket went with it.
            Err(_) => Box::new(Lost),
        }
    }

    /// Writes what is queued until the queue is closed or the connection breaks. Runs on the
    /// writer's thread, without any lock while it reads or writes.
    fn write_all(&self, mut output: Box<dyn WriteHalf>) -> io::Result<()> {
        let limit = &self.host.upload_limit;
        // Kept from one write to the next: at most four blocks, 64 KiB.
        let mut buffer = Vec::new();
        while let Some(Queued { messages, blocks }) = self.queue.next(limit) {
            // Messages are not copied: that would double memory that the peer controls.
            let mut bytes = if blocks.is_empty() { messages } else { std::mem::take(&mut buffer) };
            let count = blocks.len() as u32;
            // The end of each block in `bytes`, and its length.
            let mut ends = Vec::with_capacity(blocks.len());
            for request in blocks {
                if self.blocks.append(&self.torrent, request, &mut bytes) {
                    ends.push((bytes.len(), request.length as usize));
                } else if self.fast {
                    Message::Reject(request).encode_to(&mut bytes);
                } else {
                    // Without the fast extension there is no way to say so, and the peer would wait
                    // forever.
                    let why = "it wants a piece that has been changed on disk";
                    return Err(io::Error::new(ErrorKind::NotFound, why));
                }
            }
            // Spent before it is sent: other writers share the limit, and ask before they read.
            limit.spend(bytes_in(&ends, bytes.len()), Instant::now());
            // Time for each block, to give a slow line a chance.
            let deadline = Instant::now() + WRITE_TIMEOUT * count.max(1);
            let (written, ended) = write(&mut *output, &bytes, WRITE_TIMEOUT, deadline);
            // Counted even if the write failed: what has left, the peer may have.
            self.host.count_sent(&self.stats, bytes_in(&ends, written));
            if count > 0 {
                bytes.clear();
                buffer = bytes;
            }
            ended.map_err(|error| {
                if error.kind() == ErrorKind::TimedOut { does_not_read() } else { error }
            })?;
        }
        Ok(())
    }
}

/// The number of bytes in the blocks of which every byte has been written. Half a block is of no
/// use to the peer, so it does not count as given.
fn bytes_in(ends: &[(usize, usize)], written: usize) -> usize {
    ends.iter().filter(|(end, _)| *end <= written).map(|(_, length)| length).sum()
}

/// The path by which a session feeds its writer. When it is dropped, the writer ends, and
/// everything that it has sent is counted.
struct ToWriter {
    queue: Arc<SendQueue>,
    hang_up: Hangup,
    /// The writer. `None` only while this is dropped: `join` takes the handle.
    thread: Option<JoinHandle<()>>,
}

impl SendPath for ToWriter {
    /// Queues messages, and does not wait. An error if too much is queued, since then the peer does
    /// not read.
    fn send(&mut self, messages: &[u8]) -> io::Result<()> {
        self.queue.edit(|queued| {
            queued.messages.extend_from_slice(messages);
            if queued.is_full() { Err(does_not_read()) } else { Ok(()) }
        })
    }

    /// Always false: the session need not call again, since the writer sends on its own.
    fn has_unsent(&self) -> bool {
        false
    }

    fn is_behind(&self) -> bool {
        // Once the writer has ended, nothing more is written, and the session must not wait for it.
        let writes = self.thread.as_ref().is_some_and(|thread| !thread.is_finished());
        writes && self.queue.lock().queued.messages.len() > BEHIND
    }

    fn take_failure(&self) -> Option<io::Error> {
        self.queue.lock().failed.take()
    }

    /// Always `None`: the writer has the socket, and may be in the middle of a write.
    fn into_socket(self: Box<Self>) -> Option<(Box<dyn WriteHalf>, Vec<u8>)> {
        None
    }
}

impl Drop for ToWriter {
    fn drop(&mut self) {
        // Closed first: a writer that wakes up finds nothing more to do.
        self.queue.close();
        // The writer may be in a write that the peer does not read. It could wait for 20 s.
        (self.hang_up)();
        if let Some(thread) = self.thread.take() {
            // It waits for nothing but a read from the disk now. Joined, so that all that it has
            // sent is counted when the session ends.
            let _ = thread.join();
        }
    }
}

/// A path that leads nowhere: the writer has no thread, or no socket.
struct Lost;

/// Each message fails, and so ends the session at its next send. The error is one that a peer
/// cannot cause.
impl SendPath for Lost {
    fn send(&mut self, _: &[u8]) -> io::Result<()> {
        Err(ErrorKind::OutOfMemory.into())
    }

    fn has_unsent(&self) -> bool {
        false
    }

    fn is_behind(&self) -> bool {
        false
    }

    fn take_failure(&self) -> Option<io::Error> {
        None
    }

    fn into_socket(self: Box<Self>) -> Option<(Box<dyn WriteHalf>, Vec<u8>)> {
        None
    }
}
