//! The example at the end of each command's help works when it is pasted beside a
//! running lab.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use piecemeal::lab::guide::Guide;
use piecemeal::lab::seeder::Plan;
use piecemeal::lab::{Lab, chapters};

use crate::support::{Run, commands, folder};

/// The longest time for an example, and for the first words of one that runs until Ctrl-C.
const LIMIT: Duration = Duration::from_secs(60);

/// The examples of a command, a shell command each.
fn examples(name: &str) -> Vec<String> {
    let help = Run::new([name, "--help"]).run().out();
    let (_, last) = help.trim_end().rsplit_once("\n\n").expect("a help has several paragraphs");
    let mut examples: Vec<String> = Vec::new();
    for line in last.lines().skip(1) {
        match line.strip_prefix("  ").filter(|line| !line.starts_with(' ')) {
            Some(command) => examples.push(command.to_owned()),
            None => {
                *examples.last_mut().expect("an example begins with a command") +=
                    &format!("\n{line}")
            }
        }
    }
    examples
}

/// A shell that runs in a folder, and is killed if the test ends first.
struct Shell(Child);

impl Shell {
    fn start(command: &str, folder: &Path) -> Shell {
        let printed = File::create(folder.join(".printed")).expect("the folder can be written");
        let program =
            Path::new(env!("CARGO_BIN_EXE_piecemeal")).parent().expect("it is in a folder");
        let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
        // The program replaces the shell, so that it gets the Ctrl-C.
        let mut shell = Command::new("sh");
        shell
            .arg("-c")
            .arg(format!("exec {command}"))
            .current_dir(folder)
            .env("PATH", path)
            .stdin(Stdio::null());
        let both = shell.stdout(printed.try_clone().expect("a file can be shared")).stderr(printed);
        Shell(both.spawn().expect("there is a shell"))
    }

    fn end(&mut self, command: &str) -> Option<i32> {
        let until = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.0.try_wait().expect("the shell can be waited for") {
                return status.code();
            }
            assert!(Instant::now() < until, "still running: {command}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends Ctrl-C once the command has printed this.
    fn interrupt_after(&self, words: &str, command: &str, folder: &Path) {
        let until = Instant::now() + LIMIT;
        while !printed(folder).contains(words) {
            assert!(
                Instant::now() < until,
                "{command} has not said {words:?}, but {}",
                printed(folder)
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        let sent = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status();
        assert!(sent.expect("kill runs").success(), "{command}");
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn printed(folder: &Path) -> String {
    String::from_utf8_lossy(&fs::read(folder.join(".printed")).unwrap_or_default()).into_owned()
}

#[test]
fn the_example_of_every_help_works_beside_a_running_lab() {
    let mut lab =
        Lab::start(chapters().expect("torrents"), &vec![Plan::default(); 3], 0).expect("a lab");
    lab.start_dht(12, 0).expect("a DHT");
    let way_in = lab.dht.as_ref().map(|dht| dht.way_in().to_string()).unwrap_or_default();
    // The examples assume the lab's usual addresses.
    let places: Vec<(String, String)> = (2..)
        .zip(lab.addresses())
        .map(|(last, real)| (format!("127.0.0.{last}:6881"), real.to_string()))
        .chain([("127.0.0.1:6969".to_owned(), lab.tracker.address().to_string())])
        .chain([("127.0.0.1:6881".to_owned(), way_in)])
        // And a port that is taken here may be free elsewhere.
        .chain([("0.0.0.0:7000".to_owned(), "127.0.0.1:0".to_owned())])
        .collect();
    // It asks whatever network this machine is on; tests/s20_lsd runs it in one of its own.
    for name in commands().into_iter().filter(|name| *name != "lsd_peers") {
        for example in examples(name) {
            let folder = folder();
            // Give this lab other addresses and a folder of its own.
            if name != "lab" {
                Guide::new(&lab, &folder.path().join("lab"))
                    .expect("the lab's files can be written");
            }
            if name == "verify" {
                fs::copy(
                    folder.path().join("lab/original/sample.txt"),
                    folder.path().join("sample.txt"),
                )
                .expect("a copy");
            }
            if name == "grade" {
                std::os::unix::fs::symlink(
                    env!("CARGO_BIN_EXE_piecemeal"),
                    folder.path().join("my_client"),
                )
                .expect("the folder takes a link");
            }
            if name == "swarm_sheet" {
                for laptop in ["seed", "ada", "bob"] {
                    let result = serde_json::json!({
                        "event": "done", "info_hash": "aa", "peer_id": laptop, "from": [], "to": [],
                    });
                    let file = folder.path().join(format!("{laptop}.json"));
                    fs::write(file, result.to_string()).expect("the folder takes a file");
                }
            }
            if name == "replay" {
                let download =
                    ["download", "-q", "-o", "sample.txt", "--bind", "127.0.0.1", "--port", "0"];
                let captured = Run::new(download)
                    .arg("--capture")
                    .arg("session.capture")
                    .arg("lab/sample.torrent");
                captured.dir(folder.path()).run().succeeds();
            }
            let real = places
                .iter()
                .fold(example.clone(), |text, (shown, real)| text.replace(shown, real));
            let mut shell = Shell::start(&real, folder.path());
            match name {
                "announce" => shell.interrupt_after("again in", &real, folder.path()),
                "serve" | "seed" => shell.interrupt_after("listening at", &real, folder.path()),
                "dht_node" => shell.interrupt_after("Listening on", &real, folder.path()),
                "lab" => shell.interrupt_after("Ctrl-C ends the lab", &real, folder.path()),
                "tracker" => shell.interrupt_after("Ctrl-C ends the tracker", &real, folder.path()),
                _ => {}
            }
            let code = shell.end(&real);
            assert_eq!(code, Some(0), "{example}\n{}", printed(folder.path()));
        }
    }
}
