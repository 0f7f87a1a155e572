//! The datagram of local service discovery.

use piecemeal::s20_lsd::search::{BtSearch, MAX_INFO_HASHES, MAX_LENGTH};
use piecemeal::s20_lsd::{GROUP_V4, GROUP_V6};

use super::{bounded, is_printable};

/// Parses the input; writes what came out, and parses that.
pub fn check(input: &[u8]) {
    match bounded(input.len(), 8, || BtSearch::parse(input)) {
        Ok(search) => {
            assert!(input.len() <= MAX_LENGTH);
            assert!(search.port != 0 && !search.info_hashes.is_empty());
            for group in [GROUP_V4, GROUP_V6] {
                let written = search.encode(group);
                // Our headers are longer than the shortest ones, so what was read may not fit.
                if written.len() <= MAX_LENGTH && search.info_hashes.len() <= MAX_INFO_HASHES {
                    assert_eq!(BtSearch::parse(&written), Ok(search.clone()));
                }
            }
        }
        Err(error) => is_printable(error),
    }
}
