//! Comparisons whose failure can be read without the code: the field and its offset, what is right
//! and what came, the clause, the chapter, and the usual mistake behind it.
//!
//! `assert_wire` and its like are for the test's thread. A script, which runs on another, asks the
//! same with `wire_is` and its like, and hands on the [`Verdict`].

use super::fields::{Field, Kind, Subject};
use super::mistakes::{Part, Whole, hint, number};
use super::verdict::{Complaint, Verdict};
use std::fmt::{self, Debug, Display, Formatter, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The bytes that a row shows.
const ROW: usize = 16;

/// A wrong value that has a reason of its own, and the reason.
pub type Known<'k, T> = &'k [(T, &'k str)];

/// Words that are shown as they are, without quotes.
#[derive(Clone, PartialEq, Eq)]
pub struct Plain(pub String);

impl Debug for Plain {
    fn fmt(&self, out: &mut Formatter) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Fails unless the bytes are these. The clause is `BEP 3, handshake`: a specification, and a
/// subject that `fields.rs` has.
#[track_caller]
pub fn assert_wire(found: &[u8], expected: &[u8], clause: &str) {
    raise(wire_is(found, expected, clause));
}

/// The same, about bytes that have a name of their own: a file, a peer's answer.
#[track_caller]
pub fn assert_bytes(what: &str, found: &[u8], expected: &[u8], clause: &str) {
    raise(bytes_are(what, found, expected, clause));
}

/// Fails unless the number is this one.
#[track_caller]
pub fn assert_number<T: PartialEq + Display + Copy>(
    what: &str,
    found: T,
    expected: T,
    clause: &str,
    known: Known<T>,
) {
    raise(number_is(what, found, expected, clause, known));
}

/// Fails unless a value, such as a decoded message, is this one. `from` are the bytes it was read
/// from.
#[track_caller]
pub fn assert_read<T: PartialEq<U> + Debug, U: Debug>(
    from: &[u8],
    found: T,
    expected: U,
    clause: &str,
) {
    raise(read_is(from, found, expected, clause));
}

/// Fails unless a value is this one.
#[track_caller]
pub fn assert_value<T: PartialEq<U> + Debug, U: Debug>(
    what: &str,
    found: T,
    expected: U,
    clause: &str,
) {
    raise(value_is(what, found, expected, clause));
}

/// Fails unless this was chosen. `why` says what the right choice has, and the others have not.
#[track_caller]
pub fn assert_chosen<T: PartialEq<U> + Debug, U: Debug>(
    what: &str,
    found: T,
    expected: U,
    why: &str,
    clause: &str,
) {
    let cause = tail(clause);
    if found != expected {
        panic!("{what}: {found:?} was chosen, but it must be {expected:?}{cause}\nwhy: {why}");
    }
}

#[track_caller]
fn raise(verdict: Verdict) {
    if let Err(complaint) = verdict {
        panic!("{}", complaint.words());
    }
}

/// Runs what reads these bytes. If it panics, the failure also says which bytes they are.
#[track_caller]
pub fn reading<T>(bytes: &[u8], read: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        let (at, length) = (0, bytes.len());
        let name = format!("{length} bytes in all");
        let row = row(&Field { name, at, length, kind: Kind::Bytes }, bytes, at, length);
        panic!("that was while it read these bytes:\n{row}");
    })
}

/// [`assert_wire`] for a script.
#[track_caller]
pub fn wire_is(found: &[u8], expected: &[u8], clause: &str) -> Verdict {
    bytes_are(&format!("the {}", Subject::of(clause).name), found, expected, clause)
}

/// [`assert_bytes`] for a script.
#[track_caller]
pub fn bytes_are(what: &str, found: &[u8], expected: &[u8], clause: &str) -> Verdict {
    let (subject, cause) = (Subject::of(clause), tail(clause));
    if found == expected {
        return Ok(());
    }
    Err(Complaint::new(difference(what, found, expected, &subject, &cause)))
}

/// [`assert_number`] for a script.
#[track_caller]
pub fn number_is<T: PartialEq + Display + Copy>(
    what: &str,
    found: T,
    expected: T,
    clause: &str,
    known: Known<T>,
) -> Verdict {
    let cause = tail(clause);
    if found == expected {
        return Ok(());
    }
    let mut words = format!("{what}: expected {expected}, found {found}{cause}");
    if let Some((_, reason)) = known.iter().find(|(wrong, _)| *wrong == found) {
        let _ = write!(words, "\nhint: {reason}");
    }
    Err(Complaint::new(words))
}

/// [`assert_read`] for a script.
#[track_caller]
pub fn read_is<T: PartialEq<U> + Debug, U: Debug>(
    from: &[u8],
    found: T,
    expected: U,
    clause: &str,
) -> Verdict {
    let subject = Subject::of(clause);
    if found == expected {
        return Ok(());
    }
    let mut words =
        unlike(&format!("reading the bytes below ({})", subject.name), &found, &expected);
    words += &tail(clause);
    let fields = subject.fields(from);
    let shown = fields.iter().take(12);
    let width = shown.clone().map(|field| field.length).max().unwrap_or(0);
    for field in shown {
        let _ = write!(words, "\n{}", row(field, from, field.at, width));
    }
    Err(Complaint::new(words))
}

/// [`assert_value`] for a script.
#[track_caller]
pub fn value_is<T: PartialEq<U> + Debug, U: Debug>(
    what: &str,
    found: T,
    expected: U,
    clause: &str,
) -> Verdict {
    let cause = tail(clause);
    if found == expected {
        return Ok(());
    }
    Err(Complaint::new(unlike(what, &found, &expected) + &cause))
}

/// The end of a line: clause and chapter.
#[track_caller]
fn tail(clause: &str) -> String {
    format!("   [{clause}; piecemeal chapter {}]", Subject::of(clause).chapter)
}

/// Both values, one below the other, with a caret where they part.
fn unlike(what: &str, found: &impl Debug, expected: &impl Debug) -> String {
    let (found, expected) = (format!("{found:?}"), format!("{expected:?}"));
    let same = found.chars().zip(expected.chars()).take_while(|(one, other)| one == other).count();
    // From a little before the difference, since a row is not to be wider than a screen.
    let (from, dots) = if same > 60 { (same - 30, "…") } else { (0, "") };
    let cut =
        |text: &str| format!("{dots}{}", text.chars().skip(from).take(100).collect::<String>());
    let caret = " ".repeat(same - from + dots.chars().count());
    format!(
        "{what}:\n  expected  {}\n  found     {}\n            {caret}^",
        cut(&expected),
        cut(&found)
    )
}

/// What is wrong with bytes that are not the expected ones.
fn difference(what: &str, found: &[u8], expected: &[u8], subject: &Subject, tail: &str) -> String {
    let at = found.iter().zip(expected).take_while(|(found, expected)| found == expected).count();
    let fields = subject.fields(expected);
    let field = fields.iter().find(|field| (field.at..field.at + field.length).contains(&at));
    let behind = Field {
        name: "what follows the end".to_owned(),
        at: expected.len(),
        length: found.len().saturating_sub(expected.len()),
        kind: Kind::Bytes,
    };
    let unnamed =
        Field { name: "bytes".to_owned(), at: 0, length: expected.len(), kind: Kind::Bytes };
    let field = field.unwrap_or(if at < expected.len() { &unnamed } else { &behind });
    let range = field.at..field.at + field.length;
    let part = Part {
        field,
        found: found.get(range.clone()).unwrap_or(found.get(range.start..).unwrap_or_default()),
        expected: expected.get(range).unwrap_or_default(),
    };
    let mut words = format!(
        "{what}, byte {at}, {}: expected {}, found {}{tail}\n",
        field.name,
        said(&part, part.expected, at),
        said(&part, part.found, at),
    );
    let row_at = field.at + (at - field.at) / ROW * ROW;
    let caret = "   ".repeat(at - row_at);
    let _ = write!(
        words,
        "{}   expected\n{}   found\n        {caret}^^",
        row(field, expected, row_at, field.length),
        row(field, found, row_at, field.length),
    );
    if found.len() != expected.len() {
        let _ = write!(words, "\n{} bytes in all, but expected {}", found.len(), expected.len());
    }
    let whole = Whole { fields: &fields, found, expected };
    if let Some(hint) = hint(&whole, &part) {
        let _ = write!(words, "\nhint: {hint}");
    }
    words
}

/// What one side has at the first difference: a number if the field is one, or else the byte.
fn said(part: &Part, bytes: &[u8], at: usize) -> String {
    match (part.field.kind, number(bytes), bytes.get(at - part.field.at)) {
        (Kind::Number, Some(number), Some(_)) => number.to_string(),
        (_, _, Some(byte)) => format!("{byte:02x}"),
        _ => "the end".to_owned(),
    }
}

/// A row of hex with its offset, text, and the name of its field. There is room for `width` bytes.
fn row(field: &Field, bytes: &[u8], at: usize, width: usize) -> String {
    let end = (at + ROW).min(field.at + field.length).min(bytes.len());
    let shown = bytes.get(at..end).unwrap_or_default();
    let hex: Vec<String> = shown.iter().map(|byte| format!("{byte:02x}")).collect();
    let text: String = shown
        .iter()
        .map(|byte| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' })
        .collect();
    let width = width.clamp(4, ROW) * 3;
    format!("  {at:04x}  {:width$} {text:ROW$}  {}", hex.join(" "), field.name)
}
