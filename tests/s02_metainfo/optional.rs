//! Keys that a torrent can do without, one row for each way to break them; and the names
//! that appear twice, once in UTF-8.

use super::super::{entry, folder, refusal, string};
use piecemeal::s02_metainfo::{Info, InfoHash, Metainfo, MetainfoError};
use std::path::PathBuf;

const HUGE: usize = 1 << 20;

/// The pairs that a torrent of one file, of 3 bytes, needs at least.
const NEEDED: [(&str, &str); 4] = [
    ("length", "i3e"),
    ("name", "1:a"),
    ("piece length", "i4e"),
    ("pieces", "20:aaaaaaaaaaaaaaaaaaaa"),
];

fn dictionary(mut pairs: Vec<(&str, Vec<u8>)>) -> Vec<u8> {
    pairs.sort_by_key(|(key, _)| *key);
    let pairs: Vec<u8> =
        pairs.into_iter().flat_map(|(key, value)| [string(key), value].concat()).collect();
    [b"d", &pairs[..], b"e"].concat()
}

/// A torrent with this key beside `info`.
fn outside(key: &str, value: &[u8]) -> Vec<u8> {
    dictionary(vec![("info", inside_only("", b"")), (key, value.to_vec())])
}

fn inside_only(key: &str, value: &[u8]) -> Vec<u8> {
    let mut pairs: Vec<(&str, Vec<u8>)> =
        NEEDED.iter().map(|(key, value)| (*key, value.as_bytes().to_vec())).collect();
    if !key.is_empty() {
        pairs.push((key, value.to_vec()));
    }
    dictionary(pairs)
}

/// A torrent with this key in `info`.
fn inside(key: &str, value: &[u8]) -> Vec<u8> {
    dictionary(vec![("info", inside_only(key, value))])
}

/// A torrent of one file in a folder, with this key in its entry.
fn in_entry(key: &str, value: &[u8]) -> Vec<u8> {
    let entry = dictionary(vec![
        ("length", b"i3e".to_vec()),
        ("path", b"l1:fe".to_vec()),
        (key, value.to_vec()),
    ]);
    let mut pairs: Vec<(&str, Vec<u8>)> =
        NEEDED.iter().map(|(key, value)| (*key, value.as_bytes().to_vec())).collect();
    pairs[0] = ("files", [b"l", &entry[..], b"e"].concat());
    dictionary(vec![("info", dictionary(pairs))])
}

fn notes(torrent: &Metainfo) -> Vec<&str> {
    torrent.passed_over.iter().chain(&torrent.info.passed_over).map(String::as_str).collect()
}

/// The notes about a broken key. Without a name there are none, since the key is not read.
struct Row {
    make: fn(&str, &[u8]) -> Vec<u8>,
    key: &'static str,
    /// Its name in the notes.
    told: &'static str,
    expected: &'static str,
    wrong_type: &'static str,
    /// The notes about a wrong type, an empty value, a megabyte, and `ff fe`; or, if the text
    /// begins with the key, the whole note.
    says: [Option<&'static str>; 4],
}

const fn read_by_nobody(make: fn(&str, &[u8]) -> Vec<u8>, key: &'static str) -> Row {
    Row { make, key, told: "", expected: "", wrong_type: "i1e", says: [None; 4] }
}

const NOT_TEXT: Option<&str> = Some("2 bytes that are not UTF-8");
const LONG: Option<&str> = Some("\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…\"");

const LONG_URL: &str = "announce must be at most 2048 bytes long, but is \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…\"; it is passed over";

const ROWS: [Row; 20] = [
    Row {
        make: outside,
        key: "announce",
        told: "announce",
        expected: "a URL",
        wrong_type: "le",
        says: [Some("a list"), None, Some(LONG_URL), NOT_TEXT],
    },
    Row {
        make: outside,
        key: "announce-list",
        told: "announce-list",
        expected: "a list of lists of URLs",
        wrong_type: "de",
        says: [Some("a dictionary"), Some("\"\""), LONG, NOT_TEXT],
    },
    Row {
        make: outside,
        key: "comment",
        told: "comment",
        expected: "text in UTF-8",
        wrong_type: "i1e",
        says: [Some("1"), None, Some("comment is cut after 16384 bytes, of 1048576"), NOT_TEXT],
    },
    Row {
        make: outside,
        key: "created by",
        told: "created by",
        expected: "text in UTF-8",
        wrong_type: "de",
        says: [
            Some("a dictionary"),
            None,
            Some("created by is cut after 16384 bytes, of 1048576"),
            NOT_TEXT,
        ],
    },
    Row {
        make: outside,
        key: "creation date",
        told: "creation date",
        expected: "seconds since 1970",
        wrong_type: "i-1e",
        says: [Some("-1"), Some("\"\""), LONG, NOT_TEXT],
    },
    Row {
        make: outside,
        key: "nodes",
        told: "nodes",
        expected: "a list of nodes",
        wrong_type: "i1e",
        says: [Some("1"), Some("\"\""), LONG, NOT_TEXT],
    },
    Row {
        make: outside,
        key: "url-list",
        told: "url-list",
        expected: "a URL of at most 2048 bytes, or a list of them",
        wrong_type: "de",
        says: [Some("a dictionary"), None, LONG, NOT_TEXT],
    },
    Row {
        make: inside,
        key: "private",
        told: "info.private",
        expected: "0 or 1",
        wrong_type: "1:1",
        says: [Some("\"1\""), Some("\"\""), LONG, NOT_TEXT],
    },
    Row {
        make: inside,
        key: "meta version",
        told: "info.meta version",
        expected: "an integer",
        wrong_type: "1:2",
        says: [Some("\"2\""), Some("\"\""), LONG, NOT_TEXT],
    },
    Row {
        make: inside,
        key: "name.utf-8",
        told: "info.name.utf-8",
        expected: "text in UTF-8",
        wrong_type: "le",
        says: [Some("a list"), Some("\"\""), None, NOT_TEXT],
    },
    Row {
        make: in_entry,
        key: "path.utf-8",
        told: "info.files[0].path.utf-8",
        expected: "a list of names in UTF-8",
        wrong_type: "l1:ai1ee",
        says: [Some("a list"), Some("\"\""), LONG, NOT_TEXT],
    },
    Row {
        make: in_entry,
        key: "attr",
        told: "info.files[0].attr",
        expected: "a byte string",
        wrong_type: "i1e",
        says: [Some("1"), None, None, None],
    },
    read_by_nobody(outside, "encoding"),
    read_by_nobody(outside, "httpseeds"),
    read_by_nobody(outside, "comment.utf-8"),
    read_by_nobody(inside, "source"),
    read_by_nobody(inside, "md5sum"),
    read_by_nobody(in_entry, "md5sum"),
    read_by_nobody(in_entry, "symlink path"),
    read_by_nobody(in_entry, "mtime"),
];

#[test]
fn a_broken_optional_key_is_passed_over_with_a_note() {
    for row in ROWS {
        let absent = Metainfo::from_bytes(&(row.make)("zzz", b"i1e")).expect("it is a torrent");
        assert_eq!(notes(&absent), [""; 0], "{}: absent", row.key);
        let huge = "x".repeat(HUGE);
        let values =
            [row.wrong_type.as_bytes().to_vec(), string(""), string(&huge), string(b"\xff\xfe")];
        for (value, says) in values.iter().zip(row.says) {
            let shown = String::from_utf8_lossy(&value[..value.len().min(20)]);
            let torrent = (row.make)(row.key, value);
            let read = Metainfo::from_bytes(&torrent)
                .unwrap_or_else(|error| panic!("{} = {shown}: {error}", row.key));
            let note = |found: &str| {
                format!("{} must be {}, but is {found}; it is passed over", row.told, row.expected)
            };
            let expected = says
                .map(|says| if says.starts_with(row.key) { says.to_owned() } else { note(says) });
            assert_eq!(
                notes(&read),
                expected.as_deref().into_iter().collect::<Vec<_>>(),
                "{} = {shown}",
                row.key
            );
            assert_eq!(
                (read.info.length, read.info.piece_count()),
                (3, 1),
                "{} = {shown}",
                row.key
            );
            // Whatever the key says, it is hashed.
            let info =
                torrent.windows(6).position(|part| part == b"4:info").expect("it is there") + 6;
            assert_eq!(read.info.info_hash, InfoHash::of(&torrent[info..][..read.info.raw.len()]));
        }
    }
}

#[test]
fn what_is_passed_over_is_as_if_it_were_not_there() {
    let read = |torrent: Vec<u8>| Metainfo::from_bytes(&torrent).expect("it is a torrent");
    assert_eq!(read(outside("announce", b"i1e")).tiers, Vec::<Vec<String>>::new());
    assert!(!read(inside("private", b"1:1")).info.private);
    assert_eq!(read(inside("name.utf-8", b"2:\xff\xfe")).info.name, "a");
    assert_eq!(read(inside("name.utf-8", b"0:")).info.name, "a");
    for broken in ["0:", "le", "l0:e", "l2:\u{80}i1ee", "l1:ai1ee", "i1e", "de"] {
        assert_eq!(
            read(in_entry("path.utf-8", broken.as_bytes())).info.files[0].path,
            PathBuf::from("f"),
            "{broken}"
        );
    }
    assert!(!read(in_entry("attr", b"l1:pe")).info.files[0].padding);
    // A number that is neither 0 nor 1 does not say "public".
    assert!(
        read(inside("private", b"i2e")).info.private
            && !read(inside("private", b"i0e")).info.private
    );
}

#[test]
fn an_optional_key_that_is_there_twice_is_an_error_like_any_other() {
    for row in ROWS {
        let once = (row.make)(row.key, &string("x"));
        let pair = [string(row.key), string("x")].concat();
        let at = once.windows(pair.len()).position(|part| part == pair).expect("it is there");
        let twice = [&once[..at], &pair, &once[at..]].concat();
        let error = Metainfo::from_bytes(&twice)
            .expect_err("two values, and nobody knows which counts")
            .to_string();
        assert!(error.contains(&format!("the key \"{}\"", row.key)), "{}: {error}", row.key);
    }
}

#[test]
fn a_tier_that_is_none_costs_only_itself() {
    let list = b"ll5:x://aei1el5:x://bi2e2:\xff\xfe0:e5:x://ce";
    let torrent = Metainfo::from_bytes(&outside("announce-list", list)).expect("it is a torrent");
    assert_eq!(torrent.tiers, [["x://a"], ["x://b"]]);
    let expected = [
        "announce-list[1] must be a list of URLs, but is 1; it is passed over",
        "a URL in announce-list[2] must be text in UTF-8, but is 2; it is passed over",
        "a URL in announce-list[2] must be text in UTF-8, but is 2 bytes that are not UTF-8; it is passed over",
        "announce-list[3] must be a list of URLs, but is \"x://c\"; it is passed over",
    ];
    assert_eq!(notes(&torrent), expected);
}

#[test]
fn nodes_are_hosts_and_ports_and_a_broken_one_costs_only_itself() {
    let nodes = b"ll6:router2:80el9:192.0.2.1i6881eel1:xi0eel1:xi65536eel0:i1eel2:\xff\xfei1eel1:xi1ei2eei7el3:::1i65535eee";
    let torrent = Metainfo::from_bytes(&outside("nodes", nodes)).expect("it is a torrent");
    assert_eq!(torrent.nodes, [("192.0.2.1".to_owned(), 6881), ("::1".to_owned(), 65_535)]);
    let note = |number, found: &str| {
        format!(
            "nodes[{number}] must be a list of a host and a port, but is {found}; it is passed over"
        )
    };
    let lists = [0, 2, 3, 4, 5, 6].map(|number| note(number, "a list"));
    assert_eq!(notes(&torrent), [&lists[..], &[note(7, "7")]].concat());
    let long = |length: usize| {
        let node = [b"l", &string("h".repeat(length))[..], b"i1ee"].concat();
        let list = outside("nodes", &[b"l", &node[..], b"e"].concat());
        Metainfo::from_bytes(&list).expect("it is a torrent").nodes.len()
    };
    assert_eq!((long(255), long(256)), (1, 0));
}

#[test]
fn web_seeds_are_one_url_or_a_list() {
    let read = |value: &[u8]| {
        let torrent = Metainfo::from_bytes(&outside("url-list", value)).expect("it is a torrent");
        (torrent.web_seeds, torrent.passed_over)
    };
    let none = Vec::<String>::new();
    assert_eq!(read(b"5:x://a"), (vec!["x://a".to_owned()], none.clone()));
    let many = [b"l5:x://a0:", &string(" x://b\n")[..], b"i1e", &string(b"\xff"), b"e"].concat();
    let broken = [
        "url-list[3] must be a URL of at most 2048 bytes, but is 1; it is passed over",
        "url-list[4] must be a URL of at most 2048 bytes, but is 1 byte that are not UTF-8; it is passed over",
    ];
    let good = ["x://a", "x://b"].map(str::to_owned).to_vec();
    assert_eq!(read(&many), (good, broken.map(str::to_owned).to_vec()));
    assert_eq!(read(b"le"), (none.clone(), none));
    let url = |length: usize| string(format!("x://{}", "y".repeat(length - 4)));
    assert_eq!((read(&url(2048)).0.len(), read(&url(2049)).0.len()), (1, 0));
}

#[test]
fn a_hundred_nodes_and_a_hundred_web_seeds_are_kept() {
    for (key, entry, other) in
        [("nodes", &b"l1:hi1ee"[..], &b"i1e"[..]), ("url-list", b"5:x://a", b"i1e")]
    {
        let list = |entries: usize| {
            let list = [b"l", &entry.repeat(entries)[..], other, b"e"].concat();
            Metainfo::from_bytes(&outside(key, &list)).expect("it is a torrent")
        };
        let (most, more) = (list(100), list(103));
        for torrent in [&most, &more] {
            assert_eq!(torrent.nodes.len() + torrent.web_seeds.len(), 100, "{key}");
        }
        assert_eq!(most.passed_over.len(), 1, "the one that is broken");
        let note = format!("{key} has 3 too many, which are passed over: at most 100 are taken");
        assert_eq!(more.passed_over[1], note);
    }
}

#[test]
fn a_torrent_cannot_make_us_keep_a_million_notes() {
    let tiers = [b"l", &b"i1e".repeat(1_000_000)[..], b"e"].concat();
    let torrent = Metainfo::from_bytes(&outside("announce-list", &tiers)).expect("it is a torrent");
    let notes = notes(&torrent);
    assert_eq!((notes.len(), notes[8]), (9, "there are 999992 more notes like these"));
}

#[test]
fn what_follows_a_torrent_is_passed_over_and_said() {
    let torrent = inside("", b"");
    let read = |tail: &[u8]| {
        Metainfo::from_bytes(&[&torrent[..], tail].concat()).expect("it is whole before that")
    };
    for newline in [&b""[..], b"\n", b"\r\n \n"] {
        assert_eq!(
            read(newline).passed_over,
            [""; 0],
            "an editor's newline does no harm: {newline:?}"
        );
    }
    for (tail, note) in [
        (&b"errot: no is id"[..], "15 bytes after the end of the torrent: passed over"),
        (b"\0\0\0", "3 bytes after the end of the torrent: passed over"),
        (b"e", "1 byte after the end of the torrent: passed over"),
        (b"\nde\n", "3 bytes after the end of the torrent: passed over"),
    ] {
        assert_eq!(read(tail).passed_over, [note]);
        assert_eq!(read(tail).info, read(b"").info);
    }
    // What a peer sends is exact.
    let info = inside_only("", b"");
    for tail in [&b"\n"[..], b"e", b"\0"] {
        assert!(
            matches!(Info::from_bytes(&[&info[..], tail].concat()), Err(MetainfoError::Bencode(_))),
            "{tail:?}"
        );
    }
}

/// An entry of `files` with the same path twice: in GBK, and in UTF-8.
fn twice(path: &[&[u8]], utf8: &[&[u8]]) -> Vec<u8> {
    let list = |path: &[&[u8]]| {
        [b"l", &path.iter().flat_map(string).collect::<Vec<u8>>()[..], b"e"].concat()
    };
    dictionary(vec![("length", b"i1e".to_vec()), ("path", list(path)), ("path.utf-8", list(utf8))])
}

#[test]
fn a_name_in_utf8_is_taken_instead_of_the_one_in_another_encoding() {
    // Wen dang, "document", in GBK and in UTF-8.
    let (gbk, utf8) = (&b"\xce\xc4\xb5\xb5"[..], "文档".as_bytes());
    let entries = [
        twice(&[gbk, b"1.txt"], &[utf8, b"1.txt"]),
        twice(&[gbk], &["文档.txt".as_bytes()]),
        entry(&[b"2.txt"]),
    ];
    let mut raw = folder(&entries);
    raw.truncate(raw.len() - 1);
    let raw = [&raw[..], &string("name.utf-8"), &string(utf8), b"e"].concat();
    let info = Info::from_bytes(&raw).expect("it is a torrent");
    assert_eq!(info.name, "文档");
    let paths: Vec<&str> =
        info.files.iter().map(|file| file.path.to_str().expect("they are UTF-8")).collect();
    assert_eq!(paths, ["文档/1.txt", "文档.txt", "2.txt"]);
    assert_eq!((info.info_hash, info.passed_over), (InfoHash::of(&raw), Vec::new()));
}

#[test]
fn a_name_in_utf8_will_do_where_there_is_no_other() {
    let info = b"d5:filesld6:lengthi1e10:path.utf-8l1:feee10:name.utf-81:n12:piece lengthi4e6:pieces20:aaaaaaaaaaaaaaaaaaaae";
    let info = Info::from_bytes(info).expect("it has all names");
    assert_eq!((info.name.as_str(), info.files[0].path.to_str()), ("n", Some("f")));
    let nameless =
        dictionary(vec![("length", b"i1e".to_vec()), ("path.utf-8", b"l2:\xff\xfee".to_vec())]);
    assert_eq!(
        refusal(&folder(&[nameless])),
        "the key info.files[0].path is missing; it must be a list of byte strings"
    );
    let one =
        b"d6:lengthi1e10:name.utf-82:\xff\xfe12:piece lengthi4e6:pieces20:aaaaaaaaaaaaaaaaaaaae";
    assert_eq!(refusal(one), "the key info.name is missing; it must be a byte string");
}

#[test]
fn a_name_in_utf8_is_trusted_no_more_than_any_other() {
    let refused = |path: &[&[u8]]| refusal(&folder(&[twice(&[b"fine"], path)]));
    assert_eq!(
        refused(&[b"..", b"x"]),
        "info.files[0].path.utf-8: a name may not be a step up or to itself: \"..\""
    );
    assert_eq!(
        refused(&[b"."]),
        "info.files[0].path.utf-8: a name may not be a step up or to itself: \".\""
    );
    let taken = |path: &[&[u8]]| {
        Info::from_bytes(&folder(&[twice(&[b"fine"], path)])).expect("it can be mended")
    };
    assert_eq!(taken(&[b"/etc/passwd"]).files[0].path, PathBuf::from("_etc_passwd"));
    assert_eq!(taken(&[b"a\0b"]).files[0].path, PathBuf::from("a_b"));
    let name =
        Metainfo::from_bytes(&inside("name.utf-8", b"2:..")).expect_err("it leads out").to_string();
    assert_eq!(name, "info.name.utf-8: a name may not be a step up or to itself: \"..\"");
}

#[test]
fn a_symbolic_link_needs_no_length_and_becomes_a_file_with_a_note() {
    let link = b"d4:attr1:l4:pathl4:linke12:symlink pathl2:..3:etcee";
    let info =
        Info::from_bytes(&folder(&[entry(&[b"a"]), link.to_vec()])).expect("BEP 47 allows it");
    assert_eq!((info.files[1].length, info.files[1].path.to_str()), (0, Some("link")));
    assert_eq!(
        info.passed_over,
        ["info.files[1] is a symbolic link, which is not made: link is a file"]
    );
    let nameless = b"d4:attr1:l4:pathl0:e12:symlink pathl2:..3:etcee";
    let info =
        Info::from_bytes(&folder(&[entry(&[b"a"]), nameless.to_vec()])).expect("passed over");
    assert_eq!(info.passed_over.len(), 1, "{:?}", info.passed_over);
    assert!(!info.passed_over[0].contains("symbolic"), "{:?}", info.passed_over);
}

#[test]
fn a_hundred_tiers_and_five_hundred_trackers_are_taken() {
    let tiers = |tiers: usize, urls: usize| {
        let tier = [b"l", &string("x://a").repeat(urls)[..], b"e"].concat();
        Metainfo::from_bytes(&outside(
            "announce-list",
            &[b"l", &tier.repeat(tiers)[..], b"e"].concat(),
        ))
        .expect("it is a torrent")
    };
    let told = |more: &str| {
        format!(
            "announce-list names {more} too many, which are passed over: at most 500 are taken, in at most 100 tiers"
        )
    };
    for (torrent, taken, note) in [
        (tiers(100, 5), 500, None),
        (tiers(101, 1), 100, Some(told("1 tracker"))),
        (tiers(1, 503), 500, Some(told("3 trackers"))),
        (tiers(200, 3), 300, Some(told("300 trackers"))),
        (tiers(40, 20), 500, Some(told("300 trackers"))),
    ] {
        assert_eq!(torrent.trackers().count(), taken);
        assert!(torrent.tiers.len() <= 100 && torrent.tiers.iter().all(|tier| !tier.is_empty()));
        assert_eq!(torrent.passed_over, Vec::from_iter(note));
    }
}

#[test]
fn no_url_is_taken_at_any_length() {
    let url = |length: usize| string(format!("x://{}", "y".repeat(length - 4)));
    let list = [b"ll", &url(2048)[..], &url(2049), b"ee"].concat();
    let torrent = Metainfo::from_bytes(&outside("announce-list", &list)).expect("it is a torrent");
    let said = |at: &str| {
        format!(
            "{at} must be at most 2048 bytes long, but is \"x://{}…\"; it is passed over",
            "y".repeat(36)
        )
    };
    assert_eq!(notes(&torrent), [said("a URL in announce-list[0]")]);
    assert_eq!(torrent.trackers().map(str::len).collect::<Vec<_>>(), [2048]);
    let torrent =
        Metainfo::from_bytes(&outside("announce", &url(1 << 20))).expect("it is a torrent");
    assert_eq!((notes(&torrent), torrent.tiers.len()), (vec![&*said("announce")], 0));
}

#[test]
fn of_a_long_text_the_start_is_kept() {
    for key in ["comment", "created by"] {
        let text = format!("{}é{}", "a".repeat((16 << 10) - 1), "b".repeat(1 << 20));
        let torrent = Metainfo::from_bytes(&outside(key, &string(&text))).expect("it is a torrent");
        let kept = torrent.comment.as_ref().or(torrent.created_by.as_ref()).expect("it is kept");
        assert_eq!(kept.len(), (16 << 10) - 1, "a letter is not cut in half");
        assert_eq!(notes(&torrent), [format!("{key} is cut after 16383 bytes, of {}", text.len())]);
    }
}

#[test]
fn a_path_has_no_more_than_128_names() {
    let nested = |names: usize| folder(&[entry(&vec![&b"a"[..]; names])]);
    assert_eq!(
        Info::from_bytes(&nested(128)).expect("it is a torrent").files[0].path.components().count(),
        128
    );
    assert_eq!(
        refusal(&nested(129)),
        "info.files[0].path must be a list of at most 128 names, but is 129"
    );
}
