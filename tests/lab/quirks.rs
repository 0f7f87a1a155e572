//! Seeders with a quirk, as the bytes on the wire show it.

use std::collections::BTreeSet;
use std::io::Read;
use std::time::{Duration, Instant};

use piecemeal::lab::content::Content;
use piecemeal::lab::notes::Notes;
use piecemeal::lab::seeder::quirk::Quirk;
use piecemeal::lab::seeder::{Fault, Plan, Seeder};
use piecemeal::lab::{Lab, sample};

use crate::lab::client::{Client, EXTENDED, PLAIN, content, notes_to_the_last, request, seeder};
use crate::support::{Run, folder, wire};

const ID: [u8; 20] = *b"-XX0000-tester000001";
/// The number that seeder 9 gives ut_metadata.
const METADATA_ID: u8 = 113;

fn fault(quirk: &str) -> Fault {
    Fault::Quirk(Quirk::named(quirk).expect("a quirk"))
}

fn with(quirk: &str) -> (Content, Seeder, Notes) {
    let content = content();
    let (seeder, notes) = seeder(&content, Plan::with_fault(fault(quirk)));
    (content, seeder, notes)
}

/// Shakes hands with the extension bit, and reads this many messages.
fn opening(quirk: &str, messages: usize) -> Vec<(u8, Vec<u8>)> {
    let (content, seeder, _notes) = with(quirk);
    let (mut client, _) = Client::greet(seeder.address(), &content, EXTENDED);
    (0..messages).map(|_| client.message().expect("a message")).collect()
}

/// Says which number metadata is wanted under, and asks for it.
fn ask_for_metadata(client: &mut Client) {
    client.send(&wire::extended(0, b"d1:md11:ut_metadatai5eee"));
    client.send(&wire::extended(METADATA_ID, b"d8:msg_typei0e5:piecei0ee"));
}

#[test]
fn the_handshake_is_as_the_quirk_has_it() {
    let (_, seeder, _notes) = with("close");
    assert!(Client::dial(seeder.address()).is_over());

    let (content, seeder, _notes) = with("half-shake");
    let mut client = Client::dial(seeder.address());
    client.send(&wire::handshake(PLAIN, content.info_hash().0, ID));
    let mut all = Vec::new();
    client.stream.read_to_end(&mut all).expect("it ends");
    assert_eq!(all.len(), 30);

    let begun = Instant::now();
    let (content, seeder, _notes) = with("drip");
    let mut client = Client::dial(seeder.address());
    client.send(&wire::handshake(PLAIN, content.info_hash().0, ID));
    assert_eq!(client.take(2), b"\x13B");
    assert!(begun.elapsed() >= Duration::from_secs(1));

    // It goes on for longer than a handshake may take.
    client.take(10);

    let answer = |quirk| {
        let (content, seeder, _notes) = with(quirk);
        (Client::greet(seeder.address(), &content, PLAIN).1, content.info_hash().0)
    };
    let (bytes, hash) = answer("other-torrent");
    assert_ne!(bytes[28..48], hash);
    let (bytes, hash) = answer("echo");
    assert_eq!((&bytes[28..48], &bytes[48..]), (&hash[..], &ID[..]));
    let (bytes, _) = answer("reserved");
    assert_eq!(bytes[20..28], [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
}

#[test]
fn the_first_messages_are_as_the_quirk_has_them() {
    let ids =
        |quirk, count| opening(quirk, count).into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    assert_eq!(ids("ext-first", 2), [wire::EXTENDED, wire::BITFIELD]);
    assert_eq!(ids("haves", 4), [wire::HAVE, wire::HAVE, wire::HAVE, wire::EXTENDED]);
    assert_eq!(ids("no-bitfield", 1), [wire::EXTENDED]);
    assert_eq!(ids("early-unchoke", 3), [wire::BITFIELD, wire::EXTENDED, wire::UNCHOKE]);
    for (quirk, bits) in [
        ("half", vec![0b1100_0000]),
        ("empty", vec![0]),
        ("spare-bits", vec![0xff]),
        ("long-bitfield", vec![0b1110_0000, 0]),
    ] {
        assert_eq!(opening(quirk, 1), [(wire::BITFIELD, bits)], "{quirk}");
    }
    let (content, seeder, _notes) = with("no-extension");
    let (_, bytes) = Client::greet(seeder.address(), &content, EXTENDED);
    assert_eq!(bytes[20..28], PLAIN);
}

#[test]
fn the_unchoke_comes_when_the_quirk_has_it() {
    let begun = Instant::now();
    let (content, seeder, _notes) = with("late-unchoke");
    Client::unchoked(seeder.address(), &content);
    assert!(begun.elapsed() >= Duration::from_secs(2));

    // The answer to a later question shows that no unchoke came before it.
    let (content, seeder, _notes) = with("never-unchoke");
    let (mut client, _) = Client::greet(seeder.address(), &content, EXTENDED);
    (0..2).for_each(|_| drop(client.message()));
    client.send(&wire::message(wire::INTERESTED, b""));
    ask_for_metadata(&mut client);
    assert_eq!(client.message().expect("an answer").0, wire::EXTENDED);

    let (content, seeder, _notes) = with("choke-forever");
    let (mut client, _) = Client::greet(seeder.address(), &content, EXTENDED);
    (0..2).for_each(|_| drop(client.message()));
    client.send(&wire::message(wire::INTERESTED, b""));
    assert_eq!(client.message().expect("an unchoke").0, wire::UNCHOKE);
    client.block(0, 0, 16);
    assert_eq!(client.message().expect("a choke").0, wire::CHOKE);
    client.send(&wire::message(wire::INTERESTED, b""));
    ask_for_metadata(&mut client);
    assert_eq!(client.message().expect("an answer").0, wire::EXTENDED);
}

#[test]
fn a_request_that_crosses_a_choke_is_no_mistake() {
    let (content, seeder, notes) = with("choke-forever");
    let mut client = Client::unchoked(seeder.address(), &content);
    client.send(&[request(0, 0, 16), request(0, 16, 16)].concat());
    client.piece(0, 0);
    assert_eq!(client.message().expect("a choke").0, wire::CHOKE);
    drop(client);
    let seen = notes_to_the_last(&notes);
    assert!(seen.iter().all(|text| !text.contains("makes a mistake")), "{seen:?}");
}

/// A client that has the block at 0, 0 to come, of 16 bytes.
fn asked(quirk: &str) -> (Client, Seeder, Content) {
    let (content, seeder, _notes) = with(quirk);
    let mut client = Client::unchoked(seeder.address(), &content);
    client.request(0, 0, 16);
    (client, seeder, content)
}

#[test]
fn blocks_come_as_the_quirk_has_them() {
    let (content, seeder, _notes) = with("backwards");
    let mut client = Client::unchoked(seeder.address(), &content);
    client.send(&(0..3).flat_map(|block| request(0, block * 16, 16)).collect::<Vec<u8>>());
    [32, 16, 0].iter().for_each(|begin| drop(client.piece(0, *begin)));

    let (mut client, _seeder, content) = asked("twice");
    (0..2).for_each(|_| assert_eq!(client.piece(0, 0), content.data[..16]));

    let (mut client, _seeder, content) = asked("unasked");
    client.piece(0, 1);
    assert_eq!(client.piece(0, 0), content.data[..16]);

    let (mut client, _seeder, content) = asked("no-such-piece");
    client.piece(u32::MAX, 0);
    assert_eq!(client.piece(0, 0), content.data[..16]);

    for (quirk, length) in [("too-long", 17), ("too-short", 15)] {
        let (mut client, _seeder, _) = asked(quirk);
        assert_eq!(client.piece(0, 0).len(), length, "{quirk}");
    }

    let (mut client, _seeder, content) = asked("wrong-block");
    assert_eq!(client.piece(0, 0), content.data[..16]);
    client.request(0, 16_384, 16);
    let right = &content.data[16_384..16_400];
    assert!(client.piece(0, 16_384).iter().zip(right).all(|(wrong, right)| wrong != right));

    let begun = Instant::now();
    let (mut client, _seeder, content) = asked("sly");
    assert!(client.piece(0, 0).iter().zip(&content.data[..]).all(|(wrong, right)| wrong != right));
    assert!(begun.elapsed() >= Duration::from_secs(1));
    client.request(0, 16, 16);
    assert_eq!(client.piece(0, 16), content.data[16..32]);

    let (mut client, _seeder, content) = asked("noise");
    assert_eq!(client.piece(0, 0), content.data[..16]);
    assert_eq!(client.take(4), [0; 4], "a keep-alive");
    let ids: Vec<u8> = (0..3).map(|_| client.message().expect("a message").0).collect();
    assert_eq!(ids, [77, wire::EXTENDED, 9]);

    let begun = Instant::now();
    let (mut client, _seeder, _) = asked("chopped");
    client.piece(0, 0);
    // Of the handshake, the bitfield, the unchoke and the block there are 11, 2, 2 and 10 parts.
    assert!(begun.elapsed() >= Duration::from_millis(25));
}

#[test]
fn a_connection_ends_as_the_quirk_has_it() {
    let (mut client, _seeder, _) = asked("hang-up");
    client.piece(0, 0);
    client.request(0, 16, 16);
    assert!(client.is_over());

    let (mut client, _seeder, _) = asked("giant");
    client.piece(0, 0);
    assert_eq!(client.take(5), [0x80, 0, 0, 0, 7]);

    let (content, seeder, _notes) = with("mute");
    let (mut client, _) = Client::greet(seeder.address(), &content, EXTENDED);
    (0..2).for_each(|_| drop(client.message()));
    client.send(&wire::message(wire::INTERESTED, b""));
    assert_eq!(client.message().expect("an unchoke").0, wire::UNCHOKE);
    client.block(0, 0, 16);
    client.request(0, 16, 16);
    ask_for_metadata(&mut client);
    assert_eq!(client.message().expect("an answer, but no block").0, wire::EXTENDED);
}

#[test]
fn metadata_is_as_the_quirk_has_it() {
    let greeting = |quirk| {
        let (id, payload) = opening(quirk, 2).remove(1);
        assert_eq!(id, wire::EXTENDED);
        String::from_utf8_lossy(&payload).into_owned()
    };
    assert!(!greeting("no-meta").contains("metadata"));
    assert!(greeting("meta-huge").contains("13:metadata_sizei4000000000e"));
    assert!(greeting("meta-reject").contains("11:ut_metadatai113e"));

    let answer = |quirk| {
        let (content, seeder, _notes) = with(quirk);
        let (mut client, _) = Client::greet(seeder.address(), &content, EXTENDED);
        (0..2).for_each(|_| drop(client.message()));
        ask_for_metadata(&mut client);
        client.send(&wire::message(wire::INTERESTED, b""));
        (client.message().expect("an answer"), content)
    };
    let (rejects, _) = answer("meta-reject");
    assert_eq!(rejects, (wire::EXTENDED, b"\x05d8:msg_typei2e5:piecei0ee".to_vec()));
    assert_eq!(answer("meta-silent").0, (wire::UNCHOKE, Vec::new()));
    let ((_, wrong), content) = answer("meta-corrupt");
    let metadata = &wrong[wrong.len() - content.metadata.len()..];
    let differ = metadata.iter().zip(&*content.metadata).filter(|(got, right)| got != right);
    assert_eq!(differ.count(), 1);
}

/// Downloads the sample from these seeders.
fn downloads(faults: &[Fault]) {
    let folder = folder();
    let plans: Vec<Plan> = faults.iter().map(|fault| Plan::with_fault(*fault)).collect();
    let lab = Lab::start(vec![sample().expect("a torrent")], &plans, 0).expect("a lab");
    let out = folder.path().join("out");
    let torrents = lab.write_torrents(folder.path()).expect("written");
    let outcome = Run::new(["download", "-q", "-o"]).arg(&out).arg(&torrents[0]).run();
    assert_eq!(outcome.code, Some(0), "{faults:?}: {outcome}");
    assert!(std::fs::read(&out).expect("a file") == *lab.contents[0].data, "{faults:?}");
}

#[test]
fn a_client_copes_with_what_is_allowed_and_needs_no_other_seeder() {
    let allowed = [
        "reserved",
        "no-extension",
        "ext-first",
        "haves",
        "early-unchoke",
        "late-unchoke",
        "noise",
        "backwards",
        "chopped",
        "no-meta",
    ];
    allowed.into_iter().for_each(|quirk| downloads(&[fault(quirk)]));
}

#[test]
fn no_quirk_keeps_a_client_from_a_good_seeder() {
    Quirk::ALL.into_iter().for_each(|quirk| downloads(&[Fault::Quirk(quirk), Fault::None]));
}

#[test]
fn the_list_of_faults_fits_a_screen_and_names_each_once() {
    let outcome = Run::new(["lab", "--faults", "help"]).run();
    outcome.succeeds();
    let out = outcome.out();
    assert!(out.lines().count() <= 24 && out.lines().all(|line| line.len() <= 80), "{out}");
    let names: BTreeSet<&str> = Quirk::ALL.iter().map(|quirk| quirk.name).collect();
    assert_eq!(names.len(), Quirk::ALL.len());
    assert!(Quirk::ALL.iter().all(|quirk| Quirk::named(quirk.name) == Some(*quirk)));
    for name in names.into_iter().chain(["none", "corrupt", "choke", "slow", "die", "silent"]) {
        let listed = out.lines().filter(|line| {
            line.starts_with(&format!("{name} "))
                || line.get(40..).is_some_and(|right| right.starts_with(&format!("{name} ")))
        });
        assert_eq!(listed.count(), 1, "{name}: {out}");
    }
}
