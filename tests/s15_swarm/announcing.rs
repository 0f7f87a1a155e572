//! What the tracker is told, and when.

use super::super::support::{Gate, Torrent, wire};
use super::memory::{Memory, bits};
use super::net::{EXTENDED, LITTLE, Net, PLAIN, US, magnet, plan, run, run_into};
use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s03_tracker::peers::PeerAddress;
use piecemeal::s03_tracker::reach::{NamedBy, Reach};
use piecemeal::s03_tracker::{
    AnnounceRequest, AnnounceResponse, Event, PeerId, Retry, Tracker, TrackerError,
};
use piecemeal::s07_extension::BoxError;
use piecemeal::s13_peer_sources::announcer::Announcer;
use piecemeal::s13_peer_sources::signals::Wake;
use piecemeal::s13_peer_sources::source::{PeerSource, SourceHandle};
use piecemeal::s15_swarm::{Event as SwarmEvent, Plan, SwarmError};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

type Asked = Arc<Mutex<Vec<(String, AnnounceRequest)>>>;
type Answer =
    Box<dyn Fn(usize, &AnnounceRequest) -> Result<AnnounceResponse, TrackerError> + Send + Sync>;

/// A tracker that writes down what it is asked; its answer may depend on how many
/// announces came before.
struct Fake(Asked, Answer);

impl Tracker for Fake {
    fn schemes(&self) -> &[&str] {
        &["fake"]
    }

    fn announce(
        &self,
        url: &str,
        ask: &AnnounceRequest,
        _: Instant,
    ) -> Result<AnnounceResponse, TrackerError> {
        let mut asked = self.0.lock().expect("no tracker panics");
        asked.push((url.to_owned(), ask.clone()));
        let before = asked.len() - 1;
        drop(asked);
        // The addresses of `Net` are those of a network of our own.
        (self.1)(before, ask).map(|answer| AnnounceResponse { from: Reach::Network, ..answer })
    }
}

fn torrent() -> Torrent {
    Torrent::sample()
}

/// The plan with this tracker as its only source; and what the tracker is asked.
fn with_tracker(
    plan: Plan,
    answer: impl Fn(usize, &AnnounceRequest) -> Result<AnnounceResponse, TrackerError>
    + Send
    + Sync
    + 'static,
) -> (Plan, Asked) {
    with_tier(plan, &["fake://tracker"], answer)
}

fn with_tier(
    mut plan: Plan,
    urls: &[&str],
    answer: impl Fn(usize, &AnnounceRequest) -> Result<AnnounceResponse, TrackerError>
    + Send
    + Sync
    + 'static,
) -> (Plan, Asked) {
    let asked = Asked::default();
    let trackers: Vec<Box<dyn Tracker>> =
        vec![Box::new(Fake(Arc::clone(&asked), Box::new(answer)))];
    let urls = urls.iter().map(|url| (*url).to_owned()).collect();
    let announcer = Announcer::new(
        urls,
        Arc::new(trackers),
        plan.names.first(),
        plan.peer_id,
        Duration::from_millis(20),
    );
    plan.sources = vec![Box::new(announcer)];
    (plan, asked)
}

fn names(peers: &[SocketAddr]) -> Result<AnnounceResponse, TrackerError> {
    Ok(AnnounceResponse { peers: peers.to_vec(), ..AnnounceResponse::default() })
}

fn failure(retry: Retry) -> Result<AnnounceResponse, TrackerError> {
    Err(TrackerError::Failure { reason: "not today".to_owned(), retry })
}

fn asked(asked: &Asked) -> Vec<AnnounceRequest> {
    asked.lock().expect("no tracker panics").iter().map(|(_, ask)| ask.clone()).collect()
}

fn events(all: &Asked) -> Vec<Option<Event>> {
    asked(all).iter().map(|ask| ask.event).collect()
}

#[test]
fn started_completed_and_stopped_are_said_once_each_with_true_counters() {
    let (net, torrent) = (Net::new(), torrent());
    let peer = net.seed(1, &torrent, 0..5);
    let (plan, all) = with_tracker(plan(&net, &torrent, &[]), move |_, _| names(&[peer]));
    run(&net, plan, &torrent).is_complete(&torrent);
    let told = asked(&all);
    assert_eq!(events(&all), [Some(Event::Started), Some(Event::Completed), Some(Event::Stopped)]);
    for ask in &told {
        assert_eq!((ask.info_hash, ask.peer_id), (InfoHash(torrent.info_hash), PeerId(US)));
        assert_eq!(ask.uploaded, 0);
        assert!(ask.key.is_some() && ask.key == told[0].key, "the key stays the same");
    }
    let counters: Vec<_> = told.iter().map(|ask| (ask.downloaded, ask.left, ask.numwant)).collect();
    assert_eq!(counters, [(0, 151_072, None), (151_072, 0, None), (151_072, 0, Some(0))]);
}

fn names_hosts(hosts: &[(&str, u16)]) -> Result<AnnounceResponse, TrackerError> {
    let named = hosts
        .iter()
        .map(|(host, port)| PeerAddress { host: (*host).to_owned(), port: *port })
        .collect();
    Ok(AnnounceResponse { named, ..AnnounceResponse::default() })
}

#[test]
fn a_peer_that_is_named_by_host_is_dialed() {
    let (net, torrent) = (Net::new(), torrent());
    let peer = net.seed(1, &torrent, 0..5);
    // In this network addresses are the names.
    let host = peer.ip().to_string();
    let (plan, _) =
        with_tracker(plan(&net, &torrent, &[]), move |_, _| names_hosts(&[(&host, peer.port())]));
    let ran = run(&net, plan, &torrent);
    ran.is_complete(&torrent);
    let told = |what: &str| {
        ran.events
            .iter()
            .any(|event| matches!(event, SwarmEvent::Source { what: said, .. } if said == what))
    };
    assert!(told("fake://tracker names 1 peer"), "{:?}", ran.told());
}

#[test]
fn a_tracker_whose_names_lead_nowhere_does_not_name_nobody() {
    let (net, torrent) = (Net::new(), torrent());
    let (plan, _) = with_tracker(plan(&net, &torrent, &[]), |_, _| {
        names_hosts(&[("no.such.host.invalid", 6881)])
    });
    let error = match run(&net, plan, &torrent).result {
        Err(SwarmError::NoHope { standing, .. }) => standing.to_string(),
        other => panic!("{other:?}"),
    };
    let expected =
        "fake://tracker: it names the peer no.such.host.invalid:6881, which cannot be looked up: ";
    assert!(error.contains(expected) && !error.contains("nobody"), "{error}");
}

#[test]
fn two_downloads_have_two_keys() {
    let key = || {
        let (net, torrent) = (Net::new(), torrent());
        let peer = net.seed(1, &torrent, 0..5);
        let (plan, all) = with_tracker(plan(&net, &torrent, &[]), move |_, _| names(&[peer]));
        run(&net, plan, &torrent).is_complete(&torrent);
        asked(&all)[0].key
    };
    assert_ne!(key(), key());
}

#[test]
fn started_is_said_until_a_tracker_has_taken_it() {
    let (net, torrent) = (Net::new(), torrent());
    let peer = net.seed(1, &torrent, 0..5);
    let (plan, all) = with_tracker(plan(&net, &torrent, &[]), move |before, _| match before {
        0 => failure(Retry::Unsaid),
        1 => Err(TrackerError::Status(503)),
        2 => Err(TrackerError::Transport("it is raining".into())),
        _ => names(&[peer]),
    });
    let ran = run(&net, plan, &torrent);
    ran.is_complete(&torrent);
    let started = Some(Event::Started);
    assert_eq!(
        events(&all),
        [started, started, started, started, Some(Event::Completed), Some(Event::Stopped)]
    );
    let failed = ran
        .events
        .iter()
        .filter(|event| matches!(event, SwarmEvent::Source { failed: true, .. }))
        .count();
    assert_eq!(failed, 3);
}

#[test]
fn a_tracker_that_never_took_started_is_told_nothing_at_the_end() {
    let (net, torrent) = (Net::new(), torrent());
    let peer = net.seed(1, &torrent, 0..5);
    let given = plan(&net, &torrent, &[peer]);
    let sources = given.sources;
    let (mut plan, all) = with_tracker(plan(&net, &torrent, &[]), |_, _| failure(Retry::Unsaid));
    plan.sources.extend(sources);
    run(&net, plan, &torrent).is_complete(&torrent);
    assert!(events(&all).iter().all(|event| *event == Some(Event::Started)), "{:?}", events(&all));
}

#[test]
fn completed_is_not_said_for_what_was_there_and_nothing_for_what_was_complete() {
    let (net, torrent) = (Net::new(), torrent());
    let (complete, all) = with_tracker(plan(&net, &torrent, &[]), |_, _| names(&[]));
    assert!(run_into(&net, complete, Memory::new(0), bits(5, 0..5)).result.is_ok());
    assert_eq!(events(&all), []);
}

#[test]
fn who_stops_half_way_says_what_is_left() {
    let (net, torrent, two) = (Net::new(), torrent(), Gate::default());
    let (content, gate) = (torrent.clone(), two.clone());
    let peer = net.peer(1, move |talk| {
        talk.hello(PLAIN, &content)?;
        talk.has(&content, &[0, 1])?;
        for _ in 0..4 {
            let asked = talk.asked()?;
            talk.block(&content, asked)?;
        }
        talk.until(wire::NOT_INTERESTED)?;
        gate.open();
        talk.hold()
    });
    let (plan, all) = with_tracker(plan(&net, &torrent, &[]), move |_, _| names(&[peer]));
    let stop = Arc::clone(&plan.stop);
    two.sets(stop);
    assert!(matches!(run(&net, plan, &torrent).result, Err(SwarmError::Stopped)));
    let last = asked(&all).pop().expect("it was asked");
    assert_eq!(events(&all), [Some(Event::Started), Some(Event::Stopped)]);
    assert_eq!((last.downloaded, last.left, last.numwant), (65_536, 85_536, Some(0)));
}

#[test]
fn left_is_one_until_the_metadata_is_there_and_then_the_truth() {
    let (net, torrent, verified) = (Net::new(), torrent(), Gate::default());
    let (content, opened) = (torrent.clone(), verified.clone());
    let peer = net.peer(1, move |talk| {
        talk.hello(EXTENDED, &content)?;
        let size = content.info.len();
        talk.send(&wire::extended(
            0,
            format!("d1:md11:ut_metadatai3ee13:metadata_sizei{size}ee").as_bytes(),
        ))?;
        talk.until(20)?;
        talk.until(20)?;
        let head = format!("d8:msg_typei1e5:piecei0e10:total_sizei{size}ee");
        talk.send(&wire::extended(1, &[head.as_bytes(), &content.info].concat()))?;
        talk.has(&content, &[0])?;
        let blocks = talk.all_asked(2)?;
        blocks.into_iter().try_for_each(|asked| talk.block(&content, asked))?;
        // Once the piece is verified, there is nothing left to want.
        talk.until(wire::NOT_INTERESTED)?;
        verified.open();
        talk.hold()
    });
    let (plan, all) = with_tracker(magnet(&net, &torrent, &[]), move |_, _| names(&[peer]));
    let stop = Arc::clone(&plan.stop);
    opened.sets(stop);
    let ran = run(&net, plan, &torrent);
    assert!(matches!(ran.result, Err(SwarmError::Stopped)), "{:?}", ran.result);
    let left: Vec<u64> = asked(&all).iter().map(|ask| ask.left).collect();
    assert_eq!((left.first(), left.last()), (Some(&1), Some(&118_304)));
}

#[test]
fn the_tracker_id_is_said_back_and_kept() {
    let (net, torrent) = (Net::new(), torrent());
    let peer = net.seed(1, &torrent, 0..5);
    let (plan, all) = with_tracker(plan(&net, &torrent, &[]), move |before, _| {
        let tracker_id = (before == 0).then(|| b"\xFFid".to_vec());
        Ok(AnnounceResponse { peers: vec![peer], tracker_id, ..AnnounceResponse::default() })
    });
    run(&net, plan, &torrent).is_complete(&torrent);
    let ids: Vec<Option<Vec<u8>>> = asked(&all).into_iter().map(|ask| ask.tracker_id).collect();
    assert_eq!(ids, [None, Some(b"\xFFid".to_vec()), Some(b"\xFFid".to_vec())]);
}

/// A tracker that says "come back at once" is not obeyed, and one that says "in a
/// trillion years" does no harm.
#[test]
fn intervals_are_kept_within_bounds() {
    let odd = [None, Some(0), Some(1), Some(u64::MAX)];
    for (interval, min_interval) in odd.into_iter().flat_map(|one| odd.map(|other| (one, other))) {
        let (net, torrent) = (Net::new(), torrent());
        let content = torrent.clone();
        let peer = net.peer(1, move |talk| {
            talk.hello(PLAIN, &content)?;
            talk.has(&content, &[0, 1, 2, 3, 4])?;
            let first = talk.asked()?;
            std::thread::sleep(Duration::from_millis(60));
            talk.block(&content, first)?;
            talk.give(&content)
        });
        let (plan, all) = with_tracker(plan(&net, &torrent, &[]), move |_, _| {
            let [interval, min_interval] =
                [interval, min_interval].map(|seconds| seconds.map(Duration::from_secs));
            Ok(AnnounceResponse {
                peers: vec![peer],
                interval,
                min_interval,
                ..AnnounceResponse::default()
            })
        });
        run(&net, plan, &torrent).is_complete(&torrent);
        assert_eq!(
            events(&all).len(),
            3,
            "interval {interval:?}, min interval {min_interval:?}: {:?}",
            events(&all)
        );
    }
}

#[test]
fn a_tracker_that_says_never_or_later_is_obeyed() {
    for retry in [Retry::Never, Retry::After(Duration::from_secs(60)), Retry::After(Duration::ZERO)]
    {
        let (net, torrent) = (Net::new(), torrent());
        let (mut plan, all) = with_tracker(plan(&net, &torrent, &[]), move |_, _| failure(retry));
        plan.patience = LITTLE;
        let ran = run(&net, plan, &torrent);
        ran.is_hopeless("not today");
        assert_eq!(events(&all), [Some(Event::Started)], "{retry:?}");
    }
}

#[test]
fn a_tier_without_trackers_or_of_an_unknown_kind_is_a_source_that_finds_nobody() {
    let (net, torrent) = (Net::new(), torrent());
    let impatient = || Plan { patience: LITTLE, ..plan(&net, &torrent, &[]) };
    let (empty, _) = with_tier(impatient(), &[], |_, _| names(&[]));
    run(&net, empty, &torrent).is_hopeless("");
    let (unknown, all) = with_tier(impatient(), &["gopher://x", "no url"], |_, _| names(&[]));
    run(&net, unknown, &torrent).is_hopeless("gopher");
    assert_eq!(events(&all), []);
}

#[test]
fn the_next_tracker_of_a_tier_is_asked_when_one_fails_and_stays_first() {
    let (net, torrent) = (Net::new(), torrent());
    let peer = net.seed(1, &torrent, 0..5);
    let (plan, all) =
        with_tier(plan(&net, &torrent, &[]), &["fake://a", "fake://b"], move |before, _| {
            if before == 0 { failure(Retry::Unsaid) } else { names(&[peer]) }
        });
    run(&net, plan, &torrent).is_complete(&torrent);
    let urls: Vec<String> =
        all.lock().expect("no tracker panics").iter().map(|(url, _)| url.clone()).collect();
    assert_eq!(urls.len(), 4);
    assert!(urls[0] != urls[1] && urls[1..].iter().all(|url| *url == urls[1]), "{urls:?}");
}

#[test]
fn a_warning_reaches_the_user_and_its_peers_are_used() {
    let (net, torrent) = (Net::new(), torrent());
    let peer = net.seed(1, &torrent, 0..5);
    let (plan, _) = with_tracker(plan(&net, &torrent, &[]), move |_, _| {
        Ok(AnnounceResponse {
            peers: vec![peer],
            warning: Some("upgrade your client".to_owned()),
            ..AnnounceResponse::default()
        })
    });
    let ran = run(&net, plan, &torrent);
    ran.is_complete(&torrent);
    let warned = |event: &SwarmEvent| matches!(event, SwarmEvent::Source { what, failed: false, .. } if what.contains("upgrade your client"));
    assert!(ran.events.iter().any(warned), "{:?}", ran.told());
}

/// The first announce may come a moment before the seeder's own.
#[test]
fn a_tracker_that_knew_nobody_is_asked_again_before_hope_is_lost() {
    // Ten times the patience must hold the 30 s between two announces, which no test
    // can wait for; so this only looks that hunger is told at all.
    struct Hungry(std::sync::mpsc::Sender<Wake>);
    impl PeerSource for Hungry {
        fn name(&self) -> String {
            "hungry".to_owned()
        }
        fn run(self: Box<Self>, mut finder: SourceHandle) -> Result<(), BoxError> {
            finder.found(NamedBy::User, vec![]);
            self.0.send(finder.wait(Duration::from_secs(60))).map_err(|error| error.to_string())?;
            Ok(())
        }
    }
    let (net, torrent) = (Net::new(), torrent());
    let (tell, told) = std::sync::mpsc::channel();
    let mut plan = Plan { patience: LITTLE, ..plan(&net, &torrent, &[]) };
    plan.sources = vec![Box::new(Hungry(tell))];
    run(&net, plan, &torrent).is_hopeless("");
    assert_eq!(
        told.recv_timeout(Duration::from_secs(60)),
        Ok(Wake::Hungry),
        "there is no peer, and nobody says so"
    );
}

/// Names a peer of our network, and a service of this machine, from as far away as its URL says.
struct Somewhere(SocketAddr);

impl Tracker for Somewhere {
    fn schemes(&self) -> &[&str] {
        &["fake"]
    }

    fn announce(
        &self,
        url: &str,
        _: &AnnounceRequest,
        _: Instant,
    ) -> Result<AnnounceResponse, TrackerError> {
        let from = match url {
            "fake://lan" => Reach::Network,
            "fake://internet" => Reach::Internet,
            _ => return Err(TrackerError::Status(503)),
        };
        let service = "127.0.0.1:6379".parse().expect("an address");
        Ok(AnnounceResponse { peers: vec![self.0, service], from, ..AnnounceResponse::default() })
    }
}

#[test]
fn whom_a_tracker_may_name_depends_on_the_one_of_its_tier_that_answered() {
    for (answers, named) in [("fake://lan", true), ("fake://internet", false)] {
        let (net, torrent) = (Net::new(), torrent());
        let near = net.seed(1, &torrent, 0..5);
        let given = net.seed(2, &torrent, 0..5);
        let mut plan = plan(&net, &torrent, &[]);
        let urls = ["fake://silent", answers].map(str::to_owned).to_vec();
        let trackers: Arc<Vec<Box<dyn Tracker>>> = Arc::new(vec![Box::new(Somewhere(near))]);
        let (name, pause) = (plan.names.first(), Duration::from_millis(20));
        let announcer = Announcer::new(urls, trackers, name, plan.peer_id, pause);
        plan.sources = vec![Box::new(announcer)];
        if !named {
            plan.sources.push(Box::new(Later(given)));
        }
        let ran = run(&net, plan, &torrent);
        ran.is_complete(&torrent);
        assert_eq!(net.dials(near) > 0, named, "{answers}");
        assert_eq!(net.dials("127.0.0.1:6379".parse().expect("an address")), 0, "{answers}");
    }
}

/// The user's peer, who comes once the tracker has answered.
struct Later(SocketAddr);

impl PeerSource for Later {
    fn name(&self) -> String {
        "the user".to_owned()
    }

    fn run(self: Box<Self>, mut finder: SourceHandle) -> Result<(), BoxError> {
        while finder.wait(Duration::from_secs(60)) == Wake::Due {}
        finder.found(NamedBy::User, vec![self.0]);
        Ok(())
    }
}
