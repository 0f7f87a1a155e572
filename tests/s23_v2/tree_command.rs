//! `tree`: a file's hashes as text, as JSON, and as a drawing.

use super::super::support::{Outcome, Run, folder};
use super::made::{formula, sha256};
use serde_json::Value;
use std::path::Path;

fn tree(folder: &Path, words: &[&str]) -> Outcome {
    Run::new(["tree"].iter().chain(words)).dir(folder).run()
}

/// A folder with a file of five blocks, and one of 601.
fn files() -> tempfile::TempDir {
    let folder = folder();
    for (name, length) in [("five.bin", 73_728), ("l600.bin", 9_830_405)] {
        std::fs::write(folder.path().join(name), formula(length, 0)).expect("the folder takes it");
    }
    folder
}

// The hashes in both were computed with Python's hashlib; the root of l600.bin is libtorrent's.
const FIVE: &str = "\
File: five.bin
Length: 73728
Blocks: 5 of 16384, the last of 8192
Leaves: 8, of which 3 have no block
Pieces: 3 of 32768
Root: 99a0e569e70fa004a51e0623f8cafb8b6a2cf5a7d55e2acac3340cf6f3b94e13

99a0e569e70fa004  root
├─ bf5e6794f674e74d
│  ├─ 6aeeb2f304b96333  piece 0
│  │  ├─ 15345b8bcf83c9ac  block 0
│  │  └─ a7abdc66dcfba95b  block 1
│  └─ 12d931981ff25625  piece 1
│     ├─ c169a3314da4ee37  block 2
│     └─ 0cabcacc55e04b17  block 3
└─ 2016c413540b4dfd
   ├─ dd02b55bd7b3da01  piece 2
   │  ├─ 0965edccb3a4a201  block 4, of 8192 bytes
   │  └─ 0000000000000000  no block
   └─ f5a5fd42d16a2030  no blocks: 2 zeros
      ├─ 0000000000000000  no block
      └─ 0000000000000000  no block
";

const WAY: &str = "\
Shown: the way to block 600, and the hash beside each step

8ae9898d55f8edbc  root
├─ d6ce4de049277196  pieces 0 to 511
└─ e61e330a5eb49bfe
   ├─ 024797a27aaf32ac
   │  ├─ acd6a6ff78dea1aa
   │  │  ├─ 5f88195f36caac56  pieces 512 to 575
   │  │  └─ 3cfbd9994e014377
   │  │     ├─ 5b4d1c02c7361f4e
   │  │     │  ├─ edecb9a70dc7094b  pieces 576 to 591
   │  │     │  └─ 8e1fcd08a5e621c0
   │  │     │     ├─ efe0308f5a5767e3  pieces 592 to 599
   │  │     │     └─ 2c21ab0edddbd2d2
   │  │     │        ├─ ea423e0973a3f0ee
   │  │     │        │  ├─ ebfb44f2787d7c15
   │  │     │        │  │  ├─ a2709166549c9bdf  piece 600, block 600, of 5 bytes
   │  │     │        │  │  └─ 0000000000000000  no block
   │  │     │        │  └─ f5a5fd42d16a2030  no blocks: 2 zeros
   │  │     │        └─ db56114e00fdd4c1  no blocks: 4 zeros
   │  │     └─ 9efde052aa15429f  no blocks: 32 zeros
   │  └─ 87eb0ddba57e35f6  no blocks: 128 zeros
   └─ 26846476fd5fc54a  no blocks: 256 zeros
";

#[test]
fn a_small_tree_is_drawn_whole() {
    let folder = files();
    tree(folder.path(), &["--piece-length", "32KiB", "five.bin"]).prints(FIVE);
}

#[test]
fn of_a_large_tree_the_way_to_the_last_block_is_drawn() {
    let folder = files();
    let outcome = tree(folder.path(), &["--piece-length", "16KiB", "l600.bin"]);
    outcome.succeeds();
    let (facts, way) = outcome.out().split_once("Shown").map_or_else(
        || panic!("{outcome}"),
        |(facts, way)| (facts.to_owned(), format!("Shown{way}")),
    );
    assert_eq!(way, WAY);
    assert_eq!(
        facts,
        "File: l600.bin\nLength: 9830405\nBlocks: 601 of 16384, the last of 5\n\
        Leaves: 1024, of which 423 have no block\nPieces: 601 of 16384\n\
        Root: 8ae9898d55f8edbceff8ea188df615da09377b3137aebee50981647416344e45\n"
    );
}

#[test]
fn longer_pieces_change_no_hash_and_are_named_where_they_are() {
    let folder = files();
    let lines = |words: &[&str]| {
        let outcome = tree(folder.path(), words);
        outcome.succeeds();
        outcome.out().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let found = lines(&["--piece-length", "256KiB", "--block", "592", "l600.bin"]);
    for line in [
        "Pieces: 38 of 262144",
        "├─ d6ce4de049277196  pieces 0 to 31",
        "   │  │     │  ├─ edecb9a70dc7094b  piece 36",
        "   │  │     │  └─ 8e1fcd08a5e621c0  piece 37",
        "   │  │     │     ├─ efe0308f5a5767e3",
        "   │  │     │     └─ 2c21ab0edddbd2d2  block 600, and leaves without a block",
    ] {
        assert!(found.iter().any(|found| found == line), "{line}\nin\n{}", found.join("\n"));
    }
    // A file shorter than a piece is one piece, and its root is that piece's hash.
    let found = lines(&["--piece-length", "1MiB", "five.bin"]);
    assert!(found.iter().any(|line| line == "99a0e569e70fa004  root, piece 0"), "{found:?}");
    assert!(found.iter().any(|line| line == "Pieces: 1 of 1048576"), "{found:?}");
}

#[test]
fn the_whole_tree_and_whole_hashes_are_there_for_the_asking() {
    let folder = files();
    let outcome = tree(folder.path(), &["--all", "--piece-length", "16KiB", "l600.bin"]);
    outcome.succeeds();
    let lines = outcome
        .out()
        .lines()
        .filter(|line| line.contains(", block ") || line.contains("block 0"))
        .count();
    assert_eq!(lines, 601);
    // Padding of a large tree is told once for each subtree, not 423 times.
    let padding = |line: &&str| line.contains("─ ") && line.contains("no block");
    assert_eq!(outcome.out().lines().filter(padding).count(), 6);
    let outcome = tree(folder.path(), &["--whole", "--piece-length", "32KiB", "five.bin"]);
    let block = hex::encode(sha256(&formula(73_728, 0)[65_536..]));
    assert!(outcome.out().contains(&format!("   │  ├─ {block}  block 4")), "{outcome}");
}

#[test]
fn the_hashes_beside_the_way_lead_from_the_block_to_the_root() {
    let folder = files();
    for block in [0_usize, 1, 511, 512, 600] {
        let outcome = tree(folder.path(), &["--json", "--block", &block.to_string(), "l600.bin"]);
        outcome.succeeds();
        let found: Value = serde_json::from_str(&outcome.out()).expect("it is JSON");
        let hash = |height: usize, index: usize| -> Vec<u8> {
            let hashes = found["hashes"].as_array().expect("there are hashes");
            let is_it = |it: &&Value| it["height"] == height && it["index"] == index;
            let it =
                hashes.iter().find(is_it).unwrap_or_else(|| panic!("{height} {index}: {outcome}"));
            hex::decode(it["hash"].as_str().unwrap_or_default()).expect("it is hex")
        };
        let content = formula(9_830_405, 0);
        let mut known =
            sha256(content.chunks(16_384).nth(block).expect("there is such a block")).to_vec();
        for height in 0..10 {
            let index = block >> height;
            let beside = hash(height, index ^ 1);
            let pair = if index % 2 == 0 { [known, beside] } else { [beside, known] };
            known = sha256(&pair.concat()).to_vec();
        }
        assert_eq!(
            hex::encode(&known),
            "8ae9898d55f8edbceff8ea188df615da09377b3137aebee50981647416344e45"
        );
        assert_eq!(found["root"], hex::encode(known));
        assert_eq!(found["hashes"].as_array().map(Vec::len), Some(21));
    }
}

#[test]
fn a_file_of_one_block_is_its_own_root() {
    let folder = folder();
    std::fs::write(folder.path().join("one"), b"abc").expect("the folder takes it");
    // FIPS 180-2: the SHA-256 of "abc".
    let root = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    tree(folder.path(), &["--whole", "one"]).prints(&format!(
        "File: one\nLength: 3\nBlocks: 1 of 16384, the last of 3\nLeaves: 1, of which 0 have no block\n\
        Pieces: 1 of 16384\nRoot: {root}\n\n{root}  root, piece 0, block 0, of 3 bytes\n"
    ));
}

#[test]
fn what_cannot_be_drawn_is_explained() {
    let folder = files();
    std::fs::write(folder.path().join("empty"), b"").expect("the folder takes it");
    std::fs::create_dir(folder.path().join("inner")).expect("the folder takes it");
    for (words, code, said) in [
        (&["inner"][..], 7, "inner"),
        (&["empty"], 7, "an empty file has no block, and so no root"),
        (&["missing"], 7, "missing"),
        (&["--block", "5", "five.bin"], 2, "there is no block 5: the file has 5"),
        (&["--piece-length", "48KiB", "five.bin"], 2, "a power of two from 16384"),
        (&["--piece-length", "8KiB", "five.bin"], 2, "a power of two from 16384"),
        (&["--all", "--block", "1", "five.bin"], 2, "cannot be used with"),
        (&["--svg", "picture.png", "five.bin"], 2, "a name that ends in .svg"),
        (&["--all", "--svg", "all.svg", "l600.bin"], 2, "leave out --all"),
    ] {
        let outcome = tree(folder.path(), words);
        assert!(outcome.code == Some(code) && outcome.err().contains(said), "{outcome}");
    }
    assert!(!folder.path().join("all.svg").exists());
}

/// The numbers of an attribute of all elements that begin like this.
fn numbers(svg: &str, element: &str, attribute: &str) -> Vec<f64> {
    let value = |part: &str| {
        let tag = format!(" {}", part.split('>').next()?);
        tag.split_once(&format!(" {attribute}=\""))?.1.split('"').next()?.parse().ok()
    };
    svg.split(&format!("<{element} ")).skip(1).filter_map(value).collect()
}

#[test]
fn a_drawing_has_each_hash_once_and_no_two_boxes_meet() {
    let folder = files();
    for (file, boxes) in [("five.bin", 15), ("l600.bin", 21)] {
        let words = ["--piece-length", "32KiB", "--svg", "tree.svg", file];
        tree(folder.path(), &words).succeeds();
        let svg = std::fs::read_to_string(folder.path().join("tree.svg")).expect("it was drawn");
        assert!(
            svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\"")
                && svg.ends_with("</svg>\n")
        );
        assert!(svg.contains(&format!("<title id=\"title\">The tree of {file}</title>")), "{svg}");
        // It is readable on a light and on a dark page, and runs nothing.
        assert!(svg.contains("prefers-color-scheme: dark") && !svg.contains("<script"), "{svg}");
        let of_hashes: String =
            svg.lines().filter(|line| line.contains("class=\"hash\"")).collect();
        let (x, y) = (numbers(&of_hashes, "rect", "x"), numbers(&of_hashes, "rect", "y"));
        assert_eq!((x.len(), y.len()), (boxes, boxes), "{svg}");
        let width = numbers(&svg, "svg", "width")[0];
        assert!(x.iter().all(|x| *x >= 0.0 && x + 70.0 <= width), "{x:?} of {width}");
        for (one, other) in (0..boxes).flat_map(|one| (0..one).map(move |other| (one, other))) {
            let apart = (x[one] - x[other]).abs() >= 70.0 || (y[one] - y[other]).abs() >= 22.0;
            assert!(apart, "{file}: boxes {one} and {other}: {x:?}, {y:?}");
        }
    }
    let root = "8ae9898d55f8edbceff8ea188df615da09377b3137aebee50981647416344e45";
    let svg = std::fs::read_to_string(folder.path().join("tree.svg")).expect("it was drawn");
    assert!(svg.contains(&format!("<title>{root}</title>")), "{svg}");
}
