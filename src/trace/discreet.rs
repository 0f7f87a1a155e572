//! Hides the secrets in requests to trackers, in the values and in the bytes beside them.

use std::borrow::Cow;

use super::Object;
use crate::s03_tracker::secrets::{hide, mask};

/// Describes bytes with their secrets masked, and returns the bytes to show with that.
pub fn describe(bytes: &[u8], describe: impl Fn(&[u8]) -> Object) -> (Object, Cow<'_, [u8]>) {
    let masked = mask(bytes);
    if masked == bytes {
        return (describe(bytes), Cow::Borrowed(bytes));
    }
    let mut object = describe(&masked);
    soften(&mut object);
    (object, Cow::Owned(masked))
}

/// Shows masked secrets in an object's values as `…`.
pub fn soften(object: &mut Object) {
    object.fields.iter_mut().for_each(|field| field.value = dots(&field.value));
    object.summary = dots(&object.summary);
}

/// Shortens a masked secret to one sign, whatever its length.
fn dots(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in hide(text).chars() {
        match letter {
            '*' if shown.ends_with('…') => {}
            '*' => shown.push('…'),
            _ => shown.push(letter),
        }
    }
    shown
}
