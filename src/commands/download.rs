//! `piecemeal download`: all of a torrent, from many peers at once. (stage 15)

use std::path::PathBuf;

use piecemeal::s02_metainfo::Metainfo;
use piecemeal::s03_tracker::PeerId;
use piecemeal::s13_peer_sources::source::{Given, Linked};
use piecemeal::s15_swarm::Plan;

use crate::cli::announcers::{Ourselves, announcers};
use crate::cli::failure::Failure;
use crate::cli::find_peers::tell_given;
use crate::cli::named::Named;
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
        let Metainfo { info, tiers, nodes, .. } = open(&self.torrent, options)?;
        let mut plan = Plan::new(info.names.clone(), Some(info), PeerId::random());
        self.uploads.plug(&mut plan, options)?; // upload_options is plugged in
        add_sources(&mut plan, Named { tiers, nodes, linked: Vec::new() }, options);
        run_download(plan, &self.wanted, &self.torrent.to_string_lossy(), options)
    }
}

/// Adds a source for each tier of trackers and for each address that the user or a magnet link
/// names, and sets the patience.
pub fn add_sources(plan: &mut Plan, named: Named, options: &Options) {
    options.timeout.into_iter().for_each(|time| plan.wait_for(time));
    crate::cli::tracing::dial(&mut plan.dial); // plugged in
    let (info_hash, retry) = (plan.names.first(), plan.retry());
    let Plan { peer_id, port, upload_only: gives, .. } = *plan;
    let we = Ourselves { names: plan.names.clone(), peer_id, port, gives, retry };
    options.discovery.plug(plan, &named, options); // discovery is plugged in
    piecemeal::s24_hash_transfer::plug(plan); // plugged in
    let Named { tiers, linked, .. } = named;
    plan.sources.extend(announcers(tiers.clone(), &we, options));
    if plan.info.is_none() {
        let options = options.clone();
        // A link may lack a name, which comes with the info dictionary.
        plan.later_sources = Box::new(move |name| {
            announcers(tiers.clone(), &Ourselves { names: name.into(), ..we.clone() }, &options)
        });
    }
    let given: Vec<String> = options.peers.clone();
    given.iter().chain(&linked).for_each(|address| tell_given(address, options.narrator()));
    plan.sources.extend(given.into_iter().map(|address| Box::new(Given(address)) as _));
    plan.sources
        .extend(linked.into_iter().map(|address| Box::new(Linked(address, info_hash)) as _));
}
