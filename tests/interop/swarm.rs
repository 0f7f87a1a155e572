//! A swarm of twenty processes of ours: one has it all, nineteen want it.
//!
//! The seed is not to give it nineteen times. What one of the others has, it passes on,
//! so that two or three copies from the seed are enough for all.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::download::program;
use crate::fixtures::one_file;
use crate::process::{Running, command, wait_for};
use crate::report::Report;
use crate::world::World;

const DOWNLOADS: usize = 19;
const MIB: u64 = 1 << 20;
/// How many copies the seed may give.
const MAX_COPIES: f64 = 3.0;

/// One of the processes, and what it prints.
struct Member {
    process: Running,
    said: PathBuf,
    out: PathBuf,
}

impl Member {
    fn start(command: &mut Command, folder: &Path) -> Member {
        let said = folder.join("said");
        command.args(["--json", "-q", "--bind", "127.0.0.1", "--port", "0"]);
        let process = Running::start(command, &said).expect("our program starts");
        Member { process, said, out: folder.join("out") }
    }

    fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.said).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    fn wait_for(&mut self, name: &str) -> Value {
        let event = wait_for(Duration::from_secs(60), name, || {
            let found = self.events().into_iter().find(|event| event["event"] == name);
            let over = self.process.exited().is_some();
            found.ok_or_else(|| format!("(over: {over}) {}", self.process.last_words()))
        });
        event.expect("the event")
    }

    /// Ctrl-C, and its last event.
    fn end(mut self) -> Value {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args(["-INT", &id]).status();
        assert!(sent.is_ok_and(|status| status.success()), "it is running still");
        let ended = wait_for(Duration::from_secs(20), "the end", || {
            self.process.exited().ok_or_else(String::new)
        });
        assert!(ended.is_ok_and(|status| status.success()), "{}", self.process.last_words());
        self.events().pop().expect("it has said something")
    }
}

#[test]
fn in_a_swarm_of_twenty_the_seed_gives_three_copies_at_the_most() {
    let fixture = one_file("swarm.bin", 64 * MIB, 256 << 10);
    let Some(world) = World::new(std::slice::from_ref(&fixture)) else { return };
    let report = Report::new("in_a_swarm_of_twenty_the_seed_gives_three_copies_at_the_most");
    let torrent = &world.torrents[0];
    // What a seed at home can afford, on this scale. Without any limit a seed on the
    // same machine fills all pipes before the others have told each other a thing.
    let mut seed = command(program().as_ref());
    seed.args(["seed", "--max-upload", "32MiB"])
        .arg(&torrent.announced)
        .arg(world.content().join(fixture.name));
    let mut seed = Member::start(&mut seed, &world.new_folder("seed"));
    let mut names = HashMap::from([(address(&seed.wait_for("listening")), "seed".to_owned())]);
    world.await_announces(torrent, 1).expect("the seed announces itself");

    let begun = Instant::now();
    let mut members: Vec<Member> = (1..=DOWNLOADS)
        .map(|_| {
            let folder = world.new_folder("download");
            let mut download = command(program().as_ref());
            download
                .args(["download", "--keep-seeding", "-o"])
                .arg(folder.join("out"))
                .arg(&torrent.announced);
            Member::start(&mut download, &folder)
        })
        .collect();
    for (number, member) in members.iter_mut().enumerate() {
        names.insert(address(&member.wait_for("listening")), format!("download {}", number + 1));
    }
    members.iter_mut().for_each(|member| drop(member.wait_for("completed")));
    let elapsed = begun.elapsed();

    let length = fixture.length();
    let copies = |bytes: u64| bytes as f64 / length as f64;
    for (number, member) in members.into_iter().enumerate() {
        let same = fixture.compare(&member.out);
        let done = member.end();
        let partners = done["from"].as_array().cloned().unwrap_or_default();
        let of = |entry: &Value| {
            (
                names.get(entry["peer"].as_str().unwrap_or_default()).cloned(),
                number_of(entry, "bytes"),
            )
        };
        let from: Vec<(Option<String>, u64)> = partners.iter().map(of).collect();
        let from_seed: u64 = from
            .iter()
            .filter(|(name, _)| name.as_deref() == Some("seed"))
            .map(|(_, bytes)| bytes)
            .sum();
        let (taken, given) = (number_of(&done, "downloaded"), number_of(&done, "uploaded"));
        let note = format!(
            "took {:.2} from {}, {:.2} of it from the seed; gave {:.2}",
            copies(taken),
            from.len(),
            copies(from_seed),
            copies(given)
        );
        report.add(
            &format!("download {}", number + 1),
            fixture.label,
            ".torrent, tracker",
            taken,
            same.map(|()| (elapsed, note)),
        );
    }
    let given = number_of(&seed.end(), "uploaded");
    let note = format!("gave {:.2} copies", copies(given));
    let outcome = if copies(given) <= MAX_COPIES { Ok((elapsed, note)) } else { Err(note) };
    report.add("seed", fixture.label, ".torrent, tracker", given, outcome);
    report.finish();
}

fn address(listening: &Value) -> String {
    listening["addresses"][0].as_str().unwrap_or_default().to_owned()
}

fn number_of(event: &Value, key: &str) -> u64 {
    event[key].as_u64().unwrap_or_default()
}
