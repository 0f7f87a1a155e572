//! `make exercises` on a course of two stages: the matrix it makes, and what it does not accept.

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use piecemeal_starter::matrix::{MATRIX, Matrix};
use support::{Said, course, empty, run};

fn exercises(root: &Path) -> Said {
    run(root, &["exercises", "."])
}

/// A course whose second stage has this source, this test and this hole.
fn course_with(name: &str, source: &str, test: &str, hole: &str) -> PathBuf {
    let root = course(&empty(name));
    let list = root.join("docs/exercises.toml");
    let first = fs::read_to_string(&list).expect("the course has a list");
    let first = first.split("[[hole]]\nstage = 2").next().expect("the list has a beginning");
    let hole = format!(
        "[[hole]]\nstage = 2\nfile = \"s02_sums.rs\"\ntask = \"Does it.\"\nminutes = 5\nsection = \"Read along\"\n{hole}"
    );
    for (file, text) in [
        (list, format!("{first}{hole}")),
        (root.join("src/s02_sums.rs"), source.to_owned()),
        (root.join("tests/s02_sums.rs"), test.to_owned()),
    ] {
        fs::write(file, text).expect("the course can be written");
    }
    root
}

/// What one hole of a matrix breaks, in order.
fn broken(root: &Path, stage: usize, hole: &str) -> Vec<String> {
    let matrix = Matrix::read(root).unwrap_or_else(|error| panic!("{error}"));
    let row = matrix.rows.into_iter().find(|row| row.stage == stage && row.name == hole);
    let row = row.unwrap_or_else(|| panic!("no row of {hole}"));
    row.breaks.into_iter().map(|test| test.name).collect()
}

#[test]
fn the_matrix_is_made_of_what_each_hole_breaks() {
    let root = course(&empty("matrix"));
    fs::remove_file(root.join(MATRIX)).expect("the course has a matrix");
    exercises(&root).ends(0).has(&["    1  double                2 of 5 ", "is written"]);
    // The order of the file.
    let both = ["twice_two_is_four", "twice_nothing_is_nothing"];
    assert_eq!(broken(&root, 1, "double"), both);
    assert_eq!(broken(&root, 1, "spell"), ["three_has_no_word"]);
    let sums = ["nothing_sums_up_to_nothing", "twice_the_sum_of_one_and_two_is_six"];
    assert_eq!(broken(&root, 2, "sum"), sums);
}

#[test]
fn a_stage_that_has_not_changed_has_one_hole_tried_and_keeps_its_rows() {
    let root = course(&empty("unchanged"));
    exercises(&root).ends(0);
    let before = fs::read_to_string(root.join(MATRIX)).expect("it is written");
    let said = exercises(&root);
    said.ends(0).has(&["    2  sum "]).lacks(&["is written"]);
    // Which one it is depends on the number of commits.
    let tried = ["double", "evens", "count", "spell"].map(|hole| said.stdout.contains(hole));
    assert_eq!(tried.iter().filter(|tried| **tried).count(), 1, "{said}");
    assert_eq!(fs::read_to_string(root.join(MATRIX)).ok(), Some(before));

    // Another test makes it another stage. The other stays as it is.
    let tests = root.join("tests/s01_numbers.rs");
    let text = fs::read_to_string(&tests).expect("the course has tests");
    let text = text.replace("fn twice_two_is_four", "fn two_and_two_are_four");
    fs::write(&tests, text).expect("it can be written");
    exercises(&root).ends(0).has(&["evens", "spell", "is written"]);
    let both = ["two_and_two_are_four", "twice_nothing_is_nothing"];
    assert_eq!(broken(&root, 1, "double"), both);
}

#[test]
fn a_hole_that_no_test_misses_is_an_error_and_leaves_the_matrix_as_it_is() {
    let source = "//! S.\n\n/// A.\npub fn used() -> u32 {\n    1\n}\n\n/// B.\npub fn idle() {\n    used();\n}\n";
    let test = "#[test]\nfn one() {\n    assert_eq!(piecemeal::s02_sums::used(), 1);\n}\n";
    let root = course_with("missed", source, test, "name = \"idle\"\npath = \"idle\"\n");
    exercises(&root).ends(1).has(&[
        "error: stage 2, idle: no test fails without it\n",
        "error: stage 2: no test fails with all holes empty\n",
    ]);
    let matrix = Matrix::read(&root).unwrap_or_else(|error| panic!("{error}"));
    assert!(matrix.rows.iter().all(|row| row.stage == 1), "{matrix:?}");
}

#[test]
fn a_test_that_fails_with_nothing_empty_is_an_error() {
    let source = "//! S.\n\n/// A.\npub fn one() -> u32 {\n    2\n}\n";
    let test = "#[test]\nfn one() {\n    assert_eq!(piecemeal::s02_sums::one(), 1);\n}\n";
    let root = course_with("red", source, test, "name = \"one\"\npath = \"one\"\n");
    exercises(&root).ends(1).has(&[
        "error: stage 2: s02_sums one fails with nothing empty:\n",
        "assertion `left == right` failed",
    ]);
}

/// Two things are let go at the end, so a panic comes during a panic.
const LET_GO: &str = "\
//! S.

use std::sync::atomic::{AtomicU32, Ordering};

/// How many were let go.
pub static GONE: AtomicU32 = AtomicU32::new(0);

/// Something.
pub struct Thing;

impl Drop for Thing {
    fn drop(&mut self) {
        let_go(1);
    }
}

fn let_go(count: u32) {
    GONE.fetch_add(count, Ordering::SeqCst);
}
";
const LET_GO_TEST: &str = "\
use piecemeal::s02_sums::{GONE, Thing};
use std::sync::atomic::Ordering;

#[test]
fn two_are_let_go() {
    let things = (Thing, Thing);
    drop(things);
    assert_eq!(GONE.load(Ordering::SeqCst), 2);
}
";

#[test]
fn a_hole_that_ends_the_test_program_by_a_signal_is_an_error() {
    let hole = "name = \"let_go\"\npath = \"let_go\"\n";
    let root = course_with("signal", LET_GO, LET_GO_TEST, hole);
    let expected = "error: stage 2, let_go: s02_sums two_are_let_go ends by signal 6 without it\n";
    exercises(&root).ends(1).has(&[expected]);
}

#[test]
fn a_quiet_hole_may_be_on_the_way_of_a_drop() {
    let hole = "name = \"let_go\"\npath = \"let_go\"\nquiet = true\n";
    let root = course_with("quiet", LET_GO, LET_GO_TEST, hole);
    exercises(&root).ends(0);
    assert_eq!(broken(&root, 2, "let_go"), ["two_are_let_go"]);
    run(&root, &["new", ".", "2", "", "../mine"]).ends(0);
    let file = root.with_file_name("mine").join("src/s02_sums.rs");
    let text = fs::read_to_string(file).expect("the starter has it");
    assert!(text.contains("fn let_go(count: u32) {\n    // Does it.\n}\n"), "{text}");
}

#[test]
fn only_a_hole_that_returns_nothing_can_be_quiet() {
    let source = "//! S.\n\n/// A.\npub fn one() -> u32 {\n    1\n}\n";
    let hole = "name = \"one\"\npath = \"one\"\nquiet = true\n";
    let root = course_with("returns", source, "", hole);
    let said = exercises(&root);
    said.ends(2);
    let expected = "`one` returns something, so it cannot be quiet";
    assert!(said.stderr.contains(expected), "{said}");
}

#[test]
fn an_empty_hole_that_makes_the_compiler_warn_is_an_error() {
    let source =
        "//! S.\n\n/// A.\n#[warn(unused_variables)]\npub fn same(one: u32) -> u32 {\n    one\n}\n";
    let test = "#[test]\nfn one() {\n    assert_eq!(piecemeal::s02_sums::same(1), 1);\n}\n";
    let root = course_with("warns", source, test, "name = \"same\"\npath = \"same\"\n");
    exercises(&root).ends(1).has(&[
        "error: stage 2: with all holes empty the compiler warns:\n",
        "unused variable: `one`",
    ]);
}
