//! Markdown, as far as these tests need it: fenced blocks, and the text between them.

use std::path::{Path, PathBuf};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A document.
pub struct Document {
    /// Relative to the crate: `docs/01-bencode.md`.
    pub path: PathBuf,
    pub blocks: Vec<Block>,
    /// The lines outside of blocks, with their numbers.
    pub text: Vec<(usize, String)>,
}

/// A fenced block.
pub struct Block {
    /// What stands behind the opening fence: `console any-order`.
    pub kind: String,
    /// The line of the opening fence, counted from 1.
    pub line: usize,
    pub lines: Vec<String>,
}

impl Block {
    /// The language alone.
    pub fn language(&self) -> &str {
        self.kind.split([' ', ',']).next().unwrap_or_default()
    }
}

/// README.md and everything in docs/.
pub fn documents() -> Vec<Document> {
    let folder = std::fs::read_dir(root().join("docs")).expect("there is a folder docs");
    let names = folder
        .map(|entry| entry.expect("docs can be read").file_name().to_string_lossy().into_owned());
    let mut paths: Vec<PathBuf> = names
        .filter(|name| name.ends_with(".md"))
        .map(|name| Path::new("docs").join(name))
        .collect();
    paths.push(PathBuf::from("README.md"));
    paths.sort();
    paths.into_iter().map(read).collect()
}

fn read(path: PathBuf) -> Document {
    let whole = std::fs::read_to_string(root().join(&path))
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    parse(path, &whole)
}

/// The blocks of a text, and what is between them.
pub fn parse(path: PathBuf, whole: &str) -> Document {
    let mut document = Document { path, blocks: Vec::new(), text: Vec::new() };
    let mut open: Option<Block> = None;
    for (number, line) in (1..).zip(whole.lines()) {
        match (open.take(), line.strip_prefix("```")) {
            (Some(block), Some("")) => document.blocks.push(block),
            (Some(_), Some(_)) => {
                panic!("{}:{number}: a fence inside a block", document.path.display())
            }
            (Some(mut block), None) => {
                block.lines.push(line.to_owned());
                open = Some(block);
            }
            (None, Some(kind)) => {
                open = Some(Block { kind: kind.trim().to_owned(), line: number, lines: Vec::new() })
            }
            (None, None) => document.text.push((number, line.to_owned())),
        }
    }
    assert!(open.is_none(), "{}: the last block is not closed", document.path.display());
    document
}

/// Without a language, rustdoc takes a block for Rust, and compiles it.
#[test]
fn every_block_says_what_it_is() {
    for document in documents() {
        for block in &document.blocks {
            let known = [
                "console",
                "console any-order",
                "text",
                "rust",
                "rust,no_run",
                "mermaid",
                "python",
                "sh",
                "json example",
                "json schema",
            ];
            let place = format!("{}:{}", document.path.display(), block.line);
            assert!(
                known.contains(&block.kind.as_str()),
                "{place}: ```{} is none of {known:?}",
                block.kind
            );
        }
    }
}

#[test]
fn every_chapter_has_a_transcript_and_something_to_look_at_in_rust() {
    for document in documents() {
        let name = document
            .path
            .file_name()
            .expect("a document has a name")
            .to_string_lossy()
            .into_owned();
        if name.starts_with(|letter: char| letter.is_ascii_digit()) {
            for language in ["console", "rust"] {
                assert!(
                    document.blocks.iter().any(|block| block.language() == language),
                    "{name} has no ```{language} block"
                );
            }
        }
    }
}
