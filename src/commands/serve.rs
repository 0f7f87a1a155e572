//! `piecemeal serve`: a torrent for one peer at a time, on one thread. (stage 16)

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use piecemeal::s01_bencode::counted;
use piecemeal::s03_tracker::PeerId;
use piecemeal::s04_handshake::Handshake;
use piecemeal::s05_messages::FAST_BIT;
use piecemeal::s05_messages::bitfield::Bitfield;
use piecemeal::s07_extension::EXTENSION_BIT;
use piecemeal::s11_work_queue::WorkQueue;
use piecemeal::s12_session::host::Torrent;
use serde_json::json;

use crate::cli::failure::Failure;
use crate::cli::interrupt::interrupt;
use crate::cli::serve_one_by_one::{Server, listen, next_peer};
use crate::cli::torrent_file::open_whole;
use crate::cli::verified_content::verified_content;
use crate::cli::{Answer, Options};

/// Upload a torrent's content to one peer at a time (stage 16)
#[derive(clap::Args)]
#[command(
    after_help = "Example, which Ctrl-C ends:\n  piecemeal serve lab/sample.torrent lab/original/sample.txt"
)]
pub struct Args {
    /// Listen here; 0: any [default: 6881 to 6889, or any]
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Listen at this address of ours
    #[arg(long, value_name = "IP", default_value = "127.0.0.1", value_parser = crate::cli::listening::ip)]
    bind: IpAddr,
    /// End when the first peer has left
    #[arg(long)]
    once: bool,
    /// The .torrent file
    torrent: PathBuf,
    /// Its content: the file, or the folder of several
    content: PathBuf,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let (info, stop) = (Arc::new(open_whole(&self.torrent, options)?.info), interrupt()?);
        let (storage, have) = verified_content(&info, &self.content, &stop, options)?;
        let ours = Handshake::new(info.info_hash, PeerId::random())
            .with_bit(EXTENSION_BIT)
            .with_bit(FAST_BIT);
        let all = Bitfield::full(info.piece_count());
        let (queue, store) = (WorkQueue::new(info, &have, &all), Arc::new(storage));
        let torrent = Torrent { queue, store, upload_only: true };
        let listener = listen(self.bind, self.port, options)?;
        let server = Server::new(ours, torrent, Arc::clone(&stop), options);
        let mut peers = 0;
        while !(self.once && peers > 0)
            && let Some(stream) = next_peer(&listener, &stop)
        {
            peers += u64::from(server.serve(stream));
        }
        let bytes = server.host.counters.uploaded.load(Ordering::Relaxed);
        Ok(Answer {
            text: format!("Gave {} to {}.", counted(bytes, "byte"), counted(peers, "peer")),
            json: json!({ "event": "done", "uploaded": bytes, "peers": peers }),
        })
    }
}
