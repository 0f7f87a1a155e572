//! A tracker that answers as the test wants, and records its requests.

use super::bencode::{bytes, dict, int, list};
use super::{LIMIT, jitter};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The tracker's reaction to a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// HTTP 200 with this body.
    Body(Vec<u8>),
    /// Another status with this body.
    Status(u16, Vec<u8>),
    /// HTTP 302 to here.
    Redirect(String),
    /// These bytes instead of HTTP.
    Raw(Vec<u8>),
    /// A long announced body that comes one byte a second, forever.
    Drip,
    /// Headers, and then a body that never ends, as fast as it can.
    Flood,
    /// Takes the request and says nothing.
    Silence,
    /// Takes the request and hangs up.
    HangUp,
}

impl Reply {
    /// The usual answer: `interval` and `peers`, six bytes each.
    pub fn peers(peers: &[SocketAddr]) -> Reply {
        Reply::Body(dict(&[("interval", int(1800)), ("peers", bytes(compact(peers)))]))
    }

    /// The old answer: a dictionary for each peer.
    pub fn peer_dictionaries(peers: &[SocketAddr]) -> Reply {
        let peers: Vec<Vec<u8>> = peers
            .iter()
            .map(|p| {
                dict(&[
                    ("ip", bytes(p.ip().to_string())),
                    ("peer id", bytes("-XX0000-abcdefghijkl")),
                    ("port", int(i64::from(p.port()))),
                ])
            })
            .collect();
        Reply::Body(dict(&[("interval", int(1800)), ("peers", list(&peers))]))
    }

    pub fn failure(reason: &str) -> Reply {
        Reply::Body(dict(&[("failure reason", bytes(reason))]))
    }
}

/// Peers in the compact form: BEP 23's six bytes, or BEP 7's eighteen.
pub fn compact(peers: &[SocketAddr]) -> Vec<u8> {
    let mut out = Vec::new();
    for peer in peers {
        match peer.ip() {
            IpAddr::V4(ip) => out.extend(ip.octets()),
            IpAddr::V6(ip) => out.extend(ip.octets()),
        }
        out.extend(peer.port().to_be_bytes());
    }
    out
}

type Answer = dyn Fn(&str, usize) -> Reply + Send + Sync;

/// A running tracker. Dropping it closes everything.
pub struct FakeTracker {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FakeTracker {
    /// The same answer each time.
    pub fn saying(reply: Reply) -> FakeTracker {
        FakeTracker::start(move |_, _| reply.clone())
    }

    /// A good tracker that knows these peers.
    pub fn knowing(peers: &[SocketAddr]) -> FakeTracker {
        FakeTracker::saying(Reply::peers(peers))
    }

    /// This many redirects, each to the next, and then these peers.
    pub fn redirecting(times: usize, peers: &[SocketAddr]) -> FakeTracker {
        let last = Reply::peers(peers);
        FakeTracker::start(move |target, _| {
            let digits: String = target
                .strip_prefix("/hop")
                .unwrap_or("0")
                .chars()
                .take_while(char::is_ascii_digit)
                .collect();
            let hop: usize = digits.parse().expect("hops are numbered");
            if hop < times { Reply::Redirect(format!("/hop{}?x=1", hop + 1)) } else { last.clone() }
        })
    }

    /// `answer` sees the request's target, and how many came before it.
    pub fn start(answer: impl Fn(&str, usize) -> Reply + Send + Sync + 'static) -> FakeTracker {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        listener.set_nonblocking(true).expect("a listener can be polled");
        let address = listener.local_addr().expect("a bound listener has an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let answer: Arc<Answer> = Arc::new(answer);
        let thread = std::thread::spawn({
            let (asked, stop) = (asked.clone(), stop.clone());
            move || serve(&listener, &answer, &asked, &stop)
        });
        FakeTracker { address, asked, stop, thread: Some(thread) }
    }

    pub fn url(&self) -> String {
        format!("http://{}/announce", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The targets of all requests, in order: `/announce?info_hash=...`.
    pub fn asked(&self) -> Vec<String> {
        jitter::lock(&self.asked).clone()
    }

    /// The one and only request's query, as pairs that are not decoded.
    #[track_caller]
    pub fn query(&self) -> Vec<(String, String)> {
        let asked = self.asked();
        assert_eq!(asked.len(), 1, "one announce, not {asked:#?}");
        query_of(&asked[0])
    }
}

/// The pairs of a target's query.
pub fn query_of(target: &str) -> Vec<(String, String)> {
    let query = target.split_once('?').map(|(_, q)| q).unwrap_or_default();
    query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// Decodes percent-encoding.
pub fn percent_decoded(text: &str) -> Vec<u8> {
    urlencoding::decode_binary(text.as_bytes()).into_owned()
}

impl Drop for FakeTracker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(
    listener: &TcpListener,
    answer: &Arc<Answer>,
    asked: &Arc<Mutex<Vec<String>>>,
    stop: &Arc<AtomicBool>,
) {
    let mut threads = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, _)) => {
                let (answer, asked, stop) = (answer.clone(), asked.clone(), stop.clone());
                threads.push(std::thread::spawn(move || {
                    let _ = converse(stream, &*answer, &asked, &stop);
                }));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(3)),
        }
    }
    for thread in threads {
        let _ = thread.join();
    }
}

fn converse(
    mut stream: TcpStream,
    answer: &Answer,
    asked: &Mutex<Vec<String>>,
    stop: &AtomicBool,
) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_millis(20)))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let mut head = Vec::new();
    let begun = Instant::now();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(0) => return Ok(()),
            Ok(_) => head.push(byte[0]),
            Err(_) if stop.load(Ordering::Relaxed) || begun.elapsed() > LIMIT => return Ok(()),
            Err(_) => {}
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let number = {
        let mut asked = jitter::lock(asked);
        asked.push(target.clone());
        asked.len() - 1
    };
    jitter::pause();
    match answer(&target, number) {
        Reply::Body(body) => respond(&mut stream, "200 OK", &body),
        Reply::Status(status, body) => respond(&mut stream, &format!("{status} Whatever"), &body),
        Reply::Redirect(to) => {
            let head = format!(
                "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(head.as_bytes())
        }
        Reply::Raw(bytes) => stream.write_all(&bytes),
        Reply::Drip => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\nd8:intervali")?;
            let mut last = Instant::now();
            while !over(&mut stream, stop) {
                if last.elapsed() > Duration::from_secs(1) {
                    stream.write_all(b"1")?;
                    last = Instant::now();
                }
            }
            Ok(())
        }
        Reply::Flood => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n999999999:")?;
            while !stop.load(Ordering::Relaxed) {
                stream.write_all(&[b'x'; 16_384])?;
            }
            Ok(())
        }
        Reply::Silence => {
            while !over(&mut stream, stop) {}
            Ok(())
        }
        Reply::HangUp => Ok(()),
    }
}

/// Waits a moment; true when the other side has gone or the test has ended.
fn over(stream: &mut TcpStream, stop: &AtomicBool) -> bool {
    let mut sink = [0; 512];
    matches!(stream.read(&mut sink), Ok(0)) || stop.load(Ordering::Relaxed)
}

fn respond(stream: &mut TcpStream, status: &str, body: &[u8]) -> std::io::Result<()> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    jitter::around(|| stream.write_all(body))
}
