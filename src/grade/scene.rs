//! The stage on which one check is played: a folder, dice, actors, and the learner's command.

mod cast;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::dice::Dice;
use super::hints::{Clues, Known};
use super::learner::Learner;
use super::miss::Miss;
use super::outcome::Outcome;
use super::process::Running;
use crate::actors::leech::Leech;
use crate::actors::line::Line;
use crate::actors::recording::{Recording, Way};
use crate::actors::torrent::{Recipe, Torrent};

/// How long after the end of a client its last bytes are waited for.
const LAST_BYTES: Duration = Duration::from_secs(2);

/// The most that is read of a file that the learner's command wrote. The longest right one has less
/// than half of this.
const MAX_OUTPUT_FILE: u64 = 4 << 20;

/// More bytes than a client ever has to take. The buffers on the way to it may hold some of them.
const TOO_MUCH: u64 = 32 << 20;

/// A client that takes no byte for this long is given up.
const STALL: Duration = Duration::from_secs(10);

/// An actor whose bytes have been written down.
type Recorded = Box<dyn Fn() -> Vec<Recording>>;

/// What a check has at hand. Dropping it ends its actors and deletes its folder.
pub struct Scene<'a> {
    /// The dice of this check.
    pub dice: Dice,
    learner: &'a Learner,
    folder: TempDir,
    /// The usual limit of the stage, without the time for a start.
    limit: Duration,
    actors: Vec<Recorded>,
    recordings: Vec<Recording>,
    known: Known,
    peers: u8,
    /// For each run that is over its subcommand, and whether it ended as one that there is not.
    unknown: Arc<Mutex<Vec<(String, bool)>>>,
}

impl<'a> Scene<'a> {
    pub(super) fn new(dice: Dice, learner: &'a Learner, stage: u8) -> io::Result<Scene<'a>> {
        let folder = tempfile::Builder::new().prefix("grade-").tempdir()?;
        let limit = Duration::from_secs(match stage {
            1 | 2 | 6 => 4,
            3..=5 | 7 | 8 => 8,
            9 | 10 => 12,
            _ => 25,
        });
        let (actors, recordings, known) = (Vec::new(), Vec::new(), Known::default());
        let unknown = Arc::default();
        Ok(Scene { dice, learner, folder, limit, actors, recordings, known, peers: 0, unknown })
    }

    /// Sets another limit for the runs that follow: a check that waits on purpose.
    pub fn within(&mut self, seconds: u64) -> &mut Self {
        self.limit = Duration::from_secs(seconds);
        self
    }

    /// Returns how long the learner's program takes to start, three times.
    pub fn start_time(&self) -> Duration {
        self.learner.start_time()
    }

    /// Runs the learner's command with these arguments, to its end.
    ///
    /// # Errors
    /// If it can no longer be started.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Outcome, Miss> {
        let told = self.told();
        let outcome = self.learner.run(arguments, self.limit);
        outcome.inspect(told).map_err(|error| not_started(&error))
    }

    /// Runs the learner's command until it has taken more than it ever should: that is a miss, and
    /// nothing is gained by waiting for its time to be over.
    ///
    /// # Errors
    /// If it takes that much, or can no longer be started.
    pub fn run_bounded<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Outcome, Miss> {
        let sent = |recording: &Recording| recording.counted(Way::ToClient);
        let too_much = || self.recordings().iter().map(sent).sum::<u64>() > TOO_MUCH;
        let mut running = self.start(arguments)?;
        if !running.wait_for(|_| too_much()) {
            let outcome = running.finish();
            self.learner.note(arguments, &outcome);
            return Ok(outcome);
        }
        let outcome = running.stop();
        let seconds = outcome.elapsed.as_secs_f64();
        let what = format!("`{}` took {} MiB in {seconds:.1} s", outcome.arguments, TOO_MUCH >> 20);
        Err(Miss::new(format!("{what}, and was ended")))
    }

    /// Starts the learner's command with these arguments.
    ///
    /// # Errors
    /// If it can no longer be started.
    pub fn start<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Running, Miss> {
        let running = self.learner.start(arguments, self.limit);
        running.map(|running| running.telling(self.told())).map_err(|error| not_started(&error))
    }

    /// Returns what writes down how a run ended.
    fn told(&self) -> impl FnOnce(&Outcome) + Send + use<> {
        let (unknown, like) = (self.unknown.clone(), self.learner.unknown().cloned());
        move |outcome| {
            let is_like = like.is_some_and(|like| outcome.ends_like(&like));
            let mut unknown = unknown.lock().unwrap_or_else(PoisonError::into_inner);
            unknown.push((outcome.subcommand().to_owned(), is_like));
        }
    }

    /// Returns the absolute path of a file in the folder of this check.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the folder of this check; returns its absolute path as text.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> Result<String, Miss> {
        let path = self.path(name);
        let written = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        written.and_then(|()| std::fs::write(&path, bytes)).map_err(|error| ours(&error))?;
        Ok(path.to_string_lossy().into_owned())
    }

    /// Returns the content of a file that the learner's command was to write, up to 4 MiB.
    ///
    /// # Errors
    /// If it is not there, or is no file: a pipe would never end.
    pub fn output(&self, name: &str) -> Result<Vec<u8>, Miss> {
        let path = self.path(name);
        let read = || {
            if !std::fs::metadata(&path)?.is_file() {
                return Err(io::Error::other("it is not a file"));
            }
            let mut bytes = Vec::new();
            File::open(&path)?.take(MAX_OUTPUT_FILE).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        read().map_err(|error| Miss::new(format!("the output file cannot be read: {error}")))
    }

    /// Returns a torrent of one file with this many pieces: name, content and piece length are
    /// random, and the last piece is short.
    pub fn torrent(&mut self, pieces: usize) -> Torrent {
        let piece_length = *self.dice.one_of(&[32_768, 49_152, 65_536]);
        let last = self.dice.length(1, piece_length - 1);
        self.torrent_of(piece_length, pieces.saturating_sub(1) * piece_length + last)
    }

    /// Returns a torrent of one file with this piece length and size.
    pub fn torrent_of(&mut self, piece_length: usize, length: usize) -> Torrent {
        let name = format!("{}.bin", self.dice.word(8));
        let torrent = Recipe::single(name, piece_length, self.dice.bytes(length)).build();
        self.known.add(&torrent, None);
        torrent
    }

    /// Writes a .torrent file with this tracker; returns its absolute path as text.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn torrent_file(&mut self, torrent: &Torrent, announce: &str) -> Result<String, Miss> {
        let name = format!("{}.torrent", self.dice.word(6));
        let bytes = torrent.file(Some(announce));
        self.known.add(torrent, Some(&bytes));
        self.file(&name, bytes)
    }

    /// Returns an address on loopback that no other peer of this check has.
    pub fn host(&mut self) -> IpAddr {
        self.peers += 1;
        // Only Linux has all of 127.0.0.0/8 on its loopback interface.
        let last = if cfg!(target_os = "linux") { self.peers + 1 } else { 1 };
        IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
    }

    /// Connects to the learner's client and shakes hands.
    ///
    /// # Errors
    /// If nobody listens there, or no handshake comes back.
    pub fn leech(
        &mut self,
        address: SocketAddr,
        torrent: &Torrent,
        reserved: [u8; 8],
    ) -> Result<Leech, Miss> {
        let leech = Leech::dial(address, torrent, reserved)
            .map_err(|error| Miss::new(format!("no handshake came back: {error}")))?;
        self.recordings.push(leech.recording().clone());
        Ok(leech)
    }

    /// Connects to the learner's client, and says nothing.
    ///
    /// # Errors
    /// If nobody listens there.
    pub fn dial(&mut self, address: SocketAddr) -> io::Result<Line> {
        let line = Line::dial(address, STALL)?;
        self.recordings.push(line.recording().clone());
        Ok(line)
    }

    /// Returns a port at which the learner's client can listen.
    ///
    /// # Errors
    /// If none is free.
    pub fn free_port(&self) -> Result<u16, Miss> {
        // Not of the dice: two graders with one seed would take the same. And below the ports that
        // systems give out themselves.
        let ports = (0..100).map(|_| rand::random_range(10_000..32_000));
        let free = |port: &u16| {
            [Ipv4Addr::UNSPECIFIED, Ipv4Addr::LOCALHOST].iter().all(|ip| {
                TcpListener::bind((*ip, *port)).is_ok() && UdpSocket::bind((*ip, *port)).is_ok()
            })
        };
        let mut ports = ports.filter(free);
        ports.next().ok_or_else(|| ours(&io::ErrorKind::AddrInUse.into()))
    }

    /// Returns all that the actors have seen.
    pub fn recordings(&self) -> Vec<Recording> {
        let of_actors = self.actors.iter().flat_map(|actor| actor());
        self.recordings.iter().cloned().chain(of_actors).collect()
    }

    /// Waits until every connection to a peer is over, but only a moment: the last bytes of a
    /// client that has ended may not be read yet.
    pub fn settle(&self) {
        let over = |recording: &Recording| recording.is_tracker() || recording.ended().is_some();
        let patience = Instant::now() + LAST_BYTES;
        while !self.recordings().iter().all(over) && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Returns the subcommands that were run, and whether each run ended as one of a command that
    /// there is not, before a byte came to anybody.
    pub(super) fn unknown(&self, recordings: &[Recording]) -> Vec<(String, bool)> {
        let silent = recordings.iter().all(Recording::is_silent);
        let runs = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        runs.iter().map(|(command, is_like)| (command.clone(), *is_like && silent)).collect()
    }

    /// Returns what the likely cause of a failure can be found in.
    pub(super) fn clues<'s>(&'s self, recordings: &'s [Recording], stage: u8) -> Clues<'s> {
        // In later stages, those who give are dialed.
        let dials = self.peers > 0 && (4..=15).contains(&stage);
        Clues { recordings, known: &self.known, stage, dials }
    }
}

/// A fault of the grader's machine, not of the learner.
fn ours(error: &io::Error) -> Miss {
    Miss::new(format!("the grader cannot go on: {error}")).likely(
        "this is not your client's fault: is the disk full, or are there too few open files?",
    )
}

fn not_started(error: &io::Error) -> Miss {
    Miss::new(format!("your program can no longer be started: {error}"))
}
