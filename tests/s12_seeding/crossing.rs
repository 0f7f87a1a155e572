//! Two that dial each other at the same moment.

use super::super::support::Torrent;
use super::crowd::{Link, Member, at, complete, equals, pipes, run_until, tcp};
use super::giver::staying;
use super::memory::within;
use piecemeal::s11_swarm::{Ended, Event, SwarmError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Both ends must keep the same one of the two connections: keeping one each, they would
/// keep none. A piece that neither has keeps them from being done with each other.
fn crosses(link: Link) {
    let torrent = Torrent::sample();
    let members = [Member { have: vec![0, 1], dials: vec![1] }, Member { have: vec![2, 3], dials: vec![0] }];
    let all = 4 * 32_768;
    // How often in a row each was seen with everything that can be had, over one connection.
    let mut settled = [0, 0];
    let left = Arc::new(Mutex::new([0, 0]));
    let lost = Arc::clone(&left);
    let ran = run_until(link, &torrent, &members, &staying(), true, move |number, event| {
        if settled.iter().all(|times| *times >= 3) {
            return true; // what happens now is the end
        }
        if let Event::Left(who, why) = event {
            assert_eq!(*who, at(1 - number));
            assert!(!matches!(why, Ended::Panic | Ended::Ourselves | Ended::Corrupt(_)), "{why}");
            lost.lock().expect("nobody panics with this lock")[number] += 1;
        }
        if let Event::Progress { verified, peers, .. } = event {
            settled[number] = if (*verified, *peers) == (all, 1) { settled[number] + 1 } else { 0 };
        }
        settled.iter().all(|times| *times >= 3)
    });
    for ran in &ran {
        assert!(matches!(ran.result, Err(SwarmError::Stopped)), "{:?}", ran.result);
        assert!(ran.store.content()[..all as usize] == torrent.content[..all as usize]);
    }
    // The one that did not remain may have been given up before the other side had it.
    let left = *left.lock().expect("nobody panics with this lock");
    assert!(left.iter().all(|lost| *lost <= 1), "{left:?}");
}

#[test]
fn one_of_two_connections_that_cross_remains_and_the_download_goes_on() {
    within(Duration::from_secs(100), || {
        for round in 0..20 {
            crosses(if round % 2 == 0 { pipes(4096) } else { tcp(false) });
        }
    });
}

#[test]
fn many_that_all_dial_each_other_all_get_everything() {
    let torrent = Torrent::of_pieces(12, 5);
    within(Duration::from_secs(100), move || {
        let mut members = equals(6, 12);
        for (number, member) in members.iter_mut().enumerate() {
            member.dials = (0..6).filter(|other| *other != number).collect();
        }
        complete(pipes(4096), &torrent, &members, &staying());
    });
}
