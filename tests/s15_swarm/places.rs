//! Who gets a place, and who has to leave one.

use super::super::support::Torrent;
use super::net::{Net, PLAIN, brought, plan, run};
use piecemeal::s14_peer_list::places::Why;
use piecemeal::s15_swarm::Ended;
use std::net::SocketAddr;
use std::time::Duration;

/// Three places and four slow peers; a good one waits outside.
#[test]
fn the_slowest_of_all_makes_room_when_others_wait() {
    let (net, torrent) = (Net::new(), Torrent::of_pieces(400, 3));
    let everything: Vec<usize> = (0..torrent.pieces()).collect();
    let mut peers: Vec<SocketAddr> = (1..=4)
        .map(|host| {
            let (content, all) = (torrent.clone(), everything.clone());
            net.peer(host, move |talk| {
                talk.hello(PLAIN, &content)?;
                talk.has(&content, &all)?;
                loop {
                    let asked = talk.asked()?;
                    std::thread::sleep(Duration::from_millis(100));
                    talk.block(&content, asked)?;
                }
            })
        })
        .collect();
    let good = net.seed(200, &torrent, everything);
    peers.push(good);
    let mut plan = plan(&net, &torrent, &peers);
    plan.max_peers = 3;
    let ran = run(&net, plan, &torrent);
    let outcome = ran.is_complete(&torrent);
    let by_good: u64 =
        brought(outcome).iter().filter(|(peer, _)| *peer == good).map(|(_, bytes)| bytes).sum();
    assert!(by_good > torrent.content.len() as u64 / 2, "{:?}", brought(outcome));
    let made_room = (1..=4)
        .flat_map(|host| ran.left(net.at(host)))
        .filter(|why| matches!(why, Ended::MadeRoom(Why::Slowest)))
        .count();
    assert!(made_room > 0, "{:?}", ran.told());
}

#[test]
fn a_peer_that_makes_room_is_said_to_do_so_for_its_own_reason() {
    for (why, reason) in [
        (Why::Crowded, "its IP has more than its share"),
        (Why::Unproved, "it was of no use yet, while its IP has more than its share"),
        (Why::Useless, "it was of no use for long"),
        (Why::Slowest, "it was the slowest"),
    ] {
        let said = Ended::MadeRoom(why).to_string();
        assert_eq!(said, format!("others wait for its place, and {reason}"));
    }
}
