//! `piecemeal handshake`: shake hands with one peer. (stage 4)

use std::io::ErrorKind;
use std::path::PathBuf;

use piecemeal::s03_tracker::reach::NamedBy;
use piecemeal::s03_tracker::{Announce, PeerId};
use piecemeal::s04_handshake::{Handshake, HandshakeError, exchange};
use serde_json::json;

use super::asking::dial;
use super::failure::{Failure, MORE_TIME, NO_PEER};
use super::find_peers::search;
use super::opening::open;
use super::{Answer, Options};

/// Shake hands with a peer (stage 4)
#[derive(clap::Args)]
#[command(after_help = "Example:\n  piecemeal handshake lab/sample.torrent 127.0.0.2:6881")]
pub struct Args {
    /// The .torrent file
    torrent: PathBuf,
    /// The peer
    #[arg(value_name = "HOST:PORT", value_parser = super::address)]
    peer: String,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let until = options.deadline();
        let info = open(&self.torrent, options)?.info;
        let ours = Handshake::new(info.info_hash, PeerId::random());
        let ask = Announce::new(ours.info_hash, ours.peer_id, 1); // for a search without trackers
        let say = options.narrator();
        let theirs = search(Vec::new(), vec![(self.peer, NamedBy::User)], &ask, until, say).ask(until, move |peer| {
            let mut transport = dial().dial(peer, until).map_err(HandshakeError::from)?;
            Ok(exchange(&mut transport, &ours)?)
        })?;
        say.say(4, "the peer has answered with the same info hash: it has this torrent, or wants it");
        let reserved = hex::encode(theirs.reserved);
        Ok(Answer {
            text: format!("Peer ID: {}", theirs.peer_id),
            json: json!({ "peer_id": theirs.peer_id.to_string(), "reserved": reserved }),
        })
    }
}

impl From<HandshakeError> for Failure {
    fn from(error: HandshakeError) -> Failure {
        let help = match error {
            HandshakeError::OtherProtocol { .. } => "this is not a BitTorrent peer; check the address and the port",
            HandshakeError::OtherTorrent { .. } | HandshakeError::HungUp => "the peer may not have this torrent; try another",
            HandshakeError::Ourselves => "that is our own address; try another",
            HandshakeError::Io(ref error) if error.kind() == ErrorKind::TimedOut => MORE_TIME,
            HandshakeError::Io(_) => "nothing listens there: check the address, or try another; is the lab running?",
        };
        Failure::new(NO_PEER, error).help(help).see("04-handshake")
    }
}
