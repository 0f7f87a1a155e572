//! Stage 1 from outside: bencode that is right, wrong, huge, deep and mutilated.

mod support;

use piecemeal::s01_bencode::forgiving::{PassedOver, decode_first_keys};
use piecemeal::s01_bencode::limits::{Limits, TORRENT, decode_within};
use piecemeal::s01_bencode::rules::Rule;
use piecemeal::s01_bencode::{
    self, BencodeError, Kind, MAX_DEPTH, MAX_ITEMS, Value, decode_prefix, encode, excerpt,
    printable,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::Duration;
use support::told::Plain;
use support::{assert_read, assert_value, assert_wire, reading, within};

/// Decodes a value. If that panics, the failure also names the bytes.
#[track_caller]
fn decode(input: &[u8]) -> Result<Value<'_>, BencodeError> {
    reading(input, || s01_bencode::decode(input))
}

/// The kind of a value that must be right.
fn kind(input: &[u8]) -> Kind<'_> {
    decode(input)
        .unwrap_or_else(|error| panic!("{:?}: {error}", String::from_utf8_lossy(input)))
        .kind
}

/// Offset, path and rule of an input that must be wrong.
fn broken(input: &[u8]) -> (usize, String, Rule) {
    let error =
        decode(input).expect_err(&format!("{:?} was taken", String::from_utf8_lossy(input)));
    (error.at, error.path, error.rule)
}

/// Fails unless the input is refused at this byte, for this reason.
#[track_caller]
fn assert_refused(input: &[u8], at: usize, rule: &Rule) {
    let told = |at, rule: &Rule| format!("refused at byte {at}: {rule} ({rule:?})");
    let found = match decode(input) {
        Ok(value) => format!("taken as {:?}", value.kind),
        Err(error) => told(error.at, &error.rule),
    };
    assert_read(input, Plain(found), Plain(told(at, rule)), "BEP 3, bencode");
}

#[test]
fn the_integers_of_bep_3_are_read() {
    for (input, expected) in [(&b"i3e"[..], 3), (b"i-3e", -3), (b"i0e", 0)] {
        assert_read(input, kind(input), Kind::Integer(expected), "BEP 3, bencode");
    }
}

#[test]
fn the_string_of_bep_3_is_read() {
    assert_read(b"4:spam", kind(b"4:spam"), Kind::Bytes(b"spam"), "BEP 3, bencode");
}

#[test]
fn the_list_of_bep_3_is_read() {
    let input = b"l4:spam4:eggse";
    let list = decode(input).expect("it is in BEP 3");
    let items: Option<Vec<_>> = list.list().map(|list| list.iter().map(Value::text).collect());
    assert_read(input, items, Some(vec![Some("spam"), Some("eggs")]), "BEP 3, bencode");
}

#[test]
fn the_dictionary_of_bep_3_is_read() {
    let input = b"d3:cow3:moo4:spam4:eggse";
    let dictionary = decode(input).expect("it is in BEP 3");
    let text = |key| dictionary.get(key).and_then(Value::text);
    assert_read(input, (text("cow"), text("spam")), (Some("moo"), Some("eggs")), "BEP 3, bencode");
}

#[test]
fn the_list_in_a_dictionary_of_bep_3_is_read() {
    let input = b"d4:spaml1:a1:bee";
    let nested = decode(input).expect("it is in BEP 3");
    let count = nested.get("spam").and_then(Value::list).map(<[Value]>::len);
    assert_read(input, count, Some(2), "BEP 3, bencode");
}

/// The value where a key may repeat, encoded again, and the notes.
fn first_keys(input: &[u8]) -> (Kind<'_>, Vec<String>) {
    let mut passed_over = PassedOver::default();
    let value = decode_first_keys(input, TORRENT, &mut passed_over)
        .unwrap_or_else(|error| panic!("{error}"));
    (value.kind, passed_over.into_notes())
}

#[test]
fn of_equal_keys_the_first_counts_where_that_is_asked_for() {
    let note = |path: &str| format!("{path} appears more than once: the first one counts");
    assert_eq!(first_keys(b"d1:ai1e1:bi2ee"), (kind(b"d1:ai1e1:bi2ee"), vec![]));
    assert_eq!(first_keys(b"d1:ai1e1:ai2ee"), (kind(b"d1:ai1ee"), vec![note("a")]));
    // Wherever they are, however often, and in any order of the keys.
    assert_eq!(
        first_keys(b"d1:bi1e1:ai2e1:bi3e1:cle1:bi4ee"),
        (kind(b"d1:bi1e1:ai2e1:clee"), vec![note("b"), note("b")])
    );
    let (nested, notes) = first_keys(b"d1:mld1:xi1e1:xi2eee1:m0:e");
    assert_eq!(notes, [note("m[0].x"), note("m")]);
    let Kind::Dictionary(pairs) = nested else { panic!("{nested:?}") };
    assert_eq!(
        (pairs.len(), pairs[0].1.list().map(|list| list[0].get("x").and_then(Value::integer))),
        (1, Some(Some(1)))
    );
    // The raw bytes are still those of the input.
    let mut passed_over = PassedOver::default();
    let raw =
        decode_first_keys(b"d1:ai1e1:ai2eexyz", TORRENT, &mut passed_over).map(|value| value.raw);
    assert_eq!(raw, Ok(&b"d1:ai1e1:ai2ee"[..]));
    // Nothing else is passed over, and elsewhere repeated keys are errors.
    for input in [&b"d1:ai1e1:ai02ee"[..], b"d1:a1:x1:a", b"d1:ai1e1:ai2e"] {
        assert!(decode_first_keys(input, TORRENT, &mut passed_over).is_err());
    }
    assert!(
        matches!(broken(b"d1:bi1e1:ai2e1:bi3ee"), (13, _, Rule::DuplicateKey { key }) if key == "b")
    );
    let many = ["d".to_owned(), "1:ai1e".repeat(1000), "e".to_owned()].concat();
    let notes = first_keys(many.as_bytes()).1;
    assert_eq!(
        (notes.len(), notes.last().map(String::as_str)),
        (9, Some("there are 991 more notes like these"))
    );
}

#[test]
fn the_smallest_and_the_largest_values_are_read() {
    assert_eq!(kind(b"0:"), Kind::Bytes(b""));
    assert_eq!(kind(b"le"), Kind::List(vec![]));
    assert_eq!(kind(b"de"), Kind::Dictionary(vec![]));
    assert_eq!(
        kind(b"d0:0:e"),
        Kind::Dictionary(vec![(b"", Value { raw: b"0:", kind: Kind::Bytes(b"") })])
    );
    assert_eq!(kind(b"i9223372036854775807e"), Kind::Integer(i64::MAX));
    assert_eq!(kind(b"i-9223372036854775808e"), Kind::Integer(i64::MIN));
}

#[test]
fn a_string_is_bytes_and_need_not_be_text() {
    let value = decode(b"4:\xff\x00\n:").expect("any bytes may stand in a string");
    assert_eq!(value.bytes(), Some(&b"\xff\x00\n:"[..]));
    assert_eq!(value.text(), None);
}

#[test]
fn malformed_input_is_refused_at_the_byte_that_breaks_the_rule() {
    let bad = |found: &str| Rule::BadInteger { found: found.to_owned() };
    let long = |found: &str| Rule::BadLength { found: found.to_owned() };
    let table: &[(&[u8], usize, Rule)] = &[
        (b"", 0, Rule::Ended),
        (b"x", 0, Rule::NotAValue { found: b'x' }),
        (b"e", 0, Rule::NotAValue { found: b'e' }),
        (b"-1:a", 0, Rule::NotAValue { found: b'-' }),
        (b"\xff", 0, Rule::NotAValue { found: 0xff }),
        (b"l\n", 1, Rule::NotAValue { found: b'\n' }),
        (b"ie", 0, bad("")),
        (b"i-e", 0, bad("-")),
        (b"i-0e", 0, bad("-0")),
        (b"i01e", 0, bad("01")),
        (b"i-01e", 0, bad("-01")),
        (b"i+1e", 0, bad("+1")),
        (b"i--1e", 0, bad("--1")),
        (b"i 1e", 0, bad(" 1")),
        (b"i1 e", 0, bad("1 ")),
        (b"i0x1e", 0, bad("0x1")),
        (b"i1.5e", 0, bad("1.5")),
        (
            b"i9223372036854775808e",
            0,
            Rule::IntegerTooLarge { found: "9223372036854775808".into() },
        ),
        (
            b"i-9223372036854775809e",
            0,
            Rule::IntegerTooLarge { found: "-9223372036854775809".into() },
        ),
        (b"01:a", 0, long("01")),
        (b"00:", 0, long("00")),
        (b"1 :a", 0, long("1 ")),
        (b"1x:a", 0, long("1x")),
        (b"4", 0, Rule::UnendedLength),
        (b"li1ei2", 4, Rule::UnendedInteger),
        (b"5:spam", 0, Rule::CutShort { length: "5".into(), left: 4 }),
        (b"l1:a9:x", 4, Rule::CutShort { length: "9".into(), left: 1 }),
        (b"di1e1:ae", 1, Rule::KeyNotBytes { found: b'i' }),
        (b"dlee", 1, Rule::KeyNotBytes { found: b'l' }),
        (b"d1:ae", 4, Rule::NotAValue { found: b'e' }),
        (b"d1:a0:1:a0:e", 6, Rule::DuplicateKey { key: "a".to_owned() }),
        (b"i1ei2e", 3, Rule::Trailing { left: 3 }),
        (b"4:spam\n", 6, Rule::Trailing { left: 1 }),
        (b"lee", 2, Rule::Trailing { left: 1 }),
    ];
    for (input, at, rule) in table {
        assert_refused(input, *at, rule);
    }
}

#[test]
fn a_length_that_is_not_digits_is_called_that_even_when_it_is_not_utf_8() {
    let (_, _, rule) = broken(b"1\xff:a");
    assert!(matches!(rule, Rule::BadLength { .. }), "{rule:?}");
    let (_, _, rule) = broken(b"i1\xffe");
    assert!(matches!(rule, Rule::BadInteger { .. }), "{rule:?}");
}

#[test]
fn a_value_cut_at_any_length_is_refused() {
    let whole = b"d8:announce3:url4:infod6:lengthi-12e5:listsll1:aelei0eee1:z0:e";
    decode(whole).expect("the whole is right");
    for length in 0..whole.len() {
        let error = decode_prefix(&whole[..length]).expect_err("a part is not the whole");
        assert!(error.at <= length, "byte {} of {length}", error.at);
    }
}

#[test]
fn a_huge_length_is_refused_without_being_believed() {
    for length in [
        "2147483648",
        "4294967296",
        "9223372036854775807",
        "18446744073709551615",
        "18446744073709551616",
    ] {
        let rule = Rule::CutShort { length: length.to_owned(), left: 3 };
        assert_refused(format!("{length}:abc").as_bytes(), 0, &rule);
    }
    // Longer than any number: the decoder must not search all of the input for its end.
    broken(&[&b"i"[..], &vec![b'1'; 1 << 20], b"e"].concat());
    broken(&[&vec![b'1'; 1 << 20][..], b":"].concat());
}

#[test]
fn lists_and_dictionaries_nest_to_the_limit_and_no_deeper() {
    let nested = |open: &[u8], inner: &[u8], depth: usize| {
        [&open.repeat(depth)[..], inner, &b"e".repeat(depth)].concat()
    };
    for (open, inner) in [(&b"l"[..], &b"i1e"[..]), (b"d1:a", b"i1e"), (b"l", b"")] {
        decode(&nested(open, inner, MAX_DEPTH)).expect("the limit itself is allowed");
        let too_deep = Rule::TooDeep { most: MAX_DEPTH };
        assert_refused(&nested(open, inner, MAX_DEPTH + 1), open.len() * MAX_DEPTH, &too_deep);
    }
    assert_eq!(broken(&vec![b'l'; 5_000_000]).2, Rule::TooDeep { most: MAX_DEPTH });
    assert_eq!(broken(&b"d1:a".repeat(1_000_000)).2, Rule::TooDeep { most: MAX_DEPTH });
}

#[test]
fn a_message_has_closer_limits() {
    let limits = Limits { depth: 2, items: 4 };
    assert_eq!(decode_within(b"lli1ei2eeexyz", limits).map(|value| value.raw.len()), Ok(10));
    let rule = |input: &[u8]| decode_within(input, limits).expect_err("beyond a limit").rule;
    assert_eq!(rule(b"llleee"), Rule::TooDeep { most: 2 });
    assert_eq!(rule(b"li1ei2ei3ei4ee"), Rule::TooManyItems { most: 4 });
    let first =
        decode_first_keys(b"d1:ai1e1:ai2e1:ai3e1:ai4ee", limits, &mut PassedOver::default());
    assert_eq!(first.expect_err("repeated keys count").rule, Rule::TooManyItems { most: 4 });
}

#[test]
fn more_values_than_the_limit_are_refused() {
    let input = [&b"l"[..], &b"0:".repeat(MAX_ITEMS), b"e"].concat();
    // The list itself counts as a value, so its last item is one too many.
    assert_eq!(
        broken(&input),
        (
            1 + 2 * (MAX_ITEMS - 1),
            format!("[{}]", MAX_ITEMS - 1),
            Rule::TooManyItems { most: MAX_ITEMS }
        )
    );
}

#[test]
fn a_prefix_is_decoded_and_tells_where_it_ended() {
    // A metadata message of BEP 9: a dictionary, followed by plain bytes.
    let message = b"d8:msg_typei1e5:piecei0e10:total_sizei3eed1:";
    let value = decode_prefix(message).expect("what follows does not matter");
    assert_eq!(value.raw.len(), 41);
    assert_eq!(&message[value.raw.len()..], b"d1:");
    assert_eq!(decode_prefix(b"i1e\xff\xff").expect("bytes behind it").raw, b"i1e");
    assert_eq!(decode_prefix(b"0:0:").expect("bytes behind it").raw, b"0:");
}

#[test]
fn each_value_keeps_the_bytes_it_was_read_from() {
    let input = b"d1:zi-7e1:ad1:bl1:xeee";
    let top = decode(input).expect("it is right");
    assert_wire(top.raw, input, "BEP 3, bencode");
    let raw = |key| top.get(key).map(|value| value.raw).unwrap_or_default();
    assert_wire(raw("z"), b"i-7e", "BEP 3, bencode");
    assert_wire(raw("a"), b"d1:bl1:xee", "BEP 3, bencode");
    let inner = top.get("a").expect("it is there");
    assert_eq!(
        inner.get("b").and_then(Value::list).and_then(<[Value]>::first).map(|item| item.raw),
        Some(&b"1:x"[..])
    );
}

#[test]
fn unsorted_keys_are_read_in_their_order() {
    let value = decode(b"d1:bi1e1:ai2e2:aai3ee").expect("the world has such files");
    let keys: Vec<&[u8]> =
        value.dictionary().expect("a dictionary").iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, [&b"b"[..], b"a", b"aa"]);
}

/// Each key compared with all before it would be twenty billion comparisons.
#[test]
fn unsorted_keys_take_no_longer_than_sorted_ones() {
    let pairs: Vec<String> = (0..200_000).rev().map(|key| format!("6:{key:06}0:")).collect();
    let input = format!("d{}e", pairs.concat());
    let count = within(Duration::from_secs(40), move || {
        let value = decode(input.as_bytes()).expect("each key is there once");
        value.dictionary().map(<[_]>::len)
    });
    assert_eq!(count, Some(200_000));
}

#[test]
fn a_key_that_stands_twice_is_refused_where_it_comes_again() {
    for (input, at, key, path) in [
        (&b"d1:ai1e1:ai1ee"[..], 7, "a", ""),
        (b"d1:ai1e1:bi1e1:ai1ee", 13, "a", ""),
        (b"d1:ci1e1:bi1e1:ai1e1:bi1ee", 19, "b", ""),
        // Of several repeated keys, the first that repeats; of a key, its second copy.
        (b"d1:bi1e1:bi1e1:ai1e1:ai1ee", 7, "b", ""),
        (b"d1:bi1e1:ai1e1:ai1e1:ai1e1:bi1ee", 13, "a", ""),
        (b"d10:abcdefghijli1ee10:abcdefghijlee", 19, "abcdefghij", ""),
        (b"d4:infod1:ai1e1:ai1eee", 14, "a", "info"),
        (b"ld0:0:0:0:ee", 6, "", "[0]"),
    ] {
        assert_refused(input, at, &Rule::DuplicateKey { key: key.to_owned() });
        let what = format!("the path in the error about {:?}", String::from_utf8_lossy(input));
        assert_value(&what, broken(input).1.as_str(), path, "BEP 3, bencode");
    }
    decode(b"d1:ad1:ai1eee").expect("one key in two dictionaries is not twice");
}

#[test]
fn an_error_names_the_byte_the_keys_and_what_was_found() {
    let table: &[(&[u8], &str)] = &[
        (
            b"d4:infod4:name40:abcee",
            "byte 14: at info.name: the string says 40 bytes, only 5 are left",
        ),
        (
            b"d5:filesld6:lengthi1eed6:lengthi01eeee",
            "byte 31: at files[1].length: an integer is digits without leading zeros, but found \"01\"",
        ),
        (
            b"l4:spami1ex",
            "byte 10: at [2]: a value was expected (i, l, d or a digit), but found 'x'",
        ),
        (
            b"lli1e\x07",
            "byte 5: at [0][1]: a value was expected (i, l, d or a digit), but found byte 0x07",
        ),
        (b"i1e:", "byte 3: the value ends here, but 1 more byte follows"),
    ];
    for (input, expected) in table {
        assert_eq!(&decode(input).expect_err("it is wrong").to_string(), expected);
    }
}

#[test]
fn control_characters_from_outside_never_reach_the_terminal() {
    let error = decode(b"d4:\x1b[2Ji01ee").expect_err("a leading zero").to_string();
    assert!(!error.contains('\x1b') && error.contains("u{1b}"), "{error}");
    assert_eq!(printable("a\x1b[31m\r\n\u{7f}\u{9b}é"), "a\\u{1b}[31m\\r\\n\\u{7f}\\u{9b}é");
    assert_eq!(printable("\u{202e}gpj.exe"), "\\u{202e}gpj.exe");
    assert_eq!(excerpt(b"spam"), "spam");
    assert_eq!(excerpt(&[b'a'; 41]), format!("{}…", "a".repeat(40)));
}

#[test]
fn a_value_of_another_type_is_none() {
    let number = decode(b"i-1e").expect("it is right");
    assert_eq!((number.integer(), number.unsigned()), (Some(-1), None));
    assert!(number.bytes().is_none() && number.text().is_none() && number.list().is_none());
    assert!(number.dictionary().is_none() && number.get("a").is_none());
    let bytes = decode(b"1:1").expect("it is right");
    assert!(bytes.integer().is_none() && bytes.unsigned().is_none() && bytes.get("1").is_none());
    assert!(decode(b"d1:ai1ee").expect("it is right").get("b").is_none());
    let names: Vec<_> = [&b"i1e"[..], b"0:", b"le", b"de"]
        .map(|input| decode(input).map(|value| value.type_name()))
        .into();
    assert_eq!(names, [Ok("an integer"), Ok("a byte string"), Ok("a list"), Ok("a dictionary")]);
}

#[test]
fn a_value_in_a_failed_test_shows_text_where_it_is_text() {
    let shown = |input| format!("{:?}", decode(input).expect("it is right"));
    assert_eq!(
        shown(b"d3:cow3:moo1:\xffli-7eee"),
        "Value { raw: b\"d3:cow3:moo1:\\xffli-7eee\", kind: Dictionary([(\"cow\", Value { raw: \"3:moo\", \
         kind: Bytes(\"moo\") }), (b\"\\xff\", Value { raw: \"li-7ee\", kind: List([Value { \
         raw: \"i-7e\", kind: Integer(-7) }]) })]) }"
    );
}

#[test]
fn values_are_written_as_bep_3_writes_them() {
    for (written, expected) in [
        (encode::integer(-7), &b"i-7e"[..]),
        (encode::integer(0), b"i0e"),
        (encode::integer(u64::MAX), b"i18446744073709551615e"),
        (encode::bytes(b"spam"), b"4:spam"),
        (encode::bytes(""), b"0:"),
        (encode::bytes([0xff, b':']), b"2:\xff:"),
        (encode::list([encode::bytes("spam"), encode::integer(7)]), b"l4:spami7ee"),
        (encode::list([]), b"le"),
        (encode::dictionary([]), b"de"),
    ] {
        assert_wire(&written, expected, "BEP 3, bencode");
    }
}

#[test]
fn dictionaries_are_written_with_their_keys_sorted_as_bytes() {
    let one = || encode::integer(1);
    let written = encode::dictionary([
        ("b", one()),
        ("é", one()),
        ("aa", one()),
        ("B", one()),
        ("a", one()),
        ("", one()),
    ]);
    assert_wire(&written, "d0:i1e1:Bi1e1:ai1e2:aai1e1:bi1e2:éi1ee".as_bytes(), "BEP 3, bencode");
}

#[test]
fn of_two_equal_keys_the_later_one_is_written() {
    let pairs = [("b", 1), ("a", 2), ("b", 3)].map(|(key, n)| (key, encode::integer(n)));
    assert_wire(&encode::dictionary(pairs), b"d1:ai2e1:bi3ee", "BEP 3, bencode");
}

#[test]
fn mutilated_input_is_refused_or_read_but_never_panics() {
    let seeds: [&[u8]; 3] = [
        b"d8:announce3:url4:infod5:filesld6:lengthi12e4:pathl1:a1:beee6:pieces20:aaaaaaaaaaaaaaaaaaaaee",
        b"lllli1ei-2ei30ee0:5:aaaaaede4:spamee",
        b"d1:ad1:bd1:cd1:dli1e2:xxeeeee",
    ];
    let mut random = StdRng::seed_from_u64(1);
    for round in 0..20_000 {
        let mut input = seeds[round % seeds.len()].to_vec();
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..input.len().max(1));
            match random.random_range(0..4) {
                _ if input.is_empty() => {}
                0 => input[at] = random.random(),
                1 => input[at] = b"ilde0123456789:-"[random.random_range(0..16)],
                2 => drop(input.remove(at)),
                _ => input.truncate(at + 1),
            }
        }
        match decode_prefix(&input) {
            Ok(value) => assert_eq!(value.raw, &input[..value.raw.len()]),
            Err(error) => assert!(error.at <= input.len() && !error.to_string().is_empty()),
        }
    }
}
