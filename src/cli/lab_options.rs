//! Options for a lab: its content, its seeders, and their faults. (lab)

use std::io::{self, ErrorKind};
use std::path::Path;

use clap::ValueEnum;
use piecemeal::lab::content::{Content, MAX_MADE};
use piecemeal::lab::seeder::{Fault, Plan};
use piecemeal::lab::{Lab, MAX_SEEDERS, TRACKER_PORT, album, sample};
use piecemeal::s01_bencode::counted;
use piecemeal::s03_tracker::DEFAULT_PORT;

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
            return Ok(vec![sample()?, album()?]);
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
    /// What the first, second, ... seeder does wrong: none, corrupt, choke, slow, die or silent
    #[arg(long, value_name = "FAULT,...", value_delimiter = ',', hide_possible_values = true)]
    faults: Vec<FaultName>,
    /// Upload rate of each seeder, in bytes a second: 500KiB
    #[arg(long, value_name = "SIZE", value_parser = size)]
    rate: Option<u64>,
}

impl SeederOptions {
    /// Returns a plan for each seeder.
    pub fn plans(&self) -> Result<Vec<Plan>, Failure> {
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
        let faults =
            self.faults.iter().map(|name| name.fault()).chain(std::iter::repeat(Fault::None));
        let plan = |fault| Plan { port: DEFAULT_PORT, fault, rate: self.rate, ..Plan::default() };
        Ok(faults.take(seeders as usize).map(plan).collect())
    }
}

/// The name of a fault.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FaultName {
    /// Nothing.
    None,
    /// Spoils blocks.
    Corrupt,
    /// Chokes its peers every few blocks.
    Choke,
    /// Sends slowly.
    Slow,
    /// Dies in the middle of a download.
    Die,
    /// Says nothing.
    Silent,
}

impl FaultName {
    /// Returns the fault, strong enough to show with the chapters' small content.
    fn fault(self) -> Fault {
        match self {
            FaultName::None => Fault::None,
            FaultName::Corrupt => Fault::Corrupt { every: 8 },
            FaultName::Choke => Fault::Chokes { every: 4 },
            FaultName::Slow => Fault::Slow { per_second: 16 << 10 },
            FaultName::Die => Fault::Dies { after_blocks: 20 },
            FaultName::Silent => Fault::Silent,
        }
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

/// Returns the failure for a lab that did not start.
pub fn cannot_start(error: io::Error) -> Failure {
    let help = match error.kind() {
        ErrorKind::AlreadyExists => "remove it, or choose another folder with --dir",
        _ => {
            "check the folder, its permissions and the free space, or choose another one with --dir"
        }
    };
    Failure::new(LOCAL, error).help(help).see("README")
}

/// Whether the tracker and the seeders have the ports that the chapters name.
pub fn as_in_the_chapters(lab: &Lab) -> bool {
    lab.tracker.address().port() == TRACKER_PORT
        && lab.addresses().iter().all(|seeder| seeder.port() == DEFAULT_PORT)
}
