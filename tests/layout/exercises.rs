//! The list of holes, and the line about it in each chapter. (That each path names one function is
//! checked in tests/starter, which parses the source.)

use super::tree::{assert_none, names, read, root, sources, stages};
use piecemeal::grade::checks;
use std::collections::{BTreeMap, BTreeSet};
use toml::{Table, Value};

/// The holes of docs/exercises.toml, as they are listed.
fn holes() -> Vec<Table> {
    let list: Table =
        read(&root().join("docs/exercises.toml")).parse().expect("docs/exercises.toml is TOML");
    let holes = list.get("hole").and_then(Value::as_array).expect("it has holes");
    holes.iter().map(|hole| hole.as_table().expect("a hole is a table").clone()).collect()
}

fn text<'h>(hole: &'h Table, key: &str) -> &'h str {
    hole.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn number(hole: &Table, key: &str) -> usize {
    hole.get(key).and_then(Value::as_integer).and_then(|n| usize::try_from(n).ok()).unwrap_or(0)
}

/// `stage 5, frame`
fn place(hole: &Table) -> String {
    format!("stage {}, {}", number(hole, "stage"), text(hole, "name"))
}

/// The name of a stage's chapter.
fn chapter(stage: usize) -> String {
    let begin = format!("{stage:02}-");
    names("docs").into_iter().find(|name| name.starts_with(&begin)).expect("a stage has a chapter")
}

#[test]
fn a_stage_has_four_to_seven_holes_and_the_list_is_in_order() {
    let mut count = BTreeMap::new();
    holes().iter().for_each(|hole| *count.entry(number(hole, "stage")).or_insert(0) += 1);
    let wrong: Vec<String> = stages()
        .iter()
        .map(|stage| (stage.number, count.remove(&stage.number).unwrap_or(0)))
        .filter(|(_, holes)| !(4..=7).contains(holes))
        .map(|(stage, holes)| format!("stage {stage}: {holes}"))
        .collect();
    assert_none("stages without four to seven holes in docs/exercises.toml", &wrong);
    assert!(count.is_empty(), "holes of stages that do not exist: {count:?}");
    assert!(holes().is_sorted_by_key(|hole| number(hole, "stage")), "the stages come in order");
}

#[test]
fn a_hole_says_what_to_do_how_long_it_takes_and_where_to_read() {
    let (mut wrong, mut seen) = (Vec::new(), BTreeSet::new());
    for hole in holes() {
        let mut check = |right: bool, rule: &str| {
            if !right {
                wrong.push(format!("{}: {rule}", place(&hole)));
            }
        };
        let (stage, name, task) =
            (number(&hole, "stage"), text(&hole, "name"), text(&hole, "task"));
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        check(!name.is_empty() && name.chars().all(is_name), "its name is one lower-case word");
        check(seen.insert((stage, name.to_owned())), "another hole of the stage has this name");
        // "Returns", "Decodes": the third person, as in a doc comment.
        let verb = task.split(' ').next().unwrap_or_default();
        let is_verb = verb.ends_with('s') && verb.starts_with(char::is_uppercase);
        check(is_verb, "its task begins with a verb in the third person");
        check(task.ends_with('.') && !task.contains(". "), "its task is one sentence");
        check((5..=60).contains(&number(&hole, "minutes")), "it takes 5 to 60 minutes");
        let file = text(&hole, "file");
        check(file.starts_with(&format!("s{stage:02}_")), "its file belongs to its stage");
        check(root().join("src").join(file).is_file(), "its file does not exist");
        let story = read(&root().join("docs").join(chapter(stage)));
        let section = text(&hole, "section");
        let bold = format!("**{section}.**");
        let is_section = |line: &str| {
            line.starts_with(&bold)
                || line.starts_with('#') && line.trim_start_matches('#').trim() == section
        };
        let rule = "its section is neither a heading nor a bold title of its chapter";
        check(story.lines().any(is_section), rule);
        let known = ["stage", "name", "file", "path", "task", "minutes", "section"];
        let known: Vec<&str> = known.into_iter().chain(["with", "quiet", "swarm"]).collect();
        check(hole.keys().all(|key| known.contains(&key.as_str())), "it has an unknown key");
    }
    assert_none("docs/exercises.toml", &wrong);
}

#[test]
fn the_source_carries_no_mark_of_a_hole() {
    let marks = ["todo!(", "unimplemented!(", "exercises.toml", "make starter"];
    let wrong: Vec<String> = sources("src")
        .into_iter()
        .filter(|file| marks.iter().any(|mark| read(&root().join(file)).contains(mark)))
        .map(|file| file.display().to_string())
        .collect();
    assert_none("files that say which of their functions are emptied", &wrong);
}

/// What the chapter of a stage says under its heading *Exercises*.
fn line(stage: usize) -> String {
    let holes: Vec<String> = holes()
        .iter()
        .filter(|hole| number(hole, "stage") == stage)
        .map(|hole| format!("`{}` {}", text(hole, "name"), number(hole, "minutes")))
        .collect();
    let ids: Vec<&str> = checks::all()
        .filter(|check| usize::from(check.stage()) == stage)
        .map(|check| check.id)
        .collect();
    let checks = match ids[..] {
        [first, .., last] => format!("Checks of `grade --stage {stage}`: {first} to {last}."),
        _ => "`grade` has no checks for this stage alone.".to_owned(),
    };
    format!(
        "Holes of `make starter STAGE={stage:02}`, in minutes: {}.\n{checks}\n",
        holes.join(", ")
    )
}

#[test]
fn each_chapter_names_its_holes_and_its_checks() {
    let mut wrong = Vec::new();
    for stage in stages() {
        let chapter = chapter(stage.number);
        let expected = format!("\n## Exercises\n\n{}\n", line(stage.number));
        if !read(&root().join("docs").join(&chapter)).contains(&expected) {
            wrong.push(format!("docs/{chapter} must say, followed by an empty line:\n{expected}"));
        }
    }
    assert_none("the lines about holes in the chapters", &wrong);
}

#[test]
fn the_swarm_that_judges_a_hole_is_an_experiment() {
    let experiments = piecemeal::simulate::experiments();
    let (mut wrong, mut judged) = (Vec::new(), 0);
    for hole in holes() {
        let Some(swarm) = hole.get("swarm").and_then(Value::as_str) else { continue };
        judged += 1;
        if !experiments.iter().any(|experiment| experiment.name == swarm) {
            wrong.push(format!("{}: {swarm}", hole["name"]));
        }
    }
    assert!(judged > 1, "{judged} holes have a swarm");
    assert_none("no experiment of `simulate`", &wrong);
}
