//! In a swarm: hashes before blocks, from peers that are honest, and from peers that are not; and
//! by which name a torrent of two names is dialed.

use super::super::support::{Gate, LIMIT, Must, assert_number, insist, insist_eq, wire};
use super::net::{EXTENDED, Names, Net, Ran, Talk, US, peer_id_of, run};
use super::torrents::{V2, numbers};
use piecemeal::s02_metainfo::{InfoHash, Names as TorrentNames};
use piecemeal::s03_tracker::PeerId;
use piecemeal::s04_handshake::Handshake;
use piecemeal::s04_handshake::transport::{Dial, pair};
use piecemeal::s06_magnet::Magnet;
use piecemeal::s15_swarm::waiting::Wait;
use piecemeal::s15_swarm::{Ended, Event, Plan, SwarmError};
use piecemeal::s16_uploading::incoming::answer;
use piecemeal::s23_v2::names::of_link;
use piecemeal::s24_hash_transfer::plug;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const CLAUSE: &str = "BEP 52, hash messages";
/// The byte of the reserved ones that has the bit, and the bit: "I also know the other name".
const UPGRADE: (usize, u8) = (7, 0x10);

/// A link with these names: the SHA-1, the SHA-256, or both.
fn link(v2: &V2, sha1: bool, sha256: bool) -> String {
    let btih = format!("xt=urn:btih:{}", hex::encode(v2.sha1));
    let btmh = format!("xt=urn:btmh:1220{}", hex::encode(v2.sha256));
    let topics: Vec<String> =
        [(sha1, btih), (sha256, btmh)].into_iter().filter(|it| it.0).map(|it| it.1).collect();
    format!("magnet:?{}", topics.join("&"))
}

/// A download from a link, over a network in memory.
fn from_link(net: &Arc<Net>, link: &str, peers: &[SocketAddr]) -> Plan {
    let magnet = Magnet::parse(link).expect("it is a link");
    let mut plan = Plan::new(of_link(&magnet).expect("it has names"), None, PeerId(US));
    plan.dial = Arc::clone(net) as Arc<dyn Dial>;
    plan.patience = Duration::from_secs(10);
    plan.sources.push(Box::new(Names(peers.to_vec())));
    plug(&mut plan);
    plan
}

/// A download of a torrent of version 2, from its link.
fn magnet(net: &Arc<Net>, v2: &V2, peers: &[SocketAddr]) -> Plan {
    from_link(net, &link(v2, false, true), peers)
}

/// Answers requests for hashes until all are given that a file of one layer needs.
fn give_hashes(talk: &mut Talk, v2: &V2) -> io::Result<usize> {
    let (mut given, mut answers) = (0, 0);
    // The last answer may have padding too.
    while given < v2.pieces {
        let (id, request) = talk.next()?;
        insist!(id != wire::REQUEST, "a block was asked for before all hashes were there");
        if id == 21 {
            talk.send(&wire::message(22, &v2.answer(&request)))?;
            given += numbers(&request)[2] as usize;
            answers += 1;
        }
    }
    Ok(answers)
}

/// All pieces of its torrent.
fn all(v2: &V2) -> Vec<usize> {
    (0..v2.torrent.pieces()).collect()
}

/// Says hello, has all pieces, and does not offer the info dictionary.
fn meet(talk: &mut Talk, v2: &V2) -> io::Result<()> {
    talk.hello(EXTENDED, &v2.torrent)?;
    talk.has(&v2.torrent, &all(v2))?;
    talk.send(&wire::extended(0, b"de"))
}

/// A peer that gives the info dictionary, hashes and blocks.
fn seed(talk: &mut Talk, v2: &V2) -> io::Result<()> {
    talk.give_info(&v2.torrent)?;
    talk.has(&v2.torrent, &all(v2))?;
    give_hashes(talk, v2)?;
    talk.give(&v2.torrent)
}

/// Whether this peer was left for a reason with these words.
fn was_left(ran: &Ran, peer: SocketAddr, words: &str) -> bool {
    ran.left(peer).iter().any(|why: &&Ended| why.to_string().contains(words))
}

#[test]
fn from_a_link_all_hashes_come_before_the_first_block() {
    let (net, v2) = (Net::new(), V2::new(16_384, 40 * 16_384 + 1));
    let content = v2.clone();
    let peer = net.peer(1, move |talk| seed(talk, &content));
    run(&net, magnet(&net, &v2, &[peer]), &v2.torrent).is_complete(&v2.torrent);
}

#[test]
fn a_torrent_without_piece_layers_gets_them_from_a_peer() {
    let (net, v2) = (Net::new(), V2::new(32_768, 40 * 32_768 + 1));
    let content = v2.clone();
    let peer = net.peer(1, move |talk| {
        meet(talk, &content)?;
        give_hashes(talk, &content)?;
        talk.give(&content.torrent)
    });
    let plan = Plan { info: Some(v2.info()), ..magnet(&net, &v2, &[peer]) };
    run(&net, plan, &v2.torrent).is_complete(&v2.torrent);
}

#[test]
fn a_file_of_one_piece_needs_no_hash_but_its_root() {
    let (net, v2) = (Net::new(), V2::new(65_536, 50_000));
    let content = v2.clone();
    let peer = net.peer(1, move |talk| {
        talk.give_info(&content.torrent)?;
        talk.has(&content.torrent, &[0])?;
        talk.give(&content.torrent)
    });
    run(&net, magnet(&net, &v2, &[peer]), &v2.torrent).is_complete(&v2.torrent);
}

#[test]
fn a_peer_that_lies_about_hashes_is_left_and_another_is_asked() {
    let (net, v2, lied) = (Net::new(), V2::new(16_384, 600 * 16_384), Gate::default());
    let (content, gate) = (v2.clone(), lied.clone());
    let liar = net.peer(1, move |talk| {
        if talk.dialed > 1 {
            return talk.hold(); // it is tried once more, when the info dictionary is known
        }
        talk.give_info(&content.torrent)?;
        let request = talk.until(21)?;
        let mut lie = content.answer(&request);
        lie[100] ^= 1;
        gate.open();
        talk.send(&wire::message(22, &lie))?;
        talk.hold()
    });
    let content = v2.clone();
    let honest = net.peer(2, move |talk| {
        lied.opens()?;
        meet(talk, &content)?;
        give_hashes(talk, &content)?;
        talk.give(&content.torrent)
    });
    let ran = run(&net, magnet(&net, &v2, &[liar, honest]), &v2.torrent);
    ran.is_complete(&v2.torrent);
    assert!(was_left(&ran, liar, "its hashes are wrong"), "{:?}", ran.told());
}

#[test]
fn right_hashes_that_the_torrent_has_no_bytes_for_end_the_download_and_blame_no_peer() {
    for hybrid in [false, true] {
        let (net, v2) = (Net::new(), V2::contradicting(hybrid));
        let peers = [1, 2].map(|number| {
            let content = v2.clone();
            net.peer(number, move |talk| {
                talk.give_info(&content.torrent)?;
                talk.has(&content.torrent, &all(&content))?;
                let request = talk.until(21)?;
                talk.send(&wire::message(22, &content.answer(&request)))?;
                talk.hold()
            })
        });
        let ran = run(&net, magnet(&net, &v2, &peers), &v2.torrent);
        let error = ran.result.as_ref().err().map(ToString::to_string).unwrap_or_default();
        assert!(error.contains("the torrent contradicts itself"), "{error:?}: {:?}", ran.told());
        assert!(matches!(ran.result, Err(SwarmError::Unusable(_))), "{error}");
        for peer in peers {
            assert!(ran.left(peer).is_empty(), "an honest peer is left: {:?}", ran.told());
        }
    }
}

#[test]
fn a_peer_that_rejects_still_gives_blocks() {
    let (net, v2, rejected) = (Net::new(), V2::new(16_384, 30 * 16_384), Gate::default());
    let (content, gate) = (v2.clone(), rejected.clone());
    let refuses = net.peer(1, move |talk| {
        talk.give_info(&content.torrent)?;
        talk.has(&content.torrent, &all(&content))?;
        let request = talk.until(21)?;
        talk.send(&wire::message(23, &request))?;
        gate.open();
        talk.give(&content.torrent)
    });
    let content = v2.clone();
    let knows = net.peer(2, move |talk| {
        rejected.opens()?;
        meet(talk, &content)?;
        give_hashes(talk, &content)?;
        talk.give(&content.torrent)
    });
    let ran = run(&net, magnet(&net, &v2, &[refuses, knows]), &v2.torrent);
    ran.is_complete(&v2.torrent);
    assert!(ran.left(refuses).is_empty(), "to reject is no crime: {:?}", ran.told());
}

#[test]
fn if_nobody_has_the_hashes_the_error_says_so() {
    let (net, v2) = (Net::new(), V2::new(16_384, 30 * 16_384));
    let content = v2.clone();
    let refuses = net.peer(1, move |talk| {
        talk.give_info(&content.torrent)?;
        loop {
            let request = talk.until(21)?;
            talk.send(&wire::message(23, &request))?;
        }
    });
    let mut plan = magnet(&net, &v2, &[refuses]);
    plan.patience = super::net::LITTLE;
    let ran = run(&net, plan, &v2.torrent);
    assert!(ran.result.is_err(), "{:?}", ran.told());
    let Err(error) = &ran.result else { return };
    let shown = format!("{error:?}");
    assert!(shown.contains("has not sent the hashes of all pieces"), "{shown}");
}

#[test]
fn hashes_that_come_slowly_are_waited_for_as_blocks_are() {
    let (net, v2) = (Net::new(), V2::without_content(10 * 512));
    let content = v2.clone();
    let slow = net.peer(1, move |talk| {
        talk.give_info(&content.torrent)?;
        // Ten parts take three seconds. Without a block, patience ends after two.
        for _ in 0..10 {
            let request = talk.until(21)?;
            std::thread::sleep(Duration::from_millis(300));
            talk.send(&wire::message(22, &content.answer(&request)))?;
        }
        Err(io::ErrorKind::ConnectionAborted.into())
    });
    let mut plan = magnet(&net, &v2, &[slow]);
    plan.patience = Duration::from_millis(200);
    let ran = run(&net, plan, &v2.torrent);
    let known = |event: &Event| matches!(event, Event::Metadata { .. });
    assert!(ran.events.iter().any(known), "all hashes have come: {:?}", ran.told());
}

#[test]
fn the_wait_for_hashes_is_told_and_so_is_whoever_sends_wrong_ones() {
    let (net, v2) = (Net::new(), V2::new(16_384, 30 * 16_384));
    let content = v2.clone();
    let liar = net.peer(1, move |talk| {
        talk.give_info(&content.torrent)?;
        let mut lie = content.answer(&talk.until(21)?);
        lie[100] ^= 1;
        talk.send(&wire::message(22, &lie))?;
        talk.hold()
    });
    let content = v2.clone();
    let silent = net.peer(2, move |talk| {
        meet(talk, &content)?;
        talk.hold()
    });
    let mut plan = magnet(&net, &v2, &[liar, silent]);
    (plan.patience, plan.silence) = (super::net::LITTLE / 2, Duration::from_millis(100));
    let ran = run(&net, plan, &v2.torrent);
    let waits = ran.events.iter().filter_map(|event| match event {
        Event::Waiting(waiting) => Some(waiting.why.clone()),
        _ => None,
    });
    let waits: Vec<Wait> = waits.collect();
    let told = waits.iter().any(|wait| matches!(wait, Wait::Hashes { files: 1, .. }));
    assert!(told, "{waits:?}: {:?}", ran.told());
    let error = ran.result.as_ref().err().map(ToString::to_string).unwrap_or_default();
    assert!(error.contains("no peer gave the piece hashes"), "{error}");
    let shown = format!("{:?}", ran.result.as_ref().err());
    assert!(shown.contains("its hashes are wrong"), "the liar is told apart: {shown}");
    assert!(shown.contains("has not sent the hashes"), "and so is the silent one: {shown}");
}

#[test]
fn a_link_with_the_sha1_of_a_torrent_of_version_2_is_refused_at_once() {
    let (net, v2) = (Net::new(), V2::new(16_384, 30 * 16_384));
    let mut content = v2.clone();
    content.torrent.info_hash = v2.sha1;
    let peer = net.peer(1, move |talk| {
        talk.give_info(&content.torrent)?;
        talk.hold()
    });
    let ran = run(&net, from_link(&net, &link(&v2, true, false), &[peer]), &v2.torrent);
    let error = ran.result.as_ref().err().map(ToString::to_string).unwrap_or_default();
    assert!(error.contains("whose peers know it by its SHA-256 only"), "{error}: {:?}", ran.told());
}

#[test]
fn while_we_know_nothing_a_request_for_hashes_is_rejected() {
    let (net, v2) = (Net::new(), V2::new(16_384, 30 * 16_384));
    let content = v2.clone();
    let peer = net.peer(1, move |talk| {
        talk.hello(EXTENDED, &content.torrent)?;
        let request = super::tree::request(content.root(), [0, 0, 32, 4]);
        talk.send(&wire::message(21, &request))?;
        talk.send(&wire::extended(0, b"de"))?;
        talk.send(&wire::message(21, &request))?;
        // The first came before our extension handshakes were exchanged, and may be dropped.
        insist_eq!(talk.until(23)?, request, "the reject repeats the request");
        Err(io::ErrorKind::ConnectionAborted.into())
    });
    let content = v2.clone();
    let seeds = net.peer(2, move |talk| {
        talk.hello(EXTENDED, &content.torrent)?;
        // The first one is done before the torrent is known.
        std::thread::sleep(Duration::from_millis(300));
        Err(io::ErrorKind::ConnectionAborted.into())
    });
    let mut plan = magnet(&net, &v2, &[peer, seeds]);
    plan.patience = super::net::LITTLE;
    let _ = run(&net, plan, &v2.torrent);
}

#[test]
fn ten_thousand_hashes_take_twenty_messages() {
    let (net, v2) = (Net::new(), V2::without_content(10_000));
    let answers = Arc::new(AtomicUsize::new(0));
    let (content, count) = (v2.clone(), Arc::clone(&answers));
    let peer = net.peer(1, move |talk| {
        talk.give_info(&content.torrent)?;
        count.store(give_hashes(talk, &content)?, Ordering::SeqCst);
        Err(io::ErrorKind::ConnectionAborted.into())
    });
    let mut plan = magnet(&net, &v2, &[peer]);
    plan.patience = super::net::LITTLE;
    let ran = run(&net, plan, &v2.torrent);
    let known = |event: &Event| matches!(event, Event::Metadata { length: 163_840_000, .. });
    assert!(ran.events.iter().any(known), "the torrent is known: {:?}", ran.told());
    assert_number("answers", answers.load(Ordering::SeqCst), 20, CLAUSE, &[]);
}

/// The reserved bytes and the name in our handshake.
fn opening(talk: &mut Talk) -> io::Result<([u8; 8], [u8; 20])> {
    let ours = talk.bytes(68)?;
    let reserved = ours[20..28].try_into().must("eight bytes")?;
    Ok((reserved, ours[28..48].try_into().must("twenty bytes")?))
}

/// Answers with this name, and introduces no extension.
fn by_name(talk: &mut Talk, name: [u8; 20]) -> io::Result<()> {
    let id = peer_id_of(talk.address);
    talk.send(&wire::handshake(EXTENDED, name, id))?;
    talk.send(&wire::extended(0, b"de"))
}

/// A download of a hybrid of which the whole info dictionary is known.
fn hybrid(net: &Arc<Net>, v2: &V2, peers: &[SocketAddr]) -> Plan {
    let info = v2.info();
    let names = info.names.clone();
    Plan { info: Some(info), names, ..from_link(net, &link(v2, true, true), peers) }
}

#[test]
fn a_hybrid_is_dialed_by_its_sha1_with_a_bit_and_asked_for_hashes_by_the_other_name() {
    let (net, v2) = (Net::new(), V2::hybrid(16_384, 30 * 16_384));
    let content = v2.clone();
    let peer = net.peer(1, move |talk| {
        let (reserved, name) = opening(talk)?;
        insist_eq!(name, content.sha1, "byte 28, info hash: the older name, which all know");
        insist_eq!(reserved[UPGRADE.0] & UPGRADE.1, UPGRADE.1, "byte 27, bit 4: we know both");
        by_name(talk, content.torrent.info_hash)?;
        give_hashes(talk, &content)?;
        talk.has(&content.torrent, &all(&content))?;
        talk.give(&content.torrent)
    });
    run(&net, hybrid(&net, &v2, &[peer]), &v2.torrent).is_complete(&v2.torrent);
}

#[test]
fn a_peer_that_answers_by_the_sha1_is_never_asked_for_hashes() {
    let (net, v2) = (Net::new(), V2::hybrid(16_384, 30 * 16_384));
    let content = v2.clone();
    let peer = net.peer(1, move |talk| {
        opening(talk)?;
        by_name(talk, content.sha1)?;
        talk.has(&content.torrent, &all(&content))?;
        talk.unchoke()?;
        loop {
            let (id, payload) = talk.next()?;
            insist!(!(21..=23).contains(&id), "message {id} on a version 1 connection");
            if id == wire::REQUEST {
                talk.block(&content.torrent, wire::three(&payload).must("three numbers")?)?;
            }
        }
    });
    run(&net, hybrid(&net, &v2, &[peer]), &v2.torrent).is_complete(&v2.torrent);
}

#[test]
fn after_a_hang_up_before_the_handshake_the_other_name_is_tried() {
    let (net, v2) = (Net::new(), V2::hybrid(16_384, 30 * 16_384));
    let content = v2.clone();
    // It knows the torrent as version 2 only.
    let peer = net.peer(1, move |talk| {
        let (reserved, name) = opening(talk)?;
        if name != content.torrent.info_hash {
            insist_eq!((talk.dialed, name), (1, content.sha1), "the first dial");
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        insist_eq!(reserved[UPGRADE.0] & UPGRADE.1, 0, "there is no better name than this");
        by_name(talk, name)?;
        talk.has(&content.torrent, &all(&content))?;
        give_hashes(talk, &content)?;
        talk.give(&content.torrent)
    });
    let mut plan = hybrid(&net, &v2, &[peer]);
    plan.patience = Duration::from_secs(4); // so it is dialed again after a second
    run(&net, plan, &v2.torrent).is_complete(&v2.torrent);
}

/// A link with the SHA-1 of a hybrid, and the SHA-256 of something else. The peer knows only the
/// hybrid, and so answers with a name that the link lacks.
#[test]
fn a_link_that_names_two_torrents_is_refused_as_soon_as_a_peer_can_prove_it() {
    let (net, v2) = (Net::new(), V2::hybrid(16_384, 30 * 16_384));
    let other = V2::hybrid(16_384, 31 * 16_384);
    let content = v2.clone();
    let peer = net.peer(1, move |talk| {
        if talk.dialed == 1 {
            let (reserved, name) = opening(talk)?;
            insist_eq!(name, content.sha1, "byte 28, info hash: the older name");
            insist_eq!(reserved[UPGRADE.0] & UPGRADE.1, UPGRADE.1, "byte 27, bit 4: we know both");
            let _ = by_name(talk, content.torrent.info_hash); // we hang up at that name
            return talk.hold();
        }
        insist_eq!(talk.dialed, 2, "dials");
        let mut named = content.torrent.clone();
        named.info_hash = content.sha1;
        talk.give_info(&named)?;
        talk.hold()
    });
    let mixed = V2 { sha256: other.sha256, ..v2.clone() };
    let mut plan = from_link(&net, &link(&mixed, true, true), &[peer]);
    // Were it dialed again only after a pause, that would be after many seconds.
    plan.patience = Duration::from_secs(60);
    let begin = Instant::now();
    let ran = run(&net, plan, &v2.torrent);
    let error = ran.result.as_ref().err().map(ToString::to_string).unwrap_or_default();
    assert!(error.contains("two hashes name two torrents"), "{error}: {:?}", ran.told());
    assert!(ran.left(peer).is_empty(), "an honest peer is left: {:?}", ran.told());
    assert!(begin.elapsed() < Duration::from_secs(10), "it took {:?}", begin.elapsed());
}

/// A peer may answer with any name. If the link is right, its lie costs nothing but a dial.
#[test]
fn a_peer_that_answers_with_a_made_up_name_does_not_make_the_link_wrong() {
    let (net, v2) = (Net::new(), V2::hybrid(16_384, 30 * 16_384));
    let (content, lied) = (v2.clone(), Gate::default());
    let gate = lied.clone();
    let liar = net.peer(1, move |talk| {
        let (reserved, _) = opening(talk)?;
        if reserved[UPGRADE.0] & UPGRADE.1 == 0 {
            gate.open();
        }
        let _ = by_name(talk, [9; 20]);
        talk.hold()
    });
    let honest = net.peer(2, move |talk| {
        lied.opens()?;
        let mut named = content.torrent.clone();
        named.info_hash = content.sha1;
        talk.give_info(&named)?;
        talk.has(&named, &all(&content))?;
        talk.give(&named)
    });
    let plan = from_link(&net, &link(&v2, true, true), &[liar, honest]);
    let ran = run(&net, plan, &v2.torrent);
    ran.is_complete(&v2.torrent);
    assert!(was_left(&ran, liar, "serves another torrent"), "{:?}", ran.told());
}

#[test]
fn names_that_a_link_lacks_are_known_once_the_info_dictionary_is_there() {
    for (sha1, sha256) in [(true, false), (false, true)] {
        let (net, v2) = (Net::new(), V2::hybrid(16_384, 30 * 16_384));
        let (content, known) = (v2.clone(), Gate::default());
        let gate = known.clone();
        let first = if sha1 { v2.sha1 } else { v2.torrent.info_hash };
        let mut named = v2.torrent.clone();
        named.info_hash = first;
        // It gives the info dictionary by the only name that there is, and goes.
        let teller = net.peer(1, move |talk| {
            talk.give_info(&named)?;
            talk.until(wire::EXTENDED)?; // our second extension handshake, or whatever comes then
            gate.open();
            talk.hold()
        });
        // By then, we take an answer with the other name.
        let other = if sha1 { v2.torrent.info_hash } else { v2.sha1 };
        let seeds = net.peer(2, move |talk| {
            known.opens()?;
            let (reserved, name) = opening(talk)?;
            insist_eq!(name, first, "byte 28, info hash: the link's name");
            let _ = reserved; // it may have been dialed before the info dictionary came
            by_name(talk, other)?;
            talk.has(&content.torrent, &all(&content))?;
            talk.unchoke()?;
            loop {
                match talk.next()? {
                    (21, request) => talk.send(&wire::message(22, &content.answer(&request)))?,
                    (wire::REQUEST, payload) => {
                        talk.block(&content.torrent, wire::three(&payload).must("three numbers")?)?;
                    }
                    _ => {}
                }
            }
        });
        let plan = from_link(&net, &link(&v2, sha1, sha256), &[teller, seeds]);
        run(&net, plan, &v2.torrent).is_complete(&v2.torrent);
    }
}

/// Insists that a peer that dials a torrent with these names, by one of them and with this last
/// reserved byte, gets an answer with this name.
#[track_caller]
fn is_answered(names: &TorrentNames, (dialed, last): ([u8; 20], u8), answered: [u8; 20]) {
    let at = SocketAddr::from(([10, 0, 0, 1], 1));
    let (mut ours, mut theirs) = pair(1 << 10, at, at);
    ours.set_deadline(Instant::now() + LIMIT);
    theirs.set_deadline(Instant::now() + LIMIT);
    let hello = wire::handshake([0, 0, 0, 0, 0, 0x10, 0, last], dialed, [7; 20]);
    theirs.write_all(&hello).expect("there is room for 68 bytes");
    let us = Handshake::new(names.first(), PeerId(US));
    let heard = answer(&mut ours, &us, names).expect("it is our torrent");
    let mut said = [0; 68];
    theirs.read_exact(&mut said).expect("we answer");
    assert_eq!(said[28..48], answered, "dialed by {}, bits {last:02x}", hex::encode(dialed));
    assert_eq!(said[27] & UPGRADE.1, 0, "whoever answers does not set the bit");
    assert_eq!(heard.info_hash, InfoHash(answered), "both sides go by the name of the answer");
}

#[test]
fn a_dialer_that_knows_both_names_is_answered_with_the_better_one() {
    let v2 = V2::hybrid(16_384, 16_384);
    let names = v2.info().names;
    let better = v2.torrent.info_hash;
    is_answered(&names, (v2.sha1, 0x05), v2.sha1);
    is_answered(&names, (v2.sha1, 0x05 | UPGRADE.1), better);
    is_answered(&names, (better, 0x05), better);
    is_answered(&names, (better, 0x05 | UPGRADE.1), better);
}

/// libtorrent hangs up on that. The bit only says what the peer knows, or believes to know.
#[test]
fn a_torrent_with_one_name_is_given_by_it_whether_the_dialer_sets_the_bit_or_not() {
    let v1 = [5; 20];
    is_answered(&InfoHash(v1).into(), (v1, 0x05 | UPGRADE.1), v1);
    let v2 = V2::new(16_384, 16_384);
    let only = v2.torrent.info_hash;
    is_answered(&v2.info().names, (only, 0x05 | UPGRADE.1), only);
}

/// The name of version 2 alone.
pub(super) fn only(v2: &V2) -> TorrentNames {
    let magnet = Magnet::parse(&link(v2, false, true)).expect("it is a link");
    of_link(&magnet).expect("it has a name")
}
