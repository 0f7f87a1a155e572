//! How content compares with its torrent, for people and for programs. (stage 10)
//!
//! Nothing is made of a file but its report until it is printed: a torrent of a few megabytes may
//! have a million files.

use std::ops::Range;
use std::path::Path;

use piecemeal::s01_bencode::{counted, printable};
use piecemeal::s02_metainfo::Info;
use piecemeal::s05_messages::bitfield::Bitfield;
use piecemeal::s10_storage::damage::{FileReport, State};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

use super::content_at::mend;
use super::exit_codes::WRONG_HASH;
use super::failure::Failure;
use super::screen::piece_map::map;
use super::{Answer, Options, print_long, write_json};

/// What the files at a path have of a torrent.
#[derive(Clone, Copy)]
pub struct Findings<'f> {
    pub info: &'f Info,
    pub path: &'f Path,
    /// The pieces that are right.
    pub right: &'f Bitfield,
    /// A report on each file but padding.
    pub files: &'f [FileReport],
}

impl Findings<'_> {
    /// Returns the answer, which is a failure if anything is not as in the torrent. For programs
    /// it is printed here.
    pub fn answer(self, options: &Options) -> Result<Answer, Failure> {
        let failure = self.failure();
        if options.json {
            let told = Told { findings: self, failure: failure.as_ref().map(Failure::json) };
            let answer = print_long(|out| {
                write_json(out, &told)?;
                writeln!(out)
            })?;
            return failure.map_or(Ok(answer), |failure| Err(failure.told()));
        }
        let answer = Answer { text: self.text(), json: Value::Null };
        match failure {
            Some(failure) => Err(failure.answer(answer)),
            None => Ok(answer),
        }
    }

    /// Returns the failure, if anything is not as in the torrent.
    fn failure(&self) -> Option<Failure> {
        let (info, right) = (self.info, self.right);
        let first = info.pieces().find(|piece| !right.has(piece.get()));
        let broken = self.files.iter().filter(|file| file.state != State::Whole).count();
        let what = match (first, broken) {
            (Some(first), _) => format!(
                "{} of {} pieces are right; the first that is not is piece {first}",
                right.count(),
                info.piece_count()
            ),
            (None, 0) => return None,
            // No hash covers the bytes after the end of a file, or an empty file.
            (None, _) => format!(
                "all pieces are right, but {broken} of {} files are not as in the torrent",
                self.files.len()
            ),
        };
        let failure = Failure::new(WRONG_HASH, what).about(self.path.to_string_lossy());
        Some(failure.help(mend(info, self.path, right, self.files)).see("10-storage"))
    }

    /// Returns the map, a line for each file that is not whole, and the total.
    fn text(&self) -> String {
        let (good, all) = (self.right.count(), self.info.piece_count());
        let mut text = String::new();
        for line in map(self.right, all) {
            text += &line;
            text.push('\n');
        }
        for file in self.files.iter().filter(|file| file.state != State::Whole) {
            text += &printable(&self.name(file));
            text += &format!(": {}\n", fault(file, self.info.files[file.number].length));
        }
        text + &format!("{good} of {all} pieces are right.")
    }

    fn name(&self, file: &FileReport) -> String {
        match self.info.multi_file {
            true => self.info.files[file.number].path.to_string_lossy().into_owned(),
            false => self.path.to_string_lossy().into_owned(),
        }
    }

    /// Returns a file's report for programs.
    fn file(&self, file: &FileReport) -> Value {
        json!({
            "path": self.name(file), "length": self.info.files[file.number].length,
            "found": file.found, "state": word(file.state),
            "pieces": file.pieces.len(), "wrong": file.wrong,
            "first_wrong": file.first_wrong.as_ref().map(|bytes| [bytes.start, bytes.end.saturating_sub(1)]),
        })
    }
}

/// The findings for programs, with the members of the failure at the end.
struct Told<'f> {
    findings: Findings<'f>,
    failure: Option<Value>,
}

impl Serialize for Told<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Findings { info, right, files, .. } = self.findings;
        let all = info.piece_count();
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("pieces", &all)?;
        object.serialize_entry("right", &right.count())?;
        let wrong = || runs(right, all).map(|run| [run.start, run.end - 1]);
        object.serialize_entry("wrong", &Each(wrong))?;
        object.serialize_entry("files", &Each(|| files.iter().map(|it| self.findings.file(it))))?;
        let failure = self.failure.as_ref().and_then(Value::as_object).into_iter().flatten();
        for (key, value) in failure {
            object.serialize_entry(key, value)?;
        }
        object.end()
    }
}

/// A list of which each item is made when it is printed.
struct Each<F>(F);

impl<I: Iterator<Item: Serialize>, F: Fn() -> I> Serialize for Each<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}

/// Returns the runs of wrong pieces.
fn runs(right: &Bitfield, all: u32) -> impl Iterator<Item = Range<u32>> {
    let mut next = 0;
    std::iter::from_fn(move || {
        let first = (next..all).find(|piece| !right.has(*piece))?;
        next = (first..all).find(|piece| right.has(*piece)).unwrap_or(all);
        Some(first..next)
    })
}

/// Says what is wrong with a file that should have `length` bytes.
fn fault(file: &FileReport, length: u64) -> String {
    let found = file.found.unwrap_or(0);
    let wrong = file.first_wrong.as_ref().map(|bytes| {
        let (pieces, last) = (file.pieces.len(), bytes.end.saturating_sub(1));
        format!(
            "{} of its {pieces} pieces wrong, first in bytes {} to {last}",
            file.wrong, bytes.start
        )
    });
    let what = match file.state {
        State::Missing => return "missing".to_owned(),
        State::TooShort => Some(format!("too short, {found} of {length} bytes")),
        State::TooLong => Some(format!("too long, {} instead of {length}", counted(found, "byte"))),
        State::Wrong | State::Whole => None,
    };
    what.into_iter().chain(wrong).collect::<Vec<_>>().join("; ")
}

/// Returns the name of a state for programs.
fn word(state: State) -> &'static str {
    match state {
        State::Whole => "whole",
        State::Missing => "missing",
        State::TooShort => "too short",
        State::TooLong => "too long",
        State::Wrong => "wrong",
    }
}
