//! Downloads: from few peers, from many, over a slow link, and with ever more pieces.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::clients::{Client, Kind};
use crate::content::{Content, NAME, Torrent};
use crate::helper::Helper;
use crate::options::Options;
use crate::starter::measure;
use crate::table::Table;
use crate::tracker::Tracker;
use crate::{Summary, relay, seeder};

const MIB: u64 = 1 << 20;
/// Nothing here takes longer, unless it hangs...
const LIMIT: Duration = Duration::from_secs(120);
/// ...or is made for fewer pieces.
const GROWTH_LIMIT: Duration = Duration::from_secs(30);

/// One work.
pub struct Job {
    pub name: &'static str,
    pub length: u64,
    pub piece_length: u32,
    pub seeders: usize,
    /// Whether the link with latency is between.
    pub far: bool,
    /// Whether only floor, ours and rqbit do it.
    pub growth: bool,
}

const fn job(name: &'static str, length: u64, piece_length: u32, seeders: usize) -> Job {
    Job { name, length, piece_length, seeders, far: false, growth: false }
}

const fn growth(name: &'static str, piece_length: u32, seeders: usize) -> Job {
    Job { growth: true, ..job(name, 64 * MIB, piece_length, seeders) }
}

/// The four that the plot shows.
pub const COLUMNS: [Job; 4] = [
    job("1 GiB from 4 seeders", 1024 * MIB, 1 << 20, 4),
    job("2 GiB from 50 seeders, 16 MiB pieces", 2048 * MIB, 16 << 20, 50),
    job("1 GiB from 200 seeders", 1024 * MIB, 1 << 20, 200),
    job("1 MiB, process start to exit", MIB, 1 << 18, 1),
];

/// One peer behind a link with a round trip of 50 ms.
pub const LINK: Job =
    Job { far: true, ..job("512 MiB, 50 ms round trip, one peer", 512 * MIB, 1 << 20, 1) };

/// The same 64 MiB, cut ever finer.
pub const PIECES: [Job; 4] = [
    growth("64 MiB as 1k pieces", 1 << 16, 4),
    growth("64 MiB as 10k pieces", 6711, 4),
    growth("64 MiB as 100k pieces", 671, 4),
    growth("64 MiB as 1M pieces", 67, 4),
];

/// The same 64 MiB from ever more peers.
pub const PEERS: [Job; 4] = [
    growth("64 MiB from 1 peer", 1 << 18, 1),
    growth("64 MiB from 10 peers", 1 << 18, 10),
    growth("64 MiB from 100 peers", 1 << 18, 100),
    growth("64 MiB from 500 peers", 1 << 18, 500),
];

/// Runs those that are wanted. Works that are compared with each other take turns: a machine has
/// fast minutes and slow ones.
pub fn run(options: &Options, clients: &[Client], folder: &Path, table: &mut Table) -> Summary<()> {
    let content = Content::new();
    let tracker = Tracker::start()?;
    let alone = COLUMNS.chunks(1).chain([std::slice::from_ref(&LINK)]);
    for series in alone.chain([&PIECES[..], &PEERS[..]]) {
        let wanted = series.iter().filter(|job| options.wants(job.name));
        let mut swarms = Vec::new();
        for job in wanted {
            let path = folder.join(format!("job-{}.torrent", swarms.len()));
            let torrent =
                Torrent::make(&content, path, job.length, job.piece_length, &tracker.url)?;
            swarms.push(Swarm::start(job, torrent)?);
        }
        for _ in 0..options.rounds {
            for swarm in &mut swarms {
                tracker.set_peers(&swarm.addresses)?;
                swarm.round(clients, folder, &content, table)?;
            }
        }
    }
    Ok(())
}

/// A work with the seeders for it, and what is before them.
struct Swarm {
    job: &'static Job,
    torrent: Torrent,
    addresses: Vec<String>,
    /// Clients that have done it.
    seen: Vec<Kind>,
    /// Clients that could not do it.
    failed: Vec<Kind>,
    _running: Vec<Helper>,
}

impl Swarm {
    fn start(job: &'static Job, torrent: Torrent) -> Summary<Swarm> {
        let (seeder, mut addresses) = seeder::start(&torrent, job.seeders)?;
        let mut running = vec![seeder];
        if let ([address], true) = (&mut addresses[..], job.far) {
            let (relay, before) = relay::start(address)?;
            *address = before;
            running.push(relay);
        }
        let (seen, failed) = Default::default();
        Ok(Swarm { job, torrent, addresses, seen, failed, _running: running })
    }

    /// Lets each client do the work once.
    fn round(
        &mut self,
        clients: &[Client],
        folder: &Path,
        content: &Content,
        table: &mut Table,
    ) -> Summary<()> {
        let (out, job) = (folder.join("out"), self.job);
        // Over the link, as much as it holds must be asked for, and more.
        let ahead = if job.far { 8 * MIB } else { MIB / 4 };
        let limit = if job.growth { GROWTH_LIMIT } else { LIMIT };
        for client in clients {
            let few = matches!(client.kind, Kind::Floor | Kind::Ours | Kind::Rqbit);
            if self.failed.contains(&client.kind) || (job.growth && !few) {
                continue;
            }
            let Some(command) = client.download(&self.torrent, &out, &self.addresses, ahead)?
            else {
                continue;
            };
            fresh(&out)?;
            let sample = measure(&command, &folder.join("log"), limit).and_then(|sample| {
                if self.is_right(&out.join(NAME), client.kind, content)? {
                    Ok(sample)
                } else {
                    Err("what it downloaded is wrong".into())
                }
            });
            match sample {
                Ok(sample) => table.add(job.name, client.kind.name(), sample),
                Err(error) => {
                    table.note(format!("{}: {} could not: {error}", job.name, client.kind.name()));
                    self.failed.push(client.kind);
                }
            }
        }
        Ok(fs::remove_dir_all(&out)?)
    }

    /// Whether a client has downloaded it. The bytes are looked at the first time only.
    fn is_right(&mut self, file: &Path, kind: Kind, content: &Content) -> Summary<bool> {
        if self.seen.contains(&kind) {
            return Ok(fs::metadata(file)?.len() == self.job.length);
        }
        self.seen.push(kind);
        Ok(content.is_in(file, self.job.length)?)
    }
}

/// An empty folder.
pub fn fresh(folder: &Path) -> Summary<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    Ok(fs::create_dir_all(folder)?)
}

/// Runs the command that each client has for a work on files, in turn, and takes away
/// `product` before each.
pub fn in_turn(
    name: &str,
    options: &Options,
    commands: &[(Kind, Command)],
    folder: &Path,
    product: Option<&Path>,
    table: &mut Table,
) -> Summary<()> {
    let mut failed = Vec::new();
    for _ in 0..options.rounds {
        for (kind, command) in commands {
            if failed.contains(kind) {
                continue;
            }
            if let Some(product) = product.filter(|product| product.exists()) {
                fs::remove_file(product)?;
            }
            match measure(command, &folder.join("log"), LIMIT) {
                Ok(sample) => table.add(name, kind.name(), sample),
                Err(error) => {
                    table.note(format!("{name}: {} could not: {error}", kind.name()));
                    failed.push(*kind);
                }
            }
        }
    }
    Ok(())
}
