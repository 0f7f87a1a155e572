//! A leecher of a few lines.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use piecemeal::lab::content::Content;
use piecemeal::lab::notes::Notes;
use piecemeal::lab::seeder::{Plan, Seeder};
use piecemeal::s19_pex::Gossip;

use crate::support::{LIMIT, jitter, wire};

pub const PLAIN: [u8; 8] = [0; 8];
pub const EXTENDED: [u8; 8] = [0, 0, 0, 0, 0, wire::EXTENSION_BIT, 0, 0];

/// Two pieces of three blocks and 100 bytes, a third that is one byte long.
pub fn content() -> Content {
    Content::single("three.txt", 2 * (3 * 16_384 + 100) + 1, 3 * 16_384 + 100, 7)
        .expect("a torrent")
}

pub fn seeder(content: &Content, plan: Plan) -> (Seeder, Notes) {
    let notes = Notes::default();
    (
        Seeder::start(
            9,
            std::slice::from_ref(content),
            &plan,
            &Gossip::new(Vec::new),
            notes.clone(),
        )
        .expect("a port is free"),
        notes,
    )
}

/// Waits until a condition holds; the last note comes when the connection is over.
pub fn soon(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < until, "not within 60 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until a connection is refused. It may take a moment: a process that another test is
/// just starting holds a copy of every socket until its program runs.
pub fn nobody_listens(address: SocketAddr) {
    soon("nobody listens", || TcpStream::connect_timeout(&address, LIMIT).is_err());
}

/// The notes up to the end of a connection.
pub fn notes_to_the_last(notes: &Notes) -> Vec<String> {
    let mut seen = Vec::new();
    soon("the connection's last note", || {
        seen.extend(notes.take());
        seen.iter().any(|note| note.json["event"] == "left")
    });
    seen.into_iter().map(|note| note.text).collect()
}

/// The note at the end of a connection.
pub fn last_note(notes: &Notes) -> String {
    notes_to_the_last(notes).pop().expect("there is one")
}

pub fn request(index: u32, begin: u32, length: u32) -> Vec<u8> {
    wire::message(wire::REQUEST, &[index, begin, length].map(u32::to_be_bytes).concat())
}

pub struct Client {
    pub stream: TcpStream,
}

impl Client {
    pub fn dial(address: SocketAddr) -> Client {
        let stream = TcpStream::connect_timeout(&address, LIMIT).expect("somebody listens");
        stream.set_read_timeout(Some(LIMIT)).expect("a timeout can be set");
        Client { stream }
    }

    /// Shakes hands, and also returns the 68 bytes that came back.
    pub fn greet(address: SocketAddr, content: &Content, reserved: [u8; 8]) -> (Client, Vec<u8>) {
        let mut client = Client::dial(address);
        client.send(&wire::handshake(reserved, content.info_hash().0, *b"-XX0000-tester000001"));
        let answer = client.take(68);
        (client, answer)
    }

    /// Shakes hands, passes over the bitfield, and is unchoked.
    pub fn unchoked(address: SocketAddr, content: &Content) -> Client {
        let (mut client, _) = Client::greet(address, content, PLAIN);
        assert_eq!(client.message().expect("a bitfield").0, wire::BITFIELD);
        client.send(&wire::message(wire::INTERESTED, b""));
        assert_eq!(client.message().expect("an unchoke"), (wire::UNCHOKE, Vec::new()));
        client
    }

    pub fn send(&mut self, bytes: &[u8]) {
        jitter::around(|| self.stream.write_all(bytes)).expect("the other side reads");
    }

    pub fn take(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        jitter::around(|| self.stream.read_exact(&mut bytes)).expect("that many bytes come");
        bytes
    }

    /// The id and payload of the next message.
    pub fn message(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut length = [0; 4];
        jitter::around(|| self.stream.read_exact(&mut length))?;
        let mut rest = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut rest)?;
        Ok((rest.remove(0), rest))
    }

    pub fn request(&mut self, index: u32, begin: u32, length: u32) {
        self.send(&request(index, begin, length));
    }

    /// Requests a block and returns what comes.
    pub fn block(&mut self, index: u32, begin: u32, length: u32) -> Vec<u8> {
        self.request(index, begin, length);
        self.piece(index, begin)
    }

    /// The block of the next message, which must be this one.
    pub fn piece(&mut self, index: u32, begin: u32) -> Vec<u8> {
        let (id, payload) = self.message().expect("a block");
        assert_eq!(
            (id, &payload[..8]),
            (wire::PIECE, &[index.to_be_bytes(), begin.to_be_bytes()].concat()[..])
        );
        payload[8..].to_vec()
    }

    /// Whether the other side has hung up, within the read timeout.
    pub fn is_over(&mut self) -> bool {
        match self.stream.read(&mut [0; 1]) {
            Ok(count) => count == 0,
            Err(error) => {
                !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
            }
        }
    }
}
