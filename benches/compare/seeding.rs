//! Giving: 1 GiB over four connections, and 500 connections that want nothing.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::Summary;
use crate::clients::{Client, Kind};
use crate::content::{Content, NAME, Torrent};
use crate::downloads::fresh;
use crate::helper::{self, Helper};
use crate::options::Options;
use crate::starter::last_line;
use crate::table::{Sample, Table};
use crate::tracker::Tracker;
use crate::usage::{cpu_of, memory_of};

pub const SEEDING: &str = "seeding 1 GiB over 4 connections";
pub const IDLE: &str = "seeding, 500 idle connections";

/// Runs those that are wanted.
pub fn run(options: &Options, clients: &[Client], folder: &Path, table: &mut Table) -> Summary<()> {
    for (work, role, connections) in [(SEEDING, "leecher", 4), (IDLE, "idlers", 500)] {
        if !options.wants(work) {
            continue;
        }
        // What is to be given to idle connections does not matter.
        let length: u64 = if role == "leecher" { 1 << 30 } else { 1 << 26 };
        let (there, home) = (folder.join("there"), folder.join("home"));
        let (content, tracker) = (Content::new(), Tracker::start()?);
        fresh(&there)?;
        fresh(&home)?;
        content.write(&there.join(NAME), length)?;
        let torrent =
            Torrent::make(&content, folder.join("there.torrent"), length, 1 << 20, &tracker.url)?;
        let mut failed: Vec<Kind> = Vec::new();
        for _ in 0..options.rounds {
            for client in clients.iter() {
                let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
                let command = client.seed(&torrent, &there, &home, port, connections + 10);
                let Some(command) = command.filter(|_| !failed.contains(&client.kind)) else {
                    continue;
                };
                let log = folder.join("log");
                match give(command, &log, role, &torrent, port, connections) {
                    Ok(sample) => table.add(work, client.kind.name(), sample),
                    Err(error) => {
                        let (name, said) = (client.kind.name(), last_line(&log));
                        table.note(format!(
                            "{work}: {name} could not: {error}; its last words: {said}"
                        ));
                        failed.push(client.kind);
                    }
                }
            }
        }
        fs::remove_dir_all(&there)?;
    }
    Ok(())
}

/// A seeder that is measured. It is killed when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// CPU is what was used between "everybody is served" and the end, so that hashing at
/// the start does not count. The peak is that of the whole time.
fn give(
    mut command: Command,
    log: &Path,
    role: &str,
    torrent: &Torrent,
    port: u16,
    connections: usize,
) -> Summary<Sample> {
    let output = File::create(log)?;
    for name in ["http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    let seeder =
        Running(command.stdin(Stdio::null()).stderr(output.try_clone()?).stdout(output).spawn()?);
    let id = seeder.0.id();
    let address = format!("127.0.0.1:{port}");
    let mut other = Helper::start(
        helper::command(role)?.arg(&torrent.path).args([address, connections.to_string()]),
    )?;
    let start = Instant::now();
    other.line()?;
    let before = cpu_of(id)?;
    let wall = if role == "leecher" {
        other.go_on();
        other.line()?.parse()?
    } else {
        start.elapsed().as_secs_f64()
    };
    Ok(Sample { wall, cpu: cpu_of(id)? - before, peak: memory_of(id, "VmHWM")? })
}
