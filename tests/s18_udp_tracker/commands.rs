//! `scrape`, and the earlier commands with UDP trackers.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::support::bencode::{bytes, dict, int, list};
use crate::support::udp_tracker::{action, answer, good};
use crate::support::{
    Deed, FakePeer, FakeTracker, FakeUdpTracker, Reply, Run, Torrent, dead_address, folder,
};

fn torrent_with(
    torrent: &Torrent,
    folder: &std::path::Path,
    tiers: &[&[&str]],
) -> std::path::PathBuf {
    let tier = |urls: &&[&str]| list(&urls.iter().map(bytes).collect::<Vec<_>>());
    let tiers: Vec<Vec<u8>> = tiers.iter().map(tier).collect();
    let file = dict(&[("announce-list", list(&tiers)), ("info", torrent.info.clone())]);
    let path = folder.join("t.torrent");
    std::fs::write(&path, file).expect("a temporary folder takes a file");
    path
}

fn http_counting(torrent: &Torrent) -> FakeTracker {
    let counts = dict(&[("complete", int(4)), ("downloaded", int(9)), ("incomplete", int(2))]);
    let hash = hex::decode(torrent.hex()).expect("an info hash is hex");
    FakeTracker::saying(Reply::Body(dict(&[(
        "files",
        [&b"d"[..], &bytes(hash), &counts, b"e"].concat(),
    )])))
}

#[test]
fn scrape_prints_one_line_for_each_tracker_in_their_order() {
    let (folder, torrent) = (folder(), Torrent::sample());
    let (udp, http) = (FakeUdpTracker::knowing(&[]), http_counting(&torrent));
    let (first, second) = (udp.url(), http.url());
    let expected = format!(
        "{first}: 5 seeders, 1 leecher, 7 downloads\n{second}: 4 seeders, 2 leechers, 9 downloads\n"
    );
    let file = torrent_with(&torrent, folder.path(), &[&[&first, &second]]);
    Run::new(["scrape"]).arg(&file).run().prints(&expected);
    Run::new(["scrape", &torrent.magnet(&[&first, &second])]).run().prints(&expected);
    let json: Value =
        serde_json::from_str(&Run::new(["scrape", "--json"]).arg(&file).run().out()).expect("JSON");
    let object = |url: &str, counts: [u64; 3]| json!({ "url": url, "seeders": counts[0], "leechers": counts[1], "downloads": counts[2] });
    assert_eq!(
        json,
        json!({ "trackers": [object(&first, [5, 1, 7]), object(&second, [4, 2, 9])] })
    );
}

#[test]
fn a_tracker_that_fails_costs_a_note_and_not_the_others() {
    let (folder, torrent) = (folder(), Torrent::sample());
    let good = FakeUdpTracker::knowing(&[]);
    let silent = FakeUdpTracker::silent();
    let bare = format!("http://{}/a", dead_address());
    let file = torrent_with(
        &torrent,
        folder.path(),
        &[&[&silent.url()], &[&bare], &[&good.url()], &["wss://127.0.0.1/"]],
    );
    let outcome = Run::new(["scrape", "--timeout", "3"]).arg(&file).run();
    outcome.prints(&format!("{}: 5 seeders, 1 leecher, 7 downloads\n", good.url()));
    outcome
        .mentions(&format!("{}: ", silent.url()))
        .mentions("gave no answer")
        .mentions("cannot be scraped")
        .mentions("\"wss\"");
    let quiet = Run::new(["scrape", "-q", "--timeout", "3"]).arg(&file).run();
    assert_eq!(quiet.succeeds().err(), "");
    let json = Run::new(["scrape", "--json", "--timeout", "3"]).arg(&file).run().out();
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["trackers"].as_array().map(Vec::len), Some(4));
    assert!(
        json["trackers"][0]["error"].as_str().is_some_and(|why| why.contains("gave no answer")),
        "{json}"
    );
}

#[test]
fn scrape_fails_when_no_tracker_answers() {
    let torrent = Torrent::sample();
    let silent = FakeUdpTracker::silent();
    Run::new(["scrape", "--timeout", "1", &torrent.magnet(&[&silent.url()])])
        .run()
        .fails(&[4])
        .mentions("gave no answer");
    Run::new(["scrape", &torrent.magnet(&[])]).run().fails(&[4]).mentions("no tracker");
    Run::new(["scrape", "magnet:?xt=urn:btih:zz"]).run().fails(&[3]);
    Run::new(["scrape", "no-such.torrent"]).run().fails(&[7]);
    let refusing = FakeUdpTracker::start(|packet, _| {
        vec![Deed::Send(if action(packet) == 2 {
            answer(packet, 3, b"not today")
        } else {
            good(packet, &[])
        })]
    });
    Run::new(["scrape", &torrent.magnet(&[&refusing.url()])])
        .run()
        .fails(&[4])
        .mentions("not today");
}

#[test]
fn peers_asks_udp_trackers() {
    let folder = folder();
    let known: SocketAddr = "127.0.0.1:9".parse().expect("an address");
    let tracker = FakeUdpTracker::knowing(&[known]);
    let file = Torrent::sample().write(folder.path(), Some(&tracker.url()));
    Run::new(["peers"]).arg(&file).run().prints("127.0.0.1:9\n");
    // As a stage's command does it: once, without an event, and with something left.
    let announce = tracker.heard().pop().expect("an announce");
    assert_eq!((tracker.actions(), announce[80..84].to_vec()), (vec![0, 1], vec![0; 4]));
    assert_ne!(announce[64..72], [0; 8]);
    let silent = FakeUdpTracker::silent();
    let file = Torrent::sample().write(folder.path(), Some(&silent.url()));
    Run::new(["peers", "--timeout", "1"]).arg(&file).run().fails(&[4]).mentions("gave no answer");
}

#[test]
fn downloads_and_magnet_commands_find_their_peers_over_udp() {
    let (folder, torrent) = (folder(), Torrent::of_pieces(3, 13));
    let peer = FakePeer::of(&torrent).start();
    let tracker = FakeUdpTracker::knowing(&[peer.address()]);
    let dead = format!("http://{}/announce", dead_address());
    let out = folder.path().join("out");
    let file = torrent_with(&torrent, folder.path(), &[&[&dead, &tracker.url()]]);
    Run::new(["download", "-o"]).arg(&out).arg(&file).run().succeeds();
    assert!(std::fs::read(&out).expect("the download is there") == torrent.content);
    // `started`, and `stopped` at the end over the same connection.
    let events: Vec<u8> = tracker
        .heard()
        .iter()
        .filter(|packet| action(packet) == 1)
        .map(|packet| packet[83])
        .collect();
    assert_eq!((events.first(), events.last()), (Some(&2), Some(&3)), "{events:?}");
    assert_eq!(tracker.actions().iter().filter(|action| **action == 0).count(), 1, "one connect");
    let link = torrent.magnet(&[&tracker.url()]);
    Run::new(["magnet_info", &link]).run().succeeds();
    let out = folder.path().join("again");
    Run::new(["magnet_download", "-o"]).arg(&out).arg(&link).run().succeeds();
    assert!(std::fs::read(&out).expect("the download is there") == torrent.content);
}
