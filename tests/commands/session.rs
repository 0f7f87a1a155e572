//! The announces of a whole download.

use crate::support::tracker::{percent_decoded, query_of};
use crate::support::{FakePeer, FakeTracker, Reply, Run, Torrent, folder};

fn value(target: &str, key: &str) -> Option<String> {
    query_of(target).into_iter().find(|(k, _)| k == key).map(|(_, v)| v)
}

fn events(asked: &[String]) -> Vec<String> {
    asked
        .iter()
        .filter_map(|target| value(target, "event"))
        .filter(|event| !event.is_empty())
        .collect()
}

#[test]
fn a_download_announces_started_completed_and_stopped() {
    let folder = folder();
    let torrent = Torrent::sample();
    let peer = FakePeer::of(&torrent).start();
    let tracker = FakeTracker::knowing(&[peer.address()]);
    let file = torrent.write(folder.path(), Some(&tracker.url()));
    Run::new(["download", "-o"]).arg(folder.path().join("out")).arg(file).run().succeeds();
    let asked = tracker.asked();
    assert_eq!(events(&asked), ["started", "completed", "stopped"], "{asked:#?}");
    let size = torrent.content.len().to_string();
    let (first, last) = (&asked[0], &asked[asked.len() - 1]);
    assert_eq!(value(first, "left").as_deref(), Some(size.as_str()));
    assert_eq!(value(first, "downloaded").as_deref(), Some("0"));
    assert_eq!(value(last, "left").as_deref(), Some("0"));
    assert_eq!(value(last, "downloaded").as_deref(), Some(size.as_str()), "true counters");
    assert_eq!(value(last, "numwant").as_deref(), Some("0"), "one that leaves wants nobody");
    let ids: Vec<_> =
        asked.iter().map(|a| value(a, "peer_id").map(|id| percent_decoded(&id))).collect();
    assert!(
        ids.iter().all(|id| *id == ids[0] && id.as_ref().is_some_and(|id| id.len() == 20)),
        "one peer id a session"
    );
    let keys: Vec<_> = asked.iter().map(|a| value(a, "key")).collect();
    assert!(keys.iter().all(|key| *key == keys[0] && key.is_some()), "one key a session: {keys:?}");
}

#[test]
fn a_torrent_that_was_complete_is_never_completed_again() {
    let folder = folder();
    let torrent = Torrent::sample();
    let peer = FakePeer::of(&torrent).start();
    let first = torrent.write(folder.path(), None);
    let out = folder.path().join("out");
    Run::new(["download", "-o"]).arg(&out).arg(&first).peer(peer.address()).run().succeeds();
    let tracker = FakeTracker::knowing(&[]);
    let file = torrent.write(folder.path(), Some(&tracker.url()));
    // Whether the finished file counts as ours or as foreign content: nothing
    // of it may be fetched or announced as completed.
    let _ = Run::new(["download", "--force", "-o"]).arg(&out).arg(file).run();
    assert!(!events(&tracker.asked()).contains(&"completed".to_owned()), "{:?}", tracker.asked());
    assert!(std::fs::read(&out).expect("the file is there") == torrent.content);
}

#[test]
fn a_magnet_session_announces_the_real_length_once_it_knows() {
    let folder = folder();
    let torrent = Torrent::sample();
    let peer = FakePeer::of(&torrent).start();
    let tracker = FakeTracker::knowing(&[peer.address()]);
    let link = torrent.magnet(&[&tracker.url()]);
    Run::new(["magnet_download", "-o"]).arg(folder.path().join("out")).arg(link).run().succeeds();
    let asked = tracker.asked();
    assert_eq!(events(&asked), ["started", "completed", "stopped"], "{asked:#?}");
    assert_eq!(value(&asked[0], "left").as_deref(), Some("1"));
    assert_eq!(value(&asked[asked.len() - 1], "left").as_deref(), Some("0"));
}

#[test]
fn a_tracker_id_comes_back_with_the_next_announce() {
    let folder = folder();
    let torrent = Torrent::sample();
    let peer = FakePeer::of(&torrent).start();
    let compact = crate::support::tracker::compact(&[peer.address()]);
    let body = [&b"d8:intervali60e5:peers6:"[..], &compact, b"10:tracker id4:a b&e"].concat();
    let tracker = FakeTracker::saying(Reply::Body(body));
    let file = torrent.write(folder.path(), Some(&tracker.url()));
    Run::new(["download", "-o"]).arg(folder.path().join("out")).arg(file).run().succeeds();
    let asked = tracker.asked();
    assert_eq!(value(&asked[0], "trackerid"), None);
    let last = value(&asked[asked.len() - 1], "trackerid").map(|id| percent_decoded(&id));
    assert_eq!(last.as_deref(), Some(&b"a b&"[..]), "{asked:#?}");
}

#[test]
fn a_dead_first_tier_does_not_stop_the_second() {
    let folder = folder();
    let torrent = Torrent::sample();
    let peer = FakePeer::of(&torrent).start();
    let tracker = FakeTracker::knowing(&[peer.address()]);
    let dead = format!("http://{}/announce", crate::support::dead_address());
    let file = format!(
        "d13:announce-listll{}:{dead}el{}:{}ee4:info",
        dead.len(),
        tracker.url().len(),
        tracker.url()
    );
    let file = [file.as_bytes(), &torrent.info, b"e"].concat();
    let path = folder.path().join("t.torrent");
    std::fs::write(&path, file).expect("a temporary folder takes a file");
    Run::new(["peers"]).arg(&path).run().prints(&format!("{}\n", peer.address()));
    Run::new(["download", "-o"]).arg(folder.path().join("out")).arg(&path).run().succeeds();
}

#[test]
fn an_address_named_twice_is_one_peer() {
    let folder = folder();
    let torrent = Torrent::of_pieces(6, 12);
    let peer = FakePeer::of(&torrent).pace(10).start();
    let tracker = FakeTracker::knowing(&[peer.address(), peer.address()]);
    let file = torrent.write(folder.path(), Some(&tracker.url()));
    let run = Run::new(["download", "-o"]).arg(folder.path().join("out")).arg(file);
    run.peer(peer.address()).peer(peer.address()).run().succeeds();
    peer.only_talk();
}
