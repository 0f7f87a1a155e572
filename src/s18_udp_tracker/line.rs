//! A socket to one tracker, and a request that is sent again until it is answered.
//!
//! UDP loses packets, repeats them and delays them, and anyone can send one in another sender's
//! name. In stage 3, TCP took care of that. Here `Line::ask` does.

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
/// BEP 15: "A client can use a connection ID until one minute after it has received it." Trackers
/// should accept it for two minutes, so a request that begins within the minute has time for its
/// copies.
const ID_TIME: Duration = Duration::from_secs(60);
/// The largest datagram, in bytes. A smaller buffer would cut a longer one, on Unix without a word,
/// and a list of peers that was cut may look like a shorter list.
pub const LARGEST_DATAGRAM: usize = 65_536;

/// Sends packets to one address and receives them from there. A seam, like the transport of
/// stage 4.
pub trait Packets: Send {
    /// Sends a packet. It may get lost on the way, and nobody reports that.
    ///
    /// # Errors
    /// If the system cannot, or reports that an earlier packet found nothing there.
    fn send(&self, packet: &[u8]) -> io::Result<()>;

    /// Waits for the next packet, and copies it to the start of the buffer. Returns its length;
    /// `None` if none comes within this time, or a signal interrupts the wait.
    ///
    /// # Errors
    /// As [`Packets::send`].
    fn receive(&self, time: Duration, buffer: &mut [u8]) -> io::Result<Option<usize>>;
}

/// Wraps the socket to an address, so that a trace sees packets.
pub type Wrap = Arc<dyn Fn(Box<dyn Packets>, SocketAddr) -> Box<dyn Packets> + Send + Sync>;

/// A connected socket, and the connection id that the tracker gave us. One thread at a time has it:
/// another could take the answer that this one waits for.
pub(super) struct Line {
    socket: Box<dyn Packets>,
    pub address: SocketAddr,
    /// What every request begins with; [`PROTOCOL_ID`] until the tracker has answered the first.
    connection_id: u64,
    /// When the id arrived.
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
        // Port 0 lets the system choose a port, a new one for each line. An attacker has to guess
        // it, as well as the transaction id.
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
        let connected = |said| match said {
            ResponseBody::Connected { connection_id } => Some(connection_id),
            _ => None,
        };
        line.connection_id = line.ask(&RequestBody::Connect, connected, deadline)?;
        // Set again: the answer may have taken half a minute.
        line.since = Instant::now();
        Ok(line)
    }

    /// Whether the connection id may still be used.
    pub fn is_fresh(&self) -> bool {
        self.since.elapsed() < ID_TIME
    }

    /// Sends a request until an answer comes that `pick` accepts, and returns what `pick` made of
    /// it.
    ///
    /// | what happens | what `ask` does |
    /// |---|---|
    /// | a pause is over | sends the same packet again, and doubles the pause |
    /// | the answer comes | returns it |
    /// | an error packet comes with our transaction id | fails: the tracker refuses |
    /// | any other packet comes | notes why it does not fit, and goes on waiting |
    /// | the port is closed, for the first time | sends again in 150 ms |
    /// | it is closed again, or the system cannot send | fails |
    /// | the deadline comes, or [`PATIENCE`] is over | fails, with the last of the notes |
    ///
    /// A packet that does not fit may answer an earlier request, or come from an attacker that
    /// guesses. Only the transaction id distinguishes the true answer. All copies of a request have
    /// the same one, since the answer to any of them is good.
    pub fn ask<T>(
        &self,
        ask: &RequestBody,
        pick: impl Fn(ResponseBody) -> Option<T>,
        deadline: Instant,
    ) -> Result<T, UdpError> {
        let (address, family) = (self.address, Family::of(self.address));
        let (connection_id, transaction_id) = (self.connection_id, rand::random());
        let request = Request { connection_id, transaction_id, ask: ask.clone() }.encode();
        let deadline = deadline.min(Instant::now() + PATIENCE);
        let mut buffer = vec![0; LARGEST_DATAGRAM];
        let (mut due, mut pause) = (Instant::now(), FIRST_PAUSE);
        let (mut sent, mut refused, mut last_mismatch) = (0, false, None);
        loop {
            let now = Instant::now();
            if now >= deadline {
                return Err(UdpError::Silent { address, sent, last_mismatch });
            }
            let outcome = if now >= due {
                due = now + pause;
                pause *= 2;
                sent += 1;
                self.socket.send(&request).map(|()| None)
            } else {
                // Worked out again for each packet, so a flood of them cannot extend the wait.
                let time = due.min(deadline) - now;
                self.socket.receive(time, &mut buffer).map(|length| buffer.get(..length?))
            };
            match outcome {
                Ok(None) => {}
                Ok(Some(packet)) => match read(packet, family, transaction_id, &pick) {
                    Packet::Fits(picked) => return Ok(picked),
                    Packet::Refuses(reason) => return Err(UdpError::Refused(reason)),
                    Packet::Mismatch(why) => last_mismatch = Some(why),
                },
                // Only once: after this time, a tracker that was just starting has its socket.
                Err(error) if is_refusal(&error) && !refused => {
                    refused = true;
                    thread::sleep(QUICK_RETRY.min(deadline.saturating_duration_since(now)));
                    due = Instant::now();
                }
                Err(error) => return Err(UdpError::Socket { address, error }),
            }
        }
    }
}

/// What a packet is to the request that waits for an answer.
enum Packet<T> {
    Fits(T),
    /// The tracker refuses, for this reason.
    Refuses(String),
    /// It is not the answer, for this reason. It changes nothing.
    Mismatch(String),
}

/// Judges a packet. The transaction id is checked before anything that the packet says: a forged
/// error must not end an announce.
fn read<T>(
    packet: &[u8],
    family: Family,
    transaction_id: u32,
    pick: impl Fn(ResponseBody) -> Option<T>,
) -> Packet<T> {
    match Answer::decode(packet, family) {
        Err(error) => Packet::Mismatch(error.to_string()),
        Ok(answer) if answer.transaction_id != transaction_id => {
            Packet::Mismatch("it has another transaction id".to_owned())
        }
        Ok(Answer { said: ResponseBody::Failed(text), .. }) => Packet::Refuses(said(&text)),
        Ok(answer) => match pick(answer.said) {
            Some(picked) => Packet::Fits(picked),
            None => Packet::Mismatch("it answers another kind of request".to_owned()),
        },
    }
}

impl Packets for UdpSocket {
    fn send(&self, packet: &[u8]) -> io::Result<()> {
        // A packet goes out whole or not at all, so there is no length to look at.
        UdpSocket::send(self, packet).map(drop)
    }

    fn receive(&self, time: Duration, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        Ok(receive_within(self, time, buffer)?.map(|(length, _)| length))
    }
}

/// Waits for the next datagram at a socket, and copies it to the start of the buffer. Returns its
/// length and its sender; `None` if none comes within this time, or a signal interrupts the wait.
///
/// # Errors
/// If the socket is of no more use, or reports that an earlier datagram found nothing there.
pub fn receive_within(
    socket: &UdpSocket,
    time: Duration,
    buffer: &mut [u8],
) -> io::Result<Option<(usize, SocketAddr)>> {
    // A timeout of zero is not allowed: in the socket's interface it means forever.
    socket.set_read_timeout(Some(time.max(Duration::from_millis(1))))?;
    match socket.recv_from(buffer) {
        Ok(received) => Ok(Some(received)),
        // The first is what Unix reports on timeout, the second what Windows does.
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

/// Whether the other machine has reported that nothing listens at the port. On loopback it always
/// does, over a network sometimes. ICMP brings that report
/// after we have sent, so it comes with a later send or receive. Windows calls it a reset.
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
