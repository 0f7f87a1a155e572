//! Whether a request can be answered, and what its author may have got wrong.

use super::end::End;
use crate::lab::content::Content;
use crate::lab::hints::{self, Mistake};
use crate::s01_bencode::counted;
use crate::s05_messages::bitfield::Bitfield;
use crate::s05_messages::{BLOCK_LENGTH, Request};

/// Checks a request for a block of content of which these pieces are here. Returns a mistake that
/// other clients might not forgive.
///
/// # Errors
/// If it breaks a rule.
pub fn check(request: Request, content: &Content, has: &Bitfield) -> Result<Option<Mistake>, End> {
    let Request { index, begin, length } = request;
    let info = &content.info;
    let size = info.piece(index).map(|piece| info.piece_size(piece));
    let wrong = |rule: String| End::Request {
        request,
        rule,
        hint: hints::request(&request, info.piece_count(), size),
    };
    let pieces = || counted(info.piece_count(), "piece");
    let size =
        size.ok_or_else(|| wrong(format!("the torrent has {}, counted from 0", pieces())))?;
    if !has.has(index) {
        let rule = "this seeder does not have that piece; its bitfield says so".to_owned();
        return Err(End::Request { request, rule, hint: None });
    }
    if !(1..=BLOCK_LENGTH).contains(&length) {
        return Err(wrong(format!("a block is 1 to {BLOCK_LENGTH} bytes long")));
    }
    if u64::from(begin) + u64::from(length) > u64::from(size) {
        return Err(wrong(format!("that piece has {}", counted(size, "byte"))));
    }
    let odd = begin % BLOCK_LENGTH != 0 && begin % length != 0;
    Ok(odd.then(|| {
        let what = format!(
            "begin {begin} is not a multiple of {BLOCK_LENGTH}: it counts bytes, not blocks; others may refuse"
        );
        Mistake::new("begin", what, hints::PIECES)
    }))
}
