//! `piecemeal download`: all of a torrent, from many peers at once. (stage 15)

use std::path::PathBuf;

use piecemeal::s02_metainfo::Metainfo;
use piecemeal::s03_tracker::PeerId;
use piecemeal::s13_peer_sources::source::Given;
use piecemeal::s15_swarm::Plan;

use crate::cli::announcers::{Ourselves, announcers};
use crate::cli::failure::Failure;
use crate::cli::find_peers::tell_given;
use crate::cli::run_download::{DownloadOptions, run_download};
use crate::cli::torrent_file::open;
use crate::cli::{Answer, Options};

/// Download all of a torrent (stage 15)
#[derive(clap::Args)]
#[command(after_help = "Example:\n  piecemeal download -o sample.txt lab/sample.torrent")]
pub struct Args {
    #[command(flatten)]
    pub wanted: DownloadOptions,
    #[command(flatten)] // upload_options is plugged in
    pub uploads: crate::cli::upload_options::DownloadUploads, // plugged in
    /// The .torrent file
    pub torrent: PathBuf,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let Metainfo { info, tiers, .. } = open(&self.torrent, options)?;
        let mut plan = Plan::new(info.info_hash, Some(info), PeerId::random());
        self.uploads.plug(&mut plan, options)?; // upload_options is plugged in
        let given: Vec<String> = options.peers.clone();
        add_sources(&mut plan, tiers, given, options);
        run_download(plan, &self.wanted, &self.torrent.to_string_lossy(), options)
    }
}

/// Adds a source for each tier of trackers and each given address, and sets the patience.
pub fn add_sources(
    plan: &mut Plan,
    tiers: Vec<Vec<String>>,
    given: Vec<String>,
    options: &Options,
) {
    options.timeout.into_iter().for_each(|time| plan.wait_for(time));
    crate::cli::tracing::dial(&mut plan.dial); // plugged in
    let Plan { info_hash, peer_id, port, upload_only: gives, .. } = *plan;
    let we = Ourselves { info_hash, peer_id, port, gives, retry: plan.retry() };
    plan.sources.extend(announcers(tiers, &we, options));
    given.iter().for_each(|address| tell_given(address, options.narrator()));
    plan.sources.extend(given.into_iter().map(|address| Box::new(Given(address)) as _));
}
