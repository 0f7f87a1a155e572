//! The commands with torrents and links of all three kinds.

use super::super::support::torrent::sha1;
use super::super::support::{Run, Serving, folder};
use super::made::{Made, fixture, formula, root, sha256};
use std::path::{Path, PathBuf};

/// Two files, one longer than a piece.
fn made() -> Made {
    Made::folder(32_768, &[("long.bin", 100_000), ("sub/short.txt", 1_000)])
}

fn write(folder: &Path, name: &str, file: &[u8]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, file).expect("the test's folder takes a file");
    path
}

/// The three kinds: a name, and the .torrent file.
fn kinds(made: &Made) -> [(&'static str, Vec<u8>); 2] {
    [("v2", made.file(&made.v2_info())), ("hybrid", made.file(&made.hybrid_info()))]
}

#[test]
fn info_prints_both_names_and_the_root_of_each_file() {
    let folder = folder();
    write(folder.path(), "v2.torrent", &fixture("d-v2"));
    write(folder.path(), "hybrid.torrent", &fixture("d-hybrid"));
    let contents = [(32_768, 0), (40_000, 1), (77, 3), (131_073, 4)];
    let roots: Vec<String> = contents
        .iter()
        .zip(["a.bin", "b.bin", "sub/c.txt", "sub/d.bin"])
        .map(|((length, file), path)| {
            format!("{} {path}\n", hex::encode(root(&formula(*length, *file))))
        })
        .collect();
    let out = Run::new(["info", "v2.torrent"]).dir(folder.path()).run().succeeds().out().to_owned();
    let head = "Length: 203918\nInfo Hash v2: 4087bd03169b1221ff65ed834d67c42c5deff9c752fc1535e84bbb8cf7b4f9b8\nPiece Length: 32768\nPiece Hashes:\n";
    let hashes = out.strip_prefix(head).unwrap_or_else(|| panic!("it begins otherwise: {out}"));
    let (hashes, after) = hashes.split_once("Roots:\n").expect("roots come last");
    assert_eq!(after, roots.concat());
    assert!(hashes.lines().all(|line| line.len() == 64) && hashes.lines().count() == 9, "{hashes}");
    let out =
        Run::new(["info", "hybrid.torrent"]).dir(folder.path()).run().succeeds().out().to_owned();
    let head = "Length: 294912\nInfo Hash: 28c3ca8f390358bace8dd6eb377ad28b226a9098\nInfo Hash v2: 68145a9ccba966ed904a16088e92213eac37031c88be0cc15edfbfdf488d797b\nPiece Length: 32768\nPiece Hashes:\n";
    let hashes = out.strip_prefix(head).unwrap_or_else(|| panic!("it begins otherwise: {out}"));
    let (hashes, after) = hashes.split_once("Roots:\n").expect("roots come last");
    assert_eq!(after, roots.concat());
    assert!(hashes.lines().all(|line| line.len() == 40) && hashes.lines().count() == 9, "{hashes}");
}

#[test]
fn info_as_json_has_the_long_name_and_roots() {
    let folder = folder();
    let mut made = made();
    made.files.push(("zero", Vec::new()));
    for (name, file) in kinds(&made) {
        let file = write(folder.path(), name, &file);
        let out = Run::new(["--json", "info"]).arg(&file).run().succeeds().out();
        let json: serde_json::Value = serde_json::from_str(&out).expect("it is JSON");
        let (v2, hybrid) = (made.v2_info(), made.hybrid_info());
        let sha1 = (name == "hybrid").then(|| hex::encode(sha1(&hybrid)));
        let long = if name == "hybrid" { sha256(&hybrid) } else { sha256(&v2) };
        assert_eq!(json["info_hash"].as_str(), sha1.as_deref(), "{name}");
        assert_eq!(json["info_hash_v2"], hex::encode(long), "{name}");
        let files = json["files"].as_array().expect("a list");
        let shown: Vec<_> = files
            .iter()
            .map(|file| {
                (file["path"].as_str(), file["length"].as_u64(), file["pieces_root"].as_str())
            })
            .collect();
        let roots = [0, 1].map(|file| hex::encode(root(&made.files[file].1)));
        assert_eq!(
            shown,
            [
                (Some("long.bin"), Some(100_000), Some(&*roots[0])),
                (Some("sub/short.txt"), Some(1_000), Some(&*roots[1])),
                (Some("zero"), Some(0), None),
            ],
            "{name}"
        );
    }
}

#[test]
fn verify_checks_trees() {
    let folder = folder();
    let made = made();
    made.write(&folder.path().join("content"));
    for (name, file) in kinds(&made) {
        write(folder.path(), name, &file);
        let verify = || Run::new(["verify", name, "content"]).dir(folder.path()).run();
        verify().prints("0  #####\n5 of 5 pieces are right.\n");
        let path = folder.path().join("content/sub/short.txt");
        std::fs::write(&path, [1; 1_000]).expect("the test's folder takes a file");
        let outcome = verify();
        outcome.mentions("4 of 5 pieces are right; the first that is not is piece 4");
        let fault = "sub/short.txt: 1 of its 1 pieces wrong, first in bytes 0 to 999";
        let expected = format!("0  ####.\n{fault}\n4 of 5 pieces are right.\n");
        assert_eq!((outcome.code, outcome.out()), (Some(6), expected), "{name}");
        std::fs::write(&path, &made.files[1].1).expect("the test's folder takes a file");
    }
}

#[test]
fn a_torrent_without_its_layers_says_what_is_missing() {
    let folder = folder();
    let made = made();
    made.write(&folder.path().join("content"));
    let bare = super::made::torrent_file(&made.v2_info(), &[]);
    write(folder.path(), "bare.torrent", &bare);
    let out =
        Run::new(["info", "bare.torrent"]).dir(folder.path()).run().succeeds().out().to_owned();
    assert_eq!(out.matches("(not in the torrent)\n").count(), 4, "of the longer file: {out}");
    let out =
        Run::new(["--json", "info", "bare.torrent"]).dir(folder.path()).run().succeeds().out();
    let json: serde_json::Value = serde_json::from_str(&out).expect("it is JSON");
    let hashes = json["piece_hashes"].as_array().expect("a list");
    assert_eq!(
        hashes.iter().map(serde_json::Value::is_null).collect::<Vec<_>>(),
        [true, true, true, true, false]
    );
    for command in [&["verify"][..], &["seed"], &["serve"]] {
        let run = Run::new(command).arg("bare.torrent").arg("content").dir(folder.path());
        let outcome = run.run();
        outcome.fails(&[3]).mentions("bare.torrent: has no \"piece layers\" for 1 file");
        outcome.mentions("only `piecemeal download` asks peers for them").explains_itself();
    }
    let outcome =
        Run::new(["-v", "handshake", "bare.torrent", "127.0.0.1:1"]).dir(folder.path()).run();
    outcome.fails(&[5]).mentions("in 5 pieces, some without their hashes");
    outcome.mentions("know it by the first 20 bytes of the SHA-256 of its info dictionary");
}

#[test]
fn broken_torrents_are_explained() {
    let folder = folder();
    let made = made();
    let mut layers = made.layers();
    layers[0].1[5] ^= 1;
    let wrong = super::made::torrent_file(&made.v2_info(), &layers);
    let mut other = made.row();
    other[32_768] ^= 1;
    let table = [
        (wrong, "piece layers: the piece hashes lead to", "download it again"),
        (
            made.file(&made.hybrid_with(made.list()[..1].to_vec(), &other[..100_000])),
            "describe different content",
            "get another torrent",
        ),
    ];
    for (file, words, help) in table {
        write(folder.path(), "broken.torrent", &file);
        let outcome = Run::new(["info", "broken.torrent"]).dir(folder.path()).run();
        outcome.fails(&[3]).mentions("broken.torrent: ").mentions(words).mentions(help);
        outcome.mentions("see: piecemeal chapter 23").explains_itself();
    }
    // Halves that differ in their bytes show only when they are hashed.
    made.write(&folder.path().join("content"));
    write(folder.path(), "odd.torrent", &made.file(&made.hybrid_with(made.list(), &other)));
    let outcome = Run::new(["verify", "odd.torrent", "content"]).dir(folder.path()).run();
    outcome
        .fails(&[3])
        .mentions("piece 1 fits one of its hashes and not the other")
        .explains_itself();
}

/// The download is there, byte for byte.
#[track_caller]
fn is_whole(made: &Made, root: &Path) {
    for (path, data) in &made.files {
        let there = std::fs::read(root.join(path)).expect("the download is there");
        assert!(there == *data, "{path} has other bytes");
    }
    let marker = root.with_extension("piecemeal");
    assert!(!marker.exists(), "it is complete, and marked as partial");
}

#[test]
fn all_kinds_are_seeded_and_downloaded_by_torrent_and_by_link() {
    let folder = folder();
    let made = made();
    made.write(&folder.path().join("content"));
    let (v2, hybrid) = (made.v2_info(), made.hybrid_info());
    let btih = format!("xt=urn:btih:{}", hex::encode(sha1(&hybrid)));
    let btmh = |info: &[u8]| format!("xt=urn:btmh:1220{}", hex::encode(sha256(info)));
    for (name, file) in kinds(&made) {
        let file = write(folder.path(), &format!("{name}.torrent"), &file);
        let run = Run::new(["seed"]).arg(&file).arg(folder.path().join("content"));
        let seed = Serving::start(run, &folder.path().join(format!("{name} said")));
        let to = |what: &str| folder.path().join(format!("{name} {what}"));
        let out = to("by torrent");
        Run::new(["download", "-o"]).arg(&out).arg(&file).peer(seed.address).run().succeeds();
        is_whole(&made, &out);
        // One piece of a file, through the commands of the course.
        let piece = to("piece");
        Run::new(["download_piece", "-o"])
            .arg(&piece)
            .peer(seed.address)
            .arg(&file)
            .arg("3")
            .run()
            .succeeds();
        let expected = if name == "hybrid" { 32_768 } else { 100_000 - 3 * 32_768 };
        assert_eq!(std::fs::read(&piece).expect("it is there").len(), expected);
        let links = match name {
            "hybrid" => vec![btih.clone(), btmh(&hybrid), format!("{btih}&{}", btmh(&hybrid))],
            _ => vec![btmh(&v2)],
        };
        for (number, topics) in links.iter().enumerate() {
            let link = format!("magnet:?{topics}");
            let outcome = Run::new(["magnet_info"]).arg(&link).peer(seed.address).run();
            outcome.succeeds();
            let long = if name == "hybrid" { sha256(&hybrid) } else { sha256(&v2) };
            let words = format!("Info Hash v2: {}\n", hex::encode(long));
            assert!(outcome.out().contains(&words), "{outcome:#}");
            // A hybrid can be checked without its layers.
            if name == "hybrid" {
                let out = to(&format!("by link {number}"));
                let run = Run::new(["-v", "--json", "magnet_download", "-o"]).arg(&out).arg(&link);
                let outcome = run.peer(seed.address).run();
                let done = outcome.succeeds().out();
                outcome.mentions("its hash is that in the link: it is genuine");
                outcome.mentions("its SHA-1 hashes are enough to begin");
                // The same name, whatever the link had: others may have had another link.
                let common = format!("\"info_hash\":\"{}\"", hex::encode(sha1(&hybrid)));
                assert!(done.contains(&common), "{link}: {done}");
                is_whole(&made, &out);
            }
        }
        seed.interrupt().done();
    }
}

#[test]
fn links_that_are_wrong_say_how_to_mend_them() {
    let hash = "ca".repeat(32);
    let parse = |topic: &str| Run::new(["magnet_parse", &format!("magnet:?xt={topic}")]).run();
    let outcome = parse(&format!("urn:btih:{hash}"));
    outcome
        .fails(&[3])
        .mentions("urn:btmh:1220 and 64 hex digits for version 2, or urn:btih: and 40");
    let outcome = parse(&format!("urn:btmh:{hash}"));
    outcome.fails(&[3]).mentions("1220 and 64 hex digits after urn:btmh:");
    for short in [
        "",
        "1220",
        &format!("1220{}", &hash[2..]),
        &format!("1220{hash}00"),
        &format!("1114{}", &hash[24..]),
    ] {
        parse(&format!("urn:btmh:{short}")).fails(&[3]).mentions("1220 and 64 hex digits");
    }
    parse(&format!("urn:btmh:1220{hash}")).prints(&format!("Info Hash v2: {hash}\n"));
}

#[test]
fn a_link_whose_two_hashes_are_of_two_torrents_finds_neither() {
    let folder = folder();
    let made = made();
    made.write(&folder.path().join("content"));
    let hybrid = made.hybrid_info();
    let file = write(folder.path(), "hybrid.torrent", &made.file(&hybrid));
    let run = Run::new(["seed"]).arg(&file).arg(folder.path().join("content"));
    let seed = Serving::start(run, &folder.path().join("said"));
    let other = hex::encode(sha256(&made.v2_info()));
    let link =
        format!("magnet:?xt=urn:btih:{}&xt=urn:btmh:1220{other}", hex::encode(sha1(&hybrid)));
    let outcome = Run::new(["magnet_info"]).arg(&link).peer(seed.address).run();
    outcome.fails(&[3]).mentions("the link's two hashes name two torrents").explains_itself();
    // This one says that it knows both names, and the peer answers with its own second one.
    let run = Run::new(["magnet_download", "-o"]).arg(folder.path().join("out"));
    let outcome = run.arg(&link).peer(seed.address).run();
    outcome.fails(&[3]).mentions("the link's two hashes name two torrents").explains_itself();
    outcome.mentions("try the link with one of its hashes, or get another link");
    seed.interrupt().done();
}
