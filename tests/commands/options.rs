//! Aliases, global options, and a closed stdout.

use crate::support::{FakePeer, FakeTracker, Run, Torrent, dead_address, folder};
use serde_json::Value;

#[test]
fn every_command_with_an_underscore_has_a_dashed_alias() {
    let folder = folder();
    let torrent = Torrent::sample();
    let peer = FakePeer::of(&torrent).start();
    let file = torrent.write(folder.path(), None);
    let link = torrent.magnet(&[]);
    let out = folder.path().join("out");
    let run = |words: &[&str]| Run::new(words).peer(peer.address()).run();
    let (file, out) =
        (file.to_str().expect("a path of ours"), out.to_str().expect("a path of ours"));
    run(&["magnet-parse", &link]).succeeds();
    run(&["magnet-handshake", &link]).succeeds();
    run(&["magnet-info", &link]).succeeds();
    run(&["download-piece", "-o", out, file, "0"])
        .prints(&format!("Piece 0 downloaded to {out}.\n"));
    std::fs::remove_file(out).expect("the piece is there");
    run(&["magnet-download-piece", "-o", out, &link, "0"])
        .prints(&format!("Piece 0 downloaded to {out}.\n"));
    std::fs::remove_file(out).expect("the piece is there");
    run(&["magnet-download", "-o", out, &link]).prints(&format!("Downloaded {link} to {out}.\n"));
}

#[test]
fn options_may_stand_before_the_command_or_after_it() {
    let torrent = Torrent::sample();
    let peer = FakePeer::of(&torrent).start();
    let address = peer.address().to_string();
    let link = torrent.magnet(&[]);
    Run::new(["--peer", &address, "magnet_info", &link]).run().succeeds();
    Run::new(["magnet_info", "--peer", &address, &link]).run().succeeds();
    Run::new(["magnet_info", &link, "--peer", &address, "--timeout", "3", "-q"]).run().succeeds();
}

#[test]
fn peers_named_by_hand_need_no_tracker_that_works() {
    let folder = folder();
    let torrent = Torrent::sample();
    let peer = FakePeer::of(&torrent).start();
    let dead = format!("http://{}/announce", dead_address());
    let file = torrent.write(folder.path(), Some(&dead));
    let out = folder.path().join("out");
    Run::new(["download", "-o"])
        .arg(&out)
        .arg(&file)
        .peer(dead_address())
        .peer(peer.address())
        .run()
        .succeeds();
    assert!(std::fs::read(&out).expect("the download is there") == torrent.content);
    let piece = folder.path().join("piece");
    Run::new(["download_piece", "-o"])
        .arg(piece)
        .arg(&file)
        .arg("2")
        .peer(dead_address())
        .peer(peer.address())
        .run()
        .succeeds();
}

/// The one JSON object that a short command prints.
#[track_caller]
fn object(outcome: &crate::support::Outcome) -> Value {
    outcome.succeeds();
    assert_eq!(outcome.out().lines().count(), 1, "one line: {outcome}");
    let value: Value =
        serde_json::from_str(&outcome.out()).unwrap_or_else(|e| panic!("{e}: {outcome}"));
    assert!(value.is_object(), "{outcome}");
    value
}

#[test]
fn json_is_one_object_for_a_short_command() {
    let folder = folder();
    let torrent = Torrent::sample();
    let peer = FakePeer::of(&torrent).start();
    let tracker = FakeTracker::knowing(&[peer.address()]);
    let file = torrent.write(folder.path(), Some(&tracker.url()));
    let link = torrent.magnet(&[&tracker.url()]);
    let address = peer.address().to_string();
    let info = object(&Run::new(["info", "--json"]).arg(&file).run());
    assert!(info.to_string().contains(&torrent.hex()), "{info}");
    let peers = object(&Run::new(["peers", "--json"]).arg(&file).run());
    assert!(peers.to_string().contains(&address), "{peers}");
    let hello = object(&Run::new(["handshake", "--json"]).arg(&file).arg(&address).run());
    assert!(hello.to_string().contains("2d4650303030312d303132333435363738396162"), "{hello}");
    for command in ["magnet_parse", "magnet_handshake", "magnet_info"] {
        let value = object(&Run::new([command, "--json", &link]).run());
        assert!(!value.as_object().is_none_or(serde_json::Map::is_empty), "{command}");
    }
}

#[test]
fn json_of_a_long_command_is_a_line_for_each_event_and_quiet_does_not_silence_it() {
    let folder = folder();
    let torrent = Torrent::sample();
    let peer = FakePeer::of(&torrent).start();
    let file = torrent.write(folder.path(), None);
    let link = torrent.magnet(&[]);
    let out = folder.path().join("out");
    for run in [
        Run::new(["download", "--json", "-q", "-o"]).arg(&out).arg(&file),
        Run::new(["magnet_download", "-q", "--json", "--force", "-o"]).arg(&out).arg(&link),
    ] {
        let outcome = run.peer(peer.address()).run();
        outcome.succeeds();
        let text = outcome.out();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {outcome}")))
            .collect();
        assert!(lines.iter().all(Value::is_object), "{outcome}");
        assert!(
            lines.last().is_some_and(|last| last.to_string().contains("out")),
            "the last line is the result: {outcome}"
        );
    }
}

#[test]
fn quiet_leaves_stderr_empty() {
    let folder = folder();
    let torrent = Torrent::sample();
    let peer = FakePeer::of(&torrent).start();
    let file = torrent.write(folder.path(), None);
    let outcome = Run::new(["download", "-q", "-o"])
        .arg(folder.path().join("out"))
        .arg(file)
        .peer(peer.address())
        .run();
    outcome.succeeds();
    assert_eq!(outcome.err(), "", "{outcome}");
}

#[test]
fn progress_and_notes_never_reach_stdout() {
    let folder = folder();
    let torrent = Torrent::sample();
    let peer = FakePeer::of(&torrent).start();
    torrent.write(folder.path(), None);
    Run::new(["download", "-v", "-o", "out", "test.torrent"])
        .dir(folder.path())
        .peer(peer.address())
        .run()
        .prints("Downloaded test.torrent to out.\n");
}

#[test]
fn max_peers_is_a_limit() {
    let folder = folder();
    let torrent = Torrent::of_pieces(6, 3);
    let peers: Vec<FakePeer> =
        (2..6).map(|n| FakePeer::of(&torrent).host(n).pace(20).start()).collect();
    let file = torrent.write(folder.path(), None);
    let mut run =
        Run::new(["download", "--max-peers", "1", "-o"]).arg(folder.path().join("out")).arg(file);
    for peer in &peers {
        run = run.peer(peer.address());
    }
    run.run().succeeds();
    let busy = peers.iter().filter(|p| p.served() > 0).count();
    assert_eq!(busy, 1, "one place, one peer that serves");
}

#[test]
fn a_closed_stdout_ends_quietly() {
    let folder = folder();
    let torrent = Torrent::sample();
    let file = torrent.write(folder.path(), None);
    let runs = [
        Run::new(["decode", "5:hello"]),
        Run::new(["decode", &format!("l{}e", "5:hello".repeat(5_000))]),
        Run::new(["info"]).arg(&file),
        Run::new(["info", "--json"]).arg(&file),
        Run::new(["magnet_parse", &torrent.magnet(&[])]),
        Run::new(["--help"]),
    ];
    for run in runs {
        let (reader, writer) = std::io::pipe().expect("the system has a pipe");
        drop(reader);
        let outcome = run.stdout(writer).run();
        assert_eq!(outcome.err(), "", "{outcome}");
        assert!(outcome.code != Some(101), "{outcome}");
    }
}

#[test]
fn help_and_version_are_answers() {
    let outcome = Run::new(["--help"]).run();
    outcome.succeeds();
    for command in [
        "decode",
        "info",
        "peers",
        "handshake",
        "download_piece",
        "download",
        "magnet_parse",
        "magnet_info",
        "create",
        "verify",
    ] {
        assert!(outcome.out().contains(command), "{command}: {outcome}");
    }
    let outcome = Run::new(["--version"]).run();
    outcome.succeeds();
    assert!(outcome.out().starts_with("piecemeal "), "{outcome}");
}
