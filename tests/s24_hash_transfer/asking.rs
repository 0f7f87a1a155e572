//! What we ask peers for, and what we make of their answers. Two peers at most, and no socket.

use super::super::support::{assert_number, assert_value};
use super::torrents::{V2, numbers};
use super::tree::request;
use piecemeal::s02_metainfo::{Info, InfoHash};
use piecemeal::s05_messages::Message;
use piecemeal::s07_extension::extension::{Extension, Reply};
use piecemeal::s23_v2::trees;
use piecemeal::s24_hash_transfer::layers::{Lacking, MissingLayers};
use piecemeal::s24_hash_transfer::message::{HashMessage, HashRequest};
use piecemeal::s24_hash_transfer::{HashTransfer, Hashes};
use std::sync::Arc;
use std::time::{Duration, Instant};

const CLAUSE: &str = "BEP 52, hash messages";

/// A torrent whose layer is missing, and what its sessions share.
fn missing(v2: &V2) -> (Arc<Info>, Arc<Hashes>) {
    let info = Arc::new(v2.info());
    let known = Arc::clone(&info);
    (info, Hashes::new(move || Some(Arc::clone(&known)), || None))
}

fn peer(v2: &V2, hashes: &Arc<Hashes>) -> HashTransfer {
    HashTransfer::new(Arc::clone(hashes), InfoHash(v2.torrent.info_hash))
}

/// The payloads of the requests in these bytes, which are nothing else.
fn requests(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk() {
        assert_value("length and id", *head, [0, 0, 0, 49, 21], CLAUSE);
        let (payload, behind) = rest.split_at(48);
        found.push(payload.to_vec());
        bytes = behind;
    }
    found
}

fn asks(peer: &mut HashTransfer, now: Instant) -> Vec<Vec<u8>> {
    let mut reply = Reply::default();
    peer.tick(now, &mut reply);
    requests(&reply.plain)
}

/// Gives the peer's answer to us; returns what we ask for next.
fn says(
    peer: &mut HashTransfer,
    id: u8,
    payload: &[u8],
    now: Instant,
) -> Result<Vec<Vec<u8>>, String> {
    let message = HashMessage::decode(id, payload).map_err(|error| error.to_string())?;
    let mut reply = Reply::default();
    let heard = peer.hear(message.expect("it is about hashes"), now, &mut reply);
    heard.map(|()| requests(&reply.plain)).map_err(|error| error.to_string())
}

#[test]
fn a_layer_is_asked_for_in_parts_of_512_with_proofs_up_to_the_root_four_ahead() {
    // 2,100 pieces, in a tree of 4,096 leaves.
    let v2 = V2::new(16_384, 2_100 * 16_384 - 5);
    let (info, hashes) = missing(&v2);
    let (mut peer, now) = (peer(&v2, &hashes), Instant::now());
    let asked = asks(&mut peer, now);
    let expected: Vec<_> =
        (0..4).map(|part| request(v2.root(), [0, part * 512, 512, 11])).collect();
    assert_value("the first requests", asked.clone(), expected, CLAUSE);
    assert!(asks(&mut peer, now).is_empty(), "no more before an answer");
    // The answers come in another order. Each makes room for one more, and there is one.
    let next = says(&mut peer, 22, &v2.answer(&asked[2]), now);
    assert_value("after an answer", next, Ok(vec![request(v2.root(), [0, 2048, 512, 11])]), CLAUSE);
    assert!(!info.is_whole());
    for part in [0, 1, 3] {
        assert_eq!(says(&mut peer, 22, &v2.answer(&asked[part]), now), Ok(vec![]));
    }
    let last = request(v2.root(), [0, 2048, 512, 11]);
    assert_eq!(says(&mut peer, 22, &v2.answer(&last), now), Ok(vec![]));
    assert!(info.is_whole(), "all parts have come");
    let trees = trees(&info).expect("it is of version 2");
    for piece in [0, 511, 512, 2_047, 2_048, 2_099] {
        let hash = trees.piece_hash(piece).map(|hash| hash.0);
        assert_value(
            &format!("hash of piece {piece}"),
            hash,
            Some(v2.tree[0][piece as usize]),
            CLAUSE,
        );
    }
    assert!(asks(&mut peer, now).is_empty(), "nothing is missing any more");
}

#[test]
fn small_layers_are_asked_for_whole_and_equal_files_once() {
    let root = |byte| piecemeal::s23_v2::merkle::Hash([byte; 32]);
    let file = |byte, pieces, height| Lacking { root: root(byte), pieces, piece_layer: 2, height };
    let mut missing =
        MissingLayers::new([file(1, 3, 4), file(2, 1, 2), file(1, 3, 4), file(3, 2, 3)]);
    assert_number("parts", missing.parts(), 2, CLAUSE, &[]);
    let now = Instant::now();
    let next = |missing: &mut MissingLayers| missing.next(None, |_| false, now);
    let asked = [next(&mut missing), next(&mut missing)].map(|part| part.expect("two parts"));
    let of =
        asked.map(|part| (part.root, part.base_layer, part.index, part.length, part.proof_layers));
    assert_value("requests", of, [(root(1), 2, 0, 4, 1), (root(3), 2, 0, 2, 0)], CLAUSE);
    assert!(missing.next(None, |part| asked.contains(part), now).is_none());
}

#[test]
fn hashes_of_blocks_are_asked_of_another_peer_after_half_a_second() {
    let of_piece = |piece: u32| HashRequest {
        root: piecemeal::s23_v2::merkle::Hash([1; 32]),
        base_layer: 0,
        index: piece * 4,
        length: 4,
        proof_layers: 1,
    };
    let (one, two) = (of_piece(3), of_piece(5));
    let mut missing = MissingLayers::default();
    missing.want_too(&[one]);
    let start = Instant::now();
    let next = |missing: &mut MissingLayers, milliseconds| {
        missing.next(None, |_| false, start + Duration::from_millis(milliseconds))
    };
    assert_value("the first peer is asked", next(&mut missing, 0), Some(one), CLAUSE);
    assert_value("others wait", next(&mut missing, 499), None, CLAUSE);
    missing.want_too(&[one, two]);
    assert_value("what is new goes first", next(&mut missing, 499), Some(two), CLAUSE);
    assert_value("a silent peer's", next(&mut missing, 500), Some(one), CLAUSE);
}

#[test]
fn many_small_files_are_asked_for_without_waiting_for_each() {
    let root = |number: u16| {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        piecemeal::s23_v2::merkle::Hash(bytes)
    };
    let file = |number| Lacking { root: root(number), pieces: 2, piece_layer: 0, height: 1 };
    let mut missing = MissingLayers::new((0..1_000).map(file));
    assert_number("parts", missing.parts(), 1_000, CLAUSE, &[]);
    let mut asked = Vec::new();
    while let Some(part) = missing.next(None, |part| asked.contains(part), Instant::now()) {
        asked.push(part);
    }
    assert_number("parts that can be asked for at once", asked.len(), 1_000, CLAUSE, &[]);
}

#[test]
fn what_is_wanted_beside_a_hundred_thousand_layers_costs_no_look_at_each() {
    let root = |number: u32| {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        piecemeal::s23_v2::merkle::Hash(bytes)
    };
    let file = |number| Lacking { root: root(number), pieces: 2, piece_layer: 2, height: 3 };
    let mut missing = MissingLayers::new((0..100_000).map(file));
    let of_blocks =
        HashRequest { root: root(7), base_layer: 0, index: 4, length: 4, proof_layers: 1 };
    let start = Instant::now();
    for _ in 0..20_000 {
        missing.want_too(&[of_blocks]);
    }
    // A few milliseconds. With a look at each part, it was a minute.
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_number("parts", missing.parts(), 100_001, CLAUSE, &[]);
    let none: Option<(_, Vec<_>)> = missing.keep(&of_blocks, &[]);
    assert!(none.is_none(), "they are not of a layer");
    missing.want_too(&[of_blocks]);
    assert_number("parts, if they are still wanted", missing.parts(), 100_001, CLAUSE, &[]);
    missing.want_too(&[]);
    assert_number("parts, once they are not", missing.parts(), 100_000, CLAUSE, &[]);
}

#[test]
fn a_wrong_hash_ends_the_connection_and_another_peer_is_asked() {
    let v2 = V2::new(16_384, 700 * 16_384);
    let (info, hashes) = missing(&v2);
    let now = Instant::now();
    let (mut liar, mut honest) = (peer(&v2, &hashes), peer(&v2, &hashes));
    let asked = asks(&mut liar, now);
    assert_number("requests to the first", asked.len(), 2, CLAUSE, &[]);
    assert!(asks(&mut honest, now).is_empty(), "the first has had too little time");
    for byte in [48, 48 + 511 * 32 + 31, 48 + 512 * 32] {
        let mut lie = v2.answer(&asked[0]);
        lie[byte] ^= 0x10;
        let mut liar = peer(&v2, &hashes);
        // It is asked for the same, since the first liar of the loop is gone.
        let _ = asks(&mut liar, now + Duration::from_secs(60));
        let heard = says(&mut liar, 22, &lie, now);
        let error = heard.expect_err("the hashes are wrong");
        assert!(error.contains("lead to") && error.contains("its hashes are wrong"), "{error}");
    }
    drop(liar);
    assert!(!info.is_whole(), "nothing of it was kept");
    let asked = asks(&mut honest, now);
    assert_number("requests to the other one", asked.len(), 2, CLAUSE, &[]);
    asked.iter().for_each(|part| drop(says(&mut honest, 22, &v2.answer(part), now)));
    assert!(info.is_whole());
}

#[test]
fn an_answer_that_is_short_or_for_other_hashes_is_never_kept() {
    let v2 = V2::new(16_384, 700 * 16_384);
    let (info, hashes) = missing(&v2);
    let now = Instant::now();
    let mut peer = peer(&v2, &hashes);
    let asked = asks(&mut peer, now);
    let whole = v2.answer(&asked[0]);
    for length in [whole.len() - 32, whole.len() - 1, whole.len() + 32] {
        let mut short = whole.clone();
        short.resize(length, 0);
        assert!(says(&mut peer, 22, &short, now).is_err(), "{length} bytes");
    }
    // Right hashes that were not asked for: another range, layer, proof or root, or a second time.
    let others = [[0, 0, 256, 9], [1, 0, 512, 8], [0, 0, 512, 8]];
    for other in others {
        let answer = v2.answer(&request(v2.root(), other));
        assert_eq!(says(&mut peer, 22, &answer, now), Ok(vec![]), "{other:?}");
    }
    let mut other_root = whole.clone();
    other_root[0] ^= 1;
    assert_eq!(says(&mut peer, 22, &other_root, now), Ok(vec![]));
    assert!(!info.is_whole());
    assert_eq!(says(&mut peer, 22, &whole, now), Ok(vec![]));
    assert_eq!(says(&mut peer, 22, &whole, now), Ok(vec![]), "a second time");
    assert!(!info.is_whole(), "one of two parts");
    assert_eq!(says(&mut peer, 22, &v2.answer(&asked[1]), now), Ok(vec![]));
    assert!(info.is_whole());
    // Long after, and unasked.
    assert_eq!(says(&mut peer, 22, &whole, now), Ok(vec![]));
}

#[test]
fn a_peer_that_refuses_is_left_alone_for_a_while_and_others_are_asked_at_once() {
    let v2 = V2::new(16_384, 700 * 16_384);
    let (_, hashes) = missing(&v2);
    let now = Instant::now();
    let (mut first, mut second) = (peer(&v2, &hashes), peer(&v2, &hashes));
    let asked = asks(&mut first, now);
    for part in &asked {
        assert_eq!(says(&mut first, 23, part, now), Ok(vec![]), "it is not asked again at once");
    }
    let again = asks(&mut second, now);
    assert_number("requests to the other one", again.len(), 2, CLAUSE, &[]);
    for part in &again {
        assert_eq!(says(&mut second, 23, part, now), Ok(vec![]));
    }
    let at = |milliseconds| now + Duration::from_millis(milliseconds);
    assert!(asks(&mut first, at(1_999)).is_empty(), "less than 2 s later");
    let asked = asks(&mut first, at(2_000));
    assert_number("requests 2 s later", asked.len(), 2, CLAUSE, &[]);
    // Each time twice as long, and never more than a minute or so.
    let mut time = 2_000;
    for pause in [4_000, 8_000, 16_000, 32_000, 64_000, 64_000] {
        let asked = asks(&mut first, at(time));
        let asked = if asked.is_empty() { again.clone() } else { asked };
        asked.iter().for_each(|part| drop(says(&mut first, 23, part, at(time))));
        assert!(asks(&mut first, at(time + pause - 1)).is_empty(), "{pause} ms after a reject");
        time += pause;
        assert_eq!(asks(&mut first, at(time)).len(), 2, "{pause} ms after a reject");
    }
}

#[test]
fn hashes_that_nobody_asked_for_do_not_shorten_the_rest_after_a_reject() {
    let v2 = V2::new(16_384, 9 * 16_384);
    let (_, hashes) = missing(&v2);
    let (mut peer, start) = (peer(&v2, &hashes), Instant::now());
    let unasked = v2.answer(&request(v2.root(), [0, 0, 8, 3]));
    let mut requests = 0;
    for tenth in 0..100 {
        let now = start + Duration::from_millis(tenth * 100);
        for part in asks(&mut peer, now) {
            requests += 1;
            assert_eq!(says(&mut peer, 23, &part, now), Ok(vec![]));
        }
        assert_eq!(says(&mut peer, 22, &unasked, now), Ok(vec![]));
    }
    // At 0 s, 2 s and 6 s.
    assert_number("requests in ten seconds", requests, 3, CLAUSE, &[]);
}

#[test]
fn a_silent_peer_s_parts_go_to_another_after_half_a_second_or_when_it_leaves() {
    let v2 = V2::new(16_384, 700 * 16_384);
    let (info, hashes) = missing(&v2);
    let now = Instant::now();
    let (mut silent, mut other) = (peer(&v2, &hashes), peer(&v2, &hashes));
    let asked = asks(&mut silent, now);
    let at = |milliseconds| now + Duration::from_millis(milliseconds);
    assert!(asks(&mut other, at(499)).is_empty());
    assert_value("requests after 0.5 s", asks(&mut other, at(500)), asked.clone(), CLAUSE);
    assert!(asks(&mut silent, at(60_000)).is_empty(), "nobody is asked twice for one part");
    // A late answer is as good as any.
    assert_eq!(says(&mut silent, 22, &v2.answer(&asked[0]), at(60_000)), Ok(vec![]));
    drop(other);
    let mut third = peer(&v2, &hashes);
    assert_value(
        "requests to a third",
        asks(&mut third, at(3_001)),
        vec![asked[1].clone()],
        CLAUSE,
    );
    assert_eq!(says(&mut third, 22, &v2.answer(&asked[1]), at(3_001)), Ok(vec![]));
    assert!(info.is_whole());
}

/// What a peer does that will not give hashes, however often it is asked.
#[derive(Debug, Clone, Copy)]
enum Trick {
    /// It hangs up so many milliseconds after it was asked, and dials again.
    Redial(u64),
    /// It stays, and says nothing.
    Silence,
}

#[test]
fn no_peer_keeps_hashes_from_an_honest_one_for_long() {
    let tricks = [0, 100, 499, 900, 2_900].map(Trick::Redial);
    // 700 pieces are two parts. Of 40 parts, eight peers hold no more than 32.
    for (attackers, pieces) in [(1, 700), (8, 700), (45, 700), (8, 40 * 512)] {
        let v2 = V2::without_content(pieces);
        for trick in tricks.into_iter().chain([Trick::Silence]) {
            let (_, hashes) = missing(&v2);
            let start = Instant::now();
            let dial = |number: usize| peer(&v2, &hashes).at([127, 0, 1, number as u8].into());
            let mut there: Vec<(HashTransfer, u64)> =
                (0..attackers).map(|number| (dial(number), 0)).collect();
            let mut honest = peer(&v2, &hashes).at([127, 0, 0, 2].into());
            let asked_at = (0..10_000).step_by(10).find(|time| {
                let now = start + Duration::from_millis(*time);
                // They are always first, and dial again in the moment in which they have hung up.
                for (number, (attacker, since)) in there.iter_mut().enumerate() {
                    if matches!(trick, Trick::Redial(pause) if time - *since > pause) {
                        drop(std::mem::replace(attacker, peer(&v2, &hashes)));
                        (*attacker, *since) = (dial(number), *time);
                    }
                    let _ = asks(attacker, now);
                }
                // A session has a tick each quarter of a second.
                time % 250 == 0 && !asks(&mut honest, now).is_empty()
            });
            let limit = if attackers > 8 { 2_500 } else { 1_500 };
            assert!(
                asked_at.is_some_and(|time| time <= limit),
                "{attackers} peers with {trick:?}, {pieces} pieces: the honest one is asked after {asked_at:?} ms"
            );
        }
    }
}

#[test]
fn whoever_has_left_without_an_answer_goes_last_until_it_gives_one() {
    let v2 = V2::new(16_384, 700 * 16_384);
    let (_, hashes) = missing(&v2);
    let now = Instant::now();
    let at = |milliseconds| now + Duration::from_millis(milliseconds);
    let dial = |last: u8| peer(&v2, &hashes).at([127, 0, 0, last].into());
    let mut first = dial(2);
    assert_number("requests to the first", asks(&mut first, at(0)).len(), 2, CLAUSE, &[]);
    drop(first);
    let mut again = dial(2);
    assert!(asks(&mut again, at(2_999)).is_empty(), "it has left with two parts");
    let asked = asks(&mut again, at(3_000));
    assert_number("requests when nobody else is there", asked.len(), 2, CLAUSE, &[]);
    assert_eq!(says(&mut again, 22, &v2.answer(&asked[0]), at(3_000)), Ok(vec![]));
    drop(again);
    let mut other = dial(3);
    assert_value("another", asks(&mut other, at(3_001)), vec![asked[1].clone()], CLAUSE);
    let mut lie = v2.answer(&asked[1]);
    lie[60] ^= 1;
    assert!(says(&mut other, 22, &lie, at(3_002)).is_err());
    drop(other);
    assert!(asks(&mut dial(3), at(3_003)).is_empty(), "it has lied");
    assert_number("requests to a new peer", asks(&mut dial(4), at(3_003)).len(), 1, CLAUSE, &[]);
}

#[test]
fn by_the_sha1_of_a_hybrid_nobody_is_asked() {
    let v2 = V2::hybrid(16_384, 9 * 16_384);
    let (info, hashes) = missing(&v2);
    assert!(info.is_whole(), "it can be downloaded by its SHA-1 alone");
    let mut by_sha1 = HashTransfer::new(Arc::clone(&hashes), InfoHash(v2.sha1));
    assert!(asks(&mut by_sha1, Instant::now()).is_empty());
    let mut by_both = peer(&v2, &hashes);
    let asked = asks(&mut by_both, Instant::now());
    assert_value("the request", numbers(&asked[0]), [0, 0, 16, 3], CLAUSE);
    assert_eq!(says(&mut by_both, 22, &v2.answer(&asked[0]), Instant::now()), Ok(vec![]));
    assert!(!trees(&info).expect("it has trees").is_incomplete());
}

#[test]
fn an_unasked_flood_of_hashes_changes_nothing() {
    let v2 = V2::new(16_384, 9 * 16_384);
    let (info, hashes) = missing(&v2);
    let mut peer = peer(&v2, &hashes);
    // Right, and another range than the one that is asked for.
    let answer = v2.answer(&request(v2.root(), [0, 0, 8, 3]));
    let mut reply = Reply::default();
    peer.tick(Instant::now(), &mut reply);
    for _ in 0..1_000 {
        let heard = peer.plain(&Message::Unknown { id: 22, payload: &answer }, &mut reply);
        assert!(matches!(heard, Ok(true)), "{heard:?}");
    }
    assert!(!info.is_whole(), "hashes that nobody asked for are not looked at");
    let asked = requests(&reply.plain);
    assert_number("requests", asked.len(), 1, CLAUSE, &[]);
}

#[test]
fn ten_thousand_hashes_take_less_than_a_mebibyte_while_they_come() {
    let v2 = V2::without_content(10_000);
    let (info, hashes) = missing(&v2);
    let (mut peer, now) = (peer(&v2, &hashes), Instant::now());
    let mut asked = std::collections::VecDeque::from(asks(&mut peer, now));
    let mut bytes = 0;
    let mut most = 0;
    while let Some(request) = asked.pop_front() {
        // Made before the measurement: a real answer is in the connection's buffer.
        let answer = v2.answer(&request);
        bytes += 5 + answer.len();
        let mut next = Ok(Vec::new());
        let held = allocation_counter::measure(|| next = says(&mut peer, 22, &answer, now));
        most = most.max(held.bytes_max);
        asked.extend(next.expect("the answer is right"));
    }
    assert!(info.is_whole());
    assert!(bytes <= 340 * 1024, "{bytes} bytes of answers; a hash has 32");
    // The whole layer of 320,000 bytes is copied once, when it is complete.
    assert!(most <= 1 << 20, "{most} bytes of memory for one answer at most");
}
