//! Clients that find each other over real multicast, in a network of the test's own.
//!
//! Where the system does not let us make one, the tests say so and are skipped.

use std::process::Command;
use std::time::Instant;

use serde_json::Value;

use crate::support::network::Network;
use crate::support::serving::Serving;
use crate::support::{Outcome, Run, Torrent, folder};

fn run(network: &Network, words: &[&str]) -> Run {
    Run::new(words).in_network_of(network.id())
}

/// The addresses that a `lsd_peers` printed, sorted.
fn lines(outcome: &Outcome) -> Vec<String> {
    let mut lines: Vec<String> = outcome.out().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn two_find_each_other_over_ipv4_and_ipv6() {
    let Some(network) = Network::new() else { return };
    let folder = folder();
    let torrent = Torrent::sample();
    let file = torrent.write(folder.path(), None);
    let file = file.to_str().expect("a path of the test is text");
    let words = ["lsd_peers", "--timeout", "8", "--port"];
    let one = run(&network, &[&words[..], &["7001", file]].concat()).start();
    let link = torrent.magnet(&[]);
    let other = run(&network, &[&words[..], &["7002", &link]].concat()).start();
    let (one, other) = (one.finish(), other.finish());
    // Neither prints itself.
    assert_eq!(lines(one.succeeds()), ["127.0.0.1:7002", "[::1]:7002"], "{one}");
    assert_eq!(lines(other.succeeds()), ["127.0.0.1:7001", "[::1]:7001"], "{other}");
}

#[test]
fn json_is_one_object_and_another_torrent_is_nobody() {
    let Some(network) = Network::new() else { return };
    let link = Torrent::sample().magnet(&[]);
    let words = ["lsd_peers", "--timeout", "8", "--bind", "127.0.0.1", "--port"];
    let one = run(&network, &[&words[..], &["7001", "--json", &link]].concat()).start();
    let other = run(&network, &[&words[..], &["7002", &link]].concat()).start();
    let stranger = Torrent::of_pieces(3, 13).magnet(&[]);
    let stranger = run(&network, &["lsd_peers", "--timeout", "4", &stranger]).run();
    stranger.fails(&[5]).mentions("nobody on the local network");
    other.finish().prints("127.0.0.1:7001\n");
    let one = one.finish();
    let json: Value = serde_json::from_str(&one.out()).expect("one object");
    assert_eq!(json, serde_json::json!({ "peers": ["127.0.0.1:7002"] }), "{one}");
}

#[test]
fn a_seed_and_a_download_in_one_room_need_no_tracker() {
    let Some(network) = Network::new() else { return };
    let folder = folder();
    let torrent = Torrent::of_pieces(3, 13);
    let file = torrent.write(folder.path(), None);
    let content = folder.path().join("content");
    std::fs::write(&content, &torrent.content).expect("the folder takes a file");
    let seed = run(&network, &["seed", "--port", "0"]).arg(&file).arg(&content).start();
    let begun = Instant::now();
    for (number, word) in ["download", "magnet_download"].into_iter().enumerate() {
        let out = folder.path().join(format!("out-{number}"));
        let run = run(&network, &[word, "-o"]).arg(&out);
        let run = if word == "download" { run.arg(&file) } else { run.arg(torrent.magnet(&[])) };
        run.run().succeeds();
        assert!(std::fs::read(&out).expect("the download is there") == torrent.content);
    }
    println!("two downloads without a tracker: {:?}", begun.elapsed());
    seed.interrupt();
    let outcome = seed.finish();
    outcome.succeeds();
}

#[test]
fn a_private_torrent_is_neither_asked_about_nor_named() {
    let Some(network) = Network::new() else { return };
    let folder = folder();
    let path = folder.path().join("private.torrent");
    let file = b"d4:infod6:lengthi1e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaa7:privatei1eee";
    std::fs::write(&path, file).expect("the folder takes a file");
    run(&network, &["lsd_peers"]).arg(&path).run().fails(&[3]).mentions("private");
    // A download goes on with what other sources it has. Here it has none.
    let out = folder.path().join("out");
    let run = run(&network, &["-v", "download", "-o"]).arg(&out).arg(&path).run();
    run.mentions("the local network is not asked: this torrent is private");
    assert_eq!(run.code, Some(5), "{run}");
}

#[test]
fn the_network_hears_nothing_of_a_swarm_on_this_computer() {
    let Some(network) = Network::new() else { return };
    let torrent = Torrent::sample();
    let silent: [(Option<&str>, &[&str]); 6] = [
        (Some("http://127.0.0.1:9/announce"), &[]),
        (Some("http://LOCALHOST:9/announce?key=a"), &[]),
        (Some("udp://[::1]:9"), &["--peer", "127.0.0.2:9"]),
        (None, &["--peer", "[::1]:9"]),
        (None, &["--bind", "127.0.0.1"]),
        (None, &["--no-lsd"]),
    ];
    // One that is not on this computer is enough. Neither name leads anywhere.
    let heard: [(Option<&str>, &[&str]); 2] = [
        (Some("http://tracker.invalid/announce"), &[]),
        (Some("udp://[::1]:9"), &["--peer", "x:9"]),
    ];
    let seed = |(announce, words): &(Option<&str>, &[&str])| {
        let folder = folder();
        let file = torrent.write(folder.path(), *announce);
        let content = folder.path().join("content");
        std::fs::write(&content, &torrent.content).expect("the folder takes a file");
        let run = run(&network, &[&["seed"], *words].concat()).arg(&file).arg(&content);
        (Serving::listening(run, &folder.path().join("said")), folder)
    };
    let _silent: Vec<_> = silent.iter().map(seed).collect();
    let heard: Vec<_> = heard.iter().map(seed).collect();
    let found = run(&network, &["lsd_peers", "--timeout", "8", &torrent.magnet(&[])]).run();
    let port = |(seed, _): &(Serving, _)| seed.address.port();
    let hosts = ["127.0.0.1", "[::1]"];
    let mut expected: Vec<String> =
        heard.iter().flat_map(|seed| hosts.map(|host| format!("{host}:{}", port(seed)))).collect();
    expected.sort();
    assert_eq!(lines(&found), expected, "{found}");
}

#[test]
fn a_network_without_multicast_costs_a_note_or_is_an_error() {
    // A namespace as it comes: not even loopback is up.
    let Some(network) = Network::new() else { return };
    let words = ["--user", "--map-root-user", "--net", env!("CARGO_BIN_EXE_piecemeal")];
    drop(network);
    let link = Torrent::sample().magnet(&[]);
    let mut command = Command::new("unshare");
    command.args(words).args(["lsd_peers", &link]).env("PIECEMEAL_OFFLINE", "0");
    let output = command.output();
    let output = output.expect("unshare has run before");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{error}");
    assert!(error.contains("error: cannot join 239.192.152.143:6771: "), "{error}");
    assert!(error.contains("help: connect this computer to a network"), "{error}");
}
