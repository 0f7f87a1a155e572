//! Chapter, module and test file go together. (That a chapter names what exists is checked where
//! names become links, in docs/book.)

use super::tree::{assert_none, names, read, root, stages};
use std::collections::BTreeSet;

/// Chapters as (number, file name): `04-handshake.md`.
fn chapters() -> Vec<(usize, String)> {
    names("docs")
        .into_iter()
        .filter_map(|name| {
            let (number, _) = name.split_once('-')?;
            let number =
                (number.len() == 2 && name.ends_with(".md")).then(|| number.parse().ok())??;
            Some((number, name))
        })
        .collect()
}

#[test]
fn every_stage_has_a_chapter_and_every_chapter_a_stage() {
    let stages: BTreeSet<String> = stages().iter().map(|s| format!("{:02}", s.number)).collect();
    let chapters: BTreeSet<String> =
        chapters().iter().map(|(number, _)| format!("{number:02}")).collect();
    let without_chapter: Vec<String> = stages.difference(&chapters).cloned().collect();
    let without_stage: Vec<String> = chapters.difference(&stages).cloned().collect();
    assert_none("stages without docs/NN-*.md", &without_chapter);
    assert_none("chapters without src/sNN_*.rs", &without_stage);
}

#[test]
fn every_stage_has_a_test_file_and_every_test_file_a_stage() {
    let stages: BTreeSet<String> = stages().iter().map(|s| format!("{}.rs", s.name)).collect();
    let tests: BTreeSet<String> = names("tests")
        .into_iter()
        .filter(|name| super::tree::stage_number(name.trim_end_matches(".rs")).is_some())
        .collect();
    let tests: BTreeSet<String> = tests.into_iter().filter(|name| name.ends_with(".rs")).collect();
    assert_none(
        "stages without tests/sNN_*.rs",
        &stages.difference(&tests).cloned().collect::<Vec<_>>(),
    );
    assert_none(
        "tests/sNN_*.rs without a stage",
        &tests.difference(&stages).cloned().collect::<Vec<_>>(),
    );
}

#[test]
fn every_chapter_follows_the_template() {
    let parts = [
        "You will be able to",
        "Where we are",
        "Predict",
        "Read along",
        "Run it",
        "When it goes wrong",
        "Exercises",
        "Left out",
    ];
    let mut wrong = Vec::new();
    for (_, chapter) in chapters() {
        let text = read(&root().join("docs").join(&chapter));
        let mut last = 0;
        for part in parts {
            match text.lines().position(|line| line.starts_with('#') && line.contains(part)) {
                None => wrong.push(format!("docs/{chapter} has no \"{part}\"")),
                Some(at) if at < last => {
                    wrong.push(format!("docs/{chapter}: \"{part}\" comes too early"))
                }
                Some(at) => last = at,
            }
        }
    }
    assert_none("the chapters' template", &wrong);
}
