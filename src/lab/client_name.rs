//! Which program a peer id belongs to, by the convention of BEP 20.

use crate::s03_tracker::PeerId;

/// The two letters of programs that a class may meet.
const KNOWN: [(&[u8; 2], &str); 14] = [
    (b"AZ", "Vuze"),
    (b"BC", "BitComet"),
    (b"BI", "BiglyBT"),
    (b"DE", "Deluge"),
    (b"LB", "lab"),
    (b"LT", "libtorrent"),
    (b"lt", "rTorrent"),
    (b"KT", "KTorrent"),
    (b"PM", "piecemeal"),
    (b"TR", "Transmission"),
    (b"UT", "uTorrent"),
    (b"qB", "qBittorrent"),
    (b"rQ", "rqbit"),
    (b"WW", "WebTorrent"),
];

/// Who it says it is, on a few characters: `Transmission -TR3000-`. The digits of the
/// version mean something else in each program, and so they stay as they are.
pub fn client_name(peer_id: &PeerId) -> String {
    let tag = peer_id.0.get(..8).unwrap_or_default();
    if !tag.iter().all(u8::is_ascii_graphic) {
        return "unnamed".to_owned();
    }
    let tag_text = String::from_utf8_lossy(tag);
    let letters = tag.strip_prefix(b"-").and_then(|rest| rest.get(..2));
    let name = match letters {
        Some(letters) if tag.ends_with(b"-") => KNOWN.iter().find(|(known, _)| *known == letters).map(|(_, name)| *name),
        _ if tag.starts_with(b"A2-") => Some("aria2"),
        _ if tag.starts_with(b"M") && tag.contains(&b'-') => Some("BitTorrent"),
        _ => None,
    };
    name.map_or_else(|| tag_text.to_string(), |name| format!("{name} {tag_text}"))
}
