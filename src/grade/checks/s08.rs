//! Stage 8: `magnet_info LINK` fetches the info dictionary from a peer.

mod cause;
mod described;
mod offer;

use std::net::SocketAddr;
use std::time::Duration;

use self::described::{Described, METADATA_PIECE};
use self::offer::{Asked, Numbers, Offer};
use crate::actors::bencode::bytes;
use crate::actors::line::{Heard, Line};
use crate::actors::peer_plan::{Metadata, Plan};
use crate::actors::tracker::Reply;
use crate::actors::wire;
use crate::grade::check::{Check, Finding};
use crate::grade::miss::Miss;
use crate::grade::outcome::{End, Outcome};
use crate::grade::scene::Scene;

const HEADER: &str = "BEP 9, extension header";
const MESSAGE: &str = "BEP 9, extension message";
const NUMBERS: &str = "BEP 10, extension messages";
const ANNOUNCE: &str = "BEP 3, trackers";

/// The checks of stage 8.
pub const CHECKS: &[Check] = &[
    Check::new(
        "8.1",
        "asks by the peer's extension id, and prints what `info` does",
        MESSAGE,
        small,
    )
    .points(2)
    .twin("request metadata, receive metadata"),
    Check::new("8.2", "an info dictionary of two metadata pieces", MESSAGE, two).points(2),
    Check::new("8.3", "the bytes begin where the dictionary ends: an unknown key", MESSAGE, key),
    Check::new("8.4", "keep-alives, haves and others come in between", MESSAGE, between),
    Check::new("8.5", "16 KiB exactly are one metadata piece, not two", HEADER, exact),
    Check::new(
        "8.6",
        "a message with the peer's own extension id is not for you",
        NUMBERS,
        numbers,
    )
    .points(2),
    Check::new("8.7", "a wrong hash: nothing of it is printed", MESSAGE, forged)
        .points(2)
        .refusal("8.1"),
    Check::new("8.8", "a reject: an error, in time", MESSAGE, reject).refusal("8.1"),
    Check::new("8.9", "a metadata_size of 4 GB", HEADER, |scene| sized(scene, 4_000_000_000))
        .refusal("8.1"),
    Check::new("8.10", "a metadata_size of -1", HEADER, |scene| sized(scene, -1)).refusal("8.1"),
    Check::new("8.11", "a metadata piece with a byte too many", MESSAGE, too_long).refusal("8.2"),
    Check::new("8.12", "the first peer rejects, another one gives", MESSAGE, another),
    Check::new("8.13", "metadata pieces in another order than asked for", MESSAGE, any_order),
    Check::new("8.14", "a metadata piece that comes twice is one", MESSAGE, twice),
    Check::new("8.15", "a msg_type that you do not know is passed over", MESSAGE, future),
    Check::new("8.16", "announces left above 0: the length is not known yet", ANNOUNCE, left),
];

/// A peer, as the checks know it.
struct Giver {
    address: SocketAddr,
    /// Its extension id for ut_metadata.
    id: u8,
}

/// Starts a peer that does what its plan says.
fn planned(
    scene: &mut Scene,
    what: &Described,
    alter: impl FnOnce(Plan) -> Plan,
) -> Result<Giver, Miss> {
    let plan = alter(what.plan(scene));
    let id = plan.metadata_id;
    Ok(Giver { address: scene.peer(plan)?.address(), id })
}

/// Starts a peer that answers each request for metadata like this.
fn scripted(
    scene: &mut Scene,
    what: &Described,
    answer: impl Fn(&mut Line, &Offer, &Asked) + Send + Sync + 'static,
) -> Result<Giver, Miss> {
    let offer = Offer::of(scene, what);
    let id = offer.id;
    let serve = move |line: &mut Line, _| {
        offer.serve(line, |line, asked| answer(line, &offer, asked));
    };
    Ok(Giver { address: scene.scripted(serve)?.address(), id })
}

/// Sends bytes to a client. If it is gone, that is its right, and the next wait notices it.
fn send(line: &mut Line, bytes: &[u8]) {
    let _ = line.send(bytes);
}

/// Runs `magnet_info` with the link; its tracker, which is returned, knows these peers.
fn ask(
    scene: &mut Scene,
    what: &Described,
    peers: &[SocketAddr],
) -> Result<(Outcome, String), Miss> {
    let tracker = scene.tracker_of(peers)?.url();
    let outcome = scene.run(&["magnet_info", &what.torrent.magnet(&[&tracker])])?;
    Ok((outcome, tracker))
}

/// Insists that `magnet_info` shows all of it, with the help of this peer.
fn shows(scene: &mut Scene, what: &Described, giver: &Giver) -> Finding {
    let (outcome, tracker) = ask(scene, what, &[giver.address])?;
    let shown = outcome.prints(&what.shown(&tracker));
    shown.map_err(|miss| cause::explained(miss, &scene.recordings(), what, giver.id))
}

/// The same, with a cause that is likely if the conversation shows no other.
fn shows_unless(scene: &mut Scene, what: &Described, giver: &Giver, cause: &str) -> Finding {
    let (outcome, tracker) = ask(scene, what, &[giver.address])?;
    outcome.prints(&what.shown(&tracker)).map_err(|miss| miss.perhaps(cause))
}

fn small(scene: &mut Scene) -> Finding {
    let what = Described::small(scene);
    let giver = planned(scene, &what, |plan| plan)?;
    shows(scene, &what, &giver)
}

fn two(scene: &mut Scene) -> Finding {
    let what = Described::of_pieces(scene, 2);
    let giver = planned(scene, &what, |plan| plan)?;
    shows(scene, &what, &giver)
}

fn key(scene: &mut Scene) -> Finding {
    let what = Described::small(scene);
    // A value in which a client that looks for the end by its last bytes finds one.
    let value = bytes(format!("{}ee{}", scene.dice.word(4), scene.dice.word(5)));
    let giver = scripted(scene, &what, move |line, offer, asked| {
        let data = offer.what.metadata_piece(asked.piece);
        send(line, &offer.data(asked, data, &[("x", value.clone())]));
    })?;
    let cause = "the answer has a key that you do not know: the bytes begin where the dictionary ends, which only your decoder knows: not at a fixed place, and not behind the first ee";
    shows_unless(scene, &what, &giver, cause)
}

fn between(scene: &mut Scene) -> Finding {
    let what = Described::of_pieces(scene, 2);
    let giver = scripted(scene, &what, |line, offer, asked| {
        let noise = [
            wire::keep_alive(),
            wire::have(0),
            wire::message(wire::UNCHOKE, &[]),
            wire::have(1),
            wire::message(77, b"what is this"),
            wire::keep_alive(),
        ];
        send(line, &noise.concat());
        send(line, &offer.answer(asked));
    })?;
    let cause = "read messages until one has id 20 and your own extension id, and pass over all others: the next message need not be the answer";
    shows_unless(scene, &what, &giver, cause)
}

fn exact(scene: &mut Scene) -> Finding {
    let what = Described::of_size(scene, METADATA_PIECE);
    // It rejects a request for the metadata piece behind the last, as BEP 9 has it.
    let giver = scripted(scene, &what, |line, offer, asked| send(line, &offer.answer(asked)))?;
    let (outcome, tracker) = ask(scene, &what, &[giver.address])?;
    outcome.prints(&what.shown(&tracker)).map_err(|miss| {
        let rounded = "metadata_size divided by 16384, rounded up: 16384 bytes are one metadata piece, and the last one is not of 0 bytes";
        cause::explained(miss, &scene.recordings(), &what, giver.id).perhaps(rounded)
    })
}

fn numbers(scene: &mut Scene) -> Finding {
    let what = Described::small(scene);
    let wrong = what.forged();
    let giver = scripted(scene, &what, move |line, offer, asked| {
        let foreign = (offer.id..=u8::MAX).find(|number| !asked.numbers.contains(number));
        if let Some(number) = foreign {
            let data = wrong.info.chunks(METADATA_PIECE).nth(asked.piece).unwrap_or_default();
            send(line, &offer.message(number, 1, asked.piece, data, &[]));
        }
        send(line, &offer.answer(asked));
    })?;
    let id = giver.id;
    let cause = format!(
        "before the answer came a message with the peer's own extension id, {id}: only those with the id that your m gives ut_metadata are for you"
    );
    let (outcome, tracker) = ask(scene, &what, &[giver.address])?;
    outcome.prints(&what.shown(&tracker)).map_err(|miss| miss.perhaps(cause))
}

fn forged(scene: &mut Scene) -> Finding {
    let what = Described::small(scene);
    let forged = std::sync::Arc::new(what.forged());
    let giver = planned(scene, &what, |plan| Plan { torrent: forged, ..plan })?;
    let (outcome, _) = ask(scene, &what, &[giver.address])?;
    let refusal = outcome.refuses();
    // However it refuses, it must not have printed anything before.
    if refusal.as_ref().err().is_none_or(|miss| miss.half) {
        outcome.says_nothing()?;
    }
    refusal.map_err(|miss| {
        miss.perhaps("one bit was wrong: the SHA-1 of all that came must be the info hash of the link, before anything is believed")
    })
}

fn reject(scene: &mut Scene) -> Finding {
    refused(
        scene,
        Metadata::Reject,
        "msg_type 2 is a reject: this peer gives nothing, so do not wait for data",
    )
}

fn sized(scene: &mut Scene, size: i64) -> Finding {
    let cause = "metadata_size is a claim: real ones reach some megabytes, so refuse any other before you ask, and before you take memory for it";
    refused(scene, Metadata::Size(size), cause)
}

fn refused(scene: &mut Scene, metadata: Metadata, cause: &str) -> Finding {
    let what = Described::small(scene);
    let giver = planned(scene, &what, |plan| plan.metadata(metadata))?;
    ask(scene, &what, &[giver.address])?.0.refuses().map_err(|miss| miss.perhaps(cause))
}

fn too_long(scene: &mut Scene) -> Finding {
    let what = Described::of_pieces(scene, 2);
    let giver = scripted(scene, &what, |line, offer, asked| {
        let more = [offer.what.metadata_piece(asked.piece), b"e"].concat();
        let first = asked.piece == 0;
        send(line, &if first { offer.data(asked, &more, &[]) } else { offer.answer(asked) });
    })?;
    let (outcome, tracker) = ask(scene, &what, &[giver.address])?;
    let cause = "every metadata piece but the last has 16384 bytes: refuse one of another length";
    // To take what belongs there, and no more, is as good as to refuse: the hash decides.
    let finding = match outcome.end {
        End::Code(0) => outcome.prints(&what.shown(&tracker)),
        _ => outcome.refuses(),
    };
    finding.map_err(|miss| miss.perhaps(cause))
}

fn another(scene: &mut Scene) -> Finding {
    let what = Described::small(scene);
    let first = planned(scene, &what, |plan| plan.metadata(Metadata::Reject))?;
    let second = planned(scene, &what, |plan| plan)?;
    let (outcome, tracker) = ask(scene, &what, &[first.address, second.address])?;
    outcome.prints(&what.shown(&tracker)).map_err(|miss| {
        miss.perhaps("the tracker named two peers, and the first one rejected: that is its right, so ask the other")
    })
}

fn any_order(scene: &mut Scene) -> Finding {
    let what = Described::of_pieces(scene, 3);
    let giver = scripted(scene, &what, |line, offer, first| {
        // A client that asks for one at a time gets them in its own order.
        let mut all = vec![first.clone()];
        let mut numbers = Numbers::known(first);
        while all.len() < offer.what.metadata_pieces() {
            match line.hear_within(Duration::from_millis(200)) {
                Heard::Message(wire::EXTENDED, payload) => {
                    all.extend(offer.asked(&payload, &mut numbers));
                }
                Heard::Message(..) | Heard::KeepAlive => {}
                Heard::Closed | Heard::Silence => break,
            }
        }
        for asked in all.iter().rev() {
            send(line, &offer.answer(asked));
        }
    })?;
    let cause = "the answers came in the opposite order: `piece` in each says where its bytes belong, at 16384 times that number";
    shows_unless(scene, &what, &giver, cause)
}

fn twice(scene: &mut Scene) -> Finding {
    let what = Described::of_pieces(scene, 2);
    let giver = scripted(scene, &what, |line, offer, asked| {
        let answer = offer.answer(asked);
        send(line, &if asked.piece == 0 { answer.repeat(2) } else { answer });
    })?;
    let cause = "metadata piece 0 came twice: remember which ones are there, and do not count messages or bytes";
    shows_unless(scene, &what, &giver, cause)
}

fn future(scene: &mut Scene) -> Finding {
    let what = Described::small(scene);
    let giver = scripted(scene, &what, |line, offer, asked| {
        let data = vec![b'x'; offer.what.metadata_piece(asked.piece).len()];
        send(line, &offer.message(asked.theirs, 7, asked.piece, &data, &[]));
        send(line, &offer.answer(asked));
    })?;
    let cause = "before the data came a message with msg_type 7, which BEP 9 has you pass over: only msg_type 1 brings data";
    shows_unless(scene, &what, &giver, cause)
}

fn left(scene: &mut Scene) -> Finding {
    let what = Described::small(scene);
    let giver = planned(scene, &what, |plan| plan)?;
    let peers = Reply::peers(&[giver.address]);
    // As real trackers do: a client that lacks nothing is a seed, and needs no other seeds.
    let tracker = scene.tracker(move |target, _| match query(target, "left") {
        Some("0") | None => Reply::peers(&[]),
        Some(_) => peers.clone(),
    })?;
    let link = what.torrent.magnet(&[&tracker.url()]);
    scene.run(&["magnet_info", &link])?.prints(&what.shown(&tracker.url())).map_err(|miss| {
        match tracker.asked().first().map(|target| query(target, "left").map(str::to_owned)) {
            Some(None) => miss.likely("the announce has no left"),
            Some(Some(left)) if left == "0" => miss.likely(
                "you announced left=0, as a seed does, so the tracker named nobody: as long as the length is not known, say any other number",
            ),
            _ => miss,
        }
    })
}

/// Returns the value of a key in the query of a request's target.
fn query<'t>(target: &'t str, key: &str) -> Option<&'t str> {
    let pairs = target.split_once('?')?.1.split('&');
    pairs
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| *name == key)
        .map(|(_, value)| value)
}
