//! What the machine is, and where the data lies.

use std::path::{Path, PathBuf};
use std::{env, fs};

use crate::Summary;
use crate::clients::{Client, Kind};
use crate::options::Options;
use crate::usage::{processor, say};

/// A folder for the data, in memory if there is such a place. It vanishes at the end.
pub struct Folder(tempfile::TempDir);

impl Folder {
    pub fn new() -> Summary<Folder> {
        let shared = Path::new("/dev/shm");
        let memory = shared.is_dir().then(|| shared.to_owned());
        let chosen = env::var_os("PIECEMEAL_BENCH_DIR")
            .map(PathBuf::from)
            .or(memory)
            .unwrap_or_else(env::temp_dir);
        Ok(Folder(tempfile::Builder::new().prefix("piecemeal-bench-").tempdir_in(chosen)?))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The kind of file system: the longest mount point above it.
    fn system(&self) -> String {
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        let mut words = mounts.lines().map(|line| line.split(' ').skip(1));
        let above = words.by_ref().filter_map(|mut line| Some((line.next()?, line.next()?)));
        let found = above
            .filter(|(point, _)| self.path().starts_with(point))
            .max_by_key(|(point, _)| point.len());
        found.map_or("an unknown file system".into(), |(_, kind)| kind.to_owned())
    }
}

/// Under which circumstances all this was measured.
pub fn about(options: &Options, folder: &Folder, clients: &[Client], load: &str) -> String {
    let versions: Vec<String> = clients
        .iter()
        .filter(|client| !matches!(client.kind, Kind::Floor | Kind::Ours))
        .map(|client| format!("{} {}", client.kind.name(), client.version))
        .collect();
    format!(
        "{}, {}, {}, medians of {} round(s), data on {}, load {load} before it began. piecemeal {} ({}), {}.",
        say("date", &["+%Y-%m-%d"]),
        processor(),
        say("uname", &["-sr"]),
        options.rounds,
        folder.system(),
        env!("CARGO_PKG_VERSION"),
        say("rustc", &["--version"]),
        versions.join(", "),
    )
}
