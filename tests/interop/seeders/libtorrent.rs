//! libtorrent, through the Python file, one line of JSON per question.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use super::{Order, Seeder, Status, log};
use crate::fixtures::python_file;
use crate::process::{Running, command, free_port};

struct Libtorrent {
    /// Closed first, which alone makes the Python file end.
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    process: Running,
    peer: SocketAddrV4,
}

pub(super) fn start(python: &Path, address: Ipv4Addr, order: &Order) -> Result<Box<dyn Seeder>, String> {
    let peer = free_port(address).map_err(|error| error.to_string())?;
    let options = json!({
        "folder": order.content,
        "torrents": order.torrents.iter().map(|torrent| order.file(torrent)).collect::<Vec<_>>(),
        "upload_limit": order.upload_limit.unwrap_or_default(),
    });
    let log = log(order);
    let mut child = command(python)
        .arg(python_file())
        .args(["seed", &peer.to_string(), &options.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(File::create(&log).map_err(|error| error.to_string())?)
        .spawn()
        .map_err(|error| error.to_string())?;
    let questions = child.stdin.take().expect("stdin is a pipe");
    let answers = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
    let mut seeder = Libtorrent { questions, answers, process: Running::adopt(child, &log), peer };
    seeder.torrents()?;
    Ok(Box::new(seeder))
}

impl Seeder for Libtorrent {
    fn peer(&self) -> SocketAddrV4 {
        self.peer
    }

    fn torrents(&mut self) -> Result<Vec<Status>, String> {
        let mut line = String::new();
        let asked = self.questions.write_all(b"\n").and_then(|()| self.answers.read_line(&mut line));
        asked.map_err(|error| format!("{error}: {}", self.last_words()))?;
        let torrents: Value = serde_json::from_str(&line).map_err(|_| self.last_words())?;
        Ok(torrents
            .as_array()
            .into_iter()
            .flatten()
            .map(|torrent| Status {
                info_hash: torrent["info_hash"].as_str().unwrap_or_default().to_owned(),
                checking: torrent["checking"] != false,
                have: torrent["have"].as_u64().unwrap_or_default(),
                uploaded: torrent["uploaded"].as_u64().unwrap_or_default(),
            })
            .collect())
    }

    fn last_words(&self) -> String {
        self.process.last_words()
    }
}
