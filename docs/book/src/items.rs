//! What a source file defines, and in which line.

use crate::rust::{self, Kind, Token};

/// What a definition is, the likeliest meaning of a bare name first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// A type, a trait, a constant, a module or a function of its own.
    Free,
    /// A variant of an enum.
    Variant,
    /// A function of a type or a trait.
    Method,
    /// A field of a struct or of a variant.
    Field,
    /// A parameter or a variable.
    Local,
}

/// A definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its name.
    pub name: String,
    /// The type, trait, variant or function that it belongs to.
    pub owner: Option<String>,
    /// What it is.
    pub rank: Rank,
    /// The first line of its comment and attributes, counted from 1.
    pub head: usize,
    /// The line with its name.
    pub line: usize,
    /// Whether it says only that there is a file: `mod choking;`.
    pub is_declaration: bool,
    /// Whether it is a test.
    pub is_test: bool,
}

impl Item {
    /// `WaitingList.decide`: its fragment in the page of its file.
    pub fn path(&self) -> String {
        match &self.owner {
            Some(owner) => format!("{owner}.{}", self.name),
            None => self.name.clone(),
        }
    }
}

/// What an open brace encloses.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Scope {
    /// A file, a module, or anything that defines what a file does.
    Items,
    /// Methods of this type or trait.
    Methods(String),
    /// Fields of this struct or variant.
    Fields(String),
    /// Variants of this enum.
    Variants(String),
    /// The body of this function.
    Body(String),
}

/// The definitions of a file, without its tests.
pub fn items(source: &str) -> Vec<Item> {
    let all = rust::tokens(source);
    let code = all.iter().filter(|token| !matches!(token.kind, Kind::Comment | Kind::Doc));
    let tokens: Vec<Token> = code.copied().collect();
    let starts: Vec<usize> =
        std::iter::once(0).chain(source.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let heads = heads(source);
    let mut walk = Walk { tokens: &tokens, items: Vec::new(), scopes: vec![Scope::Items] };
    walk.file();
    let line = |token: usize| starts.partition_point(|start| *start <= tokens[token].at);
    let found = walk.items.into_iter().map(|(token, owner, rank)| {
        let line = line(token);
        let head = if rank == Rank::Local { line } else { heads[line - 1] };
        let is_declaration = token > 0 && tokens[token - 1].text == "mod";
        let above = source.lines().take(line).skip(head - 1);
        let is_test = rank == Rank::Free && above.map(str::trim).any(|line| line == "#[test]");
        Item {
            name: tokens[token].text.to_owned(),
            owner,
            rank,
            head,
            line,
            is_declaration,
            is_test,
        }
    });
    found.collect()
}

/// For each line: the first of the comments and attributes right above it.
fn heads(source: &str) -> Vec<usize> {
    let mut heads = Vec::new();
    let mut head = None;
    for (number, line) in (1..).zip(source.lines()) {
        let line = line.trim_start();
        heads.push(head.unwrap_or(number));
        let above = line.starts_with("///") || line.starts_with("#[");
        head = above.then(|| head.unwrap_or(number));
    }
    heads
}

struct Walk<'t, 's> {
    tokens: &'t [Token<'s>],
    /// The token with the name, the owner, the rank.
    items: Vec<(usize, Option<String>, Rank)>,
    scopes: Vec<Scope>,
}

impl Walk<'_, '_> {
    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.text)
    }

    fn is_word(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(|token| token.kind == Kind::Word)
    }

    fn file(&mut self) {
        let mut at = 0;
        while at < self.tokens.len() {
            at = self.step(at);
        }
    }

    /// Looks at one token; returns the next one to look at.
    fn step(&mut self, at: usize) -> usize {
        let scope = self.scopes.last().cloned().unwrap_or(Scope::Items);
        match (self.text(at), &scope) {
            ("}", _) => {
                self.scopes.pop();
                at + 1
            }
            ("{", _) => {
                let inner =
                    if scope == Scope::Items { Scope::Items } else { Scope::Body(String::new()) };
                self.scopes.push(inner);
                at + 1
            }
            ("#", _) if self.text(at + 1) == "[" => self.attribute(at),
            ("fn", _) if self.is_word(at + 1) => self.function(at, &scope),
            ("let", Scope::Body(owner)) => {
                let name = at + 1 + usize::from(self.text(at + 1) == "mut");
                // What begins with a capital is a pattern: `let Some(..)`.
                let small = !self.text(name).starts_with(|letter: char| letter.is_uppercase());
                if self.is_word(name) && small && !rust::is_keyword(self.text(name)) {
                    self.items.push((name, Some(owner.clone()), Rank::Local));
                }
                at + 1
            }
            (_, Scope::Body(_)) => at + 1,
            ("struct" | "union", _) => self.header(at, Scope::Fields),
            ("enum", _) => self.header(at, Scope::Variants),
            ("trait", _) => self.header(at, Scope::Methods),
            ("impl", Scope::Items) => self.implementation(at),
            ("const" | "static" | "type" | "mod", _) if self.is_word(at + 1) => {
                self.plain(at, &scope)
            }
            ("macro_rules", _) => {
                self.items.push((at + 2, None, Rank::Free));
                at + 3
            }
            ("(", Scope::Variants(_) | Scope::Fields(_)) => self.past(at, "(", ")"),
            (_, Scope::Variants(owner)) if self.is_word(at) && self.begins(at) => {
                self.items.push((at, Some(owner.clone()), Rank::Variant));
                if self.text(at + 1) == "{" {
                    self.scopes.push(Scope::Fields(self.text(at).to_owned()));
                    return at + 2;
                }
                at + 1
            }
            (_, Scope::Fields(owner)) if self.is_word(at) && self.begins(at) => {
                if self.text(at + 1) == ":" && self.text(at + 2) != ":" {
                    self.items.push((at, Some(owner.clone()), Rank::Field));
                }
                at + 1
            }
            _ => at + 1,
        }
    }

    /// Whether a field or variant may begin here.
    fn begins(&self, at: usize) -> bool {
        at > 0 && ["{", ",", "]", "pub", ")"].contains(&self.text(at - 1)) && self.text(at) != "pub"
    }

    /// Passes over an attribute, and over the whole module if it says that this is a test.
    fn attribute(&mut self, at: usize) -> usize {
        let end = self.past(at + 1, "[", "]");
        let words: Vec<&str> = self.tokens[at..end].iter().map(|token| token.text).collect();
        if words.concat() == "#[cfg(test)]" {
            let mut open = end;
            while open < self.tokens.len() && ![";", "{"].contains(&self.text(open)) {
                open += 1;
            }
            return if self.text(open) == "{" { self.past(open, "{", "}") } else { open + 1 };
        }
        end
    }

    /// The token after the bracket that closes the one here.
    fn past(&self, at: usize, open: &str, close: &str) -> usize {
        let mut depth = 0;
        for next in at..self.tokens.len() {
            let token = self.text(next);
            depth += usize::from(token == open);
            if token == close {
                depth -= 1;
                if depth == 0 {
                    return next + 1;
                }
            }
        }
        self.tokens.len()
    }

    /// Where a header ends: at its `{` or `;`.
    fn body(&self, mut at: usize) -> usize {
        while at < self.tokens.len() && !["{", ";"].contains(&self.text(at)) {
            let bracket =
                [("(", ")"), ("[", "]")].into_iter().find(|(open, _)| self.text(at) == *open);
            at = bracket.map_or(at + 1, |(open, close)| self.past(at, open, close));
        }
        at
    }

    fn header(&mut self, at: usize, scope: fn(String) -> Scope) -> usize {
        if !self.is_word(at + 1) {
            return at + 1;
        }
        let name = self.text(at + 1).to_owned();
        self.items.push((at + 1, None, Rank::Free));
        let body = self.body(at + 2);
        if self.text(body) == "{" {
            self.scopes.push(scope(name));
        }
        body + 1
    }

    /// `impl Trait for Type {` and `impl<T> Type<T> {` both are of `Type`.
    fn implementation(&mut self, at: usize) -> usize {
        let body = self.body(at + 1);
        let mut depth = 0_i32;
        let mut owner = String::new();
        for next in at + 1..body {
            match self.text(next) {
                "<" => depth += 1,
                ">" if self.text(next - 1) != "-" => depth -= 1,
                "where" => break,
                "for" if depth == 0 => owner.clear(),
                word if depth == 0 && self.is_word(next) && !rust::is_keyword(word) => {
                    owner = word.to_owned();
                }
                _ => {}
            }
        }
        self.scopes.push(Scope::Methods(owner));
        body + 1
    }

    fn plain(&mut self, at: usize, scope: &Scope) -> usize {
        let name = at + 1 + usize::from(self.text(at + 1) == "mut");
        if self.text(name) == "fn" {
            return name;
        }
        let (owner, rank) = match scope {
            Scope::Methods(owner) => (Some(owner.clone()), Rank::Method),
            _ => (None, Rank::Free),
        };
        self.items.push((name, owner, rank));
        if self.text(at) == "mod" && self.text(name + 1) == "{" {
            self.scopes.push(Scope::Items);
            return name + 2;
        }
        name + 1
    }

    fn function(&mut self, at: usize, scope: &Scope) -> usize {
        let name = self.text(at + 1).to_owned();
        let (owner, rank) = match scope {
            Scope::Methods(owner) => (Some(owner.clone()), Rank::Method),
            _ => (None, Rank::Free),
        };
        if !matches!(scope, Scope::Body(_)) {
            self.items.push((at + 1, owner, rank));
        }
        let body = self.body(at + 2);
        for next in at + 2..body {
            let is_parameter = self.is_word(next)
                && self.text(next + 1) == ":"
                && self.text(next + 2) != ":"
                && ["(", ",", "mut"].contains(&self.text(next - 1));
            if is_parameter {
                self.items.push((next, Some(name.clone()), Rank::Local));
            }
        }
        if self.text(body) == "{" {
            self.scopes.push(Scope::Body(name));
        }
        body + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r#"
/// A door.
#[derive(Debug)]
pub struct Door<R: Read> {
    /// How many.
    pub guests: BTreeMap<String, u32>,
    reader: R,
}

pub enum Why { Crowded, Useless { since: Instant }, Slow(u32) }

const MOST: usize = 3;

impl<R: Read> Opens for Door<R> {
    type Error = io::Error;

    /// Opens it.
    fn open(&mut self, force: bool) -> Result<(), Why> {
        let mut tries = Some(Why::Useless { since: now });
        if let Some(other) = tries { match other { _ => {} } }
    }
}

pub fn knock(door: &Door<R>) {}

#[cfg(test)]
mod tests {
    fn hidden() {}
}

pub struct Pair(u32, u32);
"#;

    #[test]
    fn each_definition_has_its_owner_and_its_line() {
        let found: Vec<(String, Rank, usize, usize)> = items(SOURCE)
            .into_iter()
            .map(|item| (item.path(), item.rank, item.head, item.line))
            .collect();
        let found: Vec<(&str, Rank, usize, usize)> = found
            .iter()
            .map(|(path, rank, head, line)| (path.as_str(), *rank, *head, *line))
            .collect();
        let expected = [
            ("Door", Rank::Free, 2, 4),
            ("Door.guests", Rank::Field, 5, 6),
            ("Door.reader", Rank::Field, 7, 7),
            ("Why", Rank::Free, 10, 10),
            ("Why.Crowded", Rank::Variant, 10, 10),
            ("Why.Useless", Rank::Variant, 10, 10),
            ("Useless.since", Rank::Field, 10, 10),
            ("Why.Slow", Rank::Variant, 10, 10),
            ("MOST", Rank::Free, 12, 12),
            ("Door.Error", Rank::Method, 15, 15),
            ("Door.open", Rank::Method, 17, 18),
            ("open.force", Rank::Local, 18, 18),
            ("open.tries", Rank::Local, 19, 19),
            ("knock", Rank::Free, 24, 24),
            ("knock.door", Rank::Local, 24, 24),
            ("Pair", Rank::Free, 31, 31),
        ];
        assert_eq!(found, expected);
    }
}
