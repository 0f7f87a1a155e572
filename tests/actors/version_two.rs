//! The actors' own trees and torrents of version 2, held against hashes of libtorrent.

use piecemeal::actors::torrent::Torrent;
use piecemeal::actors::tree::{Asked, Tree};
use piecemeal::actors::version_two::Draft;

/// The bytes of file `number` in the torrents from which the hashes here are.
fn file(number: usize, length: usize) -> Vec<u8> {
    (0..length).map(|i| (7 * i + i / 251 + number) as u8).collect()
}

fn name(torrent: &Torrent) -> String {
    hex::encode(torrent.version_two.as_ref().expect("it is of version 2").name)
}

fn folder() -> Draft {
    let files = [
        ("a.bin", file(0, 32_768)),
        ("b.bin", file(1, 40_000)),
        ("empty", Vec::new()),
        ("sub/c.txt", file(3, 77)),
        ("sub/d.bin", file(4, 131_073)),
    ];
    Draft::files("d", 32_768, &files)
}

#[test]
fn roots_are_those_of_libtorrent() {
    let counting: Vec<u8> = (0..100_000).map(|i| (i % 251) as u8).collect();
    for (content, expected) in [
        (vec![0; 1], "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (vec![0; 16_384], "4fe7b59af6de3b665b67788cc2f99892ab827efae3a467342b3bb4e3bc8e5bfe"),
        (vec![0; 16_385], "477e14ff3453ec4ec3855f8753cb07288aade5618a473ccc2ab1208886e460ec"),
        (vec![0; 49_152], "1cb5a249f6e721060aae623d21d3eca23056bda8c19e4e89f9a086151553713d"),
        (counting, "505fc9a922f60ae071450b07256a4ba760612bffc38c27584ed03fd96c69841b"),
    ] {
        assert_eq!(hex::encode(Tree::of(&content).root()), expected, "{} bytes", content.len());
    }
}

#[test]
fn torrents_have_the_names_that_libtorrent_gives_them() {
    let small = Draft::single("small.bin", 32_768, file(0, 1_000));
    let odd = Draft::single("odd.bin", 32_768, file(0, 100_000));
    let large = Draft::single("l600.bin", 16_384, file(0, 9_830_405));
    for (draft, expected) in [
        (small.clone(), "7f03ebc9aa5d85620f19e611116ca28cda473899cda79c2c274c257b9670709b"),
        (odd.clone(), "b5d56814341c989d92d3bb7dec8d1da32153bbb255ebdcf77e9ffb0692dbe26c"),
        (large.clone(), "c20c31e3d67b4d57c6308bd904962571543852ac46849bc4f8ffee427d7ee835"),
        (folder(), "4087bd03169b1221ff65ed834d67c42c5deff9c752fc1535e84bbb8cf7b4f9b8"),
    ] {
        let torrent = draft.build();
        assert_eq!(name(&torrent), expected);
        assert_eq!(hex::encode(torrent.info_hash), expected[..40]);
    }
    for (draft, expected) in [
        (small, "8005036b884f6515aaaa39cdedec7c8f78b0f1c3"),
        (odd, "82b141dc905f7d7f2906ebab10cf316cfdd70c2c"),
        (large, "3183f1926fb13fa4a4dbd852b1d3edb4ad546e22"),
        (folder(), "28c3ca8f390358bace8dd6eb377ad28b226a9098"),
    ] {
        assert_eq!(draft.hybrid(true).build().hex(), expected);
    }
    let hybrid = folder().hybrid(true).build();
    assert_eq!(name(&hybrid), "68145a9ccba966ed904a16088e92213eac37031c88be0cc15edfbfdf488d797b");
    assert_eq!(hybrid.pieces(), 9);
}

#[test]
fn an_answer_has_the_range_and_the_uncles_nearest_first() {
    let tree = Tree::of(&file(0, 9_830_405));
    assert_eq!(tree.height(), 10);
    let asked = Asked { root: tree.root(), base: 0, index: 512, length: 128, proof: 9 };
    let hashes = tree.answer(&asked).expect("an answer");
    // The first uncle is beside the hash above all 128.
    let uncles = [tree.layer(7)[5], tree.layer(8)[3], tree.layer(9)[0]];
    assert_eq!(hashes, [&tree.layer(0)[512..640], &uncles[..]].concat());
    for wrong in [
        Asked { length: 3, ..asked },
        Asked { length: 1, ..asked },
        Asked { index: 64, ..asked },
        Asked { index: 1_024, ..asked },
        Asked { base: 10, ..asked },
        Asked { proof: 10, ..asked },
    ] {
        assert_eq!(tree.answer(&wrong), None, "{wrong:?}");
    }
    assert_eq!(asked.request()[..5], [0, 0, 0, 49, 21]);
}
