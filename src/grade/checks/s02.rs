//! Stage 2: `info TORRENT` prints what a .torrent file says, and its info hash.

mod made;

use crate::actors::bencode::{bytes, int, list};
use crate::grade::check::{Check, Finding};
use crate::grade::miss::worst;
use crate::grade::scene::Scene;
use made::Made;

const METAINFO: &str = "BEP 3, metainfo files";
const CONTRACT: &str = "your-own-client";

/// The checks of stage 2.
pub const CHECKS: &[Check] = &[
    Check::new("2.1", "tracker, length, info hash, piece length, hashes", METAINFO, plain)
        .points(2)
        .twin("parse torrent file; calculate info hash; piece hashes"),
    Check::new("2.2", "the info hash covers keys that you do not know", METAINFO, unknown_keys)
        .points(2),
    Check::new("2.3", "info's keys unsorted: the bytes are hashed as they are", METAINFO, unsorted),
    Check::new("2.4", "a comment that contains 4:info", METAINFO, comment),
    Check::new("2.5", "the length is an exact multiple of the piece length", METAINFO, multiple),
    Check::new("2.6", "several files: the length is their sum", METAINFO, several),
    Check::new("2.7", "all trackers of announce-list, in its order", "BEP 12", announce_list),
    Check::new("2.8", "2,000 pieces", METAINFO, many_pieces),
    Check::new("2.9", "a web page is refused", METAINFO, web_page).refusal("2.1"),
    Check::new("2.10", "a torrent that was cut is refused", METAINFO, cut).refusal("2.1"),
    Check::new("2.11", "a path with .. in it is refused", METAINFO, step_up).refusal("2.6"),
    Check::new("2.12", "a piece length of 0 is refused", METAINFO, no_piece_length).refusal("2.1"),
    Check::new("2.13", "too few or too many piece hashes are refused", METAINFO, odd_hashes)
        .refusal("2.1"),
    Check::new("2.14", "keys before and behind the info dictionary", METAINFO, keys_around),
    Check::new("2.15", "a file that is not there is an error in words", CONTRACT, no_file)
        .refusal("2.1"),
    Check::new("2.16", "a negative length is refused", METAINFO, negative).refusal("2.1"),
    Check::new("2.17", "a name that is .. is refused", METAINFO, name_up).refusal("2.1"),
    Check::new("2.18", "a file of more than 4 GiB", METAINFO, large),
    Check::new(
        "2.19",
        "a torrent without a tracker",
        "BEP 5, torrent file extensions",
        trackerless,
    ),
    Check::new("2.20", "a torrent without piece hashes is refused", METAINFO, no_hashes)
        .refusal("2.1"),
];

/// The usual number of pieces.
const PIECES: u64 = 5;

fn plain(scene: &mut Scene) -> Finding {
    Made::of_pieces(scene, PIECES).is_told(scene)
}

fn unknown_keys(scene: &mut Scene) -> Finding {
    let mut made = Made::of_pieces(scene, PIECES);
    let mut source = scene.dice.bytes(9);
    source[0] = 0xff; // which no text has
    made.set("source", bytes(source));
    made.set("x-unknown", list(&[int(scene.dice.number(1, 99) as i64), bytes(scene.dice.word(5))]));
    made.is_told(scene)
}

fn unsorted(scene: &mut Scene) -> Finding {
    let mut made = Made::of_pieces(scene, PIECES);
    made.info.reverse();
    made.is_told(scene)
}

fn comment(scene: &mut Scene) -> Finding {
    let mut made = Made::of_pieces(scene, PIECES);
    let (word, number) = (scene.dice.word(5), scene.dice.number(1, 99));
    made.before.push(("comment", bytes(format!("{word} 4:infod5:{word}i{number}ee"))));
    made.is_told(scene)
}

fn multiple(scene: &mut Scene) -> Finding {
    let pieces = scene.dice.number(2, 6);
    let mut made = Made::of_pieces(scene, pieces);
    made.length = pieces * made.piece_length;
    made.set("length", int(made.length as i64));
    made.is_told(scene)
}

fn several(scene: &mut Scene) -> Finding {
    let folder = scene.dice.word(5);
    several_in(scene, &folder).is_told(scene)
}

/// Returns a torrent of three files, of which the second is in this folder.
fn several_in(scene: &mut Scene, folder: &str) -> Made {
    let mut made = Made::of_pieces(scene, PIECES);
    let first = scene.dice.number(1, made.length / 2);
    let second = scene.dice.number(1, made.length / 3);
    made.files = vec![first, second, made.length - first - second];
    let names: Vec<String> = (0..3).map(|_| scene.dice.word(6)).collect();
    let paths = [vec![&*names[0]], vec![folder, &*names[1]], vec![&*names[2]]];
    let files = made.files.iter().zip(paths).map(|(length, path)| made::file(*length, &path));
    let files: Vec<Vec<u8>> = files.collect();
    made.unset("length");
    made.set("files", list(&files));
    made
}

fn announce_list(scene: &mut Scene) -> Finding {
    let mut made = Made::of_pieces(scene, PIECES);
    let urls: Vec<String> = (0..2).map(|_| made::url(scene)).collect();
    made.trackers.extend(urls);
    let of = |url: &String| bytes(url);
    let tiers = [
        list(&made.trackers[..2].iter().map(of).collect::<Vec<_>>()),
        list(&made.trackers[2..].iter().map(of).collect::<Vec<_>>()),
    ];
    made.before.push(("announce-list", list(&tiers)));
    made.is_told(scene)
}

fn many_pieces(scene: &mut Scene) -> Finding {
    let pieces = scene.dice.number(2_000, 2_050);
    Made::of_pieces(scene, pieces).is_told(scene)
}

fn large(scene: &mut Scene) -> Finding {
    let pieces = scene.dice.number(300, 400);
    let mut made = Made::of_pieces(scene, pieces);
    made.piece_length = 1 << 24;
    made.length = pieces * made.piece_length - scene.dice.number(1, 1 << 23);
    made.set("length", int(made.length as i64));
    made.set("piece length", int(made.piece_length as i64));
    made.is_told(scene).map_err(|miss| miss.likely("lengths need 64 bits"))
}

fn trackerless(scene: &mut Scene) -> Finding {
    let mut made = Made::of_pieces(scene, PIECES);
    made.trackers.clear();
    made.is_told(scene).map_err(|miss| {
        miss.likely("announce may be missing: then there is no line for a tracker, and no error")
    })
}

fn keys_around(scene: &mut Scene) -> Finding {
    let mut made = Made::of_pieces(scene, PIECES);
    made.before.push(("creation date", int(scene.dice.number(1, 2_000_000_000) as i64)));
    made.behind.push(("nodes", list(&[])));
    made.behind.push(("x-unknown", bytes(scene.dice.bytes(30))));
    made.is_told(scene)
}

fn web_page(scene: &mut Scene) -> Finding {
    let word = scene.dice.word(8);
    let page = format!("<!DOCTYPE html><html><title>404 {word}</title></html>\n");
    let cause = "a torrent is a dictionary: its first byte is a d";
    worst([page.as_bytes(), b""].into_iter().map(|file| made::refused(scene, file, cause)))
}

fn cut(scene: &mut Scene) -> Finding {
    let file = Made::of_pieces(scene, PIECES).file();
    let within = file.len() - scene.dice.length(10, 90);
    let cause = "the file ends before the value that it began: check each length against what is \
                 left";
    let ends = [within, file.len() - 1].into_iter();
    worst(ends.map(|end| made::refused(scene, &file[..end], cause)))
}

fn step_up(scene: &mut Scene) -> Finding {
    let file = several_in(scene, "..").file();
    made::refused(
        scene,
        &file,
        "this path leads out of the folder for downloads: refuse it at once",
    )
}

fn name_up(scene: &mut Scene) -> Finding {
    let mut made = Made::of_pieces(scene, PIECES);
    made.set("name", bytes(".."));
    let cause = "this name leads out of the folder for downloads: refuse it at once";
    made::refused(scene, &made.file(), cause)
}

fn no_piece_length(scene: &mut Scene) -> Finding {
    let mut made = Made::of_pieces(scene, PIECES);
    made.set("piece length", int(0));
    let cause = "the length is divided by it: check that it is 1 or more";
    made::refused(scene, &made.file(), cause)
}

fn odd_hashes(scene: &mut Scene) -> Finding {
    let made = Made::of_pieces(scene, PIECES);
    let (few, odd) = (made.hashes.len() - 20, made.hashes.len() - 1);
    let many = [&made.hashes[..], &scene.dice.twenty()].concat();
    let cause = "the length, divided by the piece length and rounded up, is the number of hashes, \
                 of 20 bytes each";
    let all = [&made.hashes[..few], &many, &made.hashes[..odd]].into_iter();
    worst(all.map(|hashes| {
        let mut wrong = made.clone();
        wrong.set("pieces", bytes(hashes));
        made::refused(scene, &wrong.file(), cause)
    }))
}

fn no_hashes(scene: &mut Scene) -> Finding {
    let mut made = Made::of_pieces(scene, PIECES);
    made.unset("pieces");
    made::refused(
        scene,
        &made.file(),
        "`pieces` must be there: nothing could be checked without it",
    )
}

fn negative(scene: &mut Scene) -> Finding {
    let mut made = Made::of_pieces(scene, PIECES);
    made.set("length", int(-(made.length as i64)));
    made::refused(scene, &made.file(), "check the sign of each length")
}

fn no_file(scene: &mut Scene) -> Finding {
    let name = format!("{}.torrent", scene.dice.word(8));
    let path = scene.path(name).to_string_lossy().into_owned();
    scene.run(&["info".to_owned(), path])?.refuses_silently()
}
