//! Captures that are broken, cut, distorted or malicious.

use super::bytes::{self, sound};
use super::tape::{OTHER, PEER, Tape, ours, request, small};
use crate::support::{Outcome, wire};
use piecemeal::trace::capture::{Capture, EventKind, lines, mermaid, page};

/// Checks what holds for everything made from a capture.
#[track_caller]
fn harmless(bytes: &[u8]) -> Option<Capture> {
    let capture = Capture::read(bytes).ok()?;
    for event in &capture.events {
        if let EventKind::Object(said) = &event.kind {
            sound(&said.object, capture.bytes(event));
        }
    }
    let text: Vec<String> =
        capture.events.iter().map(|event| lines::event(&capture, 0, event)).collect();
    for made in [text.join("\n"), mermaid::diagram(&capture), page::page(&capture, "x")] {
        bytes::harmless(&made);
    }
    lines::to_json(&capture, "x");
    Some(capture)
}

/// Bad input, with nothing on stdout.
#[track_caller]
fn refused(tape: &Tape, why: &str) -> Outcome {
    let outcome = tape.explain(&[]);
    assert_eq!((outcome.code, outcome.stdout.len()), (Some(3), 0), "{outcome}");
    assert!(
        outcome.err().starts_with(&format!("error: tape: {why}\nhelp: ")),
        "expected {why}, got {outcome}"
    );
    assert!(outcome.err().ends_with("\nsee: piecemeal chapter reading-a-trace\n"), "{outcome}");
    outcome
}

fn with(line: &str) -> Tape {
    Tape(format!("{}{line}\n", Tape::new().0))
}

#[test]
fn each_fault_names_its_line_and_what_stands_there() {
    let table = [
        (r#"nonsense"#, r#"expected a JSON object, found "nonsense""#),
        (r#"[1]"#, r#"expected a JSON object, found "[1]""#),
        (r#"{"c":1}"#, r#"expected microseconds since the start at "t", found nothing"#),
        (r#"{"t":-1}"#, r#"expected microseconds since the start at "t", found -1"#),
        (
            r#"{"t":1}"#,
            r#"expected the number of a connection at "c", or a URL at "tracker", found nothing"#,
        ),
        (
            r#"{"t":1,"c":"x"}"#,
            r#"expected the number of a connection at "c", or a URL at "tracker", found "x""#,
        ),
        (r#"{"t":1,"c":1}"#, r#"expected "in", "out" or "end" at "d", found nothing"#),
        (r#"{"t":1,"c":1,"d":"in"}"#, r#"expected the peer's address at "peer", found nothing"#),
        (r#"{"t":1,"c":1,"peer":"p","d":"up"}"#, r#"expected "in" or "out" at "d", found "up""#),
        (
            r#"{"t":1,"c":1,"peer":"p","d":"in"}"#,
            r#"expected hex digits at "hex", two for each byte, found nothing"#,
        ),
        (
            r#"{"t":1,"c":1,"peer":"p","d":"in","hex":"123"}"#,
            r#"expected hex digits at "hex", two for each byte, found "123""#,
        ),
        (
            r#"{"t":1,"c":1,"peer":"p","d":"in","hex":"zz"}"#,
            r#"expected hex digits at "hex", two for each byte, found "zz""#,
        ),
        (r#"{"t":1,"tracker":5,"d":"in","hex":""}"#, r#"expected a URL at "tracker", found 5"#),
        (r#"{"t":1,"asker":5,"d":"in","hex":""}"#, r#"expected a URL at "asker", found 5"#),
        (
            r#"{"t":1,"tracker":"http://t","d":"end"}"#,
            r#"expected "in" or "out" at "d", found "end""#,
        ),
        ("", r#"expected a JSON object, found """#),
    ];
    for (line, why) in table {
        refused(&with(&format!("{line}\n{{}}")), &format!("line 2: {why}"));
    }
}

#[test]
fn a_first_line_of_another_version_is_refused() {
    refused(
        &Tape("{\"piecemeal_capture\":2}\n".to_owned()),
        "line 1: expected \"piecemeal_capture\":1, found 2",
    );
}

#[test]
fn a_file_that_is_cut_short_says_so_and_how_to_read_the_rest() {
    let mut cut = small();
    cut.0.truncate(cut.0.len() - 10);
    let last = cut.0.lines().count();
    refused(
        &cut,
        &format!("line {last}: expected a JSON object, found that the file is cut short"),
    )
    .mentions("sed '$d' FILE");
}

#[test]
fn nothing_comes_after_the_end_of_a_connection() {
    let tape = Tape::new().out(1, ours()).end(2, 1, PEER).out(3, ours());
    refused(&tape, "line 4: expected nothing more of connection 1, which has ended, found \"out\"");
    refused(
        &Tape::new().out(1, ours()).end(2, 1, PEER).end(3, 1, PEER),
        "line 4: expected nothing more of connection 1, which has ended, found \"end\"",
    );
}

#[test]
fn a_line_may_not_be_endless() {
    let tape =
        with(&format!(r#"{{"t":1,"c":1,"peer":"p","d":"in","hex":"{}"}}"#, "00".repeat(4 << 20)));
    refused(&tape, "line 2: expected at most 8388608 bytes in a line, found 8388650");
}

#[test]
fn a_broken_object_ends_its_stream_and_no_other() {
    let tape = Tape::new()
        .out(1, ours())
        .comes(2, [&b"HTTP/1.1 400 Bad Request\r\n"[..], &[b'x'; 100]].concat())
        .out(3, request(1, 0));
    let outcome = tape.explain(&[]);
    assert_eq!(outcome.code, Some(3), "{outcome}");
    let err = "error: tape: #0002, 127.0.0.2:6881: the handshake: byte 0: expected byte 19 and \"BitTorrent protocol\", found ";
    assert!(outcome.err().starts_with(err), "{outcome}");
    assert!(
        outcome.out().contains("#0003 +0.0000s  OUT -> 127.0.0.2:6881   request, 17 bytes"),
        "{outcome}"
    );
    let behind = "\n  * what follows in this direction makes no sense, and is not shown\n  58 bytes after it on this stream\n";
    assert!(outcome.out().contains(behind), "{outcome}");
    for view in ["mermaid", "html"] {
        let outcome = tape.explain(&["--as", view]);
        assert!(outcome.code == Some(3) && !outcome.stdout.is_empty(), "{outcome}");
    }
}

#[test]
fn a_length_that_cannot_be_ends_its_stream_at_once() {
    let too_long = [&b"\x7f\xff\xff\xff"[..], &[0; 100]].concat();
    let tape = Tape::new()
        .out(1, ours())
        .comes(2, [ours(), too_long].concat())
        .comes(3, wire::message(1, b""));
    let outcome = tape.explain(&[]);
    outcome.mentions("#0003, 127.0.0.2:6881: the message: byte 0: expected at most 262145 bytes, found 2147483647");
    assert!(outcome.out().contains("105 bytes after it on this stream"), "{outcome}");
}

#[test]
fn an_object_in_whose_middle_the_capture_ends_is_no_error() {
    let tape = Tape::new().out(1, ours()).comes(2, &ours()[..30]).says(
        3,
        2,
        OTHER,
        "out",
        [&ours()[..], &request(0, 0)[..9]].concat(),
    );
    let outcome = tape.explain(&[]);
    outcome.succeeds();
    assert_eq!(
        outcome.out().matches("(the capture ends in the middle of it)").count(),
        2,
        "{outcome}"
    );
}

#[test]
fn a_capture_may_end_anywhere_and_any_bit_may_be_wrong() {
    let whole = small().0.into_bytes();
    for end in (0..whole.len()).step_by(3) {
        harmless(&whole[..end]);
    }
    for at in 0..whole.len() {
        let mut bent = whole.clone();
        bent[at] ^= 1 << (at % 6);
        harmless(&bent);
    }
}

#[test]
fn a_stream_may_come_in_single_bytes() {
    let stream = [ours(), wire::message(2, b""), request(1, 2)].concat();
    let mut tape = Tape::new();
    for (time, byte) in (0..).zip(&stream) {
        tape = tape.out(time, [*byte]);
    }
    let capture = harmless(tape.0.as_bytes()).expect("nothing is wrong with it");
    let times: Vec<u64> = capture.events.iter().map(|event| event.time).collect();
    assert_eq!(times, [0, 68, 73], "each has the time of its first byte");
}

#[test]
fn however_many_objects_there_are_it_comes_to_an_end() {
    let tape = Tape::new().out(1, [ours(), [0; 4].repeat(200_000)].concat());
    let capture = Capture::read(tape.0.as_bytes()).expect("nothing is wrong with it");
    assert!(
        capture.events.len() < 200_000 && capture.left_out > 100_000,
        "{} left out",
        capture.left_out
    );
    let html = page::page(&capture, "x");
    assert!(html.len() < 200_000, "keep-alives are folded: {} bytes", html.len());
    let mut tape = Tape::new();
    for connection in 0..1_000 {
        tape = tape.says(
            1,
            connection,
            &format!("10.0.{}.{}:1", connection / 250, connection % 250),
            "out",
            ours(),
        );
    }
    let capture = harmless(tape.0.as_bytes()).expect("nothing is wrong with it");
    assert!(mermaid::diagram(&capture).len() < 50_000, "Mermaid itself takes no more");
    assert!(page::page(&capture, "x").len() < 100_000);
}

/// Connections without objects also count against the limit.
#[test]
fn however_many_connections_there_are_it_comes_to_an_end() {
    let mut tape = Tape::new();
    for connection in 0..160_000 {
        tape = tape.end(1, connection, "p");
    }
    let capture = Capture::read(tape.0.as_bytes()).expect("nothing is wrong with it");
    assert!((100_000..160_000).contains(&capture.events.len()), "{} events", capture.events.len());
    assert_eq!(capture.events.len(), capture.connections.len());
}

#[test]
fn a_peer_cannot_fill_the_memory_with_names() {
    let mut stream = ours();
    for number in 0..2_000 {
        stream.extend(wire::extended(
            0,
            format!("d1:md8:{number:08}i{}eee", number % 255 + 1).as_bytes(),
        ));
    }
    let capture =
        harmless(Tape::new().comes(1, stream).0.as_bytes()).expect("nothing is wrong with it");
    assert!(capture.events.len() > 1_000);
}

#[test]
fn what_is_broken_inside_of_an_extension_message_does_not_end_the_stream() {
    let tape = Tape::new()
        .out(1, [ours(), wire::extended(0, b"d1:md6:ut_pexi1eee")].concat())
        .comes(2, [ours(), wire::extended(1, b"d5:added1:xe"), wire::message(1, b"")].concat());
    let outcome = tape.explain(&[]);
    assert_eq!(outcome.code, Some(3), "{outcome}");
    outcome.mentions("#0004, 127.0.0.2:6881: the ut_pex: byte 7: expected added to be a multiple of 6 bytes, found 1 byte");
    assert!(
        outcome.out().contains("unchoke, 5 bytes") && !outcome.out().contains("behind it"),
        "{outcome}"
    );
}
