//! Which of the real programs this machine has, and how loudly to skip the
//! ones that it lacks.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::download::program;

/// A program that the tests need and the repository does not contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Makes the torrents as well as seeding them.
    Libtorrent,
    Opentracker,
    Transmission,
    Aria2,
    Rqbit,
    /// Shows torrents.
    TransmissionShow,
    /// Makes torrents.
    Mktorrent,
    /// A library for Node.
    Webtorrent,
    /// The program under test, which is always there.
    Piecemeal,
}

impl Program {
    pub fn name(self) -> &'static str {
        match self {
            Program::Libtorrent => "libtorrent",
            Program::Opentracker => "opentracker",
            Program::Transmission => "transmission-daemon",
            Program::Aria2 => "aria2c",
            Program::Rqbit => "rqbit",
            Program::TransmissionShow => "transmission-show",
            Program::Mktorrent => "mktorrent",
            Program::Webtorrent => "webtorrent",
            Program::Piecemeal => "piecemeal",
        }
    }

    /// Where the program is, or `None` after saying aloud that it is skipped.
    /// libtorrent is a Python module: its place is the interpreter that has it;
    /// WebTorrent is one for Node: its place is its folder.
    ///
    /// # Panics
    /// In CI, which installs every program, unless `PIECEMEAL_INTEROP_SKIP`
    /// names this one: there, a test that skips itself would prove nothing.
    pub fn find(self) -> Option<PathBuf> {
        let skipped = env::var("PIECEMEAL_INTEROP_SKIP").unwrap_or_default();
        if skipped.split(',').any(|name| name.trim() == self.name()) {
            println!("\nSKIPPED: {} is named in PIECEMEAL_INTEROP_SKIP", self.name());
            return None;
        }
        let found = match self {
            Program::Libtorrent => candidates("python3").find(|python| imports_libtorrent(python)),
            Program::Webtorrent => node()
                .and(Some(prefix().join("node_modules/webtorrent")))
                .filter(|module| module.is_dir()),
            Program::Piecemeal => Some(program().into()),
            _ => candidates(self.name()).next(),
        };
        if found.is_none() {
            let in_ci = env::var("CI").is_ok_and(|ci| ci == "true");
            assert!(
                !in_ci,
                "{} is not installed, but CI must have it (tests/interop/install.sh)",
                self.name()
            );
            println!("\nSKIPPED: {} is not installed (see tests/interop/install.sh)", self.name());
        }
        found
    }
}

/// The programs of this name: first what install.sh built, then what is on the
/// search path, then where Debian keeps its daemons.
fn candidates(name: &str) -> impl Iterator<Item = PathBuf> {
    let prefix = prefix();
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders = vec![prefix.join("bin"), prefix.join("venv/bin")];
    folders.extend(env::split_paths(&path));
    folders.extend(["/usr/bin".into(), "/usr/sbin".into()]);
    let name = name.to_owned();
    folders.into_iter().map(move |folder| folder.join(&name)).filter(|program| program.is_file())
}

/// Where install.sh puts what it builds.
fn prefix() -> PathBuf {
    env::var_os("PIECEMEAL_INTEROP_PREFIX")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/interop"), PathBuf::from)
}

/// What runs WebTorrent.
pub fn node() -> Option<PathBuf> {
    candidates("node").next()
}

fn imports_libtorrent(python: &Path) -> bool {
    let mut command = Command::new(python);
    command.args(["-c", "import libtorrent"]).stdin(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
