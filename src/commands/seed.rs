//! `piecemeal seed`: upload a torrent's content to any peer that wants it. (stage 17)

use std::path::PathBuf;
use std::sync::Arc;

use piecemeal::s02_metainfo::Metainfo;
use piecemeal::s03_tracker::PeerId;
use piecemeal::s10_storage::Store;
use piecemeal::s15_swarm::Plan;

use super::download::add_sources;
use crate::cli::failure::Failure;
use crate::cli::interrupt::interrupt;
use crate::cli::named::Named;
use crate::cli::run_swarm::run_swarm;
use crate::cli::screen::live_view::WatchOptions;
use crate::cli::torrent_file::open_whole;
use crate::cli::upload_options::UploadOptions;
use crate::cli::verified_content::verified_content;
use crate::cli::{Answer, Options};

/// Seed a torrent's content, until Ctrl-C (stage 17)
#[derive(clap::Args)]
#[command(
    after_help = "Example, which Ctrl-C ends:\n  piecemeal seed lab/sample.torrent lab/original/sample.txt"
)]
pub struct Args {
    #[command(flatten)]
    uploads: UploadOptions,
    /// The most peers connected at a time
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
    max_peers: u16,
    #[command(flatten)]
    watching: WatchOptions,
    /// The .torrent file
    torrent: PathBuf,
    /// The file, or for several files the folder, to give
    path: PathBuf,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let Metainfo { info, tiers, nodes, .. } = open_whole(&self.torrent, options)?;
        let stop = interrupt()?;
        let (storage, have) = verified_content(&info, &self.path, &stop, options)?;
        let mut plan = Plan::new(info.names.clone(), Some(info), PeerId::random());
        (plan.upload_only, plan.max_peers, plan.stop) = (true, self.max_peers.into(), stop);
        options.narrator().say(
            17,
            "listening: a peer that wants a piece dials us, and a few at a time get blocks",
        );
        self.uploads.plug(&mut plan, true, options)?;
        add_sources(&mut plan, Named { tiers, nodes, linked: Vec::new() }, options);
        let ready = |_: &_| Ok((Arc::new(storage) as Arc<dyn Store>, have));
        run_swarm(plan, ready, &mut || Ok(()), (None, self.watching), options)
    }
}
