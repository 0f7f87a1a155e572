//! Peers that lie about the metadata, or hold it back.

use crate::all_at_once;
use crate::support::{FakePeer, Metadata, Plan, Recipe, Run, Torrent, content, folder, wire};

/// An info dictionary of two metadata pieces.
fn torrent() -> Torrent {
    let torrent = Recipe::single("many.bin", 16, content(16 * 1_000, 8)).build();
    assert!((16_385..32_768).contains(&torrent.info.len()));
    torrent
}

fn lies(torrent: &Torrent) -> Vec<(&'static str, Plan)> {
    let peer = |metadata| FakePeer::of(torrent).metadata(metadata);
    let size = torrent.info.len() as i64;
    vec![
        ("zero", peer(Metadata::Size(0))),
        ("negative", peer(Metadata::Size(-1))),
        ("one less", peer(Metadata::Size(size - 1))),
        ("one more", peer(Metadata::Size(size + 1))),
        ("much less", peer(Metadata::Size(10))),
        ("40 MiB", peer(Metadata::Size(40 << 20))),
        ("over the limit", peer(Metadata::Size(49 << 20))),
        ("4 GiB", peer(Metadata::Size(1 << 32))),
        ("the largest number", peer(Metadata::Size(i64::MAX))),
        ("corrupt", peer(Metadata::Corrupt)),
        ("reject", peer(Metadata::Reject)),
        ("silent", peer(Metadata::Silent)),
        ("garbage", peer(Metadata::Garbage)),
        ("too long", peer(Metadata::TooLong)),
        ("out of range", peer(Metadata::OutOfRange)),
        (
            "a size that is a string",
            FakePeer::of(torrent).greets(&b"d1:md11:ut_metadatai3ee13:metadata_size3:abce"[..]),
        ),
        (
            "an id of zero",
            FakePeer::of(torrent).greets(&b"d1:md11:ut_metadatai0ee13:metadata_sizei20000ee"[..]),
        ),
        (
            "an id above a byte",
            FakePeer::of(torrent).greets(&b"d1:md11:ut_metadatai259ee13:metadata_sizei20000ee"[..]),
        ),
    ]
}

#[test]
fn magnet_info_from_a_liar_alone_is_an_error() {
    let torrent = torrent();
    all_at_once(lies(&torrent), |(what, plan)| {
        let peer = plan.start();
        // The corrupt data must have come before the time is up.
        let timeout = if what == "corrupt" { "60" } else { "2" };
        let outcome = Run::new(["magnet_info", "--timeout", timeout, &torrent.magnet(&[])])
            .peer(peer.address())
            .run();
        if what == "too long" && outcome.code == Some(0) {
            return; // the surplus byte was cut off: the hash was right all the same
        }
        outcome.fails(&[5, 6]);
        if what == "corrupt" {
            outcome.mentions("hash");
        }
    });
}

#[test]
fn magnet_info_gets_the_metadata_from_the_honest_peer() {
    let torrent = torrent();
    all_at_once(lies(&torrent), |(what, plan)| {
        let bad = plan.host(2).start();
        let good = FakePeer::of(&torrent).host(3).start();
        let outcome = Run::new(["magnet_info", "--timeout", "60", &torrent.magnet(&[])])
            .peer(bad.address())
            .peer(good.address())
            .run();
        outcome.succeeds();
        assert!(
            outcome.out().contains(&format!("Info Hash: {}\n", torrent.hex())),
            "{what}: {outcome}"
        );
    });
}

#[test]
fn magnet_download_finishes_though_a_peer_lies_about_the_metadata() {
    let torrent = torrent();
    let lies: Vec<_> = lies(&torrent)
        .into_iter()
        .filter(|(what, _)| {
            ["zero", "one more", "40 MiB", "4 GiB", "corrupt", "reject", "silent", "garbage"]
                .contains(what)
        })
        .collect();
    all_at_once(lies, |(what, plan)| {
        let folder = folder();
        let bad = plan.host(2).start();
        let good = FakePeer::of(&torrent).host(3).once(bad.mischief()).start();
        let out = folder.path().join("out");
        // A size of zero or over the limit may be refused without a request;
        // then there is no mischief to wait for.
        if ["zero", "4 GiB"].contains(&what) {
            bad.mischief().open();
        }
        Run::new(["magnet_download", "-o"])
            .arg(&out)
            .arg(torrent.magnet(&[]))
            .peer(bad.address())
            .peer(good.address())
            .run()
            .succeeds();
        assert!(std::fs::read(&out).expect("the download is there") == torrent.content, "{what}");
    });
}

#[test]
fn metadata_whose_hash_is_right_and_whose_content_is_no_torrent_is_an_error() {
    // The magnet link itself is the lie: all its peers agree on nonsense.
    for info in [&b"de"[..], b"i5e", b"d6:lengthi5e4:name1:a12:piece lengthi0e6:pieces0:e"] {
        let torrent = Torrent::of_info(info.to_vec(), vec![0; 5], 16_384);
        let peer = FakePeer::of(&torrent).start();
        Run::new(["magnet_info", "--timeout", "2", &torrent.magnet(&[])])
            .peer(peer.address())
            .run()
            .fails(&[3, 5]);
        let folder = folder();
        let out = folder.path().join("out");
        Run::new(["magnet_download", "--timeout", "2", "-o"])
            .arg(&out)
            .arg(torrent.magnet(&[]))
            .peer(peer.address())
            .run()
            .fails(&[3, 5]);
        assert!(!out.exists());
    }
}

#[test]
fn a_bitfield_that_proves_wrong_once_the_metadata_is_there_costs_only_its_sender() {
    let torrent = torrent();
    let raw = [
        wire::message(wire::BITFIELD, &[0xFF; 3]),
        wire::message(wire::BITFIELD, &[0xFF; 125_000]),
        wire::have(u32::MAX),
        wire::have(1_000),
    ];
    all_at_once(raw.to_vec(), |raw| {
        let folder = folder();
        let bad = FakePeer::of(&torrent).opening(raw).host(2).start();
        let good = FakePeer::of(&torrent).host(3).once(bad.mischief()).start();
        let out = folder.path().join("out");
        let run = Run::new(["magnet_download", "-o"]).arg(&out).arg(torrent.magnet(&[]));
        run.peer(bad.address()).peer(good.address()).run().succeeds();
        assert!(std::fs::read(&out).expect("the download is there") == torrent.content);
    });
}
