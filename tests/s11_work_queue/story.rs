//! The command: the real queue and real threads, in turns.

use super::super::support::{Outcome, Run, Torrent, folder};
use std::path::Path;

/// Twenty pieces, and their content.
fn torrent(folder: &Path) -> Torrent {
    let torrent = Torrent::of_pieces(20, 5);
    torrent.write(folder, None);
    std::fs::write(folder.join("content"), &torrent.content).expect("the folder takes a file");
    torrent
}

fn story(folder: &Path, options: &[&str]) -> Outcome {
    let command = ["work_queue"].iter().chain(options).chain(&["test.torrent", "content"]);
    Run::new(command.copied()).dir(folder).run()
}

fn text(outcome: &Outcome) -> String {
    outcome.succeeds();
    String::from_utf8(outcome.stdout.clone()).expect("it is text")
}

#[test]
fn the_same_seed_tells_the_same_story_and_another_tells_another() {
    let folder = folder();
    torrent(folder.path());
    let tell = |seed: &str| {
        text(&story(folder.path(), &["--faults", "none,die,corrupt,slow", "--seed", seed]))
    };
    assert_eq!(tell("3"), tell("3"));
    assert_ne!(tell("3"), tell("4"));
    assert!(tell("3").contains("20 of 20 pieces are verified"), "{}", tell("3"));
}

#[test]
fn each_piece_is_claimed_before_it_comes_and_completed_once() {
    let folder = folder();
    torrent(folder.path());
    for seed in ["1", "2", "3", "4", "5", "6"] {
        let told = text(&story(
            folder.path(),
            &["--peers", "5", "--faults", "die,corrupt,corrupt", "--seed", seed],
        ));
        for piece in 0..20 {
            let at = |words: &str| {
                told.find(&format!("{words} piece {piece}"))
                    .unwrap_or_else(|| panic!("{words} {piece}: {told}"))
            };
            assert!(at("claims") < at("has completed"), "{told}");
            let right = format!("has completed piece {piece}, and its hash is right");
            assert_eq!(told.matches(&right).count(), 1, "{told}");
        }
    }
}

#[test]
fn when_all_are_gone_it_ends_and_says_what_is_missing() {
    let folder = folder();
    torrent(folder.path());
    let told = text(&story(folder.path(), &["--peers", "1", "--faults", "die", "--seed", "2"]));
    assert!(
        told.contains("dies; piece") && told.contains("nobody who is left has the rest"),
        "{told}"
    );
}

#[test]
fn threads_that_run_freely_complete_it_too() {
    let folder = folder();
    torrent(folder.path());
    for _ in 0..5 {
        let told = text(&story(
            folder.path(),
            &["--free", "--peers", "8", "--faults", "none,die,corrupt,corrupt,slow"],
        ));
        assert!(told.contains("20 of 20 pieces are verified by 8 threads"), "{told}");
    }
}

#[test]
fn content_that_is_not_right_is_refused() {
    let folder = folder();
    torrent(folder.path());
    std::fs::write(folder.path().join("content"), "short").expect("the folder takes a file");
    story(folder.path(), &[]).fails(&[6]).mentions("0 of 20 pieces are right");
}
