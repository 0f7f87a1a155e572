//! Stage 7 from outside: extension handshakes byte by byte, which id belongs to which side, and odd peers.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s03_tracker::PeerId;
use piecemeal::s04_handshake::Handshake;
use piecemeal::s04_handshake::transport::{Transport, pair};
use piecemeal::s05_messages::connection::Connection;
use piecemeal::s05_messages::{Message, MessageError};
use piecemeal::s07_extension::dont_have::{self, DontHave, DontHaveError};
use piecemeal::s07_extension::extension::{Extension, Reply};
use piecemeal::s07_extension::{
    BoxError, ExtensionError, ExtensionHandshake, Extensions, PeerExtensions, encode_extended,
    exchange_extensions,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use support::{Must, Script, assert_wire, wire_is};

/// The example of libtorrent's extension protocol document.
const LIBTORRENT: &[u8] = b"d1:md11:LT_metadatai1e6:ut_pexi2ee1:pi6881e1:v12:uTorrent 1.2e";

fn decode(payload: &[u8]) -> ExtensionHandshake {
    ExtensionHandshake::decode(payload)
        .unwrap_or_else(|error| panic!("{:?}: {error}", String::from_utf8_lossy(payload)))
}

/// Names and ids, as `m` has them.
fn m(handshake: &ExtensionHandshake) -> Vec<(&str, u8)> {
    handshake.m.iter().map(|(name, id)| (name.as_str(), *id)).collect()
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("it is an address")
}

#[test]
fn the_example_of_libtorrents_document_is_read_and_written() {
    let handshake = decode(LIBTORRENT);
    assert_eq!(m(&handshake), [("LT_metadata", 1), ("ut_pex", 2)]);
    assert_eq!(
        (handshake.p, handshake.v.as_deref(), handshake.metadata_size),
        (Some(6881), Some("uTorrent 1.2"), None)
    );
    assert_wire(&handshake.encode(), LIBTORRENT, "BEP 10, extension handshake");
}

#[test]
fn m_is_a_dictionary_of_names_and_ids_with_metadata_size_beside_it() {
    let with = b"d1:md11:ut_metadatai3ee13:metadata_sizei31235ee";
    let mut handshake = decode(with);
    assert_eq!((m(&handshake), handshake.metadata_size), (vec![("ut_metadata", 3)], Some(31235)));
    assert_wire(&handshake.encode(), with, "BEP 10, extension handshake");
    // Without the metadata, its size is left out.
    handshake.metadata_size = None;
    assert_wire(&handshake.encode(), b"d1:md11:ut_metadatai3eee", "BEP 10, extension handshake");
    // What the sources print, without the colon, is a set, and no id can be read from it.
    assert!(decode(b"d1:ml11:ut_metadatai3eee").m.is_empty());
}

#[test]
fn every_key_is_read_and_written_with_the_keys_sorted() {
    let bytes = b"d4:ipv44:\xc0\x00\x02\x014:ipv616:\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x011:md6:ut_pexi1ee\
                  13:metadata_sizei7e1:pi65535e4:reqqi250e1:v3:\xc3\xa9!6:yourip4:\x7f\0\0\x01e";
    let handshake = decode(bytes);
    assert_eq!((handshake.ipv4, handshake.ipv6), (Some(ip("192.0.2.1")), Some(ip("2001:db8::1"))));
    assert_eq!(
        (handshake.yourip, handshake.reqq, handshake.p),
        (Some(ip("127.0.0.1")), Some(250), Some(65535))
    );
    assert_eq!(handshake.v.as_deref(), Some("é!"));
    assert_wire(&handshake.encode(), bytes, "BEP 10, extension handshake");
    let six = decode(b"d6:yourip16:\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01e");
    assert_eq!(six.yourip, Some(ip("::1")));
}

#[test]
fn the_micro_sign_of_bep_10s_example_is_two_bytes() {
    let right = "d1:md11:LT_metadatai1e7:µT_PEXi2ee1:pi6881e1:v13:µTorrent 1.2e";
    assert_eq!(m(&decode(right.as_bytes())), [("LT_metadata", 1), ("µT_PEX", 2)]);
    let printed = "d1:md11:LT_metadatai1e6:µT_PEXi2ee1:pi6881e1:v13:µTorrent 1.2e";
    assert!(matches!(
        ExtensionHandshake::decode(printed.as_bytes()),
        Err(ExtensionError::Bencode(_))
    ));
}

#[test]
fn keys_that_are_unknown_or_of_another_type_are_skipped() {
    let wrong = b"d4:ipv41:x4:ipv6i1e1:mle13:metadata_sizei-1e1:pi65536e4:reqq3:2506:unknowndi1e0:e1:vi1e6:yourip5:12345e";
    assert!(
        ExtensionHandshake::decode(wrong).is_err(),
        "a key must be a string, even in a key nobody knows"
    );
    let wrong = b"d4:ipv41:x4:ipv6i1e1:mle13:metadata_sizei-1e1:pi65536e4:reqq3:2507:unknownd0:i1ee1:vi1e6:yourip5:12345e";
    assert_eq!(
        ExtensionHandshake { passed_over: Vec::new(), ..decode(wrong) },
        ExtensionHandshake::default()
    );
    let ids = b"d1:md1:ai-1e1:bi256e1:c1:11:di255e1:\xffi1e1:zi0eee";
    assert_eq!(m(&decode(ids)), [("d", 255), ("z", 0)]);
    assert_eq!(decode(b"d4:reqqi9223372036854775807ee").reqq, Some(u32::MAX));
    assert_eq!(decode(b"de\xff\xff trailing bytes"), ExtensionHandshake::default());
    assert_eq!(decode(b"d1:v5:a\x1b[2Je").v.as_deref(), Some("a\\u{1b}[2J"));
}

#[test]
fn every_key_may_be_absent_of_another_type_empty_huge_repeated_or_no_text() {
    let note = |key: &str, expected: &str, found: &str| {
        vec![format!("{key} must be {expected}, but is {found}; it is passed over")]
    };
    let twice = |key: &str| vec![format!("{key} appears more than once: the first one counts")];
    let (id, bytes, long) = ("an id from 0 to 255", "a byte string", "x".repeat(101));
    let table: Vec<(String, Vec<String>)> = [
        ("", vec![]),
        ("1:mle", note("m", "a dictionary", "a list")),
        ("1:mde", vec![]),
        ("1:md0:i1ee", vec![]),
        ("1:md2:utlee", note("m.ut", id, "a list")),
        ("1:md2:uti-1eee", note("m.ut", id, "-1")),
        ("1:md2:uti256eee", note("m.ut", id, "256")),
        ("1:md2:ut0:ee", note("m.ut", id, "\"\"")),
        ("1:md2:ut1:1ee", note("m.ut", id, "\"1\"")),
        ("1:md2:uti1e2:uti2eee", twice("m.ut")),
        ("1:mde1:mde", twice("m")),
        ("1:p0:", note("p", "a port", "\"\"")),
        ("1:pi65536e", note("p", "a port", "65536")),
        ("1:pi1e1:pi2e", twice("p")),
        ("1:v0:", vec![]),
        ("1:vi1e", note("v", bytes, "1")),
        ("1:v1:a1:v1:b", twice("v")),
        ("4:reqq0:", note("reqq", "a number of requests", "\"\"")),
        ("4:reqqi-1e", note("reqq", "a number of requests", "-1")),
        ("4:reqqi9223372036854775807e", vec![]),
        ("13:metadata_size0:", note("metadata_size", "a number of bytes", "\"\"")),
        ("13:metadata_sizei-1e", note("metadata_size", "a number of bytes", "-1")),
        ("13:metadata_sizei1e13:metadata_sizei2e", twice("metadata_size")),
        ("6:yourip0:", note("yourip", "4 or 16 bytes", "\"\"")),
        ("6:youripi1e", note("yourip", "4 or 16 bytes", "1")),
        ("4:ipv45:12345", note("ipv4", "4 bytes", "\"12345\"")),
        ("4:ipv416:1234567890123456", note("ipv4", "4 bytes", "\"1234567890123456\"")),
        ("4:ipv64:1234", note("ipv6", "16 bytes", "\"1234\"")),
        ("11:upload_onlyle", note("upload_only", "0 or 1", "a list")),
        ("11:upload_only0:", note("upload_only", "0 or 1", "\"\"")),
        ("12:complete_agole1:ele3:abcde", vec![]), // read by nobody
    ]
    .map(|(keys, notes)| (format!("d{keys}e"), notes))
    .into();
    for (payload, notes) in &table {
        assert_eq!(&decode(payload.as_bytes()).passed_over, notes, "{payload}");
        // And the other keys count.
        let with = format!("{}1:zi0e4:zreqi7ee", &payload[..payload.len() - 1]);
        assert_eq!(&decode(with.as_bytes()).passed_over, notes, "{with}");
        if !payload.contains("1:m") {
            let with = format!("{}1:md11:ut_metadatai3eee", &payload[..payload.len() - 1]);
            assert_eq!(m(&decode(with.as_bytes())), [("ut_metadata", 3)], "{with}");
        }
    }
    assert_eq!(m(&decode(b"d1:md2:uti1e2:uti2eee")), [("ut", 1)], "the first counts");
    assert_eq!(m(&decode(b"d1:md1:ai1ee1:md1:bi2eee")), [("a", 1)], "the first counts");
    assert_eq!(decode(b"d13:metadata_sizei1e13:metadata_sizei2ee").metadata_size, Some(1));
    // Not UTF-8, and longer than anyone reads.
    assert_eq!(decode(b"d1:v3:a\xffbe").v.as_deref(), Some("a\u{fffd}b"));
    let name = "m.\u{fffd} must be a name in UTF-8 of at most 100 bytes; it is passed over";
    assert_eq!(decode(b"d1:md1:\xffi1eee").passed_over, [name]);
    let huge = decode(format!("d1:md101:{long}i1ee1:v101:{long}e").as_bytes());
    assert_eq!((huge.m.len(), huge.v.map(|v| v.len()), huge.passed_over.len()), (0, Some(100), 1));
}

#[test]
fn a_handshake_beyond_its_limits_makes_a_peer_without_extensions() {
    // A name of 100 bytes for each of the 255 ids is well within the limits.
    let values = |count: usize| format!("d1:al{}e1:md3:onei3eee", "0:".repeat(count - 4));
    assert_eq!(decode(values(1_000).as_bytes()).m["one"], 3);
    let deep = |depth: usize| {
        format!("d1:a{}{}1:md3:onei3eee", "l".repeat(depth - 1), "e".repeat(depth - 1))
    };
    assert_eq!(decode(deep(8).as_bytes()).m["one"], 3);
    for (payload, why) in [
        (values(1_001), "there are more than 1000 values"),
        (deep(9), "lists and dictionaries nest deeper than 8"),
    ] {
        let (mut extensions, mut out) = (echoes(), Vec::new());
        extensions
            .hear(&[b"\0", payload.as_bytes()].concat(), &mut out)
            .expect("never a reason to hang up");
        let notes = extensions.take_passed_over();
        assert!(notes.len() == 1 && notes[0].contains(why), "{notes:?}");
        assert!(extensions.theirs.said.m.is_empty());
    }
}

#[test]
fn names_are_kept_as_many_as_there_are_ids_and_no_longer_than_100_bytes() {
    let (mut extensions, mut out) = (echoes(), Vec::new());
    for round in 0..50 {
        let names: String =
            (0..100).map(|number| format!("100:{:0>100}i1e", round * 100 + number)).collect();
        extensions
            .hear(format!("\0d1:md{names}ee").as_bytes(), &mut out)
            .expect("never a reason to hang up");
    }
    assert_eq!(extensions.theirs.said.m.len(), 255);
    assert!(extensions.theirs.said.m.keys().all(|name| name.len() == 100));
}

#[test]
fn notes_about_a_handshake_are_few() {
    let names: String = (0..990).map(|n| format!("3:{n:03}i-1e")).collect();
    let notes = decode(format!("d1:md{names}ee").as_bytes()).passed_over;
    assert_eq!(
        (notes.len(), notes.last().map(String::as_str)),
        (9, Some("there are 982 more notes like these"))
    );
    // And for one peer, however many handshakes it sends.
    let (mut extensions, mut out) = (echoes(), Vec::new());
    let mut taken = Vec::new();
    for _ in 0..100 {
        extensions.hear(b"\0d1:p1:xe", &mut out).expect("never a reason to hang up");
        taken.extend(extensions.take_passed_over());
    }
    assert_eq!(taken, vec!["p must be a port, but is \"x\"; it is passed over"; 8]);
    assert!(extensions.take_passed_over().is_empty());
}

#[test]
fn a_handshake_that_is_not_bencode_makes_a_peer_without_extensions() {
    for (payload, why) in [
        (
            &b"\0junk!"[..],
            "the extension handshake is not bencode: byte 0: a value was expected (i, l, d or a digit), but found 'j'",
        ),
        (
            b"\0",
            "the extension handshake is not bencode: byte 0: a value was expected, but there is nothing",
        ),
        (b"\0le", "the extension handshake must be a dictionary, but is a list"),
        (
            b"\0d1:mi1e",
            "the extension handshake is not bencode: byte 7: a value was expected, or the `e` of what holds it, but the input ends",
        ),
    ] {
        let (mut extensions, mut out) = (echoes(), Vec::new());
        assert!(extensions.hear(payload, &mut out).expect("it does no harm").is_empty());
        assert_eq!(extensions.theirs, PeerExtensions::default());
        assert_eq!(
            extensions.take_passed_over(),
            [format!("{why}; it counts as a peer without extensions")]
        );
        // A later, good handshake counts.
        extensions.hear(b"\0d1:md3:onei3eee", &mut out).expect("a handshake");
        assert_eq!(
            (extensions.theirs.id("one"), extensions.take_passed_over().len()),
            (Some(3), 0)
        );
    }
}

#[test]
fn a_handshake_that_is_no_dictionary_or_is_cut_short_is_refused() {
    for payload in [&b"le"[..], b"i1e", b"1:x"] {
        assert!(matches!(
            ExtensionHandshake::decode(payload),
            Err(ExtensionError::NotDictionary { .. })
        ));
    }
    for payload in [&b""[..], b"x", b"d1:m99:x", b"d1:m99999999999999999999:x"] {
        assert!(matches!(ExtensionHandshake::decode(payload), Err(ExtensionError::Bencode(_))));
    }
    (0..LIBTORRENT.len()).for_each(|length| {
        drop(ExtensionHandshake::decode(&LIBTORRENT[..length]).expect_err("a part"))
    });
}

#[test]
fn a_later_handshake_adds_to_the_earlier_one_and_0_turns_off() {
    let mut peer = PeerExtensions::default();
    assert_eq!(peer.id("ut_pex"), None);
    peer.update(decode(LIBTORRENT));
    peer.update(decode(b"d1:md6:ut_pexi7e5:ut_hpi9eee"));
    assert_eq!(
        ["LT_metadata", "ut_pex", "ut_hp"].map(|name| peer.id(name)),
        [Some(1), Some(7), Some(9)]
    );
    assert_eq!((peer.said.p, peer.said.v.as_deref()), (Some(6881), Some("uTorrent 1.2")));
    peer.update(decode(b"d1:md6:ut_pexi0ee13:metadata_sizei5ee"));
    assert_eq!(["LT_metadata", "ut_pex"].map(|name| peer.id(name)), [Some(1), None]);
    assert_eq!(peer.said.metadata_size, Some(5));
    peer.update(decode(b"d1:md6:ut_pexi4eee"));
    assert_eq!(peer.id("ut_pex"), Some(4));
}

#[test]
fn turning_an_extension_off_needs_the_m_around_it() {
    let mut peer = PeerExtensions::default();
    peer.update(decode(LIBTORRENT));
    peer.update(decode(b"d11:LT_metadatai0ee")); // as libtorrent's document prints it
    assert_eq!(peer.id("LT_metadata"), Some(1));
    peer.update(decode(b"d1:md11:LT_metadatai0eee"));
    assert_eq!((peer.id("LT_metadata"), peer.id("ut_pex")), (None, Some(2)));
}

/// Answers each message with the same twice, or refuses it.
struct Echo(&'static str);

impl Extension for Echo {
    fn name(&self) -> &'static str {
        self.0
    }

    fn offer(&self, ours: &mut ExtensionHandshake) {
        ours.metadata_size = Some(5);
    }

    fn message(&mut self, payload: &[u8], reply: &mut Reply) -> Result<(), BoxError> {
        if payload == b"bad" {
            return Err("it is bad".into());
        }
        reply.send.extend([payload.to_vec(), payload.to_vec()]);
        Ok(())
    }
}

fn echoes() -> Extensions {
    Extensions::new(vec![Box::new(Echo("one")), Box::new(Echo("two"))])
}

#[test]
fn the_value_in_m_is_the_id_by_which_that_peer_wants_to_be_sent_messages() {
    let (mut first, mut second) = (echoes(), echoes());
    assert_eq!(
        (first.our_id("one"), first.our_id("two"), first.our_id("three")),
        (Some(1), Some(2), None)
    );
    let mut out = Vec::new();
    first.hear(b"\0d1:md3:twoi3eee", &mut out).expect("a handshake");
    second.hear(b"\0d1:md3:twoi200eee", &mut out).expect("a handshake");
    assert!(out.is_empty());
    // Messages to us have our id, and answers have theirs.
    first.hear(b"\x02hi", &mut out).expect("a message");
    let answers = b"\0\0\0\x04\x14\x03hi\0\0\0\x04\x14\x03hi";
    assert_wire(&out, answers, "BEP 10, extended messages");
    out.clear();
    second.hear(b"\x02hi", &mut out).expect("a message");
    let answers = b"\0\0\0\x04\x14\xc8hi\0\0\0\x04\x14\xc8hi";
    assert_wire(&out, answers, "BEP 10, extended messages");
    // A peer that has turned it off again gets no answer.
    out.clear();
    second.hear(b"\0d1:md3:twoi0eee", &mut out).expect("a handshake");
    second.hear(b"\x02hi", &mut out).expect("a message");
    assert!(out.is_empty());
}

#[test]
fn our_numbers_can_begin_later_than_at_1() {
    for (first, second, nobodys) in [(3, 4, [1, 2, 5, 255]), (254, 255, [1, 2, 3, 253])] {
        let (mut extensions, mut out) = (echoes().numbered_from(first), Vec::new());
        let m = extensions.greeting(ip("192.0.2.2")).m;
        assert_eq!((m["one"], m["two"]), (first, second));
        assert_eq!(extensions.our_id("two"), Some(second));
        extensions.hear(b"\0d1:md3:twoi9eee", &mut out).expect("a handshake");
        for id in nobodys {
            extensions.hear(&[id, b'x'], &mut out).expect("it is for nobody");
        }
        assert!(out.is_empty());
        extensions.hear(&[second, b'x'], &mut out).expect("a message");
        let answers = b"\0\0\0\x03\x14\x09x\0\0\0\x03\x14\x09x";
        assert_wire(&out, answers, "BEP 10, extended messages");
    }
}

#[test]
fn extended_messages_for_nobody_are_skipped_and_broken_ones_end_the_connection() {
    let (mut extensions, mut out) = (echoes(), Vec::new());
    for id in [3, 4, 20, 255] {
        assert!(extensions.hear(&[id, b'x'], &mut out).expect("it is for nobody").is_empty());
    }
    assert!(matches!(extensions.hear(b"", &mut out), Err(ExtensionError::NoId)));
    let error = extensions.hear(b"\x01bad", &mut out).expect_err("the extension refuses it");
    assert_eq!(error.to_string(), "one: it is bad");
    assert!(out.is_empty());
}

/// Our extension handshake to a peer at 192.0.2.2, as a whole message.
fn greeting() -> Vec<u8> {
    let v = concat!("piecemeal ", env!("CARGO_PKG_VERSION"));
    let head =
        format!("d1:md3:onei1e3:twoi2ee13:metadata_sizei5e4:reqqi500e1:v{}:{v}6:yourip4:", v.len());
    let payload = [b"\x14\0", head.as_bytes(), b"\xc0\x00\x02\x02e"].concat();
    [&u32::try_from(payload.len()).expect("it is short").to_be_bytes()[..], &payload].concat()
}

#[test]
fn our_greeting_names_our_extensions_and_their_address() {
    let mut out = Vec::new();
    encode_extended(0, &echoes().greeting(ip("192.0.2.2")).encode(), &mut out);
    assert_wire(&out, &greeting(), "BEP 10, extended messages");
    assert_eq!(echoes().greeting(ip("::ffff:192.0.2.2")).yourip, Some(ip("192.0.2.2")));
    assert_eq!(echoes().greeting(ip("2001:db8::1")).yourip, Some(ip("2001:db8::1")));
}

#[test]
fn lt_donthave_is_the_index_of_a_piece_that_is_lost() {
    assert_eq!(dont_have::NAME, "lt_donthave");
    assert_eq!(dont_have::encode(0x0102_0304), [1, 2, 3, 4]);
    let (mut extensions, mut out) = (Extensions::new(vec![Box::new(DontHave)]), Vec::new());
    assert_eq!(extensions.hear(b"\x01\x00\x00\x00\x07", &mut out).expect("it is right"), [7]);
    encode_extended(9, &dont_have::encode(7), &mut out);
    assert_wire(&out, b"\0\0\0\x06\x14\x09\0\0\0\x07", "BEP 54, extended messages");
    for length in (0..9).filter(|length| *length != 4) {
        assert_eq!(dont_have::decode(&[0; 8][..length]), Err(DontHaveError { found: length }));
    }
    assert!(matches!(
        extensions.hear(b"\x01\x00", &mut out),
        Err(ExtensionError::Extension { name: "lt_donthave", .. })
    ));
}

#[test]
fn what_is_kept_of_a_peers_extensions_does_not_grow_for_ever() {
    // An id is one byte, so no more than 255 can be on. A peer cannot keep inventing names.
    let (mut extensions, mut out) = (echoes(), Vec::new());
    extensions.hear(b"\0d1:md3:onei3eee", &mut out).expect("a handshake");
    for round in 0..1000 {
        let names: String = (0..10).map(|n| format!("8:{:04}{n:04}i1e", round)).collect();
        extensions
            .hear(format!("\0d1:md{names}ee").as_bytes(), &mut out)
            .expect("never a reason to hang up");
    }
    assert!(
        extensions.theirs.said.m.len() <= 256,
        "{} names are kept",
        extensions.theirs.said.m.len()
    );
    assert_eq!(extensions.theirs.id("one"), Some(3));
}

#[test]
fn mutilated_extended_messages_are_refused_or_read_but_never_panic() {
    let mut random = StdRng::seed_from_u64(8);
    let mut extensions = Extensions::new(vec![Box::new(Echo("one")), Box::new(DontHave)]);
    for round in 0..20_000 {
        let mut payload = [b"\0", LIBTORRENT].concat();
        if round % 4 == 0 {
            payload = vec![2, 0, 0, 0, 7];
        }
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..payload.len());
            payload[at] = if random.random() {
                random.random()
            } else {
                b"ilde0123456789:-"[random.random_range(0..16)]
            };
        }
        let _ = extensions.hear(&payload, &mut Vec::new());
    }
}

/// A connection to a peer whose handshake had these reserved bytes, and that peer's end.
fn connected(reserved: [u8; 8]) -> (Connection, Transport) {
    let address = |last| SocketAddr::from(([192, 0, 2, last], 6881));
    let (near, mut far) = pair(1 << 16, address(1), address(2));
    let theirs =
        Handshake { reserved, info_hash: InfoHash([b'a'; 20]), peer_id: PeerId([b'b'; 20]) };
    let mut connection = Connection::new(near, theirs, theirs);
    connection.set_deadline(Instant::now() + Duration::from_secs(60));
    far.set_deadline(Instant::now() + Duration::from_secs(60));
    (connection, far)
}

const BIT_20: [u8; 8] = [0, 0, 0, 0, 0, 0x10, 0, 0];

/// Exchanges extension handshakes with a peer that says this and no more.
fn exchange(says: &[u8]) -> (Connection, Extensions, Result<(), ExtensionError>) {
    let (mut connection, mut far) = connected(BIT_20);
    far.write_all(says).expect("there is room");
    let Transport { reader: _still_reads, writer, .. } = far;
    drop(writer);
    let mut extensions = echoes();
    let result = exchange_extensions(&mut connection, &mut extensions);
    (connection, extensions, result)
}

#[test]
fn our_extension_handshake_waits_for_nothing_and_nothing_goes_before_it() {
    let (mut connection, mut far) = connected(BIT_20);
    let script = Script::start(move || {
        // This peer sends nothing, not even a bitfield, until it has heard from us.
        let mut first = vec![0; greeting().len()];
        far.read_exact(&mut first).must("our extension handshake must come first")?;
        wire_is(&first, &greeting(), "BEP 10, extended messages")?;
        far.write_all(b"\0\0\0\x11\x14\0d1:md3:onei3eee").must("we must listen")?;
        let mut more = Vec::new();
        far.read_to_end(&mut more).must("we must hang up")?;
        wire_is(&more, b"", "BEP 10, extended messages")
    });
    let exchanged = exchange_extensions(&mut connection, &mut echoes());
    drop(connection);
    script.verdict();
    exchanged.expect("both sides speak it");
}

#[test]
fn a_bitfield_may_come_before_the_extension_handshake_or_after_it() {
    let (hello, bits) =
        (&b"\0\0\0\x11\x14\0d1:md3:onei3eee"[..], &b"\0\0\0\x02\x05\xe0\0\0\0\x01\x01"[..]);
    for says in
        [[hello, bits].concat(), [bits, hello].concat(), [&bits[..6], hello, &bits[6..]].concat()]
    {
        let (mut connection, extensions, result) = exchange(&says);
        result.expect("any order is right");
        assert_eq!(extensions.theirs.id("one"), Some(3));
        connection.input.replay();
        assert_eq!(connection.read().expect("it was kept"), Message::Bitfield { bits: &[0xe0] });
        assert_eq!(connection.read().expect("it was kept"), Message::Unchoke);
    }
}

#[test]
fn keep_alives_and_unknown_messages_in_between_are_skipped() {
    let says =
        b"\0\0\0\0\0\0\0\x02\x63x\0\0\0\x01\x14\0\0\0\x03\x14\x07x\0\0\0\x04\x14\0de\0\0\0\0";
    let (_, extensions, result) = exchange(says);
    result.expect("none of them is a reason to hang up");
    assert_eq!(extensions.theirs.said, ExtensionHandshake::default());
}

#[test]
fn a_peer_without_the_bit_is_told_nothing() {
    for reserved in [[0; 8], [0xff, 0xff, 0xff, 0xff, 0xff, 0xef, 0xff, 0xff]] {
        let (mut connection, mut far) = connected(reserved);
        let result = exchange_extensions(&mut connection, &mut echoes());
        assert!(matches!(result, Err(ExtensionError::NotSpoken)));
        drop(connection);
        assert_eq!(far.read(&mut [0; 1]).expect("it has ended"), 0);
    }
}

#[test]
fn a_peer_that_is_silent_or_broken_or_gone_is_an_error() {
    assert!(matches!(exchange(b"\0\0\0\x04\x14\0le").2, Err(ExtensionError::NotDictionary { .. })));
    assert!(matches!(exchange(b"\0\0\0\x04\x14\0d1").2, Err(ExtensionError::Bencode(_))));
    assert!(matches!(
        exchange(b"\x7f\0\0\0\x14").2,
        Err(ExtensionError::Message(MessageError::TooLong { .. }))
    ));
    let hung_up = exchange(b"\0\0\0\x11\x14\0d1:m").2;
    assert!(
        matches!(hung_up, Err(ExtensionError::Message(MessageError::HungUp { inside: true }))),
        "{hung_up:?}"
    );
    let (mut connection, _far) = connected(BIT_20);
    connection.set_deadline(Instant::now() + Duration::from_millis(50));
    match exchange_extensions(&mut connection, &mut echoes()) {
        Err(ExtensionError::Message(MessageError::Io(error))) => {
            assert_eq!(error.kind(), ErrorKind::TimedOut)
        }
        other => panic!("{other:?}"),
    }
}

/// Speaks first, hears plain messages, and sends plain ones. Listed under its name, or not at all.
struct Talker {
    name: &'static str,
    listed: bool,
    /// The id of the plain message that is its own.
    takes: u8,
}

impl Extension for Talker {
    fn name(&self) -> &'static str {
        self.name
    }

    fn is_listed(&self) -> bool {
        self.listed
    }

    fn message(&mut self, _: &[u8], reply: &mut Reply) -> Result<(), BoxError> {
        reply.send.push(b"heard".to_vec());
        Ok(())
    }

    fn plain(&mut self, message: &Message, reply: &mut Reply) -> Result<bool, BoxError> {
        match *message {
            Message::Unknown { id, payload: b"bad" } if id == self.takes => Err("it is bad".into()),
            Message::Unknown { id, payload } if id == self.takes => {
                reply.send.push(payload.to_vec());
                Message::Port { port: 7 }.encode_to(&mut reply.plain);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn opened(&mut self, theirs: &Handshake, reply: &mut Reply) {
        if theirs.has_bit(0) {
            Message::Port { port: 6881 }.encode_to(&mut reply.plain);
        }
        reply.send.push(b"open".to_vec());
    }

    fn tick(&mut self, _: Instant, reply: &mut Reply) {
        reply.send.push(b"tick".to_vec());
        Message::Port { port: 1 }.encode_to(&mut reply.plain);
    }
}

/// One that is listed, and one that is not.
fn talkers() -> Extensions {
    Extensions::new(vec![
        Box::new(Talker { name: "hidden", listed: false, takes: 21 }),
        Box::new(Talker { name: "listed", listed: true, takes: 22 }),
    ])
}

/// A `port` message, written by hand.
fn port(port: u16) -> Vec<u8> {
    [b"\0\0\0\x03\x09", &port.to_be_bytes()[..]].concat()
}

#[test]
fn an_extension_that_is_not_listed_has_no_message_20() {
    let (mut extensions, mut out) = (talkers(), Vec::new());
    let m = extensions.greeting(ip("192.0.2.2")).m;
    assert_eq!(m.into_iter().collect::<Vec<_>>(), [("listed".to_owned(), 2)]);
    // A peer that gives it an id all the same is not answered, and neither is its message.
    extensions.hear(b"\0d1:md6:hiddeni4e6:listedi5eee", &mut out).expect("a handshake");
    extensions.hear(b"\x01x", &mut out).expect("it is for nobody");
    assert!(out.is_empty());
    extensions.hear(b"\x02x", &mut out).expect("a message");
    assert_wire(&out, b"\0\0\0\x07\x14\x05heard", "BEP 10, extended messages");
}

#[test]
fn a_plain_message_goes_to_the_extension_that_takes_it_and_to_no_other() {
    let (mut extensions, mut out) = (talkers(), Vec::new());
    let unknown = |id, payload| Message::Unknown { id, payload };
    for nobodys in [unknown(23, b"x"), Message::Port { port: 6881 }] {
        extensions.hear_plain(&nobodys, &mut out).expect("it is for nobody");
    }
    assert!(out.is_empty());
    extensions.hear_plain(&unknown(22, b"x"), &mut out).expect("it is right");
    // Not yet listed by the peer, so only the plain part of the answer can be sent.
    assert_eq!(out, port(7));
    extensions.hear(b"\0d1:md6:listedi5eee", &mut out).expect("a handshake");
    out.clear();
    extensions.hear_plain(&unknown(22, b"x"), &mut out).expect("it is right");
    assert_eq!(out, [&port(7), &b"\0\0\0\x03\x14\x05x"[..]].concat());
    // The first that takes it ends the search.
    let first = |name| Talker { name, listed: true, takes: 21 };
    let mut twins = Extensions::new(vec![Box::new(first("one")), Box::new(first("two"))]);
    out.clear();
    twins.hear_plain(&unknown(21, b"x"), &mut out).expect("it is right");
    assert_eq!(out, port(7));
    let error = twins.hear_plain(&unknown(21, b"bad"), &mut out).expect_err("it refuses that");
    assert_eq!(error.to_string(), "one: it is bad");
}

#[test]
fn when_a_session_begins_an_extension_may_speak_first() {
    let hello = |bits: &[usize]| {
        let plain = Handshake::new(InfoHash([1; 20]), PeerId([2; 20]));
        bits.iter().fold(plain, |handshake, bit| handshake.with_bit(*bit))
    };
    let mut out = Vec::new();
    talkers().opened(&hello(&[]), &mut out);
    assert!(out.is_empty(), "the peer has no bit set, and no id is known");
    talkers().opened(&hello(&[0]), &mut out);
    assert_eq!(out, [port(6881), port(6881)].concat());
}

#[test]
fn time_passes_only_for_extensions_that_the_peer_speaks_and_not_too_often() {
    let (mut extensions, mut out) = (talkers(), Vec::new());
    let start = Instant::now();
    let at = |milliseconds| start + Duration::from_millis(milliseconds);
    // The peer has not said yet that it speaks the listed one.
    extensions.tick(at(0), &mut out);
    assert_eq!(out, port(1));
    extensions.hear(b"\0d1:md6:listedi5eee", &mut out).expect("a handshake");
    out.clear();
    for milliseconds in [1, 100, 249] {
        extensions.tick(at(milliseconds), &mut out);
    }
    assert!(out.is_empty());
    extensions.hurry();
    extensions.tick(at(249), &mut out);
    assert!(!out.is_empty(), "there is news, so they are told at once");
    out.clear();
    extensions.tick(at(498), &mut out);
    assert!(out.is_empty(), "and then as often as before");
    extensions.tick(at(499), &mut out);
    let listed = [&port(1), &b"\0\0\0\x06\x14\x05tick"[..]].concat();
    assert_wire(&out, &[port(1), listed].concat(), "BEP 10, extended messages");
    extensions.hear(b"\0d1:md6:listedi0eee", &mut out).expect("a handshake");
    out.clear();
    extensions.tick(at(10_000), &mut out);
    assert_eq!(out, port(1));
}
