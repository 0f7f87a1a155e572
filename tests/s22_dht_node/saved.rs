//! The table on disk: the bytes of the file, and what may be wrong with it.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use piecemeal::s21_dht_lookup::krpc::Contact;
use piecemeal::s21_dht_lookup::node_id::NodeId;
use piecemeal::s22_dht_node::table_file::{Saved, TableFile};

use crate::support::{assert_bytes, assert_value, folder};

/// One node, saved on 2026-11-30.
const FILE: &[u8] = b"d2:id20:abcdefghij01234567892:ip4:\x7c\x1f\x4b\x15\
5:nodes26:mnopqrstuvwxyz123456\xc6\x12\x00\x01\x1a\xe14:porti6881e5:savedi1796047200ee";

fn saved() -> Saved {
    Saved {
        id: NodeId(*b"abcdefghij0123456789"),
        ip: Some([124, 31, 75, 21].into()),
        port: 6881,
        nodes: vec![Contact {
            id: NodeId(*b"mnopqrstuvwxyz123456"),
            address: SocketAddr::from(([198, 18, 0, 1], 6881)),
        }],
        at: at(),
    }
}

fn at() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_796_047_200)
}

#[test]
fn the_file_is_a_dictionary_with_our_id_and_the_nodes() {
    assert_bytes("the file", &saved().encode(), FILE, "BEP 5, saved table");
    assert_value("what is read of it", Saved::decode(FILE), Some(saved()), "BEP 5, saved table");
}

#[test]
fn at_most_two_hundred_nodes_are_saved() {
    let node = |number: u16| Contact {
        id: NodeId([number as u8; 20]),
        address: SocketAddr::from(([198, 18, (number >> 8) as u8, number as u8], 6881)),
    };
    let many = Saved { nodes: (0..1000).map(node).collect(), ..saved() };
    let read = Saved::decode(&many.encode()).expect("it can be read");
    assert_eq!(read.nodes, many.nodes[..200]);
}

#[test]
fn a_file_is_written_whole_and_read_again() {
    let folder = folder();
    let table_file = TableFile::at(folder.path().join("new/folder/dht.nodes"));
    assert_eq!(table_file.load(at()), (None, None), "no file is no news");
    table_file.save(&saved()).expect("the folder can be made");
    assert_eq!(table_file.load(at()), (Some(saved()), None));
    // Nothing else is left behind.
    let files = fs::read_dir(folder.path().join("new/folder")).expect("it is there").count();
    assert_eq!(files, 1);
    // A node that knows nobody keeps the file that it has.
    table_file.save(&Saved { nodes: Vec::new(), ..saved() }).expect("there is nothing to do");
    assert_eq!(table_file.load(at()).0, Some(saved()));
    assert_ne!(table_file.for_ipv6().path(), table_file.path());
}

#[test]
fn what_is_wrong_with_a_file_is_a_note_and_no_error() {
    let folder = folder();
    let path = folder.path().join("dht.nodes");
    let table_file = TableFile::at(&path);
    let said = |bytes: &[u8]| {
        fs::write(&path, bytes).expect("it can be written");
        let (saved, note) = table_file.load(at());
        assert_eq!(saved, None, "{note:?}");
        note.expect("a note says so")
    };
    let broken = "this is no file of saved nodes, or it is broken: starting without it";
    // Cut anywhere, it is broken.
    for length in 0..FILE.len() {
        assert!(said(&FILE[..length]).ends_with(broken), "{length} bytes");
    }
    let others = [
        &b"not bencode"[..],
        b"de",
        b"le",
        b"i1e",
        // Another program's: libtorrent's session state begins like this.
        b"d9:dht statede",
        b"d2:id3:abc4:porti6881e5:savedi1ee",
        b"d2:id20:abcdefghij01234567894:porti70000e5:savedi1ee",
        b"d2:id20:abcdefghij01234567894:porti6881ee",
        b"d2:id20:abcdefghij01234567894:porti6881e5:savedi-1ee",
    ];
    for other in others {
        assert!(said(other).ends_with(broken), "{}", String::from_utf8_lossy(other));
    }
    let long = [b"d2:id20:abcdefghij01234567895:nodes1000000:", &[b'x'; 1_000_000][..]].concat();
    assert!(said(&long).ends_with(broken), "a megabyte of nodes");
    // A folder in its place.
    let (saved, note) = TableFile::at(folder.path()).load(at());
    assert_eq!(saved, None);
    assert!(note.expect("a note says so").contains("the saved nodes cannot be read"));
}

#[test]
fn an_old_file_is_used_with_a_note() {
    let folder = folder();
    let table_file = TableFile::at(folder.path().join("dht.nodes"));
    table_file.save(&saved()).expect("it can be written");
    let days = |days: u64| at() + Duration::from_secs(days * 24 * 60 * 60);
    assert_eq!(table_file.load(days(13)).1, None);
    let (read, note) = table_file.load(days(20));
    assert_eq!(read, Some(saved()));
    assert!(
        note.expect("a note").ends_with("the nodes were saved 20 days ago, and some may be gone")
    );
    // A clock that was set back makes nothing old.
    assert_eq!(table_file.load(UNIX_EPOCH).1, None);
}

#[test]
fn half_a_node_at_the_end_is_passed_over() {
    let half =
        [&b"d2:id20:abcdefghij01234567895:nodes27:"[..], &[b'm'; 27], b"4:porti6881e5:savedi1ee"];
    assert_eq!(Saved::decode(&half.concat()).expect("it can be read").nodes.len(), 1);
}

#[test]
fn the_id_is_ours_at_the_same_port_if_it_fits_the_address() {
    let listening = |port| SocketAddr::from(([0, 0, 0, 0], port));
    let id = |id: &str| NodeId(hex::decode(id).expect("hex").try_into().expect("20 bytes"));
    // Of BEP 42: 124.31.75.21 with r = 1.
    let fits = Saved { id: id("5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401"), ..saved() };
    assert!(fits.is_ours(listening(6881)));
    assert!(!fits.is_ours(listening(6882)), "another program on this computer has the id");
    assert!(!saved().is_ours(listening(6881)), "it was made for another address");
    assert!(Saved { ip: None, ..saved() }.is_ours(listening(6881)), "nobody knows better");
}
