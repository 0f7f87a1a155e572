//! Downloads from scripted peers.

use super::super::support::{Gate, Must, Torrent, insist, insist_eq, wire};
use super::checking::{contradictory, made};
use super::made::{BLOCK, Made, sha256};
use super::memory::Memory;
use super::net::{Names, Net, PLAIN, Ran, US, right, run_into};
use super::reading::{read, sizes};
use piecemeal::s02_metainfo::Info;
use piecemeal::s03_tracker::PeerId;
use piecemeal::s04_handshake::transport::Dial;
use piecemeal::s05_messages::bitfield::Bitfield;
use piecemeal::s10_storage::StorageError;
use piecemeal::s15_swarm::{Event, Plan, SwarmError};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A download of a torrent of any version.
fn run(net: &Arc<Net>, info: Info, torrent: &Torrent, peers: &[SocketAddr]) -> Ran {
    let mut plan = Plan::new(info.names.clone(), Some(info.clone()), PeerId(US));
    plan.dial = Arc::clone(net) as Arc<dyn Dial>;
    plan.patience = Duration::from_secs(10);
    plan.sources.push(Box::new(Names(peers.to_vec())));
    let store = Memory::of(torrent);
    let ran = run_into(net, plan, Arc::clone(&store) as _, Bitfield::new(info.piece_count()));
    Ran { store, ..ran }
}

/// The torrent of version 2 only, and what a peer gives.
fn version_two(made: &Made) -> (Info, Torrent) {
    let raw = made.v2_info();
    (read(&made.file(&raw)), made.torrent(&raw, &sha256(&raw)))
}

fn hybrid(made: &Made, raw: &[u8]) -> (Info, Torrent) {
    (read(&made.file(raw)), Torrent::of_info(raw.to_vec(), made.row(), made.piece_length))
}

#[test]
fn only_the_bytes_of_files_are_asked_for() {
    let (net, made) = (Net::new(), made());
    let (info, torrent) = version_two(&made);
    let (content, pieces) = (torrent.clone(), sizes(&info));
    let peer = net.peer(1, move |talk| {
        talk.hello(PLAIN, &content)?;
        talk.has(&content, &(0..6).collect::<Vec<_>>())?;
        loop {
            let (piece, begin, length) = talk.asked()?;
            let size = *pieces.get(piece as usize).must("request: index: there are 6 pieces")?;
            insist!(
                begin + length <= size,
                "request: {length} at {begin} of piece {piece}, which has {size} bytes"
            );
            let rest = size - begin;
            insist_eq!(length, rest.min(BLOCK as u32), "request: length: a block, or what is left");
            talk.block(&content, (piece, begin, length))?;
        }
    });
    let ran = run(&net, info.clone(), &torrent, &[peer]);
    let outcome = ran.is_complete(&torrent);
    assert_eq!(outcome.downloaded, info.length, "padding is not fetched");
    let resumed = ran.events.iter().find_map(|event| match event {
        Event::Resumed(bytes) => Some(*bytes),
        _ => None,
    });
    assert_eq!(resumed, Some(0), "and does not count as there");
    // Nor is it written.
    let ranges = ran.store.writes();
    let padding: Vec<_> = info.files.iter().filter(|file| file.padding).collect();
    assert!(padding.iter().all(|pad| {
        ranges.iter().all(|range| range.end <= pad.offset || pad.offset + pad.length <= range.start)
    }));
}

#[test]
fn a_wrong_block_of_a_tree_is_fetched_again_and_its_sender_is_banned() {
    let (net, made) = (Net::new(), made());
    let (info, torrent) = version_two(&made);
    let content = torrent.clone();
    let liar = net.peer(1, move |talk| {
        talk.hello(PLAIN, &content)?;
        talk.has(&content, &[3])?;
        let asked = talk.asked()?;
        talk.wrong_block(&content, asked)?;
        talk.hold()
    });
    let honest = net.seed(2, &torrent, 0..6);
    let ran = run(&net, info, &torrent, &[liar, honest]);
    let outcome = ran.is_complete(&torrent);
    let told: Vec<_> = ran.told();
    let corrupt =
        told.iter().any(|event| matches!(event, Event::Corrupt(piece, _) if piece.get() == 3));
    // The honest one may have been faster; if the liar was asked, it is out.
    assert_eq!(corrupt, !outcome.banned.is_empty(), "{told:#?}");
}

#[test]
fn a_hybrid_is_given_by_peers_that_know_only_version_1() {
    let (net, made) = (Net::new(), made());
    let (info, torrent) = hybrid(&made, &made.hybrid_info());
    let peer = net.seed(1, &torrent, 0..6);
    let ran = run(&net, info.clone(), &torrent, &[peer]);
    assert_eq!(ran.is_complete(&torrent).downloaded, info.length, "with its padding");
}

#[test]
fn a_hybrid_that_contradicts_itself_stops_the_download_and_nobody_is_banned() {
    let (net, made) = (Net::new(), made());
    let mut other = made.row();
    other[3 * BLOCK] ^= 1;
    let (info, torrent) = hybrid(&made, &contradictory(&made, &other));
    let peers = [net.seed(1, &torrent, 0..6), net.seed(2, &torrent, 0..6)];
    let ran = run(&net, info, &torrent, &peers);
    let told = ran.told();
    let Err(SwarmError::Storage(error)) = &ran.result else {
        panic!("{:?}; {told:#?}", ran.result)
    };
    assert!(
        matches!(error, StorageError::Contradiction { piece } if piece.get() == 1),
        "{error:?}"
    );
    assert_eq!(
        error.to_string(),
        "piece 1 fits one of its hashes and not the other: the torrent contradicts itself"
    );
    let Some(Event::Unfinished(summary)) = told.last() else { panic!("{told:#?}") };
    assert!(summary.banned.is_empty());
    assert!(!told.iter().any(|event| matches!(event, Event::Corrupt(..) | Event::Lied(..))));
}

#[test]
fn a_peer_that_makes_padding_up_is_banned_and_does_not_stop_the_download() {
    let (net, made) = (Net::new(), made());
    let (info, torrent) = hybrid(&made, &made.hybrid_info());
    let (content, found_out) = (torrent.clone(), Gate::default());
    let gate = found_out.clone();
    let liar = net.peer(1, move |talk| {
        talk.hello(PLAIN, &content)?;
        talk.has(&content, &[3])?;
        talk.unchoke()?;
        for _ in 0..2 {
            let (piece, begin, length) = talk.asked()?;
            let mut block = right(&content, (piece, begin, length))?;
            if let Some(last) = block.last_mut() {
                *last = 1; // far behind the hundred bytes of the file
            }
            talk.send(&wire::block(piece, begin, &block))?;
        }
        let hung_up = talk.hold();
        gate.open();
        hung_up
    });
    // The honest one has that piece only once the liar has been found out.
    let content = torrent.clone();
    let honest = net.peer(2, move |talk| {
        talk.hello(PLAIN, &content)?;
        talk.has(&content, &[0, 1, 2, 4, 5])?;
        for _ in 0..10 {
            let asked = talk.asked()?;
            talk.block(&content, asked)?;
        }
        found_out.opens()?;
        talk.send(&wire::message(wire::HAVE, &3_u32.to_be_bytes()))?;
        talk.give(&content)
    });
    let ran = run(&net, info, &torrent, &[liar, honest]);
    let outcome = ran.is_complete(&torrent);
    assert_eq!(outcome.banned, [liar], "{:#?}", ran.told());
}
