//! The trace: every byte in one field, text that is safe to print, and the verdict of the stages.

use piecemeal::trace::kind::{Kind, left_over};
use piecemeal::trace::{Context, json};

use super::bytes::{harmless, sound};
use super::taken::taken;

/// The input is the number of a kind, a number of pieces, and what is to be explained.
pub fn check(input: &[u8]) {
    let Some((&[number, pieces], bytes)) = input.split_first_chunk() else { return };
    let named = Kind::all().nth(usize::from(number));
    let Some(kind) = named.or_else(|| Kind::of(bytes)) else { return };
    let names = [(1, "ut_metadata"), (2, "lt_donthave"), (3, "ut_pex")]
        .map(|(id, name)| (id, name.to_owned()));
    let known = Context { pieces: Some(pieces.into()), extensions: names.into() };
    let context = if pieces == 0 { Context::default() } else { known };

    let placed = kind.describe(bytes, &context);
    let mut end = 0;
    for (number, one) in placed.iter().enumerate() {
        assert_eq!(one.at, end, "objects lie end to end");
        sound(&one.object, &bytes[one.at..]);
        end += one.object.length;
        assert!(
            one.object.broken.is_none() || number + 1 == placed.len(),
            "a broken object is the last"
        );
        let shown = json::object(&one.object, &bytes[one.at..end], one.at).to_string();
        assert!(!shown.contains('\n'), "a line of JSON is one line");
    }
    left_over(&placed, bytes).iter().for_each(|left| harmless(left));

    // What is known of a connection may make a message wrong that is right by itself.
    if context == Context::default()
        && let Some(taken) = taken(kind, bytes)
    {
        let broken = placed.iter().find_map(|one| one.object.broken.as_ref());
        // No bytes are no object, and no message either.
        let whole = broken.is_none()
            && !placed.is_empty()
            && (end == bytes.len() || !matches!(kind, Kind::Messages | Kind::Stream));
        // After many objects it stops looking, and says so.
        if left_over(&placed, bytes).is_none() || broken.is_some() {
            assert_eq!(whole, taken, "{kind:?}: {placed:?}");
        }
    }
}
