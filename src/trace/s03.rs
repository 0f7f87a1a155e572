//! Stage 3 on the wire: peer ids.

use super::client::Client;
use super::walk::Walk;
use super::{Object, quoted};
use crate::s03_tracker::PeerId;

/// A peer id: the part that names the program, and the rest.
pub fn peer_id(bytes: &[u8]) -> Object {
    let mut walk = Walk::new(bytes, "peer id", 3, "BEP 20");
    let client = bytes.first_chunk().and_then(|id| Client::of(&PeerId(*id)));
    match client {
        Some(client) => {
            walk.object.summary = client.to_string();
            let tag = client.tag.len();
            walk.take(tag, "client", |bytes| (quoted(bytes), client.to_string()));
            walk.take(20 - tag, "random", |bytes| (quoted(bytes), "new for each run".to_owned()));
        }
        None => {
            let note = "it follows none of the conventions that name a program";
            walk.take(20, "peer id", |bytes| (quoted(bytes), note.to_owned()));
        }
    }
    walk.end()
}

/// A peer id as one field says it: value and note.
pub(super) fn one_peer_id(bytes: &[u8]) -> (String, String) {
    let client = bytes.first_chunk().and_then(|id| Client::of(&PeerId(*id)));
    (quoted(bytes), client.map(|client| client.to_string()).unwrap_or_default())
}
