//! `piecemeal handshake`: shake hands with one peer. (stage 4)

use std::path::PathBuf;

use piecemeal::s03_tracker::reach::NamedBy;
use piecemeal::s03_tracker::{AnnounceRequest, PeerId};
use piecemeal::s04_handshake::{Handshake, HandshakeError, exchange};
use serde_json::json;

use crate::cli::ask_peers::dial;
use crate::cli::failure::Failure;
use crate::cli::find_peers::search;
use crate::cli::torrent_file::open;
use crate::cli::{Answer, Options};

/// Shake hands with a peer (stage 4)
#[derive(clap::Args)]
#[command(after_help = "Example:\n  piecemeal handshake lab/sample.torrent 127.0.0.2:6881")]
pub struct Args {
    /// The .torrent file
    torrent: PathBuf,
    /// The peer
    #[arg(value_name = "HOST:PORT", value_parser = crate::cli::address)]
    peer: String,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let deadline = options.deadline();
        let info = open(&self.torrent, options)?.info;
        let ours = Handshake::new(info.info_hash, PeerId::random());
        let ask = AnnounceRequest::new(ours.info_hash, ours.peer_id, 1); // for a search without trackers
        let say = options.narrator();
        let theirs = search(Vec::new(), vec![(self.peer, NamedBy::User)], &ask, deadline, say)
            .ask(deadline, move |peer| {
                let mut transport = dial().dial(peer, deadline).map_err(HandshakeError::from)?;
                Ok(exchange(&mut transport, &ours, &info.names)?)
            })?;
        say.say(
            4,
            "the peer has answered with the same info hash: it has this torrent, or wants it",
        );
        let reserved = hex::encode(theirs.reserved);
        Ok(Answer {
            text: format!("Peer ID: {}", theirs.peer_id),
            json: json!({ "peer_id": theirs.peer_id.to_string(), "reserved": reserved }),
        })
    }
}
