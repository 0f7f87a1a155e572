//! `simulate`: its tables and pages are the same for the same seed; bad input ends in words; programs
//! in the arena hurt nobody.

use crate::support::{Outcome, Run, folder};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn simulate(words: &[&str]) -> Run {
    Run::new(["simulate"].iter().chain(words)).within(120)
}

/// The names of all experiments.
fn experiments() -> Vec<String> {
    let outcome = simulate(&["--json"]).run();
    let list: Value = serde_json::from_str(&outcome.succeeds().out()).expect("JSON");
    let list = list["experiments"].as_array().expect("a list").clone();
    list.iter().map(|it| it["name"].as_str().expect("text").to_owned()).collect()
}

/// The last line, as JSON.
#[track_caller]
fn result(outcome: &Outcome) -> Value {
    let out = outcome.succeeds().out();
    serde_json::from_str(out.lines().last().expect("a line")).expect("JSON")
}

/// Checks for exit code 2, the three lines of an error, and these words in them.
#[track_caller]
fn refused(words: &[&str], expected: &str) {
    let outcome = simulate(words).run();
    let err = outcome.err();
    assert_eq!((outcome.code, outcome.out().as_str()), (Some(2), ""), "{outcome}");
    assert!(err.starts_with("error: ") && err.contains(expected), "{expected:?}: {outcome}");
    assert!(!err.contains("panicked"), "{outcome}");
    if !err.contains("Example") {
        assert!(
            err.contains("\nhelp: ") && err.ends_with("see: piecemeal chapter policies\n"),
            "{err}"
        );
    }
}

#[test]
fn alone_it_lists_each_experiment_on_one_line() {
    let outcome = simulate(&[]).run();
    let out = outcome.succeeds().out();
    let mut names = experiments();
    assert_eq!(names.len(), 15, "the fourteen, and the one of `make honest`: {names:?}");
    names.push("arena".to_owned());
    let listed: Vec<&str> = out.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(listed, names);
    assert!(out.lines().all(|line| line.chars().count() <= 100), "{out}");
}

#[test]
fn the_same_seed_is_the_same_table_and_the_same_page() {
    let folder = folder();
    let run = |seed: &str, page: &str| {
        let words = ["pieces", "--peers", "20", "--pieces", "20", "--seed", seed, "--svg", page];
        let outcome = simulate(&words).dir(folder.path()).run();
        let page = fs::read_to_string(folder.path().join(page)).expect("the page is there");
        (outcome.succeeds().out(), page)
    };
    let first = run("7", "a.svg");
    assert_eq!(first, run("7", "b.svg"));
    assert_ne!(first.0, run("8", "c.svg").0, "another seed is another swarm");
    assert!(first.1.starts_with("<svg ") && first.1.ends_with("</svg>\n"));
}

#[test]
fn runs_side_by_side_do_not_depend_on_which_is_over_first() {
    let words = ["leaving-seed", "--peers", "20", "--pieces", "20", "--repeat", "4", "--json"];
    let first = simulate(&words).run();
    assert_eq!(first.succeeds().out(), simulate(&words).run().succeeds().out());
}

#[test]
fn an_answer_is_a_short_table_that_says_what_is_known_and_what_to_see() {
    for name in experiments() {
        let outcome = simulate(&[&name, "--peers", "16", "--pieces", "2", "--repeat", "1"]).run();
        let out = outcome.succeeds().out();
        let lines: Vec<&str> = out.lines().collect();
        assert!(
            lines[0].starts_with(&format!("{name}: ")) && lines[0].ends_with("seed 0"),
            "{out}"
        );
        assert!(lines[1].starts_with("known: "), "{out}");
        let (last, table) = lines[2..].split_last().expect("a table");
        assert!(last.starts_with("look at: "), "{out}");
        assert!((2..=12).contains(&table.len()), "{out}");
    }
}

#[test]
fn what_cannot_be_simulated_is_refused_in_words() {
    for (words, expected) in [
        (
            &["leaving-sed"][..],
            "there is no experiment leaving-sed\nhelp: did you mean leaving-seed? ",
        ),
        (&["areena"], "there is no experiment areena\nhelp: did you mean arena? "),
        (&["tit-for-tat"], "there is no experiment tit-for-tat\nhelp: `piecemeal simulate` lists"),
        (&["pieces", "--peers", "0"], "peers is 0, but must be from "),
        (&["pieces", "--peers", "1000000000"], "peers is 1000000000, but must be "),
        (&["pieces", "--pieces", "0"], "pieces is 0, but must be from "),
        (&["pieces", "--repeat", "0"], "repeat is 0, but must be from "),
        (&["pieces", "--peers", "-3"], "'-3'"),
        (&["pieces", "--peers", "99999999999999999999"], "99999999999999999999"),
        (&["pieces", "--set", "seed-up"], "seed-up"),
        (&["pieces", "--set", "seed-up=-1"], "seed-up"),
        (&["pieces", "--set", "seed-up=1e300"], "seed-up"),
        (&["pieces", "--set", "seed-up=NaN"], "seed-up"),
        (&["pieces", "--set", "seed-up=fast"], "seed-up"),
        (&["pieces", "--set", "colour=red"], "colour"),
        (&["pieces", "--set", "seedup=5"], "\nhelp: did you mean seed-up? "),
        (&["pieces", "--strategy", "a=b"], "--strategy is for the arena"),
        (&["arena", "--peers", "0"], "--peers is 0, but must be from 16 to 1000"),
        (&["arena", "--pieces", "0"], "--pieces is 0, but must be from 1 to 2000"),
        (&["arena", "--repeat", "101"], "--repeat is 101, but must be from 1 to 100"),
        (&["arena", "--set", "seed-up=5"], "--set seed-up is for the experiments"),
        (&["arena", "--strategy", "mine"], "a name, `=` and a value were expected"),
        (&["arena", "--strategy", "free rider=x"], "the name free rider is taken"),
        (&["arena", "--strategy", "seed=x"], "the name seed is taken"),
        (&["arena", "--strategy", "a=x", "--strategy", "a=y"], "the name a is taken"),
        (
            &["arena", "--strategy", "a-name-with-too-many-letters=x"],
            "a table has no room for this name",
        ),
        (&["arena", "--strategy", "<script>=x"], "a table has no room for this name"),
    ] {
        refused(words, expected);
    }
}

#[test]
fn the_first_line_counts_the_peers_that_came() {
    // A tenth of a peer is a free rider all the same.
    let outcome =
        simulate(&["free-riders", "--peers", "1", "--pieces", "4", "--repeat", "1"]).run();
    let out = outcome.succeeds().out();
    assert!(out.contains(" and give nothing; 2 peers, 4 pieces, seed 0\n"), "{out}");
    // Here they come one by one, and the dice say how many.
    let words = ["missing-piece", "--peers", "16", "--pieces", "2"];
    let json = simulate(&[&words[..], &["--json"]].concat()).run();
    let out = json.succeeds().out();
    let lines: Vec<Value> =
        out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let (result, runs) = lines.split_last().expect("a result");
    let came = |run: &Value| {
        let seed =
            |class: &Value| run["classes"][class.as_u64().expect("a number") as usize] == "seed";
        let peers = run["peers"].as_array().expect("a list");
        peers.iter().filter(|peer| !seed(&peer["class"])).count()
    };
    let came: Vec<usize> = runs.iter().map(came).collect();
    let (least, most) = (came.iter().min().expect("runs"), came.iter().max().expect("runs"));
    assert!(*least >= 16 && most > least, "{came:?}");
    assert_eq!(result["came"], serde_json::json!([least, most]), "{came:?}");
    let out = simulate(&words).run().succeeds().out();
    assert!(out.contains(&format!("; {least}-{most} peers, 2 pieces, seed 0\n")), "{out}");
}

#[test]
fn a_table_and_its_page_say_what_was_changed() {
    let folder = folder();
    let words = ["pieces", "--peers", "16", "--pieces", "2", "--set", "stay=0", "--set", "up=128"];
    let outcome = simulate(&[&words[..], &["--svg", "a.svg"]].concat()).dir(folder.path()).run();
    let said = "16 peers, 2 pieces, stay=0, up=128, seed 0";
    assert!(outcome.succeeds().out().contains(&format!("; {said}\n")), "{outcome}");
    let page = fs::read_to_string(folder.path().join("a.svg")).expect("the page is there");
    assert!(page.contains(said), "{page}");
    let json = result(&simulate(&[&words[..], &["--json"]].concat()).run());
    assert_eq!(json["set"], serde_json::json!(["stay=0", "up=128"]));
}

#[test]
fn what_help_lists_can_be_set_and_what_an_experiment_compares_is_not_listed() {
    let listed = |experiment: &str| -> Vec<String> {
        let out = simulate(&[experiment, "--set", "help"]).run().succeeds().out();
        out.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
    };
    let of_pieces = listed("pieces");
    for name in ["seed-up", "down", "evenly", "view"] {
        assert!(of_pieces.iter().any(|listed| listed == name), "{name}: {of_pieces:?}");
    }
    let of_seeds = listed("seeds");
    for name in ["down", "seed-rule", "evenly"] {
        assert!(!of_seeds.iter().any(|listed| listed == name), "{name}: {of_seeds:?}");
        refused(&["seeds", "--set", &format!("{name}=1")], "is what this experiment compares");
    }
    let outcome = simulate(&["seeds", "--set", "evenlier=on"]).run();
    assert!(!outcome.err().contains("evenly"), "it cannot be set here: {outcome}");
    for name in of_seeds {
        // Refused for its value, and not for its name.
        refused(&["seeds", "--set", &format!("{name}=?")], &format!("{name}=?: "));
    }
}

#[test]
fn a_swarm_in_which_nobody_can_finish_ends_and_says_so() {
    let words = ["pieces", "--peers", "16", "--pieces", "8", "--set", "seed-up=0"];
    let outcome = simulate(&words).run();
    assert!(outcome.succeeds().err().contains("in 4 of 4 runs nobody could finish"), "{outcome}");
}

#[test]
fn a_swarm_of_one_and_a_swarm_too_large_end() {
    simulate(&["pieces", "--peers", "1", "--pieces", "4"]).run().succeeds();
    refused(&["pieces", "--peers", "1000000", "--pieces", "1000"], "1000000");
}

#[test]
fn a_page_that_cannot_be_written_is_known_before_the_simulation() {
    let folder = folder();
    let words = ["pieces", "--peers", "20", "--pieces", "20", "--svg"];
    for place in ["missing/page.svg", "."] {
        let outcome = simulate(&words).arg(place).dir(folder.path()).run();
        assert_eq!((outcome.code, outcome.out().as_str()), (Some(7), ""), "{outcome}");
        assert!(outcome.err().starts_with(&format!("error: {place}: ")), "{outcome}");
    }
}

/// A pipe stays one, and so does a device.
#[cfg(unix)]
#[test]
fn a_page_is_written_into_what_is_there() {
    use std::os::unix::fs::FileTypeExt;
    let folder = folder();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo starts");
    assert!(made.success());
    let page = std::thread::scope(|scope| {
        let reader = scope.spawn(|| fs::read_to_string(&pipe).expect("the pipe can be read"));
        let words = ["pieces", "--peers", "16", "--pieces", "2", "--svg", "pipe"];
        simulate(&words).dir(folder.path()).run().succeeds();
        assert!(fs::metadata(&pipe).expect("it is there").file_type().is_fifo(), "still a pipe");
        reader.join().expect("nothing panics")
    });
    assert!(page.starts_with("<svg ") && page.ends_with("</svg>\n"), "{page}");
}

/// The folder goes away while the arena waits for its program.
#[cfg(unix)]
#[test]
fn a_page_that_cannot_be_written_in_the_end_costs_no_table() {
    let folder = folder();
    fs::create_dir(folder.path().join("pages")).expect("the folder takes a folder");
    let outcome = simulate(&["arena", "--peers", "16", "--pieces", "2", "--svg", "pages/page.svg"])
        .arg("--strategy")
        .arg("mine=rm -rf pages; while read -r line; do echo '{}'; done")
        .dir(folder.path())
        .run();
    assert_eq!(outcome.code, Some(7), "{outcome}");
    assert!(outcome.out().starts_with("arena: ") && outcome.out().contains("\nmine "), "{outcome}");
    assert!(outcome.err().contains("error: pages/page.svg: "), "{outcome}");
}

/// A small arena with these programs; its result.
#[cfg(unix)]
#[track_caller]
fn arena(folder: &Path, programs: &[(&str, &str)]) -> Value {
    let words = ["arena", "--json", "--peers", "16", "--pieces", "4", "--seed", "3"];
    let run = programs.iter().fold(simulate(&words).dir(folder), |run, (name, command)| {
        run.arg("--strategy").arg(format!("{name}={command}"))
    });
    result(&run.run())
}

#[cfg(unix)]
#[test]
fn the_rule_stands_in_for_programs_that_do_not_answer_and_others_do_not_notice() {
    let folder = folder();
    let polite = "while read -r line; do echo '{}'; done";
    let good = arena(folder.path(), &[("other", polite), ("mine", polite)]);
    assert_eq!(good["warnings"], serde_json::json!([]), "{good}");
    for (program, fault) in [
        ("yes '{}'", "mine: it prints more than one line"),
        ("cat /dev/zero", "mine: it printed a line of more than 64 KiB"),
        ("exit 3", "mine: it ended (exit status: 3)"),
        (
            "while read -r line; do echo garbage; done",
            "mine: a JSON object on one line is expected",
        ),
        (
            "while read -r line; do case \"$line\" in *'\"choke\"'*) echo '{\"unchoke\":[4294967296]}';; *) echo '{}';; esac; done",
            "mine: it unchokes peer",
        ),
    ] {
        let bad = arena(folder.path(), &[("other", polite), ("mine", program)]);
        // Both leave everything to the rule, so everything is as before.
        let times = |result: &Value| -> Vec<Value> {
            let rows = result["rows"].as_array().expect("rows");
            rows.iter().map(|row| row["values"].as_array().expect("values")[..5].into()).collect()
        };
        assert_eq!(times(&bad), times(&good), "{program}");
        let warnings = bad["warnings"].as_array().expect("a list");
        let [warning] = &warnings[..] else { panic!("{program}: {bad}") };
        assert!(warning.as_str().is_some_and(|it| it.starts_with(fault)), "{program}: {warning}");
        let by_rule = |row: usize| bad["rows"][row]["values"][5].as_f64().expect("a number");
        assert!(by_rule(0) == 0.0 && by_rule(1) > 0.0, "{program}: {bad}");
    }
}

#[cfg(unix)]
#[test]
fn a_program_that_thinks_long_changes_nothing_in_virtual_time() {
    let folder = folder();
    let answer = "sed -u 's/.*\"id\":\\([0-9]*\\).*/{\"unchoke\":[\\1]}/'";
    let slow = format!("while read -r line; do sleep 0.02; echo \"$line\"; done | {answer}");
    let quick = arena(folder.path(), &[("mine", answer)]);
    assert_eq!(quick, arena(folder.path(), &[("mine", &slow)]));
    let ours = &quick["rows"][1];
    assert_eq!(ours["label"], "tit for tat");
    assert_ne!(quick["rows"][0]["values"][1], ours["values"][1], "its answers have an effect");
}

/// A flood stays in the pipe: the program keeps a line or two of it.
#[cfg(target_os = "linux")]
#[test]
fn a_flood_fills_no_memory() {
    let folder = folder();
    let peak = |program: &str| {
        let run = simulate(&["arena", "--peers", "16", "--pieces", "4"]).dir(folder.path());
        let mut running = run.arg("--strategy").arg(format!("mine={program}")).start();
        let mut peak = 0;
        while !running.is_over() {
            peak = running.status("VmHWM").unwrap_or(peak).max(peak);
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        running.finish().succeeds();
        peak
    };
    let answers = "while read -r line; do echo '{}'; done";
    let quiet = peak(answers);
    // On stderr it floods beside its answers: without any, each game would wait for the first.
    let on_stderr = format!("cat /dev/zero >&2 & {answers}");
    for program in ["cat /dev/zero", "yes", &on_stderr] {
        let flooded = peak(program);
        assert!(flooded < quiet + 8 * 1024, "{program}: {flooded} KiB, and {quiet} KiB without");
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_it_without_half_a_result() {
    let folder = folder();
    let words = ["arena", "--strategy", "mine=touch begun; sleep 1000"];
    let running = simulate(&words).dir(folder.path()).start();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !folder.path().join("begun").exists() && std::time::Instant::now() < until {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    running.interrupt();
    let outcome = running.finish();
    assert_eq!((outcome.code, outcome.out().as_str()), (Some(130), ""), "{outcome}");
    assert!(outcome.err().contains("error: stopped before the simulation had ended"), "{outcome}");
}

/// A program in the arena that leaves its group and its session, forgets where it comes from, and
/// pays no attention to signals; it adds its number to `pids`.
#[cfg(target_os = "linux")]
const DAEMON: &str =
    "trap '' TERM INT HUP; env -i setsid sh -c 'echo $$ >> pids; exec sleep 1000' & sleep 1000";

/// Waits until a daemon's number is there; returns all that are.
#[cfg(target_os = "linux")]
#[track_caller]
fn daemons(folder: &Path) -> Vec<String> {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while std::time::Instant::now() < until {
        let pids = fs::read_to_string(folder.join("pids")).unwrap_or_default();
        if pids.ends_with('\n') {
            return pids.lines().map(str::to_owned).collect();
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    panic!("the program was not started");
}

/// Checks that a process ends. Whoever adopts it may take a while to ask how.
#[cfg(target_os = "linux")]
#[track_caller]
fn assert_ends(pid: &str) {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let lives = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
    };
    while lives() {
        assert!(std::time::Instant::now() < until, "{pid} is still there");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_daemon_does_not_outlive_the_arena() {
    let folder = folder();
    let ends = DAEMON.replace("& sleep 1000", "& while [ ! -s pids ]; do sleep 0.01; done");
    arena(folder.path(), &[("mine", &ends)]);
    daemons(folder.path()).iter().for_each(|pid| assert_ends(pid));
}

#[cfg(target_os = "linux")]
#[test]
fn a_second_ctrl_c_leaves_nothing_behind() {
    let folder = folder();
    let strategy = format!("mine={DAEMON}");
    let mut running = simulate(&["arena", "--strategy", &strategy]).dir(folder.path()).start();
    daemons(folder.path());
    // Impatient: the first one waits a moment for programs that end by themselves.
    while !running.is_over() {
        running.interrupt();
    }
    let outcome = running.finish();
    assert_eq!(outcome.code, Some(130), "{outcome}");
    daemons(folder.path()).iter().for_each(|pid| assert_ends(pid));
}
