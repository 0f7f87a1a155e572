//! Makes a page of a Rust file: line numbers, colors for comments, strings and keywords, a tab for
//! each file of the same stage, links to the chapter, the tests and the reference.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::chapter::page_name;
use crate::items::Rank;
use crate::names::fragment;
use crate::rust::{self, Kind};
use crate::tree::{Tree, group_of, stage_number};

/// Where the reference is once the crate is published. (It is too large for the book.)
const REFERENCE: &str = "https://docs.rs/piecemeal/latest/piecemeal";

/// The most files that are tabs of one another. Of the commands there is a list.
const MOST_TABS: usize = 20;

/// Where chapters lead: files with the fragments in their pages.
pub type Wanted = BTreeSet<(String, String)>;

/// The page of a source file. What is wanted in it can be led to.
pub fn page(tree: &Tree, path: &str, wanted: &Wanted) -> String {
    let up = "../".repeat(path.matches('/').count());
    let mut page = head(path.strip_prefix("src/").unwrap_or(path), &up);
    page.push_str(&header(path, &around(tree, path, &up)));
    let group = tree.group(path);
    if group.len() <= MOST_TABS {
        page.push_str("<nav>");
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for other in group {
            let here = if other == path { " aria-current=page" } else { "" };
            let href = other
                .strip_prefix(folder)
                .and_then(|name| name.strip_prefix('/'))
                .map_or_else(|| format!("{up}{other}"), str::to_owned);
            let _ = writeln!(page, "<a href=\"{href}.html\"{here}>{}</a>", tab(other));
        }
        page.push_str("</nav>");
    }
    page.push_str("</header>\n<ol>");
    page.push_str(&lines(tree, path, wanted));
    page.push_str("</ol>\n");
    page
}

fn header(title: &str, links: &[(String, String)]) -> String {
    let mut header = format!("<header><p><b>{title}</b>");
    for (text, href) in links {
        let _ = write!(header, " <a href=\"{href}\"");
        // A chapter is not for the pane, which is beside one.
        let is_page = !href.contains(".rs.html")
            && !href.contains("tests/")
            && !href.ends_with("source.html");
        header.push_str(if is_page { " target=\"_top\">" } else { ">" });
        let _ = write!(header, "{text}</a>");
    }
    header + "</p>"
}

/// The page of a stage's tests: their names, which are sentences.
pub fn tests(tree: &Tree, number: usize) -> Option<String> {
    let files: Vec<&String> = tree.tests(number).collect();
    let first = files.first()?;
    let target = group_of(first).trim_start_matches("tests/");
    let mut page = head(&format!("Tests of {target}"), "../");
    page.push_str(&header(&format!("Tests of {target}"), &around(tree, first, "../")));
    let _ = write!(
        page,
        "</header>\n<main>\n<p><code>cargo test --test {target}</code> runs them. Add a part of a name, with its underscores, to run only the tests that have it.</p>\n"
    );
    for path in files {
        let source = &tree.sources[path];
        let tests = source.items.iter().filter(|item| item.is_test);
        let names: Vec<&str> = tests.map(|item| item.name.as_str()).collect();
        if !names.is_empty() {
            let items: Vec<String> =
                names.iter().map(|name| format!("<li>{}", name.replace('_', " "))).collect();
            let _ = write!(page, "<h2>{path}</h2>\n<ul>\n{}\n</ul>\n", items.join("\n"));
        }
    }
    page.push_str("</main>\n");
    Some(page)
}

/// The page that lists all source files.
pub fn index(tree: &Tree) -> String {
    let mut page = head("All source files", "");
    page.push_str(&header("All source files", &[("The book".to_owned(), "index.html".to_owned())]));
    page.push_str("</header>\n<main>\n");
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for path in tree.sources.keys().filter(|path| path.starts_with("src/")) {
        groups.entry(group_of(path)).or_default().push(path);
    }
    for paths in groups.values() {
        page.push_str("<p>");
        for path in paths {
            let _ =
                writeln!(page, "<a href=\"{path}.html\">{}</a>", path.trim_start_matches("src/"));
        }
        page.push_str("</p>\n");
    }
    page.push_str("</main>\n");
    page
}

fn head(title: &str, up: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<link rel=\"icon\" href=\"data:,\">\n\
         <link rel=\"stylesheet\" href=\"{up}source.css\">\n<script src=\"{up}source.js\"></script>\n"
    )
}

/// The name on a file's tab: `torrent_loop/ending` for src/s15_swarm/torrent_loop/ending.rs.
fn tab(path: &str) -> &str {
    let inside = path.strip_prefix(group_of(path)).unwrap_or(path);
    let name = inside.strip_prefix('/').unwrap_or_else(|| path.rsplit('/').next().unwrap_or(path));
    name.strip_suffix(".rs").unwrap_or(name)
}

/// What belongs to a file: its stage's chapter, tests and reference.
fn around(tree: &Tree, path: &str, up: &str) -> Vec<(String, String)> {
    let mut links = Vec::new();
    if let Some(number) = stage_number(path) {
        if let Some(chapter) = tree.chapters().get(&number) {
            let page = page_name(&chapter.path).replace(".md", ".html");
            links.push((format!("Chapter {number}"), format!("{up}{page}")));
        }
        if path.starts_with("src/") && tree.tests(number).next().is_some() {
            let module = group_of(path).trim_start_matches("src/");
            links.push(("Tests".to_owned(), format!("{up}tests/{module}.html")));
        }
        if !path.starts_with("src/")
            && let Some(file) = tree.stage(number).first()
        {
            links.push(("Source".to_owned(), format!("{up}{file}.html")));
        }
        if path.starts_with("src/") {
            let module = group_of(path).trim_start_matches("src/");
            links.push(("Reference".to_owned(), format!("{REFERENCE}/{module}/")));
        }
    }
    links.push(("All files".to_owned(), format!("{up}source.html")));
    links
}

/// The lines of a file. What is wanted is enclosed with its comment, under its name.
fn lines(tree: &Tree, path: &str, wanted: &Wanted) -> String {
    let source = &tree.sources[path];
    let is_wanted = |fragment: &str| wanted.contains(&(path.to_owned(), fragment.to_owned()));
    // The first line of each: its last line and its name.
    let mut named: BTreeMap<usize, (usize, String)> = BTreeMap::new();
    // What is within another: a field in the line of its variant.
    let mut within: BTreeMap<usize, String> = BTreeMap::new();
    for item in source.items.iter().filter(|item| item.rank != Rank::Local) {
        let name = fragment(tree, path, item);
        let is_taken =
            named.range(..=item.line).next_back().is_some_and(|(_, (last, _))| *last >= item.head);
        if !is_wanted(&name) {
            continue;
        }
        if is_taken {
            let _ = write!(within.entry(item.line).or_default(), "<a id=\"{name}\"></a>");
        } else {
            named.insert(item.head, (item.line, name));
        }
    }
    let mut page = String::new();
    let mut open = None;
    let mut is_drawing = false;
    for ((number, line), raw) in (1..).zip(colored(&source.text)).zip(source.text.lines()) {
        let is_fence = is_fence(raw);
        if is_fence && is_drawing {
            page.push_str("</section>");
            is_drawing = false;
        }
        if let Some((last, name)) = named.get(&number) {
            // An item of the list ends with the next one, but not with a section.
            let end = if number > 1 { "</li>" } else { "" };
            let _ = write!(page, "{end}<section id=\"{name}\">");
            open = Some(*last);
        }
        let name = format!("L{number}");
        if is_wanted(&name) {
            let _ = write!(page, "<li id={name}>");
        } else {
            page.push_str("<li>");
        }
        page.push_str(within.get(&number).map_or("", String::as_str));
        page.push_str(&line);
        if open == Some(number) {
            page.push_str("</section>");
            open = None;
        }
        // A drawing does not wrap: it scrolls as a whole.
        if is_fence && raw.trim_end().ends_with(|letter: char| letter.is_alphanumeric()) {
            page.push_str("</li><section class=drawing>");
            is_drawing = true;
        }
    }
    page
}

/// Whether a line opens or closes a block in a comment.
fn is_fence(line: &str) -> bool {
    let line = line.trim_start();
    let comment = line.strip_prefix("//!").or_else(|| line.strip_prefix("///"));
    comment.is_some_and(|text| text.trim_start().starts_with("```"))
}

/// The lines as HTML: `<i>` is a comment, `<u>` a string, `<b>` a keyword that an eye looks for.
fn colored(source: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut done = 0;
    for token in rust::tokens(source) {
        let tag = match token.kind {
            Kind::Comment | Kind::Doc => "i",
            Kind::Text => "u",
            Kind::Word if rust::is_landmark(token.text) => "b",
            _ => continue,
        };
        put(&mut lines, &source[done..token.at], None);
        put(&mut lines, token.text, Some(tag));
        done = token.at + token.text.len();
    }
    put(&mut lines, source[done..].trim_end_matches('\n'), None);
    lines
}

/// Appends a text, which may go over several lines.
fn put(lines: &mut Vec<String>, text: &str, tag: Option<&str>) {
    for (at, part) in text.split('\n').enumerate() {
        if at > 0 {
            lines.push(String::new());
        }
        let Some(line) = lines.last_mut().filter(|_| !part.is_empty()) else { continue };
        match tag {
            Some(tag) => {
                let _ = write!(line, "<{tag}>{}</{tag}>", short(part));
            }
            None => line.push_str(&short(part)),
        }
    }
}

/// A text as HTML, with no more escapes than it needs between tags.
fn short(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
