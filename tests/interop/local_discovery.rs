//! Local discovery: each client finds us, and we find each, in one room and with no tracker.
//!
//! The room is a network namespace, so nothing is heard outside of the test.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::download::program;
use crate::network::Network;
use crate::process::{Running, wait_for};
use crate::programs::Program;
use crate::report::{Outcome, Report};

/// The clients that speak it.
const CLIENTS: [Program; 3] = [Program::Libtorrent, Program::Transmission, Program::Aria2];
/// Transmission looks round every ten seconds.
const PATIENCE: Duration = Duration::from_secs(60);
const LENGTH: usize = 300_000;

/// A session that does nothing but what it is told: the torrent, and the folder.
const LIBTORRENT: &str = "import libtorrent as lt, sys, time
off = {'enable_dht': False, 'enable_upnp': False, 'enable_natpmp': False}
session = lt.session({**off, 'enable_lsd': True, 'listen_interfaces': '127.0.0.1:6891'})
session.add_torrent({'ti': lt.torrent_info(sys.argv[1]), 'save_path': sys.argv[2]})
time.sleep(120)";

#[test]
fn clients_in_one_room_find_each_other_without_a_tracker() {
    let report = Report::new("clients_in_one_room_find_each_other_without_a_tracker");
    for client in CLIENTS {
        let Some(path) = client.find() else { continue };
        for (how, they_seed) in [("we find them", true), ("they find us", false)] {
            let Some(room) = Network::new() else { return };
            let outcome = share(&room, client, &path, they_seed);
            report.add(client.name(), "room.bin", how, LENGTH as u64, outcome);
        }
    }
    report.finish();
}

/// One side has the content, the other gets it.
fn share(room: &Network, client: Program, path: &Path, they_seed: bool) -> Outcome {
    let folder = TempDir::with_prefix("piecemeal-room-").map_err(|error| error.to_string())?;
    let in_folder = |name: &str| folder.path().join(name);
    let content: Vec<u8> = (0..LENGTH).map(|at| (at / 7 % 251) as u8).collect();
    for name in ["given", "taken", "config"] {
        fs::create_dir(in_folder(name)).map_err(|error| error.to_string())?;
    }
    let (given, taken) = (in_folder("given/room.bin"), in_folder("taken/room.bin"));
    fs::write(&given, &content).map_err(|error| error.to_string())?;
    let torrent = in_folder("room.torrent");
    let made = Command::new(program()).arg("create").arg("-o").arg(&torrent).arg(&given).output();
    made.map_err(|error| error.to_string())?;
    let mut ours = room.command(program());
    if they_seed {
        ours.args(["download", "-o"]).arg(&taken).arg(&torrent);
    } else {
        ours.args(["seed"]).arg(&torrent).arg(&given);
    }
    let theirs_in = in_folder(if they_seed { "given" } else { "taken" });
    let mut theirs = theirs(room, client, path, &torrent, &theirs_in, &in_folder("config"))?;
    // Ours is there first. A client that starts announces itself at once, and then for five minutes
    // no more.
    let start = |command: &mut Command, log| {
        Running::start(command, &in_folder(log)).map_err(|error| error.to_string())
    };
    let begun = Instant::now();
    let ours = start(&mut ours, "ours.log")?;
    let theirs = start(&mut theirs, "theirs.log")?;
    wait_for(PATIENCE, "the whole file", || match fs::read(&taken) {
        Ok(there) if there == content => Ok(()),
        Ok(there) => Err(format!("{} bytes are there, not all of them right", there.len())),
        Err(error) => Err(error.to_string()),
    })
    .map_err(|why| {
        format!("{why}\nours: {}\ntheirs: {}", ours.last_words(), theirs.last_words())
    })?;
    Ok((begun.elapsed(), "the same bytes".to_owned()))
}

/// The command that starts a client with a torrent, and nothing but local discovery to find peers.
fn theirs(
    room: &Network,
    client: Program,
    path: &Path,
    torrent: &Path,
    content: &Path,
    config: &Path,
) -> Result<Command, String> {
    let mut command = room.command(path);
    match client {
        Program::Libtorrent => {
            command.args(["-c", LIBTORRENT]).arg(torrent).arg(content);
        }
        Program::Transmission => {
            // It renames what it has added, so it gets a copy.
            let watched = config.join("watched");
            fs::create_dir(&watched)
                .and_then(|()| fs::copy(torrent, watched.join("room.torrent")))
                .map_err(|error| error.to_string())?;
            let settings = json!({
                "bind-address-ipv4": "127.0.0.1", "bind-address-ipv6": "::1",
                "dht-enabled": false, "lpd-enabled": true, "pex-enabled": false,
                "utp-enabled": false, "port-forwarding-enabled": false,
                "peer-port": 51413, "peer-port-random-on-start": false,
                "rpc-enabled": false, "download-dir": content,
                "watch-dir": watched, "watch-dir-enabled": true,
                "incomplete-dir-enabled": false, "rename-partial-files": false,
            });
            fs::write(config.join("settings.json"), settings.to_string())
                .map_err(|error| error.to_string())?;
            command.args(["--foreground", "--log-info", "--config-dir"]).arg(config);
        }
        _ => {
            command.args(["--no-conf=true", "--enable-dht=false", "--enable-dht6=false"]);
            command.args(["--enable-peer-exchange=false", "--disable-ipv6=true"]);
            command.args(["--bt-enable-lpd=true", "--bt-lpd-interface=127.0.0.1"]);
            command.args(["--interface=127.0.0.1", "--listen-port=6882", "--seed-ratio=0"]);
            command.args(["--check-integrity=true", "--allow-overwrite=true"]);
            command.arg("--dir").arg(content).arg(torrent);
        }
    }
    Ok(command)
}
