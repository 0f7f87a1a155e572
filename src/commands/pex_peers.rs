//! `piecemeal pex_peers`: the peers that one peer names. (stage 19)

use std::path::PathBuf;

use piecemeal::s01_bencode::counted;
use piecemeal::s03_tracker::reach::NamedBy;
use piecemeal::s03_tracker::{AnnounceRequest, PeerId};
use piecemeal::s04_handshake::Handshake;
use piecemeal::s05_messages::connection::Connection;
use piecemeal::s07_extension::{EXTENSION_BIT, Extensions, exchange_extensions};
use piecemeal::s19_pex::one_peer::wait_for_peers;
use piecemeal::s19_pex::{Gossip, UtPex};
use serde_json::{Value, json};

use crate::cli::ask_peers::dial;
use crate::cli::failure::Failure;
use crate::cli::failure::s19::private;
use crate::cli::find_peers::search;
use crate::cli::magnet_peers::tell_broken_keys;
use crate::cli::torrent_file::open;
use crate::cli::{Answer, Options};

/// Hear from one peer who its other peers are (stage 19)
#[derive(clap::Args)]
#[command(after_help = "Example:\n  piecemeal pex_peers lab/sample.torrent 127.0.0.2:6881")]
pub struct Args {
    /// The .torrent file
    torrent: PathBuf,
    /// The peer
    #[arg(value_name = "HOST:PORT", value_parser = crate::cli::address)]
    peer: String,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let (deadline, say) = (options.deadline(), options.narrator());
        let info = open(&self.torrent, options)?.info;
        if info.private {
            return Err(private(&self.torrent));
        }
        let ours = Handshake::new(info.info_hash, PeerId::random()).with_bit(EXTENSION_BIT);
        let ask = AnnounceRequest::new(ours.info_hash, ours.peer_id, 1); // for a search without trackers
        let named = search(Vec::new(), vec![(self.peer, NamedBy::User)], &ask, deadline, say)
            .ask(deadline, move |peer| {
                let mut connection = Connection::open(&*dial(), peer, &ours, deadline)?;
                // We have nobody to tell it of.
                let pex = UtPex::new(Gossip::new(Vec::new), peer, connection.theirs.peer_id);
                let mut extensions = Extensions::new(vec![Box::new(pex)]);
                exchange_extensions(&mut connection, &mut extensions)?;
                tell_broken_keys(peer, &mut extensions, say);
                say.say(19, format!("{peer} cannot be asked for its peers: it names them on its own, at first within seconds and later once a minute"));
                Ok(wait_for_peers(&mut connection, &mut extensions, deadline)?)
            })?;
        for what in &named.passed_over {
            say.say(19, what);
        }
        let lines: Vec<String> =
            named.added.iter().map(|(address, _)| address.to_string()).collect();
        say.say(19, format!("it names {}", counted(lines.len(), "peer")));
        let peers: Value = named
            .added
            .iter()
            .map(|(address, flags)| json!({ "address": address.to_string(), "flags": flags.names() }))
            .collect();
        let dropped: Value = named.dropped.iter().map(ToString::to_string).collect();
        Ok(Answer { text: lines.join("\n"), json: json!({ "peers": peers, "dropped": dropped }) })
    }
}
