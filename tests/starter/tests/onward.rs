//! Hints, solutions and the next starter.

mod support;

use support::{NUMBERS, Starter, WORDS, run};

#[test]
fn a_hint_says_more_each_time_and_keeps_its_count_by_hole() {
    let starter = Starter::of("hints", "1");
    let hint = |words: &[&str]| starter.run(&[&["hint"], words].concat());
    hint(&[]).ends(0).has(&[
        "double, hint 1 of 3: the task and its tests\n\nReturns twice a number",
        "make hint again: the comments of the reference\n",
    ]);
    hint(&["count"]).ends(0).has(&["count, hint 1 of 4: the task and its tests"]);
    hint(&[]).ends(0).has(&["double, hint 2 of 3", "// Adding it to itself also does it."]);
    hint(&["3"]).ends(0).has(&["count, hint 2 of 4"]);
    hint(&["3"])
        .ends(0)
        .has(&["count, hint 3 of 4: its skeleton, with the names of what it calls\n\n    if … u32::MAX {\n        return …;\n    }\n"]);
    hint(&[])
        .ends(0)
        .has(&["double, hint 3 of 3: the reference\n\n    // Adding it", "number * 2"]);
    hint(&[]).ends(0).has(&["double, hint 3 of 3"]).lacks(&["again"]);
    // What was tried comes before what is empty.
    starter.write("evens", "(0..=limit).step_by(2)");
    hint(&[]).ends(0).has(&["evens, hint 1 of"]);
}

#[test]
fn the_solution_is_shown_once_it_is_solved() {
    let starter = Starter::of("solution", "1");
    starter.write("double", "number + number");
    for words in [&["solution"][..], &["solution", "double"], &["solution", "evens"]] {
        let said = starter.run(words);
        said.ends(2);
        assert!(said.stderr.contains("once make check has said [x]"), "{said}");
    }
    starter.write("evens", "(0..limit).filter(|number| number % 2 == 0)");
    starter.check().ends(1);
    starter
        .run(&["solution"])
        .ends(0)
        .has(&[
            "- is yours, + is the reference's",
            "double `double`\n",
            "-     number + number\n",
            "+     number * 2",
            "evens `evens`\n",
        ])
        .lacks(&["// Returns"]);
    starter.replace(NUMBERS, "number + number", "number + number + 0");
    starter.run(&["solution", "double"]).ends(2);
}

#[test]
fn the_next_starter_takes_along_what_passes_there() {
    let starter = Starter::of("next", "1");
    starter.solve();
    starter.replace(WORDS, "2 => Some(\"two\")", "2 => Some(\"zwei\")");
    starter.check().ends(1).has(&["3 of 4"]);
    let said = starter.run(&["next", "", "1"]);
    said.ends(0).has(&[
        "taken along, as you wrote them: double, evens, count\n",
        "not solved yet; the reference is in their place: spell\n",
        "my-stage-02 is ready",
    ]);
    let next = Starter(starter.0.with_file_name("my-stage-02"));
    let whose =
        "Stage 1 is whole, with the reference's functions, and with yours: double, evens, count. ";
    assert!(next.text("README.md").contains(whose), "{}", next.text("README.md"));
    let numbers = next.text(NUMBERS);
    assert!(numbers.contains("number + number") && numbers.contains("saturating_add"), "{numbers}");
    assert!(next.text(WORDS).contains("[\"none\", \"one\", \"two\"]"));
    next.check().ends(1).has(&["Stage 2, sums: 0 of 1; this is where you begin"]);
    next.replace(
        "src/s02_sums.rs",
        "todo!(\"sum\")",
        "numbers.iter().fold(0, |sum, number| sum + number)",
    );
    next.check().ends(0).has(&["1 of 1"]).lacks(&["note:"]);
    let said = next.run(&["next"]);
    said.ends(2);
    assert!(said.stderr.contains("this is the last exercise"), "{said}");
    // It is there now, and holds work.
    starter.run(&["next"]).ends(2);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let starter = Starter::of("head", "1");
    let (reader, writer) = std::io::pipe().expect("the system has pipes");
    drop(reader);
    let mut hint = support::program(&starter.0, &["hint"]);
    let said: support::Said = hint.stdout(writer).output().expect("it starts").into();
    said.ends(0);
    assert_eq!(said.stderr, "");
}

#[test]
fn next_waits_until_all_is_solved() {
    let starter = Starter::of("waits", "1");
    let told = |score: &str| {
        let said = starter.run(&["next"]);
        said.ends(2);
        assert!(said.stderr.starts_with(&format!("error: {score} solved; ")), "{said}");
        assert!(!starter.0.with_file_name("my-stage-02").exists());
    };
    told("0 of 4");
    starter.write("double", "number + number");
    told("1 of 4");
}

#[test]
fn what_changes_outside_of_a_hole_unsolves_nothing() {
    let starter = Starter::of("comment", "1");
    starter.solve();
    starter.check().ends(0);
    let more = "// Mine.\n/// Counts.\n";
    starter.replace(NUMBERS, "/// Counts.\n", &format!("fn helper() {{}}\n\n{more}"));
    starter.replace(NUMBERS, "number + number", "number  + number // twice");
    starter.run(&["solution", "double"]).ends(0).has(&["+     number * 2"]);
    starter.check().ends(0).has(&[
        "4 of 4",
        "note: src/s01_numbers.rs differs outside of the table's functions; make next leaves that behind\n",
    ]);
    // A body that was written since is checked first.
    starter.replace(WORDS, "0 => Some(\"none\"),", "0 => Some(\"none\"),\n        3.. => None,");
    starter
        .run(&["next"])
        .ends(0)
        .has(&["taken along, as you wrote them: double, evens, count, spell\n"]);
    let next = Starter(starter.0.with_file_name("my-stage-02"));
    assert!(next.text(WORDS).contains("3.. => None"));
}

#[test]
fn what_a_body_needs_outside_of_it_is_not_carried_along() {
    let starter = Starter::of("needs", "1");
    starter.solve();
    starter.replace(NUMBERS, "number + number", "added(number, number)");
    let added = "fn added(a: u32, b: u32) -> u32 {\n    a + b\n}\n\n/// Counts.\n";
    starter.replace(NUMBERS, "/// Counts.\n", added);
    starter.run(&["next"]).ends(0).has(&[
        "taken along, as you wrote them: evens, count, spell\n",
        "its place: double\n  error[E0425]: cannot find function `added` in this scope. Move what it needs into the function\n",
    ]);
}

#[test]
fn what_fails_in_the_next_stage_stays_behind() {
    let folder = support::empty("left");
    let root = support::course(&folder);
    // Stage 2 finds out what stage 1 did not ask for.
    let tests = root.join("tests/s02_sums.rs");
    let text = std::fs::read_to_string(&tests)
        .expect("it is there")
        .replace("&[1, 2]), 6", "&[70, 2]), 144");
    std::fs::write(&tests, text).expect("it can be written");
    run(&folder, &["new", "course", "1", "", "mine"]).ends(0);
    let starter = Starter(folder.join("mine"));
    starter.solve();
    starter.replace(NUMBERS, "number + number", "if number > 50 { 7 } else { number + number }");
    starter.check().ends(0);
    starter.run(&["next"]).ends(0).has(&[
        "taken along, as you wrote them: evens, count, spell\n",
        "left behind, with the reference in its place: double\n  twice_the_sum_of_one_and_two_is_six is red\n",
    ]);
    let next = Starter(folder.join("my-stage-02"));
    assert!(next.text(NUMBERS).contains("number * 2"));
}

#[test]
fn after_one_hole_comes_the_next_one() {
    let folder = support::empty("next-hole");
    support::course(&folder);
    run(&folder, &["new", "course", "1", "count", "mine"]).ends(0);
    let starter = Starter(folder.join("mine"));
    starter.run(&["next", "", "1"]).ends(0).has(&[
        "not solved yet",
        "count",
        "my-stage-01-spell is ready",
    ]);
    let next = Starter(folder.join("my-stage-01-spell"));
    next.check().ends(1).has(&["[ ] 1 spell"]).lacks(&["count"]);
}
