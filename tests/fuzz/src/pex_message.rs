//! The messages of `ut_pex`: lists of addresses, broken ones passed over.

use piecemeal::s19_pex::message::{MAX_READ, PexMessage};

use super::{bounded, is_printable};

/// Decodes the input; encodes what came out, and decodes that.
pub fn check(input: &[u8]) {
    match bounded(input.len(), 64, || PexMessage::decode(input)) {
        Ok(mut message) => {
            let all = message.added.iter().map(|(address, _)| address).chain(&message.dropped);
            assert!(all.clone().all(|address| address.port() != 0));
            for v4 in [true, false] {
                let family = |address: &&_| std::net::SocketAddr::is_ipv4(address) == v4;
                assert!(all.clone().filter(family).count() <= 2 * MAX_READ);
            }
            std::mem::take(&mut message.passed_over).iter().for_each(is_printable);
            assert_eq!(PexMessage::decode(&message.encode()), Ok(message));
        }
        Err(error) => is_printable(error),
    }
}
