//! The folder of a starter: what is in it, and that it needs nothing else.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use piecemeal_starter::list::{Exercises, Hole};
use piecemeal_starter::source::Source;
use support::{NUMBERS, Starter, WORDS, run};

#[test]
fn a_starter_has_holes_a_readme_and_a_history() {
    let starter = Starter::of("made", "1");
    let numbers = starter.text(NUMBERS);
    assert!(numbers.contains(
        "pub fn double(number: u32) -> u32 {\n    // Returns twice a number: {2} for {1}.\n    todo!(\"double\")\n}\n"
    ));
    assert!(
        starter
            .text(WORDS)
            .contains("fn word(number: u32) -> Option<&'static str> {\n    todo!(\"word\")\n}")
    );
    assert!(!starter.0.join("src/s02_sums.rs").exists());
    let map = starter.text("src/lib.rs");
    assert!(map.contains("01-numbers.md") && !map.contains("02-sums.md"), "{map}");
    let readme = starter.text("README.md");
    for part in [
        "# Stage 1: numbers\n",
        "4 functions are empty in stage 1.",
        "| 1 | double (`double`) | Returns twice a number: {2} for {1}. | [s01_numbers.rs](src/s01_numbers.rs) | 5 |\n",
        "[the chapter](docs/01-numbers.md), *Read along*, says what they are for.",
        "**0 of 4; this is where you begin.**",
        "25 in all",
        "make check",
    ] {
        assert!(readme.contains(part), "{part:?} is not in:\n{readme}");
    }
    let git = |words: &[&str]| -> support::Said {
        Command::new("git").args(words).current_dir(&starter.0).output().expect("git starts").into()
    };
    assert_eq!(git(&["status", "--porcelain"]).stdout, "");
    assert_eq!(git(&["log", "--format=%s %D"]).stdout, "Stage 1, as it begins HEAD -> main\n");
    starter.check().ends(1);
    assert_eq!(git(&["status", "--porcelain"]).stdout, "", "a check leaves no change");
    starter.write("double", "number + number");
    git(&["diff"]).has(&["+    number + number\n"]);
}

#[test]
fn its_manifest_is_quiet_and_its_package_is_its_own() {
    let one = Starter::of("manifest-one", "1").text("Cargo.toml");
    let other = Starter::of("manifest-other", "1").text("Cargo.toml");
    let name =
        |text: &str| text.lines().find(|line| line.starts_with("name = ")).map(str::to_owned);
    assert!(name(&one).is_some_and(|name| name.starts_with("name = \"piecemeal-stage-01-")));
    assert_ne!(name(&one), name(&other));
    assert!(one.contains("unused = { level = \"allow\""), "{one}");
}

#[test]
fn a_starter_of_one_hole_has_all_else() {
    let folder = support::empty("one-hole");
    support::course(&folder);
    run(&folder, &["new", "course", "1", "spell", "mine"]).ends(0);
    let starter = Starter(folder.join("mine"));
    assert!(starter.text(NUMBERS).contains("number * 2"));
    assert!(starter.text(WORDS).contains("todo!(\"spell\")"));
    starter.check().ends(1).has(&["0 of 1; this is where you begin", "[ ] 1 spell  empty"]);
    starter.write("spell", support::SPELL);
    starter.check().ends(0).has(&["1 of 1"]);
}

#[test]
fn a_folder_that_holds_something_is_left_alone() {
    let starter = Starter::of("there", "1");
    let parent = starter.0.parent().expect("it has one");
    starter.write("double", "number + number");
    let before = starter.text(NUMBERS);
    let said = run(parent, &["new", "course", "1", "", "mine"]);
    said.ends(2);
    assert_eq!(
        said.stderr,
        "error: mine is there already, and is left as it is; OUT=FOLDER names another place\n"
    );
    assert_eq!(starter.text(NUMBERS), before);
    fs::write(parent.join("a-file"), "mine").expect("it can be written");
    run(parent, &["new", "course", "1", "", "a-file"]).ends(2);
    fs::create_dir(parent.join("empty")).expect("it can be made");
    run(parent, &["new", "course", "1", "", "empty"]).ends(0);
    let hidden = fs::read_dir(parent).expect("it is there").flatten();
    let hidden: Vec<_> =
        hidden.filter(|e| e.file_name().to_string_lossy().starts_with('.')).collect();
    assert!(hidden.is_empty(), "nothing half made is left: {hidden:?}");
}

#[test]
fn a_wrong_order_is_told() {
    let folder = support::empty("orders");
    support::course(&folder);
    for (words, told) in [
        (&["new", "course", "", "", "mine"][..], "which stage? make starter STAGE=05"),
        (&["new", "course", "five", "", "mine"], "STAGE=five is no number"),
        (&["new", "course", "3", "", "mine"], "stage 3 has no exercises; these have: 1, 2"),
        (
            &["new", "course", "1", "half", "mine"],
            "there is no hole \"half\" here; there are double, evens, count, spell",
        ),
        (&["check"], "is no starter: run this in the folder of one"),
        (&["chekc"], "usage: piecemeal-starter"),
    ] {
        let said = run(&folder, words);
        said.ends(2);
        assert!(said.stderr.starts_with("error: ") && said.stderr.contains(told), "{said}");
        assert!(!folder.join("mine").exists());
    }
}

#[test]
fn without_git_all_else_works() {
    let folder = support::empty("no-git");
    support::course(&folder);
    let mut command = support::program(&folder, &["new", "course", "1", "", "mine"]);
    let said: support::Said = command.env("PATH", &folder).output().expect("it starts").into();
    said.ends(0).has(&["note: without git there is no `git diff`; all else works"]);
    let starter = Starter(folder.join("mine"));
    assert!(!starter.0.join(".git").exists());
    starter.solve();
    starter.check().ends(0);
}

/// It goes to another machine: the repository is not there, nor is the network.
#[test]
fn a_starter_needs_nothing_but_itself() {
    let starter = Starter::of("alone", "1");
    let folder = starter.0.parent().expect("it has one");
    fs::remove_dir_all(folder.join("course")).expect("it can be removed");
    let elsewhere = folder.join("else where");
    fs::rename(&starter.0, &elsewhere).expect("it can be moved");
    let starter = Starter(elsewhere);
    starter.solve();
    let mut check = support::program(&starter.0, &["check"]);
    let said: support::Said =
        check.env("CARGO_NET_OFFLINE", "true").output().expect("it starts").into();
    said.ends(0);
    starter.run(&["next", "../two"]).ends(0);
    assert!(folder.join("two/src/s02_sums.rs").exists());
}

/// The front door, as a learner types it. It compiles this crate, so it takes a while.
#[test]
#[ignore = "compiles this crate in a starter: make exercises"]
fn make_is_the_front_door() {
    let starter = Starter::of("front-door", "1");
    let make = |words: &[&str]| -> support::Said {
        let mut make = Command::new("make");
        make.args(words).current_dir(&starter.0).env("CARGO_TARGET_DIR", "elsewhere");
        make.env_remove("MAKEFLAGS").output().expect("make starts").into()
    };
    make(&["check"]).ends(2).has(&["The first check compiles", "0 of 4; this is where you begin"]);
    make(&["hint", "HOLE=3"]).ends(0).has(&["count, hint 1 of"]);
    starter.solve();
    make(&["check"]).ends(0).has(&["4 of 4"]).lacks(&["The first check"]);
    make(&["solution", "HOLE=double"]).ends(0).has(&["+     number * 2"]);
    make(&["next", "OUT=../second"]).ends(0);
    assert!(starter.0.with_file_name("second").join("README.md").is_file());
    assert!(!Path::new(&starter.0).join("elsewhere").exists(), "all is in its own target folder");
    let mut away = Command::new("make");
    away.arg("check").current_dir(&starter.0).env_remove("MAKEFLAGS");
    away.env("CARGO_HOME", starter.0.join("no-crates")).env("CARGO_NET_OFFLINE", "true");
    let away: support::Said = away.output().expect("make starts").into();
    away.ends(2);
    assert!(away.stderr.contains("Has this starter left its kit?"), "{away}");
}

/// What was cut off leaves nothing for a learner's own cargo to change.
#[test]
#[ignore = "cuts every stage: make exercises"]
fn cargo_changes_nothing_in_a_real_starter() {
    let (folder, root) = (support::empty("untouched"), support::repository());
    let exercises = Exercises::read(root).unwrap_or_else(|error| panic!("{error}"));
    let stages = exercises.stages.iter().map(|stage| stage.number);
    for stage in stages.filter(|stage| exercises.of_stage(*stage).next().is_some()) {
        let starter = folder.join(stage.to_string());
        let mut new = support::program(root, &["new", ".", &stage.to_string(), ""]);
        let said: support::Said = new.arg(&starter).output().expect("it starts").into();
        said.ends(0);
        // Of all commands that read the lock file, this one needs only what this system needs.
        let lock = ["tree", "--locked", "--offline"];
        for words in [&lock[..], &["fmt", "--check"]] {
            let mut cargo = Command::new(env!("CARGO"));
            let output = cargo.args(words).current_dir(&starter).output();
            let said: support::Said = output.expect("cargo starts").into();
            said.ends(0);
        }
    }
}

/// The real stage 1, from the red beginning to the last hole.
#[test]
#[ignore = "compiles all dependencies in a starter: make exercises"]
fn the_reference_solves_a_real_starter() {
    let folder = support::empty("real");
    let root = support::repository();
    let mut new = support::program(root, &["new", ".", "01", ""]);
    let said: support::Said = new.arg(folder.join("mine")).output().expect("it starts").into();
    said.ends(0);
    let starter = Starter(folder.join("mine"));
    starter.check().ends(1).has(&["Stage 1, bencode: 0 of ", "this is where you begin"]);
    let exercises = Exercises::read(root).unwrap_or_else(|error| panic!("{error}"));
    let holes: Vec<&Hole> = exercises.of_stage(1).collect();
    let solve = |hole: &Hole| {
        let read =
            |root: &Path| Source::read(root, &hole.source()).unwrap_or_else(|e| panic!("{e}"));
        let reference = read(root);
        let bodies = hole.paths().map(|path| (path, reference.body(path).expect(path)));
        let text = read(&starter.0).with_bodies(bodies).expect("the starter has its functions");
        fs::write(starter.0.join(hole.source()), text).expect("the file can be written");
    };
    solve(holes[0]);
    starter.check().ends(1).has(&[&format!("1 of {}\n", holes.len()), "[x] 1 "]);
    holes.iter().for_each(|hole| solve(hole));
    starter.check().ends(0).has(&["All is solved."]).lacks(&["note:", "[ ]"]);
}
