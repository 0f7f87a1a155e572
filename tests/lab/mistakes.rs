//! Mistakes in first clients, and what the lab says about them.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use piecemeal::lab::notes::{Note, Notes};
use piecemeal::lab::seeder::Plan;
use piecemeal::lab::{Lab, sample};
use piecemeal::s02_metainfo::InfoHash;
use sha1::{Digest, Sha1};

use crate::lab::client::{Client, EXTENDED, PLAIN, content, request, seeder, soon};
use crate::support::wire;

const ID: [u8; 20] = *b"-XX0000-tester000001";

/// Waits for the first note of a mistake.
fn mistake(notes: &Notes, of: &str) -> Note {
    let mut seen = Vec::new();
    soon(&format!("something is said of {of}"), || {
        seen.extend(notes.take().into_iter().filter(|note| note.json["event"] == "mistake"));
        !seen.is_empty()
    });
    seen.remove(0)
}

fn assert_told(note: &Note, expected: &str, chapter: u8, of: &str) {
    let what = note.json["what"].as_str().expect("a text");
    assert!(what.contains(expected), "{of}: {what}");
    assert_eq!(note.json["see"], format!("piecemeal chapter {chapter}"), "{of}");
    assert!(
        note.text.ends_with(&format!(" makes a mistake: {what}; see piecemeal chapter {chapter}")),
        "{}",
        note.text
    );
}

#[test]
fn a_wrong_handshake_is_told_what_is_wrong_with_it() {
    let content = content();
    let (seeder, notes) = seeder(&content, Plan::default());
    let good = wire::handshake(PLAIN, content.info_hash().0, ID);
    let with = |range: std::ops::Range<usize>, bytes: &[u8]| {
        [&good[..range.start], bytes, &good[range.end..]].concat()
    };
    let hex: String = content.info_hash().to_string();
    let table = [
        (
            "no reserved bytes",
            with(20..28, b""),
            "60 bytes came, not 1 + 19 + 8 + 20 + 20 = 68: are the 8 reserved",
            4,
        ),
        (
            "a short peer id",
            good[..67].to_vec(),
            "67 bytes came, not 1 + 19 + 8 + 20 + 20 = 68: has the peer id",
            4,
        ),
        ("half of it", good[..30].to_vec(), "30 bytes came, not", 4),
        ("a length of 20", with(0..1, &[20]), "the first byte must be 19 (0x13), but is 20", 4),
        ("no length", with(0..1, b""), "the byte 19 (0x13) before the name is missing", 4),
        ("digits", with(0..1, b"19"), "one byte, 0x13, not two digits", 4),
        (
            "small letters",
            with(1..20, b"bittorrent protocol"),
            "only the B and the T are capital",
            4,
        ),
        ("HTTP", b"GET /announce HTTP/1.1\r\n\r\n".to_vec(), "this is HTTP, for a tracker", 4),
        ("TLS", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03abcdefghijkl".to_vec(), "this is TLS", 4),
        ("noise", (0x80..0xe0).collect(), "encrypted (MSE)", 4),
        ("hex digits", with(28..48, &hex.as_bytes()[..20]), "these are 20 hex digits", 2),
        ("anything", with(28..48, &[7; 20]), "hash the bytes of info as they are", 2),
        (
            "a byte too few",
            with(28..48, &sha1(&[&content.metadata[..content.metadata.len() - 1]])),
            "without its last",
            2,
        ),
        (
            "the key, too",
            with(28..48, &sha1(&[b"4:info", &content.metadata])),
            "of the key 4:info",
            2,
        ),
    ];
    for (of, bytes, expected, see) in table {
        let mut client = Client::dial(seeder.address());
        client.send(&bytes);
        let _ = client.stream.shutdown(Shutdown::Write); // it may have been hung up on already
        assert_told(&mistake(&notes, of), expected, see, of);
        assert!(client.is_over(), "{of}");
    }
}

fn sha1(parts: &[&[u8]]) -> [u8; 20] {
    Sha1::digest(parts.concat()).into()
}

/// Sends bytes after the handshakes, and checks the note and whether the seeder goes on.
fn said(of: &str, reserved: [u8; 8], bytes: &[u8], expected: &str, see: u8, goes_on: bool) {
    let content = content();
    let (seeder, notes) = seeder(&content, Plan::default());
    let (mut client, _) = Client::greet(seeder.address(), &content, reserved);
    client.send(bytes);
    if goes_on {
        assert_told(&mistake(&notes, of), expected, see, of);
        client.send(&wire::message(wire::INTERESTED, b""));
        client.request(2, 0, 1);
        loop {
            let (id, payload) = client.message().unwrap_or_else(|error| panic!("{of}: {error}"));
            if (id, payload.len()) == (wire::PIECE, 9) {
                return;
            }
        }
    }
    let mut seen = Vec::new();
    soon(&format!("{of}: it hangs up"), || {
        seen.extend(notes.take());
        seen.iter().any(|note| note.json["event"] == "left")
    });
    let note = |event: &str| {
        seen.iter()
            .find(|note| note.json["event"] == event)
            .unwrap_or_else(|| panic!("{of}: {seen:?}"))
    };
    assert_told(note("mistake"), expected, see, of);
    let left = note("left");
    assert!(left.text.ends_with("; that mistake ended it"), "{}", left.text);
    assert!(left.json["why"].as_str().is_some_and(|why| why.contains(expected)), "{}", left.json);
}

fn interested_and(bytes: &[u8]) -> Vec<u8> {
    [&wire::message(wire::INTERESTED, b""), bytes].concat()
}

#[test]
fn wrong_lengths_are_told_how_lengths_are_counted() {
    let asks = &request(0, 0, 16_384)[5..];
    let table = [
        ("low byte first", b"\x01\0\0\0\x02".to_vec(), "the length was sent low byte first"),
        (
            "itself counted",
            [b"\0\0\0\x05\x02\0\0\0\x11\x06", asks].concat(),
            "if its length counts its own four bytes",
        ),
        (
            "no id counted",
            [b"\0\0\0\0\x02\0\0\0\x0c\x06", asks].concat(),
            "a length also counts the id",
        ),
        (
            "no id counted in a request",
            [b"\0\0\0\x0c\x06", asks].concat(),
            "a length also counts the id",
        ),
        ("twice", wire::handshake(PLAIN, [7; 20], ID), "this is a second handshake"),
        ("text", b"GET / HTTP/1.1\r\n\r\n".to_vec(), "this is text"),
    ];
    for (of, bytes, expected) in table {
        said(of, PLAIN, &bytes, expected, 5, false);
    }
}

#[test]
fn wrong_messages_are_told_which_rule_they_break() {
    let ends = [
        ("a long bitfield", wire::message(wire::BITFIELD, b"\0\0"), "must be 1 byte", 5),
        (
            "no such piece",
            wire::message(wire::HAVE, &[0, 0, 0, 3]),
            "piece 3, but there are 3, counted from 0",
            5,
        ),
        (
            "low byte first",
            interested_and(&wire::message(6, b"\x01\0\0\0\0\0\0\0\0\x40\0\0")),
            "sent low byte first?",
            9,
        ),
        (
            "a whole piece",
            interested_and(&request(0, 0, 49_252)),
            "asked for in several requests",
            9,
        ),
        (
            "past the end",
            interested_and(&request(0, 49_152, 16_384)),
            "from 49152 on there are only 100 more",
            9,
        ),
        (
            "begin in the file",
            interested_and(&request(1, 49_252, 16)),
            "from the first byte of the piece",
            9,
        ),
    ];
    for (of, bytes, expected, see) in ends {
        // The seeder unchokes once it has read `interested`; in one write with it, another hint would come first.
        let bytes = if bytes.starts_with(b"\0\0\0\x01\x02") {
            [b"\0\0\0\x01\x02\0\0\0\0", &bytes[5..]].concat()
        } else {
            bytes
        };
        said(of, PLAIN, &bytes, expected, see, false);
    }
    let goes_on = [
        ("spare bits", wire::message(wire::BITFIELD, b"\x01"), "which must be zero (BEP 3)", 5),
        (
            "bits from the right",
            wire::message(wire::BITFIELD, b"\x07"),
            "the first piece is the highest bit",
            5,
        ),
        (
            "late",
            interested_and(&wire::message(wire::BITFIELD, b"\0")),
            "may only be the first message",
            5,
        ),
        ("choked", request(0, 0, 16_384), "send interested, then wait for unchoke", 9),
        ("hasty", interested_and(&request(0, 0, 16_384)), "a request right after interested", 9),
        (
            "a block's number",
            interested_and(&[wire::keep_alive(), request(0, 1, 16_384)].concat()),
            "begin 1 is not a multiple",
            9,
        ),
        (
            "a digit",
            wire::message(b'2', b""),
            "no message has the id 50: an id is a number, not a digit",
            5,
        ),
        ("have all", wire::message(14, b""), "need bit 2 in both handshakes", 5),
        ("no bit", wire::extended(0, b"d1:mdee"), "0x10 in byte 5", 7),
    ];
    for (of, bytes, expected, see) in goes_on {
        said(of, PLAIN, &bytes, expected, see, true);
    }
}

#[test]
fn wrong_extended_messages_are_told_why_no_answer_comes() {
    let hello = wire::extended(0, b"d1:md11:ut_metadatai3eee");
    let after_hello = |bytes: Vec<u8>| [hello.clone(), bytes].concat();
    let ask = b"d8:msg_typei0e5:piecei0ee";
    let table = [
        (
            "no extension id",
            wire::message(wire::EXTENDED, b"d1:md11:ut_metadatai1eee"),
            "the extension id is missing",
            7,
        ),
        (
            "its own id",
            after_hello(wire::extended(3, ask)),
            "3 is the number that it assigned itself",
            7,
        ),
        (
            "any id",
            after_hello(wire::extended(9, ask)),
            "to this seeder ut_metadata has the id 113",
            7,
        ),
        ("no handshake", wire::extended(113, ask), "gave ut_metadata an id to answer with", 7),
        ("no m", wire::extended(0, b"d11:ut_metadatai1ee"), "has no dictionary m", 7),
        (
            "no such piece",
            after_hello(wire::extended(113, b"d8:msg_typei0e5:piecei1ee")),
            "there is no metadata piece 1",
            8,
        ),
        ("no bencode", wire::extended(0, b"junk!"), "counts as one without extensions", 7),
        ("twice", wire::extended(0, b"d1:mde1:mdee"), "m appears more than once", 7),
        ("text", wire::extended(0, b"d1:mde4:reqq3:250e"), "reqq must be a number of requests", 7),
        ("unsorted", wire::extended(0, b"d1:v2:me1:mdee"), "but m comes after v", 1),
    ];
    for (of, bytes, expected, see) in table {
        said(of, EXTENDED, &bytes, expected, see, true);
    }
}

#[test]
fn a_client_that_waits_for_ever_is_told_what_for() {
    let table: [(&[u8], &str); 4] = [
        (b"", "it is not interested"),
        (b"\0\0\0\x01\x02", "it was unchoked, and asks for nothing"),
        (
            b"\0\0\0\x05\x02",
            "says that 5 bytes follow, and 1 came: a length does not count its own",
        ),
        (b"\0\0\0\x01", "says that 1 bytes follow, and 0 came: the id is missing"),
    ];
    let content = content();
    let waiting: Vec<_> = table
        .map(|(bytes, expected)| {
            let (seeder, notes) = seeder(&content, Plan::default());
            let (mut client, _) = Client::greet(seeder.address(), &content, PLAIN);
            client.send(bytes);
            (seeder, notes, client, expected)
        })
        .into();
    std::thread::sleep(std::time::Duration::from_secs(5));
    for (_seeder, notes, _client, expected) in &waiting {
        let note = mistake(notes, expected);
        assert!(
            note.text.contains("nothing has come for 5 s: ") && note.text.contains(expected),
            "{}",
            note.text
        );
    }
}

#[test]
fn real_clients_make_no_mistakes() {
    let lab = Lab::start(vec![sample().expect("a torrent")], &[Plan::default()], 0)
        .expect("ports are free");
    let mut client = Client::unchoked(lab.addresses()[0], &lab.contents[0]);
    client.block(2, 16_384, 10_143);
    drop(client);
    let mut seen = Vec::new();
    soon("it has left", || {
        seen.extend(lab.notes.take());
        seen.iter().any(|note| note.json["event"] == "left")
    });
    assert!(seen.iter().all(|note| !note.text.contains("see piecemeal")), "{seen:?}");
}

/// The tracker's next note.
fn announced(lab: &Lab, head: &[u8]) -> String {
    let mut stream = TcpStream::connect(lab.tracker.address()).expect("it listens");
    stream
        .set_read_timeout(Some(std::time::Duration::from_secs(60)))
        .expect("a socket has timeouts");
    stream.write_all(head).expect("it reads");
    let _ = stream.read_to_end(&mut Vec::new());
    let mut text = None;
    soon("a note", || {
        text = text.take().or(lab.notes.take().into_iter().map(|note| note.text).next());
        text.is_some()
    });
    text.expect("it was waited for")
}

#[test]
fn the_labs_tracker_knows_which_info_hash_it_should_have_been() {
    let lab = Lab::start(vec![sample().expect("a torrent")], &[Plan::default()], 0)
        .expect("ports are free");
    let content = &lab.contents[0];
    let get = |hash: [u8; 20], more: &str, head: &str| {
        let hash: String = hash.iter().map(|byte| format!("%{byte:02x}")).collect();
        let query = format!(
            "info_hash={hash}&peer_id=-XX0000-tester000001&port=6881&uploaded=0&downloaded=0{more}"
        );
        announced(&lab, format!("GET /announce?{query} HTTP/1.1\r\n{head}\r\n").as_bytes())
    };
    let (more, host) = ("&left=1&compact=1", "Host: lab\r\n");
    let InfoHash(good) = content.info_hash();
    assert!(get(good, more, host).ends_with("; told of 1 peer"));
    let whole = sha1(&[&content.torrent(&[lab.tracker.url()])]);
    assert!(
        get(whole, more, host)
            .ends_with("it is that of the whole .torrent file; hash the value of info alone; see piecemeal chapter 2")
    );
    assert!(get([7; 20], more, host).contains("no seeder has this torrent: "));
    assert!(get(good, "&left=1", host).contains("without compact=1 others may answer with a list"));
    assert!(get(good, "&left=0&compact=1", host).contains("with nothing left it counts as a seed"));
    assert!(get(good, more, "").contains("needs a Host header"));
    let raw = announced(&lab, b"GET /announce?info_hash=\xff\xfe HTTP/1.1\r\n\r\n");
    assert!(raw.contains("each byte is percent-encoded; see piecemeal chapter 3"), "{raw}");
    let endless = announced(&lab, b"GET /announce?info_hash=a HTTP/1.1\r\nHost: x\r\n");
    assert!(endless.contains("an empty line, \\r\\n\\r\\n in all, closes it"), "{endless}");
    for (bytes, expected) in [
        (b"\x13BitTorrent protocol".as_slice(), "here is a tracker"),
        (b"\x16\x03\x01\x02\0\x01", "this is TLS"),
    ] {
        let told = announced(&lab, bytes);
        assert!(told.contains(expected), "{told}");
    }
}
