//! Captures, written by hand.

use super::bytes::{INFO_HASH, handshake};
use crate::support::wire;
use crate::support::{Outcome, Run, folder};
use std::fmt::Write;

pub const PEER: &str = "127.0.0.2:6881";
pub const OTHER: &str = "[::1]:6881";
pub const TRACKER: &str = "http://127.0.0.1:6969/announce";

/// The lines of a capture.
#[derive(Clone)]
pub struct Tape(pub String);

impl Tape {
    pub fn new() -> Tape {
        Tape("{\"piecemeal_capture\":1,\"started\":\"1792161600\"}\n".to_owned())
    }

    pub fn says(
        mut self,
        time: u64,
        connection: u32,
        peer: &str,
        way: &str,
        bytes: impl AsRef<[u8]>,
    ) -> Tape {
        let hex = hex::encode(bytes);
        let _ = writeln!(
            self.0,
            r#"{{"t":{time},"c":{connection},"peer":"{peer}","d":"{way}","hex":"{hex}"}}"#
        );
        self
    }

    pub fn out(self, time: u64, bytes: impl AsRef<[u8]>) -> Tape {
        self.says(time, 1, PEER, "out", bytes)
    }

    pub fn comes(self, time: u64, bytes: impl AsRef<[u8]>) -> Tape {
        self.says(time, 1, PEER, "in", bytes)
    }

    pub fn end(mut self, time: u64, connection: u32, peer: &str) -> Tape {
        let _ = writeln!(self.0, r#"{{"t":{time},"c":{connection},"peer":"{peer}","d":"end"}}"#);
        self
    }

    pub fn tracker(mut self, time: u64, url: &str, way: &str, bytes: impl AsRef<[u8]>) -> Tape {
        let hex = hex::encode(bytes);
        let _ = writeln!(self.0, r#"{{"t":{time},"tracker":"{url}","d":"{way}","hex":"{hex}"}}"#);
        self
    }

    /// Runs `piecemeal explain` on it, in a file `tape`.
    pub fn explain(&self, words: &[&str]) -> Outcome {
        self.run(&[&["explain", "tape"], words].concat())
    }

    pub fn run(&self, words: &[&str]) -> Outcome {
        let folder = folder();
        std::fs::write(folder.path().join("tape"), &self.0).expect("the folder can be written");
        Run::new(words).dir(folder.path()).run()
    }
}

/// Our own handshake, with the extension protocol.
pub fn ours() -> Vec<u8> {
    [&b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\0"[..], INFO_HASH, b"-PM0001-abcdefghijkl"].concat()
}

/// A request of 16 bytes.
pub fn request(piece: u32, begin: u32) -> Vec<u8> {
    wire::message(
        wire::REQUEST,
        &[piece.to_be_bytes(), begin.to_be_bytes(), 16u32.to_be_bytes()].concat(),
    )
}

/// A short conversation with everything in it: a tracker, two peers, chunks that end anywhere,
/// an extension whose id is in the handshake of the other side.
pub fn small() -> Tape {
    let (first, second) = (wire::block(3, 0, &[0xab; 16]), wire::block(3, 16, &[0xab; 16]));
    let blocks = [first, second].concat();
    Tape::new()
        .tracker(100, TRACKER, "out", "http://127.0.0.1:6969/announce?port=6881&left=1")
        .tracker(1_200, TRACKER, "in", "d8:intervali1800e5:peers6:\x7f\0\0\x02\x1a\u{61}e")
        .out(2_000, ours())
        .says(2_100, 2, OTHER, "out", ours())
        .comes(3_000, &handshake()[..40])
        .comes(
            3_500,
            [
                &handshake()[40..],
                &wire::extended(0, b"d1:md11:ut_metadatai3eee"),
                &wire::message(1, b""),
            ]
            .concat(),
        )
        .out(
            4_000,
            [wire::extended(0, b"d1:md11:lt_donthavei7eee"), wire::message(2, b"")].concat(),
        )
        .out(5_000, wire::extended(3, b"d8:msg_typei0e5:piecei0ee"))
        .out(6_000, [request(3, 0), request(3, 16)].concat())
        .comes(1_000_007, &blocks[..20])
        .comes(2_000_000, &blocks[20..])
        .comes(2_000_100, wire::extended(7, b"\0\0\0\x05"))
        .end(2_100_000, 1, PEER)
        .end(2_100_001, 2, OTHER)
}
