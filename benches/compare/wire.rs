//! The little of the protocol that floor, seeder and leecher share.

use std::io::{self, IoSlice, Read, Write};
use std::net::TcpStream;

/// What is asked for at once.
pub const BLOCK: u32 = 16 << 10;
/// Bytes of a `piece` message before its block.
pub const HEAD: usize = 13;
/// Room for our connections' own peer ids.
const PEER_ID: &[u8; 8] = b"-BE0001-";

/// The 68 bytes that begin a connection, with the extension protocol's bit or without.
pub fn handshake(info_hash: &[u8], extended: bool, number: usize) -> Vec<u8> {
    let mut hello = b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0".to_vec();
    hello[25] = if extended { 0x10 } else { 0 };
    hello.extend_from_slice(info_hash);
    hello.extend_from_slice(PEER_ID);
    hello.extend(format!("{number:012}").into_bytes());
    hello
}

/// A message without numbers or with three.
pub fn message(id: u8, payload: &[u8]) -> Vec<u8> {
    let mut message = (payload.len() as u32 + 1).to_be_bytes().to_vec();
    message.push(id);
    message.extend_from_slice(payload);
    message
}

/// The requests for all blocks of a piece, in one buffer.
pub fn requests(piece: u32, size: u32) -> Vec<u8> {
    let mut all = Vec::with_capacity(17 * size.div_ceil(BLOCK) as usize);
    for begin in (0..size).step_by(BLOCK as usize) {
        let length = BLOCK.min(size - begin);
        all.extend_from_slice(&13_u32.to_be_bytes());
        all.push(6);
        [piece, begin, length]
            .iter()
            .for_each(|number| all.extend_from_slice(&number.to_be_bytes()));
    }
    all
}

/// What stands before a block.
pub fn block_head(piece: u32, begin: u32, length: u32) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..4].copy_from_slice(&(length + 9).to_be_bytes());
    head[4] = 7;
    head[5..9].copy_from_slice(&piece.to_be_bytes());
    head[9..].copy_from_slice(&begin.to_be_bytes());
    head
}

/// The big-endian number at `at`.
pub fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().map_or(0, u32::from_be_bytes)
}

/// Opens the conversation as a downloader does: handshake, `interested`, and then
/// everything is passed over until `unchoke`.
pub fn until_unchoked(stream: &mut TcpStream, info_hash: &[u8], number: usize) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(&handshake(info_hash, false, number))?;
    stream.read_exact(&mut [0; 68])?;
    // Not sooner: aria2 forgets what comes in one packet with a handshake.
    stream.write_all(&message(2, &[]))?;
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut rest = Vec::new();
        let expected = u64::from(u32::from_be_bytes(length));
        if Read::take(&mut *stream, expected).read_to_end(&mut rest)? as u64 != expected {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if rest.first() == Some(&1) {
            return Ok(());
        }
    }
}

/// `write_all` for many slices.
pub fn write_all(stream: &mut impl Write, mut slices: &mut [IoSlice]) -> io::Result<()> {
    while !slices.is_empty() {
        match stream.write_vectored(slices)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => IoSlice::advance_slices(&mut slices, written),
        }
    }
    Ok(())
}
