//! The names in a chapter's "Read along", and the lines of the source that they mean.
//!
//! A text between backticks is one of these, and the first that fits counts:
//!
//! 1. a word on the list `not-code.txt`: part of the protocol, the shell or the standard library;
//! 2. a file: `src/s17_seeding/choking.rs`, or `choking.rs` for short;
//! 3. `Owner::name`, where a module may be the owner;
//! 4. a name: of this stage before one of an earlier stage, and a variable only if there is nothing
//!    else. Of several, the best is in the file that the text named last, then of the type that was
//!    named last, then a definition of its own before a variant, a method and a field. A name with a
//!    capital is a type's before all else. Of earlier stages, the best is what this stage imports;
//! 5. an expression that is in the code to the letter: `info.raw`.
//!
//! In "`offer` in `seats.rs`" the second text says where to look for the first, and "the function
//! `scrape`" is a function of its own. The last file counts until a heading or a paragraph that begins
//! in bold; a paragraph that names several files only tells in which order to read them.
//!
//! Anything else is an error. So a name that changes in the code cannot stay behind in a chapter.

use std::collections::{BTreeMap, BTreeSet};

use crate::fault::{Fault, nearest};
use crate::items::{Item, Rank};
use crate::markdown::{Document, Part, parts};
use crate::tree::{Tree, stage_number};

/// Where a name leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `src/s17_seeding/choking.rs`
    pub file: String,
    /// The line that holds the name. `None` if the whole file is meant.
    pub line: Option<usize>,
    /// The fragment in the file's page: `WaitingList.decide`, or `L12` for what has no name there.
    pub fragment: Option<String>,
}

/// What a text between backticks is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// It leads to the source.
    Code(Target),
    /// It is on the list of words that are no code.
    Listed,
}

/// A text between backticks in a "Read along".
#[derive(Debug, Clone)]
pub struct Span {
    /// Its line in the chapter, counted from 1.
    pub line: usize,
    /// Its letters, without the backticks.
    pub text: String,
    /// What it is, or what is wrong with it.
    pub meaning: Result<Meaning, Fault>,
}

/// The words that are no code: those of each chapter, and those of every chapter (0).
pub struct Words(BTreeMap<usize, BTreeSet<String>>);

impl Words {
    /// The list that belongs to the chapters.
    pub fn listed() -> Words {
        Words::parse(include_str!("../not-code.txt"))
    }

    /// Lines of a chapter's number and a word, which may have spaces.
    pub fn parse(list: &str) -> Words {
        let lines = list.lines().filter(|line| !line.starts_with('#'));
        let words = lines.filter_map(|line| {
            let (number, word) = line.split_once(' ')?;
            Some((number.parse().ok()?, word.to_owned()))
        });
        let mut chapters = BTreeMap::new();
        for (number, word) in words {
            chapters.entry(number).or_insert_with(BTreeSet::new).insert(word);
        }
        Words(chapters)
    }

    fn has(&self, chapter: usize, word: &str) -> bool {
        [0, chapter].iter().any(|number| self.0.get(number).is_some_and(|own| own.contains(word)))
    }

    /// All words with their chapters.
    pub fn all(&self) -> impl Iterator<Item = (usize, &str)> {
        self.0.iter().flat_map(|(number, words)| words.iter().map(|word| (*number, word.as_str())))
    }
}

/// The texts between backticks in a chapter's "Read along". An error if it has none.
pub fn read_along(
    tree: &Tree,
    words: &Words,
    number: usize,
    chapter: &Document,
) -> Result<Vec<Span>, Fault> {
    let section = chapter
        .section("Read along")
        .ok_or_else(|| Fault::new(&chapter.path, 1, "the chapter has no section \"Read along\""))?;
    let mut resolver = Resolver::new(tree, words, number);
    let mut spans = Vec::new();
    let mut files = 0;
    for (line, text) in chapter.text().filter(|(line, _)| section.contains(line)) {
        if text.trim().is_empty() {
            if files > 1 {
                resolver.file = None;
            }
            files = 0;
        }
        if text.starts_with(['#', '*']) {
            resolver.file = None;
        }
        let within = |part| match part {
            Part::Span { at, .. } => Some((at.clone(), &text[at.start + 1..at.end - 1])),
            Part::Link { .. } => None,
        };
        let names: Vec<_> = parts(text).into_iter().filter_map(within).collect();
        for (at, (place, name)) in names.iter().enumerate() {
            files += usize::from(name.ends_with(".rs"));
            resolver.wants_function = text[..place.start].ends_with("function ");
            let next = names.get(at + 1).filter(|(next, _)| &text[place.end..next.start] == " in ");
            let meaning = resolver
                .meaning(name, next.map(|(_, owner)| *owner))
                .map_err(|what| Fault::new(&chapter.path, line, what));
            spans.push(Span { line, text: (*name).to_owned(), meaning });
        }
    }
    Ok(spans)
}

struct Resolver<'t> {
    tree: &'t Tree,
    words: &'t Words,
    number: usize,
    /// This stage's files, its main file first.
    stage: Vec<&'t str>,
    /// Those, and the files of earlier stages, the nearest first.
    files: Vec<&'t str>,
    /// The `use` declarations of this stage.
    imports: Vec<&'t str>,
    /// The file that the text named last.
    file: Option<String>,
    /// The type that was named last: what follows is likely to be about it.
    last_type: Option<String>,
    /// The text says that the next name is a function of its own.
    wants_function: bool,
}

/// A definition, and how badly it fits.
type Candidate<'t> = (Misfit, &'t str, &'t Item);

/// Why one definition fits less well than another. The first difference decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Misfit {
    /// A variable, or a method or field of an earlier stage: only if there is nothing else.
    is_doubtful: bool,
    is_earlier: bool,
    is_local: bool,
    not_imported: bool,
    /// Only of what begins with a capital, or is called a function.
    rank_of_type: Option<Rank>,
    not_in_file: bool,
    not_of_type: bool,
    rank: Rank,
    stages_back: usize,
    order: usize,
}

impl<'t> Resolver<'t> {
    fn new(tree: &'t Tree, words: &'t Words, number: usize) -> Resolver<'t> {
        let stage = tree.stage(number);
        let files = (1..=number).rev().flat_map(|number| tree.stage(number)).collect();
        let uses = stage.iter().flat_map(|file| {
            let declarations = tree.sources[*file].text.split(';');
            declarations.filter_map(|text| text.find("use crate::").map(|at| &text[at..]))
        });
        let imports = uses.collect();
        Resolver {
            tree,
            words,
            number,
            stage,
            files,
            imports,
            file: None,
            last_type: None,
            wants_function: false,
        }
    }

    fn meaning(&mut self, text: &str, place: Option<&str>) -> Result<Meaning, String> {
        if self.words.has(self.number, text) {
            return Ok(Meaning::Listed);
        }
        let name = text.strip_suffix("()").unwrap_or(text);
        if name.ends_with(".rs") {
            let file = self.file(name)?;
            self.file = Some(file.clone());
            return Ok(Meaning::Code(Target { file, line: None, fragment: None }));
        }
        let mut owner = None;
        if let Some(place) = place {
            let file =
                if place.ends_with(".rs") { self.file(place).ok() } else { self.module(place) };
            match file {
                Some(file) => self.file = Some(file),
                None => owner = place.rsplit("::").next(),
            }
        }
        let found = owner.and_then(|owner| self.named(&format!("{owner}::{name}")));
        let found = found.or_else(|| self.named(name)).or_else(|| self.expression(name));
        found.map(Meaning::Code).ok_or_else(|| self.unknown(text))
    }

    /// A file of this stage by the end of its path, or any file by the whole of it.
    fn file(&self, name: &str) -> Result<String, String> {
        let full = |path: &&str| *path == name || path.strip_prefix("src/") == Some(name);
        let ends = |path: &&str| full(path) || path.ends_with(&format!("/{name}"));
        let of_stage = self.stage.iter().copied().find(ends);
        let found = of_stage.or_else(|| self.tree.sources.keys().map(String::as_str).find(full));
        found.map(str::to_owned).ok_or_else(|| {
            let near = nearest(short_of(name), self.stage.iter().map(|path| short_of(path)));
            let near = near.map_or(String::new(), |near| format!("; the nearest is `{near}`"));
            format!("`{name}` is no file of stage {}{near}", self.number)
        })
    }

    /// The file of a module of this stage.
    fn module(&self, name: &str) -> Option<String> {
        let mut children = self.stage.iter().skip(1);
        children.find(|path| stem(path) == name).map(|path| (*path).to_owned())
    }

    /// A definition or a module by its name, with or without its owner.
    fn named(&mut self, text: &str) -> Option<Target> {
        let parts: Vec<&str> = text.split("::").collect();
        let is_name = |part: &&str| {
            part.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
                && part.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        };
        if !parts.iter().all(is_name) {
            return None;
        }
        let name = parts[parts.len() - 1];
        let owner = parts.len().checked_sub(2).map(|at| parts[at]);
        let best = self.candidates(name, owner).into_iter().min_by_key(|(misfit, ..)| *misfit);
        let module = owner.is_none().then(|| self.module(name)).flatten();
        // A module counts as a definition of its own.
        let is_better = |(misfit, ..): &Candidate| {
            !misfit.is_earlier
                && (misfit.rank == Rank::Free || !misfit.not_in_file || !misfit.not_of_type)
        };
        if let Some(file) = module.filter(|_| !best.as_ref().is_some_and(is_better)) {
            return Some(Target { file, line: None, fragment: None });
        }
        let (_, file, item) = best?;
        match (item.rank, &item.owner) {
            (Rank::Free, _) if name.starts_with(char::is_uppercase) => {
                self.last_type = Some(name.to_owned());
            }
            (Rank::Method, Some(owner)) => self.last_type = Some(owner.clone()),
            _ => {}
        }
        let fragment = Some(fragment(self.tree, file, item));
        Some(Target { file: file.to_owned(), line: Some(item.line), fragment })
    }

    fn candidates(&self, name: &str, owner: Option<&str>) -> Vec<Candidate<'t>> {
        let tree = self.tree;
        let by_rank = self.wants_function || name.starts_with(char::is_uppercase);
        let mut found = Vec::new();
        for (order, file) in self.files.iter().copied().enumerate() {
            let number = stage_number(file).unwrap_or_default();
            for item in tree.sources[file].items.iter().filter(|item| item.name == name) {
                let fits = owner.is_none_or(|owner| match &item.owner {
                    Some(other) => other == owner,
                    None => stem(file) == owner,
                });
                // `mod x;` is no place to read about x.
                if !fits || item.is_declaration {
                    continue;
                }
                let misfit = Misfit {
                    is_doubtful: item.rank == Rank::Local
                        || number < self.number && item.rank > Rank::Variant,
                    is_earlier: number < self.number,
                    is_local: item.rank == Rank::Local,
                    not_imported: number < self.number && !self.imports_item(number, item),
                    rank_of_type: by_rank.then_some(item.rank),
                    not_in_file: self.file.as_deref() != Some(file),
                    not_of_type: item.owner.is_none() || self.last_type != item.owner,
                    rank: item.rank,
                    stages_back: self.number - number,
                    order,
                };
                found.push((misfit, file, item));
            }
        }
        if owner.is_some() {
            return found;
        }
        // Without its owner, a method of an earlier stage is meant only if it can be no other.
        let is_member = |misfit: &Misfit| misfit.is_earlier && misfit.rank > Rank::Variant;
        let members = found.iter().filter(|(misfit, ..)| is_member(misfit) && !misfit.is_local);
        let closest = members.clone().map(|(misfit, ..)| misfit.not_imported).min();
        let mut files: Vec<&str> = members
            .filter(|(misfit, ..)| Some(misfit.not_imported) == closest)
            .map(|(_, file, _)| *file)
            .collect();
        files.dedup();
        found.retain(|(misfit, file, _)| {
            !is_member(misfit) || !misfit.is_local && files.as_slice() == [*file]
        });
        found
    }

    /// Whether this stage imports an item of an earlier stage, or its owner.
    fn imports_item(&self, number: usize, item: &Item) -> bool {
        let name = item.owner.as_deref().unwrap_or(&item.name);
        let from = format!("use crate::s{number:02}_");
        let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
        let mut of_stage = self.imports.iter().filter(|text| text.starts_with(&from));
        of_stage.any(|text| text.split(|letter| !is_part(letter)).any(|word| word == name))
    }

    /// The first line of this stage's code with an expression: `info.raw`.
    fn expression(&self, text: &str) -> Option<Target> {
        let begins = text.starts_with(|letter: char| letter.is_ascii_alphabetic());
        if !text.contains(['.', '(']) || !begins {
            return None;
        }
        let mut files = self.stage.clone();
        files.sort_by_key(|file| self.file.as_deref() != Some(file));
        let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
        for file in files {
            for (number, line) in (1..).zip(self.tree.sources[file].text.lines()) {
                let code = line.split("//").next().unwrap_or_default();
                let Some(at) = code.find(text) else { continue };
                if !code[at + text.len()..].starts_with(is_part) && !code[..at].ends_with(is_part) {
                    let fragment = Some(format!("L{number}"));
                    return Some(Target { file: file.to_owned(), line: Some(number), fragment });
                }
            }
        }
        None
    }

    fn unknown(&self, text: &str) -> String {
        let name = text.rsplit("::").next().unwrap_or(text);
        let items = self.files.iter().flat_map(|file| &self.tree.sources[*file].items);
        let near = nearest(
            name,
            items.filter(|item| item.rank != Rank::Local).map(|item| item.name.as_str()),
        )
        .map_or(String::new(), |near| format!("; the nearest is `{near}`"));
        format!(
            "`{text}` is not in the source of stage {}, nor does it name one thing before it{near}. \
             If it is no code, add it to docs/book/not-code.txt",
            self.number
        )
    }
}

/// `choking.rs`
fn short_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// `choking`
fn stem(path: &str) -> &str {
    short_of(path).strip_suffix(".rs").unwrap_or(path)
}

/// An item's fragment in the page of its file. Where several have the same path, one has it, and the
/// others have their lines instead.
pub fn fragment(tree: &Tree, file: &str, item: &Item) -> String {
    let same = tree.sources[file].items.iter().filter(|other| other.path() == item.path());
    match same.min_by_key(|other| (other.rank, other.line)) {
        Some(first) if first == item && item.rank != Rank::Local => item.path(),
        _ => format!("L{}", item.line),
    }
}
