//! The clients that seed and download, ours among them, behind one face.

mod aria2;
mod by_lines;
mod ours;
mod rqbit;
mod transmission;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::download::How;
use crate::fixtures::{Kind, Torrent};
use crate::process::{retry, wait_for};
use crate::programs::Program;

/// What a client is asked to serve, or to download.
pub struct Order<'a> {
    /// The torrents' files lie here, each under its torrent's name.
    pub content: &'a Path,
    pub torrents: &'a [Torrent],
    /// What it is told of each torrent.
    pub how: How,
    /// Bytes a second, so that a download lasts as long as the test needs.
    pub upload_limit: Option<u64>,
    /// Instead of the client's usual one.
    pub address: Option<Ipv4Addr>,
    /// A folder of the client's own, for its settings and its log.
    pub home: &'a Path,
}

impl Order<'_> {
    /// The path of the .torrent file, or the magnet link.
    fn source(&self, torrent: &Torrent) -> String {
        match self.how {
            How::TorrentAndTracker => torrent.announced.display().to_string(),
            How::TorrentAndPeers => torrent.trackerless.display().to_string(),
            How::MagnetAndTracker => torrent.magnet(),
            How::MagnetAndPeers => torrent.magnet_with_peers(),
        }
    }
}

/// One torrent, as the client sees it.
pub struct Status {
    pub info_hash: String,
    /// Still reading the files, or about to.
    checking: bool,
    /// Verified bytes, padding perhaps included.
    have: u64,
    pub done: bool,
    /// Payload sent since the start.
    uploaded: u64,
}

/// What sets the clients apart; each ends with its value.
trait Driver: Send {
    fn peer(&self) -> SocketAddrV4;
    /// Every torrent that it accepted.
    fn torrents(&mut self) -> Result<Vec<Status>, String>;
    fn last_words(&self) -> String;
    /// Ends it well, where that is tested; returns what it has uploaded.
    fn end(&mut self) -> Result<u64, String> {
        Ok(self.torrents()?.iter().map(|status| status.uploaded).sum())
    }
}

/// The four that can seed, in the order of the table.
pub const EVERY_SEEDER: [Program; 4] =
    [Program::Transmission, Program::Aria2, Program::Libtorrent, Program::Rqbit];

/// How long a client may take to be ready; for a GiB that is mostly hashing.
const PATIENCE: Duration = Duration::from_secs(45);

/// The clients that download from ours.
pub const EVERY_LEECHER: [Program; 5] = [
    Program::Transmission,
    Program::Aria2,
    Program::Libtorrent,
    Program::Rqbit,
    Program::Webtorrent,
];

/// Each client has an address of its own: most of them keep one connection per
/// address. rqbit and WebTorrent cannot choose what address their announces come
/// from, so they share 127.0.0.1 with the tracker and with the client under test.
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

/// A client that runs.
pub struct Client {
    pub program: Program,
    driver: Box<dyn Driver>,
}

impl Client {
    /// Starts a client and has it add every torrent of the order.
    pub fn start(program: Program, path: &Path, order: &Order) -> Result<Self, String> {
        let address = order.address.unwrap_or_else(|| address(program));
        let driver = retry(|| match program {
            Program::Transmission => transmission::start(path, address, order),
            Program::Aria2 => aria2::start(path, address, order),
            Program::Libtorrent => by_lines::libtorrent(path, address, order),
            Program::Rqbit => rqbit::start(path, address, order),
            Program::Webtorrent => by_lines::webtorrent(path, address, order),
            Program::Piecemeal => ours::start(address, order),
            _ => Err("it is no client".into()),
        });
        Ok(Self { program, driver: driver? })
    }

    /// Where it listens for peers.
    pub fn peer(&self) -> SocketAddrV4 {
        self.driver.peer()
    }

    /// Waits until the client has checked its files, and answers on the wire for
    /// every torrent that it accepted; returns those, and those that it refused.
    pub fn settle<'t>(&mut self, torrents: &'t [Torrent]) -> Result<Sorted<'t>, String> {
        let settled = self.await_readiness(torrents);
        settled.map_err(|error| {
            format!("{}: {error}\n{}", self.program.name(), self.driver.last_words())
        })
    }

    fn await_readiness<'t>(&mut self, torrents: &'t [Torrent]) -> Result<Sorted<'t>, String> {
        let accepted = wait_for(PATIENCE, "it to check its files", || {
            let seen = self.driver.torrents()?;
            match seen.iter().find(|status| status.checking) {
                Some(status) => Err(format!("{} is being checked", status.info_hash)),
                None if seen.is_empty() => Err("it has no torrents".into()),
                None => Ok(seen),
            }
        })?;
        let is_accepted = |torrent: &&Torrent| {
            accepted.iter().any(|status| status.info_hash == torrent.info_hash)
        };
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
        let torrents = self.driver.torrents()?;
        Ok(torrents
            .iter()
            .fold((0, 0), |(have, sent), status| (have + status.have, sent + status.uploaded)))
    }

    /// Every torrent that it accepted.
    pub fn torrents(&mut self) -> Result<Vec<Status>, String> {
        self.driver.torrents()
    }

    /// Ends it; returns the payload that it has sent.
    pub fn end(mut self) -> Result<u64, String> {
        self.driver.end()
    }

    /// The end of its log, for the message of a failed test.
    pub fn last_words(&self) -> String {
        self.driver.last_words()
    }
}

/// The refusals that are known, with their reason. Whatever else a client
/// refuses is a failure; whatever it serves after all is downloaded.
pub fn known_refusal(program: Program, kind: Kind) -> Option<&'static str> {
    match (program, kind) {
        // A v2 file tree ends in a dictionary under the empty key, which
        // Transmission 3.00's parser takes for a missing key. 4.0 reads it.
        (Program::Transmission, Kind::Hybrid) => {
            Some("Transmission 3 cannot parse the empty key of a file tree")
        }
        // aria2 1.36 loses the same empty key, hashes what is left, and so
        // knows the torrent under an info hash that nobody else has.
        (Program::Aria2, Kind::Hybrid) => {
            Some("aria2 drops the empty key of a file tree: another info hash")
        }
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
        let config = ureq::Agent::config_builder()
            .proxy(None)
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(10)));
        Self { agent: config.build().into(), url }
    }

    fn get(&self, path: &str) -> Result<serde_json::Value, String> {
        let answer = self.agent.get(format!("{}{path}", self.url)).call();
        let mut answer = answer.map_err(|error| error.to_string())?;
        let body = answer.body_mut().read_to_vec().map_err(|error| error.to_string())?;
        serde_json::from_slice(&body).map_err(|_| String::from_utf8_lossy(&body).into_owned())
    }

    fn post(
        &self,
        path: &str,
        header: (&str, &str),
        body: &[u8],
    ) -> Result<(String, serde_json::Value), String> {
        let request = self.agent.post(format!("{}{path}", self.url)).header(header.0, header.1);
        let mut answer = request.send(body).map_err(|error| error.to_string())?;
        // Transmission hands out its token with the refusal of the first call.
        let token =
            answer.headers().get("X-Transmission-Session-Id").and_then(|token| token.to_str().ok());
        let token = token.unwrap_or_default().to_owned();
        let body = answer.body_mut().read_to_vec().map_err(|error| error.to_string())?;
        Ok((token, serde_json::from_slice(&body).unwrap_or_default()))
    }
}

/// The log of a client, in its own folder.
fn log(order: &Order) -> PathBuf {
    order.home.join("log")
}
