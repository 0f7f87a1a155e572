//! aria2c, started with its torrents on the command line.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::process;
use std::time::Duration;

use serde_json::json;

use super::{Driver, Http, Order, Status, log};
use crate::process::{Running, command, free_port, wait_for};

struct Aria2 {
    process: Running,
    peer: SocketAddrV4,
    http: Http,
}

pub(super) fn start(
    program: &Path,
    address: Ipv4Addr,
    order: &Order,
) -> Result<Box<dyn Driver>, String> {
    let peer = free_port(address).map_err(|error| error.to_string())?;
    // Its RPC only ever listens on 127.0.0.1 (or everywhere).
    let rpc = free_port(Ipv4Addr::LOCALHOST).map_err(|error| error.to_string())?;
    let mut command = command(program);
    command.args([
        "--no-conf=true",
        "--console-log-level=notice",
        "--summary-interval=0",
        "--disable-ipv6=true",
        "--disk-cache=0",
    ]);
    command.args([
        "--enable-dht=false",
        "--enable-dht6=false",
        "--bt-enable-lpd=false",
        "--enable-peer-exchange=false",
    ]);
    command.args([
        "--check-integrity=true",
        "--allow-overwrite=true",
        "--seed-ratio=0",
        "--max-concurrent-downloads=20",
    ]);
    command.arg(format!("--interface={address}")).arg(format!("--listen-port={}", peer.port()));
    command.arg("--enable-rpc=true").arg(format!("--rpc-listen-port={}", rpc.port()));
    command.arg(format!("--max-overall-upload-limit={}", order.upload_limit.unwrap_or_default()));
    // A last resort, should the test be killed before it can clean up.
    command.arg(format!("--stop-with-process={}", process::id()));
    command.arg("--dir").arg(order.content);
    command.args(order.torrents.iter().map(|torrent| order.source(torrent)));
    let process = Running::start(&mut command, &log(order)).map_err(|error| error.to_string())?;
    let mut aria2 = Aria2 { process, peer, http: Http::new(format!("http://{rpc}/jsonrpc")) };
    wait_for(Duration::from_secs(10), "aria2's RPC", || match aria2.process.exited() {
        Some(status) => Err(format!("it ended with {status}: {}", aria2.last_words())),
        None => aria2.torrents(),
    })?;
    Ok(Box::new(aria2))
}

impl Driver for Aria2 {
    fn peer(&self) -> SocketAddrV4 {
        self.peer
    }

    fn torrents(&mut self) -> Result<Vec<Status>, String> {
        let keys = [
            "infoHash",
            "uploadLength",
            "completedLength",
            "totalLength",
            "verifyIntegrityPending",
            "verifiedLength",
            "files",
        ];
        let question =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "aria2.tellActive", "params": [keys] });
        let (_, answer) =
            self.http.post("", ("Accept", "application/json"), question.to_string().as_bytes())?;
        let torrents = answer["result"].as_array().ok_or("aria2's RPC gave no list")?;
        Ok(torrents
            .iter()
            // A magnet is two downloads, the first of the info dictionary alone.
            .filter(|torrent| {
                !torrent["files"][0]["path"].as_str().unwrap_or_default().starts_with("[METADATA]")
            })
            .map(|torrent| {
                // It writes its numbers as strings.
                let number = |key: &str| {
                    torrent[key].as_str().and_then(|digits| digits.parse().ok()).unwrap_or_default()
                };
                let checks = ["verifyIntegrityPending", "verifiedLength"];
                Status {
                    info_hash: torrent["infoHash"].as_str().unwrap_or_default().to_owned(),
                    checking: checks.iter().any(|key| !torrent[key].is_null()),
                    have: number("completedLength"),
                    done: number("totalLength") > 0
                        && number("completedLength") == number("totalLength"),
                    uploaded: number("uploadLength"),
                }
            })
            .collect())
    }

    fn last_words(&self) -> String {
        self.process.last_words()
    }
}
