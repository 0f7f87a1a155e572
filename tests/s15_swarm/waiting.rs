//! What a download says that it waits for: first the decision alone, then each wait made real.

use super::super::support::{Gate, Torrent, bencode, wire};
use super::memory::{Memory, bits, in_time};
use super::net::{EXTENDED, Names, Net, PLAIN, Talk, magnet, plan};
use piecemeal::s03_tracker::{AnnounceRequest, AnnounceResponse, Tracker, TrackerError};
use piecemeal::s10_storage::{StorageError, Store};
use piecemeal::s12_session::host::{Upload, UploadPeer, Uploads};
use piecemeal::s12_session::rate::Rate;
use piecemeal::s12_session::stats::Supply;
use piecemeal::s13_peer_sources::announcer::Announcer;
use piecemeal::s15_swarm::waiting::{
    Hope, Learning, Missing, Next, Silence, Snapshot, Wait, Waiting, decide,
};
use piecemeal::s15_swarm::{Event, Plan, SwarmError, download};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

fn address(host: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, host], 6881))
}

/// A download that knows what it wants, with these peers and nothing else.
fn with_peers(now: Instant, peers: &[Supply]) -> Snapshot {
    let missing = Missing { pieces: 9, first: vec![10..=18] };
    let peers = peers.to_vec();
    Snapshot {
        now,
        peers,
        takers: 0,
        learning: None,
        missing,
        rate: None,
        gives_at: None,
        hope: Hope::default(),
    }
}

fn sentence(state: &Snapshot) -> Option<String> {
    decide(state).map(|waiting| waiting.text(state.now))
}

#[test]
fn each_state_of_the_peers_has_its_sentence() {
    use Supply::{Asked, Choked, Free, Nothing, Storing};
    let now = Instant::now();
    let rate = Some(now + Duration::from_secs(14));
    let cases: &[(&[Supply], Option<Instant>, Option<&str>)] = &[
        (&[], None, Some("no peer is known")),
        (
            &[Nothing],
            None,
            Some("the one connected peer does not have pieces 10 to 18, all that are missing"),
        ),
        (
            &[Nothing; 3],
            None,
            Some("none of the 3 connected peers has pieces 10 to 18, all that are missing"),
        ),
        (&[Choked], None, Some("the one peer that has what is missing chokes us")),
        (&[Nothing, Choked, Choked], None, Some("both peers that have what is missing choke us")),
        (
            &[Asked, Choked],
            None,
            Some(
                "the peer that was asked for blocks sends none; a peer that sends nothing for 20 s is left for others",
            ),
        ),
        (
            &[Asked, Asked, Nothing, Free],
            None,
            Some(
                "the 2 peers that were asked for blocks send none; a peer that sends nothing for 20 s is left for others",
            ),
        ),
        (&[Free, Choked, Nothing], None, None),
        (
            &[Free, Asked],
            rate,
            Some(
                "our own limit on the download rate holds requests back; the next one goes out in 14 s",
            ),
        ),
        // What holds back requests does not hold back one who gets none.
        (&[Choked], rate, Some("the one peer that has what is missing chokes us")),
        (
            &[Storing, Asked, Choked, Free],
            rate,
            Some("the disk is slow: a block that came is still being written"),
        ),
    ];
    for (peers, rate, expected) in cases {
        let state = Snapshot { rate: *rate, ..with_peers(now, peers) };
        assert_eq!(sentence(&state).as_deref(), *expected, "{peers:?}");
    }
}

#[test]
fn without_the_info_dictionary_nothing_else_matters() {
    let now = Instant::now();
    let state = |peers: usize, asked| Snapshot {
        learning: Some(Learning::Info { asked }),
        ..with_peers(now, &vec![Supply::Nothing; peers])
    };
    let cases = [
        (0, 0, "no peer is known"),
        (1, 0, "the one connected peer does not have the info dictionary"),
        (2, 0, "neither of the 2 connected peers has the info dictionary"),
        (
            2,
            1,
            "the peer that was asked for the info dictionary has not sent it; a peer that sends nothing for 20 s is left for others",
        ),
        (
            5,
            4,
            "the 4 peers that were asked for the info dictionary have not sent it; a peer that sends nothing for 20 s is left for others",
        ),
    ];
    for (peers, asked, expected) in cases {
        assert_eq!(sentence(&state(peers, asked)).as_deref(), Some(expected));
    }
}

#[test]
fn without_the_hashes_of_pieces_the_wait_is_for_these_and_liars_are_named() {
    let now = Instant::now();
    let cases = [
        (3, 0, 0, "no peer is known"),
        (
            1,
            1,
            0,
            "the piece hashes of 1 file are missing: the one connected peer has not sent them",
        ),
        (
            3,
            2,
            1,
            "the piece hashes of 3 files are missing: neither of the 2 connected peers has sent them, and one has sent wrong ones",
        ),
        (
            3,
            0,
            2,
            "the piece hashes of 3 files are missing: no peer is connected, and 2 have sent wrong ones",
        ),
    ];
    for (files, peers, liars, expected) in cases {
        let state = Snapshot {
            learning: Some(Learning::Hashes { files, liars }),
            ..with_peers(now, &vec![Supply::Nothing; peers])
        };
        assert_eq!(sentence(&state).as_deref(), Some(expected));
    }
}

#[test]
fn a_seed_waits_only_if_nobody_wants_anything() {
    let now = Instant::now();
    let state = |peers: usize, takers| {
        let hope = Hope {
            sources: vec![("http://a/announce".to_owned(), Some(now + Duration::from_secs(1700)))],
            ..Hope::default()
        };
        Snapshot {
            takers,
            gives_at: Some(6881),
            hope,
            ..with_peers(now, &vec![Supply::Nothing; peers])
        }
    };
    let next = "we listen at port 6881; http://a/announce is asked again in 29 min";
    assert_eq!(sentence(&state(0, 0)), Some(format!("no peer is connected; {next}")));
    assert_eq!(
        sentence(&state(1, 0)),
        Some(format!("the one connected peer wants nothing of us; {next}"))
    );
    assert_eq!(
        sentence(&state(2, 0)),
        Some(format!("neither of the 2 connected peers wants anything of us; {next}"))
    );
    assert_eq!(sentence(&state(2, 1)), None);
    let alone = Snapshot { hope: Hope::default(), ..state(0, 0) };
    let expected = "no peer is connected; we listen at port 6881; no tracker knows of us, so others need our address";
    assert_eq!(sentence(&alone).as_deref(), Some(expected));
}

#[test]
fn what_happens_now_or_first_is_named() {
    let now = Instant::now();
    let after = |seconds| now + Duration::from_secs(seconds);
    let source = |seconds: Option<u64>| ("udp://t:1".to_owned(), seconds.map(after));
    let dial = |seconds| Some((after(seconds), address(7)));
    let hope = Hope { known: 2, gives_up: Some(after(50)), ..Hope::default() };
    let cases = [
        (hope.clone(), "if that does not change, the download ends in 50 s"),
        (Hope { dial: dial(15), ..hope.clone() }, "192.0.2.7:6881 is tried again in 15 s"),
        (
            Hope { dial: dial(70), ..hope.clone() },
            "if that does not change, the download ends in 50 s",
        ),
        (
            Hope { dial: dial(15), sources: vec![source(Some(12))], ..hope.clone() },
            "udp://t:1 is asked again in 12 s",
        ),
        (
            Hope { sources: vec![source(Some(1700))], ..hope.clone() },
            "if that does not change, the download ends in 50 s",
        ),
        (
            Hope { dial: dial(15), sources: vec![source(None)], ..hope.clone() },
            "udp://t:1 was asked for peers and has not answered yet",
        ),
        (
            Hope { sources: vec![source(Some(0))], ..hope.clone() },
            "udp://t:1 was asked for peers and has not answered yet",
        ),
        (
            Hope { sources: vec![("seed.example:1".to_owned(), None)], ..hope.clone() },
            "seed.example:1 is still being looked up",
        ),
        (
            Hope { dialing: 1, sources: vec![source(None)], ..hope.clone() },
            "an address is being tried",
        ),
        (Hope { dialing: 3, ..hope.clone() }, "3 addresses are being tried"),
        (
            Hope { dial: dial(0), full: true, ..hope.clone() },
            "others wait for a place; a peer that is of no use makes room, or the slowest does",
        ),
    ];
    for (hope, expected) in cases {
        let state = Snapshot { hope, ..with_peers(now, &[]) };
        assert_eq!(
            sentence(&state),
            Some(format!("neither of the 2 peers that are known is connected; {expected}"))
        );
    }
}

#[test]
fn missing_pieces_are_named_in_runs() {
    let cases: [(u32, &[u32], &str); 5] = [
        (4, &[0, 1, 3], "piece 2"),
        (4, &[0], "pieces 1 to 3"),
        (9, &[1, 3, 6], "pieces 0, 2, 4 to 5 and 2 more"),
        (2, &[], "pieces 0 to 1"),
        (3, &[1], "pieces 0, 2"),
    ];
    for (pieces, done, expected) in cases {
        assert_eq!(Missing::of(&bits(pieces, done.iter().copied()), pieces).to_string(), expected);
    }
}

#[test]
fn a_wait_is_told_once_and_again_when_the_reason_is_another() {
    let start = Instant::now();
    let mut silence = Silence::new(Duration::from_secs(10));
    let (choked, unanswered) = (Wait::Choked { peers: 1 }, Wait::NoAnswer { peers: 1 });
    let mut news = |at: u64, silent: u64, wait: Option<&Wait>| {
        silence.is_news(start + Duration::from_millis(at), Duration::from_millis(silent), wait)
    };
    assert!(!news(8000, 8000, Some(&choked)));
    assert!(news(10_000, 10_000, Some(&choked)));
    assert!(!news(10_100, 10_100, Some(&Wait::Choked { peers: 2 })), "a number is no reason");
    assert!(!news(11_000, 11_000, Some(&unanswered)), "it may be over at once");
    assert!(!news(11_500, 11_500, Some(&choked)), "as it was");
    assert!(!news(12_000, 12_000, Some(&unanswered)));
    assert!(news(13_000, 13_000, Some(&unanswered)));
    assert!(!news(13_100, 100, None), "a block has come");
    assert!(!news(23_100, 10_100, Some(&unanswered)), "not settled");
    assert!(news(24_100, 11_100, Some(&unanswered)), "a new silence");
    assert!(
        !news(25_000, 12_000, None)
            && !news(26_000, 13_000, Some(&unanswered))
            && !news(27_000, 14_000, Some(&unanswered))
    );
}

#[test]
fn what_may_last_for_days_is_told_once() {
    for wait in [Wait::NoTaker { peers: 0, port: 1 }, Wait::RateLimit] {
        let start = Instant::now();
        let mut silence = Silence::new(Duration::from_secs(10));
        let moments =
            [(10, 10, false), (11, 11, true), (12, 0, false), (30, 18, false), (32, 20, false)];
        for (at, silent, expected) in moments {
            let (now, silent) = (start + Duration::from_secs(at), Duration::from_secs(silent));
            let wait = (!silent.is_zero()).then_some(&wait);
            assert_eq!(silence.is_news(now, silent, wait), expected, "{wait:?} at {at}");
        }
    }
}

/// A download that is told of a wait soon, and does not end by itself.
fn soon(plan: Plan) -> Plan {
    Plan { silence: Duration::from_millis(150), patience: Duration::from_secs(1000), ..plan }
}

/// Runs a download, stops it at the first wait that is told or shown and fits, and returns
/// that. What is told first may be another one on a busy machine.
#[track_caller]
fn told(net: &Arc<Net>, plan: Plan, store: Arc<dyn Store>, fits: fn(&Waiting) -> bool) -> Waiting {
    let stop = Arc::clone(&plan.stop);
    let (result, found) = in_time(move || {
        let mut found = None;
        let pieces = Torrent::sample().pieces() as u32;
        let result = download(plan, move |_| Ok((store, bits(pieces, []))), &mut |event| {
            let (Event::Waiting(waiting) | Event::Progress { waiting: Some(waiting), .. }) = event
            else {
                return;
            };
            if found.is_none() && fits(&waiting) {
                found = Some(waiting);
                stop.store(true, Ordering::SeqCst);
            }
        });
        (result, found)
    });
    net.check();
    assert!(matches!(result, Err(SwarmError::Stopped) | Ok(_)), "{result:?}");
    found.expect("it was stopped by us")
}

/// The same with one peer that does this.
#[track_caller]
fn told_of(
    script: impl Fn(&mut Talk, &Torrent) -> io::Result<()> + Send + Sync + 'static,
    fits: fn(&Waiting) -> bool,
) -> Waiting {
    let (net, torrent) = (Net::new(), Torrent::sample());
    let its = torrent.clone();
    let peer = net.peer(1, move |talk| script(talk, &its));
    let store = Memory::of(&torrent);
    told(&net, soon(plan(&net, &torrent, &[peer])), store, fits)
}

#[test]
fn a_piece_that_nobody_has_is_named() {
    let (net, torrent) = (Net::new(), Torrent::sample());
    let peer = net.seed(1, &torrent, [0, 1, 4]);
    let waiting =
        told(&net, soon(plan(&net, &torrent, &[peer])), Memory::of(&torrent), |waiting| {
            matches!(&waiting.why, Wait::NobodyHasIt { missing, .. } if missing.pieces == 2)
                && matches!(waiting.next, Some(Next::GiveUp { .. }))
        });
    assert_eq!(
        waiting.why.to_string(),
        "the one connected peer does not have pieces 2 to 3, all that are missing"
    );
}

#[test]
fn a_peer_that_chokes_is_waited_for() {
    let script = |talk: &mut Talk, torrent: &Torrent| {
        talk.hello(PLAIN, torrent)?;
        talk.has(torrent, &[0, 1, 2, 3, 4])?;
        talk.hold()
    };
    told_of(script, |waiting| waiting.why == Wait::Choked { peers: 1 });
}

#[test]
fn a_peer_that_does_not_answer_is_waited_for() {
    let script = |talk: &mut Talk, torrent: &Torrent| {
        talk.hello(PLAIN, torrent)?;
        talk.has(torrent, &[0, 1, 2, 3, 4])?;
        talk.asked()?;
        talk.hold()
    };
    let waiting = told_of(script, |waiting| waiting.why == Wait::NoAnswer { peers: 1 });
    assert_eq!(waiting.next, Some(Next::HangUp));
}

/// The second reason begins when the first was told.
#[test]
fn another_reason_is_told_too() {
    let (net, torrent, choked) = (Net::new(), Torrent::sample(), Gate::default());
    let (its, gate) = (torrent.clone(), choked.clone());
    let peer = net.peer(1, move |talk| {
        talk.hello(PLAIN, &its)?;
        talk.has(&its, &[0, 1, 2, 3, 4])?;
        gate.opens()?;
        talk.asked()?;
        talk.hold()
    });
    let (plan, store) = (soon(plan(&net, &torrent, &[peer])), Memory::of(&torrent));
    let stop = Arc::clone(&plan.stop);
    let waits = in_time(move || {
        let mut waits = Vec::new();
        let _ = download(plan, move |_| Ok((store as Arc<dyn Store>, bits(5, []))), &mut |event| {
            let Event::Waiting(Waiting { why, .. }) = event else { return };
            match why {
                Wait::Choked { .. } => choked.open(),
                Wait::NoAnswer { .. } => stop.store(true, Ordering::SeqCst),
                _ => return,
            }
            waits.push(why);
        });
        waits
    });
    net.check();
    assert_eq!(waits, [Wait::Choked { peers: 1 }, Wait::NoAnswer { peers: 1 }]);
}

#[test]
fn our_own_rate_limit_is_named() {
    let (net, torrent) = (Net::new(), Torrent::sample());
    let peer = net.seed(1, &torrent, 0..5);
    // A block takes it sixteen seconds.
    let plan = Plan { download_rate: Rate::new(Some(1024)), ..soon(plan(&net, &torrent, &[peer])) };
    let waiting = told(&net, plan, Memory::of(&torrent), |waiting| waiting.why == Wait::RateLimit);
    let Some(Next::Request { at }) = waiting.next else { panic!("{waiting:?}") };
    assert!(at <= Instant::now() + Duration::from_secs(16));
}

/// A disk that takes a block when the gate opens.
struct Slow(Arc<Memory>, Gate);

impl Store for Slow {
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), StorageError> {
        // In vain, the test finds out by what did not happen.
        let _ = self.1.opens();
        self.0.write(offset, data)
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), StorageError> {
        self.0.read(offset, buffer)
    }
}

#[test]
fn a_slow_disk_is_named() {
    let (net, torrent, gate) = (Net::new(), Torrent::sample(), Gate::default());
    let peer = net.seed(1, &torrent, 0..5);
    let store = Arc::new(Slow(Memory::of(&torrent), gate.clone()));
    let plan = soon(plan(&net, &torrent, &[peer]));
    let stop = Arc::clone(&plan.stop);
    // What has been told opens the gate, or the end would wait for the disk.
    let told = in_time(move || {
        let mut told = false;
        let _ = download(plan, move |_| Ok((store as Arc<dyn Store>, bits(5, []))), &mut |event| {
            if matches!(event, Event::Waiting(Waiting { why: Wait::Disk, next: None })) {
                told = true;
                stop.store(true, Ordering::SeqCst);
                gate.open();
            }
        });
        told
    });
    net.check();
    assert!(told);
}

#[test]
fn an_address_that_refuses_is_tried_again() {
    let (net, torrent) = (Net::new(), Torrent::sample());
    let peer = net.at(1);
    let waiting =
        told(&net, soon(plan(&net, &torrent, &[peer])), Memory::of(&torrent), |waiting| {
            waiting.why == Wait::NoPeer { known: 1 }
                && matches!(waiting.next, Some(Next::Dial { .. }))
        });
    let Some(Next::Dial { address, at }) = waiting.next else { panic!("{waiting:?}") };
    assert!(
        address == peer && at > Instant::now() && at < Instant::now() + Duration::from_secs(15)
    );
}

/// Names nobody; at once, or once the gate has opened.
struct Fake(Option<Gate>);

impl Tracker for Fake {
    fn schemes(&self) -> &[&str] {
        &["fake"]
    }

    fn announce(
        &self,
        _: &str,
        _: &AnnounceRequest,
        _: Instant,
    ) -> Result<AnnounceResponse, TrackerError> {
        self.0.iter().for_each(|gate| drop(gate.opens()));
        Ok(AnnounceResponse::default())
    }
}

fn with_tracker(net: &Arc<Net>, tracker: Fake) -> Plan {
    let plan = soon(plan(net, &Torrent::sample(), &[]));
    let trackers: Vec<Box<dyn Tracker>> = vec![Box::new(tracker)];
    let retry = plan.retry();
    let urls = vec!["fake://tracker".to_owned()];
    let name = plan.names.first();
    let announcer = Announcer::new(urls, Arc::new(trackers), name, plan.peer_id, retry);
    Plan { sources: vec![Box::new(announcer)], ..plan }
}

#[test]
fn a_tracker_that_is_asked_again_is_named_with_the_time() {
    let net = Net::new();
    let waiting = told(&net, with_tracker(&net, Fake(None)), Memory::new(0), |waiting| {
        waiting.why == Wait::NoPeer { known: 0 } && matches!(waiting.next, Some(Next::Ask { .. }))
    });
    let Some(Next::Ask { source, at }) = waiting.next else { panic!("{waiting:?}") };
    assert_eq!(source, "fake://tracker");
    // Without a peer it is asked again as soon as it bears.
    assert!(at <= Instant::now() + Duration::from_secs(30));
}

#[test]
fn a_tracker_that_does_not_answer_is_named() {
    let (net, gate) = (Net::new(), Gate::default());
    let waiting =
        told(&net, with_tracker(&net, Fake(Some(gate.clone()))), Memory::new(0), |_| true);
    gate.open();
    let next = Some(Next::Asking { source: "fake://tracker".to_owned() });
    assert_eq!(waiting, Waiting { why: Wait::NoPeer { known: 0 }, next });
}

#[test]
fn peers_without_the_info_dictionary_are_counted() {
    let (net, torrent) = (Net::new(), Torrent::sample());
    let peers: Vec<SocketAddr> = (1..=2)
        .map(|host| {
            let its = torrent.clone();
            net.peer(host, move |talk| {
                talk.hello(PLAIN, &its)?;
                talk.hold()
            })
        })
        .collect();
    told(&net, soon(magnet(&net, &torrent, &peers)), Memory::new(0), |waiting| {
        waiting.why == Wait::Metadata { peers: 2, asked: 0 }
    });
}

#[test]
fn a_peer_that_was_asked_for_the_info_dictionary_is_waited_for() {
    let (net, torrent) = (Net::new(), Torrent::sample());
    let its = torrent.clone();
    let peer = net.peer(1, move |talk| {
        talk.hello(EXTENDED, &its)?;
        let names = bencode::dict(&[("ut_metadata", bencode::int(3))]);
        let size = ("metadata_size", bencode::int(its.info.len() as i64));
        talk.send(&wire::extended(0, &bencode::dict(&[("m", names), size])))?;
        talk.hold()
    });
    let waiting = told(&net, soon(magnet(&net, &torrent, &[peer])), Memory::new(0), |waiting| {
        waiting.why == Wait::Metadata { peers: 1, asked: 1 }
    });
    assert_eq!(waiting.next, Some(Next::HangUp));
}

#[test]
fn addresses_that_wait_for_a_place_are_told_of() {
    let (net, torrent) = (Net::new(), Torrent::sample());
    let peers = [net.seed(1, &torrent, []), net.seed(2, &torrent, [])];
    let plan = Plan { max_peers: 1, ..soon(plan(&net, &torrent, &peers)) };
    told(&net, plan, Memory::of(&torrent), |waiting| {
        matches!(waiting.why, Wait::NobodyHasIt { peers: 1, .. })
            && waiting.next == Some(Next::MakeRoom)
    });
}

/// Stays, and gives nothing.
struct Stays;

impl Uploads for Stays {
    fn open(&self, _: UploadPeer) -> Option<Box<dyn Upload>> {
        None
    }

    fn stays(&self, _: u64, _: u64) -> bool {
        true
    }
}

#[test]
fn a_seed_that_nobody_takes_from_says_where_it_can_be_found() {
    let (net, torrent) = (Net::new(), Torrent::sample());
    let plan = Plan {
        upload_only: true,
        port: 4711,
        uploads: Arc::new(Stays),
        ..soon(plan(&net, &torrent, &[]))
    };
    let plan = Plan { sources: vec![Box::new(Names(Vec::new()))], ..plan };
    told(&net, plan, Memory::of(&torrent), |waiting| {
        waiting.why == Wait::NoTaker { peers: 0, port: 4711 }
            && waiting.next == Some(Next::NeedAddress)
    });
}

#[test]
fn what_is_shown_goes_away_when_a_block_comes() {
    let (net, torrent, seen) = (Net::new(), Torrent::sample(), Gate::default());
    let (its, gate) = (torrent.clone(), seen.clone());
    let peer = net.peer(1, move |talk| {
        talk.hello(PLAIN, &its)?;
        talk.has(&its, &[0, 1, 2, 3, 4])?;
        gate.opens()?;
        talk.give(&its)
    });
    let (plan, store) = (soon(plan(&net, &torrent, &[peer])), Memory::of(&torrent));
    let (result, last) = in_time(move || {
        let mut last = None;
        let result =
            download(plan, move |_| Ok((store as Arc<dyn Store>, bits(5, []))), &mut |event| {
                if let Event::Progress { waiting, .. } = event {
                    if matches!(&waiting, Some(Waiting { why: Wait::Choked { .. }, .. })) {
                        seen.open();
                    }
                    last = waiting;
                }
            });
        (result, last)
    });
    net.check();
    result.expect("it is complete");
    assert_eq!(last, None);
}
