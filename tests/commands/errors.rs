//! Errors: exit codes, and three lines that say what, what to do, where to read.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::support::{FakePeer, FakeTracker, Reply, Run, Torrent, content, dead_address, folder};

/// The system's error for it may come from a file or a socket, in any stage.
#[cfg(unix)]
#[test]
fn too_many_open_files_are_a_matter_of_ulimit() {
    let folder = folder();
    let torrent = Torrent::sample().write(folder.path(), None);
    // Four: the three standard ones, and one more.
    let script = "ulimit -n 4; exec \"$0\" download --quiet --port 0 --timeout 1 --peer 127.0.0.1:1 -o out \"$1\"";
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", script, env!("CARGO_BIN_EXE_piecemeal")])
        .arg(torrent)
        .current_dir(folder.path());
    let error = command.output().expect("there is a shell").stderr;
    let error = String::from_utf8_lossy(&error);
    assert!(error.contains("Too many open files (os error 24)"), "{error}");
    assert!(
        error.contains("help: this shell allows too few open files: `ulimit -n 1024` allows more"),
        "{error}"
    );
}

#[test]
fn bad_bencode_is_bad_input_and_says_where() {
    for bencode in [
        "",
        "5:hell",
        "99999999999999999999:x",
        "4294967296:x",
        "05:hello",
        "-1:x",
        "i52",
        "ie",
        "i-e",
        "i-0e",
        "i05e",
        "i+5e",
        "i5xe",
        "i99999999999999999999999e",
        "l5:hello",
        "d",
        "d3:foo",
        "d3:fooe",
        "di1e3:fooe",
        "d3:fooi1e3:fooi2ee",
        "i52ei53e",
        "x",
        "e",
        "5hello",
        "\u{20ac}",
    ] {
        let outcome = Run::new(["decode", "--", bencode]).run();
        outcome.fails(&[3]).mentions("byte");
        assert!(outcome.err().contains("see: piecemeal chapter 1\n"), "{outcome}");
    }
}

#[test]
fn nesting_as_deep_as_the_argument_allows_is_an_error_and_not_a_crash() {
    for deep in
        ["l".repeat(100_000), "d1:a".repeat(25_000), "l".repeat(50_000) + &"e".repeat(50_000)]
    {
        Run::new(["decode", &deep]).run().fails(&[3]);
    }
    let allowed = "l".repeat(60) + &"e".repeat(60);
    Run::new(["decode", &allowed]).run().prints(&format!("{}{}\n", "[".repeat(60), "]".repeat(60)));
}

#[test]
fn a_command_line_that_makes_no_sense_is_a_usage_error() {
    for words in [
        &[][..],
        &["no_such_command"],
        &["decode"],
        &["decode", "5:hello", "5:hello"],
        &["info"],
        &["info", "a", "b"],
        &["handshake", "a.torrent"],
        &["download_piece", "a.torrent", "0"],
        &["download_piece", "-o", "x", "a.torrent"],
        &["download_piece", "-o", "x", "a.torrent", "zero"],
        &["download_piece", "-o", "x", "a.torrent", "-1"],
        &["peers", "--peer", "nonsense", "a.torrent"],
        &["peers", "--timeout", "soon", "a.torrent"],
        &["peers", "--timeout", "-1", "a.torrent"],
        &["peers", "--no-such-option", "a.torrent"],
    ] {
        let outcome = Run::new(words).run();
        assert_eq!(outcome.code, Some(2), "{outcome}");
        assert!(outcome.stdout.is_empty() && !outcome.stderr.is_empty(), "{outcome}");
    }
}

#[test]
fn an_address_that_is_none_is_a_usage_error() {
    let folder = folder();
    let file = Torrent::sample().write(folder.path(), None);
    for address in ["127.0.0.1", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:x", ":1", ""] {
        let outcome = Run::new(["handshake"]).arg(&file).arg(address).run();
        assert_eq!(outcome.code, Some(2), "{address:?}: {outcome}");
        assert!(outcome.stdout.is_empty(), "{outcome}");
    }
}

#[test]
fn a_file_that_is_not_there_is_a_local_error_that_names_it() {
    let folder = folder();
    let missing = folder.path().join("missing.torrent");
    for words in [&["info"][..], &["peers"], &["download", "-o", "x"], &["verify"]] {
        let outcome = Run::new(words).arg(&missing).dir(folder.path()).run();
        if words[0] == "verify" && outcome.code == Some(2) {
            continue; // it wants a second argument
        }
        outcome.fails(&[7]).mentions("missing.torrent");
    }
    Run::new(["info"]).arg(folder.path()).run().fails(&[7]);
}

#[test]
fn a_torrent_that_breaks_a_rule_is_bad_input_that_names_file_and_key() {
    let folder = folder();
    let path = folder.path().join("bad.torrent");
    for (torrent, named) in [
        (&b""[..], "byte"),
        (b"hello", "byte"),
        (b"le", ""),
        (b"de", "info"),
        (b"d4:infoi1ee", "info"),
        (b"d4:infodee", "info"),
        (b"d4:infod6:lengthi5e4:name40:cut short", "info.name"),
        (b"d4:infod6:lengthi5e4:name1:a12:piece lengthi4e6:pieces19:0123456789012345678ee", "pieces"),
        (b"d4:infod6:lengthi5e4:name1:a12:piece lengthi4e6:pieces20:01234567890123456789ee", "pieces"),
        (b"d4:infod6:lengthi5e4:name1:a12:piece lengthi0e6:pieces20:01234567890123456789ee", "piece length"),
        (b"d4:infod6:lengthi5e4:name1:a12:piece lengthi-4e6:pieces20:01234567890123456789ee", "piece length"),
        (b"d4:infod6:lengthi-5e4:name1:a12:piece lengthi4e6:pieces20:01234567890123456789ee", "length"),
        (b"d4:infod6:length1:54:name1:a12:piece lengthi4e6:pieces20:01234567890123456789ee", "length"),
        (b"d4:infod4:name1:a12:piece lengthi4e6:pieces20:01234567890123456789ee", "length"),
        (b"d4:infod6:lengthi5e12:piece lengthi4e6:pieces20:01234567890123456789ee", "name"),
        (b"d4:infod6:lengthi9223372036854775807e4:name1:a12:piece lengthi1e6:pieces20:01234567890123456789ee", "pieces"),
    ] {
        fs::write(&path, torrent).expect("a temporary folder takes a file");
        let outcome = Run::new(["info", "bad.torrent"]).dir(folder.path()).run();
        outcome.fails(&[3]).mentions("bad.torrent").mentions(named);
    }
}

#[test]
fn a_torrent_cut_anywhere_is_bad_input() {
    let folder = folder();
    let torrent = Torrent::of_info(
        b"d6:lengthi3e4:name1:a12:piece lengthi4e6:pieces20:01234567890123456789e".to_vec(),
        content(3, 1),
        4,
    );
    let whole = torrent.file(Some("http://a/b"));
    let path = folder.path().join("t.torrent");
    for length in (0..whole.len()).step_by(3) {
        fs::write(&path, &whole[..length]).expect("a temporary folder takes a file");
        Run::new(["info", "t.torrent"]).dir(folder.path()).run().fails(&[3]);
    }
}

#[test]
fn a_piece_that_does_not_exist_is_refused_with_the_number_there_are() {
    let folder = folder();
    let torrent = Torrent::sample();
    let peer = FakePeer::of(&torrent).start();
    let file = torrent.write(folder.path(), None);
    for index in ["5", "4294967295", "4294967296", "99999999999"] {
        let out = folder.path().join("out");
        let outcome = Run::new(["download_piece", "-o"])
            .arg(&out)
            .arg(&file)
            .arg(index)
            .peer(peer.address())
            .run();
        assert!(matches!(outcome.code, Some(2 | 3)) && outcome.stdout.is_empty(), "{outcome}");
        assert!(!out.exists(), "nothing is written for a piece that is not there");
    }
    let link = torrent.magnet(&[]);
    let outcome = Run::new(["magnet_download_piece", "-o", "/nowhere/out", &link, "5"])
        .peer(peer.address())
        .run();
    assert!(matches!(outcome.code, Some(2 | 3)), "{outcome}");
}

#[test]
fn trackers_that_fail_are_named() {
    let folder = folder();
    let url = format!("http://{}/announce", dead_address());
    let file = Torrent::sample().write(folder.path(), Some(&url));
    Run::new(["peers", "--timeout", "3"]).arg(&file).run().fails(&[4]).mentions(&url);
    let tracker = FakeTracker::saying(Reply::failure("torrent not\x1b[31m registered"));
    let file = Torrent::sample().write(folder.path(), Some(&tracker.url()));
    let outcome = Run::new(["peers", "--timeout", "3"]).arg(&file).run();
    outcome.fails(&[4]).mentions("registered");
    assert!(!outcome.err().contains('\x1b'), "{outcome}");
}

#[test]
fn no_tracker_and_no_peer_is_an_error_at_once() {
    let folder = folder();
    let torrent = Torrent::sample();
    let file = torrent.write(folder.path(), None);
    Run::new(["peers"]).arg(&file).run().fails(&[4, 5]);
    let piece =
        Run::new(["download_piece", "-o"]).arg(folder.path().join("p")).arg(&file).arg("0").run();
    piece.fails(&[4, 5]);
    Run::new(["magnet_info", &torrent.magnet(&[])]).run().fails(&[4, 5]);
    Run::new(["magnet_download", "--no-lsd", "-o"])
        .arg(folder.path().join("o"))
        .arg(torrent.magnet(&[]))
        .run()
        .fails(&[4, 5]);
}

#[cfg(unix)]
#[test]
fn arguments_that_are_not_utf8_do_not_panic() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let folder = folder();
    let bad = OsStr::from_bytes(b"\xff\xfe.torrent");
    for words in [
        &["info"][..],
        &["peers"],
        &["magnet_parse"],
        &["magnet_info"],
        &["download", "-o", "x"],
        &["no_such"],
    ] {
        let outcome = Run::new(words).arg(bad).dir(folder.path()).run();
        assert!(outcome.code.is_some_and(|code| code != 0 && code != 101), "{outcome}");
        assert!(!outcome.err().contains("panicked"), "{outcome}");
    }
    // A name that is not UTF-8 is still a name.
    fs::write(folder.path().join(bad), Torrent::sample().file(None))
        .expect("Linux takes any bytes but / and NUL");
    Run::new(["info"]).arg(bad).dir(folder.path()).run().succeeds();
}

/// The numbers right after a mark, in each line of a text.
fn codes_behind(text: &str, mark: &str) -> BTreeSet<u8> {
    let numbers = text.lines().filter_map(|line| {
        line.split_once(mark)?.1.split(|letter: char| !letter.is_ascii_digit()).next()
    });
    numbers.filter_map(|number| number.parse().ok()).collect()
}

#[test]
fn every_exit_code_is_in_the_readme_and_every_code_there_occurs() {
    let read = |path: &str| {
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("it is there")
    };
    let readme = read("README.md");
    let (_, list) = readme.split_once("## Exit codes").expect("the README has them");
    let listed = codes_behind(list.split("\n## ").next().expect("there is text"), "| ");
    // 0 is no failure, and a table sends no signals.
    let failing: BTreeSet<u8> = listed.iter().copied().filter(|code| *code != 0).collect();
    assert_eq!(codes_behind(&read("src/cli/exit_codes.rs"), ": u8 = "), failing);
    let mut made_to_happen = codes_behind(&read("tests/commands/errors.txt"), "exit ");
    made_to_happen.extend([129, 130, 143]);
    assert_eq!(made_to_happen, failing);
}
