//! libtorrent in the rig: a session of its own for each lookup.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use piecemeal::s02_metainfo::InfoHash;

use crate::Summary;

/// Where tests/interop/install.sh puts the interpreter that has it.
const PYTHON: &str = "target/interop/venv/bin/python3";

/// The interpreter, and the version of libtorrent. `None`: it is not installed.
pub fn find() -> Option<(PathBuf, String)> {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join(PYTHON);
    [ours, PathBuf::from("python3")].into_iter().find_map(|python| {
        let asked = Command::new(&python)
            .args(["-c", "import libtorrent; print(libtorrent.version)"])
            .output()
            .ok()?;
        let version = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
        asked.status.success().then_some((python, version))
    })
}

/// A session. It ends with the value.
pub struct Session(Child);

impl Session {
    pub fn start(python: &Path, own: SocketAddr, way_in: SocketAddr) -> Summary<Session> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/dht/libtorrent_node.py");
        let mut command = Command::new(python);
        command.args(["-W", "ignore"]).arg(script).arg(own.to_string()).arg(way_in.to_string());
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        Ok(Session(child))
    }

    /// Waits until its table has been filled.
    pub fn wait_until_ready(&mut self) -> Summary<()> {
        let mut line = String::new();
        let out = self.0.stdout.take().ok_or("stdout is a pipe")?;
        BufReader::new(out).read_line(&mut line)?;
        if line.starts_with("ready") { Ok(()) } else { Err("libtorrent did not start".into()) }
    }

    /// Looks for a torrent's peers, and announces itself. Returns when it was told to.
    pub fn announce(&mut self, torrent: InfoHash) -> Summary<Instant> {
        let input = self.0.stdin.as_mut().ok_or("stdin is a pipe")?;
        let now = Instant::now();
        writeln!(input, "{torrent}")?;
        Ok(now)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
