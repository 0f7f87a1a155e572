//! Peers that answer many requests in one go, and what they put in between.

use super::super::support::{Recipe, Torrent, content, wire};
use super::net::{Asked, LITTLE, Net, PLAIN, brought, plan, right, run};
use piecemeal::s12_session::host::SessionEnd;
use piecemeal::s15_swarm::{Ended, Plan};

/// Pieces of eight blocks, the last one of three and a bit.
fn torrent() -> Torrent {
    Recipe::single("t", 131_072, content(4 * 131_072 + 50_000, 12)).build()
}

const BLOCKS: usize = 4 * 8 + 4;

fn block(torrent: &Torrent, asked: Asked) -> Vec<u8> {
    wire::block(asked.0, asked.1, &right(torrent, asked).unwrap_or_default())
}

fn all(torrent: &Torrent) -> Vec<usize> {
    (0..torrent.pieces()).collect()
}

/// The first sixteen requests are answered at one go, as `answer` says; it gets the
/// requests in order. Then all others are answered as they come. What was wanted has counted,
/// and nothing came twice.
#[track_caller]
fn sixteen_at_one_go(
    what: &str,
    answer: impl Fn(&Torrent, &[Asked]) -> Vec<u8> + Send + Sync + 'static,
) {
    // All sixteen fit, so that they can be read together, too.
    let (net, torrent) = (Net::with_room(1 << 19), torrent());
    let content = torrent.clone();
    let peer = net.peer(1, move |talk| {
        talk.hello(PLAIN, &content)?;
        talk.has(&content, &all(&content))?;
        let asked = talk.all_asked(16)?;
        asked.iter().try_for_each(|asked| right(&content, *asked).map(drop))?;
        talk.send(&answer(&content, &asked))?;
        talk.give(&content)
    });
    let ran = run(&net, plan(&net, &torrent, &[peer]), &torrent);
    let outcome = ran.is_complete(&torrent);
    assert_eq!(brought(outcome), [(peer, torrent.content.len() as u64)], "{what}");
    assert_eq!(ran.store.writes().len(), BLOCKS, "{what}: each block is written once");
    assert_eq!(net.dials(peer), 1, "{what}");
}

#[test]
fn sixteen_blocks_at_one_go_count_in_whatever_order_they_come() {
    let one_by_one = |torrent: &Torrent, asked: &[Asked], order: &dyn Fn(usize) -> usize| {
        (0..16).flat_map(|turn| block(torrent, asked[order(turn)])).collect::<Vec<u8>>()
    };
    sixteen_at_one_go("in order", move |torrent, asked| one_by_one(torrent, asked, &|turn| turn));
    sixteen_at_one_go("backwards", move |torrent, asked| {
        one_by_one(torrent, asked, &|turn| 15 - turn)
    });
    sixteen_at_one_go("the pieces in turn", move |torrent, asked| {
        one_by_one(torrent, asked, &|turn| if turn % 2 == 0 { turn / 2 } else { 8 + turn / 2 })
    });
    sixteen_at_one_go("the odd ones first", move |torrent, asked| {
        one_by_one(torrent, asked, &|turn| if turn < 8 { 2 * turn + 1 } else { 2 * (turn - 8) })
    });
}

#[test]
fn what_stands_between_the_blocks_costs_none_of_them() {
    /// What comes before a block of those that were asked for.
    type Between = fn(&[Asked], Asked) -> Vec<u8>;
    let between: [(&str, Between); 11] = [
        ("a keep-alive", |_, _| wire::keep_alive()),
        ("a have", |_, _| wire::have(0)),
        ("an unchoke", |_, _| wire::message(wire::UNCHOKE, &[])),
        ("an unknown message", |_, _| wire::message(99, b"what is this")),
        ("a block of a piece that was not asked for", |all, _| {
            let other = (0..5).find(|piece| all.iter().all(|asked| asked.0 != *piece));
            wire::block(other.expect("two or three were asked for"), 0, &[0xEE; 16_384])
        }),
        ("a block of no piece", |_, (_, begin, _)| wire::block(99, begin, &[0xEE; 16_384])),
        ("a block between two", |_, (piece, begin, _)| {
            wire::block(piece, begin + 1, &[0xEE; 16_384])
        }),
        ("a block that is too short", |_, (piece, begin, _)| {
            wire::block(piece, begin, &[0xEE; 16_383])
        }),
        ("a tiny block", |_, (piece, begin, _)| wire::block(piece, begin, &[0xEE])),
        ("an empty block", |_, (piece, begin, _)| wire::block(piece, begin, &[])),
        ("the last numbers there are", |_, _| wire::block(u32::MAX, u32::MAX, &[0xEE; 16_384])),
    ];
    for (what, between) in between {
        // Before long we may ask for that block, too.
        let early = what.contains("asked for");
        for places in
            if early { [&[0][..], &[1], &[0, 1, 2]] } else { [&[1][..], &[7, 8, 9], &[0, 5, 15]] }
        {
            sixteen_at_one_go(what, move |torrent, all| {
                let answer = |(number, asked): (usize, &Asked)| {
                    let before =
                        if places.contains(&number) { between(all, *asked) } else { Vec::new() };
                    [before, block(torrent, *asked)].concat()
                };
                all.iter().enumerate().flat_map(answer).collect()
            });
        }
    }
    sixteen_at_one_go("each block twice", |torrent, asked| {
        let wrong = |asked: &Asked| wire::block(asked.0, asked.1, &vec![0xEE; asked.2 as usize]);
        asked.iter().flat_map(|asked| [block(torrent, *asked), wrong(asked)].concat()).collect()
    });
    sixteen_at_one_go("the first eight again behind all", |torrent, asked| {
        asked.iter().chain(&asked[..8]).flat_map(|asked| block(torrent, *asked)).collect()
    });
}

/// The requests behind it are void (BEP 3): those blocks are no longer wanted, and are
/// asked for again.
#[test]
fn of_blocks_with_a_choke_between_them_the_ones_before_it_count() {
    for before in [0, 1, 5, 8, 15, 16] {
        let (net, torrent) = (Net::with_room(1 << 19), torrent());
        let content = torrent.clone();
        let peer = net.peer(1, move |talk| {
            talk.hello(PLAIN, &content)?;
            talk.has(&content, &all(&content))?;
            let asked = talk.all_asked(16)?;
            let blocks: Vec<Vec<u8>> = asked.iter().map(|asked| block(&content, *asked)).collect();
            let (wanted, late) = blocks.split_at(before);
            let (choke, unchoke) =
                (wire::message(wire::CHOKE, &[]), wire::message(wire::UNCHOKE, &[]));
            talk.send(&[wanted.concat(), choke, late.concat(), unchoke].concat())?;
            talk.give(&content)
        });
        let ran = run(&net, plan(&net, &torrent, &[peer]), &torrent);
        assert_eq!(
            brought(ran.is_complete(&torrent)),
            [(peer, torrent.content.len() as u64)],
            "{before} before it"
        );
        assert_eq!(ran.store.writes().len(), BLOCKS, "{before} before it");
    }
}

#[test]
fn one_wrong_block_in_the_middle_of_many_is_found_out() {
    let (net, torrent) = (Net::with_room(1 << 19), torrent());
    let content = torrent.clone();
    let liar = net.peer(1, move |talk| {
        talk.hello(PLAIN, &content)?;
        talk.has(&content, &all(&content))?;
        let asked = talk.all_asked(16)?;
        let mut bytes: Vec<u8> = asked.iter().flat_map(|asked| block(&content, *asked)).collect();
        let middle = 5 * (13 + 16_384) + 13 + 7000;
        bytes[middle] ^= 1;
        talk.send(&bytes)?;
        talk.hold()
    });
    let ran = run(&net, plan(&net, &torrent, &[liar]), &torrent);
    ran.is_hopeless("wrong hash");
    assert!(
        matches!(ran.left(liar)[..], [Ended::Session(SessionEnd::Corrupt(_))]),
        "{:?}",
        ran.left(liar)
    );
}

/// Tiny blocks in one go, each of which goes on where the one before it ends.
#[test]
fn thousands_of_tiny_blocks_end_the_connection() {
    for behind_a_good_one in [false, true] {
        let (net, torrent) = (Net::with_room(1 << 19), torrent());
        let content = torrent.clone();
        let flooder = net.peer(1, move |talk| {
            if talk.dialed > 1 {
                return Ok(());
            }
            talk.hello(PLAIN, &content)?;
            talk.has(&content, &all(&content))?;
            let asked = talk.asked()?;
            let mut bytes = if behind_a_good_one { block(&content, asked) } else { Vec::new() };
            let from = asked.1 + if behind_a_good_one { asked.2 } else { 0 };
            (0..5000).for_each(|number| bytes.extend(wire::block(asked.0, from + number, &[0xEE])));
            talk.send(&bytes)?;
            talk.hold()
        });
        let ran =
            run(&net, Plan { patience: LITTLE, ..plan(&net, &torrent, &[flooder]) }, &torrent);
        ran.is_hopeless("");
        assert!(
            matches!(ran.left(flooder)[..], [Ended::Session(SessionEnd::Rule(_)), ..]),
            "{:?}",
            ran.left(flooder)
        );
        // What was wanted, and nothing else.
        assert_eq!(ran.store.writes().len(), usize::from(behind_a_good_one));
        assert!(
            ran.store.writes().iter().all(|range| range.end - range.start == 16_384),
            "{:?}",
            ran.store.writes()
        );
    }
}

/// A wanted block before each one that nobody wants: no way to go on for ever, either.
#[test]
fn a_wanted_block_does_not_pay_for_one_that_nobody_asked_for() {
    let (net, torrent) =
        (Net::with_room(1 << 19), Recipe::single("t", 131_072, content(12 * 131_072, 13)).build());
    let content = torrent.clone();
    let flooder = net.peer(1, move |talk| {
        if talk.dialed > 1 {
            return Ok(());
        }
        talk.hello(PLAIN, &content)?;
        talk.has(&content, &all(&content))?;
        for _ in 0..64 {
            let asked = talk.asked()?;
            talk.send(
                &[block(&content, asked), wire::block(asked.0, asked.1 + asked.2, &[0xEE])]
                    .concat(),
            )?;
        }
        // All of them are forgiven. Three that are wanted, and one more that is not.
        let last = talk.all_asked(3)?;
        let wanted: Vec<u8> = last.iter().flat_map(|asked| block(&content, *asked)).collect();
        talk.send(&[wanted, wire::block(99, 0, &[0xEE])].concat())?;
        talk.hold()
    });
    let ran = run(&net, Plan { patience: LITTLE, ..plan(&net, &torrent, &[flooder]) }, &torrent);
    assert!(
        matches!(ran.left(flooder)[..], [Ended::Session(SessionEnd::Rule(_)), ..]),
        "{:?}",
        ran.left(flooder)
    );
}
