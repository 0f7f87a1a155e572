//! The messages, as bytes. The literals are written by hand from BEP 11.

use super::super::support::{assert_number, assert_read, assert_value, assert_wire};
use piecemeal::s19_pex::message::{MAX_READ, PexFlags, PexMessage};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::net::SocketAddr;

const CLAUSE: &str = "BEP 11, peer exchange";

/// Two peers met, one of them at an IPv6 address, and two lost.
const BOTH: &[u8] = b"d5:added6:\xc0\x00\x02\x07\x1a\xe17:added.f1:\x126:added618:\
    \x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x1a\xe28:added6.f1:\x017:dropped6:\
    \xc0\x00\x02\x08\x00\x508:dropped618:\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\xff\xffe";

fn at(text: &str) -> SocketAddr {
    text.parse().expect("it is an address")
}

fn decode(payload: &[u8]) -> PexMessage {
    PexMessage::decode(payload)
        .unwrap_or_else(|error| panic!("{:?}: {error}", String::from_utf8_lossy(payload)))
}

#[test]
fn a_message_has_lists_of_addresses_with_a_byte_of_flags_for_each_added_one() {
    let message = decode(BOTH);
    let added = [(at("192.0.2.7:6881"), PexFlags(0x12)), (at("[2001:db8::1]:6882"), PexFlags(1))];
    assert_read(BOTH, &message.added[..], added, CLAUSE);
    assert_read(
        BOTH,
        &message.dropped[..],
        [at("192.0.2.8:80"), at("[2001:db8::2]:65535")],
        CLAUSE,
    );
    assert_read(BOTH, &message.passed_over[..], [""; 0], CLAUSE);
    assert_wire(&message.encode(), BOTH, CLAUSE);
}

#[test]
fn what_real_clients_send_is_read() {
    // libtorrent has all keys, most of them empty; aria2 has none when nothing has changed.
    let libtorrent = b"d5:added6:\x7f\x00\x00\x02\x1a\xe17:added.f1:\x106:added60:8:added6.f0:\
        7:dropped0:8:dropped60:e";
    let added = vec![(at("127.0.0.2:6881"), PexFlags::REACHABLE)];
    let expected = PexMessage { added, ..PexMessage::default() };
    assert_read(libtorrent, decode(libtorrent), expected, CLAUSE);
    assert_read(b"de", decode(b"de"), PexMessage::default(), CLAUSE);
    assert_wire(&PexMessage::default().encode(), b"de", CLAUSE);
}

#[test]
fn lost_ipv4_peers_take_six_bytes_each_and_not_eighteen() {
    // BEP 11 says of `dropped`, which is IPv4, that it has IPv6 addresses.
    let two = b"d7:dropped12:\xc0\x00\x02\x07\x1a\xe1\xc0\x00\x02\x08\x1a\xe1e";
    let dropped = vec![at("192.0.2.7:6881"), at("192.0.2.8:6881")];
    let expected = PexMessage { dropped, ..PexMessage::default() };
    assert_read(two, &decode(two), &expected, CLAUSE);
    assert_wire(&expected.encode(), two, CLAUSE);
}

#[test]
fn flags_have_names() {
    let named = |flags, names: &[&str]| {
        assert_value(&format!("flags {flags:08b}"), PexFlags(flags).names(), names, CLAUSE);
    };
    named(0, &[]);
    named(0xff, &["encryption", "seed", "utp", "holepunch", "reachable"]);
    named(0x12, &["seed", "reachable"]);
    let both = PexFlags::default().with(PexFlags::SEED, true).with(PexFlags::REACHABLE, true);
    assert_eq!(both, PexFlags(0x12));
    assert_eq!(both.with(PexFlags(4), false), both);
}

#[test]
fn what_is_broken_is_passed_over_with_a_note_and_the_rest_is_read() {
    type Row = (&'static [u8], &'static [&'static str], &'static str);
    let rows: &[Row] = &[
        (
            b"d5:added7:\xc0\x00\x02\x07\x1a\xe1\x017:added.f1:\x10e",
            &["192.0.2.7:6881"],
            "added must be a multiple of 6 bytes, but is 7 bytes",
        ),
        (b"d5:added5:\xc0\x00\x02\x07\x1ae", &[], "added must be a multiple of 6 bytes"),
        (b"d6:added617:0123456789abcdefge", &[], "added6 must be a multiple of 18 bytes"),
        (b"d7:dropped4:\xc0\x00\x02\x07e", &[], "dropped must be a multiple of 6 bytes"),
        (b"d5:addedi7ee", &[], "added must be a byte string"),
        (
            b"d5:addedl1:ae6:added618:\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x1a\xe2e",
            &["[2001:db8::1]:6882"],
            "added must be a byte string",
        ),
        (
            b"d5:added6:\xc0\x00\x02\x07\x1a\xe17:added.fi7ee",
            &["192.0.2.7:6881"],
            "added.f must be a byte string",
        ),
        (
            b"d5:added6:\xc0\x00\x02\x07\x1a\xe15:added0:e",
            &["192.0.2.7:6881"],
            "added appears more than once",
        ),
        (b"le", &[], "must be a dictionary"),
        (b"i7e", &[], "must be a dictionary"),
    ];
    for (payload, addresses, note) in rows {
        let message = decode(payload);
        let found: Vec<String> = message.added.iter().map(|(a, _)| a.to_string()).collect();
        assert_read(payload, &found[..], *addresses, CLAUSE);
        assert!(
            message.passed_over.iter().any(|it| it.contains(note)),
            "{note}: {:?}",
            message.passed_over
        );
    }
    // Flags that are missing, and flags for nobody.
    let two = b"d5:added12:\xc0\x00\x02\x07\x1a\xe1\xc0\x00\x02\x08\x1a\xe17:added.f1:\x02e";
    let flags: Vec<u8> = decode(two).added.iter().map(|(_, flags)| flags.0).collect();
    assert_read(two, flags, [2, 0], CLAUSE);
    assert!(decode(b"d7:added.f3:\x01\x02\x03e").added.is_empty());
    // Keys of somebody's own.
    let keys = b"d1:ai7e5:added0:1:zlee";
    assert_read(keys, decode(keys), PexMessage::default(), CLAUSE);
}

#[test]
fn a_peer_with_port_0_takes_its_flags_with_it() {
    let payload = b"d5:added12:\xc0\x00\x02\x07\0\0\xc0\x00\x02\x08\x1a\xe17:added.f2:\x02\x107:dropped6:\xc0\x00\x02\x07\0\0e";
    let message = decode(payload);
    let added = vec![(at("192.0.2.8:6881"), PexFlags(0x10))];
    assert_read(payload, message, PexMessage { added, ..PexMessage::default() }, CLAUSE);
}

#[test]
fn of_a_flood_the_first_two_hundred_are_read() {
    let many = 5_000;
    let list: Vec<u8> = (0..many)
        .flat_map(|n: u16| [&[198, 18], &n.to_be_bytes()[..], &[0x1a, 0xe1]].concat())
        .collect();
    for key in ["added", "dropped"] {
        let payload =
            [format!("d{}:{key}{}:", key.len(), list.len()).as_bytes(), &list, b"e"].concat();
        let message = decode(&payload);
        let read = message.added.len() + message.dropped.len();
        assert_number(&format!("{key} of 5,000 peers: read"), read, 200, CLAUSE, &[]);
        assert_eq!(MAX_READ, 200);
        assert!(
            message.passed_over[0].contains("names 5000 peers; only the first 200"),
            "{:?}",
            message.passed_over
        );
    }
}

#[test]
fn what_is_not_bencode_is_refused() {
    for end in 0..BOTH.len() {
        assert!(PexMessage::decode(&BOTH[..end]).is_err(), "cut after {end} bytes");
    }
    for garbage in [&b"x"[..], b"d5:added", b"d1:a1:b", &b"l".repeat(200), &b"d1:a".repeat(200)] {
        assert!(PexMessage::decode(garbage).is_err(), "{:?}", String::from_utf8_lossy(garbage));
    }
}

#[test]
fn mutilated_messages_are_refused_or_read_but_never_panic() {
    let mut random = StdRng::seed_from_u64(11);
    for _ in 0..20_000 {
        let mut payload = BOTH.to_vec();
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..payload.len());
            payload[at] = if random.random() {
                random.random()
            } else {
                b"ilde0123456789:-"[random.random_range(0..16)]
            };
        }
        if let Ok(message) = PexMessage::decode(&payload) {
            assert!(message.added.iter().all(|(address, _)| address.port() != 0));
        }
    }
}
