//! The other direction: real clients download from ours, with ours, and through
//! our tracker.
//!
//! `PIECEMEAL_INTEROP_STAND_IN=1` puts libtorrent and opentracker in the place of
//! ours: what fails then as well is not our fault.

use std::env;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::slice;
use std::thread;
use std::time::{Duration, Instant};

use crate::clients::{Client, EVERY_LEECHER, known_refusal};
use crate::download::How;
use crate::fixtures::{Torrent, every_fixture, one_file};
use crate::process::wait_for;
use crate::programs::Program;
use crate::report::{Outcome, Report};
use crate::world::{Terms, World};

/// How long a client may take to fetch a few MiB; Transmission and aria2 look
/// round every ten seconds.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn every_client_downloads_every_fixture_from_our_seed() {
    let report = Report::new("every_client_downloads_every_fixture_from_our_seed");
    thread::scope(|scope| {
        for program in EVERY_LEECHER {
            let Some(path) = program.find() else { continue };
            for how in ways(program) {
                let (path, report) = (path.clone(), &report);
                scope.spawn(move || {
                    if let Err(error) = downloads_every_fixture(program, &path, *how, report) {
                        report.add(program.name(), "all", label(program, *how), 0, Err(error));
                    }
                });
            }
        }
    });
    report.finish();
}

/// What a client can be told.
fn ways(program: Program) -> &'static [How] {
    match program {
        // Neither reads `x.pe`.
        Program::Transmission | Program::Aria2 => &[How::TorrentAndTracker, How::MagnetAndTracker],
        // Without the metadata, WebTorrent announces `left=NaN`, which opentracker
        // and ours refuse.
        Program::Webtorrent => &[How::TorrentAndTracker, How::MagnetAndPeers],
        _ => &[How::TorrentAndTracker, How::MagnetAndTracker, How::MagnetAndPeers],
    }
}

fn label(program: Program, how: How) -> &'static str {
    match (how, program) {
        (How::MagnetAndPeers, Program::Rqbit) => "magnet, its API",
        (How::MagnetAndPeers, _) => "magnet, x.pe",
        (_, Program::Transmission) if how.is_magnet() => "magnet, dialed",
        (_, Program::Transmission) => ".torrent, dialed",
        _ => how.label(),
    }
}

/// One client, every torrent, and a seed for each.
fn downloads_every_fixture(
    program: Program,
    path: &Path,
    how: How,
    report: &Report,
) -> Result<(), String> {
    let Some(world) = World::new(&every_fixture()) else { return Ok(()) };
    let content = world.new_folder("downloads");
    let terms = Terms { content: Some(content.clone()), how, ..Terms::default() };
    let (mut client, mut seeds);
    let mut starts = Vec::new();
    if program == Program::Transmission {
        // It drops loopback addresses that a tracker gave it: our seeds dial.
        client = world.join(program, path, &world.torrents, &terms)?;
        seeds = Vec::new();
        for torrent in &world.torrents {
            starts.push(Instant::now());
            let takes = known_refusal(program, torrent.fixture.kind).is_none();
            let dial: Vec<SocketAddrV4> = takes.then(|| client.peer()).into_iter().collect();
            seeds.push(seed(&world, torrent, how, &dial)?);
            thread::sleep(client.between_dials());
        }
    } else {
        seeds = thread::scope(|scope| {
            let world = &world;
            let seed = |torrent| scope.spawn(move || seed(world, torrent, how, &[]));
            let seeds: Vec<_> = world.torrents.iter().map(seed).collect();
            seeds
                .into_iter()
                .map(|seed| seed.join().expect("no panic in a start"))
                .collect::<Result<Vec<_>, _>>()
        })?;
        for torrent in world.torrents.iter().filter(|_| how.is_announced()) {
            world.await_announces(torrent, 1)?;
        }
        let told: Vec<Torrent> = world
            .torrents
            .iter()
            .zip(&seeds)
            .map(|(torrent, seed)| torrent.with_peers(&[seed.peer()]))
            .collect();
        starts.resize(told.len(), Instant::now());
        client = world.join(program, path, &told, &terms)?;
    }
    let ends = await_downloads(&mut client, &world.torrents)?;
    for ((torrent, seed), (start, end)) in
        world.torrents.iter().zip(seeds).zip(starts.into_iter().zip(ends))
    {
        let fixture = &torrent.fixture;
        let outcome = match (end, known_refusal(program, fixture.kind)) {
            (None, Some(why)) => Ok((Duration::ZERO, format!("refused, as known: {why}"))),
            (None, None) => Err(format!("not done in time: {}", client.last_words())),
            (Some(end), _) => arrived(program, torrent, &content).and_then(|how_well| {
                let given = given(seed, fixture.length())?;
                Ok((end - start, format!("the same bytes{how_well}; {given} given")))
            }),
        };
        report.add(
            program.name(),
            fixture.label,
            label(program, how),
            if end.is_some() { fixture.length() } else { 0 },
            outcome,
        );
    }
    Ok(())
}

/// Ours, or its stand-in.
fn seed(
    world: &World,
    torrent: &Torrent,
    how: How,
    dial: &[SocketAddrV4],
) -> Result<Client, String> {
    let how = if how.is_announced() { How::TorrentAndTracker } else { How::TorrentAndPeers };
    let (program, path) = ours();
    let terms = Terms {
        content: Some(world.content()),
        how,
        address: stand_in_address(),
        ..Terms::default()
    };
    let mut seed = world.join(program, &path, &[torrent.with_peers(dial)], &terms)?;
    if dial.is_empty() {
        seed.settle(slice::from_ref(torrent))?;
    }
    Ok(seed)
}

/// The program under test, or what stands in for it.
fn ours() -> (Program, PathBuf) {
    let program = if stands_in() { Program::Libtorrent } else { Program::Piecemeal };
    (program, program.find().expect("every test needs libtorrent"))
}

/// The stand-in may be in a swarm with another libtorrent.
fn stand_in_address() -> Option<Ipv4Addr> {
    stands_in().then_some(Ipv4Addr::new(127, 0, 0, 6))
}

fn stands_in() -> bool {
    env::var_os("PIECEMEAL_INTEROP_STAND_IN").is_some()
}

/// When each of the torrents was done; `None` if it is not. What the client is
/// known to refuse is not waited for.
fn await_downloads(
    client: &mut Client,
    torrents: &[Torrent],
) -> Result<Vec<Option<Instant>>, String> {
    let start = Instant::now();
    let mut ends = vec![None; torrents.len()];
    loop {
        let seen =
            client.torrents().map_err(|error| format!("{error}\n{}", client.last_words()))?;
        let mut waiting = false;
        for (torrent, end) in torrents.iter().zip(&mut ends).filter(|(_, end)| end.is_none()) {
            if seen.iter().any(|status| status.info_hash == torrent.info_hash && status.done) {
                *end = Some(Instant::now());
            } else if known_refusal(client.program, torrent.fixture.kind).is_none() {
                waiting = true;
            }
        }
        if !waiting || start.elapsed() > PATIENCE {
            return Ok(ends);
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Compares what is on the disk; some clients say that they are done before
/// their last write.
fn arrived(program: Program, torrent: &Torrent, content: &Path) -> Result<String, String> {
    let (fixture, out) = (&torrent.fixture, content.join(torrent.fixture.name));
    wait_for(Duration::from_secs(5), "the same bytes", || match program {
        // Transmission 3 makes no empty files. WebTorrent does not know padding,
        // and makes an empty file only if it is the first.
        Program::Transmission | Program::Webtorrent => fixture.compare_loosely(&out),
        _ => fixture.compare(&out).map(|()| String::new()),
    })
}

/// Ends the seed, which must have given at least this much.
fn given(mut seed: Client, least: u64) -> Result<u64, String> {
    if stands_in() {
        // Its counter runs behind its sockets.
        let _ = wait_for(Duration::from_secs(3), "its counter", || match seed.totals()?.1 {
            few if few < least => Err(format!("{few} bytes")),
            _ => Ok(()),
        });
    }
    match seed.end()? {
        few if few < least => Err(format!("the seed says that it gave {few} bytes")),
        enough => Ok(enough),
    }
}

const MIB: u64 = 1 << 20;

/// Ours and two others, each with another third, and nobody else.
#[test]
fn mixed_swarms_make_a_whole_of_thirds() {
    let report = Report::new("mixed_swarms_make_a_whole_of_thirds");
    let swarms = [
        [Program::Libtorrent, Program::Rqbit],
        [Program::Libtorrent, Program::Aria2],
        [Program::Transmission, Program::Libtorrent],
        [Program::Webtorrent, Program::Rqbit],
    ];
    thread::scope(|scope| {
        for others in swarms {
            let report = &report;
            scope.spawn(move || {
                let Some(first) = others[0].find() else { return };
                let Some(second) = others[1].find() else { return };
                let label = format!("ours + {} + {}", others[0].name(), others[1].name());
                let outcome = swarm_of_thirds([(others[0], first), (others[1], second)]);
                report.add(
                    &label,
                    "thirds.bin",
                    How::TorrentAndTracker.label(),
                    6 * MIB + 12_345,
                    outcome,
                );
            });
        }
    });
    report.finish();
}

fn swarm_of_thirds(others: [(Program, PathBuf); 2]) -> Outcome {
    let fixture = one_file("thirds.bin", 6 * MIB + 12_345, 65_536);
    let Some(world) = World::new(slice::from_ref(&fixture)) else { return Err("no world".into()) };
    let torrent = &world.torrents[0];
    let thirds = [0..2 * MIB, 2 * MIB..4 * MIB, 4 * MIB..fixture.length()];
    let contents = thirds.each_ref().map(|third| {
        let content = world.new_folder("third");
        fixture.write(&content, third);
        content
    });
    let terms = |index: usize, address| Terms {
        content: Some(contents[index].clone()),
        how: How::TorrentAndTracker,
        address,
        ..Terms::default()
    };
    let mut clients: Vec<Client> = Vec::new();
    // One after the other, so that each later one learns of all earlier ones.
    for (index, (program, path)) in others.iter().enumerate() {
        let mut client = world.join(*program, path, &world.torrents, &terms(index, None))?;
        client.settle(&world.torrents)?;
        world.await_announces(torrent, clients.len() as u64 + 1)?;
        clients.push(client);
    }
    let (program, path) = ours();
    let dial: Vec<SocketAddrV4> = clients
        .iter()
        .filter(|client| client.program == Program::Transmission)
        .map(Client::peer)
        .collect();
    let start = Instant::now();
    clients.push(world.join(
        program,
        &path,
        &[torrent.with_peers(&dial)],
        &terms(2, stand_in_address()),
    )?);
    for client in &mut clients {
        if await_downloads(client, &world.torrents)? != [None] {
            continue;
        }
        return Err(format!(
            "{} is not done in time: {}",
            client.program.name(),
            client.last_words()
        ));
    }
    let elapsed = start.elapsed();
    clients
        .iter()
        .zip(&contents)
        .try_for_each(|(client, content)| arrived(client.program, torrent, content).map(|_| ()))?;
    // Their counters run behind their sockets.
    thread::sleep(Duration::from_secs(2));
    let ours = clients.pop().expect("three clients").end()?;
    let mut sent = vec![format!("{ours} sent by ours")];
    for client in clients {
        let name = client.program.name();
        sent.push(format!("{} by {name}", client.end()?));
    }
    Ok((elapsed, sent.join(", ")))
}

/// Whoever announces to our tracker finds whoever has.
#[test]
fn every_client_finds_its_peers_by_our_tracker() {
    let tracker = if stands_in() { Program::Opentracker } else { Program::Piecemeal };
    let report = Report::new("every_client_finds_its_peers_by_our_tracker");
    thread::scope(|scope| {
        for (scheme, how) in [("http", "tracker, http"), ("udp", "tracker, udp")] {
            let report = &report;
            scope.spawn(move || {
                if let Err(error) = finds_peers_by(tracker, scheme, how, report) {
                    report.add("all", "shared.bin", how, 0, Err(error));
                }
            });
        }
    });
    report.finish();
}

/// Ours announces to a tracker that is not ours, in both its languages.
#[test]
fn our_client_finds_its_peers_by_opentracker_over_udp() {
    let report = Report::new("our_client_finds_its_peers_by_opentracker_over_udp");
    let fixture = one_file("udp.bin", MIB + 1, 65_536);
    let Some(world) = World::with_tracker(slice::from_ref(&fixture), Program::Opentracker, "udp")
    else {
        return;
    };
    let Some(path) = Program::Libtorrent.find() else { return };
    let terms = Terms { how: How::TorrentAndTracker, ..Terms::default() };
    let mut seed = world.seed(Program::Libtorrent, &path, &terms).expect("the seed starts");
    seed.settle(&world.torrents).expect("the seed is ready");
    world.await_announces(&world.torrents[0], 1).expect("the seed announces");
    for how in [How::TorrentAndTracker, How::MagnetAndTracker] {
        let outcome = world
            .download(&world.torrents[0], how, &[])
            .map(|finished| (finished.elapsed, "the same bytes".into()));
        report.add("libtorrent", fixture.label, how.label(), fixture.length(), outcome);
    }
    report.finish();
}

/// One seed and every client, with nothing to bring them together but the tracker.
fn finds_peers_by(
    tracker: Program,
    scheme: &str,
    how: &'static str,
    report: &Report,
) -> Result<(), String> {
    let fixture = one_file("shared.bin", MIB + 1, 65_536);
    let Some(world) = World::with_tracker(slice::from_ref(&fixture), tracker, scheme) else {
        return Ok(());
    };
    let torrent = &world.torrents[0];
    let seed_path = Program::Libtorrent.find().ok_or("no libtorrent")?;
    let terms = Terms { how: How::TorrentAndTracker, ..Terms::default() };
    let mut seed = world.seed(Program::Libtorrent, &seed_path, &terms)?;
    seed.settle(&world.torrents)?;
    world.await_announces(torrent, 1)?;
    let mut count = 1;
    let mut clients = Vec::new();
    for program in EVERY_LEECHER.into_iter().chain([ours().0]) {
        // The seed has this name and this address.
        if program == Program::Libtorrent {
            continue;
        }
        // aria2 speaks it only with its DHT, which is off here.
        if program == Program::Aria2 && scheme == "udp" {
            continue;
        }
        let Some(path) = program.find() else { continue };
        let content = world.new_folder("download");
        let start = Instant::now();
        let terms = Terms { content: Some(content.clone()), ..terms.clone() };
        let client = world.join(program, &path, &world.torrents, &terms)?;
        count += 1;
        clients.push((client, content, start));
    }
    world.await_announces(torrent, count)?;
    thread::scope(|scope| {
        for (client, content, start) in &mut clients {
            // It has announced itself, but does not dial loopback addresses.
            if client.program == Program::Transmission {
                report.add(
                    client.program.name(),
                    torrent.fixture.label,
                    how,
                    0,
                    Ok((Duration::ZERO, "announced".into())),
                );
                continue;
            }
            let world = &world;
            scope.spawn(move || {
                let outcome = match await_downloads(client, &world.torrents) {
                    Ok(ends) if ends[0].is_none() => {
                        Err(format!("not done in time: {}", client.last_words()))
                    }
                    Ok(ends) => {
                        let elapsed = ends[0].map_or(Duration::ZERO, |end| end - *start);
                        arrived(client.program, torrent, content)
                            .map(|_| (elapsed, "the same bytes".to_owned()))
                    }
                    Err(error) => Err(error),
                };
                report.add(
                    client.program.name(),
                    torrent.fixture.label,
                    how,
                    torrent.fixture.length(),
                    outcome,
                );
            });
        }
    });
    Ok(())
}
