//! The wiretap on connections in memory: literal bytes go in, and the expected lines come out. The
//! tests vary the messages, the cuts between reads, full sinks, and threads.

use super::bytes::{INFO_HASH, handshake, harmless};
use piecemeal::s04_handshake::transport::{Transport, pair};
use piecemeal::trace::capture::{Capture, lines};
use piecemeal::trace::wiretap::{Form, Sink, Tap};
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A sink that a test can read; it may be full from the start, or closed.
#[derive(Clone, Default)]
struct Paper {
    written: Arc<Mutex<Vec<u8>>>,
    writes: Arc<Mutex<usize>>,
    fails: Option<ErrorKind>,
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        *self.writes.lock().expect("no test panics in here") += 1;
        if let Some(kind) = self.fails {
            return Err(kind.into());
        }
        self.written.lock().expect("no test panics in here").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Paper {
    fn failing(kind: ErrorKind) -> Paper {
        Paper { fails: Some(kind), ..Paper::default() }
    }

    fn sink(&self, name: &str) -> Option<Sink> {
        Some(Sink { name: name.to_owned(), out: Box::new(self.clone()) })
    }

    fn text(&self) -> String {
        String::from_utf8(self.written.lock().expect("no test panics in here").clone())
            .expect("it is text")
    }

    fn writes(&self) -> usize {
        *self.writes.lock().expect("no test panics in here")
    }
}

const TEXT: Form = Form::Text { color: false };

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 6881))
}

/// Our end of a connection, with a wiretap, and the peer's.
fn connection(tap: &Arc<Tap>, room: usize, last: u8) -> (Transport, Transport) {
    let (ours, mut theirs) = pair(room, address(0), address(last));
    let mut ours = tap.transport(ours, "connected");
    let until = Instant::now() + Duration::from_secs(60);
    ours.set_deadline(until);
    theirs.set_deadline(until);
    (ours, theirs)
}

fn quiet(trace: &Paper) -> Arc<Tap> {
    Tap::new(trace.sink("the trace"), TEXT, None, |warning| panic!("{warning}"))
}

/// The trace with each time as `+0.0000s`, and this thread's name as `test`.
fn settled(text: &str) -> String {
    let name = thread::current().name().unwrap_or_default().to_owned();
    text.lines()
        .map(|line| {
            let line = line.replace(&format!("(thread {name})"), "(thread test)");
            let Some((number, rest)) = line.split_once(" +").filter(|_| line.starts_with('#'))
            else {
                return line + "\n";
            };
            let (time, rest) = rest.split_once("s ").expect("a time ends in s");
            assert!(
                time.parse::<f64>().is_ok()
                    && time.split_once('.').is_some_and(|(_, part)| part.len() == 4),
                "{line}"
            );
            format!("{number} +0.0000s {rest}\n")
        })
        .collect()
}

/// First lines and changes only, without the parts that vary.
fn told(text: &str) -> Vec<String> {
    let line = |line: &str| {
        if let Some(change) = line.strip_prefix("  * ") {
            return Some(format!("* {change}"));
        }
        let rest = line.strip_prefix('#')?.split_once("s  ")?.1;
        let rest = rest.split(" [stage").next()?.split("   (thread").next()?;
        Some(rest.replace("10.0.0.1:6881   ", "").trim().to_owned())
    };
    text.lines().filter_map(line).collect()
}

/// Plays a conversation, and returns its trace.
fn talk(room: usize, chunk: usize, turns: &[(bool, Vec<u8>)]) -> String {
    recorded(room, chunk, turns).0
}

/// Plays a conversation, and returns the trace and the capture.
fn recorded(room: usize, chunk: usize, turns: &[(bool, Vec<u8>)]) -> (String, String) {
    let (paper, capture) = (Paper::default(), Paper::default());
    let tap = Tap::new(paper.sink("the trace"), TEXT, capture.sink("the capture"), |warning| {
        panic!("{warning}")
    });
    let (mut ours, mut theirs) = connection(&tap, room, 1);
    for (us, bytes) in turns {
        let (from, to) = if *us { (&mut ours, &mut theirs) } else { (&mut theirs, &mut ours) };
        thread::scope(|scope| {
            // Read on this thread, so that the events have its name.
            let said = scope.spawn(|| if *us { Ok(()) } else { from.write_all(bytes) });
            let mut heard = vec![0; bytes.len()];
            if !us {
                heard.chunks_mut(chunk).for_each(|part| to.read_exact(part).expect("it comes"));
                assert_eq!(&heard, bytes);
            }
            said.join().expect("no panic").expect("there is somebody");
        });
        if *us {
            thread::scope(|scope| {
                let (from, to) = (&mut ours, &mut theirs);
                let heard = scope.spawn(|| {
                    let mut heard = vec![0; bytes.len()];
                    to.read_exact(&mut heard).map(|()| heard)
                });
                bytes
                    .chunks(chunk)
                    .for_each(|part| from.write_all(part).expect("there is somebody"));
                assert_eq!(&heard.join().expect("no panic").expect("it comes"), bytes);
            });
        }
    }
    drop(ours);
    (paper.text(), capture.text())
}

fn theirs() -> Vec<u8> {
    [&b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\0"[..], INFO_HASH, b"-LT20B0-abcdefghijkl"].concat()
}

/// A download of one block, with everything that can come before it.
fn story() -> Vec<(bool, Vec<u8>)> {
    let block = [&b"\0\0\0\x0d\x07\0\0\0\x01\0\0\0\0"[..], b"data"].concat();
    vec![
        (true, handshake()),
        (false, theirs()),
        (true, b"\0\0\0\x1a\x14\0d1:md11:ut_metadatai1eee".to_vec()),
        (false, b"\0\0\0\x1a\x14\0d1:md11:ut_metadatai3eee".to_vec()),
        (true, b"\0\0\0\x1b\x14\x03d8:msg_typei0e5:piecei0ee".to_vec()),
        (false, b"\0\0\0\x02\x05\xa0\0\0\0\x05\x04\0\0\0\x01\0\0\0\x01\x01".to_vec()),
        (true, b"\0\0\0\x01\x02\0\0\0\x0d\x06\0\0\0\x01\0\0\0\0\0\0\0\x04".to_vec()),
        (false, block),
        (true, b"\0\0\0\x0d\x06\0\0\0\x01\0\0\0\x04\0\0\0\x04".to_vec()),
        (false, b"\0\0\0\x01\0\0\0\0\0".to_vec()),
    ]
}

const STORY: [&str; 28] = [
    "--- connected",
    "OUT -> handshake, 68 bytes: Transmission 3.0",
    "IN  <- handshake, 68 bytes: libtorrent 2.0.11",
    "* both sides speak: the extension protocol (BEP 10)",
    "OUT -> extension handshake, 30 bytes: ut_metadata 1",
    "* we take extension messages: none -> ut_metadata 1",
    "IN  <- extension handshake, 30 bytes: ut_metadata 3",
    "* peer takes extension messages: none -> ut_metadata 3",
    "OUT -> ut_metadata request, 31 bytes: metadata piece 0",
    "IN  <- bitfield, 6 bytes: 2 of 8 bits set",
    "* peer has 0 -> 2 pieces",
    "IN  <- have, 9 bytes: piece 1",
    "* peer has 2 -> 3 pieces",
    "IN  <- unchoke, 5 bytes",
    "* am choked: yes -> no",
    "OUT -> interested, 5 bytes",
    "* am interested: no -> yes",
    "OUT -> request, 17 bytes: piece 1, begin 0, 4 bytes",
    "* our requests in flight: 0 -> 1",
    "IN  <- piece, 17 bytes: piece 1, begin 0, 4 bytes",
    "* our requests in flight: 1 -> 0",
    "OUT -> request, 17 bytes: piece 1, begin 4, 4 bytes",
    "* our requests in flight: 0 -> 1",
    "IN  <- choke, 5 bytes",
    "* am choked: no -> yes",
    "* our requests in flight: 1 -> 0",
    "IN  <- keep-alive, 4 bytes",
    "--- closed: 168 bytes out; 144 bytes in",
];

#[test]
fn a_conversation_is_told_message_by_message_with_what_each_changes() {
    assert_eq!(told(&talk(1 << 16, 1 << 16, &story())), STORY);
}

#[test]
fn it_does_not_matter_how_reads_and_writes_cut_it() {
    let whole = told(&talk(1 << 16, 1 << 16, &story()));
    for chunk in [1, 2, 3, 5, 13, 64] {
        assert_eq!(told(&talk(1 << 16, chunk, &story())), whole, "in chunks of {chunk}");
    }
}

#[test]
fn what_leaves_in_several_parts_is_told_once() {
    assert_eq!(told(&talk(7, 1 << 16, &story())), told(&talk(1 << 16, 1 << 16, &story())));
}

/// Events without an object are only in the trace, except for the end of a connection.
#[test]
fn a_capture_says_afterwards_what_the_trace_said_then() {
    let no_peer = b"HTTP/1.1 400 Bad Request\r\n".repeat(9);
    let too_long = [&theirs()[..], b"\0\0\x40\x0a\x07\0\0\0\x01"].concat();
    let with = |answer: Vec<u8>| {
        vec![(true, handshake()), (false, answer), (true, b"\0\0\0\x01\x02".to_vec())]
    };
    for turns in [story(), losing(), with(no_peer), with(too_long)] {
        for chunk in [1, 7, 1 << 16] {
            let (trace, capture) = recorded(1 << 16, chunk, &turns);
            let capture = Capture::read(capture.as_bytes()).expect("it is a capture");
            let shown: Vec<String> = capture
                .numbered()
                .map(|(number, event)| lines::event(&capture, number, event))
                .collect();
            let (then, afterwards) = (told(&trace), told(&shown.join("\n")));
            let objects = |lines: &[String]| -> Vec<String> {
                lines
                    .iter()
                    .filter(|line| !line.starts_with("---") && !line.starts_with("END"))
                    .cloned()
                    .collect()
            };
            assert_eq!(objects(&afterwards), objects(&then), "in chunks of {chunk}");
            assert!(then.iter().any(|line| line.starts_with("* ")), "{then:?}");
        }
    }
}

const SHOWN: &str = "\
#0001 +0.0000s     --- 10.0.0.1:6881   connected   (thread test)
#0002 +0.0000s  OUT -> 10.0.0.1:6881   handshake, 68 bytes: Transmission 3.0                         [stage 4, BEP 3] (thread test)
  0000  13                                                length of the name  19
  0001  42 69 74 54 6f 72 72 65 6e 74 20 70 72 6f 74 …    name                \"BitTorrent protocol\"
  0014  00 00 00 00 00 10 00 05                           reserved            bit 0: DHT (BEP 5)
                                                                              bit 2: fast extension (BEP 6)
                                                                              bit 20: extension protocol (BEP 10)
  001c  d6 9f 91 e6 b2 ae 4c 54 24 68 d1 07 3a 71 d4 …    info hash           d69f91e6b2ae4c542468d1073a71d4ea13879a7f  the torrent
  0030  2d 54 52 33 30 30 30 2d 6b 38 68 6a 30 77 67 …    peer id             \"-TR3000-k8hj0wgej6ch\"  Transmission 3.0
#0003 +0.0000s  IN  <- 10.0.0.1:6881   unchoke, 5 bytes                                              [stage 5, BEP 3] (thread test)
";

#[test]
fn an_event_has_number_time_direction_peer_thread_fields_and_changes() {
    let shown = settled(&talk(1 << 16, 1 << 16, &story()));
    let head: Vec<&str> = SHOWN.lines().collect();
    let first: Vec<&str> = shown.lines().take(head.len() - 1).collect();
    assert_eq!(first, head[..head.len() - 1], "\n{shown}");
    let unchoke =
        shown.lines().position(|line| line.contains("unchoke, 5 bytes")).expect("it was sent");
    let event: Vec<&str> = shown.lines().skip(unchoke).take(4).collect();
    let expected = [
        &head[head.len() - 1].replace("#0003", "#0009"),
        "  0000  00 00 00 01                                       length prefix  1  of what follows",
        "  0004  01                                                id             1  unchoke",
        "  * am choked: yes -> no",
    ];
    assert_eq!(event, expected);
}

#[test]
fn of_a_block_only_the_size_is_shown() {
    let block = [&b"\0\0\x40\x09\x07\0\0\0\x02\0\0\x40\0"[..], &[0xee; 16_384]].concat();
    let text = talk(1 << 16, 1000, &[(true, handshake()), (false, theirs()), (false, block)]);
    let event: Vec<&str> = text.lines().skip_while(|line| !line.contains("   piece, ")).collect();
    assert!(
        event[0].contains(
            "IN  <- 10.0.0.1:6881   piece, 16397 bytes: piece 2, begin 16384, 16384 bytes"
        ),
        "{text}"
    );
    assert_eq!(
        event[1..7],
        [
            "  0000  00 00 40 09                                       length prefix  16393        of what follows",
            "  0004  07                                                id             7            piece",
            "  0005  00 00 00 02                                       index          2",
            "  0009  00 00 40 00                                       begin          16384",
            "  000d  …                                                 block          16384 bytes  data, not shown",
            "  * not asked for, or not any more",
        ]
    );
    assert!(!text.contains("ee ee"), "{text}");
}

fn losing() -> Vec<(bool, Vec<u8>)> {
    let fast = |mut hello: Vec<u8>| {
        hello[27] |= 4;
        hello
    };
    let greeting = b"\0\0\0\x1a\x14\0d1:md11:lt_donthavei7eee".to_vec();
    vec![
        (true, fast(handshake())),
        (false, fast(theirs())),
        (true, greeting),
        (
            false,
            b"\0\0\0\x01\x0e\0\0\0\x01\x0f\0\0\0\x05\x04\0\0\0\x09\0\0\0\x05\x04\0\0\0\x09"
                .to_vec(),
        ),
        (false, b"\0\0\0\x06\x14\x07\0\0\0\x09".to_vec()),
        (true, b"\0\0\0\x0d\x06\0\0\0\x01\0\0\0\0\0\0\0\x04".to_vec()),
        (false, b"\0\0\0\x01\x01\0\0\0\x01\0\0\0\0\x0d\x10\0\0\0\x01\0\0\0\0\0\0\0\x04".to_vec()),
    ]
}

#[test]
fn a_peer_that_has_all_and_then_loses_one_is_counted_right() {
    let lines = told(&talk(1 << 16, 1 << 16, &losing()));
    assert_eq!(
        lines[4..],
        [
            "OUT -> extension handshake, 30 bytes: lt_donthave 7",
            "* we take extension messages: none -> lt_donthave 7",
            "IN  <- have all, 5 bytes",
            "* peer has 0 -> all pieces",
            "IN  <- have none, 5 bytes",
            "* peer has all -> 0 pieces",
            "IN  <- have, 9 bytes: piece 9",
            "* peer has 0 -> 1 pieces",
            "IN  <- have, 9 bytes: piece 9",
            "IN  <- lt_donthave, 10 bytes: piece 9",
            "* peer has 1 -> 0 pieces",
            "OUT -> request, 17 bytes: piece 1, begin 0, 4 bytes",
            "* our requests in flight: 0 -> 1",
            "IN  <- unchoke, 5 bytes",
            "* am choked: yes -> no",
            "IN  <- choke, 5 bytes",
            "* am choked: no -> yes",
            "IN  <- reject request, 17 bytes: piece 1, begin 0, 4 bytes",
            "* our requests in flight: 1 -> 0",
            "--- closed: 115 bytes out; 133 bytes in",
        ]
    );
}

#[test]
fn whoever_is_no_peer_is_shown_once_and_then_left_alone() {
    let page = b"HTTP/1.1 400 Bad Request\r\nServer: \x1b[31mred\r\n\r\n".repeat(50);
    let text = talk(1 << 16, 1 << 16, &[(true, handshake()), (false, page)]);
    let lines = told(&text);
    assert_eq!(lines[2], "IN  <- handshake, 68 bytes");
    assert_eq!(lines[3], "* what follows in this direction makes no sense, and is not shown");
    assert_eq!(lines[4], "--- closed: 68 bytes out; 2300 bytes in");
    assert!(text.contains("^^ byte 0: expected"), "{text}");
}

#[test]
fn a_length_that_cannot_be_ends_that_direction_only() {
    let too_long =
        [&b"\x7f\xff\xff\xff\x14"[..], b"\xff\xff\xff\xff", b"\0\x10\0\x02", b"\0\0\x40\x0a\x07"];
    let not_that_of_a_have: [&[u8]; 2] = [b"\0\0\0\x04\x04", b"\0\0\0\x06\x04"];
    for prefix in too_long.into_iter().chain(not_that_of_a_have) {
        let mut all = prefix.to_vec();
        all.extend([0; 100]);
        let turns = [
            (true, handshake()),
            (false, theirs()),
            (false, all),
            (true, b"\0\0\0\x01\x02".to_vec()),
        ];
        let lines = told(&talk(1 << 16, 3, &turns));
        assert_eq!(
            lines[5], "* what follows in this direction makes no sense, and is not shown",
            "{lines:?}"
        );
        assert_eq!(lines[6..8], ["OUT -> interested, 5 bytes", "* am interested: no -> yes"]);
    }
}

/// A generator whose numbers are always the same.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[test]
fn whatever_a_peer_sends_the_trace_stays_text_and_the_talk_goes_on() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for _ in 0..300 {
        let mut noise = Vec::new();
        for _ in 0..dice.roll() % 20 {
            let length = dice.roll() % 40;
            noise.extend((length as u32).to_be_bytes());
            let ids = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 14, 15, 16, 17, 20, 20, 20, 99];
            noise.push(ids[dice.roll() as usize % ids.len()]);
            noise.extend((0..length).map(|_| dice.roll() as u8));
        }
        let chunk = 1 + dice.roll() as usize % 30;
        let first = if dice.roll().is_multiple_of(4) { Vec::new() } else { theirs() };
        let text = talk(1 << 16, chunk, &[(true, handshake()), (false, first), (false, noise)]);
        harmless(&text);
    }
}

#[test]
fn a_full_sink_costs_one_warning_and_no_byte_of_the_conversation() {
    let (paper, warnings) =
        (Paper::failing(ErrorKind::StorageFull), Arc::new(Mutex::new(Vec::new())));
    let (told, capture) = (Arc::clone(&warnings), Paper::default());
    let warn = move |warning: &str| told.lock().expect("no panic").push(warning.to_owned());
    let tap = Tap::new(paper.sink("the trace in full"), TEXT, capture.sink("the capture"), warn);
    let (mut ours, mut theirs) = connection(&tap, 1 << 16, 1);
    ours.write_all(&handshake()).expect("the peer is there");
    let mut heard = [0; 68];
    theirs.read_exact(&mut heard).expect("it comes");
    assert_eq!(heard[..], handshake());
    drop(ours);
    let warnings = warnings.lock().expect("no panic");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("the trace in full ends here: "), "{warnings:?}");
    assert_eq!(paper.writes(), 1, "nobody tries again");
    assert_eq!(capture.text().lines().count(), 3, "the capture goes on: {}", capture.text());
}

#[test]
fn a_sink_that_nobody_reads_any_more_is_left_without_a_word() {
    let paper = Paper::failing(ErrorKind::BrokenPipe);
    let (mut ours, mut theirs) = connection(&quiet(&paper), 1 << 16, 1);
    theirs.write_all(&handshake()).expect("they are there");
    let mut heard = [0; 68];
    ours.read_exact(&mut heard).expect("it comes");
    assert_eq!((heard.to_vec(), paper.writes()), (handshake(), 1));
}

#[test]
fn whoever_ends_a_connection_is_told() {
    let ends = |we: bool| {
        let paper = Paper::default();
        let (mut ours, theirs) = connection(&quiet(&paper), 1 << 16, 1);
        match we {
            true => (ours.hang_up)(),
            false => drop(theirs),
        }
        for _ in 0..2 {
            assert_eq!(ours.read(&mut [0; 9]).expect("it ends"), 0);
            assert!(ours.write(b"\x13").is_err());
        }
        (ours.hang_up)();
        drop(ours);
        told(&paper.text())
    };
    assert_eq!(
        ends(true),
        [
            "--- connected",
            "--- we hang up",
            "--- closed: 1 byte out, the last 1 of an unfinished object; 0 bytes in"
        ]
    );
    let lines = ends(false);
    assert_eq!(lines[1], "--- the peer has said all that it will say: the end of its stream");
    assert_eq!(
        lines[2..4],
        ["--- the connection broke: broken pipe", "--- we hang up"],
        "{lines:?}"
    );
}

#[test]
fn threads_do_not_run_into_each_other() {
    let paper = Paper::default();
    let tap = Tap::new(paper.sink("the trace"), Form::Json, None, |warning| panic!("{warning}"));
    thread::scope(|scope| {
        for last in 1..=8 {
            let tap = Arc::clone(&tap);
            let work = move || {
                let (mut ours, mut theirs) = connection(&tap, 1 << 20, last);
                ours.write_all(&handshake()).expect("there is room");
                for _ in 0..200 {
                    ours.write_all(b"\0\0\0\x05\x04\0\0\0\x01").expect("there is room");
                }
                theirs.write_all(b"\x13").expect("there is room");
            };
            thread::Builder::new()
                .name(format!("number {last}"))
                .spawn_scoped(scope, work)
                .expect("a thread");
        }
    });
    let text = paper.text();
    assert_eq!(text.lines().count(), 8 * (1 + 1 + 200 + 1));
    assert_eq!(paper.writes(), text.lines().count(), "one event, one write");
    for (number, line) in (1..).zip(text.lines()) {
        let event: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(event["number"], number);
        let last = event["thread"]
            .as_str()
            .and_then(|name| name.strip_prefix("number "))
            .expect("a thread's name");
        assert_eq!(event["peer"], format!("10.0.0.{last}:6881"));
    }
}

#[test]
fn many_blocks_cost_a_few_lines_each() {
    let paper = Paper::default();
    let tap = quiet(&paper);
    let (mut ours, mut theirs) = connection(&tap, 1 << 20, 1);
    let block = [&b"\0\0\x40\x09\x07\0\0\0\x02\0\0\x40\0"[..], &[0; 16_384]].concat();
    theirs.write_all(&self::theirs()).expect("there is room");
    let mut heard = vec![0; block.len()];
    ours.read_exact(&mut heard[..68]).expect("it comes");
    for _ in 0..2000 {
        theirs.write_all(&block).expect("there is room");
        ours.read_exact(&mut heard).expect("it comes");
    }
    let size = paper.text().len();
    assert!(size < 2000 * 1000, "{size} bytes of trace for {} bytes of blocks", 2000 * block.len());
}

#[test]
fn a_capture_holds_every_byte_in_the_order_of_its_times() {
    let capture = Paper::default();
    let tap = Tap::new(None, TEXT, capture.sink("the capture"), |warning| panic!("{warning}"));
    let (mut ours, mut theirs) = connection(&tap, 1 << 16, 1);
    ours.write_all(&handshake()).expect("there is room");
    theirs.write_all(b"\x13BitT").expect("there is room");
    let mut heard = [0; 5];
    ours.read_exact(&mut heard).expect("it comes");
    drop(ours);
    let lines: Vec<serde_json::Value> = capture
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is an object"))
        .collect();
    assert_eq!(lines[0]["piecemeal_capture"], 1);
    assert!(
        lines[0]["started"].as_str().is_some_and(|text| text.parse::<u64>().is_ok()),
        "{}",
        lines[0]
    );
    let without_time = |line: &serde_json::Value| {
        let mut line = line.clone();
        assert!(line["t"].is_u64(), "{line}");
        line.as_object_mut().expect("an object").remove("t");
        line
    };
    let hex = "13426974546f7272656e742070726f746f636f6c0000000000100005d69f91e6b2ae4c542468d1073a71d4ea13879a7f2d5452333030302d6b38686a307767656a366368";
    assert_eq!(
        lines[1..].iter().map(without_time).collect::<Vec<_>>(),
        [
            serde_json::json!({ "c": 1, "peer": "10.0.0.1:6881", "d": "out", "hex": hex }),
            serde_json::json!({ "c": 1, "peer": "10.0.0.1:6881", "d": "in", "hex": "1342697454" }),
            serde_json::json!({ "c": 1, "peer": "10.0.0.1:6881", "d": "end" }),
        ]
    );
    assert!(lines[1..].iter().map(|line| line["t"].as_u64()).is_sorted());
}

/// A dialer that knows the two names of a hybrid says so by a bit, and is answered by the other.
#[test]
fn another_name_is_another_torrent_unless_a_bit_has_asked_for_it() {
    let both = "* both sides speak: the extension protocol (BEP 10)";
    let upgraded = "* the same torrent by its other name: from here on, version 2 (BEP 52)";
    let mut renamed = theirs();
    renamed[28] ^= 1;
    let mut asks = handshake();
    asks[27] |= 0x10;
    let mut answers = renamed.clone();
    answers[27] |= 0x10;
    for (ours, theirs, upgrade) in [
        (asks.clone(), renamed.clone(), true),
        (handshake(), answers, true), // we were dialed
        (handshake(), renamed, false),
        (asks, theirs(), false),
    ] {
        let is_other = ours[28] != theirs[28] && !upgrade;
        let lines = told(&talk(1 << 16, 1 << 16, &[(true, ours), (false, theirs)]));
        let has = |line: &str| lines.iter().any(|it| it == line);
        assert_eq!((has(upgraded), has(both)), (upgrade, !is_other), "{lines:?}");
        let other = lines.iter().any(|line| line.starts_with("* another torrent: we said "));
        assert_eq!(other, is_other, "{lines:?}");
    }
}
