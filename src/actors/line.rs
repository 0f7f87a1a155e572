//! One recorded TCP connection, whichever side dialed it.

use super::recording::{Recording, Way};
use super::{jitter, wire};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The longest message that is taken in, and the most bytes that wait to be looked at.
pub const MAX_MESSAGE: usize = 1 << 20;
/// The most bytes that are read and not looked at yet: a message, and a read.
const MAX_INPUT: usize = MAX_MESSAGE + 65_536;
/// A wait is cut into slices, so that the end of the actor is noticed.
const SLICE: Duration = Duration::from_millis(20);
/// A client that takes no byte for this long is given up, unless the actor says otherwise.
const STALL: Duration = Duration::from_secs(10);

/// What came next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A message that is not a keep-alive: its id, and what follows.
    Message(u8, Vec<u8>),
    /// A message of no bytes.
    KeepAlive,
    /// The end of the connection, of whatever kind.
    Closed,
    /// Nothing, or no whole message, in that time.
    Silence,
}

/// One connection to the client, with a recording of everything.
#[derive(Debug)]
pub struct Line {
    stream: TcpStream,
    /// Bytes that were read, and that nobody has looked at yet.
    input: Vec<u8>,
    closed: bool,
    recording: Recording,
    /// Set when the actor ends.
    stop: Arc<AtomicBool>,
    stall: Duration,
}

impl Line {
    /// Takes over a connection. It counts as closed once `stop` is set.
    pub(super) fn new(
        stream: TcpStream,
        recording: Recording,
        stop: Arc<AtomicBool>,
    ) -> io::Result<Line> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        Ok(Line { stream, input: Vec::new(), closed: false, recording, stop, stall: STALL })
    }

    /// Connects; the wait for the client, and each wait for it to take a byte, may be this long.
    pub fn dial(address: SocketAddr, stall: Duration) -> io::Result<Line> {
        let stream = TcpStream::connect_timeout(&address, stall)?;
        let recording = Recording::new(stream.local_addr()?.to_string(), Some(address));
        let mut line = Line::new(stream, recording, Arc::default())?;
        line.stall = stall;
        Ok(line)
    }

    /// Gives the client up once it takes no byte for this long.
    pub fn set_stall(&mut self, stall: Duration) {
        self.stall = stall;
    }

    /// Sends these bytes.
    ///
    /// # Errors
    /// If the client is gone, or stops reading.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let stall = self.stall;
        let gone = jitter::around(|| self.push(bytes, stall));
        if gone == bytes.len() {
            return Ok(());
        }
        let kind = if self.closed { ErrorKind::BrokenPipe } else { ErrorKind::TimedOut };
        Err(kind.into())
    }

    /// Sends these bytes in writes of at most `chunk`, with a pause after each.
    ///
    /// # Errors
    /// If the client is gone, or stops reading.
    pub fn send_slowly(&mut self, bytes: &[u8], chunk: usize, pause: Duration) -> io::Result<()> {
        for part in bytes.chunks(chunk.max(1)) {
            self.send(part)?;
            self.rest(pause);
        }
        Ok(())
    }

    /// Sends until the other side has taken no byte for `stall`; returns the number of bytes sent.
    pub(super) fn push(&mut self, bytes: &[u8], stall: Duration) -> usize {
        let mut gone = 0;
        let mut last = Instant::now();
        while gone < bytes.len() && !self.is_over() {
            let left = stall.saturating_sub(last.elapsed());
            if left.is_zero() || self.stream.set_write_timeout(Some(left.min(SLICE))).is_err() {
                break;
            }
            match self.stream.write(&bytes[gone..]) {
                Ok(count) => {
                    self.recording.add(Way::ToClient, &bytes[gone..gone + count]);
                    (gone, last) = (gone + count, Instant::now());
                }
                Err(error) if is_only_late(&error) => {}
                Err(_) => self.ends(),
            }
        }
        gone
    }

    /// The next `length` bytes, at most [`MAX_MESSAGE`].
    ///
    /// # Errors
    /// With what came, if the time is over or the stream ended before. It stays to be read again.
    pub fn read_exact_within(&mut self, length: usize, time: Duration) -> Result<Vec<u8>, Vec<u8>> {
        let until = Instant::now() + time;
        while self.input.len() < length {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.fill(left).is_err() {
                return Err(self.input.clone());
            }
        }
        Ok(self.input.drain(..length).collect())
    }

    /// The client's handshake: its first 68 bytes.
    ///
    /// # Errors
    /// With what came, if the time is over or the stream ended before.
    pub fn handshake(&mut self, time: Duration) -> Result<[u8; 68], Vec<u8>> {
        let bytes = self.read_exact_within(wire::HANDSHAKE, time)?;
        bytes.try_into()
    }

    /// What comes next, within this time.
    ///
    /// A message longer than [`MAX_MESSAGE`] never comes: it is silence, or the end.
    pub fn hear_within(&mut self, time: Duration) -> Heard {
        let until = Instant::now() + time;
        loop {
            if let Some(message) = self.next_message() {
                return match message.split_first() {
                    Some((id, payload)) => Heard::Message(*id, payload.to_vec()),
                    None => Heard::KeepAlive,
                };
            }
            if self.is_over() {
                return Heard::Closed;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Heard::Silence;
            }
            let _ = self.fill(left);
        }
    }

    /// Skips messages until one with this id; returns its payload. All of them have this time.
    ///
    /// # Errors
    /// With what came instead: silence, or the end.
    pub fn until(&mut self, id: u8, time: Duration) -> Result<Vec<u8>, Heard> {
        let until = Instant::now() + time;
        loop {
            match self.hear_within(until.saturating_duration_since(Instant::now())) {
                Heard::Message(found, payload) if found == id => return Ok(payload),
                // A client that talks without end is no reason to wait without end.
                Heard::Message(..) | Heard::KeepAlive if Instant::now() < until => {}
                Heard::Closed => return Err(Heard::Closed),
                _ => return Err(Heard::Silence),
            }
        }
    }

    /// Reads on without answering until the client leaves, at most this long; returns whether it
    /// left.
    pub fn hold(&mut self, time: Duration) -> bool {
        let until = Instant::now() + time;
        while !self.is_over() && Instant::now() < until {
            self.input.clear();
            let _ = self.fill(until.saturating_duration_since(Instant::now()));
        }
        self.is_over()
    }

    /// Waits. It ends early only if the actor ends.
    pub fn rest(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while !self.stop.load(Ordering::SeqCst) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(SLICE));
        }
    }

    /// Whether the connection has ended. Bytes that came before the end can still be read.
    pub fn is_closed(&self) -> bool {
        // A look at the socket, since the end is otherwise noticed only by a read.
        let _ = self.stream.set_read_timeout(Some(Duration::from_millis(1)));
        self.is_over()
            || match self.stream.peek(&mut [0]) {
                Ok(count) => count == 0,
                Err(error) => !is_only_late(&error),
            }
    }

    /// Ends the connection, both ways.
    pub fn close(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
        self.ends();
    }

    /// Ends the way to the client. The client sees the end of the stream, and can go on talking.
    pub fn close_ours(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Everything that went over it.
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// Bytes that were read, and that nobody has looked at yet.
    pub(super) fn input(&mut self) -> &mut Vec<u8> {
        &mut self.input
    }

    /// Removes the next message from the input, without its length prefix, if all of it is there.
    pub(super) fn next_message(&mut self) -> Option<Vec<u8>> {
        let length = u32::from_be_bytes(*self.input.first_chunk::<4>()?) as usize;
        let all = (self.input.len() - 4 >= length).then_some(4 + length)?;
        Some(self.input.drain(..all).skip(4).collect())
    }

    /// Reads what is there; false if nothing came within this time.
    ///
    /// # Errors
    /// If the connection has ended.
    pub(super) fn fill(&mut self, time: Duration) -> io::Result<bool> {
        let until = Instant::now() + time;
        loop {
            if self.is_over() {
                return Err(ErrorKind::ConnectionAborted.into());
            }
            let left = until.saturating_duration_since(Instant::now());
            // A timeout of zero would be none.
            let slice = left.clamp(Duration::from_millis(1), SLICE);
            self.stream.set_read_timeout(Some(slice))?;
            let mut chunk = [0; 65_536];
            match jitter::around(|| self.stream.read(&mut chunk)) {
                Ok(0) => self.ends(),
                Ok(count) => {
                    self.recording.add(Way::FromClient, &chunk[..count]);
                    let room = MAX_INPUT.saturating_sub(self.input.len());
                    self.input.extend_from_slice(&chunk[..count.min(room)]);
                    return Ok(true);
                }
                Err(error) if is_only_late(&error) => {
                    if left <= slice {
                        return Ok(false);
                    }
                }
                Err(_) => self.ends(),
            }
        }
    }

    /// Waits until there is something to read, at most this long, and leaves it in the socket.
    pub(super) fn wait_unread(&self, time: Duration) {
        let begun = Instant::now();
        let _ = self.stream.set_read_timeout(Some(SLICE));
        while begun.elapsed() < time && !matches!(self.stream.peek(&mut [0]), Ok(1)) {}
    }

    /// Whether the client has gone, as far as is known, or the actor has ended.
    fn is_over(&self) -> bool {
        self.closed || self.stop.load(Ordering::SeqCst)
    }

    fn ends(&mut self) {
        self.closed = true;
        self.recording.end();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.recording.end();
    }
}

/// Whether a read or a write only took too long.
fn is_only_late(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
