//! In a swarm: who is found in the room, and which torrents the room never hears of.

use super::super::support::{Gate, Recipe, Torrent, bencode, content};
use super::fakes::{Said, room};
use super::net::{Net, PLAIN, magnet, plan, run};
use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s15_swarm::Event;
use piecemeal::s20_lsd::LocalDiscovery;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender};
use std::thread;

fn torrent(private: bool) -> Torrent {
    let recipe = Recipe::single("t", 32 << 10, content(100_000, 2));
    let recipe = if private { recipe.extra("private", bencode::int(1)) } else { recipe };
    recipe.build()
}

/// The datagram of a neighbor that has the torrent, and its sender.
fn says(torrent: &Torrent, peer: SocketAddr) -> (Vec<u8>, SocketAddr) {
    let headers = format!("Port: {}\r\nInfohash: {}\r\n", peer.port(), torrent.hex());
    let text = format!("BT-SEARCH * HTTP/1.1\r\n{headers}\r\n\r\n");
    (text.into_bytes(), SocketAddr::new(peer.ip(), 6771))
}

/// A source for this torrent, what is said in its room, and what it sends.
fn source(torrent: &Torrent) -> (Box<LocalDiscovery>, Sender<Said>, Receiver<Vec<u8>>) {
    let (room, say, sent) = room();
    (Box::new(LocalDiscovery::new(room, InfoHash(torrent.info_hash), 6881)), say, sent)
}

#[test]
fn a_download_needs_nobody_but_the_room() {
    for from_link in [false, true] {
        let (net, torrent) = (Net::new(), torrent(false));
        let content = torrent.clone();
        let neighbor = net.peer(1, move |talk| {
            match from_link {
                true => talk.give_info(&content)?,
                false => drop(talk.hello(PLAIN, &content)?),
            }
            talk.has(&content, &(0..content.pieces()).collect::<Vec<_>>())?;
            talk.give(&content)
        });
        let (source, say, _sent) = source(&torrent);
        let plan = if from_link { magnet(&net, &torrent, &[]) } else { plan(&net, &torrent, &[]) };
        let mut plan = plan;
        plan.sources = vec![source];
        say.send(says(&torrent, neighbor)).expect("the room is open");
        run(&net, plan, &torrent).is_complete(&torrent);
    }
}

#[test]
fn the_room_never_hears_of_a_private_torrent() {
    let (net, torrent) = (Net::new(), torrent(true));
    let seed = net.seed(1, &torrent, 0..torrent.pieces());
    let neighbor = net.seed(2, &torrent, 0..torrent.pieces());
    let (source, say, sent) = source(&torrent);
    say.send(says(&torrent, neighbor)).expect("the room is open");
    let mut plan = plan(&net, &torrent, &[seed]);
    plan.sources.push(source);
    let ran = run(&net, plan, &torrent);
    ran.is_complete(&torrent);
    assert_eq!(sent.iter().count(), 0, "nothing is sent");
    assert_eq!(net.dials(neighbor), 0);
    let said = ran.events.iter().any(|event| {
        matches!(event, Event::Source { name, what, .. }
            if name == "the local network (IPv4)" && what.contains("private"))
    });
    assert!(said, "the user can read why: {:?}", ran.told());
}

#[test]
fn a_magnet_link_that_turns_out_to_be_private_ends_it() {
    let (net, torrent, ended) = (Net::new(), torrent(true), Gate::default());
    let (content, gate) = (torrent.clone(), ended.clone());
    let peer = net.peer(1, move |talk| {
        if talk.dialed > 1 {
            return Ok(());
        }
        talk.give_info(&content)?;
        // Only what the info dictionary says can end the source: the download goes on until then.
        Ok(gate.opens()?)
    });
    let (source, _say, sent) = source(&torrent);
    let mut plan = magnet(&net, &torrent, &[peer]);
    plan.sources.push(source);
    let room = thread::spawn(move || {
        // Over when the source is gone.
        sent.iter().for_each(drop);
        ended.open();
    });
    run(&net, plan, &torrent).is_hopeless("");
    room.join().expect("it only listens");
}
