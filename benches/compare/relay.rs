//! A link with latency: each byte is delayed by 25 ms each way, and 100 MiB/s pass.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::Summary;
use crate::helper::{self, Helper, until_stdin_ends};

/// What the link allows each way.
pub const RATE: u64 = 100 << 20;
const DELAY: Duration = Duration::from_millis(25);
/// How much a link that was not served in time may make up for.
const SLACK: Duration = Duration::from_millis(10);
const CHUNK: usize = 64 << 10;

/// `ADDRESS`: prints where it listens, and connects whoever comes with that address.
pub fn play(arguments: &[String]) -> Summary<()> {
    let [address] = arguments else { return Err("relay: ADDRESS".into()) };
    let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 9, 1), 0))?;
    println!("{}", listener.local_addr()?);
    let address = address.clone();
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            // Whoever hangs up on one side hangs up on the other.
            let _ = connect(near, &address);
        }
    });
    until_stdin_ends();
    Ok(())
}

/// Starts a relay to an address.
pub fn start(address: &str) -> Summary<(Helper, String)> {
    let mut helper = Helper::start(helper::command("relay")?.arg(address))?;
    let listening = helper.line()?;
    Ok((helper, listening))
}

fn connect(near: TcpStream, address: &str) -> io::Result<()> {
    let far = TcpStream::connect(address)?;
    for (from, to) in [(near.try_clone()?, far.try_clone()?), (far, near)] {
        to.set_nodelay(true)?;
        let (on_the_way, arrivals) = mpsc::channel();
        thread::spawn(move || drop(accept(from, &on_the_way)));
        thread::spawn(move || drop(deliver(to, &arrivals)));
    }
    Ok(())
}

/// Reads no faster than the link allows, and says when each chunk is due.
fn accept(mut from: TcpStream, on_the_way: &mpsc::Sender<(Instant, Vec<u8>)>) -> io::Result<()> {
    let mut free = Instant::now();
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = from.read(&mut buffer)?;
        let now = Instant::now();
        // A sleep ends too late, never too early: what that costs is not the link's.
        free = free.max(now.checked_sub(SLACK).unwrap_or(now))
            + Duration::from_nanos(read as u64 * 1_000_000_000 / RATE);
        let chunk = buffer.get(..read).unwrap_or_default().to_vec();
        if on_the_way.send((free.max(now) + DELAY, chunk)).is_err() || read == 0 {
            return Ok(());
        }
        let debt = free.saturating_duration_since(now);
        if debt > Duration::from_millis(2) {
            thread::sleep(debt);
        }
    }
}

/// Writes each chunk when it is due; an empty one is the end.
fn deliver(mut to: TcpStream, arrivals: &mpsc::Receiver<(Instant, Vec<u8>)>) -> io::Result<()> {
    for (due, chunk) in arrivals {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if chunk.is_empty() {
            break;
        }
        to.write_all(&chunk)?;
    }
    to.shutdown(std::net::Shutdown::Both)
}
