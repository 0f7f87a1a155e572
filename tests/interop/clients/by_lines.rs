//! The clients that are libraries, each behind a file of its own language that
//! answers every line with a line of JSON.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use super::{Driver, Order, Status, log};
use crate::fixtures::{python_file, webtorrent_file};
use crate::process::{Running, command, free_port};
use crate::programs::node;

struct ByLines {
    /// Closed first, which alone makes the other side end.
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    process: Running,
    peer: SocketAddrV4,
    /// What it last said of each torrent that is not done.
    said: Vec<String>,
}

pub(super) fn libtorrent(
    python: &Path,
    address: Ipv4Addr,
    order: &Order,
) -> Result<Box<dyn Driver>, String> {
    let mut command = command(python);
    command.arg(python_file()).arg("join");
    start(command, address, order)
}

pub(super) fn webtorrent(
    module: &Path,
    address: Ipv4Addr,
    order: &Order,
) -> Result<Box<dyn Driver>, String> {
    let mut command = command(&node().ok_or("there is no node")?);
    command.arg(webtorrent_file()).arg(module);
    start(command, address, order)
}

fn start(
    mut command: Command,
    address: Ipv4Addr,
    order: &Order,
) -> Result<Box<dyn Driver>, String> {
    let peer = free_port(address).map_err(|error| error.to_string())?;
    let torrents: Vec<Value> = order
        .torrents
        .iter()
        .map(|torrent| json!({ "source": order.source(torrent), "peers": torrent.peers.iter().map(SocketAddrV4::to_string).collect::<Vec<_>>() }))
        .collect();
    let options = json!({
        "folder": order.content,
        "torrents": torrents,
        "upload_limit": order.upload_limit.unwrap_or_default(),
    });
    let log = log(order);
    let mut child = command
        .args([&peer.to_string(), &options.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(File::create(&log).map_err(|error| error.to_string())?)
        .spawn()
        .map_err(|error| error.to_string())?;
    let questions = child.stdin.take().expect("stdin is a pipe");
    let answers = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
    let process = Running::adopt(child, &log);
    let mut client = ByLines { questions, answers, process, peer, said: Vec::new() };
    client.torrents()?;
    Ok(Box::new(client))
}

impl Driver for ByLines {
    fn peer(&self) -> SocketAddrV4 {
        self.peer
    }

    fn torrents(&mut self) -> Result<Vec<Status>, String> {
        let mut line = String::new();
        let asked =
            self.questions.write_all(b"\n").and_then(|()| self.answers.read_line(&mut line));
        asked.map_err(|error| format!("{error}: {}", self.last_words()))?;
        let torrents: Vec<Value> = serde_json::from_str(&line).map_err(|_| self.last_words())?;
        let said = |torrent: &Value| {
            let said = torrent["said"].as_str().filter(|_| torrent["done"] != true)?;
            Some(format!("{}: {said}", torrent["info_hash"].as_str()?))
        };
        self.said = torrents.iter().filter_map(said).collect();
        Ok(torrents
            .iter()
            .map(|torrent| Status {
                info_hash: torrent["info_hash"].as_str().unwrap_or_default().to_owned(),
                checking: torrent["checking"] != false,
                have: torrent["have"].as_u64().unwrap_or_default(),
                done: torrent["done"] == true,
                uploaded: torrent["uploaded"].as_u64().unwrap_or_default(),
            })
            .collect())
    }

    fn last_words(&self) -> String {
        let log = self.process.last_words();
        [log].into_iter().chain(self.said.iter().cloned()).collect::<Vec<_>>().join("\n")
    }
}
