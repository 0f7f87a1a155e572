//! Two that dial each other at the same moment.

use super::super::support::Torrent;
use super::crowd::{Link, Member, at, pipes, run_until, stay, tcp};
use super::memory::within;
use piecemeal::s11_swarm::{Ended, Event, SwarmError};
use std::time::Duration;

/// Both ends must keep the same one of the two connections: keeping one each, they would
/// keep none. A piece that neither has keeps them from being done with each other.
fn crosses(link: Link) {
    let torrent = Torrent::sample();
    let members = [Member { have: vec![0, 1], dials: vec![1] }, Member { have: vec![2, 3], dials: vec![0] }];
    let all = 4 * 32_768;
    // How often in a row each was seen with everything that can be had, over one connection.
    let mut settled = [0, 0];
    let ran = run_until(link, &torrent, &members, &stay(), true, move |number, event| {
        if let Event::Progress { verified, peers, .. } = event {
            settled[number] = if (*verified, *peers) == (all, 1) { settled[number] + 1 } else { 0 };
        }
        settled.iter().all(|times| *times >= 3)
    });
    for (number, ran) in ran.iter().enumerate() {
        assert!(matches!(ran.result, Err(SwarmError::Stopped)), "{:?}", ran.result);
        assert!(ran.store.content()[..all as usize] == torrent.content[..all as usize]);
        let left: Vec<_> = ran.events.iter().filter(|event| matches!(event, Event::Left(..))).collect();
        assert!(left.len() <= 1, "{left:#?}");
        for event in left {
            let Event::Left(who, why) = event else { unreachable!("only those were kept") };
            assert_eq!(*who, at(1 - number));
            assert!(!matches!(why, Ended::Panic | Ended::Ourselves | Ended::Corrupt(_)), "{why}");
        }
    }
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
        let mut members = super::crowd::equals(6, 12);
        for (number, member) in members.iter_mut().enumerate() {
            member.dials = (0..6).filter(|other| *other != number).collect();
        }
        super::crowd::complete(pipes(4096), &torrent, &members, &stay());
    });
}
