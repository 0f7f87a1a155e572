//! Captures of real downloads from the lab: each is explained to its end, replays the same, and
//! can be used however the program that wrote it ended.

use crate::support::{Run, folder};
use piecemeal::lab::content::Content;
use piecemeal::lab::seeder::Plan;
use piecemeal::lab::{Lab, album};
use piecemeal::trace::capture::{Capture, EventKind};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// A lab with these seeders, and its torrent in the folder.
fn lab(folder: &Path, content: Content, seeders: &[Plan]) -> Lab {
    let lab = Lab::start(vec![content], seeders, 0).expect("a lab");
    lab.write_torrents(folder).expect("the folder can be written");
    lab
}

/// Runs a download with `--capture`, and returns the file.
fn recorded(folder: &Path, words: &[&str]) -> Vec<u8> {
    let options =
        ["-q", "-o", "out", "--capture", "session.capture", "--bind", "127.0.0.1", "--port", "0"];
    Run::new([words, &options].concat()).dir(folder).run().succeeds();
    fs::read(folder.join("session.capture")).expect("there is a capture")
}

/// Checks that `explain` shows all of it, and finds nothing broken.
#[track_caller]
fn explained(folder: &Path) -> String {
    let out = explain(folder);
    assert_nothing_strange(&out);
    out
}

fn explain(folder: &Path) -> String {
    Run::new(["explain", "session.capture"]).dir(folder).run().succeeds().out()
}

#[track_caller]
fn assert_nothing_strange(out: &str) {
    for strange in
        ["^^", "the capture ends in the middle", "after it on", "not known here", "by its looks"]
    {
        assert!(!out.contains(strange), "{strange}: {out}");
    }
}

/// The output without the note on a message that is cut off by the end of a connection.
fn without_cut_off(out: &str) -> String {
    let lines: Vec<&str> = out.lines().collect();
    let is_cut = |line: Option<&&str>| {
        line.is_some_and(|line| line.trim() == "(the capture ends in the middle of it)")
    };
    let kept = (0..lines.len()).filter(|at| {
        let broken = lines[*at].trim_start().starts_with("^^") && is_cut(lines.get(at + 1));
        !broken && !is_cut(lines.get(*at))
    });
    kept.map(|at| lines[at]).collect::<Vec<_>>().join("\n")
}

/// Checks that `replay` receives all pieces of the capture, and says "the same".
#[track_caller]
fn replayed(folder: &Path, words: &[&str], pieces: u64) {
    let outcome =
        Run::new([&["replay", "session.capture", "--json", "--timeout", "50"], words].concat())
            .dir(folder)
            .run();
    let json: Value = serde_json::from_str(&outcome.succeeds().out()).expect("it prints JSON");
    assert_eq!(
        (&json["same"], &json["pieces"]),
        (&Value::from(true), &Value::from(pieces)),
        "{outcome}"
    );
}

#[test]
fn a_recorded_download_is_explained_and_replays_the_same() {
    let folder = folder();
    let lab = lab(folder.path(), album().expect("a torrent"), &[Plan::default()]);
    recorded(folder.path(), &["download", "album.torrent"]);
    let pieces = lab.contents[0].info.piece_count();
    let out = explained(folder.path());
    assert!(out.contains(&format!("tracker: {}", lab.tracker.url())), "{out}");
    assert!(
        out.contains("announce")
            && out.contains("tracker answer")
            && out.contains("connection 1 ends"),
        "{out}"
    );
    replayed(folder.path(), &["--torrent", "album.torrent"], pieces.into());
}

#[test]
fn a_recorded_download_from_a_link_has_all_that_replay_needs() {
    let folder = folder();
    let lab = lab(folder.path(), album().expect("a torrent"), &[Plan::default()]);
    recorded(folder.path(), &["magnet_download", &lab.magnet_with_peers(&lab.contents[0])]);
    let out = explained(folder.path());
    assert!(out.contains("ut_metadata data") && out.contains("connection 1 ends"), "{out}");
    replayed(folder.path(), &[], lab.contents[0].info.piece_count().into());
}

#[test]
fn of_several_recorded_peers_each_replays_the_same() {
    let folder = folder();
    let content = Content::single("film.bin", 1 << 20, 32 << 10, 5).expect("a torrent");
    let slow = Plan::default().at_rate(1 << 20);
    let _lab = lab(folder.path(), content, &[slow.clone(), slow]);
    let bytes = recorded(folder.path(), &["download", "film.torrent"]);
    // Both are asked for the last blocks. The slower one is hung up on in the middle of a block.
    assert_nothing_strange(&without_cut_off(&explain(folder.path())));
    let capture = Capture::read(&bytes).expect("it is a capture");
    let brought = |place: usize| {
        let name = |what: &EventKind| {
            if let EventKind::Object(said) = what { said.object.name == "piece" } else { false }
        };
        capture.events.iter().any(|event| event.connection == Some(place) && name(&event.kind))
    };
    let mut played = 0;
    for (place, connection) in
        capture.connections.iter().enumerate().filter(|(place, _)| brought(*place))
    {
        let number = connection.number.to_string();
        let words = [
            "replay",
            "session.capture",
            "--torrent",
            "film.torrent",
            "--timeout",
            "50",
            "--connection",
            &number,
        ];
        let outcome = Run::new(words).dir(folder.path()).run();
        assert!(
            outcome.succeeds().out().ends_with("Our side said the same as in the capture.\n"),
            "{place}: {outcome}"
        );
        played += 1;
    }
    assert!(played > 0, "somebody brought the pieces");
}

#[test]
fn a_capture_that_ends_inside_its_last_line_is_whole_without_that_line() {
    let folder = folder();
    let content = Content::single("small.bin", 20_000, 16 << 10, 5).expect("a torrent");
    let lab = lab(folder.path(), content, &[Plan::default()]);
    let whole =
        recorded(folder.path(), &["magnet_download", &lab.magnet_with_peers(&lab.contents[0])]);
    let starts: Vec<usize> =
        (1..).zip(&whole).filter(|(_, byte)| **byte == b'\n').map(|(after, _)| after).collect();
    // The last line of all, and the last one with a message in it.
    let last = |start: usize| whole[start..].split(|byte| *byte == b'\n').next().expect("a line");
    let said = starts
        .iter()
        .rev()
        .find(|start| last(**start).windows(5).any(|five| five == b"\"hex\""))
        .expect("something was said");
    for start in [starts[starts.len() - 2], *said] {
        let line = last(start);
        let number = starts.iter().filter(|after| **after <= start).count() + 1;
        let before = Capture::read(&whole[..start])
            .expect("what stands before it is a capture")
            .events
            .len();
        // At every byte of a short line.
        for length in (1..line.len()).step_by(line.len().div_ceil(100)) {
            let error = Capture::read(&whole[..start + length])
                .expect_err("half a line is none")
                .to_string();
            assert_eq!(
                error,
                format!("line {number}: expected a JSON object, found that the file is cut short"),
                "{length} bytes of it"
            );
        }
        let without_newline =
            Capture::read(&whole[..start + line.len()]).expect("only the newline is not there");
        assert!(without_newline.events.len() >= before);
        // The program says what to do then, and its advice works.
        let path = folder.path().join("cut.capture");
        fs::write(&path, &whole[..start + line.len() / 2]).expect("the folder can be written");
        let outcome = Run::new(["explain", "cut.capture"]).dir(folder.path()).run();
        assert_eq!(outcome.code, Some(3), "{outcome}");
        assert!(
            outcome.err().contains("if its last line is cut short, drop it: sed '$d' FILE\n"),
            "{outcome}"
        );
        fs::write(&path, &whole[..start]).expect("the folder can be written");
        Run::new(["explain", "cut.capture"]).dir(folder.path()).run().succeeds();
    }
}

#[test]
fn a_capture_of_a_program_that_was_killed_is_read_to_where_it_got() {
    let folder = folder();
    let content = Content::single("film.bin", 8 << 20, 32 << 10, 5).expect("a torrent");
    let lab = lab(folder.path(), content, &[Plan::default().at_rate(256 << 10)]);
    let words = [
        "download",
        "-q",
        "-o",
        "out",
        "--capture",
        "session.capture",
        "--bind",
        "127.0.0.1",
        "--port",
        "0",
    ];
    let running = Run::new(words).arg("film.torrent").dir(folder.path()).start();
    let path = folder.path().join("session.capture");
    let until = Instant::now() + Duration::from_secs(60);
    while fs::metadata(&path).map_or(0, |file| file.len()) < 200_000 {
        assert!(Instant::now() < until, "nothing is recorded");
        std::thread::sleep(Duration::from_millis(5));
    }
    running.kill();
    drop(lab);
    // Each line was written at once.
    let outcome = Run::new(["explain", "session.capture"]).dir(folder.path()).run();
    assert!(outcome.succeeds().out().contains("piece, 16397 bytes: piece "), "{outcome}");
    let outcome = Run::new(["replay", "session.capture", "--torrent", "film.torrent", "--json"])
        .dir(folder.path())
        .run();
    let json: Value = serde_json::from_str(&outcome.succeeds().out()).expect("it prints JSON");
    assert!(json["pieces"].as_u64().is_some_and(|pieces| (1..256).contains(&pieces)), "{outcome}");
}
