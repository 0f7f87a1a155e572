//! `create`: a .torrent of files, and the link to it.

use crate::support::{Outcome, Run, content, folder};
use serde_json::{Value, json};
use std::path::Path;

fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().expect("it lies in a folder"))
        .expect("a temporary folder takes a folder");
    std::fs::write(path, bytes).expect("a temporary folder takes a file");
}

fn create(folder: &Path, words: &[&str]) -> Outcome {
    Run::new(["create"].iter().chain(words)).dir(folder).run()
}

fn read(folder: &Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Replaces `created by`, which has the version in it, with another program's name.
fn by_nobody(torrent: &[u8]) -> Vec<u8> {
    let program = format!("piecemeal {}", env!("CARGO_PKG_VERSION"));
    let key = format!("10:created by{}:{program}", program.len());
    let at = torrent
        .windows(key.len())
        .position(|part| part == key.as_bytes())
        .expect("it says what made it");
    [&torrent[..at], &torrent[at + key.len()..]].concat()
}

/// The SHA-1 of "abc", by FIPS 180-1.
const ABC: &[u8] =
    b"\xa9\x99\x3e\x36\x47\x06\x81\x6a\xba\x3e\x25\x71\x78\x50\xc2\x6c\x9c\xd0\xd8\x9d";
/// The SHA-1 of the info dictionary of `abc.txt` below, by sha1sum.
const INFO_HASH: &str = "5bf5c6b52684d97e77f64e827d248c95e2abcdc8";

#[test]
fn a_file_becomes_a_torrent_and_a_link_to_it() {
    let folder = folder();
    write(&folder.path().join("abc.txt"), b"abc");
    let link = format!("magnet:?xt=urn:btih:{INFO_HASH}&dn=abc.txt");
    let expected = format!("Info Hash: {INFO_HASH}\nMagnet: {link}\nCreated abc.txt.torrent.\n");
    create(folder.path(), &["abc.txt"]).prints(&expected);
    let torrent =
        [&b"d4:infod6:lengthi3e4:name7:abc.txt12:piece lengthi16384e6:pieces20:"[..], ABC, b"ee"]
            .concat();
    assert_eq!(by_nobody(&read(folder.path(), "abc.txt.torrent")), torrent);
    Run::new(["magnet_parse", &link]).run().prints(&format!("Info Hash: {INFO_HASH}\n"));
}

#[test]
fn every_option_finds_its_way() {
    let folder = folder();
    write(&folder.path().join("abc.txt"), b"abc");
    let words = "--piece-length 1MiB --announce http://a/1?k=1&l=2,udp://b:2 --announce http://c --private --date 1234567890 \
        --web-seed http://w/x --web-seed http://v/ --comment hello --source HERE --name other -o out.torrent abc.txt";
    let outcome = create(folder.path(), &words.split_whitespace().collect::<Vec<_>>());
    outcome.succeeds();
    let torrent = by_nobody(&read(folder.path(), "out.torrent"));
    let expected = [
        &b"d8:announce18:http://a/1?k=1&l=2"[..],
        b"13:announce-listll18:http://a/1?k=1&l=29:udp://b:2el8:http://cee",
        b"7:comment5:hello13:creation datei1234567890e",
        b"4:infod6:lengthi3e4:name5:other12:piece lengthi1048576e6:pieces20:",
        ABC,
        b"7:privatei1e6:source4:HEREe8:url-listl10:http://w/x9:http://v/ee",
    ]
    .concat();
    assert_eq!(String::from_utf8_lossy(&torrent), String::from_utf8_lossy(&expected));
    let trackers = "&tr=http%3A%2F%2Fa%2F1%3Fk%3D1%26l%3D2&tr=udp%3A%2F%2Fb%3A2&tr=http%3A%2F%2Fc";
    assert!(
        outcome.out().contains(&format!("&dn=other{trackers}&ws=http%3A%2F%2Fw%2Fx")),
        "{outcome}"
    );
    assert!(outcome.out().ends_with("\nCreated out.torrent.\n"), "{outcome}");
}

#[test]
fn a_date_is_put_in_only_when_it_is_asked_for() {
    let folder = folder();
    write(&folder.path().join("a"), b"abc");
    create(folder.path(), &["a"]).succeeds();
    let first = read(folder.path(), "a.torrent");
    assert!(!first.windows(13).any(|part| part == b"creation date"));
    create(folder.path(), &["--force", "a"]).succeeds();
    assert_eq!(read(folder.path(), "a.torrent"), first, "the same files, the same bytes");
    create(folder.path(), &["--force", "--date", "now", "a"]).succeeds();
    assert!(read(folder.path(), "a.torrent").windows(13).any(|part| part == b"creation date"));
}

#[test]
fn what_create_makes_info_and_verify_agree_with() {
    let folder = folder();
    let top = folder.path().join("top");
    write(&top.join("a"), &content(100_000, 1));
    write(&top.join("sub/.hidden"), &content(1, 2));
    write(&top.join("sub/empty"), b"");
    let outcome = create(
        folder.path(),
        &["--json", "--piece-length", "16KiB", "--announce", "http://127.0.0.1:1/announce", "top"],
    );
    outcome.succeeds();
    let made: Value =
        serde_json::from_str(&outcome.out()).unwrap_or_else(|e| panic!("{e}: {outcome}"));
    assert_eq!(made["output"], "top.torrent");
    let numbers = ["pieces", "piece_length", "length", "files"].map(|key| made[key].as_u64());
    assert_eq!(numbers, [Some(7), Some(16_384), Some(100_001), Some(3)]);
    let outcome = Run::new(["info", "--json", "top.torrent"]).dir(folder.path()).run();
    outcome.succeeds();
    let info: Value =
        serde_json::from_str(&outcome.out()).unwrap_or_else(|e| panic!("{e}: {outcome}"));
    assert_eq!(info["info_hash"], made["info_hash"]);
    let files = json!([
        { "path": "a", "length": 100_000 }, { "path": "sub/.hidden", "length": 1 }, { "path": "sub/empty", "length": 0 }
    ]);
    assert_eq!((&info["name"], &info["files"]), (&json!("top"), &files));
    let link = format!(
        "magnet:?xt=urn:btih:{}&dn=top&tr=http%3A%2F%2F127.0.0.1%3A1%2Fannounce",
        info["info_hash"].as_str().unwrap_or_default()
    );
    assert_eq!(made["magnet"], link);
    Run::new(["verify", "top.torrent", "top"])
        .dir(folder.path())
        .run()
        .prints("0  #######\n7 of 7 pieces are right.\n");
}

#[test]
fn the_current_folder_can_be_created_from_itself_with_an_output_elsewhere() {
    let folder = folder();
    let top = folder.path().join("top");
    write(&top.join("a"), b"abc");
    create(&top, &["."]).fails(&[7]).mentions("top.torrent: is part of the content");
    create(&top, &["-o", "../out.torrent", "."]).succeeds();
    assert_eq!(
        std::fs::read_dir(&top).expect("it is there").count(),
        1,
        "nothing was left in the content"
    );
    Run::new(["info", "--json", "out.torrent"]).dir(folder.path()).run().succeeds();
}

#[test]
fn an_output_that_is_there_is_not_overwritten_unless_forced() {
    let folder = folder();
    write(&folder.path().join("a"), b"abc");
    write(&folder.path().join("a.torrent"), b"mine");
    create(folder.path(), &["a"]).fails(&[7]).mentions("a.torrent: exists").mentions("--force");
    assert_eq!(read(folder.path(), "a.torrent"), b"mine");
    create(folder.path(), &["--force", "-o", "a", "a"]).fails(&[7]).mentions("part of the content");
    assert_eq!(read(folder.path(), "a"), b"abc");
    create(folder.path(), &["--force", "a"]).succeeds();
    assert_ne!(read(folder.path(), "a.torrent"), b"mine");
    assert_eq!(
        std::fs::read_dir(folder.path()).expect("it is there").count(),
        2,
        "and nothing half done"
    );
}

#[test]
fn what_cannot_be_a_torrent_is_an_error_that_says_what_to_do() {
    let folder = folder();
    write(&folder.path().join("top/a"), b"abc");
    write(&folder.path().join("odd/a\nb"), b"abc");
    std::fs::create_dir(folder.path().join("empty")).expect("a temporary folder takes a folder");
    create(folder.path(), &["missing"]).fails(&[7]).mentions("missing");
    create(folder.path(), &["empty"]).fails(&[7]).mentions("empty: a file with at least one byte");
    create(folder.path(), &["odd"]).fails(&[7]).mentions("a\\nb: clients would change this to a_b");
    create(folder.path(), &["--name", "..", "top"]).fails(&[2]).mentions("--name");
    create(folder.path(), &["-o", "no/where.torrent", "top"]).fails(&[7]).mentions("no: ");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("a", folder.path().join("top/link"))
            .expect("a temporary folder takes a link");
        create(folder.path(), &["top"]).fails(&[7]).mentions("top/link: is a symbolic link");
    }
    let large = std::fs::File::create(folder.path().join("large"))
        .expect("a temporary folder takes a file");
    large.set_len((1 << 21) + 1).expect("a temporary folder takes two MiB");
    create(folder.path(), &["--piece-length", "1", "large"])
        .fails(&[2])
        .mentions("use --piece-length 2 or more");
    let torrents = std::fs::read_dir(folder.path()).expect("it is there").flatten();
    assert!(
        torrents.into_iter().all(|entry| entry.path().extension().is_none()),
        "no torrent was written"
    );
}

#[test]
fn a_tracker_or_web_seed_that_is_named_twice_goes_in_once() {
    let folder = folder();
    write(&folder.path().join("a"), b"abc");
    let (one, two) = ("http://a/1", "http://b/2");
    let words = [
        "--announce",
        one,
        "--announce",
        &format!("{two},{one},{two}"),
        "--announce",
        two,
        "--announce",
        one,
    ];
    create(folder.path(), &[&words[..], &["--web-seed", two, "--web-seed", two, "a"]].concat())
        .succeeds();
    let torrent = read(folder.path(), "a.torrent");
    let expected = b"d8:announce10:http://a/113:announce-listll10:http://a/1el10:http://b/2ee";
    assert_eq!(
        String::from_utf8_lossy(&torrent[..expected.len()]),
        String::from_utf8_lossy(expected)
    );
    assert!(
        torrent.ends_with(b"8:url-listl10:http://b/2ee"),
        "{}",
        String::from_utf8_lossy(&torrent)
    );
}

#[test]
fn content_without_a_byte_is_refused() {
    let folder = folder();
    write(&folder.path().join("a"), b"");
    write(&folder.path().join("top/b"), b"");
    for path in ["a", "top"] {
        create(folder.path(), &[path])
            .fails(&[7])
            .mentions(&format!("{path}: a file with at least one byte was expected"));
        assert!(!folder.path().join(format!("{path}.torrent")).exists());
    }
}

#[test]
fn options_that_make_no_sense_are_wrong_arguments() {
    let folder = folder();
    write(&folder.path().join("a"), b"abc");
    for (option, value) in [
        ("--piece-length", "0"),
        ("--piece-length", "-1"),
        ("--piece-length", "+16384"),
        ("--piece-length", "16 KiB"),
        ("--piece-length", "16kb"),
        ("--piece-length", "KiB"),
        ("--piece-length", "513MiB"),
        ("--piece-length", "536870913"),
        ("--piece-length", "99999999999999999999"),
        ("--piece-length", "18014398509481984KiB"),
        ("--announce", "tracker.example.org"),
        ("--announce", "http://"),
        ("--announce", "://a"),
        ("--announce", ""),
        ("--announce", "http://a,"),
        ("--announce", "http://a b"),
        ("--web-seed", "nowhere"),
        ("--date", "yesterday"),
        ("--date", "-1"),
        ("--date", "9223372036854775808"),
    ] {
        let outcome = create(folder.path(), &[&format!("{option}={value}"), "a"]);
        assert_eq!(outcome.code, Some(2), "{option} {value:?}: {outcome}");
        assert!(outcome.stdout.is_empty(), "{outcome}");
    }
    for value in ["1", "512MiB", "50000", "16KiB"] {
        create(folder.path(), &["--force", "--piece-length", value, "a"]).succeeds();
    }
    assert_eq!(create(folder.path(), &[]).code, Some(2), "a path is needed");
}
