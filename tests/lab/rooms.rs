//! What else the lab of the command line has: rooms, a torrent to seed, a checklist, and ears for a
//! port that is the wrong way round.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use piecemeal::lab::notes::Notes;
use piecemeal::lab::seeder::{Plan, Seeder};
use piecemeal::lab::{Lab, alone, chapters, many, sample};
use piecemeal::s19_pex::Gossip;

use crate::lab::client::{Client, PLAIN, content, soon};
use crate::lab::running::Running;
use crate::support::{LIMIT, Run, folder, wire};

/// Whether this system has more than one loopback address.
fn has_rooms() -> bool {
    TcpListener::bind((Ipv4Addr::new(127, 9, 0, 1), 0)).is_ok()
}

/// Returns two rooms in which nobody is: these tests may run more than once on this machine.
fn free_rooms() -> [u8; 2] {
    let first = 10 + (std::process::id() % 200) as u8;
    let is_free = |room: &u8| TcpListener::bind((Ipv4Addr::new(127, *room, 0, 1), 6969)).is_ok();
    let mut free = (first..=254).chain(10..first).filter(is_free);
    std::array::from_fn(|_| free.next().expect("a room is free"))
}

#[test]
fn a_room_has_the_usual_ports_at_addresses_of_its_own() {
    if !has_rooms() {
        return;
    }
    let (one, two) = (folder(), folder());
    let start = |folder: &Path, room: u8| {
        let lab = Running::start(folder, &["lab", "--json", "-q", "--room", &room.to_string()]);
        let first = lab.object();
        (lab, first)
    };
    let is_taken = |first: &Value| first["error"].as_str().is_some_and(|why| why.contains("taken"));
    // Another test may have a seed at 6881 of all addresses, and so of every room.
    let begun = Instant::now();
    let (rooms, (mut first, said), (mut second, said_too)) = loop {
        let rooms = free_rooms();
        let labs = (start(one.path(), rooms[0]), start(two.path(), rooms[1]));
        if !is_taken(&labs.0.1) && !is_taken(&labs.1.1) {
            break (rooms, labs.0, labs.1);
        }
        assert!(begun.elapsed() < LIMIT, "the usual ports do not become free");
    };
    for (start, room) in [(said, rooms[0]), (said_too, rooms[1])] {
        assert_eq!(start["tracker"], format!("http://127.{room}.0.1:6969/announce"));
        let seeders: Vec<String> = (2..5).map(|last| format!("127.{room}.0.{last}:6881")).collect();
        assert_eq!(start["peers"], json!(seeders));
    }
    Run::new(["download_piece", "-o", "piece", "lab/sample.torrent", "0"])
        .dir(one.path())
        .run()
        .succeeds();
    let room = rooms[0];
    let taken =
        Run::new(["lab", "--dir", "other", "--room", &room.to_string()]).dir(two.path()).run();
    assert_eq!(taken.code, Some(7), "{taken}");
    let what = format!("127.{room}.0.1:6969: it is taken, perhaps by another lab in that room");
    taken.mentions(&format!("room {room}: {what}"));
    taken.mentions("choose another number");
    first.end();
    second.end();
}

#[test]
fn a_seeder_of_a_room_has_its_port_or_none() {
    if !has_rooms() {
        return;
    }
    let taken = TcpListener::bind((Ipv4Addr::new(127, 9, 0, 2), 0)).expect("an address");
    let plan = Plan { port: taken.local_addr().expect("bound").port(), ..Plan::default() };
    let lab = Lab::start_in_room(9, vec![sample().expect("a torrent")], &[plan], 0);
    let error = lab.err().expect("the port is taken").to_string();
    assert!(error.starts_with("127.9.0.2:") && error.contains("it is taken"), "{error}");
}

#[test]
fn rooms_are_numbered_from_1_to_254() {
    for room in ["0", "255", "x"] {
        assert_eq!(Run::new(["lab", "--room", room]).run().code, Some(2), "{room}");
    }
}

#[test]
fn a_port_that_is_read_low_byte_first_is_told() {
    if !has_rooms() {
        return;
    }
    let (content, notes) = (content(), Notes::default());
    // A port that the system has just had free, and that is one low byte first as well.
    let start = |number: u8| {
        let host = Ipv4Addr::new(127, 0, 0, number);
        let port = TcpListener::bind((host, 0)).and_then(|free| free.local_addr()).expect("a port");
        let plan = Plan { port: port.port(), ..Plan::default() };
        let contents = std::slice::from_ref(&content);
        let seeder = Seeder::start(number, contents, &plan, &Gossip::new(Vec::new), notes.clone())
            .expect("a seeder");
        let swapped = plan.port.swap_bytes();
        let listens = TcpListener::bind((seeder.address().ip(), swapped)).is_err();
        (swapped >= 1024 && listens && seeder.address().port() == plan.port).then_some(seeder)
    };
    let seeder = (100..200).find_map(start).expect("such a port is free somewhere");
    let (port, here) = (seeder.address().port(), seeder.address().ip());
    let swapped = port.swap_bytes();
    assert!(Client::dial((here, swapped).into()).is_over());
    let mut seen = Vec::new();
    soon("it is told", || {
        seen.extend(notes.take());
        !seen.is_empty()
    });
    assert_eq!(seen[0].who, format!("{here}:{swapped}"));
    let told = format!("it dials port {swapped}, which is {port} low byte first");
    assert!(seen[0].text.contains(&told), "{seen:?}");
    assert_eq!(seen[0].json["see"], "piecemeal chapter 3");
    // It does not outlive its seeder.
    let there = seeder.address().ip();
    drop(seeder);
    soon("nobody listens", || TcpStream::connect((there, swapped)).is_err());
}

#[test]
fn each_seeder_gives_metadata_another_number() {
    let lab = Lab::start(vec![sample().expect("a torrent")], &vec![Plan::default(); 4], 0)
        .expect("a lab");
    let ids: Vec<String> = lab
        .addresses()
        .into_iter()
        .map(|seeder| {
            let outcome =
                Run::new(["magnet_handshake", &lab.contents[0].magnet(&[], &[seeder])]).run();
            outcome.succeeds();
            outcome.out().lines().last().unwrap_or_default().to_owned()
        })
        .collect();
    let expected = [3, 7, 113, 3].map(|id| format!("Peer Metadata Extension ID: {id}"));
    assert_eq!(ids, expected);
}

#[test]
fn a_torrent_has_metadata_of_two_pieces_and_one_is_for_the_client_to_seed() {
    let (many, alone) = (many().expect("a torrent"), alone().expect("a torrent"));
    assert!(many.metadata.len() > 16_384 && many.metadata.len() <= 2 * 16_384);
    assert_eq!(many.info.piece_count(), 1_024);
    // Literals: another machine, or a later version, must give the same.
    assert_eq!(many.info_hash().to_string(), "8c8d6103a512637d216274dba6e4ba48a2e58cc6");
    assert_eq!(alone.info_hash().to_string(), "cdb0e91d90eca1849d3895c7aef2f01bd0a0c69c");
    let lab = Lab::start(vec![many, alone], &[Plan::default()], 0).expect("a lab");
    let link = lab.magnet_with_peers(&lab.contents[0]);
    let outcome = Run::new(["magnet_info", &link]).run();
    outcome.succeeds();
    assert_eq!(outcome.out().lines().count(), 4 + 1_024);
    // The seeder knows the one torrent, and hangs up on a client that wants the other.
    let (_, answer) = Client::greet(lab.addresses()[0], &lab.contents[0], PLAIN);
    assert_eq!(answer.len(), 68);
    let mut client = Client::dial(lab.addresses()[0]);
    client.send(&wire::handshake(PLAIN, lab.contents[1].info_hash().0, [7; 20]));
    assert!(client.is_over());
}

#[test]
fn a_download_of_the_lonely_torrent_comes_from_the_clients_seed_alone() {
    let folder = folder();
    let mut lab = Running::start(folder.path(), &["lab", "--json", "-q", "--seeders", "2"]);
    let start = lab.object();
    assert_eq!(start["torrents"][3], "lab/alone.torrent");
    let arguments =
        ["seed", "--json", "--port", "0", "lab/alone.torrent", "lab/original/alone.txt"];
    let seed = Running::start(folder.path(), &arguments);
    // It is ready once the tracker has heard of it.
    let announced = |line: String| line.contains("\"announce\"") && line.contains("\"left\":0");
    while !announced(lab.line()) {}
    Run::new(["download", "-q", "-o", "copy", "lab/alone.torrent"])
        .dir(folder.path())
        .run()
        .succeeds();
    let read = |path: &str| fs::read(folder.path().join(path)).expect("a file");
    assert!(read("copy") == read("lab/original/alone.txt"));
    drop(seed);
    let rest = lab.end();
    let done: Value = serde_json::from_str(rest.last().expect("a line")).expect("JSON");
    assert_eq!(done["blocks"], 0, "{done}");
}

#[test]
fn the_end_lists_what_each_client_has_shown() {
    let folder = folder();
    let mut lab = Running::start(folder.path(), &["lab", "--seeders", "1"]);
    let tour = lab.lines_to("Ctrl-C");
    let seeder = tour
        .iter()
        .find_map(|line| line.trim_start().strip_prefix("seeder ")?.split_whitespace().next())
        .expect("a seeder");
    Run::new(["download", "-q", "-o", "out", "lab/sample.torrent"])
        .dir(folder.path())
        .run()
        .succeeds();
    // Another client asks before it is unchoked.
    let content = &chapters().expect("torrents")[0];
    let (mut client, _) = Client::greet(seeder.parse().expect("an address"), content, PLAIN);
    client.request(0, 0, 16);
    client.send(&wire::message(wire::INTERESTED, b""));
    (0..2).for_each(|_| drop(client.message()));
    drop(client);
    let end = lab.end();
    let (from, whole) =
        (end.iter().position(|line| line == "What each client has shown:"), end.join("\n"));
    let list = end.get(from.expect("the checklist") + 1..).unwrap_or_default();
    assert_eq!(
        list,
        [
            "  -XX0000- from 127.0.0.1: shook hands, interested, requests",
            "    not yet: announced, bitfield, extension handshake, metadata, blocks, event completed, event stopped",
            "    wrong: 1 mistake, 1 request before the first unchoke",
            "  piecemeal 0.1 from 127.0.0.1: announced, shook hands, extension handshake, interested, requests, 6 blocks, event completed, event stopped",
            "    not yet: bitfield, metadata",
        ],
        "{whole}"
    );
}
