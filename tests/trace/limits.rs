//! However much comes, the output is bounded, and says what is missing.

use super::bytes::{lines, sound};
use super::samples::described;
use piecemeal::trace::kind::{Kind, MAX_OBJECTS, left_over};
use piecemeal::trace::{MAX_FIELDS, MAX_ITEMS, Object};

#[track_caller]
fn one(kind: Kind, bytes: &[u8]) -> Object {
    let (_, object) = described(kind, bytes).remove(0);
    sound(&object, bytes);
    assert!(object.fields.len() <= MAX_FIELDS + 2 * MAX_ITEMS, "{} fields", object.fields.len());
    object
}

#[test]
fn a_hundred_thousand_files_are_counted_and_not_shown() {
    let files = "d6:lengthi1e4:pathl1:aee".repeat(100_000);
    let bytes = format!("d4:infod5:filesl{files}e4:name1:aee");
    let object = one(Kind::Bencode, bytes.as_bytes());
    let rest = object.field("info.files..").expect("a field for the rest");
    assert_eq!(
        rest.value,
        format!("{} more items, {} bytes", 100_000 - MAX_ITEMS, 24 * (100_000 - MAX_ITEMS))
    );
    assert_eq!(object.field("info.name").expect("what follows is shown").value, "\"a\"");
    assert!(lines(&object, bytes.as_bytes()).len() < 20_000);
}

#[test]
fn many_keys_are_counted_too() {
    let pairs: String = (100..500).map(|number| format!("3:{number}i1e")).collect();
    let object = one(Kind::Bencode, format!("d{pairs}e").as_bytes());
    assert_eq!(
        object.field("..").expect("a field for the rest").value,
        "336 more pairs, 2688 bytes"
    );
}

#[test]
fn lists_in_lists_in_lists_come_to_an_end() {
    let mut bytes = "i1e".to_owned();
    for _ in 0..5 {
        bytes = format!("l{}e", bytes.repeat(10));
    }
    let object = one(Kind::Bencode, bytes.as_bytes());
    let last = object.fields.last().expect("there are fields");
    assert_eq!((last.name.as_str(), last.note.as_str()), ("..", "not shown"));
    let deep = "l".repeat(64) + &"e".repeat(64);
    assert_eq!(one(Kind::Bencode, deep.as_bytes()).broken, None);
    let deeper = "d1:a".repeat(100_000);
    assert_eq!(
        one(Kind::Bencode, deeper.as_bytes()).broken.expect("it nests too deep").range.start,
        64 * 4
    );
}

#[test]
fn a_long_string_is_cut() {
    let bytes = format!("{}:{}", 3 << 20, "\x1b".repeat(3 << 20));
    let shown = lines(&one(Kind::Bencode, bytes.as_bytes()), bytes.as_bytes());
    assert!(shown.len() < 1_500 && shown.contains("(3145728 bytes)"), "{shown}");
}

#[test]
fn an_extension_with_a_long_name_is_cut_too() {
    let name = "\x1b".repeat(1 << 20);
    let bytes = format!("d1:md{}:{name}i1eee", name.len());
    let object = one(Kind::Extension, bytes.as_bytes());
    assert!(object.summary.len() < 400, "{} bytes", object.summary.len());
}

#[test]
fn what_is_in_what_is_not_shown_breaks_all_the_same() {
    let bytes = format!("l{}i02ee", "i1e".repeat(1000));
    let object = one(Kind::Bencode, bytes.as_bytes());
    assert_eq!(object.broken.as_ref().expect("a leading zero").range, 3001..3002);
    assert_eq!(object.covered(), 3001);
}

#[test]
fn a_thousand_peers_are_a_few_lines() {
    let peers = [
        b"\0\0\0\x01\xde\xad\xbe\xef\0\0\x07\x08\0\0\0\x01\0\0\0\x02".to_vec(),
        b"\x7f\0\0\x02\x1a\xe1".repeat(1000),
    ]
    .concat();
    let object = one(Kind::Udp, &peers);
    assert_eq!(
        object.fields.last().expect("a last field").value,
        format!("{} more, {} bytes", 1000 - MAX_ITEMS, 6 * (1000 - MAX_ITEMS))
    );
    assert_eq!(object.summary, "1000 peers");
    let mut packet = super::samples::udp_announce();
    packet.extend([1; 14]);
    assert_eq!(one(Kind::Udp, &packet).field("options"), None, "all 16 are shown");
    packet.extend([1; 60_000]);
    assert!(one(Kind::Udp, &packet).field("options").is_some());
}

#[test]
fn a_long_stream_ends_after_some_objects_and_says_what_is_left() {
    let bytes = [0; 4].repeat(100_000);
    let objects = Kind::Stream.describe(&bytes, &Default::default());
    assert_eq!(objects.len(), MAX_OBJECTS);
    assert_eq!(
        left_over(&objects, &bytes),
        Some(format!("{} bytes more", 400_000 - 4 * MAX_OBJECTS))
    );
    assert_eq!(left_over(&objects[..1], b"\0\0\0\0\n"), None);
}

/// A magnet link and a URL may have any number of parameters.
#[test]
fn many_parameters_come_to_an_end() {
    let link = format!(
        "magnet:?xt=urn:btih:d69f91e6b2ae4c542468d1073a71d4ea13879a7f{}",
        "&tr=a".repeat(20_000)
    );
    one(Kind::Magnet, link.as_bytes());
    let url = format!("http://a/?{}", "a=b&".repeat(20_000));
    one(Kind::Url, url.as_bytes());
}

/// BEP 11 allows for 50. A message may hold many more.
#[test]
fn thousands_of_exchanged_peers_are_a_few_lines() {
    let mut payload = b"d5:added60000:".to_vec();
    payload.extend(b"\x7f\0\0\x02\x1a\xe1".repeat(10_000));
    payload.extend(b"7:added.f10000:");
    payload.extend([0xff; 10_000]);
    payload.push(b'e');
    let object = one(Kind::Messages, &crate::support::wire::extended(1, &payload));
    assert_eq!((object.summary.as_str(), &object.broken), ("10000 added, 0 dropped", &None));
    assert!(object.fields.len() < 50, "{} fields", object.fields.len());
}
