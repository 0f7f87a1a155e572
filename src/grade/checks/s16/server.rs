//! The learner's client while it gives: started, dialed, and asked whether it still lives.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::taker::{Taker, blocks};
use crate::actors::line::Line;
use crate::actors::torrent::Torrent;
use crate::actors::tracker::FakeTracker;
use crate::actors::wire;
use crate::grade::check::Finding;
use crate::grade::miss::Miss;
use crate::grade::process::Running;
use crate::grade::scene::Scene;
use crate::s01_bencode::counted;

/// How long it may take until it listens, beside the time that the program needs to start.
const START: Duration = Duration::from_secs(12);
/// How long each answer may take, beside that time.
const PATIENCE: Duration = Duration::from_secs(6);

/// The time from the end of a program's connections to the end of the program.
const LAST_MOMENT: Duration = Duration::from_millis(500);

/// `serve` or `seed`, running.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it gives.
    pub torrent: Arc<Torrent>,
    /// The torrent's tracker, which names nobody.
    pub tracker: Arc<FakeTracker>,
    /// The content on disk: a file.
    pub content: PathBuf,
    /// How long each answer may take.
    pub patience: Duration,
    command: &'static str,
    running: Option<Running>,
}

impl Server {
    /// Starts it with all of a torrent of one file.
    pub fn of(scene: &mut Scene, command: &'static str, torrent: &Torrent) -> Result<Server, Miss> {
        Server::with(scene, command, torrent, &torrent.content)
    }

    /// Starts it with these bytes as the content of a torrent of one file.
    pub fn with(
        scene: &mut Scene,
        command: &'static str,
        torrent: &Torrent,
        content: &[u8],
    ) -> Result<Server, Miss> {
        let name = file_name(scene);
        let path = scene.file(&name, content)?;
        Server::at(scene, command, torrent, Path::new(&path))
    }

    /// Starts `seed` with all of a torrent of one file, and these bytes a second for all peers.
    pub fn limited(scene: &mut Scene, torrent: &Torrent, rate: usize) -> Result<Server, Miss> {
        let name = file_name(scene);
        let path = scene.file(&name, &torrent.content)?;
        let options = ["--max-upload", &rate.to_string()];
        Server::start(scene, "seed", &options, torrent, Path::new(&path))
    }

    /// Starts it with the content at this path.
    pub fn at(
        scene: &mut Scene,
        command: &'static str,
        torrent: &Torrent,
        content: &Path,
    ) -> Result<Server, Miss> {
        Server::start(scene, command, &[], torrent, content)
    }

    fn start(
        scene: &mut Scene,
        command: &'static str,
        options: &[&str],
        torrent: &Torrent,
        content: &Path,
    ) -> Result<Server, Miss> {
        let port = scene.free_port()?;
        let tracker = scene.tracker_of(&[])?;
        let file = scene.torrent_file(torrent, &tracker.url())?;
        let (port_word, path) = (port.to_string(), content.to_string_lossy());
        let words = [&[command, "--port", &port_word], options, &[&file, &path]].concat();
        let running = scene.start(&words)?;
        Ok(Server {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            torrent: Arc::new(torrent.clone()),
            tracker,
            content: content.to_path_buf(),
            patience: PATIENCE + scene.start_time(),
            command,
            running: Some(running),
        })
    }

    /// Connects, as soon as it listens.
    ///
    /// # Errors
    /// If it does not, or has ended.
    pub fn dial(&mut self, scene: &mut Scene) -> Result<Line, Miss> {
        let begun = Instant::now();
        loop {
            let error = match scene.dial(self.address) {
                Ok(line) => return Ok(line),
                Err(error) => error,
            };
            self.is_alive()?;
            if begun.elapsed() > self.patience + START - PATIENCE {
                let port = self.address.port();
                let seconds = begun.elapsed().as_secs_f64();
                return Err(Miss::new(format!(
                    "`{} --port {port}` does not listen: after {seconds:.1} s, {error}",
                    self.command
                ))
                .likely(
                    "bind the port of --port at 127.0.0.1 or at 0.0.0.0, and accept in a loop",
                ));
            }
            sleep(Duration::from_millis(20));
        }
    }

    /// Connects and shakes hands.
    ///
    /// # Errors
    /// If no handshake comes back.
    pub fn visit(&mut self, scene: &mut Scene) -> Result<Taker, Miss> {
        self.visit_with(scene, [0; 8])
    }

    /// The same, with these reserved bytes.
    ///
    /// # Errors
    /// If no handshake comes back.
    pub fn visit_with(&mut self, scene: &mut Scene, reserved: [u8; 8]) -> Result<Taker, Miss> {
        let mut line = self.dial(scene)?;
        let hello = wire::handshake(reserved, self.torrent.info_hash, scene.dice.peer_id());
        let _ = line.send(&hello);
        match line.handshake(self.patience) {
            Ok(theirs) => Ok(Taker::new(line, theirs, self.torrent.clone(), self.patience)),
            Err(came) => {
                // A program that ends takes its connections with it, a moment before it is over.
                let begun = Instant::now();
                while line.is_closed() && begun.elapsed() < LAST_MOMENT {
                    self.is_alive()?;
                    sleep(Duration::from_millis(20));
                }
                Err(no_handshake(&line, &came))
            }
        }
    }

    /// Insists that a further peer is served, after what another did.
    ///
    /// # Errors
    /// If it is not.
    pub fn serves_on(&mut self, scene: &mut Scene, after: &str) -> Finding {
        let come_after = |miss: Miss| miss.detail(format!("this peer came after {after}"));
        let mut taker = self.visit(scene).map_err(|miss| {
            come_after(miss).rather(format!(
                "{after}: that ends one connection, and nothing else; catch the error, close the \
                 socket, and accept the next"
            ))
        })?;
        taker.waits_for_slot().map_err(come_after)?;
        taker.takes(blocks(&self.torrent, 0)[..1].to_vec(), 1).map_err(come_after)
    }

    /// Insists that it has not ended.
    ///
    /// # Errors
    /// If it has.
    pub fn is_alive(&mut self) -> Finding {
        let over = self.running.as_mut().is_none_or(Running::is_over);
        match self.running.take_if(|_| over).map(Running::finish) {
            None if over => Err(Miss::new(format!("`{}` has ended", self.command))),
            None => Ok(()),
            Some(outcome) => Err(outcome.succeeds().err().unwrap_or_else(|| {
                Miss::new(format!("`{}` ended, and was to give until it is stopped", self.command))
                    .likely("accept in a loop, for as long as the program runs")
            })),
        }
    }

    /// Waits until the condition holds; says whether it does.
    pub fn wait_for(&mut self, mut holds: impl FnMut(&Server) -> bool) -> bool {
        let begun = Instant::now();
        while !holds(self) {
            if begun.elapsed() > self.patience || self.is_alive().is_err() {
                return holds(self);
            }
            sleep(Duration::from_millis(10));
        }
        true
    }

    /// Asks it to end, as Ctrl-C does.
    ///
    /// # Errors
    /// If its exit code is not 0.
    pub fn ends_politely(&mut self) -> Finding {
        self.is_alive()?;
        match self.running.take().map(Running::interrupt) {
            None => Ok(()),
            Some(outcome) => outcome.succeeds().map(drop).map_err(|miss| {
                miss.likely("Ctrl-C is the usual end of this command: catch SIGINT, and end with 0")
            }),
        }
    }
}

/// Returns a name for the content.
fn file_name(scene: &mut Scene) -> String {
    format!("{}.bin", scene.dice.word(6))
}

/// Says what came instead of a handshake.
fn no_handshake(line: &Line, came: &[u8]) -> Miss {
    let end = if line.is_closed() { "the connection was ended" } else { "nothing more came" };
    Miss::new(format!("the peer said its handshake, and got {} of 68 bytes", came.len()))
        .instead("68 bytes", format!("{}, then {end}", counted(came.len() as u64, "byte")))
        .likely(
            "the side that was dialed reads the other's handshake, compares the info hash, and \
             answers with its own",
        )
}
