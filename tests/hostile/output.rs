//! An output that exists already: foreign content is never touched.

use crate::support::{FakePeer, Recipe, Run, Torrent, content, folder};
use std::path::Path;

fn marker(folder: &Path, hash: &str) {
    std::fs::write(folder.join("out.piecemeal"), hash).expect("a temporary folder takes a file");
}

fn two_files() -> Torrent {
    Recipe::files(
        "album",
        32_768,
        &[("a/one.bin", content(40_000, 1)), ("two.bin", content(30_000, 2))],
    )
    .build()
}

#[test]
fn a_file_with_other_content_is_left_untouched() {
    let folder = folder();
    let torrent = Torrent::of_pieces(3, 60);
    let peer = FakePeer::of(&torrent).start();
    torrent.write(folder.path(), None);
    let out = folder.path().join("out");
    for foreign in [&b"precious"[..], &content(torrent.content.len(), 61), b""] {
        std::fs::write(&out, foreign).expect("a temporary folder takes a file");
        let run = |words: &[&str]| Run::new(words).dir(folder.path()).peer(peer.address()).run();
        let download = run(&["download", "-o", "out", "test.torrent"]);
        let magnet = run(&["magnet_download", "-o", "out", &torrent.magnet(&[])]);
        if foreign.is_empty() && download.code == Some(0) {
            return; // an empty file holds nothing to lose
        }
        download.fails(&[7]).mentions("out");
        assert!(download.err().contains("--force"), "the help names the way out: {download}");
        magnet.fails(&[7]);
        assert!(std::fs::read(&out).expect("the file is there") == foreign);
        assert!(!folder.path().join("out.piecemeal").exists(), "nothing marks it as ours");
        assert_eq!(peer.served(), 0, "nothing is fetched that cannot be kept");
    }
}

#[test]
fn what_another_client_has_begun_is_gone_on_with_and_only_the_rest_is_fetched() {
    let torrent = two_files();
    for magnet in [false, true] {
        let folder = folder();
        let peer = FakePeer::of(&torrent).start();
        torrent.write(folder.path(), None);
        std::fs::create_dir_all(folder.path().join("out/a"))
            .expect("a temporary folder takes a folder");
        std::fs::write(folder.path().join("out/a/one.bin"), &torrent.content[..40_000])
            .expect("a temporary folder takes a file");
        let link = torrent.magnet(&[]);
        let words = if magnet {
            ["magnet_download", "-o", "out", &link]
        } else {
            ["download", "-o", "out", "test.torrent"]
        };
        let outcome = Run::new(words).dir(folder.path()).peer(peer.address()).run();
        outcome
            .succeeds()
            .mentions("out: has 1 of 3 pieces of this torrent already; going on with those");
        assert!(
            std::fs::read(folder.path().join("out/two.bin")).expect("the file is there")
                == torrent.content[40_000..]
        );
        assert!(!folder.path().join("out.piecemeal").exists(), "a whole download is not marked");
        let fetched =
            peer.finished().iter().flat_map(|talk| talk.requests()).any(|(piece, _, _)| piece == 0);
        assert!(!fetched, "piece 0 was there");
    }
}

#[test]
fn force_replaces_other_content() {
    let folder = folder();
    let torrent = Torrent::of_pieces(3, 60);
    let peer = FakePeer::of(&torrent).start();
    torrent.write(folder.path(), None);
    let out = folder.path().join("out");
    for foreign in [content(10, 1), content(2 * torrent.content.len(), 2)] {
        std::fs::write(&out, &foreign).expect("a temporary folder takes a file");
        let run = Run::new(["download", "--force", "-o", "out", "test.torrent"]).dir(folder.path());
        run.peer(peer.address()).run().succeeds();
        assert!(
            std::fs::read(&out).expect("the file is there") == torrent.content,
            "and no longer than it should be"
        );
    }
}

#[test]
fn a_partial_download_of_another_torrent_is_left_untouched() {
    let folder = folder();
    let torrent = Torrent::of_pieces(3, 60);
    let peer = FakePeer::of(&torrent).start();
    torrent.write(folder.path(), None);
    let out = folder.path().join("out");
    for hash in ["0123456789abcdef0123456789abcdef01234567", "nonsense", "", "\u{20ac}"] {
        std::fs::write(&out, b"precious").expect("a temporary folder takes a file");
        marker(folder.path(), hash);
        let outcome = Run::new(["download", "-o", "out", "test.torrent"])
            .dir(folder.path())
            .peer(peer.address())
            .run();
        outcome.fails(&[7]);
        assert_eq!(std::fs::read(&out).expect("the file is there"), b"precious");
        let marker = std::fs::read_to_string(folder.path().join("out.piecemeal"))
            .expect("the marker is there");
        assert_eq!(marker, hash);
    }
}

#[test]
fn a_folder_with_other_content_is_left_untouched() {
    let folder = folder();
    let torrent = two_files();
    let peer = FakePeer::of(&torrent).start();
    torrent.write(folder.path(), None);
    std::fs::create_dir_all(folder.path().join("out/a"))
        .expect("a temporary folder takes a folder");
    std::fs::write(folder.path().join("out/a/one.bin"), b"precious")
        .expect("a temporary folder takes a file");
    let outcome = Run::new(["download", "-o", "out", "test.torrent"])
        .dir(folder.path())
        .peer(peer.address())
        .run();
    outcome.fails(&[7]);
    assert_eq!(
        std::fs::read(folder.path().join("out/a/one.bin")).expect("the file is there"),
        b"precious"
    );
    assert!(!folder.path().join("out/two.bin").exists());
}

#[test]
fn a_file_where_a_folder_is_needed_and_the_other_way_round() {
    let folder = folder();
    let torrent = two_files();
    let peer = FakePeer::of(&torrent).start();
    torrent.write(folder.path(), None);
    std::fs::write(folder.path().join("out"), b"precious")
        .expect("a temporary folder takes a file");
    Run::new(["download", "-o", "out", "test.torrent"])
        .dir(folder.path())
        .peer(peer.address())
        .run()
        .fails(&[7]);
    assert_eq!(std::fs::read(folder.path().join("out")).expect("the file is there"), b"precious");

    let single = Torrent::of_pieces(2, 62);
    let peer = FakePeer::of(&single).start();
    std::fs::create_dir(folder.path().join("folder")).expect("a temporary folder takes a folder");
    std::fs::write(folder.path().join("folder/x"), b"precious")
        .expect("a temporary folder takes a file");
    single.write(folder.path(), None);
    for force in [&[][..], &["--force"]] {
        let run = Run::new(["download", "-o", "folder", "test.torrent"].iter().chain(force))
            .dir(folder.path());
        run.peer(peer.address()).run().fails(&[7]);
        assert_eq!(
            std::fs::read(folder.path().join("folder/x")).expect("the file is there"),
            b"precious"
        );
    }
}

/// A folder `out` that counts as a partial download, where `link` leads outside.
#[cfg(unix)]
fn trap(folder: &Path, torrent: &Torrent, link: &str) {
    std::fs::create_dir_all(folder.join("out")).expect("a temporary folder takes a folder");
    std::fs::create_dir_all(folder.join("elsewhere")).expect("a temporary folder takes a folder");
    std::fs::write(folder.join("elsewhere/one.bin"), b"precious")
        .expect("a temporary folder takes a file");
    let target = if link == "a" { "elsewhere" } else { "elsewhere/one.bin" };
    std::os::unix::fs::symlink(folder.join(target), folder.join("out").join(link))
        .expect("links can be made here");
    marker(folder, &torrent.hex());
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_inside_the_output_is_not_followed_out_of_it() {
    let torrent = two_files();
    let peer = FakePeer::of(&torrent).start();
    for link in ["a", "two.bin"] {
        for force in [&[][..], &["--force"]] {
            let folder = folder();
            trap(folder.path(), &torrent, link);
            torrent.write(folder.path(), None);
            let run = Run::new(["download", "-o", "out", "test.torrent"].iter().chain(force))
                .dir(folder.path());
            let outcome = run.peer(peer.address()).run();
            let elsewhere = folder.path().join("elsewhere/one.bin");
            assert_eq!(
                std::fs::read(elsewhere).expect("the file is there"),
                b"precious",
                "{link}: {outcome}"
            );
            if outcome.code != Some(0) {
                outcome.fails(&[7]);
            }
        }
    }
}

#[test]
fn a_link_that_somebody_put_in_place_of_the_marker_is_not_written_through() {
    let torrent = Torrent::sample();
    for held in [None, Some("somebody's"), Some("")] {
        for force in [&[][..], &["--force"]] {
            let folder = folder();
            std::fs::create_dir(folder.path().join("victim")).expect("the folder takes a folder");
            let victim = folder.path().join("victim/x");
            held.iter()
                .for_each(|held| std::fs::write(&victim, held).expect("the folder takes a file"));
            std::os::unix::fs::symlink("victim/x", folder.path().join("out.piecemeal"))
                .expect("the folder takes a link");
            torrent.write(folder.path(), None);
            let peer = FakePeer::of(&torrent).start();
            let run =
                force.iter().fold(Run::new(["download", "-o", "out", "test.torrent"]), Run::arg);
            let outcome = run.dir(folder.path()).peer(peer.address()).run();
            outcome
                .fails(&[7])
                .mentions("out.piecemeal: is a symbolic link, which is not followed");
            assert_eq!(std::fs::read_to_string(&victim).ok().as_deref(), held, "{force:?}");
        }
    }
}

#[test]
fn a_piece_is_not_written_through_a_link_to_a_file_but_goes_to_stdout_by_name() {
    let (torrent, folder) = (Torrent::sample(), folder());
    torrent.write(folder.path(), None);
    let peer = FakePeer::of(&torrent).start();
    let piece = |out: &str| {
        Run::new(["download_piece", "--force", "-o", out, "test.torrent", "0"])
            .dir(folder.path())
            .peer(peer.address())
            .run()
    };
    std::os::unix::fs::symlink("victim", folder.path().join("out"))
        .expect("the folder takes a link");
    piece("out").fails(&[7]).mentions("out: is a symbolic link, which is not followed");
    assert!(!folder.path().join("victim").exists());
    std::fs::write(folder.path().join("victim"), "somebody's").expect("the folder takes a file");
    piece("out").fails(&[7]);
    assert_eq!(
        std::fs::read_to_string(folder.path().join("victim")).expect("it is there"),
        "somebody's"
    );
    assert!(piece("/dev/stdout").succeeds().stdout.starts_with(&torrent.content[..100]));
}
