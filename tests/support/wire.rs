//! The peer protocol's bytes, written out.

pub const CHOKE: u8 = 0;
pub const UNCHOKE: u8 = 1;
pub const INTERESTED: u8 = 2;
pub const NOT_INTERESTED: u8 = 3;
pub const HAVE: u8 = 4;
pub const BITFIELD: u8 = 5;
pub const REQUEST: u8 = 6;
pub const PIECE: u8 = 7;
pub const CANCEL: u8 = 8;
pub const HAVE_ALL: u8 = 14;
pub const HAVE_NONE: u8 = 15;
pub const REJECT: u8 = 16;
pub const ALLOWED_FAST: u8 = 17;
pub const EXTENDED: u8 = 20;

/// Reserved byte 5: the extension protocol (BEP 10).
pub const EXTENSION_BIT: u8 = 0x10;
/// Reserved byte 7: the fast extension (BEP 6).
pub const FAST_BIT: u8 = 0x04;

/// The hello: 68 bytes.
pub fn handshake(reserved: [u8; 8], info_hash: [u8; 20], peer_id: [u8; 20]) -> Vec<u8> {
    [&b"\x13BitTorrent protocol"[..], &reserved, &info_hash, &peer_id].concat()
}

/// A message with its length prefix.
pub fn message(id: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len() + 1).expect("test messages are small");
    [&length.to_be_bytes()[..], &[id], payload].concat()
}

pub fn keep_alive() -> Vec<u8> {
    vec![0, 0, 0, 0]
}

pub fn have(piece: u32) -> Vec<u8> {
    message(HAVE, &piece.to_be_bytes())
}

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
