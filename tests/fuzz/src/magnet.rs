//! Magnet links: what is read from one can be written as one, and read again.

use piecemeal::s03_tracker::peers::PeerAddress;
use piecemeal::s06_magnet::Magnet;

use super::{bounded, is_printable};

/// Takes the input for a link, and for the address of a peer.
pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match bounded(text.len(), 64, || Magnet::parse(&text)) {
        Ok(magnet) => {
            let written = magnet.to_string();
            let again =
                Magnet::parse(&written).unwrap_or_else(|error| panic!("{written}: {error}"));
            assert_eq!(again.to_string(), written);
            assert_eq!(parts(&again), parts(&magnet));
            assert!(magnet.info_hash.is_some() || magnet.info_hash_v2.is_some());
            assert!(magnet.select_only.iter().all(|(first, last)| first <= last));
            assert_eq!(magnet.need_info_hash().ok(), magnet.info_hash);
            is_printable(&written);
        }
        Err(error) => is_printable(error),
    }
    if let Some(peer) = PeerAddress::parse(&text) {
        assert_ne!(peer.port, 0);
        is_printable(peer.port);
        assert_eq!(PeerAddress::parse(&peer.to_string()), Some(peer));
    }
}

/// What is in a link, but for what may have been passed over.
fn parts(magnet: &Magnet) -> impl PartialEq + std::fmt::Debug + '_ {
    let Magnet {
        info_hash,
        info_hash_v2,
        name,
        trackers,
        peers,
        length,
        select_only,
        web_seeds,
        ..
    } = magnet;
    ((info_hash, info_hash_v2, name, trackers), (peers, length, select_only, web_seeds))
}
