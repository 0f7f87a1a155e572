//! The DHT: each client finds us by it, and we find each, by a magnet link that names nobody.
//!
//! A room of its own for each, a network namespace with a dozen nodes of libtorrent. Nothing leaves it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::download::program;
use crate::network::Network;
use crate::process::{Running, wait_for};
use crate::programs::Program;
use crate::report::{Outcome, Report};

/// Transmission announces only once it knows more than eight nodes, four of which have answered;
/// that takes it 12 seconds, and the announce another 17.
const PATIENCE: Duration = Duration::from_secs(55);
const LENGTH: usize = 300_000;
/// For the same reason, three nodes are not enough.
const NODES: usize = 12;

/// A session that does nothing but what it is told: its address, the way in, the folder, and a
/// torrent or a magnet link.
const LIBTORRENT: &str = "import libtorrent as lt, sys, time
own, way_in, folder, what = sys.argv[1:]
host = own.rsplit(':', 1)[0].strip('[]')
off = {name: False for name in ['enable_lsd', 'enable_upnp', 'enable_natpmp', 'dht_restrict_routing_ips',
    'dht_restrict_search_ips', 'dht_ignore_dark_internet', 'dht_enforce_node_id']}
session = lt.session({**off, 'enable_dht': True, 'dht_bootstrap_nodes': way_in,
    'listen_interfaces': own, 'outgoing_interfaces': host, 'dht_block_ratelimit': 1000})
if what.startswith('magnet:'):
    wanted = lt.parse_magnet_uri(what)
else:
    wanted = lt.add_torrent_params()
    wanted.ti = lt.torrent_info(what)
wanted.save_path = folder
session.add_torrent(wanted)
time.sleep(120)";

/// One test of the table.
#[derive(Clone, Copy)]
struct Case {
    client: Program,
    family: Family,
    they_seed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl Family {
    fn number(self) -> &'static str {
        if self == Family::V4 { "4" } else { "6" }
    }

    /// An address of the room.
    fn at(self, number: usize, port: u16) -> String {
        match self {
            Family::V4 => format!("10.9.0.{number}:{port}"),
            Family::V6 => format!("[fd00::{number:x}]:{port}"),
        }
    }
}

/// Where Transmission takes orders.
const RPC_PORT: u16 = 9091;
/// Ours is at 1, the nodes are from 11 on, and theirs is here.
const THEIRS: usize = 101;

/// What each does in a DHT. rqbit finds us and is not found: it looks for peers only of what it
/// still lacks, and announces only where it looks.
const CASES: [Case; 13] = [
    Case { client: Program::Libtorrent, family: Family::V4, they_seed: true },
    Case { client: Program::Libtorrent, family: Family::V4, they_seed: false },
    Case { client: Program::Libtorrent, family: Family::V6, they_seed: true },
    Case { client: Program::Libtorrent, family: Family::V6, they_seed: false },
    Case { client: Program::Aria2, family: Family::V4, they_seed: true },
    Case { client: Program::Aria2, family: Family::V4, they_seed: false },
    Case { client: Program::Aria2, family: Family::V6, they_seed: true },
    Case { client: Program::Aria2, family: Family::V6, they_seed: false },
    Case { client: Program::Transmission, family: Family::V4, they_seed: true },
    Case { client: Program::Transmission, family: Family::V4, they_seed: false },
    Case { client: Program::Transmission, family: Family::V6, they_seed: true },
    Case { client: Program::Transmission, family: Family::V6, they_seed: false },
    Case { client: Program::Rqbit, family: Family::V4, they_seed: false },
];

#[test]
fn clients_in_one_dht_find_each_other_by_a_bare_info_hash() {
    let report = Report::new("clients_in_one_dht_find_each_other_by_a_bare_info_hash");
    let Some(python) = Program::Libtorrent.find() else { return };
    // Side by side: they mostly wait.
    thread::scope(|scope| {
        for case in CASES {
            let Some(path) = case.client.find() else { continue };
            let (report, python) = (&report, &python);
            scope.spawn(move || {
                let Some(room) = room() else { return };
                let how = match (case.they_seed, case.family) {
                    (true, Family::V4) => "we find them",
                    (false, Family::V4) => "they find us",
                    (true, Family::V6) => "we find them, v6",
                    (false, Family::V6) => "they find us, v6",
                };
                let outcome = share(&room, case, &path, python);
                report.add(case.client.name(), "room.bin", how, LENGTH as u64, outcome);
            });
        }
    });
    report.finish();
}

/// A room in which everybody has addresses that are not loopback: Transmission has no node at those.
/// It has one of IPv6 only if a route leads to the internet. The route here leads nowhere.
fn room() -> Option<Network> {
    let room = Network::new()?;
    let numbers = (1..11 + NODES).chain([THEIRS]);
    let add = |number| {
        format!(
            "ip addr add 10.9.0.{number}/16 dev lo; ip addr add fd00::{number:x}/64 dev lo nodad;"
        )
    };
    let global = "ip addr add 2001:db8::1/128 dev lo nodad;
        ip -6 route add default dev lo src 2001:db8::1";
    let script: String = numbers.map(add).chain([global.to_owned()]).collect();
    let status = room.command("sh").arg("-c").arg(script).status();
    assert!(status.is_ok_and(|status| status.success()), "the room takes addresses");
    Some(room)
}

/// A folder with the content, and a torrent of it that names nobody.
struct Content {
    folder: TempDir,
    bytes: Vec<u8>,
    info_hash: String,
}

impl Content {
    fn new() -> Result<Content, String> {
        let folder = TempDir::with_prefix("piecemeal-dht-").map_err(said)?;
        let bytes: Vec<u8> = (0..LENGTH).map(|at| (at / 7 % 251) as u8).collect();
        for name in ["given", "taken", "config"] {
            fs::create_dir(folder.path().join(name)).map_err(said)?;
        }
        let mut content = Content { folder, bytes, info_hash: String::new() };
        fs::write(content.given(), &content.bytes).map_err(said)?;
        let torrent = content.torrent();
        let made = Command::new(program())
            .arg("create")
            .arg("-o")
            .arg(&torrent)
            .arg(content.given())
            .output();
        made.map_err(said)?;
        let info = Command::new(program()).arg("info").arg(&torrent).output().map_err(said)?;
        let info = String::from_utf8_lossy(&info.stdout).into_owned();
        let hash = info.lines().find_map(|line| line.strip_prefix("Info Hash: "));
        hash.ok_or("no info hash")?.clone_into(&mut content.info_hash);
        Ok(content)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn given(&self) -> PathBuf {
        self.path("given/room.bin")
    }

    fn taken(&self) -> PathBuf {
        self.path("taken/room.bin")
    }

    fn torrent(&self) -> PathBuf {
        self.path("room.torrent")
    }

    fn magnet(&self) -> String {
        format!("magnet:?xt=urn:btih:{}&dn=room.bin", self.info_hash)
    }
}

fn said(error: std::io::Error) -> String {
    error.to_string()
}

/// One side has the content and announces it, the other gets it.
fn share(room: &Network, case: Case, path: &Path, python: &Path) -> Outcome {
    let content = Content::new()?;
    let nodes = Nodes::start(room, case.family, python, &content.info_hash)?;
    nodes.wait_for("ready")?;
    let theirs = theirs(room, case, path, &content)?;
    let ours = ours(room, case, &content);
    let (mut first, mut second) = if case.they_seed { (theirs, ours) } else { (ours, theirs) };
    let begun = Instant::now();
    let first = Running::start(&mut first, &content.path("first.log")).map_err(said)?;
    // A lookup that finds nobody is not tried again for a while.
    nodes.wait_for("announced").map_err(|why| format!("{why}\n{}", first.last_words()))?;
    let announced = begun.elapsed();
    let begun = Instant::now();
    let second = Running::start(&mut second, &content.path("second.log")).map_err(said)?;
    if case.client == Program::Transmission && !case.they_seed {
        add_magnet(room, &content)?;
    }
    wait_for(PATIENCE, "the whole file", || match fs::read(content.taken()) {
        Ok(there) if there == content.bytes => Ok(()),
        Ok(there) => Err(format!("{} bytes are there, not all of them right", there.len())),
        Err(error) => Err(error.to_string()),
    })
    .map_err(|why| {
        format!("{why}\nseed: {}\nother: {}", first.last_words(), second.last_words())
    })?;
    let note = format!("the same bytes; announced after {:.1} s", announced.as_secs_f64());
    Ok((begun.elapsed(), note))
}

/// Our command.
fn ours(room: &Network, case: Case, content: &Content) -> Command {
    let mut command = room.command(program());
    if case.they_seed {
        command.args(["magnet_download", "-o"]).arg(content.taken()).arg(content.magnet());
    } else {
        command.arg("seed").arg(content.torrent()).arg(content.given());
    }
    // The nodes have the usual port at their addresses, so it is not free at all of ours.
    let own = case.family.at(1, 7000);
    let (ip, port) = own.rsplit_once(':').expect("an address has a port");
    command.args(["--bind", ip.trim_matches(['[', ']']), "--port", port]);
    command.args(["--no-lsd", "--dht-bootstrap", &case.family.at(11, 6881)]);
    command
}

/// The command that starts a client with nothing but the DHT to find peers.
fn theirs(room: &Network, case: Case, path: &Path, content: &Content) -> Result<Command, String> {
    let mut command = room.command(path);
    let folder = content.path(if case.they_seed { "given" } else { "taken" });
    let what =
        if case.they_seed { content.torrent().display().to_string() } else { content.magnet() };
    let way_in = case.family.at(11, 6881);
    match case.client {
        Program::Libtorrent => {
            let own = case.family.at(THEIRS, 6881);
            command.args(["-c", LIBTORRENT, &own, &way_in]).arg(folder).arg(what);
        }
        Program::Transmission => {
            transmission(&mut command, case.family, &content.path("config"), &folder, &what)?
        }
        Program::Rqbit => {
            command.env("HOME", content.path("config"));
            command.args(["--disable-dht-persistence", "--disable-lsd", "--listen-ip", "0.0.0.0"]);
            command.args(["--disable-upnp-port-forward", "--listen-port", "4240"]);
            command
                .args(["--dht-bootstrap-addrs", &way_in, "download", "-o"])
                .arg(folder)
                .arg(what);
        }
        _ => {
            aria2(&mut command, case.family, &way_in, &content.path("config/dht"));
            command.args(["--check-integrity=true", "--allow-overwrite=true"]);
            command.arg("--dir").arg(folder).arg(what);
        }
    }
    Ok(command)
}

/// aria2, with a node of one family.
fn aria2(command: &mut Command, family: Family, way_in: &str, table: &Path) {
    command.args(["--no-conf=true", "--enable-peer-exchange=false", "--bt-enable-lpd=false"]);
    command.args(["--seed-ratio=0", "--listen-port=6882", "--dht-listen-port=6882"]);
    let table = table.display();
    match family {
        Family::V4 => {
            command.args(["--disable-ipv6=true", "--enable-dht=true", "--interface=10.9.0.101"]);
            command.arg(format!("--dht-entry-point={way_in}"));
            command.arg(format!("--dht-file-path={table}"));
        }
        Family::V6 => {
            command.args(["--enable-dht=false", "--enable-dht6=true", "--interface=fd00::65"]);
            command.arg("--dht-listen-addr6=fd00::65");
            command.arg(format!("--dht-entry-point6={way_in}"));
            command.arg(format!("--dht-file-path6={table}"));
        }
    }
}

/// Transmission, with the nodes in the file that it saves its table to: 15 seconds go by between two
/// of a `dht.bootstrap`.
fn transmission(
    command: &mut Command,
    family: Family,
    config: &Path,
    folder: &Path,
    what: &str,
) -> Result<(), String> {
    let watched = config.join("watched");
    fs::create_dir(&watched).map_err(said)?;
    // It renames what it has added, so it gets a copy. A link is added once it runs.
    if !what.starts_with("magnet:") {
        fs::copy(what, watched.join("room.torrent")).map_err(said)?;
    }
    let settings = json!({
        "bind-address-ipv4": "10.9.0.101", "bind-address-ipv6": "fd00::65",
        "dht-enabled": true, "lpd-enabled": false, "pex-enabled": false,
        "utp-enabled": false, "port-forwarding-enabled": false,
        "peer-port": 51413, "peer-port-random-on-start": false,
        "rpc-enabled": true, "rpc-bind-address": "10.9.0.101", "rpc-port": RPC_PORT,
        "rpc-whitelist-enabled": false, "rpc-host-whitelist-enabled": false, "download-dir": folder,
        "watch-dir": watched, "watch-dir-enabled": true,
        "incomplete-dir-enabled": false, "rename-partial-files": false,
    });
    fs::write(config.join("settings.json"), settings.to_string()).map_err(said)?;
    let mut table = b"d2:id20:a transmission node!".to_vec();
    table.extend(match family {
        Family::V4 => b"5:nodes72:".iter(),
        Family::V6 => b"6:nodes6216:".iter(),
    });
    for number in 11..11 + NODES as u8 {
        match family {
            Family::V4 => table.extend([10, 9, 0, number]),
            Family::V6 => {
                table.extend(Ipv6Addr::from([0xfd00, 0, 0, 0, 0, 0, 0, number.into()]).octets())
            }
        }
        table.extend([0x1a, 0xe1]);
    }
    table.push(b'e');
    fs::write(config.join("dht.dat"), table).map_err(said)?;
    command.args(["--foreground", "--log-debug", "--config-dir"]).arg(config);
    Ok(())
}

/// Gives Transmission a link, once it listens.
fn add_magnet(room: &Network, content: &Content) -> Result<(), String> {
    wait_for(PATIENCE, "Transmission's RPC", || {
        let mut remote = room.command("transmission-remote");
        remote.arg(format!("10.9.0.101:{RPC_PORT}")).args(["--add", &content.magnet()]);
        let added = remote.output().map_err(said)?;
        let told = String::from_utf8_lossy(&added.stdout).into_owned();
        if told.contains("success") { Ok(()) } else { Err(told) }
    })
}

/// The dozen.
struct Nodes {
    child: Child,
    lines: Receiver<String>,
}

impl Nodes {
    fn start(
        room: &Network,
        family: Family,
        python: &Path,
        info_hash: &str,
    ) -> Result<Nodes, String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/dht_nodes.py");
        let mut command = room.command(python);
        command.args(["-W", "ignore"]).arg(script).arg(family.number()).arg(NODES.to_string());
        command.arg(info_hash).stdout(Stdio::piped()).stdin(Stdio::null());
        let mut child = command.spawn().map_err(said)?;
        let out = child.stdout.take().ok_or("stdout is a pipe")?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            BufReader::new(out).lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
        });
        Ok(Nodes { child, lines })
    }

    /// Waits until they say so.
    fn wait_for(&self, word: &str) -> Result<(), String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) if line == word => Ok(()),
            Ok(line) => Err(format!("the nodes say {line}, not {word}")),
            Err(_) => Err(format!("the nodes did not say {word:?} in {} s", PATIENCE.as_secs())),
        }
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
