//! Waiting must cost nothing: no spinning, no hammering, no asking in a loop.

use crate::support::{Blocks, FakePeer, Greeting, Run, Torrent, Unchoke, folder};
use std::time::Duration;

/// The time to watch. A spinning loop shows within a hundredth of it.
const WHILE: Duration = Duration::from_millis(1_500);

#[test]
fn waiting_for_peers_does_not_spin() {
    let folder = folder();
    let torrent = Torrent::of_pieces(8, 80);
    let peers = [
        FakePeer::of(&torrent).unchoke(Unchoke::Never).host(2).start(),
        FakePeer::of(&torrent).only([0]).host(3).start(),
        FakePeer::of(&torrent).greeting(Greeting::Silent).host(4).start(),
        FakePeer::of(&torrent).only([1]).blocks(Blocks::SilentAfter(0)).host(5).start(),
        FakePeer::of(&torrent).only([]).fast().host(6).start(),
    ];
    let file = torrent.write(folder.path(), None);
    let mut run = Run::new(["download", "-o"]).arg(folder.path().join("out")).arg(file);
    for peer in &peers {
        run = run.peer(peer.address());
    }
    let mut run = run.start();
    peers[3].mischief().wait();
    let before = run.computed();
    std::thread::sleep(WHILE);
    assert!(!run.is_over(), "it waits for peers that are alive");
    if let (Some(before), Some(after)) = (before, run.computed()) {
        let spent = after - before;
        assert!(spent < 50, "{spent} hundredths of a second computed in {WHILE:?}");
    }
}

#[test]
fn a_peer_that_rejects_everything_is_not_asked_in_a_loop() {
    let folder = folder();
    let torrent = Torrent::of_pieces(8, 81);
    let peer = FakePeer::of(&torrent).fast().blocks(Blocks::Reject).start();
    let file = torrent.write(folder.path(), None);
    let run = Run::new(["download", "-o"])
        .arg(folder.path().join("out"))
        .arg(file)
        .peer(peer.address())
        .start();
    peer.mischief().wait();
    std::thread::sleep(WHILE);
    let asked: usize = peer.talks().iter().map(|talk| talk.requests().len()).sum();
    drop(run);
    assert!(asked < 300, "16 blocks, {asked} requests");
}

#[test]
fn a_peer_that_hangs_up_at_once_is_not_dialed_in_a_loop() {
    let folder = folder();
    let torrent = Torrent::of_pieces(8, 82);
    let closing = FakePeer::of(&torrent).greeting(Greeting::Close).host(2).start();
    let holding = FakePeer::of(&torrent).unchoke(Unchoke::Never).host(3).start();
    let file = torrent.write(folder.path(), None);
    let run = Run::new(["download", "-o"]).arg(folder.path().join("out")).arg(file);
    let run = run.peer(closing.address()).peer(holding.address()).start();
    closing.mischief().wait();
    std::thread::sleep(WHILE);
    let dialed = closing.talks().len();
    drop(run);
    assert!(dialed <= 3, "dialed {dialed} times in {WHILE:?}");
}

#[test]
fn a_peer_that_sent_a_corrupt_piece_alone_is_not_dialed_again() {
    let folder = folder();
    let torrent = Torrent::of_pieces(8, 83);
    let corrupt = FakePeer::of(&torrent).blocks(Blocks::Corrupt).host(2).start();
    let good = FakePeer::of(&torrent).host(3).once(corrupt.mischief()).pace(10).start();
    let file = torrent.write(folder.path(), None);
    let run = Run::new(["download", "-o"]).arg(folder.path().join("out")).arg(file);
    run.peer(corrupt.address()).peer(good.address()).run().succeeds();
    assert_eq!(corrupt.talks().len(), 1);
}
