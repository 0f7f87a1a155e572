//! Ids: the distance between them, and what ties them to an address.

use std::net::IpAddr;

use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s21_dht_lookup::node_id::NodeId;

use crate::support::{assert_chosen, assert_value};

const CLAUSE: &str = "BEP 5, node ids";
const TIED: &str = "BEP 42, node ids";

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn id(hex: &str) -> NodeId {
    let mut id = [0; 20];
    hex::decode_to_slice(hex, &mut id).expect("40 hex digits");
    NodeId(id)
}

/// An id that ends in four bits, and has nothing before them.
fn four(bits: u8) -> NodeId {
    let mut id = [0; 20];
    id[19] = bits;
    NodeId(id)
}

/// The examples of BEP 42: address, random number, and the first bytes and the last one of the id.
/// Of the third byte, the address decides five bits.
const EXAMPLES: [(&str, u8, [u8; 3]); 5] = [
    ("124.31.75.21", 1, [0x5f, 0xbf, 0xbf]),
    ("21.75.31.124", 86, [0x5a, 0x3c, 0xe9]),
    ("65.23.51.170", 22, [0xa5, 0xd4, 0x32]),
    ("84.124.73.14", 65, [0x1b, 0x03, 0x21]),
    ("43.213.53.83", 90, [0xe5, 0x6f, 0x6c]),
];

/// The whole ids of these examples.
const WHOLE: [&str; 5] = [
    "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401",
    "5a3ce9c14e7a08645677bbd1cfe7d8f956d53256",
    "a5d43220bc8f112a3d426c84764f8c2a1150e616",
    "1b0321dd1bb1fe518101ceef99462b947a01ff41",
    "e56f6cbf5b7c4be0237986d5243b87aa6d51305a",
];

#[test]
fn the_distance_is_the_xor_and_near_is_a_matter_of_the_first_bits() {
    let target = four(0b1001);
    let mut nodes = [0b0110, 0b1011, 0b1000, 0b1001, 0b0001].map(four);
    nodes.sort_by_key(|node| node.distance(target));
    let expected = [0b1001, 0b1000, 0b1011, 0b0001, 0b0110].map(four);
    let why = "1000 differs from 1001 in the last bit, 0001 in the first";
    assert_chosen("the nodes from the nearest to the farthest", nodes, expected, why, CLAUSE);
    let bits = nodes.map(|node| node.distance(target).bits());
    assert_value("their distances in bits", bits, [0, 1, 2, 4, 4], CLAUSE);
    assert_eq!(four(3).distance(four(9)), four(9).distance(four(3)));
    let ends = [NodeId([0xff; 20]).distance(NodeId([0; 20])), four(0).distance(NodeId([0x01; 20]))];
    assert_value("long distances in bits", ends.map(|it| it.bits()), [160, 153], CLAUSE);
}

#[test]
fn an_info_hash_is_a_place_among_the_ids() {
    let hash = InfoHash(*b"mnopqrstuvwxyz123456");
    assert_eq!(NodeId::from(hash), NodeId(*b"mnopqrstuvwxyz123456"));
    assert_eq!(NodeId::from(hash).to_string(), "6d6e6f707172737475767778797a313233343536");
}

#[test]
fn a_flipped_bit_is_that_far_away() {
    let start = id(WHOLE[0]);
    for bits in 1..=160 {
        let flipped = start.flipped(bits);
        assert_eq!(flipped.distance(start).bits(), bits);
        let ones: u32 = (0..20).map(|at| (flipped.0[at] ^ start.0[at]).count_ones()).sum();
        assert_eq!(ones, 1, "only one bit differs");
    }
    assert_eq!(start.flipped(0), start);
}

#[test]
fn the_examples_of_bep_42_come_out() {
    for ((address, random, expected), whole) in EXAMPLES.into_iter().zip(WHOLE) {
        let mut given = [0; 20];
        given[19] = random;
        let made = NodeId::for_ip(ip(address), given);
        let tied = [made.0[0], made.0[1], made.0[2] & 0xf8];
        let expected = [expected[0], expected[1], expected[2] & 0xf8];
        assert_value(&format!("the first 21 bits for {address}"), tied, expected, TIED);
        assert_value("the last byte", made.0[19], random, TIED);
        assert_value(&format!("{whole} fits {address}"), id(whole).fits(ip(address)), true, TIED);
        // What the address does not decide is as it was given.
        let random = NodeId::for_ip(ip(address), id(whole).0);
        assert_value("the id that is made of the example's", random, id(whole), TIED);
    }
}

#[test]
fn the_example_over_ipv6_comes_out() {
    let address = "2001:b829:2123:be84:e16c:d6ae:5290:49f1";
    let mut given = [0; 20];
    given[19] = 4;
    let made = NodeId::for_ip(ip(address), given).0;
    let tied = [made[0], made[1], made[2] & 0xf8];
    assert_value("the first 21 bits", tied, [0x0a, 0x8a, 0xd0], TIED);
    // The second half of the address is its user's own to choose.
    let moved = NodeId::for_ip(ip("2001:b829:2123:be84::1"), given).0;
    assert_value("the id at another address of the network", moved, made, TIED);
}

#[test]
fn an_id_of_another_address_does_not_fit() {
    let whole = id(WHOLE[0]);
    assert_value("at its own address", whole.fits(ip("124.31.75.21")), true, TIED);
    assert_value("in the form of IPv6", whole.fits(ip("::ffff:124.31.75.21")), true, TIED);
    for address in ["124.31.75.22", "21.75.31.124", "2001:db8::1"] {
        assert_value(&format!("at {address}"), whole.fits(ip(address)), false, TIED);
    }
    for bit in 0..160 {
        let mut changed = whole;
        changed.0[bit / 8] ^= 0x80 >> (bit % 8);
        // The last three bits choose one of eight checksums.
        let expected = (21..157).contains(&bit);
        let what = format!("with bit {bit} changed");
        assert_value(&what, changed.fits(ip("124.31.75.21")), expected, TIED);
    }
}

#[test]
fn on_a_local_network_any_id_fits() {
    let any = NodeId([7; 20]);
    let near =
        ["10.1.2.3", "172.16.0.9", "192.168.1.1", "169.254.3.4", "127.0.0.1", "::1", "fd00::1"];
    for address in near {
        assert_value(&format!("at {address}"), any.fits(ip(address)), true, TIED);
    }
    assert_value("at 8.8.8.8", any.fits(ip("8.8.8.8")), false, TIED);
}
