//! `--trace` and `--capture` on the commands, against fakes that send literal bytes.

use crate::support::{
    After, FakePeer, FakeTracker, FakeUdpTracker, Leech, Outcome, Plan, Run, Serving, Torrent,
    folder,
};
use piecemeal::actors::dht::{FakeDht, NodePlan};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// The first lines of events, and their changes, without numbers and times, and with words for
/// the peer, the tracker and our own peer id.
fn told(trace: &str, words: &[(String, &str)]) -> Vec<String> {
    let line = |line: &str| {
        if let Some(change) = line.strip_prefix("  * ") {
            return Some(format!("* {change}"));
        }
        let rest = line.strip_prefix('#')?.split_once("s  ")?.1;
        let rest = rest.split(" [stage").next()?.split("   (thread").next()?.trim();
        Some(
            words
                .iter()
                .fold(rest.to_owned(), |rest, (what, word)| rest.replace(what.as_str(), word)),
        )
    };
    trace.lines().filter_map(line).collect()
}

fn sample(folder: &Path, tracker: Option<&str>) -> (Torrent, std::path::PathBuf) {
    let torrent = Torrent::sample();
    let path = torrent.write(folder, tracker);
    (torrent, path)
}

/// Objects, one a line.
#[track_caller]
fn objects(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}")))
        .collect()
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_handshake_is_shown_on_stderr_and_the_answer_stays_as_it_was() {
    let folder = folder();
    let (torrent, path) = sample(folder.path(), None);
    let peer = FakePeer::of(&torrent).after(After::Hold).start();
    let run = |words: &[&str]| Run::new(words).arg(&path).arg(peer.address().to_string()).run();
    let plain = run(&["handshake"]);
    assert_eq!(plain.err(), "");
    let traced = run(&["handshake", "--trace"]);
    assert_eq!((traced.out(), traced.code), (plain.out(), Some(0)));
    let trace = traced.err();
    let words = [(peer.address().to_string(), "PEER")];
    assert_eq!(
        told(&trace, &words),
        [
            "   --- PEER   dialing",
            "   --- PEER   connected",
            "OUT -> PEER   handshake, 68 bytes: piecemeal 0.1",
            "IN  <- PEER   handshake, 68 bytes: -FP0001-, a program that is not known here",
            "* both sides speak: nothing beyond BEP 3",
            "   --- PEER   closed: 68 bytes out; 68 bytes in",
        ]
        .map(str::trim)
    );
    assert_eq!(trace.matches("(thread ask)").count(), 5, "{trace}");
    let sent = peer.talks().last().expect("it was asked").handshake()[48..].to_vec();
    let start: Vec<String> = sent[..15].iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(trace.contains(&format!("\n  0030  {} …    peer id ", start.join(" "))), "{trace}");
}

#[test]
fn the_trace_goes_to_a_file_where_one_is_named() {
    let folder = folder();
    let (torrent, path) = sample(folder.path(), None);
    let peer = FakePeer::of(&torrent).start();
    let file = folder.path().join("wire.txt");
    let run = Run::new(["handshake"])
        .arg(format!("--trace={}", file.display()))
        .arg(&path)
        .arg(peer.address().to_string());
    let outcome = run.run();
    assert_eq!((outcome.err(), outcome.code), (String::new(), Some(0)));
    let trace = fs::read_to_string(file).expect("it is there");
    assert!(
        trace.starts_with("# A trace: ") && trace.contains("\n#0001 +0.") && trace.ends_with(")\n"),
        "{trace}"
    );
}

/// A download with one peer and these options.
fn download(folder: &Path, options: &[&str]) -> (Outcome, FakePeer) {
    let (torrent, path) = sample(folder, None);
    let peer = FakePeer::of(&torrent).fast().start();
    let out = folder.join("out");
    let run = Run::new(["download", "--force", "-o"]).arg(&out).arg(&path).peer(peer.address());
    let outcome = options.iter().fold(run, |run, option| run.arg(option)).run();
    assert_eq!(outcome.code, Some(0), "{outcome}");
    assert_eq!(fs::read(out).expect("it is there"), torrent.content);
    (outcome, peer)
}

#[test]
fn a_whole_download_is_told_with_its_state() {
    let folder = folder();
    let (outcome, peer) = download(folder.path(), &["--trace"]);
    let lines = told(&outcome.err(), &[(peer.address().to_string(), "PEER")]);
    let pieces = Torrent::sample().pieces();
    for expected in [
        "* both sides speak: the extension protocol (BEP 10), the fast extension (BEP 6)"
            .to_owned(),
        format!("* peer has 0 -> {pieces} of {pieces} pieces"),
        "* am interested: no -> yes".to_owned(),
        "* am choked: yes -> no".to_owned(),
        "* our requests in flight: 0 -> 1".to_owned(),
        "* our requests in flight: 1 -> 0".to_owned(),
    ] {
        assert!(lines.contains(&expected), "{expected}\n{}", lines.join("\n"));
    }
    let count = |what: &str| lines.iter().filter(|line| line.contains(what)).count();
    assert_eq!(
        count("OUT -> PEER   request, "),
        count("IN  <- PEER   piece, "),
        "{}",
        lines.join("\n")
    );
    assert!(!lines.iter().any(|line| line.contains("not asked for")), "{}", lines.join("\n"));
}

#[test]
fn with_json_the_trace_is_an_object_a_line() {
    let folder = folder();
    let (outcome, peer) = download(folder.path(), &["--trace", "--json", "--quiet"]);
    let events = objects(&outcome.err());
    for (number, event) in (1..).zip(&events) {
        assert_eq!(
            (&event["event"], &event["number"]),
            (&Value::from("trace"), &Value::from(number))
        );
        assert_eq!(event["peer"], peer.address().to_string());
    }
    let unchoke =
        events.iter().find(|event| event["object"]["name"] == "unchoke").expect("it was sent");
    assert_eq!(
        (&unchoke["direction"], &unchoke["connection"]),
        (&Value::from("in"), &Value::from(1))
    );
    assert_eq!(unchoke["changes"], serde_json::json!(["am choked: yes -> no"]));
    objects(&outcome.out());
}

#[test]
fn a_capture_has_all_that_the_peer_heard() {
    let folder = folder();
    let file = folder.path().join("capture");
    let (_, peer) = download(folder.path(), &["--capture", file.to_str().expect("a plain path")]);
    let lines = objects(&fs::read_to_string(file).expect("it is there"));
    let sent: String = lines
        .iter()
        .filter(|line| line["d"] == "out")
        .map(|line| line["hex"].as_str().expect("hex"))
        .collect();
    let heard = peer.finished().remove(0);
    let raw = hex_of(&heard.raw());
    // The last bytes may be lost if the connection ends in a reset.
    assert!(sent.starts_with(&raw) && heard.messages.len() > 10, "{sent}\n{raw}");
    assert!(
        lines
            .iter()
            .skip(1)
            .all(|line| line["c"] == 1 && line["peer"] == peer.address().to_string())
    );
    assert_eq!(lines.last().expect("there are lines")["d"], "end");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_the_trace_with_one_warning_and_not_the_download() {
    let folder = folder();
    for (options, what) in
        [(&["--trace=/dev/full"][..], "trace"), (&["--capture", "/dev/full"], "capture")]
    {
        let (outcome, _) = download(folder.path(), options);
        let warnings: Vec<String> = outcome
            .err()
            .lines()
            .filter(|line| line.starts_with("warning:"))
            .map(str::to_owned)
            .collect();
        assert_eq!(
            warnings,
            [format!(
                "warning: the {what} in /dev/full ends here: No space left on device (os error 28)"
            )]
        );
    }
}

#[test]
fn a_file_that_cannot_be_made_is_one_warning() {
    let folder = folder();
    let (outcome, _) =
        download(folder.path(), &["--trace=no/such/folder", "--capture", "no/such/folder/either"]);
    let err = outcome.err();
    let warnings: Vec<&str> = err.lines().filter(|line| line.starts_with("warning:")).collect();
    assert_eq!(warnings.len(), 2, "{err}");
    assert!(warnings[0].starts_with("warning: there is no trace in no/such/folder: "), "{err}");
    assert!(
        warnings[1].starts_with("warning: there is no capture in no/such/folder/either: "),
        "{err}"
    );
}

#[test]
fn trace_and_capture_in_one_file_are_one_warning_and_the_trace_is_whole() {
    let folder = folder();
    let file = folder.path().join("both");
    let file = file.to_str().expect("a plain path");
    let (outcome, _) = download(folder.path(), &[&format!("--trace={file}"), "--capture", file]);
    let err = outcome.err();
    let warnings: Vec<&str> = err.lines().filter(|line| line.starts_with("warning:")).collect();
    assert_eq!(warnings, ["warning: there is no capture: its file is that of the trace"], "{err}");
    let trace = fs::read_to_string(file).expect("it is there");
    assert!(trace.starts_with("# A trace: ") && !trace.contains("piecemeal_capture"), "{trace}");
}

#[test]
fn what_is_precious_is_not_written_over() {
    let folder = folder();
    let (_, path) = sample(folder.path(), None);
    let torrent = fs::read(&path).expect("it is there");
    for (option, what) in [
        (format!("--capture={}", path.display()), "capture"),
        (format!("--trace={}", path.display()), "trace"),
    ] {
        let outcome = Run::new(["info", option.as_str()]).arg(&path).run();
        let warning = format!(
            "warning: there is no {what} in {}: something else is in that file, and is kept\n",
            path.display()
        );
        assert_eq!((outcome.err(), outcome.code), (warning, Some(0)));
        assert!(outcome.out().contains("Info Hash: "), "{outcome}");
        assert!(fs::read(&path).expect("it is there") == torrent, "the torrent is as it was");
    }
}

#[test]
fn an_older_trace_or_capture_is_written_over() {
    let folder = folder();
    let file = folder.path().join("session");
    let trace = format!("--trace={}", file.display());
    let capture = format!("--capture={}", file.display());
    fs::write(&file, "").expect("the folder can be written");
    for options in [&[trace.as_str()][..], &[&capture], &[&trace, "--json"], &[&trace], &[&capture]]
    {
        let (outcome, peer) = download(folder.path(), options);
        assert!(!outcome.err().contains("warning"), "{outcome}");
        fs::remove_file(folder.path().join("out")).expect("it is there");
        let text = fs::read_to_string(&file).expect("it is there");
        assert!(
            text.contains(&peer.address().to_string()) && !text.contains('\0'),
            "{options:?}: {text}"
        );
    }
}

#[test]
fn an_output_is_not_the_file_of_the_trace_or_the_capture() {
    let folder = folder();
    let (_, path) = sample(folder.path(), None);
    let path = path.to_str().expect("a plain path");
    fs::create_dir(folder.path().join("album")).expect("the folder takes a folder");
    for (words, file) in [
        (&["download", "--force", "-o", "out", path][..], "./out"),
        (&["download", "-o", "out", path], "out"),
        (&["download", "--force", "-o", "album", path], "album/session"),
        (&["download_piece", "-o", "album/../out", path, "0"], "out"),
        (&["magnet_download_piece", "-o", "out", "magnet:?xt=urn:btih:12345", "0"], "out"),
        (&["create", "--force", "-o", "out", path], "out"),
    ] {
        for (option, what) in [("--capture=", "capture"), ("--trace=", "trace")] {
            let outcome = Run::new(words).arg(format!("{option}{file}")).dir(folder.path()).run();
            assert_eq!(outcome.code, Some(2), "{outcome}");
            assert!(
                outcome.err().contains(&format!(": the {what} is also written there\n")),
                "{outcome}"
            );
            let there = fs::read_to_string(folder.path().join(file)).expect("it was opened before");
            assert!(there.lines().count() <= 1, "nothing has passed: {there}");
            fs::remove_file(folder.path().join(file)).expect("it can be removed");
        }
    }
    // Another path is fine, and so is a file that holds nothing.
    let (outcome, _) = download(
        folder.path(),
        &["--capture", folder.path().join("out.capture").to_str().expect("a plain path")],
    );
    assert!(!outcome.err().contains("warning"), "{outcome}");
}

#[test]
fn a_closed_stderr_ends_the_trace_quietly() {
    let folder = folder();
    let (torrent, path) = sample(folder.path(), None);
    let peer = FakePeer::of(&torrent).start();
    let (reader, writer) = std::io::pipe().expect("the system has pipes");
    drop(reader);
    let run = Run::new(["handshake", "--trace"]).arg(&path).arg(peer.address().to_string());
    run.stderr(writer).run().prints("Peer ID: 2d4650303030312d303132333435363738396162\n");
}

#[test]
fn http_trackers_are_told() {
    let folder = folder();
    let tracker = FakeTracker::knowing(&["10.0.0.7:6881".parse().expect("an address")]);
    let (_, path) = sample(folder.path(), Some(&tracker.url()));
    let outcome = Run::new(["peers", "--trace"]).arg(&path).run();
    outcome.prints("10.0.0.7:6881\n");
    let lines = told(&outcome.err(), &[(tracker.url(), "TRACKER")]);
    assert_eq!(lines.len(), 3, "{}", outcome.err());
    assert!(lines[0].starts_with("OUT -> TRACKER   announce, "), "{lines:?}");
    assert_eq!(
        lines[1..],
        ["IN  <- TRACKER   tracker answer, 33 bytes: 1 peer", "* HTTP status 200"]
    );
    assert!(outcome.err().contains("peer 0    10.0.0.7:6881"), "{}", outcome.err());
}

#[test]
fn udp_trackers_are_told_packet_by_packet() {
    let folder = folder();
    let tracker = FakeUdpTracker::knowing(&["10.0.0.7:6881".parse().expect("an address")]);
    let (_, path) = sample(folder.path(), Some(&tracker.url()));
    let outcome = Run::new(["peers", "--trace"]).arg(&path).run();
    outcome.prints("10.0.0.7:6881\n");
    let lines = told(&outcome.err(), &[(format!("udp://{}", tracker.address()), "TRACKER")]);
    let names: Vec<&str> =
        lines.iter().map(|line| line.split([',', ':']).next().unwrap_or_default()).collect();
    assert_eq!(
        names,
        [
            "OUT -> TRACKER   UDP connect",
            "IN  <- TRACKER   UDP connect answer",
            "OUT -> TRACKER   UDP announce",
            "IN  <- TRACKER   UDP announce answer"
        ],
        "{}",
        outcome.err()
    );
}

#[test]
fn peers_that_come_in_are_told() {
    let folder = folder();
    let torrent = Torrent::sample();
    let file = folder.path().join("wire");
    let seeding = Serving::seed(folder.path(), &torrent, [format!("--trace={}", file.display())]);
    let mut leech = Leech::plain(seeding.address, &torrent);
    leech.takes(&torrent, [0]);
    drop(leech);
    drop(seeding);
    let events = objects(&fs::read_to_string(file).expect("it is there"));
    assert_eq!(events[0]["what"], "came in");
    let names: Vec<&str> =
        events.iter().filter_map(|event| event["object"]["name"].as_str()).collect();
    assert_eq!(names[..2], ["handshake", "handshake"], "{names:?}");
    assert!(names.contains(&"request") && names.contains(&"piece"), "{names:?}");
    let changes: Vec<&str> = events
        .iter()
        .filter_map(|event| event["changes"].as_array())
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for expected in [
        "peer interested: no -> yes",
        "peer choked: yes -> no",
        "the peer's requests in flight: 0 -> 1",
    ] {
        assert!(changes.contains(&expected), "{expected}: {changes:?}");
    }
}

#[test]
fn a_capture_has_what_trackers_were_asked_and_answered() {
    let folder = folder();
    let http = FakeTracker::knowing(&["10.0.0.7:6881".parse().expect("an address")]);
    let udp = FakeUdpTracker::knowing(&["10.0.0.7:6881".parse().expect("an address")]);
    for (url, shown) in [(http.url(), http.url()), (udp.url(), format!("udp://{}", udp.address()))]
    {
        let (_, path) = sample(folder.path(), Some(&url));
        let file = folder.path().join("capture");
        let outcome = Run::new(["peers", "--capture"]).arg(&file).arg(&path).run();
        outcome.prints("10.0.0.7:6881\n");
        assert_eq!(outcome.err(), "");
        let lines = objects(&fs::read_to_string(file).expect("it is there"));
        let all = |way: &str| -> Vec<String> {
            let lines = lines.iter().skip(1).filter(|line| line["d"] == way);
            lines.map(|line| line["hex"].as_str().expect("hex").to_owned()).collect()
        };
        assert!(
            lines.iter().skip(1).all(|line| line["tracker"] == shown && line["t"].is_u64()),
            "{lines:?}"
        );
        if url.starts_with("http") {
            assert_eq!(
                all("out"),
                [hex_of(format!("http://{}{}", http.address(), http.asked()[0]).as_bytes())]
            );
            assert_eq!(all("in"), [hex_of(b"d8:intervali1800e5:peers6:\x0a\0\0\x07\x1a\xe1e")]);
        } else {
            assert_eq!(
                all("out"),
                udp.heard().iter().map(|packet| hex_of(packet)).collect::<Vec<_>>()
            );
            assert_eq!(all("in").len(), 2);
        }
    }
}

#[test]
fn a_trace_has_what_a_downloads_own_dht_node_asks_and_hears() {
    let folder = folder();
    let (torrent, path) = sample(folder.path(), None);
    let peer = Plan::new(&torrent).start();
    let known = [peer.address()];
    let plans = (1..=3).map(|id| NodePlan::new([id; 20]).having(torrent.info_hash, &known));
    let dht = FakeDht::mesh(plans).expect("loopback has ports");
    let words = ["download", "-o", "out", "--port", "0", "--trace=trace", "--dht-bootstrap"];
    let (way, path) = (dht.address(0).to_string(), path.to_string_lossy().into_owned());
    let run = Run::new([&words[..], &[&way, &path]].concat()).dir(folder.path());
    run.env("PIECEMEAL_OFFLINE", "1").run().succeeds();
    let trace = fs::read_to_string(folder.path().join("trace")).expect("it is text");
    let heads: Vec<&str> = trace.lines().filter(|line| line.starts_with('#')).collect();
    for (way, what) in [("OUT ->", "get_peers"), ("IN  <-", "1 peer")] {
        let is_there = |line: &&str| line.contains(way) && line.contains(what);
        assert!(heads.iter().any(is_there), "{way} {what}: {heads:#?}");
    }
    // What wakes the node's thread is no message.
    assert!(!heads.iter().any(|line| line.contains(", 0 bytes")), "{heads:#?}");
}
