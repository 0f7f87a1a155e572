//! What both whole downloads share: the output, Ctrl-C, and reporting progress. (stage 15)

use std::cell::RefCell;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use piecemeal::s01_bencode::{counted, printable};
use piecemeal::s02_metainfo::Info;
use piecemeal::s05_messages::bitfield::{Bitfield, SPARE_BITS};
use piecemeal::s06_magnet::Magnet;
use piecemeal::s10_storage::output::Output;
use piecemeal::s10_storage::{StorageError, Store};
use piecemeal::s11_work_queue::PeerNumber;
use piecemeal::s12_session::rate::Rate;
use piecemeal::s13_peer_sources::source::Linked;
use piecemeal::s15_swarm::summary::{Summary, Traded};
use piecemeal::s15_swarm::view::Watch;
use piecemeal::s15_swarm::waiting::Wait;
use piecemeal::s15_swarm::{Event, Plan, SwarmError, download};
use serde_json::{Value, json};

use super::failure::Failure;
use super::find_peers::tell_given;
use super::interrupt::interrupt;
use super::opening::tell_passed_over;
use super::screen::progress::{Moment, Progress};
use super::screen::watching::{Sight, Watching};
use super::size::size;
use super::waits::tell_look;
use super::{Answer, Options, json_line, print_line, waits};

/// Downloads to `place`; `source` is the argument as the user typed it.
pub fn fetch(
    mut plan: Plan,
    place: &Place,
    source: &str,
    options: &Options,
) -> Result<Answer, Failure> {
    super::tracing::keep_apart(&place.output, options)?; // plugged in
    plan.max_peers = place.max_peers.into();
    plan.download_rate = Rate::new(place.max_download);
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
    let shown = (printable(source), printable(&place.output.to_string_lossy()));
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
        let opened = Output::open(info, &place.output, place.force, &stop, &look)?;
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
        take_part(plan, prepare, &mut completed, (Some(&shown.1), place.watching), options)?;
    Ok(if stays { answer } else { Answer { text, ..answer } })
}

/// Adds a source for each address in a magnet link.
pub fn add_linked(plan: &mut Plan, magnet: &Magnet, options: &Options) {
    let linked: Vec<String> = magnet.peers.iter().map(ToString::to_string).collect();
    linked.iter().for_each(|address| tell_given(address, options.narrator()));
    let info_hash = plan.info_hash;
    plan.sources
        .extend(linked.into_iter().map(|address| Box::new(Linked(address, info_hash)) as _));
}

/// Runs a plan, reports its progress, and returns the totals for each peer. `completed` is
/// called once all pieces are there; `output` is their path, for programs.
pub fn take_part<P>(
    plan: Plan,
    prepare: P,
    completed: &mut dyn FnMut() -> Result<(), StorageError>,
    (output, watching): (Option<&str>, Watching),
    options: &Options,
) -> Result<Answer, Failure>
where
    P: FnOnce(&Info) -> Result<(Arc<dyn Store>, Bitfield), StorageError>,
{
    let stop = Arc::clone(&plan.stop);
    let seeding = plan.upload_only;
    let progress = if seeding {
        Progress::endless(options, "seeding")
    } else {
        Progress::new(options, "downloading", 0)
    };
    let (watch, from_link) = (Arc::clone(&plan.watch), plan.info.is_none());
    let sight = Sight::new(watching, Arc::clone(&watch));
    let stays = plan.uploads.stays(0, 1);
    let (joined, served, last, unfinished) = Default::default();
    let mut teller = Teller {
        progress,
        sight,
        watch,
        options,
        seeding,
        stays,
        from_link,
        joined,
        served,
        last,
        unfinished,
    };
    let mut finished = Ok(());
    let outcome = download(plan, prepare, &mut |event| {
        if matches!(event, Event::Completed) {
            finished = teller.progress.aside(&mut *completed);
            if finished.is_err() {
                stop.store(true, Ordering::SeqCst);
            }
        }
        teller.tell(&event);
    });
    teller.progress.clear();
    let (traded_so_far, failure) = match (finished, outcome) {
        (Ok(()), Ok(outcome)) => return Ok(traded(&outcome, "done", output)),
        // A failure in `completed` stops the download.
        (Err(error), outcome) => (outcome.unwrap_or(teller.unfinished), Failure::from(error)),
        // If a signal came, it is the reason, whatever error it caused.
        (Ok(()), Err(_)) if stop.load(Ordering::SeqCst) => {
            (teller.unfinished, Failure::from(SwarmError::Stopped))
        }
        (Ok(()), Err(error)) => (teller.unfinished, Failure::from(error)),
    };
    let Answer { json, .. } = traded(&traded_so_far, "unfinished", output);
    Err(failure.answer(Answer { text: String::new(), json }))
}

/// Returns the totals for each peer.
fn traded(outcome: &Summary, event: &str, output: Option<&str>) -> Answer {
    let Summary { downloaded, uploaded, traded, banned } = outcome;
    let mut text =
        format!("Gave {}, took {}.", counted(*uploaded, "byte"), counted(*downloaded, "byte"));
    let width =
        traded.iter().map(|traded| traded.peer.to_string().len()).max().unwrap_or(0).max(24);
    if !traded.is_empty() {
        text += &format!("\n{:<width$} {:>14} {:>14}", "peer", "given", "taken");
    }
    for Traded { peer, taken, given } in traded {
        text += &format!("\n{:<width$} {given:>14} {taken:>14}", peer.to_string());
    }
    let to_json = |bytes: fn(&Traded) -> u64| -> Value {
        let moved = traded.iter().filter(|traded| bytes(traded) > 0);
        moved
            .map(|traded| json!({ "peer": traded.peer.to_string(), "bytes": bytes(traded) }))
            .collect()
    };
    let banned: Vec<String> = banned.iter().map(ToString::to_string).collect();
    let json = json!({
        "event": event, "output": output, "downloaded": downloaded, "uploaded": uploaded,
        "from": to_json(|traded| traded.taken), "to": to_json(|traded| traded.given), "banned": banned,
    });
    Answer { text, json }
}

/// Reports events, as lines of JSON and on the terminal.
struct Teller<'o> {
    progress: Progress,
    sight: Sight,
    watch: Arc<Watch>,
    options: &'o Options,
    seeding: bool,
    stays: bool,
    from_link: bool,
    /// The connected peers.
    joined: HashSet<SocketAddr>,
    /// The peers that were reported as interested (`false`) and as unchoked (`true`).
    served: HashSet<(PeerNumber, bool)>,
    /// The last progress event for programs; the same one is not repeated.
    last: Option<Value>,
    /// The totals of a run that ended early.
    unfinished: Summary,
}

impl Teller<'_> {
    fn tell(&mut self, event: &Event) {
        if let Event::Unfinished(outcome) = event {
            self.unfinished = outcome.clone(); // the last line of all, with the reason
            return;
        }
        let line = self.line(event);
        if !self.options.json {
            return;
        }
        let is_news = !matches!(event, Event::Progress { .. })
            || self.last.replace(line.clone()).is_none_or(|last| last != line);
        if is_news {
            print_line(&json_line(&line));
        }
    }

    /// Reports, once for each peer, that it is interested and that we unchoke it.
    fn tell_served(&mut self) {
        let peers = self.watch.peers();
        self.served
            .retain(|(number, _)| peers.binary_search_by_key(number, |peer| peer.number).is_ok());
        for peer in peers {
            if peer.peer_interested && self.served.insert((peer.number, false)) {
                self.progress.say(
                    17,
                    &format!("{} is interested: we have pieces that it needs", peer.address),
                );
            }
            if !peer.am_choking && self.served.insert((peer.number, true)) {
                let who = peer.address;
                self.progress.say(
                    17,
                    &format!(
                        "we unchoke {who}: it is one of the few peers that get blocks at a time"
                    ),
                );
            }
        }
    }

    /// Shows an event to people, and returns its JSON for programs.
    fn line(&mut self, event: &Event) -> Value {
        let progress = &self.progress;
        match event {
            Event::Metadata { name, length } => {
                progress.resize(*length);
                if self.from_link {
                    let what = "the info dictionary is there, and its SHA-1 is that in the link: it is genuine";
                    progress.say(8, what);
                    progress.say(
                        2,
                        &format!(
                            "the torrent is {name}, {}; the hash of each piece is known now",
                            counted(*length, "byte")
                        ),
                    );
                }
                json!({ "event": "metadata", "name": name, "length": length })
            }
            Event::Resumed(there) => {
                progress.start_at(*there);
                if *there > 0 && !self.seeding {
                    progress.news(10, &format!("{there} bytes are there already"));
                    progress.say(10, "they have the right hashes, so only the rest is fetched");
                }
                json!({ "event": "resumed", "bytes": there })
            }
            Event::Progress { verified, downloaded, uploaded, peers, waiting } => {
                let (verified, downloaded, uploaded, peers) =
                    (*verified, *downloaded, *uploaded, *peers);
                self.sight.look();
                let below = &mut |width, height| self.sight.lines(width, height);
                let waiting = waiting.as_ref().map(|waiting| waiting.text(Instant::now()));
                progress.tell(Moment { verified, downloaded, uploaded, peers, waiting }, below);
                if self.options.verbose {
                    self.tell_served();
                }
                json!({ "event": "progress", "verified": verified, "downloaded": downloaded, "uploaded": uploaded, "peers": peers })
            }
            Event::Waiting(waiting) => {
                let chapter = if matches!(waiting.why, Wait::NoTaker { .. }) { 17 } else { 15 };
                progress.waits(chapter, &waiting.text(Instant::now()), &mut |width, height| {
                    self.sight.lines(width, height)
                });
                waits::line(waiting)
            }
            Event::Completed => {
                progress.complete(&mut |width, height| self.sight.lines(width, height));
                progress.say(10, "the last piece is there, and the hash of each is right");
                let next = if self.stays {
                    "what is there is given to others now"
                } else {
                    "we say goodbye to peers and trackers"
                };
                progress.say(15, next);
                json!({ "event": "completed" })
            }
            Event::Joined(peer) => {
                self.joined.insert(*peer);
                progress.say(
                    4,
                    &format!("{peer} is connected: its handshake names this torrent, as ours did"),
                );
                json!({ "event": "joined", "peer": peer.to_string() })
            }
            Event::Choked(peer, choked) => {
                match choked {
                    _ if self.seeding => {}
                    false => progress.say(
                        9,
                        &format!(
                            "{peer} unchokes us: now it answers requests for blocks, many at a time"
                        ),
                    ),
                    true => progress.say(
                        15,
                        &format!(
                            "{peer} chokes us and gives nothing for now: its pieces go to others"
                        ),
                    ),
                }
                json!({ "event": "choke", "peer": peer.to_string(), "choked": choked })
            }
            Event::Left(peer, why) => {
                let next = if self.seeding { "" } else { "; its pieces go to others" };
                match self.joined.remove(peer) {
                    true => progress.say(15, &format!("{peer} is gone: {why}{next}")),
                    false => progress.say(4, &format!("{peer} cannot be used: {why}")),
                }
                json!({ "event": "left", "peer": peer.to_string(), "why": why.to_string() })
            }
            Event::PassedOver(peer, what) => {
                progress.say(if what == SPARE_BITS { 5 } else { 7 }, &format!("{peer}: {what}"));
                json!({ "event": "passed_over", "peer": peer.to_string(), "what": what })
            }
            Event::Withdrawn(piece) => {
                progress.news(
                    16,
                    &format!("piece {piece} was changed on disk: it is no longer offered"),
                );
                json!({ "event": "withdrawn", "piece": piece.get() })
            }
            Event::Corrupt(piece, by) => {
                let who: Vec<String> = by.iter().map(ToString::to_string).collect();
                let what = if who.len() == 1 { "which is banned" } else { "one of which lies" };
                progress.news(
                    15,
                    &format!(
                        "piece {piece} had the wrong hash; it came from {}, {what}",
                        who.join(" and ")
                    ),
                );
                json!({ "event": "corrupt", "piece": piece.get(), "peers": who })
            }
            Event::Lied(piece, peer) => {
                progress.news(
                    11,
                    &format!("piece {piece} was wrong because of {peer}, which is banned"),
                );
                json!({ "event": "lied", "piece": piece.get(), "peer": peer.to_string() })
            }
            Event::Source { name, what, failed: true } => {
                let named = if what.contains(name.as_str()) {
                    what.clone()
                } else {
                    format!("{name}: {what}")
                };
                progress.news(chapter(name), &named);
                json!({ "event": "source_failed", "source": name, "what": what })
            }
            Event::Source { name, what, failed: false } => {
                progress.say(chapter(name), what);
                json!({ "event": "source", "source": name, "what": what })
            }
            Event::Unfinished(_) => Value::Null,
        }
    }
}

/// Returns the number of the chapter about a source.
fn chapter(name: &str) -> u8 {
    match name.split_once("://") {
        Some(("udp", _)) => 18,
        Some(_) => 3,
        None => 4,
    }
}

/// Where a download goes, and the limits on its peers.
#[derive(clap::Args, Default)]
pub struct Place {
    /// The file, or for several files the folder
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,
    /// Overwrite what is there; right pieces are kept
    #[arg(long)]
    pub force: bool,
    /// The most peers connected at a time
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
    pub max_peers: u16,
    /// Limit for downloads, in bytes a second: 500KiB
    #[arg(long, value_name = "RATE", value_parser = size)]
    pub max_download: Option<u64>,
    #[command(flatten)]
    pub watching: Watching,
}
