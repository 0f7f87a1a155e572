//! `piecemeal lsd_peers`: ask the local network who has the torrent. (stage 20)

use std::net::IpAddr;
use std::path::PathBuf;

use piecemeal::s03_tracker::DEFAULT_PORT;
use piecemeal::s20_lsd::allowed;

use crate::cli::failure::Failure;
use crate::cli::listening::ip;
use crate::cli::local_discovery::rooms;
use crate::cli::magnet_link::{names, read};
use crate::cli::neighbors_story::tell;
use crate::cli::torrent_file::open;
use crate::cli::{Answer, Options};

/// Find peers on the local network, without a tracker (stage 20)
#[derive(clap::Args)]
#[command(after_help = "Example:\n  piecemeal lsd_peers lab/sample.torrent")]
pub struct Args {
    /// Say that we listen at this port
    #[arg(long, value_name = "N", default_value_t = DEFAULT_PORT, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// Ask only the network of this address of this computer
    #[arg(long, value_name = "IP", value_parser = ip)]
    bind: Option<IpAddr>,
    /// The .torrent file, or the magnet link in quotes
    #[arg(value_name = "TORRENT|MAGNET")]
    torrent: PathBuf,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let deadline = options.deadline();
        let link =
            self.torrent.to_str().filter(|text| text.to_ascii_lowercase().starts_with("magnet:"));
        let info_hash = if let Some(link) = link {
            names(&read(link, options)?)?.first()
        } else {
            let info = open(&self.torrent, options)?.info;
            let private = |error| Failure::from(error).about(self.torrent.to_string_lossy());
            allowed(&info).map_err(private)?;
            info.info_hash
        };
        let say = options.narrator();
        say.say(20, "asking the local network: one datagram reaches all who listen there");
        tell(rooms(self.bind)?, (info_hash, self.port), deadline, options)
    }
}
