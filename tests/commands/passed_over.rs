//! Broken parts that are not needed: a note on stderr, and the answer all the same.

use crate::support::torrent::sha1;
use crate::support::{FakePeer, Recipe, Run, Torrent, content, folder};
use std::path::Path;

/// The stdout of a command that works, and its notes.
fn notes(folder: &Path, words: &[&str]) -> (String, Vec<String>) {
    let outcome = Run::new(words).dir(folder).run();
    let notes = outcome
        .succeeds()
        .err()
        .lines()
        .filter(|line| line.starts_with("note: "))
        .map(str::to_owned)
        .collect();
    (outcome.out(), notes)
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    std::fs::write(folder.join(name), bytes).expect("a temporary folder takes a file");
}

#[test]
fn a_torrent_with_something_broken_that_is_not_needed_prints_what_a_whole_one_does() {
    let folder = folder();
    let torrent = Torrent::sample();
    let info = &torrent.info;
    write(folder.path(), "good.torrent", &torrent.file(None));
    let (good, none) = notes(folder.path(), &["info", "good.torrent"]);
    assert_eq!(none, [""; 0]);
    let table: [(&[u8], &[u8], &str); 4] = [
        (b"d8:announcei1e4:info", b"e", "announce must be a URL, but is 1; it is passed over"),
        (
            b"d13:announce-list1:x4:info",
            b"e",
            "announce-list must be a list of lists of URLs, but is \"x\"; it is passed over",
        ),
        (
            b"d7:comment2:\xd6\xd04:info",
            b"e",
            "comment must be text in UTF-8, but is 2 bytes that are not UTF-8; it is passed over",
        ),
        (b"d4:info", b"eerrot: no is id", "15 bytes after the end of the torrent: passed over"),
    ];
    for (head, tail, note) in table {
        write(folder.path(), "odd.torrent", &[head, info, tail].concat());
        let (out, notes) = notes(folder.path(), &["info", "odd.torrent"]);
        assert_eq!((out, notes), (good.clone(), vec![format!("note: odd.torrent: {note}")]));
        let quiet = Run::new(["info", "-q", "odd.torrent"]).dir(folder.path()).run();
        assert_eq!((quiet.succeeds().out(), quiet.err()), (good.clone(), String::new()));
        let json = Run::new(["info", "--json", "odd.torrent"]).dir(folder.path()).run();
        assert!(
            serde_json::from_str::<serde_json::Value>(&json.succeeds().out()).is_ok(),
            "{json}"
        );
    }
}

#[test]
fn a_note_does_not_obey_the_escape_sequences_of_a_name() {
    let folder = folder();
    let twice =
        Recipe::files("t", 16, &[("a\u{202e}b", content(3, 1)), ("a\u{202e}b", content(3, 2))])
            .build();
    twice.write(folder.path(), None);
    let (_, notes) = notes(folder.path(), &["info", "test.torrent"]);
    let note = "info.files[1].path is also the path of an earlier file; this one becomes ab.1";
    assert_eq!(notes, [format!("note: test.torrent: {note}").replace("\\\\", "\\")]);
}

/// A file of 100 bytes, 文档/1.txt, in a folder 文档, which the torrent names in GBK, and in UTF-8 beside it.
fn gbk() -> Torrent {
    let data = content(100, 5);
    let (gbk, utf8) = (&b"4:\xce\xc4\xb5\xb5"[..], "6:文档".as_bytes());
    let entry =
        [b"d6:lengthi100e4:pathl", gbk, b"5:1.txte10:path.utf-8l", utf8, b"5:1.txtee"].concat();
    let info = [
        b"d5:filesl",
        &entry[..],
        b"e4:name",
        gbk,
        b"10:name.utf-8",
        utf8,
        b"12:piece lengthi16384e6:pieces20:",
        &sha1(&data),
        b"7:private1:1e",
    ];
    Torrent::of_info(info.concat(), data, 16_384)
}

#[test]
fn a_torrent_that_names_its_files_in_gbk_too_is_downloaded_to_the_names_in_utf8() {
    let (folder, torrent) = (folder(), gbk());
    torrent.write(folder.path(), None);
    let (out, _) = notes(folder.path(), &["info", "--json", "test.torrent"]);
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((&json["name"], &json["files"][0]["path"]), (&"文档".into(), &"文档/1.txt".into()));
    assert_eq!(json["info_hash"], torrent.hex());
    let link = torrent.magnet(&[]);
    // The names, and what is broken, may come from a file or from a peer.
    for (words, object) in [
        (["download", "-o", "one", "test.torrent"], "test.torrent"),
        (["magnet_download", "-o", "two", &link], "the info dictionary"),
    ] {
        let peer = FakePeer::of(&torrent).start();
        let outcome = Run::new(words).dir(folder.path()).peer(peer.address()).run();
        let note = "info.private must be 0 or 1, but is \"1\"; it is passed over";
        outcome.succeeds().mentions(&format!("note: {object}: {note}"));
        assert_eq!(
            std::fs::read(folder.path().join(words[2]).join("文档/1.txt")).expect("it is there"),
            torrent.content
        );
    }
    let peer = FakePeer::of(&torrent).start();
    let outcome = Run::new(["magnet_info", &link]).peer(peer.address()).run();
    outcome.succeeds().mentions("note: the info dictionary: info.private must be");
}
