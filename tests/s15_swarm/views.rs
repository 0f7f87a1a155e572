//! What there is to see of a swarm from outside.

use super::super::support::{Gate, Recipe, Torrent, content};
use super::memory::{Dice, Memory, in_time, queue};
use super::net::{FAST, Net, plan};
use piecemeal::s02_metainfo::PieceIndex;
use piecemeal::s05_messages::bitfield::{Bitfield, PeerPieces};
use piecemeal::s10_storage::Store;
use piecemeal::s11_work_queue::WorkQueue;
use piecemeal::s11_work_queue::claimant::{Claim, Claimant};
use piecemeal::s11_work_queue::lease::Written;
use piecemeal::s15_swarm::view::Watch;
use piecemeal::s15_swarm::{Event, download};
use std::sync::{Arc, Mutex};

/// So many pieces of one block of 16 bytes.
fn torrent(pieces: u32) -> Torrent {
    Recipe::single("t", 16, content(pieces as usize * 16, pieces)).build()
}

fn seed(queue: &Arc<WorkQueue>, number: u32) -> Claimant {
    let mut share = Claimant::join(queue, number);
    share.set_pieces(PeerPieces::All);
    share
}

fn numbers(pieces: &[PieceIndex]) -> Vec<u32> {
    pieces.iter().map(|piece| piece.get()).collect()
}

#[test]
fn each_piece_is_seen_in_exactly_one_place_whatever_happens() {
    for seed_number in 0..8 {
        let mut dice = Dice::new(seed_number);
        let pieces = [1, 5, 64, 130][seed_number as usize % 4];
        let torrent = torrent(pieces);
        let (queue, store) = (queue(&torrent), Memory::of(&torrent));
        let mut shares: Vec<Claimant> = (0..4).map(|number| seed(&queue, number)).collect();
        let mut leases = Vec::new();
        let mut model_done = 0;
        for step in 0..600 {
            let who = step % 4;
            if dice.one_in(2) {
                if let Claim::Lease(lease) = shares[who].claim(dice.one_in(3)) {
                    leases.push((who as u32, lease));
                }
            } else if !leases.is_empty() {
                let (_, mut lease) = leases.swap_remove(step % leases.len());
                let right = torrent.piece(lease.piece().get() as usize).to_vec();
                let wrong: Vec<u8> = right.iter().map(|byte| !byte).collect();
                let block = if dice.one_in(5) { wrong } else { right };
                // Some are given back instead.
                if !dice.one_in(4)
                    && lease.write(0, &[&block], &*store).expect("memory takes it")
                        == Written::Verified
                {
                    model_done += 1;
                }
            }
            let places = queue.places();
            let (waiting, on_loan, done) = queue.counts();
            assert_eq!(places.pieces, pieces);
            assert_eq!(
                (places.on_loan.len(), places.done.count() as usize),
                (on_loan, done),
                "step {step}"
            );
            assert_eq!(done, model_done, "step {step}");
            assert_eq!(waiting + on_loan + done, pieces as usize, "step {step}");
            let lent: Vec<u32> = places.on_loan.iter().map(|(piece, _)| piece.get()).collect();
            assert!(
                lent.is_sorted() && lent.iter().all(|piece| !places.done.has(*piece)),
                "step {step}: {lent:?}"
            );
            for (piece, holders) in &places.on_loan {
                let held = |peer: &u32| {
                    leases.iter().any(|(who, lease)| who == peer && lease.piece() == *piece)
                };
                assert!(
                    !holders.is_empty() && holders.iter().all(held),
                    "step {step}: {piece} {holders:?}"
                );
            }
            let bad = numbers(&places.bad);
            assert!(
                bad.is_sorted() && bad.iter().all(|piece| !places.done.has(*piece)),
                "step {step}: {bad:?}"
            );
        }
    }
}

#[test]
fn a_bad_piece_is_seen_until_it_is_right_and_a_withdrawn_one_for_ever() {
    let torrent = torrent(2);
    let (queue, store) = (queue(&torrent), Memory::of(&torrent));
    let mut share = seed(&queue, 7);
    let mut take = |right: bool| {
        let Claim::Lease(mut lease) = share.claim(false) else { panic!("a piece is left") };
        let piece = lease.piece();
        let block: Vec<u8> = torrent
            .piece(piece.get() as usize)
            .iter()
            .map(|byte| if right { *byte } else { !byte })
            .collect();
        lease.write(0, &[&block], &*store).expect("memory takes it");
        piece
    };
    let spoilt = take(false);
    assert_eq!(queue.places().bad, [spoilt]);
    take(true);
    take(true);
    assert_eq!(queue.places().bad, [], "both are right now");
    queue.withdraw(spoilt);
    let places = queue.places();
    assert_eq!((places.bad, places.done.is_full()), (vec![spoilt], true), "it stays done");
}

#[test]
fn a_watch_sees_who_chokes_and_wants_whom_and_who_fetches_what() {
    let (net, torrent) = (Net::new(), Torrent::sample());
    let (unchokes, gives) = (Gate::default(), Gate::default());
    let (script_unchokes, script_gives, its) = (unchokes.clone(), gives.clone(), torrent.clone());
    let peer = net.peer(1, move |talk| {
        talk.hello(FAST, &its)?;
        talk.has(&its, &[0, 1, 2, 3, 4])?;
        script_unchokes.opens()?;
        talk.unchoke()?;
        let first = talk.asked()?;
        script_gives.opens()?;
        talk.block(&its, first)?;
        talk.give(&its)
    });
    let plan = plan(&net, &torrent, &[peer]);
    let watch: Arc<Watch> = Arc::clone(&plan.watch);
    assert_eq!((watch.peers().len(), watch.places().is_some()), (0, false), "nothing has begun");
    let store = Memory::of(&torrent);
    let have = Bitfield::new(torrent.pieces() as u32);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (looked, looking) = (Arc::clone(&seen), Arc::clone(&watch));
    let result = in_time(move || {
        download(plan, move |_| Ok((store as Arc<dyn Store>, have)), &mut |event| {
            let (Event::Progress { .. }, [view]) = (event, &looking.peers()[..]) else { return };
            let places = looking.places().expect("the torrent is known");
            if !unchokes.is_open() && view.am_interested && view.pieces == 5 {
                looked.lock().expect("no panic with this lock").push((view.clone(), places));
                unchokes.open();
            } else if unchokes.is_open() && !gives.is_open() && view.requests > 0 {
                looked.lock().expect("no panic with this lock").push((view.clone(), places));
                gives.open();
            }
        })
    });
    net.check();
    assert_eq!(result.expect("it succeeds").downloaded, 151_072);
    let seen = seen.lock().expect("no panic with this lock");
    let [(choked, before), (fetching, during)] = &seen[..] else { panic!("{} looks", seen.len()) };
    assert_eq!((choked.address, &choked.peer_id.0[..8]), (peer, &b"-SC0001-"[..]));
    assert_eq!(
        (choked.peer_choking, choked.am_choking, choked.peer_interested, choked.requests),
        (true, true, false, 0)
    );
    assert_eq!((before.done.count(), before.on_loan.len()), (0, 0));
    assert_eq!(
        (fetching.number, fetching.peer_choking, fetching.am_interested),
        (choked.number, false, true)
    );
    assert!(
        (1..=10).contains(&fetching.requests),
        "five pieces are ten blocks: {}",
        fetching.requests
    );
    assert_eq!((fetching.downloaded, fetching.uploaded), (0, 0));
    assert!(
        !during.on_loan.is_empty()
            && during.on_loan.iter().all(|(_, holders)| *holders == [fetching.number]),
        "{during:?}"
    );
}
