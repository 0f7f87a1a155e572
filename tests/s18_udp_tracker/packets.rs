//! The codec: every packet of the tables, both ways, and packets that are not valid.

use crate::support::{assert_read, assert_wire};
use std::net::SocketAddr;
use std::time::Duration;

use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s03_tracker::{AnnounceRequest, Event, PeerId};
use piecemeal::s18_udp_tracker::packet::{
    Answer, Family, MAX_SCRAPED, Request, RequestBody, ResponseBody, ScrapeCounts,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const HASH: &[u8; 20] =
    b"\xd6\x9f\x91\xe6\xb2\xae\x4c\x54\x24\x68\xd1\x07\x3a\x71\xd4\xea\x13\x87\x9a\x7f";
const CONNECT: &[u8; 16] = b"\0\0\x04\x17\x27\x10\x19\x80\0\0\0\0\xde\xad\xbe\xef";

/// An announce with something else in each field.
fn full_announce() -> Vec<u8> {
    [
        &b"\x11\x22\x33\x44\x55\x66\x77\x88"[..], // 0: connection id
        b"\0\0\0\x01",                            // 8: action
        b"\xde\xad\xbe\xef",                      // 12: transaction id
        HASH,                                     // 16
        b"-PM0001-abcdefghijkl",                  // 36
        b"\0\0\0\0\0\0\0\x05",                    // 56: downloaded
        b"\0\0\0\x01\0\0\0\x06",                  // 64: left
        b"\0\0\0\0\0\0\x01\x07",                  // 72: uploaded
        b"\0\0\0\x02",                            // 80: event
        b"\0\0\0\0",                              // 84: address
        b"\0\0\xab\xcd",                          // 88: key
        b"\0\0\0\x32",                            // 92: how many
        b"\x1a\xe1",                              // 96: port
    ]
    .concat()
}

fn plain() -> AnnounceRequest {
    AnnounceRequest::new(InfoHash(*HASH), PeerId(*b"-PM0001-abcdefghijkl"), (1 << 32) + 6)
}

fn full() -> AnnounceRequest {
    let (event, numwant, key) = (Some(Event::Started), Some(50), Some(0xabcd));
    AnnounceRequest { uploaded: 0x107, downloaded: 5, event, numwant, key, ..plain() }
}

fn encode(ask: RequestBody) -> Vec<u8> {
    Request { connection_id: 0x1122_3344_5566_7788, transaction_id: 0xdead_beef, ask }.encode()
}

fn announce(announce: AnnounceRequest, path: &str) -> Vec<u8> {
    encode(RequestBody::Announce { announce, url_data: path.as_bytes().to_vec() })
}

#[test]
fn a_connect_request_is_sixteen_bytes() {
    let request = Request {
        connection_id: 0x417_2710_1980,
        transaction_id: 0xdead_beef,
        ask: RequestBody::Connect,
    };
    assert_wire(&request.encode(), CONNECT, "BEP 15, packets");
    let read = Request::decode(CONNECT).expect("it is a connect");
    assert_eq!(
        (read.transaction_id, matches!(read.ask, RequestBody::Connect)),
        (0xdead_beef, true)
    );
}

#[test]
fn an_announce_is_ninety_eight_bytes() {
    assert_wire(&announce(full(), ""), &full_announce(), "BEP 15, packets");
    assert_eq!(full_announce().len(), 98);
}

#[test]
fn what_an_announce_does_not_say_is_zero_and_minus_one() {
    let mut expected = full_announce();
    expected[56..64].fill(0);
    expected[72..80].fill(0);
    expected[80..84].fill(0); // no event
    expected[88..92].fill(0); // no key
    expected[92..96].fill(0xff); // as many as you like
    assert_wire(&announce(plain(), ""), &expected, "BEP 15, packets");
    let huge = announce(AnnounceRequest { numwant: Some(u32::MAX), ..plain() }, "");
    assert_eq!(huge[92..96], [0x7f, 0xff, 0xff, 0xff], "a number that would be negative");
}

#[test]
fn events_have_numbers_of_their_own() {
    for (event, number) in [
        (None, 0),
        (Some(Event::Completed), 1),
        (Some(Event::Started), 2),
        (Some(Event::Stopped), 3),
    ] {
        let mut packet = announce(AnnounceRequest { event, ..plain() }, "");
        assert_eq!(packet[80..84], [0, 0, 0, number]);
        packet[83] = number;
        let RequestBody::Announce { announce, .. } =
            Request::decode(&packet).expect("an announce").ask
        else {
            panic!("an announce")
        };
        assert_eq!(announce.event, event);
    }
}

#[test]
fn the_path_follows_as_an_option_in_parts_of_255_bytes() {
    let packet = announce(full(), "/announce?key=1");
    assert_eq!(packet[98..], *b"\x02\x0f/announce?key=1");
    let long = format!("/{}", "x".repeat(299));
    let packet = announce(full(), &long);
    assert_eq!(packet[98..], [&b"\x02\xff/"[..], &[b'x'; 254], b"\x02\x2d", &[b'x'; 45]].concat());
    for path in ["", "/announce?key=1", &long] {
        let read = Request::decode(&announce(full(), path)).expect("an announce").ask;
        assert!(
            matches!(read, RequestBody::Announce { url_data, .. } if url_data == path.as_bytes()),
            "{path}"
        );
    }
}

#[test]
fn an_announce_is_read_field_by_field() {
    let mut packet = full_announce();
    packet[84..88].copy_from_slice(&[192, 0, 2, 1]); // somebody's address: not to be believed
    // Nothing, an unknown option, the path in two parts, the end, and bytes after it.
    packet.extend(b"\x01\x7f\x03abc\x02\x02/a\x01\x02\x01b\x00\x02\x05/evil");
    let read = Request::decode(&packet).expect("an announce");
    assert_eq!((read.connection_id, read.transaction_id), (0x1122_3344_5566_7788, 0xdead_beef));
    let RequestBody::Announce { announce, url_data } = read.ask else { panic!("an announce") };
    assert_eq!(url_data, b"/ab");
    assert_eq!((announce.info_hash.0, announce.peer_id.0), (*HASH, *b"-PM0001-abcdefghijkl"));
    assert_eq!((announce.downloaded, announce.left, announce.uploaded), (5, (1 << 32) + 6, 0x107));
    assert_eq!((announce.event, announce.key), (Some(Event::Started), Some(0xabcd)));
    assert_eq!((announce.numwant, announce.port), (Some(50), 6881));
}

#[test]
fn a_scrape_request_names_up_to_74_torrents() {
    let two = [&b"\x11\x22\x33\x44\x55\x66\x77\x88\0\0\0\x02\xde\xad\xbe\xef"[..], HASH, &[7; 20]]
        .concat();
    let scrape = encode(RequestBody::Scrape(vec![InfoHash(*HASH), InfoHash([7; 20])]));
    assert_wire(&scrape, &two, "BEP 15, packets");
    let read = Request::decode(&two).expect("a scrape").ask;
    assert!(
        matches!(read, RequestBody::Scrape(torrents) if torrents == [InfoHash(*HASH), InfoHash([7; 20])])
    );
    assert_eq!(MAX_SCRAPED, 74);
    Request::decode(&encode(RequestBody::Scrape(vec![InfoHash([7; 20]); 74])))
        .expect("74 are allowed");
    Request::decode(&encode(RequestBody::Scrape(vec![InfoHash([7; 20]); 75])))
        .expect_err("75 are not");
}

#[test]
fn what_is_no_request_is_refused_and_the_error_says_why() {
    let announce = full_announce();
    let with = |at: usize, bytes: &[u8], packet: &[u8]| {
        let mut packet = packet.to_vec();
        packet[at..at + bytes.len()].copy_from_slice(bytes);
        packet
    };
    let scrape = with(8, b"\0\0\0\x02", &announce);
    let table: Vec<(Vec<u8>, &str)> = vec![
        (Vec::new(), "a request has at least 16 bytes, but this one has 0"),
        (CONNECT[..15].to_vec(), "a request has at least 16 bytes, but this one has 15"),
        (
            with(0, b"\x80\x19\x10\x27\x17\x04\0\0", CONNECT),
            "the protocol id must be 41727101980 (hex), high byte first",
        ),
        (with(0, &[0; 8], CONNECT), "but is 0"),
        (
            with(8, b"\0\0\0\x03", CONNECT),
            "the action must be 0 (connect), 1 (announce) or 2 (scrape), but is 3",
        ),
        (with(8, b"\x01\0\0\0", CONNECT), "but is 16777216"),
        (announce[..97].to_vec(), "an announce has at least 98 bytes, but this one has 97"),
        (
            with(80, b"\0\0\0\x04", &announce),
            "the event must be 0 (none), 1 (completed), 2 (started) or 3 (stopped), but is 4",
        ),
        ([&announce[..], b"\x02"].concat(), "an option must be a length and this many bytes"),
        (
            [&announce[..], b"\x02\x05/abc"].concat(),
            "an option must be a length and this many bytes",
        ),
        ([&announce[..], b"\x09\x01"].concat(), "an option must be a length and this many bytes"),
        (scrape[..16].to_vec(), "a scrape must be 1 to 74 times 20 bytes, but is 0 bytes"),
        (scrape[..35].to_vec(), "but is 19 bytes"),
        (scrape[..37].to_vec(), "but is 21 bytes"),
    ];
    for (packet, expected) in table {
        let error = Request::decode(&packet).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error:?} does not say {expected:?}");
    }
    (0..98).for_each(|length| {
        drop(Request::decode(&announce[..length]).expect_err("a part is not the whole"))
    });
}

fn peers(addresses: &[&str]) -> Vec<SocketAddr> {
    addresses.iter().map(|address| address.parse().expect("an address")).collect()
}

/// Each kind of answer: bytes, family, meaning.
fn answers() -> Vec<(Vec<u8>, Family, ResponseBody)> {
    let head = |action: u8| vec![0, 0, 0, action, 0xde, 0xad, 0xbe, 0xef];
    let with = |action, rest: &[u8]| [&head(action)[..], rest].concat();
    let counts = b"\0\0\x07\x08\0\0\0\x02\0\x01\0\x03";
    let announced = |addresses: &[&str]| ResponseBody::Announced {
        interval: Duration::from_secs(1800),
        leechers: 2,
        seeders: 65_539,
        peers: peers(addresses),
    };
    let four = [&counts[..], b"\x7f\0\0\x02\x1a\xe1\n\n\n\n\n\n"].concat();
    let six = [&counts[..], b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x1a\xe1"].concat();
    vec![
        (
            with(0, b"\x11\x22\x33\x44\x55\x66\x77\x88"),
            Family::V4,
            ResponseBody::Connected { connection_id: 0x1122_3344_5566_7788 },
        ),
        (with(1, counts), Family::V4, announced(&[])),
        (with(1, &four), Family::V4, announced(&["127.0.0.2:6881", "10.10.10.10:2570"])),
        (with(1, &six), Family::V6, announced(&["[2001:db8::1]:6881"])),
        (with(2, b""), Family::V4, ResponseBody::Scraped(Vec::new())),
        (
            with(2, b"\0\0\0\x05\0\0\0\x07\0\0\0\x01\xff\xff\xff\xff\0\0\0\0\0\0\0\0"),
            Family::V6,
            ResponseBody::Scraped(vec![
                ScrapeCounts { seeders: 5, downloads: 7, leechers: 1 },
                ScrapeCounts { seeders: u64::from(u32::MAX), downloads: 0, leechers: 0 },
            ]),
        ),
        (with(3, b"go away"), Family::V4, ResponseBody::Failed(b"go away".to_vec())),
        (with(3, b""), Family::V6, ResponseBody::Failed(Vec::new())),
    ]
}

#[test]
fn answers_are_written_and_read_after_the_tables() {
    for (packet, family, said) in answers() {
        let answer = Answer { transaction_id: 0xdead_beef, said };
        assert_wire(&answer.encode(family), &packet, "BEP 15, packets");
        assert_read(&packet, Answer::decode(&packet, family), Ok(answer), "BEP 15, packets");
    }
}

#[test]
fn peers_of_the_other_family_are_not_written_and_port_0_is_not_read() {
    let both = peers(&["192.0.2.1:1", "[2001:db8::1]:2", "192.0.2.2:0"]);
    let said =
        ResponseBody::Announced { interval: Duration::MAX, leechers: 0, seeders: 0, peers: both };
    let answer = Answer { transaction_id: 1, said };
    let four = answer.encode(Family::V4);
    assert_eq!(
        four[8..],
        *b"\xff\xff\xff\xff\0\0\0\0\0\0\0\0\xc0\0\x02\x01\0\x01\xc0\0\x02\x02\0\0"
    );
    assert_eq!(answer.encode(Family::V6).len(), 20 + 18);
    let Ok(Answer { said: ResponseBody::Announced { peers: read, .. }, .. }) =
        Answer::decode(&four, Family::V4)
    else {
        panic!("read")
    };
    assert_eq!(read, peers(&["192.0.2.1:1"]));
}

#[test]
fn what_is_no_answer_is_refused_and_the_error_says_why() {
    let table: [(&[u8], Family, &str); 9] = [
        (b"", Family::V4, "an answer has at least 8 bytes, but this one has 0"),
        (b"\0\0\0\0\0\0\0", Family::V4, "an answer has at least 8 bytes, but this one has 7"),
        (
            b"\0\0\0\0\0\0\0\0\0",
            Family::V4,
            "the answer to a connect has at least 16 bytes, but this one has 9",
        ),
        (
            b"\0\0\0\x01\0\0\0\0\0\0",
            Family::V4,
            "the answer to an announce has at least 20 bytes, but this one has 10",
        ),
        (
            &[&b"\0\0\0\x01"[..], &[0; 21]].concat(),
            Family::V4,
            "must be 6 bytes for each peer, but is 5 bytes",
        ),
        (
            &[&b"\0\0\0\x01"[..], &[0; 22]].concat(),
            Family::V6,
            "must be 18 bytes for each peer, but is 6 bytes",
        ),
        (
            b"\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0",
            Family::V4,
            "must be 12 bytes for each torrent, but is 7 bytes",
        ),
        (
            b"\0\0\0\x04\0\0\0\0",
            Family::V4,
            "the action must be 0 (connect), 1 (announce), 2 (scrape) or 3 (error), but is 4",
        ),
        (b"\x01\0\0\0\0\0\0\0", Family::V4, "but is 16777216"),
    ];
    for (packet, family, expected) in table {
        let error = Answer::decode(packet, family).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error:?} does not say {expected:?}");
    }
    // A shorter packet is an error, or another valid answer: never the same one.
    for (packet, family, said) in answers() {
        for length in 0..packet.len() {
            assert_ne!(
                Answer::decode(&packet[..length], family).ok().map(|answer| answer.said),
                Some(said.clone())
            );
        }
    }
}

#[test]
fn mutilated_packets_are_refused_or_read_but_never_panic() {
    let mut seeds: Vec<Vec<u8>> = answers().into_iter().map(|(packet, ..)| packet).collect();
    seeds.extend([CONNECT.to_vec(), [&full_announce()[..], b"\x02\x03/ab\x01\x7f\x01x"].concat()]);
    let mut random = StdRng::seed_from_u64(13);
    for round in 0..20_000 {
        let mut packet = seeds[round % seeds.len()].clone();
        for _ in 0..random.random_range(1..6) {
            let at = random.random_range(0..packet.len());
            packet[at] = random.random();
        }
        packet.truncate(random.random_range(0..=packet.len()));
        let _ = (
            Request::decode(&packet),
            Answer::decode(&packet, Family::V4),
            Answer::decode(&packet, Family::V6),
        );
    }
}
