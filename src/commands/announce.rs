//! `piecemeal announce`: tell the trackers that we are here, until Ctrl-C. (stage 13)

use std::path::PathBuf;
use std::time::Duration;

use piecemeal::s03_tracker::{DEFAULT_PORT, PeerId};

use crate::cli::announce_story::tell;
use crate::cli::announcers::{Ourselves, announcers, no_tracker};
use crate::cli::failure::Failure;
use crate::cli::interrupt::interrupt;
use crate::cli::magnet_link::{names, read};
use crate::cli::magnet_peers::tell_link;
use crate::cli::torrent_file::open;
use crate::cli::{Answer, Options};

/// Announce to a torrent's trackers, until Ctrl-C (stage 13)
#[derive(clap::Args)]
#[command(after_help = "Example, which Ctrl-C ends:\n  piecemeal announce lab/sample.torrent")]
pub struct Args {
    /// Say that we listen at this port
    #[arg(long, value_name = "N", default_value_t = DEFAULT_PORT, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// Say that we have everything, as a seed does
    #[arg(long)]
    seed: bool,
    /// The .torrent file, or the magnet link in quotes
    #[arg(value_name = "TORRENT|MAGNET")]
    torrent: PathBuf,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let stop = interrupt()?;
        let link =
            self.torrent.to_str().filter(|text| text.to_ascii_lowercase().starts_with("magnet:"));
        let (torrent, length, tiers) = if let Some(link) = link {
            let magnet = read(link, options)?;
            let torrent = names(&magnet)?;
            tell_link(&magnet, torrent.first(), options.narrator());
            // Nobody knows the length yet, so 1 byte is missing: enough to be no seed.
            (torrent, 1, magnet.trackers.into_iter().map(|url| vec![url]).collect())
        } else {
            let metainfo = open(&self.torrent, options)?;
            (metainfo.info.names, metainfo.info.length, metainfo.tiers)
        };
        // A second chance while there is time for one, but no flood of requests.
        let retry = options.timeout.map_or(Duration::MAX, |time| time / 4);
        let retry = retry.clamp(Duration::from_millis(500), Duration::from_secs(15));
        let we = Ourselves {
            names: torrent,
            peer_id: PeerId::random(),
            port: self.port,
            gives: self.seed,
            retry,
        };
        let sources = announcers(tiers, &we, options);
        if sources.is_empty() {
            return Err(no_tracker(link.is_some()));
        }
        let left = if self.seed { 0 } else { length.max(1) };
        tell(sources, &we, left, &stop, options)
    }
}
