//! `verify`: the files on disk, compared with the torrent.

use crate::support::{Outcome, Recipe, Run, Torrent, content, folder};
use std::path::Path;

/// Checks for exit code 6 with an error on stderr, and returns the findings on stdout.
#[track_caller]
fn fails_with(outcome: &Outcome, expected: &str) {
    assert!(
        outcome.code == Some(6) && outcome.out() == expected,
        "expected {expected:?}, got {outcome:#}"
    );
    outcome.explains_itself();
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().expect("it lies in a folder"))
        .expect("a temporary folder takes a folder");
    std::fs::write(path, bytes).expect("a temporary folder takes a file");
}

fn verify(folder: &Path, path: &str) -> Outcome {
    Run::new(["verify", "test.torrent", path]).dir(folder).run()
}

#[test]
fn verify_says_how_many_pieces_are_right() {
    let folder = folder();
    let torrent = Torrent::sample();
    torrent.write(folder.path(), None);
    std::fs::write(folder.path().join("sample.bin"), &torrent.content)
        .expect("a temporary folder takes a file");
    let outcome = Run::new(["verify", "test.torrent", "sample.bin"]).dir(folder.path()).run();
    outcome.prints("0  #####\n5 of 5 pieces are right.\n");
}

#[test]
fn verify_of_wrong_content_is_a_hash_error_that_names_the_piece() {
    let folder = folder();
    let torrent = Torrent::sample();
    torrent.write(folder.path(), None);
    let path = folder.path().join("sample.bin");
    let mut spoiled = torrent.content.clone();
    spoiled[3 * 32_768] ^= 1;
    std::fs::write(&path, &spoiled).expect("a temporary folder takes a file");
    let outcome = verify(folder.path(), "sample.bin");
    let fault = "sample.bin: 1 of its 5 pieces wrong, first in bytes 98304 to 131071";
    fails_with(&outcome, &format!("0  ###.#\n{fault}\n4 of 5 pieces are right.\n"));
    outcome.mentions("sample.bin: 4 of 5 pieces are right; the first that is not is piece 3");
    std::fs::write(&path, &torrent.content[..40_000]).expect("a temporary folder takes a file");
    let outcome = verify(folder.path(), "sample.bin");
    let fault = "sample.bin: too short, 40000 of 151072 bytes; 4 of its 5 pieces wrong, first in bytes 32768 to 151071";
    fails_with(&outcome, &format!("0  #....\n{fault}\n1 of 5 pieces are right.\n"));
    outcome.mentions("piece 1");
    assert!(
        std::fs::read(&path).expect("the file is there") == torrent.content[..40_000],
        "verify only reads"
    );
    assert_eq!(
        std::fs::read_dir(folder.path()).expect("the folder can be read").count(),
        2,
        "verify makes no file"
    );
}

#[test]
fn verify_of_nothing_is_a_local_error() {
    let folder = folder();
    Torrent::sample().write(folder.path(), None);
    Run::new(["verify", "test.torrent", "missing"])
        .dir(folder.path())
        .run()
        .fails(&[7])
        .mentions("missing");
}

#[test]
fn verify_reads_several_files_as_one_and_padding_as_zeros() {
    let folder = folder();
    let torrent = Recipe::single("padded", 32_768, Vec::new())
        .file(&[b"a", b"one"], content(20_000, 1), "")
        .file(&[b".pad", b"12768"], vec![0; 12_768], "p")
        .file(&[b"two"], content(50_000, 2), "")
        .build();
    torrent.write(folder.path(), None);
    std::fs::create_dir_all(folder.path().join("out/a"))
        .expect("a temporary folder takes a folder");
    std::fs::write(folder.path().join("out/a/one"), content(20_000, 1))
        .expect("a temporary folder takes a file");
    std::fs::write(folder.path().join("out/two"), content(50_000, 2))
        .expect("a temporary folder takes a file");
    Run::new(["verify", "test.torrent", "out"]).dir(folder.path()).run().succeeds();
    // A file that is missing makes its pieces wrong and no others.
    std::fs::remove_file(folder.path().join("out/a/one")).expect("the file is ours");
    fails_with(&verify(folder.path(), "out"), "0  .##\na/one: missing\n2 of 3 pieces are right.\n");
}

#[test]
fn a_file_that_is_too_long_is_a_fault_though_all_pieces_are_right() {
    let folder = folder();
    let torrent =
        Recipe::files("t", 40, &[("a", content(100, 1)), ("none", vec![]), ("z", content(10, 2))])
            .build();
    torrent.write(folder.path(), None);
    write(&folder.path().join("out/a"), &torrent.content[..100]);
    write(&folder.path().join("out/none"), b"");
    write(&folder.path().join("out/z"), &torrent.content[100..]);
    // A file that the torrent does not name is ignored.
    write(&folder.path().join("out/mine"), b"mine");
    verify(folder.path(), "out").prints("0  ###\n3 of 3 pieces are right.\n");
    write(&folder.path().join("out/z"), &[&torrent.content[100..], b"and more"].concat());
    std::fs::remove_file(folder.path().join("out/none")).expect("it is there");
    let outcome = verify(folder.path(), "out");
    fails_with(
        &outcome,
        "0  ###\nnone: missing\nz: too long, 18 bytes instead of 10\n3 of 3 pieces are right.\n",
    );
    outcome.mentions("out: all pieces are right, but 2 of 3 files are not as in the torrent");
    // Bytes that the user may have added must not be thrown away unseen.
    outcome.mentions("help: the bytes after the end of a file are not the torrent's: cut them off if you do not need them");
}

#[cfg(unix)]
#[test]
fn verify_reads_through_the_users_own_links() {
    let folder = folder();
    let torrent = Recipe::files("t", 40, &[("a", content(40, 1)), ("b", content(40, 2))]).build();
    torrent.write(folder.path(), None);
    write(&folder.path().join("library/a"), &torrent.content[..40]);
    write(&folder.path().join("out/b"), &torrent.content[40..]);
    std::os::unix::fs::symlink("../library/a", folder.path().join("out/a"))
        .expect("a temporary folder takes a link");
    verify(folder.path(), "out").prints("0  ##\n2 of 2 pieces are right.\n");
    std::fs::remove_file(folder.path().join("library/a")).expect("it is there");
    fails_with(&verify(folder.path(), "out"), "0  .#\na: missing\n1 of 2 pieces are right.\n");
}

#[test]
fn nothing_that_would_overwrite_something_is_advised() {
    let folder = folder();
    let torrent =
        Recipe::files("box", 2048, &[("a", content(3000, 1)), ("b", content(3000, 2))]).build();
    torrent.write(folder.path(), None);
    write(&folder.path().join("downloads/box/a"), &torrent.content[..3000]);
    write(&folder.path().join("downloads/box/b"), b"short");
    write(&folder.path().join("other/a"), b"mine");
    let help = |command: &str, path: &str, code: i32| {
        let outcome = Run::new([command, "test.torrent", path]).dir(folder.path()).run();
        assert_eq!(outcome.code, Some(code), "{outcome}");
        assert!(!outcome.err().contains("force"), "{outcome}");
        let help =
            outcome.err().lines().find_map(|line| line.strip_prefix("help: ").map(str::to_owned));
        help.unwrap_or_else(|| panic!("{outcome}"))
    };
    let right_path =
        "give the path of the file itself, or of the folder that holds the torrent's files";
    for command in ["verify", "seed"] {
        // The folder above, the torrent itself, and files that have no more than their names in common.
        assert_eq!(help(command, "downloads", 6), "downloads/box has them: give that path");
        assert_eq!(help(command, "test.torrent", 6), right_path);
        assert_eq!(help(command, "other", 6), right_path);
    }
    let mend = "download it to the same place: right pieces are kept, the rest is restored";
    assert_eq!(help("verify", "downloads/box", 6), mend);
    // It is true.
    let peer = crate::support::FakePeer::of(&torrent).start();
    let download = Run::new(["download", "-o", "downloads/box", "test.torrent"]).dir(folder.path());
    download.peer(peer.address()).run().succeeds();
    verify(folder.path(), "downloads/box").prints("0  ###\n3 of 3 pieces are right.\n");

    Torrent::sample().write(folder.path(), None);
    write(&folder.path().join("downloads/sample.bin"), &Torrent::sample().content);
    for command in ["verify", "seed"] {
        assert_eq!(help(command, "test.torrent", 6), right_path);
        assert_eq!(help(command, "downloads", 7), "downloads/sample.bin has it: give that path");
        let nothing =
            "give the path of the file itself, with its name; this path is a folder, or the like";
        assert_eq!(help(command, "other", 7), nothing);
    }
}

#[test]
fn the_map_has_rows_of_64_and_never_more_than_16() {
    let folder = folder();
    let path = folder.path().join("f");
    let map = |length: usize, wrong: &[usize]| {
        let mut bytes = content(length, 3);
        Recipe::single("f", 1, bytes.clone()).build().write(folder.path(), None);
        wrong.iter().for_each(|at| bytes[*at] ^= 1);
        write(&path, &bytes);
        let out = verify(folder.path(), "f").out();
        out.lines()
            .take_while(|line| !line.starts_with("f: ") && !line.contains(" of "))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(map(64, &[]), [format!("0  {}", "#".repeat(64))]);
    assert_eq!(map(65, &[0, 64]), [format!(" 0  .{}", "#".repeat(63)), "64  .".to_owned()]);
    let full = map(1024, &[1023]);
    assert_eq!((full.len(), full[0].as_str()), (16, &*format!("  0  {}", "#".repeat(64))));
    assert_eq!(full[15], format!("960  {}.", "#".repeat(63)));
    // From here on a character is two pieces, but the last one has only one.
    let two = map(1025, &[0, 2, 3, 1024]);
    let legend = "A character is 2 pieces: # all are right, + some, . none.";
    assert_eq!(
        (two.len(), two[0].as_str(), two[9].as_str()),
        (10, &*format!("   0  +.{}", "#".repeat(62)), legend)
    );
    assert_eq!(two[8], "1024  .");
    let many = map(100_000, &[99_999]);
    assert_eq!((many.len(), many[16].contains(" 98 pieces")), (17, true), "{many:#?}");
    assert!(
        many.iter().take(16).all(|row| row.len() <= 71) && many[15].ends_with("#+"),
        "{many:#?}"
    );
}

#[test]
fn json_has_the_pieces_that_are_wrong_as_ranges_and_every_file() {
    let folder = folder();
    let torrent =
        Recipe::files("t", 10, &[("a", content(100, 1)), ("b", content(25, 2)), ("c", vec![])])
            .build();
    torrent.write(folder.path(), None);
    let mut spoilt = torrent.content.clone();
    [5, 31, 42, 99].iter().for_each(|at| spoilt[*at] ^= 1);
    write(&folder.path().join("out/a"), &spoilt[..100]);
    write(&folder.path().join("out/b"), &torrent.content[100..]);
    let json = |code: i32| {
        let outcome =
            Run::new(["verify", "--json", "test.torrent", "out"]).dir(folder.path()).run();
        assert_eq!(outcome.code, Some(code), "{outcome}");
        serde_json::from_str::<serde_json::Value>(&outcome.out())
            .unwrap_or_else(|e| panic!("{e}: {outcome}"))
    };
    let found = json(6);
    assert_eq!(
        (&found["pieces"], &found["right"], &found["exit_code"]),
        (&13.into(), &9.into(), &6.into())
    );
    assert_eq!(found["wrong"], serde_json::json!([[0, 0], [3, 4], [9, 9]]));
    let expected = serde_json::json!([
        { "path": "a", "length": 100, "found": 100, "state": "wrong", "pieces": 10, "wrong": 4, "first_wrong": [0, 9] },
        { "path": "b", "length": 25, "found": 25, "state": "whole", "pieces": 3, "wrong": 0, "first_wrong": null },
        { "path": "c", "length": 0, "found": null, "state": "missing", "pieces": 0, "wrong": 0, "first_wrong": null },
    ]);
    assert_eq!(found["files"], expected);
    assert!(
        found["error"].as_str().is_some_and(|error| error.contains("9 of 13 pieces are right")),
        "{found}"
    );
    write(&folder.path().join("out/a"), &torrent.content[..100]);
    write(&folder.path().join("out/c"), b"");
    let found = json(0);
    assert_eq!((&found["wrong"], &found["right"]), (&serde_json::json!([]), &13.into()));
}

#[test]
fn a_name_from_the_torrent_cannot_give_orders_to_the_terminal() {
    let folder = folder();
    let name = "bad\u{202e}name\u{200f}";
    Recipe::files("t", 10, &[(name, content(10, 1))]).build().write(folder.path(), None);
    std::fs::create_dir(folder.path().join("out")).expect("a temporary folder takes a folder");
    fails_with(&verify(folder.path(), "out"), "0  .\nbadname: missing\n0 of 1 pieces are right.\n");
}

/// Three megabytes of files without a byte, none of which is there.
#[test]
fn a_hundred_thousand_missing_files_take_no_more_memory_than_the_torrent_does() {
    let folder = folder();
    let names: Vec<String> = (0..100_000).map(|number| format!("{number:05}")).collect();
    let files: Vec<(&str, Vec<u8>)> = names.iter().map(|name| (&**name, Vec::new())).collect();
    Recipe::files("many", 16_384, &files).build().write(folder.path(), None);
    let peak = |command: &[&str], path: Option<&str>, code: i32| {
        let run = Run::new(command).arg("test.torrent").dir(folder.path());
        let mut run = path.into_iter().fold(run, Run::arg).start();
        let mut peak = None;
        while !run.is_over() {
            peak = run.status("VmHWM").max(peak);
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let outcome = run.finish();
        assert_eq!(outcome.code, Some(code), "{}", outcome.err());
        (outcome.out().len(), peak)
    };
    let (_, read) = peak(&["info"], None, 0);
    for command in [&["verify"][..], &["verify", "--json"]] {
        let (length, verified) = peak(command, Some("."), 6);
        assert!(length > 1_000_000, "{command:?} names the files");
        // A list of files costs 16 MiB, and a report on each 7. As a tree of JSON they took 200.
        let bound = read.map(|read| read + (48 << 10));
        assert!(
            verified <= bound || bound.is_none(),
            "{command:?}: {verified:?}, {read:?} to read"
        );
    }
}
