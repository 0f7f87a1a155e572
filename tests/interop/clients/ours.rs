//! The program under test as one of the clients: `seed` for whoever has it all,
//! `download --keep-seeding` for whoever has not. One process serves one torrent.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::{Driver, Order, Status, log};
use crate::download::{beside, program};
use crate::process::{Running, wait_for};

struct Ours {
    process: Running,
    peer: SocketAddrV4,
    info_hash: String,
    length: u64,
    path: PathBuf,
    seeds: bool,
    events: PathBuf,
}

/// A folder in which nothing is whole is downloaded to.
pub(super) fn start(address: Ipv4Addr, order: &Order) -> Result<Box<dyn Driver>, String> {
    let [torrent] = order.torrents else {
        return Err("one process of ours serves one torrent".into());
    };
    let path = order.content.join(torrent.fixture.name);
    let seeds = torrent.fixture.compare(&path).is_ok();
    let mut command = Command::new(program());
    if seeds {
        command.arg("seed").arg(order.source(torrent)).arg(&path);
    } else {
        if path.exists() {
            // What is there is ours, and unfinished.
            fs::write(beside(&path, ".piecemeal"), format!("{}\n", torrent.info_hash))
                .map_err(|error| error.to_string())?;
        }
        command.args(["download", "--keep-seeding", "-o"]).arg(&path).arg(order.source(torrent));
    }
    command.args(["--json", "--port", "0", "--bind", &address.to_string()]);
    for peer in &torrent.peers {
        command.arg("--peer").arg(peer.to_string());
    }
    if let Some(limit) = order.upload_limit {
        command.arg("--max-upload").arg(limit.to_string());
    }
    let (log, events) = (log(order), order.home.join("events"));
    let open = |path| File::create(path).map_err(|error| error.to_string());
    let child = command.stdin(Stdio::null()).stdout(open(&events)?).stderr(open(&log)?).spawn();
    let child = child.map_err(|error| format!("{command:?}: {error}"))?;
    let process = Running::adopt(child, &log);
    let peer = SocketAddrV4::new(address, 0);
    let (info_hash, length) = (torrent.info_hash.clone(), torrent.fixture.length());
    let mut ours = Ours { process, peer, info_hash, length, path, seeds, events };
    ours.peer =
        wait_for(Duration::from_secs(20), "ours to listen", || match ours.process.exited() {
            Some(status) => Err(format!("it ended with {status}: {}", ours.last_words())),
            None => {
                let listening =
                    ours.last_event("listening").ok_or("it has not said where it listens")?;
                let address =
                    listening["addresses"][0].as_str().and_then(|address| address.parse().ok());
                address.ok_or_else(|| format!("no address in {listening}"))
            }
        })?;
    Ok(Box::new(ours))
}

impl Ours {
    /// The last line of this kind on its stdout, so far.
    fn last_event(&self, name: &str) -> Option<Value> {
        let printed = fs::read_to_string(&self.events).unwrap_or_default();
        // The last line may be half written; the next look finds it whole.
        printed
            .lines()
            .rev()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find(|event| event["event"] == name)
    }
}

impl Driver for Ours {
    fn peer(&self) -> SocketAddrV4 {
        self.peer
    }

    fn torrents(&mut self) -> Result<Vec<Status>, String> {
        if let Some(status) = self.process.exited() {
            return Err(format!("ours ended with {status}: {}", self.last_words()));
        }
        let done = self.seeds || (self.path.exists() && !beside(&self.path, ".piecemeal").exists());
        let number =
            |event: &str| self.last_event(event).and_then(|event| event["uploaded"].as_u64());
        Ok(vec![Status {
            info_hash: self.info_hash.clone(),
            checking: false,
            have: if done { self.length } else { 0 },
            done,
            uploaded: number("done").or_else(|| number("progress")).unwrap_or_default(),
        }])
    }

    /// Ctrl-C: a good end, and the last event says who was given how much.
    fn end(&mut self) -> Result<u64, String> {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args(["-INT", &id]).status();
        if !sent.is_ok_and(|status| status.success()) {
            return Err(format!("ours was gone before it was told to go: {}", self.last_words()));
        }
        let status = wait_for(Duration::from_secs(10), "ours to end after SIGINT", || {
            self.process.exited().ok_or_else(|| self.last_words())
        })?;
        if status.code() != Some(0) {
            return Err(format!("after SIGINT it ended with {status}: {}", self.last_words()));
        }
        let done = self.last_event("done").ok_or("it printed no event \"done\"")?;
        let uploaded =
            done["uploaded"].as_u64().ok_or_else(|| format!("no \"uploaded\" in {done}"))?;
        let to = done["to"].as_array().into_iter().flatten();
        let to: u64 = to.filter_map(|peer| peer["bytes"].as_u64()).sum();
        if self.seeds && to != uploaded {
            return Err(format!("{to} bytes to all peers together, but {uploaded} uploaded"));
        }
        Ok(uploaded)
    }

    fn last_words(&self) -> String {
        self.process.last_words()
    }
}
