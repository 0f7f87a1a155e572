//! `piecemeal seed`: upload a torrent's content to any peer that wants it. (stage 17)

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use piecemeal::s01_bencode::printable;
use piecemeal::s02_metainfo::Metainfo;
use piecemeal::s03_tracker::PeerId;
use piecemeal::s10_storage::{Storage, Store};
use piecemeal::s15_swarm::Plan;

use super::content_at::{hash, right_path};
use super::download::add_sources;
use super::failure::{Failure, LOCAL, WRONG_HASH};
use super::fetching::take_part;
use super::giving::Giving;
use super::interrupt::interrupt;
use super::opening::open;
use super::waits::tell_look;
use super::watching::Watching;
use super::{Answer, Options};
use crate::progress::Progress;

/// Seed a torrent's content, until Ctrl-C (stage 17)
#[derive(clap::Args)]
#[command(after_help = "Example, which Ctrl-C ends:\n  piecemeal seed lab/sample.torrent lab/original/sample.txt")]
pub struct Args {
    #[command(flatten)]
    giving: Giving,
    /// The most peers connected at a time
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
    max_peers: u16,
    #[command(flatten)]
    watching: Watching,
    /// The .torrent file
    torrent: PathBuf,
    /// The file, or for several files the folder, to give
    path: PathBuf,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let Metainfo { info, tiers, .. } = open(&self.torrent, options)?;
        let path = printable(&self.path.to_string_lossy());
        if let Err(error) = fs::metadata(&self.path) {
            return Err(Failure::new(LOCAL, format!("{path}: {error}")).help(right_path(&info, &self.path)).see("17-seeding"));
        }
        let storage = Storage::through_links(&info, &self.path);
        storage.seal();
        let stop = interrupt()?;
        options.narrator().say(10, "hashing the files, since only verified pieces are given");
        let purpose = "each piece is hashed; peers are let in after that";
        let checking = Progress::hashing(options, "verifying", info.length, purpose);
        let have = hash(&info, &storage, &self.path, &stop, &checking, &|news| tell_look(news, options))?;
        let (good, all) = (have.count(), info.piece_count());
        if good == 0 && all > 0 {
            let what = format!("{path}: none of its {all} pieces is there");
            return Err(Failure::new(WRONG_HASH, what).help(right_path(&info, &self.path)).see("17-seeding"));
        }
        options.note(&format!("{path}: {good} of {all} pieces are right"));
        let mut plan = Plan::new(info.info_hash, Some(info), PeerId::random());
        (plan.upload_only, plan.max_peers, plan.stop) = (true, self.max_peers.into(), stop);
        options.narrator().say(17, "listening: a peer that wants a piece dials us, and a few at a time get blocks");
        self.giving.plug(&mut plan, true, options)?;
        add_sources(&mut plan, tiers, options.peers.clone(), options);
        let ready = |_: &_| Ok((Arc::new(storage) as Arc<dyn Store>, have));
        take_part(plan, ready, &mut || Ok(()), (None, self.watching), options)
    }
}
