//! Seeders that fail, each in its own way.

use std::time::{Duration, Instant};

use piecemeal::lab::seeder::{Fault, Holds, Plan};

use crate::lab::client::{
    Client, PLAIN, content, last_note, nobody_listens, notes_to_the_last, request, seeder, soon,
};
use crate::support::{LIMIT, wire};

#[test]
fn a_corrupt_seeder_spoils_one_byte_of_some_blocks() {
    let content = content();
    let (seeder, notes) = seeder(&content, Plan::with_fault(Fault::Corrupt { every: 3 }));
    let mut client = Client::unchoked(seeder.address(), &content);
    for block in 0..9 {
        let data = client.block(0, 0, 16_384);
        let wrong = data.iter().zip(&*content.data).filter(|(got, right)| got != right).count();
        assert_eq!(wrong, usize::from(block % 3 == 0), "block {block}");
    }
    drop(client);
    let seen = notes_to_the_last(&notes);
    assert_eq!(
        seen.iter()
            .filter(|text| text.ends_with(" is given a spoiled block: piece 0, begin 0"))
            .count(),
        1,
        "{seen:?}"
    );
    let last = seen.last().expect("it is not empty");
    assert!(
        last.ends_with(
            "got 9 blocks, 147456 bytes, of piece 0, 3 of the blocks spoiled; it hung up"
        ),
        "{last}"
    );
}

#[test]
fn a_dying_seeder_gives_its_blocks_and_is_gone() {
    let content = content();
    let (seeder, notes) = seeder(&content, Plan::with_fault(Fault::Dies { after_blocks: 5 }));
    let mut idle = Client::unchoked(seeder.address(), &content);
    let mut client = Client::unchoked(seeder.address(), &content);
    // In one write: the seeder may be dead before a second one.
    client.send(&(0..7).flat_map(|block| request(0, block, 16_384)).collect::<Vec<u8>>());
    (0..5).for_each(|block| drop(client.piece(0, block)));
    assert!(client.message().is_err());
    assert!(idle.is_over());
    soon("it is dead", || !seeder.is_alive());
    nobody_listens(seeder.address());
    assert_eq!(seeder.blocks(), 5);
    let end = "got 5 blocks, 81920 bytes, of piece 0; this seeder dies";
    soon("the note", || notes.take().iter().any(|note| note.text.ends_with(end)));
}

#[test]
fn a_slow_seeder_drips() {
    let content = content();
    let (seeder, _notes) = seeder(&content, Plan::with_fault(Fault::Slow { per_second: 400 }));
    let mut client = Client::unchoked(seeder.address(), &content);
    let begun = Instant::now();
    client.request(0, 0, 16_384);
    client.take(200);
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(350) && took < LIMIT, "{took:?}");
    assert_eq!(seeder.blocks(), 0);
}

#[test]
fn a_choking_seeder_forgets_requests_and_unchokes_again() {
    let content = content();
    let (seeder, notes) = seeder(&content, Plan::with_fault(Fault::Chokes { every: 2 }));
    let mut client = Client::unchoked(seeder.address(), &content);
    let begun = Instant::now();
    client.send(&(0..6).flat_map(|block| request(0, block, 10)).collect::<Vec<u8>>());
    client.piece(0, 0);
    client.piece(0, 1);
    assert_eq!(client.message().expect("a choke").0, wire::CHOKE);
    assert_eq!(client.message().expect("an unchoke").0, wire::UNCHOKE);
    assert!(begun.elapsed() > Duration::from_millis(250), "{:?}", begun.elapsed());
    // Only requests after the unchoke are answered.
    client.block(0, 50, 10);
    let seen: Vec<String> = notes.take().into_iter().map(|note| note.text).collect();
    // How many had arrived by then is a matter of timing.
    let told =
        |text: &&String| text.contains(" is choked, and loses ") && text.contains(" request");
    assert_eq!(seen.iter().filter(told).count(), 1, "{seen:?}");
    drop(client);
    let last = last_note(&notes);
    assert!(
        last.ends_with("got 3 blocks, 30 bytes, of piece 0, and was choked 1 time; it hung up"),
        "{last}"
    );
}

#[test]
fn a_silent_seeder_says_nothing_and_lets_go_of_who_leaves() {
    let content = content();
    let (seeder, notes) = seeder(&content, Plan::with_fault(Fault::Silent));
    let mut client = Client::dial(seeder.address());
    client.send(&wire::handshake(PLAIN, content.info_hash().0, *b"-XX0000-tester000001"));
    client.stream.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout can be set");
    assert!(!client.is_over());
    drop(client);
    soon("the note", || {
        notes.take().iter().any(|note| note.text.ends_with("got 0 blocks, 0 bytes; it hung up"))
    });
}

#[test]
fn two_halves_are_the_whole() {
    let content = content();
    for (holds, expected) in [(Holds::FirstHalf, 0b1100_0000), (Holds::SecondHalf, 0b0010_0000)] {
        let (seeder, _notes) = seeder(&content, Plan { holds, ..Plan::default() });
        let (mut client, _) = Client::greet(seeder.address(), &content, PLAIN);
        assert_eq!(client.message().expect("a bitfield"), (wire::BITFIELD, vec![expected]));
    }
}
