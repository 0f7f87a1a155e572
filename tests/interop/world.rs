//! What every test needs around it: a folder, torrents, and their tracker.

use std::env;
use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use crate::clients::{Client, Order};
use crate::download::{Download, Finished, How};
use crate::fixtures::{self, Fixture, Torrent};
use crate::process::{free_port, retry, wait_for};
use crate::programs::Program;
use crate::tracker::{self, Tracker};

/// Everything but the seeders. Its tracker ends and its folder goes with it.
pub struct World {
    pub tracker: Tracker,
    pub torrents: Vec<Torrent>,
    folder: TempDir,
    folders: AtomicU32,
}

impl World {
    /// `None`, after a loud line, if the machine lacks what every test needs.
    pub fn new(fixtures: &[Fixture]) -> Option<Self> {
        Self::with_tracker(fixtures, Program::Opentracker, "http")
    }

    /// The same, with another tracker or another way to talk to it.
    pub fn with_tracker(fixtures: &[Fixture], tracker: Program, scheme: &str) -> Option<Self> {
        let (python, path) = (Program::Libtorrent.find(), tracker.find());
        let (python, path) = (python?, path?);
        let mut folder = TempDir::with_prefix("piecemeal-interop-").expect("a temporary folder");
        if env::var_os("PIECEMEAL_INTEROP_KEEP").is_some() {
            folder.disable_cleanup(true);
            println!("the files and logs stay in {}", folder.path().display());
        }
        let made = retry(|| {
            let address = free_port(tracker::ADDRESS).map_err(|error| error.to_string())?;
            let torrents = fixtures::make(
                &python,
                fixtures,
                folder.path(),
                &format!("{scheme}://{address}/announce"),
            )?;
            let tracker = Tracker::start(tracker, &path, address, &torrents, folder.path())?;
            Ok((torrents, tracker))
        });
        let (torrents, tracker) = made.expect("torrents and their tracker");
        Some(Self { tracker, torrents, folder, folders: AtomicU32::new(0) })
    }

    /// A folder that nobody else has.
    pub fn new_folder(&self, name: &str) -> PathBuf {
        let number = self.folders.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder.path().join(format!("{name}-{number}"));
        fs::create_dir_all(&folder).expect("a folder below the temporary one");
        folder
    }

    /// Where the content of the torrents lies, whole.
    pub fn content(&self) -> PathBuf {
        self.folder.path().join("content")
    }

    /// A place for a download, where nothing is yet.
    pub fn out(&self, torrent: &Torrent, how: How) -> PathBuf {
        self.new_folder(how.label().trim_start_matches('.')).join(torrent.fixture.label)
    }

    /// Downloads a torrent and compares what arrived with what was seeded.
    pub fn download(
        &self,
        torrent: &Torrent,
        how: How,
        peers: &[SocketAddrV4],
    ) -> Result<Finished, String> {
        let out = self.out(torrent, how);
        let finished =
            Download::start(torrent, how, peers, &out)?.finish(Duration::from_secs(60))?;
        torrent.fixture.compare(&out)?;
        Ok(finished)
    }

    /// Starts a client that seeds every torrent.
    pub fn seed(&self, program: Program, path: &Path, terms: &Terms) -> Result<Client, String> {
        let copy = || {
            // A client that thinks little of a torrent's data may write to it.
            let copy = self.new_folder("copy");
            self.torrents.iter().for_each(|torrent| torrent.fixture.write(&copy, &(0..u64::MAX)));
            copy
        };
        let content = terms.content.clone().unwrap_or_else(copy);
        self.join(program, path, &self.torrents, &Terms { content: Some(content), ..terms.clone() })
    }

    /// Starts a client that makes what it can of the content that it has.
    pub fn join(
        &self,
        program: Program,
        path: &Path,
        torrents: &[Torrent],
        terms: &Terms,
    ) -> Result<Client, String> {
        let home = self.new_folder(program.name());
        let content = terms.content.clone().unwrap_or_else(|| home.join("content"));
        fs::create_dir_all(&content).map_err(|error| error.to_string())?;
        let &Terms { how, upload_limit, address, .. } = terms;
        Client::start(
            program,
            path,
            &Order { content: &content, torrents, how, upload_limit, address, home: &home },
        )
    }

    /// Waits until the tracker knows a torrent from so many peers.
    pub fn await_announces(&self, torrent: &Torrent, count: u64) -> Result<(), String> {
        wait_for(Duration::from_secs(20), "the clients to announce themselves", || {
            match self.tracker.announced_by(&torrent.info_hash)? {
                enough if enough >= count => Ok(()),
                few => Err(format!("{few} of {count} did")),
            }
        })
    }
}

/// What a client holds, and on which terms.
#[derive(Clone, Default)]
pub struct Terms {
    /// Instead of a whole copy of its own for a seeder, and nothing for another.
    pub content: Option<PathBuf>,
    /// What it is told.
    pub how: How,
    pub upload_limit: Option<u64>,
    /// Instead of the client's usual one.
    pub address: Option<Ipv4Addr>,
}
