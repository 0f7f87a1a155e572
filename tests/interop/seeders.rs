//! The real clients that seed, behind one face.

mod aria2;
mod libtorrent;
mod rqbit;
mod transmission;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::fixtures::{Kind, Torrent};
use crate::process::{retry, wait_for};
use crate::programs::Program;

/// What a seeder is asked to serve.
pub struct Order<'a> {
    /// The torrents' files lie here, each under its torrent's name.
    pub content: &'a Path,
    pub torrents: &'a [Torrent],
    /// With the tracker, or for `--peer` alone.
    pub announced: bool,
    /// Bytes a second, so that a download lasts as long as the test needs.
    pub upload_limit: Option<u64>,
    /// A folder of the seeder's own, for its settings and its log.
    pub home: &'a Path,
}

impl Order<'_> {
    /// The .torrent file to give to the seeder.
    fn file<'t>(&self, torrent: &'t Torrent) -> &'t Path {
        if self.announced { &torrent.announced } else { &torrent.trackerless }
    }
}

/// One torrent, as the seeder sees it.
struct Status {
    info_hash: String,
    /// Still reading the files, or about to.
    checking: bool,
    /// Verified bytes, padding perhaps included.
    have: u64,
    /// Payload sent since the start.
    uploaded: u64,
}

/// What sets the clients apart; each ends with its value.
trait Seeder {
    fn peer(&self) -> SocketAddrV4;
    /// Every torrent that it accepted.
    fn torrents(&mut self) -> Result<Vec<Status>, String>;
    fn last_words(&self) -> String;
}

/// The four clients, in the order of the table.
pub const EVERY_SEEDER: [Program; 4] = [Program::Transmission, Program::Aria2, Program::Libtorrent, Program::Rqbit];

/// How long a client may take to be ready; for a GiB that is mostly hashing.
const PATIENCE: Duration = Duration::from_secs(45);

/// Each client has an address of its own: most of them keep one connection per
/// address. rqbit cannot choose what address its announces come from, so it
/// shares 127.0.0.1 with the tracker and with the client under test.
fn address(program: Program) -> Ipv4Addr {
    match program {
        Program::Transmission => Ipv4Addr::new(127, 0, 0, 2),
        Program::Aria2 => Ipv4Addr::new(127, 0, 0, 3),
        Program::Libtorrent => Ipv4Addr::new(127, 0, 0, 4),
        _ => Ipv4Addr::LOCALHOST,
    }
}

/// The torrents that a client serves, and the others.
type Sorted<'t> = (Vec<&'t Torrent>, Vec<&'t Torrent>);

/// A client that seeds.
pub struct Seeding {
    pub program: Program,
    client: Box<dyn Seeder>,
}

impl Seeding {
    /// Starts a client and has it add every torrent of the order.
    pub fn start(program: Program, path: &Path, order: &Order) -> Result<Self, String> {
        let address = address(program);
        let client = retry(|| match program {
            Program::Transmission => transmission::start(path, address, order),
            Program::Aria2 => aria2::start(path, address, order),
            Program::Libtorrent => libtorrent::start(path, address, order),
            Program::Rqbit => rqbit::start(path, address, order),
            _ => Err("it does not seed".into()),
        });
        Ok(Self { program, client: client? })
    }

    /// Where it listens for peers.
    pub fn peer(&self) -> SocketAddrV4 {
        self.client.peer()
    }

    /// Waits until the client has checked its files, and answers on the wire for
    /// every torrent that it accepted; returns those, and those that it refused.
    pub fn settle<'t>(&mut self, torrents: &'t [Torrent]) -> Result<Sorted<'t>, String> {
        let settled = self.await_readiness(torrents);
        settled.map_err(|error| format!("{}: {error}\n{}", self.program.name(), self.client.last_words()))
    }

    fn await_readiness<'t>(&mut self, torrents: &'t [Torrent]) -> Result<Sorted<'t>, String> {
        let accepted = wait_for(PATIENCE, "it to check its files", || {
            let seen = self.client.torrents()?;
            match seen.iter().find(|status| status.checking) {
                Some(status) => Err(format!("{} is being checked", status.info_hash)),
                None if seen.is_empty() => Err("it has no torrents".into()),
                None => Ok(seen),
            }
        })?;
        let is_accepted = |torrent: &&Torrent| accepted.iter().any(|status| status.info_hash == torrent.info_hash);
        let (served, refused): Sorted<'t> = torrents.iter().partition(is_accepted);
        for torrent in &served {
            wait_for(PATIENCE, "its handshake", || shake_hands(self.peer(), &torrent.info_hash))?;
            thread::sleep(self.between_dials());
        }
        Ok((served, refused))
    }

    /// How long to leave the client alone before the next connection to it.
    ///
    /// Transmission takes up to half a second to answer a handshake, and in that
    /// time hangs up on every other connection from the same address. A client
    /// must live with that, but by trying again later, which takes longer.
    pub fn between_dials(&self) -> Duration {
        Duration::from_millis(if self.program == Program::Transmission { 1200 } else { 100 })
    }

    /// Bytes verified, and bytes of payload sent, over all its torrents.
    pub fn totals(&mut self) -> Result<(u64, u64), String> {
        let torrents = self.client.torrents()?;
        Ok(torrents.iter().fold((0, 0), |(have, sent), status| (have + status.have, sent + status.uploaded)))
    }

    /// The end of its log, for the message of a failed test.
    pub fn last_words(&self) -> String {
        self.client.last_words()
    }
}

/// The refusals that are known, with their reason. Whatever else a client
/// refuses is a failure; whatever it serves after all is downloaded.
pub fn known_refusal(program: Program, kind: Kind) -> Option<&'static str> {
    match (program, kind) {
        // A v2 file tree ends in a dictionary under the empty key, which
        // Transmission 3.00's parser takes for a missing key. 4.0 reads it.
        (Program::Transmission, Kind::Hybrid) => Some("Transmission 3 cannot parse the empty key of a file tree"),
        // aria2 1.36 loses the same empty key, hashes what is left, and so
        // knows the torrent under an info hash that nobody else has.
        (Program::Aria2, Kind::Hybrid) => Some("aria2 drops the empty key of a file tree: another info hash"),
        // All four serve a piece length that is no power of two.
        _ => None,
    }
}

/// Says hello and reads the answer, which only a peer that serves the torrent
/// sends. It is what tells a listening port from one that is ready.
fn shake_hands(peer: SocketAddrV4, info_hash: &str) -> Result<(), String> {
    let mut hello = b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0".to_vec();
    for pair in info_hash.as_bytes().chunks(2) {
        let digits = String::from_utf8_lossy(pair);
        hello.push(u8::from_str_radix(&digits, 16).map_err(|error| error.to_string())?);
    }
    let wanted = hello[28..48].to_vec();
    hello.extend(b"-IT0000-is it ready?");
    let talk = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&peer.into(), Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(&hello)?;
        let mut answer = vec![0; 68];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    };
    match talk() {
        Ok(answer) if answer[28..48] == wanted => Ok(()),
        Ok(_) => Err(format!("{peer} serves another torrent")),
        Err(error) => Err(format!("{peer}: {error}")),
    }
}

/// A JSON question over HTTP, as three of the clients want to be asked.
struct Http {
    agent: ureq::Agent,
    url: String,
}

impl Http {
    fn new(url: String) -> Self {
        let config =
            ureq::Agent::config_builder().proxy(None).http_status_as_error(false).timeout_global(Some(Duration::from_secs(10)));
        Self { agent: config.build().into(), url }
    }

    fn get(&self, path: &str) -> Result<serde_json::Value, String> {
        let answer = self.agent.get(format!("{}{path}", self.url)).call();
        let mut answer = answer.map_err(|error| error.to_string())?;
        let body = answer.body_mut().read_to_vec().map_err(|error| error.to_string())?;
        serde_json::from_slice(&body).map_err(|_| String::from_utf8_lossy(&body).into_owned())
    }

    fn post(&self, path: &str, header: (&str, &str), body: &[u8]) -> Result<(String, serde_json::Value), String> {
        let request = self.agent.post(format!("{}{path}", self.url)).header(header.0, header.1);
        let mut answer = request.send(body).map_err(|error| error.to_string())?;
        // Transmission hands out its token with the refusal of the first call.
        let token = answer.headers().get("X-Transmission-Session-Id").and_then(|token| token.to_str().ok());
        let token = token.unwrap_or_default().to_owned();
        let body = answer.body_mut().read_to_vec().map_err(|error| error.to_string())?;
        Ok((token, serde_json::from_slice(&body).unwrap_or_default()))
    }
}

/// The log of a seeder, in its own folder.
fn log(order: &Order) -> PathBuf {
    order.home.join("log")
}
