//! The trace: what the bytes on the wire mean, field by field.
//!
//! A packet capture shows bytes, and a log shows what a program made of them. Here are
//! both beside each other. Each wire object (a handshake, a message, a packet, a tracker's
//! answer) is described in one place as a list of fields; whatever shows bytes to
//! somebody is made from that list: [`text`] for people, [`json`] for programs.
//!
//! * **Run it:** `piecemeal explain 13426974546f7272656e742070726f746f636f6c`
//! * **Builds on:** the stages' decoders, which have the last word on what is broken
//!
//! # What is where
//! ```text
//! kind          which kind of bytes is this? and all of it described    what `explain` calls
//! s01 ..        a describer for each stage's objects: &[u8] -> Object   walk, client: of use to them
//! stream        one direction of a connection, cut into its objects
//! conversation  both directions: the objects, and what each changes
//! wiretap       live connections, as it passes                          what `--trace` calls
//! capture       a file of all that has passed -> events                 fold, lines, mermaid, page
//! replay        one peer of a capture, played again                     what `replay` calls
//! text          an Object and its bytes -> lines                        json: -> one JSON object
//! ```
//! # Decisions
//! * **Fields lie end to end.** Each byte of an object belongs to one field, in order, up
//!   to the end or to where it breaks. So nothing is passed over in silence, and a test
//!   can say so.
//! * **An [`Object`] holds no bytes,** only where they are. Whoever shows it has them.
//! * **Nothing here fails.** Broken bytes are what one wants explained: the fields up to
//!   the break, and then [`Broken`].
//! * **Everything is bounded,** the number of fields and each text. What is left out is
//!   counted: [`MOST_FIELDS`], [`MOST_ITEMS`].
//! * **All text is safe to print.** What came from outside has its control characters
//!   escaped where it becomes a field, not where it is shown.

#![warn(clippy::indexing_slicing)] // looks at what strangers send

pub mod capture;
pub mod client;
mod conversation;
pub mod discreet;
pub mod json;
pub mod kind;
pub mod replay;
pub mod s01;
pub mod s02;
pub mod s03;
pub mod s04;
pub mod s05;
pub mod s06;
pub mod s07;
pub mod s08;
pub mod s18;
pub mod stream;
pub mod text;
mod walk;
pub mod wiretap;

use std::collections::BTreeMap;
use std::ops::Range;

use crate::s01_bencode::{counted, excerpt, printable};

/// The most fields that an object has. What else there is becomes one more.
pub const MOST_FIELDS: usize = 1_000;

/// The most items of a list that become fields: peers, piece hashes, files.
pub const MOST_ITEMS: usize = 16;

/// The most parameters of a link or a URL that become fields.
const MOST_PARAMETERS: usize = 64;

/// The most bytes that a value shows in hex, or as text.
const MOST_HEX: usize = 32;
const MOST_TEXT: usize = 100;

/// Something that goes over the wire, or stands in a file or a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// What it is: `handshake`, `request`, `tracker answer`.
    pub name: String,
    /// All of it in a few words: `piece 3, begin 16384, 16384 bytes`. It may be empty.
    pub summary: String,
    /// How many bytes it has. Where it breaks, as many as there are.
    pub length: usize,
    /// The stage that knows it.
    pub stage: u8,
    /// Where it is specified: `BEP 3`.
    pub spec: &'static str,
    /// Its fields, in order and without a gap.
    pub fields: Vec<Field>,
    /// Where it breaks, if it does.
    pub broken: Option<Broken>,
}

/// A part of an object, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its bytes, counted from the start of the object.
    pub range: Range<usize>,
    /// What the specification calls it.
    pub name: String,
    /// What it says. Several lines where it says several things, as reserved bits do.
    pub value: String,
    /// What that means, if it is not plain. It may be empty.
    pub note: String,
}

/// Where an object breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The bytes that are wrong. Empty where some are missing.
    pub range: Range<usize>,
    /// What should stand there.
    pub expected: String,
    /// What stands there.
    pub found: String,
}

/// What is known of a connection from before, and needed to understand what comes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// How many pieces the torrent has.
    pub pieces: Option<u32>,
    /// The names by which the *receiver* of these bytes has asked for extensions, by id
    /// (`m` in its extension handshake). Without it, extension messages are known by
    /// their looks only.
    pub extensions: BTreeMap<u8, String>,
}

/// An object that stands among others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Where it starts in all of the bytes.
    pub at: usize,
    /// What it is.
    pub object: Object,
}

impl Object {
    /// An object of so many bytes, none of which has been looked at.
    pub fn new(name: impl Into<String>, length: usize, stage: u8, spec: &'static str) -> Object {
        Object { name: name.into(), summary: String::new(), length, stage, spec, fields: Vec::new(), broken: None }
    }

    /// Where the fields end, and the next one begins.
    pub fn covered(&self) -> usize {
        self.fields.last().map_or(0, |last| last.range.end)
    }

    /// Adds the field that reaches up to `end`.
    ///
    /// Name, value and note are printed as they are: what comes from outside must have
    /// been through [`quoted`] or its like.
    pub fn add(&mut self, end: usize, name: impl Into<String>, value: impl Into<String>, note: impl Into<String>) {
        let start = self.covered();
        self.fields.push(Field { range: start..end.max(start), name: name.into(), value: value.into(), note: note.into() });
    }

    /// Adds a field for each `size` bytes of `items`, but for [`MOST_ITEMS`] at most; the
    /// others share one. `show` makes value and note of one.
    pub fn add_items(&mut self, items: &[u8], size: usize, name: &str, show: impl Fn(&[u8]) -> (String, String)) {
        let end = self.covered() + items.len();
        let items = items.chunks(size.max(1));
        let count = items.len();
        for (number, item) in items.enumerate().take(MOST_ITEMS) {
            let (value, note) =
                if item.len() == size { show(item) } else { (format!("{} of {size} bytes", item.len()), String::new()) };
            self.add(self.covered() + item.len(), format!("{name} {number}"), value, note);
        }
        if count > MOST_ITEMS {
            self.add_rest(end, &format!("{name} {MOST_ITEMS}.."), count - MOST_ITEMS);
        }
    }

    /// Where there are so many fields already: one for all that is left.
    fn add_many(&mut self, most: usize, end: usize, name: &str) {
        let left = end.saturating_sub(self.covered());
        if self.fields.len() >= most && left > 0 {
            self.add(end, format!("{name}.."), counted(left, "more byte"), "not shown");
        }
    }

    /// Adds one field for items that are not shown one by one.
    fn add_rest(&mut self, end: usize, name: &str, items: usize) {
        let bytes = end.saturating_sub(self.covered());
        self.add(end, name, format!("{items} more, {bytes} bytes"), "not shown");
    }

    /// Puts the fields of another description behind these.
    fn append(&mut self, inner: Object) {
        let base = self.covered();
        self.fields.extend(inner.fields.into_iter().map(|field| Field { range: moved(&field.range, base), ..field }));
        if let Some(broken) = inner.broken {
            self.break_at(moved(&broken.range, base), broken.expected, broken.found);
        }
    }

    /// Says that it breaks here. Of several breaks the first is kept.
    pub fn break_at(&mut self, range: Range<usize>, expected: impl Into<String>, found: impl Into<String>) {
        let (expected, found) = (printable(&expected.into()), printable(&found.into()));
        let range = range.start.min(self.length)..range.end.min(self.length);
        self.broken.get_or_insert(Broken { range, expected, found });
    }

    /// The same for the field with this name, or for the whole where there is none.
    pub fn break_field(&mut self, name: &str, expected: impl Into<String>, found: impl Into<String>) {
        let range = self.field(name).map_or(0..self.length, |field| field.range.clone());
        self.break_at(range, expected, found);
    }

    /// Says at the fields what breaks a rule and is passed over. A note begins with the name of
    /// what it is about; of a key that appears again, it is about the last.
    fn pass_over(&mut self, notes: &[String]) {
        for note in notes {
            let begins = |name: &str| !name.is_empty() && note.strip_prefix(name).is_some_and(|rest| rest.starts_with(' '));
            let field = self.fields.iter().rposition(|field| begins(&field.name)).unwrap_or_default();
            if let Some(field) = self.fields.get_mut(field) {
                let before = if field.note.is_empty() { String::new() } else { format!("{}; ", field.note) };
                field.note = format!("{before}breaks a rule: {}", printable(note));
            }
        }
    }

    /// The first field with this name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Adds to the note of the field that was added last.
    fn note_last(&mut self, note: &str) {
        if let Some(last) = self.fields.last_mut() {
            last.note = if last.note.is_empty() { note.to_owned() } else { format!("{}; {note}", last.note) };
        }
    }
}

fn moved(range: &Range<usize>, by: usize) -> Range<usize> {
    range.start + by..range.end + by
}

/// Bytes that may be text: in quotes if they are, else in hex. Cut where they are long,
/// and then with their number.
pub fn quoted(bytes: &[u8]) -> String {
    let start = bytes.get(..MOST_TEXT).unwrap_or(bytes);
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        // The cut may have left half a character behind.
        Err(error) if error.error_len().is_none() && start.len() < bytes.len() => {
            start.get(..error.valid_up_to()).and_then(|whole| std::str::from_utf8(whole).ok()).unwrap_or_default()
        }
        Err(_) => return hex_text(bytes),
    };
    if text.len() < bytes.len() {
        format!("\"{}…\" ({} bytes)", printable(text), bytes.len())
    } else {
        format!("\"{}\"", printable(text))
    }
}

/// Bytes in hex, without spaces. Cut where they are many, and then with their number.
pub fn hex_text(bytes: &[u8]) -> String {
    match bytes.get(..MOST_HEX) {
        Some(start) if bytes.len() > MOST_HEX => format!("{}… ({} bytes)", hex::encode(start), bytes.len()),
        _ => hex::encode(bytes),
    }
}

/// The start of a text, safe to print.
fn clipped(text: &str, most: usize) -> String {
    let start = text.get(..text.floor_char_boundary(most)).unwrap_or_default();
    let dots = if start.len() < text.len() { "…" } else { "" };
    printable(start) + dots
}
