//! Reading input that is slightly wrong: the first of two equal keys counts, and notes
//! say what was passed over.
//!
//! Real torrents and trackers have slips. A comment in another encoding, or a key that a tracker
//! repeats, costs the download nothing, so it must not end it. But nothing is hidden: each slip is
//! noted or counted.

use super::limits::Limits;
use super::rules::Rule;
use super::{BencodeError, Kind, Value, counted, excerpt, read};

/// The most notes kept about one input. The rest are only counted.
const MAX_NOTES: usize = 8;

/// What was broken in an input, but not needed. An input full of errors gets a few short
/// notes; it cannot fill our memory.
#[derive(Debug, Default)]
pub struct PassedOver {
    /// At most [`MAX_NOTES`], a sentence each.
    notes: Vec<String>,
    /// The number of slips without a note.
    more: usize,
}

impl PassedOver {
    /// Adds a note, or only counts it if there are too many. A closure makes the text, so
    /// what is only counted costs no memory.
    pub fn add(&mut self, note: impl FnOnce() -> String) {
        if self.notes.len() < MAX_NOTES {
            self.notes.push(note());
        } else {
            self.more += 1;
        }
    }

    /// Notes that a key's value is not what was expected. `expected` follows "must be": "a list of
    /// URLs".
    pub fn skip(&mut self, key: &str, expected: &str, value: &Value) {
        self.add(|| {
            let found = match value.kind {
                Kind::Integer(number) => number.to_string(),
                Kind::Bytes(bytes) if std::str::from_utf8(bytes).is_ok() => {
                    format!("\"{}\"", excerpt(bytes))
                }
                Kind::Bytes(bytes) => {
                    format!("{} that are not UTF-8", counted(bytes.len(), "byte"))
                }
                _ => value.type_name().to_owned(),
            };
            format!("{key} must be {expected}, but is {found}; it is passed over")
        });
    }

    /// Returns what `read` makes of an optional key; `None` if it is missing or broken. Only a
    /// broken one gets a note.
    pub fn read<'v, 'a, T>(
        &mut self,
        dictionary: &'v Value<'a>,
        key: &str,
        expected: &str,
        read: impl FnOnce(&'v Value<'a>) -> Option<T>,
    ) -> Option<T> {
        self.read_inside(dictionary, "", key, expected, read)
    }

    /// Reads a key of a dictionary that is inside another one, at the path `at`. The path is
    /// for the note: "info.private must be 0 or 1".
    pub fn read_inside<'v, 'a, T>(
        &mut self,
        dictionary: &'v Value<'a>,
        at: &str,
        key: &str,
        expected: &str,
        read: impl FnOnce(&'v Value<'a>) -> Option<T>,
    ) -> Option<T> {
        let value = dictionary.get(key)?;
        let read = read(value);
        if read.is_none() {
            let dot = if at.is_empty() { "" } else { "." };
            self.skip(&format!("{at}{dot}{key}"), expected, value);
        }
        read
    }

    /// Returns the notes, with a last one for those that were not kept.
    pub fn into_notes(mut self) -> Vec<String> {
        if self.more > 0 {
            self.notes.push(format!("there are {} more notes like these", self.more));
        }
        self.notes
    }
}

/// Decodes as [`decode_within`](super::limits::decode_within) does, except that a key may appear
/// more than once in a dictionary: the first one counts, and a note names the others.
///
/// Nothing that is hashed or signed may be read this way: two programs could see two different
/// things in it. So stage 2 reads torrents strictly. What is read this way is used once and thrown
/// away: a tracker's answer, a peer's extension handshake.
///
/// # Errors
/// If the value is broken in any other way.
pub fn decode_first_keys<'a>(
    input: &'a [u8],
    limits: Limits,
    notes: &mut PassedOver,
) -> Result<Value<'a>, BencodeError> {
    read(input, limits, Some(notes))
}

/// Returns the places of the pairs whose key came earlier, in rising order.
pub(super) fn repeated(pairs: &[(&[u8], Value)]) -> Vec<usize> {
    let mut keys: Vec<(&[u8], usize)> =
        pairs.iter().zip(0..).map(|((key, _), place)| (*key, place)).collect();
    keys.sort_unstable(); // by key, then by place: the first of equal keys comes first
    let again = keys.iter().zip(keys.iter().skip(1)).filter(|(one, next)| one.0 == next.0);
    let mut places: Vec<usize> = again.map(|(_, next)| next.1).collect();
    places.sort_unstable();
    places
}

/// Removes the pairs at these places, with a note for each. The places are in rising order, so
/// one pass is enough; removing one pair at a time would move all those after it each time.
pub(super) fn keep_first<'a>(
    pairs: &mut Vec<(&'a [u8], Value<'a>)>,
    places: &[usize],
    path: &str,
    notes: &mut PassedOver,
) {
    let mut place = 0;
    let mut next = places.iter().copied().peekable();
    pairs.retain(|(key, _)| {
        let goes = next.next_if_eq(&place).is_some();
        place += 1;
        if goes {
            let dot = if path.is_empty() { "" } else { "." };
            notes.add(|| {
                format!("{path}{dot}{} appears more than once: the first one counts", excerpt(key))
            });
        }
        !goes
    });
}

/// Returns the error for a repeated key where bencode is read strictly. The dictionary
/// starts at `start`.
pub(super) fn duplicate(pairs: &[(&[u8], Value)], place: usize, start: usize) -> (usize, Rule) {
    // Pairs do not keep their offsets: a torrent of many files would pay for them. But a string has
    // only one spelling, so the bytes before the key can be counted.
    let length = |(key, value): &(&[u8], Value)| {
        key.len().to_string().len() + 1 + key.len() + value.raw.len() // `3` `:` `cow` `3:moo`
    };
    let key = pairs.get(place).map(|(key, _)| excerpt(key)).unwrap_or_default();
    let before: usize = pairs.iter().take(place).map(length).sum();
    (start + 1 + before, Rule::DuplicateKey { key }) // 1 for the `d`
}
