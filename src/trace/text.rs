//! An object as lines for people: offset, bytes, field, value.
//!
//! ```text
//! handshake, 68 bytes                                                        [stage 4, BEP 3]
//!   0000  13                                               length of the name  19
//!   0001  42 69 74 54 6f 72 72 65 6e 74 20 70 72 6f 74 …   name                "BitTorrent protocol"
//! ```
//! At a break, carets mark the bytes, followed by what was expected.

use std::fmt::Write;
use std::ops::Range;

use super::{Broken, Field, Object, counted};

/// The column of the stage in the first line of an event, if there is room.
const EVENT_PLACE: usize = 100;

/// The most bytes in a line.
const ROW: usize = 16;
/// The column of the bytes.
const MARGIN: usize = 8;
/// The column of the stage in the first line, if there is room.
const PLACE: usize = 75;
/// The widest name that moves the columns after it to the right.
const WIDEST_NAME: usize = 28;
const WIDEST_VALUE: usize = 30;

/// How to show an object.
#[derive(Debug, Clone, Copy, Default)]
pub struct TextOptions {
    /// The offset of the object's start; all offsets count from it.
    pub at: usize,
    /// Whether to use colors, for a terminal.
    pub color: bool,
}

/// Returns the first line: `handshake, 68 bytes: Transmission 3.0`.
pub fn head(object: &Object) -> String {
    let colon = if object.summary.is_empty() { "" } else { ": " };
    format!("{}, {}{colon}{}", object.name, counted(object.length, "byte"), object.summary)
}

/// Returns where the object is explained: `[stage 4, BEP 3]`.
pub fn place(object: &Object) -> String {
    format!("[stage {}, {}]", object.stage, object.spec)
}

/// Returns a time: `+0.0132s`.
pub fn seconds(micros: u64) -> String {
    format!("+{}.{:04}s", micros / 1_000_000, micros % 1_000_000 / 100)
}

/// Returns an event in one line: `#0003 +0.0132s  OUT -> 127.0.0.2:6881   interested, 5 bytes`.
pub fn event(number: u64, time: u64, sign: &str, who: &str, what: &str) -> String {
    format!("#{number:04} {}  {sign} {who}   {what}", seconds(time))
}

/// Returns the line of an event with an object: the event, where the object is explained, and
/// then `behind`.
pub fn passing(event: &str, object: &Object, behind: &str, color: bool) -> String {
    format!("{} {}{behind}", Paint(color).bold(&format!("{event:<EVENT_PLACE$}")), place(object))
}

/// Returns the changes, a line each, with a newline before it.
pub fn changes(changes: &[String]) -> String {
    changes.iter().map(|change| format!("\n  * {change}")).collect()
}

/// Returns the whole object, without a newline at the end. `bytes` are the object's own;
/// missing ones at the end are not shown.
pub fn object(object: &Object, bytes: &[u8], look: TextOptions) -> String {
    let paint = Paint(look.color);
    let head = format!("{:<PLACE$}", head(object));
    format!("{} {}{}", paint.bold(&head), place(object), fields(object, bytes, look))
}

/// Returns the lines below the first one, each with a newline before it.
pub fn fields(object: &Object, bytes: &[u8], look: TextOptions) -> String {
    let width = |texts: &mut dyn Iterator<Item = usize>, most| {
        texts.filter(|width| *width <= most).max().unwrap_or(0)
    };
    let names = width(&mut object.fields.iter().map(|field| letters(&field.name)), WIDEST_NAME);
    let values = object
        .fields
        .iter()
        .filter(|field| !field.note.is_empty())
        .flat_map(|field| field.value.lines());
    let values = width(&mut values.map(letters), WIDEST_VALUE);
    let table = Table { bytes, look, names, values };
    let place = object.broken.as_ref().map(|broken| CaretPlace::of(object, broken));
    let mut out = String::new();
    for (number, field) in object.fields.iter().enumerate() {
        table.row(field, &mut out);
        if let (Some(CaretPlace::Under(row)), Some(broken)) = (&place, &object.broken)
            && *row == number
        {
            table.carets(&field.range, broken, &mut out);
        }
    }
    if let (Some(CaretPlace::Own(range)), Some(broken)) = (place, &object.broken) {
        let field = Field {
            range: range.clone(),
            name: "(here)".to_owned(),
            value: String::new(),
            note: String::new(),
        };
        table.row(&field, &mut out);
        table.carets(&range, broken, &mut out);
    }
    out
}

/// The place for the carets.
enum CaretPlace {
    /// Under the line of the field with this number.
    Under(usize),
    /// Under an extra line, which shows these bytes.
    Own(Range<usize>),
}

impl CaretPlace {
    fn of(object: &Object, broken: &Broken) -> CaretPlace {
        let at = broken.range.start;
        let holds = |field: &Field| {
            field.range.contains(&at) || field.range.end == at && at == object.length
        };
        let row = object.fields.iter().rposition(holds);
        match row.and_then(|row| Some((row, object.fields.get(row)?))) {
            Some((row, field))
                if at - field.range.start < shown(&field.range) || field.range.len() <= ROW =>
            {
                CaretPlace::Under(row)
            }
            // Show some bytes before it, for context.
            Some((_, field)) => CaretPlace::Own(
                at.saturating_sub(ROW / 2).max(field.range.start)
                    ..(at + ROW / 2).min(object.length),
            ),
            None => CaretPlace::Own(at..(at + ROW).min(object.length)),
        }
    }
}

/// Returns the number of bytes that a field's line shows.
fn shown(range: &Range<usize>) -> usize {
    if range.len() > ROW { ROW - 1 } else { range.len() }
}

struct Table<'b> {
    bytes: &'b [u8],
    look: TextOptions,
    names: usize,
    values: usize,
}

impl Table<'_> {
    /// Appends a field: a line for each line of its value.
    fn row(&self, field: &Field, out: &mut String) {
        let there = self.bytes.get(field.range.start..).unwrap_or_default();
        let mut hex: Vec<String> =
            there.iter().take(shown(&field.range)).map(|byte| format!("{byte:02x}")).collect();
        if hex.len() < field.range.len() {
            hex.push("…".to_owned());
        }
        let paint = Paint(self.look.color);
        let offset = format!("{:04x}", self.look.at + field.range.start);
        let mut before = format!("{offset}  {:<48}", hex.join(" "));
        if self.look.color {
            before = paint.dim(&before);
        }
        let (names, values) = (self.names, self.values);
        let mut lines = field.value.lines();
        let first = lines.next().unwrap_or_default();
        let line = match field.note.as_str() {
            "" => format!("{:<names$}  {first}", field.name),
            note => format!("{:<names$}  {first:<values$}  {note}", field.name),
        };
        let _ = write!(out, "\n  {}", format!("{before}  {line}").trim_end());
        for more in lines {
            let _ = write!(
                out,
                "\n{:indent$}{more}",
                "",
                indent = MARGIN + 48 + 2 + letters(&field.name).max(names) + 2
            );
        }
    }

    /// Appends carets for the wrong bytes, under a line that shows them.
    fn carets(&self, line: &Range<usize>, broken: &Broken, out: &mut String) {
        let (start, end) = (
            broken.range.start - line.start.min(broken.range.start),
            broken.range.end.saturating_sub(line.start),
        );
        let count = end.min(shown(line).max(start + 1)).saturating_sub(start).max(1);
        let carets = "^".repeat(3 * count - 1);
        let at = self.look.at + broken.range.start;
        let why = format!("byte {at}: expected {}, found {}", broken.expected, broken.found);
        let carets = Paint(self.look.color).red(&format!("{carets} {why}"));
        let _ = write!(out, "\n{:indent$}{carets}", "", indent = MARGIN + 3 * start);
    }
}

/// Returns the approximate width of a text: wide letters count as one.
fn letters(text: &str) -> usize {
    text.chars().count()
}

/// Adds colors, or none.
struct Paint(bool);

impl Paint {
    fn with(&self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn bold(&self, text: &str) -> String {
        self.with("1", text)
    }

    fn dim(&self, text: &str) -> String {
        self.with("2", text)
    }

    fn red(&self, text: &str) -> String {
        self.with("1;31", text)
    }
}
