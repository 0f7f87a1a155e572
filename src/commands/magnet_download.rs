//! `piecemeal magnet_download`: all of a torrent, starting from a magnet link. (stage 15)

use piecemeal::s03_tracker::PeerId;
use piecemeal::s15_swarm::Plan;

use super::download::add_sources;
use crate::cli::failure::Failure;
use crate::cli::magnet_link::{names, read};
use crate::cli::magnet_peers::tell_link;
use crate::cli::named::Named;
use crate::cli::run_download::{DownloadOptions, need_sources, run_download};
use crate::cli::{Answer, Options};

/// Download all of a magnet link's torrent (stage 15)
#[derive(clap::Args)]
#[command(after_help = concat!(
    "Example:\n  piecemeal magnet_download -o sample.txt --peer 127.0.0.2:6881 \\\n",
    "    'magnet:?xt=urn:btih:cda492889448d540ee036365137eedd24308d22c'"
))]
pub struct Args {
    #[command(flatten)]
    pub wanted: DownloadOptions,
    #[command(flatten)] // upload_options is plugged in
    pub uploads: crate::cli::upload_options::DownloadUploads, // plugged in
    /// The magnet link, in quotes
    pub magnet: String,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let magnet = read(&self.magnet, options)?;
        let mut plan = Plan::new(names(&magnet)?, None, PeerId::random());
        tell_link(&magnet, plan.names.first(), options.narrator());
        self.uploads.plug(&mut plan, options)?; // upload_options is plugged in
        let tiers = magnet.trackers.iter().map(|url| vec![url.clone()]).collect();
        let linked = magnet.peers.iter().map(ToString::to_string).collect();
        add_sources(&mut plan, Named { tiers, linked, ..Named::default() }, options);
        need_sources(&plan, &magnet, options)?;
        run_download(plan, &self.wanted, &self.magnet, options)
    }
}
