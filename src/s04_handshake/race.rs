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

/// The number of peers that are asked at the same time. All answers but one are thrown away, and
/// each costs its peer a place, so few are asked at once.
pub const AT_ONCE: usize = 8;

/// The stack of an asking thread, in bytes. std's default is four times as much.
const STACK: usize = 512 * 1024;

/// What the race waits for. One channel brings everything, so one wait, with one deadline, is
/// enough.
enum Note<T, E> {
    /// The finder has more peers; some may have been found before.
    Found(Vec<SocketAddr>),
    /// The finder has ended.
    NoMore,
    /// A peer has answered, or failed.
    Asked(SocketAddr, Result<T, E>),
    /// An asking thread has ended, normally or in a panic.
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
/// so `ask` must have a deadline of its own. `peers` runs on a thread of its own, and may wait
/// for its next peers: once the race is over, no one waits for it.
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
    P: IntoIterator<Item = Vec<SocketAddr>> + Send + 'static, // in batches
    T: Send + 'static,
    E: Send + 'static,
    F: Fn(SocketAddr) -> Result<T, E> + Clone + Send + 'static,
{
    let (notes, noted) = mpsc::channel();
    let mut finding = start_finding(peers, &notes);
    // Several trackers name the same peers. Each is asked once.
    let (mut seen, mut waiting) = (HashSet::new(), VecDeque::new());
    let mut running = 0; // threads that have not sent `Ended`
    let mut failures = Vec::new();
    loop {
        // A place that becomes free goes to the next peer at once.
        while running < AT_ONCE
            && let Some(peer) = waiting.pop_front()
        {
            running += 1;
            if !start_asking(peer, &notes, ask.clone()) {
                // The running threads go on without it for now. The pause keeps us from asking the
                // system over and over.
                waiting.push_back(peer);
                thread::sleep(Duration::from_millis(50));
                break;
            }
        }
        // All have failed, and none is to come.
        if running == 0 && !finding {
            return Err(failures);
        }
        // Checked apart: a note that is there already is taken even at a deadline that has passed,
        // and a thread that cannot be started leaves one each time.
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(failures);
        }
        match noted.recv_timeout(left) {
            Ok(Note::Found(found)) => {
                waiting.extend(found.into_iter().filter(|peer| seen.insert(*peer)))
            }
            Ok(Note::NoMore) => finding = false,
            Ok(Note::Asked(_, Ok(answer))) => return Ok(answer),
            Ok(Note::Asked(peer, Err(error))) => failures.push((peer, error)),
            Ok(Note::Ended) => running -= 1,
            Err(_) => return Err(failures), // the deadline: we hold a sender ourselves
        }
    }
}

/// Starts a thread that forwards the peers as they are found. Returns whether the system gave one.
/// Finding them may take seconds: trackers have to answer. The first ones are asked meanwhile.
fn start_finding<T, E, P>(peers: P, notes: &Sender<Note<T, E>>) -> bool
where
    T: Send + 'static,
    E: Send + 'static,
    P: IntoIterator<Item = Vec<SocketAddr>> + Send + 'static,
{
    let finder = notes.clone();
    // Sending fails once the race is over; that is fine.
    let forward = move || {
        peers.into_iter().for_each(|found| drop(finder.send(Note::Found(found))));
        let _ = finder.send(Note::NoMore);
    };
    thread::Builder::new().name("find peers".to_owned()).spawn(forward).is_ok()
}

/// Starts a thread that asks one peer and sends what came of it, then [`Note::Ended`]. Returns
/// whether the system gave a thread. If not, `Ended` is sent all the same, by the closure that
/// was dropped.
fn start_asking<T, E, F>(peer: SocketAddr, notes: &Sender<Note<T, E>>, ask: F) -> bool
where
    T: Send + 'static,
    E: Send + 'static,
    F: FnOnce(SocketAddr) -> Result<T, E> + Send + 'static,
{
    let ends = Ends(notes.clone());
    let work = move || drop(ends.0.send(Note::Asked(peer, ask(peer))));
    thread::Builder::new().name(format!("ask {peer}")).stack_size(STACK).spawn(work).is_ok()
}
