//! The way out: straight into the socket, or by an outbox that a writer thread empties.
//!
//! Two peers that both write and do not read meanwhile wait for each other for ever,
//! as soon as what they write is more than what fits in between. So a session never
//! waits in a write:
//!
//! * While it only takes, it writes a few requests now and then. What does not leave
//!   at once is kept, and it goes on reading before it tries again.
//! * At the peer's first `interested`, all writes move to a thread of their own. Blocks
//!   are read from the disk there, several for one write.
//!
//! A peer that asks and does not read is not read either ([`ENOUGH`]): its next request
//! comes up when the answers to the last ones have left.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::peer::STACK;
use super::rate::Rate;
use super::traffic::Traffic;
use super::uploads::Uploads;
use super::{Swarm, Torrent};
use crate::s04_handshake::transport::{Hangup, WriteHalf};
use crate::s05_messages::{Message, Request};

/// How long a peer may leave a block, or the messages of one write, unread: then it is
/// let go.
const WRITE_TIME: Duration = Duration::from_secs(20);
/// How long a session may be in a write before it looks whether there is something
/// to read.
const PATIENCE: Duration = Duration::from_millis(50);
/// From this many bytes of messages on that wait to be written, the peer is not read until some
/// have left. The longest answer to one message, a metadata piece, has an eighth of this.
const ENOUGH: usize = 128 << 10;
/// How many bytes of messages may wait to be written. Only our own news, of pieces that are
/// finished, can bring more than [`ENOUGH`].
const WAITING_MESSAGES: usize = 1 << 20;
/// How many blocks leave in one write. 0.69 s of computing for a gigabyte with one,
/// 0.46 s with four, and little less with more.
const BLOCKS_A_WRITE: usize = 4;

/// What is to be sent to one peer. Its lock is a leaf, and never held while waiting.
#[derive(Default)]
pub struct Outbox {
    state: Mutex<State>,
    changed: Condvar,
}

/// What waits to be sent.
#[derive(Default)]
pub struct Waiting {
    /// Messages, encoded. They go before blocks.
    pub messages: Vec<u8>,
    /// Blocks that were asked for, and will be read when it is their turn.
    pub blocks: VecDeque<Request>,
}

#[derive(Default)]
struct State {
    waiting: Waiting,
    closed: bool,
    /// Why the writer has ended.
    failed: Option<io::Error>,
}

impl Waiting {
    /// Whether so many messages wait that the peer does not seem to read them.
    fn is_full(&self) -> bool {
        self.messages.len() > WAITING_MESSAGES
    }
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what waits. Nobody sees it half done; `change` must not take a lock.
    pub fn edit<R>(&self, change: impl FnOnce(&mut Waiting) -> R) -> R {
        let result = change(&mut self.lock().waiting);
        self.changed.notify_one();
        result
    }

    /// Sends messages that are encoded already.
    ///
    /// # Errors
    /// If too many wait.
    fn send(&self, messages: &[u8]) -> io::Result<()> {
        self.edit(|waiting| {
            waiting.messages.extend_from_slice(messages);
            if waiting.is_full() { Err(too_slow()) } else { Ok(()) }
        })
    }

    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// What to write next: all messages, else a few blocks, once the rate allows for
    /// them. `None` when it is closed.
    fn next(&self, rate: &Rate) -> Option<Waiting> {
        let most = if rate.is_limited() { 1 } else { BLOCKS_A_WRITE };
        loop {
            // Asked before our own lock is taken: no thread holds two.
            let now = Instant::now();
            let later = rate.wait_until(now);
            let mut state = self.lock();
            if state.closed {
                return None;
            }
            if !state.waiting.messages.is_empty() {
                return Some(Waiting { messages: std::mem::take(&mut state.waiting.messages), ..Waiting::default() });
            }
            match later {
                _ if state.waiting.blocks.is_empty() => drop(self.changed.wait(state)),
                Some(later) => drop(self.changed.wait_timeout(state, later - now)),
                None => {
                    let few = state.waiting.blocks.len().min(most);
                    return Some(Waiting { blocks: state.waiting.blocks.drain(..few).collect(), ..Waiting::default() });
                }
            }
        }
    }
}

fn too_slow() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, "it does not read what we send")
}

/// Where a session's messages leave.
pub(super) enum Outlet {
    Direct(Direct),
    Thread(WriterEnd),
    /// The system refused the writer its thread, which took the socket with it.
    Lost,
}

/// The socket itself.
pub(super) struct Direct {
    output: Box<dyn WriteHalf>,
    /// What has not left yet, and since when nothing has.
    kept: Vec<u8>,
    since: Instant,
}

impl Direct {
    /// Writes what leaves at once, or nearly so.
    fn flush(&mut self) -> io::Result<()> {
        let (gone, written) = write(&mut *self.output, &self.kept, PATIENCE, Instant::now() + PATIENCE);
        if gone > 0 {
            self.since = Instant::now();
        }
        written.or_else(|error| if error.kind() == ErrorKind::TimedOut { Ok(()) } else { Err(error) })?;
        self.kept.drain(..gone);
        let stuck = !self.kept.is_empty() && self.since.elapsed() > WRITE_TIME;
        if stuck { Err(too_slow()) } else { Ok(()) }
    }
}

impl Outlet {
    pub(super) fn direct(output: Box<dyn WriteHalf>) -> Outlet {
        Outlet::Direct(Direct { output, kept: Vec::new(), since: Instant::now() })
    }

    /// Sends messages that are encoded already, or as much of them as leaves; at the
    /// next call, the rest.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Outlet::Direct(direct) => {
                if direct.kept.is_empty() {
                    direct.since = Instant::now();
                }
                direct.kept.extend_from_slice(bytes);
                if direct.kept.len() > bytes.len() + WAITING_MESSAGES { Err(too_slow()) } else { direct.flush() }
            }
            Outlet::Thread(end) => end.outbox.send(bytes),
            Outlet::Lost => Err(ErrorKind::OutOfMemory.into()),
        }
    }

    /// Whether something has not left yet that we have to send ourselves.
    pub(super) fn keeps_some(&self) -> bool {
        matches!(self, Outlet::Direct(direct) if !direct.kept.is_empty())
    }

    /// Whether so much waits to be sent that the peer should not be asked for more to answer.
    pub(super) fn is_behind(&self) -> bool {
        match self {
            Outlet::Direct(direct) => direct.kept.len() > ENOUGH,
            Outlet::Thread(end) => end.is_running() && end.outbox.lock().waiting.messages.len() > ENOUGH,
            Outlet::Lost => false,
        }
    }

    /// From now on everything goes through the outbox.
    pub(super) fn start_writer(&mut self, writer: Writer, hang_up: &Hangup) {
        let Outlet::Direct(Direct { output, kept, .. }) = std::mem::replace(self, Outlet::Lost) else { return };
        let outbox = Arc::clone(&writer.outbox);
        outbox.edit(|waiting| waiting.messages.splice(..0, kept).for_each(drop));
        let wake = Arc::clone(hang_up);
        let work = move || {
            // An error ends the connection, and so wakes the reader.
            let ended = writer.write_all(output);
            writer.outbox.lock().failed = ended.err();
            wake();
        };
        if let Ok(thread) = thread::Builder::new().name("writer".to_owned()).stack_size(STACK).spawn(work) {
            *self = Outlet::Thread(WriterEnd { outbox, hang_up: Arc::clone(hang_up), thread: Some(thread) });
        }
    }

    /// Why the writer has ended, if that is why the connection has.
    pub(super) fn failure(&self) -> Option<io::Error> {
        match self {
            Outlet::Thread(end) => end.outbox.lock().failed.take(),
            _ => None,
        }
    }
}

/// The session's end of the outbox: when it is dropped, the writer ends, and all that
/// it has given is counted.
pub(super) struct WriterEnd {
    outbox: Arc<Outbox>,
    hang_up: Hangup,
    thread: Option<JoinHandle<()>>,
}

impl WriterEnd {
    fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for WriterEnd {
    fn drop(&mut self) {
        self.outbox.close();
        (self.hang_up)();
        if let Some(thread) = self.thread.take() {
            // It waits for nothing but a read from the disk now.
            let _ = thread.join();
        }
    }
}

/// What a writer thread needs.
pub(super) struct Writer {
    pub swarm: Arc<Swarm>,
    pub uploads: Arc<dyn Uploads>,
    pub torrent: Arc<Torrent>,
    pub traffic: Arc<Traffic>,
    pub outbox: Arc<Outbox>,
    /// Whether a block that cannot be given is to be refused in words.
    pub fast: bool,
}

impl Writer {
    fn write_all(&self, mut output: Box<dyn WriteHalf>) -> io::Result<()> {
        let rate = &self.swarm.upload_rate;
        let mut buffer = Vec::new();
        while let Some(Waiting { messages, blocks }) = self.outbox.next(rate) {
            // Messages go as they are: a copy would be memory that the peer chooses, once more.
            let mut bytes = if blocks.is_empty() { messages } else { std::mem::take(&mut buffer) };
            let count = blocks.len() as u32;
            // Where each block ends in what is written, and how long it is.
            let mut ends = Vec::with_capacity(blocks.len());
            for request in blocks {
                if self.uploads.block(&self.torrent, request, &mut bytes) {
                    ends.push((bytes.len(), request.length as usize));
                } else if self.fast {
                    Message::Reject(request).encode_to(&mut bytes);
                } else {
                    // Without the fast extension there is no way to say so, and it would
                    // wait for ever.
                    return Err(io::Error::new(ErrorKind::NotFound, "it wants a piece that has been changed on disk"));
                }
            }
            rate.spend(given(&ends, bytes.len()), Instant::now());
            // For each block: a slow line has its time, too.
            let until = Instant::now() + WRITE_TIME * count.max(1);
            let (gone, written) = write(&mut *output, &bytes, WRITE_TIME, until);
            self.swarm.count_given(&self.traffic, given(&ends, gone));
            if count > 0 {
                bytes.clear();
                buffer = bytes;
            }
            written.map_err(|error| if error.kind() == ErrorKind::TimedOut { too_slow() } else { error })?;
        }
        Ok(())
    }
}

/// Writes all by `until`, and never waits longer than `pause` for any of it to leave.
/// Tells how much that was if it could not be all.
fn write(output: &mut dyn WriteHalf, bytes: &[u8], pause: Duration, until: Instant) -> (usize, io::Result<()>) {
    let mut gone = 0;
    while gone < bytes.len() {
        output.set_deadline(until.min(Instant::now() + pause));
        match output.write(bytes.get(gone..).unwrap_or_default()) {
            Ok(0) => return (gone, Err(ErrorKind::WriteZero.into())),
            Ok(count) => gone += count,
            Err(error) => return (gone, Err(error)),
        }
    }
    (gone, Ok(()))
}

/// The bytes in those blocks that have gone whole.
fn given(ends: &[(usize, usize)], gone: usize) -> usize {
    ends.iter().filter(|(end, _)| *end <= gone).map(|(_, length)| length).sum()
}
