//! Clients that wait in vain and leave, or that ask while they are choked.

use std::time::Duration;

use piecemeal::lab::content::Content;
use piecemeal::lab::notes::Note;
use piecemeal::lab::seeder::{Fault, Plan};

use crate::lab::client::{Client, EXTENDED, content, request, seeder, soon};
use crate::support::wire;

/// A pause in which a client with a short timeout gives up. The lab has to see a wait; it has no
/// other sign than the time.
const TIMEOUT: Duration = Duration::from_millis(2_500);

/// Says this after the handshakes, reads on for a while, and hangs up. Returns the notes.
fn gives_up(content: &Content, plan: Plan, say: &[u8]) -> Vec<Note> {
    let (seeder, notes) = seeder(content, plan);
    let (mut client, _) = Client::greet(seeder.address(), content, EXTENDED);
    client.send(say);
    std::thread::sleep(TIMEOUT);
    drop(client);
    let mut seen = Vec::new();
    soon("it has left", || {
        seen.extend(notes.take());
        seen.iter().any(|note| note.json["event"] == "left")
    });
    seen
}

fn mistakes(notes: &[Note]) -> Vec<&str> {
    let mistakes = notes.iter().filter(|note| note.json["event"] == "mistake");
    mistakes.filter_map(|note| note.json["what"].as_str()).collect()
}

#[test]
fn a_client_that_gives_up_early_is_told_what_was_missing() {
    let content = content();
    let many = Content::single("many.txt", 40_000, 16, 3).expect("a torrent");
    let hello = wire::extended(0, b"d1:md11:ut_metadatai3eee");
    let ask = wire::extended(113, b"d8:msg_typei0e5:piecei0ee");
    let asks = [hello, ask].concat();
    let unchoke = wire::message(wire::UNCHOKE, b"");
    let interested = wire::message(wire::INTERESTED, b"");
    let table: [(&Content, &[u8], &str); 5] = [
        (&content, b"", "it was never interested: to get blocks, send interested"),
        (&content, &unchoke, "wait for unchoke; its unchoke only lets us ask it"),
        (&content, &interested, "it was unchoked, and asked for nothing"),
        (&content, &asks, "the bytes begin right after the dictionary"),
        (&many, &asks, "it had asked for 1 of the 4 pieces of the metadata"),
    ];
    std::thread::scope(|scope| {
        for (content, say, expected) in table {
            scope.spawn(move || {
                let notes = gives_up(content, Plan::default(), say);
                let told = mistakes(&notes);
                let [what] = told[..] else { panic!("{expected}: {notes:?}") };
                assert!(what.starts_with("it hung up after "), "{what}");
                assert!(what.contains(expected), "{expected}: {what}");
            });
        }
    });
}

#[test]
fn a_client_that_waits_for_the_others_handshake_is_told_to_speak_first() {
    let content = content();
    let (seeder, notes) = seeder(&content, Plan::default());
    let client = Client::dial(seeder.address());
    std::thread::sleep(TIMEOUT);
    drop(client);
    soon("it is told", || {
        let seen = notes.take();
        mistakes(&seen)
            .iter()
            .any(|what| what.contains("without a byte: the side that dials speaks first"))
    });
}

#[test]
fn a_client_that_leaves_at_once_is_told_nothing() {
    let content = content();
    let (seeder, notes) = seeder(&content, Plan::default());
    drop(Client::greet(seeder.address(), &content, EXTENDED));
    let mut seen = Vec::new();
    soon("it has left", || {
        seen.extend(notes.take());
        seen.iter().any(|note| note.json["event"] == "left")
    });
    assert_eq!(mistakes(&seen), [""; 0]);
}

#[test]
fn requests_during_a_choke_are_said_to_be_forgotten() {
    let content = content();
    let (seeder, notes) = seeder(&content, Plan::with_fault(Fault::Chokes { every: 1 }));
    let mut client = Client::unchoked(seeder.address(), &content);
    client.block(0, 0, 16);
    assert_eq!(client.message().expect("a choke").0, wire::CHOKE);
    client.send(&[request(0, 16, 16), request(0, 32, 16)].concat());
    assert_eq!(client.message().expect("an unchoke").0, wire::UNCHOKE);
    let mut seen = Vec::new();
    soon("it is told", || {
        seen.extend(notes.take());
        seen.iter().any(|note| note.json["event"] == "forgotten")
    });
    let note = seen.iter().find(|note| note.json["event"] == "forgotten").expect("it was found");
    assert_eq!(note.json["count"], 2);
    let told = "2 requests came while it was choked and are forgotten: ask again after unchoke; see piecemeal chapter 9";
    assert!(note.text.ends_with(told), "{}", note.text);
    // It asks again, and gets its block.
    client.block(0, 16, 16);
    drop(client);
    soon("it has left", || {
        seen.extend(notes.take());
        seen.iter().any(|note| note.json["event"] == "left")
    });
    assert_eq!(mistakes(&seen), [""; 0]);
}

#[test]
fn a_client_that_does_not_ask_again_after_a_choke_is_told_so() {
    let content = content();
    let plan = Plan::with_fault(Fault::Chokes { every: 1 });
    let say = [
        wire::message(wire::INTERESTED, b""),
        wire::keep_alive(),
        request(0, 0, 16),
        request(0, 16, 16),
    ];
    let notes = gives_up(&content, plan, &say.concat());
    let told = mistakes(&notes);
    let what = "lost 1 request to a choke, and has not asked again after unchoke";
    assert!(told.iter().any(|told| told.contains(what)), "{notes:?}");
}
