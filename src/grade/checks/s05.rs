//! Stage 5: messages, seen from the wire while `download_piece` runs.
//!
//! The piece need not be right: what counts is what the peer was sent.

mod run;

use std::time::Duration;

use self::run::{by_hand, middle, planned, usual, with_words};
use super::peers::{HOLD, bitfield_of, block, messages_in, serve};
use crate::actors::line::Heard;
use crate::actors::peer_plan::{Plan, Unchoke};
use crate::actors::wire;
use crate::grade::check::{Check, Finding};
use crate::grade::miss::{Miss, ensure};
use crate::grade::scene::Scene;

const MESSAGES: &str = "BEP 3, peer messages";
const PEER_ID: &str = "BEP 3, peer protocol: the peer id";

/// The checks of stage 5.
pub const CHECKS: &[Check] = &[
    Check::new("5.1", "says that it is interested before it asks", MESSAGES, interested),
    Check::new("5.2", "sends no request before the unchoke", MESSAGES, waits_for_unchoke),
    Check::new("5.3", "reads messages that come seven bytes at a time", MESSAGES, in_drops)
        .points(2),
    Check::new("5.4", "passes over keep-alives and unknown messages", MESSAGES, noise),
    Check::new("5.5", "a peer need not send a bitfield", MESSAGES, no_bitfield),
    Check::new("5.6", "a peer may name its pieces one by one", MESSAGES, by_haves),
    Check::new("5.7", "the unchoke may come before you are interested", MESSAGES, early_unchoke),
    Check::new("5.8", "does not ask a peer for a piece that it lacks", MESSAGES, lacks)
        .refusal("5.1"),
    Check::new("5.9", "every request is 17 bytes, high byte first", MESSAGES, requests),
    Check::new("5.10", "refuses a message of 4 GiB", MESSAGES, giant).refusal("5.1"),
    Check::new("5.11", "refuses a bitfield that is too long", MESSAGES, long_bitfield)
        .refusal("5.1"),
    Check::new("5.12", "refuses a block that is cut by the end", MESSAGES, cut).refusal("5.1"),
    Check::new("5.13", "the peer gets the peer id that the tracker got", PEER_ID, same_id),
    Check::new("5.14", "messages may come in one packet with the handshake", MESSAGES, one_packet),
    Check::new("5.15", "finds the one piece that a bitfield names", MESSAGES, one_bit),
];

fn interested(scene: &mut Scene) -> Finding {
    let run = usual(scene, |plan| plan)?;
    let messages = messages_in(&run.connection()?);
    let place = |id| messages.iter().position(|message| message.first() == Some(&id));
    let Some(interested) = place(wire::INTERESTED) else {
        return Err(with_words(Miss::new("you never said that you are interested"), &run.outcome));
    };
    let length = messages.get(interested).map_or(0, Vec::len);
    ensure(length == 1, || {
        Miss::new("your interested is no such message")
            .instead("5 bytes: length 1, id 2", format!("{} bytes", 4 + length))
    })?;
    ensure(place(wire::REQUEST).is_none_or(|request| interested < request), || {
        Miss::new("you asked for a block before you said that you are interested")
    })?;
    run.asks()
}

fn waits_for_unchoke(scene: &mut Scene) -> Finding {
    let run = usual(scene, |plan| plan.unchoke_after(Duration::from_millis(700)))?;
    ensure(run.hasty == 0, || {
        Miss::new(match run.hasty {
            1 => "a request came before the unchoke".to_owned(),
            hasty => format!("{hasty} requests came before the unchoke"),
        })
        .detail("the peer unchoked you 0.7 s after your interested")
    })?;
    run.asks()
}

fn in_drops(scene: &mut Scene) -> Finding {
    // A bitfield that takes many reads, and short blocks: each write is 2 ms after the last.
    let pieces = scene.dice.length(500, 700);
    let last = scene.dice.length(1, 2_000);
    let torrent = scene.torrent_of(2_048, pieces * 2_048 + last);
    let index = scene.dice.length(1, pieces - 1);
    let run = planned(scene, torrent, index, |plan| plan.chunk(7))?;
    run.asks().map_err(|miss| {
        miss.perhaps("a message comes in parts, and one read returns one of them: read 4 bytes for the length, then that many, each until all have come")
    })
}

fn noise(scene: &mut Scene) -> Finding {
    let run = usual(scene, Plan::noise)?;
    run.asks().map_err(|miss| {
        miss.perhaps("a length of 0 is a keep-alive, and has no id; of a message that you do not know, read past its length")
    })
}

fn no_bitfield(scene: &mut Scene) -> Finding {
    let (torrent, index) = middle(scene);
    // What it has comes later, for a client that wants to know before it asks.
    let haves: Vec<u8> = (0..torrent.pieces()).flat_map(|piece| wire::have(piece as u32)).collect();
    let run = by_hand(scene, torrent, index, move |line, torrent, handshake| {
        let _ = line.send(handshake);
        // A client that does not want to know is unchoked at once.
        let interested = line.until(wire::INTERESTED, Duration::from_millis(500));
        let unchoke = interested.as_ref().map_or(Vec::new(), |_| wire::message(wire::UNCHOKE, &[]));
        let _ = line.send(&[unchoke, haves.clone()].concat());
        serve(line, torrent, interested.is_ok(), |_, _| true);
    })?;
    run.asks().map_err(|miss| {
        miss.perhaps("it waits for a bitfield, which is not there: a peer that has nothing to say leaves it out")
    })
}

fn by_haves(scene: &mut Scene) -> Finding {
    let (torrent, index) = middle(scene);
    let run = planned(scene, torrent, index, |plan| plan.only([0, index]).by_haves())?;
    run.asks().map_err(|miss| {
        miss.perhaps("have messages may come in place of a bitfield: each names one piece more")
    })
}

fn one_bit(scene: &mut Scene) -> Finding {
    let (torrent, index) = middle(scene);
    let run = planned(scene, torrent, index, |plan| plan.only([index]))?;
    run.asks().map_err(|miss| {
        miss.perhaps("its bitfield names this piece alone: the first piece is the highest bit of the first byte, 0x80")
    })
}

fn early_unchoke(scene: &mut Scene) -> Finding {
    let run = usual(scene, |plan| plan.unchoke(Unchoke::Early))?;
    run.asks().map_err(|miss| {
        miss.perhaps("the unchoke came before your interested, and no second one comes: note it whenever it comes")
    })
}

/// Opens as a seed that lacks a piece, and hangs up on a client that has nothing to say.
fn lacks(scene: &mut Scene) -> Finding {
    let (torrent, index) = middle(scene);
    let has: Vec<bool> = (0..torrent.pieces()).map(|piece| piece != index).collect();
    let run = by_hand(scene, torrent, index, move |line, _, handshake| {
        let _ = line.send(&[handshake, &bitfield_of(&has)].concat());
        // Two messages, each in time; then it has waited long enough.
        for _ in 0..2 {
            match line.hear_within(Duration::from_secs(2)) {
                Heard::Message(wire::INTERESTED, _) => {
                    let _ = line.send(&wire::message(wire::UNCHOKE, &[]));
                }
                Heard::Message(..) | Heard::KeepAlive => {}
                Heard::Closed | Heard::Silence => return,
            }
        }
        let _ = line.hold(Duration::from_secs(2));
    })?;
    let asked = run.requests().iter().any(|(piece, ..)| *piece as usize == index);
    ensure(!asked, || {
        Miss::new(format!("you asked the peer for piece {index}, which it does not have"))
            .likely("its bitfield says so: the first piece is the highest bit of the first byte")
    })?;
    run.outcome.refuses()
}

fn requests(scene: &mut Scene) -> Finding {
    let run = usual(scene, |plan| plan)?;
    let size = run.torrent.piece(run.index).len();
    let mut covered = vec![false; size];
    for message in messages_in(&run.connection()?) {
        let Some((&wire::REQUEST, payload)) = message.split_first() else { continue };
        let Some((piece, begin, length)) = wire::three(payload).filter(|_| payload.len() == 12)
        else {
            return Err(Miss::new("a request of another length came").instead(
                "17 bytes: length 13, id 6, index, begin, length",
                format!("{} bytes", 5 + payload.len()),
            ));
        };
        let right =
            piece as usize == run.index && block(&run.torrent, piece, begin, length).is_some();
        ensure(right, || {
            Miss::new(format!("you asked for piece {piece}, begin {begin}, length {length}"))
                .detail(format!("piece {} has {size} bytes, and a block at most 16384", run.index))
        })?;
        covered.iter_mut().skip(begin as usize).take(length as usize).for_each(|byte| *byte = true);
    }
    run.asks()?;
    let missing = covered.iter().position(|covered| !covered);
    missing.map_or(Ok(()), |missing| {
        let what = format!("you never asked for the bytes of the piece from {missing} on");
        let miss = with_words(Miss::new(what), &run.outcome);
        // If it is not the end of a block, the blocks themselves are wrong.
        let whole = missing.is_multiple_of(16_384);
        let likely = "the last block of a piece counts too, however short it is";
        Err(if whole { miss.perhaps(likely) } else { miss })
    })
}

fn giant(scene: &mut Scene) -> Finding {
    let length = scene.dice.number(0xf000_0000, 0xffff_ffff) as u32;
    let data = scene.dice.bytes(65_536);
    let (torrent, index) = middle(scene);
    let pieces = torrent.pieces();
    let run = by_hand(scene, torrent, index, move |line, _, handshake| {
        let prefix = length.to_be_bytes();
        let opening = [handshake, &bitfield_of(&vec![true; pieces]), &prefix, &[wire::PIECE]];
        let _ = line.send(&opening.concat());
        // It never ends, and each read is in time.
        while line.send(&data).is_ok() && !line.hold(Duration::from_millis(1)) {}
    });
    run.and_then(|run| run.outcome.refuses()).map_err(|miss| {
        miss.perhaps("check a length before you read on: no message of this torrent is longer than a block and 9 bytes, or than its bitfield")
    })
}

fn long_bitfield(scene: &mut Scene) -> Finding {
    let (torrent, index) = middle(scene);
    let more = scene.dice.length(1, 5);
    let opening = [wire::bitfield(&vec![true; torrent.pieces()]), vec![0; more]].concat();
    let opening = wire::message(wire::BITFIELD, &opening);
    let run = planned(scene, torrent, index, |plan| plan.opening(opening))?;
    run.outcome.refuses().map_err(|miss| {
        miss.perhaps("a bitfield has a bit for each piece, filled up to whole bytes: another length means another torrent")
    })
}

fn cut(scene: &mut Scene) -> Finding {
    let (torrent, index) = middle(scene);
    let pieces = torrent.pieces();
    let run = by_hand(scene, torrent, index, move |line, torrent, handshake| {
        let _ = line.send(&[handshake, &bitfield_of(&vec![true; pieces])].concat());
        serve(line, torrent, false, |line, (piece, begin, length)| {
            if let Some(block) = block(torrent, piece, begin, length) {
                let message = wire::block(piece, begin, &block);
                let _ = line.send(message.get(..message.len() / 2).unwrap_or_default());
                line.close_ours();
                line.hold(HOLD);
            }
            false
        });
    })?;
    run.outcome.refuses().map_err(|miss| {
        miss.perhaps(
            "the stream ended in the middle of a message: what has come of it is not a block",
        )
    })
}

fn same_id(scene: &mut Scene) -> Finding {
    let run = usual(scene, |plan| plan)?;
    let target = run.announces.last();
    let query = target.and_then(|target| target.split_once('?')).map(|(_, query)| query);
    let query = query.ok_or_else(|| with_words(Miss::new("you did not announce"), &run.outcome))?;
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let mut told = pairs.filter(|(key, _)| *key == "peer_id");
    let told = told.next().map_or(Vec::new(), |(_, id)| wire::percent_decoded(id));
    let sent = run.connection()?.from_client();
    let sent = sent.get(48..68).unwrap_or_default();
    ensure(told == sent, || {
        Miss::new("the peer id of your handshake is not that of your announce")
            .instead(hex::encode(&told), hex::encode(sent))
            .likely("draw the peer id once, when your program starts: peers know you by what the tracker says")
    })
}

fn one_packet(scene: &mut Scene) -> Finding {
    let (torrent, index) = middle(scene);
    let pieces = torrent.pieces();
    let run = by_hand(scene, torrent, index, move |line, torrent, handshake| {
        let unchoke = wire::message(wire::UNCHOKE, &[]);
        let _ = line.send(&[handshake, &bitfield_of(&vec![true; pieces]), &unchoke].concat());
        serve(line, torrent, true, |_, _| true);
    })?;
    run.asks().map_err(|miss| {
        miss.perhaps("what comes in one read with the handshake was thrown away: keep what is behind its 68 bytes")
    })
}
