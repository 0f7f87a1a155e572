//! A connection whose every wait ends: two halves with absolute deadlines.
//!
//! A [`Transport`] carries the conversation with a peer, and is a seam: TCP
//! here, pipes in memory for tests, or a wrapper around either. Its halves can
//! be used by two threads, and [`Transport::hang_up`] wakes both from a third.
//!
//! std has timeouts for a *single* read. A peer that sends one byte just before
//! each timeout would hold us forever. So a half has a deadline, a point in
//! time, and a read after it fails, however much is still coming.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The half we read from.
pub trait ReadHalf: Read + Send {
    /// Makes reads fail with [`ErrorKind::TimedOut`] from `deadline` on. A read that began earlier
    /// may overshoot by up to a quarter of the time it had. Cheap enough to be called before every
    /// read.
    fn set_deadline(&mut self, deadline: Instant);

    /// Whether the other side has ended the connection, even if something is left to read. Consumes
    /// nothing, and does not wait. So a connection that no one reads from can be dropped once its
    /// peer is gone.
    fn has_ended(&self) -> bool;
}

/// The half we write to.
pub trait WriteHalf: Write + Send {
    /// Makes writes fail with [`ErrorKind::TimedOut`] from `deadline` on, as reads do. How much of
    /// a `write_all` was sent by then is unknown, so the connection is useless.
    fn set_deadline(&mut self, deadline: Instant);
}

/// Ends a connection from any thread: a read or write that is waiting returns. It needs no
/// access to the halves, which their threads hold while they wait. Calling it again does
/// nothing.
pub type Hangup = Arc<dyn Fn() + Send + Sync>;

/// A connection to a peer. The halves are boxes, at the cost of one virtual call for each read
/// or write, so that nothing above has to know what carries the bytes.
pub struct Transport {
    /// The other side's address. It is what we dialed, or where the other side dialed from.
    pub peer: SocketAddr,
    /// What they send.
    pub reader: Box<dyn ReadHalf>,
    /// What we send.
    pub writer: Box<dyn WriteHalf>,
    /// Ends the connection.
    pub hang_up: Hangup,
}

impl Transport {
    /// Sets one deadline for both directions.
    pub fn set_deadline(&mut self, deadline: Instant) {
        self.reader.set_deadline(deadline);
        self.writer.set_deadline(deadline);
    }
}

/// For the handshake, which needs both directions on one thread.
impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Makes connections: over TCP here, over pipes in tests, or by wrapping another `Dial`'s.
pub trait Dial: Send + Sync {
    /// Connects to `peer` by `deadline`.
    ///
    /// # Errors
    /// If nothing listens there, or the connection is not made in time.
    fn dial(&self, peer: SocketAddr, deadline: Instant) -> io::Result<Transport>;
}

/// The longest that connecting may take. Linux by itself would try for two minutes, and many
/// addresses from trackers lead nowhere.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The pause before a peer that has refused a connection is dialed once more. A client often names
/// its port to the tracker a moment before it listens there. A refusal comes at once, so the second
/// dial costs no more than this pause.
const RETRY: Duration = Duration::from_millis(150);

/// Dials over TCP.
pub struct Tcp;

impl Dial for Tcp {
    fn dial(&self, peer: SocketAddr, deadline: Instant) -> io::Result<Transport> {
        let left = || deadline.saturating_duration_since(Instant::now());
        // std refuses a timeout of zero, hence the millisecond.
        let timeout = || left().clamp(Duration::from_millis(1), CONNECT_TIMEOUT);
        let connect = || TcpStream::connect_timeout(&peer, timeout());
        let stream = match connect() {
            // A peer that is only just starting refuses: try once more.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused && left() > RETRY => {
                thread::sleep(RETRY);
                connect()?
            }
            other => other?,
        };
        over_tcp(stream, deadline)
    }
}

/// Turns a connected TCP stream into a transport; `deadline` is its first.
///
/// # Errors
/// If the stream is no longer connected.
pub fn over_tcp(stream: TcpStream, deadline: Instant) -> io::Result<Transport> {
    // Send small messages at once, instead of collecting them (Nagle's algorithm).
    stream.set_nodelay(true)?;
    let peer = stream.peer_addr()?;
    // A dual-stack socket reports IPv4 peers as ::ffff:a.b.c.d; one address, one spelling.
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    // Shared, not `try_clone`d: a clone is a second descriptor, and some systems allow 256.
    let stream = Arc::new(stream);
    let half = || TcpHalf { stream: Arc::clone(&stream), deadline, in_force: Duration::MAX };
    let (reader, writer) = (Box::new(half()), Box::new(half()));
    let hang_up = Arc::new(move || {
        // Not a close: the halves still own the socket, and their reads and writes now return. An
        // error means that the connection has ended already.
        let _ = stream.shutdown(Shutdown::Both);
    });
    Ok(Transport { peer, reader, writer, hang_up })
}

/// The errors of a read and a write at the deadline.
const NOTHING_CAME: &str = "nothing more came in time";
const NOTHING_TAKEN: &str = "nothing more was taken in time";

/// Both halves share one socket: reading and writing work on `&TcpStream`.
struct TcpHalf {
    stream: Arc<TcpStream>,
    /// When reads and writes begin to fail.
    deadline: Instant,
    /// The socket's timeout in this direction, as we last set it; `MAX` if it must be set.
    in_force: Duration,
}

impl TcpHalf {
    /// Runs one read or write that gives up at the deadline.
    ///
    /// Setting the socket's timeout is a system call. So it is repeated only if the timeout is more
    /// than a quarter too long, or has run out before the deadline. `set` sets the timeout of this
    /// direction, and `late` is the error at the deadline.
    fn by_deadline(
        &mut self,
        set: fn(&TcpStream, Option<Duration>) -> io::Result<()>,
        late: &'static str,
        mut act: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            // Checked even if there is something to read: a peer that never pauses must not go on
            // past the deadline.
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::new(ErrorKind::TimedOut, late));
            }
            if self.in_force > left + left / 4 {
                self.in_force = left.max(Duration::from_millis(1));
                set(&self.stream, Some(self.in_force))?;
            }
            match act(&self.stream) {
                // A timeout of the socket has either kind, depending on the system.
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    self.in_force = Duration::MAX; // too short, or over: check again
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {} // by a signal
                done => return done,
            }
        }
    }
}

impl Read for TcpHalf {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.by_deadline(TcpStream::set_read_timeout, NOTHING_CAME, |mut stream| {
            stream.read(buffer)
        })
    }
}

impl Write for TcpHalf {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.by_deadline(TcpStream::set_write_timeout, NOTHING_TAKEN, |mut stream| {
            stream.write(bytes)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ReadHalf for TcpHalf {
    fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    fn has_ended(&self) -> bool {
        has_ended(&self.stream)
    }
}

/// Whether a TCP connection is over. Reading would not show it at once: everything that came
/// before the end would have to be read first. `poll` with a timeout of zero only asks.
#[cfg(unix)]
fn has_ended(stream: &TcpStream) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    // The other side will send no more. (Linux has a flag of its own for that; other systems
    // report HUP for the end of one direction.)
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let asked = PollFlags::RDHUP;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let asked = PollFlags::HUP;
    let mut polled = [PollFd::new(stream, asked)];
    // Nothing is reported unless it was asked for, except errors and the end of both directions.
    poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|reported| reported > 0)
}

/// The same without `poll`: true only after everything that came before the end has been read.
#[cfg(not(unix))]
fn has_ended(stream: &TcpStream) -> bool {
    // The halves share the socket, so the other thread's write may meet it in this state. It gets
    // `WouldBlock`; `by_deadline` takes that for a timeout and retries.
    let peek = || -> io::Result<usize> {
        stream.set_nonblocking(true)?;
        let peeked = stream.peek(&mut [0]);
        stream.set_nonblocking(false)?;
        peeked
    };
    match peek() {
        Ok(count) => count == 0,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}

impl WriteHalf for TcpHalf {
    fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }
}

/// Makes the two ends of a connection in memory. Each direction holds `room`
/// bytes; a writer waits while it is full, as on a socket whose buffers are full.
///
/// ```text
/// a  writer --> there --> reader  b      each end has the other's address as its peer
///    reader <-- back  <-- writer
/// ```
pub fn pair(room: usize, a: SocketAddr, b: SocketAddr) -> (Transport, Transport) {
    let (there, back) = (Arc::new(Pipe::new(room)), Arc::new(Pipe::new(room)));
    let end = |peer, input: &Arc<Pipe>, output: &Arc<Pipe>| {
        let half = |pipe: &Arc<Pipe>| {
            Box::new(PipeHalf {
                pipe: Arc::clone(pipe),
                deadline: Instant::now() + CONNECT_TIMEOUT,
            })
        };
        let pipes = [Arc::clone(input), Arc::clone(output)];
        let hang_up = Arc::new(move || pipes.iter().for_each(|pipe| pipe.close()));
        Transport { peer, reader: half(input), writer: half(output), hang_up }
    };
    (end(b, &back, &there), end(a, &there, &back))
}

/// One direction.
struct Pipe {
    /// The most bytes that may be on their way.
    room: usize,
    state: Mutex<PipeState>,
    /// The state has changed. The reader and the writer both wait for this.
    changed: Condvar,
}

/// What is in a pipe.
struct PipeState {
    /// Written and not yet read.
    bytes: VecDeque<u8>,
    /// False once either end is gone. What is left can still be read, but nothing written.
    open: bool,
}

impl Pipe {
    fn new(room: usize) -> Pipe {
        let state = PipeState { bytes: VecDeque::new(), open: true };
        Pipe { room, state: Mutex::new(state), changed: Condvar::new() }
    }

    // The state is always whole, so a thread that panicked with the lock held broke nothing.
    fn lock(&self) -> MutexGuard<'_, PipeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends this direction for both sides, and wakes whichever waits.
    fn close(&self) {
        self.lock().open = false;
        self.changed.notify_all();
    }

    /// Waits until `ready` is true, and returns with the lock held; or fails at the deadline.
    fn wait(
        &self,
        deadline: Instant,
        late: &'static str,
        ready: impl Fn(&PipeState) -> bool,
    ) -> io::Result<MutexGuard<'_, PipeState>> {
        let mut state = self.lock();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::new(ErrorKind::TimedOut, late));
            }
            if ready(&state) {
                return Ok(state);
            }
            // May also wake for the other end, or for no reason: the loop checks again.
            state =
                self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// An end of a pipe. Dropping it closes the pipe, as the system closes a socket.
struct PipeHalf {
    pipe: Arc<Pipe>,
    deadline: Instant,
}

impl Drop for PipeHalf {
    fn drop(&mut self) {
        self.pipe.close(); // a reader or writer at the other end must not wait forever
    }
}

impl Read for PipeHalf {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let ready = |state: &PipeState| !state.bytes.is_empty() || !state.open;
        let mut state = self.pipe.wait(self.deadline, NOTHING_CAME, ready)?;
        let length = state.bytes.read(buffer)?; // 0 once it is closed and empty: the end
        self.pipe.changed.notify_all();
        Ok(length)
    }
}

impl Write for PipeHalf {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.pipe.room;
        let ready = |state: &PipeState| state.bytes.len() < room || !state.open;
        let mut state = self.pipe.wait(self.deadline, NOTHING_TAKEN, ready)?;
        if !state.open {
            return Err(ErrorKind::BrokenPipe.into());
        }
        // As much as there is room for. `write_all` comes back with the rest.
        let length = bytes.len().min(room - state.bytes.len());
        state.bytes.extend(&bytes[..length]);
        self.pipe.changed.notify_all();
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ReadHalf for PipeHalf {
    fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    fn has_ended(&self) -> bool {
        !self.pipe.lock().open
    }
}

impl WriteHalf for PipeHalf {
    fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }
}
