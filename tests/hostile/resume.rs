//! SIGKILL in the middle of a download, and what the next run makes of the files.

use crate::support::{Blocks, FakePeer, FakeTracker, LIMIT, Recipe, Run, Torrent, content, folder};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

/// Starts a download and kills it once this many pieces are verified. The number of blocks that
/// the peer has served would say little: they may wait in the kernel.
fn killed_after(pieces: u64, torrent: &Torrent, folder: &Path) {
    let peer = FakePeer::of(torrent).pace(4).start();
    let events = folder.join("events");
    let file = File::create(&events).expect("a temporary folder takes a file");
    let run =
        Run::new(["download", "--json", "-o", "out", "test.torrent"]).dir(folder).stdout(file);
    let run = run.peer(peer.address()).start();
    let verified =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).ok()?["verified"].as_u64();
    let begun = Instant::now();
    loop {
        let text = std::fs::read_to_string(&events).expect("the events can be read");
        if text.lines().filter_map(verified).max() >= Some(pieces * 32_768) {
            break;
        }
        assert!(begun.elapsed() < LIMIT, "{pieces} pieces are served: {text}");
        std::thread::sleep(Duration::from_millis(2));
    }
    run.kill();
}

/// Whether at least one piece is right.
fn has_a_piece(out: &Path, torrent: &Torrent) -> bool {
    let there = std::fs::read(out).unwrap_or_default();
    there
        .chunks_exact(32_768)
        .zip(torrent.content.chunks_exact(32_768))
        .any(|(found, expected)| found == expected)
}

/// Finishes the download, and returns the pieces that it fetched.
fn resumed(torrent: &Torrent, folder: &Path) -> BTreeSet<u32> {
    // Use a different peer, also by its peer id: a tracker may still name the old one.
    let peer = FakePeer::of(torrent).host(9).start();
    Run::new(["download", "-o", "out", "test.torrent"])
        .dir(folder)
        .peer(peer.address())
        .run()
        .prints("Downloaded test.torrent to out.\n");
    peer.finished().iter().flat_map(|talk| talk.requests()).map(|(piece, _, _)| piece).collect()
}

#[test]
fn a_killed_download_goes_on_where_it_was() {
    let folder = folder();
    let torrent = Torrent::of_pieces(40, 70);
    torrent.write(folder.path(), None);
    killed_after(20, &torrent, folder.path());
    let marker = std::fs::read_to_string(folder.path().join("out.piecemeal"))
        .expect("a partial download is marked");
    assert_eq!(marker.trim_end(), torrent.hex());
    let fetched = resumed(&torrent, folder.path());
    assert!(fetched.len() <= 20, "fetched again: {fetched:?}");
    assert!(
        std::fs::read(folder.path().join("out")).expect("the download is there") == torrent.content
    );
    assert!(!folder.path().join("out.piecemeal").exists(), "a whole download is not marked");
}

#[test]
fn a_resumed_download_believes_nothing_but_hashes() {
    let folder = folder();
    let torrent = Torrent::of_pieces(20, 71);
    torrent.write(folder.path(), None);
    let out = folder.path().join("out");
    let hex = torrent.hex();
    let mark = || {
        std::fs::write(folder.path().join("out.piecemeal"), &hex)
            .expect("a temporary folder takes a file")
    };

    // All there, except for one spoiled byte in piece 3.
    let mut spoiled = torrent.content.clone();
    spoiled[3 * 32_768 + 7] ^= 1;
    std::fs::write(&out, &spoiled).expect("a temporary folder takes a file");
    mark();
    assert_eq!(resumed(&torrent, folder.path()), BTreeSet::from([3]));
    assert!(std::fs::read(&out).expect("the download is there") == torrent.content);

    // Too short, and too long.
    std::fs::write(&out, &torrent.content[..10 * 32_768 + 5])
        .expect("a temporary folder takes a file");
    mark();
    assert_eq!(resumed(&torrent, folder.path()), (10..20).collect());
    assert!(std::fs::read(&out).expect("the download is there") == torrent.content);
    std::fs::write(&out, [&torrent.content[..], b"and more"].concat())
        .expect("a temporary folder takes a file");
    mark();
    assert_eq!(resumed(&torrent, folder.path()), BTreeSet::new());
    assert!(std::fs::read(&out).expect("the download is there") == torrent.content);

    // Nothing there but the mark.
    std::fs::remove_file(&out).expect("the download is ours");
    mark();
    assert_eq!(resumed(&torrent, folder.path()).len(), 20);
    assert!(std::fs::read(&out).expect("the download is there") == torrent.content);
}

#[test]
fn a_killed_download_of_several_files_goes_on() {
    let folder = folder();
    let files = [
        ("a/one.bin", content(300_000, 1)),
        ("empty", Vec::new()),
        ("b/two.bin", content(400_000, 2)),
    ];
    let torrent = Recipe::files("album", 32_768, &files).build();
    torrent.write(folder.path(), None);
    killed_after(7, &torrent, folder.path());
    let fetched = resumed(&torrent, folder.path());
    assert!(fetched.len() < torrent.pieces(), "fetched again: {fetched:?}");
    for (path, data) in &files {
        assert!(
            &std::fs::read(folder.path().join("out").join(path)).expect("the file is there")
                == data,
            "{path}"
        );
    }
}

#[test]
fn a_magnet_download_goes_on_from_a_torrents_partial_one() {
    let folder = folder();
    let torrent = Torrent::of_pieces(20, 72);
    torrent.write(folder.path(), None);
    killed_after(5, &torrent, folder.path());
    let peer = FakePeer::of(&torrent).start();
    let run = Run::new(["magnet_download", "-o", "out", &torrent.magnet(&[])]).dir(folder.path());
    run.peer(peer.address()).run().succeeds();
    assert!(
        std::fs::read(folder.path().join("out")).expect("the download is there") == torrent.content
    );
    let fetched: BTreeSet<u32> =
        peer.finished().iter().flat_map(|t| t.requests()).map(|(piece, _, _)| piece).collect();
    assert!(fetched.len() < 20, "{fetched:?}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_download_that_can_go_on() {
    let folder = folder();
    let torrent = Torrent::of_pieces(20, 73);
    let peer = FakePeer::of(&torrent).blocks(Blocks::SilentAfter(10)).start();
    let tracker = FakeTracker::knowing(&[peer.address()]);
    torrent.write(folder.path(), Some(&tracker.url()));
    let run = Run::new(["download", "-o", "out", "test.torrent"]).dir(folder.path()).start();
    peer.mischief().wait();
    // Ten blocks have been sent. They may not all have come, but one of the pieces has.
    let begun = Instant::now();
    while !has_a_piece(&folder.path().join("out"), &torrent) {
        assert!(begun.elapsed() < LIMIT, "the first blocks are written");
        std::thread::sleep(Duration::from_millis(2));
    }
    run.interrupt();
    let outcome = run.finish();
    assert_eq!(outcome.code, Some(130), "{outcome}");
    assert!(outcome.stdout.is_empty(), "{outcome}");
    let asked = tracker.asked();
    assert!(
        asked.last().is_some_and(|last| last.contains("event=stopped")),
        "one that leaves says so: {asked:#?}"
    );
    assert!(folder.path().join("out.piecemeal").exists(), "what is there stays marked as partial");
    assert!(resumed(&torrent, folder.path()).len() < 20);
    assert!(
        std::fs::read(folder.path().join("out")).expect("the download is there") == torrent.content
    );
}
