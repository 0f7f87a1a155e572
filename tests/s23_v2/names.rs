//! The names of a torrent, and the links that have them.

use super::super::support::torrent::sha1;
use super::made::{Made, sha256};
use piecemeal::s02_metainfo::{InfoHash, Names};
use piecemeal::s06_magnet::Magnet;
use piecemeal::s23_v2::names::{of_link, shortened};
use piecemeal::s23_v2::trees;

fn names(topics: &[String]) -> Names {
    let link = format!("magnet:?{}", topics.join("&"));
    of_link(&Magnet::parse(&link).expect("it is a link")).expect("it names a torrent")
}

fn btih(hash: [u8; 20]) -> String {
    format!("xt=urn:btih:{}", hex::encode(hash))
}

fn btmh(hash: [u8; 32]) -> String {
    format!("xt=urn:btmh:1220{}", hex::encode(hash))
}

#[test]
fn a_link_has_a_name_for_each_of_its_hashes() {
    // The public test torrents of version 2, and the hybrid one.
    let of = |link: &str| {
        let names = of_link(&Magnet::parse(link).expect("it is a link")).expect("it names one");
        names.all().map(|name| name.to_string()).collect::<Vec<_>>()
    };
    let alone =
        "magnet:?xt=urn:btmh:1220caf1e1c30e81cb361b9ee167c4aa64228a7fa4fa9f6105232b28ad099f3a302e";
    assert_eq!(of(alone), ["caf1e1c30e81cb361b9ee167c4aa64228a7fa4fa"]);
    let both = "magnet:?xt=urn:btih:631a31dd0a46257d5078c0dee4e66e26f73e42ac&xt=urn:btmh:1220d8dd32ac93357c368556af3ac1d95c9d76bd0dff6fa9833ecdac3d53134efabb";
    assert_eq!(
        of(both),
        ["631a31dd0a46257d5078c0dee4e66e26f73e42ac", "d8dd32ac93357c368556af3ac1d95c9d76bd0dff"]
    );
    let v1 = "magnet:?xt=urn:btih:631a31dd0a46257d5078c0dee4e66e26f73e42ac";
    assert_eq!(of(v1), ["631a31dd0a46257d5078c0dee4e66e26f73e42ac"]);
}

#[test]
fn an_info_dictionary_must_have_each_hash_of_the_link() {
    let made = Made::single(16_384, "a", 40_000);
    let (hybrid, v2) = (made.hybrid_info(), made.v2_info());
    let (v1_name, v2_name) = (sha1(&hybrid), sha256(&hybrid));
    // What the link has, and whether the hybrid is its torrent, and the one of version 2 only.
    let table = [
        (vec![btih(v1_name)], true, false),
        (vec![btmh(v2_name)], true, false),
        (vec![btih(v1_name), btmh(v2_name)], true, false),
        (vec![btmh(sha256(&v2))], false, true),
        // Recognized by its SHA-1, and then refused for that: see below.
        (vec![btih(sha1(&v2))], false, false),
        // Two torrents in one link: neither will do.
        (vec![btih(v1_name), btmh(sha256(&v2))], false, false),
        (vec![btih(sha1(&v2)), btmh(v2_name)], false, false),
    ];
    for (topics, is_hybrid, is_v2) in table {
        let names = names(&topics);
        let takes = |info: &[u8]| names.is(info) && names.read(info).is_ok();
        assert_eq!((takes(&hybrid), takes(&v2)), (is_hybrid, is_v2), "{topics:?}");
        if topics.len() == 2 && !is_hybrid {
            // No peer is to blame for it: what it sent is what one of the hashes says.
            let errors = [&hybrid, &v2].map(|info| names.read(info).expect_err("there are two"));
            let words = "the link's two hashes name two torrents";
            assert!(names.is(&hybrid) && names.is(&v2), "{topics:?}");
            assert!(errors.iter().all(|error| error.to_string() == words), "{errors:?}");
        }
    }
    // The name on the wire has 20 bytes, but all 32 are compared.
    let mut near = v2_name;
    near[31] ^= 1;
    let names = names(&[btmh(near)]);
    assert_eq!(names.first(), shortened(v2_name));
    assert!(!names.is(&hybrid));
    // So these are shown: on the wire, the two have the same name.
    assert_eq!(names.mismatch(&hybrid), Some((hex::encode(near), hex::encode(v2_name))));
}

/// Two people with two links to one hybrid, and a third one with its .torrent file.
#[test]
fn a_hybrid_has_one_name_in_common_whatever_the_link() {
    let made = Made::single(16_384, "a", 40_000);
    let (hybrid, v2) = (made.hybrid_info(), made.v2_info());
    let (by_sha1, by_sha256) = (btih(sha1(&hybrid)), btmh(sha256(&hybrid)));
    for topics in [vec![by_sha1.clone()], vec![by_sha256.clone()], vec![by_sha1, by_sha256]] {
        let names = names(&topics);
        assert_eq!(names.common(), names.first(), "nothing else is known yet");
        let info = names.read(&hybrid).expect("it is right");
        names.learn(&info.names);
        assert_eq!(names.common(), InfoHash(sha1(&hybrid)), "{topics:?}");
        assert_eq!(info.names.common(), InfoHash(sha1(&hybrid)));
    }
    let names = names(&[btmh(sha256(&v2))]);
    names.learn(&names.read(&v2).expect("it is right").names);
    assert_eq!(names.common(), shortened(sha256(&v2)), "it has no other");
}

#[test]
fn a_mismatch_is_told_in_the_kind_of_hash_that_is_wrong() {
    let made = Made::single(16_384, "a", 40_000);
    let (info, other) = (made.hybrid_info(), made.v2_info());
    let short = |raw: &[u8]| shortened(sha256(raw)).to_string();
    let by_sha1 = names(&[btih(sha1(&info)), btmh(sha256(&info))]).mismatch(&other);
    assert_eq!(by_sha1, Some((hex::encode(sha1(&info)), hex::encode(sha1(&other)))));
    let by_sha256 = names(&[btmh(sha256(&info))]).mismatch(&other);
    assert_eq!(by_sha256, Some((short(&info), short(&other))));
}

#[test]
fn a_torrent_of_version_2_is_not_read_behind_its_sha1_alone() {
    let made = Made::single(16_384, "a", 40_000);
    let (hybrid, v2) = (made.hybrid_info(), made.v2_info());
    let error = names(&[btih(sha1(&v2))]).read(&v2).expect_err("nobody gives hashes by that");
    assert!(error.to_string().contains("know it by its SHA-256 only"), "{error}");
    assert!(names(&[btih(sha1(&v2)), btmh(sha256(&v2))]).read(&v2).is_ok(), "with both names");
    assert!(names(&[btih(sha1(&hybrid))]).read(&hybrid).is_ok(), "a hybrid is of version 1 too");
}

#[test]
fn a_link_of_any_kind_reads_all_versions() {
    let made = Made::single(16_384, "a", 40_000);
    let read = |names: Names, raw: &[u8]| names.read(raw).expect("it is right");
    let (hybrid, v2) = (made.hybrid_info(), made.v2_info());
    let info = read(names(&[btih(sha1(&hybrid))]), &hybrid);
    assert_eq!(info.names.all().count(), 2, "a link with one name may lead to both");
    assert!(trees(&info).is_some_and(|trees| trees.is_incomplete()));
    assert!(trees(&read(names(&[btmh(sha256(&v2))]), &v2)).is_some());
    let v1 = b"d6:lengthi3e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae";
    assert!(trees(&read(names(&[btih(sha1(v1))]), v1)).is_none());
    // What a torrent's own names read is the torrent.
    assert!(info.names.is(&hybrid) && !info.names.is(&v2));
    assert_eq!(info.names.read(&hybrid).expect("it is right"), info);
}
