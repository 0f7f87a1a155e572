//! What to do when the DHT gives no answer. (stage 21)

use crate::cli::exit_codes::{LOCAL, NO_PEER};
use crate::cli::failure::Failure;
use piecemeal::s21_dht_lookup::ask::LookupError;

impl From<LookupError> for Failure {
    fn from(error: LookupError) -> Failure {
        let (code, help) = match &error {
            LookupError::Open(_) | LookupError::Receive(_) => {
                (LOCAL, "check whether this computer has a network, and run the same command again")
            }
            LookupError::Send { .. } => {
                (NO_PEER, "check the address, and whether this computer has a route to it")
            }
            LookupError::Nobody => (NO_PEER, "name a node with --dht-bootstrap HOST:PORT"),
            LookupError::Silent { .. } => (
                NO_PEER,
                "a datagram may be lost, or a firewall may drop UDP: try again, try another node, or allow more time with --timeout SECONDS",
            ),
            LookupError::Refused { .. } => (NO_PEER, "try another node"),
        };
        Failure::new(code, error).help(help).see("21-dht-lookup")
    }
}
