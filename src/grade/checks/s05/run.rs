//! A run of `download_piece` with one peer, and what that peer was sent.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::actors::line::Line;
use crate::actors::peer_plan::Plan;
use crate::actors::recording::Recording;
use crate::actors::torrent::Torrent;
use crate::actors::wire;
use crate::grade::check::Finding;
use crate::grade::checks::peers::{hear_handshake, messages_in, spoken};
use crate::grade::miss::{Miss, ensure};
use crate::grade::outcome::Outcome;
use crate::grade::scene::Scene;

/// A run that is over.
pub struct Run {
    /// The torrent, and the piece that was wanted.
    pub torrent: Arc<Torrent>,
    pub index: usize,
    /// How it ended.
    pub outcome: Outcome,
    /// The requests that came before the unchoke, if the peer has a plan.
    pub hasty: usize,
    /// The targets of the announces.
    pub announces: Vec<String>,
    recordings: Vec<Recording>,
    address: SocketAddr,
}

/// Runs it with a peer that has a plan.
pub fn planned(
    scene: &mut Scene,
    torrent: Torrent,
    index: usize,
    alter: impl FnOnce(Plan) -> Plan,
) -> Result<Run, Miss> {
    let plan = alter(scene.plan(&torrent));
    let peer = scene.peer(plan)?;
    let mut run = download(scene, Arc::new(torrent), index, peer.address())?;
    run.recordings = peer.recordings();
    run.hasty = peer.talks().iter().map(|talk| talk.choked_requests).sum();
    Ok(run)
}

/// Runs it with the usual torrent.
pub fn usual(scene: &mut Scene, alter: impl FnOnce(Plan) -> Plan) -> Result<Run, Miss> {
    let (torrent, index) = middle(scene);
    planned(scene, torrent, index, alter)
}

/// Returns the usual torrent, some pieces of two to four blocks, and a piece from its middle.
pub fn middle(scene: &mut Scene) -> (Torrent, usize) {
    let pieces = scene.dice.length(4, 9);
    (scene.torrent(pieces), scene.dice.length(1, pieces - 2))
}

/// Runs it with a peer that does this after the client's handshake. The script has the peer's
/// handshake to send.
pub fn by_hand(
    scene: &mut Scene,
    torrent: Torrent,
    index: usize,
    script: impl Fn(&mut Line, &Torrent, &[u8]) + Send + Sync + 'static,
) -> Result<Run, Miss> {
    let torrent = Arc::new(torrent);
    let handshake = wire::handshake([0; 8], torrent.info_hash, scene.dice.peer_id());
    let peer = scene.scripted({
        let torrent = torrent.clone();
        move |line, _| {
            if hear_handshake(line, torrent.info_hash).is_some() {
                script(line, &torrent, &handshake);
            }
        }
    })?;
    let mut run = download(scene, torrent, index, peer.address())?;
    run.recordings = peer.recordings();
    Ok(run)
}

/// Runs it with a peer at this address.
fn download(
    scene: &mut Scene,
    torrent: Arc<Torrent>,
    index: usize,
    address: SocketAddr,
) -> Result<Run, Miss> {
    let tracker = scene.tracker_of(&[address])?;
    let file = scene.torrent_file(&torrent, &tracker.url())?;
    let out = scene.path("piece").to_string_lossy().into_owned();
    let outcome = scene.run_bounded(&["download_piece", "-o", &out, &file, &index.to_string()])?;
    scene.settle();
    let (recordings, announces) = (Vec::new(), tracker.asked());
    Ok(Run { torrent, index, outcome, hasty: 0, announces, recordings, address })
}

impl Run {
    /// Returns the connection on which the client said the most.
    ///
    /// # Errors
    /// If there was none, or no handshake came.
    pub fn connection(&self) -> Result<Recording, Miss> {
        spoken(self.recordings.clone(), self.address, &self.torrent, &self.outcome)
    }

    /// Returns the requests on all connections, up to what is no message.
    pub fn requests(&self) -> Vec<(u32, u32, u32)> {
        let request = |message: Vec<u8>| match message.split_first() {
            Some((&wire::REQUEST, payload)) => wire::three(payload),
            _ => None,
        };
        self.recordings.iter().flat_map(messages_in).filter_map(request).collect()
    }

    /// Insists on a request for the piece.
    ///
    /// # Errors
    /// If there was none.
    pub fn asks(&self) -> Finding {
        self.connection()?;
        let requests = self.requests();
        let asked = requests.iter().any(|(piece, ..)| *piece as usize == self.index);
        ensure(asked, || {
            let what = match requests.first() {
                None => "no request came".to_owned(),
                Some((piece, ..)) => {
                    format!("a request came for piece {piece}, and none for piece {}", self.index)
                }
            };
            with_words(Miss::new(what), &self.outcome)
        })
    }
}

/// Adds what the client last said on stderr, if it did not end well.
pub fn with_words(miss: Miss, outcome: &Outcome) -> Miss {
    match outcome.last_words().filter(|_| outcome.succeeds().is_err()) {
        Some(words) => miss.detail(format!("stderr: {words}")),
        None => miss,
    }
}
