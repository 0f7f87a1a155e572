//! Which program a peer id belongs to, in a word or two for the lab's notes.

use crate::s03_tracker::PeerId;
use crate::trace::client::Client;

/// Who it says it is, on a few characters: `Transmission -TR3000-`.
pub fn client_name(peer_id: &PeerId) -> String {
    let tag = peer_id.0.get(..8).unwrap_or_default();
    match Client::of(peer_id) {
        Some(Client { name: Some(name), tag, .. }) => format!("{name} {tag}"),
        Some(client) => client.tag,
        None if tag.iter().all(u8::is_ascii_graphic) => String::from_utf8_lossy(tag).into_owned(),
        None => "unnamed".to_owned(),
    }
}
