//! Peers of ours that choose among each other, and all of them want everything.

use super::super::support::{Recipe, content};
use super::crowd::{Link, complete, equals, pipes, tcp};
use super::memory::within;
use super::rules::seeding;
use std::time::Duration;

#[track_caller]
fn twenty(link: Link) {
    let torrent = Recipe::single("t", 32_768, content(20 * 32_768 - 5, 7)).build();
    within(Duration::from_secs(100), move || {
        let ran = complete(link, &torrent, &equals(20, 20), seeding);
        let outcomes = ran.iter().map(|ran| ran.result.as_ref().expect("all is well"));
        let taken: u64 = outcomes.map(|outcome| outcome.downloaded).sum();
        let needed = (19 * torrent.content.len()) as u64;
        // At the end a block may be requested of several peers, and then a little comes twice.
        assert!((needed..needed * 2).contains(&taken), "{taken} taken, {needed} needed");
    });
}

#[test]
fn twenty_with_a_piece_each_all_get_everything_over_pipes() {
    twenty(pipes(4096));
}

#[test]
fn twenty_with_a_piece_each_all_get_everything_over_tcp() {
    twenty(tcp(false));
}
