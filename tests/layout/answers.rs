//! Every exercise of every chapter has one answer in docs/answers.md, with its minutes and its
//! difficulty. (The commands and the Rust in the answers run where those of the chapters do.)

use super::tree::{assert_none, names, read, root};

/// The difficulties, as the top of the page defines them.
const STEPS: [&str; 3] = ["easy", "medium", "hard"];
/// The most lines of one answer, without empty ones.
const MAX_LINES: usize = 36;

/// What an answer's heading says: `### 4.2 · 20 minutes · medium`.
#[derive(Debug, PartialEq)]
struct Heading {
    chapter: usize,
    exercise: usize,
    minutes: usize,
}

/// Reads a heading without its mark; an error says what it lacks.
fn heading(text: &str) -> Result<Heading, &'static str> {
    let [place, minutes, step] = text.split(" · ").collect::<Vec<_>>()[..] else {
        return Err("it is not NUMBER · MINUTES · DIFFICULTY");
    };
    let number = |text: &str| text.parse().ok().filter(|number| *number > 0);
    let place = place.split_once('.');
    let place = place.and_then(|(chapter, exercise)| Some((number(chapter)?, number(exercise)?)));
    let (chapter, exercise) = place.ok_or("no number of an exercise")?;
    let minutes = minutes.strip_suffix(" minutes").and_then(number).ok_or("no minutes")?;
    if STEPS.contains(&step) {
        Ok(Heading { chapter, exercise, minutes })
    } else {
        Err("a difficulty that the page does not define")
    }
}

/// A section: the lines between a heading of the second level and the next.
fn section<'t>(text: &'t str, title: &str) -> Vec<&'t str> {
    let lines = text.lines().skip_while(|line| line.strip_prefix("## ") != Some(title)).skip(1);
    lines.take_while(|line| !line.starts_with("## ")).collect()
}

/// The numbers of a chapter's exercises, as they are written.
fn exercises(section: &[&str]) -> Vec<usize> {
    section.iter().filter_map(|line| line.split_once(". ")?.0.parse().ok()).collect()
}

/// The chapters, as number and text.
fn chapters() -> Vec<(usize, String)> {
    let chapter = |name: String| {
        let number = name.strip_suffix(".md")?.split_once('-')?.0.parse().ok()?;
        Some((number, read(&root().join("docs").join(name))))
    };
    names("docs").into_iter().filter_map(chapter).collect()
}

#[test]
fn every_exercise_has_one_answer_with_minutes_and_difficulty_and_none_is_left_over() {
    let page = read(&root().join("docs/answers.md"));
    let (mut wrong, mut answered) = (Vec::new(), Vec::new());
    let mut chapter = 0;
    for (number, line) in (1..).zip(page.lines()) {
        if let Some(title) = line.strip_prefix("## Chapter ") {
            chapter = title.parse().unwrap_or(0);
        }
        let Some(text) = line.strip_prefix("### ") else { continue };
        match heading(text) {
            Ok(heading) if heading.chapter != chapter => {
                wrong.push(format!("docs/answers.md:{number}: {line:?} is below chapter {chapter}"))
            }
            Ok(heading) => answered.push((heading.chapter, heading.exercise)),
            Err(why) => wrong.push(format!("docs/answers.md:{number}: {line:?}: {why}")),
        }
    }
    let mut asked = Vec::new();
    for (chapter, text) in chapters() {
        let numbers = exercises(&section(&text, "Exercises"));
        if numbers.is_empty() || numbers != (1..=numbers.len()).collect::<Vec<_>>() {
            wrong.push(format!("chapter {chapter}: its exercises are numbered {numbers:?}"));
        }
        asked.extend(numbers.into_iter().map(|exercise| (chapter, exercise)));
    }
    for exercise in &asked {
        let answers = answered.iter().filter(|answer| *answer == exercise).count();
        if answers != 1 {
            wrong.push(format!("exercise {}.{} has {answers} answers", exercise.0, exercise.1));
        }
    }
    for answer in answered.iter().filter(|answer| !asked.contains(answer)) {
        wrong.push(format!("answer {}.{} is to no exercise", answer.0, answer.1));
    }
    if wrong.is_empty() && answered != asked {
        wrong.push("the answers are not in the order of the chapters".to_owned());
    }
    assert!(asked.len() > 70, "{} exercises were found", asked.len());
    assert_none("exercises and answers", &wrong);
}

#[test]
fn every_answer_says_something_and_is_short() {
    let page = read(&root().join("docs/answers.md"));
    let mut wrong = Vec::new();
    for answer in page.split("\n### ").skip(1) {
        let mut lines = answer.lines().filter(|line| !line.trim().is_empty());
        let title = lines.next().unwrap_or_default();
        let length = lines.take_while(|line| !line.starts_with("## ")).count();
        if !(1..=MAX_LINES).contains(&length) {
            wrong.push(format!("{title}: {length} lines"));
        }
    }
    assert_none("answers without words, or with too many", &wrong);
}

#[test]
fn every_chapter_says_where_its_answers_are_after_its_last_exercise() {
    let mut wrong = Vec::new();
    for (number, text) in chapters() {
        let expected = format!(
            "The [answers](answers.md#chapter-{number}) say how many minutes each takes, and how hard it is."
        );
        let exercises = section(&text, "Exercises");
        let last = exercises.iter().rfind(|line| !line.trim().is_empty());
        if last != Some(&expected.as_str()) {
            wrong.push(format!("chapter {number}: the last line is not {expected:?}"));
        }
    }
    assert_none("chapters without a link to their answers", &wrong);
}

#[test]
fn a_heading_is_read_as_it_should_be() {
    let good = Heading { chapter: 4, exercise: 2, minutes: 20 };
    assert_eq!(heading("4.2 · 20 minutes · medium"), Ok(good));
    for bad in ["4.2", "4 · 20 minutes · easy", "4.2 · 0 minutes · easy", "4.2 · 20 min · easy"]
    {
        assert!(heading(bad).is_err(), "{bad}");
    }
    assert!(heading("4.2 · 20 minutes · impossible").is_err());
    assert_eq!(exercises(&["1. One.", "   more", "", "2. Two."]), [1, 2]);
}
