//! A listener on the port that a client dials if it reads a port low byte first.
//!
//! Nothing else would tell its author: the connection would be refused, and no seeder would see it.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use serde_json::json;

use crate::lab::hints;
use crate::lab::notes::Notes;
use crate::lab::service::{AfterServing, Service, WhenFull};
use crate::s04_handshake::transport::Transport;

/// The most connections at a time. Each ends at once.
const MAX_CONNECTIONS: usize = 8;

/// Listens beside a seeder that has the port that was `asked` for. `None` if it has another one,
/// which only the system knew before, or if the swapped one is taken or not allowed.
pub fn listen(seeder: SocketAddr, asked: u16, notes: &Notes) -> Option<Service> {
    let (port, swapped) = (seeder.port(), seeder.port().swap_bytes());
    if port != asked || port == swapped {
        return None;
    }
    let listener = TcpListener::bind((seeder.ip(), swapped)).ok()?;
    let notes = notes.clone();
    let serve = move |transport: Transport, here: SocketAddr| {
        let (peer, see) = (transport.peer, hints::TRACKER);
        let what = format!(
            "it dials port {swapped}, which is {port} low byte first: in the tracker's answer the high byte comes first"
        );
        let more = json!({ "peer": peer.to_string(), "what": what, "see": see });
        notes.add(here, "mistake", format!("{peer} makes a mistake: {what}; see {see}"), more);
        AfterServing::GoOn
    };
    Service::start(listener, "swapped port", MAX_CONNECTIONS, WhenFull::Shares, Arc::new(serve))
        .ok()
}
