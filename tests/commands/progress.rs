//! The progress of a download without a terminal.

use crate::support::{FakePeer, Run, Torrent, folder};
use serde_json::Value;
use std::time::Duration;

/// The lines on stderr of a download that succeeds and takes at least three seconds.
fn shown(options: &[&str]) -> Vec<String> {
    download(300, options).0
}

/// The same with a rest before each of the ten blocks, and whether it took over two seconds.
fn download(pace: u64, options: &[&str]) -> (Vec<String>, bool) {
    let folder = folder();
    let torrent = Torrent::sample();
    let peer = FakePeer::of(&torrent).pace(pace).start();
    torrent.write(folder.path(), None);
    let run =
        Run::new(["download", "-o", "out", "test.torrent"]).dir(folder.path()).peer(peer.address());
    let outcome = options.iter().fold(run, Run::arg).run();
    outcome.prints("Downloaded test.torrent to out.\n");
    assert!(!outcome.err().contains('\x1b'), "no escapes without a terminal: {outcome}");
    (outcome.err().lines().map(str::to_owned).collect(), outcome.elapsed > Duration::from_secs(2))
}

#[test]
fn short_work_prints_no_line() {
    let (lines, was_long) = download(0, &["--map", "--peers"]);
    assert!(lines.is_empty() || was_long, "{lines:#?}");
}

#[test]
fn a_plain_line_says_how_much_is_verified() {
    let lines = shown(&[]);
    let percents: Vec<u32> = lines
        .iter()
        .map(|line| {
            let rest = line.strip_prefix("downloading: ").unwrap_or_else(|| panic!("{lines:#?}"));
            rest.split_once('%').expect("a percentage").0.parse().expect("a number")
        })
        .collect();
    assert!(percents.is_sorted() && percents.last() == Some(&100), "{lines:#?}");
    assert!(percents.len() >= 2, "one after two seconds, and one at the end: {lines:#?}");
    assert!(
        lines.last().is_some_and(|line| line.starts_with("downloading: 100%, 148 KiB of 148 KiB")),
        "{lines:#?}"
    );
}

#[test]
fn the_map_comes_with_each_step_and_is_full_at_the_end() {
    let lines = shown(&["--map"]);
    assert_eq!(lines[lines.len() - 2..], ["0  #####", "# 5 verified  . 0 missing"], "{lines:#?}");
    assert!(lines[lines.len() - 3].starts_with("downloading: 100%, "), "{lines:#?}");
}

#[test]
fn the_table_comes_with_each_step() {
    let lines = shown(&["--peers"]);
    let end =
        lines.iter().position(|line| line.starts_with("downloading: 100%")).expect("the last step");
    let next = lines.get(end + 1).map(String::as_str).unwrap_or_default();
    assert!(
        next == "no peer is connected" || next.split_whitespace().next() == Some("peer"),
        "{lines:#?}"
    );
}

#[test]
fn quiet_is_quiet_whatever_is_to_be_shown() {
    assert_eq!(shown(&["-q", "--peers", "--map"]), [""; 0]);
}

#[test]
fn programs_are_told_of_progress_only_when_there_is_some() {
    let folder = folder();
    let torrent = Torrent::sample();
    // Ten blocks, with a time between them that the swarm looks at more than once.
    let peer = FakePeer::of(&torrent).pace(120).start();
    let file = torrent.write(folder.path(), None);
    let run = Run::new(["download", "--json", "-o"])
        .arg(folder.path().join("out"))
        .arg(file)
        .peer(peer.address())
        .run();
    run.succeeds();
    let events: Vec<Value> = run
        .out()
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .collect();
    let progress: Vec<&Value> =
        events.iter().filter(|event| event["event"] == "progress").collect();
    assert!(progress.windows(2).all(|two| two[0] != two[1]), "{progress:#?}");
    assert_eq!(
        progress.last().map(|last| &last["verified"]),
        Some(&Value::from(151_072)),
        "{progress:#?}"
    );
}
