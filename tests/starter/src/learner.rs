//! What a learner has made of the starter's files.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use proc_macro2::TokenStream;

use crate::failure::{Failure, Result};
use crate::list::{Exercises, Hole};
use crate::prefix::read;
use crate::source::Source;
use crate::workshop::{Files, Workshop, files};

/// A learner's files beside those of the reference.
pub struct Learner<'l> {
    folder: &'l Path,
    workshop: &'l Workshop,
    /// The files that differ outside of all holes, theirs and ours, with nothing in the holes.
    outside: BTreeMap<String, [Option<String>; 2]>,
}

/// What is in a hole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// What the starter came with.
    Nothing,
    /// Bodies of the learner's own.
    Bodies(Written),
    /// The function or its file is not there.
    Gone(String),
    /// The file is not Rust, so that nothing in it can be found.
    NotRust(String),
}

/// Bodies for a hole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// What stands between the braces, of the hole's own function first.
    pub bodies: Vec<String>,
    /// Tells them from others. Comments and spaces make no others.
    pub mark: String,
    /// Tells them also from the same ones with something else outside of them.
    pub mark_with_outside: String,
    /// A signature that is not the reference's: what is expected, what is found.
    pub changed: Option<(String, String)>,
}

impl Written {
    /// Whether this is one of its marks.
    pub fn has(&self, mark: &str) -> bool {
        self.mark == mark || self.mark_with_outside == mark
    }
}

impl<'l> Learner<'l> {
    /// Reads the files in a folder.
    pub fn read(folder: &'l Path, workshop: &'l Workshop, exercises: &Exercises) -> Learner<'l> {
        let mut all = files(&workshop.reference().join("src"));
        all.extend(files(&folder.join("src")));
        let mut outside = BTreeMap::new();
        for file in all {
            let file = format!("src/{file}");
            let theirs = read(&folder.join(&file)).ok();
            let ours = read(&workshop.reference().join(&file)).ok();
            if theirs == ours {
                continue;
            }
            let hollow = |text: Option<String>| text.map(|text| hollow(&file, text, exercises));
            let both = [theirs, ours].map(hollow);
            if both[0] != both[1] {
                outside.insert(file, both);
            }
        }
        Learner { folder, workshop, outside }
    }

    /// Returns the files that differ from the reference outside of all holes.
    pub fn changed_outside(&self) -> impl Iterator<Item = &str> {
        self.outside.keys().map(String::as_str)
    }

    /// Returns the functions outside of all holes that are not the reference's, or the whole file
    /// if that says more: "`is_decimal` in src/s01_bencode.rs".
    pub fn changes(&self) -> Vec<String> {
        let of_file = |(file, both): (&String, &[Option<String>; 2])| {
            let [theirs, ours] = both
                .each_ref()
                .map(|text| text.as_ref().and_then(|text| Source::parse(file, text.clone()).ok()));
            let functions = ours.zip(theirs).map(|(ours, theirs)| ours.differences(&theirs));
            match functions.unwrap_or_default().join(", ") {
                none if none.is_empty() => file.clone(),
                functions => format!("{functions} in {file}"),
            }
        };
        self.outside.iter().map(of_file).collect()
    }

    /// Returns why files that differ outside of all holes are not Rust.
    pub fn not_rust(&self) -> Vec<String> {
        let why = |(file, both): (&String, &[Option<String>; 2])| {
            Source::parse(file, both[0].clone()?).err().map(|Failure(why)| why)
        };
        self.outside.iter().filter_map(why).collect()
    }

    /// Reads what is in a hole.
    ///
    /// # Errors
    /// If the reference has no such function.
    pub fn find(&self, hole: &Hole) -> Result<Found> {
        let file = hole.source();
        let reference = Source::read(self.workshop.reference(), &file)?;
        let Ok(text) = read(&self.folder.join(&file)) else {
            let back = format!("{file} is gone; `git checkout {file}` brings it back");
            return Ok(Found::Gone(back));
        };
        let source = match Source::parse(&file, text.clone()) {
            Ok(source) => source,
            // It is another function that is broken.
            Err(_) if text.contains(&format!("todo!({:?})", hole.path)) => {
                return Ok(Found::Nothing);
            }
            Err(Failure(why)) => return Ok(Found::NotRust(why)),
        };
        let function = match source.find(&hole.path) {
            Ok(function) => function,
            Err(Failure(why)) => return Ok(Found::Gone(why)),
        };
        let expected = reference.find(&hole.path)?;
        let given = hole.empty(expected, &hole.task)?;
        if source.body(&hole.path)?.split_whitespace().eq(given.split_whitespace()) {
            return Ok(Found::Nothing);
        }
        let mut bodies = Vec::new();
        for path in hole.paths() {
            // A helper that a learner did without is the reference's.
            bodies.push(source.body(path).or_else(|_| reference.body(path))?.to_owned());
        }
        let tokens: Vec<String> = bodies.iter().map(|body| tokens(body)).collect();
        let (mark, mark_with_outside) = (mark(&tokens), mark(&(&tokens, &self.outside)));
        let changed = (function.signature != expected.signature)
            .then(|| (expected.signature.clone(), function.signature.clone()));
        Ok(Found::Bodies(Written { bodies, mark, mark_with_outside, changed }))
    }

    /// Returns the tests that are not as they were given, by their paths.
    pub fn edited_tests(&self) -> Vec<String> {
        let given = files(&self.workshop.reference().join("tests"));
        let is_edited = |file: &&String| {
            let text = |root: &Path| read(&root.join("tests").join(file)).ok();
            text(self.folder) != text(self.workshop.reference())
        };
        given.iter().filter(is_edited).map(|file| format!("tests/{file}")).collect()
    }

    /// Returns the learner's files with the reference in these holes.
    ///
    /// # Errors
    /// If the reference lacks a function of the list.
    pub fn files(&self, holes: &[&Hole]) -> Result<Files> {
        let mut found = Files::new();
        for file in files(&self.folder.join("src")) {
            let file = format!("src/{file}");
            let Ok(mut text) = read(&self.folder.join(&file)) else { continue };
            let mut bodies = Vec::new();
            for hole in holes.iter().filter(|hole| hole.source() == file) {
                bodies.extend(hole.paths().zip(self.workshop.bodies(hole)?));
            }
            if !bodies.is_empty()
                && let Ok(source) = Source::parse(&file, text.clone())
            {
                let there = bodies.iter().filter(|(path, _)| source.find(path).is_ok());
                text = source.with_bodies(there.map(|(path, body)| (*path, body.as_str())))?;
            }
            found.insert(file, text);
        }
        Ok(found)
    }
}

/// Returns code without its comments, spaced as a row of tokens.
fn tokens(code: &str) -> String {
    code.parse::<TokenStream>().map_or_else(|_| code.to_owned(), |tokens| tokens.to_string())
}

/// Returns a short name of a value, the same each time.
pub fn mark(of: &impl Hash) -> String {
    let mut hash = DefaultHasher::new();
    of.hash(&mut hash);
    format!("{:016x}", hash.finish())
}

/// Returns a file with nothing in any of its holes.
fn hollow(file: &str, text: String, exercises: &Exercises) -> String {
    let Ok(source) = Source::parse(file, text.clone()) else { return text };
    let holes = exercises.holes.iter().filter(|hole| hole.source() == file);
    let paths = holes.flat_map(Hole::paths).filter(|path| source.find(path).is_ok());
    source.with_bodies(paths.map(|path| (path, ""))).unwrap_or(text)
}
