//! The context of an object: the receiver's extension ids, the number of pieces. Also what a
//! wiretap and a program need: objects one at a time, and JSON.

use super::bytes::{handshake, sound};
use super::samples::stream;
use super::tape::Tape;
use crate::support::wire;
use piecemeal::trace::capture::{Capture, Event, EventKind};
use piecemeal::trace::stream::{Next, all, begins_with};
use piecemeal::trace::text::{self, TextOptions};
use piecemeal::trace::{Context, Placed, json, s05};
use serde_json::json;

#[test]
fn an_extension_message_is_known_by_the_number_that_the_receiver_gave() {
    let names = [
        (3, "lt_donthave"),
        (4, "upload_only"),
        (5, "ut_metadata"),
        (6, "ut_new\x1b"),
        (7, "ut_pex"),
    ];
    let context = Context {
        extensions: names.map(|(id, name)| (id, name.to_owned())).into(),
        ..Context::default()
    };
    let describe = |id: u8, payload: &[u8]| {
        let bytes = wire::extended(id, payload);
        let object = s05::message(&bytes, &context);
        sound(&object, &bytes);
        (object.name.clone(), object.fields[2].note.clone(), object.broken.is_some())
    };
    let by = |name: &str| format!("{name}, according to the receiver's handshake");
    assert_eq!(describe(3, b"\0\0\0\x05"), ("lt_donthave".into(), by("lt_donthave"), false));
    assert_eq!(describe(3, b"\0\0\x05"), ("lt_donthave".into(), by("lt_donthave"), true));
    assert_eq!(
        describe(5, b"d8:msg_typei2e5:piecei0ee"),
        ("ut_metadata reject".into(), by("ut_metadata"), false)
    );
    assert_eq!(describe(5, b"nonsense"), ("ut_metadata".into(), by("ut_metadata"), true));
    assert_eq!(describe(4, b"\x01"), ("upload_only".into(), by("upload_only"), false));
    assert_eq!(describe(4, b""), ("upload_only".into(), by("upload_only"), true));
    assert_eq!(describe(7, b"d5:added0:e"), ("ut_pex".into(), by("ut_pex"), false));
    assert_eq!(describe(7, b"de"), ("ut_pex".into(), by("ut_pex"), false));
    for broken in [&b""[..], b"le", b"d5:added0:ee", b"d5:added9:"] {
        assert_eq!(describe(7, broken), ("ut_pex".into(), by("ut_pex"), true));
    }
    assert_eq!(describe(6, b"d5:added0:e"), ("ut_new\\u{1b}".into(), by("ut_new\\u{1b}"), false));
    let looks = "ut_pex by its looks; the receiver's handshake says it";
    assert_eq!(describe(9, b"d5:added0:e"), ("ut_pex".into(), looks.into(), false));
    assert_eq!(describe(9, b"?").0, "extension message");
}

#[test]
fn a_bitfield_is_checked_where_the_number_of_pieces_is_known() {
    let bytes = wire::message(5, b"\xff\xe0");
    let know =
        |pieces| s05::message(&bytes, &Context { pieces: Some(pieces), ..Context::default() });
    assert_eq!((know(11).summary.as_str(), know(11).broken), ("11 of 11 pieces", None));
    assert_eq!(
        (know(16).summary.as_str(), know(16).fields[2].note.as_str()),
        ("11 of 16 pieces", "first piece in the highest bit")
    );
    let spare = know(10);
    assert_eq!((spare.summary.as_str(), &spare.broken), ("10 of 10 pieces", &None));
    let note = "first piece in the highest bit; breaks a rule: its bitfield sets bits beyond the last piece, \
                which must be zero (BEP 3); they are passed over";
    assert_eq!(spare.fields[2].note, note);
    assert!(know(17).broken.is_some());
    let large = wire::message(5, &vec![0; 2 << 20]);
    assert!(s05::message(&large, &Context::default()).broken.is_some());
    assert_eq!(
        s05::message(&large, &Context { pieces: Some(16 << 20), ..Context::default() }).broken,
        None
    );
}

/// All at once, or byte by byte as in a capture.
#[test]
fn a_stream_is_cut_into_the_same_objects_however_it_comes() {
    let bytes = stream();
    let (whole, end) = all(&bytes, begins_with(&bytes), &Context::default(), usize::MAX);
    assert_eq!((whole.len(), end), (6, bytes.len()));
    let tape = bytes.iter().fold(Tape::new(), |tape, byte| tape.out(1, [*byte]));
    let capture = Capture::read(tape.0.as_bytes()).expect("it is a capture");
    let said = |event: &Event| match &event.kind {
        EventKind::Object(said) => Placed { at: said.range.start, object: said.object.clone() },
        EventKind::End => panic!("it does not end"),
    };
    assert_eq!(capture.events.iter().map(said).collect::<Vec<_>>(), whole);
}

/// A block's data need not be there to be described.
#[test]
fn bytes_that_are_not_there_are_not_shown() {
    let bytes = wire::block(1, 0, &[0xab; 100]);
    let object = s05::message(&bytes, &Context::default());
    let shown = text::object(&object, &bytes[..13], TextOptions { at: 0x1_0000, color: false });
    assert!(
        shown.ends_with(&format!(
            "\n  1000d  {:<48}  block          100 bytes  data, not shown",
            "…"
        )),
        "{shown}"
    );
    assert_eq!(json::object(&object, &bytes[..13], 0)["fields"][4]["hex"], "");
}

#[test]
fn colors_are_only_where_they_are_asked_for() {
    let bytes = &handshake()[..30];
    let object = Next::Handshake.describe(bytes, &Context::default());
    let colored = text::object(&object, bytes, TextOptions { at: 0, color: true });
    let plain = text::object(&object, bytes, TextOptions::default());
    assert!(colored.contains("\x1b[1;31m^^ byte 30") && !plain.contains('\x1b'), "{colored}");
    let without = ["\x1b[1m", "\x1b[2m", "\x1b[1;31m", "\x1b[0m"]
        .iter()
        .fold(colored, |text, code| text.replace(code, ""));
    assert_eq!(without, plain);
}

#[test]
fn json_has_the_same_fields() {
    let bytes = b"\0\0\0\x05\x04\0\0";
    let object = s05::message(bytes, &Context::default());
    assert_eq!(
        json::object(&object, bytes, 100),
        json!({
            "at": 100, "length": 7, "name": "have", "summary": "", "stage": 5, "spec": "BEP 3",
            "fields": [
                { "at": 100, "length": 4, "hex": "00000005", "name": "length prefix", "value": "5", "note": "of what follows" },
                { "at": 104, "length": 1, "hex": "04", "name": "id", "value": "4", "note": "have" },
                { "at": 105, "length": 2, "hex": "0000", "name": "index", "value": "2 of 4 bytes", "note": "" },
            ],
            "broken": { "at": 107, "length": 0, "expected": "5 bytes after the length", "found": "3" },
        })
    );
}
