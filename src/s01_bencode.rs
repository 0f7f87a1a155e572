//! Stage 1: read and write bencode, the notation everything else is written in.
//!
//! Torrent files, HTTP trackers' answers and most extension messages are bencoded. There are four
//! types, and each value has exactly one spelling. So a hash of the encoded bytes can serve as a
//! name (stage 2).
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
//! * **Strict where two spellings would mean the same** (`i01e`, `i-0e`, a repeated key), lenient
//!   where real files err: unsorted keys are read, never written.
//! * **The input cannot pick our memory or our stack.** [`MAX_DEPTH`] bounds the
//!   recursion of reading, printing and dropping, [`MAX_ITEMS`] the size of the tree;
//!   messages have tighter [`limits`]. No length is trusted before its bytes are there.
//! * **Left out:** integers beyond 64 bits. The spec allows them, no field needs
//!   them.

#![warn(clippy::indexing_slicing)] // decodes what strangers send

pub mod encode;
pub mod forgiving;
pub mod limits;
pub mod rules;
mod shown;

use std::fmt;

use thiserror::Error;

use self::forgiving::{PassedOver, duplicate, keep_first, repeated};
use self::limits::{Limits, TORRENT};
use self::rules::{Rule, Step, path_text};

/// The deepest nesting of lists and dictionaries. A torrent of several files needs 5. The decoder
/// calls itself once for each level, and a peer's thread has a stack of half a megabyte.
pub const MAX_DEPTH: usize = 64;

/// The most values in one input. A torrent of 750,000 files needs this many: four for each file.
pub const MAX_ITEMS: usize = 3_000_000;

/// A decoded value, borrowed from the input it was read from.
///
/// Two values are equal only if their bytes are: a dictionary with its keys reordered is another
/// value.
#[derive(Clone, PartialEq)]
pub struct Value<'a> {
    /// The bytes this value was decoded from, `d` to `e` for a dictionary.
    pub raw: &'a [u8],
    /// What they mean.
    pub kind: Kind<'a>,
}

/// The four types of bencode.
#[derive(Clone, PartialEq)]
pub enum Kind<'a> {
    /// `i-7e`
    Integer(i64),
    /// `4:spam`: the four bytes after the colon.
    Bytes(&'a [u8]),
    /// `l4:spame`
    List(Vec<Value<'a>>),
    /// `d3:cow3:mooe`, in the order of the input, without repeated keys. Not a map: a real
    /// dictionary has about ten keys, and a search among ten needs no table.
    Dictionary(Vec<(&'a [u8], Value<'a>)>),
}

/// Readers for code that expects one type. A wrong type is `None` and not an error: only the
/// caller knows whether the key is needed.
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

    /// The value of `key`, if this is a dictionary that has it. Searches from the start, since
    /// a stranger's keys need not be in order.
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
/// ```
/// use piecemeal::s01_bencode::decode;
///
/// let value = decode(b"d6:lengthi7e4:name4:spame").unwrap();
/// let length = value.get("length").unwrap();
/// assert_eq!((length.integer(), length.raw), (Some(7), &b"i7e"[..]));
/// ```
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
/// The value ends at `value.raw.len()`. Stage 2 reads files this way, since servers append things.
/// In stage 8 the rest matters: its messages are a dictionary followed by plain bytes.
///
/// # Errors
/// If the value is broken.
pub fn decode_prefix(input: &[u8]) -> Result<Value<'_>, BencodeError> {
    read(input, TORRENT, None)
}

/// Decodes the value at the start of the input: every way to decode ends up here. `repeated`
/// collects notes about repeated keys; with `None` they are an error.
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

/// One pass over an input, front to back.
struct Decoder<'a, 'n> {
    input: &'a [u8],
    /// Offset of the next byte to read. It only grows, so no byte is decoded twice.
    at: usize,
    /// The number of values begun so far. Keys are not counted: each has a value.
    items: usize,
    limits: Limits,
    /// Where we are; after an error, where it was found.
    path: Vec<Step<'a>>,
    /// Notes about repeated keys; `None` where a repeated key is an error.
    repeated: Option<&'n mut PassedOver>,
}

impl<'a> Decoder<'a, '_> {
    /// Decodes one value. Its first byte gives its type, so nothing is ever tried twice.
    fn value(&mut self) -> Result<Value<'a>, Broken> {
        let (start, most) = (self.at, self.limits);
        // `l0:0:0:..` makes a value of 48 bytes out of every two. So a limit on the length of
        // the input is not enough.
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

    /// Decodes `i-7e`. BEP 3: "`i-0e` is invalid. All encodings with a leading zero, such as
    /// `i03e`, are invalid, other than `i0e`."
    fn integer(&mut self) -> Result<i64, Broken> {
        let start = self.at;
        self.at += 1; // the `i`
        let digits = self.until(b'e', Rule::UnendedInteger).map_err(|(_, rule)| (start, rule))?;
        let text = std::str::from_utf8(digits).unwrap_or_default(); // "" is refused below
        if !is_decimal(text.strip_prefix('-').unwrap_or(text)) || text == "-0" {
            return Err((start, Rule::BadInteger { found: excerpt(digits) }));
        }
        // The form is right, so all that can be wrong is the size.
        text.parse().map_err(|_| (start, Rule::IntegerTooLarge { found: excerpt(digits) }))
    }

    /// Decodes `4:spam`, and a key of a dictionary.
    fn bytes(&mut self) -> Result<&'a [u8], Broken> {
        let start = self.at;
        let digits = self.until(b':', Rule::UnendedLength)?;
        let text = std::str::from_utf8(digits).unwrap_or_default();
        if !is_decimal(text) {
            return Err((start, Rule::BadLength { found: excerpt(digits) }));
        }
        // Checked before use: the length is a stranger's claim.
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

    /// Decodes `l4:spame`.
    fn list(&mut self) -> Result<Vec<Value<'a>>, Broken> {
        self.at += 1; // the `l`
        let mut items = Vec::new();
        while self.peek()? != b'e' {
            self.path.push(Step::Item(items.len()));
            one_first(&mut items);
            items.push(self.value()?); // after an error the path stays, to say where
            self.path.pop();
        }
        self.at += 1; // the `e`
        Ok(items)
    }

    /// Decodes `d3:cow3:mooe`. BEP 3: "Keys must be strings and appear in sorted order
    /// (sorted as raw strings, not alphanumerics)." Not every program sorts them, so only a
    /// repeated key is an error.
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
            one_first(&mut pairs);
            pairs.push((key, self.value()?));
            self.path.pop();
        }
        self.at += 1; // the `e`
        // Keys in rising order cannot repeat. Only when they are not in order
        // is a sorted copy needed to find out. Comparing each key with all before it would be
        // quadratic, and a hostile dictionary may have three million.
        let again = if sorted { Vec::new() } else { repeated(&pairs) };
        if let Some(first) = again.first() {
            match &mut self.repeated {
                Some(notes) => keep_first(&mut pairs, &again, &path_text(&self.path), notes),
                None => return Err(duplicate(&pairs, *first, start)),
            }
        }
        Ok(pairs)
    }

    /// Returns the next byte without consuming it.
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

    /// Returns the bytes of a range that was read already; a range beyond the input is an error
    /// and not a panic, should there be a mistake above.
    fn slice(&self, start: usize, end: usize) -> Result<&'a [u8], Broken> {
        self.input.get(start..end).ok_or((start, Rule::Ended))
    }
}

/// Makes room for the first item, and only for that: a `Vec` would make room for four. In a torrent
/// of a million files most lists and dictionaries have one item, and the rest would be most of the
/// memory.
fn one_first<T>(items: &mut Vec<T>) {
    if items.capacity() == 0 {
        items.reserve_exact(1);
    }
}

/// Whether a text is a number as bencode spells it: digits, and no leading zero.
///
/// Rust's `parse` is no substitute. It reads "+1" and "007", which would be second spellings
/// of 1 and 7.
fn is_decimal(text: &str) -> bool {
    let all_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    all_digits && (text == "0" || !text.starts_with('0'))
}

/// The start of some bytes from outside, about 40 of them, safe to print: control characters
/// are escaped, since a terminal would obey them.
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

/// Whether a character controls text direction, separates lines, or is a byte order mark.
pub fn turns_text(letter: char) -> bool {
    matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A count with its noun, for messages: `1 byte`, `2 bytes`.
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
            // At offset 0 nothing encloses the value, so there is no `e` to expect.
            (0, Rule::Ended) => write!(out, "a value was expected, but there is nothing"),
            (_, rule) => write!(out, "{rule}"),
        }
    }
}
