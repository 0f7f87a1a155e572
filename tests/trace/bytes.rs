//! Bytes that all these tests use, written out by hand.

use piecemeal::trace::Object;
use piecemeal::trace::text::{self, TextOptions};

pub const INFO_HASH: &[u8; 20] =
    b"\xd6\x9f\x91\xe6\xb2\xae\x4c\x54\x24\x68\xd1\x07\x3a\x71\xd4\xea\x13\x87\x9a\x7f";

/// A handshake of Transmission, with the extension protocol, the fast extension and DHT.
pub fn handshake() -> Vec<u8> {
    [&b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\x05"[..], INFO_HASH, b"-TR3000-k8hj0wgej6ch"]
        .concat()
}

/// The lines, without trailing spaces.
pub fn lines(object: &Object, bytes: &[u8]) -> String {
    text::object(object, bytes, TextOptions::default())
}

/// Checks for characters that a terminal obeys, or that are invisible.
#[track_caller]
pub fn harmless(text: &str) {
    let turns = |letter| matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let bad = |letter: char| {
        letter.is_control() && letter != '\n' || turns(letter) || letter == '\u{feff}'
    };
    assert!(!text.contains(bad), "{text:?}");
}

/// Checks what holds for every description.
#[track_caller]
pub fn sound(object: &Object, bytes: &[u8]) {
    let shown = lines(object, bytes);
    let mut end = 0;
    for field in &object.fields {
        assert_eq!(field.range.start, end, "a field begins where the one before ended:\n{shown}");
        assert!(field.range.end > end, "a field has bytes:\n{shown}");
        end = field.range.end;
    }
    assert!(end <= object.length && object.length <= bytes.len(), "{shown}");
    match &object.broken {
        None => assert_eq!(end, object.length, "what is whole is described to its end:\n{shown}"),
        Some(broken) => assert!(
            broken.range.start <= broken.range.end && broken.range.end <= object.length,
            "{shown}"
        ),
    }
    harmless(&shown);
    assert!(shown.len() < 400_000, "{} bytes of text", shown.len());
}
