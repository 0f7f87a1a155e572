//! `verify`: what is on disk, held against the torrent.

use crate::support::{Recipe, Run, Torrent, content, folder};

#[test]
fn verify_says_how_many_pieces_are_right() {
    let folder = folder();
    let torrent = Torrent::sample();
    torrent.write(folder.path(), None);
    std::fs::write(folder.path().join("sample.bin"), &torrent.content).expect("a temporary folder takes a file");
    let outcome = Run::new(["verify", "test.torrent", "sample.bin"]).dir(folder.path()).run();
    outcome.succeeds();
    assert!(outcome.out().contains("5 of 5"), "{outcome}");
}

#[test]
fn verify_of_wrong_content_is_a_hash_error_that_names_the_piece() {
    let folder = folder();
    let torrent = Torrent::sample();
    torrent.write(folder.path(), None);
    let path = folder.path().join("sample.bin");
    let mut spoiled = torrent.content.clone();
    spoiled[3 * 32_768] ^= 1;
    std::fs::write(&path, &spoiled).expect("a temporary folder takes a file");
    Run::new(["verify", "test.torrent", "sample.bin"]).dir(folder.path()).run().fails(&[6]).mentions("piece 3");
    std::fs::write(&path, &torrent.content[..40_000]).expect("a temporary folder takes a file");
    Run::new(["verify", "test.torrent", "sample.bin"]).dir(folder.path()).run().fails(&[6]).mentions("piece 1");
    assert!(std::fs::read(&path).expect("the file is there") == torrent.content[..40_000], "verify only reads");
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder can be read").count(), 2, "verify makes no file");
}

#[test]
fn verify_of_nothing_is_a_local_error() {
    let folder = folder();
    Torrent::sample().write(folder.path(), None);
    Run::new(["verify", "test.torrent", "missing"]).dir(folder.path()).run().fails(&[7]).mentions("missing");
}

#[test]
fn verify_reads_several_files_as_one_and_padding_as_zeros() {
    let folder = folder();
    let torrent = Recipe::single("padded", 32_768, Vec::new())
        .file(&[b"a", b"one"], content(20_000, 1), "")
        .file(&[b".pad", b"12768"], vec![0; 12_768], "p")
        .file(&[b"two"], content(50_000, 2), "")
        .build();
    torrent.write(folder.path(), None);
    std::fs::create_dir_all(folder.path().join("out/a")).expect("a temporary folder takes a folder");
    std::fs::write(folder.path().join("out/a/one"), content(20_000, 1)).expect("a temporary folder takes a file");
    std::fs::write(folder.path().join("out/two"), content(50_000, 2)).expect("a temporary folder takes a file");
    Run::new(["verify", "test.torrent", "out"]).dir(folder.path()).run().succeeds();
    // A file that is missing makes its pieces wrong and no others.
    std::fs::remove_file(folder.path().join("out/a/one")).expect("the file is ours");
    Run::new(["verify", "test.torrent", "out"]).dir(folder.path()).run().fails(&[6]).mentions("2 of 3");
}
