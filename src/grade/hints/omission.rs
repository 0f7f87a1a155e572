//! What a client has most likely forgotten: what it sent is not wrong, but something is lacking.

use std::time::Duration;

use super::state::Replay;
use super::{Cause, LAST_TO_DIAL};
use crate::lab::hints;
use crate::s08_metadata::NAME;

/// The shortest silence that means something.
const SILENCE: Duration = Duration::from_secs(1);

/// Returns what is missing, by what the client was to do.
pub fn cause(replays: &[Replay], stage: u8) -> Option<Cause> {
    let last = replays.iter().rfind(|replay| !replay.client.bytes.is_empty());
    let Some(last) = last else {
        let waited = replays.iter().any(|replay| replay.facts.lasted >= SILENCE);
        return (waited && stage <= LAST_TO_DIAL).then(|| Cause::new(hints::handshake(&[]), None));
    };
    match stage {
        5 | 9 | 12 | 15 if replays.iter().all(|replay| replay.facts.blocks == 0) => no_block(last),
        7 | 8 => no_extension(last, stage),
        _ => None,
    }
}

/// Says why no block came.
fn no_block(last: &Replay) -> Option<Cause> {
    last.client.handshake.and(last.peer.handshake)?;
    let facts = &last.facts;
    let hint = match (facts.interested, facts.unchoked) {
        (false, _) if facts.unchokes => {
            "it sends unchoke, which lets the peer ask for blocks: to get some, send interested and wait for the peer's unchoke".to_owned()
        }
        (false, _) if facts.told == 0 && facts.lasted >= SILENCE => {
            "it waits for a message that need not come, such as a bitfield: send interested right after the handshakes".to_owned()
        }
        (false, _) => hints::not_interested(false),
        (true, true) if facts.requests == 0 => hints::no_request(false),
        _ => return None,
    };
    Some(Cause::new(hint, None))
}

/// Says why the extensions were not agreed on, or why no metadata came.
fn no_extension(last: &Replay, stage: u8) -> Option<Cause> {
    last.client.handshake.and(last.peer.handshake)?;
    if last.lacks_extension_bit() {
        let shown = last.without_bit_20();
        let hint = "bit 20 of the reserved bytes is not set: 0x10 in byte 5, counted from 0";
        return Some(Cause::new(hint, shown));
    }
    let hint = match &last.facts {
        _ if !last.is_extended() => return None,
        facts if !facts.extended => {
            "it sends no extension handshake: message 20 with extension id 0, right after the handshakes".to_owned()
        }
        _ if stage == 7 => return None,
        _ if last.client.extensions.id(NAME).is_none() => {
            format!("its extension handshake gives {NAME} no id, so the peer cannot answer")
        }
        facts if !facts.asked_metadata && last.peer.extensions.id(NAME).is_some() => {
            "it has both handshakes, and asks for no metadata".to_owned()
        }
        _ => return None,
    };
    Some(Cause::new(hint, None))
}
