//! Downloads from clients and through a tracker that are not ours.
//!
//! `make interop` runs this; `install.sh` beside it installs what it needs.
//! Every program is started here, listens on loopback only, and ends with the
//! test. The code under test is only ever run as a program.

mod client;
mod content;
mod fixtures;
mod process;
mod programs;
mod report;
mod seeders;
mod tracker;
mod world;

use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use client::{Download, How, beside};
use fixtures::{every_fixture, one_file};
use process::wait_for;
use programs::Program;
use report::Report;
use seeders::{EVERY_SEEDER, Seeder};
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
    let Some(world) = World::new(&every_fixture()) else { return };
    let report = Report::new(title);
    let terms = Terms { announced: true, ..Terms::default() };
    let mut seeder = world.seed(program, &path, &terms).expect("the seeder starts");
    let refused = seeders::settle(&mut *seeder, &world.torrents).unwrap_or_else(|error| {
        panic!("{} does not seed: {error}\n{}", program.name(), seeder.last_words());
    });
    for torrent in &refused {
        match seeders::known_refusal(program, torrent.fixture.kind) {
            Some(why) => report.refused(program.name(), torrent.fixture.label, why),
            None => {
                let error = format!("it does not accept the torrent:\n{}", seeder.last_words());
                report.done(program.name(), torrent.fixture.label, "", 0, Err(error));
            }
        }
    }
    let served = world.torrents.iter().filter(|torrent| refused.iter().all(|other| other.info_hash != torrent.info_hash));
    let served: Vec<_> = served.collect();
    for torrent in &served {
        world.await_announces(torrent, 1).expect("the seeder announces every torrent");
    }
    let peers = [seeder.peer()];
    for how in [How::TorrentAndTracker, How::MagnetAndTracker, How::MagnetAndPeers] {
        // Side by side: Transmission unchokes nobody before its next look
        // round, which comes every ten seconds.
        thread::scope(|scope| {
            for torrent in &served {
                let (world, report) = (&world, &report);
                scope.spawn(move || {
                    let label = torrent.fixture.label;
                    let name = format!("{label}, {}", how.label().replace('.', ""));
                    let outcome = world.download(torrent, how, &peers, &name);
                    let outcome = outcome.map(|finished| (finished.elapsed, "the same bytes".into()));
                    report.done(program.name(), label, how.label(), torrent.fixture.length(), outcome);
                });
                thread::sleep(between_dials(program));
            }
        });
    }
    report.finish();
}

/// Transmission takes up to half a second to answer a handshake, and meanwhile
/// hangs up on every other connection from that address. A client must live
/// with that, but by trying again later, which would cost more time than this.
fn between_dials(program: Program) -> Duration {
    Duration::from_millis(if program == Program::Transmission { 1200 } else { 100 })
}

/// Neither seeder can complete the torrent, and they do not know each other.
#[test]
fn two_seeders_with_different_halves_make_a_whole() {
    let present: Vec<(Program, PathBuf)> =
        EVERY_SEEDER.into_iter().filter_map(|program| Some((program, program.find()?))).collect();
    let fixture = one_file("halves.bin", 8 * MIB + 12_345, 65_536);
    let Some(world) = World::new(std::slice::from_ref(&fixture)) else { return };
    if present.len() < 2 {
        return;
    }
    let report = Report::new("two_seeders_with_different_halves_make_a_whole");
    let torrent = &world.torrents[0];
    // In a ring, so that everybody holds each half once.
    for (index, (first, first_path)) in present.iter().enumerate() {
        let (second, second_path) = &present[(index + 1) % present.len()];
        let pair = format!("{} + {}", short(*first), short(*second));
        let outcome = || -> Result<_, String> {
            let mut halves = Vec::new();
            for (program, path, held) in [(first, first_path, 0..4 * MIB), (second, second_path, 4 * MIB..fixture.length())] {
                let content = world.out(&format!("half from {}", held.start));
                fixture.write(&content, &held);
                let terms = Terms { content: Some(content), ..Terms::default() };
                let mut seeder = world.seed(*program, path, &terms)?;
                seeders::settle(&mut *seeder, &world.torrents)?;
                let have = seeder.torrents()?[0].have;
                if have != held.end - held.start {
                    return Err(format!("{} found {have} bytes of its half", program.name()));
                }
                halves.push(seeder);
            }
            let peers: Vec<SocketAddrV4> = halves.iter().map(|seeder| seeder.peer()).collect();
            let how = if index % 2 == 0 { How::TorrentAndPeers } else { How::MagnetAndPeers };
            let finished = world.download(torrent, how, &peers, &format!("whole {index}"))?;
            Ok((finished.elapsed, shares(&mut halves)))
        };
        let how = if index % 2 == 0 { How::TorrentAndPeers } else { How::MagnetAndPeers };
        report.done(&pair, torrent.fixture.label, how.label(), fixture.length(), outcome());
    }
    report.finish();
}

/// Limits keep the quick ones from serving it all before the slow ones unchoke.
#[test]
fn all_seeders_at_once_share_the_work() {
    let present = EVERY_SEEDER.into_iter().filter_map(|program| Some((program, program.find()?)));
    let present: Vec<(Program, PathBuf)> = present.collect();
    let fixture = one_file("shared.bin", 32 * MIB + 1, 131_072);
    let Some(world) = World::new(std::slice::from_ref(&fixture)) else { return };
    let report = Report::new("all_seeders_at_once_share_the_work");
    let terms = Terms { content: Some(world.content()), announced: true, upload_limit: Some(MIB) };
    let mut seeders = Vec::new();
    for (program, path) in &present {
        let mut seeder = world.seed(*program, path, &terms).expect("the seeder starts");
        seeders::settle(&mut *seeder, &world.torrents).expect("the seeder checks its files");
        seeders.push(seeder);
    }
    let torrent = &world.torrents[0];
    world.await_announces(torrent, present.len() as u64).expect("every seeder announces");
    for how in [How::TorrentAndTracker, How::MagnetAndTracker] {
        let outcome = world.download(torrent, how, &[], how.label().trim_start_matches('.'));
        let outcome = outcome.map(|finished| (finished.elapsed, shares(&mut seeders)));
        report.done("all", fixture.label, how.label(), fixture.length(), outcome);
    }
    for ((program, _), seeder) in present.iter().zip(&mut seeders) {
        let sent = seeders::uploaded(&mut **seeder);
        assert!(sent.as_ref().is_ok_and(|sent| *sent > 0), "{} sent {sent:?}", program.name());
    }
    report.finish();
}

/// The download of the closing note: from two real clients, SIGKILLed half-way.
#[test]
fn one_gibibyte_killed_half_way_is_resumed_and_fetches_only_what_was_missing() {
    let (Some(libtorrent), Some(aria2)) = (Program::Libtorrent.find(), Program::Aria2.find()) else { return };
    let fixture = one_file("gibibyte.bin", 1024 * MIB, MIB);
    let Some(world) = World::new(std::slice::from_ref(&fixture)) else { return };
    let report = Report::new("one_gibibyte_killed_half_way_is_resumed_and_fetches_only_what_was_missing");
    let torrent = &world.torrents[0];
    let terms = Terms { content: Some(world.content()), announced: true, upload_limit: Some(40 * MIB) };
    let mut seeders = Vec::new();
    for (program, path) in [(Program::Libtorrent, libtorrent), (Program::Aria2, aria2)] {
        seeders.push(world.seed(program, &path, &terms).expect("the seeder starts"));
    }
    for seeder in &mut seeders {
        seeders::settle(&mut **seeder, &world.torrents).expect("the seeder checks its files");
    }
    world.await_announces(torrent, 2).expect("both seeders announce");

    let out = world.out("resumed.bin");
    let mut first = Download::start(torrent, How::TorrentAndTracker, &[], &out).expect("the client starts");
    let half = wait_for(Duration::from_secs(60), "half of the download", || {
        if let Some(code) = first.exit_code() {
            return Ok(Err(format!("it ended before that with exit code {code}")));
        }
        let sent = total(&mut seeders)?;
        if sent < fixture.length() / 2 { Err(format!("{sent} bytes were sent")) } else { Ok(Ok(())) }
    });
    half.expect("half in time").expect("a client that still runs");
    let first = first.kill();
    let memory = |peak: u64| format!("peak memory {:.1} MiB", peak as f64 / 1024.0);
    report.done("libtorrent + aria2", fixture.label, "SIGKILL at half", 0, Ok((first.elapsed, memory(first.peak))));
    assert!(beside(&out, ".piecemeal").exists(), "a killed download must be marked as partial");

    // What the disk holds is judged here, piece by piece, not by the client.
    let missing = fixture.content().ranges_that_differ(&out, fixture.piece_length).expect("a partial file");
    let missing: u64 = missing.iter().map(|range| range.end - range.start).sum();
    assert!(missing > fixture.length() / 5 && missing < fixture.length() * 4 / 5, "killed half-way: {missing} missing");
    let before = settled_total(&mut seeders);
    let resumed = Download::start(torrent, How::TorrentAndTracker, &[], &out).expect("the client starts again");
    let outcome = resumed.finish(Duration::from_secs(60)).and_then(|finished| {
        fixture.compare(&out)?;
        let fetched = settled_total(&mut seeders) - before;
        // The end game may ask two peers for one block, and a cancel may come
        // too late; a hundredth is more than it may waste.
        if fetched < missing || fetched > missing + fixture.length() / 100 {
            return Err(format!("{missing} bytes were missing, {fetched} were fetched"));
        }
        Ok((finished.elapsed, format!("{missing} missing, {fetched} fetched; {}", memory(finished.peak))))
    });
    report.done("libtorrent + aria2", fixture.label, "resumed", missing, outcome);
    report.finish();
}

/// The payload that the seeders sent, over all of them.
fn total(seeders: &mut [Box<dyn Seeder>]) -> Result<u64, String> {
    seeders.iter_mut().map(|seeder| seeders::uploaded(&mut **seeder)).sum()
}

/// The same, once it no longer moves: their counters run behind their sockets.
fn settled_total(seeders: &mut [Box<dyn Seeder>]) -> u64 {
    let mut last = (Instant::now(), 0);
    let settled = wait_for(Duration::from_secs(20), "the seeders to fall silent", || {
        let now = total(seeders)?;
        if now != last.1 {
            last = (Instant::now(), now);
        }
        if last.0.elapsed() > Duration::from_secs(2) { Ok(now) } else { Err("they still send".into()) }
    });
    settled.expect("seeders that fall silent once nobody downloads")
}

/// Who sent how much, for the table.
fn shares(seeders: &mut [Box<dyn Seeder>]) -> String {
    let sent = seeders.iter_mut().map(|seeder| seeders::uploaded(&mut **seeder));
    let sent: Vec<String> = sent.map(|sent| sent.map_or_else(|error| error, |bytes| bytes.to_string())).collect();
    format!("sent by each: {}", sent.join(" + "))
}

/// Two names must fit into one column.
fn short(program: Program) -> &'static str {
    program.name().split_once('-').map_or(program.name(), |(first, _)| first)
}
