//! What `docs/teaching.md` names exists: checks of the judge, holes of the starters, questions of the
//! chapters. And a session takes as long as it says.

use super::markdown::root;
use piecemeal::grade::checks;
use std::collections::{BTreeMap, BTreeSet};

/// The length of a session, in minutes.
const SESSION: u32 = 90;

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn page() -> String {
    read("docs/teaching.md")
}

/// The text below a heading, without its subsections.
fn below<'p>(page: &'p str, heading: &str) -> &'p str {
    let (_, text) = page.split_once(heading).unwrap_or_else(|| panic!("there is no {heading}"));
    text.split("\n#").next().unwrap_or_default()
}

/// The sessions, each with its title.
fn sessions(page: &str) -> Vec<&str> {
    page.split("\n## Session ")
        .skip(1)
        .map(|part| part.split("\n## ").next().unwrap_or(part))
        .collect()
}

/// The rows of the first table in a text, without its head.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let rows = lines.take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// The items that begin with `* **kind`, each with the lines that belong to it.
fn items<'p>(text: &'p str, kind: &str) -> Vec<&'p str> {
    let ends = |item: &'p str| item.split("\n\n").next().unwrap_or(item);
    let items = text.split("\n* **").skip(1).map(ends).filter(|item| item.starts_with(kind));
    items.map(|item| item.split_once(":** ").unwrap_or_else(|| panic!("{item}")).1).collect()
}

/// The checks in a text such as `1.2, 1.4 to 1.6`; those of a range are all there.
fn checks_in(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for part in text.split(',').map(str::trim) {
        let (first, last) = part.split_once(" to ").unwrap_or((part, part));
        let split = |id: &str| -> (u32, u32) {
            assert!(checks::find(id).is_some(), "there is no check {id}");
            let (stage, number) = id.split_once('.').expect("an id has a stage");
            (stage.parse().expect("a stage"), number.parse().expect("a number"))
        };
        let ((stage, from), (same, to)) = (split(first), split(last));
        assert!(stage == same && from <= to, "{part} is no range");
        found.extend((from..=to).map(|number| format!("{stage}.{number}")));
    }
    found.iter().for_each(|id| assert!(checks::find(id).is_some(), "there is no check {id}"));
    found
}

/// The minutes of each hole, by stage and name.
fn holes() -> BTreeMap<(i64, String), i64> {
    let list: toml::Table = read("docs/exercises.toml").parse().expect("it is TOML");
    let holes = list["hole"].as_array().expect("a list");
    let number = |hole: &toml::Value, key: &str| hole[key].as_integer().expect("a number");
    let name = |hole: &toml::Value| hole["name"].as_str().expect("text").to_owned();
    holes
        .iter()
        .map(|hole| ((number(hole, "stage"), name(hole)), number(hole, "minutes")))
        .collect()
}

/// The minutes of the holes in an item such as `stage 6: ...; stage 7: ...`.
fn minutes_of(item: &str, holes: &BTreeMap<(i64, String), i64>) -> Vec<i64> {
    let mut minutes = Vec::new();
    for part in item.split("; ") {
        let (stage, names) = part.split_once(": ").unwrap_or_else(|| panic!("{part}"));
        let stage: i64 = stage.trim_start_matches("stage ").parse().expect("a stage");
        for name in names.split('`').skip(1).step_by(2) {
            let found = holes.get(&(stage, name.to_owned()));
            minutes.push(*found.unwrap_or_else(|| panic!("stage {stage} has no hole {name}")));
        }
    }
    minutes
}

/// The numbers of the questions under *Predict*, by chapter.
fn questions() -> BTreeMap<u32, BTreeSet<u32>> {
    let names = std::fs::read_dir(root().join("docs")).expect("there are documents");
    let names =
        names.map(|it| it.expect("it can be read").file_name().to_string_lossy().into_owned());
    let chapter = |name: String| {
        let number = name.split_once('-')?.0.parse().ok().filter(|_| name.ends_with(".md"))?;
        let text = read(&format!("docs/{name}"));
        let asked = below(&text, "\n## Predict").split("<details>").next()?.to_owned();
        let numbers = asked.lines().filter_map(|line| line.split_once(". ")?.0.parse().ok());
        Some((number, numbers.collect()))
    };
    names.filter_map(chapter).collect()
}

#[test]
fn twelve_sessions_take_ninety_minutes_each() {
    let page = page();
    let sessions = sessions(&page);
    assert_eq!(sessions.len(), 12);
    for (number, session) in (1..).zip(&sessions) {
        assert!(session.starts_with(&format!("{number}: ")), "{session}");
        let minutes =
            rows(session).iter().map(|row| row[0].parse::<u32>().expect("minutes")).sum::<u32>();
        assert_eq!(minutes, SESSION, "session {number}");
        for part in ["\nAim: ", "\n* **Board:** ", "\n* **Goes wrong:** "] {
            assert!(session.contains(part), "session {number} has no {part}");
        }
    }
}

#[test]
fn every_check_that_a_session_or_the_rubric_names_exists() {
    let page = page();
    for session in sessions(&page) {
        let named = items(session, "Checks");
        assert!(!named.is_empty(), "no check belongs to {session}");
        named.iter().for_each(|item| drop(checks_in(item)));
        for item in items(session, "Checks in class") {
            let ids = item.trim().replace(" to ", "-").replace(", ", ",");
            let command = format!("`piecemeal grade --check {ids} -- ./my_client`");
            assert!(session.contains(&command), "{command} is not in {session}");
        }
    }
    let rubric = rows(below(&page, "\n## Rubric"));
    let mut all: Vec<String> = rubric.iter().flat_map(|row| checks_in(row[2])).collect();
    assert!(all.len() > 100, "{} checks", all.len());
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count, "a check counts twice");
}

#[test]
fn every_hole_that_a_session_names_is_in_the_list_and_fits_into_its_time() {
    let (page, holes) = (page(), holes());
    let mut named = 0;
    for session in sessions(&page) {
        named += items(session, "Holes at home")
            .iter()
            .map(|it| minutes_of(it, &holes).len())
            .sum::<usize>();
        for item in items(session, "Holes in class") {
            let minutes = minutes_of(item, &holes);
            let rows = rows(session);
            let room = rows.iter().find(|row| row[1].starts_with("holes")).expect("time for holes");
            let room: i64 = room[0].parse().expect("minutes");
            // In class they take twice as long.
            assert!(
                2 * minutes.iter().sum::<i64>() <= room,
                "{item}: {minutes:?} in {room} minutes"
            );
            named += minutes.len();
        }
    }
    assert!(named > 40, "{named} holes");
}

#[test]
fn each_chapter_has_three_wrong_answers_to_questions_that_it_asks() {
    let (page, mut questions) = (page(), questions());
    let mut answered: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for row in rows(below(&page, "\n## Usual wrong answers")) {
        let [chapter, answer, why, ask] = row[..] else { panic!("{row:?}") };
        let chapter: u32 = chapter.parse().expect("a chapter's number");
        let (question, _) = answer.split_once(": ").unwrap_or_else(|| panic!("{row:?}"));
        let question = question.parse().unwrap_or_else(|_| panic!("{row:?}"));
        let asked = questions.get(&chapter).is_some_and(|all| all.contains(&question));
        assert!(asked, "chapter {chapter} has no question {question}");
        assert!(!why.is_empty() && !ask.is_empty(), "{row:?}");
        answered.entry(chapter).or_default().push(question);
    }
    for (chapter, found) in answered {
        assert_eq!(found.len(), 3, "chapter {chapter}: {found:?}");
        questions.remove(&chapter);
    }
    assert!(questions.is_empty(), "no wrong answer to {questions:?}");
}
