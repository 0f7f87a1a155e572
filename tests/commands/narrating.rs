//! `-v`: a sentence for each step, with its chapter.

use crate::support::{Blocks, FakePeer, FakeTracker, Run, Torrent, folder};

/// The chapters that a command's sentences name, in their order; repetitions once.
fn chapters(err: &str) -> Vec<u32> {
    let number = |line: &str| line.rsplit_once(" (chapter ")?.1.strip_suffix(')')?.parse().ok();
    let mut chapters: Vec<u32> = err.lines().filter_map(number).collect();
    chapters.dedup();
    chapters
}

#[test]
fn each_command_of_the_course_tells_its_steps_in_their_order() {
    let folder = folder();
    let torrent = Torrent::sample();
    let peer = FakePeer::of(&torrent).start();
    let tracker = FakeTracker::knowing(&[peer.address()]);
    torrent.write(folder.path(), Some(&tracker.url()));
    let (address, link) = (peer.address().to_string(), torrent.magnet(&[&tracker.url()]));
    let steps: [(&[&str], &[u32]); 7] = [
        (&["info", "test.torrent"], &[2]),
        (&["peers", "test.torrent"], &[2, 3]),
        (&["handshake", "test.torrent", &address], &[2, 4]),
        (&["download_piece", "-o", "piece-0", "test.torrent", "0"], &[2, 3, 4, 5, 9]),
        (&["magnet_handshake", &link], &[6, 3, 4, 7]),
        (&["magnet_info", &link], &[6, 3, 4, 7, 8]),
        (&["magnet_download_piece", "-o", "piece-1", &link, "1"], &[6, 3, 4, 7, 8, 5, 9]),
    ];
    for (command, expected) in steps {
        let quiet = Run::new(command).dir(folder.path()).run();
        quiet.succeeds();
        assert_eq!(quiet.err(), "", "without -v nothing is told: {quiet}");
        let told = Run::new(command).arg("-v").dir(folder.path()).run();
        told.prints(&quiet.out());
        assert_eq!(chapters(&told.err()), expected, "{told}");
    }
}

#[test]
fn a_download_tells_whom_it_asks_who_comes_and_when_it_is_over() {
    let folder = folder();
    let torrent = Torrent::sample();
    let peer = FakePeer::of(&torrent).start();
    let tracker = FakeTracker::knowing(&[peer.address()]);
    torrent.write(folder.path(), Some(&tracker.url()));
    let link = torrent.magnet(&[&tracker.url()]);
    for (command, source, first) in [("download", "test.torrent", 2), ("magnet_download", &link, 6)]
    {
        let run = Run::new([command, "-v", "-o", command, source]).dir(folder.path()).run();
        run.succeeds();
        assert_eq!(chapters(&run.err()).first(), Some(&first), "{run}");
        assert!(
            run.err()
                .lines()
                .all(|line| line.contains(" (chapter ") || line.starts_with("downloading: ")),
            "{run}"
        );
        assert_eq!(run.err().contains("its hash is that in the link"), first == 6, "{run}");
        for words in [
            format!("asking the tracker {} for peers", tracker.url()),
            format!("{} is connected", peer.address()),
            format!("{} unchokes us", peer.address()),
            "a thread".to_owned(),
            "the hash of each is right".to_owned(),
        ] {
            run.mentions(&words);
        }
    }
}

#[test]
fn what_a_tracker_or_peer_says_is_made_safe_before_it_is_told() {
    let folder = folder();
    let torrent = Torrent::sample();
    let file = torrent.file(Some("http://127.0.0.1:9/\x1b[2Jannounce"));
    std::fs::write(folder.path().join("bad.torrent"), file)
        .expect("a temporary folder takes a file");
    let run = Run::new(["peers", "-v", "bad.torrent"]).dir(folder.path()).run();
    assert!(!run.err().contains('\x1b') && run.err().contains("asking the tracker"), "{run}");
}

#[test]
fn a_peer_that_lies_and_one_that_is_not_there_are_told_of_with_the_chapter() {
    let folder = folder();
    let torrent = Torrent::sample();
    let liar = FakePeer::of(&torrent).blocks(Blocks::Corrupt).start();
    torrent.write(folder.path(), None);
    let nobody = crate::support::dead_address();
    let run = Run::new(["download", "-v", "--timeout", "2", "-o", "out", "test.torrent"])
        .dir(folder.path());
    let run = run.peer(liar.address()).peer(nobody).run();
    assert_eq!(run.code, Some(5), "{run}");
    for words in [
        format!("{}, which is banned (chapter 15)", liar.address()),
        format!("{nobody} cannot be used: "),
    ] {
        run.mentions(&words);
    }
}
