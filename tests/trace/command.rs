//! `piecemeal explain`: its input, its output, its exit codes.

use super::bytes::handshake;
use super::samples::{TORRENT, stream};
use crate::support::{Outcome, Run, folder};
use serde_json::Value;

fn explain(words: &[&str]) -> Outcome {
    Run::new([&["explain"], words].concat()).run()
}

/// A failure that says what, what to do and where to read on; with an answer, or without.
#[track_caller]
fn fails(outcome: &Outcome, code: i32, answers: bool) {
    assert_eq!((outcome.code, !outcome.stdout.is_empty()), (Some(code), answers), "{outcome}");
    let starts: Vec<String> = outcome
        .err()
        .lines()
        .map(|line| line.split(' ').next().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(starts, ["error:", "help:", "see:"], "{outcome}");
}

const REQUEST: &str = "\
This looks like messages between peers (the hex digits, 17 bytes).

request, 17 bytes: piece 2, begin 16384, 16384 bytes                        [stage 5, BEP 3]
  0000  00 00 00 0d                                       length prefix  13  of what follows
  0004  06                                                id             6   request
  0005  00 00 00 02                                       index          2
  0009  00 00 40 00                                       begin          16384
  000d  00 00 40 00                                       length         16384
";

#[test]
fn hex_digits_may_have_spaces_or_be_several_arguments() {
    for words in [
        &["0000000d06000000020000400000004000"][..],
        &["0000000D 06 00000002 00004000 00004000"],
        &["0000000d", "06", "00000002", "00004000", "00004000"],
    ] {
        explain(words).prints(REQUEST);
    }
}

#[test]
fn each_thing_is_known_for_what_it_is() {
    let table = [
        (&["-TR3000-k8hj0wgej6ch"][..], "a peer id (the argument, 20 bytes)"),
        (&["-qB4520-vqtVTPVVVVVV"], "a peer id"),
        (&["0000000000100005"], "the reserved bytes of a handshake (the hex digits, 8 bytes)"),
        (&["magnet:?xt=urn:btih:d69f91e6b2ae4c542468d1073a71d4ea13879a7f"], "a magnet link"),
        (&["udp://127.0.0.1:6969/announce"], "a tracker's URL"),
        (&["d8:intervali1800e5:peers0:e"], "a tracker's answer"),
        (
            &[
                "13426974546f7272656e742070726f746f636f6c 0000000000100005 d69f91e6b2ae4c542468d1073a71d4ea13879a7f \
            2d5452333030302d6b38686a30776765 6a366368",
            ],
            "a handshake (the hex digits, 68 bytes)",
        ),
        (&["--as", "udp", "00000417271019800000000000000001"], "a packet of a UDP tracker"),
        (&["00000417271019800000000000000001", "--as", "udp"], "a packet of a UDP tracker"),
    ];
    for (words, what) in table {
        let outcome = explain(words);
        outcome.succeeds();
        assert!(
            outcome.out().lines().next().is_some_and(|line| line.contains(what)),
            "{what}: {outcome}"
        );
    }
}

#[test]
fn a_file_is_read_and_so_is_stdin() {
    let folder = folder();
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.path().join(name), bytes).expect("the folder can be written")
    };
    write("a.torrent", TORRENT);
    write("hello", &handshake());
    write("stream", &stream());
    write("hex", format!("{}\n", hex::encode(stream())).as_bytes());
    let run = |name: &str| Run::new(["explain", name]).dir(folder.path()).run();
    let first = |outcome: &Outcome| outcome.out().lines().next().unwrap_or_default().to_owned();
    assert_eq!(first(&run("a.torrent")), "This looks like a .torrent file (a.torrent, 139 bytes).");
    assert_eq!(first(&run("hello")), "This looks like a handshake (hello, 68 bytes).");
    let shown = run("stream");
    assert_eq!(
        first(&shown),
        "This looks like one direction of a connection between peers (stream, 3191 bytes)."
    );
    let objects: Vec<String> = shown
        .out()
        .lines()
        .filter_map(|line| Some(line.split_once(", ")?.0.to_owned()))
        .filter(|name| !name.starts_with(' '))
        .collect();
    let expected =
        ["extension handshake", "have all", "keep-alive", "ut_metadata request", "piece"];
    assert_eq!(objects[2..], expected, "{shown}");
    assert!(shown.out().contains("\n  0044  00 00 00 42 "), "offsets are the file's: {shown}");
    assert_eq!(
        first(&run("hex")),
        "This looks like one direction of a connection between peers (hex, hex digits, 3191 bytes)."
    );
    let file = std::fs::File::open(folder.path().join("hello")).expect("it was written");
    let outcome = Run::new(["explain", "-"]).stdin(file).run();
    assert_eq!(first(&outcome), "This looks like a handshake (stdin, 68 bytes).");
}

#[test]
fn what_is_broken_is_shown_and_is_bad_input() {
    let outcome = explain(&["0000000d 06 00000002 000040"]);
    fails(&outcome, 3, true);
    assert!(outcome.out().ends_with("  0009  00 00 40                                          begin          3 of 4 bytes\n                 ^^ byte 12: expected 13 bytes after the length, found 8\n"), "{outcome}");
    assert_eq!(
        outcome.err(),
        "error: the hex digits: the request: byte 12: expected 13 bytes after the length, found 8\n\
         help: the carets show where; if it is something else, say what, with --as\n\
         see: piecemeal chapter 5\n"
    );
}

#[test]
fn what_nobody_knows_is_bad_input_unless_it_is_said_what_it_is() {
    let unknown = explain(&["ffff"]);
    fails(&unknown, 3, false);
    unknown.mentions("--as KIND");
    fails(&explain(&["--as", "messages", "ffff"]), 3, true);
    let missing = explain(&["no/such.torrent"]);
    fails(&missing, 7, false);
    missing.mentions("no/such.torrent");
    fails(&explain(&["."]), 7, false);
    for words in [&["--as", "nonsense", "ffff"][..], &[]] {
        let outcome = explain(words);
        assert_eq!((outcome.code, outcome.stdout.is_empty()), (Some(2), true), "{outcome}");
    }
    explain(&["--as", "nonsense", "ffff"]).mentions("peer-id");
}

/// The first line of the answer.
fn first(outcome: &Outcome) -> String {
    outcome.out().lines().next().unwrap_or_default().to_owned()
}

#[test]
fn bytes_are_read_as_people_paste_them() {
    let hello = "13 42 69 74 54 6f 72 72 65 6e 74";
    let plain = explain(&[hello]);
    assert_eq!(first(&plain), "This looks like a handshake (the hex digits, 11 bytes).");
    let spellings = [
        hello.replace(' ', ":"),
        hello.replace(' ', ", "),
        hello.replace(' ', "-"),
        format!("[{}]", hello.replace(' ', ", ")),
        format!("{{0x{}}};", hello.replace(' ', ", 0x")),
        format!("0x{}", hello.replace(' ', "")),
        format!("\\x{}", hello.replace(' ', "\\x")),
    ];
    for spelling in spellings {
        assert_eq!(explain(&[&spelling]).out(), plain.out(), "{spelling}");
    }
    // A bencoded string is not a byte followed by letters.
    assert!(first(&explain(&["1:a"])).starts_with("This looks like bencode"));
    assert!(first(&explain(&["4:beef"])).starts_with("This looks like bencode"));
    let table = [
        ("b'\\x13BitTorrent protocol'", "this is a literal of a program", "print(data.hex())"),
        ("\"\\x13\\x42\"", "this is a literal of a program", "print(data.hex())"),
        (
            "00000000: 1342 6974 546f 7272 656e 7420 7072 6f74  .BitTorrent prot\n00000010: 6f63",
            "a dump with offsets",
            "xxd -p FILE",
        ),
        (
            "0000   13 42 69 74 54 6f 72 72 65 6e 74 20 70 72 6f 74   .BitTorrent prot",
            "a dump with offsets",
            "\"as a Hex Stream\"",
        ),
        ("[19, 66, 105, 116]", "a list of decimal numbers", "print(bytes(numbers).hex())"),
    ];
    for (text, what, help) in table {
        let outcome = explain(&[text]);
        fails(&outcome, 3, false);
        outcome.mentions(what);
        outcome.mentions(help);
    }
}

#[test]
fn forty_hex_digits_are_an_info_hash_or_a_peer_id() {
    let digits = "d69f91e6b2ae4c542468d1073a71d4ea13879a7f";
    let both = explain(&[digits]);
    both.succeeds();
    assert_eq!(
        first(&both),
        "This looks like an info hash or a peer id: both are 20 bytes (the hex digits, 20 bytes)."
    );
    for line in [
        "info hash d69f91e6b2ae4c542468d1073a71d4ea13879a7f",
        "or peer id d69f91e6b2ae",
        "it names no program",
    ] {
        assert!(both.out().contains(line), "{line}: {both}");
    }
    // One that names a program is no accident.
    let peer = explain(&["2d5452333030302d6b38686a3077676a6536636a"]);
    assert_eq!(first(&peer), "This looks like a peer id (the hex digits, 20 bytes).");
    assert_eq!(
        first(&explain(&["--as", "info-hash", digits])),
        "Taken for an info hash or a peer id: both are 20 bytes (the hex digits, 20 bytes)."
    );
}

#[test]
fn json_is_one_object_whole_or_broken() {
    let parse = |outcome: &Outcome| -> Value {
        serde_json::from_str(&outcome.out()).unwrap_or_else(|e| panic!("{e}: {outcome}"))
    };
    let good = explain(&["--json", "-TR3000-k8hj0wgej6ch"]);
    good.succeeds();
    let good = parse(&good);
    assert_eq!(
        (&good["kind"], &good["guessed"], &good["length"]),
        (&"peer-id".into(), &true.into(), &20.into())
    );
    assert_eq!(good["objects"][0]["fields"][0]["note"], "Transmission 3.0");
    let bad = parse(&explain(&["--json", "--as", "message", "00000005 04 00"]));
    assert_eq!(
        (&bad["exit_code"], &bad["guessed"], &bad["objects"][0]["broken"]["at"]),
        (&3.into(), &false.into(), &6.into())
    );
}

#[test]
fn nothing_in_it_reaches_the_terminal_as_it_is() {
    for word in [
        "d1:\x1b3:\x1b[2e",
        "-TR3000-\x1b]0;x\x07......",
        "magnet:?xt=urn:btih:d69f91e6b2ae4c542468d1073a71d4ea13879a7f&\x1b=%1b%07",
    ] {
        let outcome = explain(&[word]);
        assert!(outcome.out().contains("u{1b}"), "{outcome}");
        let harmless =
            |text: String| text.chars().all(|letter| letter == '\n' || !letter.is_control());
        assert!(harmless(outcome.out()) && harmless(outcome.err()), "{outcome}");
    }
}

#[test]
fn a_closed_stdout_ends_quietly() {
    let folder = folder();
    let file = folder.path().join("stream");
    std::fs::write(&file, [0; 4].repeat(10_000)).expect("the folder can be written");
    let (reader, writer) = std::io::pipe().expect("the system has a pipe");
    drop(reader);
    let outcome = Run::new(["explain"]).arg(&file).stdout(writer).run();
    assert_eq!((outcome.err().as_str(), outcome.code), ("", Some(0)), "{outcome}");
}

#[test]
fn the_help_fits_a_screen_and_its_examples_work() {
    let outcome = explain(&["--help"]);
    outcome.succeeds();
    let help = outcome.out();
    assert!(
        help.lines().count() <= 32 && help.lines().all(|line| line.chars().count() <= 100),
        "{help}"
    );
    let (_, examples) = help.split_once("Examples:\n").expect("there are examples");
    for example in examples
        .lines()
        .map(|line| line.trim().trim_start_matches("piecemeal "))
        .filter(|line| !line.contains("lab/"))
    {
        Run::new(example.split(' ')).run().succeeds();
    }
}
