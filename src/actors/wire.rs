//! The peer protocol's bytes, written out; and bytes inside a URL.

/// "You get no blocks."
pub const CHOKE: u8 = 0;
/// "You get blocks."
pub const UNCHOKE: u8 = 1;
/// "I want blocks."
pub const INTERESTED: u8 = 2;
/// "I want no blocks."
pub const NOT_INTERESTED: u8 = 3;
/// "I have this piece."
pub const HAVE: u8 = 4;
/// "I have these pieces."
pub const BITFIELD: u8 = 5;
/// "Send me this block."
pub const REQUEST: u8 = 6;
/// A block.
pub const PIECE: u8 = 7;
/// "I no longer want this block."
pub const CANCEL: u8 = 8;
/// Fast extension: "I have every piece."
pub const HAVE_ALL: u8 = 14;
/// Fast extension: "I have no piece."
pub const HAVE_NONE: u8 = 15;
/// Fast extension: "You do not get this block."
pub const REJECT: u8 = 16;
/// Fast extension: "You get this piece even if choked."
pub const ALLOWED_FAST: u8 = 17;
/// A message of the extension protocol.
pub const EXTENDED: u8 = 20;
/// Version 2: "Send me these hashes."
pub const HASH_REQUEST: u8 = 21;
/// Version 2: hashes.
pub const HASHES: u8 = 22;
/// Version 2: "You do not get these hashes."
pub const HASH_REJECT: u8 = 23;

/// Reserved byte 5: the extension protocol (BEP 10).
pub const EXTENSION_BIT: u8 = 0x10;
/// Reserved byte 7: the fast extension (BEP 6).
pub const FAST_BIT: u8 = 0x04;

/// Reserved byte 7: the torrent also has a name of version 2 (BEP 52).
pub const UPGRADE_BIT: u8 = 0x10;

/// The length of a handshake.
pub const HANDSHAKE: usize = 68;

/// The handshake: 68 bytes.
pub fn handshake(reserved: [u8; 8], info_hash: [u8; 20], peer_id: [u8; 20]) -> Vec<u8> {
    [&b"\x13BitTorrent protocol"[..], &reserved, &info_hash, &peer_id].concat()
}

/// A message with its length prefix.
pub fn message(id: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len() + 1).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], &[id], payload].concat()
}

/// A message of no bytes.
pub fn keep_alive() -> Vec<u8> {
    vec![0, 0, 0, 0]
}

/// A `have` message.
pub fn have(piece: u32) -> Vec<u8> {
    message(HAVE, &piece.to_be_bytes())
}

/// A `piece` message with this block.
pub fn block(piece: u32, begin: u32, data: &[u8]) -> Vec<u8> {
    message(PIECE, &[&piece.to_be_bytes()[..], &begin.to_be_bytes(), data].concat())
}

/// An extended message: id 20, then the id that the receiver chose.
pub fn extended(id: u8, payload: &[u8]) -> Vec<u8> {
    message(EXTENDED, &[&[id][..], payload].concat())
}

/// The bits of a bitfield, first piece in the highest bit, spare bits zero.
pub fn bitfield(have: &[bool]) -> Vec<u8> {
    have.chunks(8)
        .map(|eight| {
            eight.iter().enumerate().fold(0, |byte, (i, has)| byte | (u8::from(*has) << (7 - i)))
        })
        .collect()
}

/// Three numbers of four bytes: the payload of request, cancel and reject.
pub fn three(payload: &[u8]) -> Option<(u32, u32, u32)> {
    let number = |at: usize| payload.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    Some((number(0)?, number(4)?, number(8)?))
}

/// Bytes inside a URL: all but letters, digits and `-_.~` become `%` and two digits.
pub fn percent_encoded(bytes: &[u8]) -> String {
    let encoded = |byte: &u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(*byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    bytes.iter().map(encoded).collect()
}

/// Decodes percent-encoding. What is not a `%` and two digits is left as it is.
pub fn percent_decoded(text: &str) -> Vec<u8> {
    let mut rest = text.as_bytes();
    let mut out = Vec::new();
    while let Some((&first, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                rest = &after[2..];
            }
            _ => {
                out.push(first);
                rest = after;
            }
        }
    }
    out
}
