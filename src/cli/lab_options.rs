//! Options for a lab: its content, its seeders, and their faults. (lab)

use std::io::{self, ErrorKind};
use std::path::Path;

use clap::builder::PossibleValuesParser;
use piecemeal::lab::content::{Content, MAX_MADE};
use piecemeal::lab::dht::MAX_NODES;
use piecemeal::lab::seeder::quirk::Quirk;
use piecemeal::lab::seeder::{Fault, Plan, Seeder};
use piecemeal::lab::{Lab, MAX_SEEDERS, TRACKER_PORT, chapters};
use piecemeal::s01_bencode::counted;
use piecemeal::s03_tracker::DEFAULT_PORT;
use piecemeal::s05_messages::BLOCK_LENGTH;
use serde_json::{Value, json};

use super::Answer;
use super::exit_codes::{LOCAL, USAGE};
use super::failure::Failure;
use super::size::size;

/// Options for other content. Without any of these, the lab has the chapters' content.
#[derive(clap::Args)]
pub struct ContentOptions {
    /// Other content, of this size: 300KiB, up to 256MiB
    #[arg(long, value_name = "SIZE", value_parser = content_size)]
    size: Option<u64>,
    /// Other content: a folder of this many files
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    files: Option<u64>,
    /// Different content for each number, the same on every machine
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

impl ContentOptions {
    /// Makes the content.
    pub fn contents(&self) -> Result<Vec<Content>, Failure> {
        if self.size.is_none() && self.files.is_none() && self.seed.is_none() {
            return Ok(chapters()?);
        }
        let size = self.size.unwrap_or(1 << 20) as usize;
        Ok(vec![Content::made(
            size,
            self.files.map(|files| files as usize),
            self.seed.unwrap_or(7),
        )?])
    }
}

/// The seeders.
#[derive(clap::Args)]
pub struct SeederOptions {
    /// The number of seeders
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u64).range(1..=MAX_SEEDERS as u64))]
    seeders: u64,
    /// What the first, second, ... seeder does wrong: corrupt,die; `--faults help` lists all
    #[arg(long, value_name = "FAULT,...", value_delimiter = ',', value_parser = fault_names(), hide_possible_values = true)]
    faults: Vec<String>,
    /// Upload rate of each seeder, in bytes a second: 500KiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    rate: Option<u64>,
}

impl SeederOptions {
    /// Whether the user wants the list of faults and no lab.
    pub fn asks_for_help(&self) -> bool {
        self.faults.iter().any(|name| name == HELP)
    }

    /// Returns a plan for each seeder of these contents.
    pub fn plans(&self, contents: &[Content]) -> Result<Vec<Plan>, Failure> {
        let (faults, seeders) = (self.faults.len(), self.seeders);
        if faults as u64 > seeders {
            let what = format!(
                "--faults names {faults} faults, one for each seeder, but the lab has {}",
                counted(seeders, "seeder")
            );
            return Err(Failure::new(USAGE, what)
                .help(format!("add --seeders {faults}, or leave some faults out"))
                .see("README"));
        }
        let sizes = contents.iter().map(|content| content.data.len() as u64);
        let blocks = sizes.min().unwrap_or_default() / u64::from(BLOCK_LENGTH);
        let faults = self.faults.iter().map(|name| fault(name, blocks));
        let faults = faults.chain(std::iter::repeat(Fault::None));
        let plan = |fault| Plan { port: DEFAULT_PORT, fault, rate: self.rate, ..Plan::default() };
        Ok(faults.take(seeders as usize).map(plan).collect())
    }
}

/// The DHT.
#[derive(clap::Args)]
pub struct DhtOptions {
    /// The number of DHT nodes, each seeder among them; 0 for none
    #[arg(long, value_name = "N", default_value = "12", value_parser = clap::value_parser!(u64).range(0..=MAX_NODES as u64))]
    dht_nodes: u64,
}

impl DhtOptions {
    /// Starts the nodes of a lab.
    pub fn start(&self, lab: &mut Lab) -> Result<(), Failure> {
        if self.dht_nodes == 0 {
            return Ok(());
        }
        lab.start_dht(self.dht_nodes as usize, DEFAULT_PORT).map_err(|error| {
            Failure::new(LOCAL, error)
                .about("the lab's DHT")
                .help("try fewer nodes, or none: --dht-nodes 0")
                .see("README")
        })
    }
}

/// The word that asks for the list.
const HELP: &str = "help";

/// The faults with a number in them. The others are [`Quirk::ALL`].
const FAULTS: [(&str, &str); 6] = [
    ("none", "gives what it has"),
    ("corrupt", "spoils some blocks"),
    ("choke", "chokes now and then"),
    ("slow", "gives 16 KiB a second"),
    ("die", "dies in the middle"),
    ("silent", "says nothing at all"),
];

/// Returns all faults, each with its name and what such a seeder does.
fn all_faults() -> impl Iterator<Item = (&'static str, &'static str)> {
    FAULTS.into_iter().chain(Quirk::ALL.map(|quirk| (quirk.name, quirk.does)))
}

fn fault_names() -> PossibleValuesParser {
    PossibleValuesParser::new(all_faults().map(|(name, _)| name).chain([HELP]))
}

/// Returns the fault with this name, strong enough to show with contents of which the smallest has
/// this many blocks.
fn fault(name: &str, blocks: u64) -> Fault {
    let few = blocks < FEW_BLOCKS;
    match name {
        "corrupt" => Fault::Corrupt { every: 8 },
        "choke" => Fault::Chokes { every: if few { 1 } else { 4 } },
        "slow" => Fault::Slow { per_second: 16 << 10 },
        "die" => Fault::Dies { after_blocks: if few { 1 } else { 20 } },
        "silent" => Fault::Silent,
        other => Quirk::named(other).map_or(Fault::None, Fault::Quirk),
    }
}

/// With fewer blocks than this, three seeders give too few each for a fault that waits for twenty.
const FEW_BLOCKS: u64 = 50;

/// Returns the list of all faults: in two columns, so that it fits on a screen.
pub fn fault_list() -> Answer {
    let all: Vec<(&str, &str)> = all_faults().collect();
    let rows = all.len().div_ceil(2);
    let cell = |(name, does): &(&str, &str)| format!("{name:<14} {does}");
    let line = |row: usize| {
        let left = all.get(row).map(cell).unwrap_or_default();
        let right = all.get(row + rows).map(cell).unwrap_or_default();
        format!("{left:<40}{right}").trim_end().to_owned()
    };
    let lines: Vec<String> = (0..rows).map(line).collect();
    let head = "--faults A,B,... is for the first, second, ... seeder; the others are good:";
    let object = |(name, does): &(&str, &str)| json!({ "name": name, "does": does });
    let faults: Vec<Value> = all.iter().map(object).collect();
    Answer {
        text: format!("{head}\n{}", lines.join("\n")),
        json: json!({ "event": "faults", "faults": faults }),
    }
}

fn content_size(text: &str) -> Result<u64, String> {
    let size = size(text)?;
    let most = MAX_MADE as u64;
    if size <= most {
        Ok(size)
    } else {
        Err(format!("{} MiB at most, since it is all held in memory", most >> 20))
    }
}

/// Returns the failure for an error in the lab's folder; the error may name its file already.
pub fn folder_failure(error: io::Error, folder: &Path) -> Failure {
    let named = error.raw_os_error().is_none();
    let failure = cannot_start(error);
    if named { failure } else { failure.about(folder.display()) }
}

/// Starts a lab, in a room of its own if there is a number.
pub fn start(room: Option<u8>, contents: Vec<Content>, plans: &[Plan]) -> Result<Lab, Failure> {
    let Some(room) = room else {
        return Lab::start(contents, plans, TRACKER_PORT).map_err(cannot_start);
    };
    Lab::start_in_room(room, contents, plans, TRACKER_PORT).map_err(|error| {
        let help = match error.kind() {
            ErrorKind::AddrInUse => "choose another number, or end what listens there",
            ErrorKind::AddrNotAvailable => {
                "leave --room out; on this system labs differ by their ports"
            }
            _ => return cannot_start(error),
        };
        Failure::new(LOCAL, error).about(format!("room {room}")).help(help).see("README")
    })
}

/// Returns what a lab says at its end: what its seeders gave, and what each client has shown.
pub fn the_end(lab: &Lab) -> Answer {
    let counts = |seeder: &Seeder| {
        let (address, peers) = (seeder.address().to_string(), seeder.served());
        json!({
            "seeder": address, "blocks": seeder.blocks(), "bytes": seeder.bytes(), "peers": peers,
        })
    };
    let (blocks, bytes) = lab.given();
    let seeders: Vec<Value> = lab.seeders.iter().map(counts).collect();
    let clients = lab.notes.checklist().json();
    Answer {
        text: lab.table(),
        json: json!({
            "event": "done", "blocks": blocks, "bytes": bytes, "seeders": seeders,
            "clients": clients,
        }),
    }
}

/// Returns the failure for a lab that did not start.
fn cannot_start(error: io::Error) -> Failure {
    let help = match error.kind() {
        ErrorKind::AlreadyExists => "remove it, or choose another folder with --dir",
        _ => {
            "check the folder, its permissions and the free space, or choose another one with --dir"
        }
    };
    Failure::new(LOCAL, error).help(help).see("README")
}

/// Whether the tracker, the seeders and the DHT have the ports that the chapters name.
pub fn as_in_the_chapters(lab: &Lab) -> bool {
    lab.tracker.address().port() == TRACKER_PORT
        && lab.addresses().iter().all(|seeder| seeder.port() == DEFAULT_PORT)
        && lab.dht.iter().all(|dht| dht.way_in().port() == DEFAULT_PORT)
}
