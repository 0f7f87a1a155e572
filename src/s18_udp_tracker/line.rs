//! A socket to one tracker, and a request that is sent again until it is answered.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::UdpError;
use super::packet::{Answer, Family, PROTOCOL_ID, Request, RequestBody, ResponseBody};
use crate::s03_tracker::words;

/// The time after which a request is sent again; it doubles each time. BEP 15 has 15 s
/// here, which is too long for a user who waits.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// Give up after this: four copies have been sent, the last 16 s ago.
const PATIENCE: Duration = Duration::from_secs(30);
/// A tracker that is only just starting has no socket yet; we ask again after this.
const QUICK_RETRY: Duration = Duration::from_millis(150);
/// The time for which a connection id may be used after it arrived (BEP 15).
const ID_TIME: Duration = Duration::from_secs(60);
/// The largest packet, in bytes.
const LARGEST_PACKET: usize = 65_536;

/// Sends packets to one address and receives them from there. A seam, like the transport of
/// stage 4.
pub trait Packets: Send {
    /// Sends a packet.
    ///
    /// # Errors
    /// If the system cannot, or reports that an earlier packet found nothing there.
    fn send(&self, packet: &[u8]) -> io::Result<()>;

    /// Waits for the next packet; returns its length, if one comes within this time.
    ///
    /// # Errors
    /// As [`Packets::send`].
    fn receive(&self, time: Duration, buffer: &mut [u8]) -> io::Result<Option<usize>>;
}

/// Wraps a socket to an address.
pub type Wrap = Arc<dyn Fn(Box<dyn Packets>, SocketAddr) -> Box<dyn Packets> + Send + Sync>;

/// A connected socket, and the connection id that the tracker gave us.
pub(super) struct Line {
    socket: Box<dyn Packets>,
    pub address: SocketAddr,
    connection_id: u64,
    since: Instant,
}

impl Line {
    /// Opens a socket and asks for a connection id.
    ///
    /// The socket is connected, so the system gives us only packets from this address, and
    /// reports when nothing listens there.
    pub fn open(
        address: SocketAddr,
        wrap: Option<&Wrap>,
        deadline: Instant,
    ) -> Result<Line, UdpError> {
        let any = match Family::of(address) {
            Family::V4 => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            Family::V6 => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let failed = |error| UdpError::Socket { address, error };
        let socket = UdpSocket::bind(any).map_err(failed)?;
        socket.connect(address).map_err(failed)?;
        let socket: Box<dyn Packets> = match wrap {
            Some(wrap) => wrap(Box::new(socket), address),
            None => Box::new(socket),
        };
        let mut line = Line { socket, address, connection_id: PROTOCOL_ID, since: Instant::now() };
        let connected = |said| {
            if let ResponseBody::Connected { connection_id } = said {
                Some(connection_id)
            } else {
                None
            }
        };
        line.connection_id = line.ask(&RequestBody::Connect, connected, deadline)?;
        line.since = Instant::now();
        Ok(line)
    }

    /// Whether the connection id may still be used.
    pub fn is_fresh(&self) -> bool {
        self.since.elapsed() < ID_TIME
    }

    /// Sends a request repeatedly until an answer comes that `pick` accepts.
    ///
    /// A packet that does not fit is ignored, and does not extend the wait: it may answer
    /// an earlier request, or come from an attacker that guesses. Only the transaction id
    /// distinguishes the true answer.
    pub fn ask<T>(
        &self,
        ask: &RequestBody,
        pick: impl Fn(ResponseBody) -> Option<T>,
        deadline: Instant,
    ) -> Result<T, UdpError> {
        let failed = |error| UdpError::Socket { address: self.address, error };
        let transaction_id = rand::random();
        let request =
            Request { connection_id: self.connection_id, transaction_id, ask: ask.clone() }
                .encode();
        let deadline = deadline.min(Instant::now() + PATIENCE);
        let mut buffer = vec![0; LARGEST_PACKET];
        let (mut due, mut pause) = (Instant::now(), FIRST_PAUSE);
        let (mut sent, mut refused, mut last_mismatch) = (0, false, None);
        loop {
            let now = Instant::now();
            if now >= deadline {
                return Err(UdpError::Silent { address: self.address, sent, last_mismatch });
            }
            let outcome = if now >= due {
                due = now + pause;
                pause *= 2;
                sent += 1;
                self.socket.send(&request).map(|()| None)
            } else {
                let time = due.min(deadline) - now;
                self.socket.receive(time, &mut buffer).map(|length| buffer.get(..length?))
            };
            match outcome {
                Ok(None) => {}
                Ok(Some(packet)) => match Answer::decode(packet, Family::of(self.address)) {
                    Err(error) => last_mismatch = Some(error.to_string()),
                    Ok(answer) if answer.transaction_id != transaction_id => {
                        last_mismatch = Some("it has another transaction id".to_owned());
                    }
                    Ok(Answer { said: ResponseBody::Failed(text), .. }) => {
                        return Err(UdpError::Refused(said(&text)));
                    }
                    Ok(answer) => match pick(answer.said) {
                        Some(picked) => return Ok(picked),
                        None => {
                            last_mismatch = Some("it answers another kind of request".to_owned())
                        }
                    },
                },
                // On loopback, and sometimes over a network, the system reports that the port is closed.
                Err(error) if is_refusal(&error) && !refused => {
                    refused = true;
                    thread::sleep(QUICK_RETRY.min(deadline.saturating_duration_since(now)));
                    due = Instant::now();
                }
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

impl Packets for UdpSocket {
    fn send(&self, packet: &[u8]) -> io::Result<()> {
        UdpSocket::send(self, packet).map(drop)
    }

    fn receive(&self, time: Duration, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        // A timeout of zero is not allowed.
        self.set_read_timeout(Some(time.max(Duration::from_millis(1))))?;
        match self.recv(buffer) {
            Ok(length) => Ok(Some(length)),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset)
}

/// Returns a tracker's text, safe to print. Some trackers end it with a zero byte, as in C.
fn said(text: &[u8]) -> String {
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    match text.get(..end).unwrap_or_default() {
        b"" => "(it gives no reason)".to_owned(),
        text => words(text),
    }
}
