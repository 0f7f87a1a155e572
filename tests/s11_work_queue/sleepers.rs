//! Threads that wait for a piece, with nothing else to listen to.

use super::super::support::{LIMIT, Recipe, Torrent, content};
use super::memory::{Memory, in_time, lease, queue, seed};
use piecemeal::s11_work_queue::WorkQueue;
use piecemeal::s11_work_queue::lease::{Lease, Written};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// One piece of one block.
fn torrent() -> Torrent {
    Recipe::single("t", 16_384, content(16_384, 3)).build()
}

/// Waits on a thread until `over`, a new generation or the end, while `then` makes it happen.
/// Returns whether the generation was a new one. It would wait for far longer than the test.
fn woken(
    queue: &Arc<WorkQueue>,
    over: impl Fn() -> bool + Send + 'static,
    then: impl FnOnce() + Send + 'static,
) -> bool {
    let (ready, begins) = mpsc::channel();
    let queue = Arc::clone(queue);
    in_time(move || {
        let (seen, begun) = (queue.generation(), Instant::now());
        let waiter = std::thread::spawn(move || {
            let _ = ready.send(());
            queue.wait(seen, begun + 2 * LIMIT, &over)
        });
        begins.recv().expect("the thread begins");
        // By then it is asleep, as a rule: a wake-up that is missing shows.
        std::thread::sleep(Duration::from_millis(20));
        then();
        waiter.join().expect("no panic in a wait") != seen
    })
}

fn never() -> bool {
    false
}

fn write(lease: &mut Lease, torrent: &Torrent, right: bool) -> Written {
    let block: Vec<u8> =
        torrent.content.iter().map(|byte| if right { *byte } else { !byte }).collect();
    lease.write(0, &[&block], &*Memory::of(torrent)).expect("memory takes it")
}

#[test]
fn a_sleeper_is_woken_when_a_piece_comes_back() {
    let torrent = torrent();
    let queue = queue(&torrent);
    let given_back = lease(&mut seed(&queue, 1));
    assert!(woken(&queue, never, move || drop(given_back)));
    let mut spoilt = lease(&mut seed(&queue, 2));
    assert!(woken(&queue, never, move || {
        assert_eq!(write(&mut spoilt, &torrent, false), Written::Corrupt(vec![2]));
    }));
}

#[test]
fn a_sleeper_is_woken_by_the_last_piece_and_by_whoever_ends_it() {
    let torrent = torrent();
    let queue = queue(&torrent);
    let (over, ends) = (Arc::new(AtomicBool::new(false)), Arc::clone(&queue));
    let ended = Arc::clone(&over);
    let is_over = move || over.load(Ordering::SeqCst);
    assert!(!woken(&queue, is_over, move || {
        ended.store(true, Ordering::SeqCst);
        ends.wake();
    }));
    let mut last = lease(&mut seed(&queue, 1));
    assert!(!woken(&queue, never, move || {
        assert_eq!(write(&mut last, &torrent, true), Written::Verified);
    }));
    assert_eq!(queue.counts(), (0, 0, 1));
}

#[test]
fn nobody_sleeps_when_there_is_news_already_or_no_time_is_left() {
    let torrent = torrent();
    let queue = queue(&torrent);
    let (seen, now) = (queue.generation(), Instant::now());
    assert_eq!(queue.wait(seen, now, &never), seen, "no time is left");
    drop(lease(&mut seed(&queue, 1)));
    let queue_too = Arc::clone(&queue);
    let found = in_time(move || queue_too.wait(seen, now + 2 * LIMIT, &never));
    assert_eq!((found != seen, found), (true, queue.generation()));
    assert_eq!(queue.wait(found, now + 2 * LIMIT, &|| true), found, "all is over");
}
