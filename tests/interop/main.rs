//! Clients and a tracker that are not ours: we download from them and through it;
//! they download from us (`from_ours.rs`).
//!
//! `make interop` runs this; `install.sh` beside it installs what it needs.
//! Every program is started here, listens on loopback only, and ends with the
//! test. The code under test is only ever run as a program.

mod clients;
mod content;
mod create;
mod create_v2;
mod dht;
mod download;
mod fixtures;
mod from_ours;
mod local_discovery;
#[path = "../support/network.rs"]
mod network;
mod pex;
mod process;
mod programs;
mod report;
mod swarm;
mod tracker;
mod version_two;
mod world;

use std::net::SocketAddrV4;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::slice;
use std::thread;
use std::time::{Duration, Instant};

use clients::{Client, EVERY_SEEDER, known_refusal};
use download::{Download, How, beside};
use fixtures::{every_fixture, one_file};
use process::wait_for;
use programs::Program;
use report::{Outcome, Report};
use world::{Terms, World};

const MIB: u64 = 1 << 20;

#[test]
fn transmission_seeds_every_fixture() {
    seeds_every_fixture(Program::Transmission, "transmission_seeds_every_fixture");
}

#[test]
fn aria2_seeds_every_fixture() {
    seeds_every_fixture(Program::Aria2, "aria2_seeds_every_fixture");
}

#[test]
fn libtorrent_seeds_every_fixture() {
    seeds_every_fixture(Program::Libtorrent, "libtorrent_seeds_every_fixture");
}

#[test]
fn rqbit_seeds_every_fixture() {
    seeds_every_fixture(Program::Rqbit, "rqbit_seeds_every_fixture");
}

/// One seeder, every torrent, each fetched in every way that it can be.
fn seeds_every_fixture(program: Program, title: &'static str) {
    let Some(path) = program.find() else { return };
    let report = Report::new(title);
    // Side by side: Transmission looks round every ten seconds, and until then
    // unchokes nobody.
    thread::scope(|scope| {
        for how in [How::TorrentAndTracker, How::MagnetAndTracker, How::MagnetAndPeers] {
            let (path, report) = (&path, &report);
            scope.spawn(move || {
                // All anew for each, since Transmission remembers an address that completed
                // a torrent, and from then on hangs up on it as on a fellow seeder.
                let Some(world) = World::new(&every_fixture()) else { return };
                if let Err(error) = seeds_in_one_way(&world, program, path, how, report) {
                    report.add(program.name(), "all", how.label(), 0, Err(error));
                }
            });
        }
    });
    report.finish();
}

fn seeds_in_one_way(
    world: &World,
    program: Program,
    path: &Path,
    how: How,
    report: &Report,
) -> Result<(), String> {
    let told =
        if how == How::MagnetAndPeers { How::TorrentAndPeers } else { How::TorrentAndTracker };
    let mut seeder = world.seed(program, path, &Terms { how: told, ..Terms::default() })?;
    let (served, refused) = seeder.settle(&world.torrents)?;
    for torrent in refused {
        let outcome = match known_refusal(program, torrent.fixture.kind) {
            Some(why) => Ok((Duration::ZERO, format!("refused, as known: {why}"))),
            None => Err(format!("it does not accept the torrent:\n{}", seeder.last_words())),
        };
        report.add(program.name(), torrent.fixture.label, how.label(), 0, outcome);
    }
    for torrent in served.iter().filter(|_| told.is_announced()) {
        world.await_announces(torrent, 1)?;
    }
    let peers = [seeder.peer()];
    thread::scope(|scope| {
        for torrent in served {
            let peers = &peers;
            scope.spawn(move || {
                let outcome = world.download(torrent, how, peers);
                let outcome = outcome.map(|finished| (finished.elapsed, "the same bytes".into()));
                report.add(
                    program.name(),
                    torrent.fixture.label,
                    how.label(),
                    torrent.fixture.length(),
                    outcome,
                );
            });
            thread::sleep(seeder.between_dials());
        }
    });
    Ok(())
}

/// Neither seeder can complete the torrent, and they do not know each other.
#[test]
fn two_seeders_with_different_halves_make_a_whole() {
    let present = present_seeders();
    let fixture = one_file("halves.bin", 8 * MIB + 12_345, 65_536);
    let Some(world) = World::new(slice::from_ref(&fixture)) else { return };
    let report = Report::new("two_seeders_with_different_halves_make_a_whole");
    let halves = [0..4 * MIB, 4 * MIB..fixture.length()];
    if present.len() < 2 {
        println!("SKIPPED: halves, for want of a second seeder");
        return;
    }
    // In a ring, so that everybody holds each half once.
    thread::scope(|scope| {
        for (index, first) in present.iter().enumerate() {
            let pair = [first, &present[(index + 1) % present.len()]];
            let how = if index % 2 == 0 { How::TorrentAndPeers } else { How::MagnetAndPeers };
            let (world, halves, report) = (&world, &halves, &report);
            scope.spawn(move || {
                let outcome = download_from_halves(world, how, pair, halves);
                let names = format!("{} + {}", pair[0].0.name(), pair[1].0.name());
                report.add(
                    &names,
                    world.torrents[0].fixture.label,
                    how.label(),
                    world.torrents[0].fixture.length(),
                    outcome,
                );
            });
        }
    });
    report.finish();
}

fn download_from_halves(
    world: &World,
    how: How,
    pair: [&(Program, PathBuf); 2],
    halves: &[Range<u64>; 2],
) -> Outcome {
    let torrent = &world.torrents[0];
    let mut seeders = Vec::new();
    for ((program, path), held) in pair.into_iter().zip(halves) {
        let content = world.new_folder("half");
        torrent.fixture.write(&content, held);
        let terms = Terms { content: Some(content), ..Terms::default() };
        let mut seeder = world.seed(*program, path, &terms)?;
        seeder.settle(&world.torrents)?;
        let (have, _) = seeder.totals()?;
        if have != held.end - held.start {
            return Err(format!("{} found {have} bytes of its half", program.name()));
        }
        seeders.push(seeder);
    }
    let peers: Vec<SocketAddrV4> = seeders.iter().map(Client::peer).collect();
    let finished = world.download(torrent, how, &peers)?;
    Ok((finished.elapsed, shares(&sent(&mut seeders)?)))
}

/// Limits keep the quick ones from serving it all before the slow ones unchoke.
#[test]
fn all_seeders_at_once_share_the_work() {
    let present = present_seeders();
    let fixture = one_file("shared.bin", 32 * MIB + 1, 131_072);
    let Some(world) = World::new(slice::from_ref(&fixture)) else { return };
    let report = Report::new("all_seeders_at_once_share_the_work");
    let terms = Terms {
        content: Some(world.content()),
        how: How::TorrentAndTracker,
        upload_limit: Some(MIB / 2),
        ..Terms::default()
    };
    let start = |(program, path): &(Program, PathBuf)| {
        world.seed(*program, path, &terms).expect("the seeder starts")
    };
    let mut seeders: Vec<Client> = present.iter().map(start).collect();
    for seeder in &mut seeders {
        seeder.settle(&world.torrents).expect("the seeder is ready");
    }
    let torrent = &world.torrents[0];
    world.await_announces(torrent, present.len() as u64).expect("every seeder announces");
    let outcome = world.download(torrent, How::MagnetAndTracker, &[]).and_then(|finished| {
        let sent = sent(&mut seeders)?;
        let idle = seeders.iter().zip(&sent).find(|(_, sent)| **sent == 0);
        match idle {
            Some((seeder, _)) => {
                Err(format!("{} sent nothing ({})", seeder.program.name(), shares(&sent)))
            }
            None => Ok((finished.elapsed, shares(&sent))),
        }
    });
    report.add("all", fixture.label, How::MagnetAndTracker.label(), fixture.length(), outcome);
    report.finish();
}

/// A download that is large, and killed in the middle without a word.
#[test]
fn one_gibibyte_killed_half_way_is_resumed_and_fetches_only_what_was_missing() {
    let (Some(libtorrent), Some(aria2)) = (Program::Libtorrent.find(), Program::Aria2.find())
    else {
        return;
    };
    let fixture = one_file("gibibyte.bin", 1024 * MIB, MIB);
    let Some(world) = World::new(slice::from_ref(&fixture)) else { return };
    let report =
        Report::new("one_gibibyte_killed_half_way_is_resumed_and_fetches_only_what_was_missing");
    let torrent = &world.torrents[0];
    let terms = Terms {
        content: Some(world.content()),
        how: How::TorrentAndTracker,
        upload_limit: Some(40 * MIB),
        ..Terms::default()
    };
    // Both start before either is waited for: they hash side by side.
    let start = |program, path| world.seed(program, path, &terms).expect("the seeder starts");
    let mut seeders = [start(Program::Libtorrent, &libtorrent), start(Program::Aria2, &aria2)];
    for seeder in &mut seeders {
        seeder.settle(&world.torrents).expect("the seeder is ready");
    }
    world.await_announces(torrent, 2).expect("both seeders announce");

    let out = world.out(torrent, How::TorrentAndTracker);
    let mut first =
        Download::start(torrent, How::TorrentAndTracker, &[], &out).expect("the client starts");
    let half = wait_for(Duration::from_secs(60), "half of the download", || {
        assert_eq!(
            first.exit_code(),
            None,
            "it ended before it was half done: {}",
            first.last_words()
        );
        let sent: u64 = sent(&mut seeders)?.iter().sum();
        if sent < fixture.length() / 2 { Err(format!("{sent} bytes were sent")) } else { Ok(()) }
    });
    half.expect("half of the download in time");
    let first = first.kill();
    let sent_first = settled(&mut seeders);
    let note = format!("{}; {}", shares(&sent_first), memory(first.peak));
    report.add(
        "libtorrent + aria2c",
        fixture.label,
        "SIGKILL at half",
        sent_first.iter().sum(),
        Ok((first.elapsed, note)),
    );
    assert!(beside(&out, ".piecemeal").exists(), "a killed download must be marked as partial");

    // What the disk holds is judged here, piece by piece, not by the client.
    let missing =
        fixture.content().ranges_that_differ(&out, fixture.piece_length).expect("a partial file");
    let missing: u64 = missing.iter().map(|range| range.end - range.start).sum();
    let resumed = Download::start(torrent, How::TorrentAndTracker, &[], &out)
        .expect("the client starts again");
    let outcome = resumed.finish(Duration::from_secs(60)).and_then(|finished| {
        fixture.compare(&out)?;
        let sent = settled(&mut seeders);
        let sent: Vec<u64> = sent.iter().zip(&sent_first).map(|(now, then)| now - then).collect();
        let fetched: u64 = sent.iter().sum();
        let note = format!("{missing} were missing; {}; {}", shares(&sent), memory(finished.peak));
        // The end game may ask two peers for one block, and a cancel may come
        // too late; a hundredth is more than that may waste.
        let resumes = missing > fixture.length() / 5 && missing < fixture.length() * 4 / 5;
        let wastes = fetched < missing || fetched > missing + fixture.length() / 100;
        if resumes && !wastes { Ok((finished.elapsed, note)) } else { Err(note) }
    });
    report.add("libtorrent + aria2c", fixture.label, "resumed", missing, outcome);
    report.finish();
}

fn present_seeders() -> Vec<(Program, PathBuf)> {
    EVERY_SEEDER.into_iter().filter_map(|program| Some((program, program.find()?))).collect()
}

/// The payload that each seeder has sent.
fn sent(seeders: &mut [Client]) -> Result<Vec<u64>, String> {
    seeders.iter_mut().map(|seeder| Ok(seeder.totals()?.1)).collect()
}

/// The same, once it no longer moves: their counters run behind their sockets.
fn settled(seeders: &mut [Client]) -> Vec<u64> {
    let mut last = (Instant::now(), Vec::new());
    let settled = wait_for(Duration::from_secs(20), "the seeders to fall silent", || {
        let now = sent(seeders)?;
        if now != last.1 {
            last = (Instant::now(), now);
        }
        if last.0.elapsed() > Duration::from_secs(2) {
            Ok(last.1.clone())
        } else {
            Err("they still send".into())
        }
    });
    settled.expect("seeders that fall silent once nobody downloads")
}

/// Who sent how much, for the table.
fn shares(sent: &[u64]) -> String {
    let each: Vec<String> = sent.iter().map(u64::to_string).collect();
    format!("{} sent", each.join(" + "))
}

fn memory(peak: u64) -> String {
    format!("peak memory {:.1} MiB", peak as f64 / 1024.0)
}
