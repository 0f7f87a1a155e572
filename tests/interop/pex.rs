//! Peer exchange with real clients: they name their peers to us, and dial those that we name.
//!
//! ```text
//!   the client      10.9.0.4   knows nothing but the tracker
//!   tracker, seed   10.9.0.5   ours; the tracker knows the seed only
//!   download        10.9.0.6   ours; known to the seed only, and without peer exchange of its own
//! ```
//! The client must name the seed to `pex_peers`, and it must dial the download, which nobody but
//! the seed can have named. Transmission dials no loopback address that peer exchange has named,
//! and both take all peers at one IP for one. So these are addresses as of neighbors, in a network
//! of the test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::download::program;
use crate::network::Network;
use crate::process::{Running, wait_for};
use crate::programs::Program;
use crate::report::{Outcome, Report};

/// Transmission 3.00 says something every 90 s.
const PATIENCE: Duration = Duration::from_secs(120);
const TRACKER: &str = "10.9.0.5:6969";
const SEED: &str = "10.9.0.5:7001";
const DOWNLOAD: &str = "10.9.0.6:7002";
const CLIENT: &str = "10.9.0.4:7003";

/// A session that does nothing but what it is told: the torrent, the folder, and its IP.
const LIBTORRENT: &str = "import libtorrent as lt, sys, time
off = {'enable_dht': False, 'enable_lsd': False, 'enable_upnp': False, 'enable_natpmp': False}
host = {'listen_interfaces': sys.argv[3] + ':7003', 'outgoing_interfaces': sys.argv[3]}
session = lt.session({**off, **host})
session.add_torrent({'ti': lt.torrent_info(sys.argv[1]), 'save_path': sys.argv[2]})
time.sleep(300)";

#[test]
fn clients_name_their_peers_to_us_and_dial_those_that_we_name() {
    let report = Report::new("clients_name_their_peers_to_us_and_dial_those_that_we_name");
    for client in [Program::Libtorrent, Program::Transmission] {
        let Some(path) = client.find() else { continue };
        let Some(network) = Network::new() else { return };
        let swarm = match Swarm::start(&network, client, &path) {
            Ok(swarm) => swarm,
            Err(why) => {
                report.add(client.name(), "pex.bin", "the swarm", 0, Err(why));
                continue;
            }
        };
        report.add(client.name(), "pex.bin", "ut_pex from us", 0, swarm.client_dials());
        report.add(client.name(), "pex.bin", "ut_pex to us", 0, swarm.client_names());
    }
    report.finish();
}

/// All of them, and when the client was started.
struct Swarm<'n> {
    network: &'n Network,
    folder: TempDir,
    begun: Instant,
    running: Vec<Running>,
}

impl<'n> Swarm<'n> {
    fn start(network: &'n Network, client: Program, path: &Path) -> Result<Self, String> {
        let text = |error: std::io::Error| error.to_string();
        for host in [CLIENT, SEED, DOWNLOAD] {
            let (ip, _) = host.split_once(':').expect("it has a port");
            let words = ["address", "add", &format!("{ip}/32"), "dev", "lo"];
            let added = network.command("ip").args(words).status().map_err(text)?;
            if !added.success() {
                return Err(format!("the network does not take {ip}"));
            }
        }
        let folder = TempDir::with_prefix("piecemeal-pex-").map_err(text)?;
        let mut swarm = Swarm { network, folder, begun: Instant::now(), running: Vec::new() };
        for name in ["config", "watched", "theirs"] {
            fs::create_dir(swarm.at(name)).map_err(text)?;
        }
        fs::write(swarm.at("pex.bin"), vec![7; 8 << 20]).map_err(text)?;
        swarm.ours(&["create", "-o", "bare.torrent", "pex.bin"]).status().map_err(text)?;
        let url = format!("http://{TRACKER}/announce");
        let words = ["create", "--announce", &url, "-o", "pex.torrent", "pex.bin"];
        swarm.ours(&words).status().map_err(text)?;

        let tracker = swarm.ours(&["tracker", "--listen", TRACKER]);
        swarm.run("tracker", tracker)?;
        // Nobody is at the peer that it is given, which is no reason to give up for a while.
        let words = [
            "download",
            "--json",
            "--no-pex",
            "--no-lsd",
            "--timeout",
            "300",
            "--peer",
            "127.0.0.1:9",
        ];
        let mut download = swarm.ours(&words);
        download.args(["--bind", "10.9.0.6", "--port", "7002", "-o", "ours.bin", "bare.torrent"]);
        swarm.run("download", download)?;
        // So slow that nobody is complete before the test is: seeds do not stay with seeds.
        let words = ["seed", "--json", "--no-lsd", "--max-upload", "32KiB", "--peer", DOWNLOAD];
        let mut seed = swarm.ours(&words);
        seed.args(["--bind", "10.9.0.5", "--port", "7001", "pex.torrent", "pex.bin"]);
        swarm.run("seed", seed)?;
        swarm.hears("seed", "the tracker's answer", |event| {
            event["event"] == "source" && event["source"] == *url
        })?;
        swarm.hears("seed", "the download", |event| {
            event["event"] == "joined" && event["peer"] == DOWNLOAD
        })?;
        let theirs = swarm.theirs(client, path)?;
        swarm.begun = Instant::now();
        swarm.run("client", theirs)?;
        Ok(swarm)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command of ours, in the folder.
    fn ours(&self, words: &[&str]) -> Command {
        let mut command = self.network.command(program());
        command.args(words).current_dir(self.folder.path());
        command
    }

    /// The command that starts a client with the torrent, and nothing but a tracker and peer
    /// exchange to find peers.
    fn theirs(&self, client: Program, path: &Path) -> Result<Command, String> {
        let (torrent, mut command) = (self.at("pex.torrent"), self.network.command(path));
        if client == Program::Libtorrent {
            command.args(["-c", LIBTORRENT]).arg(torrent).arg(self.at("theirs")).arg("10.9.0.4");
            return Ok(command);
        }
        // It renames what it has added, so it gets a copy.
        let settings = json!({
            "bind-address-ipv4": "10.9.0.4", "bind-address-ipv6": "::1",
            "dht-enabled": false, "lpd-enabled": false, "pex-enabled": true,
            "utp-enabled": false, "port-forwarding-enabled": false,
            "peer-port": 7003, "peer-port-random-on-start": false,
            "rpc-enabled": false, "download-dir": self.at("theirs"),
            "watch-dir": self.at("watched"), "watch-dir-enabled": true,
            "incomplete-dir-enabled": false,
        });
        fs::copy(torrent, self.at("watched/pex.torrent"))
            .and_then(|_| fs::write(self.at("config/settings.json"), settings.to_string()))
            .map_err(|error| error.to_string())?;
        command.args(["--foreground", "--log-info", "--config-dir"]).arg(self.at("config"));
        Ok(command)
    }

    /// Starts it, with a log of this name.
    fn run(&mut self, log: &str, mut command: Command) -> Result<(), String> {
        let running = Running::start(&mut command, &self.at(log));
        self.running.push(running.map_err(|error| format!("{log}: {error}"))?);
        Ok(())
    }

    /// Waits for an event of one of ours.
    fn hears(&self, log: &str, what: &str, is_it: impl Fn(&Value) -> bool) -> Result<(), String> {
        wait_for(PATIENCE, &format!("the {log} to hear of {what}"), || {
            let printed = fs::read_to_string(self.at(log)).unwrap_or_default();
            let mut events = printed.lines().filter_map(|line| serde_json::from_str(line).ok());
            events.any(|event| is_it(&event)).then_some(()).ok_or_else(|| {
                let all: Vec<String> = self.running.iter().map(Running::last_words).collect();
                all.join("\n\n")
            })
        })
    }

    fn client_dials(&self) -> Outcome {
        self.hears("download", "the client", |event| {
            let peer = event["peer"].as_str().unwrap_or_default();
            event["event"] == "joined" && peer.starts_with("10.9.0.4:")
        })?;
        Ok((self.begun.elapsed(), "dials our download".to_owned()))
    }

    fn client_names(&self) -> Outcome {
        let start = Instant::now();
        let words = ["pex_peers", "--timeout", "120", "bare.torrent", CLIENT];
        let output = self.ours(&words).output().map_err(|error| error.to_string())?;
        let named = String::from_utf8_lossy(&output.stdout);
        if named.lines().any(|line| line == SEED) {
            return Ok((start.elapsed(), "names our seed".to_owned()));
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let all: Vec<String> = self.running.iter().map(Running::last_words).collect();
        Err(format!("it names {named:?}: {said}; {}", all.join("\n\n")))
    }
}
