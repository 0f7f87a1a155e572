//! Stage 3 from outside: announces and answers byte by byte, tiers, and an HTTP server that misbehaves.

mod support;

mod s03_tracker {
    mod reach;
}

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s03_tracker::http::HttpTracker;
use piecemeal::s03_tracker::names::Lookups;
use piecemeal::s03_tracker::peers::PeerAddress;
use piecemeal::s03_tracker::tiers::{Tier, announce};
use piecemeal::s03_tracker::{
    AnnounceRequest, AnnounceResponse, Event, PeerId, Retry, Tracker, TrackerError,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use support::{assert_read, assert_wire, in_time};

fn ask() -> AnnounceRequest {
    let hash = *b"\xd6\x9f\x91\xe6\xb2\xae\x4c\x54\x24\x68\xd1\x07\x3a\x71\xd4\xea\x13\x87\x9a\x7f";
    AnnounceRequest::new(InfoHash(hash), PeerId(*b"-PM0001-abcdefghijkl"), 92063)
}

fn peers(answer: &[u8]) -> Vec<String> {
    AnnounceResponse::decode(answer)
        .expect("it is an answer")
        .peers
        .iter()
        .map(SocketAddr::to_string)
        .collect()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

#[test]
fn the_query_is_written_byte_by_byte() {
    let plain = "info_hash=%D6%9F%91%E6%B2%AELT%24h%D1%07%3Aq%D4%EA%13%87%9A%7F&peer_id=-PM0001-abcdefghijkl\
                 &port=6881&uploaded=0&downloaded=0&left=92063&compact=1";
    assert_wire(ask().query().as_bytes(), plain.as_bytes(), "BEP 3, query");
    let mut all = ask();
    all.peer_id = PeerId(*b"\x00\n&=%+ ~._-/?#\xff\x7fZz09");
    (all.port, all.uploaded, all.downloaded, all.left) = (65535, u64::MAX, 1, 0);
    (all.event, all.numwant, all.key) = (Some(Event::Started), Some(0), Some(0xab));
    all.tracker_id = Some(b"a b&\xff".to_vec());
    let expected = "info_hash=%D6%9F%91%E6%B2%AELT%24h%D1%07%3Aq%D4%EA%13%87%9A%7F\
                    &peer_id=%00%0A%26%3D%25%2B%20~._-%2F%3F%23%FF%7FZz09&port=65535&uploaded=18446744073709551615\
                    &downloaded=1&left=0&compact=1&event=started&numwant=0&key=000000ab&trackerid=a%20b%26%FF";
    assert_wire(all.query().as_bytes(), expected.as_bytes(), "BEP 3, query");
    assert_eq!(
        [Event::Completed, Event::Stopped].map(|event| event.to_string()),
        ["completed", "stopped"]
    );
}

#[test]
fn a_peer_id_names_the_program_and_is_new_each_time() {
    let (one, two) = (PeerId::random(), PeerId::random());
    assert_eq!((&one.0[..8], &two.0[..8]), (&b"-PM0001-"[..], &b"-PM0001-"[..]));
    assert_ne!(one, two);
    assert_eq!(
        PeerId(*b"-PM0001-abcdefghijk\xff").to_string(),
        "2d504d303030312d6162636465666768696a6bff"
    );
}

#[test]
fn compact_peers_are_six_bytes_each() {
    let two = b"\x7f\x00\x00\x02\x1a\xe1\xc0\x00\x02\xff\xff\xff";
    assert_read(
        two,
        peers(&[b"d8:intervali60e5:peers12:", &two[..], b"e"].concat()),
        ["127.0.0.2:6881", "192.0.2.255:65535"],
        "BEP 23, compact peers",
    );
    assert!(peers(b"d5:peers0:e").is_empty());
}

#[test]
fn a_peer_whose_bytes_hold_a_newline_is_not_lost() {
    let two = b"\n\n\n\n\n\n\x0a\x00\x00\x0a\x0d\x0a";
    assert_read(
        two,
        peers(&[b"d5:peers12:", &two[..], b"e"].concat()),
        ["10.10.10.10:2570", "10.0.0.10:3338"],
        "BEP 23, compact peers",
    );
}

#[test]
fn peers_may_be_a_list_of_dictionaries() {
    let entry = "d2:ip9:192.0.2.17:peer id20:aaaaaaaaaaaaaaaaaaaa4:porti6881ee";
    let six = "d2:ip11:2001:db8::14:porti1ee";
    // No port, a port that is too large, negative or not a number, a bad host name, not a dictionary: passed over.
    let bad = "d2:ip9:192.0.2.2ed2:ip9:192.0.2.24:porti65536eed2:ip9:192.0.2.24:porti-1eed2:ip9:192.0.2.24:port1:1e\
               d2:ip7:exam/le4:porti1eed2:ip0:4:porti1eed2:ip1:\u{7f}4:porti1eed2:ip4:host4:porti0eed2:ipi1e4:porti1eei1e";
    let nobody = "d2:ip9:192.0.2.34:porti0ee"; // port 0 is left out without a word
    let answer = format!("d8:intervali60e5:peersl{entry}{bad}{nobody}{six}ee");
    assert_eq!(peers(answer.as_bytes()), ["192.0.2.1:6881", "[2001:db8::1]:1"]);
    let decoded = AnnounceResponse::decode(answer.as_bytes()).expect("it is an answer");
    assert_eq!(
        decoded.passed_over,
        ["peers has 10 of 13 entries without a usable ip and port; they are passed over"]
    );
    assert!(decoded.named.is_empty());
    assert!(peers(b"d5:peerslee").is_empty());
}

#[test]
fn peers_may_be_named_by_host() {
    let answer = b"d5:peersld2:ip9:localhost4:porti6881eed2:ip9:192.0.2.14:porti1eed2:ip16:peer.example.org4:porti2eeee";
    let decoded = AnnounceResponse::decode(answer).expect("it is an answer");
    assert_eq!(decoded.peers, ["192.0.2.1:1".parse().expect("an address")]);
    assert_eq!(
        decoded.named.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["localhost:6881", "peer.example.org:2"]
    );
    assert!(decoded.passed_over.is_empty());
    // Each costs a lookup, so their number is limited.
    let many = format!("d5:peersl{}ee", "d2:ip1:x4:porti1ee".repeat(60));
    let decoded = AnnounceResponse::decode(many.as_bytes()).expect("it is an answer");
    assert_eq!(decoded.named.len(), 50);
    assert_eq!(
        decoded.passed_over,
        ["peers has 10 of 60 entries without a usable ip and port; they are passed over"]
    );
}

#[test]
fn names_are_looked_up_by_a_point_in_time() {
    let named = |host: &str| PeerAddress { host: host.to_owned(), port: 6881 };
    let all = [named("localhost"), named("no.such.host.invalid"), named("127.0.0.3")];
    let (found, lost) = Lookups::default().find_peers(&all, soon());
    let local = |address: &SocketAddr| address.ip().is_loopback() && address.port() == 6881;
    assert!(found.len() >= 2 && found.iter().all(local), "{found:?}");
    assert_eq!(found.last(), Some(&SocketAddr::from(([127, 0, 0, 3], 6881))));
    assert_eq!(lost.len(), 1);
    assert!(
        lost[0].starts_with(
            "it names the peer no.such.host.invalid:6881, which cannot be looked up: "
        ),
        "{lost:?}"
    );
}

/// The notes about an answer that has these keys and good peers.
fn passed_over(keys: &str) -> Vec<String> {
    let answer = [format!("d{keys}").as_bytes(), b"5:peers6:\x7f\0\0\x02\x1a\xe1e"].concat();
    let announced =
        AnnounceResponse::decode(&answer).unwrap_or_else(|error| panic!("{keys}: {error}"));
    assert_eq!(announced.peers, ["127.0.0.2:6881".parse().expect("an address")], "{keys}");
    announced.passed_over
}

#[test]
fn every_optional_key_of_an_answer_may_be_absent_of_another_type_empty_huge_repeated_or_no_text() {
    let note = |key: &str, expected: &str, found: &str| {
        vec![format!("{key} must be {expected}, but is {found}; it is passed over")]
    };
    let twice = |key: &str| vec![format!("{key} appears more than once: the first one counts")];
    assert!(passed_over("").is_empty());
    for (key, expected) in [
        ("interval", "a number of seconds"),
        ("min interval", "a number of seconds"),
        ("complete", "a number of peers"),
        ("incomplete", "a number of peers"),
    ] {
        let name = format!("{}:{key}", key.len());
        for (value, found) in [
            ("0:", "\"\""),
            ("2:60", "\"60\""),
            ("i-1e", "-1"),
            ("le", "a list"),
            ("de", "a dictionary"),
        ] {
            assert_eq!(passed_over(&format!("{name}{value}")), note(key, expected, found));
        }
        assert!(passed_over(&format!("{name}i9223372036854775807e")).is_empty(), "{key}");
        assert_eq!(passed_over(&format!("{name}i1e{name}i2e")), twice(key));
    }
    let (id, text) = ("a byte string of at most 1000 bytes", "a byte string");
    let long = "x".repeat(1001);
    let shown = format!("\"{}…\"", "x".repeat(40));
    let table = [
        ("10:tracker idi1e", note("tracker id", id, "1")),
        ("10:tracker id0:", vec![]),
        ("10:tracker id1:a10:tracker id1:b", twice("tracker id")),
        (&format!("10:tracker id1001:{long}"), note("tracker id", id, &shown)),
        ("15:warning messagele", note("warning message", text, "a list")),
        ("15:warning message0:", vec![]),
        ("15:warning message1:a15:warning message1:b", twice("warning message")),
        ("6:peers6i1e", note("peers6", "a multiple of 18 bytes", "1")),
        (
            "6:peers617:12345678901234567",
            note("peers6", "a multiple of 18 bytes", "\"12345678901234567\""),
        ),
        ("6:peers60:", vec![]),
        ("6:peers60:6:peers60:", twice("peers6")),
        // Not read.
        ("10:downloadedle11:external ipi1e8:retry inle3:abci1e", vec![]),
    ];
    for (keys, expected) in table {
        assert_eq!(passed_over(keys), expected, "{keys}");
    }
    let first = b"d8:intervali1e8:intervali2e5:peers6:\x7f\0\0\x02\x1a\xe15:peers0:e";
    let first = AnnounceResponse::decode(first).expect("the first ones count");
    assert_eq!((first.interval, first.peers.len()), (Some(Duration::from_secs(1)), 1));
    let warning = AnnounceResponse::decode(b"d15:warning message3:a\xffbe")
        .expect("words in any encoding")
        .warning;
    assert_eq!(warning.as_deref(), Some("a\u{fffd}b"));
    let long = format!("d15:warning message100000:{}e", "x".repeat(100_000));
    assert_eq!(
        AnnounceResponse::decode(long.as_bytes())
            .expect("it is right")
            .warning
            .map(|text| text.len()),
        Some(500)
    );
}

#[test]
fn peers6_are_eighteen_bytes_each_and_come_last() {
    let answer = b"d6:peers636:\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x1a\xe1\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\0\0\
                   5:peers6:\x7f\0\0\x02\x1a\xe1e";
    assert_eq!(peers(answer), ["127.0.0.2:6881", "[2001:db8::1]:6881"]);
}

#[test]
fn port_0_is_nobody() {
    assert_eq!(
        peers(b"d5:peers12:\x7f\x00\x00\x02\x00\x00\x7f\x00\x00\x03\x00\x01e"),
        ["127.0.0.3:1"]
    );
}

#[test]
fn absent_peers_are_no_peers_and_what_follows_the_answer_is_ignored() {
    assert_eq!(
        AnnounceResponse::decode(b"de").expect("a tracker may know nobody"),
        AnnounceResponse::default()
    );
    assert_eq!(
        AnnounceResponse::decode(b"d8:intervali60ee\r\n<!-- x -->").expect("a prefix").interval,
        Some(Duration::from_secs(60))
    );
}

#[test]
fn everything_else_in_an_answer_is_read_and_none_of_it_is_needed() {
    let answer = AnnounceResponse::decode(
        b"d8:completei5e10:incompletei7e8:intervali1800e12:min intervali60e5:peers0:10:tracker id3:a\xff 15:warning message5:slow\x1be",
    )
    .expect("it is right");
    assert_eq!(
        (answer.interval, answer.min_interval),
        (Some(Duration::from_secs(1800)), Some(Duration::from_secs(60)))
    );
    assert_eq!((answer.complete, answer.incomplete), (Some(5), Some(7)));
    assert_eq!(answer.tracker_id.as_deref(), Some(&b"a\xff "[..]));
    assert_eq!(answer.warning.as_deref(), Some("slow\\u{1b}"));
    let wrong = b"d8:complete1:x10:incompletei-1e8:intervali-1e12:min intervalle6:peers6i1e10:tracker idi1e15:warning messagelee";
    let wrong =
        AnnounceResponse::decode(wrong).expect("a wrong type is no reason to do without peers");
    assert_eq!(
        (wrong.passed_over.len(), AnnounceResponse { passed_over: vec![], ..wrong }),
        (7, AnnounceResponse::default())
    );
    let longest = AnnounceResponse::decode(b"d8:intervali9223372036854775807ee").expect("it fits");
    assert_eq!(longest.interval, Some(Duration::from_secs(i64::MAX as u64)));
}

#[test]
fn a_failure_carries_its_reason_and_when_to_come_back() {
    let minutes = |minutes: u64| Retry::After(Duration::from_secs(minutes * 60));
    let table: [(&[u8], Retry); 8] = [
        (b"", Retry::Unsaid),
        (b"8:retry ini5e", minutes(5)),
        (b"8:retry in1:5", minutes(5)),
        (b"8:retry in5:never", Retry::Never),
        (b"8:retry in4:soon", Retry::Unsaid),
        (b"8:retry ini-5e", Retry::Unsaid),
        (b"8:retry inle", Retry::Unsaid),
        (b"8:retry ini9223372036854775807e", Retry::After(Duration::from_secs(u64::MAX))),
    ];
    for (keys, expected) in table {
        let answer =
            [b"d14:failure reason7:go\x07away5:peers6:\x7f\0\0\x01\0\x01", keys, b"e"].concat();
        match AnnounceResponse::decode(&answer) {
            Err(TrackerError::Failure { reason, retry }) => {
                assert_eq!((reason.as_str(), retry), ("go\\u{7}away", expected))
            }
            other => panic!("{other:?}"),
        }
    }
    for empty in
        [&b"d14:failure reasoni1ee"[..], b"d14:failure reason0:e", b"d14:failure reasonlee"]
    {
        let error = AnnounceResponse::decode(empty).expect_err("it is a refusal");
        assert_eq!(error.to_string(), "the tracker refused: (it gives no reason)");
    }
    let first = AnnounceResponse::decode(
        b"d14:failure reason1:a14:failure reason1:b8:retry in1:18:retry in1:2e",
    );
    assert!(
        matches!(first, Err(TrackerError::Failure { reason, retry }) if reason == "a" && retry == minutes(1))
    );
}

#[test]
fn a_malformed_answer_is_refused() {
    let table: [(&[u8], &str); 9] = [
        (
            b"",
            "the tracker's answer is not bencode: byte 0: a value was expected, but there is nothing",
        ),
        (
            b"<html>",
            "the tracker's answer is not bencode: byte 0: a value was expected (i, l, d or a digit), but found '<'",
        ),
        (
            b"d5:peers99:abc",
            "the tracker's answer is not bencode: byte 8: at peers: the string says 99 bytes, only 3 are left",
        ),
        (b"le", "the answer must be a dictionary, but is a list"),
        (b"i1e", "the answer must be a dictionary, but is an integer"),
        (b"2:ok", "the answer must be a dictionary, but is a byte string"),
        (b"d5:peersi1ee", "peers must be a byte string or a list, but is an integer"),
        (b"d5:peersdee", "peers must be a byte string or a list, but is a dictionary"),
        (b"d5:peers7:1234567e", "peers must be a multiple of 6 bytes, but is 7 bytes"),
    ];
    for (answer, expected) in table {
        assert_eq!(
            AnnounceResponse::decode(answer).expect_err("it is no answer").to_string(),
            expected
        );
    }
    // Broken `peers6` costs only itself.
    let half =
        AnnounceResponse::decode(b"d5:peers6:\x7f\0\0\x02\x1a\xe16:peers617:12345678901234567e")
            .expect("the IPv4 peers are good");
    assert_eq!(half.peers, ["127.0.0.2:6881".parse().expect("an address")]);
    let whole = b"d8:intervali60e5:peers6:\x7f\0\0\x02\x1a\xe1e";
    (0..whole.len()).for_each(|length| {
        drop(AnnounceResponse::decode(&whole[..length]).expect_err("a part is not the whole"))
    });
}

#[test]
fn mutilated_answers_are_refused_or_read_but_never_panic() {
    let seeds: [&[u8]; 3] = [
        b"d8:intervali60e12:min intervali6e5:peers12:\x7f\0\0\x02\x1a\xe1\x7f\0\0\x03\x1a\xe16:peers618:aaaaaaaaaaaaaaaaaae",
        b"d5:peersld2:ip9:192.0.2.14:porti6881eed2:ip3:::14:porti1eeee",
        b"d14:failure reason4:away8:retry in5:nevere",
    ];
    let mut random = StdRng::seed_from_u64(4);
    for round in 0..20_000 {
        let mut answer = seeds[round % 3].to_vec();
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..answer.len());
            answer[at] = if random.random() {
                random.random()
            } else {
                b"ilde0123456789:-"[random.random_range(0..16)]
            };
        }
        let _ = AnnounceResponse::decode(&answer);
    }
}

/// A tracker for the URL scheme `test`, which does what a function says and records each URL.
struct Fake<F>(F, Sender<String>);

impl<F: Fn(&str, Instant) -> Result<AnnounceResponse, TrackerError> + Send + Sync> Tracker
    for Fake<F>
{
    fn schemes(&self) -> &[&str] {
        &["test"]
    }

    fn announce(
        &self,
        url: &str,
        _: &AnnounceRequest,
        until: Instant,
    ) -> Result<AnnounceResponse, TrackerError> {
        // The test may have seen enough.
        let _ = self.1.send(url.to_owned());
        (self.0)(url, until)
    }
}

type Trackers = Vec<Box<dyn Tracker>>;

fn fake(
    answer: impl Fn(&str, Instant) -> Result<AnnounceResponse, TrackerError> + Send + Sync + 'static,
) -> (Trackers, Receiver<String>) {
    let (asked, who) = mpsc::channel();
    (vec![Box::new(Fake(answer, asked))], who)
}

fn urls(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn the_tracker_that_answers_moves_to_the_front_of_its_tier() {
    let (trackers, who) = fake(|url, _| {
        if url == "test://c" {
            Ok(AnnounceResponse::default())
        } else {
            Err(TrackerError::Status(503))
        }
    });
    let mut tier = Tier::new(urls(&["test://a", "test://b", "test://c", "test://d"]));
    for round in 0..3 {
        let (url, _) = tier.announce(&trackers, &ask(), soon()).expect("one of them answers");
        assert_eq!(url, "test://c");
        let asked: Vec<String> = who.try_iter().collect();
        assert_eq!(asked.last(), Some(&url));
        assert!(round == 0 || asked.len() == 1, "{asked:?}");
    }
}

#[test]
fn a_tier_of_which_nobody_answers_tells_why_for_each() {
    let (trackers, _who) = fake(|_, _| Err(TrackerError::Status(503)));
    let mut failures = Tier::new(urls(&["test://a", "udp://b", "nonsense"]))
        .announce(&trackers, &ask(), soon())
        .expect_err("nobody");
    failures.sort_by(|one, two| one.0.cmp(&two.0));
    assert!(
        matches!(&failures[0], (url, TrackerError::Scheme { scheme, spoken }) if url == "nonsense" && scheme.is_empty() && spoken == "test")
    );
    assert!(matches!(&failures[1], (url, TrackerError::Status(503)) if url == "test://a"));
    assert!(
        matches!(&failures[2], (url, TrackerError::Scheme { scheme, .. }) if url == "udp://b" && scheme == "udp")
    );
    assert!(
        Tier::new(Vec::new())
            .announce(&trackers, &ask(), soon())
            .expect_err("nobody is there")
            .is_empty()
    );
}

#[test]
fn a_silent_tracker_leaves_time_for_the_others_of_its_tier() {
    let count = Mutex::new(0);
    let (trackers, who) = fake(move |_, until| {
        let mut count = count.lock().expect("one announce at a time");
        *count += 1;
        if *count == 3 {
            return Ok(AnnounceResponse::default());
        }
        thread::sleep(until.saturating_duration_since(Instant::now()));
        Err(TrackerError::Status(504))
    });
    let until = Instant::now() + Duration::from_secs(3);
    Tier::new(urls(&["test://a", "test://b", "test://c"]))
        .announce(&trackers, &ask(), until)
        .expect("the third answers");
    assert_eq!(who.try_iter().count(), 3);
}

#[test]
fn the_load_spreads_over_a_tier() {
    let (trackers, who) = fake(|_, _| Ok(AnnounceResponse::default()));
    for _ in 0..200 {
        Tier::new(urls(&["test://a", "test://b"]))
            .announce(&trackers, &ask(), soon())
            .expect("it answers");
    }
    let first: Vec<String> = who.try_iter().collect();
    assert!(first.iter().any(|url| url == "test://a") && first.iter().any(|url| url == "test://b"));
}

#[test]
fn the_scheme_chooses_the_tracker_in_any_case() {
    let (trackers, _who) = fake(|_, _| Ok(AnnounceResponse::default()));
    announce(&trackers, "TEST://x", &ask(), soon()).expect("schemes have no case");
    let error = announce(&trackers, "wss://x", &ask(), soon()).expect_err("nobody speaks it");
    assert_eq!(error.to_string(), "a URL of test was expected, but found the scheme \"wss\"");
    let http: Trackers = vec![Box::new(HttpTracker)];
    let error = announce(&http, "wss://x", &ask(), soon()).expect_err("nobody speaks it");
    assert_eq!(
        error.to_string(),
        "a URL of http or https was expected, but found the scheme \"wss\""
    );
}

/// A web server that gives each connection the next answer, and reports the first line of each request.
fn server(answers: Vec<Vec<u8>>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let (lines, requests) = mpsc::channel();
    thread::spawn(move || {
        for answer in answers {
            let Ok((stream, _)) = listener.accept() else { return };
            let _ = lines.send(request_line(&stream));
            let _ = (&stream).write_all(&answer);
            // Bytes that the client still sends must not reset the connection.
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = (&stream).read(&mut [0; 16]);
        }
    });
    (url, requests)
}

fn request_line(stream: &TcpStream) -> String {
    // Without it the test's own deadline holds.
    let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
    let mut lines =
        BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    lines.for_each(drop);
    first
}

fn http(status: &str, body: &[u8]) -> Vec<u8> {
    [
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())
            .as_bytes(),
        body,
    ]
    .concat()
}

fn redirect(to: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
    .into_bytes()
}

const ANSWER: &[u8] = b"d8:intervali60e5:peers6:\x7f\x00\x00\x02\xff\xfee";

#[test]
fn one_get_request_brings_peers() {
    let (url, requests) = server(vec![http("200 OK", ANSWER)]);
    let announced =
        HttpTracker.announce(&format!("{url}/announce"), &ask(), soon()).expect("it answers");
    assert_eq!(announced.peers, ["127.0.0.2:65534".parse().expect("an address")]);
    let line = "GET /announce?info_hash=%D6%9F%91%E6%B2%AELT%24h%D1%07%3Aq%D4%EA%13%87%9A%7F&peer_id=-PM0001-abcdefghijkl\
                &port=6881&uploaded=0&downloaded=0&left=92063&compact=1 HTTP/1.1";
    let asked = requests.recv_timeout(Duration::from_secs(60)).expect("it was asked");
    assert_wire(asked.as_bytes(), line.as_bytes(), "BEP 3, query");
}

#[test]
fn a_passkey_in_the_url_stays_and_a_fragment_goes() {
    for (path, expected) in [
        ("/announce?passkey=x%26y", "GET /announce?passkey=x%26y&info_hash=%D6"),
        ("/announce#top", "GET /announce?info_hash=%D6"),
        ("/x/announce.php?k=1&l=2#z", "GET /x/announce.php?k=1&l=2&info_hash=%D6"),
    ] {
        let (url, requests) = server(vec![http("200 OK", ANSWER)]);
        HttpTracker.announce(&format!("{url}{path}"), &ask(), soon()).expect("it answers");
        let line = requests.recv_timeout(Duration::from_secs(60)).expect("it was asked");
        assert!(line.starts_with(expected), "{line}");
    }
}

#[test]
fn what_a_uri_may_not_hold_is_encoded_before_it_is_asked() {
    for (path, expected) in [
        ("/announce x", "GET /announce%20x?info_hash=%D6"),
        (" /announce?k=a b ", "GET /announce?k=a%20b&info_hash=%D6"),
        (
            "/announce\u{e9}|\"<>^`{}[]?x=\u{e9}\\",
            "GET /announce%C3%A9%7C%22%3C%3E%5E%60%7B%7D%5B%5D?x=%C3%A9%5C&info_hash=%D6",
        ),
        // Existing encodings stay; a % that only looks like one is encoded.
        ("/announce%20%zz%4?a=%26%", "GET /announce%20%25zz%254?a=%26%25&info_hash=%D6"),
        (
            "/announce-._~!$&'()*+,;=:@/?-._~!$&'()*+,;=:@/?",
            "GET /announce-._~!$&'()*+,;=:@/?-._~!$&'()*+,;=:@/?&info_hash=%D6",
        ),
    ] {
        let (url, requests) = server(vec![http("200 OK", ANSWER)]);
        HttpTracker
            .announce(&format!("{url}{}", path.trim_start()), &ask(), soon())
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        let line = requests.recv_timeout(Duration::from_secs(5)).expect("it was asked");
        assert!(line.starts_with(expected), "{line}");
    }
}

#[test]
fn user_and_password_in_a_url_are_decoded_before_they_are_sent() {
    // Base64 by hand: `us@er:pa:ss`, `user:`, and `a:` with a byte that is not text.
    for (user, expected) in [
        ("us%40er:pa%3Ass@", Some("authorization: Basic dXNAZXI6cGE6c3M=")),
        ("user@", Some("authorization: Basic dXNlcjo=")),
        ("a:%ff@", Some("authorization: Basic YTr/")),
        ("", None),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let at = listener.local_addr().expect("it is bound");
        let (heads, requests) = mpsc::channel();
        thread::spawn(move || {
            let Ok((stream, _)) = listener.accept() else { return };
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let lines = BufReader::new(&stream)
                .lines()
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty());
            let _ = heads.send(lines.collect::<Vec<String>>());
            let _ = (&stream).write_all(&http("200 OK", ANSWER));
        });
        HttpTracker
            .announce(&format!("http://{user}{at}/announce@b"), &ask(), soon())
            .expect("it answers");
        let head = requests.recv_timeout(Duration::from_secs(5)).expect("it was asked");
        assert!(head[0].starts_with("GET /announce@b?info_hash="), "{head:?}");
        let sent = head.iter().find(|line| line.to_ascii_lowercase().starts_with("authorization:"));
        assert_eq!(sent.map(String::as_str), expected, "{head:?}");
        assert!(head.iter().any(|line| *line == format!("host: {at}")), "{head:?}");
    }
}

fn failing(answer: Vec<u8>) -> TrackerError {
    let (url, _requests) = server(vec![answer]);
    HttpTracker.announce(&format!("{url}/announce"), &ask(), soon()).expect_err("it cannot be used")
}

#[test]
fn a_bad_status_is_told_and_a_failure_reason_behind_it_is_told_rather() {
    let denied = failing(http("403 Forbidden", b"d14:failure reason6:denied8:retry in5:nevere"));
    assert!(
        matches!(denied, TrackerError::Failure { reason, retry: Retry::Never } if reason == "denied")
    );
    assert!(matches!(
        failing(http("404 Not Found", b"<html>not here</html>")),
        TrackerError::Status(404)
    ));
    assert!(matches!(failing(http("503 Busy", b"")), TrackerError::Status(503)));
    assert!(matches!(failing(http("500 Oops", ANSWER)), TrackerError::Status(500)));
    assert!(matches!(
        failing(http("200 OK", b"d14:failure reason3:noee")),
        TrackerError::Failure { .. }
    ));
}

#[test]
fn html_in_place_of_an_answer_is_refused() {
    assert!(matches!(
        failing(http("200 OK", b"<!DOCTYPE html><html></html>")),
        TrackerError::Bencode(_)
    ));
    assert!(matches!(failing(http("200 OK", b"")), TrackerError::Bencode(_)));
}

#[test]
fn an_answer_that_is_no_http_or_is_cut_short_is_an_error() {
    for answer in [
        &b"SSH-2.0-OpenSSH_9.9\r\n"[..],
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nd8:interval",
    ] {
        assert!(
            matches!(failing(answer.to_vec()), TrackerError::Transport(_)),
            "{:?}",
            String::from_utf8_lossy(answer)
        );
    }
}

#[test]
fn an_answer_over_a_quarter_of_a_mebibyte_is_refused() {
    let most = [&b"d5:peers0:e"[..], &vec![b' '; (256 << 10) - 11]].concat();
    let (url, _requests) = server(vec![http("200 OK", &most)]);
    HttpTracker
        .announce(&format!("{url}/announce"), &ask(), soon())
        .expect("the limit itself is allowed");
    assert!(matches!(
        failing(http("200 OK", &[&most[..], b" "].concat())),
        TrackerError::TooLong(_)
    ));
}

#[test]
fn of_each_key_two_thousand_peers_are_taken() {
    let note = |key: &str, found: usize| {
        format!("{key} has {found} entries; those after the first 2000 are passed over")
    };
    let (six, eighteen) = ([1, 2, 3, 4, 0, 5].repeat(3000), [1; 18].repeat(2001));
    let answer = [&b"d5:peers18000:"[..], &six, b"6:peers636018:", &eighteen, b"e"].concat();
    let AnnounceResponse { peers, passed_over, .. } =
        AnnounceResponse::decode(&answer).expect("it is an answer");
    assert_eq!((peers.len(), passed_over), (4000, vec![note("peers", 3000), note("peers6", 2001)]));
    let list = [&b"d5:peersl"[..], &b"d2:ip7:1.2.3.44:porti5ee".repeat(3000), b"ee"].concat();
    let AnnounceResponse { peers, passed_over, .. } =
        AnnounceResponse::decode(&list).expect("it is an answer");
    assert_eq!((peers.len(), passed_over), (2000, vec![note("peers", 3000)]));
}

#[test]
fn an_answer_of_too_many_values_is_refused() {
    let answer =
        |values: usize| [&b"d1:al"[..], &b"0:".repeat(values - 3), b"e5:peers0:e"].concat();
    AnnounceResponse::decode(&answer(20_000)).expect("the limit itself is allowed");
    let error = AnnounceResponse::decode(&answer(20_001)).expect_err("one more");
    assert!(error.to_string().ends_with("there are more than 20000 values"), "{error}");
    let deep = [&b"d1:a"[..], &b"l".repeat(8), &b"e".repeat(9)].concat();
    let error = AnnounceResponse::decode(&deep).expect_err("nine levels");
    assert!(error.to_string().ends_with("nest deeper than 8"), "{error}");
}

#[test]
fn what_a_redirect_leads_to_is_not_quoted_at_any_length() {
    let error = failing(redirect(&format!("nonsense://{}", "x".repeat(10_000))));
    assert!(error.to_string().len() <= 600, "{} bytes: {error:.100}", error.to_string().len());
    let error = failing(redirect(&format!("/{}", "x".repeat(20_000))));
    assert!(
        matches!(error, TrackerError::Transport(_)) && error.to_string().len() <= 600,
        "{error:.100}"
    );
    let scheme = announce(&[], &format!("{}://host", "x".repeat(10_000)), &ask(), soon())
        .expect_err("nobody speaks that");
    assert!(scheme.to_string().len() < 200, "{scheme:.300}");
}

/// A gzip stream of this many times 258 `a`s, in RFC 1951's fixed code: the letter once, then "258 more
/// of what was 1 ago" in 13 bits each.
fn gzip_bomb(times: usize) -> Vec<u8> {
    let mut bits: Vec<u8> = vec![1, 1, 0]; // the last block, of type 1
    let mut code = |value: u32, length: u32| {
        bits.extend((0..length).rev().map(|bit| (value >> bit & 1) as u8))
    };
    code(0x30 + u32::from(b'a'), 8);
    (0..times).for_each(|_| code(0b1100_0101 << 5, 13)); // length 258, distance 1
    code(0, 7); // the end
    let packed = bits
        .chunks(8)
        .map(|eight| eight.iter().enumerate().fold(0, |byte, (at, bit)| byte | bit << at));
    [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &packed.collect::<Vec<u8>>(), &[0; 8]].concat()
}

#[test]
fn the_limit_counts_what_a_compressed_answer_unpacks_to() {
    let body = gzip_bomb(10_000);
    assert!(body.len() < 20_000);
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    assert!(matches!(failing([head.as_bytes(), &body].concat()), TrackerError::TooLong(_)));
}

#[test]
fn five_redirects_are_followed_and_a_sixth_is_not() {
    let hops = |count: usize| {
        (1..=count).map(|n| redirect(&format!("/hop{n}"))).chain([http("200 OK", ANSWER)]).collect()
    };
    let (url, requests) = server(hops(5));
    HttpTracker.announce(&format!("{url}/announce"), &ask(), soon()).expect("five are allowed");
    assert_eq!(requests.iter().take(6).last().as_deref(), Some("GET /hop5 HTTP/1.1"));
    let (url, _requests) = server(hops(6));
    assert!(matches!(
        HttpTracker.announce(&format!("{url}/announce"), &ask(), soon()),
        Err(TrackerError::Transport(_))
    ));
}

#[test]
fn a_redirect_to_another_protocol_is_not_followed() {
    for to in
        ["ftp://127.0.0.1/x", "file:///etc/passwd", "gopher://127.0.0.1:70/", "udp://127.0.0.1:1"]
    {
        assert!(matches!(failing(redirect(to)), TrackerError::Transport(_)), "{to}");
    }
}

#[test]
fn nobody_there_is_an_error_that_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let url = format!("http://{}/announce", listener.local_addr().expect("it is bound"));
    drop(listener);
    let error = HttpTracker.announce(&url, &ask(), soon()).expect_err("nobody listens").to_string();
    assert!(error.contains("refused"), "{error}");
    for url in
        ["http://", "http:///x", "http://[::1", "http://a b/", "http://x:99999/", "http://\0/"]
    {
        assert!(
            matches!(HttpTracker.announce(url, &ask(), soon()), Err(TrackerError::Transport(_))),
            "{url:?}"
        );
    }
}

#[test]
fn a_tracker_that_is_silent_or_drips_is_given_up_at_the_deadline() {
    for head in
        ["", "HTTP/1.1 200 OK\r\nX-Slow: ", "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"]
    {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let url = format!("http://{}/announce", listener.local_addr().expect("it is bound"));
        let over = Arc::new(Mutex::new(()));
        let running = Arc::clone(&over);
        let held = over.lock().expect("nobody else has it");
        thread::spawn(move || {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let _ = stream.write_all(head.as_bytes());
            // For as long as the test runs: each byte comes well before a read would time out.
            while running.try_lock().is_err() {
                thread::sleep(Duration::from_millis(20));
                if !head.is_empty() && stream.write_all(b"1").is_err() {
                    break;
                }
            }
        });
        let answer = in_time(move || {
            HttpTracker.announce(&url, &ask(), Instant::now() + Duration::from_millis(250))
        });
        assert!(matches!(answer, Err(TrackerError::TimedOut)), "{answer:?}");
        drop(held);
    }
}

/// What is hidden in a text, and what is not.
#[test]
fn secrets_of_a_url_are_hidden_wherever_they_are_and_nothing_else_is() {
    use piecemeal::s03_tracker::secrets::{hide, mask};
    let key = "0123456789abcdef0123456789abcdef";
    let table = [
        ("http://t.example/announce?passkey=x", "http://t.example/announce?passkey=…"),
        (
            "http://t/announce?a=1&PassKey=secret&b=2 names 0 peers",
            "http://t/announce?a=1&PassKey=…&b=2 names 0 peers",
        ),
        ("http://user:pa@ss:word@t/announce", "http://user:…@t/announce"),
        ("http://0123456789abcdef@t/announce", "http://…@t/announce"),
        ("http://anonymous@t/announce", "http://anonymous@t/announce"),
        (&format!("https://t:443/{key}/announce"), "https://t:443/…/announce"),
        (&format!("http://t/announce.php/{key}?x=1"), "http://t/announce.php/…?x=1"),
        ("http://t/passkey/ab/announce", "http://t/passkey/…/announce"),
        ("udp://t:80/announce?auth=a%20b", "udp://t:80/announce?auth=…"),
        (&format!("/{key}/announce?info_hash=%01"), "/…/announce?info_hash=%01"),
        // Over UDP a byte before the path gives its length.
        (&format!("=/{key}/announce"), "=/…/announce"),
        (&format!("?/{key}/announce?a=1"), "?/…/announce?a=1"),
        (&format!("127.0.0.1:80/{key}/announce"), "127.0.0.1:80/…/announce"),
        (
            &format!("http://t/{key}/announce: your key {key} is blocked"),
            "http://t/…/announce: your key … is blocked",
        ),
        ("/announce?port=1&trackerid=ab%20c&left=1", "/announce?port=1&trackerid=…&left=1"),
        (&format!("http://t/announce?whatever={key}"), "http://t/announce?whatever=…"),
        (
            "magnet:?xt=urn:btih:cda492889448d540ee036365137eedd24308d22c&tr=http%3A%2F%2Ft%2Fannounce%3Fpasskey%3Dx&x.pe=1.2.3.4:5",
            "magnet:?xt=urn:btih:cda492889448d540ee036365137eedd24308d22c&tr=http%3A%2F%2Ft%2Fannounce%3Fpasskey%3D…&x.pe=1.2.3.4:5",
        ),
        (
            &format!("magnet:?tr=https%3A%2F%2Fme%3Apw%40t%3A443%2F{key}%2Fannounce&dn=a"),
            "magnet:?tr=https%3A%2F%2Fme%3A…%40t%3A443%2F…%2Fannounce&dn=a",
        ),
        (
            "GET / HTTP/1.1\r\nAuthorization: Basic dXNlcjpwYXNz\r\nHost: t\r\n",
            "GET / HTTP/1.1\r\nAuthorization: …\r\nHost: t\r\n",
        ),
        ("(http://t/?token=a)", "(http://t/?token=…)"),
        ("two: http://a/?pid=1, http://b/?pid=2", "two: http://a/?pid=…, http://b/?pid=…"),
        ("http://t/announce?passkey=c2Vj==", "http://t/announce?passkey=…"),
        ("http://t/announce?passkey=ab=cd&a=1", "http://t/announce?passkey=…&a=1"),
        ("http://t/announce?passkey=abc%3D", "http://t/announce?passkey=…"),
        ("/announce?passkey=ab,cd HTTP/1.1", "/announce?passkey=… HTTP/1.1"),
        ("http://t/?a=1;passkey=ab;cd", "http://t/?a=1;passkey=…"),
        ("http://me:pa,ss@t/", "http://me:…@t/"),
        ("http://me:pa;s(s@t/, and so on", "http://me:…@t/, and so on"),
        ("http://a/?pid=1,http://me:pw@b/;udp://c/", "http://a/?pid=…,http://me:…@b/;udp://c/"),
        (&format!("http://t/{key}==/announce"), "http://t/…/announce"),
        (&format!("/{key}/announce?u=http://t/"), "/…/announce?u=http://t/"),
        (
            &format!("[http://[2001:db8::1]:6969/{key}/announce]"),
            "[http://[2001:db8::1]:6969/…/announce]",
        ),
        (
            "magnet:?tr=http%3A%2F%2Fme%3Apa,s%3Ds%40t%2Fannounce",
            "magnet:?tr=http%3A%2F%2Fme%3A…%40t%2Fannounce",
        ),
    ];
    for (text, shown) in table {
        assert_eq!(hide(text), shown);
        assert_eq!(hide(shown), shown, "twice is once");
        let masked = mask(text.as_bytes());
        assert_eq!(masked.len(), text.len());
        assert_eq!(
            hide(&String::from_utf8(masked).expect("stars are text")),
            shown,
            "what is masked hides the same"
        );
    }
    for plain in [
        "http://127.0.0.1:6969/announce?info_hash=%cd%a4%92&peer_id=-PM0001-abcdefghi123&port=6881&key=1b1389f1&compact=1",
        "http://tracker.example:6969/announce",
        "/home/user/0123456789abcdef0123456789abcdef/file.iso: 3 of 3 pieces are right",
        "cda492889448d540ee036365137eedd24308d22c",
        "http://t/debian-12.0-amd64-netinst.iso",
        "http://t/a/very-long-name-of-a-folder/announce",
        "passkey=",
        "the passkey is wrong",
        "a = b",
        "://",
        "http://",
        "http://@",
        "?=&=",
        "",
        "é=ü&?",
    ] {
        assert_eq!(hide(plain), plain);
    }
}

/// A URL in bencode ends with its string, whatever follows it.
#[test]
fn secrets_in_bencode_are_masked_string_by_string() {
    use piecemeal::s03_tracker::secrets::mask;
    for (bytes, shown) in [
        (
            &b"d8:announce20:http://t/?passkey=ab13:announce-listl1:a1:b1:cee"[..],
            &b"d8:announce20:http://t/?passkey=**13:announce-listl1:a1:b1:cee"[..],
        ),
        (b"d8:intervali60e10:tracker id6:a b&c=e", b"d8:intervali60e10:tracker id6:******e"),
        (b"l20:http://t/?passkey=ab4:a=bce", b"l20:http://t/?passkey=**4:a=bce"),
        (b"d6:pieces8:\xff?pwd=ab1:xi-3ee", b"d6:pieces8:\xff?pwd=ab1:xi-3ee"),
        // Bencode that is cut short, or followed by more.
        (b"d8:announce99:http://t/?passkey=ab", b"d8:announce99:http://t/?passkey=**"),
        (b"de http://t/?passkey=ab", b"de http://t/?passkey=**"),
        (b"d99999999999999999999:http://t/?pwd=ab", b"d99999999999999999999:http://t/?pwd=**"),
    ] {
        assert_eq!(mask(bytes).escape_ascii().to_string(), shown.escape_ascii().to_string());
    }
}

/// Any bytes are hidden or left as they are, and never cause a panic.
#[test]
fn hiding_secrets_takes_any_bytes() {
    use piecemeal::s03_tracker::secrets::{hide, mask};
    let parts = [
        "http",
        "://",
        "@",
        ":",
        "/",
        "?",
        "&",
        "=",
        "%3D",
        "passkey",
        "é",
        " ",
        "announce",
        "\n",
        "0123456789abcdefg",
        "*",
        ",",
        ";",
        "[",
        ")",
        "==",
        "Cookie:",
        "%2F",
        "%40",
    ];
    let mut random = StdRng::seed_from_u64(9);
    for _ in 0..20_000 {
        let text: String = (0..random.random_range(0..14))
            .map(|_| parts[random.random_range(0..parts.len())])
            .collect();
        let shown = hide(&text);
        assert_eq!(hide(&shown), shown, "{text:?}");
        assert_eq!(mask(text.as_bytes()).len(), text.len());
        let bytes: Vec<u8> = (0..40).map(|_| random.random()).collect();
        assert_eq!(mask(&bytes).len(), 40);
    }
}

/// A stranger's text may be one long line. If each of its words cost a pass over the line, this
/// would take many minutes.
#[test]
fn hiding_secrets_in_a_long_line_goes_through_it_once() {
    use piecemeal::s03_tracker::secrets::hide;
    in_time(|| {
        for word in [
            "a ",
            "a,",
            "?,",
            "Cookie: ",
            "http://",
            "a://b,",
            "[",
            "/",
            "@",
            "a=",
            "?passkey=",
            "%3A%2F%2F",
            ";a=1?",
        ] {
            let line = format!("{} =", word.repeat((1 << 18) / word.len()));
            assert!(hide(&line).len() <= 2 * line.len(), "{word}");
        }
    });
}
