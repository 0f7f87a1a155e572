//! How a download ends, and that it does.

use super::super::support::{Gate, Torrent, folder, wire};
use super::memory::{Failing, Memory, bits, in_time};
use super::net::{LITTLE, Names, Net, PLAIN, Talk, plan, run, run_into, run_with};
use piecemeal::s03_tracker::reach::NamedBy;
use piecemeal::s04_handshake::transport::{Dial, Transport};
use piecemeal::s05_messages::bitfield::Bitfield;
use piecemeal::s07_extension::BoxError;
use piecemeal::s10_storage::output::Output;
use piecemeal::s10_storage::{StorageError, Store};
use piecemeal::s13_peer_sources::signals::Wake;
use piecemeal::s13_peer_sources::source::{Given, PeerSource, SourceHandle};
use piecemeal::s15_swarm::failure_report::{FailureReport, Reason};
use piecemeal::s15_swarm::{Ended, Event, Plan, SwarmError, download};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

fn torrent() -> Torrent {
    Torrent::sample()
}

/// A source made of a closure.
struct Source<F>(F);

impl<F: FnOnce(SourceHandle) -> Result<(), BoxError> + Send> PeerSource for Source<F> {
    fn name(&self) -> String {
        "a closure".to_owned()
    }

    fn run(self: Box<Self>, finder: SourceHandle) -> Result<(), BoxError> {
        (self.0)(finder)
    }
}

fn source(
    run: impl FnOnce(SourceHandle) -> Result<(), BoxError> + Send + 'static,
) -> Box<dyn PeerSource> {
    Box::new(Source(run))
}

#[test]
fn without_a_source_there_is_no_hope() {
    let (net, torrent) = (Net::new(), torrent());
    let mut plan = plan(&net, &torrent, &[]);
    plan.sources.clear();
    run(&net, plan, &torrent).is_hopeless("no peer is left");
}

#[test]
fn sources_that_end_without_a_peer_end_the_download() {
    let (net, torrent) = (Net::new(), torrent());
    let mut plan = plan(&net, &torrent, &[]);
    plan.patience = Duration::from_secs(1000);
    plan.sources = vec![source(|_| Err("the book of addresses is lost".into()))];
    run(&net, plan, &torrent).is_hopeless("the book of addresses is lost");
}

#[test]
fn a_given_address_that_is_none_is_an_error_with_its_reason() {
    let (net, torrent) = (Net::new(), torrent());
    let mut plan = plan(&net, &torrent, &[]);
    plan.patience = Duration::from_secs(1000);
    plan.sources = vec![Box::new(Given("no port here".to_owned()))];
    run(&net, plan, &torrent).is_hopeless("no port here");
}

#[test]
fn when_all_refuse_each_is_tried_again_before_hope_is_lost() {
    let (net, torrent) = (Net::new(), torrent());
    let peers = [net.at(1), net.at(2), net.at(3)];
    let plan = Plan { patience: LITTLE, ..plan(&net, &torrent, &peers) };
    let ran = run(&net, plan, &torrent);
    ran.is_hopeless("refused");
    for peer in peers {
        assert!(
            (2..=6).contains(&net.dials(peer)),
            "{} was dialed {} times",
            peer,
            net.dials(peer)
        );
    }
}

/// A source that is still looking is waited for, but not for ever.
#[test]
fn a_source_that_finds_nobody_is_waited_for_with_patience() {
    let (net, torrent) = (Net::new(), torrent());
    let mut plan = Plan { patience: LITTLE, ..plan(&net, &torrent, &[]) };
    plan.sources.push(source(|mut finder| {
        while finder.wait(Duration::from_secs(100)) != Wake::Stop {}
        Ok(())
    }));
    run(&net, plan, &torrent).is_hopeless("no peer could be used");
}

#[test]
fn a_piece_that_nobody_has_ends_it_and_the_rest_is_kept() {
    let (net, torrent) = (Net::new(), torrent());
    let peers = [net.seed(1, &torrent, [0, 1, 4]), net.seed(2, &torrent, [1, 2, 4])];
    let mut plan = plan(&net, &torrent, &peers);
    plan.patience = Duration::from_millis(500); // and ten times that without a block
    let ran = run(&net, plan, &torrent);
    ran.is_hopeless("no block came");
    let content = ran.store.content();
    assert!(
        content[..98_304] == torrent.content[..98_304]
            && content[131_072..] == torrent.content[131_072..]
    );
    assert!(content[98_304..131_072] == [0; 32_768], "nobody has piece 3");
}

#[test]
fn a_stop_from_outside_ends_it_at_once() {
    let (net, torrent, begun) = (Net::new(), torrent(), Gate::default());
    let (content, gate) = (torrent.clone(), begun.clone());
    let peer = net.peer(1, move |talk| {
        talk.hello(PLAIN, &content)?;
        talk.has(&content, &[0, 1, 2, 3, 4])?;
        let asked = talk.asked()?;
        talk.block(&content, asked)?;
        gate.open();
        talk.hold()
    });
    let mut plan = plan(&net, &torrent, &[peer]);
    plan.patience = Duration::from_secs(1000);
    let stop = Arc::clone(&plan.stop);
    begun.sets(stop);
    let ran = run(&net, plan, &torrent);
    assert!(matches!(ran.result, Err(SwarmError::Stopped)), "{:?}", ran.result);
}

/// All has come, and the news of it waits behind other news, when the stop is seen.
#[test]
fn a_stop_that_comes_too_late_leaves_a_complete_download() {
    let (net, torrent, over) = (Net::new(), torrent(), Gate::default());
    let (content, gate) = (torrent.clone(), over.clone());
    let peer = net.peer(1, move |talk| {
        talk.hello(PLAIN, &content)?;
        talk.has(&content, &[0, 1, 2, 3, 4])?;
        let given = talk.give(&content);
        // We hang up on a seed only when we have it all.
        gate.open();
        given
    });
    let plan = plan(&net, &torrent, &[peer]);
    let (store, stop) = (Memory::of(&torrent), Arc::clone(&plan.stop));
    let memory = Arc::clone(&store);
    let result = in_time(move || {
        download(plan, move |_| Ok((memory as Arc<dyn Store>, Bitfield::new(5))), &mut |event| {
            if matches!(event, Event::Joined(_)) {
                over.wait();
                stop.store(true, Ordering::SeqCst);
            }
        })
    });
    net.check();
    assert_eq!(result.expect("it is complete").downloaded, 151_072);
    assert!(store.content() == torrent.content);
}

#[test]
fn a_store_that_fails_ends_it_and_is_named() {
    let (net, torrent) = (Net::new(), torrent());
    let peers = [net.seed(1, &torrent, 0..5), net.seed(2, &torrent, 0..5)];
    let ran = run_into(&net, plan(&net, &torrent, &peers), Arc::new(Failing), Bitfield::new(5));
    let error = ran.result.expect_err("the disk is full");
    assert!(
        matches!(&error, SwarmError::Storage(StorageError::Io { path, .. }) if path == "the/disk"),
        "{error:?}"
    );
    let ran = run_with(&net, plan(&net, &torrent, &peers), |_| {
        Err(StorageError::Exists { path: "out".to_owned(), what: "a download of this torrent" })
    });
    assert!(
        matches!(ran.result, Err(SwarmError::Storage(StorageError::Exists { .. }))),
        "{:?}",
        ran.result
    );
}

#[test]
fn what_is_complete_at_the_start_asks_nobody() {
    let (net, torrent) = (Net::new(), torrent());
    let mut plan = plan(&net, &torrent, &[net.at(1)]);
    plan.sources.push(source(|_| panic!("nobody needs this source")));
    let ran = run_into(&net, plan, Memory::new(0), bits(5, 0..5));
    assert_eq!(ran.result.expect("there is nothing to do").downloaded, 0);
    assert_eq!(net.dials(net.at(1)), 0);
}

/// Hashing what is there takes as long as it takes. The patience is for peers.
#[test]
fn a_long_look_at_what_is_there_uses_up_no_patience() {
    let (net, torrent) = (Net::new(), torrent());
    let peer = net.seed(1, &torrent, 0..5);
    let mut plan = plan(&net, &torrent, &[]);
    plan.patience = Duration::from_millis(900); // a second of being held up counts, and no more
    plan.sources = vec![source(move |finder| {
        std::thread::sleep(Duration::from_millis(60));
        finder.found(NamedBy::User, vec![peer]);
        Ok(())
    })];
    let store = Memory::of(&torrent);
    let into = Arc::clone(&store);
    let mut ran = run_with(&net, plan, move |_| {
        std::thread::sleep(Duration::from_millis(1500));
        Ok((into as Arc<dyn Store>, Bitfield::new(5)))
    });
    ran.store = store;
    ran.is_complete(&torrent);
}

/// Nor does a moment in which we did nothing ourselves: stopped by Ctrl-Z, or in front of a
/// terminal that takes nothing.
#[test]
fn time_in_which_we_stood_still_uses_up_no_patience() {
    let (net, torrent, awake) = (Net::new(), torrent(), Gate::default());
    let (content, gate) = (torrent.clone(), awake.clone());
    let peer = net.peer(1, move |talk| {
        talk.hello(PLAIN, &content)?;
        talk.has(&content, &[0, 1, 2, 3, 4])?;
        gate.opens()?;
        talk.give(&content)
    });
    let mut plan = plan(&net, &torrent, &[peer]);
    plan.patience = Duration::from_millis(400); // and ten times that without a block
    let store = Memory::of(&torrent);
    let memory = Arc::clone(&store);
    let result = in_time(move || {
        download(plan, move |_| Ok((memory as Arc<dyn Store>, Bitfield::new(5))), &mut |event| {
            if matches!(event, Event::Joined(_)) {
                std::thread::sleep(Duration::from_millis(4500));
                awake.open();
            }
        })
    });
    net.check();
    result.expect("it is complete");
    assert!(store.content() == torrent.content);
}

/// Ctrl-C while a large file is hashed is a stop, and no trouble with the disk.
#[test]
fn a_stop_while_it_looks_at_what_is_there_is_a_stop() {
    let (net, torrent, folder) = (Net::new(), torrent(), folder());
    let path = folder.path().join("out");
    std::fs::write(&path, &torrent.content).expect("the folder takes a file");
    let plan = plan(&net, &torrent, &[]);
    let stop = Arc::clone(&plan.stop);
    let ran = run_with(&net, plan, move |info| {
        stop.store(true, Ordering::SeqCst);
        let output = Output::open(info, &path, false, &stop, &|_| {})?;
        Ok((output.storage as Arc<dyn Store>, output.have))
    });
    assert!(matches!(ran.result, Err(SwarmError::Stopped)), "{:?}", ran.result);
}

#[test]
fn a_source_that_panics_is_a_source_that_is_gone() {
    let (net, torrent) = (Net::new(), torrent());
    let peer = net.seed(1, &torrent, 0..5);
    let panics = || source(|_finder| std::panic::resume_unwind(Box::new("a bug")));
    let mut plan_beside = plan(&net, &torrent, &[peer]);
    plan_beside.sources.insert(0, panics());
    run(&net, plan_beside, &torrent).is_complete(&torrent);
    let mut alone = plan(&net, &torrent, &[]);
    alone.patience = Duration::from_secs(1000);
    alone.sources = vec![panics()];
    run(&net, alone, &torrent).is_hopeless("no peer is left");
}

/// Does something odd for one address.
struct Odd<F>(Arc<Net>, SocketAddr, F);

impl<F: Fn() -> io::Result<Transport> + Send + Sync> Dial for Odd<F> {
    fn dial(&self, peer: SocketAddr, until: Instant) -> io::Result<Transport> {
        if peer == self.1 { (self.2)() } else { self.0.dial(peer, until) }
    }
}

#[test]
fn a_dial_that_panics_ends_one_thread_and_nothing_else() {
    let (net, torrent) = (Net::new(), torrent());
    let (odd, good) = (net.at(1), net.seed(2, &torrent, 0..5));
    let dial =
        |odd| Arc::new(Odd(Arc::clone(&net), odd, || std::panic::resume_unwind(Box::new("a bug"))));
    let mut beside = plan(&net, &torrent, &[odd, good]);
    beside.dial = dial(odd);
    run(&net, beside, &torrent).is_complete(&torrent);
    let mut alone = Plan { patience: LITTLE, ..plan(&net, &torrent, &[odd]) };
    alone.dial = dial(odd);
    let ran = run(&net, alone, &torrent);
    ran.is_hopeless("a bug in piecemeal");
    assert!(matches!(ran.left(odd)[..], [Ended::Panic, Ended::Panic, ..]), "{:?}", ran.left(odd));
}

#[test]
fn a_dial_that_hangs_holds_up_neither_the_download_nor_its_end() {
    let (net, torrent) = (Net::new(), torrent());
    let (odd, good) = (net.at(1), net.seed(2, &torrent, 0..5));
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let mut plan = plan(&net, &torrent, &[odd, good]);
    plan.dial = Arc::new(Odd(Arc::clone(&net), odd, move || {
        let _ = released.lock().expect("nobody panics with this lock").recv();
        Err(io::ErrorKind::TimedOut.into())
    }));
    run(&net, plan, &torrent).is_complete(&torrent);
    drop(release);
}

#[test]
fn a_source_that_does_not_listen_holds_up_no_end() {
    let (net, torrent) = (Net::new(), torrent());
    let peer = net.seed(1, &torrent, 0..5);
    let (release, released) = mpsc::channel::<()>();
    let mut plan = plan(&net, &torrent, &[peer]);
    plan.sources.push(source(move |_finder| {
        let _ = released.recv();
        Ok(())
    }));
    run(&net, plan, &torrent).is_complete(&torrent);
    drop(release);
}

#[test]
fn no_more_are_connected_than_may_be() {
    let (net, torrent, full) = (Net::new(), torrent(), Gate::default());
    let here = Arc::new(AtomicUsize::new(0));
    let peers: Vec<SocketAddr> = (1..=20)
        .map(|host| {
            let (content, full, here) = (torrent.clone(), full.clone(), Arc::clone(&here));
            net.peer(host, move |talk| {
                talk.hello(PLAIN, &content)?;
                if here.fetch_add(1, Ordering::SeqCst) + 1 == 3 {
                    std::thread::sleep(Duration::from_millis(300)); // a fourth would come now
                    full.open();
                }
                full.opens()?;
                talk.has(&content, &[0, 1, 2, 3, 4])?;
                talk.give(&content)
            })
        })
        .collect();
    let mut plan = plan(&net, &torrent, &peers);
    plan.max_peers = 3;
    run(&net, plan, &torrent).is_complete(&torrent);
    assert_eq!(net.most(), 3);
}

#[test]
fn a_place_that_becomes_free_goes_to_the_next() {
    let (net, torrent) = (Net::new(), torrent());
    let mut peers: Vec<SocketAddr> = (1..=30)
        .map(|host| {
            let content = torrent.clone();
            net.peer(host, move |talk| talk.hello(PLAIN, &content).map(drop))
        })
        .collect();
    peers.push(net.seed(200, &torrent, 0..5));
    let mut plan = plan(&net, &torrent, &peers);
    plan.max_peers = 2;
    run(&net, plan, &torrent).is_complete(&torrent);
}

/// The names of our threads that hold these words.
fn threads(words: &str) -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.map(|name| name.trim().to_owned()).filter(|name| name.contains(words)).collect()
}

#[test]
fn no_thread_of_a_peer_outlives_the_download() {
    let (net, torrent) = (Net::new(), torrent());
    let holding: Vec<SocketAddr> = (1..=9)
        .map(|host| {
            let content = torrent.clone();
            net.peer(host, move |talk: &mut Talk| {
                talk.hello(PLAIN, &content)?;
                talk.has(&content, &[0])?;
                talk.until(wire::INTERESTED)?;
                talk.hold()
            })
        })
        .collect();
    let (content, seen) = (torrent.clone(), Gate::default());
    let looked = seen.clone();
    // All the threads are there until they have been looked at.
    let seed = net.peer(10, move |talk| {
        talk.hello(PLAIN, &content)?;
        looked.opens()?;
        talk.has(&content, &[0, 1, 2, 3, 4])?;
        talk.give(&content)
    });
    let peers = [&holding[..], &[seed]].concat();
    // Only the first fifteen bytes of a thread's name are kept.
    let name = format!("peer {}", net.at(1)).chars().take(12).collect::<String>();
    let of_peer = name.clone();
    let has_tasks = std::path::Path::new("/proc/self/task").exists();
    let mut plan = plan(&net, &torrent, &peers);
    plan.sources.push(source(move |mut finder| {
        // While it runs, its threads can be seen.
        while has_tasks && threads(&of_peer).is_empty() {
            if finder.wait(Duration::from_millis(1)) == Wake::Stop {
                return Ok(());
            }
        }
        seen.open();
        Ok(())
    }));
    run(&net, plan, &torrent).is_complete(&torrent);
    if has_tasks {
        in_time(move || {
            while !threads(&name).is_empty() {
                std::thread::sleep(Duration::from_millis(5));
            }
        });
    }
}

/// Hangs up without waking anybody who reads.
struct Deaf(Arc<Net>);

impl Dial for Deaf {
    fn dial(&self, peer: SocketAddr, until: Instant) -> io::Result<Transport> {
        Ok(Transport { hang_up: Arc::new(|| ()), ..self.0.dial(peer, until)? })
    }
}

#[test]
fn what_came_from_a_peer_whose_thread_is_slow_to_end_is_in_the_outcome() {
    let (net, torrent) = (Net::new(), torrent());
    // Neither has all, so that neither is left because both have everything.
    let peers = [net.seed(1, &torrent, 0..3), net.seed(2, &torrent, 3..5)];
    let mut plan = plan(&net, &torrent, &peers);
    plan.dial = Arc::new(Deaf(Arc::clone(&net)));
    let ran = run(&net, plan, &torrent);
    let outcome = ran.is_complete(&torrent);
    let taken: u64 = outcome.traded.iter().map(|traded| traded.taken).sum();
    assert_eq!(
        (outcome.downloaded, taken),
        (torrent.content.len() as u64, torrent.content.len() as u64)
    );
}

#[test]
fn a_source_hears_of_hunger_completion_and_the_end() {
    let (net, torrent) = (Net::new(), torrent());
    let content = torrent.clone();
    let leaves = net.peer(1, move |talk| talk.hello(PLAIN, &content).map(drop));
    let seed = net.seed(2, &torrent, 0..5);
    let (tell, told) = mpsc::channel();
    let mut plan = plan(&net, &torrent, &[leaves]);
    plan.sources.push(source(move |mut finder| {
        assert_eq!(finder.counters(), (0, 0, 151_072));
        let mut heard = vec![finder.wait(Duration::from_secs(60))];
        finder.found(NamedBy::User, vec![seed]);
        while heard.last() != Some(&Wake::Stop) {
            heard.push(finder.wait(Duration::from_secs(60)));
        }
        tell.send((heard, finder.counters())).map_err(|error| error.to_string())?;
        Ok(())
    }));
    run(&net, plan, &torrent).is_complete(&torrent);
    let (mut heard, counters) =
        told.recv_timeout(Duration::from_secs(60)).expect("the source ends");
    heard.dedup();
    assert_eq!(heard, [Wake::Hungry, Wake::Completed, Wake::Stop]);
    assert_eq!(counters, (0, 151_072, 0));
}

#[test]
fn what_a_source_says_reaches_the_user() {
    let (net, torrent) = (Net::new(), torrent());
    let peer = net.seed(1, &torrent, 0..5);
    let mut plan = plan(&net, &torrent, &[]);
    plan.sources = vec![source(move |finder| {
        finder.say("good morning".to_owned());
        finder.failed("no bread".to_owned());
        finder.found(NamedBy::User, vec![peer]);
        Ok(())
    })];
    let ran = run(&net, plan, &torrent);
    ran.is_complete(&torrent);
    let said: Vec<(&str, bool)> = ran.events.iter().filter_map(said).collect();
    assert_eq!(said, [("good morning", false), ("no bread", true)]);
}

fn said(event: &Event) -> Option<(&str, bool)> {
    if let Event::Source { what, failed, .. } = event { Some((what, *failed)) } else { None }
}

#[test]
fn an_address_named_a_hundred_times_is_dialed_once() {
    let (net, torrent) = (Net::new(), torrent());
    let peer = net.seed(1, &torrent, 0..5);
    let mut plan = plan(&net, &torrent, &[peer; 100]);
    plan.sources.push(Box::new(Names(vec![peer; 100])));
    run(&net, plan, &torrent).is_complete(&torrent);
    assert_eq!(net.dials(peer), 1);
}

/// Five that nobody is at, two that hang up, one that sends too much, and one that chokes.
#[test]
fn the_end_sums_up_whom_it_knew_and_the_most_frequent_reason() {
    let (net, torrent) = (Net::new(), torrent());
    let mut peers: Vec<SocketAddr> = (1..=5).map(|host| net.at(host)).collect();
    for (host, says) in [(6, vec![]), (7, vec![]), (8, vec![0xff; 4])] {
        let content = torrent.clone();
        peers.push(net.peer(host, move |talk| {
            talk.hello(PLAIN, &content)?;
            talk.send(&says)
        }));
    }
    let content = torrent.clone();
    peers.push(net.peer(9, move |talk| {
        talk.hello(PLAIN, &content)?;
        talk.has(&content, &[0, 1, 2])?;
        talk.hold()
    }));
    let mut plan = plan(&net, &torrent, &peers);
    plan.patience = Duration::from_millis(500);
    let ran = run(&net, plan, &torrent);
    ran.is_hopeless(
        "no block came for 5 s: 0 of 5 pieces are verified; 9 peers known, 4 connected; 5 peers: ",
    );
    ran.is_hopeless("it chokes us");
}

#[test]
fn three_reasons_are_told_and_each_by_one_peer_or_by_their_number() {
    let reason = |peers: usize, why: &str| Reason {
        peers,
        example: ([127, 0, 0, 7], 6881).into(),
        why: why.to_owned(),
    };
    let reasons = vec![
        reason(9, "refused"),
        reason(1, "it chokes us"),
        reason(1, "it is slow"),
        reason(1, "b"),
        reason(1, "c"),
    ];
    let standing = FailureReport {
        pieces: Some((2, 5)),
        known: 13,
        connected: 4,
        trackers: 1,
        answered: 1,
        ..FailureReport::default()
    };
    let told = FailureReport {
        reasons,
        failures: vec!["http://x/announce: refused".to_owned()],
        ..standing.clone()
    }
    .to_string();
    let expected = "2 of 5 pieces are verified; 13 peers known, 4 connected; 9 peers: refused; \
                    127.0.0.7:6881: it chokes us; 127.0.0.7:6881: it is slow; 2 more, for other reasons";
    assert_eq!(told, expected);
    let nobody = FailureReport { known: 0, sources: 3, ..standing };
    let table = [
        (FailureReport { only_us: true, ..nobody.clone() }, "the tracker names nobody but us"),
        (FailureReport { trackers: 3, answered: 3, ..nobody.clone() }, "3 trackers name nobody"),
        (
            FailureReport { trackers: 3, answered: 2, ..nobody.clone() },
            "2 of 3 trackers answered, and named nobody",
        ),
        (
            FailureReport { sources: 0, trackers: 0, answered: 0, ..nobody },
            "no tracker is named, and no peer is given",
        ),
    ];
    for (standing, expected) in table {
        assert_eq!(standing.to_string(), format!("2 of 5 pieces are verified; {expected}"));
    }
}
