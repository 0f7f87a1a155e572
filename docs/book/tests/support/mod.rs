//! Trees to test with.

#![allow(dead_code)] // each test file uses some of it

pub mod browser;

use piecemeal_book::items;
use piecemeal_book::markdown::Document;
use piecemeal_book::tree::{Source, Tree};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where the crate is whose chapters these are.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the crate is there")
}

/// That crate.
pub fn crate_tree() -> Tree {
    Tree::read(&root()).expect("the crate can be read")
}

/// A crate of these files.
pub fn tree(files: &[(&str, &str)]) -> Tree {
    let mut tree = Tree { root: root(), sources: BTreeMap::new(), documents: BTreeMap::new() };
    for (path, text) in files {
        if path.ends_with(".rs") {
            let source = Source { text: (*text).to_owned(), items: items::items(text) };
            tree.sources.insert((*path).to_owned(), source);
        } else {
            tree.documents.insert((*path).to_owned(), Document::parse(path, text));
        }
    }
    tree
}

/// The text of some HTML.
pub fn text_of(html: &str) -> String {
    let mut text = String::new();
    for (number, part) in html.split('<').enumerate() {
        text.push_str(if number == 0 {
            part
        } else {
            part.split_once('>').map_or("", |(_, text)| text)
        });
    }
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&")
}
