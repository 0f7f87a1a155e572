//! A running `announce`, and what its tracker has heard of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::actors::bencode::{bytes, dict, int};
use crate::actors::torrent::Torrent;
use crate::actors::tracker::{FakeTracker, Reply, compact};
use crate::grade::check::Finding;
use crate::grade::checks::trackers::{announce, peers, same_torrent};
use crate::grade::miss::{Miss, ensure};
use crate::grade::outcome::{End, Outcome};
use crate::grade::process::Running;
use crate::grade::scene::Scene;
use crate::lab::announce::ReceivedAnnounce;
use crate::s03_tracker::Event;

/// How long a client gets for an answer that the tracker has sent. Ctrl-C comes after it.
const DIGEST: Duration = Duration::from_millis(400);
/// How long the last words of a client that has ended may be on their way.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A running `announce`.
pub struct Announcing {
    pub torrent: Torrent,
    pub tracker: Arc<FakeTracker>,
    /// The port that it is to name.
    pub port: u16,
    running: Running,
}

/// A tracker's answer: it names peers, and says when to announce again.
pub fn taken(scene: &mut Scene, interval: i64) -> Reply {
    let there = peers(&mut scene.dice, 2);
    Reply::Body(dict(&[
        ("interval", int(interval)),
        ("min interval", int(interval)),
        ("peers", bytes(compact(&there))),
    ]))
}

impl Announcing {
    /// Starts it for a torrent with one tracker.
    pub fn start(
        scene: &mut Scene,
        answer: impl Fn(&str, usize) -> Reply + Send + Sync + 'static,
    ) -> Result<Announcing, Miss> {
        let (torrent, tracker) = (scene.torrent(3), scene.tracker(answer)?);
        let file = scene.torrent_file(&torrent, &tracker.url())?;
        Announcing::start_with(scene, torrent, tracker, &file)
    }

    /// Starts it with a .torrent file that has this tracker among others.
    pub fn start_with(
        scene: &mut Scene,
        torrent: Torrent,
        tracker: Arc<FakeTracker>,
        file: &str,
    ) -> Result<Announcing, Miss> {
        // It only says that it listens there.
        let port = scene.dice.number(20_000, 60_000) as u16;
        let running = scene.start(&["announce", "--port", &port.to_string(), file])?;
        Ok(Announcing { torrent, tracker, port, running })
    }

    /// Waits until this many announces have come and the last of them has its answer.
    pub fn hear(mut self, count: usize) -> Result<Announcing, Miss> {
        let tracker = &self.tracker;
        let answered = || {
            let ended = tracker.recordings().into_iter().filter(|one| one.ended().is_some());
            tracker.asked().len() >= count && ended.count() >= count
        };
        if self.running.wait_for(|_| answered()) {
            return Ok(self);
        }
        let came = tracker.asked().len();
        let over = self.running.is_over();
        let outcome = self.running.stop();
        let what = match (came, over) {
            (0, _) => format!("`{}` sent the tracker no announce", outcome.arguments),
            (_, true) => format!("it ended on its own after announce {came}"),
            (_, false) => format!(
                "announce {came} was the last one that came in {:.0} s",
                outcome.elapsed.as_secs_f64()
            ),
        };
        Err(outcome.with_last_words(Miss::new(what)))
    }

    /// Lets it run for this long, or until this many announces have come.
    pub fn watch(&mut self, time: Duration, count: usize) {
        let (until, tracker) = (self.running.elapsed() + time, &self.tracker);
        self.running
            .wait_for(|running| running.elapsed() >= until || tracker.asked().len() >= count);
    }

    /// Whether it has ended.
    pub fn is_over(&mut self) -> bool {
        self.running.is_over()
    }

    /// Returns the announces so far. Each must name the torrent.
    pub fn announces(&self) -> Result<Vec<ReceivedAnnounce>, Miss> {
        let asked = self.tracker.asked();
        let heard: Vec<_> =
            asked.iter().map(|target| announce(target)).collect::<Result<_, _>>()?;
        for one in &heard {
            same_torrent(one.announce.info_hash, &self.torrent, &self.tracker.url())?;
        }
        Ok(heard)
    }

    /// Ends it, and returns what became of it.
    pub fn end(self) -> Outcome {
        self.running.stop()
    }

    /// Presses Ctrl-C, and waits for the end. Returns all announces, and how it ended.
    pub fn leave(mut self) -> Result<(Vec<ReceivedAnnounce>, Outcome), Miss> {
        self.watch(DIGEST, usize::MAX);
        let Announcing { torrent, tracker, running, .. } = self;
        let before = tracker.asked().len();
        let outcome = running.interrupt();
        let patience = Instant::now() + LAST_WORDS;
        while tracker.asked().len() == before && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(5));
        }
        let asked = tracker.asked();
        let heard: Vec<_> =
            asked.iter().map(|target| announce(target)).collect::<Result<_, _>>()?;
        for one in &heard {
            same_torrent(one.announce.info_hash, &torrent, &tracker.url())?;
        }
        Ok((heard, outcome))
    }
}

/// Returns an event as it is in the query.
pub fn event(announce: &ReceivedAnnounce) -> String {
    announce.announce.event.map_or("no event".to_owned(), |event| format!("event={event}"))
}

/// Why a client usually does not say goodbye.
pub const NO_GOODBYE: &str =
    "handle the signal SIGINT (in Python: KeyboardInterrupt), and announce once more";

/// Insists that the last announce says goodbye, and none before it.
pub fn says_goodbye(
    heard: &[ReceivedAnnounce],
    outcome: &Outcome,
    likely: &'static str,
) -> Finding {
    let goodbyes = heard.iter().filter(|one| one.announce.event == Some(Event::Stopped)).count();
    let last = heard.last().map_or("no announce".to_owned(), event);
    let at_last = heard.last().is_some_and(|one| one.announce.event == Some(Event::Stopped));
    ensure(goodbyes > 0, || {
        let miss = Miss::new("Ctrl-C ended it, and the tracker goes on naming it to others")
            .instead("a last announce with event=stopped", format!("a last one with {last}"));
        outcome.with_last_words(miss).likely(likely)
    })?;
    ensure(at_last && goodbyes == 1, || {
        Miss::new("stopped is said once, and it is the last announce")
            .instead("one event=stopped", format!("{goodbyes}, and a last announce with {last}"))
    })
}

/// Insists that Ctrl-C has ended it.
pub fn has_ended(outcome: &Outcome) -> Finding {
    ensure(outcome.end != End::OutOfTime, || {
        Miss::new("it was still running 4 s after Ctrl-C, and was ended").likely(
            "stopped gets two seconds for its answer: somebody has pressed Ctrl-C and waits",
        )
    })
}

/// Insists that it has ended as if that were no accident.
pub fn ends_well(outcome: &Outcome) -> Finding {
    has_ended(outcome)?;
    ensure(outcome.end == End::Code(0), || {
        let found = match outcome.end {
            End::Code(code) => format!("exit code {code}"),
            End::Signal(signal) => format!("it was ended by signal {signal}"),
            End::OutOfTime => "no end".to_owned(),
        };
        let miss = Miss::new("it said stopped, and then died").instead("exit code 0", found);
        outcome.with_last_words(miss)
    })
}
