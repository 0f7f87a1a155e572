//! From a magnet link: first the info dictionary, then the same download over the
//! same connections.

use super::super::support::{
    Gate, Must, Recipe, Torrent, bencode, content, has_hung_up, insist, insist_eq, wire,
};
use super::net::{EXTENDED, Net, PLAIN, Talk, brought, magnet, peer_id_of, run};
use piecemeal::s02_metainfo::{InfoHash, Names};
use piecemeal::s12_session::host::SessionEnd;
use piecemeal::s15_swarm::{Ended, Event, SwarmError};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A thousand pieces, so that the info dictionary takes two metadata pieces.
fn torrent() -> Torrent {
    Recipe::single("t", 64, content(64_000 - 7, 2)).build()
}

/// Our id of `ut_metadata`, from our extension handshake: the first thing we say.
fn greeted(talk: &mut Talk) -> io::Result<u8> {
    let (id, payload) = talk.next()?;
    insist_eq!((id, payload[0]), (20, 0), "nothing comes before the extension handshake");
    let (ours, _) = bencode::decode(&payload[1..]).must("it is bencode")?;
    insist!(ours.get("metadata_size").is_none(), "we do not have it");
    let id = ours.get("m").and_then(|names| names.get("ut_metadata")).and_then(bencode::Value::int);
    Ok(u8::try_from(id.must("we speak ut_metadata")?).must("an id is a byte")?)
}

/// The peer's extension handshake: its `ut_metadata` is number 3.
fn greet(talk: &mut Talk, metadata_size: i64) -> io::Result<()> {
    let names = bencode::dict(&[("ut_metadata", bencode::int(3))]);
    talk.send(&wire::extended(
        0,
        &bencode::dict(&[("m", names), ("metadata_size", bencode::int(metadata_size))]),
    ))
}

/// The metadata piece we ask for. Until we have it all we say nothing else.
fn asked(talk: &mut Talk) -> io::Result<i64> {
    let (id, payload) = talk.next()?;
    if (id, payload[0]) == (20, 0) && String::from_utf8_lossy(&payload).contains("13:metadata_size")
    {
        // Somebody else has brought it, and we say so: nothing more will be asked.
        return Err(io::Error::other("it is no longer wanted"));
    }
    insist_eq!((id, payload[0]), (20, 3), "only metadata requests go to the peer, not {payload:?}");
    let (request, _) = bencode::decode(&payload[1..]).must("it is bencode")?;
    insist_eq!(request.get("msg_type").and_then(bencode::Value::int), Some(0));
    Ok(request
        .get("piece")
        .and_then(bencode::Value::int)
        .must("a request names a metadata piece")?)
}

fn answer(talk: &mut Talk, our_id: u8, piece: i64, all: &[u8]) -> io::Result<()> {
    let (msg_type, number) = (("msg_type", bencode::int(1)), ("piece", bencode::int(piece)));
    let head = bencode::dict(&[msg_type, number, ("total_size", bencode::int(all.len() as i64))]);
    let data = all.chunks(16_384).nth(piece as usize).unwrap_or_default();
    talk.send(&wire::extended(our_id, &[&head, data].concat()))
}

#[test]
fn a_peer_whose_extension_handshake_is_not_bencode_still_gives_pieces() {
    let (net, torrent, known) = (Net::new(), torrent(), Gate::default());
    let (content, gate) = (torrent.clone(), known.clone());
    let odd = net.peer(1, move |talk| {
        talk.hello(EXTENDED, &content)?;
        talk.send(&wire::extended(0, b"junk!"))?;
        talk.has(&content, &(0..content.pieces()).collect::<Vec<_>>())?;
        gate.open();
        talk.give(&content)
    });
    // This one knows what the torrent is, and has no piece of it.
    let content = torrent.clone();
    let knows = net.peer(2, move |talk| {
        known.opens()?;
        give_metadata(talk, &content, &content.info)?;
        talk.give(&content)
    });
    let ran = run(&net, magnet(&net, &torrent, &[odd, knows]), &torrent);
    ran.is_complete(&torrent);
    let about = |event: &Event| matches!(event, Event::PassedOver(peer, what) if *peer == odd && what.contains("not bencode"));
    assert_eq!(ran.events.iter().filter(|event| about(event)).count(), 1, "{:?}", ran.told());
}

/// Says hello, greets, and answers every metadata request from these bytes.
pub fn give_metadata(talk: &mut Talk, torrent: &Torrent, metadata: &[u8]) -> io::Result<()> {
    talk.hello(EXTENDED, torrent)?;
    greet(talk, metadata.len() as i64)?;
    let ours = greeted(talk)?;
    for _ in metadata.chunks(16_384) {
        let piece = asked(talk)?;
        answer(talk, ours, piece, metadata)?;
    }
    Ok(())
}

#[test]
fn a_torrent_with_two_names_is_dialed_by_the_first_and_known_by_both() {
    let (net, torrent) = (Net::new(), torrent());
    let content = torrent.clone();
    let peer = net.peer(1, move |talk| {
        let ours = talk.bytes(68)?;
        insist_eq!(ours[28..48], [9; 20], "byte 28, info hash: the first name");
        let id = peer_id_of(talk.address);
        talk.send(&wire::handshake(EXTENDED, content.info_hash, id))?;
        greet(talk, content.info.len() as i64)?;
        let our_id = greeted(talk)?;
        for _ in content.info.chunks(16_384) {
            let piece = asked(talk)?;
            answer(talk, our_id, piece, &content.info)?;
        }
        talk.has(&content, &all(&content))?;
        talk.give(&content)
    });
    let mut plan = magnet(&net, &torrent, &[peer]);
    plan.names = Names::from(InfoHash([9; 20])).and(InfoHash(torrent.info_hash));
    run(&net, plan, &torrent).is_complete(&torrent);
    assert_eq!(net.dials(peer), 1);
}

/// The script is about a first connection, before there is metadata.
fn once(talk: &mut Talk) -> io::Result<&mut Talk> {
    if talk.dialed == 1 { Ok(talk) } else { Err(io::ErrorKind::ConnectionAborted.into()) }
}

fn all(torrent: &Torrent) -> Vec<usize> {
    (0..torrent.pieces()).collect()
}

fn good(net: &Net, host: u8, torrent: &Torrent, gate: Option<&Gate>) -> SocketAddr {
    let (torrent, gate) = (torrent.clone(), gate.cloned());
    net.peer(host, move |talk| {
        if let Some(gate) = &gate {
            gate.opens()?;
        }
        let info = torrent.info.clone();
        give_metadata(talk, &torrent, &info)?;
        talk.has(&torrent, &all(&torrent))?;
        talk.give(&torrent)
    })
}

#[test]
fn one_peer_brings_the_metadata_and_the_pieces_over_one_connection() {
    let (net, torrent) = (Net::new(), torrent());
    let peer = good(&net, 1, &torrent, None);
    let ran = run(&net, magnet(&net, &torrent, &[peer]), &torrent);
    assert_eq!(ran.is_complete(&torrent).downloaded, 63_993);
    assert_eq!(net.dials(peer), 1);
    let told = ran.told();
    assert!(
        matches!(told[0], Event::Joined(_))
            && matches!(told[1], Event::Metadata { length: 63_993, .. }),
        "{told:?}"
    );
}

#[test]
fn the_handshake_offers_extensions_and_nothing_else() {
    let (net, torrent) = (Net::new(), torrent());
    let content = torrent.clone();
    let peer = net.peer(1, move |talk| {
        // It says that it has the fast extension. We, without the info dictionary, do not.
        let hello = talk.hello([0, 0, 0, 0, 0, 0x10, 0, 0x04], &content)?;
        insist_eq!(hello[20..28], [0, 0, 0, 0, 0, 0x10, 0, 0]);
        greet(talk, content.info.len() as i64)?;
        let ours = greeted(talk)?;
        for _ in 0..2 {
            let piece = asked(talk)?;
            answer(talk, ours, piece, &content.info)?;
        }
        talk.has(&content, &all(&content))?;
        let (id, greeting) = talk.next()?;
        let size = format!("13:metadata_sizei{}e", content.info.len());
        insist!(
            id == 20 && String::from_utf8_lossy(&greeting).contains(&size),
            "then we say that we have it, too"
        );
        let (id, _) = talk.next()?;
        insist_eq!(id, wire::INTERESTED, "and then we are interested");
        talk.unchoke()?;
        talk.give(&content)
    });
    run(&net, magnet(&net, &torrent, &[peer]), &torrent).is_complete(&torrent);
}

#[test]
fn what_a_peer_says_before_the_metadata_is_kept() {
    let (net, torrent) = (Net::new(), torrent());
    let content = torrent.clone();
    let peer = net.peer(1, move |talk| {
        talk.hello(EXTENDED, &content)?;
        // A bitfield, a have and an unchoke before, between and after the greetings.
        talk.has(&content, &(0..999).collect::<Vec<_>>())?;
        talk.send(b"\0\0\0\0\0\0\0\x03\x09\x1a\xe1\0\0\0\x02\xc8x")?;
        greet(talk, content.info.len() as i64)?;
        talk.send(&wire::have(999))?;
        talk.unchoke()?;
        let ours = greeted(talk)?;
        let pieces = [asked(talk)?, asked(talk)?];
        // The second metadata piece first.
        answer(talk, ours, pieces[1], &content.info)?;
        answer(talk, ours, pieces[0], &content.info)?;
        talk.give(&content)
    });
    run(&net, magnet(&net, &torrent, &[peer]), &torrent).is_complete(&torrent);
}

#[test]
fn peers_without_metadata_wait_and_then_give_pieces() {
    let (net, torrent, waiting, asking) = (Net::new(), torrent(), Gate::default(), Gate::default());
    let half = |from: usize| (from..from + 250).collect::<Vec<usize>>();
    // One without the extension protocol, one that does not know the size, one that
    // rejects, one that has it all.
    let content = torrent.clone();
    let plain = net.peer(1, move |talk| {
        talk.hello(PLAIN, &content)?;
        talk.has(&content, &half(0))?;
        talk.give(&content)
    });
    let (content, there) = (torrent.clone(), waiting.clone());
    let unknowing = net.peer(2, move |talk| {
        talk.hello(EXTENDED, &content)?;
        talk.has(&content, &half(250))?;
        greeted(talk)?;
        there.open();
        talk.send(&wire::extended(0, b"d1:md11:ut_metadatai3eee"))?;
        talk.give(&content)
    });
    let (content, rejected) = (torrent.clone(), asking.clone());
    let rejecting = net.peer(3, move |talk| {
        talk.hello(EXTENDED, &content)?;
        greet(talk, content.info.len() as i64)?;
        let ours = greeted(talk)?;
        let piece = asked(talk)?;
        talk.send(&wire::extended(ours, format!("d8:msg_typei2e5:piecei{piece}ee").as_bytes()))?;
        rejected.open();
        talk.has(&content, &half(500))?;
        talk.give(&content)
    });
    let content = torrent.clone();
    let knowing = net.peer(4, move |talk| {
        waiting.opens()?;
        asking.opens()?;
        let info = content.info.clone();
        give_metadata(talk, &content, &info)?;
        talk.has(&content, &half(750))?;
        talk.give(&content)
    });
    let peers = [plain, unknowing, rejecting, knowing];
    let ran = run(&net, magnet(&net, &torrent, &peers), &torrent);
    let mut from = brought(ran.is_complete(&torrent));
    from.sort_unstable();
    assert_eq!(
        from,
        [(plain, 16_000), (unknowing, 16_000), (rejecting, 16_000), (knowing, 15_993)]
    );
    assert!(peers.iter().all(|peer| net.dials(*peer) == 1), "every connection was kept");
}

#[test]
fn a_peer_that_takes_its_offer_back_while_it_is_asked_still_gives_pieces() {
    let (net, torrent, taken_back) = (Net::new(), torrent(), Gate::default());
    let (content, gate) = (torrent.clone(), taken_back.clone());
    let wavering = net.peer(1, move |talk| {
        talk.hello(EXTENDED, &content)?;
        greet(talk, content.info.len() as i64)?;
        let ours = greeted(talk)?;
        let piece = asked(talk)?;
        talk.send(&wire::extended(0, b"d1:md11:ut_metadatai0eee"))?;
        // On its way already. The next one cannot be requested.
        answer(talk, ours, piece, &content.info)?;
        gate.open();
        talk.has(&content, &(0..500).collect::<Vec<_>>())?;
        talk.give(&content)
    });
    let content = torrent.clone();
    let knowing = net.peer(2, move |talk| {
        taken_back.opens()?;
        let info = content.info.clone();
        give_metadata(talk, &content, &info)?;
        talk.has(&content, &(500..1000).collect::<Vec<_>>())?;
        talk.give(&content)
    });
    let peers = [wavering, knowing];
    run(&net, magnet(&net, &torrent, &peers), &torrent).is_complete(&torrent);
    assert!(peers.iter().all(|peer| net.dials(*peer) == 1), "every connection was kept");
}

#[test]
fn a_peer_that_learns_the_size_later_is_asked_later() {
    let (net, torrent) = (Net::new(), torrent());
    let content = torrent.clone();
    let peer = net.peer(1, move |talk| {
        talk.hello(EXTENDED, &content)?;
        talk.send(&wire::extended(0, b"d1:mdee"))?;
        let ours = greeted(talk)?;
        greet(talk, content.info.len() as i64)?;
        for _ in 0..2 {
            let piece = asked(talk)?;
            answer(talk, ours, piece, &content.info)?;
        }
        talk.has(&content, &all(&content))?;
        talk.give(&content)
    });
    run(&net, magnet(&net, &torrent, &[peer]), &torrent).is_complete(&torrent);
}

#[test]
fn a_liar_costs_only_itself() {
    type Lie = fn(&mut Talk, &Torrent, &Gate) -> io::Result<()>;
    let lies: [(&str, Lie); 9] = [
        ("wrong content", |talk, torrent, _| {
            let wrong: Vec<u8> = torrent.info.iter().map(|byte| !byte).collect();
            give_metadata(talk, torrent, &wrong)?;
            talk.hold()
        }),
        ("a size of 1 GiB", |talk, torrent, _| lies_about_size(talk, torrent, 1 << 30)),
        ("a size of nothing", |talk, torrent, _| lies_about_size(talk, torrent, 0)),
        ("a negative size", |talk, torrent, told| {
            talk.hello(EXTENDED, torrent)?;
            greet(talk, -1)?;
            greeted(talk)?;
            told.open();
            talk.hold()
        }),
        ("a size one too small", |talk, torrent, _| {
            lies_about_size(talk, torrent, torrent.info.len() as i64 - 1)
        }),
        ("a size that is the largest", |talk, torrent, _| lies_about_size(talk, torrent, 48 << 20)),
        ("a piece of the wrong length", |talk, torrent, _| {
            talk.hello(EXTENDED, torrent)?;
            greet(talk, torrent.info.len() as i64)?;
            let ours = greeted(talk)?;
            asked(talk)?;
            answer(talk, ours, 0, &torrent.info[..100])?;
            talk.hold()
        }),
        ("no bencode", |talk, torrent, told| {
            talk.hello(EXTENDED, torrent)?;
            talk.send(&wire::extended(0, b"what?"))?;
            told.open();
            talk.hold()
        }),
        ("silence when asked", |talk, torrent, told| {
            talk.hello(EXTENDED, torrent)?;
            greet(talk, torrent.info.len() as i64)?;
            greeted(talk)?;
            asked(talk)?;
            told.open();
            talk.hold()
        }),
    ];
    for (what, lie) in lies {
        let (net, torrent, judged) = (Net::new(), torrent(), Gate::default());
        let (content, gate) = (torrent.clone(), judged.clone());
        // The honest peer waits until we have hung up on the liar. A lie that we put up
        // with opens the gate as soon as it is told.
        let liar = net.peer(1, move |talk| {
            let ended = once(talk).and_then(|talk| lie(talk, &content, &gate));
            gate.open();
            ended
        });
        let honest = good(&net, 2, &torrent, Some(&judged));
        let ran = run(&net, magnet(&net, &torrent, &[liar, honest]), &torrent);
        assert!(ran.result.is_ok(), "{what}: {:?}", ran.result);
        let outcome = ran.is_complete(&torrent);
        // All of it came, and has the wrong hash.
        let convicted = ["wrong content", "a size one too small"].contains(&what);
        assert_eq!(outcome.banned, if convicted { vec![liar] } else { vec![] }, "{what}");
    }
}

fn lies_about_size(talk: &mut Talk, torrent: &Torrent, size: i64) -> io::Result<()> {
    talk.hello(EXTENDED, torrent)?;
    greet(talk, size)?;
    let ours = greeted(talk)?;
    for piece in 0..2 {
        asked(talk)?;
        answer(talk, ours, piece, &vec![b'x'; usize::try_from(size).unwrap_or(0).min(32_768)])?;
    }
    talk.hold()
}

#[test]
fn a_bitfield_that_proves_wrong_costs_only_its_sender() {
    let (net, torrent, there, gone) = (Net::new(), torrent(), Gate::default(), Gate::default());
    let (content, opened, left) = (torrent.clone(), there.clone(), gone.clone());
    let liar = net.peer(1, move |talk| {
        once(talk)?.hello(EXTENDED, &content)?;
        talk.send(&wire::message(wire::BITFIELD, &[0xFF; 126]))?;
        talk.send(&wire::extended(0, b"d1:mdee"))?;
        opened.open();
        let ended = talk.hold();
        left.open();
        ended
    });
    let content = torrent.clone();
    let honest = net.peer(2, move |talk| {
        there.opens()?;
        let info = content.info.clone();
        give_metadata(talk, &content, &info)?;
        gone.opens()?;
        talk.has(&content, &all(&content))?;
        talk.give(&content)
    });
    let ran = run(&net, magnet(&net, &torrent, &[liar, honest]), &torrent);
    ran.is_complete(&torrent);
    assert!(
        matches!(ran.left(liar)[..], [Ended::Session(SessionEnd::Bitfield(_)), ..]),
        "{:?}",
        ran.left(liar)
    );
}

#[test]
fn messages_without_end_before_the_metadata_cost_only_their_sender() {
    let (net, torrent, worst) = (Net::new(), torrent(), Gate::default());
    let (content, gate) = (torrent.clone(), worst.clone());
    let flooder = net.peer(1, move |talk| {
        once(talk)?.hello(EXTENDED, &content)?;
        talk.send(&wire::extended(0, b"d1:mdee"))?;
        let haves = wire::have(0).repeat(1000);
        // We would have to keep them all: at some point we hang up.
        let flooded = (0..400).try_for_each(|_| talk.send(&haves));
        insist!(has_hung_up(flooded)?, "3.6 MB of haves were kept");
        gate.open();
        Ok(())
    });
    let honest = good(&net, 2, &torrent, Some(&worst));
    run(&net, magnet(&net, &torrent, &[flooder, honest]), &torrent).is_complete(&torrent);
}

#[test]
fn nobody_with_metadata_is_no_hope() {
    let (net, torrent) = (Net::new(), torrent());
    let content = torrent.clone();
    let peer = net.peer(1, move |talk| {
        talk.hello(PLAIN, &content)?;
        talk.has(&content, &all(&content))?;
        talk.hold()
    });
    let mut plan = magnet(&net, &torrent, &[peer]);
    plan.patience = Duration::from_millis(500);
    run(&net, plan, &torrent).is_hopeless("it does not speak the extension protocol");
}

#[test]
fn metadata_that_is_right_and_useless_ends_it_with_the_reason() {
    let net = Net::new();
    // Its hash is what the link names, and its name leads out of the folder.
    let info =
        b"d6:lengthi3e4:name2:..12:piece lengthi16e6:pieces20:aaaaaaaaaaaaaaaaaaaae".to_vec();
    let torrent = Torrent::of_info(info, b"abc".to_vec(), 16);
    let content = torrent.clone();
    let peer = net.peer(1, move |talk| {
        let info = content.info.clone();
        give_metadata(talk, &content, &info)?;
        talk.hold()
    });
    let honest = Torrent::sample();
    let mut plan = magnet(&net, &honest, &[peer]);
    plan.names = InfoHash(torrent.info_hash).into();
    let ran = run(&net, plan, &torrent);
    assert!(matches!(ran.result, Err(SwarmError::Unusable(_))), "{:?}", ran.result);
}

/// Four peers that offer the largest of the small info dictionaries, and bring it piece by
/// piece, take all the places there are. Whoever waits for one gets it all the same.
#[test]
fn peers_that_bring_metadata_for_ever_do_not_keep_others_from_bringing_it() {
    let (net, torrent) = (Net::new(), torrent());
    let busy = Gate::default();
    let (begun, greetings) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut peers: Vec<SocketAddr> = (1..5)
        .map(|host| {
            let (content, busy) = (torrent.clone(), busy.clone());
            let (begun, greetings) = (Arc::clone(&begun), Arc::clone(&greetings));
            net.peer(host, move |talk| {
                if busy.is_open() {
                    // Dialed once more, when it had hung up.
                    return Err(io::Error::other("it has had its turn"));
                }
                talk.hello(EXTENDED, &content)?;
                let nothing = vec![0; (2 << 20) - 1];
                greet(talk, nothing.len() as i64)?;
                let ours = greeted(talk)?;
                greetings.fetch_add(1, Ordering::SeqCst);
                loop {
                    let piece = asked(talk)?;
                    // All four must be there before somebody else may bring it.
                    if begun.fetch_add(1, Ordering::SeqCst) >= 20
                        && greetings.load(Ordering::SeqCst) == 4
                    {
                        busy.open();
                    }
                    std::thread::sleep(Duration::from_millis(30));
                    answer(talk, ours, piece, &nothing)?;
                }
            })
        })
        .collect();
    peers.push(good(&net, 5, &torrent, Some(&busy)));
    let ran = run(&net, magnet(&net, &torrent, &peers), &torrent);
    ran.is_complete(&torrent);
}

/// Four peers are asked, and a fifth waits with an offer that it then takes back. None of the
/// four may have to give way to it: they would not be asked again while it is there.
#[test]
fn an_offer_that_is_taken_back_holds_up_nobody() {
    let (net, torrent, taken_back) = (Net::new(), torrent(), Gate::default());
    let all_are_asked = Gate::default();
    let begun = Arc::new(AtomicUsize::new(0));
    let retry = magnet(&net, &torrent, &[]).retry();
    let mut peers: Vec<SocketAddr> = (1..5)
        .map(|host| {
            let (content, begun) = (torrent.clone(), Arc::clone(&begun));
            let (taken_back, all_are_asked) = (taken_back.clone(), all_are_asked.clone());
            net.peer(host, move |talk| {
                talk.hello(EXTENDED, &content)?;
                greet(talk, content.info.len() as i64)?;
                let ours = greeted(talk)?;
                while let Ok(piece) = asked(talk) {
                    if begun.fetch_add(1, Ordering::SeqCst) == 3 {
                        all_are_asked.open();
                    }
                    taken_back.opens()?;
                    if piece == 0 {
                        // Longer than a peer may keep its place while another waits for it.
                        std::thread::sleep(retry + Duration::from_millis(500));
                    }
                    answer(talk, ours, piece, &content.info)?;
                }
                talk.has(&content, &all(&content))?;
                talk.give(&content)
            })
        })
        .collect();
    let content = torrent.clone();
    peers.push(net.peer(5, move |talk| {
        all_are_asked.opens()?;
        talk.hello(EXTENDED, &content)?;
        greet(talk, content.info.len() as i64)?;
        greeted(talk)?;
        talk.send(&wire::extended(0, b"d1:md11:ut_metadatai0eee"))?;
        taken_back.open();
        talk.hold()
    }));
    run(&net, magnet(&net, &torrent, &peers), &torrent).is_complete(&torrent);
}

/// Each of these could have us keep 48 MiB, until the hash shows that it is a lie.
#[test]
fn of_large_metadata_one_is_fetched_at_a_time() {
    let (net, torrent, one_is_asked) = (Net::new(), torrent(), Gate::default());
    let (greetings, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut peers: Vec<SocketAddr> = (1..4)
        .map(|host| {
            let (content, gate) = (torrent.clone(), one_is_asked.clone());
            let (greetings, requests) = (Arc::clone(&greetings), Arc::clone(&requests));
            net.peer(host, move |talk| {
                talk.hello(EXTENDED, &content)?;
                greet(talk, [2 << 20, 20 << 20, 48 << 20][usize::from(host) - 1])?;
                greeted(talk)?;
                greetings.fetch_add(1, Ordering::SeqCst);
                asked(talk)?;
                requests.fetch_add(1, Ordering::SeqCst);
                while greetings.load(Ordering::SeqCst) < 3 {
                    std::thread::sleep(Duration::from_millis(1));
                }
                // The others have said what they offer, too. They would be asked by now.
                std::thread::sleep(Duration::from_millis(300));
                gate.open();
                talk.hold()
            })
        })
        .collect();
    peers.push(good(&net, 5, &torrent, Some(&one_is_asked)));
    let mut plan = magnet(&net, &torrent, &peers);
    plan.patience = Duration::from_secs(60);
    run(&net, plan, &torrent).is_complete(&torrent);
    assert_eq!(requests.load(Ordering::SeqCst), 1, "they take turns");
}
