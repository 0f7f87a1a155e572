//! rqbit, told what to do over its HTTP interface.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::time::Duration;

use super::{Http, Order, Seeder, Status, log};
use crate::process::{Running, command, free_port, wait_for};

struct Rqbit {
    process: Running,
    peer: SocketAddrV4,
    http: Http,
}

pub(super) fn start(program: &Path, address: Ipv4Addr, order: &Order) -> Result<Box<dyn Seeder>, String> {
    let peer = free_port(address).map_err(|error| error.to_string())?;
    let rpc = free_port(address).map_err(|error| error.to_string())?;
    let mut command = command(program);
    command.args(["-v", "info", "--disable-dht", "--disable-lsd", "--disable-upnp-port-forward", "--ipv4-only"]);
    // Unless told otherwise it listens here and announces its default port.
    let port = peer.port().to_string();
    command.arg("--listen-ip").arg(address.to_string()).args(["--listen-port", &port, "--announce-port", &port]);
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
    for torrent in order.torrents {
        // The folder takes the place of the torrent's name, if it has many files.
        let name = if torrent.fixture.is_folder() { torrent.fixture.name } else { "" };
        let folder = order.content.join(name);
        let path = format!("/torrents?overwrite=true&output_folder={}", urlencoding::encode(&folder.to_string_lossy()));
        let metainfo = fs::read(order.file(torrent)).map_err(|error| error.to_string())?;
        rqbit.http.post(&path, ("Accept", "application/json"), &metainfo)?;
    }
    Ok(Box::new(rqbit))
}

impl Seeder for Rqbit {
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
                    uploaded: stats["uploaded_bytes"].as_u64().unwrap_or_default(),
                })
            })
            .collect()
    }

    fn last_words(&self) -> String {
        self.process.last_words()
    }
}
