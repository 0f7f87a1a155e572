//! Reports each event of a download or a seed: a sentence for people, JSON for programs. (stage 15)

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use piecemeal::s01_bencode::counted;
use piecemeal::s02_metainfo::Info;
use piecemeal::s05_messages::bitfield::SPARE_BITS;
use piecemeal::s11_work_queue::PeerNumber;
use piecemeal::s15_swarm::summary::{Giver, Summary};
use piecemeal::s15_swarm::view::Watch;
use piecemeal::s15_swarm::waiting::{Wait, Waiting};
use piecemeal::s15_swarm::{Event, Plan};
use serde_json::{Value, json};

use super::screen::live_view::{LiveView, WatchOptions};
use super::screen::progress::{Moment, Progress};
use super::{Options, json_line, print_line, waiting_json};

/// What a download does before its size is known: from a link, or without the hashes of its pieces.
const INFO_FIRST: &str = "getting the info dictionary";
const HASHES_FIRST: &str = "getting the piece hashes";

/// The report of one run.
pub struct EventReport<'o> {
    progress: Progress,
    view: LiveView,
    watch: Arc<Watch>,
    options: &'o Options,
    kind: Kind,
    /// The connected peers.
    joined: HashSet<SocketAddr>,
    /// The peers that were reported as interested (`false`) and as unchoked (`true`).
    served: HashSet<(PeerNumber, bool)>,
    /// The last progress event for programs; the same one is not repeated.
    last: Option<Value>,
    /// The totals of a run that ended early.
    unfinished: Summary,
}

/// What the run is for.
struct Kind {
    /// Nothing is downloaded.
    seeding: bool,
    /// It goes on when all pieces are there.
    stays: bool,
    /// It starts without the info dictionary.
    from_link: bool,
}

impl<'o> EventReport<'o> {
    /// Starts the report of a plan that is about to run.
    pub fn new(plan: &Plan, watching: WatchOptions, options: &'o Options) -> EventReport<'o> {
        let seeding = plan.upload_only;
        let progress = if seeding {
            Progress::endless(options, "seeding")
        } else {
            Progress::new(options, INFO_FIRST, 0)
        };
        EventReport {
            progress,
            view: LiveView::new(watching, Arc::clone(&plan.watch)),
            watch: Arc::clone(&plan.watch),
            options,
            kind: Kind { seeding, stays: plan.uploads.stays(0, 1), from_link: plan.info.is_none() },
            joined: HashSet::new(),
            served: HashSet::new(),
            last: None,
            unfinished: Summary::default(),
        }
    }

    /// Removes the bar while `work` may write to the terminal.
    pub fn aside<R>(&self, work: impl FnOnce() -> R) -> R {
        self.progress.aside(work)
    }

    /// Ends the report, and returns the totals of a run that ended early.
    pub fn end(self) -> Summary {
        self.progress.clear();
        self.unfinished
    }

    /// Shows an event to people, and prints it for programs.
    pub fn add(&mut self, event: &Event) {
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

    /// Shows an event to people, and returns its JSON for programs.
    fn line(&mut self, event: &Event) -> Value {
        match event {
            Event::Metadata { name, length } => self.metadata(name, *length),
            Event::Resumed(there) => self.resumed(*there),
            Event::Progress { verified, downloaded, uploaded, peers, waiting } => {
                let waiting = waiting.as_ref().map(|waiting| waiting.text(Instant::now()));
                self.moment(Moment {
                    verified: *verified,
                    downloaded: *downloaded,
                    uploaded: *uploaded,
                    peers: *peers,
                    waiting,
                })
            }
            Event::Waiting(waiting) => self.waiting(waiting),
            Event::Completed => self.completed(),
            Event::Joined(peer) => self.joined(*peer),
            Event::Choked(peer, choked) => self.choked(*peer, *choked),
            Event::Left(peer, why) => self.left(*peer, &why.to_string()),
            Event::PassedOver(peer, what) => {
                let chapter = if what == SPARE_BITS { 5 } else { 7 };
                self.progress.say(chapter, &format!("{peer}: {what}"));
                json!({ "event": "passed_over", "peer": peer.to_string(), "what": what })
            }
            Event::Withdrawn(piece) => {
                let what = format!("piece {piece} was changed on disk: it is no longer offered");
                self.progress.news(16, &what);
                json!({ "event": "withdrawn", "piece": piece.get() })
            }
            Event::Corrupt(piece, by) => {
                let who: Vec<String> = by.iter().map(ToString::to_string).collect();
                let what = if let [giver] = &by[..] { penalty(giver) } else { "one of which lies" };
                let from = who.join(" and ");
                let what = format!("piece {piece} had the wrong hash; it came from {from}, {what}");
                let chapter = 15;
                let blame = |watch| super::version_two::blame(watch).filter(|_| by.len() > 1); // version_two is plugged in
                let chapter = blame(&self.watch).unwrap_or(chapter); // version_two is plugged in
                self.progress.news(chapter, &what);
                json!({ "event": "corrupt", "piece": piece.get(), "peers": who })
            }
            Event::Lied(piece, giver) => {
                let what =
                    format!("piece {piece} was wrong because of {giver}, {}", penalty(giver));
                let chapter = 11;
                let chapter = super::version_two::blame(&self.watch).unwrap_or(chapter); // version_two is plugged in
                self.progress.news(chapter, &what);
                json!({ "event": "lied", "piece": piece.get(), "peer": giver.to_string() })
            }
            Event::Source { name, what, failed } => self.source(name, what, *failed),
            Event::Unfinished(_) => Value::Null,
        }
    }

    fn metadata(&self, name: &str, length: u64) -> Value {
        let label = if self.kind.seeding { "seeding" } else { "downloading" };
        self.progress.turn_to(label, length);
        if self.kind.from_link {
            let what =
                "the info dictionary is there, and its hash is that in the link: it is genuine";
            self.progress.say(8, what);
            let length = counted(length, "byte");
            let what = format!("the torrent is {name}, {length}; each piece can be checked now");
            self.progress.say(2, &what);
        }
        super::version_two::tell_hashes(&self.watch, &self.progress); // version_two is plugged in
        json!({ "event": "metadata", "name": name, "length": length })
    }

    fn resumed(&self, there: u64) -> Value {
        self.progress.start_at(there);
        if there > 0 && !self.kind.seeding {
            self.progress.news(10, &format!("{there} bytes are there already"));
            self.progress.say(10, "they have the right hashes, so only the rest is fetched");
        }
        json!({ "event": "resumed", "bytes": there })
    }

    fn moment(&mut self, moment: Moment) -> Value {
        let json = json!({
            "event": "progress", "verified": moment.verified, "downloaded": moment.downloaded,
            "uploaded": moment.uploaded, "peers": moment.peers,
        });
        self.view.observe();
        let waits_for_hashes = |info: Arc<Info>| !info.is_whole() && self.watch.torrent().is_none();
        if self.watch.info().is_some_and(waits_for_hashes) {
            self.progress.turn_to(HASHES_FIRST, 0);
        }
        self.progress.tell(moment, &mut |width, height| self.view.lines(width, height));
        if self.options.verbose {
            self.served();
        }
        json
    }

    /// Reports, once for each peer, that it is interested and that we unchoke it.
    fn served(&mut self) {
        let peers = self.watch.peers();
        self.served
            .retain(|(number, _)| peers.binary_search_by_key(number, |peer| peer.number).is_ok());
        for peer in peers {
            let address = peer.address;
            if peer.peer_interested && self.served.insert((peer.number, false)) {
                let what = format!("{address} is interested: we have pieces that it needs");
                self.progress.say(17, &what);
            }
            if !peer.am_choking && self.served.insert((peer.number, true)) {
                let why = "it is one of the few peers that get blocks at a time";
                self.progress.say(17, &format!("we unchoke {address}: {why}"));
            }
        }
    }

    fn waiting(&self, waiting: &Waiting) -> Value {
        let chapter = if matches!(waiting.why, Wait::NoTaker { .. }) { 17 } else { 15 };
        let below = &mut |width, height| self.view.lines(width, height);
        self.progress.waits(chapter, &waiting.text(Instant::now()), below);
        waiting_json::line(waiting)
    }

    fn completed(&self) -> Value {
        self.progress.complete(&mut |width, height| self.view.lines(width, height));
        self.progress.say(10, "the last piece is there, and the hash of each is right");
        let next = if self.kind.stays {
            "what is there is given to others now"
        } else {
            "we say goodbye to peers and trackers"
        };
        self.progress.say(15, next);
        json!({ "event": "completed" })
    }

    fn joined(&mut self, peer: SocketAddr) -> Value {
        self.joined.insert(peer);
        let what = format!("{peer} is connected: its handshake names this torrent, as ours did");
        self.progress.say(4, &what);
        json!({ "event": "joined", "peer": peer.to_string() })
    }

    fn choked(&self, peer: SocketAddr, choked: bool) -> Value {
        let (chapter, what) = if choked {
            (15, "chokes us and gives nothing for now: its pieces go to others")
        } else {
            (9, "unchokes us: now it answers requests for blocks, many at a time")
        };
        if !self.kind.seeding {
            self.progress.say(chapter, &format!("{peer} {what}"));
        }
        json!({ "event": "choke", "peer": peer.to_string(), "choked": choked })
    }

    fn left(&mut self, peer: SocketAddr, why: &str) -> Value {
        let next = if self.kind.seeding { "" } else { "; its pieces go to others" };
        if self.joined.remove(&peer) {
            self.progress.say(15, &format!("{peer} is gone: {why}{next}"));
        } else {
            self.progress.say(4, &format!("{peer} cannot be used: {why}"));
        }
        json!({ "event": "left", "peer": peer.to_string(), "why": why })
    }

    fn source(&self, name: &str, what: &str, failed: bool) -> Value {
        let named = if what.contains(name) { what.to_owned() } else { format!("{name}: {what}") };
        if failed {
            self.progress.news(chapter(name), &named);
        } else {
            self.progress.say(chapter(name), &named);
        }
        let event = if failed { "source_failed" } else { "source" };
        json!({ "event": event, "source": name, "what": what })
    }
}

/// Returns what becomes of a liar.
fn penalty(giver: &Giver) -> &'static str {
    match giver {
        Giver::Peer(_) => "which is banned",
        Giver::Hand(_) => "which is asked for no more",
    }
}

/// Returns the number of the chapter about a source.
fn chapter(name: &str) -> u8 {
    match name.split_once("://") {
        Some(("udp", _)) => 18,
        Some(_) => 3,
        None if name == "peer exchange" => 19,
        None => 4,
    }
}
