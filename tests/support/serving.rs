//! A process that uploads, with `--json`: its address, and its events so far.

use super::LIMIT;
use super::run::{Outcome, Run, Running};
use super::torrent::Torrent;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A running process. Dropping it kills it.
pub struct Serving {
    run: Running,
    said: PathBuf,
    pub address: SocketAddr,
}

/// The end of such a process.
pub struct Ended {
    pub outcome: Outcome,
    pub events: Vec<Value>,
}

impl Serving {
    /// Starts a command that listens on loopback, and waits until it does. `said` is a file for its
    /// output.
    #[track_caller]
    pub fn start(run: Run, said: &Path) -> Serving {
        Serving::listening(run.arg("--bind").arg("127.0.0.1"), said)
    }

    /// The same, without a word about where it listens: for a network of the test's own.
    #[track_caller]
    pub fn listening(run: Run, said: &Path) -> Serving {
        let file = File::create(said).expect("the test's folder takes a file");
        let run = run.arg("--json").arg("--port").arg("0").within(120);
        let mut serving = Serving {
            run: run.stdout(file).start(),
            said: said.to_owned(),
            address: ([127, 0, 0, 1], 1).into(),
        };
        let listening = serving.wait_for("listening", |_| true);
        serving.address = listening["addresses"][0]
            .as_str()
            .and_then(|a| a.parse().ok())
            .expect("an address to dial");
        serving
    }

    /// Seeds all of a torrent from a folder of its own.
    #[track_caller]
    pub fn seed<I, S>(folder: &Path, torrent: &Torrent, options: I) -> Serving
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let content = folder.join("content");
        std::fs::write(&content, &torrent.content).expect("the test's folder takes a file");
        let run = options.into_iter().fold(Run::new(["seed"]), Run::arg);
        Serving::start(run.arg(torrent.write(folder, None)).arg(content), &folder.join("said"))
    }

    /// All events so far.
    pub fn events(&self) -> Vec<Value> {
        events_in(&self.said)
    }

    /// Waits for an event of this name that fits.
    #[track_caller]
    pub fn wait_for(&mut self, name: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + LIMIT;
        loop {
            let over = self.run.is_over();
            let events = self.events();
            if let Some(event) = events.iter().find(|event| event["event"] == name && fits(event)) {
                return event.clone();
            }
            assert!(
                !over && Instant::now() < until,
                "no fitting event {name:?} (over: {over}): {events:#?}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A number of its `/proc/PID/status`.
    pub fn status(&self, name: &str) -> Option<u64> {
        self.run.status(name)
    }

    /// Ctrl-C, and the end.
    pub fn interrupt(self) -> Ended {
        self.run.interrupt();
        self.finish()
    }

    /// A signal by its name: `TERM`, `HUP`.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        self.run.signal(name);
    }

    /// Waits for the end.
    pub fn finish(self) -> Ended {
        let outcome = self.run.finish();
        Ended { outcome, events: events_in(&self.said) }
    }
}

impl Ended {
    /// Checks for exit code 0, and returns the last event, with the totals for each peer.
    #[track_caller]
    pub fn done(&self) -> &Value {
        self.outcome.succeeds();
        let last = self.events.last().expect("it has said something");
        assert!(last["event"] == "done", "the last event is {last}");
        last
    }
}

/// The whole lines of a file, each an object.
fn events_in(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}
