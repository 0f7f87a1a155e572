//! `grade --watch`: a change of the client is seen, and only a change.

use super::scripts::{STRINGS, script, unique, with_argument};
use crate::support::{Run, Running, folder};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// A watch whose output is read line by line.
struct Watch {
    child: Child,
    lines: Receiver<String>,
}

impl Watch {
    fn start(folder: &Path, client: &Path) -> Watch {
        Watch::of(&["--check", "1.1", "--check", "1.2"], folder, client)
    }

    fn of(checks: &[&str], folder: &Path, client: &Path) -> Watch {
        let mut child = Command::new(env!("CARGO_BIN_EXE_piecemeal"))
            .args(["grade", "--watch", "--seed", "7"])
            .args(checks)
            .arg("--")
            .arg(client)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let stdout = child.stdout.take().expect("stdout is a pipe");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).for_each(|l| drop(sender.send(l)));
        });
        Watch { child, lines }
    }

    /// The lines up to one with these words, which ends a round.
    fn until(&self, words: &str) -> Vec<String> {
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(Duration::from_secs(60)) {
                Ok(line) if line.contains(words) => return seen,
                Ok(line) => seen.push(line),
                Err(error) => panic!("{error}: no {words:?} after {seen:#?}"),
            }
        }
    }

    fn round(&self) -> String {
        self.until("waits for a change").join("\n")
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const WAITS: Duration = Duration::from_secs(2);

#[test]
fn a_change_runs_the_next_check_first_and_then_all() {
    let folder = folder();
    let client = script(folder.path(), "client", "exit 1");
    let mut watch = Watch::start(folder.path(), &client);
    let first = watch.round();
    assert!(first.contains("1.1 ") && first.contains("0 of 2 checks are passed"), "{first}");
    assert!(!first.contains("1.2 "), "only the next one is shown: {first}");

    script(folder.path(), "client", STRINGS);
    let second = watch.round();
    let (one, two) = (second.find("1.1 "), second.find("1.2 "));
    assert!(one.is_some() && one < two, "1.1 is passed, then 1.2 is next: {second}");
    assert!(second.contains("passed") && second.contains("1 of 2 checks"), "{second}");

    // What nobody edits changes nothing.
    for (place, name) in
        [("target", "a"), (".git", "b"), ("node_modules", "c"), ("__pycache__", "d")]
    {
        script(&folder.path().join(place), name, "true");
    }
    script(folder.path(), ".hidden", "true");
    assert!(watch.lines.recv_timeout(WAITS).is_err(), "it has run again");

    script(folder.path(), "notes", "true");
    let third = watch.round();
    assert!(third.contains("1.2 ") && !third.contains("1 of 2"), "1.2 alone is tried: {third}");

    let pid = watch.child.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status();
    assert!(sent.is_ok_and(|status| status.success()));
    let status = watch.child.wait().expect("it can be waited for");
    assert_eq!(status.code(), Some(0), "Ctrl-C is the normal end");
}

#[test]
fn a_save_ends_the_round_that_runs() {
    let (folder, word) = (folder(), unique());
    // It starts as others do, and then each check has it wait until its time is over.
    let text = format!("[ \"$2\" = le ] && exit 1; sleep {word}");
    let client = script(folder.path(), "client", &text);
    let watch = Watch::of(&["--stage", "1"], folder.path(), &client);
    let begun = Instant::now();
    while with_argument(&format!("sleep {word}")).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60), "no check begins");
        std::thread::sleep(Duration::from_millis(5));
    }
    script(folder.path(), "client", STRINGS);
    let cut = watch.until("a file was saved").join("\n");
    assert!(!cut.contains("waits for a change") && !cut.contains("was stopped"), "{cut}");
    let next = watch.round();
    assert!(next.contains("1.2 ") && !next.contains("1.1 "), "1.1 is passed: {next}");
}

#[test]
fn a_file_that_the_client_writes_itself_does_not_run_it_forever() {
    // One writes it each time, the other only when there is something to do.
    for (word, rounds) in [("le", 1..=1), ("none", 2..=8)] {
        let folder = folder();
        let text = format!("[ \"$2\" = le ] && [ {word} != le ] || date +%N >> own.log; exit 1");
        let client = script(folder.path(), "client", &text);
        std::fs::write(folder.path().join("own.log"), "").expect("the folder can be written");
        let watch = Watch::start(folder.path(), &client);
        watch.round();
        let mut count = 1;
        // It might have been an editor. Then it is known.
        while let Ok(line) = watch.lines.recv_timeout(WAITS) {
            count += u32::from(line.contains("waits for a change"));
            assert!(count <= *rounds.end(), "it runs on and on");
        }
        assert!(rounds.contains(&count), "{word}: {count} rounds");
    }
}

#[test]
fn watching_has_no_json() {
    let folder = folder();
    let client = script(folder.path(), "client", "exit 1");
    let running: Running = Run::new(["grade", "--json", "--watch", "--"]).arg(&client).start();
    let outcome = running.finish();
    assert_eq!(outcome.code, Some(2), "{outcome}");
}
