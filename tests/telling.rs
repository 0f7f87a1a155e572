//! What the tests' own comparisons say when they fail: these words are all that a learner has.

#[path = "plants/list.rs"]
mod list;
mod support;

use std::panic::catch_unwind;
use support::{
    Complaint, Must, Script, Verdict, assert_chosen, assert_number, assert_read, assert_value,
    assert_wire, in_time, insist, insist_eq, reading, wire_is,
};

/// The words with which this fails; it must.
#[track_caller]
fn words(fails: impl FnOnce() + std::panic::UnwindSafe) -> String {
    let panic = catch_unwind(fails).expect_err("it must fail");
    panic.downcast_ref::<String>().expect("a test fails with words").clone()
}

const HANDSHAKE: &[u8; 68] =
    b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\0aaaaaaaaaaaaaaaaaaaa-PM0001-cccccccccccc";

#[test]
fn bytes_that_differ_are_shown_with_their_field_the_clause_and_the_usual_mistake() {
    let mut without = HANDSHAKE.to_vec();
    without.drain(20..28);
    let said = words(move || assert_wire(&without, HANDSHAKE, "BEP 10, handshake"));
    let expected = "\
the handshake, byte 20, reserved bytes: expected 00, found 61   [BEP 10, handshake; piecemeal chapter 4]
  0014  00 00 00 00 00 10 00 00  ........          reserved bytes   expected
  0014  61 61 61 61 61 61 61 61  aaaaaaaa          reserved bytes   found
        ^^
60 bytes in all, but expected 68
hint: the field \"reserved bytes\" is missing: what follows it comes in its place";
    assert_eq!(said, expected);
}

#[test]
fn a_number_is_shown_as_one_with_the_reason_of_a_known_wrong_value() {
    for (found, expected, word) in [
        (
            &b"\0\0\0\x05\x00"[..],
            &b"\0\0\0\x01\x00"[..],
            "the messages, byte 3, choke: length prefix: expected 1, found 5   [BEP 3, messages; piecemeal chapter 5]",
        ),
        (b"\0\0\0\x05\x00", b"\0\0\0\x01\x00", "hint: a length does not count its own four bytes"),
        (
            b"\0\0\0\x04\x04\0\0\0\x07",
            b"\0\0\0\x05\x04\0\0\0\x07",
            "hint: a length also counts the id",
        ),
        (
            b"\0\0\0\x05\x04\x07\0\0\0",
            b"\0\0\0\x05\x04\0\0\0\x07",
            "byte 5, have: index: expected 7, found 117440512",
        ),
        (
            b"\0\0\0\x05\x04\x07\0\0\0",
            b"\0\0\0\x05\x04\0\0\0\x07",
            "hint: it was sent low byte first",
        ),
        (
            b"\0\0\0\x0d\x06\0\0\0\x01\0\0\x80\0\0\0\x40\0",
            b"\0\0\0\x0d\x06\0\0\0\x01\0\0\x80\0\0\0\x1c\x40",
            "byte 15, request: length: expected 7232, found 16384",
        ),
        (
            b"\0\0\0\x0d\x06\0\0\0\x01\0\0\x80\0\0\0\x40\0",
            b"\0\0\0\x0d\x06\0\0\0\x01\0\0\x80\0\0\0\x1c\x40",
            "hint: the last block of a piece is what is left of it",
        ),
        (b"\0\0\0\x02\x05\x01", b"\0\0\0\x02\x05\x80", "hint: the first piece is the highest bit"),
        (
            b"\0\0\0\x04\x14\x01de",
            b"\0\0\0\x04\x14\x03de",
            "byte 5, extended: extension id: expected 3, found 1",
        ),
        (b"\0\0\0\0\0", b"\0\0\0\0", "byte 4, what follows the end: expected the end, found 00"),
        (b"\0\0", b"\0\0\0\0", "byte 2, keep-alive: length prefix: expected 0, found the end"),
    ] {
        let said = words(move || assert_wire(found, expected, "BEP 3, messages"));
        assert!(said.contains(word), "{word:?} is not in:\n{said}");
    }
    let said = words(|| {
        assert_number("the size of piece 1", 4, 3, "BEP 3, info dictionary", &[(4, "because")])
    });
    assert_eq!(
        said,
        "the size of piece 1: expected 3, found 4   [BEP 3, info dictionary; piecemeal chapter 2]\nhint: because"
    );
}

#[test]
fn the_fields_of_every_kind_of_bytes_have_names() {
    let udp = |rest: &[u8]| [&b"\x11\x22\x33\x44\x55\x66\x77\x88"[..], rest].concat();
    let announce = udp(&[&b"\0\0\0\x01\xde\xad\xbe\xef"[..], &[7; 82]].concat());
    let mut other = announce.clone();
    other[83] = 9;
    for (clause, found, expected, word) in [
        (
            "BEP 3, bencode",
            &b"d1:ad1:bi2eee"[..],
            &b"d1:ad1:bi1eee"[..],
            "byte 9, a.b: expected 31",
        ),
        ("BEP 3, bencode", b"l1:a1:ce", b"l1:a1:be", "byte 6, [1]: expected 62, found 63"),
        ("BEP 3, query", b"a=1&port=2", b"a=1&port=1", "byte 9, port: expected 31, found 32"),
        (
            "BEP 23, compact peers",
            b"\x7f\0\0\x01\xe1\x1a",
            b"\x7f\0\0\x01\x1a\xe1",
            "peer 0: port: expected 6881, found 57626",
        ),
        ("BEP 3, bitfield", b"\0\x01", b"\0\x80", "byte 1, pieces 8 to 15: expected 80, found 01"),
        ("BEP 9, metadata message", b"d5:piecei0eexy", b"d5:piecei0eexx", "byte 13, data"),
        ("BEP 15, packets", &other, &announce, "byte 83, event: expected 117901063"),
        ("BEP 15, packets", b"\0\0\0\0\0\0\0\x01\x01", b"\0\0\0\0\0\0\0\x01\x02", "connection id"),
    ] {
        let (found, expected) = (found.to_vec(), expected.to_vec());
        let said = words(move || assert_wire(&found, &expected, clause));
        assert!(said.contains(word), "{word:?} is not in:\n{said}");
    }
}

#[test]
fn only_keys_in_another_order_are_told_to_be_sorted() {
    let right = b"d2:aai1e1:bi2ee";
    for (found, is_order) in [
        (&b"d1:bi2e2:aai1ee"[..], true),
        (b"d2aai1e1bi2ee", false),
        (b"d1:bi2ee", false),
        (b"d3:aaai1e1:bi2ee", false),
    ] {
        let said = words(move || assert_wire(found, right, "BEP 3, bencode"));
        assert_eq!(said.contains("must be sorted"), is_order, "{said}");
    }
}

#[test]
fn values_and_choices_are_shown_one_below_the_other_and_with_their_reason() {
    let said = words(|| {
        assert_read(
            b"\x04\0\0\0\x07",
            "Have { index: 9 }",
            "Have { index: 7 }",
            "BEP 3, message without its length",
        )
    });
    for word in [
        "expected  \"Have { index: 7 }\"",
        "found     \"Have { index: 9 }\"",
        "  0001  00 00 00 07  ....              have: index",
        "[BEP 3, message without its length; piecemeal chapter 5]",
    ] {
        assert!(said.contains(word), "{word:?} is not in:\n{said}");
    }
    let said = words(|| assert_value("the id", Some(1), Some(3), "BEP 10, extension handshake"));
    assert!(
        said.ends_with("             ^   [BEP 10, extension handshake; piecemeal chapter 7]")
            || said.contains("^"),
        "{said}"
    );
    let said =
        words(|| assert_chosen("the slots", [0, 2], [1, 2], "it gave most", "BEP 3, choking"));
    assert_eq!(
        said,
        "the slots: [0, 2] was chosen, but it must be [1, 2]   [BEP 3, choking; piecemeal chapter 17]\nwhy: it gave most"
    );
}

#[test]
fn a_panic_says_what_was_being_read() {
    let said = words(|| reading(b"\x07\0\0", || panic!("mid > len")));
    assert_eq!(
        said,
        "that was while it read these bytes:\n  0000  07 00 00     ...               3 bytes in all"
    );
    assert_eq!(reading(b"", || 7), 7);
}

fn script(said: &[u8]) -> Verdict {
    wire_is(said, b"\0\0\0\0", "BEP 3, messages")?;
    insist!(said.len() == 4, "{} bytes", said.len());
    insist_eq!(said.first().copied().must("a byte")?, 0);
    Ok(())
}

#[test]
fn a_script_that_complains_fails_the_test_with_its_own_words_and_place() {
    Script::start(|| script(&[0; 4])).verdict();
    let said = words(|| Script::start(|| script(&[1; 4])).verdict());
    assert!(said.contains("keep-alive: length prefix: expected 0"), "{said}");
    assert!(said.contains("\n  in the script at tests/telling.rs:"), "{said}");
    // Through the errors of a stream, and back.
    let error = std::io::Error::from(Complaint::new("it is wrong"));
    assert_eq!(Complaint::of(&error).expect("it is one").words(), "it is wrong");
    assert_eq!(Complaint::from(error).words(), "it is wrong");
    // A panic of the code under test is the test's.
    let said = words(|| in_time(|| panic!("{}", "not yet")));
    assert_eq!(said, "not yet");
}

#[test]
fn the_plants_are_still_in_the_source_and_their_tests_are_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = |target: &str| -> String {
        let folder = root.join("tests").join(target);
        let children = std::fs::read_dir(folder).into_iter().flatten().flatten();
        children
            .map(|entry| entry.path())
            .chain([root.join(format!("tests/{target}.rs"))])
            .filter(|path| path.is_file()) // beside them may be a folder of data
            .map(|path| std::fs::read_to_string(path).expect("a test is text"))
            .collect()
    };
    let plants = list::plants();
    assert!(plants.len() >= 25, "{} plants", plants.len());
    for plant in plants {
        plant.planted(root).unwrap_or_else(|error| panic!("{error}"));
        let (target, name) = &plant.test;
        assert!(sources(target).contains(&format!("fn {name}(")), "{}: no test {name}", plant.name);
    }
}
