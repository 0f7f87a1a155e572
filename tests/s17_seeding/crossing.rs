//! Two that dial each other at the same moment.

use super::super::support::Torrent;
use super::crowd::{Link, Member, at, complete, equals, pipes, run_until, run_with_patience, tcp};
use super::giver::stop_soon;
use super::memory::within;
use super::rules::seeding;
use piecemeal::s12_session::host::SessionEnd;
use piecemeal::s15_swarm::{Ended, Event, SwarmError};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Both ends must keep the same one of the two connections: keeping one each, they would
/// keep none. A piece that neither has keeps them from being done with each other.
fn crosses(link: Link) {
    let torrent = Torrent::sample();
    let members =
        [Member { have: vec![0, 1], dials: vec![1] }, Member { have: vec![2, 3], dials: vec![0] }];
    let all = 4 * 32_768;
    // What each has, and over how many connections; and whether both had got so far.
    let (mut latest, mut settled) = ([(0, 0); 2], false);
    let lost = Arc::new(Mutex::new([0, 0]));
    let left = Arc::clone(&lost);
    let ran = run_until(link, &torrent, &members, seeding, true, move |number, event, stop| {
        if stop.load(Ordering::SeqCst) {
            return; // what happens now is the end
        }
        match event {
            Event::Progress { verified, peers, .. } => latest[number] = (*verified, *peers),
            // Who was refused may try again, and is refused again.
            Event::Left(_, Ended::Twice) => {}
            Event::Left(who, why) => {
                assert_eq!(who.ip(), at(1 - number).ip());
                assert!(
                    !matches!(
                        why,
                        Ended::Panic | Ended::Ourselves | Ended::Session(SessionEnd::Corrupt(_))
                    ),
                    "{why}"
                );
                left.lock().expect("nobody panics with this lock")[number] += 1;
            }
            _ => {}
        }
        if latest == [(all, 1); 2] {
            if !std::mem::replace(&mut settled, true) {
                stop_soon(stop);
            }
        } else {
            assert!(!settled, "they had one connection, and then {latest:?}");
        }
    });
    for ran in &ran {
        assert!(matches!(ran.result, Err(SwarmError::Stopped)), "{:?}", ran.result);
        assert!(ran.store.content()[..all as usize] == torrent.content[..all as usize]);
    }
    // The one that did not remain may have been given up before the other side had it.
    let lost = *lost.lock().expect("nobody panics with this lock");
    assert!(lost.iter().all(|times| *times <= 1), "{lost:?}");
}

#[test]
fn one_of_two_connections_that_cross_remains_and_the_download_goes_on() {
    within(Duration::from_secs(100), || {
        for round in 0..20 {
            crosses(if round % 2 == 0 { pipes(4096) } else { tcp(false) });
        }
    });
}

/// Each has dialed the other, and neither has anything for the other.
#[test]
fn a_pair_that_has_nothing_to_give_does_not_end_up_with_two_connections() {
    let torrent = Torrent::sample();
    let members =
        [Member { have: vec![0, 1], dials: vec![1] }, Member { have: vec![0, 1], dials: vec![0] }];
    let (patience, begun) = (Duration::from_secs(3), Instant::now());
    let over = move |number, event: &Event, stop: &Arc<AtomicBool>| {
        // As much later the second one dials the first again: it may be a stranger that is here. The
        // first one knows better, and hangs up.
        let hung_up = number == 1
            && matches!(event, Event::Left(who, Ended::Session(SessionEnd::Message(_))) if *who == at(0));
        stop.fetch_or(hung_up && begun.elapsed() >= patience, Ordering::SeqCst);
    };
    let ran = run_with_patience(patience, pipes(4096), &torrent, &members, seeding, true, over);
    for ran in &ran {
        assert!(matches!(ran.result, Err(SwarmError::Stopped)), "{:?}", ran.result);
    }
}

#[test]
fn many_that_all_dial_each_other_all_get_everything() {
    let torrent = Torrent::of_pieces(12, 5);
    within(Duration::from_secs(100), move || {
        let mut members = equals(6, 12);
        for (number, member) in members.iter_mut().enumerate() {
            member.dials = (0..6).filter(|other| *other != number).collect();
        }
        complete(pipes(4096), &torrent, &members, seeding);
    });
}
