//! rqbit, told what to do over its HTTP interface.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::{Driver, Http, Order, Status, log};
use crate::process::{Running, command, free_port, wait_for};

struct Rqbit {
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
    let rpc = free_port(address).map_err(|error| error.to_string())?;
    let mut command = command(program);
    command.args([
        "-v",
        "info",
        "--disable-dht",
        "--disable-lsd",
        "--disable-upnp-port-forward",
        "--ipv4-only",
    ]);
    // Unless told otherwise it listens here and announces its default port.
    let port = peer.port().to_string();
    command.arg("--listen-ip").arg(address.to_string()).args([
        "--listen-port",
        &port,
        "--announce-port",
        &port,
    ]);
    command.arg("--http-api-listen-addr").arg(rpc.to_string());
    if let Some(limit) = order.upload_limit {
        command.arg("--ratelimit-upload").arg(limit.to_string());
    }
    command.args(["server", "start", "--disable-persistence"]).arg(order.home.join("unused"));
    let process = Running::start(&mut command, &log(order)).map_err(|error| error.to_string())?;
    let mut rqbit = Rqbit { process, peer, http: Http::new(format!("http://{rpc}")) };
    wait_for(Duration::from_secs(10), "rqbit's HTTP interface", || match rqbit.process.exited() {
        Some(status) => Err(format!("it ended with {status}: {}", rqbit.last_words())),
        None => rqbit.http.get("/torrents"),
    })?;
    let mut additions = Vec::new();
    for torrent in order.torrents {
        // The folder takes the place of the torrent's name, if it has many files.
        let name = if torrent.fixture.is_folder() { torrent.fixture.name } else { "" };
        let folder = order.content.join(name);
        let mut path = format!(
            "/torrents?overwrite=true&output_folder={}",
            urlencoding::encode(&folder.to_string_lossy())
        );
        // It does not read them from a magnet's `x.pe`.
        if !torrent.peers.is_empty() {
            let peers: Vec<String> = torrent.peers.iter().map(SocketAddrV4::to_string).collect();
            path += &format!("&initial_peers={}", peers.join(","));
        }
        let source = order.source(torrent);
        // The answer to a magnet comes when its info dictionary has.
        let body = if order.how.is_magnet() {
            source.into_bytes()
        } else {
            fs::read(source).map_err(|error| error.to_string())?
        };
        additions.push((path, body));
    }
    thread::scope(|scope| {
        let added: Vec<_> = additions
            .iter()
            .map(|(path, body)| {
                scope.spawn(|| rqbit.http.post(path, ("Accept", "application/json"), body))
            })
            .collect();
        added
            .into_iter()
            .try_for_each(|added| added.join().expect("no panic in a post").map(|_| ()))
    })?;
    Ok(Box::new(rqbit))
}

impl Driver for Rqbit {
    fn peer(&self) -> SocketAddrV4 {
        self.peer
    }

    fn torrents(&mut self) -> Result<Vec<Status>, String> {
        let list = self.http.get("/torrents")?;
        let torrents = list["torrents"].as_array().into_iter().flatten();
        torrents
            .map(|torrent| {
                let stats = self.http.get(&format!("/torrents/{}/stats/v1", torrent["id"]))?;
                Ok(Status {
                    info_hash: torrent["info_hash"].as_str().unwrap_or_default().to_owned(),
                    checking: stats["state"] == "initializing",
                    have: stats["progress_bytes"].as_u64().unwrap_or_default(),
                    done: stats["finished"] == true,
                    uploaded: stats["uploaded_bytes"].as_u64().unwrap_or_default(),
                })
            })
            .collect()
    }

    fn last_words(&self) -> String {
        self.process.last_words()
    }
}
