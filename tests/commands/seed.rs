//! Uploading: `seed`, and downloads that upload. Only our own programs take part; others are for
//! `tests/interop`.

use crate::support::leech::is_served;
use crate::support::serving::Ended;
use crate::support::tracker::{percent_decoded, query_of};
use crate::support::{FakeTracker, LIMIT, Recipe, Reply, Run, Serving, Torrent, content, folder};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A tracker that names every peer that has announced itself and has not stopped.
pub fn meeting_place() -> FakeTracker {
    let known: Arc<Mutex<Vec<SocketAddr>>> = Arc::default();
    FakeTracker::start(move |target, _| {
        let value = |key: &str| {
            query_of(target).into_iter().find(|(found, _)| found == key).map(|(_, value)| value)
        };
        let port: u16 = value("port").and_then(|port| port.parse().ok()).unwrap_or_default();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut known = known.lock().expect("no test thread panics with the lock");
        known.retain(|other| *other != address);
        let reply = Reply::peers(&known);
        if value("event").as_deref() != Some("stopped") {
            known.push(address);
        }
        reply
    })
}

/// A download that keeps seeding.
fn staying(folder: &Path, name: &str, file: &Path, options: &[&str]) -> Serving {
    let run = Run::new(["download", "-o"]).arg(folder.join(name)).arg(file);
    let run = options.iter().fold(run, Run::arg);
    Serving::start(run, &folder.join(format!("{name} said")))
}

fn holds(folder: &Path, name: &str, torrent: &Torrent) {
    assert!(
        std::fs::read(folder.join(name)).expect("the download is there") == torrent.content,
        "{name} has other bytes"
    );
    assert!(
        !folder.join(format!("{name}.piecemeal")).exists(),
        "{name} is complete, and marked as partial"
    );
}

fn bytes(event: &Value, key: &str) -> u64 {
    event[key].as_u64().expect("a number")
}

/// The bytes between this process and the one at an address.
fn moved(done: &Value, key: &str, with: SocketAddr) -> u64 {
    let list = done[key].as_array().expect("a list");
    list.iter()
        .find(|entry| entry["peer"] == with.to_string())
        .map_or(0, |entry| bytes(entry, "bytes"))
}

#[cfg(unix)]
#[test]
fn a_seed_gives_what_is_there_by_the_users_own_links() {
    let folder = folder();
    let torrent =
        Recipe::files("t", 16_384, &[("a", content(40_000, 1)), ("sub/b", content(10_000, 2))])
            .build();
    for (name, bytes) in
        [("library/a", &torrent.content[..40_000]), ("library/sub/b", &torrent.content[40_000..])]
    {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it has one"))
            .expect("a temporary folder takes a folder");
        std::fs::write(path, bytes).expect("a temporary folder takes a file");
    }
    let links = folder.path().join("links");
    std::fs::create_dir(&links).expect("a temporary folder takes a folder");
    for name in ["a", "sub"] {
        std::os::unix::fs::symlink(folder.path().join("library").join(name), links.join(name))
            .expect("and a link");
    }
    let file = torrent.write(folder.path(), None);
    let seed =
        Serving::start(Run::new(["seed"]).arg(&file).arg(&links), &folder.path().join("said"));
    let out = folder.path().join("out");
    let run = Run::new(["download", "-o"]).arg(&out).arg(&file).peer(seed.address).run();
    run.succeeds();
    assert!(std::fs::read(out.join("a")).expect("it is there") == torrent.content[..40_000]);
    assert!(std::fs::read(out.join("sub/b")).expect("it is there") == torrent.content[40_000..]);
    seed.interrupt();
}

#[test]
fn a_download_takes_from_a_seed_and_both_tell_the_same_story() {
    let (folder, torrent) = (folder(), Torrent::sample());
    let length = torrent.content.len() as u64;
    let seed = Serving::seed(folder.path(), &torrent, [""; 0]);
    let address = seed.address;
    let out = folder.path().join("out");
    let taken = Run::new(["download", "--json", "--bind", "127.0.0.1", "--port", "0", "--peer"])
        .arg(address.to_string())
        .arg("-o")
        .arg(&out)
        .arg(folder.path().join("test.torrent"))
        .run();
    holds(folder.path(), "out", &torrent);
    let lines: Vec<Value> = taken
        .succeeds()
        .out()
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let done = lines.last().expect("it has said something");
    assert_eq!(done["event"], "done");
    assert_eq!((bytes(done, "downloaded"), bytes(done, "uploaded")), (length, 0));
    assert_eq!(moved(done, "from", address), length);
    let listened: SocketAddr =
        lines[0]["addresses"][0].as_str().and_then(|text| text.parse().ok()).expect("an address");

    let ended = seed.interrupt();
    let done = ended.done();
    assert_eq!((bytes(done, "downloaded"), bytes(done, "uploaded")), (0, length));
    assert_eq!(
        moved(done, "to", listened),
        length,
        "who takes is called by the port where it listens"
    );
    assert!(
        !ended.events.iter().any(|event| event["event"] == "completed"),
        "it was complete from the start"
    );
}

#[test]
fn a_seed_is_found_by_its_tracker_and_never_completed() {
    let (folder, torrent) = (folder(), Torrent::sample());
    let tracker = meeting_place();
    let file = torrent.write(folder.path(), Some(&tracker.url()));
    let content = folder.path().join("content");
    std::fs::write(&content, &torrent.content).expect("the folder takes a file");
    let mut seed =
        Serving::start(Run::new(["seed"]).arg(&file).arg(content), &folder.path().join("said"));
    seed.wait_for("source", |_| true);
    let out = folder.path().join("out");
    Run::new(["download", "-o"]).arg(&out).arg(&file).run().succeeds();
    holds(folder.path(), "out", &torrent);
    let port = seed.address.port().to_string();
    seed.interrupt().done();
    let asked = tracker.asked();
    let of_seed: Vec<Vec<(String, String)>> = asked
        .iter()
        .map(|target| query_of(target))
        .filter(|query| query.contains(&("port".into(), port.clone())))
        .collect();
    let values = |key: &str| -> Vec<String> {
        of_seed
            .iter()
            .flatten()
            .filter(|(found, _)| found == key)
            .map(|(_, value)| value.clone())
            .collect()
    };
    assert_eq!(values("event"), ["started", "stopped"], "{of_seed:?}");
    assert!(values("left").iter().all(|left| left == "0"), "{of_seed:?}");
    assert_eq!(
        values("uploaded"),
        ["0".to_owned(), torrent.content.len().to_string()],
        "true counters: {of_seed:?}"
    );
    assert!(values("info_hash").iter().all(|hash| percent_decoded(hash) == torrent.info_hash));
}

#[test]
fn a_magnet_link_that_names_the_seed_is_enough() {
    let (folder, torrent) = (folder(), Torrent::sample());
    let seed = Serving::seed(folder.path(), &torrent, [""; 0]);
    let link = format!("{}&x.pe={}", torrent.magnet(&[]), seed.address);
    let out = folder.path().join("out");
    let promise = format!("Downloaded {link} to {}.\n", out.display());
    Run::new(["magnet_download", "-o"]).arg(&out).arg(&link).run().prints(&promise);
    holds(folder.path(), "out", &torrent);
    seed.interrupt().done();
}

#[test]
fn a_download_that_stays_gives_to_the_next_one() {
    let (folder, torrent) = (folder(), Torrent::sample());
    let seed = Serving::seed(folder.path(), &torrent, [""; 0]);
    let file = folder.path().join("test.torrent");
    let mut second = staying(
        folder.path(),
        "second",
        &file,
        &["--keep-seeding", "--peer", &seed.address.to_string()],
    );
    second.wait_for("completed", |_| true);
    holds(folder.path(), "second", &torrent);
    seed.interrupt().done();
    let link = format!("{}&x.pe={}", torrent.magnet(&[]), second.address);
    Run::new(["magnet_download", "-o"])
        .arg(folder.path().join("third"))
        .arg(&link)
        .run()
        .succeeds();
    holds(folder.path(), "third", &torrent);
    let ended = second.interrupt();
    let length = torrent.content.len() as u64;
    assert_eq!(
        (bytes(ended.done(), "downloaded"), bytes(ended.done(), "uploaded")),
        (length, length)
    );
}

#[test]
fn a_magnet_download_that_stays_gives_the_metadata_too() {
    let (folder, torrent) = (folder(), Torrent::sample());
    let seed = Serving::seed(folder.path(), &torrent, [""; 0]);
    let link = |address: SocketAddr| format!("{}&x.pe={address}", torrent.magnet(&[]));
    let run = Run::new(["magnet_download", "--keep-seeding", "-o"])
        .arg(folder.path().join("second"))
        .arg(link(seed.address));
    let mut second = Serving::start(run, &folder.path().join("second said"));
    second.wait_for("completed", |_| true);
    seed.interrupt().done();
    Run::new(["magnet_download", "-o"])
        .arg(folder.path().join("third"))
        .arg(link(second.address))
        .run()
        .succeeds();
    holds(folder.path(), "third", &torrent);
    second.interrupt().done();
}

#[test]
fn a_ratio_that_is_reached_is_the_end() {
    let (folder, torrent) = (folder(), Torrent::sample());
    let seed = Serving::seed(folder.path(), &torrent, ["--ratio", "2"]);
    let file = folder.path().join("test.torrent");
    let peer = seed.address.to_string();
    let mut second = staying(folder.path(), "second", &file, &["--ratio", "1", "--peer", &peer]);
    second.wait_for("completed", |_| true);
    is_served(second.address, &torrent);
    let given = |ended: &Ended| bytes(ended.done(), "uploaded");
    // No signal has told it to end.
    assert_eq!(given(&second.finish()), torrent.content.len() as u64);
    is_served(seed.address, &torrent);
    assert_eq!(given(&seed.finish()), 2 * torrent.content.len() as u64);
}

/// A download with half of the pieces: those whose number, divided by two, leaves this remainder.
fn half(folder: &Path, name: &str, torrent: &Torrent, rest: usize) {
    let pieces = torrent.content.chunks(torrent.piece_length).enumerate();
    let held: Vec<u8> = pieces
        .flat_map(
            |(index, piece)| if index % 2 == rest { piece.to_vec() } else { vec![0; piece.len()] },
        )
        .collect();
    std::fs::write(folder.join(name), held).expect("the folder takes a file");
    std::fs::write(folder.join(format!("{name}.piecemeal")), torrent.hex())
        .expect("the folder takes a file");
}

#[test]
fn two_halves_make_two_wholes_without_any_seed() {
    let (folder, torrent) = (folder(), Torrent::of_pieces(64, 80));
    let tracker = meeting_place();
    let file = torrent.write(folder.path(), Some(&tracker.url()));
    half(folder.path(), "even", &torrent, 0);
    half(folder.path(), "odd", &torrent, 1);
    let mut even = staying(folder.path(), "even", &file, &["--keep-seeding"]);
    let mut odd = staying(folder.path(), "odd", &file, &["--keep-seeding"]);
    even.wait_for("completed", |_| true);
    odd.wait_for("completed", |_| true);
    let (even_at, odd_at) = (even.address, odd.address);
    let (even, odd) = (even.interrupt(), odd.interrupt());
    holds(folder.path(), "even", &torrent);
    holds(folder.path(), "odd", &torrent);
    let half = torrent.content.len() as u64 / 2;
    for (one, other) in [(even.done(), odd_at), (odd.done(), even_at)] {
        // At first there may be two connections; blocks in transit on the one that is closed are
        // sent again.
        let (taken, given) = (moved(one, "from", other), moved(one, "to", other));
        assert!((half..2 * half).contains(&taken) && (half..2 * half).contains(&given), "{one}");
    }
}

#[test]
fn a_download_gives_while_it_takes() {
    // Its seed is so slow that it cannot be complete by the time the leech has the existing
    // half.
    let (folder, torrent) = (folder(), Torrent::of_pieces(64, 81));
    let seed = Serving::seed(folder.path(), &torrent, ["--max-upload", "16KiB"]);
    let file = folder.path().join("test.torrent");
    half(folder.path(), "half", &torrent, 0);
    let taking = staying(folder.path(), "half", &file, &["--peer", &seed.address.to_string()]);
    crate::support::Leech::plain(taking.address, &torrent).takes(&torrent, (0..64).step_by(2));
    let completed = taking.events().iter().any(|event| event["event"] == "completed");
    assert!(!completed, "it gave while it was taking");
    let ended = taking.interrupt();
    assert_eq!(ended.outcome.code, Some(130), "{:#}", ended.outcome);
    seed.interrupt().done();
}

/// A limit makes it slow, however quick the machine is.
#[test]
fn limits_on_the_rate_are_kept() {
    let (folder, torrent) = (folder(), Torrent::of_pieces(32, 82));
    let file = torrent.write(folder.path(), None);
    for (name, giving, taking) in
        [("up", "--max-upload", None), ("down", "--ratio", Some("--max-download"))]
    {
        let limit = if taking.is_none() { "512KiB" } else { "9" };
        let seed = Serving::seed(folder.path(), &torrent, [giving, limit]);
        let run = Run::new(["download", "-o"])
            .arg(folder.path().join(name))
            .arg(&file)
            .peer(seed.address);
        let run = taking.into_iter().fold(run, |run, option| run.arg(option).arg("512KiB"));
        let begun = Instant::now();
        run.run().succeeds();
        // 1 MiB at 512 KiB a second; the start may be a little faster.
        assert!(begun.elapsed() > Duration::from_secs(1), "{name}: {:?}", begun.elapsed());
        seed.interrupt().done();
        holds(folder.path(), name, &torrent);
    }
}

#[test]
fn for_people_there_is_a_table() {
    let (folder, torrent) = (folder(), Torrent::sample());
    let length = torrent.content.len();
    let content = folder.path().join("content");
    std::fs::write(&content, &torrent.content).expect("the folder takes a file");
    let file = torrent.write(folder.path(), None);
    let said = folder.path().join("said");
    let stderr = std::fs::File::create(&said).expect("the folder takes a file");
    let seed = Run::new(["seed", "--bind", "127.0.0.1", "--port", "0"])
        .arg(&file)
        .arg(content)
        .stderr(stderr)
        .start();
    let begun = Instant::now();
    let address = loop {
        let text = std::fs::read_to_string(&said).unwrap_or_default();
        let found = text
            .lines()
            .filter_map(|line| line.strip_prefix("listening at ")?.parse::<SocketAddr>().ok())
            .next();
        if let Some(address) = found.filter(|_| text.ends_with('\n')) {
            break address;
        }
        assert!(begun.elapsed() < LIMIT, "it does not say where it listens: {text}");
        std::thread::sleep(Duration::from_millis(5));
    };
    let out = folder.path().join("out");
    // The contract of the course, byte for byte, whatever is uploaded meanwhile.
    let promise = format!("Downloaded {} to {}.\n", file.display(), out.display());
    Run::new(["download", "-o"]).arg(&out).arg(&file).peer(address).run().prints(&promise);
    seed.interrupt();
    let outcome = seed.finish();
    let text = outcome.succeeds().out();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], format!("Gave {length} bytes, took 0 bytes."), "{outcome}");
    assert_eq!(
        lines[1].split_whitespace().collect::<Vec<_>>(),
        ["peer", "given", "taken"],
        "{outcome}"
    );
    let row: Vec<&str> = lines[2].split_whitespace().collect();
    assert_eq!(row[1..], [length.to_string().as_str(), "0"], "{outcome}");
    assert_eq!(lines.len(), 3, "{outcome}");
}

#[test]
fn a_download_that_stays_says_at_once_that_it_is_done_and_at_the_end_who_gave() {
    let (folder, torrent) = (folder(), Torrent::sample());
    let seed = Serving::seed(folder.path(), &torrent, [""; 0]);
    let file = folder.path().join("test.torrent");
    let (out, said) = (folder.path().join("out"), folder.path().join("out said"));
    let stdout = std::fs::File::create(&said).expect("the folder takes a file");
    let run = Run::new(["download", "--keep-seeding", "--bind", "127.0.0.1", "--port", "0", "-o"])
        .arg(&out)
        .arg(&file);
    let run = run.peer(seed.address).stdout(stdout).start();
    let promise = format!("Downloaded {} to {}.\n", file.display(), out.display());
    let begun = Instant::now();
    while std::fs::read_to_string(&said).expect("a file of ours") != promise {
        assert!(begun.elapsed() < LIMIT, "it does not say that it is done");
        std::thread::sleep(Duration::from_millis(5));
    }
    run.interrupt();
    run.finish().succeeds();
    let text = std::fs::read_to_string(&said).expect("a file of ours");
    let length = torrent.content.len();
    assert!(text.starts_with(&format!("{promise}Gave 0 bytes, took {length} bytes.\n")), "{text}");
    seed.interrupt().done();
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let (folder, torrent) = (folder(), Torrent::sample());
    let file = torrent.write(folder.path(), None);
    let cases: [&[&str]; 11] = [
        &["--ratio", "0"],
        &["--ratio", "-1"],
        &["--ratio", "inf"],
        &["--ratio", "much"],
        &["--max-upload", "0"],
        &["--max-upload", "5XB"],
        &["--max-upload", "-5"],
        &["--port", "65536"],
        &["--bind", "nowhere"],
        &["--slots", "-1"],
        &["--max-peers", "0"],
    ];
    for options in cases {
        let run = Run::new(["seed"]).arg(&file).arg(&file);
        let outcome = options.iter().fold(run, Run::arg).run();
        assert_eq!(outcome.code, Some(2), "{options:?}: {outcome:#}");
    }
}

#[test]
fn an_address_that_is_not_ours_cannot_be_bound() {
    let (folder, torrent) = (folder(), Torrent::sample());
    let content = folder.path().join("content");
    std::fs::write(&content, &torrent.content).expect("the folder takes a file");
    let file = torrent.write(folder.path(), None);
    // TEST-NET-1: no machine has this address.
    Run::new(["seed", "--bind", "192.0.2.1", "--port", "0"])
        .arg(&file)
        .arg(&content)
        .run()
        .fails(&[7])
        .mentions("192.0.2.1");
    let out = folder.path().join("out");
    Run::new(["download", "--bind", "192.0.2.1", "-o"])
        .arg(out)
        .arg(file)
        .run()
        .fails(&[7])
        .mentions("192.0.2.1");
}

#[test]
fn ctrl_c_ends_a_download_that_is_complete_with_success_and_one_that_is_not_without() {
    let (folder, torrent) = (folder(), Torrent::sample());
    let seed = Serving::seed(folder.path(), &torrent, ["--slots", "0"]);
    let file = folder.path().join("test.torrent");
    let peer = seed.address.to_string();
    let mut waiting =
        staying(folder.path(), "waiting", &file, &["--keep-seeding", "--peer", &peer]);
    waiting.wait_for("joined", |_| true);
    let ended = waiting.interrupt();
    assert_eq!(ended.outcome.code, Some(130), "{:#}", ended.outcome);
    ended.outcome.explains_itself();
    seed.interrupt().done();
}

/// The seed is so limited that the peers must get nearly everything from each other.
#[test]
fn in_a_swarm_a_slow_seed_gives_few_copies_and_the_rest_comes_from_each_other() {
    const PEERS: usize = 11;
    let (folder, torrent) = (folder(), Torrent::of_pieces(128, 83));
    let tracker = meeting_place();
    let file = torrent.write(folder.path(), Some(&tracker.url()));
    let content = folder.path().join("content");
    std::fs::write(&content, &torrent.content).expect("the folder takes a file");
    let run = Run::new(["seed", "--max-upload", "2MiB"]).arg(&file).arg(content);
    let mut seed = Serving::start(run, &folder.path().join("said"));
    seed.wait_for("source", |_| true);
    let name = |number: usize| format!("peer {number}");
    let mut peers: Vec<Serving> = (0..PEERS)
        .map(|number| staying(folder.path(), &name(number), &file, &["--keep-seeding"]))
        .collect();
    peers.iter_mut().for_each(|peer| drop(peer.wait_for("completed", |_| true)));
    let length = torrent.content.len() as u64;
    let ended: Vec<Ended> = peers.into_iter().map(Serving::interrupt).collect();
    for (number, ended) in ended.iter().enumerate() {
        holds(folder.path(), &name(number), &torrent);
        assert!(bytes(ended.done(), "downloaded") >= length);
    }
    let given = bytes(seed.interrupt().done(), "uploaded");
    let others: u64 = ended.iter().map(|ended| bytes(ended.done(), "uploaded")).sum();
    assert!(given <= 3 * length, "{given} of {length} bytes, and the others gave {others}");
    assert!(given + others >= PEERS as u64 * length, "whatever was taken has been given");
}
