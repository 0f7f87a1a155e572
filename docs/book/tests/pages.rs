//! Pages: what mdBook gets, and the source beside it. None of this needs mdBook.

mod support;

use piecemeal_book::book::{pages, summary};
use piecemeal_book::chapter::page_name;
use piecemeal_book::markdown::{Document, Part, parts};
use piecemeal_book::names::Words;
use piecemeal_book::source::{self, Wanted};
use piecemeal_book::tree::Tree;
use std::collections::BTreeSet;
use support::{crate_tree, text_of, tree};

/// What is wrong with a chapter of the second stage, with these lines from the seventh on.
fn faults(lines: &str) -> Vec<String> {
    let chapter = format!("# 2. Second\n\n## Read along\n\n`Door`\n\n{lines}\n\n## Run it\n");
    let tree = tree(&[
        ("src/s02_second.rs", "pub struct Door;\n"),
        ("README.md", "# R\n\n## Quick start\n"),
        ("docs/02-second.md", &chapter),
    ]);
    let faults = pages(&tree, &Words::parse("")).err().unwrap_or_default();
    faults.into_iter().map(|fault| fault.to_string()).collect()
}

#[test]
fn all_documents_become_pages() {
    let tree = crate_tree();
    match pages(&tree, &Words::listed()) {
        Ok(pages) => assert_eq!(pages.len(), tree.documents.len()),
        Err(faults) => {
            let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
            panic!("the book cannot be made:\n  {}", lines.join("\n  "));
        }
    }
}

#[test]
fn a_link_that_leaves_the_book_is_found_with_its_line() {
    assert_eq!(
        faults("[fine](../README.md#quick-start) [and](#run-it) [and](https://example.org)"),
        [""; 0]
    );
    assert_eq!(faults("[source](../src/s02_second.rs)"), [""; 0]);
    assert_eq!(
        faults("One.\n[manifest](../Cargo.toml)"),
        [
            "docs/02-second.md:8: `../Cargo.toml` leaves the book: Cargo.toml is no page, no source and no picture"
        ]
    );
    let cases = [
        (
            "[gone](03-third.md)",
            "docs/02-second.md:7: `03-third.md` leaves the book: docs/03-third.md is no page",
        ),
        (
            "[out](../../other/README.md)",
            "docs/02-second.md:7: `../../other/README.md` leaves the book",
        ),
        ("![gone](gone.png)", "docs/02-second.md:7: `gone.png` leaves the book"),
        (
            "[gone](../src/s03_third.rs)",
            "docs/02-second.md:7: `../src/s03_third.rs` leaves the book",
        ),
    ];
    for (line, expected) in cases {
        let found = faults(line);
        assert!(found.len() == 1 && found[0].starts_with(expected), "{line}: {found:?}");
    }
}

#[test]
fn a_fragment_without_its_heading_is_found_with_the_nearest_one() {
    assert_eq!(
        faults("[x](../README.md#quick-strat)"),
        [
            "docs/02-second.md:7: `../README.md#quick-strat`: README.md has no heading `#quick-strat`; \
          the nearest is `#quick-start`"
        ]
    );
    assert_eq!(
        faults("[x](#nothing)"),
        ["docs/02-second.md:7: `#nothing`: docs/02-second.md has no heading `#nothing`"]
    );
}

#[test]
fn every_other_mistake_ends_the_book_as_well() {
    assert!(
        faults("`Dor`")[0]
            .starts_with("docs/02-second.md:7: `Dor` is not in the source of stage 2")
    );
    assert!(
        faults("`dor.rs`")[0].starts_with("docs/02-second.md:7: `dor.rs` is no file of stage 2")
    );
    assert_eq!(
        faults(
            "```mermaid\nsequenceDiagram\nparticipant a\nparticipant b\na->>b: hi\na~~b: ho\n```"
        ),
        ["docs/02-second.md:12: there is no arrow in it: a~~b: ho"]
    );
    let tree = tree(&[("src/s02_second.rs", ""), ("docs/02-second.md", "# 2. Second\n")]);
    let faults = pages(&tree, &Words::parse("")).err().unwrap_or_default();
    assert_eq!(
        faults[0].to_string(),
        "docs/02-second.md:1: the chapter has no section \"Read along\""
    );
    let both = "`Dor` and\n[gone](gone.md)";
    assert_eq!(self::faults(both).len(), 2, "all mistakes are named at once");
}

#[test]
fn names_become_links_but_not_in_headings_blocks_or_links() {
    let chapter = "# 2. Second\n\n## Read along\n\n### `Door`\n\n`Door`, [`Door`](../src/s02_second.rs)\n\n\
        ```rust\n`Door`\n```\n\n## Run it\n\n`Door`\n";
    let tree = tree(&[("src/s02_second.rs", "pub struct Door;\n"), ("docs/02-second.md", chapter)]);
    let pages = pages(&tree, &Words::parse("")).expect("nothing is wrong");
    let expected = "### `Door`\n\n[`Door`](src/s02_second.rs.html#Door), [`Door`](src/s02_second.rs.html)\n\n\
        ```rust\n`Door`\n```\n\n## Run it\n\n`Door`\n";
    assert!(pages[0].text.contains(expected), "{}", pages[0].text);
}

#[test]
fn every_link_in_a_page_leads_to_something_in_the_book() {
    let tree = crate_tree();
    let pages = pages(&tree, &Words::listed()).expect("another test says what is wrong");
    let wanted: Wanted = pages.iter().flat_map(|page| page.wanted.iter().cloned()).collect();
    let names: BTreeSet<&str> = pages.iter().map(|page| page.name.as_str()).collect();
    let pictures: BTreeSet<&str> = pages
        .iter()
        .flat_map(|page| &page.pictures)
        .map(|path| path.rsplit('/').next().unwrap_or(path))
        .collect();
    let mut broken = Vec::new();
    let mut links = 0;
    for page in &pages {
        for (number, line) in Document::parse(&page.name, &page.text).text() {
            for part in parts(line) {
                let Part::Link { at } = part else { continue };
                let target = &line[at];
                if target.contains("://") {
                    continue;
                }
                links += 1;
                let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
                let source =
                    path.strip_suffix(".html").filter(|path| tree.sources.contains_key(*path));
                let there = match source {
                    Some(file) if !fragment.is_empty() => {
                        let page = source::page(&tree, file, &wanted);
                        ids(fragment).iter().any(|id| page.contains(id))
                    }
                    Some(_) => true,
                    None => path.is_empty() || names.contains(path) || pictures.contains(path),
                };
                if !there {
                    broken.push(format!("{}:{number}: {target}", page.name));
                }
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n  {}", broken.join("\n  "));
    assert!(links > 500, "only {links} links");
}

/// How a place in a source page may be marked.
fn ids(fragment: &str) -> [String; 3] {
    [
        format!("<li id={fragment}>"),
        format!("<section id=\"{fragment}\">"),
        format!("<a id=\"{fragment}\"></a>"),
    ]
}

#[test]
fn a_source_page_has_every_letter_of_its_file() {
    let tree = crate_tree();
    for (path, file) in tree.sources.iter().filter(|(path, _)| path.starts_with("src/")) {
        let page = source::page(&tree, path, &Wanted::new());
        let (_, list) = page.split_once("<ol>").expect("it has a list of lines");
        let list = list.strip_suffix("</ol>\n").expect("the list ends the page");
        let lines: Vec<String> = list.split("<li>").skip(1).map(text_of).collect();
        assert_eq!(lines.join("\n"), file.text.trim_end_matches('\n'), "{path}");
    }
}

#[test]
fn what_is_wanted_is_enclosed_with_its_comment() {
    let text = "use a::b;\n\n/// Opens.\n#[inline]\npub fn open(force: bool) {\n}\npub fn close() {}\nenum E { A { b: u8 } }\n";
    let tree =
        tree(&[("src/s02_second.rs", text), ("src/s02_second/lock.rs", "// <none> & \"all\"\n")]);
    let file = "src/s02_second.rs".to_owned();
    let wanted: Wanted = ["open", "L6", "close", "E.A", "A.b"]
        .iter()
        .map(|name| (file.clone(), (*name).to_owned()))
        .collect();
    let page = source::page(&tree, &file, &wanted);
    let (_, lines) = page.split_once("<ol>").expect("it has a list of lines");
    assert_eq!(
        lines,
        "<li>use a::b;<li></li><section id=\"open\"><li><i>/// Opens.</i><li>#[inline]<li>pub <b>fn</b> \
         open(force: bool) {</section><li id=L6>}</li><section id=\"close\"><li>pub <b>fn</b> close() {}</section></li>\
         <section id=\"E.A\"><li><a id=\"A.b\"></a><b>enum</b> E { A { b: u8 } }</section></ol>\n"
    );
    assert!(
        page.contains("<a href=\"s02_second.rs.html\" aria-current=page>s02_second</a>"),
        "{page}"
    );
    assert!(page.contains("<a href=\"s02_second/lock.rs.html\">lock</a>"), "{page}");
    let other = source::page(&tree, "src/s02_second/lock.rs", &wanted);
    assert!(other.contains("<li><i>// &lt;none> &amp; \"all\"</i>"), "{other}");
    assert!(other.contains("<a href=\"../../src/s02_second.rs.html\">s02_second</a>"), "{other}");
}

#[test]
fn a_drawing_in_a_comment_stays_in_one_piece() {
    let text = "//! A.\n//! ```text\n//! a -> b\n//! ```\nfn f() {}\n";
    let tree = tree(&[("src/s02_second.rs", text)]);
    let page = source::page(&tree, "src/s02_second.rs", &Wanted::new());
    let drawing = "<li><i>//! ```text</i></li><section class=drawing><li><i>//! a -> b</i></section><li><i>//! ```</i>";
    assert!(page.contains(drawing), "{page}");
}

#[test]
fn the_table_of_contents_has_every_page_once_and_the_chapters_numbers() {
    let tree = crate_tree();
    let summary = summary(&tree);
    for path in tree.documents.keys() {
        assert_eq!(
            summary.matches(&format!("({})", page_name(path))).count(),
            1,
            "{path} in {summary}"
        );
    }
    let numbered: Vec<&str> = summary.lines().filter(|line| line.starts_with("- ")).collect();
    let numbers: Vec<usize> = tree.chapters().into_keys().collect();
    assert_eq!(numbers, (1..=numbered.len()).collect::<Vec<_>>(), "mdBook counts them itself");
}

#[test]
fn each_stage_leads_to_its_chapter_its_tests_and_its_reference() {
    let tree: Tree = crate_tree();
    for (number, chapter) in tree.chapters() {
        let file = tree.stage(number)[0];
        let page = source::page(&tree, file, &Wanted::new());
        let module = file.trim_start_matches("src/").trim_end_matches(".rs");
        let html = page_name(&chapter.path).replace(".md", ".html");
        for link in [
            format!("<a href=\"../{html}\" target=\"_top\">Chapter {number}</a>"),
            format!("<a href=\"../tests/{module}.html\">Tests</a>"),
            format!("https://docs.rs/piecemeal/latest/piecemeal/{module}/"),
        ] {
            assert!(page.contains(&link), "{file} has no {link}");
        }
        let tests = source::tests(&tree, number).expect("every stage has tests");
        assert!(tests.matches("\n<li>").count() > 5, "{module}: {tests}");
        assert!(tests.contains(&format!("<code>cargo test --test {module}</code>")), "{tests}");
    }
}
