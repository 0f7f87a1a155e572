//! What `explain` is given, and what it answers. (trace)

use std::borrow::Cow;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use piecemeal::s01_bencode::{counted, excerpt, printable};
use piecemeal::s02_metainfo::MAX_TORRENT_FILE;
use piecemeal::s03_tracker::secrets::mask;
use piecemeal::trace::discreet::soften;
use piecemeal::trace::kind::{Kind, left_over};
use piecemeal::trace::text::{self, TextOptions};
use piecemeal::trace::{Broken, Context, Placed, chapter, json, quoted};
use serde_json::{Value, json};

use super::discretion::wanted;
use super::exit_codes::{BAD_INPUT, LOCAL};
use super::failure::Failure;
use super::failure::s02::missing;
use super::failure::trace::PAGE;

/// The bytes to explain.
pub struct ExplainInput {
    /// The origin of the bytes: a path, `stdin`, `the hex digits`.
    pub source: String,
    pub bytes: Vec<u8>,
}

impl ExplainInput {
    /// Reads the argument as a path, or else as the thing itself. Several arguments are one
    /// thing that was written with spaces.
    pub fn read(mut input: OsString, more: &[OsString]) -> Result<ExplainInput, Failure> {
        for word in more {
            input.push(" ");
            input.push(word);
        }
        let path = Path::new(&input);
        if path == "-" {
            return ExplainInput::take(io::stdin().lock(), "stdin".to_owned());
        }
        match File::open(path) {
            Ok(file) => ExplainInput::take(file, printable(&input.to_string_lossy())),
            Err(error) => ExplainInput::typed(input.as_encoded_bytes())?.ok_or_else(|| {
                let is_torrent = path.extension().is_some_and(|extension| extension == "torrent");
                let otherwise = "check the path; or give hex digits, a magnet link, a URL, a peer id or bencode";
                let help = if is_torrent { missing(&error) } else { otherwise };
                Failure::new(LOCAL, error).about(excerpt(&hidden(input.as_encoded_bytes()))).help(help).see(PAGE)
            }),
        }
    }

    /// Reads a file; the argument can be nothing else.
    pub fn file(path: &Path) -> Result<ExplainInput, Failure> {
        let shown = printable(&path.to_string_lossy());
        let file = File::open(path).map_err(|error| {
            Failure::new(LOCAL, error).about(&shown).help("check the path").see(PAGE)
        })?;
        ExplainInput::take(file, shown)
    }

    /// Reads all of a file. If it holds hex digits, they are decoded.
    fn take(input: impl Read, source: String) -> Result<ExplainInput, Failure> {
        let local = |error| {
            Failure::new(LOCAL, error)
                .about(&source)
                .help("check the path and its permissions")
                .see(PAGE)
        };
        let mut bytes = Vec::new();
        input.take(MAX_TORRENT_FILE + 1).read_to_end(&mut bytes).map_err(local)?;
        if bytes.len() as u64 > MAX_TORRENT_FILE {
            let failure = Failure::new(
                BAD_INPUT,
                format!("at most {MAX_TORRENT_FILE} bytes were expected, but there are more"),
            );
            return Err(failure
                .about(&source)
                .help("take a part of it: head -c 1M FILE | piecemeal explain -")
                .see(PAGE));
        }
        match digits(&bytes) {
            Some(bytes) => Ok(ExplainInput { source: format!("{source}, hex digits"), bytes }),
            None => Ok(ExplainInput { source, bytes }),
        }
    }

    /// Reads what was typed, if it is not a path.
    fn typed(text: &[u8]) -> Result<Option<ExplainInput>, Failure> {
        if let Some(bytes) = digits(text) {
            return Ok(Some(ExplainInput { source: "the hex digits".to_owned(), bytes }));
        }
        if let Some(failure) = other_form(text) {
            return Err(failure.about("the argument"));
        }
        Ok(Kind::of(text)
            .map(|_| ExplainInput { source: "the argument".to_owned(), bytes: text.to_vec() }))
    }

    /// `lab/sample.torrent, 213 bytes`
    pub fn name(&self) -> String {
        format!("{}, {}", self.source, counted(self.bytes.len(), "byte"))
    }

    /// Describes the bytes, and hides the secrets in them.
    pub fn describe(&mut self, kind: Kind, hides: bool) -> Vec<Placed> {
        // A cookie is a secret in HTTP. In a BT-SEARCH it was sent to a whole network.
        if !hides || kind == Kind::BtSearch {
            return kind.describe(&self.bytes, &Context::default());
        }
        let masked = mask(&self.bytes);
        // Hashes are taken over the true bytes, so secrets are masked only where they are shown.
        let has_hash = matches!(kind, Kind::Torrent | Kind::Metadata);
        let mut objects =
            kind.describe(if has_hash { &self.bytes } else { &masked }, &Context::default());
        if masked != self.bytes {
            objects.iter_mut().for_each(|placed| soften(&mut placed.object));
        }
        self.bytes = masked;
        objects
    }

    /// Returns the failure for bytes that look like nothing known.
    pub fn unknown(&self) -> Failure {
        if let Some(failure) = other_form(&self.bytes) {
            return failure.about(&self.source);
        }
        let what = format!(
            "a handshake, a message or the like was expected, but found {}",
            quoted(&hidden(&self.bytes))
        );
        let help = "say what it is, with --as KIND; explain --help lists the kinds";
        Failure::new(BAD_INPUT, what).about(&self.source).help(help).see(PAGE)
    }
}

/// Returns the start of the bytes, without secrets. They are masked before the cut: half
/// a URL does not show which part of it is a key.
fn hidden(bytes: &[u8]) -> Vec<u8> {
    if wanted() { mask(bytes) } else { bytes.to_vec() }
}

/// Decodes hex digits: two a byte with any white space, or byte by byte as programs print
/// them: `13:42:69`, `[0x13, 0x42, 0x69]`, `\x13\x42\x69`.
fn digits(text: &[u8]) -> Option<Vec<u8>> {
    let plain: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if let Ok(bytes) = hex::decode(&plain) {
        return Some(bytes).filter(|bytes| !bytes.is_empty());
    }
    let text = std::str::from_utf8(text).ok()?.replace("\\x", " ");
    let mut bytes = Vec::new();
    for word in words(&text) {
        // Exactly two digits a byte, or a bencoded string such as `1:a` would be taken for bytes.
        match word.strip_prefix("0x").or(word.strip_prefix("0X")) {
            Some(digits) => bytes.extend(hex::decode(digits).ok()?),
            None if word.len() == 2 => bytes.extend(hex::decode(word).ok()?),
            None => return None,
        }
    }
    Some(bytes).filter(|bytes| !bytes.is_empty())
}

/// Splits text at the signs that programs put between bytes.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_between = |letter: char| letter.is_ascii_whitespace() || ":,;-[]{}()".contains(letter);
    text.split(is_between).filter(|word| !word.is_empty())
}

/// Returns the failure for bytes in a notation that is not read.
fn other_form(text: &[u8]) -> Option<Failure> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let line = text.lines().next().unwrap_or_default();
    let (offset, rest) = line.split_once(' ').unwrap_or_default();
    let offset = offset.trim_end_matches(':');
    let is_hex = |word: &str| word.len() >= 2 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_dump = (4..=8).contains(&offset.len())
        && is_hex(offset)
        && rest.split_whitespace().next().is_some_and(is_hex);
    let is_literal = ["b'", "b\"", "'", "\""].iter().any(|start| text.starts_with(start))
        && text.contains("\\x");
    let is_decimal =
        || words(text).count() > 1 && words(text).all(|word| word.parse::<u8>().is_ok());
    let (what, help) = if is_dump {
        (
            "a dump with offsets",
            "give the digits alone: xxd -p FILE, or in Wireshark Copy, \"as a Hex Stream\"",
        )
    } else if is_literal {
        ("a literal of a program", "give its hex digits: print(data.hex()) in Python")
    } else if is_decimal() {
        ("a list of decimal numbers", "give hex digits: print(bytes(numbers).hex()) in Python")
    } else {
        return None;
    };
    Some(
        Failure::new(BAD_INPUT, format!("hex digits were expected, but this is {what}"))
            .help(help)
            .see(PAGE),
    )
}

/// Returns the objects as text for people. For a large file this is large, and so is the
/// JSON, so the caller makes only one of them.
pub fn as_text(kind: Kind, guessed: bool, objects: &[Placed], input: &ExplainInput) -> String {
    let how = if guessed { "This looks like" } else { "Taken for" };
    let mut text = format!("{how} {} ({}).", kind.is(), input.name());
    for placed in objects {
        let bytes = input.bytes.get(placed.at..).unwrap_or_default();
        text += &format!(
            "\n\n{}",
            text::object(&placed.object, bytes, TextOptions { at: placed.at, color: false })
        );
    }
    if let Some(rest) = left_over(objects, &input.bytes) {
        text += &format!("\n\n{rest}, not looked at");
    }
    text
}

/// Returns the objects as JSON for programs.
pub fn as_json(kind: Kind, guessed: bool, objects: &[Placed], input: &ExplainInput) -> Value {
    let shown = objects.iter().map(|placed| {
        let bytes = input.bytes.get(placed.at..).unwrap_or_default();
        json::object(&placed.object, bytes, placed.at)
    });
    json!({
        "kind": kind.name(),
        "guessed": guessed,
        "source": input.source,
        "length": input.bytes.len(),
        "objects": shown.collect::<Vec<_>>(),
        "rest": left_over(objects, &input.bytes),
    })
}

/// Returns the failure for a last object that is broken.
pub fn broken(placed: &Placed, why: &Broken) -> Failure {
    let at = placed.at + why.range.start;
    let what = format!(
        "the {}: byte {at}: expected {}, found {}",
        placed.object.name, why.expected, why.found
    );
    let help = "the carets show where; if it is something else, say what, with --as";
    let failure = Failure::new(BAD_INPUT, what).help(help);
    failure.see(chapter(placed.object.stage).map_or(PAGE.into(), Cow::from))
}
