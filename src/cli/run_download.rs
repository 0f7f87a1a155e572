//! A whole download: where it goes, and what is said before its first byte. (stage 15)

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;

use piecemeal::s01_bencode::{counted, printable};
use piecemeal::s02_metainfo::Info;
use piecemeal::s06_magnet::Magnet;
use piecemeal::s10_storage::output::Output;
use piecemeal::s10_storage::{StorageError, Store};
use piecemeal::s12_session::rate::Rate;
use piecemeal::s13_peer_sources::source::PeerSource;
use piecemeal::s15_swarm::Plan;

use super::failure::Failure;
use super::interrupt::interrupt;
use super::magnet_peers::{CUT, NOBODY, need_somebody};
use super::output_options::OutputOptions;
use super::run_swarm::run_swarm;
use super::screen::live_view::WatchOptions;
use super::screen::progress::Progress;
use super::size::size;
use super::torrent_file::tell_passed_over;
use super::waiting_json::tell_look;
use super::{Answer, Options, print_line};

/// The most peers connected at a time, unless an option says otherwise.
const MAX_PEERS: u16 = 50;

/// Where a download goes, and the limits on its peers.
#[derive(clap::Args, Default)]
pub struct DownloadOptions {
    #[command(flatten)]
    pub to: OutputOptions,
    /// The most peers connected at a time
    #[arg(long, value_name = "N", default_value_t = MAX_PEERS, value_parser = clap::value_parser!(u16).range(1..))]
    pub max_peers: u16,
    /// Limit for downloads, in bytes a second: 500KiB
    #[arg(long, value_name = "RATE", value_parser = size)]
    pub max_download: Option<u64>,
    #[command(flatten)]
    pub watching: WatchOptions,
}

impl DownloadOptions {
    /// Returns the defaults for a download to this path.
    pub fn to(output: PathBuf) -> DownloadOptions {
        let to = OutputOptions { output, force: false };
        DownloadOptions { to, max_peers: MAX_PEERS, ..DownloadOptions::default() }
    }
}

/// Downloads what a plan is for; `source` is the argument as the user typed it.
pub fn run_download(
    mut plan: Plan,
    wanted: &DownloadOptions,
    source: &str,
    options: &Options,
) -> Result<Answer, Failure> {
    super::tracing::keep_apart(&wanted.to.output, options)?; // plugged in
    plan.max_peers = wanted.max_peers.into();
    plan.download_rate = Rate::new(wanted.max_download);
    plan.stop = interrupt()?;
    let stop = Arc::clone(&plan.stop);
    let how = "each peer gets a thread; all of them take pieces from one queue, the rarest first";
    options.narrator().say(15, how);
    if plan.info.is_none() {
        options.narrator().say(
            8,
            "first any peer may send the info dictionary: the link has its hash, so a lie shows",
        );
    }
    // Once all pieces are there, a plan that uploads still has something to do.
    let stays = plan.uploads.stays(0, 1);
    let shown = (printable(source), printable(&wanted.to.output.to_string_lossy()));
    let text = format!("Downloaded {} to {}.", shown.0, shown.1);
    let say = || {
        if stays && !options.json {
            print_line(&text);
        }
    };
    let from_link = plan.info.is_none();
    let output = RefCell::new(None);
    let prepare = |info: &Info| -> Result<(Arc<dyn Store>, _), StorageError> {
        super::tracing::learn(info); // plugged in
        let purpose = "what is there is hashed; then the rest is downloaded";
        let checking = Progress::hashing(options, "checking", info.length, purpose);
        let look = |bytes| tell_look(checking.set(bytes), options);
        let opened = Output::open(info, &wanted.to.output, wanted.to.force, &stop, &look)?;
        checking.clear();
        if from_link {
            tell_passed_over("the info dictionary", &info.passed_over, options);
        }
        if opened.begun_elsewhere {
            let (good, all) = (opened.have.count(), counted(info.piece_count(), "piece"));
            checking.note(&format!(
                "{}: has {good} of {all} of this torrent already; going on with those",
                shown.1
            ));
        }
        let (storage, have) = (Arc::clone(&opened.storage), opened.have.clone());
        if have.is_full() {
            opened.complete()?;
            say();
        }
        output.replace(Some(opened));
        Ok((storage as Arc<dyn Store>, have))
    };
    let mut completed = || -> Result<(), StorageError> {
        if let Some(output) = output.borrow().as_ref() {
            output.complete()?;
        }
        say();
        Ok(())
    };
    let answer =
        run_swarm(plan, prepare, &mut completed, (Some(&shown.1), wanted.watching), options)?;
    Ok(if stays { answer } else { Answer { text, ..answer } })
}

/// Checks that a download from a magnet link has somebody to ask. If that is only a source that
/// finds peers of any torrent, a note says so: most likely a shell has cut the link.
pub fn need_sources(plan: &Plan, magnet: &Magnet, options: &Options) -> Result<(), Failure> {
    let needed = need_somebody(magnet, options);
    let needed = super::dht_discovery::or_anybody(plan, needed); // dht_discovery is plugged in
    // Peer exchange is passive: it needs a first peer itself.
    let asks = |source: &dyn PeerSource| source.is_open() && !source.is_passive();
    if needed.is_err() && plan.sources.iter().any(|source| asks(&**source)) {
        let found = "so peers have to be found in other ways";
        options.narrator().note(format!("{NOBODY}, {found}; {CUT}"));
        return Ok(());
    }
    needed
}
