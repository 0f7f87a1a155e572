//! Seeders of torrents with trees: names, hashes, and seeders that lie in one block or in a hash.

use piecemeal::lab::Lab;
use piecemeal::lab::content::Content;
use piecemeal::lab::seeder::quirk::Quirk;
use piecemeal::lab::seeder::{Fault, Plan};
use piecemeal::lab::{hybrid, sample, version_two};
use sha2::{Digest, Sha256};

use crate::lab::client::{Client, PLAIN, last_note, seeder};
use crate::support::{Run, folder, wire};

fn sha256(data: &[u8]) -> [u8; 32] {
    Sha256::digest(data).into()
}

fn parent(left: [u8; 32], right: [u8; 32]) -> [u8; 32] {
    sha256(&[left, right].concat())
}

/// The leaves of the sample's file, with the zeros that fill them up to eight.
fn leaves() -> [[u8; 32]; 8] {
    let data = sample().expect("a torrent").data;
    let blocks = data.chunks(16_384).map(sha256).chain([[0; 32]; 2]).collect::<Vec<_>>();
    blocks.try_into().expect("six blocks, and two that are missing")
}

fn root() -> [u8; 32] {
    let [a, b, c, d, e, f, g, h] = leaves();
    let left = parent(parent(a, b), parent(c, d));
    parent(left, parent(parent(e, f), parent(g, h)))
}

/// A hash request, as BEP 52 lays it out.
fn asked(root: [u8; 32], numbers: [u32; 4]) -> Vec<u8> {
    [&root[..], &numbers.map(u32::to_be_bytes).concat()].concat()
}

#[test]
fn a_hybrid_is_served_by_both_names_and_answered_by_the_one_that_was_used() {
    let content = hybrid().expect("a torrent");
    let (seeder, _notes) = seeder(&content, Plan::default());
    let names = content.names();
    assert_eq!(names.len(), 2);
    for name in names {
        let mut client = Client::dial(seeder.address());
        client.send(&wire::handshake(PLAIN, name.0, *b"-XX0000-tester000001"));
        assert_eq!(client.take(68)[28..48], name.0);
        // 50,000 bytes are two pieces, and the sample's file is three.
        assert_eq!(client.message().expect("a bitfield"), (wire::BITFIELD, vec![0b1111_1000]));
    }
}

#[test]
fn a_seeder_gives_hashes_with_their_proof_and_rejects_what_makes_no_sense() {
    let content = version_two().expect("a torrent");
    let (seeder, notes) = seeder(&content, Plan::default());
    let (mut client, _) = Client::greet(seeder.address(), &content, PLAIN);
    client.message().expect("a bitfield");
    let [a, b, c, d, e, f, g, h] = leaves();
    // Choked, as we are: hashes are metadata, and need no unchoke.
    let mut ask = |numbers| {
        let request = asked(root(), numbers);
        client.send(&wire::message(21, &request));
        let (id, payload) = client.message().expect("an answer");
        assert_eq!(payload[..48], request, "an answer repeats the question");
        (id, payload[48..].to_vec())
    };
    // The piece layer, with the hash of a piece that is nothing but missing blocks.
    let layer = [parent(a, b), parent(c, d), parent(e, f), parent(g, h)].concat();
    assert_eq!(ask([1, 0, 4, 0]), (22, layer));
    // Two blocks of the second piece, and two uncles: the first piece, and the right half.
    let right = parent(parent(e, f), parent(g, h));
    assert_eq!(ask([0, 2, 2, 2]), (22, [c, d, parent(a, b), right].concat()));
    for numbers in [[0, 1, 2, 0], [0, 0, 3, 0], [0, 8, 8, 0], [3, 0, 2, 0], [1, 0, 4, 2]] {
        assert_eq!(ask(numbers), (23, Vec::new()), "{numbers:?}");
    }
    client.send(&wire::message(21, &asked([7; 32], [0, 0, 2, 0])));
    assert_eq!(client.message().expect("an answer").0, 23, "no file has this root");
    drop(client);
    let last = last_note(&notes);
    assert!(last.ends_with("it hung up"), "{last}");
}

#[test]
fn a_hash_request_for_a_torrent_of_version_1_is_odd() {
    let content = sample().expect("a torrent");
    let (seeder, notes) = seeder(&content, Plan::default());
    let (mut client, _) = Client::greet(seeder.address(), &content, PLAIN);
    client.message().expect("a bitfield");
    client.send(&wire::message(21, &asked(root(), [1, 0, 4, 0])));
    client.send(&wire::message(wire::INTERESTED, b""));
    assert_eq!(client.message().expect("an unchoke").0, wire::UNCHOKE);
    drop(client);
    let seen = crate::lab::client::notes_to_the_last(&notes);
    assert!(seen.iter().any(|text| text.contains("no message has the id 21")), "{seen:#?}");
}

/// Downloads a content from seeders with these faults, by its .torrent or by a link.
fn downloads(content: &Content, faults: &[Fault], by_link: bool) {
    let folder = folder();
    let plans: Vec<Plan> = faults.iter().map(|fault| Plan::with_fault(*fault)).collect();
    let lab = Lab::start(vec![content.clone()], &plans, 0).expect("a lab");
    let out = folder.path().join("out");
    let torrents = lab.write_torrents(folder.path()).expect("written");
    let outcome = if by_link {
        Run::new(["magnet_download", "-q", "-o"]).arg(&out).arg(lab.magnet(content)).run()
    } else {
        Run::new(["download", "-q", "-o"]).arg(&out).arg(&torrents[0]).run()
    };
    assert_eq!(outcome.code, Some(0), "{}, {faults:?}: {outcome}", content.info.name);
    for file in content.info.files.iter().filter(|file| !file.padding) {
        let begin = file.offset as usize;
        let there = std::fs::read(out.join(&file.path)).expect("a file");
        assert!(there == content.data[begin..begin + file.length as usize], "{:?}", file.path);
    }
    Run::new(["verify", "-q"]).arg(&torrents[0]).arg(&out).run().succeeds();
}

#[test]
fn both_torrents_with_trees_download_from_the_lab_by_file_and_by_link() {
    for content in [hybrid().expect("a torrent"), version_two().expect("a torrent")] {
        downloads(&content, &[Fault::None], false);
        downloads(&content, &[Fault::None], true);
    }
}

#[test]
fn a_link_with_the_long_hash_alone_leads_to_the_tracker_and_through_the_dht() {
    let content = version_two().expect("a torrent");
    let mut lab = Lab::start(vec![content.clone()], &[Plan::default()], 0).expect("a lab");
    lab.start_dht(12, 0).expect("there are loopback addresses");
    let link = lab.magnet(&content);
    assert!(link.contains("xt=urn:btmh:1220") && !link.contains("btih"), "{link}");
    let scraped = Run::new(["scrape", &link]).run();
    assert_eq!(scraped.code, Some(0), "{scraped}");
    assert!(scraped.out().contains(": 1 seeder, 0 leechers"), "{scraped}");
    let way_in = lab.dht.as_ref().expect("it was started").way_in().to_string();
    let found = Run::new(["dht_peers", "--dht-bootstrap", &way_in, &link]).run();
    assert_eq!(found.code, Some(0), "{found}");
    assert_eq!(found.out().trim_end(), lab.addresses()[0].to_string());
}

fn liar_about_hashes() -> Fault {
    Fault::Quirk(Quirk::named("wrong-hashes").expect("there is one"))
}

#[test]
fn a_seeder_that_lies_about_hashes_does_so_in_one_bit_and_gives_right_blocks() {
    let content = version_two().expect("a torrent");
    let (seeder, _notes) = seeder(&content, Plan::with_fault(liar_about_hashes()));
    let mut client = Client::unchoked(seeder.address(), &content);
    let request = asked(root(), [1, 0, 4, 0]);
    client.send(&wire::message(21, &request));
    let (id, answer) = client.message().expect("an answer");
    assert_eq!((id, &answer[..48]), (22, &request[..]), "an answer repeats the question");
    let [a, b, c, d, e, f, g, h] = leaves();
    let layer = [parent(a, b), parent(c, d), parent(e, f), parent(g, h)].concat();
    let wrong_bits =
        answer[48..].iter().zip(&layer).map(|(found, right)| (found ^ right).count_ones());
    assert_eq!((answer.len() - 48, wrong_bits.sum::<u32>()), (layer.len(), 1));
    client.request(0, 0, 16);
    assert_eq!(client.piece(0, 0), content.data[..16]);
}

#[test]
fn the_hashes_of_a_liar_are_refused_and_a_download_asks_another_seeder() {
    let content = version_two().expect("a torrent");
    let plans = [Plan::with_fault(liar_about_hashes()), Plan::default()];
    let lab = Lab::start(vec![content.clone()], &plans, 0).expect("a lab");
    let folder = folder();
    let torrents = lab.write_torrents(folder.path()).expect("written");
    let from = |seeder: usize| {
        Run::new(["hashes"]).arg(&torrents[0]).arg(lab.addresses()[seeder].to_string()).run()
    };
    let refused = from(0);
    assert_eq!(refused.code, Some(6), "{refused}");
    let why = "its hashes are wrong: the hashes lead to ";
    assert!(refused.err().contains(why), "{refused}");
    from(1).succeeds();
    drop(lab);
    downloads(&content, &[liar_about_hashes(), Fault::None], true);
}

#[test]
fn a_seeder_that_lies_in_one_block_of_each_piece_cannot_spoil_a_download() {
    let liar = Fault::Quirk(Quirk::named("wrong-block").expect("there is one"));
    for content in [hybrid().expect("a torrent"), version_two().expect("a torrent")] {
        downloads(&content, &[liar, Fault::None], false);
    }
}

/// The first seeder gives half a piece, and a second later the next one lies in the other half. The
/// third gives nothing until then.
#[test]
fn whoever_lies_in_a_piece_that_others_have_begun_is_found_out_by_the_hashes_of_its_blocks() {
    let fault = |name| Fault::Quirk(Quirk::named(name).expect("there is one"));
    let plans = ["choke-forever", "sly", "late-unchoke"].map(fault).map(Plan::with_fault);
    // A piece of a single block cannot have been begun.
    let content = Content::trees("pairs", &[("pairs.txt", 20 << 15, 8)], 32 << 10, false);
    let lab = Lab::start(vec![content.expect("a torrent")], &plans, 0).expect("a lab");
    let folder = folder();
    let torrents = lab.write_torrents(folder.path()).expect("written");
    let run = Run::new(["download", "-v", "--json", "-o"]).arg(folder.path().join("out"));
    let outcome = run.arg(&torrents[0]).run();
    let [half, sly, ..] = lab.addresses()[..] else { panic!("three seeders") };
    let told = |words: String| {
        assert_eq!(outcome.err().matches(&words).count(), 1, "{words:?} in {outcome:#}");
    };
    assert_eq!(outcome.code, Some(0), "{outcome}");
    // A torrent of version 1 is referred to chapters 15 and 11.
    told(format!("it came from {half} and {sly}, one of which lies (chapter 24)\n"));
    told(format!("was wrong because of {sly}, which is banned (chapter 24)\n"));
    assert!(outcome.out().contains(&format!("\"banned\":[\"{sly}\"]")), "{outcome:#}");
    // One block came twice.
    let done: serde_json::Value =
        outcome.out().lines().last().map_or_else(Default::default, |it| {
            serde_json::from_str(it).expect("each line is JSON")
        });
    assert_eq!(done["downloaded"], (20 << 15) + 16_384, "{outcome:#}");
}
