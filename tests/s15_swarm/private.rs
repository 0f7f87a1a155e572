//! Private torrents: no source finds peers for them but their trackers (BEP 27).

use super::super::support::{Gate, LIMIT, Recipe, Torrent, bencode, content};
use super::net::{Net, magnet, plan, run};
use piecemeal::s03_tracker::reach::NamedBy;
use piecemeal::s07_extension::BoxError;
use piecemeal::s13_peer_sources::signals::Wake;
use piecemeal::s13_peer_sources::source::{PeerSource, SourceHandle};
use piecemeal::s15_swarm::Event;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

/// Names peers, waits until it is told something, and then names others.
struct Open {
    names: Vec<SocketAddr>,
    then: Vec<SocketAddr>,
    heard: mpsc::Sender<Wake>,
    began: Arc<AtomicBool>,
}

impl PeerSource for Open {
    fn name(&self) -> String {
        "an open source".to_owned()
    }

    fn is_open(&self) -> bool {
        true
    }

    fn run(self: Box<Self>, mut handle: SourceHandle) -> Result<(), BoxError> {
        self.began.store(true, Ordering::SeqCst);
        handle.found(NamedBy::User, self.names);
        let wake = handle.wait(Duration::from_secs(3600));
        handle.found(NamedBy::User, self.then);
        let _ = self.heard.send(wake);
        Ok(())
    }
}

fn torrent(private: bool) -> Torrent {
    let recipe = Recipe::single("t", 32 << 10, content(100_000, 2));
    let recipe = if private { recipe.extra("private", bencode::int(1)) } else { recipe };
    recipe.build()
}

#[test]
fn an_open_source_is_not_started_for_a_private_torrent() {
    for private in [true, false] {
        let (net, torrent) = (Net::new(), torrent(private));
        let seed = net.seed(1, &torrent, 0..torrent.pieces());
        let (heard, _hears) = mpsc::channel();
        let began = Arc::new(AtomicBool::new(false));
        let open = Open { names: vec![], then: vec![], heard, began: Arc::clone(&began) };
        let mut plan = plan(&net, &torrent, &[seed]);
        plan.sources.push(Box::new(open));
        let ran = run(&net, plan, &torrent);
        ran.is_complete(&torrent);
        assert_eq!(began.load(Ordering::SeqCst), !private);
        let said = ran.events.iter().filter(|event| {
            matches!(event, Event::Source { name, what, failed: false }
                if name == "an open source" && what.contains("private"))
        });
        assert_eq!(said.count(), usize::from(private), "{:?}", ran.told());
    }
}

#[test]
fn a_magnet_link_that_turns_out_to_be_private_stops_the_open_sources() {
    for private in [true, false] {
        let (net, torrent, ended) = (Net::new(), torrent(private), Gate::default());
        let (content, gate) = (torrent.clone(), ended.clone());
        // It has the only place, and leaves it to others as soon as the source has ended.
        let gives = net.peer(1, move |talk| {
            talk.give_info(&content)?;
            if private { Ok(gate.opens()?) } else { Ok(()) }
        });
        let waits = net.seed(2, &torrent, 0..torrent.pieces());
        let late = net.seed(3, &torrent, 0..torrent.pieces());
        let (names, then) = (vec![gives, waits], vec![late]);
        let (heard, hears) = mpsc::channel();
        let mut plan = magnet(&net, &torrent, &[]);
        plan.max_peers = 1;
        plan.sources = vec![Box::new(Open { names, then, heard, began: Arc::default() })];
        let watcher = thread::spawn(move || {
            let wake = hears.recv_timeout(LIMIT);
            ended.open();
            wake
        });
        let ran = run(&net, plan, &torrent);
        let wake = watcher.join().expect("it only waits").expect("the source has ended");
        if private {
            ran.is_hopeless("");
            assert_eq!(wake, Wake::Stop);
            assert_eq!((net.dials(waits), net.dials(late)), (0, 0), "{:?}", ran.told());
        } else {
            ran.is_complete(&torrent);
        }
    }
}

/// Waits until it is told something, and ends. A thread of its own goes on, and names a peer for as
/// long as anybody wants to know.
struct Straggler(SocketAddr, mpsc::Sender<Wake>);

impl PeerSource for Straggler {
    fn name(&self) -> String {
        "a straggler".to_owned()
    }

    fn is_open(&self) -> bool {
        true
    }

    fn run(self: Box<Self>, mut handle: SourceHandle) -> Result<(), BoxError> {
        let named = handle.named();
        let _ = self.1.send(handle.wait(Duration::from_secs(3600)));
        thread::spawn(move || {
            while named.found(NamedBy::User, vec![self.0]) {
                thread::sleep(Duration::from_millis(1));
            }
        });
        Ok(())
    }
}

#[test]
fn what_an_open_source_names_after_its_end_is_still_open() {
    let (net, torrent, ended) = (Net::new(), torrent(true), Gate::default());
    let (content, gate) = (torrent.clone(), ended.clone());
    let gives = net.peer(1, move |talk| {
        talk.give_info(&content)?;
        Ok(gate.opens()?)
    });
    let late = net.seed(2, &torrent, 0..torrent.pieces());
    let (heard, hears) = mpsc::channel();
    let mut plan = magnet(&net, &torrent, &[gives]);
    plan.sources.push(Box::new(Straggler(late, heard)));
    // Long enough for some of its many reports to come after its end.
    plan.patience = Duration::from_secs(1);
    let watcher = thread::spawn(move || {
        let wake = hears.recv_timeout(LIMIT);
        ended.open();
        wake
    });
    let ran = run(&net, plan, &torrent);
    assert_eq!(watcher.join().expect("it only waits"), Ok(Wake::Stop));
    ran.is_hopeless("");
    assert_eq!(net.dials(late), 0, "{:?}", ran.told());
}
