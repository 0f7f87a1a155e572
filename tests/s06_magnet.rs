//! Stage 6 from outside: magnet links, good and bad.

mod support;

use piecemeal::s03_tracker::peers::PeerAddress;
use piecemeal::s06_magnet::{Magnet, MagnetError};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use support::assert_value;

/// The course's sample torrent, in hex and as `base32` writes it.
const HEX: &str = "d69f91e6b2ae4c542468d1073a71d4ea13879a7f";
const BASE32: &str = "22PZDZVSVZGFIJDI2EDTU4OU5IJYPGT7";

fn parse(link: &str) -> Magnet {
    Magnet::parse(link).unwrap_or_else(|error| panic!("{link}: {error}"))
}

fn refusal(link: &str) -> String {
    Magnet::parse(link).expect_err(link).to_string()
}

fn with(parameters: &str) -> Magnet {
    parse(&format!("magnet:?xt=urn:btih:{HEX}&{parameters}"))
}

fn peer(host: &str, port: u16) -> PeerAddress {
    PeerAddress { host: host.to_owned(), port }
}

#[test]
fn the_info_hash_is_40_hex_digits_or_32_of_base32_in_any_case() {
    for text in [HEX, BASE32, &HEX.to_uppercase(), &BASE32.to_lowercase()] {
        for scheme in [
            "magnet:?xt=urn:btih:",
            "MAGNET:?XT=URN:BTIH:",
            "magnet:?xt=urn%3Abtih%3a",
            "  magnet:?xt.1=urn:btih:",
        ] {
            let magnet = parse(&format!("{scheme}{text}"));
            let found = magnet.need_info_hash().map(|hash| hash.to_string());
            assert_value(
                &format!("the info hash of {scheme}{text}"),
                found.as_deref(),
                Ok(HEX),
                "BEP 9, info hash",
            );
            assert_eq!(magnet.info_hash_v2, None);
        }
    }
    let zeros = parse(&format!("magnet:?xt=urn:btih:{}", "A".repeat(32)));
    assert_eq!(zeros.info_hash.map(|hash| hash.0), Some([0; 20]));
}

#[test]
fn a_link_with_every_parameter_is_read() {
    let magnet = parse(&format!(
        "magnet:?xt=urn:btih:{HEX}&dn=a+b%20c%2B%C3%A9&tr=http%3A%2F%2Ft%2Fannounce%3Fk%3D1%262&tr=udp://u:1/a+b\
         &x.pe=192.0.2.1:6881&x.pe=%5B2001%3Adb8%3A%3A1%5D:1&x.pe=peer.example.org:65535&xl=92063&so=0,2,4-6&ws=http://w/x&zz=1&x.other=%zz"
    ));
    let link = "BEP 9, magnet link";
    assert_value("the name of a+b%20c%2B%C3%A9", magnet.name.as_deref(), Some("a b c+é"), link);
    let trackers = ["http://t/announce?k=1&2", "udp://u:1/a+b"];
    assert_value("the trackers of the two tr", &magnet.trackers[..], &trackers[..], link);
    assert_eq!(
        magnet.peers,
        [peer("192.0.2.1", 6881), peer("2001:db8::1", 1), peer("peer.example.org", 65535)]
    );
    assert_eq!((magnet.length, magnet.select_only), (Some(92063), vec![(0, 0), (2, 2), (4, 6)]));
    assert_eq!(magnet.web_seeds, ["http://w/x"]);
}

#[test]
fn a_link_is_written_so_that_nothing_in_it_can_end_its_parameter() {
    let magnet = Magnet {
        info_hash: parse(&format!("magnet:?xt=urn:btih:{HEX}")).info_hash,
        info_hash_v2: Some([0xab; 32]),
        name: Some("a b+c & é%20#?=".to_owned()),
        trackers: vec!["http://t/announce?k=1&l=2".to_owned(), "udp://u:1".to_owned()],
        peers: vec![peer("192.0.2.1", 6881), peer("2001:db8::1", 1), peer("a&b%", 2)],
        length: Some(92063),
        select_only: vec![(0, 0), (2, 2), (4, 6)],
        web_seeds: vec!["http://w/x y".to_owned()],
        ..Magnet::default()
    };
    let expected = format!(
        "magnet:?xt=urn:btih:{HEX}&xt=urn:btmh:1220{}&dn=a%20b%2Bc%20%26%20%C3%A9%2520%23%3F%3D\
         &tr=http%3A%2F%2Ft%2Fannounce%3Fk%3D1%26l%3D2&tr=udp%3A%2F%2Fu%3A1\
         &x.pe=192.0.2.1:6881&x.pe=[2001:db8::1]:1&x.pe=a%26b%25:2&xl=92063&so=0,2,4-6&ws=http%3A%2F%2Fw%2Fx%20y",
        "ab".repeat(32)
    );
    assert_eq!(magnet.to_string(), expected);
    assert_eq!(parse(&expected), magnet, "and it is read as it was written");
    let bare = Magnet { info_hash: magnet.info_hash, ..Magnet::default() };
    assert_eq!(bare.to_string(), format!("magnet:?xt=urn:btih:{HEX}"));
}

#[test]
fn a_link_needs_nothing_but_its_info_hash() {
    let magnet = parse(&format!("magnet:?xt=urn:btih:{HEX}"));
    assert_eq!(magnet, Magnet { info_hash: magnet.info_hash, ..Magnet::default() });
    assert_eq!(with("x.pe=127.0.0.2:6881").peers, [peer("127.0.0.2", 6881)]);
}

#[test]
fn parameters_that_are_numbered_or_unknown_or_empty_do_no_harm() {
    assert_eq!(with("tr.1=x://a&tr.2=x://b&TR=x://c").trackers, ["x://a", "x://b", "x://c"]);
    assert_eq!(with("&&=&as=x&kt=y&mt&xs=z&tr"), with("tr="));
    let other = parse(&format!("magnet:?xt=urn:sha1:XYZ&xt=urn:btih:{HEX}&xt=urn:ed2k:1"));
    assert_eq!(other.info_hash.map(|hash| hash.to_string()).as_deref(), Some(HEX));
}

#[test]
fn a_version_2_link_is_read_and_cannot_be_downloaded_by_yet() {
    let hash = "aB".repeat(32);
    let magnet = parse(&format!("magnet:?xt=urn:btmh:1220{hash}"));
    assert_eq!((magnet.info_hash, magnet.info_hash_v2), (None, Some([0xab; 32])));
    assert_eq!(magnet.need_info_hash(), Err(MagnetError::VersionTwo));
    let hybrid = with(&format!("xt=urn:btmh:1220{hash}"));
    assert_eq!((hybrid.need_info_hash().is_ok(), hybrid.info_hash_v2), (true, Some([0xab; 32])));
}

#[test]
fn a_broken_link_is_refused_with_what_was_expected_and_found() {
    let hash = "40 hex digits or 32 of base32 after urn:btih:";
    let table = [
        ("".to_owned(), "a magnet link starts with \"magnet:?\", but found \"\"".to_owned()),
        (
            "http://x/?xt=urn:btih:".to_owned(),
            "a magnet link starts with \"magnet:?\", but found \"http://x/?xt=urn:btih:\""
                .to_owned(),
        ),
        (
            "http:?x".to_owned(),
            "a magnet link starts with \"magnet:?\", but found \"http:?x\"".to_owned(),
        ),
        (
            "magnet:".to_owned(),
            "a magnet link starts with \"magnet:?\", but found \"magnet:\"".to_owned(),
        ),
        ("magnet:?".to_owned(), "the link names no torrent: xt=urn:btih: is missing".to_owned()),
        (
            "magnet:?dn=x".to_owned(),
            "the link names no torrent: xt=urn:btih: is missing".to_owned(),
        ),
        (
            "magnet:?xt=urn:sha1:X".to_owned(),
            "the link names no torrent: xt=urn:btih: is missing".to_owned(),
        ),
        ("magnet:?xt=urn:btih:".to_owned(), format!("xt must be {hash}, but is \"\"")),
        ("magnet:?xt=urn:btih:xyz".to_owned(), format!("xt must be {hash}, but is \"xyz\"")),
        (
            format!("magnet:?xt=urn:btih:{}", "g".repeat(40)),
            format!("xt must be {hash}, but is \"{}\"", "g".repeat(40)),
        ),
        (
            format!("magnet:?xt=urn:btih:{}", "1".repeat(32)),
            format!("xt must be {hash}, but is \"{}\"", "1".repeat(32)),
        ),
        (format!("magnet:?xt=urn:btih:{HEX}0"), format!("xt must be {hash}, but is \"{HEX}…\"")),
        (
            "magnet:?xt=urn:btmh:1220ff".to_owned(),
            "xt must be 1220 and 64 hex digits after urn:btmh:, but is \"1220ff\"".to_owned(),
        ),
        (
            format!("magnet:?xt=urn:btmh:1114{HEX}"),
            format!(
                "xt must be 1220 and 64 hex digits after urn:btmh:, but is \"1114{}…\"",
                &HEX[..36]
            ),
        ),
        (
            "magnet:////?xt=urn:btih:".to_owned(),
            "a magnet link starts with \"magnet:?\", but found \"magnet:////?xt=urn:btih:\""
                .to_owned(),
        ),
        (
            "magnet:?xt=urn:btih:x&xt=urn:btih:y".to_owned(),
            format!("xt must be {hash}, but is \"x\""),
        ),
    ];
    for (link, expected) in table {
        assert_eq!(refusal(&link), expected);
    }
    assert!(!refusal("magnet:?xt=urn:btih:%1b[2J").contains('\x1b'));
}

/// The notes about a link that has its info hash, these parameters, and then a good tracker.
fn passed_over(parameters: &str) -> (Magnet, Vec<String>) {
    let mut magnet = with(&format!("{parameters}&tr=http://good/"));
    assert_eq!(magnet.info_hash.map(|hash| hash.to_string()).as_deref(), Some(HEX), "{parameters}");
    assert_eq!(magnet.trackers.last().map(String::as_str), Some("http://good/"), "{parameters}");
    let notes = std::mem::take(&mut magnet.passed_over);
    (magnet, notes)
}

#[test]
fn a_hundred_of_each_are_taken_and_no_url_of_any_length() {
    let many = |key: &str, value: &str| {
        (0..103).map(|_| format!("{key}={value}")).collect::<Vec<_>>().join("&")
    };
    let told = |key: &str, value: &str| {
        vec![
            format!(
                "{key} may be given at most 100 times, but is there again: \"{value}\"; it is passed over"
            );
            3
        ]
    };
    for (key, value) in [("tr", "http://t/"), ("x.pe", "h:1"), ("ws", "http://w/")] {
        let magnet = with(&many(key, value));
        assert_eq!(
            [magnet.trackers.len(), magnet.peers.len(), magnet.web_seeds.len()]
                .iter()
                .sum::<usize>(),
            100
        );
        assert_eq!(magnet.passed_over, told(key, value));
    }
    for key in ["tr", "ws"] {
        let magnet =
            with(&format!("{key}=x://{}&{key}=x://{}", "y".repeat(2044), "y".repeat(2045)));
        assert_eq!(magnet.trackers.len() + magnet.web_seeds.len(), 1);
        let [note] = &magnet.passed_over[..] else { panic!("{:?}", magnet.passed_over) };
        assert!(
            note.starts_with(&format!(
                "{key} must be a URL of at most 2048 bytes, but is \"x://yy"
            )) && note.len() < 200,
            "{note}"
        );
    }
}

#[test]
fn every_optional_parameter_may_be_absent_empty_broken_huge_or_repeated() {
    let good = passed_over("zz=1").0;
    let note = |key: &str, expected: &str, found: &str| {
        vec![format!("{key} must be {expected}, but is \"{found}\"; it is passed over")]
    };
    let (peer, bytes, indices) =
        ("host:port, with a port from 1 to 65535", "a number of bytes", "indices like 0,2,4-6");
    let many = "9".repeat(40);
    let table = [
        ("x.pe=nonsense", note("x.pe", peer, "nonsense")),
        ("x.pe=", note("x.pe", peer, "")),
        ("x.pe", note("x.pe", peer, "")),
        ("x.pe=a:65536", note("x.pe", peer, "a:65536")),
        ("x.pe=%ff:1", note("x.pe", "UTF-8", "%ff:1")),
        ("xl=", note("xl", bytes, "")),
        ("xl=1.5e9", note("xl", bytes, "1.5e9")),
        ("xl=-1", note("xl", bytes, "-1")),
        (&format!("xl={many}"), note("xl", bytes, &many)),
        ("xl=%ff", note("xl", "UTF-8", "%ff")),
        ("so=", note("so", indices, "")),
        ("so=a", note("so", indices, "a")),
        ("so=4294967296", note("so", indices, "4294967296")),
        ("so=%ff", note("so", "UTF-8", "%ff")),
        ("tr=", note("tr", "a URL", "")),
        (
            "tr=http://127.0.0.1:1/%E9/announce",
            note("tr", "UTF-8", "http://127.0.0.1:1/%E9/announce"),
        ),
        ("ws=", note("ws", "a URL", "")),
        ("ws=%E9", note("ws", "UTF-8", "%E9")),
        ("dn=%ff", note("dn", "UTF-8", "%ff")),
        ("xt=urn:btih:", note("xt", "40 hex digits or 32 of base32 after urn:btih:", "")),
        ("xt=urn:btmh:12", note("xt", "1220 and 64 hex digits after urn:btmh:", "12")),
        ("xt=%ff", note("xt", "UTF-8", "%ff")),
        // A parameter that is not read cannot be wrong.
        ("xs=%ff&as=%ff&kt=%ff&mt=%ff&xs=&as=&kt=&mt=&xt=", vec![]),
    ];
    for (parameters, expected) in table {
        assert_eq!(passed_over(parameters), (good.clone(), expected), "{parameters}");
    }
    // The first of two counts.
    let other = "0".repeat(40);
    let again = |key: &str, found: &str| {
        vec![format!(
            "{key} may be given only once, but is there again: \"{found}\"; it is passed over"
        )]
    };
    let table = [
        ("dn=a&dn=b", again("dn", "b")),
        ("xl=1&xl=2", again("xl", "2")),
        ("so=1&so=2", again("so", "2")),
        (
            &format!("xt=urn:btih:{other}"),
            vec![format!(
                "the link may name only one torrent, but also names \"{other}\"; it is passed over"
            )],
        ),
        (&format!("xt=urn:btih:{HEX}"), vec![]),
    ];
    for (parameters, expected) in table {
        let (magnet, notes) = passed_over(parameters);
        assert_eq!(notes, expected, "{parameters}");
        assert_eq!(magnet.name.as_deref().unwrap_or("a"), "a");
        assert!(
            [None, Some(1)].contains(&magnet.length)
                && [vec![], vec![(1, 1)]].contains(&magnet.select_only)
        );
    }
    // A broken one does not keep a good one from being used.
    assert_eq!(passed_over("xl=x&xl=2").0.length, Some(2));
    let long = "a".repeat(100_000);
    assert_eq!(passed_over(&format!("dn={long}")).0.name, Some(long));
}

#[test]
fn notes_are_few_and_short() {
    let (_, notes) = passed_over(&"xl=x&".repeat(1000));
    assert_eq!(
        (notes.len(), notes.last().map(String::as_str)),
        (9, Some("there are 992 more notes like these"))
    );
    let (_, notes) = passed_over(&format!("xl={}", "x".repeat(100_000)));
    assert!(notes[0].len() < 200, "{notes:?}");
}

#[test]
fn a_broken_info_hash_is_an_error_only_where_it_is_the_only_one() {
    let magnet = parse(&format!("magnet:?xt=urn:btih:zz&xt=urn:btih:{HEX}"));
    assert_eq!(
        (magnet.info_hash.map(|hash| hash.to_string()).as_deref(), magnet.passed_over.len()),
        (Some(HEX), 1)
    );
    let magnet = parse(&format!("magnet:?xt=urn:btmh:1220{}&xt=urn:btih:zz", "ab".repeat(32)));
    assert_eq!((magnet.info_hash, magnet.passed_over.len()), (None, 1));
}

#[test]
fn up_to_three_slashes_may_come_before_the_question_mark() {
    for slashes in ["", "/", "//", "///"] {
        assert_eq!(
            parse(&format!("Magnet:{slashes}?xt=urn:btih:{HEX}")),
            parse(&format!("magnet:?xt=urn:btih:{HEX}"))
        );
    }
}

#[test]
fn a_link_that_was_copied_from_html_says_how_it_should_be() {
    let magnet = with("amp;tr=http://a/?x&amp;dn=it's&tr=http://b/");
    let should_be = format!("magnet:?xt=urn:btih:{HEX}&tr=http://a/?x&dn=it%27s&tr=http://b/");
    assert_eq!((magnet.trackers.len(), magnet.name.is_some()), (1, false));
    assert_eq!(
        magnet.passed_over,
        [format!("it was copied from HTML, where & is written &amp;, and should be {should_be}")]
    );
    assert_eq!(parse(&should_be).trackers, ["http://a/?x", "http://b/"]);
    assert_eq!(magnet.should_be, Some(should_be));
    let error =
        Magnet::parse("magnet:?dn=x&amp;xt=urn:btih:y").expect_err("nothing names a torrent");
    assert_eq!(
        error,
        MagnetError::NoTopic { should_be: Some("magnet:?dn=x&xt=urn:btih:y".to_owned()) }
    );
}

#[test]
fn a_link_cut_inside_its_hash_is_refused_at_every_length() {
    let link = format!("magnet:?xt=urn:btih:{HEX}");
    // 32 of the 40 digits could be base32, and here are not: it has no 0, 1, 8 or 9.
    (0..link.len()).for_each(|length| {
        drop(Magnet::parse(&link[..length]).expect_err("a part is not the whole"))
    });
}

#[test]
fn a_peer_is_a_host_and_a_port() {
    for (text, host, port) in [
        ("192.0.2.1:6881", "192.0.2.1", 6881),
        ("localhost:1", "localhost", 1),
        ("[2001:db8::1]:65535", "2001:db8::1", 65535),
        ("[::]:80", "::", 80),
    ] {
        assert_eq!(PeerAddress::parse(text), Some(peer(host, port)));
        assert_eq!(peer(host, port).to_string(), text);
    }
    for text in [
        "",
        ":",
        "host",
        "host:",
        ":1",
        "host:0",
        "host:65536",
        "host:+1",
        "host:-1",
        "host:1x",
        "host: 1",
        "host:1 ",
        "a b:1",
        "2001:db8::1:6881",
        "[2001:db8::1]",
        "[2001:db8::1:1",
        "2001:db8::1]:1",
        "[host]:1",
        "[]:1",
        "[192.0.2.1]:1",
        "http://h:1",
    ] {
        assert_eq!(PeerAddress::parse(text), None, "{text:?}");
    }
}

#[test]
fn numbers_are_digits_and_nothing_else() {
    for number in ["+5", "-5", "0x5", "5.0", " 5"] {
        let taken = Magnet::parse(&format!("magnet:?xt=urn:btih:{HEX}&xl={number}"))
            .ok()
            .and_then(|magnet| magnet.length);
        assert_eq!(taken, None, "xl={number}");
        let taken = Magnet::parse(&format!("magnet:?xt=urn:btih:{HEX}&so={number}"))
            .map_or(vec![], |magnet| magnet.select_only);
        assert!(taken.is_empty(), "so={number}");
    }
    for ranges in ["5-4", "1-", "-1", "1--2", "a", "1,,2", "4294967296"] {
        let taken = Magnet::parse(&format!("magnet:?xt=urn:btih:{HEX}&so={ranges}"))
            .map_or(vec![], |magnet| magnet.select_only);
        assert!(taken.is_empty(), "so={ranges}");
    }
}

#[test]
fn mutilated_links_are_refused_or_read_but_never_panic() {
    let seed = format!(
        "magnet:?xt=urn:btih:{BASE32}&dn=é+%C3%A9&tr=http%3A%2F%2Ft&x.pe=[::1]:1&xl=1&so=0-1&xt=urn:btmh:1220"
    );
    let letters: Vec<char> = "é%&=?:.-+[]0129azÿ\0\u{202e}".chars().collect();
    let mut random = StdRng::seed_from_u64(7);
    for _ in 0..20_000 {
        let mut link: Vec<char> = seed.chars().collect();
        for _ in 0..random.random_range(1..5) {
            let at = random.random_range(0..link.len());
            match random.random_range(0..3) {
                0 => link[at] = letters[random.random_range(0..letters.len())],
                1 => link.insert(at, letters[random.random_range(0..letters.len())]),
                _ => drop(link.remove(at)),
            }
        }
        if let Err(error) = Magnet::parse(&link.into_iter().collect::<String>()) {
            assert!(!error.to_string().chars().any(char::is_control));
        }
    }
}
