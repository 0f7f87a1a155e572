//! How long a swarm that gives goes on, and what it says of itself then.

use super::super::support::{Complaint, Gate, Must, Torrent, wire};
use super::giver::{BOTH, Giver, stop_soon};
use super::net::{FAST, PLAIN, peer_id_of};
use super::rules::staying;
use piecemeal::s03_tracker::{
    AnnounceRequest, AnnounceResponse, Event as Said, PeerId, Tracker, TrackerError,
};
use piecemeal::s12_session::host::SessionEnd;
use piecemeal::s13_peer_sources::announcer::Announcer;
use piecemeal::s15_swarm::summary::Traded;
use piecemeal::s15_swarm::{Ended, Event};
use piecemeal::s17_seeding::Rules;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What was exchanged with the script at an address.
fn traded(peer: SocketAddr, taken: u64, given: u64) -> Traded {
    Traded { peer, peer_id: PeerId(peer_id_of(peer)), taken, given }
}

#[test]
fn two_that_have_everything_part_and_do_not_meet_again() {
    let torrent = Torrent::sample();
    for how in ["have all", "bitfield", "upload only"] {
        let mut giver = Giver::new(&torrent).rules(staying());
        // If it were dialed again, that would be soon.
        giver.plan.patience = Duration::from_millis(40);
        let content = torrent.clone();
        let seed = giver.other(move |talk| {
            talk.hello(BOTH, &content)?;
            match how {
                "have all" => talk.send(&wire::message(wire::HAVE_ALL, &[]))?,
                "bitfield" => talk.has(&content, &[0, 1, 2, 3, 4])?,
                _ => drop(talk.greet(&[("upload_only", b"i1e".to_vec())])?),
            }
            talk.hold()
        });
        let net = Arc::clone(&giver.net);
        let ran = giver.run_with(|event, stop| {
            if matches!(event, Event::Left(..)) {
                stop_soon(stop);
            }
        });
        assert!(
            matches!(ran.left(seed)[..], [Ended::Session(SessionEnd::BothComplete)]),
            "{how}: {:?}",
            ran.left(seed)
        );
        assert_eq!(net.dials(seed), 1, "{how}");
    }
}

#[test]
fn the_last_piece_parts_us_from_seeds_at_once_and_from_nobody_else() {
    let torrent = Torrent::sample();
    let mut giver = Giver::with(&torrent, [0, 1, 2], 1 << 16).rules(staying()).completes();
    let greeted = Gate::default();
    let (content, gate) = (torrent.clone(), greeted.clone());
    let seed = giver.other(move |talk| {
        gate.opens()?;
        talk.hello(FAST, &content)?;
        talk.send(&wire::message(wire::HAVE_ALL, &[]))?;
        talk.give(&content)
    });
    let content = torrent.clone();
    let leech = giver.taker(move |talk| {
        talk.hello(BOTH, &content)?;
        let ours = talk.greet(&[])?;
        talk.admitted()?;
        greeted.open();
        while talk.greeted()?.get("upload_only").and_then(|yes| yes.int()) != Some(1) {}
        (0..5).try_for_each(|piece| talk.takes_piece(&content, piece))?;
        talk.fence(&ours).map(drop)
    });
    giver.until_left(seed);
    let ran = giver.run();
    ran.is_complete(&torrent);
    assert!(
        matches!(ran.left(seed)[..], [Ended::Session(SessionEnd::BothComplete)]),
        "{:?}",
        ran.left(seed)
    );
    assert!(ran.left(leech).len() < 2, "{:?}", ran.left(leech));
}

#[test]
fn a_seed_stays_until_so_much_has_been_given() {
    let torrent = Torrent::sample();
    for (ratio, rounds) in [(0.2, 1), (1.0, 5), (1.5, 8), (2.0, 10)] {
        let mut giver = Giver::new(&torrent).rules(Rules { ratio: Some(ratio), ..staying() });
        let content = torrent.clone();
        let peer = giver.other(move |talk| {
            talk.hello(FAST, &content)?;
            talk.admitted()?;
            for round in 0..rounds {
                let piece = round % 5;
                let left = format!("{ratio}: left after {round} pieces");
                talk.takes_piece(&content, piece).must(&left)?;
            }
            // It is over: we hang up, although it would like to have more.
            loop {
                match talk.next() {
                    Err(error) if error.kind() == ErrorKind::TimedOut => {
                        return Err(Complaint::new(format!("{ratio}: the seed stays")).into());
                    }
                    other => drop(other?),
                }
            }
        });
        // Nobody says stop.
        let ran = giver.run();
        let outcome = ran.result.expect("a seed ends well");
        assert!(outcome.uploaded as f64 >= ratio * 151_072.0);
        assert_eq!(outcome.traded, [traded(peer, 0, outcome.uploaded)]);
    }
}

#[test]
fn who_has_everything_and_is_not_to_stay_is_done_at_once() {
    let torrent = Torrent::sample();
    let giver = Giver::new(&torrent).rules(Rules::default());
    let ran = giver.run();
    assert_eq!(ran.result.expect("it has everything").traded, []);
    assert!(
        !ran.events.iter().any(|event| matches!(event, Event::Completed)),
        "nothing was completed"
    );
}

#[test]
fn who_has_gone_to_and_fro_is_told_truly() {
    let torrent = Torrent::sample();
    let mut giver = Giver::with(&torrent, [0, 1], 1 << 16).rules(staying()).completes();
    let (mut peers, shares) = (Vec::new(), [vec![2], vec![3, 4]]);
    for (share, takes) in shares.into_iter().zip([(0, 700), (1, 16_384)]) {
        let content = torrent.clone();
        peers.push(giver.taker(move |talk| {
            talk.hello(BOTH, &content)?;
            let greeted = |talk: &mut super::net::Talk| talk.greet(&[("p", b"i50000e".to_vec())]);
            let ours = greeted(talk)?;
            talk.admitted()?;
            talk.takes(&content, takes.0, 0, takes.1)?;
            talk.has(&content, &share)?;
            let blocks =
                share.iter().map(|piece| content.piece(*piece).len().div_ceil(16_384)).sum();
            for asked in talk.all_asked(blocks)? {
                talk.block(&content, asked)?;
            }
            talk.fence(&ours).map(drop)
        }));
    }
    let ran = giver.run();
    let outcome = ran.is_complete(&torrent);
    let mut found = outcome.traded.clone();
    found.sort_by_key(|traded| traded.peer);
    // We have dialed them: that they listen elsewhere, too, does not rename them.
    let expected = [traded(peers[0], 32_768, 700), traded(peers[1], 32_768 + 20_000, 16_384)];
    assert_eq!(found, expected);
    assert_eq!((outcome.downloaded, outcome.uploaded), (85_536, 17_084));
}

type Asked = Arc<Mutex<Vec<AnnounceRequest>>>;

struct Fake(Asked);

impl Tracker for Fake {
    fn schemes(&self) -> &[&str] {
        &["fake"]
    }

    fn announce(
        &self,
        _: &str,
        ask: &AnnounceRequest,
        _: Instant,
    ) -> Result<AnnounceResponse, TrackerError> {
        self.0.lock().expect("no tracker panics").push(ask.clone());
        Ok(AnnounceResponse::default())
    }
}

fn with_tracker(giver: &mut Giver) -> Asked {
    let asked = Asked::default();
    let trackers: Arc<Vec<Box<dyn Tracker>>> = Arc::new(vec![Box::new(Fake(Arc::clone(&asked)))]);
    let (hash, id) = (giver.plan.names.first(), giver.plan.peer_id);
    let announcer = Announcer::new(
        vec!["fake://tracker".to_owned()],
        trackers,
        hash,
        id,
        Duration::from_millis(20),
    );
    giver.plan.sources.push(Box::new(announcer.at_port(7000)));
    asked
}

#[test]
fn a_seed_tells_the_tracker_that_nothing_is_left_and_never_that_it_has_completed() {
    let torrent = Torrent::sample();
    let mut giver = Giver::new(&torrent).rules(staying());
    let asked = with_tracker(&mut giver);
    let (content, said) = (torrent.clone(), Arc::clone(&asked));
    giver.taker(move |talk| {
        told(&said, Said::Started);
        talk.hello(BOTH, &content)?;
        let ours = talk.greet(&[])?;
        talk.admitted()?;
        talk.takes_piece(&content, 1)?;
        talk.fence(&ours).map(drop)
    });
    let ran = giver.run();
    assert!(ran.result.is_ok());
    assert!(!ran.events.iter().any(|event| matches!(event, Event::Completed)));
    let asked = asked.lock().expect("no tracker panics").clone();
    let told: Vec<_> =
        asked.iter().map(|ask| (ask.event, ask.left, ask.downloaded, ask.port)).collect();
    assert_eq!(told, [(Some(Said::Started), 0, 0, 7000), (Some(Said::Stopped), 0, 0, 7000)]);
    assert_eq!(asked[1].uploaded, 32_768);
}

/// Waits until the tracker has been told of an event.
fn told(asked: &Asked, event: Said) {
    let begun = Instant::now();
    while !asked.lock().expect("no tracker panics").iter().any(|ask| ask.event == Some(event)) {
        assert!(begun.elapsed() < Duration::from_secs(60), "the tracker is not told");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_download_that_stays_says_completed_when_it_is_and_stopped_when_it_goes() {
    let torrent = Torrent::sample();
    let mut giver = Giver::with(&torrent, [0, 1], 1 << 16).rules(staying()).completes();
    let asked = with_tracker(&mut giver);
    let (content, said) = (torrent.clone(), Arc::clone(&asked));
    giver.other(move |talk| {
        talk.hello(PLAIN, &content)?;
        talk.has(&content, &[2, 3, 4])?;
        // On a busy machine all would be there before the tracker is first told.
        told(&said, Said::Started);
        talk.give(&content)
    });
    let (content, said) = (torrent.clone(), Arc::clone(&asked));
    giver.taker(move |talk| {
        talk.hello(BOTH, &content)?;
        let ours = talk.greet(&[])?;
        talk.admitted()?;
        talk.takes_piece(&content, 0)?;
        told(&said, Said::Completed);
        talk.takes_piece(&content, 3)?;
        talk.fence(&ours).map(drop)
    });
    let ran = giver.run();
    ran.is_complete(&torrent);
    assert_eq!(ran.events.iter().filter(|event| matches!(event, Event::Completed)).count(), 1);
    let asked = asked.lock().expect("no tracker panics").clone();
    let told: Vec<_> = asked.iter().map(|ask| (ask.event, ask.left)).collect();
    let all = 151_072 - 65_536;
    assert_eq!(
        told,
        [(Some(Said::Started), all), (Some(Said::Completed), 0), (Some(Said::Stopped), 0)]
    );
    assert!(asked[1..].iter().all(|ask| ask.downloaded == all), "{asked:?}");
    assert_eq!(asked[2].uploaded, 65_536);
}
