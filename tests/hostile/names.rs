//! Malicious file names.

use crate::support::{FakePeer, Recipe, Run, Torrent, content, folder};
use std::path::{Path, PathBuf};

/// A torrent of files with these raw paths. Each file holds ten bytes of its own.
fn torrent(paths: &[&[&[u8]]]) -> Torrent {
    let mut recipe = Recipe::single("hostile", 32_768, Vec::new());
    for (number, path) in paths.iter().enumerate() {
        recipe = recipe.file(path, content(10, number as u32), "");
    }
    recipe.build()
}

/// Every file under a folder, relative to it.
fn files_under(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).expect("the folder can be read") {
            let entry = entry.expect("the folder can be read");
            if entry.file_type().expect("an entry has a type").is_dir() {
                folders.push(entry.path());
            } else {
                found.push(
                    entry.path().strip_prefix(folder).expect("it came from there").to_owned(),
                );
            }
        }
    }
    found.sort();
    found
}

#[test]
fn paths_that_lead_out_or_nowhere_are_bad_input() {
    for paths in [
        &[&[&b".."[..], b"evil"][..]][..],
        &[&[b"a", b"..", b"evil"]],
        &[&[b".."]],
        &[&[".\u{200b}.".as_bytes(), b"evil"]],
        &[&["\u{202e}..\u{feff}".as_bytes(), b"evil"]],
        &[&["\u{2060}.".as_bytes()]],
        &[&[b"."]],
        &[&[b"a", b".", b"b"]],
        &[&[b""]],
        &[&[b"", b""]],
        &[&[b"", b"..", b"evil"]],
        &[&[]],
        &[&[b"a"], &[b"a", b"b"]],
        &[&[b"a", b"b"], &[b"a"]],
    ] {
        let folder = folder();
        let inner = folder.path().join("x/y");
        std::fs::create_dir_all(&inner).expect("a temporary folder takes a folder");
        let torrent = torrent(paths);
        let peer = FakePeer::of(&torrent).start();
        torrent.write(&inner, None);
        Run::new(["info", "test.torrent"]).dir(&inner).run().fails(&[3]).mentions("path");
        Run::new(["download", "-o", "out", "test.torrent"])
            .dir(&inner)
            .peer(peer.address())
            .run()
            .fails(&[3]);
        let magnet =
            Run::new(["magnet_download", "--timeout", "2", "-o", "out", &torrent.magnet(&[])]);
        magnet.dir(&inner).peer(peer.address()).run().fails(&[3, 5]);
        assert_eq!(
            files_under(folder.path()),
            [PathBuf::from("x/y/test.torrent")],
            "nothing was written: {paths:?}"
        );
    }
}

/// Downloads and lists what was written.
#[track_caller]
fn written(torrent: &Torrent) -> (tempfile::TempDir, Vec<PathBuf>) {
    let folder = folder();
    let peer = FakePeer::of(torrent).start();
    torrent.write(folder.path(), None);
    Run::new(["download", "-o", "out", "test.torrent"])
        .dir(folder.path())
        .peer(peer.address())
        .run()
        .succeeds();
    let files = files_under(&folder.path().join("out"));
    (folder, files)
}

#[test]
fn slashes_and_control_characters_become_underscores() {
    let torrent = torrent(&[
        &[b"/etc/passwd"],
        &[b"a/../../b"],
        &[b"nul\0nul"],
        &[b"bell\x07\x1b[31m\n"],
        &[b"d/", b"f"],
    ]);
    let (_folder, files) = written(&torrent);
    let expected = ["_etc_passwd", "a_.._.._b", "bell__[31m_", "d_/f", "nul_nul"];
    assert_eq!(files, expected.map(PathBuf::from));
}

#[test]
fn an_overlong_name_is_cut_to_what_a_file_system_takes() {
    let long = vec![b'x'; 300];
    let (_folder, files) = written(&torrent(&[&[&long, b"inner"]]));
    assert_eq!(files, [PathBuf::from("x".repeat(255)).join("inner")]);
    // A program that opens it goes by its extension.
    let film = [&long[..], b".mkv"].concat();
    let (_folder, files) = written(&torrent(&[&[b"inner", &film]]));
    assert_eq!(files, [PathBuf::from("inner").join("x".repeat(251) + ".mkv")]);
    // In the middle of a character that takes three bytes.
    let euros = "\u{20ac}".repeat(100);
    let (_folder, files) = written(&torrent(&[&[euros.as_bytes()]]));
    assert_eq!(files, [PathBuf::from("\u{20ac}".repeat(85))]);
}

#[test]
fn names_that_collide_once_they_are_safe_are_told_apart() {
    let torrent = torrent(&[&[b"a\x01"], &[b"a\x02"], &[b"a\x03"]]);
    let (folder, files) = written(&torrent);
    assert_eq!(files, ["a_", "a_.1", "a_.2"].map(PathBuf::from));
    for (number, file) in files.iter().enumerate() {
        let data = std::fs::read(folder.path().join("out").join(file)).expect("the file is there");
        assert_eq!(data, content(10, number as u32));
    }
}

#[test]
fn two_files_of_one_path_are_two_files() {
    let torrent =
        torrent(&[&[b"d", b"same.txt"], &[b"b"], &[b"d", b"same.txt"], &[b"d", b"same.txt"]]);
    let (folder, files) = written(&torrent);
    assert_eq!(files, ["b", "d/same.1.txt", "d/same.2.txt", "d/same.txt"].map(PathBuf::from));
    for (name, number) in [("b", 1), ("d/same.txt", 0), ("d/same.1.txt", 2), ("d/same.2.txt", 3)] {
        assert_eq!(
            std::fs::read(folder.path().join("out").join(name)).expect("the file is there"),
            content(10, number)
        );
    }
}

#[test]
fn an_empty_part_of_a_path_leads_nowhere() {
    let (_folder, files) =
        written(&torrent(&[&[b"", b"etc", b"passwd"], &[b"a", b"", b"b"], &[b"c", b""]]));
    assert_eq!(files, ["a/b", "c", "etc/passwd"].map(PathBuf::from));
}

#[cfg(unix)]
#[test]
fn a_name_that_is_not_utf8_is_written_all_the_same() {
    let torrent = torrent(&[&[b"caf\xe9"], &[b"\xff\xfe"]]);
    let (_folder, files) = written(&torrent);
    assert_eq!(files.len(), 2, "{files:?}");
}

#[test]
fn padding_files_are_never_written_and_may_share_a_path() {
    let torrent = Recipe::single("padded", 32_768, Vec::new())
        .file(&[b"one"], content(20_000, 1), "")
        .file(&[b".pad", b"12768"], vec![0; 12_768], "p")
        .file(&[b"two"], content(20_000, 2), "")
        .file(&[b".pad", b"12768"], vec![0; 12_768], "p")
        .file(&[b"three"], content(5, 3), "")
        .build();
    let (folder, files) = written(&torrent);
    assert_eq!(files, ["one", "three", "two"].map(PathBuf::from));
    for (name, data) in
        [("one", content(20_000, 1)), ("two", content(20_000, 2)), ("three", content(5, 3))]
    {
        assert!(
            std::fs::read(folder.path().join("out").join(name)).expect("the file is there") == data,
            "{name}"
        );
    }
}

#[test]
fn the_name_of_a_torrent_is_only_advice() {
    // -o says where; the torrent's own name leads nowhere.
    for name in ["/etc/evil", "../../evil", "evil\0"] {
        let folder = folder();
        let inner = folder.path().join("x/y");
        std::fs::create_dir_all(&inner).expect("a temporary folder takes a folder");
        let torrent = Recipe::single(name, 32_768, content(100, 1)).build();
        let peer = FakePeer::of(&torrent).start();
        torrent.write(&inner, None);
        let outcome = Run::new(["download", "-o", "out", "test.torrent"])
            .dir(&inner)
            .peer(peer.address())
            .run();
        let mut files = files_under(folder.path());
        files.retain(|f| f != Path::new("x/y/test.torrent"));
        match outcome.code {
            Some(0) => assert_eq!(files, [PathBuf::from("x/y/out")], "{outcome}"),
            _ => {
                outcome.fails(&[3]);
                assert!(files.is_empty(), "{files:?}");
            }
        }
    }
}

#[test]
fn letters_that_hide_or_turn_text_round_are_not_in_names_on_disk() {
    let names = [
        "\u{202e}gpj.exe",
        "gpj.exe",
        "gp\u{200b}j.exe",
        "\u{200d}\u{feff}",
        "_",
        "gpj.e\u{2066}xe",
        "\u{645}\u{6cc}\u{200c}.txt",
    ];
    let paths: Vec<Vec<&[u8]>> = names.iter().map(|name| vec![name.as_bytes()]).collect();
    let torrent = torrent(&paths.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let folder = folder();
    torrent.write(folder.path(), None);
    let peer = FakePeer::of(&torrent).start();
    Run::new(["download", "-o", "out", "test.torrent"])
        .dir(folder.path())
        .peer(peer.address())
        .run()
        .succeeds();
    let found = files_under(&folder.path().join("out"));
    let expected =
        ["_", "_.1", "gpj.1.exe", "gpj.2.exe", "gpj.3.exe", "gpj.exe", "\u{645}\u{6cc}.txt"];
    assert_eq!(found, expected.map(PathBuf::from), "each has its own");
    for (number, name) in ["gpj.exe", "gpj.1.exe", "gpj.2.exe"].iter().enumerate() {
        let held = std::fs::read(folder.path().join("out").join(name)).expect("it is there");
        assert_eq!(held, content(10, number as u32), "{name}");
    }
}
