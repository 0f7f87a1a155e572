//! Stage 24 on the wire: requests for hashes, and their answers.

use super::hex_text;
use super::walk::Walk;
use crate::s24_hash_transfer::message::{HASHES, HashMessage, HashMessageError};
use crate::s24_hash_transfer::proof::proved_layer;

/// The size of a hash in bytes.
const HASH: usize = 32;

/// Adds the payload of a message about hashes, which follows the id.
pub(super) fn message(walk: &mut Walk, id: u8) -> Option<String> {
    walk.object.stage = 24;
    let payload = walk.left();
    walk.take(HASH, "pieces root", |root| (hex_text(root), "the file, by its root".to_owned()))?;
    let base = walk.number(4, "base layer")?;
    walk.note(if base == 0 { "the hashes of blocks" } else { "counted from the blocks" });
    let index = walk.number(4, "index")?;
    walk.note("the first hash in that layer");
    let length = walk.number(4, "length")?;
    walk.note("how many");
    let proof = walk.number(4, "proof layers")?;
    walk.note("how far above the base layer the proof reaches");
    match HashMessage::decode(id, payload) {
        Ok(Some(HashMessage::Hashes(request, hashes))) => {
            let asked = request.length as usize;
            hash_list(walk, "hash", asked, index);
            hash_list(walk, "uncle", hashes.len() - asked, 0);
            walk.note(&format!("together they prove a hash in layer {}", proved_layer(&request)));
        }
        Err(error) if id == HASHES => broken(walk, error),
        _ => {}
    }
    // The last one may be beyond what 32 bits can count.
    let end = index + length.saturating_sub(1);
    let proof = super::counted(usize::try_from(proof).unwrap_or(usize::MAX), "layer");
    Some(format!("{length} of layer {base}, {index} to {end}, proof of {proof}"))
}

/// Adds hashes of a list: the first few, and the others as one field.
fn hash_list(walk: &mut Walk, name: &str, count: usize, first: u64) {
    let shown = count.min(super::MAX_ITEMS);
    for number in (first..).take(shown) {
        walk.take(HASH, &format!("{name} {number}"), |hash| (hex_text(hash), String::new()));
    }
    if count > shown {
        let rest = count - shown;
        walk.take(rest * HASH, name, |_| (format!("{rest} more"), String::new()));
    }
}

/// An answer with hashes that are too few, too many or impossible.
fn broken(walk: &mut Walk, error: HashMessageError) {
    let (start, left) = (walk.object.covered(), walk.left().len());
    let expected = match error {
        HashMessageError::Size { expected, .. } => {
            format!("{} hashes of 32 bytes", expected.saturating_sub(48) / HASH as u64)
        }
        HashMessageError::Length { .. } => "a power of two of hashes, at least 2".to_owned(),
    };
    let found = match error {
        // In the unit of what is expected, where that is possible.
        HashMessageError::Size { .. } if left % HASH == 0 => (left / HASH).to_string(),
        HashMessageError::Size { .. } => super::counted(left, "byte"),
        HashMessageError::Length { found } => format!("a length of {found}"),
    };
    walk.object.break_at(start..start + left, expected, found);
}
