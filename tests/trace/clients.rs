//! Programs and versions by their peer ids.

use piecemeal::s03_tracker::PeerId;
use piecemeal::trace::client::{Client, named};

#[test]
fn a_peer_id_names_the_program_and_its_version() {
    let table: [(&[u8; 20], &str, &str); 15] = [
        (b"-TR3000-k8hj0wgej6ch", "-TR3000-", "Transmission 3.0"),
        (b"-TR4050-............", "-TR4050-", "Transmission 4.0.5"),
        (b"-qB4520-............", "-qB4520-", "qBittorrent 4.5.2"),
        (b"-LT20B0-............", "-LT20B0-", "libtorrent 2.0.11"),
        (b"-lt0D80-............", "-lt0D80-", "rTorrent 0.13.8"),
        (b"-PM0001-\x00\x01\x02\xff........", "-PM0001-", "piecemeal 0.1"),
        (b"-PM1203-............", "-PM1203-", "piecemeal 12.3"),
        (b"-PM00+1-............", "-PM00+1-", "piecemeal"),
        (b"-LB0001-seeder000001", "-LB0001-", "lab 0.1"),
        (b"-TR0000-............", "-TR0000-", "Transmission 0.0"),
        (b"-TR3.0z-............", "-TR3.0z-", "Transmission"),
        (b"-ZZ1234-............", "-ZZ1234-", "-ZZ1234-, a program that is not known here"),
        (b"A2-1-36-0-..........", "A2-1-36-0-", "aria2 1.36.0"),
        (b"M7-10-5--\xff\xff\xff........", "M7-10-5-", "BitTorrent 7.10.5"),
        (b"M4-3-6--------------", "M4-3-6-", "BitTorrent 4.3.6"),
    ];
    for (id, tag, shown) in table {
        let client =
            Client::of(&PeerId(*id)).unwrap_or_else(|| panic!("{tag} follows a convention"));
        assert_eq!((client.tag.as_str(), client.to_string().as_str()), (tag, shown));
    }
}

#[test]
fn a_peer_id_of_no_convention_names_nobody() {
    for id in [
        b"\x1b[2J\xff...............",
        b"-TR30000............",
        b"MM--................",
        b"A2-x................",
        &[0; 20],
    ] {
        assert_eq!(Client::of(&PeerId(*id)), None);
    }
}

#[test]
fn a_program_is_named_in_a_word_or_two_whatever_its_peer_id_is() {
    let table: [(&[u8; 20], &str); 5] = [
        (b"-TR3000-k8hj0wgej6ch", "Transmission 3.0"),
        (b"A2-1-36-0-..........", "aria2 1.36.0"),
        (b"-ZZ1234-............", "-ZZ1234-"),
        (b"-TR30000............", "-TR30000"),
        (b"\x1b[2J\xff...............", "unnamed"),
    ];
    for (id, shown) in table {
        assert_eq!(named(&PeerId(*id)), shown);
    }
}

#[test]
fn our_own_peer_id_says_our_version() {
    let version = concat!(env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"));
    let ours = Client::of(&PeerId::random()).expect("it follows the convention");
    assert_eq!(ours.to_string(), format!("piecemeal {version}"));
}
