//! The handshake: 68 bytes, however they come, and not one more.

use std::io::{self, Read, Write};
use std::sync::atomic::Ordering;

use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s03_tracker::PeerId;
use piecemeal::s04_handshake::{HANDSHAKE_LENGTH, Handshake, HandshakeError, PROTOCOL, exchange};
use piecemeal::s16_uploading::incoming::answer;

use super::{Chunks, is_printable, parted};

/// A stream, and what was written to it.
struct Both(Chunks, Vec<u8>);

impl Read for Both {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Both {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The input is a list of chunk sizes, and what comes in such chunks.
pub fn check(input: &[u8]) {
    let (sizes, bytes) = parted(input);
    let sizes: Vec<u8> = sizes.iter().map(|size| (*size).max(1)).collect();
    let whole = bytes.first_chunk::<HANDSHAKE_LENGTH>().filter(|bytes| bytes.starts_with(PROTOCOL));

    let mut stream = Chunks::new(bytes, &sizes);
    let read = Handshake::read_from(&mut stream);
    assert!(
        stream.read.load(Ordering::Relaxed) <= HANDSHAKE_LENGTH,
        "what follows is for somebody else"
    );
    assert_eq!(read.as_ref().ok().map(Handshake::encode).as_ref(), whole);
    match &read {
        Ok(theirs) => {
            for bit in 0..64 {
                let big_endian = u64::from_be_bytes(theirs.reserved);
                assert_eq!(theirs.has_bit(bit), big_endian >> bit & 1 == 1);
                assert_eq!(
                    u64::from_be_bytes(theirs.with_bit(bit).reserved),
                    big_endian | 1 << bit
                );
            }
        }
        Err(error) => is_printable(error),
    }

    // The torrent of the input, so that half of the cases get further than that.
    let hash = whole
        .and_then(|bytes| bytes[28..48].try_into().ok())
        .filter(|_| input.len().is_multiple_of(2));
    let ours = Handshake::new(InfoHash(hash.unwrap_or([7; 20])), PeerId([b'a'; 20]));
    let mut dialed = Both(Chunks::new(bytes, &sizes), Vec::new());
    let mut came = Both(Chunks::new(bytes, &sizes), Vec::new());
    let names = ours.info_hash.into();
    let (one, other) = (exchange(&mut dialed, &ours, &names), answer(&mut came, &ours, &names));
    assert_eq!(one.as_ref().ok(), other.as_ref().ok(), "whoever dials");
    assert!(one.as_ref().map_or(true, |theirs| theirs.info_hash == ours.info_hash
        && theirs.peer_id != ours.peer_id));
    assert_eq!(dialed.1, ours.encode());
    let told =
        bytes.len() >= 48 && bytes.starts_with(PROTOCOL) && bytes[28..48] == ours.info_hash.0;
    assert_eq!(
        came.1,
        if told { ours.encode().to_vec() } else { Vec::new() },
        "only who has named our torrent hears of it"
    );
    for error in [one, other]
        .into_iter()
        .filter_map(Result::err)
        .filter(|error| !matches!(error, HandshakeError::Io(_)))
    {
        is_printable(error);
    }
}
