//! Breaks: the fields up to there, carets under the bytes, expected and found.

use super::bytes::{handshake, lines, sound};
use super::samples::described;
use crate::support::wire;
use piecemeal::trace::kind::Kind;

/// The output from the line before the carets on.
#[track_caller]
fn breaks(kind: Kind, bytes: &[u8], expected: &str) {
    let (at, object) = described(kind, bytes).pop().expect("there is an object");
    sound(&object, &bytes[at..]);
    let shown = lines(&object, &bytes[at..]);
    let all: Vec<&str> = shown.lines().collect();
    let carets = all
        .iter()
        .position(|line| line.trim_start().starts_with('^'))
        .unwrap_or_else(|| panic!("no carets:\n{shown}"));
    let found = format!("{}\n{}", all[carets - 1], all[carets]);
    assert_eq!(found, expected, "\n{shown}");
}

#[test]
fn a_string_that_is_longer_than_the_rest() {
    breaks(
        Kind::Bencode,
        b"d3:cow40:mooe",
        "  0006  34 30 3a 6d 6f 6f 65                              (here)
        ^^^^^^^^ byte 6: expected 40 bytes in the string at cow, found only 4",
    );
}

#[test]
fn a_key_that_stands_twice() {
    breaks(
        Kind::Bencode,
        b"d3:cow3:moo3:cowi1ee",
        "  000b  33 3a 63 6f 77 69 31 65 65                        (here)
        ^^^^^^^^^^^^^^ byte 11: expected a new key, found \"cow\" for the second time",
    );
}

#[test]
fn a_leading_zero() {
    breaks(
        Kind::Bencode,
        b"li1ei02ee",
        "  0004  69 30 32 65 65                                    (here)
        ^^ byte 4: expected digits without leading zeros at [1], found \"02\"",
    );
}

#[test]
fn what_follows_a_value() {
    breaks(
        Kind::Bencode,
        b"i1ei2e",
        "  0003  69 32 65                                          (here)
        ^^^^^^^^ byte 3: expected nothing after the value, found 3 bytes",
    );
}

#[test]
fn a_torrent_with_too_few_hashes() {
    breaks(
        Kind::Torrent,
        b"d4:infod6:lengthi50000e4:name1:a12:piece lengthi16384e6:pieces20:ABCDEFGHIJKLMNOPQRSTee",
        "  0036  36 3a 70 69 65 63 65 73 32 30 3a                  info.pieces        20 bytes: 1 of 20  a SHA-1 for each piece
        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ byte 54: expected info.pieces to be 80 bytes for 4 pieces, found 20 bytes",
    );
}

#[test]
fn a_torrent_without_a_name_at_the_end_of_info() {
    breaks(
        Kind::Torrent,
        b"d4:infod6:lengthi5e12:piece lengthi16384e6:pieces20:ABCDEFGHIJKLMNOPQRSTee",
        "  0048  65                                                                   }                  end of info
        ^^ byte 72: expected info.name, a byte string, found nothing of that name",
    );
}

#[test]
fn a_torrent_that_would_write_elsewhere() {
    breaks(
        Kind::Torrent,
        b"d4:infod6:lengthi5e4:name2:..12:piece lengthi16384e6:pieces20:ABCDEFGHIJKLMNOPQRSTee",
        "  0013  34 3a 6e 61 6d 65 32 3a 2e 2e                     info.name          \"..\"               suggested name of the file or folder
        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ byte 19: expected a name for info.name that is safe to use, found \"..\": a name may not be a step up or to itself",
    );
}

#[test]
fn an_answer_whose_peers_are_no_multiple_of_six() {
    breaks(
        Kind::Answer,
        b"d5:peers7:\x7f\0\0\x01\x1a\xe1\x7fe",
        "  0001  35 3a 70 65 65 72 73 37 3a                        peers   7 bytes: 1 of 6  BEP 23: compact
        ^^^^^^^^^^^^^^^^^^^^^^^^^^ byte 1: expected peers to be a multiple of 6 bytes, found 7 bytes",
    );
}

#[test]
fn a_web_server_instead_of_a_peer() {
    breaks(
        Kind::Handshake,
        b"HTTP/1.1 400 Bad Request\r\n",
        "  0000  48                                                length of the name  72
        ^^ byte 0: expected byte 19 and \"BitTorrent protocol\", found \"HTTP/1.1 400 Bad Req\"",
    );
}

#[test]
fn a_handshake_that_is_cut_short() {
    breaks(
        Kind::Handshake,
        &handshake()[..30],
        "  001c  d6 9f                                             info hash           2 of 20 bytes
              ^^ byte 30: expected 20 bytes of info hash, found only 2",
    );
}

#[test]
fn a_message_that_is_longer_than_any_may_be() {
    breaks(
        Kind::Messages,
        b"\0\0\0\x01\x01\x7f\xff\xff\xff\x07\0",
        "  0000  7f ff ff ff                                       length prefix  2147483647  of what follows
        ^^^^^^^^^^^ byte 0: expected at most 16393 bytes, found 2147483647",
    );
}

#[test]
fn a_choke_with_a_payload() {
    breaks(
        Kind::Messages,
        b"\0\0\0\x02\0\xff",
        "  0005  ff                                                (here)
        ^^ byte 5: expected the end of the choke, found 1 byte more",
    );
}

#[test]
fn a_request_with_too_little_in_it() {
    breaks(
        Kind::Messages,
        b"\0\0\0\x09\x06\0\0\0\x01\0\0\0\x02",
        "  0009  00 00 00 02                                       begin          2
                    ^^ byte 13: expected 4 bytes of length, found the end",
    );
}

#[test]
fn a_udp_announce_that_is_cut_short() {
    breaks(
        Kind::Udp,
        &super::samples::udp_announce()[..60],
        "  0038  00 00 00 00                                       downloaded      4 of 8 bytes
                    ^^ byte 60: expected 8 bytes of downloaded, found only 4",
    );
}

/// The break is far beyond the bytes in the field's line, so an extra line shows it.
#[test]
fn a_break_at_the_end_of_a_long_field() {
    let mut bytes = b"\0\0\x01\x09\x07\0\0\0\0\0\0\0\0".to_vec();
    bytes.extend((0..100).map(|number| number as u8));
    breaks(
        Kind::Messages,
        &bytes,
        "  0069  5c 5d 5e 5f 60 61 62 63                           (here)
                                ^^ byte 113: expected 265 bytes after the length, found 109",
    );
}

#[test]
fn an_announce_with_an_info_hash_in_hex() {
    breaks(
        Kind::Url,
        b"http://127.0.0.1:6969/announce?info_hash=d69f91e6b2ae4c542468d1073a71d4ea13879a7f&left=1",
        "  001e  3f 69 6e 66 6f 5f 68 61 73 68 3d 64 36 39 66 …    info_hash      \"d69f91e6b2ae4c542468d1073a71d4ea13879a7f\"  hex? the bytes themselves are wanted, each as it is or as %xx
        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ byte 30: expected info_hash to be 20 bytes, found 40 bytes",
    );
}

#[test]
fn a_url_of_another_kind_and_one_without_a_host() {
    breaks(
        Kind::Url,
        b"wss://a/",
        "  0000  77 73 73 3a 2f 2f                                 scheme         wss
        ^^^^^^^^ byte 0: expected http, https or udp, found wss",
    );
    breaks(
        Kind::Url,
        b"udp:///x",
        "  0006  2f 78                                             path    /x
        ^^ byte 6: expected a host, such as 127.0.0.1:6969, found nothing",
    );
}

#[test]
fn a_magnet_link_with_a_bad_info_hash_and_one_without_a_torrent() {
    breaks(
        Kind::Magnet,
        b"magnet:?x.pe=here&xt=urn:btih:d69f",
        "  0011  26 78 74 3d 75 72 6e 3a 62 74 69 68 3a 64 36 …    xt      \"urn:btih:d69f\"  an info hash
        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ byte 17: expected xt to be 40 hex digits or 32 of base32 after urn:btih:, found \"d69f\"",
    );
    breaks(
        Kind::Magnet,
        b"magnet:?dn=a",
        "  0008  64 6e 3d 61                                       dn      \"a\"  a name to show until the real one is known
                    ^^ byte 12: expected xt=urn:btih: and an info hash, found no such parameter",
    );
}

/// Not broken: the stages accept these, and pass over the mistake with a note.
#[test]
fn what_is_passed_over_is_said_at_its_field() {
    let note = |kind: Kind, bytes: &[u8], name: &str, place: usize| -> String {
        let (_, object) = described(kind, bytes).remove(0);
        assert_eq!(object.broken, None, "{object:?}");
        let fields: Vec<_> = object.fields.iter().filter(|field| field.name == name).collect();
        fields[place].note.clone()
    };
    let magnet = b"magnet:?xt=urn:btih:d69f91e6b2ae4c542468d1073a71d4ea13879a7f&x.pe=here&amp;tr=x";
    let expected = "a peer; breaks a rule: x.pe must be host:port, with a port from 1 to 65535, but is \"here\"; it is passed over";
    assert_eq!(note(Kind::Magnet, magnet, "x.pe", 0), expected);
    assert_eq!(
        note(Kind::Magnet, magnet, "amp;tr", 0),
        "copied from HTML: & is written &amp; there; ignored"
    );
    let greeting = b"d1:md2:uti-1ee4:reqq3:2501:pi1e1:pi2ee";
    let expected = "breaks a rule: m.ut must be an id from 0 to 255, but is -1; it is passed over";
    assert!(note(Kind::Extension, greeting, "m.ut", 0).ends_with(expected));
    assert!(
        note(Kind::Extension, greeting, "reqq", 0)
            .contains("breaks a rule: reqq must be a number of requests")
    );
    assert_eq!(note(Kind::Extension, greeting, "p", 0), "where the sender listens");
    let expected =
        "where the sender listens; breaks a rule: p appears more than once: the first one counts";
    assert_eq!(note(Kind::Extension, greeting, "p", 1), expected);
    let answer = b"d8:interval2:608:completei1e8:completei2e5:peersld2:ip1:/4:porti1eeee";
    assert!(
        note(Kind::Answer, answer, "interval", 0)
            .contains("breaks a rule: interval must be a number of seconds")
    );
    assert!(
        note(Kind::Answer, answer, "complete", 1)
            .ends_with("appears more than once: the first one counts")
    );
    assert!(
        note(Kind::Answer, answer, "peers", 0)
            .contains("peers has 1 of 1 entries without a usable ip and port")
    );
}

#[test]
fn udp_packets_with_a_bad_event_and_half_a_peer() {
    let mut announce = super::samples::udp_announce();
    announce[83] = 9;
    breaks(
        Kind::Udp,
        &announce,
        "  0050  00 00 00 09                                       event           9
        ^^^^^^^^^^^ byte 80: expected the event to be 0 (none), 1 (completed), 2 (started) or 3 (stopped), found 9",
    );
    breaks(
        Kind::Udp,
        b"\0\0\0\x01\xde\xad\xbe\xef\0\0\x07\x08\0\0\0\x01\0\0\0\x02\x7f\0\0",
        "  0014  7f 00 00                                          peer 0          3 of 6 bytes
        ^^^^^^^^ byte 20: expected the answer's list to be 6 bytes for each peer, found 3 bytes",
    );
}

#[test]
fn a_ut_metadata_message_without_a_piece() {
    breaks(
        Kind::Metadata,
        b"d8:msg_typei0ee",
        "  0000  64                                                          {  a dictionary
        ^^ byte 0: expected a number at piece, found none",
    );
}

#[test]
fn a_scrape_that_is_answered_with_something_else() {
    breaks(
        Kind::Answer,
        b"d5:filesi5ee",
        "  0001  35 3a 66 69 6c 65 73 69 35 65                     files  5
        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ byte 1: expected files to be a dictionary, found an integer",
    );
    breaks(
        Kind::Answer,
        &[&b"d5:filesd20:"[..], &[0xd6; 20], b"li3eeee"].concat(),
        "  0009  32 30 3a d6 d6 d6 d6 d6 d6 d6 d6 d6 d6 d6 d6 …    files.d6d6..d6d6     [  a list
        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ byte 9: expected a dictionary of counts, found [",
    );
    let cut = [&b"d5:filesd20:"[..], &[0xd6; 20], b"d8:comp"].concat();
    let (_, object) = described(Kind::Answer, &cut).remove(0);
    assert_eq!((object.name.as_str(), object.summary.as_str()), ("scrape answer", ""));
    assert!(object.broken.is_some(), "{object:?}");
}

/// In a message, since it has no kind of its own.
#[test]
fn a_ut_pex_message_with_half_an_address_or_too_few_flags() {
    let message = |payload: &[u8]| wire::extended(1, payload);
    breaks(
        Kind::Messages,
        &message(b"d5:added7:\x7f\0\0\x02\x1a\xe1\x7fe"),
        "  0007  35 3a 61 64 64 65 64 37 3a                        added          7 bytes: 1 of 6  peers that the sender has met, IPv4
        ^^^^^^^^^^^^^^^^^^^^^^^^^^ byte 7: expected added to be a multiple of 6 bytes, found 7 bytes",
    );
    breaks(
        Kind::Messages,
        &message(b"d5:added6:\x7f\0\0\x02\x1a\xe17:added.f2:\x01\x02e"),
        "  0016  37 3a 61 64 64 65 64 2e 66 32 3a                  added.f          2 bytes: 2 of 1  a byte of flags for each
        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ byte 22: expected added.f to be 1 byte, one a peer, found 2 bytes",
    );
    breaks(
        Kind::Messages,
        &message(b"d5:added0:6:added6i1ee"),
        "  0010  36 3a 61 64 64 65 64 36 69 31 65                  added6         1
        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ byte 16: expected added6 to be a byte string, found an integer",
    );
}

/// Beginners' mistakes, and the words about each.
#[test]
fn what_beginners_send_is_known_for_what_it_was_meant_to_be() {
    let good = handshake();
    let lower = [&[19], &b"bittorrent protocol"[..], &good[20..]].concat();
    let hex = [&good[..28], b"6364613439323838aabb", &good[48..]].concat();
    let table: [(Kind, Vec<u8>, &str); 9] = [
        (Kind::Handshake, [&[20], &good[1..]].concat(), "byte 0: expected byte 19"),
        (Kind::Handshake, lower, "byte 1: expected byte 19"),
        (Kind::Handshake, good[1..].to_vec(), "byte 0: expected byte 19"),
        (
            Kind::Handshake,
            [&good[..20], &[0xad; 40]].concat(),
            "perhaps the 8 reserved bytes are missing",
        ),
        (Kind::Handshake, hex, "hex? the 20 bytes themselves are wanted"),
        (Kind::Udp, b"\x80\x19\x10\x27\x17\x04\0\0\0\0\0\0\0\0\0\x07".to_vec(), "high byte first"),
        (
            Kind::Messages,
            wire::message(wire::REQUEST, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0]),
            "more than 16384",
        ),
        (
            Kind::Messages,
            wire::message(wire::EXTENDED, b"d1:md11:ut_metadatai1eee"),
            "the extension id is missing",
        ),
        (Kind::Messages, b"\0\0\0\x05\x02".to_vec(), "does not count its own 4 bytes"),
    ];
    for (kind, bytes, expected) in table {
        assert_eq!(Kind::of(&bytes), Some(kind), "{expected}");
        let shown: String = described(kind, &bytes)
            .iter()
            .map(|(at, object)| lines(object, &bytes[*at..]))
            .collect();
        assert!(shown.contains(expected), "{expected}:\n{shown}");
    }
    let shown = described(Kind::Messages, b"\x01\0\0\0\x02")
        .iter()
        .map(|(_, object)| lines(object, b"\x01\0\0\0\x02"))
        .collect::<String>();
    assert!(shown.contains("(1 if it was sent low byte first)"), "{shown}");
}

#[test]
fn a_dht_query_without_what_it_needs() {
    breaks(
        Kind::Krpc,
        b"d1:ad2:id3:abce1:q4:ping1:t2:aa1:y1:qe",
        "  0005  32 3a 69 64 33 3a 61 62 63                        a.id  616263  the node that asks
        ^^^^^^^^^^^^^^^^^^^^^^^^^^ byte 5: expected id to be 20 bytes, found 3 bytes",
    );
    breaks(
        Kind::Krpc,
        b"d1:t2:aa1:y1:xe",
        "  0008  31 3a 79 31 3a 78                                 y  \"x\"
        ^^^^^^^^^^^^^^^^^ byte 8: expected y to be q, r or e, found \"x\"",
    );
}

#[test]
fn a_dht_query_that_lacks_an_argument() {
    breaks(
        Kind::Krpc,
        b"d1:ad2:id20:abcdefghij0123456789e1:q9:get_peers1:t2:aa1:y1:qe",
        "  003c  65                                                      }
           ^^ byte 61: expected info_hash to be 20 bytes, found no such key",
    );
}

#[test]
fn hashes_that_are_too_few_are_counted_as_hashes() {
    let head = super::samples::hashes([2, 6, 2, 1]);
    for (bytes, found) in [(32, "1"), (0, "0"), (96 + 32, "4"), (40, "40 bytes")] {
        let message = wire::message(22, &[&head[..], &vec![1; bytes]].concat());
        let (_, object) = described(Kind::Messages, &message).remove(0);
        let broken = object.broken.expect("its size is wrong");
        assert_eq!((&broken.expected[..], &broken.found[..]), ("3 hashes of 32 bytes", found));
    }
}

/// Its piece layers are found by roots, each of which is longer than an info hash.
#[test]
fn a_torrent_of_version_2_says_so_and_a_root_is_not_taken_for_an_info_hash() {
    use sha2::{Digest, Sha256};
    let layer = [[0xf0; 32], [0xf1; 32]].concat();
    let root = Sha256::digest(&layer);
    let bytes = [
        b"d4:infod9:file treed1:ad0:d6:lengthi20000e11:pieces root32:",
        &root[..],
        b"eee12:meta versioni2e4:name1:a12:piece lengthi16384ee12:piece layersd32:",
        &root,
        b"64:",
        &layer,
        b"ee",
    ]
    .concat();
    let (_, object) = described(Kind::Torrent, &bytes).remove(0);
    assert!(object.broken.is_none(), "{:?}", object.broken);
    assert_eq!((object.stage, object.spec), (23, "BEP 52"));
    let shown = lines(&object, &bytes);
    let key = format!("$hex:{}…", hex::encode(&root[..20]));
    assert!(shown.contains(&key), "no {key} in\n{shown}");
    let (_, object) = described(Kind::Torrent, super::samples::TORRENT).remove(0);
    assert_eq!((object.stage, object.spec), (2, "BEP 3"));
}
