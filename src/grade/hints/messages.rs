//! What is wrong with a client's messages: in themselves, or at that time.

use super::state::Replay;
use super::{Cause, Shown};
use crate::lab::hints::{self, Mistake};
use crate::lab::seeder::end::End;
use crate::lab::seeder::request_check::check;
use crate::s04_handshake::HANDSHAKE_LENGTH;
use crate::s05_messages::bitfield::{Bitfield, has_spare_bits};
use crate::s05_messages::{Message, MessageError, Request};
use crate::s07_extension::EXTENDED;
use crate::s08_metadata::NAME;
use crate::trace::Object;

/// Returns the cause for a message that cannot be read.
pub fn unreadable(error: &MessageError, keep_alive: bool, shown: Shown) -> Cause {
    let hint = match hints::message(error, keep_alive) {
        // Before the first message is the handshake.
        Some(hints::TEXT | hints::LENGTH_BEFORE) if shown.at == HANDSHAKE_LENGTH => {
            Some("a length comes right behind the 68 bytes of the handshake: is yours longer?")
        }
        hint => hint,
    };
    let hint = hint.map_or_else(|| error.to_string(), str::to_owned);
    Cause::new(hint, Some(shown))
}

/// Notes what is wrong with a message of the client, which begins at `at`.
pub fn judge(replay: &mut Replay, message: &Message, at: usize) {
    if replay.broken.is_some() {
        return;
    }
    let found = match message {
        Message::Request(_) if !replay.facts.unchoked && !replay.is_fast() => {
            choked_request(replay, message, at)
        }
        Message::Request(request) => wrong_request(replay, *request, at),
        Message::Bitfield { bits } => bitfield(replay, bits, at),
        Message::Have { index } => have(replay, *index, at),
        Message::Unknown { id: EXTENDED, payload } => extended(replay, payload, at),
        _ => None,
    };
    if let Some((cause, odd)) = found.or_else(|| out_of_place(replay, message, at)) {
        let place = if odd { &mut replay.odd } else { &mut replay.broken };
        place.get_or_insert(cause);
    }
}

/// A cause, and whether it is only odd.
type Found = Option<(Cause, bool)>;

/// Returns a mistake with the message in which it is, broken as `breaks` says.
fn at(
    replay: &Replay,
    at: usize,
    hint: impl Into<String>,
    breaks: impl FnOnce(&mut Object),
) -> Cause {
    let mut shown = replay.object_at(at);
    breaks(&mut shown.object);
    Cause::new(hint, Some(shown))
}

fn choked_request(replay: &Replay, message: &Message, start: usize) -> Found {
    // `interested` is five bytes: length 1, id 2.
    let before = start.checked_sub(5).and_then(|from| replay.client.bytes.get(from..start));
    let mistake = hints::out_of_place(message, false, true)?;
    let hint =
        if before == Some(&[0, 0, 0, 1, 2]) { hints::HASTY.to_owned() } else { mistake.what };
    let breaks = |object: &mut Object| {
        object.break_field("id", "an unchoke of the peer before a request", "none");
    };
    Some((at(replay, start, hint, breaks), false))
}

fn wrong_request(replay: &Replay, request: Request, start: usize) -> Found {
    let content = replay.content?;
    let pieces = content.info.piece_count();
    let has = replay.has.clone().unwrap_or_else(|| Bitfield::full(pieces));
    match check(request, content, &has) {
        Err(end @ End::Request { .. }) => {
            let size =
                content.info.piece(request.index).map(|piece| content.info.piece_size(piece));
            let breaks = |object: &mut Object| break_request(object, request, pieces, size);
            Some((at(replay, start, end.to_string(), breaks), false))
        }
        Ok(Some(Mistake { what, .. })) => {
            let breaks = |object: &mut Object| {
                object.break_field("begin", "a multiple of 16384", request.begin.to_string());
            };
            Some((at(replay, start, what, breaks), true))
        }
        _ => None,
    }
}

/// Breaks the field that is wrong.
fn break_request(object: &mut Object, request: Request, pieces: u32, size: Option<u32>) {
    let Request { index, begin, length } = request;
    match size {
        None => object.break_field(
            "index",
            format!("0 to {}", pieces.saturating_sub(1)),
            index.to_string(),
        ),
        Some(size) if begin >= size => {
            object.break_field("begin", format!("less than the piece's {size}"), begin.to_string())
        }
        Some(size) => {
            let most = (size - begin).min(crate::s05_messages::BLOCK_LENGTH);
            if (1..=most).contains(&length) {
                object.break_field("index", "a piece that this peer has", index.to_string());
            } else {
                object.break_field("length", format!("1 to {most}"), length.to_string());
            }
        }
    }
}

fn bitfield(replay: &Replay, bits: &[u8], start: usize) -> Found {
    let pieces = replay.content?.info.piece_count();
    if let Err(error) = Bitfield::decode(bits, pieces) {
        return Some((at(replay, start, End::from(error).to_string(), |_| {}), false));
    }
    let mistake = has_spare_bits(bits, pieces).then(|| hints::spare_bits(bits, pieces))?;
    let breaks = |object: &mut Object| {
        let last = object.length.saturating_sub(1);
        object.break_at(last..last + 1, format!("0 in the bits after piece {}", pieces - 1), "1");
    };
    Some((at(replay, start, mistake.what, breaks), false))
}

fn have(replay: &Replay, index: u32, start: usize) -> Found {
    let pieces = replay.content?.info.piece_count();
    (index >= pieces).then(|| {
        let breaks = |object: &mut Object| {
            object.break_field("index", format!("0 to {}", pieces - 1), index.to_string());
        };
        (at(replay, start, End::Have { index, pieces }.to_string(), breaks), false)
    })
}

fn extended(replay: &Replay, payload: &[u8], start: usize) -> Found {
    if replay.lacks_extension_bit() {
        return Some((Cause::new(hints::NO_BIT, replay.without_bit_20()), false));
    }
    if replay.peer.handshake.is_some() && !replay.is_extended() {
        let breaks = |object: &mut Object| {
            object.break_field("id", "bit 20 in both handshakes before this", "none in the peer's");
        };
        return Some((at(replay, start, hints::NO_BIT, breaks), false));
    }
    let ours = replay.peer.extensions.id(NAME);
    let id = payload.first().copied().unwrap_or_default();
    if id != 0 && ours.is_none() {
        return None;
    }
    let metadata = replay.content.map_or(usize::MAX, |content| content.metadata.len());
    let theirs = &replay.client.extensions;
    let mistake = hints::extended(payload, ours.unwrap_or_default(), theirs, metadata)?;
    let odd = mistake.kind == "unsorted";
    let breaks = |object: &mut Object| match mistake.kind {
        "extension id" => object.break_field(
            "extension id",
            format!("{}, the peer's id for {NAME}", ours.unwrap_or_default()),
            id.to_string(),
        ),
        "unsorted" => break_unsorted(object),
        "no m" => {
            // The dictionary begins behind length, id and extension id.
            object.break_at(6..object.length, "a dictionary at its key m", "another one");
        }
        _ => object.break_field("extension id", "a message that the peer understands", "this"),
    };
    Some((at(replay, start, mistake.what.clone(), breaks), odd))
}

/// Breaks the first key that comes after a greater one.
fn break_unsorted(object: &mut Object) {
    fn split(name: &str) -> (&str, &str) {
        name.rsplit_once('.').unwrap_or(("", name))
    }
    let named: Vec<_> = object.fields.iter().filter(|field| !field.name.is_empty()).collect();
    let late = named.iter().enumerate().find_map(|(place, field)| {
        let (above, key) = split(&field.name);
        // The fields before the dictionary have names too.
        let mut before = named.get(..place)?.iter().filter(|before| before.range.start >= 6);
        let greater =
            before.any(|before| split(&before.name).0 == above && split(&before.name).1 > key);
        (field.range.start >= 6 && greater).then(|| field.range.clone())
    });
    if let Some(range) = late {
        object.break_at(range, "the keys in the order of their bytes", "this one too late");
    }
}

fn out_of_place(replay: &Replay, message: &Message, start: usize) -> Found {
    let Mistake { kind, what, .. } = hints::out_of_place(message, replay.bitfield_is_late, false)?;
    if kind == "fast" && replay.is_fast() {
        return None;
    }
    let digit = matches!(message, Message::Unknown { id, .. } if id.is_ascii_digit());
    let breaks = |object: &mut Object| {
        object.break_field("id", "a message that may come here", "another one");
    };
    Some((at(replay, start, what, breaks), !digit))
}
