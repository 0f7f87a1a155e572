//! What to do when there can be no node. (stage 22)

use std::io::ErrorKind;

use crate::cli::exit_codes::LOCAL;
use crate::cli::failure::Failure;
use piecemeal::s22_dht_node::NodeError;

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Failure {
        let help = match error.error.kind() {
            ErrorKind::AddrInUse => "choose another --port; 0 takes any that is free",
            ErrorKind::AddrNotAvailable => "--listen must be an address of this computer",
            ErrorKind::PermissionDenied => "choose a --port from 1024 on; 0 takes any that is free",
            _ => "connect this computer to a network, or choose one with --listen IP",
        };
        Failure::new(LOCAL, error).help(help).see("22-dht-node")
    }
}
