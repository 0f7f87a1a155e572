//! The trace: what the bytes on the wire mean, field by field.
//!
//! A packet capture shows bytes, and a log shows what a program made of them. A trace shows
//! both side by side. Each wire object (a handshake, a message, a packet, a tracker's
//! answer) is described in one place as a list of fields, and everything shown is made
//! from that list: [`text`] for people, [`json`] for programs.
//!
//! * **Run it:** `piecemeal explain 0000000d06000000000000000000004000`
//! * **Builds on:** the stages' decoders, which have the last word on what is broken
//!
//! # What is where
//! ```text
//! kind          finds the kind of some bytes, and describes them all    called by `explain`
//! s01 ..        a describer for each stage's objects: &[u8] -> Object   helpers: walk, client, peers
//! stream        one direction of a connection, cut into its objects
//! conversation  both directions: the objects, and what each changes
//! wiretap       live connections, as bytes pass                         called by `--trace`
//! capture       a file of all that has passed -> events                 fold, lines, mermaid, page
//! replay        one peer of a capture, played again                     called by `replay`
//! text          an Object and its bytes -> lines                        json: -> one JSON object
//! ```
//! # Decisions
//! * **Fields lie end to end.** Each byte of an object belongs to one field, in order, up
//!   to the end or to the break. So no byte is passed over in silence, and a test checks
//!   that.
//! * **An [`Object`] holds no bytes,** only their ranges. The code that shows it has them.
//! * **Nothing here fails.** Broken bytes are the ones that need explaining: they become
//!   the fields up to the break, and then [`Broken`].
//! * **Everything is bounded,** the number of fields and each text. Parts that are left out
//!   are counted: [`MAX_FIELDS`], [`MAX_ITEMS`].
//! * **All text is safe to print.** Control characters from outside are escaped where the
//!   text becomes a field, not where it is shown.

#![warn(clippy::indexing_slicing)] // the bytes come from strangers

pub mod capture;
pub mod client;
mod conversation;
pub mod discreet;
pub mod json;
pub mod kind;
mod peers;
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
pub mod s19;
pub mod s20;
pub mod s21;
pub mod s24;
pub mod stream;
pub mod text;
mod walk;
pub mod wiretap;

use std::collections::BTreeMap;
use std::ops::Range;

use crate::s01_bencode::{counted, excerpt, printable};

/// The most fields of an object. The rest becomes one more.
pub const MAX_FIELDS: usize = 1_000;

/// The most items of a list that become fields: peers, piece hashes, files.
pub const MAX_ITEMS: usize = 16;

/// The most parameters of a link or a URL that become fields.
const MAX_PARAMETERS: usize = 64;

/// The most bytes that a value shows in hex, or as text.
const MAX_HEX: usize = 32;
const MAX_TEXT: usize = 100;

/// Returns the chapter of a stage: `04-handshake`. It is named after the stage's module, which the
/// crate's first page lists.
pub fn chapter(stage: u8) -> Option<String> {
    let lines = include_str!("lib.rs").lines();
    let modules = lines.filter_map(|line| line.strip_prefix("//! | [`s")?.split('`').next());
    modules.map(|module| module.replace('_', "-")).find(|module| {
        module.split('-').next().and_then(|number| number.parse().ok()) == Some(stage)
    })
}

/// Something that goes over the wire, or is in a file or a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// What it is: `handshake`, `request`, `tracker answer`.
    pub name: String,
    /// A summary: `piece 3, begin 16384, 16384 bytes`. It may be empty.
    pub summary: String,
    /// The length in bytes; of a broken object, as many as there are.
    pub length: usize,
    /// The stage that explains it.
    pub stage: u8,
    /// The specification: `BEP 3`.
    pub spec: &'static str,
    /// The fields, in order and without gaps.
    pub fields: Vec<Field>,
    /// The place where it breaks a rule, if it does.
    pub broken: Option<Broken>,
}

/// A part of an object, and its meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The bytes, counted from the start of the object.
    pub range: Range<usize>,
    /// The specification's name for it.
    pub name: String,
    /// The value; several lines if it has several parts, as reserved bits do.
    pub value: String,
    /// The meaning, if it is not obvious. It may be empty.
    pub note: String,
}

/// The place where an object breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The wrong bytes; empty if some are missing.
    pub range: Range<usize>,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

/// What earlier messages of a connection have told, as far as later ones need it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// The number of pieces in the torrent.
    pub pieces: Option<u32>,
    /// The extension names that the *receiver* of these bytes has announced, by id (`m` in
    /// its extension handshake). Without them, extension messages are known only by their
    /// looks.
    pub extensions: BTreeMap<u8, String>,
}

/// An object among others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The offset of its start in all of the bytes.
    pub at: usize,
    /// The object.
    pub object: Object,
}

impl Object {
    /// Makes an object of this many bytes, none of which is described yet.
    pub fn new(name: impl Into<String>, length: usize, stage: u8, spec: &'static str) -> Object {
        Object {
            name: name.into(),
            summary: String::new(),
            length,
            stage,
            spec,
            fields: Vec::new(),
            broken: None,
        }
    }

    /// Returns the end of the fields so far, where the next one begins.
    pub fn covered(&self) -> usize {
        self.fields.last().map_or(0, |last| last.range.end)
    }

    /// Adds the field that reaches up to `end`.
    ///
    /// Name, value and note are printed as they are: text from outside must have been through
    /// [`quoted`] or the like.
    pub fn add(
        &mut self,
        end: usize,
        name: impl Into<String>,
        value: impl Into<String>,
        note: impl Into<String>,
    ) {
        let start = self.covered();
        self.fields.push(Field {
            range: start..end.max(start),
            name: name.into(),
            value: value.into(),
            note: note.into(),
        });
    }

    /// Adds a field for each `size` bytes of `items`, up to [`MAX_ITEMS`]; the others share
    /// one. `show` returns value and note of an item.
    pub fn add_items(
        &mut self,
        items: &[u8],
        size: usize,
        name: &str,
        show: impl Fn(&[u8]) -> (String, String),
    ) {
        let end = self.covered() + items.len();
        let items = items.chunks(size.max(1));
        let count = items.len();
        for (number, item) in items.enumerate().take(MAX_ITEMS) {
            let (value, note) = if item.len() == size {
                show(item)
            } else {
                (format!("{} of {size} bytes", item.len()), String::new())
            };
            self.add(self.covered() + item.len(), format!("{name} {number}"), value, note);
        }
        if count > MAX_ITEMS {
            self.add_rest(end, &format!("{name} {MAX_ITEMS}.."), count - MAX_ITEMS);
        }
    }

    /// Adds one field for all that is left, if there are `most` fields already.
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

    /// Appends the fields of another description.
    fn append(&mut self, inner: Object) {
        let base = self.covered();
        self.fields.extend(
            inner
                .fields
                .into_iter()
                .map(|field| Field { range: moved(&field.range, base), ..field }),
        );
        if let Some(broken) = inner.broken {
            self.break_at(moved(&broken.range, base), broken.expected, broken.found);
        }
    }

    /// Records a break here. Of several breaks the first is kept.
    pub fn break_at(
        &mut self,
        range: Range<usize>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) {
        let (expected, found) = (printable(&expected.into()), printable(&found.into()));
        let range = range.start.min(self.length)..range.end.min(self.length);
        self.broken.get_or_insert(Broken { range, expected, found });
    }

    /// Records a break in the field with this name, or in the whole object if it has no such
    /// field.
    pub fn break_field(
        &mut self,
        name: &str,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) {
        let range = self.field(name).map_or(0..self.length, |field| field.range.clone());
        self.break_at(range, expected, found);
    }

    /// Marks the fields that break a rule and are passed over. A note begins with the name of
    /// its field; for a repeated key it means the last one.
    fn pass_over(&mut self, notes: &[String]) {
        for note in notes {
            let begins = |name: &str| {
                !name.is_empty()
                    && note.strip_prefix(name).is_some_and(|rest| rest.starts_with(' '))
            };
            let field =
                self.fields.iter().rposition(|field| begins(&field.name)).unwrap_or_default();
            if let Some(field) = self.fields.get_mut(field) {
                let before =
                    if field.note.is_empty() { String::new() } else { format!("{}; ", field.note) };
                field.note = format!("{before}breaks a rule: {}", printable(note));
            }
        }
    }

    /// Returns the first field with this name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Adds to the note of the last field.
    fn note_last(&mut self, note: &str) {
        if let Some(last) = self.fields.last_mut() {
            last.note = if last.note.is_empty() {
                note.to_owned()
            } else {
                format!("{}; {note}", last.note)
            };
        }
    }
}

fn moved(range: &Range<usize>, by: usize) -> Range<usize> {
    range.start + by..range.end + by
}

/// Shows bytes in quotes if they are text, or else in hex. A long value is cut, and its
/// length is added.
pub fn quoted(bytes: &[u8]) -> String {
    let start = bytes.get(..MAX_TEXT).unwrap_or(bytes);
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        // The cut may have left half a character behind.
        Err(error) if error.error_len().is_none() && start.len() < bytes.len() => start
            .get(..error.valid_up_to())
            .and_then(|whole| std::str::from_utf8(whole).ok())
            .unwrap_or_default(),
        Err(_) => return hex_text(bytes),
    };
    if text.len() < bytes.len() {
        format!("\"{}…\" ({} bytes)", printable(text), bytes.len())
    } else {
        format!("\"{}\"", printable(text))
    }
}

/// Shows bytes in hex, without spaces. A long value is cut, and its length is added.
pub fn hex_text(bytes: &[u8]) -> String {
    match bytes.get(..MAX_HEX) {
        Some(start) if bytes.len() > MAX_HEX => {
            format!("{}… ({} bytes)", hex::encode(start), bytes.len())
        }
        _ => hex::encode(bytes),
    }
}

/// Returns the start of a text, safe to print.
fn clipped(text: &str, most: usize) -> String {
    let start = text.get(..text.floor_char_boundary(most)).unwrap_or_default();
    let dots = if start.len() < text.len() { "…" } else { "" };
    printable(start) + dots
}
