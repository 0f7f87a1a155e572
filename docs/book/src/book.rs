//! Puts the book together: pages for mdBook, source pages beside them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fmt, fs, io};

use crate::chapter::{self, Page, page_name};
use crate::fault::Fault;
use crate::names::Words;
use crate::source::{self, Wanted};
use crate::tree::{Tree, group_of, named, names, read};

/// The version of mdBook that the theme is made for.
pub const MDBOOK: &str = "0.5.4";

const SETTINGS: &str = include_str!("../book.toml");

/// Why there is no book.
#[derive(Debug)]
pub enum BookError {
    /// The documents have mistakes.
    Faults(Vec<Fault>),
    /// mdBook is not installed.
    NoMdbook,
    /// mdBook is installed, but in another version.
    OtherMdbook(String),
    /// mdBook failed.
    Mdbook(String),
    /// A file could not be read or written.
    Io(io::Error),
}

impl From<io::Error> for BookError {
    fn from(error: io::Error) -> BookError {
        BookError::Io(error)
    }
}

impl fmt::Display for BookError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let help = format!(
            "help: docs/book/install.sh installs it in target/, or, for all that you do:\n  \
             cargo install mdbook --version {MDBOOK} --locked --no-default-features --features search"
        );
        match self {
            BookError::Faults(faults) => {
                let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
                let noun = if lines.len() == 1 { "mistake" } else { "mistakes" };
                write!(out, "{} {noun}\n{}", lines.len(), lines.join("\n"))
            }
            BookError::NoMdbook => write!(out, "mdBook {MDBOOK} is not installed\n{help}"),
            BookError::OtherMdbook(version) => {
                write!(out, "this is {version}, but the book needs {MDBOOK}\n{help}")
            }
            BookError::Mdbook(output) => write!(out, "mdBook failed:\n{output}"),
            BookError::Io(error) => write!(out, "{error}"),
        }
    }
}

/// All pages, or all that is wrong with them.
pub fn pages(tree: &Tree, words: &Words) -> Result<Vec<Page>, Vec<Fault>> {
    let mut pages = Vec::new();
    let mut faults = Vec::new();
    for document in tree.documents.values() {
        match chapter::page(tree, words, document) {
            Ok(page) => pages.push(page),
            Err(found) => faults.extend(found),
        }
    }
    faults.sort();
    if faults.is_empty() { Ok(pages) } else { Err(faults) }
}

/// The table of contents: the chapters with their numbers, then the pages that the list in
/// docs/README.md names, then the others.
pub fn summary(tree: &Tree) -> String {
    let entry = |path: &str, title: &str| format!("[{title}]({})\n", page_name(path));
    let title = |path: &str| tree.documents[path].title();
    let mut summary = format!("# Summary\n\n{}", entry("README.md", &title("README.md")));
    let mut done = BTreeSet::from(["README.md".to_owned()]);
    if tree.documents.contains_key("docs/README.md") {
        summary += &entry("docs/README.md", &title("docs/README.md"));
        done.insert("docs/README.md".to_owned());
    }
    summary += "\n";
    for chapter in tree.chapters().values() {
        let words = chapter.title();
        // mdBook has numbers of its own, which are the same.
        let words = words.split_once(". ").map_or(words.as_str(), |(_, words)| words);
        summary += &format!("- {}", entry(&chapter.path, words));
        done.insert(chapter.path.clone());
    }
    summary += "\n---\n\n";
    let mut others: Vec<&String> =
        tree.documents.keys().filter(|path| !done.contains(*path)).collect();
    let list: Vec<&str> = tree
        .documents
        .get("docs/README.md")
        .map(|page| {
            page.text().map(|(_, line)| line).filter(|line| line.starts_with("* [")).collect()
        })
        .unwrap_or_default();
    others.sort_by_key(|path| {
        let name = format!("]({})", page_name(path));
        list.iter().position(|line| line.contains(&name)).unwrap_or(usize::MAX)
    });
    for path in others {
        summary += &entry(path, &title(path));
    }
    summary
}

/// Writes what mdBook reads into `from`, and the book into `to`. What was there is removed.
pub fn write(tree: &Tree, words: &Words, from: &Path, to: &Path) -> Result<(), BookError> {
    let pages = pages(tree, words).map_err(BookError::Faults)?;
    let mdbook = mdbook(&tree.root)?;
    for folder in [from, to] {
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(|error| named(folder, error))?;
        }
    }
    put(&from.join("book.toml"), SETTINGS)?;
    put(&from.join("src/SUMMARY.md"), &summary(tree))?;
    for (name, text) in [
        ("theme/fonts/fonts.css", "/* The reader's own fonts. */\n"),
        ("theme/highlight.js", include_str!("../theme/highlight.js")),
        ("beside.css", include_str!("../theme/beside.css")),
        ("beside.js", include_str!("../theme/beside.js")),
    ] {
        put(&from.join(name), text)?;
    }
    for page in &pages {
        put(&from.join("src").join(&page.name), &page.text)?;
        for picture in &page.pictures {
            let name = picture.rsplit('/').next().unwrap_or(picture);
            let path = tree.root.join(picture);
            fs::copy(&path, from.join("src").join(name)).map_err(|error| named(&path, error))?;
        }
    }
    let ran = Command::new(mdbook).arg("build").arg(from).arg("--dest-dir").arg(to).output()?;
    if !ran.status.success() {
        return Err(BookError::Mdbook(String::from_utf8_lossy(&ran.stderr).into_owned()));
    }
    let wanted: Wanted = pages.iter().flat_map(|page| page.wanted.iter().cloned()).collect();
    for path in tree.sources.keys().filter(|path| path.starts_with("src/")) {
        put(&to.join(format!("{path}.html")), &source::page(tree, path, &wanted))?;
    }
    for number in tree.chapters().into_keys() {
        if let (Some(path), Some(page)) = (tree.tests(number).next(), source::tests(tree, number)) {
            put(&to.join(format!("{}.html", group_of(path))), &page)?;
        }
    }
    put(&to.join("source.html"), &source::index(tree))?;
    put(&to.join("source.css"), include_str!("../theme/source.css"))?;
    put(&to.join("source.js"), include_str!("../theme/source.js"))?;
    shorten_search(to)?;
    Ok(())
}

/// Leaves out of mdBook's search index what it says twice (the text's words are once more under
/// `breadcrumbs`), what says nothing (that no page has a part of a word), and all but two decimals of
/// a word's weight. Together that is a quarter of the book. If the file looks otherwise one day, it
/// stays as it is.
fn shorten_search(to: &Path) -> io::Result<()> {
    let names = names(to)?;
    let index = names.iter().find(|name| name.starts_with("searchindex-") && name.ends_with(".js"));
    let Some(path) = index.map(|name| to.join(name)) else { return Ok(()) };
    let text = read(&path)?;
    let again = "\"breadcrumbs\":{\"root\":";
    let (Some(from), Some(end)) = (text.find(again), text.find(",\"title\":{\"root\":")) else {
        return Ok(());
    };
    if from > end {
        return Ok(());
    }
    let short = format!("{}{again}{{\"docs\":{{}},\"df\":0}}}}{}", &text[..from], &text[end..]);
    let mut weights = short.split("\"tf\":");
    let mut made = weights.next().unwrap_or_default().to_owned();
    for rest in weights {
        let end = rest.find('}').unwrap_or(rest.len());
        let decimals = rest[..end].find('.').map_or(end, |point| end.min(point + 3));
        made = made + "\"tf\":" + &rest[..decimals] + &rest[end..];
    }
    put(&path, &made.replace("{\"docs\":{},\"df\":0,", "{"))
}

/// The program, if it is there in the right version: what `MDBOOK` in the environment says, what
/// docs/book/install.sh has installed, or what is on the path.
pub fn mdbook(root: &Path) -> Result<PathBuf, BookError> {
    let installed = root.join("target/mdbook/bin/mdbook");
    let program = match std::env::var_os("MDBOOK") {
        Some(program) => PathBuf::from(program),
        None if installed.is_file() => installed,
        None => PathBuf::from("mdbook"),
    };
    let ran = Command::new(&program).arg("--version").output().map_err(|_| BookError::NoMdbook)?;
    let version = String::from_utf8_lossy(&ran.stdout).trim().to_owned();
    if version.trim_start_matches("mdbook v") == MDBOOK {
        Ok(program)
    } else {
        Err(BookError::OtherMdbook(version))
    }
}

fn put(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| named(folder, error))?;
    }
    fs::write(path, text).map_err(|error| named(path, error))
}
