//! What a command says while nothing happens.

use crate::support::{FakePeer, Run, Running, Torrent, Unchoke, folder};
use serde_json::{Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The limit for a wait. It only guards against hangs.
const LIMIT: Duration = Duration::from_secs(30);

/// A running command, with its output in files.
struct Beside {
    run: Running,
    folder: PathBuf,
}

impl Beside {
    fn start(run: Run, folder: &Path) -> Beside {
        let file = |name| File::create(folder.join(name)).expect("the folder takes a file");
        Beside {
            run: run.stdout(file("stdout")).stderr(file("stderr")).dir(folder).start(),
            folder: folder.to_owned(),
        }
    }

    fn lines(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(str::to_owned).collect()
    }

    /// Waits for a line that begins with this; returns it, and the lines after it.
    #[track_caller]
    fn line(&self, name: &str, begins: &str) -> Vec<String> {
        let begun = Instant::now();
        loop {
            let lines = self.lines(name);
            if let Some(at) = lines.iter().position(|line| line.starts_with(begins)) {
                return lines[at..].to_vec();
            }
            assert!(begun.elapsed() < LIMIT, "no line {begins:?} in {lines:#?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends a signal; returns all lines of stdout, as JSON.
    #[track_caller]
    fn end(self, signal: &str, code: i32) -> Vec<Value> {
        self.run.signal(signal);
        let (folder, outcome) = (self.folder.clone(), self.run.finish());
        assert_eq!(outcome.code, Some(code), "{outcome}");
        let text = std::fs::read_to_string(folder.join("stdout")).expect("a file of ours");
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

/// A download from a peer that has 10 of 19 pieces, gives them, and stays. The download has
/// little patience, so that it soon says what it waits for.
fn ten_of_nineteen(folder: &Path, options: &[&str]) -> (Beside, FakePeer) {
    let torrent = Torrent::of_pieces(19, 12);
    let peer = FakePeer::of(&torrent).only(0..10).start();
    torrent.write(folder, None);
    let run = Run::new(["download", "--timeout", "6", "--port", "0", "-o", "out", "test.torrent"])
        .peer(peer.address());
    (Beside::start(options.iter().fold(run, Run::arg), folder), peer)
}

const NOBODY: &str =
    "waiting: the one connected peer does not have pieces 10 to 18, all that are missing; ";
const NOBODY_JSON: &str = r#"{"event":"waiting","why":"nobody has it","#;

#[test]
fn a_line_says_which_pieces_nobody_has() {
    let folder = folder();
    let (run, _peer) = ten_of_nineteen(folder.path(), &[]);
    let line = &run.line("stderr", NOBODY)[0];
    let next = line
        .strip_prefix(NOBODY)
        .and_then(|next| next.strip_prefix("if that does not change, the download ends in "));
    assert!(next.is_some_and(|time| time.ends_with(" s")), "{line}");
    assert_eq!(
        run.lines("stderr").iter().filter(|line| line.starts_with(NOBODY)).count(),
        1,
        "once is enough"
    );
    run.end("INT", 130);
}

#[test]
fn a_story_says_so_with_the_chapter() {
    let folder = folder();
    let (run, _peer) = ten_of_nineteen(folder.path(), &["-v"]);
    let line = &run.line("stderr", NOBODY)[0];
    assert!(line.ends_with(" s (chapter 15)"), "{line}");
    run.end("INT", 130);
}

#[test]
fn the_table_stands_below_the_line() {
    let folder = folder();
    let (run, peer) = ten_of_nineteen(folder.path(), &["--peers"]);
    // The row may come a moment later than the line.
    let begun = Instant::now();
    let lines = loop {
        let lines = run.line("stderr", NOBODY);
        if lines.len() > 2 {
            break lines;
        }
        assert!(begun.elapsed() < LIMIT, "{lines:#?}");
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(
        lines[1].starts_with("  peer ") && lines[2].starts_with(&format!("a {}", peer.address())),
        "{lines:#?}"
    );
    run.end("INT", 130);
}

#[test]
fn quiet_is_quiet_and_programs_are_told() {
    let folder = folder();
    let (run, _peer) = ten_of_nineteen(folder.path(), &["-q", "--json"]);
    let line = &run.line("stdout", NOBODY_JSON)[0];
    let event: Value = serde_json::from_str(line).expect("it is JSON");
    assert_eq!(
        (&event["why"], &event["next"]),
        (&"nobody has it".into(), &"give up".into()),
        "{event}"
    );
    assert!(
        event["seconds"].as_u64().is_some_and(|seconds| (1..=60).contains(&seconds)),
        "{event}"
    );
    assert!(
        event["text"].as_str().is_some_and(|text| format!("waiting: {text}").starts_with(NOBODY)),
        "{event}"
    );
    assert!(
        !run.lines("stderr").iter().any(|line| line.starts_with("waiting")),
        "{:#?}",
        run.lines("stderr")
    );
    run.end("INT", 130);
}

#[test]
fn a_download_that_is_stopped_says_who_gave_how_much() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let folder = folder();
        let (run, peer) = ten_of_nineteen(folder.path(), &["--json"]);
        run.line("stdout", NOBODY_JSON);
        let events = run.end(signal, code);
        let last = events.last().expect("it has said something");
        let bytes = 10 * Torrent::of_pieces(19, 12).piece_length;
        assert_eq!(last["event"], "unfinished", "SIG{signal}: {last}");
        let from = last["from"].as_array().expect("a list");
        let [only] = &from[..] else { panic!("SIG{signal}: {last}") };
        assert_eq!(only["peer"], peer.address().to_string(), "SIG{signal}");
        assert_eq!(only["bytes"], bytes, "SIG{signal}");
        assert_eq!((&last["to"], &last["downloaded"]), (&json!([]), &bytes.into()), "SIG{signal}");
        assert_eq!(
            (&last["output"], &last["error"]),
            (&"out".into(), &"stopped; what is verified is kept".into()),
            "SIG{signal}"
        );
    }
}

#[test]
fn a_peer_that_chokes_is_named_as_the_reason() {
    let (folder, torrent) = (folder(), Torrent::sample());
    let peer = FakePeer::of(&torrent).unchoke(Unchoke::Never).start();
    torrent.write(folder.path(), None);
    let run = Run::new(["download", "--timeout", "6", "--port", "0", "-o", "out", "test.torrent"])
        .peer(peer.address());
    let run = Beside::start(run, folder.path());
    run.line("stderr", "waiting: the one peer that has what is missing chokes us; ");
    run.end("INT", 130);
}

#[test]
fn a_seed_that_nobody_takes_from_says_where_it_listens() {
    let (folder, torrent) = (folder(), Torrent::sample());
    torrent.write(folder.path(), None);
    std::fs::write(folder.path().join("content"), &torrent.content)
        .expect("the folder takes a file");
    let run = Run::new([
        "seed",
        "--timeout",
        "6",
        "--bind",
        "127.0.0.1",
        "--port",
        "0",
        "test.torrent",
        "content",
    ]);
    let run = Beside::start(run, folder.path());
    let listening = &run.line("stderr", "listening at 127.0.0.1:")[0];
    let port = listening.rsplit(':').next().expect("a port");
    let expected = format!(
        "waiting: no peer is connected; we listen at port {port}; no tracker knows of us, so others need our address"
    );
    run.line("stderr", &expected);
    run.end("INT", 0);
}

/// A file that takes long to hash on any number of cores, but no room on the disk.
pub fn long_work(folder: &Path) {
    const PIECE: u64 = 16 << 20;
    let pieces = 1 << 18;
    let file = File::create(folder.join("long")).expect("a temporary folder takes a file");
    file.set_len(pieces * PIECE).expect("a file may have holes");
    let head = format!(
        "d4:infod6:lengthi{}e4:name4:long12:piece lengthi{PIECE}e6:pieces{}:",
        pieces * PIECE,
        pieces * 20
    );
    let torrent = [head.as_bytes(), &vec![b'h'; pieces as usize * 20], b"ee"].concat();
    std::fs::write(folder.join("long.torrent"), torrent).expect("a temporary folder takes a file");
}

#[test]
fn whoever_hashes_says_what_for() {
    let (people, programs) = (folder(), folder());
    long_work(people.path());
    long_work(programs.path());
    let verify = Beside::start(Run::new(["verify", "long.torrent", "long"]), people.path());
    let seed = Beside::start(
        Run::new(["seed", "--json", "--no-lsd", "--port", "0", "long.torrent", "long"]),
        programs.path(),
    );
    verify.line("stderr", "waiting: each piece is hashed; the result comes when all are");
    let line = &seed.line("stdout", r#"{"event":"waiting","#)[0];
    let event: Value = serde_json::from_str(line).expect("it is JSON");
    let expected = json!({
        "event": "waiting", "why": "hashing", "next": null, "seconds": null,
        "text": "each piece is hashed; peers are let in after that",
    });
    assert_eq!(event, expected);
    verify.end("INT", 130);
    seed.end("TERM", 143);
}
