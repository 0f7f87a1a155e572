//! Runs every ```console block, in order, against a lab inside this process, and
//! compares what it prints, byte for byte. Each document has a lab of its own.
//!
//! A line that begins with `$ ` is a command for `sh`; the lines up to the next one are
//! what it prints, stdout and stderr as they come. The commands of a document run
//! in one empty folder, which holds what `piecemeal lab` writes, `lab/`, and the
//! captures of this repository where they are in it, `tests/data/captures/`. `$?` is the
//! exit code of the command before. A block that prints something which is not in the
//! document fails, and says what it was. With `WRITE_DOCS` in the environment (`make
//! docs`) it is written into the document instead: see `rewriting.rs`.
//!
//! A command that ends in ` &` goes on beside the following ones, once it has printed
//! what stands below it. `$!` is its process, as in a shell, and `wait` shows what else
//! it prints until it ends. There is one of them at a time.
//!
//! What truly varies is replaced, and only that:
//!
//! | in the documents | what it is |
//! |---|---|
//! | `127.0.0.1:6969`, `127.0.0.2:6881` and so on | the lab's tracker and seeders, where their ports are taken |
//! | `127.0.0.1:7009`, `port 7009`, and 7010, 7011 | where programs of the document listen: ports that are free |
//! | `127.0.0.1:6881`, `127.0.1.5:6881` and so on | nodes of the lab's DHT, at other ports |
//! | `Node ID: 06c3..`, `Heard 9 queries: ..`, `Knows ..` | a node's id and counts: those of `dht_node` are never the same |
//! | (nothing) | the lines `downloading: 40%, ...`: on a terminal there is a bar, which goes away |
//! | `(os error 111)` | the number of an error, which differs between systems |
//! | `#0002 +0.0009s  OUT ..` | the time in the first line of an event of a trace, and how far it is padded |
//! | `0030  2d 50 4d ..` | in a handshake of ours: what is random in the peer id, and all behind it |
//! | ```` ```console any-order ```` | lines whose order depends on who answers first are compared sorted |

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use super::markdown::{Block, Document, documents, root};
use super::rewriting::{Change, fresh, rewritten};
use piecemeal::lab::dht::LabDht;
use piecemeal::lab::guide::Guide;
use piecemeal::lab::seeder::Plan;
use piecemeal::lab::{Lab, TRACKER_PORT, chapters};

/// How long one command may take.
const LIMIT: Duration = Duration::from_secs(60);

/// A command, and what it is said to print.
struct Step {
    line: usize,
    /// Where that begins: the line behind the command, which may have several.
    below: usize,
    command: String,
    expected: Vec<String>,
}

fn steps(block: &Block) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut continued = false;
    for (number, line) in (block.line + 1..).zip(&block.lines) {
        match (steps.last_mut(), line.strip_prefix("$ ")) {
            (Some(step), None) if continued => {
                step.command += &format!("\n{line}");
                step.below = number + 1;
            }
            (_, Some(command)) => {
                steps.push(Step {
                    line: number,
                    below: number + 1,
                    command: command.to_owned(),
                    expected: Vec::new(),
                });
            }
            (Some(step), None) => step.expected.push(line.clone()),
            (None, None) => panic!("line {number}: a transcript begins with `$ `"),
        }
        continued = steps
            .last()
            .is_some_and(|step| step.expected.is_empty() && step.command.ends_with('\\'));
    }
    steps
}

/// The addresses in the documents, and those of this run.
pub struct Addresses(Vec<(String, String)>);

impl Addresses {
    pub fn of(lab: &Lab, needed: bool) -> Addresses {
        let seeders = lab
            .addresses()
            .into_iter()
            .zip(2..)
            .map(|(real, last)| (format!("127.0.0.{last}:6881"), real.to_string()));
        let tracker = ("127.0.0.1:6969".to_owned(), lab.tracker.address().to_string());
        // The first is the way in. The seeders are the next ones, at their own addresses.
        let nodes = lab.dht.iter().flat_map(LabDht::addresses).enumerate().map(|(number, real)| {
            let ip = if number == 0 { Ipv4Addr::LOCALHOST.into() } else { real.ip() };
            (format!("{ip}:6881"), real.to_string())
        });
        let plain: Vec<(String, String)> = seeders.chain([tracker]).chain(nodes).collect();
        let escaped =
            plain.iter().map(|(shown, real)| (shown.replace(':', "%3A"), real.replace(':', "%3A")));
        // Only for a document that has a use for them.
        let ours = needed
            .then(own_ports)
            .into_iter()
            .flat_map(|real| ["7009", "7010", "7011"].into_iter().zip(real));
        let forms = |(shown, real): (&str, u16)| {
            ["127.0.0.1:", "port "]
                .map(|before| (format!("{before}{shown}"), format!("{before}{real}")))
        };
        Addresses(plain.iter().cloned().chain(escaped).chain(ours.flat_map(forms)).collect())
    }

    pub fn real(&self, text: &str) -> String {
        self.0
            .iter()
            .fold(text.to_owned(), |text, (shown, real)| text.replace(shown.as_str(), real))
    }

    fn shown(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (shown, real)| {
            // In a table, what stands behind an address keeps its column.
            let column = format!("{shown:<width$}    ", width = real.len());
            text.replace(&format!("{real}    "), &column).replace(real.as_str(), shown)
        })
    }
}

/// Takes out of a line what varies from system to system; `None` for the steps of a bar.
pub fn settled(line: &str) -> Option<String> {
    let is_percent =
        |rest: &str| rest.split_once('%').is_some_and(|(number, _)| number.parse::<u32>().is_ok());
    let is_step = |label: &str| line.strip_prefix(label).is_some_and(is_percent);
    if ["downloading: ", "checking: ", "verifying: ", "hashing: ", "seeding: ", "simulating: "]
        .iter()
        .any(|label| is_step(label))
    {
        return None;
    }
    if let Some((ours, _)) = line.split_once("0030  2d 50 4d 30 30 30 31 2d ") {
        return Some(format!("{ours}0030  our peer id"));
    }
    if line.strip_prefix("Node ID: ").is_some_and(|id| id.len() == 40) {
        return Some("Node ID: of a node".to_owned());
    }
    if line.starts_with("Heard ") && line.contains(" find_node, ") {
        return Some("Heard some queries".to_owned());
    }
    if line.starts_with("Knows ") && line.contains(" torrents with ") {
        return Some("Knows some nodes".to_owned());
    }
    let timed = line
        .strip_prefix('#')
        .and_then(|line| line.split_once(" +"))
        .and_then(|(number, rest)| Some((number, rest.split_once("s ")?)));
    let event = timed.map(|(number, (_, rest))| {
        let words: Vec<&str> = rest.split_whitespace().collect();
        format!("#{number} +N {}", words.join(" "))
    });
    let line = event.as_deref().unwrap_or(line);
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

/// Starts a shell in a folder; what it prints goes to a file there.
fn start(script: &str, folder: &Path, printed: &str) -> Child {
    let file = File::create(folder.join(printed)).expect("the folder can be written");
    let binary =
        Path::new(env!("CARGO_BIN_EXE_piecemeal")).parent().expect("a program is in a folder");
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap_or_default());
    // One file for both, so that what is printed first stands first.
    Command::new("sh")
        .arg("-c")
        .arg(script)
        .current_dir(folder)
        .env("PATH", path)
        .stdin(Stdio::null())
        .stdout(file.try_clone().expect("a file can be shared"))
        .stderr(file)
        .spawn()
        .expect("there is a shell")
}

/// Waits for its end, and returns its exit code.
fn end(child: &mut Child, command: &str) -> i32 {
    let until = Instant::now() + LIMIT;
    loop {
        match child.try_wait().expect("the shell can be waited for") {
            Some(status) => return status.code().unwrap_or(-1),
            None if Instant::now() > until => {
                let _ = child.kill();
                let _ = child.wait();
                panic!("killed after {LIMIT:?}: {command}");
            }
            None => thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn text(folder: &Path, printed: &str) -> String {
    String::from_utf8_lossy(&fs::read(folder.join(printed)).expect("what was printed is there"))
        .into_owned()
}

/// Runs a command in a folder, and returns what it printed and its exit code.
pub fn run(command: &str, last_code: i32, folder: &Path) -> (String, i32) {
    // In the shell's place, so that a program that is killed does not live on below it.
    let place = if command.starts_with("piecemeal ") && !command.contains(['|', ';', '\n']) {
        "exec "
    } else {
        ""
    };
    let mut child = start(&format!("(exit {last_code})\n{place}{command}"), folder, ".printed");
    let code = end(&mut child, command);
    let text = text(folder, ".printed");
    fs::remove_file(folder.join(".printed")).expect("the folder can be written");
    (text, code)
}

/// A command that goes on beside the others. Whatever happens, it ends with the test.
pub struct Job {
    pub child: Child,
    command: String,
    /// How much of what it printed has been shown.
    shown: usize,
}

impl Job {
    /// Starts it, and waits until it has printed so many lines.
    pub fn start(command: &str, lines: usize, folder: &Path) -> (Job, String) {
        let child = start(&format!("exec {command}"), folder, ".beside");
        let mut job = Job { child, command: command.to_owned(), shown: 0 };
        let until = Instant::now() + LIMIT;
        loop {
            let ended = job.child.try_wait().expect("the shell can be waited for").is_some();
            let text = text(folder, ".beside");
            let whole = text.rfind('\n').map_or(0, |end| end + 1);
            if ended
                || Instant::now() > until
                || text[..whole].lines().filter_map(settled).count() >= lines
            {
                job.shown = whole;
                return (job, text[..whole].to_owned());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for its end; returns what it has printed since, and its exit code.
    pub fn wait(mut self, folder: &Path) -> (String, i32) {
        let code = end(&mut self.child, &self.command);
        (text(folder, ".beside")[self.shown..].to_owned(), code)
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A transcript that is no longer so, and what it would be.
pub struct Wrong {
    pub said: String,
    pub change: Change,
}

/// All transcripts of a document; what differs is returned.
pub fn check(document: &Document, lab: &Lab) -> Vec<Wrong> {
    let folder = tempfile::tempdir().expect("the system has room for a temporary folder");
    let captures = Path::new("tests/data/captures");
    fs::create_dir_all(folder.path().join(captures)).expect("the folder can be written");
    for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(captures))
        .expect("the captures are there")
    {
        let file = file.expect("the folder can be listed");
        fs::copy(file.path(), folder.path().join(captures).join(file.file_name()))
            .expect("a capture can be copied");
    }
    let listens =
        document.blocks.iter().flat_map(|block| &block.lines).any(|line| line.contains("7009"));
    let addresses = Addresses::of(lab, listens);
    let guide = Guide::new(lab, &folder.path().join("lab"))
        .expect("the lab's files can be written")
        .to_string();
    let mut last_code = 0;
    let mut wrong = Vec::new();
    let mut job: Option<Job> = None;
    for block in document.blocks.iter().filter(|block| block.language() == "console") {
        let any_order = block.kind.ends_with("any-order");
        for step in steps(block) {
            let printed;
            (printed, last_code) = match step.command.as_str() {
                // It runs already, in here; what it says at its start is its tour.
                "piecemeal lab" => (guide.replace(&format!("{}/", folder.path().display()), ""), 0),
                "wait" => job.take().expect("there is something to wait for").wait(folder.path()),
                command => {
                    let beside =
                        job.as_ref().map_or("$!".to_owned(), |job| job.child.id().to_string());
                    let real = addresses.real(command).replace("$!", &beside);
                    match real.strip_suffix(" &") {
                        Some(real) => {
                            assert!(
                                job.is_none(),
                                "{}:{}: another one runs",
                                document.path.display(),
                                step.line
                            );
                            let (started, printed) =
                                Job::start(real, step.expected.len(), folder.path());
                            job = Some(started);
                            (printed, 0)
                        }
                        None => run(&real, last_code, folder.path()),
                    }
                }
            };
            let printed = addresses.shown(&printed);
            let found = all_settled(printed.lines(), any_order);
            let expected = all_settled(step.expected.iter().map(String::as_str), any_order);
            if found != expected {
                let place = format!("{}:{}", document.path.display(), step.line);
                let said = format!("{place}: $ {}\nprints:\n{}\n", step.command, found.join("\n"));
                let lines = fresh(&step.expected, &printed, any_order);
                wrong.push(Wrong {
                    said,
                    change: Change { first: step.below, lines_there: step.expected.len(), lines },
                });
            }
        }
    }
    assert!(job.is_none(), "{}: nobody waits for what runs beside", document.path.display());
    wrong
}

fn is_free(port: &u16) -> bool {
    TcpListener::bind(("127.0.0.1", *port)).is_ok() && UdpSocket::bind(("127.0.0.1", *port)).is_ok()
}

/// Three free ports for one document: no other document gets them, and another run of these tests
/// that may go on at the same time looks far from them.
fn own_ports() -> [u16; 3] {
    static NEXT: Mutex<Option<u16>> = Mutex::new(None);
    let mut next = NEXT.lock().expect("nobody panics with this lock");
    let from = next.unwrap_or_else(|| 7100 + 9 * (std::process::id() % 300) as u16);
    let mut free = (from..9999).filter(is_free);
    let ports = std::array::from_fn(|_| free.next().expect("three ports are free"));
    *next = Some(ports[2] + 1);
    ports
}

/// A free port of four digits, as 6969 has them: a .torrent file with a longer URL in
/// it would be longer, and errors in it would be at other bytes. Not one of those that
/// stand for others in the documents.
fn tracker_port() -> u16 {
    let own = |port: &u16| (7009..=7011).contains(port);
    (TRACKER_PORT..9999)
        .find(|port| !own(port) && is_free(port))
        .expect("one of three thousand ports is free")
}

/// Whether a document has a use for the DHT: what the lab prints at its start names it as well.
fn uses_dht(document: &Document) -> bool {
    let console = document.blocks.iter().filter(|block| block.language() == "console");
    let is_use = |line: &String| line.contains("dht") || line == "$ piecemeal lab";
    console.flat_map(|block| &block.lines).any(is_use)
}

/// A lab as the documents describe it.
/// With nodes of the DHT, if it is used.
pub fn start_lab(with_dht: bool) -> Lab {
    let contents = chapters().expect("they are torrents");
    loop {
        let port = tracker_port();
        let mut lab = Lab::start(contents.clone(), &vec![Plan::default(); 3], port)
            .expect("there is a loopback interface");
        if with_dht {
            lab.start_dht(12, 0).expect("there are loopback addresses");
        }
        // Another program may have taken the port since it was looked at.
        if lab.tracker.address().port() == port {
            return lab;
        }
    }
}

fn write(document: &Document, wrong: Vec<Wrong>) {
    let path = root().join(&document.path);
    let text = fs::read_to_string(&path).expect("it has been read before");
    let changes: Vec<Change> = wrong.into_iter().map(|wrong| wrong.change).collect();
    println!("{}: {} transcripts rewritten", document.path.display(), changes.len());
    fs::write(&path, rewritten(&text, &changes))
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

#[test]
fn every_transcript_prints_what_the_document_shows() {
    // A lab each: what one document gives must not turn up in what another asks for.
    let documents: Vec<(Document, Lab)> = documents()
        .into_iter()
        .map(|document| {
            let lab = start_lab(uses_dht(&document));
            (document, lab)
        })
        .collect();
    // An announce in the middle of a transcript would be in it.
    let nodes = documents.iter().filter_map(|(_, lab)| lab.dht.as_ref());
    nodes.for_each(LabDht::wait_until_announced);
    // One thread a document: most of the time is spent in waiting for programs.
    let wrong: Vec<Vec<Wrong>> = thread::scope(|scope| {
        let checks: Vec<_> =
            documents.iter().map(|(document, lab)| scope.spawn(|| check(document, lab))).collect();
        checks
            .into_iter()
            .map(|check| check.join().expect("a document is checked to its end"))
            .collect()
    });
    if std::env::var_os("WRITE_DOCS").is_some() {
        let changed = documents.iter().zip(wrong).filter(|(_, wrong)| !wrong.is_empty());
        changed.for_each(|((document, _), wrong)| write(document, wrong));
        return;
    }
    let wrong: Vec<String> = wrong.into_iter().flatten().map(|wrong| wrong.said).collect();
    let hint = "if they are to be so, `make docs` writes them";
    assert!(
        wrong.is_empty(),
        "{} transcripts differ ({hint}):\n\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
