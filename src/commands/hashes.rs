//! `piecemeal hashes`: the hashes of a file's pieces, from a peer, proved. (stage 24)

use std::path::PathBuf;

use piecemeal::s01_bencode::counted;
use piecemeal::s03_tracker::reach::NamedBy;
use piecemeal::s03_tracker::{AnnounceRequest, PeerId};
use piecemeal::s04_handshake::Handshake;
use piecemeal::s05_messages::connection::Connection;
use piecemeal::s24_hash_transfer::one_peer::fetch_layer;
use serde_json::json;

use crate::cli::ask_peers::dial;
use crate::cli::failure::Failure;
use crate::cli::find_peers::search;
use crate::cli::layer_of::layer_of;
use crate::cli::torrent_file::open;
use crate::cli::{Answer, Options};

/// Fetch the hashes of a file's pieces from a peer, and prove them (stage 24)
#[derive(clap::Args)]
#[command(after_help = "Example:\n  piecemeal hashes lab/v2.torrent 127.0.0.2:6881")]
pub struct Args {
    /// The file, by its path in the torrent; the first one that has such hashes if none is named
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// The .torrent file, of version 2 or a hybrid
    torrent: PathBuf,
    /// The peer
    #[arg(value_name = "HOST:PORT", value_parser = crate::cli::address)]
    peer: String,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let (deadline, say) = (options.deadline(), options.narrator());
        let info = open(&self.torrent, options)?.info;
        let wanted = layer_of(&info, self.file.as_deref())
            .map_err(|failure| failure.about(self.torrent.display()))?;
        say.say(24, format!("the root of {} is {}", wanted.path.display(), wanted.layer.root));
        // By the name of version 2: by the other one, nobody may ask for hashes.
        let ours = Handshake::new(wanted.info_hash, PeerId::random());
        let ask = AnnounceRequest::new(ours.info_hash, ours.peer_id, 1); // for a search without trackers
        let layer = wanted.layer;
        let hashes = search(Vec::new(), vec![(self.peer, NamedBy::User)], &ask, deadline, say)
            .ask(deadline, move |peer| {
                let mut connection = Connection::open(&*dial(), peer, &ours, deadline)?;
                let tell = |step| say.say(24, format!("{peer}: {step}"));
                Ok(fetch_layer(&mut connection, layer, deadline, &tell)?)
            })?;
        let found = counted(hashes.len(), if layer.piece_layer == 0 { "block" } else { "piece" });
        say.say(24, format!("the hashes of {found} are known, and all of them lead to the root"));
        let lines: Vec<String> = hashes.iter().map(ToString::to_string).collect();
        let json = json!({
            "path": wanted.path.to_string_lossy(), "pieces_root": layer.root.to_string(),
            "layer": layer.piece_layer, "hashes": lines,
        });
        Ok(Answer { text: lines.join("\n"), json })
    }
}
