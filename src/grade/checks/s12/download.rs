//! A download from one peer, and what must be at the output then.

use std::net::SocketAddr;

use crate::actors::torrent::{Recipe, Torrent};
use crate::grade::check::Finding;
use crate::grade::checks::s09::{content, said};
use crate::grade::miss::Miss;
use crate::grade::outcome::Outcome;
use crate::grade::process::Running;
use crate::grade::scene::Scene;

/// The most seconds of a run. Each takes less than one, and some mistakes end only here.
const LIMIT: u64 = 12;

/// A torrent, and the output for it.
pub(super) struct Download {
    pub torrent: Torrent,
    pub out: String,
    /// The torrent's own name, if it is of several files.
    name: String,
    /// The .torrent file. Its tracker knows nobody: the peer comes from the command line.
    file: String,
    /// The files below the output; none if the output is the file.
    files: Vec<(String, Vec<u8>)>,
}

impl Download {
    /// Takes a torrent of one file.
    pub fn of(scene: &mut Scene, torrent: Torrent) -> Result<Download, Miss> {
        let tracker = scene.tracker_of(&[])?.url();
        let file = scene.torrent_file(&torrent, &tracker)?;
        scene.within(LIMIT);
        let out = scene.dice.word(7);
        Ok(Download { torrent, out, name: String::new(), file, files: Vec::new() })
    }

    /// Makes a torrent of one file, of this many pieces.
    pub fn of_pieces(scene: &mut Scene, pieces: usize) -> Result<Download, Miss> {
        let torrent = scene.torrent(pieces);
        Download::of(scene, torrent)
    }

    /// Makes a torrent of these files: each a path, and a length.
    pub fn of_files(scene: &mut Scene, files: &[(String, usize)]) -> Result<Download, Miss> {
        let files: Vec<(String, Vec<u8>)> =
            files.iter().map(|(path, length)| (path.clone(), scene.dice.bytes(*length))).collect();
        let recipe: Vec<(&str, Vec<u8>)> =
            files.iter().map(|(path, data)| (path.as_str(), data.clone())).collect();
        let name = scene.dice.word(8);
        let torrent = Recipe::files(&name, 32_768, &recipe).build();
        Ok(Download { name, files, ..Download::of(scene, torrent)? })
    }

    /// Runs `download_from` to its end.
    pub fn run(&self, scene: &Scene, peer: SocketAddr) -> Result<Outcome, Miss> {
        scene.run(&self.arguments(scene, peer))
    }

    /// Starts `download_from`.
    pub fn start(&self, scene: &Scene, peer: SocketAddr) -> Result<Running, Miss> {
        scene.start(&self.arguments(scene, peer))
    }

    fn arguments(&self, scene: &Scene, peer: SocketAddr) -> [String; 5] {
        let out = scene.path(&self.out).to_string_lossy().into_owned();
        ["download_from".into(), "-o".into(), out, self.file.clone(), peer.to_string()]
    }

    /// Runs it, and insists that everything is there then.
    pub fn fetched(&self, scene: &Scene, peer: SocketAddr) -> Finding {
        let outcome = self.run(scene, peer)?;
        let finding = outcome.succeeds().and_then(|_| self.is_there(scene));
        finding.map_err(|miss| said::explained(miss, &scene.recordings(), &self.torrent))
    }

    /// Says which file cannot be read.
    fn missing(&self, scene: &Scene, path: &str, miss: Miss) -> Miss {
        let miss = miss.detail(format!("expected OUT/{path}"));
        if scene.path(format!("{}/{}/{path}", self.out, self.name)).exists() {
            return miss
                .likely("OUT takes the place of the torrent's name: each path is right below it");
        }
        miss
    }

    /// Insists that everything is there, and right.
    pub fn is_there(&self, scene: &Scene) -> Finding {
        if self.files.is_empty() {
            return content::is("the file", &self.torrent.content, &scene.output(&self.out)?);
        }
        self.files.iter().try_for_each(|(path, data)| {
            let found = scene.output(&format!("{}/{path}", self.out));
            let found = found.map_err(|miss| self.missing(scene, path, miss))?;
            content::is(&format!("OUT/{path}"), data, &found)
        })
    }
}
