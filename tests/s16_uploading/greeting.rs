//! What a session that gives says first, and the info dictionary for who asks.

use super::super::support::{Must, Recipe, Torrent, bencode, content, insist, insist_eq, wire};
use super::giver::{BOTH, Giver, METADATA_ID};
use super::net::{EXTENDED, FAST, PLAIN, Talk};
use bencode::Value;
use std::io;

fn text(greeting: &Value, key: &str) -> Option<Vec<u8>> {
    match greeting.get(key) {
        Some(Value::Bytes(bytes)) => Some(bytes.clone()),
        _ => None,
    }
}

fn number(greeting: &Value, key: &str) -> Option<i64> {
    greeting.get(key).and_then(Value::int)
}

#[test]
fn what_is_here_is_said_first_in_the_shortest_way_and_then_the_greeting() {
    let torrent = Torrent::sample();
    let some = (wire::BITFIELD, vec![0b1010_0000]);
    let all = (wire::BITFIELD, vec![0b1111_1000]);
    let (have_all, have_none) = ((wire::HAVE_ALL, vec![]), (wire::HAVE_NONE, vec![]));
    let cases: [(&[u32], _, _); 3] = [
        (&[], None, Some(have_none)),
        (&[0, 2], Some(some.clone()), Some(some)),
        (&[0, 1, 2, 3, 4], Some(all), Some(have_all)),
    ];
    for (have, plain, fast) in cases {
        for reserved in [PLAIN, FAST, EXTENDED, BOTH] {
            let expected = if reserved[7] == 0 { plain.clone() } else { fast.clone() };
            let mut giver = Giver::with(&torrent, have.iter().copied(), 1 << 16);
            let content = torrent.clone();
            giver.taker(move |talk| {
                let ours = talk.hello(reserved, &content)?;
                insist_eq!(ours[20..28], BOTH);
                talk.interested()?;
                if let Some(expected) = &expected {
                    insist_eq!(talk.next()?, *expected);
                }
                if reserved[5] != 0 {
                    let (id, payload) = talk.next()?;
                    insist_eq!((id, payload[0]), (wire::EXTENDED, 0), "then comes the greeting");
                }
                insist_eq!(talk.next()?.0, wire::UNCHOKE, "and no more");
                Ok(())
            });
            giver.run();
        }
    }
}

#[test]
fn the_greeting_says_where_we_listen_how_much_we_queue_and_what_we_want() {
    let torrent = Torrent::sample();
    for (have, port) in [(5, 0), (5, 7777), (3, 0), (3, 51413)] {
        let mut giver = Giver::with(&torrent, 0..have, 1 << 16);
        giver.plan.port = port;
        let content = torrent.clone();
        giver.taker(move |talk| {
            talk.hello(BOTH, &content)?;
            let ours = talk.greet(&[])?;
            insist_eq!(number(&ours, "p"), (port != 0).then_some(i64::from(port)));
            insist_eq!(number(&ours, "reqq"), Some(500));
            insist_eq!(number(&ours, "upload_only"), (have == 5).then_some(1));
            insist_eq!(number(&ours, "metadata_size"), Some(content.info.len() as i64));
            let ip = match talk.address.ip() {
                std::net::IpAddr::V4(ip) => ip.octets().to_vec(),
                std::net::IpAddr::V6(ip) => ip.octets().to_vec(),
            };
            insist_eq!(text(&ours, "yourip"), Some(ip));
            let version = text(&ours, "v").must("we say who we are")?;
            insist!(version.starts_with(b"piecemeal "));
            let names = ours.get("m").must("we speak extensions")?;
            let ids = ["ut_metadata", "lt_donthave"].map(|name| number(names, name).unwrap_or(0));
            insist!(ids.iter().all(|id| (1..256).contains(id)) && ids[0] != ids[1], "{ids:?}");
            Ok(())
        });
        giver.run();
    }
}

#[test]
fn whoever_is_not_to_take_more_says_that_it_only_gives() {
    let torrent = Torrent::sample();
    let mut giver = Giver::with(&torrent, 0..3, 1 << 16);
    giver.plan.upload_only = true;
    let content = torrent.clone();
    giver.taker(move |talk| {
        talk.hello(BOTH, &content)?;
        // It offers what we lack, and we are not interested.
        talk.has(&content, &[3, 4])?;
        let ours = talk.greet(&[])?;
        insist_eq!(number(&ours, "upload_only"), Some(1));
        talk.admitted()?;
        talk.takes_piece(&content, 2)?;
        let heard = talk.fence(&ours)?;
        insist!(heard.iter().all(|(id, _)| *id != wire::INTERESTED), "{heard:?}");
        Ok(())
    });
    assert!(giver.run().result.is_ok());
}

/// Asks for a metadata piece; `None` if it is refused.
fn metadata_piece(talk: &mut Talk, our_id: u8, piece: usize) -> io::Result<Option<(i64, Vec<u8>)>> {
    talk.send(&wire::extended(our_id, format!("d8:msg_typei0e5:piecei{piece}ee").as_bytes()))?;
    loop {
        let payload = talk.until(wire::EXTENDED)?;
        if payload[0] != METADATA_ID {
            continue;
        }
        let (head, length) = bencode::decode(&payload[1..]).must("it is bencode")?;
        insist_eq!(number(&head, "piece"), Some(piece as i64));
        return match number(&head, "msg_type") {
            Some(1) => Ok(Some((
                number(&head, "total_size").must("a total")?,
                payload[1 + length..].to_vec(),
            ))),
            other => {
                insist_eq!((other, payload.len()), (Some(2), 1 + length));
                Ok(None)
            }
        };
    }
}

/// Takes all of the info dictionary from us.
fn takes_metadata(talk: &mut Talk, torrent: &Torrent, ours: &Value) -> io::Result<()> {
    insist_eq!(number(ours, "metadata_size"), Some(torrent.info.len() as i64));
    let our_id = number(ours.get("m").must("names")?, "ut_metadata").must("an id")? as u8;
    let count = torrent.info.len().div_ceil(16_384);
    let mut metadata = Vec::new();
    for piece in 0..count {
        let (total, data) = metadata_piece(talk, our_id, piece)?.must("we have it")?;
        insist_eq!(total, torrent.info.len() as i64);
        insist_eq!(data.len(), (torrent.info.len() - piece * 16_384).min(16_384));
        metadata.extend(data);
    }
    insist!(metadata == torrent.info, "it is the info dictionary");
    for piece in [count, count + 1, 1 << 31] {
        insist_eq!(metadata_piece(talk, our_id, piece)?, None);
    }
    // Again, in any order.
    insist!(metadata_piece(talk, our_id, count - 1)?.is_some());
    Ok(())
}

/// Info dictionaries of one metadata piece, of two, and of three full ones.
fn torrents() -> [Torrent; 3] {
    let thousand = Recipe::single("t", 64, content(64_000 - 7, 2)).build();
    let short = Recipe::single("", 1, content(2400, 2)).build().info.len();
    // The name makes up for what is missing: four digits for its length instead of one.
    let exact = Recipe::single("n".repeat(3 * 16_384 - short - 3), 1, content(2400, 2)).build();
    assert_eq!(exact.info.len(), 3 * 16_384);
    [Torrent::sample(), thousand, exact]
}

#[test]
fn the_info_dictionary_is_given_to_who_asks_for_it() {
    for torrent in torrents() {
        let mut giver = Giver::new(&torrent);
        for reserved in [EXTENDED, BOTH] {
            let content = torrent.clone();
            giver.taker(move |talk| {
                talk.hello(reserved, &content)?;
                let ours = talk.greet(&[])?;
                takes_metadata(talk, &content, &ours)?;
                // Also while it takes blocks, which go another way.
                talk.admitted()?;
                takes_metadata(talk, &content, &ours)?;
                talk.takes_piece(&content, 3)
            });
        }
        let ran = giver.run();
        assert!(ran.result.is_ok(), "{:?}", ran.result);
    }
}

#[test]
fn who_asks_for_the_info_dictionary_without_end_is_refused() {
    let [_, torrent, _] = torrents();
    let mut giver = Giver::new(&torrent);
    let content = torrent.clone();
    giver.taker(move |talk| {
        talk.hello(EXTENDED, &content)?;
        let ours = talk.greet(&[])?;
        let our_id = number(ours.get("m").must("names")?, "ut_metadata").must("an id")? as u8;
        let count = content.info.len().div_ceil(16_384);
        let mut given = 0;
        while metadata_piece(talk, our_id, given % count)?.is_some() {
            given += 1;
            insist!(given < 100 * count, "there is an end to it");
        }
        insist!(given >= 2 * count, "who has lost it may have it again: {given}");
        talk.admitted()?;
        talk.takes_piece(&content, 3)
    });
    assert!(giver.run().result.is_ok());
}

#[test]
fn who_began_with_a_magnet_link_gives_it_as_soon_as_it_is_there() {
    let [small, thousand, _] = torrents();
    for torrent in [small, thousand] {
        let mut giver = Giver::with(&torrent, [], 1 << 16);
        giver.plan.info = None;
        let content = torrent.clone();
        let asked = super::super::support::Gate::default();
        let gate = asked.clone();
        // It brings the info dictionary, once the other has been refused it.
        giver.other(move |talk| {
            talk.hello(EXTENDED, &content)?;
            let ours = talk.greet(&[("metadata_size", bencode::int(content.info.len() as i64))])?;
            let our_id = number(ours.get("m").must("names")?, "ut_metadata").must("an id")? as u8;
            gate.opens()?;
            for (piece, data) in content.info.chunks(16_384).enumerate() {
                let total = content.info.len();
                let head = format!("d8:msg_typei1e5:piecei{piece}e10:total_sizei{total}ee");
                talk.send(&wire::extended(our_id, &[head.as_bytes(), data].concat()))?;
            }
            talk.hold()
        });
        let content = torrent.clone();
        giver.taker(move |talk| {
            talk.hello(BOTH, &content)?;
            let first = talk.greet(&[])?;
            insist_eq!(number(&first, "metadata_size"), None);
            let our_id = number(first.get("m").must("names")?, "ut_metadata").must("an id")? as u8;
            insist_eq!(metadata_piece(talk, our_id, 0)?, None);
            asked.open();
            let second = talk.greeted()?;
            takes_metadata(talk, &content, &second)
        });
        giver.run();
    }
}
