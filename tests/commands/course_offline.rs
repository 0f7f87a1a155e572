//! `decode`, `info`, `magnet_parse`: no network.

use crate::support::{Run, folder};

/// `pieces` holds 10 11 .. 23, then 80 81 .. 93, then twenty times ff.
const SAMPLE: &[u8] =
    b"d8:announce33:http://tracker.example/announce?k4:infod6:lengthi40000e4:name10:sample.txt\
12:piece lengthi16384e6:pieces60:\
\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x20\x21\x22\x23\
\x80\x81\x82\x83\x84\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93\
\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xffee";

/// The same, and its hash, from another implementation of SHA-1 and bencode.
const SAMPLE_INFO: &str = "\
Tracker URL: http://tracker.example/announce?k
Length: 40000
Info Hash: 2e41a9782c7013b1c5cf56f22074e07f32a93a1a
Piece Length: 16384
Piece Hashes:
101112131415161718191a1b1c1d1e1f20212223
808182838485868788898a8b8c8d8e8f90919293
ffffffffffffffffffffffffffffffffffffffff
";

#[test]
fn bencoded_values_print_as_one_line_of_compact_json() {
    for (bencode, json) in [
        ("5:hello", r#""hello""#),
        ("0:", r#""""#),
        ("i52e", "52"),
        ("i-52e", "-52"),
        ("i0e", "0"),
        ("i4294967300e", "4294967300"),
        ("i-9223372036854775808e", "-9223372036854775808"),
        ("le", "[]"),
        ("l5:helloi52ee", r#"["hello",52]"#),
        ("lli4eei5ee", "[[4],5]"),
        ("de", "{}"),
        ("d3:foo3:bar5:helloi52ee", r#"{"foo":"bar","hello":52}"#),
        (
            "d10:inner_dictd4:key16:value14:key2i42e8:list_keyl5:item15:item2i3eeee",
            r#"{"inner_dict":{"key1":"value1","key2":42,"list_key":["item1","item2",3]}}"#,
        ),
        ("6:\u{e9}\u{20ac}x", "\"\u{e9}\u{20ac}x\""),
        ("2:\"\\", r#""\"\\""#),
    ] {
        Run::new(["decode", bencode]).run().prints(&format!("{json}\n"));
    }
}

#[test]
fn a_decoded_string_of_a_url_keeps_its_colons() {
    Run::new(["decode", "34:http://tracker.example/announce?a=b"]).run().fails(&[3]);
    Run::new(["decode", "35:http://tracker.example/announce?a=b"])
        .run()
        .prints("\"http://tracker.example/announce?a=b\"\n");
}

#[cfg(unix)]
#[test]
fn bytes_that_are_not_utf8_print_as_hex_objects() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let decode = |bytes: &[u8]| Run::new(["decode"]).arg(OsStr::from_bytes(bytes)).run();
    decode(b"2:\x80\x81").prints("{\"$hex\":\"8081\"}\n");
    decode(b"l2:\x80\x812:oke").prints("[{\"$hex\":\"8081\"},\"ok\"]\n");
    decode(b"d2:\x80\x81i1ee").prints("{\"$hex:8081\":1}\n");
}

#[test]
fn control_characters_in_a_decoded_string_are_escaped() {
    let outcome = Run::new(["decode", "5:a\n\x1b[b"]).run();
    outcome.succeeds();
    let out = outcome.out();
    assert!(out.ends_with('\n') && !out.trim_end().contains(char::is_control), "{outcome}");
    let value: serde_json::Value = serde_json::from_str(&out).expect("one line of JSON");
    assert_eq!(value, "a\n\x1b[b");
}

#[test]
fn info_prints_the_course_lines() {
    let folder = folder();
    std::fs::write(folder.path().join("sample.torrent"), SAMPLE)
        .expect("a temporary folder takes a file");
    Run::new(["info", "sample.torrent"]).dir(folder.path()).run().prints(SAMPLE_INFO);
}

#[test]
fn info_hash_is_taken_over_the_raw_bytes_of_the_info_dictionary() {
    // Unsorted, with unknown keys: only the bytes as they are in the file give the hash
    // that the swarm knows.
    let torrent = b"d4:infod4:name1:a12:piece lengthi4e6:pieces20:\
\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\
6:lengthi3e7:x-extrali1e2:zzeee";
    let folder = folder();
    std::fs::write(folder.path().join("odd.torrent"), torrent)
        .expect("a temporary folder takes a file");
    Run::new(["info", "odd.torrent"]).dir(folder.path()).run().prints(
        "Length: 3\nInfo Hash: 238c798da1f43f554445b4dbbfa71fc8852d20e3\nPiece Length: 4\nPiece Hashes:\n\
         0101010101010101010101010101010101010101\n",
    );
}

#[test]
fn info_of_several_files_prints_the_sum_of_their_lengths() {
    let torrent = b"d4:infod5:filesld6:lengthi3e4:pathl1:a5:b.txteed6:lengthi0e4:pathl5:emptyee\
d6:lengthi5e4:pathl1:ceee4:name5:album12:piece lengthi16384e6:pieces20:\
\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02ee";
    let folder = folder();
    std::fs::write(folder.path().join("album.torrent"), torrent)
        .expect("a temporary folder takes a file");
    let outcome = Run::new(["info", "album.torrent"]).dir(folder.path()).run();
    outcome.succeeds();
    let out = outcome.out();
    assert!(
        out.contains("Length: 8\nInfo Hash: 6bf35a04fc3454cd653cd0872fb26fa1ff110dd8\nPiece Length: 16384\nPiece Hashes:\n"),
        "{outcome}"
    );
}

#[test]
fn info_prints_a_line_for_each_tracker() {
    let folder = folder();
    let torrent = [
        &b"d8:announce10:http://a/x13:announce-listll10:http://a/x10:http://b/yel10:http://c/zee"[..],
        &SAMPLE[b"d8:announce33:http://tracker.example/announce?k".len()..],
    ]
    .concat();
    std::fs::write(folder.path().join("t.torrent"), torrent)
        .expect("a temporary folder takes a file");
    let outcome = Run::new(["info", "t.torrent"]).dir(folder.path()).run();
    outcome.succeeds();
    let out = outcome.out();
    assert!(
        out.starts_with("Tracker URL: http://a/x\nTracker URL: http://b/y\nTracker URL: http://c/z\nLength: 40000\n"),
        "{outcome}"
    );
}

#[test]
fn what_follows_a_torrent_changes_nothing_on_stdout() {
    let folder = folder();
    let path = folder.path().join("t.torrent");
    std::fs::write(&path, [SAMPLE, b"\r\n \n"].concat()).expect("a temporary folder takes a file");
    Run::new(["info", "t.torrent"]).dir(folder.path()).run().prints(SAMPLE_INFO);
    std::fs::write(&path, [SAMPLE, b"x"].concat()).expect("a temporary folder takes a file");
    let outcome = Run::new(["info", "t.torrent"]).dir(folder.path()).run();
    outcome.prints(SAMPLE_INFO).mentions("note: t.torrent: 1 byte after the end of the torrent");
}

#[test]
fn control_characters_of_a_torrent_do_not_reach_the_terminal() {
    let folder = folder();
    let torrent = [
        &b"d8:announce13:http://a/\x1b[31m\n"[..],
        &SAMPLE[b"d8:announce33:http://tracker.example/announce?k".len()..],
    ]
    .concat();
    std::fs::write(folder.path().join("t.torrent"), torrent)
        .expect("a temporary folder takes a file");
    let outcome = Run::new(["info", "t.torrent"]).dir(folder.path()).run();
    assert!(!outcome.out().contains('\x1b') && !outcome.err().contains('\x1b'), "{outcome}");
    assert!(!outcome.out().contains("\n\n"), "{outcome}");
}

const HASH: &str = "11f6ad8ec52a2984abaafd7c3b516503785c2072";

#[test]
fn magnet_parse_prints_tracker_and_info_hash() {
    let link = format!(
        "magnet:?xt=urn:btih:{HASH}&dn=magnet1.gif&tr=http%3A%2F%2Ftracker.example%2Fannounce%3Fa%3Db"
    );
    Run::new(["magnet_parse", &link])
        .run()
        .prints(&format!("Tracker URL: http://tracker.example/announce?a=b\nInfo Hash: {HASH}\n"));
}

#[test]
fn magnet_parse_reads_every_spelling_of_a_hash() {
    let upper = HASH.to_uppercase();
    for hash in
        [HASH, &upper, "CH3K3DWFFIUYJK5K7V6DWULFAN4FYIDS", "ch3k3dwffiuyjk5k7v6dwulfan4fyids"]
    {
        Run::new(["magnet_parse", &format!("magnet:?xt=urn:btih:{hash}")])
            .run()
            .prints(&format!("Info Hash: {HASH}\n"));
    }
}

#[test]
fn magnet_parse_ignores_what_it_does_not_know_and_the_order_of_parameters() {
    let link = format!(
        "magnet:?foo=bar&tr=http%3A%2F%2Fa%2Fx&x.unknown=1&xt=urn:btih:{HASH}&tr=http://b/y&dn=%E2%82%AC"
    );
    let outcome = Run::new(["magnet_parse", &link]).run();
    outcome.succeeds();
    assert!(
        outcome.out().starts_with(&format!(
            "Tracker URL: http://a/x\nTracker URL: http://b/y\nInfo Hash: {HASH}\n"
        )),
        "{outcome}"
    );
}

#[test]
fn bad_magnet_links_are_bad_input() {
    for link in [
        "magnet:",
        "magnet:?",
        "magnet:?dn=only-a-name",
        "magnet:?xt=urn:btih:",
        "magnet:?xt=urn:btih:11f6ad8ec52a2984abaafd7c3b516503785c207",
        "magnet:?xt=urn:btih:11f6ad8ec52a2984abaafd7c3b516503785c20722",
        "magnet:?xt=urn:btih:zzf6ad8ec52a2984abaafd7c3b516503785c2072",
        "magnet:?xt=urn:btih:CH3K3DWFFIUYJK5K7V6DWULFAN4FYID1",
        "magnet:?xt=urn:sha1:CH3K3DWFFIUYJK5K7V6DWULFAN4FYIDS",
        "http://example.com/",
        "\u{20ac}agnet:?",
    ] {
        Run::new(["magnet_parse", link]).run().fails(&[3]);
    }
}

/// While it prints, so nothing of the answer is held: 17 times the file was, once.
#[cfg(target_os = "linux")]
#[test]
fn info_of_half_a_million_pieces_prints_as_it_goes() {
    use std::io::Read;
    use std::process::{Command, Stdio};
    let folder = folder();
    let pieces = 1 << 19;
    let head =
        format!("d4:infod6:lengthi{pieces}e4:name1:t12:piece lengthi1e6:pieces{}:", pieces * 20);
    let torrent = [head.as_bytes(), &vec![b'h'; pieces * 20], b"ee"].concat();
    std::fs::write(folder.path().join("t.torrent"), &torrent).expect("the folder takes a file");
    for json in [&[][..], &["--json"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_piecemeal"));
        command
            .args(["info", "t.torrent"])
            .args(json)
            .current_dir(folder.path())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut stdout = child.stdout.take().expect("it is a pipe");
        // It is in the middle of the hashes now, and waits for us to read on.
        stdout.read_exact(&mut vec![0; pieces * 20]).expect("two hex digits for each byte come");
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it is there");
        drop(stdout);
        child.wait().expect("it ends");
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .and_then(|rest| rest.split_whitespace().next());
        let peak: usize =
            peak.and_then(|number| number.parse().ok()).expect("Linux tells the peak");
        assert!(
            peak * 1024 < 6 * torrent.len(),
            "{json:?}: {peak} KiB for a file of {} bytes",
            torrent.len()
        );
    }
}
