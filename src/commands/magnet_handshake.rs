//! `piecemeal magnet_handshake`: both handshakes with a peer of a magnet link. (stage 7)

use std::net::SocketAddr;

use piecemeal::s05_messages::connection::Connection;
use piecemeal::s07_extension::{BoxError, EXTENSION_BIT, Extension, ExtensionError, Extensions, Reply, exchange_extensions};
use serde_json::json;

use super::asking::dial;
use super::failure::{Failure, MORE_TIME, NO_PEER};
use super::magnet_peers::start;
use super::reading_link::read;
use super::{Answer, Options};
use crate::progress::Narrator;

/// Exchange both handshakes with a peer (stage 7)
#[derive(clap::Args)]
#[command(after_help = concat!(
    "Example:\n  piecemeal magnet_handshake --peer 127.0.0.2:6881 \\\n",
    "    'magnet:?xt=urn:btih:cda492889448d540ee036365137eedd24308d22c'"
))]
pub struct Args {
    /// The magnet link, in quotes
    magnet: String,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let until = options.deadline();
        let magnet = read(&self.magnet, options)?;
        let (ours, search) = start(&magnet, options, until)?;
        let say = options.narrator();
        let (peer_id, id) = search.ask(until, move |peer| {
            let mut connection = Connection::open(&*dial(), peer, &ours, until)?;
            let mut extensions = Extensions::new(vec![Box::new(NamesOnly)]);
            if connection.theirs.has_bit(EXTENSION_BIT) {
                say.say(7, format!("{peer} has also set the extension bit: asking which extensions it has, and by which ids"));
                exchange_extensions(&mut connection, &mut extensions)?;
                tell_broken_keys(peer, &mut extensions, say);
            }
            Ok((connection.theirs.peer_id, extensions.theirs.id(NamesOnly.name())))
        })?;
        let mut text = format!("Peer ID: {peer_id}");
        text.extend(id.map(|id| format!("\nPeer Metadata Extension ID: {id}")));
        Ok(Answer { text, json: json!({ "peer_id": peer_id.to_string(), "ut_metadata": id }) })
    }
}

/// Reports harmless mistakes in the peer's extension handshake.
pub fn tell_broken_keys(peer: SocketAddr, extensions: &mut Extensions, say: Narrator) {
    for what in extensions.take_passed_over() {
        say.say(7, format!("{peer}: {what}"));
    }
}

/// Offers `ut_metadata` by name only: its messages are stage 8's subject.
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
        let late = matches!(&error, ExtensionError::Message(error) if error.is_timeout());
        let help = if late { MORE_TIME } else { "try another peer: this one cannot give metadata" };
        Failure::new(NO_PEER, error).help(help).see("07-extension")
    }
}
