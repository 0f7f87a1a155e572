//! The whole lab, and `piecemeal lab` with the commands that it prints.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;

use piecemeal::lab::content::Content;
use piecemeal::lab::seeder::{Fault, Plan};
use piecemeal::lab::{Lab, sample};

use crate::lab::client::soon;
use crate::lab::running::Running;
use crate::support::{Run, folder};

#[test]
fn the_stage_commands_work_against_a_lab() {
    let folder = folder();
    let lab =
        Lab::start(vec![sample().expect("a torrent")], &[Plan::default(), Plan::default()], 0)
            .expect("a lab");
    let torrents = lab.write_torrents(folder.path()).expect("written");
    let content = &lab.contents[0];
    let outcome = Run::new(["peers"]).arg(&torrents[0]).run();
    outcome.succeeds();
    let mut peers: Vec<String> = lab.addresses().iter().map(ToString::to_string).collect();
    peers.sort();
    let out = outcome.out();
    let mut found: Vec<&str> = out.lines().collect();
    found.sort_unstable();
    assert_eq!(found, peers);
    for (number, link) in [(0, lab.magnet(content)), (2, lab.magnet_with_peers(content))] {
        let out = folder.path().join(format!("piece-{number}"));
        Run::new(["magnet_download_piece", "-o"])
            .arg(&out)
            .arg(&link)
            .arg(number.to_string())
            .run()
            .succeeds();
        let start = number * 32_768;
        let end = content.data.len().min(start + 32_768);
        assert!(fs::read(&out).expect("the piece") == content.data[start..end], "{link}");
    }
    // Both seeders may have given all of it: the commands ask several peers at once.
    assert!(lab.given().1 >= 32_768 + 26_527);
}

#[test]
fn metadata_of_several_pieces_is_given() {
    let content = Content::single("many.txt", 40_000, 16, 3).expect("a torrent");
    assert!(content.metadata.len() > 3 * 16_384);
    let lab = Lab::start(vec![content], &[Plan::default()], 0).expect("a lab");
    let outcome = Run::new(["magnet_info", &lab.magnet_with_peers(&lab.contents[0])]).run();
    outcome.succeeds();
    assert_eq!(outcome.out().lines().count(), 4 + 2_500);
    assert!(outcome.out().contains(&format!("Info Hash: {}", lab.contents[0].info_hash())));
}

#[test]
fn a_corrupt_lab_is_found_out() {
    let folder = folder();
    let plans = [Plan::with_fault(Fault::Corrupt { every: 1 })];
    let lab = Lab::start(vec![sample().expect("a torrent")], &plans, 0).expect("a lab");
    let torrents = lab.write_torrents(folder.path()).expect("written");
    let outcome = Run::new(["download_piece", "-o"])
        .arg(folder.path().join("piece"))
        .arg(&torrents[0])
        .arg("0")
        .run();
    assert_eq!(outcome.code, Some(6), "{outcome}");
}

#[cfg(unix)]
#[test]
fn the_command_prints_what_to_paste_and_ends_with_ctrl_c() {
    let folder = folder();
    let mut lab = Running::start(folder.path(), &["lab", "--seeders", "2"]);
    let lines = lab.lines_to("Ctrl-C");
    assert_eq!(
        lines.iter().filter(|line| line.trim_start().starts_with("seeder ")).count(),
        2,
        "{lines:#?}"
    );
    // Each command is pasted into a shell.
    let program = Path::new(env!("CARGO_BIN_EXE_piecemeal")).parent().expect("it is in a folder");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let commands: Vec<&str> = lines
        .iter()
        .filter_map(|line| Some(line.trim_start().split_once("  piecemeal ")?.1))
        .collect();
    assert!(commands.len() >= 15, "{lines:#?}");
    let help = Run::new(["--help"]).run().out();
    let exists = |name: &str| help.lines().any(|line| line.split_whitespace().next() == Some(name));
    for command in commands {
        let name = command.split(' ').next().unwrap_or_default();
        // A command may be in the tour while its chapter is still being written; `seed` runs
        // until Ctrl-C, and has tests of its own.
        if !exists(name) || name == "seed" {
            continue;
        }
        let mut shell = Command::new("sh");
        shell
            .arg("-c")
            .arg(format!("piecemeal {command}"))
            .env("PATH", &path)
            .current_dir(folder.path());
        let outcome = shell.output().expect("a shell runs");
        assert!(
            outcome.status.success(),
            "{command}: {}",
            String::from_utf8_lossy(&outcome.stderr)
        );
    }
    let thanks = |top: &str| {
        fs::read(folder.path().join(top).join("notes/thanks.txt")).expect("a file of the album")
    };
    assert!(
        thanks("album") == thanks("lab/original/album") && thanks("album-again") == thanks("album")
    );
    let original = fs::read(folder.path().join("lab/original/sample.txt")).expect("the original");
    assert!(fs::read(folder.path().join("piece-2")).expect("the piece") == original[65_536..]);
    let end = lab.end();
    assert!(end[0].starts_with("The lab has ended: its seeders gave "), "{end:#?}");
    let table: Vec<Vec<&str>> =
        end[1..3].iter().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(end[3], "What each client has shown:", "a line for each seeder first: {end:#?}");
    // How much each of the two gave is a matter of luck: "1 peer" is as good as "3 peers".
    let counts = |number: &str, noun: &str, word: &str| {
        number.parse::<u64>().is_ok_and(|number| {
            noun == if number == 1 { word.to_owned() } else { format!("{word}s") }
        })
    };
    for row in table {
        let [_, "gave", blocks, noun, bytes, unit, "to", peers, who] = row[..] else {
            panic!("{row:?}")
        };
        let [noun, unit] = [noun, unit].map(|word| word.strip_suffix(',').unwrap_or_default());
        assert!(
            counts(blocks, noun, "block")
                && counts(bytes, unit, "byte")
                && counts(peers, who, "peer"),
            "{row:?}"
        );
    }
    let mut notes = String::new();
    lab.child.stderr.take().expect("stderr is a pipe").read_to_string(&mut notes).expect("notes");
    assert!(
        notes.contains("bytes left of cda492889448d540ee036365137eedd24308d22c; told of 2 peers"),
        "{notes}"
    );
}

#[cfg(unix)]
#[test]
fn two_labs_can_run_and_one_outlives_its_reader() {
    let (one, two) = (folder(), folder());
    let first = Running::start(one.path(), &["lab", "--json", "-q"]);
    let start = first.object();
    let mut second = Running::start(two.path(), &["lab", "--json", "-q"]);
    let other = second.object();
    assert_ne!(start["tracker"], other["tracker"]);
    assert_eq!(start["peers"].as_array().map(Vec::len), Some(3));
    let link = start["magnets"][1].as_str().expect("a link");
    Run::new(["magnet_info", link]).run().succeeds();
    // The reader has gone; the lab goes on, and ends as it should.
    second.lines = mpsc::channel().1;
    second.interrupt();
    soon("it ends", || second.child.try_wait().expect("a state").is_some());
    assert_eq!(second.child.wait().expect("it ends").code(), Some(0));
}

#[cfg(unix)]
#[test]
fn a_lab_beside_another_says_that_its_addresses_are_not_those_of_the_chapters() {
    let (one, two) = (folder(), folder());
    let start = |folder: &Path| {
        let lab = Running::start(folder, &["lab"]);
        let tour = lab.lines_to("Ctrl-C");
        let mut places = tour.iter().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let is_chapters = |place: Vec<&str>| match place[..] {
            ["tracker", url] => url == "http://127.0.0.1:6969/announce",
            ["seeder", address, _] => address.ends_with(":6881"),
            _ => true,
        };
        (lab, places.all(is_chapters))
    };
    // Both run now, so at least one of them uses other ports. Perhaps both do: other tests also
    // have labs, which come and go.
    let labs = [start(one.path()), start(two.path())];
    assert!(
        labs.iter().any(|(_, as_in_the_chapters)| !as_in_the_chapters),
        "two labs have the same addresses"
    );
    for (mut lab, as_in_the_chapters) in labs {
        lab.end();
        let mut notes = String::new();
        lab.child
            .stderr
            .take()
            .expect("stderr is a pipe")
            .read_to_string(&mut notes)
            .expect("notes");
        assert_eq!(
            notes.starts_with("The chapters' addresses are taken"),
            !as_in_the_chapters,
            "{notes}"
        );
    }
}

#[test]
fn a_foreign_file_in_the_way_is_an_error() {
    let folder = folder();
    fs::create_dir(folder.path().join("lab")).expect("a folder");
    fs::write(folder.path().join("lab/sample.torrent"), "mine").expect("written");
    let outcome = Run::new(["lab"]).dir(folder.path()).run();
    assert_eq!(outcome.code, Some(7), "{outcome}");
    assert!(outcome.err().contains("sample.torrent: exists, with other content"), "{outcome}");
    assert_eq!(fs::read(folder.path().join("lab/sample.torrent")).expect("still there"), b"mine");
}
