//! The list of exercises: what it says of the repository is so, and what is wrong in it is told.

mod support;

use std::collections::BTreeSet;
use std::fs;

use piecemeal_starter::list::Exercises;
use piecemeal_starter::matrix::Matrix;
use piecemeal_starter::workshop::files;

#[test]
fn everything_that_the_list_names_is_in_the_source_once() {
    let exercises = Exercises::checked(support::repository()).unwrap_or_else(|e| panic!("{e}"));
    assert!(exercises.holes.len() > 3, "there are exercises");
}

/// All test sources of a target, in one text.
fn sources(target: &str) -> String {
    let folder = support::repository().join("tests");
    let below = files(&folder.join(target)).into_iter().map(|file| folder.join(target).join(file));
    let all = std::iter::once(folder.join(format!("{target}.rs"))).chain(below);
    all.filter_map(|file| fs::read_to_string(file).ok()).collect()
}

#[test]
fn the_matrix_has_every_hole_and_names_only_tests_that_exist() {
    let exercises = Exercises::read(support::repository()).unwrap_or_else(|e| panic!("{e}"));
    let matrix = Matrix::read(support::repository()).unwrap_or_else(|e| panic!("{e}"));
    let known: BTreeSet<_> = matrix.rows.iter().map(|row| (row.stage, &row.name)).collect();
    let holes: BTreeSet<_> = exercises.holes.iter().map(|hole| (hole.stage, &hole.name)).collect();
    let differ: Vec<_> = known.symmetric_difference(&holes).collect();
    assert!(differ.is_empty(), "`make exercises` tries these, or drops them: {differ:?}");
    for stage in &exercises.stages {
        let text = sources(&stage.module);
        for test in matrix.rows.iter().flat_map(|row| &row.breaks) {
            let name = test.name.rsplit("::").next().unwrap_or_default();
            let exists = test.target != stage.module || text.contains(&format!("fn {name}("));
            assert!(exists, "there is no test `{test}`; `make exercises` tries its holes again");
        }
    }
    assert!(matrix.rows.iter().all(|row| !row.breaks.is_empty()), "each hole breaks a test");
}

#[test]
fn everything_that_is_wrong_in_the_list_is_told_at_once() {
    let root = support::course(&support::empty("wrong-list"));
    let list = r#"
[[hole]]
stage = 1
name = "double"
file = "s01_numbers.rs"
path = "triple"
task = "Returns twice a number."
minutes = 5
section = "Read along"

[[hole]]
stage = 1
name = "double"
file = "s01_numbers.rs"
path = "count"
task = "Counts"
minutes = 5
section = "Run it"
with = ["helper"]

[[hole]]
stage = 2
name = "su m"
file = "s01_numbers.rs"
path = "sum"
task = "Sums up."
minutes = 5
section = "Read along"

[[hole]]
stage = 7
name = "seven"
file = "s07_seven.rs"
path = "seven"
task = "Is seven."
minutes = 5
section = "Read along"
"#;
    fs::write(root.join("docs/exercises.toml"), list).expect("it can be written");
    let told = Exercises::checked(&root).expect_err("it is wrong").to_string();
    assert_eq!(
        told,
        "\
docs/exercises.toml: stage 1, \"double\": src/s01_numbers.rs has no function `triple`
docs/exercises.toml: stage 1, \"double\": this name is in the stage twice; give each hole its own
docs/exercises.toml: stage 1, \"double\": it needs a task that ends with a period, and minutes above 0
docs/exercises.toml: stage 1, \"double\": docs/01-numbers.md has no heading \"Run it\"
docs/exercises.toml: stage 1, \"double\": src/s01_numbers.rs has no function `count`; it has `Counter::count`
docs/exercises.toml: stage 1, \"double\": src/s01_numbers.rs has no function `helper`
docs/exercises.toml: stage 2, \"su m\": the name is to be of letters, digits and underscores
docs/exercises.toml: stage 2, \"su m\": s01_numbers.rs is not in the stage's module, s02_sums
docs/exercises.toml: stage 7, \"seven\": the tree has no such stage"
    );
    fs::write(root.join("docs/exercises.toml"), "[[hole]]\nstage = 1\nnmae = \"x\"\n")
        .expect("it can");
    let told = Exercises::checked(&root).expect_err("it is wrong").to_string();
    assert!(told.contains("nmae") && told.contains("exercises.toml"), "{told}");
}
