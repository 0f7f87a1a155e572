//! TERM and HUP, sent to a real process: it ends as after Ctrl-C, and its exit code says why.

use crate::support::tracker::query_of;
use crate::support::{
    FakePeer, FakeTracker, Gate, Outcome, Recipe, Reply, Run, Running, Serving, Torrent, content,
    folder,
};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

/// The limit for any wait.
const LIMIT: Duration = Duration::from_secs(30);

fn wait_until(what: &str, happened: impl Fn() -> bool) {
    let begun = Instant::now();
    while !happened() {
        assert!(begun.elapsed() < LIMIT, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// The events that a tracker received.
fn events(tracker: &FakeTracker) -> Vec<String> {
    let event = |target: &String| {
        query_of(target).into_iter().find(|(key, _)| key == "event").map(|(_, event)| event)
    };
    tracker.asked().iter().filter_map(event).filter(|event| !event.is_empty()).collect()
}

/// Lets children receive HUP even if these tests were started with HUP ignored, by `nohup` or
/// some CI runners: a child inherits an ignored signal, but not one that has a handler.
pub fn hear_hup() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        drop(signal_hook::flag::register(signal_hook::consts::SIGHUP, Arc::default()))
    });
}

/// A peer that takes a minute for all of it, and its tracker.
fn slow() -> (Torrent, FakePeer, FakeTracker) {
    hear_hup();
    let torrent = Recipe::single("slow", 16_384, content(16_384 * 600, 1)).build();
    let peer = FakePeer::of(&torrent).pace(100).start();
    let tracker = FakeTracker::knowing(&[peer.address()]);
    (torrent, peer, tracker)
}

/// A download that has begun: a block has come, and the tracker knows of it.
fn begun(
    run: Run,
    torrent: &Torrent,
    peer: &FakePeer,
    tracker: &FakeTracker,
    folder: &Path,
) -> Running {
    torrent.write(folder, Some(&tracker.url()));
    let run = run.dir(folder).start();
    wait_until("a block comes", || peer.served() > 0 && !events(tracker).is_empty());
    run
}

fn download() -> Run {
    Run::new(["download", "-o", "out", "test.torrent"])
}

#[track_caller]
fn ends_in_good_order(outcome: &Outcome, code: i32, tracker: &FakeTracker, folder: &Path) {
    assert_eq!(outcome.code, Some(code), "{outcome}");
    outcome.explains_itself().mentions("error: stopped; what is verified is kept");
    assert_eq!(events(tracker), ["started", "stopped"]);
    assert!(folder.join("out.piecemeal").exists(), "the same command goes on from here");
}

#[test]
fn a_download_ends_in_good_order_after_either_signal() {
    for (signal, code) in [("TERM", 143), ("HUP", 129), ("INT", 130)] {
        let (torrent, peer, tracker) = slow();
        let folder = folder();
        let run = begun(download(), &torrent, &peer, &tracker, folder.path());
        run.signal(signal);
        ends_in_good_order(&run.finish(), code, &tracker, folder.path());
    }
}

#[test]
fn signals_that_come_in_pairs_end_it_no_less_politely_and_the_first_one_counts() {
    // A closing terminal and its shell; systemd with SendSIGHUP; an impatient script.
    for (first, second, code) in
        [("HUP", "HUP", 129), ("TERM", "HUP", 143), ("TERM", "TERM", 143), ("INT", "TERM", 130)]
    {
        let (torrent, peer, _) = slow();
        let (folder, sent) = (folder(), Gate::default());
        let (peers, both) = (Reply::peers(&[peer.address()]), sent.clone());
        let tracker = FakeTracker::start(move |target, _| {
            if target.contains("event=stopped") {
                both.wait();
            }
            peers.clone()
        });
        let run = begun(download(), &torrent, &peer, &tracker, folder.path());
        run.signal(first);
        wait_until("the tracker is told", || events(&tracker).len() == 2);
        run.signal(second);
        sent.open();
        ends_in_good_order(&run.finish(), code, &tracker, folder.path());
    }
}

#[test]
fn a_seed_prints_its_summary_and_says_by_its_code_that_it_was_told_to_end() {
    hear_hup();
    for (signal, code) in [("TERM", 143), ("HUP", 129), ("INT", 0)] {
        let folder = folder();
        let seed = Serving::seed(folder.path(), &Torrent::sample(), [""; 0]);
        seed.signal(signal);
        let ended = seed.finish();
        assert_eq!(ended.outcome.code, Some(code), "{:#}", ended.outcome);
        assert_eq!(
            ended.events.last().map(|last| last["event"].clone()),
            Some("done".into()),
            "{:#}",
            ended.outcome
        );
    }
}

#[test]
fn a_tracker_and_a_lab_end_the_same_way() {
    let folder = folder();
    for words in [&["tracker", "--listen", "127.0.0.1:0"][..], &["lab", "--seeders", "1"]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_piecemeal"))
            .args(words)
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("it is a pipe")).lines();
        lines.next().expect("it greets").expect("in UTF-8");
        let sent = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "{words:?}");
        let rest: Vec<String> = lines.map_while(Result::ok).collect();
        assert_eq!(child.wait().expect("it ends").code(), Some(143), "{words:?}: {rest:#?}");
        assert!(
            rest.iter().any(|line| line.contains(" has ended")),
            "{words:?}: no summary: {rest:#?}"
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_under_nohup_outlives_its_terminal() {
    let (torrent, peer, tracker) = slow();
    let folder = folder();
    let run = begun(download().nohup(), &torrent, &peer, &tracker, folder.path());
    run.signal("HUP");
    let served = peer.served();
    wait_until("blocks go on coming", || peer.served() > served + 10);
    run.signal("TERM");
    ends_in_good_order(&run.finish(), 143, &tracker, folder.path());
}

#[test]
fn a_terminal_that_closes_ends_the_download_in_good_order() {
    let (torrent, peer, tracker) = slow();
    let folder = folder();
    torrent.write(folder.path(), Some(&tracker.url()));
    // The leader of the session gets HUP from the system, and its output is lost.
    let line = format!("exec '{}' download -o out test.torrent", env!("CARGO_BIN_EXE_piecemeal"));
    let mut command = Command::new("script");
    command
        .args(["-qec", &line, "/dev/null"])
        .current_dir(folder.path())
        .env("TERM", "xterm")
        .env("SHELL", "/bin/sh");
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let Ok(mut terminal) = spawned else {
        eprintln!("skipped: there is no `script` to make a terminal");
        return;
    };
    wait_until("a block comes", || peer.served() > 0 && !events(&tracker).is_empty());
    terminal.kill().expect("it is still there");
    terminal.wait().expect("it can be waited for");
    wait_until("the tracker is told", || events(&tracker) == ["started", "stopped"]);
}
