//! Ask several peers the same thing at once; the first answer wins.
//!
//! Of the addresses a tracker gives, many lead nowhere: the machine is off, or
//! behind a router, or full. Trying them one by one would be waiting for the
//! slowest. So eight are asked at a time, a thread each, until one answers.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

/// How many peers are asked at the same time.
pub const AT_ONCE: usize = 8;

/// Runs `ask` for each peer, [`AT_ONCE`] of them at a time, and returns the first
/// success. Threads that are still busy then are left to their own deadlines,
/// so `ask` must have one.
///
/// # Errors
/// If all fail, or `until` comes: the peers that failed, each with its reason.
pub fn first_answer<T, E, F>(peers: &[SocketAddr], until: Instant, ask: F) -> Result<T, Vec<(SocketAddr, E)>>
where
    T: Send + 'static,
    E: Send + 'static,
    F: Fn(SocketAddr) -> Result<T, E> + Clone + Send + 'static,
{
    let (answers, answered) = mpsc::channel();
    let mut waiting = peers.iter().copied();
    let mut running = 0;
    let mut failures = Vec::new();
    loop {
        while running < AT_ONCE
            && let Some(peer) = waiting.next()
        {
            let (answers, ask) = (answers.clone(), ask.clone());
            let work = move || {
                // Nobody listens any more once the race is over.
                let _ = answers.send((peer, ask(peer)));
            };
            // Where the system refuses a thread, those that run go on alone.
            if thread::Builder::new().name(format!("ask {peer}")).spawn(work).is_err() {
                break;
            }
            running += 1;
        }
        if running == 0 {
            return Err(failures);
        }
        match answered.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok((_, Ok(answer))) => return Ok(answer),
            Ok((peer, Err(error))) => failures.push((peer, error)),
            Err(_) => return Err(failures),
        }
        running -= 1;
    }
}
