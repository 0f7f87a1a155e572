//! transmission-daemon, told what to do over its RPC.

use std::cell::RefCell;
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Driver, Http, Order, Status, log};
use crate::process::{Running, command, free_port, wait_for};

struct Transmission {
    process: Running,
    peer: SocketAddrV4,
    http: Http,
    /// The RPC's guard against forged requests; the first answer holds it.
    token: RefCell<String>,
}

pub(super) fn start(
    program: &Path,
    address: Ipv4Addr,
    order: &Order,
) -> Result<Box<dyn Driver>, String> {
    let peer = free_port(address).map_err(|error| error.to_string())?;
    let rpc = free_port(address).map_err(|error| error.to_string())?;
    let settings = json!({
        "bind-address-ipv4": address.to_string(),
        "bind-address-ipv6": "::1",
        "dht-enabled": false,
        "lpd-enabled": false,
        "pex-enabled": false,
        "utp-enabled": false,
        "port-forwarding-enabled": false,
        "peer-port": peer.port(),
        "peer-port-random-on-start": false,
        "rpc-enabled": true,
        "rpc-bind-address": address.to_string(),
        "rpc-port": rpc.port(),
        "rpc-whitelist-enabled": false,
        "rpc-host-whitelist-enabled": false,
        "download-dir": order.content,
        "incomplete-dir-enabled": false,
        "rename-partial-files": false,
        "ratio-limit-enabled": false,
        "idle-seeding-limit-enabled": false,
        // In kB of 1000 bytes.
        "speed-limit-up-enabled": order.upload_limit.is_some(),
        "speed-limit-up": order.upload_limit.unwrap_or_default() / 1000,
    });
    let config = order.home.join("config");
    fs::create_dir_all(&config).map_err(|error| error.to_string())?;
    fs::write(config.join("settings.json"), settings.to_string())
        .map_err(|error| error.to_string())?;
    let mut command = command(program);
    command.args(["--foreground", "--log-info", "--config-dir"]).arg(&config);
    let process = Running::start(&mut command, &log(order)).map_err(|error| error.to_string())?;
    let http = Http::new(format!("http://{rpc}/transmission/rpc"));
    let mut transmission = Transmission { process, peer, http, token: RefCell::default() };
    wait_for(Duration::from_secs(10), "Transmission's RPC", || {
        match transmission.process.exited() {
            Some(status) => Err(format!("it ended with {status}: {}", transmission.last_words())),
            None => transmission.ask("session-get", json!({})),
        }
    })?;
    for torrent in order.torrents {
        // A torrent that it cannot parse is missing from its list afterwards.
        let _ = transmission.ask("torrent-add", json!({ "filename": order.source(torrent) }));
    }
    Ok(Box::new(transmission))
}

impl Transmission {
    fn ask(&self, method: &str, arguments: Value) -> Result<Value, String> {
        let question = json!({ "method": method, "arguments": arguments }).to_string();
        for _ in 0..2 {
            let token = self.token.borrow().clone();
            let header = ("X-Transmission-Session-Id", token.as_str());
            let (token, answer) = self.http.post("", header, question.as_bytes())?;
            match answer["result"].as_str() {
                Some("success") => return Ok(answer["arguments"].clone()),
                Some(error) => return Err(error.to_owned()),
                None => *self.token.borrow_mut() = token,
            }
        }
        Err("Transmission's RPC does not accept its own token".into())
    }
}

impl Driver for Transmission {
    fn peer(&self) -> SocketAddrV4 {
        self.peer
    }

    fn torrents(&mut self) -> Result<Vec<Status>, String> {
        let fields = [
            "hashString",
            "status",
            "haveValid",
            "uploadedEver",
            "leftUntilDone",
            "metadataPercentComplete",
        ];
        let answer = self.ask("torrent-get", json!({ "fields": fields }))?;
        Ok(answer["torrents"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|torrent| {
                let number = |key: &str| torrent[key].as_u64().unwrap_or_default();
                Status {
                    info_hash: torrent["hashString"].as_str().unwrap_or_default().to_owned(),
                    // 0 stopped, 1 and 2 to be checked and checking, 4 and 6 leeching and seeding.
                    checking: number("status") < 3,
                    have: number("haveValid"),
                    done: number("leftUntilDone") == 0
                        && torrent["metadataPercentComplete"].as_f64() == Some(1.0),
                    uploaded: number("uploadedEver"),
                }
            })
            .collect())
    }

    fn last_words(&self) -> String {
        self.process.last_words()
    }
}
