//! `piecemeal download_from`: all of a torrent from one peer, on one thread. (stage 12)

use std::path::PathBuf;
use std::sync::Arc;

use piecemeal::s01_bencode::printable;
use piecemeal::s03_tracker::reach::NamedBy;
use piecemeal::s03_tracker::{AnnounceRequest, PeerId};
use piecemeal::s04_handshake::Handshake;
use piecemeal::s05_messages::FAST_BIT;
use piecemeal::s05_messages::bitfield::Bitfield;
use piecemeal::s05_messages::connection::Connection;
use piecemeal::s07_extension::EXTENSION_BIT;
use piecemeal::s11_work_queue::WorkQueue;
use piecemeal::s12_session::host::Torrent;
use serde_json::json;

use crate::cli::ask_peers::dial;
use crate::cli::failure::Failure;
use crate::cli::find_peers::search;
use crate::cli::interrupt::interrupt;
use crate::cli::output_options::OutputOptions;
use crate::cli::torrent_file::open_whole;
use crate::cli::{Answer, Options, one_session};

/// Download all of a torrent from one peer, on one thread (stage 12)
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  piecemeal download_from -o sample.txt lab/sample.torrent 127.0.0.2:6881"
)]
pub struct Args {
    #[command(flatten)]
    to: OutputOptions,
    /// The .torrent file
    torrent: PathBuf,
    /// The peer
    #[arg(value_name = "HOST:PORT", value_parser = crate::cli::address)]
    peer: String,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let (info, stop) = (Arc::new(open_whole(&self.torrent, options)?.info), interrupt()?);
        let output = self.to.open(&info, &stop, options)?;
        let all = Bitfield::full(info.piece_count());
        let queue = WorkQueue::new(Arc::clone(&info), &output.have, &all);
        let torrent =
            Arc::new(Torrent { queue, store: output.storage.clone(), upload_only: false });
        if !torrent.queue.is_complete() {
            let ours = Handshake::new(info.info_hash, PeerId::random())
                .with_bit(EXTENSION_BIT)
                .with_bit(FAST_BIT);
            let ask = AnnounceRequest::new(ours.info_hash, ours.peer_id, 1); // for a search without trackers
            let (deadline, say) = (options.deadline(), options.narrator());
            let connection =
                search(Vec::new(), vec![(self.peer, NamedBy::User)], &ask, deadline, say)
                    .ask(deadline, move |peer| {
                        Ok(Connection::open(&*dial(), peer, &ours, deadline)?)
                    })?;
            one_session::run(connection, &torrent, stop, options)?;
        }
        output.complete()?;
        let (source, place) = (self.torrent.to_string_lossy(), self.to.output.to_string_lossy());
        Ok(Answer {
            text: format!("Downloaded {} to {}.", printable(&source), printable(&place)),
            json: json!({ "output": place, "bytes": info.length }),
        })
    }
}
