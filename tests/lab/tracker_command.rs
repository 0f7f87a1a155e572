//! `piecemeal tracker`, end to end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::lab::client::soon;
use crate::lab::running::Running;
use crate::lab::tracker::{HASH, query};
use crate::support::{FakePeer, Run, Torrent, folder};

/// Announces at a URL that the command printed.
fn announce(url: &str, query: &str) -> String {
    let mut stream = send(url, query);
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the tracker answers and closes");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends an announce without reading its answer.
fn send(url: &str, query: &str) -> TcpStream {
    let place = url
        .strip_prefix("http://")
        .and_then(|rest| rest.strip_suffix("/announce"))
        .expect("an announce URL");
    let mut stream = TcpStream::connect(place).expect("the tracker listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout can be set");
    stream
        .write_all(format!("GET /announce?{query} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
        .expect("the tracker reads");
    stream
}

/// Starts the command on a port of the system's choice, and returns the URL that it prints.
fn start(arguments: &[&str]) -> (Running, String) {
    let folder = folder();
    let arguments: Vec<&str> =
        ["tracker", "--listen", "127.0.0.1:0"].iter().chain(arguments).copied().collect();
    let tracker = Running::start(folder.path(), &arguments);
    let lines = tracker.lines_to("Ctrl-C");
    let url =
        lines.iter().find(|line| line.starts_with("  http://")).expect("a URL").trim().to_owned();
    assert_eq!(tracker.line(), "");
    (tracker, url)
}

#[test]
fn each_announce_is_a_line_and_the_end_is_a_table() {
    let (mut tracker, url) = start(&["--interval", "90"]);
    assert!(announce(&url, &query(6881, "&compact=1&event=started")).contains("8:intervali90e"));
    announce(&url, &query(6882, "&compact=1&event=completed").replace("left=1", "left=0"));
    announce(&url, &query(6883, "").replace(HASH, "000102030405060708090a0b0c0d0e0f10111213"));
    let hash = "000102030405060708090a0b0c0d0e0f10111213";
    let line = |port: u16, said: &str, left: &str, told: &str| {
        format!(
            "127.0.0.1:{port} (-XX0000-) {said}: uploaded 0, downloaded 0, {left} left of {hash}; told of {told}"
        )
    };
    assert_eq!(tracker.line(), line(6881, "started", "1 byte", "0 peers"));
    assert_eq!(tracker.line(), line(6882, "completed", "0 bytes", "1 peer"));
    let refused = tracker.line();
    assert!(refused.starts_with("refused 127.0.0.1:"), "{refused}");
    assert!(
        refused.ends_with("info_hash is 40 bytes: send the 20 raw bytes, percent-encoded, not hex; see piecemeal chapter 3"),
        "{refused}"
    );
    let end = tracker.end();
    assert_eq!(end[0], "The tracker has ended: 1 torrent, 2 peers there, 2 announces, 1 refused.");
    let rows: Vec<Vec<&str>> =
        end[2..].iter().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        rows,
        [
            vec!["torrent", "seeds", "others", "announces", "completed"],
            vec![hash, "1", "1", "2", "1"]
        ]
    );
}

#[test]
fn for_programs_each_line_is_an_object() {
    let folder = folder();
    let mut tracker =
        Running::start(folder.path(), &["tracker", "--listen", "127.0.0.1:0", "--json", "-q"]);
    let start = tracker.object();
    assert_eq!(start["event"], "started");
    let url = start["urls"][0].as_str().expect("a URL").to_owned();
    assert_eq!(start["local_url"], url.as_str());
    announce(&url, &query(6881, ""));
    announce(&url, "");
    let good = tracker.object();
    assert_eq!((&good["event"], &good["peer"]), (&"announce".into(), &"127.0.0.1:6881".into()));
    let bad = tracker.object();
    let why = "info_hash, peer_id, port, uploaded, downloaded and left are missing";
    assert_eq!((&bad["event"], &bad["why"]), (&"refused".into(), &why.into()));
    let end: Vec<serde_json::Value> =
        tracker.end().iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(end.len(), 1);
    assert_eq!(
        (&end[0]["event"], &end[0]["torrents"][0]["announces"]),
        (&"done".into(), &1.into())
    );
}

#[test]
fn a_download_finds_its_peer_through_the_tracker() {
    let (tracker, url) = start(&[]);
    let folder = folder();
    let torrent = Torrent::sample();
    let peer = FakePeer::of(&torrent).host(1).start();
    let hash: String = torrent
        .hex()
        .as_bytes()
        .chunks(2)
        .map(|two| format!("%{}{}", two[0] as char, two[1] as char))
        .collect();
    announce(&url, &query(peer.address().port(), "").replace(HASH, &hash));
    tracker.line();
    for url in [url.clone(), url.replace("http:", "udp:")] {
        let file = torrent.write(folder.path(), Some(&url));
        Run::new(["download", "--force", "-o"])
            .arg(folder.path().join("out"))
            .arg(&file)
            .run()
            .succeeds();
        std::fs::remove_file(folder.path().join("out")).expect("the download is there");
        let started = tracker.line();
        assert!(
            started.contains("(piecemeal 0.1) started: ") && started.ends_with("; told of 1 peer"),
            "{started}"
        );
        let completed = tracker.line();
        assert!(
            completed.contains(" completed: ") && completed.contains(" 0 bytes left of "),
            "{completed}"
        );
        let stopped = tracker.line();
        assert!(
            stopped.contains(" stopped: ") && stopped.ends_with("; told of 0 peers"),
            "{stopped}"
        );
    }
}

#[test]
fn a_closed_stdout_ends_it_quietly() {
    let (reader, writer) = std::io::pipe().expect("the system has a pipe");
    drop(reader);
    let outcome = Run::new(["tracker", "--listen", "127.0.0.1:0"]).stdout(writer).run();
    assert_eq!((outcome.code, outcome.err().as_str()), (Some(0), ""), "{outcome}");
    // And one that is closed later, at the next announce.
    let (reader, writer) = std::io::pipe().expect("the system has a pipe");
    let mut late = Run::new(["tracker", "--listen", "127.0.0.1:0"]).stdout(writer).start();
    let mut reader = BufReader::new(reader);
    let mut url = String::new();
    while !url.contains("  http://") {
        url.clear();
        assert!(
            reader.read_line(&mut url).expect("the program prints text") > 0,
            "it ended before it printed a URL"
        );
    }
    let url = url.trim().to_owned();
    drop(reader);
    // It may be gone before it has answered.
    let _unread = send(&url, &query(6881, ""));
    soon("it ends", || late.is_over());
    assert_eq!(late.finish().code, Some(0));
}

#[test]
fn a_taken_place_and_bad_arguments_are_explained() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let place = taken.local_addr().expect("it listens").to_string();
    let outcome = Run::new(["tracker", "--listen", &place]).run();
    assert_eq!(outcome.code, Some(7), "{outcome}");
    outcome.mentions(&place).mentions("help: end what listens there");
    for wrong in [
        ["--listen", "6969"],
        ["--listen", "localhost:1"],
        ["--interval", "0"],
        ["--interval", "-1"],
    ] {
        assert_eq!(
            Run::new(["tracker"]).arg(wrong[0]).arg(wrong[1]).run().code,
            Some(2),
            "{wrong:?}"
        );
    }
}
