//! Walks through bytes with a fixed layout, field by field.

use super::{Object, counted};

/// An object that is being described.
pub(super) struct Walk<'b> {
    bytes: &'b [u8],
    pub object: Object,
}

impl<'b> Walk<'b> {
    pub fn new(bytes: &'b [u8], name: &str, stage: u8, spec: &'static str) -> Walk<'b> {
        Walk { bytes, object: Object::new(name, bytes.len(), stage, spec) }
    }

    /// Returns the bytes that are left.
    pub fn left(&self) -> &'b [u8] {
        self.bytes.get(self.object.covered()..).unwrap_or_default()
    }

    /// Adds the next bytes as a field; `show` returns value and note. If too few are left, the
    /// object breaks there, and nothing follows.
    pub fn take(
        &mut self,
        count: usize,
        name: &str,
        show: impl FnOnce(&'b [u8]) -> (String, String),
    ) -> Option<&'b [u8]> {
        if self.object.broken.is_some() {
            return None;
        }
        let left = self.left();
        let Some(bytes) = left.get(..count) else {
            if !left.is_empty() {
                self.object.add(
                    self.bytes.len(),
                    name,
                    format!("{} of {count} bytes", left.len()),
                    "",
                );
            }
            let end = self.bytes.len();
            let found =
                if left.is_empty() { "the end".to_owned() } else { format!("only {}", left.len()) };
            self.object.break_at(end..end, format!("{} of {name}", counted(count, "byte")), found);
            return None;
        };
        let (value, note) = show(bytes);
        self.object.add(self.object.covered() + count, name, value, note);
        Some(bytes)
    }

    /// Adds the next 1 to 8 bytes as a big-endian number, and returns it.
    pub fn number(&mut self, count: usize, name: &str) -> Option<u64> {
        let number =
            |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        self.take(count, name, |bytes| (number(bytes).to_string(), String::new())).map(number)
    }

    /// Adds to the note of the last field, unless that breaks off.
    pub fn note(&mut self, note: &str) {
        if self.object.broken.is_none() {
            self.object.note_last(note);
        }
    }

    /// Replaces the value of the last field.
    pub fn say(&mut self, value: impl Into<String>) {
        if let Some(last) = self.object.fields.last_mut() {
            last.value = value.into();
        }
    }

    /// Returns the object. If bytes are left, it breaks there.
    pub fn end(mut self) -> Object {
        let left = self.left().len();
        if left > 0 && self.object.broken.is_none() {
            let (start, expected) =
                (self.object.covered(), format!("the end of the {}", self.object.name));
            self.object.break_at(
                start..self.bytes.len(),
                expected,
                format!("{} more", counted(left, "byte")),
            );
        }
        self.object
    }
}
