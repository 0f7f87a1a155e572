//! `download` with only bad peers: an error that says why, and no hang.

use crate::all_at_once;
use crate::support::wire::NOT_INTERESTED;
use crate::support::{
    After, Blocks, FakePeer, FakeTracker, Greeting, LIMIT, Plan, Run, Torrent, dead_address, folder,
};

/// Peers that leave or are sent away. (A useless peer that stays counts as alive: there the
/// limit is ten minutes without a block.)
fn dying(torrent: &Torrent) -> Vec<(&'static str, Plan, &'static [i32])> {
    let peer = || FakePeer::of(torrent);
    vec![
        ("another torrent", peer().greeting(Greeting::WrongInfoHash), &[5]),
        ("closes", peer().greeting(Greeting::Close), &[5]),
        ("half a handshake", peer().greeting(Greeting::Half), &[5]),
        (
            "http",
            peer().greeting(Greeting::Says(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())),
            &[5],
        ),
        ("closes after the handshake", peer().after(After::Close), &[5]),
        ("huge prefix", peer().after(After::Say(vec![0xFF; 64])), &[5]),
        ("resets half-way", peer().blocks(Blocks::ResetAfter(3)), &[5]),
        ("closes half-way", peer().blocks(Blocks::CloseAfter(3)), &[5]),
        ("corrupt", peer().blocks(Blocks::Corrupt), &[5, 6]),
        ("ourselves", peer().greeting(Greeting::Echo), &[5]),
    ]
}

#[test]
fn a_download_without_a_live_peer_ends_with_the_reason() {
    let torrent = Torrent::of_pieces(8, 30);
    all_at_once(dying(&torrent), |(_, plan, codes)| {
        let folder = folder();
        let peer = plan.start();
        let file = torrent.write(folder.path(), None);
        let out = folder.path().join("out");
        Run::new(["download", "--timeout", "2", "-o"])
            .arg(&out)
            .arg(file)
            .peer(peer.address())
            .run()
            .fails(codes);
    });
}

#[test]
fn a_magnet_download_without_a_live_peer_ends_with_the_reason() {
    let torrent = Torrent::of_pieces(8, 30);
    all_at_once(dying(&torrent), |(_, plan, codes)| {
        let folder = folder();
        let peer = plan.start();
        let out = folder.path().join("out");
        Run::new(["magnet_download", "--timeout", "2", "-o"])
            .arg(&out)
            .arg(torrent.magnet(&[]))
            .peer(peer.address())
            .run()
            .fails(codes);
    });
}

#[test]
fn a_tracker_that_knows_only_dead_peers_leads_to_no_usable_peer() {
    let folder = folder();
    let torrent = Torrent::of_pieces(4, 31);
    let dead: Vec<_> = (0..4).map(|_| dead_address()).collect();
    let tracker = FakeTracker::knowing(&dead);
    let file = torrent.write(folder.path(), Some(&tracker.url()));
    let out = folder.path().join("out");
    Run::new(["download", "--timeout", "2", "-o"])
        .arg(out)
        .arg(file)
        .run()
        .fails(&[5])
        .mentions("refused");
}

#[test]
fn a_tracker_that_knows_nobody_leads_to_no_usable_peer() {
    let folder = folder();
    let torrent = Torrent::of_pieces(4, 31);
    let tracker = FakeTracker::knowing(&[]);
    let file = torrent.write(folder.path(), Some(&tracker.url()));
    let out = folder.path().join("out");
    Run::new(["download", "--timeout", "2", "-o"]).arg(out).arg(file).run().fails(&[5]);
}

#[test]
fn when_nobody_has_a_piece_the_download_says_so_and_keeps_the_rest() {
    // The peer has all but piece 6, and dies when it has served the others.
    let folder = folder();
    let torrent = Torrent::of_pieces(8, 32);
    let peer = FakePeer::of(&torrent).only([0, 1, 2, 3, 4, 5, 7]).start();
    let file = torrent.write(folder.path(), None);
    let out = folder.path().join("out");
    let run = Run::new(["download", "--timeout", "2", "-o"])
        .arg(&out)
        .arg(&file)
        .peer(peer.address())
        .start();
    let begun = std::time::Instant::now();
    // It says so when this peer has nothing more that we want.
    while !peer.talks().iter().any(|talk| talk.ids().contains(&NOT_INTERESTED)) {
        assert!(begun.elapsed() < LIMIT, "seven pieces of two blocks are served");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    drop(peer);
    run.finish().fails(&[5]);
    let rest = FakePeer::of(&torrent).only([6]).start();
    Run::new(["download", "-o"]).arg(&out).arg(&file).peer(rest.address()).run().succeeds();
    assert!(std::fs::read(&out).expect("the download is there") == torrent.content);
}

#[test]
fn a_peer_that_returns_is_found_again() {
    // It dies halfway and comes back: addresses are remembered and dialed again.
    let folder = folder();
    let torrent = Torrent::of_pieces(8, 33);
    let first = FakePeer::of(&torrent).blocks(Blocks::CloseAfter(5)).host(2).start();
    let second = FakePeer::of(&torrent).host(3).once(first.mischief()).start();
    let tracker = FakeTracker::knowing(&[first.address(), second.address()]);
    let file = torrent.write(folder.path(), Some(&tracker.url()));
    let out = folder.path().join("out");
    Run::new(["download", "-o"]).arg(&out).arg(file).run().succeeds();
    assert!(std::fs::read(&out).expect("the download is there") == torrent.content);
}
