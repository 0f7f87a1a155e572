//! `check` on whatever a learner does with the files. All of it is about a course of two stages
//! that compiles in a second.

mod support;

use std::fs;
use std::time::{Duration, Instant};

use support::{NUMBERS, Starter, WORDS, run};

#[test]
fn red_is_the_beginning() {
    let starter = Starter::of("beginning", "1");
    let said = starter.check();
    said.ends(1).has(&[
        "Stage 1, numbers: 0 of 4; this is where you begin\n",
        "  [ ] 1 double  empty  <- next; hint: make hint\n",
        "  [ ] 4 spell   empty\n",
        "double: Returns twice a number: {2} for {1}.\n  `double` in src/s01_numbers.rs, about 5 minutes; docs/01-numbers.md, \"Read along\"\n",
    ]);
    assert!(!said.stdout.contains('\x1b'), "no color where there is no terminal: {said}");
    assert_eq!(said.stderr, "");
}

#[test]
fn each_hole_has_its_own_verdict_in_any_order() {
    let starter = Starter::of("any-order", "1");
    starter.write("count", "self.0 = self.0.saturating_add(1);\n        self.0");
    starter.check().ends(1).has(&["1 of 4\n", "[ ] 1 double  empty  <- next", "[x] 3 count\n"]);
    starter.write("double", "number + number");
    starter.write("evens", "(0..limit).step_by(2)");
    starter.check().ends(1).has(&["3 of 4\n", "[ ] 4 spell   empty  <- next"]);
    starter.write("spell", support::SPELL);
    starter.check().ends(0).has(&["4 of 4\n", "All is solved. make solution compares"]);
    // What has passed is known, and what changes is judged again.
    starter.check().ends(0);
    starter.replace(NUMBERS, "number + number", "number + number + 1");
    starter.check().ends(1).has(&["3 of 4\n", "[ ] 1 double  red  <- next"]);
}

#[test]
fn a_wrong_body_shows_one_red_test_the_most_telling_first() {
    let starter = Starter::of("wrong", "1");
    starter.write("double", "number + 1");
    starter.write("evens", "(0..=limit).step_by(2)");
    starter
        .check()
        .ends(1)
        .has(&[
            "[ ] 1 double  red  <- next; hint: make hint\n",
            "[ ] 2 evens   red\n",
            "This test is red: twice_two_is_four\n",
            "panicked at tests/s01_numbers.rs:8:",
            "assertion `left == right` failed: twice two\n    left: 3\n   right: 4\n",
        ])
        .lacks(&["twice_nothing_is_nothing", "RUST_BACKTRACE", "running 1 test", "[0, 2, 4]"]);
    let only = starter.run(&["check", "2"]);
    only.ends(1).has(&[
        "0 of 1",
        "[ ] 2 evens",
        "This test is red: four_is_not_below_four",
        "[0, 2, 4]",
    ]);
    starter.run(&["check", "4"]).ends(1).has(&["  `spell`, `word` in src/s01_numbers/words.rs,"]);
    let none = starter.run(&["check", "9"]);
    none.ends(2);
    assert_eq!(
        none.stderr,
        "error: there is no hole \"9\" here; there are double, evens, count, spell, or the numbers from 1 to 4\n"
    );
}

#[test]
fn a_long_line_of_a_test_is_cut() {
    let starter = Starter::of("long-line", "1");
    starter.write("double", "panic!(\"{}\", \"é\".repeat(5000))");
    let shown = format!("  {} .. 4800 more characters\n", "é".repeat(200));
    starter.check().ends(1).has(&["This test is red: twice_two_is_four\n", &shown]);
}

#[test]
fn a_panic_is_told_by_the_line_that_it_has_in_the_learners_file() {
    let starter = Starter::of("panic-line", "1");
    starter.write("double", "let twice = number + number;\n\n    twice");
    starter.write("evens", "let none: Option<u32> = None;\n    none.into_iter().chain([none.unwrap()]).take(limit as usize)");
    let own = starter.text(NUMBERS);
    let line =
        1 + own.lines().position(|line| line.contains("none.unwrap()")).expect("it is there");
    starter.check().ends(1).has(&[
        "[x] 1 double\n",
        "[ ] 2 evens   red  <- next",
        &format!(" panicked at src/s01_numbers.rs:{line}:"),
    ]);
}

#[test]
fn a_test_that_is_gone_is_passed_over_with_a_note() {
    let starter = Starter::of("test-gone", "1");
    let matrix = ".starter/course/tests/starter/matrix.toml";
    starter.replace(matrix, "twice_two_is_four", "twice_two_was_four");
    starter.replace(matrix, "four_is_not_below_four", "four_was_not_below_four");
    starter.write("double", "0");
    starter.write("evens", "(0..=limit).step_by(2)");
    let said = starter.check();
    said.ends(1).has(&[
        "[x] 1 double\n", // the test that is left likes it
        "[ ] 2 evens   red  <- next", // without its own, all tests of the stage decide
        "This test is red: four_is_not_below_four\n",
        "note: there is no test `s01_numbers twice_two_was_four`, which this starter's matrix names; it is passed over\n",
        "note: there is no test `s01_numbers four_was_not_below_four`",
    ]);
    assert_eq!(said.stderr, "");
}

#[test]
fn what_does_not_compile_is_told_in_the_compilers_words() {
    let starter = Starter::of("compiler", "1");
    starter.write("double", "let wrong: &str = number;\n    wrong.len() as u32");
    starter.write("evens", "(0..limit).step_by(2)");
    let line =
        starter.text(NUMBERS).lines().position(|line| line.contains("let wrong")).expect("it");
    starter.check().ends(1).has(&[
        "[ ] 1 double  does not compile  <- next",
        "[x] 2 evens\n",
        "error[E0308]: mismatched types",
        // The learner's own line, though other bodies are shorter than the reference's.
        &format!("--> src/s01_numbers.rs:{}:23", line + 1),
    ]);
}

#[test]
fn a_file_that_is_not_rust_does_not_hide_the_others() {
    let starter = Starter::of("no-rust", "1");
    starter.write("double", "number + (number");
    starter.write("spell", support::SPELL);
    starter.check().ends(1).has(&[
        "[ ] 1 double  does not compile  <- next",
        "[ ] 2 evens   empty\n",
        "[x] 4 spell\n",
        "error: mismatched closing delimiter",
        "src/s01_numbers.rs:",
    ]);
}

#[test]
fn helpers_outside_of_the_hole_work_and_are_told() {
    let starter = Starter::of("outside", "1");
    starter.write("double", "added(number, number)");
    starter.replace(
        NUMBERS,
        "/// Counts.\n",
        "fn added(a: u32, b: u32) -> u32 {\n    a + b\n}\n\n/// Counts.\n",
    );
    starter.check().ends(1).has(&[
        "[x] 1 double\n",
        "note: double: checked with your whole files, since it needs what you changed outside of it (src/s01_numbers.rs)",
    ]);
    starter.replace(NUMBERS, "a + b\n", "a - b\n");
    // The body is the same, but what it stands on is not.
    starter.check().ends(1).has(&["[ ] 1 double  red", "This test is red: twice_two_is_four"]);
}

#[test]
fn one_hole_that_is_solved_is_not_called_all() {
    let starter = Starter::of("one-of-four", "1");
    starter.write("double", "number + number");
    starter.run(&["check", "double"]).ends(0).has(&["It is solved."]).lacks(&["All is solved"]);
}

#[test]
fn when_all_is_solved_the_learners_own_files_are_tried() {
    let starter = Starter::of("own-files", "1");
    starter.solve();
    starter.replace(NUMBERS, "Some(self.count())", "None");
    let broken = "Each function is right, but your program is not: it differs outside of them, `Counter as Iterator::next` in src/s01_numbers.rs.\n";
    for _ in 0..2 {
        starter.check().ends(1).has(&[
            "4 of 4\n",
            broken,
            "This test is red: a_counter_begins_with_one\n",
        ]);
    }
    let said = starter.run(&["next"]);
    said.ends(2);
    assert!(said.stderr.starts_with("error: 4 of 4 solved; make check says"), "{said}");
    starter.replace(NUMBERS, "None\n", "Some(self.count())\n");
    starter.check().ends(0).has(&["All is solved."]);
    starter.replace("src/lib.rs", "pub mod actors;", "pub mod actors;\nfn x( {");
    starter.check().ends(1).has(&[
        "your program is not: it differs outside of them, src/lib.rs.\n",
        "It does not compile:\n",
        "note: src/lib.rs:",
    ]);
}

#[test]
fn a_signature_that_has_changed_is_told() {
    let starter = Starter::of("signature", "1");
    starter.replace(NUMBERS, "pub fn double(number: u32) -> u32", "pub fn double(n: &u32) -> u32");
    starter.write("double", "n + n");
    starter.check().ends(1).has(&[
        "[ ] 1 double  does not compile  <- next",
        "note: double: its signature has changed; the tests call it as it was\n",
        "  expected  fn double (number : u32) -> u32\n",
        "  found     fn double (n : & u32) -> u32\n",
        "error[E0308]: mismatched types",
        "tests/s01_numbers.rs:",
    ]);
    // Another name hurts nobody.
    starter.replace(NUMBERS, "double(n: &u32)", "double(n: u32)");
    starter.check().ends(1).has(&["[x] 1 double", "its signature has changed"]);
}

#[test]
fn a_file_that_is_gone_is_told_and_the_others_are_judged() {
    let starter = Starter::of("gone", "1");
    starter.write("evens", "(0..limit).step_by(2)");
    fs::remove_file(starter.0.join(WORDS)).expect("it can be removed");
    starter.check().ends(1).has(&[
        "[x] 2 evens\n",
        "[ ] 4 spell   gone  <- next",
        "src/s01_numbers/words.rs is gone; `git checkout src/s01_numbers/words.rs` brings it back",
    ]);
}

#[test]
fn a_test_that_was_edited_does_not_count() {
    let starter = Starter::of("edited", "1");
    starter.write("double", "number + 1");
    starter.replace("tests/s01_numbers.rs", "double(2), 4", "double(2), 3");
    starter.check().ends(1).has(&[
        "note: tests/s01_numbers.rs differs from the original, which is what counts\n",
        "This test is red: twice_two_is_four",
    ]);
    fs::remove_file(starter.0.join("tests/s01_numbers.rs")).expect("it can be removed");
    starter.check().ends(1).has(&["note: tests/s01_numbers.rs differs", "twice_two_is_four"]);
}

/// It may take five seconds, and once more ten, or more on a busy machine, when nothing else runs.
/// Before, all that is new is tried together, and that ends after the first five seconds.
#[test]
fn what_goes_around_forever_is_ended() {
    let starter = Starter::of("endless", "1");
    let log = starter.0.join("began");
    let endless = format!(
        "let mut log = std::fs::File::options().append(true).create(true).open({log:?}).expect(\"it opens\");\n    std::io::Write::write_all(&mut log, b\".\").expect(\"it can be written\");\n    loop {{ std::hint::spin_loop(); }}"
    );
    starter.write("double", &endless);
    starter.write("evens", "(0..limit).step_by(2)");
    starter.check().ends(1).has(&["It was ended after ", "forever?", "[x] 2 evens"]);
    // Two tests, together with those of the other hole; the two alone; and one with more time.
    let began = fs::read(&log).expect("a test began").len();
    assert!(began <= 2 + 2 + 1, "{began} tests began");
}

#[test]
fn a_panic_in_another_thread_is_shown_though_all_else_waits() {
    let starter = Starter::of("another-thread", "1");
    let body = "std::thread::spawn(|| panic!(\"in the dark\"));\n    loop { std::thread::park(); }";
    starter.write("double", body);
    starter.check().ends(1).has(&["It was ended after ", "in the dark"]);
}

/// A machine that is busy does not make anything red: what was late gets its time.
#[test]
fn what_is_only_late_is_not_red() {
    let starter = Starter::of("late", "1");
    let mark = starter.0.join("began");
    let late = format!(
        "if !std::path::Path::new({mark:?}).exists() {{\n        std::fs::write({mark:?}, \"\").ok();\n        loop {{ std::thread::park(); }}\n    }}\n    number * 2"
    );
    starter.write("double", &late);
    starter.check().ends(1).has(&["[x] 1 double"]);
    assert!(mark.exists(), "the test was late once");
}

#[test]
fn an_abort_costs_one_test() {
    let starter = Starter::of("abort", "1");
    starter.write("double", "if number == 0 { std::process::abort() }\n    number * 2");
    starter.write("evens", "(0..limit).step_by(2)");
    starter.check().ends(1).has(&[
        "[x] 2 evens",
        "This test is red: twice_nothing_is_nothing",
        "It ended by signal 6",
    ]);
}

#[cfg(target_os = "linux")]
#[test]
fn memory_without_bounds_is_refused() {
    let starter = Starter::of("memory", "1");
    starter.write(
        "double",
        "let mut all: Vec<Vec<u8>> = Vec::new();\n    while all.len() < 99 { all.push(vec![0; 1 << 26]); }\n    number * 2",
    );
    starter.check().ends(1).has(&["It wanted more memory than the 1024 MiB it may have."]);
}

/// Ctrl-C ends a test that would run for minutes, and leaves no process behind.
#[cfg(unix)]
#[test]
fn an_interrupt_ends_what_runs() {
    use rustix::process::{Pid, Signal, kill_process};
    let starter = Starter::of("interrupt", "1");
    let matrix = starter.0.join(".starter/course/tests/starter/matrix.toml");
    let slow = "[seconds]\n\"s01_numbers twice_two_is_four\" = 500.0\n";
    let text = fs::read_to_string(&matrix).expect("it is there").replace("[seconds]\n", slow);
    fs::write(&matrix, text).expect("it can be written");
    let mark = starter.0.join("running");
    starter.write(
        "double",
        &format!("std::fs::write({mark:?}, std::process::id().to_string()).ok();\n    loop {{ std::thread::park(); }}"),
    );
    let mut command = support::program(&starter.0, &["check"]);
    let child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let child = child.spawn().expect("it starts");
    let patience = Instant::now() + Duration::from_secs(120);
    let test = loop {
        let pid = fs::read_to_string(&mark).ok().and_then(|text| text.parse::<i32>().ok());
        if let Some(pid) = pid {
            break pid;
        }
        assert!(Instant::now() < patience, "the test began to run");
        std::thread::sleep(Duration::from_millis(5));
    };
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("it has an id");
    kill_process(pid, Signal::INT).expect("it runs");
    let said: support::Said = child.wait_with_output().expect("it ends").into();
    said.ends(2);
    assert_eq!(said.stderr, "error: interrupted\n");
    let test = Pid::from_raw(test).expect("it has an id");
    assert!(rustix::process::test_kill_process(test).is_err(), "the test is left");
}

#[test]
fn a_target_folder_that_is_shared_changes_no_verdict() {
    let folder = support::empty("shared");
    support::course(&folder);
    let shared = folder.join("shared");
    let starters = ["right", "wrong"].map(|name| {
        run(&folder, &["new", "course", "1", "", name]).ends(0);
        Starter(folder.join(name))
    });
    starters[0].solve();
    starters[1].solve();
    starters[1].replace(NUMBERS, "number + number", "number + 1");
    let checks = [0, 1, 0, 1].map(|which: usize| {
        let mut command = support::program(&starters[which].0, &["check"]);
        command.env("CARGO_TARGET_DIR", &shared);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        (which, command.spawn().expect("it starts"))
    });
    // All at once: two starters, and each of them twice.
    for (which, child) in checks {
        let said: support::Said = child.wait_with_output().expect("it ends").into();
        match which {
            0 => said.ends(0).has(&["4 of 4"]),
            _ => said.ends(1).has(&["3 of 4", "twice_two_is_four"]),
        };
    }
    // Plain cargo does share: no package of one starter passes for that of the other.
    for (which, is_good) in [(0, true), (1, false), (0, true)] {
        let mut cargo = std::process::Command::new(env!("CARGO"));
        cargo.args(["test", "--offline", "--test", "s01_numbers"]);
        let output =
            cargo.env("CARGO_TARGET_DIR", &shared).current_dir(&starters[which].0).output();
        let said: support::Said = output.expect("cargo starts").into();
        assert_eq!(said.code == Some(0), is_good, "{said}");
    }
}
