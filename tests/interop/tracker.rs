//! The tracker of one test: opentracker, which serves exactly its torrents, or
//! ours.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::path::Path;
use std::time::Duration;

use crate::fixtures::Torrent;
use crate::process::{Running, command, wait_for};
use crate::programs::Program;

/// A tracker on loopback; it ends with the value.
pub struct Tracker {
    address: SocketAddrV4,
    process: Running,
}

impl Tracker {
    /// opentracker, or ours.
    pub fn start(
        tracker: Program,
        path: &Path,
        address: SocketAddrV4,
        torrents: &[Torrent],
        folder: &Path,
    ) -> Result<Self, String> {
        let mut command = command(path);
        if tracker == Program::Opentracker {
            let root = folder.join("tracker");
            write_list(torrents, &root)?;
            let port = address.port().to_string();
            command
                .args(["-i", "127.0.0.1", "-p", &port, "-P", &port, "-w", "served", "-d"])
                .arg(&root);
        } else {
            command.args(["tracker", "--listen", &address.to_string()]);
        }
        let process = Running::start(&mut command, &folder.join("tracker.log"))
            .map_err(|error| error.to_string())?;
        let mut tracker = Self { address, process };
        if let Some(torrent) = torrents.first() {
            wait_for(Duration::from_secs(5), "the tracker to answer", || {
                match tracker.process.exited() {
                    Some(status) => {
                        Err(format!("it ended with {status}: {}", tracker.process.last_words()))
                    }
                    None => tracker.announced_by(&torrent.info_hash).map(|_| ()),
                }
            })?;
        }
        Ok(tracker)
    }

    /// How many peers have announced the torrent, finished or not. A scrape,
    /// since an announce of ours would add us to the list.
    pub fn announced_by(&self, info_hash: &str) -> Result<u64, String> {
        let escaped: String = info_hash
            .as_bytes()
            .chunks(2)
            .map(|pair| format!("%{}", String::from_utf8_lossy(pair)))
            .collect();
        let mut stream = TcpStream::connect_timeout(&self.address.into(), Duration::from_secs(2))
            .map_err(|error| error.to_string())?;
        stream.set_read_timeout(Some(Duration::from_secs(2))).map_err(|error| error.to_string())?;
        let request = format!("GET /scrape?info_hash={escaped} HTTP/1.0\r\n\r\n");
        stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).map_err(|error| error.to_string())?;
        if !answer.windows(7).any(|window| window == b"5:files") {
            return Err(format!("an odd scrape: {}", String::from_utf8_lossy(&answer)));
        }
        Ok(number_after(&answer, b"8:completei") + number_after(&answer, b"10:incompletei"))
    }
}

/// Debian's build refuses every torrent that is not on its list.
fn write_list(torrents: &[Torrent], root: &Path) -> Result<(), String> {
    let hashes = torrents
        .iter()
        .flat_map(|torrent| [Some(&torrent.info_hash), torrent.info_hash_v2.as_ref()]);
    let list: String = hashes.flatten().map(|hash| format!("{hash}\n")).collect();
    // It gives up root for `nobody` and goes into the folder by chroot, so the
    // list must be readable there by everybody.
    fs::create_dir_all(root).map_err(|error| error.to_string())?;
    fs::write(root.join("served"), list).map_err(|error| error.to_string())
}

/// Where the tracker of a test listens.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// The integer that follows a bencoded key; 0 if the key is not there.
fn number_after(answer: &[u8], key: &[u8]) -> u64 {
    let Some(place) = answer.windows(key.len()).position(|window| window == key) else { return 0 };
    let digits = answer[place + key.len()..].iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}
