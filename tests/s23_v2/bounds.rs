//! What strangers may cost: memory and time grow with what they send, and with nothing else.

use super::super::support::bencode::{bytes, dict, int};
use super::made::{BLOCK, Made, entry, root, torrent_file};
use allocation_counter::measure;
use piecemeal::s23_v2::{from_bytes, info_from_bytes, trees};
use std::time::{Duration, Instant};

fn with_tree(tree: Vec<u8>, piece_length: i64) -> Vec<u8> {
    dict(&[
        ("file tree", tree),
        ("meta version", int(2)),
        ("name", bytes("n")),
        ("piece length", int(piece_length)),
    ])
}

#[test]
fn a_claimed_size_takes_no_memory() {
    // 32 GiB in the largest number of pieces: their hashes would be 64 MiB.
    let huge = with_tree(dict(&[("a", entry(1 << 35, Some(&[7; 32])))]), 16_384);
    let cost = measure(|| drop(info_from_bytes(&huge).expect("it is right")));
    assert!(cost.bytes_max < 16 << 10, "{cost:?}");
    // A layer of the wrong size is refused before it is copied.
    let file = torrent_file(&huge, &[([7; 32], vec![1; 8 << 20])]);
    let cost = measure(|| drop(from_bytes(&file).expect_err("it is short")));
    assert!(cost.bytes_max < 16 << 10, "{cost:?}");
}

#[test]
fn a_layer_is_kept_once_however_many_files_have_its_root() {
    let mut made = Made::folder(BLOCK, &[("a", 256 * BLOCK)]);
    let data = made.files[0].1.clone();
    let names: Vec<String> = (0..500).map(|number| format!("f{number:03}")).collect();
    let entry = entry(data.len() as u64, Some(&root(&data)));
    let pairs: Vec<(&str, Vec<u8>)> = names.iter().map(|name| (&**name, entry.clone())).collect();
    let file = torrent_file(&with_tree(dict(&pairs), BLOCK as i64), &made.layers());
    made.files.clear();
    let mut read = None;
    let cost = measure(|| read = Some(from_bytes(&file).expect("it is right")));
    assert!(read.is_some_and(|read| read.info.is_whole()));
    // 500 copies would be four megabytes. What is left is a few hundred bytes for each name.
    assert!(cost.bytes_max < 1 << 20, "{} bytes take {cost:?}", file.len());
}

#[test]
fn a_file_of_no_bytes_costs_a_few_hundred() {
    let count = 40_000;
    let names: Vec<String> = (0..count).map(|number| format!("{number:05}")).collect();
    let empty = entry(0, None);
    let pairs: Vec<(&str, Vec<u8>)> = names.iter().map(|name| (&**name, empty.clone())).collect();
    let file = torrent_file(&with_tree(dict(&pairs), 16_384), &[]);
    let cost =
        measure(|| assert_eq!(from_bytes(&file).expect("it is right").info.files.len(), count));
    let each = cost.bytes_max / count as u64;
    // The values that it was decoded from, its path, twice, and its place in two tables. Its 24
    // bytes in the torrent were once worth a thousand.
    assert!(each < 700, "{each} bytes a file: {cost:?}");
}

#[test]
fn many_files_take_time_in_proportion() {
    // In one folder, and all with the same root: the worst for a search by name or by root.
    let file = |count: usize| {
        let names: Vec<String> = (0..count).map(|number| format!("{number:07}")).collect();
        let entry = entry(1, Some(&[7; 32]));
        let pairs: Vec<(&str, Vec<u8>)> =
            names.iter().map(|name| (&**name, entry.clone())).collect();
        torrent_file(&with_tree(dict(&pairs), 16_384), &[])
    };
    let time = |file: &[u8]| -> Duration {
        let once = || {
            let start = Instant::now();
            let info = from_bytes(file).expect("it is right").info;
            // The size of a piece is a search among the files.
            let bytes: u64 = info.pieces().map(|piece| u64::from(info.piece_size(piece))).sum();
            assert_eq!((bytes, info.length), (u64::from(info.piece_count()), bytes));
            let trees = trees(&info).expect("it has trees");
            assert!((0..info.piece_count()).all(|piece| trees.file_of(piece).is_some()));
            start.elapsed()
        };
        (0..3).map(|_| once()).min().unwrap_or_default()
    };
    let (few, many) = (time(&file(2_000)), time(&file(40_000)));
    // Twenty times as many; four hundred times the time would be quadratic.
    assert!(many < few * 150, "{few:?}, {many:?}");
}

#[test]
fn a_piece_in_progress_keeps_a_few_hashes_however_long_it_is() {
    let made = Made::single(1 << 26, "a", (1 << 26) + 1);
    let info = from_bytes(&made.file(&made.v2_info())).expect("it is right").info;
    let piece = info.piece(0).expect("there are two");
    let data = &made.files[0].1[..1 << 26];
    let cost = measure(|| {
        let mut hasher = info.check.begin(piece);
        data.chunks(BLOCK).for_each(|block| hasher.update(block));
        assert_eq!(hasher.finish(), info.piece_hash(piece));
    });
    // 4,096 leaves would be 128 KiB.
    assert!(cost.bytes_max < 4 << 10, "{cost:?}");
}
