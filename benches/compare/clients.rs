//! The programs that are compared, and how each is told to do a work.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::content::{NAME, Torrent};
use crate::{Summary, helper};

/// Ours, as the table calls it.
pub const OURS: &str = "piecemeal";
/// The bare minimum, as the table calls it.
pub const FLOOR: &str = "floor";
const LIBTORRENT: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/benches/compare/libtorrent_client.py");

/// A program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Floor,
    Ours,
    Rqbit,
    Aria2,
    Libtorrent,
    Mktorrent,
    TransmissionCreate,
}

/// A program that is there.
pub struct Client {
    pub kind: Kind,
    path: PathBuf,
    pub version: String,
}

/// All that are there, and a sentence about each that is not.
pub fn find() -> (Vec<Client>, Vec<String>) {
    let ours = Client {
        kind: Kind::Ours,
        path: env!("CARGO_BIN_EXE_piecemeal").into(),
        version: String::new(),
    };
    let mut found =
        vec![Client { kind: Kind::Floor, path: PathBuf::new(), version: String::new() }, ours];
    let mut notes = Vec::new();
    for kind in
        [Kind::Rqbit, Kind::Aria2, Kind::Libtorrent, Kind::Mktorrent, Kind::TransmissionCreate]
    {
        let works = |path: &PathBuf| {
            path.is_file() && (kind != Kind::Libtorrent || version(kind, path).is_some())
        };
        match places(kind).into_iter().find(|(path, _)| works(path)) {
            Some((path, built)) => {
                let version = version(kind, &path).unwrap_or_default();
                found.push(Client { kind, path, version: format!("{version}{built}") });
            }
            None => notes.push(format!("not installed: {} (benches/install.sh)", kind.name())),
        }
    }
    (found, notes)
}

/// Where a program may be, and a word about how it was built there.
fn places(kind: Kind) -> Vec<(PathBuf, &'static str)> {
    let program = if kind == Kind::Libtorrent { "python3" } else { kind.name() };
    let prefix = |variable, otherwise: &str| {
        env::var_os(variable)
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(otherwise), PathBuf::from)
    };
    let optimized = prefix("PIECEMEAL_BENCH_PREFIX", "target/bench-clients").join("bin");
    let interop = prefix("PIECEMEAL_INTEROP_PREFIX", "target/interop");
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places = vec![(optimized.join(program), "")];
    places.extend(env::split_paths(&path).map(|folder| (folder.join(program), "")));
    let built = if kind == Kind::Rqbit {
        ", built without optimization by tests/interop/install.sh"
    } else {
        ""
    };
    places.extend(
        [interop.join("bin"), interop.join("venv/bin")].map(|folder| (folder.join(program), built)),
    );
    places
}

/// The last word of the first line that a program says of itself; mktorrent and
/// libtorrent have other ways.
fn version(kind: Kind, path: &Path) -> Option<String> {
    let mut command = Command::new(path);
    match kind {
        Kind::Libtorrent => {
            command.args(["-c", "import libtorrent; print('libtorrent', libtorrent.version)"])
        }
        Kind::Mktorrent => command.arg("-h"),
        _ => command.arg("--version"),
    };
    let output = command.stdin(Stdio::null()).output().ok()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let line = said.lines().next()?;
    let number = |word: &&str| {
        word.trim_start_matches(['v', '(']).starts_with(|first: char| first.is_ascii_digit())
    };
    line.split_whitespace().find(number).map(|word| word.trim_start_matches('v').to_owned())
}

impl Kind {
    /// As the table calls it, and as the program is called.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Floor => FLOOR,
            Kind::Ours => OURS,
            Kind::Rqbit => "rqbit",
            Kind::Aria2 => "aria2c",
            Kind::Libtorrent => "libtorrent",
            Kind::Mktorrent => "mktorrent",
            Kind::TransmissionCreate => "transmission-create",
        }
    }
}

impl Client {
    /// A command whose home is a folder that is thrown away.
    fn command(&self, home: &Path) -> Command {
        let mut command = Command::new(&self.path);
        command.env("HOME", home);
        command
    }

    fn python(&self, home: &Path, verb: &str, arguments: &[&OsStr]) -> Command {
        let mut command = self.command(home);
        command.arg(LIBTORRENT).arg(verb).args(arguments);
        command
    }

    /// Downloads to `folder/content` and exits; `None`: it cannot. `seeders` is what the
    /// floor is told; all others ask the tracker.
    pub fn download(
        &self,
        torrent: &Torrent,
        folder: &Path,
        seeders: &[String],
        ahead: u64,
    ) -> Summary<Option<Command>> {
        let mut command = self.command(folder);
        // With more than anybody's default, all are told so, as a user would.
        let peers = seeders.len().max(50).to_string();
        let many = seeders.len() > 50;
        match self.kind {
            Kind::Floor => {
                command = helper::command("floor")?;
                command
                    .arg(&torrent.path)
                    .arg(folder.join(NAME))
                    .arg(ahead.to_string())
                    .args(seeders);
            }
            Kind::Ours => {
                command.args(["download", "-q", "-o"]).arg(folder.join(NAME));
                if many {
                    command.args(["--max-peers", &peers]);
                }
                command.arg(&torrent.path);
            }
            Kind::Rqbit => {
                command.args([
                    "-v",
                    "error",
                    "--disable-dht",
                    "--disable-lsd",
                    "--disable-upnp-port-forward",
                    "--ipv4-only",
                ]);
                if many {
                    command.args(["--peer-limit", &peers]);
                }
                command.args([
                    "download",
                    "--disable-http-api",
                    "--exit-on-finish",
                    "--overwrite",
                    "-o",
                ]);
                command.arg(folder).arg(&torrent.path);
            }
            Kind::Aria2 => {
                aria2(&mut command, folder);
                command.args(["--seed-time=0", "--file-allocation=none"]);
                if many {
                    command.arg(format!("--bt-max-peers={peers}"));
                }
                command.arg(&torrent.path);
            }
            Kind::Libtorrent => {
                let limit = if many { &peers } else { "" };
                command = self.python(
                    folder,
                    "download",
                    &[torrent.path.as_ref(), folder.as_ref(), limit.as_ref()],
                );
            }
            Kind::Mktorrent | Kind::TransmissionCreate => return Ok(None),
        }
        Ok(Some(command))
    }

    /// Makes a torrent of a file, in pieces of 1 MiB.
    pub fn create(&self, file: &Path, out: &Path, home: &Path) -> Summary<Option<Command>> {
        let mut command = self.command(home);
        match self.kind {
            Kind::Floor => return hash(file).map(Some),
            Kind::Ours => {
                command.args(["create", "-q", "--piece-length", "1MiB", "-o"]).arg(out).arg(file)
            }
            Kind::Mktorrent => command.args(["-t", "2", "-l", "20", "-o"]).arg(out).arg(file),
            Kind::TransmissionCreate => command.args(["-s", "1024", "-o"]).arg(out).arg(file),
            Kind::Libtorrent => {
                return Ok(Some(self.python(home, "create", &[file.as_ref(), out.as_ref()])));
            }
            Kind::Rqbit | Kind::Aria2 => return Ok(None),
        };
        Ok(Some(command))
    }

    /// Checks `folder/content` against its torrent.
    pub fn verify(
        &self,
        torrent: &Torrent,
        folder: &Path,
        home: &Path,
    ) -> Summary<Option<Command>> {
        let mut command = self.command(home);
        match self.kind {
            Kind::Floor => return hash(&folder.join(NAME)).map(Some),
            Kind::Ours => command.args(["verify", "-q"]).arg(&torrent.path).arg(folder.join(NAME)),
            Kind::Aria2 => {
                aria2(&mut command, folder);
                command
                    .args(["--check-integrity=true", "--hash-check-only=true"])
                    .arg(&torrent.path)
            }
            Kind::Libtorrent => {
                return Ok(Some(self.python(
                    home,
                    "verify",
                    &[torrent.path.as_ref(), folder.as_ref()],
                )));
            }
            _ => return Ok(None),
        };
        Ok(Some(command))
    }

    /// A download of what is there already.
    pub fn resume(&self, torrent: &Torrent, folder: &Path) -> Summary<Option<Command>> {
        let mut command = match self.kind {
            Kind::Floor => return hash(&folder.join(NAME)).map(Some),
            _ => self.download(torrent, folder, &[], 0)?,
        };
        if let (Kind::Aria2, Some(command)) = (self.kind, &mut command) {
            command.arg("--check-integrity=true");
        }
        Ok(command)
    }

    /// Gives `folder/content` at this port of 127.0.0.1 until it is killed.
    pub fn seed(
        &self,
        torrent: &Torrent,
        folder: &Path,
        home: &Path,
        port: u16,
        peers: usize,
    ) -> Option<Command> {
        let mut command = self.command(home);
        let (many, port, peers) = (peers > 50, port.to_string(), peers.to_string());
        match self.kind {
            Kind::Ours => {
                command.args(["seed", "-q", "--bind", "127.0.0.1", "--port", &port]);
                if many {
                    command.args(["--max-peers", &peers]);
                }
                command.arg(&torrent.path).arg(folder.join(NAME));
            }
            Kind::Rqbit => {
                command.args([
                    "-v",
                    "error",
                    "--disable-dht",
                    "--disable-lsd",
                    "--disable-upnp-port-forward",
                    "--ipv4-only",
                ]);
                command.args(["--listen-ip", "127.0.0.1", "--listen-port", &port]);
                if many {
                    command.args(["--peer-limit", &peers]);
                }
                command
                    .args(["download", "--disable-http-api", "--overwrite", "-o"])
                    .arg(folder)
                    .arg(&torrent.path);
            }
            Kind::Aria2 => {
                aria2(&mut command, folder);
                command.args([
                    "--check-integrity=true",
                    "--seed-ratio=0",
                    &format!("--listen-port={port}"),
                ]);
                if many {
                    command.arg(format!("--bt-max-peers={peers}"));
                }
                command.arg(&torrent.path);
            }
            Kind::Libtorrent => {
                let limit = if many { &peers } else { "" };
                let arguments =
                    [torrent.path.as_ref(), folder.as_ref(), limit.as_ref(), port.as_ref()];
                return Some(self.python(home, "seed", &arguments));
            }
            _ => return None,
        }
        Some(command)
    }
}

/// What aria2 is always told: nothing but this torrent and its tracker.
fn aria2(command: &mut Command, folder: &Path) {
    command.args([
        "--no-conf=true",
        "--console-log-level=error",
        "--summary-interval=0",
        "--disable-ipv6=true",
    ]);
    command.args([
        "--enable-dht=false",
        "--enable-dht6=false",
        "--bt-enable-lpd=false",
        "--enable-peer-exchange=false",
    ]);
    command.args(["--allow-overwrite=true", "--dir"]).arg(folder);
}

/// What create, verify and resume cost at the least.
fn hash(file: &Path) -> Summary<Command> {
    let mut command = helper::command("hash")?;
    command.arg(file);
    Ok(command)
}
