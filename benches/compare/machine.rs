//! What the machine is, where the data lies, and what a running process has used.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, thread};

use crate::Summary;
use crate::clients::{Client, Kind};
use crate::options::Options;

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

/// User and system time of a process that runs, in seconds.
pub fn cpu_of(id: u32) -> Summary<f64> {
    let text = fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The second word, the name, may hold spaces; it ends with the last bracket.
    let words: Vec<&str> = text.rsplit_once(") ").ok_or("/proc/PID/stat")?.1.split(' ').collect();
    let ticks: f64 = words
        .get(11..13)
        .unwrap_or_default()
        .iter()
        .filter_map(|word| word.parse::<f64>().ok())
        .sum();
    // Linux tells all programs that it counts in hundredths, whatever it counts in.
    Ok(ticks / 100.0)
}

/// The most memory that a running process has had, in MiB.
pub fn peak_of(id: u32) -> Summary<f64> {
    let text = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line =
        text.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("/proc/PID/status")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}

/// What else the machine has been doing: the load over the last minute.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("unknown").to_owned()
}

/// Under which circumstances all this was measured.
pub fn about(options: &Options, folder: &Folder, clients: &[Client], load: &str) -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, model)| model);
    let versions: Vec<String> = clients
        .iter()
        .filter(|client| !matches!(client.kind, Kind::Floor | Kind::Ours))
        .map(|client| format!("{} {}", client.kind.name(), client.version))
        .collect();
    format!(
        "{}, {cores} cores ({model}), {}, medians of {} round(s), data on {}, load {load} before it began. piecemeal {} ({}), {}.",
        say("date", &["+%Y-%m-%d"]),
        say("uname", &["-sr"]),
        options.rounds,
        folder.system(),
        env!("CARGO_PKG_VERSION"),
        say("rustc", &["--version"]),
        versions.join(", "),
    )
}

/// What a program says in one line.
fn say(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
