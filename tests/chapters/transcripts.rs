//! Runs every ```console block, in order, against a lab inside this process, and
//! compares what it prints, byte for byte.
//!
//! A line that begins with `$ ` is a command for `sh`; the lines up to the next one are
//! what it prints, stdout and stderr as they come. The commands of a document run
//! in one empty folder, which holds what `piecemeal lab` writes: `lab/`. `$?` is the
//! exit code of the command before. A block that prints something which is not in the
//! document fails, and says what it was.
//!
//! What truly varies is replaced, and only that:
//!
//! | in the documents | what it is |
//! |---|---|
//! | `127.0.0.1:6969`, `127.0.0.2:6881` and so on | the lab's tracker and seeders, where their ports are taken |
//! | (nothing) | the lines `downloading: 40%`: on a terminal there is a bar, which goes away |
//! | `(os error 111)` | the number of an error, which differs between systems |
//! | ```` ```console any-order ```` | lines whose order depends on who answers first are compared sorted |

use std::fs::{self, File};
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::markdown::{Block, Document, documents};
use piecemeal::lab::seeder::Plan;
use piecemeal::lab::tour::Tour;
use piecemeal::lab::{Lab, TRACKER_PORT, album, sample};

/// How long one command may take.
const LIMIT: Duration = Duration::from_secs(60);

/// A command, and what it is said to print.
struct Step {
    line: usize,
    command: String,
    expected: Vec<String>,
}

fn steps(block: &Block) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut continued = false;
    for (number, line) in (block.line + 1..).zip(&block.lines) {
        match (steps.last_mut(), line.strip_prefix("$ ")) {
            (Some(step), None) if continued => step.command += &format!("\n{line}"),
            (_, Some(command)) => steps.push(Step { line: number, command: command.to_owned(), expected: Vec::new() }),
            (Some(step), None) => step.expected.push(line.clone()),
            (None, None) => panic!("line {number}: a transcript begins with `$ `"),
        }
        continued = steps.last().is_some_and(|step| step.expected.is_empty() && step.command.ends_with('\\'));
    }
    steps
}

/// The addresses in the documents, and those of this run.
struct Addresses(Vec<(String, String)>);

impl Addresses {
    fn of(lab: &Lab) -> Addresses {
        let seeders = lab.addresses().into_iter().zip(2..).map(|(real, last)| (format!("127.0.0.{last}:6881"), real.to_string()));
        let tracker = ("127.0.0.1:6969".to_owned(), lab.tracker.address().to_string());
        let plain: Vec<(String, String)> = seeders.chain([tracker]).collect();
        let escaped = plain.iter().map(|(shown, real)| (shown.replace(':', "%3A"), real.replace(':', "%3A")));
        Addresses(plain.iter().cloned().chain(escaped).collect())
    }

    fn real(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (shown, real)| text.replace(shown.as_str(), real))
    }

    fn shown(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (shown, real)| text.replace(real.as_str(), shown))
    }
}

/// Takes out of a line what varies from system to system; `None` for the steps of a bar.
fn settled(line: &str) -> Option<String> {
    let is_step = |label: &str| line.strip_prefix(label).is_some_and(|rest| rest.ends_with('%'));
    if ["downloading: ", "checking: ", "verifying: ", "hashing: "].iter().any(|label| is_step(label)) {
        return None;
    }
    let Some((before, rest)) = line.split_once("(os error ") else { return Some(line.to_owned()) };
    let behind = rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
    Some(format!("{before}(os error N{behind}"))
}

fn all_settled<'l>(lines: impl Iterator<Item = &'l str>, any_order: bool) -> Vec<String> {
    let mut lines: Vec<String> = lines.filter_map(settled).collect();
    if any_order {
        lines.sort();
    }
    lines
}

/// Runs a command in a folder, and returns what it printed and its exit code.
fn run(command: &str, last_code: i32, folder: &Path) -> (String, i32) {
    let printed = folder.join(".printed");
    let file = File::create(&printed).expect("the folder can be written");
    let binary = Path::new(env!("CARGO_BIN_EXE_piecemeal")).parent().expect("a program is in a folder");
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap_or_default());
    // One file for both, so that what is printed first stands first.
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(format!("(exit {last_code})\n{command}"))
        .current_dir(folder)
        .env("PATH", path)
        .stdin(Stdio::null())
        .stdout(file.try_clone().expect("a file can be shared"))
        .stderr(file)
        .spawn()
        .expect("there is a shell");
    let until = Instant::now() + LIMIT;
    let code = loop {
        match child.try_wait().expect("the shell can be waited for") {
            Some(status) => break status.code().unwrap_or(-1),
            None if Instant::now() > until => {
                let _ = child.kill();
                let _ = child.wait();
                panic!("killed after {LIMIT:?}: {command}");
            }
            None => thread::sleep(Duration::from_millis(5)),
        }
    };
    let text = String::from_utf8_lossy(&fs::read(&printed).expect("what was printed is there")).into_owned();
    fs::remove_file(&printed).expect("the folder can be written");
    (text, code)
}

/// All transcripts of a document; what differs is returned.
fn check(document: &Document, lab: &Lab) -> Vec<String> {
    let folder = tempfile::tempdir().expect("the system has room for a temporary folder");
    let addresses = Addresses::of(lab);
    let tour = Tour::new(lab, &folder.path().join("lab")).expect("the lab's files can be written").to_string();
    let mut last_code = 0;
    let mut wrong = Vec::new();
    for block in document.blocks.iter().filter(|block| block.language() == "console") {
        let any_order = block.kind.ends_with("any-order");
        for step in steps(block) {
            let printed;
            (printed, last_code) = match step.command.as_str() {
                // It runs already, in here; what it says at its start is its tour.
                "piecemeal lab" => (tour.replace(&format!("{}/", folder.path().display()), ""), 0),
                command => run(&addresses.real(command), last_code, folder.path()),
            };
            let printed = addresses.shown(&printed);
            let found = all_settled(printed.lines(), any_order);
            let expected = all_settled(step.expected.iter().map(String::as_str), any_order);
            if found != expected {
                let place = format!("{}:{}", document.path.display(), step.line);
                wrong.push(format!("{place}: $ {}\nprints:\n{}\n", step.command, found.join("\n")));
            }
        }
    }
    wrong
}

/// A free port of four digits, as 6969 has them: a .torrent file with a longer URL in
/// it would be longer, and errors in it would be at other bytes.
fn tracker_port() -> u16 {
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok() && UdpSocket::bind(("127.0.0.1", *port)).is_ok();
    (TRACKER_PORT..9999).find(free).expect("one of three thousand ports is free")
}

#[test]
fn every_transcript_prints_what_the_document_shows() {
    let contents = vec![sample().expect("it is a torrent"), album().expect("it is a torrent")];
    let lab = Lab::start(contents, &vec![Plan::default(); 3], tracker_port()).expect("there is a loopback interface");
    let documents = documents();
    // One thread a document: most of the time is spent in waiting for programs.
    let wrong: Vec<String> = thread::scope(|scope| {
        let checks: Vec<_> = documents.iter().map(|document| scope.spawn(|| check(document, &lab))).collect();
        checks.into_iter().flat_map(|check| check.join().expect("a document is checked to its end")).collect()
    });
    assert!(wrong.is_empty(), "{} transcripts differ:\n\n{}", wrong.len(), wrong.join("\n"));
}
