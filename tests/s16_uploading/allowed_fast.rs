//! Which pieces a newcomer may ask for at once: BEP 6's own numbers.

use super::super::support::assert_chosen;
use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s16_uploading::allowed_fast::allowed_fast;
use std::collections::HashSet;
use std::net::Ipv4Addr;

const IP: Ipv4Addr = Ipv4Addr::new(80, 4, 4, 200);
const HASH: InfoHash = InfoHash([0xAA; 20]);

#[test]
fn the_sets_of_bep_6_come_out() {
    let nine = [1059, 431, 808, 1217, 287, 376, 1188, 353, 508];
    for count in [7, 9] {
        assert_chosen(
            &format!("the set of {count} pieces of 1313 for 80.4.4.200"),
            allowed_fast(IP, HASH, 1313, count),
            &nine[..count],
            "numbers of four bytes are cut from the SHA-1 of 80.4.4.0 and the info hash, then from \
             the SHA-1 of that hash, each modulo the number of pieces",
            "BEP 6, allowed fast set",
        );
    }
}

#[test]
fn all_of_a_network_get_the_same_and_other_networks_something_else() {
    let set = |ip| allowed_fast(ip, HASH, 1313, 9);
    for last in [0, 1, 77, 255] {
        assert_eq!(set(Ipv4Addr::new(80, 4, 4, last)), set(IP));
    }
    for other in [[80, 4, 5, 200], [80, 5, 4, 200], [81, 4, 4, 200]] {
        assert_ne!(set(other.into()), set(IP));
    }
    assert_ne!(allowed_fast(IP, InfoHash([0xAB; 20]), 1313, 9), set(IP));
}

#[test]
fn no_piece_comes_twice_and_there_are_never_more_than_the_torrent_has() {
    for (pieces, count) in [(0, 10), (1, 10), (9, 10), (10, 10), (11, 10), (40, 40), (1313, 0)] {
        let set = allowed_fast(IP, HASH, pieces, count);
        assert_eq!(set.len(), count.min(pieces as usize), "{count} of {pieces}");
        assert_eq!(set.iter().collect::<HashSet<_>>().len(), set.len(), "{count} of {pieces}");
        assert!(set.iter().all(|index| *index < pieces), "{count} of {pieces}");
    }
}
