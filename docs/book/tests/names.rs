//! The names in "Read along": each leads to a line that holds it, or is a word that is no code.

mod support;

use piecemeal_book::names::{Meaning, Span, Words, read_along};
use piecemeal_book::tree::Tree;
use std::collections::BTreeSet;
use support::{crate_tree, tree};

fn spans(tree: &Tree, words: &Words) -> Vec<(usize, Span)> {
    let chapters = tree.chapters();
    let each = chapters.iter().flat_map(|(number, chapter)| {
        let spans = read_along(tree, words, *number, chapter).expect("it has a \"Read along\"");
        spans.into_iter().map(|span| (*number, span))
    });
    each.collect()
}

#[test]
fn every_name_leads_to_a_line_that_holds_it_or_is_a_listed_word() {
    let tree = crate_tree();
    let mut wrong = Vec::new();
    let (mut linked, mut listed) = (0, 0);
    for (_, span) in spans(&tree, &Words::listed()) {
        match span.meaning {
            Err(fault) => wrong.push(fault.to_string()),
            Ok(Meaning::Listed) => listed += 1,
            Ok(Meaning::Code(target)) => {
                linked += 1;
                let Some(line) = target.line else { continue };
                let text =
                    tree.sources[&target.file].text.lines().nth(line - 1).unwrap_or_default();
                let name = span.text.rsplit("::").next().unwrap_or_default().trim_end_matches("()");
                if !text.contains(name) {
                    wrong.push(format!("{}:{line} does not hold `{name}`", target.file));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} names:\n  {}", wrong.len(), wrong.join("\n  "));
    assert!(linked > 400, "only {linked} names are links");
    println!("{linked} names are links, {listed} are words that are no code");
}

#[test]
fn every_listed_word_is_in_its_chapter() {
    let tree = crate_tree();
    let words = Words::listed();
    let used: BTreeSet<(usize, String)> = spans(&tree, &words)
        .into_iter()
        .filter(|(_, span)| span.meaning == Ok(Meaning::Listed))
        .flat_map(|(number, span)| [(0, span.text.clone()), (number, span.text)])
        .collect();
    let idle: Vec<String> = words
        .all()
        .filter(|(number, word)| !used.contains(&(*number, (*word).to_owned())))
        .map(|(number, word)| format!("{number} {word}"))
        .collect();
    assert!(
        idle.is_empty(),
        "docs/book/not-code.txt lists words that no chapter has:\n  {}",
        idle.join("\n  ")
    );
}

/// Two stages, a chapter of the second.
fn two_stages(read_along: &str) -> Tree {
    tree(&[
        (
            "src/s01_first.rs",
            "pub struct Early;\nimpl Early {\n    pub fn only_here(&self) {}\n}\n",
        ),
        (
            "src/s02_second.rs",
            "use crate::s01_first::Early;\n\npub struct Door;\n\nimpl Door {\n    /// Opens.\n    pub fn open(&self, \
             times: u32) {\n        let raw = info.raw;\n    }\n}\n\npub enum Why {\n    Crowded,\n}\n",
        ),
        ("src/s02_second/lock.rs", "pub fn open() {}\n\npub fn turn() {}\n"),
        (
            "docs/02-second.md",
            &format!("# 2. Second\n\n## Read along\n\n{read_along}\n\n## Run it\n"),
        ),
    ])
}

fn leads(read_along: &str) -> Vec<String> {
    let tree = two_stages(read_along);
    let leads =
        spans(&tree, &Words::parse("2 wire")).into_iter().map(|(_, span)| match span.meaning {
            Err(fault) => fault.to_string(),
            Ok(Meaning::Listed) => "listed".to_owned(),
            Ok(Meaning::Code(target)) => {
                let file = target.file.trim_start_matches("src/").to_owned();
                target.fragment.map_or(file.clone(), |fragment| format!("{file}#{fragment}"))
            }
        });
    leads.collect()
}

#[test]
fn a_name_means_the_most_likely_of_its_kind() {
    let cases = [
        ("`Door`", "s02_second.rs#Door"),
        ("`Door::open`", "s02_second.rs#Door.open"),
        ("`lock::open`", "s02_second/lock.rs#open"),
        ("`lock.rs`", "s02_second/lock.rs"),
        ("`src/s02_second/lock.rs`", "s02_second/lock.rs"),
        ("`lock`", "s02_second/lock.rs"),
        ("`Crowded`", "s02_second.rs#Why.Crowded"),
        ("`open()`", "s02_second/lock.rs#open"), // a function of its own before a method
        ("`times`", "s02_second.rs#L7"),         // a parameter has no place of its own
        ("`info.raw`", "s02_second.rs#L8"),
        ("`Early`", "s01_first.rs#Early"),
        ("`only_here`", "s01_first.rs#Early.only_here"),
        ("`wire`", "listed"),
    ];
    for (text, expected) in cases {
        assert_eq!(leads(text), [expected], "{text}");
    }
}

#[test]
fn the_text_around_a_name_says_which_one_is_meant() {
    let cases = [
        ("`Door` and its `open`", "s02_second.rs#Door.open"),
        ("`Door`, and the function `open`", "s02_second/lock.rs#open"),
        ("`Door`. In `lock.rs`: `open`", "s02_second/lock.rs#open"),
        ("`Door` and\n`open` in `lock.rs`", "s02_second/lock.rs#open"),
        (
            "In `lock.rs` there is something.\n\n**Now** `Door` and `open`",
            "s02_second.rs#Door.open",
        ),
        ("Read `src/s02_second.rs`, `lock.rs`.\n\n`Door`: `open`", "s02_second.rs#Door.open"),
    ];
    for (text, expected) in cases {
        assert!(leads(text).contains(&expected.to_owned()), "{text}: {:?}", leads(text));
    }
}

#[test]
fn a_name_that_was_renamed_is_found_with_its_line_and_the_nearest_name() {
    let found = leads("One line.\n`Dooor` opens.");
    assert!(
        found[0].starts_with("docs/02-second.md:6: `Dooor` is not in the source of stage 2"),
        "{found:?}"
    );
    assert!(found[0].contains("the nearest is `Door`"), "{found:?}");
    let found = leads("`Door::opens`");
    assert!(found[0].contains("the nearest is `open`"), "{found:?}");
    assert!(leads("`Door::turn`")[0].contains("is not in the source"), "turn has no owner");
}

#[test]
fn a_file_of_no_stage_is_found() {
    let found = leads("`locks.rs`");
    assert_eq!(
        found,
        ["docs/02-second.md:5: `locks.rs` is no file of stage 2; the nearest is `lock.rs`"]
    );
    assert!(leads("`src/s02_second/gone.rs`")[0].contains("is no file of stage 2"));
}

#[test]
fn a_chapter_without_read_along_is_found() {
    let tree = tree(&[("src/s02_x.rs", ""), ("docs/02-second.md", "# 2. Second\n\n## Run it\n")]);
    let chapter = tree.chapters()[&2];
    let fault = read_along(&tree, &Words::parse(""), 2, chapter).expect_err("it has none");
    assert_eq!(fault.to_string(), "docs/02-second.md:1: the chapter has no section \"Read along\"");
}
