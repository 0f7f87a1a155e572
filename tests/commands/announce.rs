//! `announce`: what it tells trackers and people until Ctrl-C, and how it ends.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::bencode::{bytes, dict, int, list};
use crate::support::tracker::query_of;
use crate::support::{
    FakePeer, FakeTracker, FakeUdpTracker, Gate, LIMIT, Outcome, Reply, Run, Running, Torrent,
    dead_address, folder,
};

/// A running `announce`, and the file that both its streams go to.
struct Announcing {
    run: Running,
    said: PathBuf,
}

impl Announcing {
    fn start(folder: &Path, words: &[&str]) -> Announcing {
        hear_hup();
        let said = folder.join("said");
        let file = File::create(&said).expect("the test's folder takes a file");
        let both = file.try_clone().expect("a file can be shared");
        let run = words.iter().fold(Run::new(["announce"]), Run::arg);
        Announcing { run: run.dir(folder).stdout(file).stderr(both).start(), said }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.said).expect("what it said is there")
    }

    /// Waits until it has said all of this.
    #[track_caller]
    fn wait_for(&mut self, words: &[&str]) {
        let until = Instant::now() + LIMIT;
        while !words.iter().all(|words| self.said().contains(words)) {
            assert!(
                !self.run.is_over() && Instant::now() < until,
                "not said: {words:?}, but:\n{}",
                self.said()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A signal, and the end; its exit code, and all that it has said.
    fn end(self, signal: &str) -> (Outcome, String) {
        self.run.signal(signal);
        let outcome = self.run.finish();
        (outcome, std::fs::read_to_string(&self.said).expect("what it said is there"))
    }
}

/// Lets children hear HUP even if these tests were started with HUP ignored.
fn hear_hup() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        drop(signal_hook::flag::register(signal_hook::consts::SIGHUP, Arc::default()))
    });
}

/// Values of the announces that a tracker heard, in order; none where the key is missing.
fn told(tracker: &FakeTracker, key: &str) -> Vec<Option<String>> {
    let value = |target: &String| {
        query_of(target).into_iter().find(|(found, _)| found == key).map(|(_, value)| value)
    };
    tracker.asked().iter().map(value).collect()
}

fn some(values: &[&str]) -> Vec<Option<String>> {
    values.iter().map(|value| Some((*value).to_owned())).collect()
}

/// Writes a torrent with a tier for each URL.
fn with_tiers(torrent: &Torrent, folder: &Path, urls: &[&str]) {
    let tiers: Vec<Vec<u8>> = urls.iter().map(|url| list(&[bytes(url)])).collect();
    let file = dict(&[("announce-list", list(&tiers)), ("info", torrent.info.clone())]);
    std::fs::write(folder.join("t.torrent"), file).expect("the test's folder takes a file");
}

#[test]
fn each_answer_is_a_line_and_a_signal_ends_it_with_a_goodbye() {
    for (signal, code) in [("INT", 0), ("TERM", 143), ("HUP", 129)] {
        let (folder, torrent) = (folder(), Torrent::sample());
        let peer = FakePeer::of(&torrent).start();
        let tracker = FakeTracker::knowing(&[peer.address()]);
        torrent.write(folder.path(), Some(&tracker.url()));
        let mut run = Announcing::start(folder.path(), &["test.torrent"]);
        run.wait_for(&["again in"]);
        let (outcome, said) = run.end(signal);
        let url = tracker.url();
        let expected = format!(
            "{url}: started, names 1 peer; again in 30 min\n{url}: stopped\n2 announces taken, 0 failed.\n"
        );
        assert_eq!((outcome.code, said), (Some(code), expected), "{signal}");
        assert_eq!(told(&tracker, "event"), some(&["started", "stopped"]));
        let length = torrent.content.len().to_string();
        assert_eq!(told(&tracker, "left"), some(&[&length, &length]));
        assert_eq!(told(&tracker, "port"), some(&["6881", "6881"]));
        assert_eq!(told(&tracker, "numwant"), [None, Some("0".to_owned())]);
        assert_eq!(peer.served(), 0, "nobody is dialed");
    }
}

#[test]
fn what_we_say_of_ourselves_is_an_option() {
    let (folder, torrent) = (folder(), Torrent::sample());
    let tracker = FakeTracker::knowing(&[]);
    torrent.write(folder.path(), Some(&tracker.url()));
    let link = torrent.magnet(&[&tracker.url()]);
    for (words, port, left) in [
        (&["--port", "7000", "--seed", "test.torrent"][..], "7000", "0"),
        (&[&link], "6881", "1"),
        (&["--seed", &link], "6881", "0"),
    ] {
        let before = tracker.asked().len();
        let mut run = Announcing::start(folder.path(), words);
        run.wait_for(&["names 0 peers"]);
        assert_eq!(run.end("INT").0.code, Some(0), "{words:?}");
        assert_eq!(told(&tracker, "port")[before..], some(&[port, port]), "{words:?}");
        assert_eq!(told(&tracker, "left")[before..], some(&[left, left]), "{words:?}");
    }
}

#[test]
fn every_tier_is_announced_to_and_one_that_fails_is_asked_again() {
    let (folder, torrent) = (folder(), Torrent::sample());
    let peer = FakePeer::of(&torrent).start();
    let (http, udp) = (FakeTracker::knowing(&[]), FakeUdpTracker::knowing(&[peer.address()]));
    let dead = format!("http://{}/announce", dead_address());
    with_tiers(
        &torrent,
        folder.path(),
        &[&dead, &http.url(), &udp.url(), "wss://tracker.example/"],
    );
    let mut run = Announcing::start(folder.path(), &["t.torrent"]);
    let names = |url: String, peers: &str| format!("{url}: started, names {peers}; again in ");
    let again = "; again in 15 s";
    run.wait_for(&[
        &names(http.url(), "0 peers"),
        &names(udp.url(), "1 peer"),
        &dead,
        again,
        "the scheme \"wss\"\n",
    ]);
    let (outcome, said) = run.end("INT");
    assert_eq!(outcome.code, Some(0), "{said}");
    for url in [http.url(), udp.url()] {
        assert!(said.contains(&format!("{url}: stopped\n")), "{said}");
    }
    assert!(said.ends_with("4 announces taken, 2 failed.\n"), "{said}");
}

#[test]
fn failures_go_to_stderr_and_answers_to_stdout() {
    let (folder, torrent) = (folder(), Torrent::sample());
    let dead = format!("http://{}/announce", dead_address());
    let failed = Gate::default();
    let seen = failed.clone();
    // The answer waits for the failure, so that both are there when the signal comes.
    let gated = FakeTracker::start(move |_, before| {
        if before == 0 {
            seen.wait();
        }
        Reply::peers(&[])
    });
    with_tiers(&torrent, folder.path(), &[&dead, &gated.url()]);
    let (out, err) = (folder.path().join("out"), folder.path().join("err"));
    let file = |path: &Path| File::create(path).expect("the test's folder takes a file");
    let run = Run::new(["announce", "t.torrent"])
        .dir(folder.path())
        .stdout(file(&out))
        .stderr(file(&err))
        .start();
    let read = |path: &Path| std::fs::read_to_string(path).expect("what it said is there");
    let until = Instant::now() + LIMIT;
    while !read(&err).contains("again in") {
        assert!(Instant::now() < until, "nothing on stderr");
        std::thread::sleep(Duration::from_millis(5));
    }
    failed.open();
    while !read(&out).contains("again in") {
        assert!(Instant::now() < until, "nothing on stdout");
        std::thread::sleep(Duration::from_millis(5));
    }
    run.interrupt();
    assert_eq!(run.finish().code, Some(0));
    assert!(read(&err).lines().all(|line| line.starts_with(&dead)), "{}", read(&err));
    assert!(!read(&out).contains(&dead), "{}", read(&out));
}

#[test]
fn if_no_tracker_can_ever_answer_it_is_an_error() {
    let (folder, torrent) = (folder(), Torrent::sample());
    let refusal =
        || dict(&[("failure reason", bytes("unregistered torrent")), ("retry in", bytes("never"))]);
    let trackers =
        [FakeTracker::saying(Reply::Body(refusal())), FakeTracker::saying(Reply::Body(refusal()))];
    with_tiers(&torrent, folder.path(), &[&trackers[0].url(), &trackers[1].url()]);
    let outcome = Run::new(["announce", "t.torrent"]).dir(folder.path()).run();
    outcome
        .fails(&[4])
        .mentions("error: no tracker is left to announce to: ")
        .mentions("unregistered torrent");
    for tracker in &trackers {
        assert!(outcome.err().contains(&tracker.url()), "each says why: {outcome}");
        assert_eq!(told(tracker, "event"), some(&["started"]));
    }
}

#[test]
fn a_silent_tracker_delays_neither_the_timeout_nor_a_signal() {
    let (folder, torrent) = (folder(), Torrent::sample());
    let silent = FakeTracker::saying(Reply::Silence);
    torrent.write(folder.path(), Some(&silent.url()));
    let outcome =
        Run::new(["announce", "--timeout", "0.5", "test.torrent"]).dir(folder.path()).run();
    outcome.fails(&[4]).mentions("no tracker took an announce for 0.5 s");
    let before = silent.asked().len();
    let run = Announcing::start(folder.path(), &["test.torrent"]);
    let until = Instant::now() + LIMIT;
    while silent.asked().len() == before {
        assert!(Instant::now() < until, "it does not announce");
        std::thread::sleep(Duration::from_millis(5));
    }
    // The announce may take 15 s; a signal does not wait for its end.
    let (outcome, said) = run.end("INT");
    assert_eq!((outcome.code, said.as_str()), (Some(0), "0 announces taken, 0 failed.\n"));
}

#[test]
fn with_v_it_tells_whom_it_asks_and_whom_a_download_would_dial_and_no_secret_is_shown() {
    let (folder, torrent) = (folder(), Torrent::sample());
    let tracker = FakeTracker::knowing(&[([192, 0, 2, 7], 6881).into()]);
    torrent.write(folder.path(), Some(&format!("{}?passkey=SECRETPASS", tracker.url())));
    let mut run = Announcing::start(folder.path(), &["-v", "test.torrent"]);
    run.wait_for(&[
        "asking the tracker",
        "a download would dial 192.0.2.7:6881 (chapter 13)",
        "names 1 peer; again in 30 min",
    ]);
    let (_, said) = run.end("INT");
    assert!(!said.contains("SECRETPASS") && said.contains("?passkey=…"), "{said}");
    assert_eq!(told(&tracker, "passkey"), some(&["SECRETPASS", "SECRETPASS"]));
}

#[test]
fn with_json_each_line_is_an_event() {
    let (folder, torrent) = (folder(), Torrent::sample());
    let body = dict(&[
        ("interval", int(90)),
        ("peers", bytes("")),
        ("warning message", bytes("upgrade your client")),
    ]);
    let tracker = FakeTracker::saying(Reply::Body(body));
    torrent.write(folder.path(), Some(&tracker.url()));
    let mut run = Announcing::start(folder.path(), &["--json", "test.torrent"]);
    run.wait_for(&["announced"]);
    let (_, said) = run.end("INT");
    let events: Vec<Value> =
        said.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    let all = |key: &str| events.iter().map(|event| event[key].clone()).collect::<Vec<Value>>();
    assert_eq!(all("event"), ["announced", "announced", "done"], "{said}");
    assert_eq!(all("said")[..2], ["started", "stopped"], "{said}");
    assert_eq!(all("seconds")[..2], [Value::from(90), Value::Null], "{said}");
    assert_eq!(events[0]["notes"][0], "it warns: upgrade your client", "{said}");
    assert_eq!(
        (&events[2]["taken"], &events[2]["failed"]),
        (&Value::from(2), &Value::from(0)),
        "{said}"
    );
}
