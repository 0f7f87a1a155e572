//! Both directions at once, at full speed, over lines that hold next to nothing: where
//! both sides could wait for each other to read, they must not.

use super::super::support::{Recipe, content};
use super::crowd::{Link, Member, complete, equals, pipes, tcp};
use super::giver::staying;
use super::memory::within;
use std::time::Duration;

/// So many members with so many pieces of this size between them, until all have all.
#[track_caller]
fn exchange(link: Link, members: usize, pieces: usize, piece_length: usize) {
    let torrent = Recipe::single("t", piece_length, content(pieces * piece_length - 5, 7)).build();
    within(Duration::from_secs(100), move || {
        let ran = complete(link, &torrent, &equals(members, pieces), staying);
        let outcomes = ran.iter().map(|ran| ran.result.as_ref().expect("all is well"));
        let taken: u64 = outcomes.map(|outcome| outcome.downloaded).sum();
        let needed = ((members - 1) * torrent.content.len()) as u64;
        // At the end a block may be asked of several, and then little comes twice.
        assert!((needed..needed * 2).contains(&taken), "{taken} taken, {needed} needed");
    });
}

#[test]
fn two_halves_make_two_wholes_over_pipes_of_64_bytes() {
    exchange(pipes(64), 2, 16, 32_768);
}

#[test]
fn two_halves_make_two_wholes_over_tcp_with_small_buffers() {
    exchange(tcp(true), 2, 16, 16_384);
}

#[test]
fn two_halves_make_two_wholes_over_tcp() {
    exchange(tcp(false), 2, 200, 65_536);
}

#[test]
fn six_over_the_narrowest_lines_all_get_everything() {
    exchange(pipes(64), 6, 12, 16_384);
    exchange(tcp(true), 3, 6, 16_384);
}

/// Two bitfields of 12,500 bytes that leave at the same time, before there is a thread
/// that writes; and nobody can read a message of which half is missing.
#[test]
fn two_large_bitfields_meet_in_pipes_that_hold_a_part_of_them() {
    let torrent = Recipe::single("t", 1, content(100_000, 9)).build();
    let all = 100_000;
    let members = [
        Member { have: (1..all).collect(), dials: vec![1] },
        Member { have: (0..all - 1).collect(), dials: vec![] },
    ];
    within(Duration::from_secs(100), move || {
        for room in [4096, 300] {
            complete(pipes(room), &torrent, &members, staying);
        }
    });
}

#[test]
fn haves_and_blocks_cross_each_other_in_pieces_smaller_than_a_message() {
    // Many small pieces: as many bytes of messages as of blocks.
    exchange(pipes(64), 2, 600, 40);
}
