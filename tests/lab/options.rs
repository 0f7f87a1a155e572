//! `piecemeal lab` with options for content and faults.

use std::fs;

use piecemeal::lab::content::Content;
use sha1::{Digest, Sha1};

use crate::support::{Run, folder};

#[test]
fn the_same_order_gives_the_same_torrent_everywhere() {
    let hash = |size, files, seed| {
        Content::made(size, files, seed).expect("a torrent").info_hash().to_string()
    };
    // Literals: another machine, or a later version, must give the same.
    assert_eq!(hash(1 << 20, None, 7), "5c714dd9f8e88be8e8a5ab2f6b4db75c5226d593");
    assert_eq!(hash(1 << 20, Some(5), 7), "6e5bf2ffa51a55805cb7977650375ee8057614f0");
    let all = [
        hash(1 << 20, None, 7),
        hash(1 << 20, None, 8),
        hash(1 << 20, Some(1), 7),
        hash(1 << 20, Some(5), 7),
        hash(1_000_000, None, 7),
    ];
    for (number, one) in all.iter().enumerate() {
        assert!(!all[..number].contains(one), "{all:?}");
    }
}

#[test]
fn other_seeds_give_other_bytes_and_not_only_other_names() {
    let data = |files, seed| Content::made(50_000, files, seed).expect("a torrent").data;
    assert_eq!(data(None, 7), data(None, 7));
    let share = |one: &[u8], two: &[u8]| {
        one.chunks(64).filter(|line| two.chunks(64).any(|other| other == *line)).count()
    };
    assert!(share(&data(None, 7), &data(None, 8)) == 0);
    // Files count their seeds upwards: neighboring seeds must not share any.
    assert!(share(&data(Some(3), 7), &data(Some(3), 8)) == 0);
    assert!(data(None, u64::MAX) != data(None, 0));
    assert_eq!(data(Some(3), u64::MAX).len(), 50_000);
}

#[test]
fn sizes_add_up_and_pieces_fit() {
    for (size, files) in [
        (1, None),
        (1, Some(3)),
        (65_536, Some(7)),
        (3_000_001, Some(1)),
        (40 << 20, None),
        (1_000, Some(1_000)),
    ] {
        let made = Content::made(size, files, 1).expect("a torrent");
        assert_eq!(made.data.len(), size);
        assert_eq!(made.info.length, size as u64);
        assert_eq!(made.info.files.len(), files.unwrap_or(1));
        assert_eq!(made.info.multi_file, files.is_some());
        assert!(made.info.piece_count() <= 1_280, "{size}: {} pieces", made.info.piece_count());
        let (first, last) = (made.info.pieces().next(), made.info.pieces().last());
        let length = made.info.piece_length as usize;
        for (piece, data) in
            [(first, made.data.chunks(length).next()), (last, made.data.chunks(length).last())]
        {
            let (piece, data) = (piece.expect("a piece"), data.expect("its data"));
            assert_eq!(made.info.piece_hash(piece), <[u8; 20]>::from(Sha1::digest(data)));
        }
    }
}

#[cfg(unix)]
mod running {
    use super::*;
    use crate::lab::running::Running;

    /// Starts a lab, and returns what it printed at its start.
    fn start(folder: &std::path::Path, arguments: &[&str]) -> (Running, serde_json::Value) {
        let arguments: Vec<&str> =
            ["lab", "--json", "-q"].iter().chain(arguments).copied().collect();
        let lab = Running::start(folder, &arguments);
        let start = lab.object();
        (lab, start)
    }

    #[test]
    fn content_to_order_can_be_downloaded_from_bad_peers_and_the_good_one() {
        let folder = folder();
        let order = [
            "--seeders",
            "5",
            "--faults",
            "corrupt,choke,die,silent",
            "--size",
            "900KiB",
            "--files",
            "4",
            "--seed",
            "3",
        ];
        let (mut lab, start) = start(folder.path(), &order);
        assert_eq!(start["torrents"], serde_json::json!(["lab/made-3-900KiB-4.torrent"]));
        let faults: Vec<&str> = start["faults"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|fault| fault.as_str())
            .collect();
        assert_eq!(
            faults,
            [
                "spoils one block of 8",
                "chokes after every 4 blocks, and forgets what it was asked",
                "dies after 20 blocks",
                "takes connections and says nothing",
                "gives what it has"
            ]
        );
        Run::new(["download", "-q", "-o", "out", "lab/made-3-900KiB-4.torrent"])
            .dir(folder.path())
            .run()
            .succeeds();
        for number in 1..=4 {
            let read = |top: &str| {
                fs::read(folder.path().join(top).join(format!("{number:04}.txt"))).expect("a file")
            };
            assert!(read("out") == read("lab/original/made-3-900KiB-4"), "file {number}");
        }
        let rest = lab.end();
        let lines: Vec<serde_json::Value> =
            rest.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert!(
            lines.iter().any(|line| line["event"] == "announce" && line["said"] == "completed"),
            "{rest:#?}"
        );
        assert!(
            lines.iter().any(|line| line["event"] == "joined" && line["client"] == "piecemeal 0.1"),
            "{rest:#?}"
        );
        let done = lines.last().expect("a last line");
        assert_eq!((&done["event"], &done["seeders"][4]["peers"]), (&"done".into(), &1.into()));
        assert!(done["bytes"].as_u64() >= Some(900 << 10), "{done}");
    }

    #[test]
    fn faults_and_standard_content_are_said_in_the_listing() {
        let folder = folder();
        let mut lab = Running::start(
            folder.path(),
            &["lab", "--seeders", "2", "--faults", "none,slow", "--rate", "1MiB"],
        );
        let lines = lab.lines_to("Ctrl-C");
        let seeders: Vec<&String> =
            lines.iter().filter(|line| line.trim_start().starts_with("seeder ")).collect();
        assert!(seeders[0].ends_with("-LB0001-seeder000001"), "{seeders:?}");
        assert!(
            seeders[1].ends_with("-LB0001-seeder000002   gives 16384 bytes a second"),
            "{seeders:?}"
        );
        assert!(lines.iter().any(|line| line.contains("cda492889448d540ee036365137eedd24308d22c")));
        lab.end();
    }

    #[test]
    fn a_dying_seeder_dies_of_the_chapters_content_too() {
        let folder = folder();
        let order = ["--seeders", "1", "--faults", "die"];
        let (mut lab, start) = start(folder.path(), &order);
        assert_eq!(start["faults"], serde_json::json!(["dies after 1 block"]));
        let out = Run::new(["download_piece", "-o", "piece", "lab/sample.torrent", "0"])
            .dir(folder.path())
            .run();
        assert_eq!(out.code, Some(5), "{out}");
        let rest = lab.end();
        let done: serde_json::Value =
            serde_json::from_str(rest.last().expect("a line")).expect("JSON");
        assert_eq!(done["blocks"], 1, "{done}");
    }

    #[test]
    fn with_v_each_message_is_a_line_and_without_it_a_handful() {
        let folder = folder();
        for (flag, at_least, at_most) in [("-v", 15, 1_000), ("--color=never", 3, 9)] {
            let mut lab = Running::start(folder.path(), &["lab", "--seeders", "1", "--json", flag]);
            let start = lab.object();
            let out = folder.path().join(format!("out{at_least}"));
            Run::new(["download", "-q", "-o"])
                .arg(&out)
                .arg("lab/sample.torrent")
                .dir(folder.path())
                .run()
                .succeeds();
            let seeder = start["peers"][0].as_str().expect("an address");
            let rest = lab.end();
            let seen: Vec<&String> = rest
                .iter()
                .filter(|line| line.contains(&format!("\"who\":\"{seeder}\"")))
                .collect();
            assert!((at_least..=at_most).contains(&seen.len()), "{flag}: {seen:#?}");
            let messages = |words: &str| {
                seen.iter().any(|line| line.contains(&format!("\"message\":\"{words}")))
            };
            assert_eq!(messages("request 0 0 16384"), flag == "-v", "{seen:#?}");
            assert_eq!(messages("piece 0 0, 16384 bytes"), flag == "-v", "{seen:#?}");
        }
    }
}

#[test]
fn combinations_that_make_no_sense_are_usage_errors() {
    let folder = folder();
    let table: [(&[&str], &str); 10] = [
        (
            &["--faults", "die,die,die,die"],
            "--faults names 4 faults, one for each seeder, but the lab has 3 seeders",
        ),
        (&["--faults", "lazy"], "possible values: none, corrupt, choke, slow, die, silent"),
        (&["--size", "0"], "a number of bytes above 0 was expected"),
        (&["--size", "1MB"], "a number of bytes above 0 was expected"),
        (&["--size", "+1"], "a number of bytes above 0 was expected"),
        (&["--size", "257MiB"], "256 MiB at most"),
        (&["--size", "99999999999999999999GiB"], "256 MiB at most"),
        (&["--files", "0"], "--files"),
        (&["--rate", "0"], "a number of bytes above 0 was expected"),
        (&["--seeders", "0"], "--seeders"),
    ];
    for (arguments, expected) in table {
        let mut run = Run::new(["lab"]).dir(folder.path());
        for argument in arguments {
            run = run.arg(argument);
        }
        let outcome = run.run();
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {outcome}");
        outcome.mentions(expected);
    }
    assert!(!folder.path().join("lab").exists(), "nothing was written");
}
