//! The rules of bencode that an input can break, and the path to the fault.
//!
//! The decoder works with [`Rule`] alone. An offset and a path make it a
//! [`BencodeError`](super::BencodeError), which a person can follow into the file.

use thiserror::Error;

use super::excerpt;

/// One step on the way from the top of the input to the value being read.
pub(super) enum Step<'a> {
    /// Into a dictionary, to the value of this key.
    Key(&'a [u8]),
    /// Into a list, to the item at this position, counted from 0.
    Item(usize),
}

/// The most steps of a path that are shown.
const SHOWN: usize = 8;

/// Returns the path as text: `info.files[3].length`.
pub(super) fn path_text(path: &[Step]) -> String {
    // Sixty nested lists are an attack, not a torrent: the last steps say enough.
    let (cut, path) = path.split_at(path.len().saturating_sub(SHOWN));
    let mut text = if cut.is_empty() { String::new() } else { "…".to_owned() };
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text = excerpt(key),
            Step::Key(key) => text = format!("{text}.{}", excerpt(key)),
            Step::Item(index) => text = format!("{text}[{index}]"),
        }
    }
    text
}

/// The rules of bencode, each with what was found instead.
///
/// Text from the input is kept as an [`excerpt`]: a broken file may hold megabytes where a
/// number should be, and control characters that a terminal would obey.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs)] // the messages say it
pub enum Rule {
    #[error("a value was expected (i, l, d or a digit), but found {}", byte_text(*found))]
    NotAValue { found: u8 },
    #[error("a value was expected, or the `e` of what holds it, but the input ends")]
    Ended,
    #[error("an integer was expected, but no `e` follows within 32 bytes")]
    UnendedInteger,
    #[error("an integer is digits without leading zeros, but found \"{found}\"")]
    BadInteger { found: String },
    #[error("an integer of 64 bits was expected, but found {found}")]
    IntegerTooLarge { found: String },
    #[error("a string was expected, but no `:` follows within 32 bytes")]
    UnendedLength,
    #[error("a string's length is digits without leading zeros, but found \"{found}\"")]
    BadLength { found: String },
    #[error("the string says {length} bytes, only {left} {} left", if *left == 1 { "is" } else { "are" })]
    CutShort { length: String, left: usize },
    #[error("a key must be a string, but found {}", byte_text(*found))]
    KeyNotBytes { found: u8 },
    #[error("the key \"{key}\" appears twice in one dictionary")]
    DuplicateKey { key: String },
    #[error("lists and dictionaries nest deeper than {most}")]
    TooDeep { most: usize },
    #[error("there are more than {most} values")]
    TooManyItems { most: usize },
    #[error(
        "the value ends here, but {left} more {}",
        if *left == 1 { "byte follows" } else { "bytes follow" }
    )]
    Trailing { left: usize },
}

/// A byte as text: `'x'` if it can be printed, `byte 0x07` if not.
fn byte_text(byte: u8) -> String {
    match byte {
        b' '..=b'~' => format!("{:?}", char::from(byte)),
        _ => format!("byte 0x{byte:02x}"),
    }
}
