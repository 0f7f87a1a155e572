//! Stage 1 on the wire: bencode, with the offset of every value.
//!
//! Later stages also send bencode: a [`Lexicon`] says what its keys mean there.

use super::{MAX_FIELDS, MAX_ITEMS, Object, counted, quoted};
use crate::s01_bencode::forgiving::{PassedOver, decode_first_keys};
use crate::s01_bencode::limits::{Limits, decode_within};
use crate::s01_bencode::rules::Rule;
use crate::s01_bencode::{BencodeError, Kind, decode, decode_prefix, excerpt};

/// The most pairs of a dictionary that become fields.
const MAX_PAIRS: usize = 64;
/// The longest path, in bytes; a longer one is cut.
const MAX_PATH_LENGTH: usize = 80;
/// The most bytes of a key that is no text: an info hash has as many, and is shown whole.
const MAX_KEY: usize = 20;

/// Returns the meaning of an integer or a byte string. The path leads there from the top,
/// with `[]` for every index into a list: `info.files[].length`.
pub type Lexicon = fn(path: &str, value: &Kind) -> Meaning;

/// The meaning of a value.
#[derive(Default)]
pub struct Meaning {
    /// A text to show in place of the value itself.
    pub value: Option<String>,
    /// A note on it.
    pub note: String,
    /// The items of a byte string, if it consists of items of one size.
    pub items: Option<Items>,
}

/// The items in a byte string.
pub struct Items {
    /// The name of an item: `peer`.
    pub name: &'static str,
    /// The size of an item in bytes.
    pub size: usize,
    /// Returns value and note of an item.
    pub show: fn(&[u8]) -> (String, String),
}

impl Meaning {
    /// Makes a meaning with only a note.
    pub fn note(note: impl Into<String>) -> Meaning {
        Meaning { note: note.into(), ..Meaning::default() }
    }

    /// Makes a meaning with items of `size` bytes.
    pub fn items(name: &'static str, size: usize, show: fn(&[u8]) -> (String, String)) -> Meaning {
        Meaning { items: Some(Items { name, size, show }), ..Meaning::default() }
    }
}

/// A lexicon without any meanings.
pub fn no_lexicon(_: &str, _: &Kind) -> Meaning {
    Meaning::default()
}

/// Describes one value, with nothing after it.
pub fn bencode(bytes: &[u8]) -> Object {
    let mut object = Object::new("bencode", bytes.len(), 1, "BEP 3");
    whole(&mut object, bytes, no_lexicon);
    object
}

/// Adds the fields of a value that must take up all of the bytes.
pub(super) fn whole(object: &mut Object, bytes: &[u8], lexicon: Lexicon) {
    let error = decode(bytes).err();
    value(object, bytes, error.as_ref(), lexicon);
}

/// Adds the fields of a value in which a key may appear again: the first one counts. The
/// caller adds the notes of the stage's decoder about that.
pub(super) fn first_keys(object: &mut Object, bytes: &[u8], limits: Limits, lexicon: Lexicon) {
    let error = decode_first_keys(bytes, limits, &mut PassedOver::default()).err();
    value(object, bytes, error.as_ref(), lexicon);
}

/// Adds the fields of the value at the start of the bytes, after the fields that are there.
/// Bytes after the value are left alone.
pub(super) fn prefix(object: &mut Object, bytes: &[u8], limits: Limits, lexicon: Lexicon) {
    let error = decode_within(bytes, limits).err();
    value(object, bytes, error.as_ref(), lexicon);
}

fn value(object: &mut Object, bytes: &[u8], error: Option<&BencodeError>, lexicon: Lexicon) {
    let base = object.covered();
    // The decoder finds the break, and the walk goes up to it.
    let stop = error.map_or(bytes.len(), |error| error.at);
    let first = object.fields.len();
    let mut walk = BencodeWalk {
        object,
        bytes,
        base,
        stop,
        lexicon,
        path: String::new(),
        shape: String::new(),
        hidden: 0,
        first,
    };
    let end = walk.value(0, true).unwrap_or_else(|place| place);
    walk.rest(end);
    if let Some(error) = error {
        let at = base + error.at;
        let (expected, found) = words(&error.rule);
        let width = width(&error.rule, bytes.get(at - base..).unwrap_or_default());
        let place =
            if error.path.is_empty() { String::new() } else { format!(" at {}", error.path) };
        object.break_at(at..at + width, format!("{expected}{place}"), found);
    }
}

/// Returns the number of wrong bytes at a broken rule.
fn width(rule: &Rule, rest: &[u8]) -> usize {
    match rule {
        Rule::Ended => 0,
        Rule::Trailing { left } => *left,
        // The length that cannot be right.
        Rule::CutShort { .. } => {
            rest.iter().take(32).position(|byte| *byte == b':').map_or(1, |colon| colon + 1)
        }
        Rule::DuplicateKey { .. } => decode_prefix(rest).map_or(1, |key| key.raw.len()),
        _ => 1,
    }
}

/// A walk through bytes that the decoder has checked. `Err` means that it has reached the
/// break.
struct BencodeWalk<'w, 'b> {
    object: &'w mut Object,
    bytes: &'b [u8],
    /// The offset of the bytes in the object.
    base: usize,
    /// The offset at which the decoder stopped.
    stop: usize,
    lexicon: Lexicon,
    /// The path, `info.files[3].length`, and the same with `[]` for `[3]`.
    path: String,
    shape: String,
    /// The number of surrounding lists whose further items are not shown.
    hidden: usize,
    /// The number of fields before the walk.
    first: usize,
}

/// The offset that the walk has reached; as an error, the break.
type Reached = Result<usize, usize>;

impl<'b> BencodeWalk<'_, 'b> {
    /// Walks the value at `at`; a key before it is not a field yet. A value is `shown` unless it
    /// is one of too many.
    fn value(&mut self, at: usize, top: bool) -> Reached {
        if at >= self.stop {
            return self.broken(at);
        }
        match self.bytes.get(at) {
            Some(b'd') => self.dictionary(at),
            Some(b'l') => self.list(at),
            Some(_) => self.leaf(at, top),
            None => self.broken(at),
        }
    }

    /// Handles a break at `at`: a key before it becomes a field without a value.
    fn broken(&mut self, at: usize) -> Reached {
        if self.hidden == 0 && self.base + at > self.object.covered() {
            let name = self.name();
            self.add(at, &name, String::new(), "its value breaks off".to_owned());
        }
        Err(at)
    }

    fn dictionary(&mut self, start: usize) -> Reached {
        let (name, lengths) = (self.name(), (self.path.len(), self.shape.len()));
        self.add(start + 1, &name, "{".to_owned(), "a dictionary".to_owned());
        let mut at = start + 1;
        let mut pairs = 0;
        while self.bytes.get(at).is_some_and(|byte| *byte != b'e') && at < self.stop {
            let key = self.bytes_at(at).ok_or(at)?;
            pairs += 1;
            if pairs == MAX_PAIRS + 1 {
                self.hidden += 1;
            }
            self.enter(key);
            at = self.value(at + encoded_length(key.len()), false)?;
            self.leave(lengths);
        }
        if pairs > MAX_PAIRS {
            self.hidden -= 1;
            self.left_out(at, &name, pairs - MAX_PAIRS, "pairs");
        }
        self.end_of(at, &name, "}")
    }

    fn list(&mut self, start: usize) -> Reached {
        let (name, lengths) = (self.name(), (self.path.len(), self.shape.len()));
        self.add(start + 1, &name, "[".to_owned(), "a list".to_owned());
        let mut at = start + 1;
        let mut items = 0;
        while self.bytes.get(at).is_some_and(|byte| *byte != b'e') && at < self.stop {
            if items == MAX_ITEMS {
                self.hidden += 1;
            }
            self.path += &format!("[{items}]");
            self.shape += "[]";
            items += 1;
            at = self.value(at, false)?;
            self.leave(lengths);
        }
        if items > MAX_ITEMS {
            self.hidden -= 1;
            self.left_out(at, &name, items - MAX_ITEMS, "items");
        }
        self.end_of(at, &name, "]")
    }

    fn end_of(&mut self, at: usize, name: &str, sign: &str) -> Reached {
        if at >= self.stop {
            return Err(at);
        }
        self.add(
            at + 1,
            "",
            sign.to_owned(),
            if name.is_empty() { String::new() } else { format!("end of {name}") },
        );
        Ok(at + 1)
    }

    /// Walks an integer or a byte string.
    fn leaf(&mut self, at: usize, top: bool) -> Reached {
        let Ok(value) = decode_prefix(self.bytes.get(at..).unwrap_or_default()) else {
            return self.broken(at);
        };
        let end = at + value.raw.len();
        let name = if top {
            value.type_name().trim_start_matches("a ").trim_start_matches("an ").to_owned()
        } else {
            self.name()
        };
        if self.hidden > 0 {
            return Ok(end);
        }
        let meaning = (self.lexicon)(&self.shape, &value.kind);
        if let (Some(items), Kind::Bytes(bytes)) = (meaning.items, &value.kind)
            && !self.full()
            && !bytes.is_empty()
        {
            let count = format!(
                "{}: {} of {}",
                counted(bytes.len(), "byte"),
                bytes.len() / items.size,
                items.size
            );
            self.add(end - bytes.len(), &name, count, meaning.note);
            self.object.add_items(bytes, items.size, items.name, items.show);
            return Ok(end);
        }
        let plain = || match &value.kind {
            Kind::Integer(number) => number.to_string(),
            Kind::Bytes(bytes) => quoted(bytes),
            _ => String::new(),
        };
        self.add(end, &name, meaning.value.unwrap_or_else(plain), meaning.note);
        Ok(end)
    }

    /// Returns the byte string at `at`, if it is whole.
    fn bytes_at(&self, at: usize) -> Option<&'b [u8]> {
        let rest = self.bytes.get(at..self.stop.max(at)).unwrap_or_default();
        if !rest.first()?.is_ascii_digit() {
            return None;
        }
        decode_prefix(rest).ok()?.bytes()
    }

    fn full(&self) -> bool {
        self.object.fields.len() - self.first >= MAX_FIELDS
    }

    /// Adds a field up to `end`, unless there are too many.
    fn add(&mut self, end: usize, name: &str, value: String, note: String) {
        if self.hidden == 0 && !self.full() {
            self.object.add(self.base + end, name, value, note);
        }
    }

    /// Adds one field for all that was hidden in a container.
    fn left_out(&mut self, at: usize, name: &str, count: usize, what: &str) {
        let bytes = self.base + at - self.object.covered();
        self.add(
            at,
            &format!("{name}.."),
            format!("{count} more {what}, {bytes} bytes"),
            "not shown".to_owned(),
        );
    }

    /// Adds one field for all that is left, because there were too many fields or because the
    /// break is in something that is not shown.
    fn rest(&mut self, end: usize) {
        let covered = self.object.covered();
        if self.base + end > covered {
            let bytes = self.base + end - covered;
            self.object.add(self.base + end, "..", format!("{bytes} more bytes"), "not shown");
        }
    }

    fn name(&self) -> String {
        self.path.clone()
    }

    fn enter(&mut self, key: &[u8]) {
        let key = if std::str::from_utf8(key).is_ok() {
            excerpt(key)
        } else {
            let dots = if key.len() > MAX_KEY { "…" } else { "" };
            format!("$hex:{}{dots}", hex::encode(key.get(..MAX_KEY).unwrap_or(key)))
        };
        for path in [&mut self.path, &mut self.shape] {
            if path.len() > MAX_PATH_LENGTH {
                continue;
            }
            if !path.is_empty() {
                path.push('.');
            }
            *path += &key;
        }
    }

    fn leave(&mut self, (path, shape): (usize, usize)) {
        self.path.truncate(path);
        self.shape.truncate(shape);
    }
}

/// Returns the encoded length of a byte string with this many bytes.
fn encoded_length(length: usize) -> usize {
    length.to_string().len() + 1 + length
}

/// Returns a broken rule as what was expected and what was found.
fn words(rule: &Rule) -> (String, String) {
    let byte = |found: &u8| {
        if found.is_ascii_graphic() {
            format!("{:?}", char::from(*found))
        } else {
            format!("byte 0x{found:02x}")
        }
    };
    let (expected, found) = match rule {
        Rule::NotAValue { found } => ("a value (i, l, d or a digit)", byte(found)),
        Rule::KeyNotBytes { found } => ("a key, which is a string,", byte(found)),
        Rule::Ended => ("a value or `e`", "the end".to_owned()),
        Rule::UnendedInteger => ("an integer and `e`", "no `e`".to_owned()),
        Rule::BadInteger { found } => ("digits without leading zeros", format!("\"{found}\"")),
        Rule::IntegerTooLarge { found } => ("an integer of 64 bits", found.clone()),
        Rule::UnendedLength => ("a length and `:`", "no `:`".to_owned()),
        Rule::BadLength { found } => {
            ("a length in digits without leading zeros", format!("\"{found}\""))
        }
        Rule::CutShort { length, left } => {
            return (format!("{length} bytes in the string"), format!("only {left}"));
        }
        Rule::DuplicateKey { key } => ("a new key", format!("\"{key}\" for the second time")),
        Rule::TooDeep { .. } => {
            ("fewer levels of lists and dictionaries", "one too many".to_owned())
        }
        Rule::TooManyItems { .. } => ("fewer values", "one too many".to_owned()),
        Rule::Trailing { left } => ("nothing after the value", counted(*left, "byte")),
    };
    (expected.to_owned(), found)
}
