//! Chapter, module and test file go together, and a chapter names what exists.

use super::tree::{Stage, assert_none, has_word, names, read, root, stages};
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

/// The text under a heading that holds `title`, up to the next of its kind.
fn section<'t>(chapter: &'t str, title: &str) -> Option<&'t str> {
    let heading = chapter.lines().find(|line| line.starts_with('#') && line.contains(title))?;
    let level = heading.chars().take_while(|c| *c == '#').count();
    let begin = heading.as_ptr() as usize - chapter.as_ptr() as usize + heading.len();
    let rest = &chapter[begin..];
    let end = rest
        .lines()
        .find(|line| {
            let hashes = line.chars().take_while(|c| *c == '#').count();
            (1..=level).contains(&hashes) && line[hashes..].starts_with(' ')
        })
        .map_or(rest.len(), |line| line.as_ptr() as usize - rest.as_ptr() as usize);
    Some(&rest[..end])
}

/// The texts between backticks, without fenced blocks.
fn quoted(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            found.extend(line.split('`').skip(1).step_by(2));
        }
    }
    found
}

/// A name of code: `Handshake`, `exchange()`, `Handshake::reserved`, `Tier.urls`.
/// Anything else between backticks is an example, a command or bytes.
fn segments(quoted: &str) -> Option<Vec<&str>> {
    let name = quoted.strip_suffix("()").unwrap_or(quoted);
    let parts: Vec<&str> = name.split("::").flat_map(|part| part.split('.')).collect();
    let is_name = |part: &&str| {
        part.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    parts.iter().all(is_name).then_some(parts)
}

/// Words of the protocol that chapters name although the code does not use them.
const FOREIGN: [&str; 2] = ["source", "md5sum"];

/// The names in a chapter's "Read along" that neither its stage nor an earlier one has.
fn missing(stage: &Stage, earlier: &str, chapter: &str, text: &str) -> Vec<String> {
    let mut missing = Vec::new();
    let Some(section) = section(text, "Read along") else {
        return vec![format!("docs/{chapter} has no \"Read along\" section")];
    };
    for quoted in quoted(section) {
        if quoted.ends_with(".rs") || quoted.ends_with(".md") {
            let of_stage = stage.files.iter().any(|file| file.ends_with(quoted));
            if !of_stage
                && !root().join(quoted).is_file()
                && !root().join("src").join(quoted).is_file()
            {
                missing.push(format!("docs/{chapter}: {quoted} is no file"));
            }
        } else if !FOREIGN.contains(&quoted)
            && segments(quoted)
                .is_some_and(|parts| !parts.iter().all(|part| has_word(earlier, part)))
        {
            missing
                .push(format!("docs/{chapter}: `{quoted}` is not in {}", stage.main().display()));
        }
    }
    missing
}

#[test]
fn every_name_in_read_along_exists_in_the_stage_or_before_it() {
    let mut wrong = Vec::new();
    let mut source = String::new();
    for stage in stages() {
        source += &stage.text();
        for (_, chapter) in chapters().iter().filter(|(number, _)| *number == stage.number) {
            wrong.extend(missing(
                &stage,
                &source,
                chapter,
                &read(&root().join("docs").join(chapter)),
            ));
        }
    }
    assert_none("chapters that name what is not there", &wrong);
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
