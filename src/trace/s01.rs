//! Stage 1 on the wire: bencode, with the place of every value.
//!
//! Much of what later stages send is bencode: a [`Lexicon`] says what the keys mean there.

use super::{MOST_FIELDS, MOST_ITEMS, Object, counted, quoted};
use crate::s01_bencode::forgiving::{PassedOver, decode_first_keys};
use crate::s01_bencode::limits::{Limits, decode_within};
use crate::s01_bencode::{BencodeError, Kind, Rule, decode, decode_prefix, excerpt};

/// The most pairs of a dictionary that become fields.
const MOST_PAIRS: usize = 64;
/// What a path is cut to, in bytes.
const LONGEST_PATH: usize = 80;

/// Says what an integer or a byte string means. The path leads there from the top, with
/// `[]` for every position in a list: `info.files[].length`.
pub type Lexicon = fn(path: &str, value: &Kind) -> Meaning;

/// What a value means.
#[derive(Default)]
pub struct Meaning {
    /// In place of the value as it stands.
    pub value: Option<String>,
    /// What to say of it.
    pub note: String,
    /// A byte string that is made of items, each of so many bytes.
    pub items: Option<Items>,
}

/// The items in a byte string.
pub struct Items {
    /// What they are: `peer`.
    pub name: &'static str,
    /// How many bytes each has.
    pub size: usize,
    /// Value and note of one.
    pub show: fn(&[u8]) -> (String, String),
}

impl Meaning {
    /// Only a note.
    pub fn note(note: impl Into<String>) -> Meaning {
        Meaning { note: note.into(), ..Meaning::default() }
    }

    /// Items of so many bytes.
    pub fn items(name: &'static str, size: usize, show: fn(&[u8]) -> (String, String)) -> Meaning {
        Meaning { items: Some(Items { name, size, show }), ..Meaning::default() }
    }
}

/// No key means anything in particular.
pub fn no_lexicon(_: &str, _: &Kind) -> Meaning {
    Meaning::default()
}

/// One value, and nothing behind it.
pub fn bencode(bytes: &[u8]) -> Object {
    let mut object = Object::new("bencode", bytes.len(), 1, "BEP 3");
    whole(&mut object, bytes, no_lexicon);
    object
}

/// Adds the fields of a value that must be all of the bytes.
pub(super) fn whole(object: &mut Object, bytes: &[u8], lexicon: Lexicon) {
    let error = decode(bytes).err();
    value(object, bytes, error.as_ref(), lexicon);
}

/// The same, except that a key may appear again: the first one counts. What breaks the rule
/// is said where the notes of the stage's decoder are taken in.
pub(super) fn first_keys(object: &mut Object, bytes: &[u8], limits: Limits, lexicon: Lexicon) {
    let error = decode_first_keys(bytes, limits, &mut PassedOver::default()).err();
    value(object, bytes, error.as_ref(), lexicon);
}

/// Adds the fields of the value at the start of the bytes; what follows is left alone. The
/// bytes belong behind the fields that are there.
pub(super) fn prefix(object: &mut Object, bytes: &[u8], limits: Limits, lexicon: Lexicon) {
    let error = decode_within(bytes, limits).err();
    value(object, bytes, error.as_ref(), lexicon);
}

fn value(object: &mut Object, bytes: &[u8], error: Option<&BencodeError>, lexicon: Lexicon) {
    let base = object.covered();
    // The decoder says where it breaks; the walk goes on up to there.
    let stop = error.map_or(bytes.len(), |error| error.at);
    let first = object.fields.len();
    let mut walk = Walk { object, bytes, base, stop, lexicon, path: String::new(), shape: String::new(), hidden: 0, first };
    let end = walk.value(0, true).unwrap_or_else(|place| place);
    walk.rest(end);
    if let Some(error) = error {
        let at = base + error.at;
        let (expected, found) = words(&error.rule);
        let width = width(&error.rule, bytes.get(at - base..).unwrap_or_default());
        let place = if error.path.is_empty() { String::new() } else { format!(" at {}", error.path) };
        object.break_at(at..at + width, format!("{expected}{place}"), found);
    }
}

/// How many bytes are wrong at the place where a rule is broken.
fn width(rule: &Rule, rest: &[u8]) -> usize {
    match rule {
        Rule::Ended => 0,
        Rule::Trailing { left } => *left,
        // The length that is not to be believed.
        Rule::CutShort { .. } => rest.iter().take(32).position(|byte| *byte == b':').map_or(1, |colon| colon + 1),
        Rule::DuplicateKey { .. } => decode_prefix(rest).map_or(1, |key| key.raw.len()),
        _ => 1,
    }
}

/// A way through the bytes, which the decoder has judged already. Where it returns `Err`,
/// it has come to the break.
struct Walk<'w, 'b> {
    object: &'w mut Object,
    bytes: &'b [u8],
    /// Where the bytes are in the object.
    base: usize,
    /// Where the decoder stopped.
    stop: usize,
    lexicon: Lexicon,
    /// `info.files[3].length`, and with `[]` for `[3]`.
    path: String,
    shape: String,
    /// In how many lists we are whose further items are not shown.
    hidden: usize,
    /// How many fields were there before.
    first: usize,
}

/// Where the walk has come to; as an error, where it breaks.
type Place = Result<usize, usize>;

impl<'b> Walk<'_, 'b> {
    /// The value at `at`, of which the key before it has not become a field yet. A value
    /// is `shown` where it is not one of too many.
    fn value(&mut self, at: usize, top: bool) -> Place {
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

    /// Something is wrong at `at`: a key before it becomes a field without a value.
    fn broken(&mut self, at: usize) -> Place {
        if self.hidden == 0 && self.base + at > self.object.covered() {
            let name = self.name();
            self.add(at, &name, String::new(), "its value breaks off".to_owned());
        }
        Err(at)
    }

    fn dictionary(&mut self, start: usize) -> Place {
        let (name, lengths) = (self.name(), (self.path.len(), self.shape.len()));
        self.add(start + 1, &name, "{".to_owned(), "a dictionary".to_owned());
        let mut at = start + 1;
        let mut pairs = 0;
        while self.bytes.get(at).is_some_and(|byte| *byte != b'e') && at < self.stop {
            let key = self.bytes_at(at).ok_or(at)?;
            pairs += 1;
            if pairs == MOST_PAIRS + 1 {
                self.hidden += 1;
            }
            self.enter(key);
            at = self.value(at + encoded_length(key.len()), false)?;
            self.leave(lengths);
        }
        if pairs > MOST_PAIRS {
            self.hidden -= 1;
            self.left_out(at, &name, pairs - MOST_PAIRS, "pairs");
        }
        self.end_of(at, &name, "}")
    }

    fn list(&mut self, start: usize) -> Place {
        let (name, lengths) = (self.name(), (self.path.len(), self.shape.len()));
        self.add(start + 1, &name, "[".to_owned(), "a list".to_owned());
        let mut at = start + 1;
        let mut items = 0;
        while self.bytes.get(at).is_some_and(|byte| *byte != b'e') && at < self.stop {
            if items == MOST_ITEMS {
                self.hidden += 1;
            }
            self.path += &format!("[{items}]");
            self.shape += "[]";
            items += 1;
            at = self.value(at, false)?;
            self.leave(lengths);
        }
        if items > MOST_ITEMS {
            self.hidden -= 1;
            self.left_out(at, &name, items - MOST_ITEMS, "items");
        }
        self.end_of(at, &name, "]")
    }

    fn end_of(&mut self, at: usize, name: &str, sign: &str) -> Place {
        if at >= self.stop {
            return Err(at);
        }
        self.add(at + 1, "", sign.to_owned(), if name.is_empty() { String::new() } else { format!("end of {name}") });
        Ok(at + 1)
    }

    /// An integer or a byte string.
    fn leaf(&mut self, at: usize, top: bool) -> Place {
        let Ok(value) = decode_prefix(self.bytes.get(at..).unwrap_or_default()) else { return self.broken(at) };
        let end = at + value.raw.len();
        let name =
            if top { value.type_name().trim_start_matches("a ").trim_start_matches("an ").to_owned() } else { self.name() };
        if self.hidden > 0 {
            return Ok(end);
        }
        let meaning = (self.lexicon)(&self.shape, &value.kind);
        if let (Some(items), Kind::Bytes(bytes)) = (meaning.items, &value.kind)
            && !self.full()
            && !bytes.is_empty()
        {
            let count = format!("{}: {} of {}", counted(bytes.len(), "byte"), bytes.len() / items.size, items.size);
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

    /// The byte string at `at`, if there is a whole one.
    fn bytes_at(&self, at: usize) -> Option<&'b [u8]> {
        let rest = self.bytes.get(at..self.stop.max(at)).unwrap_or_default();
        if !rest.first()?.is_ascii_digit() {
            return None;
        }
        decode_prefix(rest).ok()?.bytes()
    }

    fn full(&self) -> bool {
        self.object.fields.len() - self.first >= MOST_FIELDS
    }

    /// A field up to `end`, unless there are too many.
    fn add(&mut self, end: usize, name: &str, value: String, note: String) {
        if self.hidden == 0 && !self.full() {
            self.object.add(self.base + end, name, value, note);
        }
    }

    /// One field for all that was hidden in a container.
    fn left_out(&mut self, at: usize, name: &str, count: usize, what: &str) {
        let bytes = self.base + at - self.object.covered();
        self.add(at, &format!("{name}.."), format!("{count} more {what}, {bytes} bytes"), "not shown".to_owned());
    }

    /// One field for all that has not become one, because there were too many or because
    /// the break is in something that is not shown.
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
            format!("$hex:{}", hex::encode(key.get(..20).unwrap_or(key)))
        };
        for path in [&mut self.path, &mut self.shape] {
            if path.len() > LONGEST_PATH {
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

/// How long a byte string of so many bytes is when it is encoded: there is one spelling.
fn encoded_length(length: usize) -> usize {
    length.to_string().len() + 1 + length
}

/// A broken rule as two halves of a sentence.
fn words(rule: &Rule) -> (String, String) {
    let byte =
        |found: &u8| if found.is_ascii_graphic() { format!("{:?}", char::from(*found)) } else { format!("byte 0x{found:02x}") };
    let (expected, found) = match rule {
        Rule::NotAValue { found } => ("a value (i, l, d or a digit)", byte(found)),
        Rule::KeyNotBytes { found } => ("a key, which is a string,", byte(found)),
        Rule::Ended => ("a value or `e`", "the end".to_owned()),
        Rule::UnendedInteger => ("an integer and `e`", "no `e`".to_owned()),
        Rule::BadInteger { found } => ("digits without leading zeros", format!("\"{found}\"")),
        Rule::IntegerTooLarge { found } => ("an integer of 64 bits", found.clone()),
        Rule::UnendedLength => ("a length and `:`", "no `:`".to_owned()),
        Rule::BadLength { found } => ("a length in digits without leading zeros", format!("\"{found}\"")),
        Rule::CutShort { length, left } => return (format!("{length} bytes in the string"), format!("only {left}")),
        Rule::DuplicateKey { key } => ("a new key", format!("\"{key}\" for the second time")),
        Rule::TooDeep { .. } => ("fewer levels of lists and dictionaries", "one too many".to_owned()),
        Rule::TooManyItems { .. } => ("fewer values", "one too many".to_owned()),
        Rule::Trailing { left } => ("nothing behind the value", counted(*left, "byte")),
    };
    (expected.to_owned(), found)
}
