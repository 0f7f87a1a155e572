//! The handshake of a peer that dials us.

use super::super::support::wire;
use super::giver::BOTH;
use super::net::{FAST, US};
use piecemeal::s02_metainfo::{InfoHash, Names};
use piecemeal::s03_tracker::PeerId;
use piecemeal::s04_handshake::{Handshake, HandshakeError};
use piecemeal::s16_uploading::incoming::answer;
use std::io::{self, Cursor, Read, Write};

const THEM: [u8; 20] = *b"-TH0001-them them ..";

/// A stream that says this and no more, and takes down what it is told.
struct Said(Cursor<Vec<u8>>, Vec<u8>);

impl Read for Said {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // In the smallest parts there are.
        let one = buffer.len().min(1);
        self.0.read(&mut buffer[..one])
    }
}

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn answered(said: &[u8]) -> (Result<Handshake, HandshakeError>, Vec<u8>) {
    answered_by(said, &InfoHash([7; 20]).into())
}

/// The answer for a torrent with these names, the first of which is all sevens.
fn answered_by(said: &[u8], names: &Names) -> (Result<Handshake, HandshakeError>, Vec<u8>) {
    let ours = Handshake { reserved: BOTH, info_hash: InfoHash([7; 20]), peer_id: PeerId(US) };
    let mut stream = Said(Cursor::new(said.to_vec()), Vec::new());
    let result = answer(&mut stream, &ours, names);
    (result, stream.1)
}

#[test]
fn a_good_opening_is_answered_and_understood() {
    let (result, told) = answered(&wire::handshake(FAST, [7; 20], THEM));
    let theirs = result.expect("it is a good one");
    assert_eq!(
        (theirs.reserved, theirs.info_hash, theirs.peer_id),
        (FAST, InfoHash([7; 20]), PeerId(THEM))
    );
    assert_eq!(told, wire::handshake(BOTH, [7; 20], US));
}

#[test]
fn the_answer_has_the_name_that_the_peer_said() {
    let names = Names::from(InfoHash([7; 20])).and(InfoHash([8; 20]));
    for name in [[7; 20], [8; 20]] {
        let (result, told) = answered_by(&wire::handshake(FAST, name, THEM), &names);
        assert_eq!(result.expect("it is one of the names").info_hash, InfoHash(name));
        assert_eq!(told, wire::handshake(BOTH, name, US));
    }
    let (result, told) = answered_by(&wire::handshake(FAST, [9; 20], THEM), &names);
    assert!(matches!(result, Err(HandshakeError::OtherTorrent { .. })), "{result:?}");
    assert!(told.is_empty());
}

#[test]
fn an_opening_that_is_cut_short_is_answered_only_when_it_is_clear_what_it_wants() {
    let whole = wire::handshake(FAST, [7; 20], THEM);
    for length in 0..68 {
        let (result, told) = answered(&whole[..length]);
        assert!(matches!(result, Err(HandshakeError::HungUp)), "{length}: {result:?}");
        assert_eq!(told.len(), if length < 48 { 0 } else { 68 }, "{length} bytes");
    }
}

#[test]
fn a_bad_opening_gets_no_answer() {
    let good = wire::handshake(FAST, [7; 20], THEM);
    let changed = |at: usize| {
        let mut bad = good.clone();
        bad[at] ^= 0x20;
        bad
    };
    for at in 0..20 {
        let (result, told) = answered(&changed(at));
        assert!(matches!(result, Err(HandshakeError::OtherProtocol { .. })), "{at}: {result:?}");
        assert!(told.is_empty(), "byte {at}");
    }
    for at in [28, 47] {
        let (result, told) = answered(&changed(at));
        assert!(matches!(result, Err(HandshakeError::OtherTorrent { .. })), "{at}: {result:?}");
        assert!(told.is_empty(), "byte {at}");
    }
    for other in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03 a hello of TLS",
        &[0; 100],
    ] {
        let (result, told) = answered(other);
        assert!(matches!(result, Err(HandshakeError::OtherProtocol { .. })), "{result:?}");
        assert!(told.is_empty());
    }
}

#[test]
fn we_do_not_talk_to_ourselves() {
    let (result, _) = answered(&wire::handshake(FAST, [7; 20], US));
    assert!(matches!(result, Err(HandshakeError::Ourselves)), "{result:?}");
}
