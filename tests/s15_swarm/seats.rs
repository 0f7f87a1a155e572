//! In the end game, a seat is for whoever is fast.

use super::super::support::{Gate, Recipe, Torrent, content};
use super::memory::{Memory, lease, queue, seed};
use super::net::{Names, Net, PLAIN, brought, plan, right, run};
use piecemeal::s07_extension::BoxError;
use piecemeal::s10_storage::Store;
use piecemeal::s11_work_queue::claimant::{Claim, Claimant};
use piecemeal::s11_work_queue::lease::{Lease, Written};
use piecemeal::s12_session::request_depth::RequestDepth;
use piecemeal::s13_peer_sources::source::{PeerSource, SourceHandle};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// One piece of four blocks.
fn torrent() -> Torrent {
    Recipe::single("t", 65_536, content(65_536, 3)).build()
}

const SECOND: Duration = Duration::from_secs(1);

fn claim(share: &mut Claimant, now: Instant) -> Option<Lease> {
    match share.claim_at(true, now, &mut |_| 0) {
        Claim::Lease(lease) => Some(lease),
        Claim::Later | Claim::Over => None,
    }
}

fn write(lease: &mut Lease, torrent: &Torrent, store: &dyn Store, begin: u32) -> Written {
    let block = right(torrent, (0, begin, 16_384)).expect("the torrent has it");
    lease.write(begin, &[&block], store).expect("memory takes it")
}

#[test]
fn a_seat_passes_from_the_slowest_to_a_newcomer_once_it_is_known_to_be_slow() {
    let (torrent, now) = (torrent(), Instant::now());
    let (queue, store) = (queue(&torrent), Memory::of(&torrent));
    let mut slow: Vec<Claimant> = (1..=3).map(|number| seed(&queue, number)).collect();
    // The second came first, so it has had most time.
    let mut held: Vec<Lease> =
        [1, 0, 2].map(|number| claim(&mut slow[number], now).expect("there is a seat")).into();
    let asked = held[0].next_request().expect("it is asked");
    assert_eq!(write(&mut held[1], &torrent, &*store, 16_384), Written::More);
    assert_eq!(write(&mut held[2], &torrent, &*store, 32_768), Written::More);
    let mut newcomer = seed(&queue, 4);
    assert!(claim(&mut newcomer, now + SECOND / 5).is_none(), "they may be fast");
    let mut taken = claim(&mut newcomer, now + SECOND * 3 / 2)
        .expect("one of them has brought nothing for long");
    assert_eq!(held[0].next_request(), None, "it is asked for no more");
    assert!(held[1].next_request().is_some() && held[2].next_request().is_some());
    // What it was asked for still counts.
    assert_eq!(write(&mut held[0], &torrent, &*store, asked.begin), Written::More);
    let last = taken.next_request().expect("a block is missing");
    assert_eq!(write(&mut taken, &torrent, &*store, last.begin), Written::Verified);
    drop((held, taken));
    assert_eq!(queue.counts(), (0, 0, 1));
}

#[test]
fn a_seat_passes_to_a_peer_that_is_twice_as_fast_and_to_no_other() {
    for (mine, gets) in [(100, true), (400, true), (600, false), (5000, false)] {
        let (torrent, now) = (torrent(), Instant::now());
        let queue = queue(&torrent);
        let mut slow: Vec<Claimant> = (1..=3).map(|number| seed(&queue, number)).collect();
        let _held: Vec<Lease> = slow.iter_mut().map(|share| lease_at(share, now)).collect();
        let mut idle = seed(&queue, 4);
        idle.set_block_time(Some(Duration::from_millis(mine)));
        assert_eq!(
            claim(&mut idle, now + SECOND).is_some(),
            gets,
            "{mine} ms a block, the others a second"
        );
    }
}

fn lease_at(share: &mut Claimant, now: Instant) -> Lease {
    claim(share, now).expect("there is a seat")
}

#[test]
fn a_peer_of_unknown_speed_takes_one_seat_and_no_second() {
    let (torrent, now) = (torrent(), Instant::now());
    let queue = queue(&torrent);
    let mut slow: Vec<Claimant> = (1..=3).map(|number| seed(&queue, number)).collect();
    let _held: Vec<Lease> = slow.iter_mut().map(|share| lease_at(share, now)).collect();
    let mut newcomer = seed(&queue, 4);
    drop(claim(&mut newcomer, now + 2 * SECOND).expect("it may show how fast it is"));
    let _of_another = lease(&mut seed(&queue, 5));
    assert!(claim(&mut newcomer, now + 9 * SECOND).is_none(), "it has had its chance");
    newcomer.set_block_time(Some(SECOND / 10));
    assert!(claim(&mut newcomer, now + 9 * SECOND).is_some());
}

#[test]
fn a_free_seat_is_for_anybody_and_a_chance_is_not_the_last_one() {
    let (torrent, now) = (torrent(), Instant::now());
    let queue = queue(&torrent);
    let mut slow: Vec<Claimant> = (1..=3).map(|number| seed(&queue, number)).collect();
    let _held: Vec<Lease> = slow.iter_mut().map(|share| lease_at(share, now)).collect();
    let mut newcomer = seed(&queue, 4);
    drop(claim(&mut newcomer, now + 2 * SECOND).expect("it may show how fast it is"));
    drop(claim(&mut newcomer, now + 3 * SECOND).expect("a seat is free"));
    let _of_another = lease(&mut seed(&queue, 5));
    assert!(claim(&mut newcomer, now + 20 * SECOND).is_none(), "it has had its chance");
    assert!(claim(&mut newcomer, now + 23 * SECOND).is_some(), "that was long ago");
}

/// It was fast, takes a seat, and chokes us: its speed is forgotten then.
#[test]
fn a_peer_that_does_not_keep_its_seat_takes_no_other() {
    let (torrent, now) = (torrent(), Instant::now());
    let queue = queue(&torrent);
    let mut slow: Vec<Claimant> = (1..=3).map(|number| seed(&queue, number)).collect();
    let _held: Vec<Lease> = slow.iter_mut().map(|share| lease_at(share, now)).collect();
    let mut fickle = seed(&queue, 4);
    fickle.set_block_time(Some(SECOND / 100));
    drop(claim(&mut fickle, now + SECOND).expect("it is fast"));
    fickle.set_block_time(None);
    let _of_another = lease(&mut seed(&queue, 5));
    assert!(claim(&mut fickle, now + 3 * SECOND).is_none(), "it had a seat");
    let mut depth = RequestDepth::new(now);
    depth.count(1, now + SECOND, 250);
    depth.forget_block_time();
    assert_eq!(depth.block_time(), None);
}

#[test]
fn peers_of_unknown_speed_pass_one_seat_round_and_leave_the_others() {
    let (torrent, now) = (torrent(), Instant::now());
    let queue = queue(&torrent);
    let mut slow: Vec<Claimant> = (1..=3).map(|number| seed(&queue, number)).collect();
    let mut held: Vec<Lease> = slow.iter_mut().map(|share| lease_at(share, now)).collect();
    let mut strangers: Vec<Claimant> = (10..30).map(|number| seed(&queue, number)).collect();
    let turns = strangers
        .iter_mut()
        .zip(1..)
        .map(|(stranger, turn)| claim(stranger, now + 2 * SECOND + turn * SECOND / 2));
    let taken: Vec<Lease> =
        turns.map(|lease| lease.expect("the one before has brought nothing")).collect();
    let still_asked = held.iter_mut().filter_map(Lease::next_request).count();
    assert_eq!(still_asked, 2, "twenty strangers take one of three seats");
    // One that is known to be fast takes any.
    let mut fast = seed(&queue, 4);
    fast.set_block_time(Some(SECOND / 10));
    let _lease = claim(&mut fast, now + 13 * SECOND).expect("they are slow");
    assert_eq!(held.iter_mut().filter_map(Lease::next_request).count(), 1);
    drop(taken);
}

/// Names somebody when a gate opens.
struct Late(Gate, SocketAddr);

impl PeerSource for Late {
    fn name(&self) -> String {
        "late".to_owned()
    }

    fn run(self: Box<Self>, finder: SourceHandle) -> Result<(), BoxError> {
        self.0.opens()?;
        Box::new(Names(vec![self.1])).run(finder)
    }
}

#[test]
fn three_slow_peers_do_not_keep_a_fast_one_from_the_last_piece() {
    let (net, torrent, all_asked) =
        (Net::new(), torrent(), [Gate::default(), Gate::default(), Gate::default()]);
    let slow: Vec<SocketAddr> = (0..3)
        .map(|number| {
            let (content, asked) = (torrent.clone(), all_asked[number].clone());
            net.peer(number as u8 + 1, move |talk| {
                talk.hello(PLAIN, &content)?;
                talk.has(&content, &[0])?;
                talk.asked()?;
                asked.open();
                talk.hold()
            })
        })
        .collect();
    let (good, last) = (net.seed(9, &torrent, [0]), Gate::default());
    let mut plan = plan(&net, &torrent, &slow);
    // Ten times this is how long it would wait for a block.
    plan.patience = SECOND;
    plan.sources.push(Box::new(Late(last.clone(), good)));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // In vain, the download is told of the good peer as well, and what it brought shows it.
            all_asked.iter().for_each(|gate| drop(gate.opens()));
            last.open();
        });
        let ran = run(&net, plan, &torrent);
        assert_eq!(brought(ran.is_complete(&torrent)), [(good, 65_536)]);
    });
}
