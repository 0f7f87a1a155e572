//! The table on disk: a node that already knows others needs nobody to introduce it.
//!
//! The hosts that a client is built with are known to everybody, so they are asked by everybody,
//! and some have vanished. Two hundred nodes of an hour ago are a better beginning: most still
//! answer, and nobody can take all of them away.
//!
//! ```text
//! d
//!   2:id20:....................       our id
//!   2:ip4:....                        our address as others saw it, if they agree; 16 bytes of IPv6
//!   5:nodes 26 n : ...                the nodes, as in a packet; of IPv6, 6:nodes6 and 38 each
//!   4:porti6881e                      where we listened
//!   5:savedi1796047200e               when, in seconds since 1970
//! e
//! ```
//! The id belongs to the place: it is used again only at the same port. Two programs on one
//! computer read the same file, and two nodes with one id would be dropped by all others.
//!
//! The file is a help and no more. Whatever is wrong with it is a note, and the node starts
//! without.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::s01_bencode::limits::{Limits, decode_within};
use crate::s01_bencode::{Value, encode};
use crate::s21_dht_lookup::krpc::reading::nodes;
use crate::s21_dht_lookup::krpc::{Contact, compact_node};
use crate::s21_dht_lookup::node_id::NodeId;

/// The most nodes that are saved.
pub const MAX_SAVED: usize = 200;
/// How often a running node writes it.
pub const SAVE_AGAIN: Duration = Duration::from_secs(5 * 60);

/// The most bytes that are read. Ours are never longer than 8 KB.
const LARGEST: u64 = 64 * 1024;
const LIMITS: Limits = Limits { depth: 4, items: 100 };
/// The age from which on a note says that the file is old. It is used all the same: some nodes stay
/// for years.
const OLD: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// What a node saves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// Our id.
    pub id: NodeId,
    /// Our address as others saw it.
    pub ip: Option<IpAddr>,
    /// The port at which we listened.
    pub port: u16,
    /// Nodes that were good, the nearest first.
    pub nodes: Vec<Contact>,
    /// When it was saved.
    pub at: SystemTime,
}

impl Saved {
    /// Returns the file's content: bencode, since we have it, and so does everybody who may want to
    /// read it.
    pub fn encode(&self) -> Vec<u8> {
        let mut pairs = vec![("id", encode::bytes(self.id.0))];
        pairs.extend(self.ip.map(|ip| {
            let bytes = match ip {
                IpAddr::V4(ip) => ip.octets().to_vec(),
                IpAddr::V6(ip) => ip.octets().to_vec(),
            };
            ("ip", encode::bytes(bytes))
        }));
        for (key, v4) in [("nodes", true), ("nodes6", false)] {
            let family = self.nodes.iter().filter(|node| node.address.is_ipv4() == v4);
            let packed: Vec<u8> =
                family.take(MAX_SAVED).flat_map(|node| compact_node(*node)).collect();
            pairs.extend((!packed.is_empty()).then(|| (key, encode::bytes(packed))));
        }
        let seconds = self.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        pairs.push(("port", encode::integer(self.port)));
        pairs.push(("saved", encode::integer(seconds)));
        encode::dictionary(pairs)
    }

    /// Reads a file's content; `None` if it is another kind of file. It is read as carefully as a
    /// packet: a disk may be shared with strangers.
    pub fn decode(bytes: &[u8]) -> Option<Saved> {
        let top = decode_within(bytes, LIMITS).ok()?;
        let string = |key| top.get(key).and_then(Value::bytes).unwrap_or_default();
        let ip = string("ip");
        let ip4 = <[u8; 4]>::try_from(ip).map(IpAddr::from);
        let number = |key| top.get(key).and_then(Value::unsigned);
        Some(Saved {
            id: NodeId(string("id").try_into().ok()?),
            ip: ip4.or_else(|_| <[u8; 16]>::try_from(ip).map(IpAddr::from)).ok(),
            port: number("port").and_then(|port| port.try_into().ok())?,
            nodes: nodes(&top, MAX_SAVED).collect(),
            at: UNIX_EPOCH.checked_add(Duration::from_secs(number("saved")?))?,
        })
    }

    /// Whether a node at this address may take the id: it listens at the same port, and the id fits
    /// the address that others saw. They know us by our id, so a node that comes back should have
    /// it again.
    pub fn is_ours(&self, listening: SocketAddr) -> bool {
        self.port == listening.port() && self.ip.is_none_or(|ip| self.id.fits(ip))
    }
}

/// A file with a table in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableFile {
    /// Where it is, or will be.
    path: PathBuf,
}

impl TableFile {
    /// Names the file at this path, which need not exist.
    pub fn at(path: impl Into<PathBuf>) -> TableFile {
        TableFile { path: path.into() }
    }

    /// Names the file of the user who runs the program. It goes where programs keep their state,
    /// which is neither a setting nor a cache. `None` if the system does not say where that is.
    pub fn of_user() -> Option<TableFile> {
        let variable = |name| {
            let path = std::env::var_os(name).map(PathBuf::from)?;
            // The standard asks to ignore a path that depends on where the program was started.
            path.is_absolute().then_some(path)
        };
        let folder = variable("XDG_STATE_HOME")
            .or_else(|| variable("LOCALAPPDATA"))
            .or_else(|| Some(variable("HOME")?.join(".local/state")))?;
        Some(TableFile::at(folder.join("piecemeal").join("dht.nodes")))
    }

    /// Returns the file for the other family: each has a table of its own.
    pub fn for_ipv6(&self) -> TableFile {
        let mut name = self.path.clone().into_os_string();
        name.push("6");
        TableFile::at(name)
    }

    /// Returns the path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file. Returns what it holds, and what the user should know about it: nothing, if
    /// there is no file yet.
    pub fn load(&self, now: SystemTime) -> (Option<Saved>, Option<String>) {
        let say = |what: String| Some(format!("{}: {what}", self.path.display()));
        let mut bytes = Vec::new();
        let read =
            File::open(&self.path).and_then(|file| file.take(LARGEST).read_to_end(&mut bytes));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return (None, None),
            Err(error) => return (None, say(format!("the saved nodes cannot be read: {error}"))),
            Ok(_) => {}
        }
        let Some(saved) = Saved::decode(&bytes) else {
            let what = "this is no file of saved nodes, or it is broken: starting without it";
            return (None, say(what.to_owned()));
        };
        let age = now.duration_since(saved.at).unwrap_or_default();
        let days = age.as_secs() / (24 * 60 * 60);
        let note = (age > OLD)
            .then(|| say(format!("the nodes were saved {days} days ago, and some may be gone")));
        (Some(saved), note.flatten())
    }

    /// Writes the file, whole or not at all. A file that is there is replaced, unless there is
    /// nothing to save: after a time without a network, the old nodes are the better ones.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, saved: &Saved) -> io::Result<()> {
        if saved.nodes.is_empty() {
            return Ok(());
        }
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        // Beside the file, since a rename cannot leave the disk. Two programs that write at the
        // same time have a file each, and the later rename counts.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&saved.encode())?;
        file.persist(&self.path).map(drop).map_err(|error| error.error)
    }
}
