//! The client under test, run as its users run it.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::fixtures::Torrent;
use crate::process::Running;

/// How the client learns about a torrent and its peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum How {
    TorrentAndTracker,
    #[default]
    TorrentAndPeers,
    MagnetAndTracker,
    MagnetAndPeers,
}

impl How {
    pub fn label(self) -> &'static str {
        match self {
            How::TorrentAndTracker => ".torrent, tracker",
            How::TorrentAndPeers => ".torrent, --peer",
            How::MagnetAndTracker => "magnet, tracker",
            How::MagnetAndPeers => "magnet, --peer",
        }
    }
}

impl How {
    pub fn is_magnet(self) -> bool {
        matches!(self, How::MagnetAndTracker | How::MagnetAndPeers)
    }

    pub fn is_announced(self) -> bool {
        matches!(self, How::TorrentAndTracker | How::MagnetAndTracker)
    }
}

/// The program under test. `PIECEMEAL_BIN` puts another client in its place.
pub fn program() -> OsString {
    env::var_os("PIECEMEAL_BIN").unwrap_or_else(|| OsString::from(env!("CARGO_BIN_EXE_piecemeal")))
}

/// A download in progress; it is killed with the value.
pub struct Download {
    process: Running,
    /// The line that it should print.
    promise: String,
    out: PathBuf,
    stdout: PathBuf,
    start: Instant,
    peak: u64,
}

/// What a download left behind once it ended well.
#[derive(Clone, Copy, Debug)]
pub struct Finished {
    pub elapsed: Duration,
    /// The largest resident set that was seen, in KiB.
    pub peak: u64,
}

impl Download {
    /// Starts it with nothing but what `how` allows it to know.
    pub fn start(
        torrent: &Torrent,
        how: How,
        peers: &[SocketAddrV4],
        out: &Path,
    ) -> Result<Self, String> {
        let mut command = Command::new(program());
        let (verb, source) = match how {
            How::TorrentAndTracker => ("download", torrent.announced.display().to_string()),
            How::TorrentAndPeers => ("download", torrent.trackerless.display().to_string()),
            How::MagnetAndTracker => ("magnet_download", torrent.magnet()),
            How::MagnetAndPeers => ("magnet_download", torrent.magnet_without_tracker()),
        };
        command.arg(verb).arg("-o").arg(out).arg(&source);
        if matches!(how, How::TorrentAndPeers | How::MagnetAndPeers) {
            for peer in peers {
                command.arg("--peer").arg(peer.to_string());
            }
        }
        let (stdout, stderr) = (beside(out, ".stdout"), beside(out, ".stderr"));
        let open = |path| File::create(path).map_err(|error| error.to_string());
        let child =
            command.stdin(Stdio::null()).stdout(open(&stdout)?).stderr(open(&stderr)?).spawn();
        let child = child.map_err(|error| format!("{command:?}: {error}"))?;
        let process = Running::adopt(child, &stderr);
        let promise = format!("Downloaded {source} to {}.\n", out.display());
        Ok(Self { process, promise, out: out.to_owned(), stdout, start: Instant::now(), peak: 0 })
    }

    /// The exit code, once it has ended; -1 if a signal ended it. Also looks how
    /// much memory it has used, so it must be asked often.
    pub fn exit_code(&mut self) -> Option<i32> {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
        let high = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let high = high.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok());
        self.peak = self.peak.max(high.unwrap_or_default());
        self.process.exited().map(|status| status.code().unwrap_or(-1))
    }

    /// The end of what it said on stderr.
    pub fn last_words(&self) -> String {
        self.process.last_words()
    }

    /// Ends it with SIGKILL, in the middle of whatever it does.
    pub fn kill(mut self) -> Finished {
        self.exit_code();
        self.process.kill();
        Finished { elapsed: self.start.elapsed(), peak: self.peak }
    }

    /// Waits for a good end: exit code 0, the one line on stdout, and nothing
    /// left that says the download is a partial one.
    pub fn finish(mut self, limit: Duration) -> Result<Finished, String> {
        let code = loop {
            if let Some(code) = self.exit_code() {
                break code;
            }
            if self.start.elapsed() > limit {
                self.process.kill();
                return Err(format!("not done after {} s: {}", limit.as_secs(), self.last_words()));
            }
            thread::sleep(Duration::from_millis(10));
        };
        let elapsed = self.start.elapsed();
        if code != 0 {
            return Err(format!("exit code {code}: {}", self.last_words()));
        }
        let printed = fs::read_to_string(&self.stdout).unwrap_or_default();
        if printed != self.promise {
            return Err(format!("stdout is {printed:?}, expected {:?}", self.promise));
        }
        if beside(&self.out, ".piecemeal").exists() {
            return Err("the mark of a partial download is still there".into());
        }
        Ok(Finished { elapsed, peak: self.peak })
    }
}

/// `OUT` with something behind it, as in `OUT.piecemeal`.
pub fn beside(out: &Path, suffix: &str) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
