//! `piecemeal magnet_handshake`: both handshakes with a peer of a magnet link. (stage 7)

use piecemeal::s05_messages::connection::Connection;
use piecemeal::s07_extension::extension::{Extension, Reply};
use piecemeal::s07_extension::{BoxError, EXTENSION_BIT, Extensions, exchange_extensions};
use serde_json::json;

use crate::cli::ask_peers::dial;
use crate::cli::failure::Failure;
use crate::cli::magnet_link::read;
use crate::cli::magnet_peers::{start, tell_broken_keys};
use crate::cli::{Answer, Options};

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
        let deadline = options.deadline();
        let magnet = read(&self.magnet, options)?;
        let (ours, search) = start(&magnet, options, deadline)?;
        let say = options.narrator();
        let (peer_id, id) = search.ask(deadline, move |peer| {
            let mut connection = Connection::open(&*dial(), peer, &ours, deadline)?;
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
