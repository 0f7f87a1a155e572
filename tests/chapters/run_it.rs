//! The **Run it** lines: the commands on a stage's card, pasted into a folder in which nothing but a
//! fresh lab has been, do what they should.

use std::fs;
use std::process::Command;

use super::markdown::root;
use super::transcripts::{Addresses, Job, run, start_lab};
use piecemeal::lab::Lab;
use piecemeal::lab::guide::Guide;

/// These go on until Ctrl-C.
const ENDLESS: [&str; 4] = ["announce", "serve", "seed", "dht_node"];

/// The commands of a card: what stands in backticks in its **Run it** item.
fn commands(source: &str) -> Vec<String> {
    let card = source.lines().map_while(|line| line.strip_prefix("//!"));
    let card = card.map(str::trim).collect::<Vec<_>>().join(" ");
    let Some((_, item)) = card.split_once("* **Run it:**") else { return Vec::new() };
    let item = item.split(" * ").next().unwrap_or_default();
    let spans = item.split('`').skip(1).step_by(2);
    spans.filter(|span| span.starts_with("piecemeal ")).map(str::to_owned).collect()
}

/// What the command printed, if its end is not a success.
fn failure(command: &str, lab: &Lab) -> Option<String> {
    let folder = tempfile::tempdir().expect("the system has room for a temporary folder");
    Guide::new(lab, &folder.path().join("lab")).expect("the lab's files can be written");
    // The client that is graded is ours.
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_piecemeal"), folder.path().join("my_client"))
        .expect("the folder takes a link");
    let command = Addresses::of(lab, false).real(command);
    let name = command.split(' ').nth(1).unwrap_or_default();
    // It asks whatever network this machine is on; tests/s20_lsd runs it in one of its own.
    if name == "lsd_peers" {
        return None;
    }
    let (printed, code) = if ENDLESS.contains(&name) {
        // Its first line is there: it handles Ctrl-C since before that.
        let (job, first) = Job::start(&command, 1, folder.path());
        let id = job.child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &id]).status().expect("there is a kill");
        assert!(sent.success(), "{command} has ended before Ctrl-C: {first}");
        job.wait(folder.path())
    } else {
        run(&command, 0, folder.path())
    };
    (code != 0).then(|| format!("$ {command}\n{printed}exit code {code}"))
}

#[test]
fn every_command_on_a_card_works_in_a_fresh_lab() {
    let mut cards = 0;
    let mut failures = Vec::new();
    let mut files: Vec<_> = fs::read_dir(root().join("src"))
        .expect("there is a src")
        .map(|file| file.expect("src can be listed").path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    for path in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // `piecemeal lab` is the lab itself; tests/lab runs it, and `piecemeal tracker`.
        if name == "lab.rs" {
            continue;
        }
        let commands = commands(&fs::read_to_string(&path).expect("a source file is text"));
        let is_stage = name.starts_with('s') && name[1..3].chars().all(|c| c.is_ascii_digit());
        assert!(!is_stage || !commands.is_empty(), "{name} has nothing to run");
        cards += usize::from(is_stage);
        for command in commands {
            failures.extend(
                failure(&command, &start_lab(command.contains("dht")))
                    .map(|why| format!("{name}: {why}")),
            );
        }
    }
    assert!(cards >= 18, "{cards} cards were found");
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
