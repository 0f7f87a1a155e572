//! Stage 1: read and write bencode, the notation everything else is written in.
//!
//! Torrent files, tracker answers and half of the peer messages are bencoded.
//! There are four types, and each value has exactly one spelling. So a hash of
//! the encoded bytes can serve as a name (stage 2).
//!
//! * **Run it:** `piecemeal decode d3:cow3:moo4:spami7ee`
//! * **Spec:** BEP 3, "bencoding"; **chapter:** `docs/01-bencode.md`
//! * **Builds on:** nothing
//!
//! # On the wire
//! ```text
//! integer     i <decimal> e              i-7e
//! bytes       <length> : <bytes>         4:spam
//! list        l <values> e               l4:spami7ee
//! dictionary  d <key value pairs> e      d3:cow3:mooe     keys are byte strings, sorted
//! ```
//! # Decisions
//! * **Bytes, not text.** A bencoded string is any bytes at all: a hash, an IP
//!   address. Code that knows a field is text asks for text ([`Value::text`]).
//! * **Nothing is copied.** A [`Value`] borrows from the input and remembers
//!   exactly the bytes it was read from ([`Value::raw`]), so that stage 2 can
//!   hash them unchanged. Encoding a value again could change them.
//! * **Strict where two spellings would mean the same** (`i01e`, `i-0e`, a
//!   repeated key), lenient where real files are: unsorted keys are read, never written.
//! * **The input cannot pick our memory or our stack.** [`MAX_DEPTH`] bounds the
//!   recursion of reading, printing and dropping, [`MAX_ITEMS`] the size of the tree;
//!   messages have tighter [`limits`]. No length is trusted before its bytes are there.
//! * **Left out:** integers beyond 64 bits. The spec allows them, no field needs
//!   them.

#![warn(clippy::indexing_slicing)] // decodes what strangers send

pub mod encode;
pub mod forgiving;
pub mod limits;

use std::fmt;

use thiserror::Error;

use self::forgiving::{PassedOver, duplicate, keep_first, repeated};
use self::limits::{Limits, TORRENT};

/// The deepest nesting of lists and dictionaries. Real torrents need 4.
pub const MAX_DEPTH: usize = 64;

/// The most values in one input. A torrent of a million files needs this many:
/// three for each file.
pub const MAX_ITEMS: usize = 3_000_000;

/// A decoded value, borrowed from the input it was read from.
#[derive(Debug, Clone, PartialEq)]
pub struct Value<'a> {
    /// The bytes this value was decoded from, `d` to `e` for a dictionary.
    pub raw: &'a [u8],
    /// What they mean.
    pub kind: Kind<'a>,
}

/// The four types of bencode.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind<'a> {
    /// `i-7e`
    Integer(i64),
    /// `4:spam`
    Bytes(&'a [u8]),
    /// `l4:spame`
    List(Vec<Value<'a>>),
    /// `d3:cow3:mooe`, in the order of the input.
    Dictionary(Vec<(&'a [u8], Value<'a>)>),
}

impl<'a> Value<'a> {
    /// The integer, if this is one.
    pub fn integer(&self) -> Option<i64> {
        if let Kind::Integer(number) = self.kind { Some(number) } else { None }
    }

    /// The integer, if this is one and not negative: a length, a count, a port.
    pub fn unsigned(&self) -> Option<u64> {
        self.integer().and_then(|number| u64::try_from(number).ok())
    }

    /// The bytes, if this is a byte string.
    pub fn bytes(&self) -> Option<&'a [u8]> {
        if let Kind::Bytes(bytes) = self.kind { Some(bytes) } else { None }
    }

    /// The bytes as text, if this is a byte string and UTF-8.
    pub fn text(&self) -> Option<&'a str> {
        self.bytes().and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// The items, if this is a list.
    pub fn list(&self) -> Option<&[Value<'a>]> {
        if let Kind::List(items) = &self.kind { Some(items) } else { None }
    }

    /// The pairs, if this is a dictionary.
    pub fn dictionary(&self) -> Option<&[(&'a [u8], Value<'a>)]> {
        if let Kind::Dictionary(pairs) = &self.kind { Some(pairs) } else { None }
    }

    /// The value of `key`, if this is a dictionary that has it.
    pub fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.dictionary()?.iter().find(|(name, _)| *name == key.as_bytes()).map(|(_, value)| value)
    }

    /// What this is, for error messages: "an integer", "a list".
    pub fn type_name(&self) -> &'static str {
        match self.kind {
            Kind::Integer(_) => "an integer",
            Kind::Bytes(_) => "a byte string",
            Kind::List(_) => "a list",
            Kind::Dictionary(_) => "a dictionary",
        }
    }
}

/// Decodes an input that is one value and nothing else.
///
/// # Errors
/// If the value is broken, or anything follows it.
pub fn decode(input: &[u8]) -> Result<Value<'_>, BencodeError> {
    let value = decode_prefix(input)?;
    let end = value.raw.len();
    match input.len() - end {
        0 => Ok(value),
        left => Err(BencodeError { at: end, path: String::new(), rule: Rule::Trailing { left } }),
    }
}

/// Decodes the value at the start of `input` and ignores what follows it.
///
/// The value ended at `value.raw.len()`. Stage 8 needs that: its messages are a
/// dictionary followed by plain bytes.
///
/// # Errors
/// If the value is broken.
pub fn decode_prefix(input: &[u8]) -> Result<Value<'_>, BencodeError> {
    read(input, TORRENT, None)
}

fn read<'a>(
    input: &'a [u8],
    limits: Limits,
    repeated: Option<&mut PassedOver>,
) -> Result<Value<'a>, BencodeError> {
    let mut decoder = Decoder { input, at: 0, items: 0, limits, path: Vec::new(), repeated };
    decoder.value().map_err(|(at, rule)| BencodeError { at, path: path_text(&decoder.path), rule })
}

/// A broken rule and the offset where it was broken; the path is added once,
/// at the top.
type Broken = (usize, Rule);

/// One step on the way from the top of the input to the value being read.
enum Step<'a> {
    Key(&'a [u8]),
    Item(usize),
}

struct Decoder<'a, 'n> {
    input: &'a [u8],
    at: usize,
    items: usize,
    limits: Limits,
    /// Where we are; after an error, where it was found.
    path: Vec<Step<'a>>,
    /// Notes about repeated keys; `None` where a repeated key is an error.
    repeated: Option<&'n mut PassedOver>,
}

impl<'a> Decoder<'a, '_> {
    /// Decodes one value. Its first byte gives its type.
    fn value(&mut self) -> Result<Value<'a>, Broken> {
        let (start, most) = (self.at, self.limits);
        self.items += 1;
        if self.items > most.items {
            return Err((start, Rule::TooManyItems { most: most.items }));
        }
        let kind = match self.peek()? {
            // Each container puts one step on the path, so the path is the depth.
            b'l' | b'd' if self.path.len() >= most.depth => {
                return Err((start, Rule::TooDeep { most: most.depth }));
            }
            b'i' => Kind::Integer(self.integer()?),
            b'l' => Kind::List(self.list()?),
            b'd' => Kind::Dictionary(self.dictionary()?),
            b'0'..=b'9' => Kind::Bytes(self.bytes()?),
            found => return Err((start, Rule::NotAValue { found })),
        };
        Ok(Value { raw: self.slice(start, self.at)?, kind })
    }

    /// `i-7e`
    fn integer(&mut self) -> Result<i64, Broken> {
        let start = self.at;
        self.at += 1; // the `i`
        let digits = self.until(b'e', Rule::UnendedInteger).map_err(|(_, rule)| (start, rule))?;
        let text = std::str::from_utf8(digits).unwrap_or_default();
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        // Rust's own parser would take "+1" and "007", so the form is checked
        // here: BEP 3 forbids leading zeros and a negative zero.
        let all_digits = !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits || text == "-0" || (unsigned.len() > 1 && unsigned.starts_with('0')) {
            return Err((start, Rule::BadInteger { found: excerpt(digits) }));
        }
        text.parse().map_err(|_| (start, Rule::IntegerTooLarge { found: excerpt(digits) }))
    }

    /// `4:spam`
    fn bytes(&mut self) -> Result<&'a [u8], Broken> {
        let start = self.at;
        let digits = self.until(b':', Rule::UnendedLength)?;
        let text = std::str::from_utf8(digits).unwrap_or_default();
        if text.is_empty()
            || !text.bytes().all(|byte| byte.is_ascii_digit())
            || (text.len() > 1 && text.starts_with('0'))
        {
            return Err((start, Rule::BadLength { found: excerpt(digits) }));
        }
        let left = self.input.len() - self.at;
        match text.parse::<usize>() {
            Ok(length) if length <= left => {
                self.at += length;
                self.slice(self.at - length, self.at)
            }
            // A length that does not fit a usize is certainly more than is left.
            _ => Err((start, Rule::CutShort { length: text.to_owned(), left })),
        }
    }

    /// `l4:spame`
    fn list(&mut self) -> Result<Vec<Value<'a>>, Broken> {
        self.at += 1; // the `l`
        let mut items = Vec::new();
        while self.peek()? != b'e' {
            self.path.push(Step::Item(items.len()));
            items.push(self.value()?);
            self.path.pop();
        }
        self.at += 1; // the `e`
        Ok(items)
    }

    /// `d3:cow3:mooe`
    fn dictionary(&mut self) -> Result<Vec<(&'a [u8], Value<'a>)>, Broken> {
        let start = self.at;
        self.at += 1; // the `d`
        let mut pairs: Vec<(&[u8], Value)> = Vec::new();
        let mut sorted = true;
        loop {
            let key = match self.peek()? {
                b'e' => break,
                b'0'..=b'9' => self.bytes()?,
                found => return Err((self.at, Rule::KeyNotBytes { found })),
            };
            sorted &= pairs.last().is_none_or(|(last, _)| *last < key);
            self.path.push(Step::Key(key));
            pairs.push((key, self.value()?));
            self.path.pop();
        }
        self.at += 1; // the `e`
        // Keys in rising order cannot repeat. Only when they are not in order
        // is a sorted copy needed to find out.
        let again = if sorted { Vec::new() } else { repeated(&pairs) };
        if let Some(first) = again.first() {
            match &mut self.repeated {
                Some(notes) => keep_first(&mut pairs, &again, &path_text(&self.path), notes),
                None => {
                    return Err(duplicate(&pairs, *first, start).unwrap_or((start, Rule::Ended)));
                }
            }
        }
        Ok(pairs)
    }

    fn peek(&self) -> Result<u8, Broken> {
        self.input.get(self.at).copied().ok_or((self.at, Rule::Ended))
    }

    /// Returns the bytes up to `end`, and skips `end`. No number has more than 20 digits, so we
    /// search 32 bytes at most: a long input without an `e` costs nothing.
    fn until(&mut self, end: u8, missing: Rule) -> Result<&'a [u8], Broken> {
        let start = self.at;
        let rest = self.input.get(start..).unwrap_or_default();
        let length = rest.iter().take(32).position(|byte| *byte == end).ok_or((start, missing))?;
        self.at = start + length + 1;
        self.slice(start, start + length)
    }

    fn slice(&self, start: usize, end: usize) -> Result<&'a [u8], Broken> {
        self.input.get(start..end).ok_or((start, Rule::Ended))
    }
}

/// `info.files[3].length`
fn path_text(path: &[Step]) -> String {
    // Sixty nested lists are an attack, not a torrent: show only the last eight steps.
    let (start, path) = path.split_at(path.len().saturating_sub(8));
    let mut text = if start.is_empty() { String::new() } else { "…".to_owned() };
    for step in path {
        match step {
            Step::Key(key) if text.is_empty() => text = excerpt(key),
            Step::Key(key) => text = format!("{text}.{}", excerpt(key)),
            Step::Item(index) => text = format!("{text}[{index}]"),
        }
    }
    text
}

/// The start of some bytes from outside, safe to print: control characters are
/// escaped, since a terminal would obey them.
pub fn excerpt(bytes: &[u8]) -> String {
    // A few bytes more than are shown, so that no character is cut in half.
    let start = String::from_utf8_lossy(bytes.get(..44).unwrap_or(bytes));
    let short = &start[..start.floor_char_boundary(40)];
    let dots = if short.len() < start.len() || bytes.len() > 44 { "…" } else { "" };
    printable(short) + dots
}

/// Text from outside, safe to print: control characters, and those that change
/// the direction of the text, are escaped.
pub fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            _ if turns_text(letter) => safe.extend(letter.escape_unicode()),
            _ if letter.is_control() => safe.extend(letter.escape_default()),
            _ => safe.push(letter),
        }
    }
    safe
}

/// Whether a character changes the direction of the text on a terminal, or breaks the line.
pub fn turns_text(letter: char) -> bool {
    matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A count with its noun: `1 byte`, `2 bytes`.
pub fn counted<N: fmt::Display + PartialEq + From<u8>>(count: N, what: &str) -> String {
    let ending = if count == N::from(1) { "" } else { "s" };
    format!("{count} {what}{ending}")
}

/// Where bencode is broken, and which rule it breaks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct BencodeError {
    /// Offset in the input, in bytes.
    pub at: usize,
    /// The keys and list positions that lead to it: `info.files[3].length`.
    /// Empty at the top.
    pub path: String,
    /// What was expected there, and what was found.
    pub rule: Rule,
}

impl fmt::Display for BencodeError {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "byte {}: ", self.at)?;
        if !self.path.is_empty() {
            write!(out, "at {}: ", self.path)?;
        }
        match (self.at, &self.rule) {
            (0, Rule::Ended) => write!(out, "a value was expected, but there is nothing"),
            (_, rule) => write!(out, "{rule}"),
        }
    }
}

/// The rules of bencode, each with what was found instead.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs)] // the messages say it
pub enum Rule {
    #[error("a value was expected (i, l, d or a digit), but found {}", byte_text(*found))]
    NotAValue { found: u8 },
    #[error("a value was expected, or the `e` of what holds it, but the input ends")]
    Ended,
    #[error("an integer was expected, but there is no `e` after the `i`")]
    UnendedInteger,
    #[error("an integer is digits without leading zeros, but found \"{found}\"")]
    BadInteger { found: String },
    #[error("an integer of 64 bits was expected, but found {found}")]
    IntegerTooLarge { found: String },
    #[error("a string was expected, but there is no `:` after its length")]
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
    #[error("the value ends here, but {left} more bytes follow")]
    Trailing { left: usize },
}

fn byte_text(byte: u8) -> String {
    match byte {
        b' '..=b'~' => format!("{:?}", char::from(byte)),
        _ => format!("byte 0x{byte:02x}"),
    }
}
