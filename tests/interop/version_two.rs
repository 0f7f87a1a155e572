//! Version 2 with libtorrent, both ways: torrents of version 1, 2 and both; from a .torrent, with
//! and without its piece layers, and from links with either name or both.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::create::output;
use crate::fixtures::{Fixture, Kind, one_file};
use crate::process::{Running, command, wait_for};
use crate::programs::Program;
use crate::report::{Outcome, Report};

/// How long a program may take until it listens.
const PATIENCE: Duration = Duration::from_secs(20);

/// What one may do differently: where padding goes, and which trees have layers.
fn contents() -> Vec<Fixture> {
    let folder = |label, piece_length, files: &[(&'static str, u64)]| Fixture {
        label,
        name: label,
        kind: Kind::Hybrid,
        piece_length,
        files: files.to_vec(),
    };
    let many =
        [("a.bin", 32_768), ("b.bin", 40_000), ("empty", 0), ("sub/c", 77), ("sub/d", 131_073)];
    vec![
        one_file("one block", 16_384, 16_384),
        one_file("a tail of one byte", 16_385, 16_384),
        one_file("single", 100_000, 32_768),
        folder("many", 32_768, &many),
        folder("empty files", 16_384, &[("0", 0), ("a", 5), ("z", 0)]),
        one_file("1,000 pieces", 16_384_000, 16_384),
    ]
}

/// One torrent, and everything about it on disk.
struct Swarm<'f> {
    python: PathBuf,
    fixture: &'f Fixture,
    folder: TempDir,
    /// Each way to name it, and what is given to a client.
    ways: Vec<(&'static str, String)>,
}

impl<'f> Swarm<'f> {
    fn new(python: &Path, fixture: &'f Fixture, version: &str) -> Result<Swarm<'f>, String> {
        let folder = TempDir::with_prefix("piecemeal-v2-").map_err(|error| error.to_string())?;
        fixture.write(&folder.path().join("source"), &(0..fixture.length()));
        let (ways, python) = (Vec::new(), python.to_owned());
        let mut swarm = Swarm { python, fixture, folder, ways };
        let (content, torrent) = (swarm.content(), swarm.at("t.torrent"));
        let piece_length = fixture.piece_length.to_string();
        let made = swarm.libtorrent(&["make", &content, &piece_length, version, &torrent])?;
        let names: Value = serde_json::from_str(&made).map_err(|error| error.to_string())?;
        let topic = |kind: &str| Some(format!("xt=urn:{kind}:{}", names[kind].as_str()?));
        let (sha1, sha256) = (topic("btih"), topic("btmh"));
        let both =
            sha1.clone().zip(sha256.clone()).map(|(sha1, sha256)| format!("{sha1}&{sha256}"));
        swarm.ways.push((".torrent", torrent.clone()));
        if sha256.is_some() {
            swarm.ways.push((".torrent, no layers", torrent + ".bare"));
        }
        for (way, topic) in [("btih", sha1), ("btmh", sha256), ("btih and btmh", both)] {
            swarm.ways.extend(topic.map(|topic| (way, format!("magnet:?{topic}"))));
        }
        Ok(swarm)
    }

    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    fn content(&self) -> String {
        self.at(&format!("source/{}", self.fixture.name))
    }

    fn libtorrent(&self, words: &[&str]) -> Result<String, String> {
        let mut program = command(&self.python);
        program.arg("tests/interop/version_two.py").args(words);
        output(program)
    }

    /// Starts a program, and waits for a line from which `read` gets what is wanted.
    fn start(
        &self,
        program: &Path,
        words: &[&str],
        read: impl Fn(&str) -> Option<String>,
    ) -> Result<(Running, String), String> {
        let log = self.folder.path().join("log");
        let mut running = Running::start(command(program).args(words), &log)
            .map_err(|error| error.to_string())?;
        let found = wait_for(PATIENCE, "its address", || {
            let said = fs::read_to_string(&log).unwrap_or_default();
            // A line that is whole.
            let lines = said.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            lines.map(str::trim).find_map(&read).ok_or_else(|| running.last_words())
        });
        running.exited();
        Ok((running, found?))
    }

    /// Ours downloads from libtorrent, in each way.
    fn to_ours(&self, row: &dyn Fn(&'static str, Outcome)) -> Result<(), String> {
        let words =
            ["tests/interop/version_two.py", "seed", &self.at("t.torrent"), &self.at("source")];
        let is_port = |line: &str| line.parse::<u16>().ok().map(|port| port.to_string());
        let (_seed, port) = self.start(&self.python, &words, is_port)?;
        let peer = format!("127.0.0.1:{port}");
        for (number, (way, source)) in self.ways.iter().enumerate() {
            let (begun, out) = (Instant::now(), self.at(&format!("ours {number}")));
            let is_link = source.starts_with("magnet:");
            let name = if is_link { "magnet_download" } else { "download" };
            let mut ours = command(Path::new(env!("CARGO_BIN_EXE_piecemeal")));
            ours.args([name, "-q", "--timeout", "20", "--peer", &peer, "-o", &out, source]);
            let done = output(ours).and_then(|_| self.fixture.compare(Path::new(&out)));
            row(way, done.map(|()| (begun.elapsed(), "libtorrent to ours".to_owned())));
        }
        Ok(())
    }

    /// libtorrent downloads from ours, in each way.
    fn from_ours(&self, row: &dyn Fn(&'static str, Outcome)) -> Result<(), String> {
        let (torrent, content) = (self.at("t.torrent"), self.content());
        let words = ["seed", "--json", "--bind", "127.0.0.1", "--port", "0", &torrent, &content];
        let is_address = |line: &str| {
            let event: Value = serde_json::from_str(line).ok()?;
            Some(event["addresses"].get(0)?.as_str()?.to_owned())
        };
        let ours = Path::new(env!("CARGO_BIN_EXE_piecemeal"));
        let (_seed, peer) = self.start(ours, &words, is_address)?;
        for (number, (way, source)) in self.ways.iter().enumerate() {
            let (begun, out) =
                (Instant::now(), self.folder.path().join(format!("theirs {number}")));
            let path = out.to_string_lossy();
            let done = self.libtorrent(&["fetch", source, &path, &peer]);
            let done = done.and_then(|_| self.fixture.compare(&out.join(self.fixture.name)));
            row(way, done.map(|()| (begun.elapsed(), "ours to libtorrent".to_owned())));
        }
        Ok(())
    }
}

#[test]
fn libtorrent_and_ours_exchange_all_versions_by_all_names() {
    let Some(python) = Program::Libtorrent.find() else { return };
    let report = Report::new("libtorrent_and_ours_exchange_all_versions_by_all_names");
    for fixture in contents() {
        for version in ["1", "2", "hybrid"] {
            let client = format!("libtorrent, version {version}");
            let row = |way: &'static str, outcome: Outcome| {
                report.add(&client, fixture.label, way, fixture.length(), outcome);
            };
            let ran = Swarm::new(&python, &fixture, version).and_then(|swarm| {
                swarm.to_ours(&row)?;
                swarm.from_ours(&row)
            });
            if let Err(why) = ran {
                row("all", Err(why));
            }
        }
    }
    report.finish();
}
