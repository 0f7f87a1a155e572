//! Ask several peers the same thing at once; the first answer wins.
//!
//! Many of the addresses that a tracker gives lead nowhere: the machine is off,
//! or behind a router, or has no free place. Trying one after the other would
//! wait for each of these. So eight are asked at a time, a thread each, until
//! one answers.

use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// The number of peers that are asked at the same time.
pub const AT_ONCE: usize = 8;

/// Stack of an asking thread, in bytes.
const STACK: usize = 512 * 1024;

/// What the race waits for.
enum Note<T, E> {
    Found(Vec<SocketAddr>),
    NoMore,
    Asked(SocketAddr, Result<T, E>),
    /// A thread has ended, normally or in a panic.
    Ended,
}

/// Sends [`Note::Ended`] when it is dropped, which also happens if its thread panics.
struct Ends<T, E>(Sender<Note<T, E>>);

impl<T, E> Drop for Ends<T, E> {
    fn drop(&mut self) {
        let _ = self.0.send(Note::Ended);
    }
}

/// Runs `ask` for each peer as it is found, [`AT_ONCE`] of them at a time, and
/// returns the first success. Nothing waits for threads that are still busy then,
/// so `ask` must have a deadline of its own.
///
/// # Errors
/// If all fail and no more can be found, or at `deadline`: the peers that failed,
/// each with its reason.
pub fn first_answer<T, E, P, F>(
    peers: P,
    deadline: Instant,
    ask: F,
) -> Result<T, Vec<(SocketAddr, E)>>
where
    P: IntoIterator<Item = Vec<SocketAddr>> + Send + 'static,
    T: Send + 'static,
    E: Send + 'static,
    F: Fn(SocketAddr) -> Result<T, E> + Clone + Send + 'static,
{
    let (notes, noted) = mpsc::channel();
    let finder = notes.clone();
    // Sending fails once the race is over; that is fine.
    let forward = move || {
        peers.into_iter().for_each(|found| drop(finder.send(Note::Found(found))));
        let _ = finder.send(Note::NoMore);
    };
    let mut finding = thread::Builder::new().name("find peers".to_owned()).spawn(forward).is_ok();
    let (mut seen, mut waiting) = (HashSet::new(), VecDeque::new());
    let mut running = 0;
    let mut failures = Vec::new();
    loop {
        while running < AT_ONCE
            && let Some(peer) = waiting.pop_front()
        {
            let (ends, ask) = (Ends(notes.clone()), ask.clone());
            let work = move || drop(ends.0.send(Note::Asked(peer, ask(peer))));
            running += 1;
            // If the system refuses a thread, the running ones go on alone for now.
            // Dropping `work` here also sends `Ended`, which keeps `running` right.
            if thread::Builder::new()
                .name(format!("ask {peer}"))
                .stack_size(STACK)
                .spawn(work)
                .is_err()
            {
                waiting.push_back(peer);
                thread::sleep(Duration::from_millis(50));
                break;
            }
        }
        if running == 0 && !finding {
            return Err(failures);
        }
        match noted.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Note::Found(found)) => {
                waiting.extend(found.into_iter().filter(|peer| seen.insert(*peer)))
            }
            Ok(Note::NoMore) => finding = false,
            Ok(Note::Asked(_, Ok(answer))) => return Ok(answer),
            Ok(Note::Asked(peer, Err(error))) => failures.push((peer, error)),
            Ok(Note::Ended) => running -= 1,
            Err(_) => return Err(failures),
        }
    }
}
