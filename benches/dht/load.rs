//! The program as a node: at rest, under questions, under garbage, and started from a saved table.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s21_dht_lookup::krpc::{Packet, Query, Want};
use serde_json::Value;

use crate::Summary;
use crate::nodes::{Dice, Mix, Network};
use crate::rig::{Rig, What};
use crate::usage::{cpu_of, memory_of};

/// How long a node is watched at rest.
const AT_REST: Duration = Duration::from_secs(120);
/// How long it is asked, or thrown garbage at.
const UNDER_LOAD: Duration = Duration::from_secs(10);
/// The senders of the load.
const SENDERS: usize = 100;
/// The load is sent in bursts of a hundredth of a second.
const BURST: Duration = Duration::from_millis(10);

/// A node at rest.
#[derive(Clone, Copy, Debug)]
pub struct AtRest {
    /// MiB, with the DHT and without.
    pub with: f64,
    pub without: f64,
    /// Datagrams a second that it sent, after its first ten seconds.
    pub sent: f64,
    /// In the first ten seconds, all of them.
    pub at_start: usize,
}

/// A node under load.
#[derive(Clone, Copy, Debug)]
pub struct UnderLoad {
    /// Datagrams a second that were sent to it.
    pub sent: f64,
    /// Answers a second.
    pub answered: f64,
    /// The hundredths of a core.
    pub cpu: f64,
    /// Whether it answers afterwards.
    pub alive: bool,
    /// MiB, afterwards.
    pub resident: f64,
}

/// A process that ends with the value.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn command(name: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_piecemeal"));
    command.env("PIECEMEAL_OFFLINE", "1").arg(name).stdin(Stdio::null()).stderr(Stdio::null());
    command
}

/// A seed of a small file in the network, and another one without the DHT.
pub fn at_rest(folder: &Path) -> Summary<AtRest> {
    let rig = Rig::start(Network::new(Mix::thousand(20, 0, 4)))?;
    let (file, torrent) = (folder.join("rest.bin"), folder.join("rest.torrent"));
    std::fs::write(&file, vec![1; 100_000])?;
    command("create").arg("-o").arg(&torrent).arg(&file).stdout(Stdio::null()).status()?;
    let seed = |own: u8, more: &[&str]| -> Summary<Process> {
        let mut command = command("seed");
        command.args(["--bind", &Ipv4Addr::new(127, 201, 0, own).to_string()]).args(more);
        Ok(Process(command.arg(&torrent).arg(&file).stdout(Stdio::null()).spawn()?))
    };
    let way_in = rig.network.way_in(&mut Dice::new(5)).address.to_string();
    let (with, without) = (seed(1, &["--dht-bootstrap", &way_in])?, seed(2, &["--no-dht"])?);
    let start = Duration::from_secs(10);
    std::thread::sleep(start);
    let at_start = rig.take_seen().len();
    std::thread::sleep(AT_REST);
    Ok(AtRest {
        with: memory_of(with.0.id(), "VmRSS")?,
        without: memory_of(without.0.id(), "VmRSS")?,
        sent: rig.take_seen().len() as f64 / AT_REST.as_secs_f64(),
        at_start,
    })
}

/// A node of the network, and its address.
fn node(rig: &Rig, more: &[&str]) -> Summary<(Process, SocketAddr)> {
    let way_in = rig.network.way_in(&mut Dice::new(6)).address.to_string();
    let mut command = command("dht_node");
    command.args(["--json", "--listen", "127.201.0.3", "--port", "0"]).args(more);
    let mut child = command.args(["--dht-bootstrap", &way_in]).stdout(Stdio::piped()).spawn()?;
    let out = child.stdout.take().ok_or("stdout is a pipe")?;
    let process = Process(child);
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line)?;
    let said: Value = serde_json::from_str(&line)?;
    let address = said["address"].as_str().ok_or("the node does not say where it is")?;
    Ok((process, address.parse()?))
}

/// Sends a node so many datagrams a second, from a hundred addresses.
fn load(rig: &Rig, rate: usize, datagram: impl Fn(&mut Dice) -> Vec<u8>) -> Summary<UnderLoad> {
    let (process, address) = node(rig, &[])?;
    // Until its table has been filled.
    std::thread::sleep(Duration::from_secs(5));
    let sockets: Vec<UdpSocket> = (0..SENDERS)
        .map(|number| {
            let socket = UdpSocket::bind((Ipv4Addr::new(127, 202, 0, 1 + number as u8), 0))?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        })
        .collect::<std::io::Result<_>>()?;
    let (mut dice, mut buffer) = (Dice::new(8), [0; 2048]);
    let (begin, cpu) = (Instant::now(), cpu_of(process.0.id())?);
    let (mut sent, mut answered) = (0, 0);
    while begin.elapsed() < UNDER_LOAD {
        let due = (begin.elapsed().as_secs_f64() * rate as f64) as usize;
        for number in sent..due {
            let _ = sockets[number % SENDERS].send_to(&datagram(&mut dice), address);
        }
        sent = due;
        std::thread::sleep(BURST);
        for socket in &sockets {
            while socket.recv_from(&mut buffer).is_ok() {
                answered += 1;
            }
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    let cpu = (cpu_of(process.0.id())? - cpu) / seconds * 100.0;
    std::thread::sleep(Duration::from_millis(1_100));
    Ok(UnderLoad {
        sent: sent as f64 / seconds,
        answered: f64::from(answered) / seconds,
        cpu,
        alive: answers(address)?,
        resident: memory_of(process.0.id(), "VmRSS")?,
    })
}

/// Whether a node answers a ping within a second.
fn answers(address: SocketAddr) -> Summary<bool> {
    let socket = UdpSocket::bind((Ipv4Addr::new(127, 203, 0, 1), 0))?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    socket.send_to(&Packet::query(*b"aa", Dice::new(9).id(), Query::Ping).encode(), address)?;
    Ok(socket.recv_from(&mut [0; 2048]).is_ok())
}

/// A thousand questions a second: half for peers, the rest for nodes and pings.
pub fn asked() -> Summary<UnderLoad> {
    let rig = Rig::start(Network::new(Mix::thousand(20, 0, 4)))?;
    load(&rig, 1_000, |dice| {
        let (own, target, want) = (dice.id(), dice.id(), Want::UNSAID);
        let query = match dice.below(4) {
            0 => Query::Ping,
            1 => Query::FindNode { target, want },
            _ => {
                let (info_hash, scrape, noseed) = (InfoHash(target.0), false, false);
                Query::GetPeers { info_hash, want, scrape, noseed }
            }
        };
        Packet::query((dice.next() as u16).to_be_bytes(), own, query).encode()
    })
}

/// Five thousand datagrams a second of which none is a question.
pub fn garbage() -> Summary<UnderLoad> {
    let rig = Rig::start(Network::new(Mix::thousand(20, 0, 4)))?;
    load(&rig, 5_000, |dice| {
        let own = dice.id();
        let mut bytes: Vec<u8> = match dice.below(3) {
            // Noise.
            0 => (0..20 + dice.below(400)).map(|_| dice.next() as u8).collect(),
            // A question that is cut off, or has a byte changed.
            1 => Packet::query(*b"aa", own, Query::Ping).encode(),
            // Lists in lists.
            _ => [b"d1:al".repeat(100), b"e".repeat(300)].concat(),
        };
        let at = dice.below(bytes.len());
        if dice.below(2) == 0 {
            bytes.truncate(at);
        } else {
            bytes[at] = dice.next() as u8;
        }
        bytes
    })
}

/// Starts of a download from a saved table: seconds from the start of the program to the first answer
/// that names a peer. A fifth of the nodes have gone since the table was saved.
pub fn from_table(folder: &Path, runs: usize) -> Summary<Vec<f64>> {
    let mix = |silent| Mix::thousand(silent, 0, 10);
    let table = folder.join("dht.table");
    let rig = Rig::start(Network::new(mix(0)))?;
    let path = table.display().to_string();
    let (mut process, _) = node(&rig, &["--dht-table", &path])?;
    std::thread::sleep(Duration::from_secs(10));
    kill(Pid::from_raw(process.0.id().try_into()?), Signal::SIGINT)?;
    process.0.wait()?;
    drop(rig);
    let rig = Rig::start(Network::new(mix(20)))?;
    let mut dice = Dice::new(11);
    (0..runs)
        .map(|run| {
            let copy = folder.join(format!("dht.table.{run}"));
            std::fs::copy(&table, &copy)?;
            let torrent = InfoHash(dice.id().0);
            rig.seed(torrent);
            let mut command = command("magnet_download");
            command.arg("-o").arg(folder.join("never")).arg("--dht-table").arg(&copy);
            command.arg(format!("magnet:?xt=urn:btih:{torrent}"));
            let begin = Instant::now();
            let process = Process(command.stdout(Stdio::null()).spawn()?);
            let told = rig.wait_for(
                Duration::from_secs(10),
                |seen| matches!(seen.what, What::Told(of) if of == torrent),
            );
            drop(process);
            Ok(told.map_or(f64::NAN, |at| at.saturating_duration_since(begin).as_secs_f64()))
        })
        .collect()
}
