//! Downloads from peers that are honest, each in its own way.

use super::super::support::{Gate, Must, Torrent, insist, insist_eq, wire, wire_is};
use super::memory::{Memory, bits};
use super::net::{EXTENDED, FAST, Net, PLAIN, US, brought, plan, run, run_into};
use piecemeal::s10_storage::Store;
use piecemeal::s15_swarm::Event;
use std::io;
use std::sync::{Arc, Mutex};

/// Five pieces of two blocks, the last one of 20,000 bytes.
fn torrent() -> Torrent {
    Torrent::sample()
}

#[test]
fn one_peer_brings_it_all() {
    let (net, torrent) = (Net::new(), torrent());
    let peer = net.seed(1, &torrent, 0..5);
    let ran = run(&net, plan(&net, &torrent, &[peer]), &torrent);
    let outcome = ran.is_complete(&torrent);
    assert_eq!((outcome.downloaded, &brought(outcome)[..]), (151_072, &[(peer, 151_072)][..]));
    assert_eq!(outcome.banned, []);
    assert_eq!(net.dials(peer), 1);
    assert_eq!(ran.store.writes().len(), 10, "each block once");
    let told = ran.told();
    assert!(
        matches!(told[0], Event::Metadata { name, length: 151_072 } if name == "sample.bin"),
        "{told:?}"
    );
    assert!(matches!(told[1], Event::Resumed(0)), "{told:?}");
    assert!(matches!(told[2], Event::Joined(who) if *who == peer), "{told:?}");
    let last = ran.events.last().expect("there are events");
    assert!(
        matches!(last, Event::Progress { verified: 151_072, downloaded: 151_072, .. }),
        "{last:?}"
    );
}

#[test]
fn the_first_bytes_are_those_of_the_specifications() {
    let (net, torrent) = (Net::new(), torrent());
    let said = Arc::new(Mutex::new(Vec::new()));
    let (listening, content) = (Arc::clone(&said), torrent.clone());
    let peer = net.peer(1, move |talk| {
        let hello = talk.hello([0, 0, 0, 0, 0, 0x10, 0, 0x04], &content)?;
        let mut said = vec![hello, talk.bytes(5)?];
        let (id, greeting) = talk.next()?;
        insist_eq!((id, greeting[0]), (20, 0), "the extension handshake follows");
        said.push(greeting[1..].to_vec());
        talk.send(b"\0\0\0\x01\x0e")?; // have all
        said.push(talk.bytes(5)?);
        talk.send(b"\0\0\0\x01\x01")?; // unchoke
        said.push(talk.bytes(17)?);
        *listening.lock().must("the script has not failed")? = said;
        talk.block(
            &content,
            wire::three(&said_last(&listening)[5..]).must("a request has three numbers")?,
        )?;
        talk.give(&content)
    });
    run(&net, plan(&net, &torrent, &[peer]), &torrent).is_complete(&torrent);
    let said = said.lock().expect("the script has not failed");
    let hello =
        [&b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\x04"[..], &torrent.info_hash, &US].concat();
    assert_eq!(said[0], hello);
    assert_eq!(said[1], b"\0\0\0\x01\x0f", "have none");
    let greeting = String::from_utf8_lossy(&said[2]);
    assert!(greeting.contains("11:ut_metadatai") && greeting.contains("4:reqqi500e"), "{greeting}");
    assert_eq!(said[3], b"\0\0\0\x01\x02", "interested");
    assert_eq!(said[4][..5], *b"\0\0\0\x0d\x06", "a request");
    assert_eq!(said[4][13..], 16_384u32.to_be_bytes());
}

fn said_last(said: &Mutex<Vec<Vec<u8>>>) -> Vec<u8> {
    said.lock().expect("the script has not failed").last().cloned().expect("something was said")
}

#[test]
fn what_is_there_is_said_and_not_fetched_again() {
    for reserved in [PLAIN, FAST] {
        let (net, torrent) = (Net::new(), torrent());
        let content = torrent.clone();
        let peer = net.peer(1, move |talk| {
            talk.hello(reserved, &content)?;
            insist_eq!(talk.bytes(6)?, b"\0\0\0\x02\x05\xA8", "a bitfield of pieces 0, 2 and 4");
            talk.has(&content, &[0, 1, 2, 3, 4])?;
            loop {
                let asked = talk.asked()?;
                insist!([1, 3].contains(&asked.0), "only these are missing");
                talk.block(&content, asked)?;
            }
        });
        let store = Memory::of(&torrent);
        store.write(0, &torrent.content).expect("memory takes it");
        store.write(32_768, &[0; 32_768]).expect("memory takes it");
        store.write(98_304, &[0; 32_768]).expect("memory takes it");
        let plan = plan(&net, &torrent, &[peer]);
        let mut ran =
            run_into(&net, plan, Arc::clone(&store) as Arc<dyn Store>, bits(5, [0, 2, 4]));
        ran.store = store;
        assert_eq!(ran.is_complete(&torrent).downloaded, 65_536);
        assert!(ran.told().iter().any(|event| matches!(event, Event::Resumed(85_536))));
    }
}

#[test]
fn two_peers_with_half_each_make_a_whole() {
    let (net, torrent) = (Net::new(), torrent());
    let peers = [net.seed(1, &torrent, [0, 2, 4]), net.seed(2, &torrent, [1, 3])];
    let ran = run(&net, plan(&net, &torrent, &peers), &torrent);
    let mut from = brought(ran.is_complete(&torrent));
    from.sort_unstable();
    assert_eq!(from, [(peers[0], 85_536), (peers[1], 65_536)]);
}

/// Each way to say what one has, and to learn it later.
#[test]
fn what_a_peer_has_may_be_said_in_many_ways() {
    type Say = fn(&Torrent, &mut super::net::Talk) -> io::Result<()>;
    let ways: [(&str, [u8; 8], Say); 7] = [
        ("have all", FAST, |_, talk| talk.send(&wire::message(wire::HAVE_ALL, &[]))),
        ("have none, then haves", FAST, |_, talk| {
            talk.send(&wire::message(wire::HAVE_NONE, &[]))?;
            (0..5).try_for_each(|piece| talk.send(&wire::have(piece)))
        }),
        ("haves without a bitfield", PLAIN, |_, talk| {
            (0..5).try_for_each(|piece| talk.send(&wire::have(piece)))
        }),
        ("an empty bitfield, then haves in pairs", PLAIN, |torrent, talk| {
            talk.has(torrent, &[])?;
            (0..5)
                .rev()
                .try_for_each(|piece| talk.send(&[wire::have(piece), wire::have(piece)].concat()))
        }),
        ("half a bitfield, and the rest once we have fetched that", PLAIN, |torrent, talk| {
            talk.has(torrent, &[0, 1])?;
            for _ in 0..4 {
                let asked = talk.asked()?;
                talk.block(torrent, asked)?;
            }
            talk.until(wire::NOT_INTERESTED)?;
            [4, 2, 3].into_iter().try_for_each(|piece| talk.send(&wire::have(piece)))
        }),
        ("with haves of pieces that do not exist", PLAIN, |torrent, talk| {
            talk.has(torrent, &[0, 1, 2, 3])?;
            [5, 8, u32::MAX, 4].into_iter().try_for_each(|piece| talk.send(&wire::have(piece)))
        }),
        ("after keep-alives, ports and messages of unknown kinds", PLAIN, |torrent, talk| {
            talk.send(b"\0\0\0\0\0\0\0\x03\x09\x1a\xe1\0\0\0\x03\xc8hm")?;
            talk.has(torrent, &[0, 1, 2, 3, 4])
        }),
    ];
    for (way, reserved, say) in ways {
        let (net, torrent) = (Net::new(), torrent());
        let content = torrent.clone();
        let peer = net.peer(1, move |talk| {
            talk.hello(reserved, &content)?;
            say(&content, talk)?;
            talk.give(&content)
        });
        let ran = run(&net, plan(&net, &torrent, &[peer]), &torrent);
        assert!(ran.result.is_ok(), "{way}: {:?}", ran.result);
        ran.is_complete(&torrent);
    }
}

#[test]
fn a_peer_is_told_of_each_piece_that_another_brought() {
    let (net, torrent) = (Net::new(), torrent());
    let (content, heard) = (torrent.clone(), Gate::default());
    let told = heard.clone();
    let one = net.peer(1, move |talk| {
        talk.hello(PLAIN, &content)?;
        talk.has(&content, &[0])?;
        let mut have = std::collections::BTreeSet::new();
        // In our bitfield if they came before it, as haves if they came after.
        while have.len() < 3 {
            match talk.next()? {
                (wire::BITFIELD, bits) => have
                    .extend((0..5).filter(|piece| {
                        bits.first().is_some_and(|bits| bits & 0x80 >> piece != 0)
                    })),
                (wire::HAVE, payload) => have.extend(payload.last().copied()),
                _ => {}
            }
        }
        insist_eq!(have.into_iter().collect::<Vec<u8>>(), [1, 2, 3]);
        told.open();
        talk.unchoke()?;
        talk.give(&content)
    });
    let content = torrent.clone();
    let two = net.peer(2, move |talk| {
        talk.hello(PLAIN, &content)?;
        talk.has(&content, &[1, 2, 3])?;
        for _ in 0..6 {
            let asked = talk.asked()?;
            talk.block(&content, asked)?;
        }
        heard.opens()?;
        talk.send(&wire::have(4))?;
        talk.give(&content)
    });
    run(&net, plan(&net, &torrent, &[one, two]), &torrent).is_complete(&torrent);
}

#[test]
fn a_choke_voids_the_requests_and_they_are_made_again_after_the_unchoke() {
    let (net, torrent) = (Net::new(), torrent());
    let content = torrent.clone();
    let peer = net.peer(1, move |talk| {
        talk.hello(PLAIN, &content)?;
        talk.has(&content, &[0, 1, 2, 3, 4])?;
        let mut first = talk.all_asked(4)?;
        talk.choke()?;
        // One was on its way already.
        talk.block(&content, first.remove(0))?;
        talk.unchoke()?;
        talk.give(&content)
    });
    let ran = run(&net, plan(&net, &torrent, &[peer]), &torrent);
    ran.is_complete(&torrent);
    assert_eq!(net.dials(peer), 1, "a choke is no reason to hang up");
}

#[test]
fn with_the_fast_extension_each_request_is_answered_or_rejected_after_a_choke() {
    let (net, torrent) = (Net::new(), torrent());
    let content = torrent.clone();
    let peer = net.peer(1, move |talk| {
        talk.hello(FAST, &content)?;
        talk.send(&wire::message(wire::HAVE_ALL, &[]))?;
        let mut first = talk.all_asked(4)?;
        talk.choke()?;
        talk.block(&content, first.remove(0))?;
        for asked in first {
            talk.reject(asked)?;
        }
        // The others were on their way to us when it choked.
        for _ in 0..6 {
            let asked = talk.asked()?;
            talk.reject(asked)?;
        }
        talk.unchoke()?;
        talk.give(&content)
    });
    let ran = run(&net, plan(&net, &torrent, &[peer]), &torrent);
    ran.is_complete(&torrent);
    assert_eq!(net.dials(peer), 1, "a choke is no reason to hang up");
}

#[test]
fn a_block_rejected_once_is_asked_for_again() {
    let (net, torrent) = (Net::new(), torrent());
    let content = torrent.clone();
    let peer = net.peer(1, move |talk| {
        talk.hello(FAST, &content)?;
        talk.send(&wire::message(wire::HAVE_ALL, &[]))?;
        let first = talk.asked()?;
        talk.reject(first)?;
        talk.give(&content)
    });
    run(&net, plan(&net, &torrent, &[peer]), &torrent).is_complete(&torrent);
}

/// A peer that has it all gives no more of a piece while it chokes us than it likes.
#[test]
fn what_is_rejected_while_we_are_choked_is_asked_for_after_the_unchoke() {
    let (net, torrent) = (Net::new(), torrent());
    let content = torrent.clone();
    let peer = net.peer(1, move |talk| {
        talk.hello(FAST, &content)?;
        talk.send(&wire::message(wire::HAVE_ALL, &[]))?;
        for _ in 0..3 {
            talk.send(&wire::message(wire::ALLOWED_FAST, &0_u32.to_be_bytes()))?;
            for _ in 0..content.piece(0).len().div_ceil(16_384) {
                let asked = talk.until(wire::REQUEST)?;
                talk.reject(wire::three(&asked).must("a request has three numbers")?)?;
            }
        }
        talk.unchoke()?;
        talk.give(&content)
    });
    run(&net, plan(&net, &torrent, &[peer]), &torrent).is_complete(&torrent);
    assert_eq!(net.dials(peer), 1);
}

#[test]
fn blocks_may_come_in_any_order() {
    let (net, torrent) = (Net::new(), torrent());
    let content = torrent.clone();
    let peer = net.peer(1, move |talk| {
        talk.hello(PLAIN, &content)?;
        talk.has(&content, &[0, 1, 2, 3, 4])?;
        let mut all = talk.all_asked(10)?;
        insist_eq!(
            all.iter().collect::<std::collections::HashSet<_>>().len(),
            10,
            "each block once: {all:?}"
        );
        all.reverse();
        all.swap(2, 7);
        all.into_iter().try_for_each(|asked| talk.block(&content, asked))?;
        talk.hold()
    });
    let ran = run(&net, plan(&net, &torrent, &[peer]), &torrent);
    assert_eq!(ran.is_complete(&torrent).downloaded, 151_072);
}

#[test]
fn no_more_is_asked_for_than_the_peer_can_queue() {
    let (net, torrent) = (Net::new(), Torrent::of_pieces(12, 5));
    let content = torrent.clone();
    let peer = net.peer(1, move |talk| {
        talk.hello(EXTENDED, &content)?;
        talk.send(&wire::extended(0, b"d1:md11:ut_metadatai0ee4:reqqi3ee"))?;
        talk.has(&content, &(0..12).collect::<Vec<_>>())?;
        // It would drop what it cannot queue, and never answer it.
        loop {
            let mut waiting = vec![talk.asked()?];
            while let Some(asked) = talk.asked_soon()? {
                waiting.push(asked);
            }
            insist!(
                waiting.len() <= 3,
                "it said that it queues 3, and is asked for {}",
                waiting.len()
            );
            waiting.into_iter().try_for_each(|asked| talk.block(&content, asked))?;
        }
    });
    let ran = run(&net, plan(&net, &torrent, &[peer]), &torrent);
    ran.is_complete(&torrent);
    assert_eq!(net.dials(peer), 1);
}

#[test]
fn in_the_end_game_a_fast_peer_takes_over_from_a_slow_one_which_is_told_to_stop() {
    let (net, torrent) = (Net::new(), Torrent::of_pieces(2, 6));
    let (asked, held, told) = (Gate::default(), Gate::default(), Gate::default());
    let (content, opened, stopped) = (torrent.clone(), asked.clone(), told.clone());
    let slow = net.peer(1, move |talk| {
        talk.hello(PLAIN, &content)?;
        talk.has(&content, &[0])?;
        let first = talk.asked()?;
        opened.open();
        let cancelled = talk.until(wire::CANCEL)?;
        stopped.open();
        let [index, begin, length] = [first.0, first.1, first.2].map(u32::to_be_bytes);
        wire_is(
            &[&[wire::CANCEL], &cancelled[..]].concat(),
            &[&[wire::CANCEL][..], &index, &begin, &length].concat(),
            "BEP 3, message without its length",
        )?;
        talk.hold()
    });
    // The other piece keeps the download going until the slow one has been told.
    let (content, holds) = (torrent.clone(), held.clone());
    let other = net.peer(3, move |talk| {
        talk.hello(PLAIN, &content)?;
        talk.has(&content, &[1])?;
        let first = talk.asked()?;
        holds.open();
        told.opens()?;
        talk.block(&content, first)?;
        talk.give(&content)
    });
    let content = torrent.clone();
    let fast = net.peer(2, move |talk| {
        talk.hello(PLAIN, &content)?;
        talk.has(&content, &[0])?;
        asked.opens()?;
        held.opens()?;
        talk.give(&content)
    });
    let ran = run(&net, plan(&net, &torrent, &[slow, fast, other]), &torrent);
    let mut brought = brought(ran.is_complete(&torrent));
    brought.sort_unstable();
    assert_eq!(brought, [(fast, 32_768), (other, 32_768)]);
}
