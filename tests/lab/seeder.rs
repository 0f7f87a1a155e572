//! Seeders without faults.

use std::time::{Duration, Instant};

use piecemeal::lab::notes::Notes;
use piecemeal::lab::seeder::{Holds, Plan, Seeder};
use piecemeal::s03_tracker::PeerId;
use piecemeal::s19_pex::message::PexFlags;
use piecemeal::s19_pex::{Gossip, Neighbor};

use crate::lab::client::{
    Client, EXTENDED, PLAIN, content, last_note, nobody_listens, notes_to_the_last, request,
    seeder, soon,
};
use crate::support::bencode::{self, Value};
use crate::support::{LIMIT, wire};

const PIECE: u32 = 3 * 16_384 + 100;

#[test]
fn the_handshake_has_the_extension_bit_only_if_ours_has() {
    let content = content();
    let (seeder, _notes) = seeder(&content, Plan::default());
    for reserved in [PLAIN, EXTENDED] {
        let (_client, answer) = Client::greet(seeder.address(), &content, reserved);
        assert_eq!(
            answer,
            wire::handshake(reserved, content.info_hash().0, *b"-LB0001-seeder000009")
        );
    }
    // No other bit is set in the answer: not the fast extension's, not the DHT's.
    let (_client, answer) = Client::greet(seeder.address(), &content, [0xff; 8]);
    assert_eq!(answer[20..28], EXTENDED);
}

#[test]
fn the_bitfield_comes_first_and_then_the_extension_handshake() {
    let content = content();
    let (seeder, _notes) = seeder(&content, Plan::default());
    let (mut client, _) = Client::greet(seeder.address(), &content, EXTENDED);
    assert_eq!(client.message().expect("a bitfield"), (wire::BITFIELD, vec![0b1110_0000]));
    let (id, payload) = client.message().expect("an extension handshake");
    assert_eq!((id, payload[0]), (wire::EXTENDED, 0));
    let (said, _) = bencode::decode(&payload[1..]).expect("a dictionary");
    assert_eq!(said.get("m").and_then(|m| m.get("ut_metadata")).and_then(Value::int), Some(113));
    assert_eq!(said.get("metadata_size").and_then(Value::int), Some(content.metadata.len() as i64));
}

#[test]
fn a_client_that_speaks_ut_pex_hears_of_the_other_seeders_and_may_name_peers_itself() {
    let (content, notes) = (content(), Notes::default());
    let address = "127.0.0.7:6881".parse().expect("an address");
    let other = Neighbor { address, peer_id: PeerId([7; 20]), flags: PexFlags::REACHABLE };
    let (gossip, contents) = (Gossip::new(move || vec![other]), std::slice::from_ref(&content));
    let seeder = Seeder::start(9, contents, &Plan::default(), &gossip, notes.clone())
        .expect("a port is free");
    let (mut client, _) = Client::greet(seeder.address(), &content, EXTENDED);
    client.message().expect("a bitfield");
    let (_, payload) = client.message().expect("an extension handshake");
    let (said, _) = bencode::decode(&payload[1..]).expect("a dictionary");
    let number = said.get("m").and_then(|m| m.get("ut_pex")).and_then(Value::int);
    let number = u8::try_from(number.expect("it offers ut_pex")).expect("an id is a byte");
    client.send(&wire::extended(0, b"d1:md6:ut_pexi77eee"));
    let named = b"\x4dd5:added6:\x7f\0\0\x07\x1a\xe17:added.f1:\x10e";
    assert_eq!(client.message().expect("its news"), (wire::EXTENDED, named.to_vec()));
    client.send(&wire::extended(number, b"d5:added6:\x7f\0\0\x09\x1a\xe1e"));
    client.send(&wire::extended(99, b"de"));
    drop(client);
    let notes = notes_to_the_last(&notes);
    let wrong: Vec<&String> = notes.iter().filter(|note| note.contains("extension id")).collect();
    assert!(matches!(wrong[..], [note] if note.contains("extension id 99")), "{notes:#?}");
}

#[test]
fn the_metadata_is_given() {
    let content = content();
    let (seeder, _notes) = seeder(&content, Plan::default());
    let (mut client, _) = Client::greet(seeder.address(), &content, EXTENDED);
    client.message().expect("a bitfield");
    client.message().expect("an extension handshake");
    client.send(&wire::extended(0, b"d1:md11:ut_metadatai77eee"));
    client.send(&wire::extended(113, b"d8:msg_typei0e5:piecei0ee"));
    let (id, payload) = client.message().expect("metadata");
    assert_eq!((id, payload[0]), (wire::EXTENDED, 77));
    let (_, length) = bencode::decode(&payload[1..]).expect("a dictionary");
    assert_eq!(payload[1 + length..], *content.metadata);
    client.send(&wire::extended(113, b"d8:msg_typei0e5:piecei9ee"));
    assert_eq!(client.message().expect("a reject").1, b"\x4dd8:msg_typei2e5:piecei9ee");
}

#[test]
fn blocks_are_the_contents_own() {
    let content = content();
    let (seeder, notes) = seeder(&content, Plan::default());
    let mut client = Client::unchoked(seeder.address(), &content);
    for (index, begin, length) in [(0, 0, 16_384), (1, 3 * 16_384, 100), (2, 0, 1), (1, 7, 16_384)]
    {
        let start = (index * PIECE + begin) as usize;
        assert!(
            client.block(index, begin, length) == content.data[start..start + length as usize],
            "{index} {begin}"
        );
    }
    drop(client);
    let last = last_note(&notes);
    assert!(last.ends_with(" got 4 blocks, 32869 bytes, of pieces 0 to 2; it hung up"), "{last}");
    assert_eq!(seeder.served(), 1);
    assert_eq!((seeder.blocks(), seeder.bytes()), (4, 32_869));
}

#[test]
fn many_requests_at_once_are_answered_in_order() {
    let content = content();
    let (seeder, _notes) = seeder(&content, Plan::default());
    let mut client = Client::unchoked(seeder.address(), &content);
    let order: Vec<(u32, u32)> = (0..250).map(|number| (number % 2, number * 13)).collect();
    order.iter().for_each(|(index, begin)| client.request(*index, *begin, 16_384));
    for (index, begin) in order {
        assert_eq!(client.piece(index, begin).len(), 16_384);
    }
}

#[test]
fn a_request_while_choked_is_ignored() {
    let content = content();
    let (seeder, _notes) = seeder(&content, Plan::default());
    let (mut client, _) = Client::greet(seeder.address(), &content, PLAIN);
    client.message().expect("a bitfield");
    client.request(0, 0, 1);
    client.send(&wire::keep_alive());
    client.send(&wire::message(wire::INTERESTED, b""));
    assert_eq!(client.message().expect("an unchoke").0, wire::UNCHOKE);
    assert_eq!(client.block(0, 5, 2), content.data[5..7]);
}

#[test]
fn a_cancelled_block_does_not_come() {
    let content = content();
    let (seeder, _notes) = seeder(&content, Plan { rate: Some(100_000), ..Plan::default() });
    let mut client = Client::unchoked(seeder.address(), &content);
    client.request(0, 0, 16_384);
    client.request(0, 16_384, 16_384);
    client.request(0, 32_768, 16_384);
    client.send(&wire::message(wire::CANCEL, &[0, 16_384, 16_384].map(u32::to_be_bytes).concat()));
    client.piece(0, 0);
    client.piece(0, 32_768);
}

#[test]
fn wrong_requests_end_the_connection_and_the_note_says_why() {
    let content = content();
    let (seeder, notes) =
        seeder(&content, Plan { holds: Holds::Only(vec![0, 2]), ..Plan::default() });
    let table = [
        ((3, 0, 1), "the torrent has 3 pieces"),
        ((u32::MAX, 0, 1), "the torrent has 3 pieces"),
        ((1, 0, 1), "this seeder does not have that piece"),
        ((0, 0, 16_385), "a block is 1 to 16384 bytes long"),
        ((0, 0, 0), "a block is 1 to 16384 bytes long"),
        ((0, PIECE, 1), "that piece has 49252 bytes"),
        ((2, 1, 1), "that piece has 1 byte"),
        ((0, u32::MAX, 16_384), "that piece has 49252 bytes"),
    ];
    for ((index, begin, length), expected) in table {
        let mut client = Client::unchoked(seeder.address(), &content);
        client.request(index, begin, length);
        assert!(client.is_over());
        let seen = notes_to_the_last(&notes);
        assert!(
            seen.iter().any(|text| text.contains(" makes a mistake: ") && text.contains(expected)),
            "{seen:?}"
        );
        assert!(
            seen.iter().any(|text| text.ends_with("got 0 blocks, 0 bytes; that mistake ended it")),
            "{seen:?}"
        );
    }
    assert_eq!(seeder.blocks(), 0);
}

#[test]
fn too_many_requests_end_the_connection() {
    let content = content();
    let (seeder, _notes) = seeder(&content, Plan { rate: Some(1), ..Plan::default() });
    let mut client = Client::unchoked(seeder.address(), &content);
    let one = request(0, 0, 16_384);
    // It may hang up before it has read them all.
    let _ = std::io::Write::write_all(&mut client.stream, &one.repeat(5_000));
    soon("the connection ends", || client.is_over());
}

#[test]
fn another_torrent_or_protocol_is_hung_up_on() {
    let content = content();
    let (seeder, notes) = seeder(&content, Plan::default());
    let other = wire::handshake(PLAIN, [7; 20], *b"-XX0000-tester000001");
    for (bytes, expected) in [
        (
            other.as_slice(),
            "it asked for 0707070707070707070707070707070707070707, which is not here",
        ),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "a BitTorrent handshake was expected"),
    ] {
        let mut client = Client::dial(seeder.address());
        client.send(bytes);
        assert!(client.is_over());
        let seen = notes_to_the_last(&notes);
        assert!(seen.iter().any(|text| text.contains(expected)), "{seen:?}");
    }
}

#[test]
fn several_torrents_are_served_at_one_address() {
    let (one, two) = (content(), piecemeal::lab::sample().expect("a torrent"));
    let notes = Notes::default();
    let seeder = Seeder::start(
        9,
        &[one.clone(), two.clone()],
        &Plan::default(),
        &Gossip::new(Vec::new),
        notes,
    )
    .expect("a port is free");
    for content in [one, two] {
        let mut client = Client::unchoked(seeder.address(), &content);
        assert_eq!(
            client.block(1, 0, 64),
            content.data[content.info.piece_length as usize..][..64]
        );
    }
}

#[test]
fn a_rate_is_kept() {
    let content = content();
    let (seeder, _notes) = seeder(&content, Plan::default().at_rate(160_000));
    let mut clients = [
        Client::unchoked(seeder.address(), &content),
        Client::unchoked(seeder.address(), &content),
    ];
    let begun = Instant::now();
    for client in &mut clients {
        (0..3).for_each(|block| client.request(0, block * 16_384, 16_384));
    }
    for client in &mut clients {
        (0..3).for_each(|block| drop(client.piece(0, block * 16_384)));
    }
    // 98,304 bytes in all, of which a portion or two may go at once.
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(450), "{took:?}");
    assert!(took < LIMIT, "{took:?}");
}

#[test]
fn dropping_a_seeder_ends_its_connections() {
    let content = content();
    let (seeder, _notes) = seeder(&content, Plan::default().at_rate(1));
    let mut clients: Vec<Client> =
        (0..10).map(|_| Client::unchoked(seeder.address(), &content)).collect();
    clients[0].request(0, 0, 16_384);
    let address = seeder.address();
    // At one byte a second the block would take hours.
    drop(seeder);
    for client in &mut clients {
        soon("the connection ends", || client.is_over());
    }
    nobody_listens(address);
}

#[test]
fn a_connection_too_many_is_closed_at_once() {
    let content = content();
    let (seeder, _notes) = seeder(&content, Plan::default());
    let mut first: Vec<Client> =
        (0..100).map(|_| Client::unchoked(seeder.address(), &content)).collect();
    let mut late = Client::dial(seeder.address());
    assert!(late.is_over());
    assert_eq!(first[99].block(0, 0, 5), content.data[..5]);
    drop(first);
    soon("there is room again", || {
        let mut client = Client::dial(seeder.address());
        let hello = wire::handshake(PLAIN, content.info_hash().0, *b"-XX0000-tester000001");
        std::io::Write::write_all(&mut client.stream, &hello).is_ok() && !client.is_over()
    });
}
