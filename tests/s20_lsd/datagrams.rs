//! A BT-SEARCH, byte by byte.

use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s20_lsd::search::{BtSearch, MAX_INFO_HASHES, MAX_LENGTH};
use piecemeal::s20_lsd::{GROUP_V4, GROUP_V6};

use crate::support::assert_wire;

/// As libtorrent 2 sends it: 136 bytes, lower case, a cookie of eight hex digits.
const LIBTORRENT: &[u8] = b"BT-SEARCH * HTTP/1.1\r\n\
Host: 239.192.152.143:6771\r\n\
Port: 6881\r\n\
Infohash: cda492889448d540ee036365137eedd24308d22c\r\n\
cookie: 1f0c93ab\r\n\
\r\n\r\n";

/// As Transmission sends it: upper case, no cookie.
const TRANSMISSION: &[u8] = b"BT-SEARCH * HTTP/1.1\r\n\
Host: 239.192.152.143:6771\r\n\
Port: 51413\r\n\
Infohash: CDA492889448D540EE036365137EEDD24308D22C\r\n\
\r\n\r\n";

/// As aria2 sends it: lower case, no cookie.
const ARIA2: &[u8] = b"BT-SEARCH * HTTP/1.1\r\n\
Host: 239.192.152.143:6771\r\n\
Port: 6882\r\n\
Infohash: cda492889448d540ee036365137eedd24308d22c\r\n\
\r\n\r\n";

pub const HASH: InfoHash =
    InfoHash(*b"\xcd\xa4\x92\x88\x94\x48\xd5\x40\xee\x03\x63\x65\x13\x7e\xed\xd2\x43\x08\xd2\x2c");

fn search(port: u16, cookie: Option<&str>) -> BtSearch {
    let cookie = cookie.map(|cookie| cookie.as_bytes().to_vec());
    BtSearch { port, info_hashes: vec![HASH], cookie }
}

/// A datagram with these lines below the first.
fn with(lines: &str) -> Vec<u8> {
    format!("BT-SEARCH * HTTP/1.1\r\n{lines}").into_bytes()
}

const HASH_LINE: &str = "Infohash: cda492889448d540ee036365137eedd24308d22c\r\n";

#[test]
fn the_datagrams_of_other_clients_are_read() {
    assert_eq!(LIBTORRENT.len(), 136);
    assert_eq!(BtSearch::parse(LIBTORRENT), Ok(search(6881, Some("1f0c93ab"))));
    assert_eq!(BtSearch::parse(TRANSMISSION), Ok(search(51413, None)));
    assert_eq!(BtSearch::parse(ARIA2), Ok(search(6882, None)));
}

#[test]
fn ours_is_written_byte_by_byte_as_libtorrent_writes_it() {
    let ours = search(6881, Some("1f0c93ab"));
    assert_wire(&ours.encode(GROUP_V4), LIBTORRENT, "BEP 14, BT-SEARCH");
    assert_wire(&search(6882, None).encode(GROUP_V4), ARIA2, "BEP 14, BT-SEARCH");
    let over_ipv6 = String::from_utf8(LIBTORRENT.to_vec()).expect("a datagram is text");
    let over_ipv6 = over_ipv6.replace("239.192.152.143", "[ff15::efc0:988f]");
    assert_wire(&ours.encode(GROUP_V6), over_ipv6.as_bytes(), "BEP 14, BT-SEARCH");
}

#[test]
fn several_torrents_fit_into_one_datagram_but_not_any_number() {
    let info_hashes: Vec<InfoHash> = (0..40).map(|number| InfoHash([number; 20])).collect();
    let most = BtSearch { port: 65535, info_hashes, cookie: Some(b"12345678".to_vec()) };
    for group in [GROUP_V4, GROUP_V6] {
        let datagram = most.encode(group);
        assert!(datagram.len() <= MAX_LENGTH, "{} bytes", datagram.len());
        let read = BtSearch::parse(&datagram).expect("what we write can be read");
        assert_eq!(read.info_hashes, most.info_hashes[..MAX_INFO_HASHES]);
    }
}

#[test]
fn what_clients_do_differently_is_taken() {
    let cases = [
        ("one empty line", with(&format!("Port: 6881\r\n{HASH_LINE}\r\n"))),
        ("no carriage returns", b"BT-SEARCH * HTTP/1.1\nPort: 6881\nInfohash: cda492889448d540ee036365137eedd24308d22c\n\n".to_vec()),
        ("no host, other headers", with(&format!("Port: 6881\r\nX-New: 1\r\n{HASH_LINE}\r\n\r\n"))),
        ("a line that is no header", with(&format!("Port: 6881\r\nodd\r\n{HASH_LINE}\r\n\r\n"))),
        ("names in other cases", with(&format!("PORT: 6881\r\n{}\r\n\r\n", HASH_LINE.to_uppercase()))),
        ("no blanks", with(&format!("Port:6881\r\n{}\r\n\r\n", HASH_LINE.replace(' ', "")))),
        ("many blanks", with(&format!("Port :   6881  \r\n{HASH_LINE}\r\n\r\n"))),
        ("another version", b"BT-SEARCH * HTTP/1.0\r\nPort: 6881\r\nInfohash: cda492889448d540ee036365137eedd24308d22c\r\n\r\n".to_vec()),
        ("a second port", with(&format!("Port: 6881\r\nPort: 22\r\n{HASH_LINE}\r\n\r\n"))),
        ("an info hash that is none", with(&format!("Port: 6881\r\nInfohash: zz\r\n{HASH_LINE}\r\n"))),
        ("bytes that are no text", [&with("X: ")[..], b"\xff\xfe\r\nPort: 6881\r\n", HASH_LINE.as_bytes(), b"\r\n"].concat()),
        ("something behind the end", with(&format!("Port: 6881\r\n{HASH_LINE}\r\nPort: 22\r\n"))),
    ];
    for (what, datagram) in cases {
        assert_eq!(BtSearch::parse(&datagram), Ok(search(6881, None)), "{what}");
    }
}

#[test]
fn what_is_no_bt_search_is_refused_and_the_error_says_why() {
    let thousand = with(&format!("Port: 6881\r\n{}\r\n\r\n", HASH_LINE.repeat(1_000)));
    let table = [
        (Vec::new(), "the first line must begin with BT-SEARCH, but is \"\""),
        (b"M-SEARCH * HTTP/1.1\r\n\r\n".to_vec(), "but is \"M-SEARCH * HTTP/1.1\""),
        (b"BT-SEARCHED\r\n\r\n".to_vec(), "but is \"BT-SEARCHED\""),
        (b"d1:ad2:id20:".to_vec(), "the first line must begin with BT-SEARCH"),
        (b"\x1b[2J\r\n\r\n".to_vec(), "but is \"\\u{1b}[2J\""),
        (thousand, "at most 1400 bytes were expected, but there are 52038"),
        (with(&format!("Port: 6881\r\n{HASH_LINE}")), "an empty line must end it"),
        (with(&format!("Port: 6881\r\n{HASH_LINE}\r")), "an empty line must end it"),
        (b"BT-SEARCH * HTTP/1.1".to_vec(), "an empty line must end it"),
        (
            with(&format!("{HASH_LINE}\r\n\r\n")),
            "Port must be a number from 1 to 65535, but is missing",
        ),
        (with(&format!("Port: 0\r\n{HASH_LINE}\r\n")), "but is 0"),
        (with(&format!("Port: 65536\r\n{HASH_LINE}\r\n")), "but is 65536"),
        (with(&format!("Port: +6881\r\n{HASH_LINE}\r\n")), "but is +6881"),
        (with(&format!("Port: -1\r\n{HASH_LINE}\r\n")), "but is -1"),
        (with(&format!("Port:\r\n{HASH_LINE}\r\n")), "Port must be a number"),
        (with("Port: 6881\r\n\r\n"), "Infohash must be 40 hex digits, but is missing"),
        (with("Port: 6881\r\nInfohash: cda4\r\n\r\n"), "but is cda4"),
        (
            with(&format!("Port: 6881\r\n{}\r\n", HASH_LINE.replace("2c\r", "2cff\r"))),
            "Infohash must be 40",
        ),
        (
            with(&format!("Port: 6881\r\n{}\r\n", HASH_LINE.replace("2c\r", "2z\r"))),
            "Infohash must be 40",
        ),
    ];
    for (datagram, why) in table {
        let error = BtSearch::parse(&datagram).expect_err(why).to_string();
        assert!(error.contains(why), "{error:?} does not say {why:?}");
    }
    // Cut anywhere but in its very last line, it is refused.
    for length in 0..LIBTORRENT.len() - 2 {
        assert!(BtSearch::parse(&LIBTORRENT[..length]).is_err(), "{length} bytes");
    }
    assert!(BtSearch::parse(&LIBTORRENT[..LIBTORRENT.len() - 2]).is_ok());
}
