//! `piecemeal magnet_info`: the info dictionary of a magnet link, from a peer. (stage 8)

use piecemeal::s05_messages::connection::Connection;

use crate::cli::ask_peers::dial;
use crate::cli::failure::Failure;
use crate::cli::info_from::info_from;
use crate::cli::magnet_link::{names, read};
use crate::cli::magnet_peers::start;
use crate::cli::torrent_file::tell_passed_over;
use crate::cli::torrent_text::describe;
use crate::cli::{Answer, Options};

/// Fetch a link's info dictionary and show it (stage 8)
#[derive(clap::Args)]
#[command(after_help = concat!(
    "Example:\n  piecemeal magnet_info --peer 127.0.0.2:6881 \\\n",
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
        let (names, (ours, search)) = (names(&magnet)?, start(&magnet, options, deadline)?);
        let say = options.narrator();
        let info = search.ask(deadline, move |peer| {
            let mut connection = Connection::open(&*dial(), peer, &ours, deadline)?;
            info_from(&mut connection, &names, deadline, say)
        })?;
        tell_passed_over("the info dictionary", &info.passed_over, options);
        describe(&info, magnet.trackers.iter().map(String::as_str), options)
    }
}
