//! What is on a terminal in the end: the messages, and nothing of the bar.
//!
//! `script`, which most systems have, makes the terminal; a small emulator interprets what the
//! program writes.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use piecemeal::actors::Hashes;
use piecemeal::actors::version_two::Draft;

use super::waiting::long_work;
use crate::support::screen::rows;
use crate::support::{FakePeer, Metadata, Torrent, content, folder};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(60);

/// The program on a terminal of 80 columns. Dropping it kills it.
struct OnTerminal {
    child: Child,
    keys: ChildStdin,
    written: Arc<Mutex<Vec<u8>>>,
}

/// `None` where there is no `script`.
fn start(arguments: &str, folder: &Path) -> Option<OnTerminal> {
    let line = format!("exec '{}' {arguments}", env!("CARGO_BIN_EXE_piecemeal"));
    let mut command = Command::new("script");
    command
        .args(["-qec", &line, "/dev/null"])
        .current_dir(folder)
        .env("TERM", "xterm")
        .env("SHELL", "/bin/sh");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else {
        eprintln!("skipped: there is no `script` to make a terminal");
        return None;
    };
    let (keys, mut output) =
        (child.stdin.take().expect("it is a pipe"), child.stdout.take().expect("it is a pipe"));
    let written = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&written);
    std::thread::spawn(move || {
        let mut some = [0; 4096];
        while let Ok(count @ 1..) = output.read(&mut some) {
            sink.lock().expect("nobody panics with this lock").extend_from_slice(&some[..count]);
        }
    });
    Some(OnTerminal { child, keys, written })
}

impl OnTerminal {
    fn rows(&self) -> Vec<String> {
        rows(&String::from_utf8_lossy(&self.written.lock().expect("nobody panics with this lock")))
    }

    /// Waits until this text is on the screen.
    #[track_caller]
    fn shows(&self, what: &str) {
        let begun = Instant::now();
        while !self.rows().iter().any(|row| row.contains(what)) {
            assert!(begun.elapsed() < LIMIT, "no {what:?} in {:#?}", self.rows());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Presses Ctrl-C; returns the exit code and the final screen.
    #[track_caller]
    fn interrupt(mut self) -> (Option<i32>, Vec<String>) {
        self.keys.write_all(b"\x03").expect("the terminal takes keys");
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it can be waited for") {
                break status;
            }
            assert!(begun.elapsed() < LIMIT, "it does not end: {:#?}", self.rows());
            std::thread::sleep(Duration::from_millis(10));
        };
        // The last words may still be on their way to the thread that reads them.
        while !self
            .rows()
            .last()
            .is_some_and(|row| row.starts_with("see: ") || row.starts_with("127.0.0.1:"))
        {
            assert!(begun.elapsed() < LIMIT, "no last word: {:#?}", self.rows());
            std::thread::sleep(Duration::from_millis(10));
        }
        (status.code(), self.rows())
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn ctrl_c_while_it_hashes_leaves_the_reason_and_no_bar() {
    let folder = folder();
    long_work(folder.path());
    for (arguments, bar) in
        [("verify long.torrent long", "verifying  ["), ("create -o new.torrent long", "hashing  [")]
    {
        let Some(run) = start(arguments, folder.path()) else { return };
        run.shows(bar);
        run.shows("waiting: each piece is hashed");
        let (code, rows) = run.interrupt();
        assert_eq!(code, Some(130), "{rows:#?}");
        assert!(
            rows[0].starts_with("error: ") && rows[1].starts_with("help: ") && rows.len() == 3,
            "{rows:#?}"
        );
    }
    assert!(!folder.path().join("new.torrent").exists(), "half a torrent is none");
}

#[test]
fn ctrl_c_leaves_nothing_of_table_and_map() {
    let folder = folder();
    let torrent = Torrent::of_pieces(6, 12);
    let peer = FakePeer::of(&torrent).pace(500).start();
    torrent.write(folder.path(), None);
    let arguments = format!("download --peers --map -o out test.torrent --peer {}", peer.address());
    let Some(run) = start(&arguments, folder.path()) else { return };
    run.shows("on loan");
    run.shows("client");
    let (code, rows) = run.interrupt();
    assert_eq!(code, Some(130), "{rows:#?}");
    assert_eq!(rows[0], "error: stopped; what is verified is kept");
    assert_eq!(rows.len(), 3, "{rows:#?}");
}

#[test]
fn what_it_waits_for_stands_under_the_bar_and_goes_with_it() {
    let folder = folder();
    let torrent = Torrent::of_pieces(19, 12);
    let peer = FakePeer::of(&torrent).only(0..10).start();
    torrent.write(folder.path(), None);
    let arguments = format!("download -o out test.torrent --peer {}", peer.address());
    let Some(run) = start(&arguments, folder.path()) else { return };
    // Sooner than a line in a file, and as often as it changes.
    run.shows("waiting: the one connected peer does not have pieces 10 to 18, all that are");
    run.shows("missing; if that does not change, the download ends in 10 min");
    let (code, rows) = run.interrupt();
    assert_eq!(code, Some(130), "{rows:#?}");
    assert!(rows.len() == 3 && rows[0].starts_with("error: "), "{rows:#?}");
}

#[test]
fn the_answer_that_comes_before_the_end_stays_above_the_bar() {
    let folder = folder();
    let torrent = Torrent::sample();
    let peer = FakePeer::of(&torrent).pace(50).start();
    torrent.write(folder.path(), None);
    let arguments =
        format!("download --keep-seeding --port 0 -o out test.torrent --peer {}", peer.address());
    let Some(run) = start(&arguments, folder.path()) else { return };
    run.shows("seeding for ");
    run.shows("Downloaded test.torrent to out.");
    let (code, rows) = run.interrupt();
    assert_eq!(code, Some(0), "{rows:#?}");
    assert!(rows.iter().any(|row| row == "Downloaded test.torrent to out."), "{rows:#?}");
    assert!(
        !rows.iter().any(|row| row.contains("seeding") || row.contains("downloading")),
        "{rows:#?}"
    );
}

/// Before the first block of a magnet link, two things come, and each has its line.
#[test]
fn the_line_says_what_comes_before_the_pieces() {
    let folder = folder();
    let torrent = Draft::single("t", 16_384, content(5 * 16_384, 12)).build();
    let name = torrent.version_two.as_ref().expect("it is of version 2").name;
    let link = format!("magnet:?xt=urn:btmh:1220{}", hex::encode(name));
    for (no_info, line) in
        [(true, "getting the info dictionary for "), (false, "getting the piece hashes for ")]
    {
        let peer = FakePeer::of(&torrent);
        let peer =
            if no_info { peer.metadata(Metadata::Silent) } else { peer.hashes(Hashes::Silent) };
        let peer = peer.start();
        let arguments = format!("magnet_download -o out --peer {} '{link}'", peer.address());
        let Some(run) = start(&arguments, folder.path()) else { return };
        run.shows(line);
        let (code, rows) = run.interrupt();
        assert_eq!(code, Some(130), "{rows:#?}");
    }
}
