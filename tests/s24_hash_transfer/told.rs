//! What the commands say about hashes that a torrent lacks.

use super::super::support::{Run, Serving, bencode, folder};
use super::torrents::V2;
use super::tree::{self, Plain};

/// A .torrent file with this info dictionary and, if there is one, a piece layer.
fn file(info: &[u8], layer: Option<(Plain, &[Plain])>) -> Vec<u8> {
    let mut bytes = [b"d4:info", info].concat();
    if let Some((root, hashes)) = layer {
        bytes.extend(b"12:piece layersd32:");
        bytes.extend(root);
        bytes.extend(format!("{}:", hashes.len() * 32).bytes());
        bytes.extend(hashes.concat());
        bytes.push(b'e');
    }
    bytes.push(b'e');
    bytes
}

#[test]
fn a_download_tells_whose_piece_hashes_have_come_from_peers() {
    let (folder, v2) = (folder(), V2::new(16_384, 40 * 16_384));
    let at = |name: &str| folder.path().join(name);
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(at(name), bytes).expect("the folder takes it");
    };
    write("content", &v2.torrent.content);
    write("whole.torrent", &file(&v2.torrent.info, Some((v2.root(), &v2.tree[0][..40]))));
    write("bare.torrent", &file(&v2.torrent.info, None));
    let run = Run::new(["seed"]).arg(at("whole.torrent")).arg(at("content"));
    let seed = Serving::start(run, &at("said"));
    let link = format!("magnet:?xt=urn:btmh:1220{}", hex::encode(v2.sha256));
    let commands = [("download", at("bare.torrent")), ("magnet_download", link.into())];
    for (command, what) in commands {
        let run = Run::new(["-v", command, "-o"]).arg(at(command)).arg(what).peer(seed.address);
        let outcome = run.run();
        outcome.succeeds();
        outcome.mentions("peers gave the piece hashes of 1 file, proved by their roots");
    }
    let run = Run::new(["-v", "download", "-o"]).arg(at("again")).arg(at("whole.torrent"));
    let outcome = run.peer(seed.address).run();
    outcome.succeeds().mentions("in 40 pieces, each with its hash");
    assert!(!outcome.err().contains("peers gave"), "there was nothing to give: {outcome:#}");
    seed.interrupt().done();
}

#[test]
fn a_file_without_hashes_is_told_from_one_that_is_not_there() {
    let (folder, leaf) = (folder(), tree::sha256(b"content"));
    let length = |bytes: i64| ("length", bencode::int(bytes));
    let full = bencode::dict(&[length(7), ("pieces root", bencode::bytes(leaf))]);
    let of = |file: Vec<u8>| bencode::dict(&[("", file)]);
    let files = bencode::dict(&[("full", of(full)), ("void", of(bencode::dict(&[length(0)])))]);
    let info = bencode::dict(&[
        ("file tree", files),
        ("meta version", bencode::int(2)),
        ("name", bencode::bytes("t")),
        ("piece length", bencode::int(16_384)),
    ]);
    std::fs::write(folder.path().join("t.torrent"), file(&info, None)).expect("it takes it");
    for (name, words, help) in [
        ("void", "t.torrent: the file \"void\" is empty, and so has no hashes", "is not empty"),
        ("other", "t.torrent: there is no file \"other\" in it", "`piecemeal info` lists"),
    ] {
        let run = Run::new(["hashes", "--file", name, "t.torrent", "127.0.0.1:1"]);
        let outcome = run.dir(folder.path()).run();
        outcome.fails(&[2]).mentions(words).mentions(help).explains_itself();
    }
}
