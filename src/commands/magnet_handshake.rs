//! `piecemeal magnet_handshake`: both handshakes with a peer of a magnet link. (stage 7)

use std::time::Instant;

use piecemeal::s03_tracker::{Announce, PeerId};
use piecemeal::s04_handshake::Handshake;
use piecemeal::s04_handshake::transport::Tcp;
use piecemeal::s05_messages::connection::Connection;
use piecemeal::s06_magnet::Magnet;
use piecemeal::s07_extension::{BoxError, EXTENSION_BIT, Extension, ExtensionError, Extensions, Reply, exchange_extensions};
use serde_json::json;

use super::failure::{Failure, NO_PEER};
use super::find_peers::{Search, search};
use super::{Answer, Options};

/// Exchange both handshakes with a peer (stage 7)
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  piecemeal magnet_handshake 'magnet:?xt=urn:btih:cda492889448d540ee036365137eedd24308d22c&x.pe=127.0.0.2:6881'"
)]
pub struct Args {
    /// The magnet link, in quotes
    magnet: String,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let until = options.deadline();
        let magnet = Magnet::parse(&self.magnet)?;
        let (ours, search) = start(&magnet, options, until)?;
        let (peer_id, id) = search.ask(until, move |peer| {
            let mut connection = Connection::open(&Tcp, peer, &ours, until)?;
            let mut extensions = Extensions::new(vec![Box::new(NamesOnly)]);
            if connection.theirs.has_bit(EXTENSION_BIT) {
                exchange_extensions(&mut connection, &mut extensions)?;
            }
            Ok((connection.theirs.peer_id, extensions.theirs.id(NamesOnly.name())))
        })?;
        let mut text = format!("Peer ID: {peer_id}");
        text.extend(id.map(|id| format!("\nPeer Metadata Extension ID: {id}")));
        Ok(Answer { text, json: json!({ "peer_id": peer_id.to_string(), "ut_metadata": id }) })
    }
}

/// The search for peers of a magnet link, and the handshake for them.
pub fn start(magnet: &Magnet, options: &Options, until: Instant) -> Result<(Handshake, Search), Failure> {
    let ours = Handshake::new(magnet.need_info_hash()?, PeerId::random()).with_bit(EXTENSION_BIT);
    if magnet.trackers.is_empty() && magnet.peers.is_empty() && options.peers.is_empty() {
        let failure = Failure::new(NO_PEER, "the magnet link names no tracker and no peer");
        return Err(failure.help("give a peer with --peer HOST:PORT").see("06-magnet"));
    }
    // Nobody knows the length yet, so 1 byte is missing: enough to be no seed.
    let ask = Announce::new(ours.info_hash, ours.peer_id, 1);
    let tiers = magnet.trackers.iter().map(|url| vec![url.clone()]).collect();
    let addresses = options.peers.iter().cloned().chain(magnet.peers.iter().map(ToString::to_string)).collect();
    Ok((ours, search(tiers, addresses, &ask, until)))
}

/// Says that we speak `ut_metadata`, whose messages are stage 8's subject.
struct NamesOnly;

impl Extension for NamesOnly {
    fn name(&self) -> &'static str {
        "ut_metadata"
    }

    fn message(&mut self, _: &[u8], _: &mut Reply) -> Result<(), BoxError> {
        Ok(())
    }
}

impl From<ExtensionError> for Failure {
    fn from(error: ExtensionError) -> Failure {
        Failure::new(NO_PEER, error).help("try another peer: this one cannot give metadata").see("07-extension")
    }
}
