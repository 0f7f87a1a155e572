//! Programs by their peer ids.

use piecemeal::lab::client_name::client_name;
use piecemeal::s03_tracker::PeerId;

#[test]
fn programs_are_known_by_the_first_bytes_of_their_peer_ids() {
    let table: [(&[u8; 20], &str); 8] = [
        (b"-TR3000-k8hj0wgej6ch", "Transmission -TR3000-"),
        (b"-PM0001-\x00\x01\x02\xff........", "piecemeal -PM0001-"),
        (b"-qB4520-............", "qBittorrent -qB4520-"),
        (b"A2-1-36-0-..........", "aria2 A2-1-36-0-"),
        (b"M7-10-5--\xff\xff\xff........", "BitTorrent M7-10-5-"),
        (b"-ZZ1234-............", "-ZZ1234-"),
        (b"-TR30000............", "-TR30000"),
        (b"\x1b[2J\xff...............", "unnamed"),
    ];
    for (id, expected) in table {
        assert_eq!(client_name(&PeerId(*id)), expected);
    }
}
