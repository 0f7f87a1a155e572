//! Makes a page for mdBook of a document: links lead within the book, names to the source, and
//! conversations are drawn. Everything else stays as it is.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::diagram;
use crate::drawing;
use crate::fault::Fault;
use crate::markdown::{Document, Kind, Part, parts};
use crate::names::{self, Meaning, Words};
use crate::source::Wanted;
use crate::tree::{Tree, group_of};

/// A page's name: README.md is the first page, docs/README.md the one after it.
pub fn page_name(document: &str) -> &str {
    match document {
        "README.md" => "index.md",
        "docs/README.md" => "reading-along.md",
        other => other.rsplit('/').next().unwrap_or(other),
    }
}

/// A document as a page.
pub struct Page {
    /// `04-handshake.md`
    pub name: String,
    /// Its Markdown.
    pub text: String,
    /// Pictures that it shows, relative to the crate.
    pub pictures: Vec<String>,
    /// Where it leads in the source.
    pub wanted: Wanted,
}

/// Makes a page of a document, or says all that is wrong with it.
pub fn page(tree: &Tree, words: &Words, document: &Document) -> Result<Page, Vec<Fault>> {
    let mut maker =
        Maker { tree, document, pictures: Vec::new(), wanted: Wanted::new(), faults: Vec::new() };
    let number = tree.chapters().into_iter().find(|(_, chapter)| chapter.path == document.path);
    let number = number.map(|(number, _)| number);
    let names = number.map_or_else(BTreeMap::new, |number| maker.names(words, number));
    let drawings = maker.drawings();
    let mut text = String::new();
    let mut lines = (1..).zip(&document.lines);
    while let Some((at, line)) = lines.next() {
        if let Some(drawing) = drawings.get(&at) {
            text.push_str(drawing);
            // The drawing takes the place of the whole block.
            while lines.next().is_some_and(|(_, line)| line.kind != Kind::Closes) {}
        } else if line.kind == Kind::Text {
            let of_line = names.get(&at).map(Vec::as_slice).unwrap_or_default();
            text.push_str(&maker.line(at, &line.text, of_line));
        } else {
            text.push_str(&line.text);
        }
        text.push('\n');
    }
    if let Some(number) = number {
        text.push_str(&end(tree, document, number));
    }
    let name = page_name(&document.path).to_owned();
    if maker.faults.is_empty() {
        Ok(Page { name, text, pictures: maker.pictures, wanted: maker.wanted })
    } else {
        Err(maker.faults)
    }
}

/// A name in a line: the text between the backticks, and where it leads.
type Name = (String, Option<String>);

struct Maker<'t> {
    tree: &'t Tree,
    document: &'t Document,
    pictures: Vec<String>,
    wanted: Wanted,
    faults: Vec<Fault>,
}

impl Maker<'_> {
    fn fault(&mut self, line: usize, what: impl Into<String>) {
        self.faults.push(Fault::new(&self.document.path, line, what));
    }

    /// The names of a chapter's "Read along", by their lines.
    fn names(&mut self, words: &Words, number: usize) -> BTreeMap<usize, Vec<Name>> {
        let mut names: BTreeMap<usize, Vec<Name>> = BTreeMap::new();
        match names::read_along(self.tree, words, number, self.document) {
            Err(fault) => self.faults.push(fault),
            Ok(spans) => {
                for span in spans {
                    let href = match span.meaning {
                        Err(fault) => {
                            self.faults.push(fault);
                            None
                        }
                        Ok(Meaning::Listed) => None,
                        Ok(Meaning::Code(target)) => {
                            let file = target.file;
                            Some(match target.fragment {
                                Some(name) => {
                                    let href = format!("{file}.html#{name}");
                                    self.wanted.insert((file, name));
                                    href
                                }
                                None => format!("{file}.html"),
                            })
                        }
                    };
                    names.entry(span.line).or_default().push((span.text, href));
                }
            }
        }
        names
    }

    /// The conversations of the document, by the lines at which their blocks open.
    fn drawings(&mut self) -> BTreeMap<usize, String> {
        let mut drawings = BTreeMap::new();
        for (line, lines) in self.document.blocks("mermaid") {
            match diagram::parse(&lines, line + 1) {
                Ok(diagram) => {
                    let svg = drawing::svg(&diagram, line);
                    drawings.insert(line, format!("\n<div class=\"wide\">\n{svg}\n</div>\n"));
                }
                Err(faults) => faults.into_iter().for_each(|(line, why)| self.fault(line, why)),
            }
        }
        drawings
    }

    /// A line outside of blocks, with its links.
    fn line(&mut self, number: usize, text: &str, names: &[Name]) -> String {
        let mut names = names.iter();
        let mut made = String::new();
        let mut done = 0;
        for part in parts(text) {
            let (at, new) = match part {
                Part::Span { at, linked } => {
                    let href = names.next().and_then(|(_, href)| href.as_ref());
                    // A heading is a link to itself.
                    let Some(href) = href.filter(|_| !linked && !text.starts_with('#')) else {
                        continue;
                    };
                    let span = format!("[{}]({href})", &text[at.clone()]);
                    (at, span)
                }
                Part::Link { at } => {
                    let Some(target) = self.link(number, text, at.clone()) else { continue };
                    (at, target)
                }
            };
            made.push_str(&text[done..at.start]);
            made.push_str(&new);
            done = at.end;
        }
        made + &text[done..]
    }

    /// Where a link leads in the book. `None` if it stays as it is.
    fn link(&mut self, number: usize, text: &str, at: Range<usize>) -> Option<String> {
        let target = &text[at];
        if target.contains("://") || target.starts_with("mailto:") {
            return None;
        }
        let (path, fragment) =
            target.split_once('#').map_or((target, None), |(path, it)| (path, Some(it)));
        let hash = fragment.map_or(String::new(), |fragment| format!("#{fragment}"));
        let path = if path.is_empty() {
            self.document.path.clone()
        } else {
            within(&self.document.path, path)
        };
        if let Some(document) = self.tree.documents.get(&path) {
            if let Some(fragment) = fragment
                && !document.fragments().iter().any(|known| known == fragment)
            {
                let known = document.fragments();
                let near = crate::fault::nearest(fragment, known.iter().map(String::as_str));
                let near = near.map_or(String::new(), |near| format!("; the nearest is `#{near}`"));
                self.fault(
                    number,
                    format!("`{target}`: {path} has no heading `#{fragment}`{near}"),
                );
            }
            return Some(format!("{}{hash}", page_name(&path)));
        }
        if path.starts_with("src/") && self.tree.sources.contains_key(&path) {
            if let Some(fragment) = fragment {
                self.wanted.insert((path.clone(), fragment.to_owned()));
            }
            return Some(format!("{path}.html{hash}"));
        }
        if [".png", ".svg", ".webp"].iter().any(|end| path.ends_with(end))
            && self.tree.root.join(&path).is_file()
        {
            let name = path.rsplit('/').next().unwrap_or(&path).to_owned();
            self.pictures.push(path);
            return Some(name);
        }
        let what =
            format!("`{target}` leaves the book: {path} is no page, no source and no picture");
        self.fault(number, what);
        None
    }
}

/// A path relative to a document, relative to the crate: `../src/x.rs` in docs/a.md is `src/x.rs`.
fn within(document: &str, path: &str) -> String {
    let folder = document.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_some() => {}
            other => parts.push(other),
        }
    }
    parts.join("/")
}

/// What comes after a chapter's last line: its exercises, its tests, the next chapter.
fn end(tree: &Tree, chapter: &Document, number: usize) -> String {
    let mut links = Vec::new();
    if chapter.fragments().iter().any(|fragment| fragment == "exercises") {
        links.push("<a href=\"#exercises\">The exercises</a>".to_owned());
    }
    if let Some(path) = tree.tests(number).next() {
        let page = group_of(path);
        links.push(format!("<a href=\"{page}.html\">The tests</a>"));
    }
    if let Some((_, next)) = tree.chapters().range(number + 1..).next() {
        let page = page_name(&next.path).replace(".md", ".html");
        links.push(format!("<a href=\"{page}\">Next: {}</a>", drawing::escaped(&next.title())));
    }
    format!("\n<nav class=\"end\">\n{}\n</nav>\n", links.join("\n"))
}
