//! Stage 5 from outside: each message byte by byte, framing under bad conditions, bitfields.

mod support;

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s03_tracker::PeerId;
use piecemeal::s04_handshake::transport::{Dial, Transport, pair};
use piecemeal::s04_handshake::{Handshake, HandshakeError};
use piecemeal::s05_messages::bitfield::{Bitfield, BitfieldError, has_spare_bits};
use piecemeal::s05_messages::connection::Connection;
use piecemeal::s05_messages::kinds::MAX_MESSAGE_LENGTH;
use piecemeal::s05_messages::{Message, MessageError, MessageReader, Request};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use support::told::Plain;
use support::{assert_bytes, assert_read, assert_value, assert_wire, reading, within};

const BLOCK: Request = Request { index: 1, begin: 0x4000, length: 0x0102_0304 };

/// Every message and the bytes that the specifications (BEP 3, 5, 6) give it.
const GOLDEN: [(Message, &[u8]); 18] = [
    (Message::KeepAlive, b"\0\0\0\0"),
    (Message::Choke, b"\0\0\0\x01\x00"),
    (Message::Unchoke, b"\0\0\0\x01\x01"),
    (Message::Interested, b"\0\0\0\x01\x02"),
    (Message::NotInterested, b"\0\0\0\x01\x03"),
    (Message::Have { index: 0x0a0b_0c0d }, b"\0\0\0\x05\x04\x0a\x0b\x0c\x0d"),
    (Message::Bitfield { bits: b"\xff\x80" }, b"\0\0\0\x03\x05\xff\x80"),
    (Message::Request(BLOCK), b"\0\0\0\x0d\x06\0\0\0\x01\0\0\x40\0\x01\x02\x03\x04"),
    (
        Message::Piece { index: 1, begin: 0x4000, block: b"spam" },
        b"\0\0\0\x0d\x07\0\0\0\x01\0\0\x40\0spam",
    ),
    (Message::Piece { index: 1, begin: 0, block: b"" }, b"\0\0\0\x09\x07\0\0\0\x01\0\0\0\0"),
    (Message::Cancel(BLOCK), b"\0\0\0\x0d\x08\0\0\0\x01\0\0\x40\0\x01\x02\x03\x04"),
    (Message::Port { port: 0x1ae1 }, b"\0\0\0\x03\x09\x1a\xe1"),
    (Message::Suggest { index: 7 }, b"\0\0\0\x05\x0d\0\0\0\x07"),
    (Message::HaveAll, b"\0\0\0\x01\x0e"),
    (Message::HaveNone, b"\0\0\0\x01\x0f"),
    (Message::Reject(BLOCK), b"\0\0\0\x0d\x10\0\0\0\x01\0\0\x40\0\x01\x02\x03\x04"),
    (Message::AllowedFast { index: 7 }, b"\0\0\0\x05\x11\0\0\0\x07"),
    (Message::Unknown { id: 20, payload: b"\0de" }, b"\0\0\0\x04\x14\0de"),
];

/// What `expect` says of bytes that must be readable.
const RIGHT: &str = "these bytes follow the specification, but reading them failed";

/// Decodes a message. If that panics, the failure also names the bytes.
#[track_caller]
fn decode(frame: &[u8]) -> Result<Message<'_>, MessageError> {
    reading(frame, || Message::decode(frame))
}

/// What a read finds.
enum Comes {
    Bytes(Vec<u8>),
    Fails(ErrorKind),
}

/// A scripted stream; at its end it says that there is no more, or that nobody should have read on.
struct Script {
    comes: VecDeque<Comes>,
    ends: bool,
    largest: usize,
}

/// The words of a read that goes beyond the bytes that are enough.
const TOO_MUCH: &str = "more was read, but the bytes so far are enough to know";

impl Script {
    /// The bytes in chunks of one size, with an error of this kind before each, and then the end.
    fn chunks(bytes: &[u8], size: usize, before: Option<ErrorKind>) -> Script {
        let chunks = bytes.chunks(size).map(|chunk| Comes::Bytes(chunk.to_vec()));
        let comes =
            chunks.flat_map(|chunk| before.map(Comes::Fails).into_iter().chain([chunk])).collect();
        Script { comes, ends: true, largest: 0 }
    }

    /// The bytes; reading beyond them is an error.
    fn only(bytes: &[u8]) -> Script {
        Script { ends: false, ..Script::chunks(bytes, bytes.len(), None) }
    }
}

impl Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.largest = self.largest.max(buffer.len());
        match self.comes.pop_front() {
            Some(Comes::Bytes(mut bytes)) => {
                let rest = bytes.split_off(bytes.len().min(buffer.len()));
                buffer[..bytes.len()].copy_from_slice(&bytes);
                if !rest.is_empty() {
                    self.comes.push_front(Comes::Bytes(rest));
                }
                Ok(bytes.len())
            }
            Some(Comes::Fails(kind)) => Err(kind.into()),
            None if self.ends => Ok(0),
            None => Err(io::Error::other(TOO_MUCH)),
        }
    }
}

fn all() -> Vec<u8> {
    GOLDEN.iter().flat_map(|(_, bytes)| bytes.to_vec()).collect()
}

#[test]
fn each_message_is_written_as_the_specifications_say() {
    for (message, bytes) in GOLDEN {
        let mut written = Vec::new();
        message.write_to(&mut written).expect("memory takes it");
        assert_wire(&written, bytes, "BEP 3, messages");
    }
    let mut both = Vec::new();
    Message::Choke.encode_to(&mut both);
    Message::Unchoke.encode_to(&mut both);
    let what = "choke, and unchoke appended to the same buffer";
    assert_bytes(what, &both, b"\0\0\0\x01\x00\0\0\0\x01\x01", "BEP 3, messages");
}

#[test]
fn each_message_is_read_as_the_specifications_say() {
    for (message, bytes) in GOLDEN {
        let frame = &bytes[4..];
        let read = decode(frame).unwrap_or_else(|error| panic!("{RIGHT}: {frame:02x?}\n  {error}"));
        assert_read(frame, read, message, "BEP 3, message without its length");
    }
}

#[test]
fn unknown_ids_are_carried_with_their_payload() {
    for id in [10, 11, 12, 18, 19, 20, 21, 99, 255] {
        let frame = [id, 1, 2, 3];
        assert_eq!(
            decode(&frame).expect("no id is an error"),
            Message::Unknown { id, payload: &[1, 2, 3] }
        );
        assert_eq!(
            decode(&frame[..1]).expect("no id is an error"),
            Message::Unknown { id, payload: b"" }
        );
    }
}

#[test]
fn a_payload_of_the_wrong_size_is_refused() {
    for (id, size) in [
        (0, 0),
        (1, 0),
        (2, 0),
        (3, 0),
        (4, 4),
        (6, 12),
        (8, 12),
        (9, 2),
        (13, 4),
        (14, 0),
        (15, 0),
        (16, 12),
        (17, 4),
    ] {
        for length in (0..20).filter(|length| *length != size) {
            let frame = [&[id], &vec![0; length][..]].concat();
            match decode(&frame) {
                Err(MessageError::Size { id: found_id, expected, found }) => {
                    assert_eq!((found_id, expected, found), (id, size, length));
                }
                other => panic!(
                    "id {id} with {length} bytes of payload, where {size} are right: {other:?}"
                ),
            }
        }
    }
    for length in 0..8 {
        assert!(matches!(decode(&[7; 9][..=length]), Err(MessageError::Size { id: 7, .. })));
    }
}

#[test]
fn messages_are_length_prefixed_not_of_a_fixed_length() {
    for size in [1, 2, 3, 4, 5, 7, 64, 5000] {
        let mut messages = MessageReader::new(Script::chunks(&all(), size, None));
        for (message, _) in GOLDEN {
            assert_value(
                &format!("the next message, in chunks of {size} bytes"),
                messages.read().expect(RIGHT),
                message,
                "BEP 3, messages",
            );
        }
        assert!(matches!(messages.read(), Err(MessageError::HungUp { inside: false })));
    }
}

#[test]
fn after_a_timeout_reading_goes_on_where_it_stopped() {
    for (kind, size) in
        [(ErrorKind::TimedOut, 1), (ErrorKind::TimedOut, 6), (ErrorKind::Interrupted, 1)]
    {
        let mut messages = MessageReader::new(Script::chunks(&all(), size, Some(kind)));
        for (message, _) in GOLDEN {
            loop {
                match messages.read() {
                    Ok(found) => break assert_eq!(found, message),
                    Err(error) => assert!(
                        error.is_timeout() && kind == ErrorKind::TimedOut,
                        "after {kind:?} reading ended with {error:?}; an interrupted read is no error"
                    ),
                }
            }
        }
    }
}

#[test]
fn a_message_that_has_begun_is_told_from_silence() {
    let mut messages =
        MessageReader::new(Script::chunks(b"\0\0\0\x01\x01", 2, Some(ErrorKind::TimedOut)));
    for begun in [false, true, true] {
        assert!(messages.read().expect_err("it is not complete").is_timeout());
        assert_eq!(!messages.begun().is_empty(), begun);
    }
    assert_eq!(messages.read().expect("it is complete"), Message::Unchoke);
    assert!(messages.begun().is_empty());
}

#[test]
fn a_stream_that_ends_inside_a_message_says_so() {
    let stream = b"\0\0\0\x05\x04\0\0\0\x07";
    for length in 0..stream.len() {
        match MessageReader::new(Script::chunks(&stream[..length], 100, None)).read() {
            Err(MessageError::HungUp { inside }) => assert_eq!(inside, length > 0),
            other => panic!("{length}: {other:?}"),
        }
    }
    let mut broken =
        MessageReader::new(Script::chunks(stream, 100, Some(ErrorKind::ConnectionReset)));
    assert!(
        matches!(broken.read(), Err(MessageError::Io(error)) if error.kind() == ErrorKind::ConnectionReset)
    );
}

/// Fails unless these bytes were enough to refuse a message that is announced as this long.
#[track_caller]
fn assert_refused(from: &[u8], found: Result<Message, MessageError>, length: usize, limit: usize) {
    let found = match found {
        Ok(message) => format!("it was taken: {message:?}"),
        Err(MessageError::Io(error)) => {
            format!("{error}: it was to be refused at byte {}", from.len())
        }
        Err(error) => format!("{error:?}"),
    };
    let expected = format!("TooLong {{ length: {length}, limit: {limit} }}");
    assert_read(from, Plain(found), Plain(expected), "BEP 3, limits");
}

#[test]
fn a_block_over_16_kib_is_refused_from_its_first_five_bytes() {
    let mut longest = [&[0, 0, 0x40, 9, 7][..], &[0; 8], &[b'x'; 16384]].concat();
    match MessageReader::new(Script::only(&longest)).read() {
        Ok(Message::Piece { block, .. }) => assert!(block == [b'x'; 16384], "its bytes differ"),
        other => panic!("{RIGHT}: {other:?}"),
    }
    longest[3] += 1;
    let mut messages = MessageReader::new(Script::only(&longest[..5]));
    messages.set_limit(u32::MAX); // a bitfield may be longer, a block never
    assert_refused(&longest[..5], messages.read(), 16_394, 16_393);
}

/// The bitfield of the largest torrent, 2^21 pieces, with its id.
const MAX_BITFIELD_LENGTH: usize = (1 << 18) + 1;

#[test]
fn a_message_over_the_limit_is_refused_from_its_length() {
    for prefix in [[0, 0x04, 0, 2], [0x7f, 0xff, 0xff, 0xff], [0xff; 4], *b"GET "] {
        let length = u32::from_be_bytes(prefix) as usize;
        let mut messages = MessageReader::new(Script::only(&prefix));
        assert_refused(&prefix, messages.read(), length, MAX_BITFIELD_LENGTH);
    }
    // Only a bitfield may be as long as that.
    for id in [0, 4, 6, 20, 99] {
        let begin = [0, 0x02, 0, 1, id];
        let mut messages = MessageReader::new(Script::only(&begin));
        assert_refused(&begin, messages.read(), 131_073, MAX_MESSAGE_LENGTH);
    }
    let longest = [&[0, 0x02, 0, 0, 20][..], &vec![7; (128 << 10) - 1]].concat();
    match MessageReader::new(Script::only(&longest)).read() {
        Ok(Message::Unknown { id: 20, payload }) => assert_eq!(payload.len(), (128 << 10) - 1),
        other => panic!("{other:?}"),
    }
    let longest = [&[0, 0x04, 0, 1, 5][..], &vec![0xff; 1 << 18]].concat();
    match MessageReader::new(Script::only(&longest)).read() {
        Ok(Message::Bitfield { bits }) => assert_eq!(bits.len(), 1 << 18),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_buffer_does_not_outgrow_the_longest_message() {
    let longest = [&[0, 0x02, 0, 0, 20][..], &vec![7; (128 << 10) - 1]].concat();
    for (pieces, most) in [(1, 4 + (128 << 10)), (1 << 21, 4 + MAX_BITFIELD_LENGTH)] {
        // If a message ends where a chunk does, the next read is offered the whole buffer.
        for chunk in [60_000, longest.len() / 4] {
            let stream = Script::chunks(&longest.repeat(3), chunk, None);
            let mut messages = MessageReader::new(stream);
            messages.set_limit(pieces);
            for _ in 0..3 {
                messages.read().expect(RIGHT);
            }
            let largest = messages.get_mut().largest;
            assert!(
                largest <= most,
                "a read was offered room for {largest} bytes, but the longest message and its length are {most}"
            );
        }
    }
}

#[test]
fn the_limit_grows_with_the_bitfield_of_the_torrent_and_never_shrinks() {
    let bits = vec![0xff; 2 << 20];
    let stream = [&[0, 0x20, 0, 1, 5][..], &bits].concat();
    let mut messages = MessageReader::new(Script::only(&stream));
    messages.set_limit(16 << 20);
    let found = messages.read().expect("it has one bit a piece");
    assert!(found == Message::Bitfield { bits: &bits }, "it is not the bitfield that was sent");
    let mut messages = MessageReader::new(Script::only(&stream[..4]));
    messages.set_limit((16 << 20) - 8);
    assert!(matches!(messages.read(), Err(MessageError::TooLong { .. })));
    let mut messages = MessageReader::new(Script::only(b"\0\0\0\x03\x14\0\0"));
    messages.set_limit(1);
    messages.read().expect("a small torrent has large extended messages, too");
}

#[test]
fn a_length_prefix_alone_allocates_nothing() {
    // 128 KiB are announced, and a little comes: the buffer grows only with the bytes received.
    for come in [0, 1, 100, 5000, 100_000] {
        let stream = [&[0, 0x02, 0, 0, 20][..], &vec![0; come]].concat();
        let mut messages = MessageReader::new(Script::chunks(&stream, 1000, None));
        assert!(matches!(messages.read(), Err(MessageError::HungUp { inside: true })));
        let (largest, most) = (messages.get_mut().largest, (4 * stream.len()).max(1024));
        assert!(
            largest <= most,
            "{} bytes had come, and a read was offered room for {largest}, but {most} are enough: the buffer grows with what comes, not with what is announced",
            stream.len()
        );
    }
}

#[test]
fn messages_put_aside_are_read_again_in_order_and_before_anything_new() {
    for size in [1, 5, 11, 5000] {
        let stream =
            b"\0\0\0\x03\x05\xff\x80\0\0\0\x01\x0e\0\0\0\x01\x01\0\0\0\0\0\0\0\x05\x04\0\0\0\x07";
        let mut messages = MessageReader::new(Script::chunks(stream, size, None));
        for kept in [true, false, true] {
            messages.read().expect(RIGHT);
            if kept {
                messages.defer().expect("it is short");
            }
        }
        messages.replay();
        let bits = Message::Bitfield { bits: b"\xff\x80" };
        for expected in [bits, Message::Unchoke, Message::KeepAlive, Message::Have { index: 7 }] {
            assert_eq!(messages.read().expect(RIGHT), expected, "in chunks of {size}");
        }
        assert!(matches!(messages.read(), Err(MessageError::HungUp { inside: false })));
    }
}

#[test]
fn a_second_replay_brings_nothing_twice() {
    let stream = b"\0\0\0\x01\x00\0\0\0\x01\x01\0\0\0\x01\x02";
    let mut messages = MessageReader::new(Script::only(stream));
    assert_eq!(messages.read().expect(RIGHT), Message::Choke);
    messages.defer().expect("it is short");
    messages.replay();
    assert_eq!(messages.read().expect(RIGHT), Message::Choke, "it was put aside");
    messages.replay();
    let found = messages.read().expect(RIGHT);
    assert_eq!(found, Message::Unchoke, "the choke was replayed, so it is not aside any more");
    messages.defer().expect("it is short");
    messages.replay();
    for expected in [Message::Unchoke, Message::Interested] {
        let found = messages.read().expect(RIGHT);
        assert_eq!(found, expected, "only the unchoke was put aside since the last replay");
    }
}

#[test]
fn replay_without_anything_put_aside_changes_nothing() {
    let mut messages = MessageReader::new(Script::chunks(&all(), 7, None));
    for (message, _) in GOLDEN {
        messages.replay();
        assert_eq!(messages.read().expect(RIGHT), message);
    }
}

#[test]
fn no_more_is_put_aside_than_a_bitfield_and_one_message_may_be_long() {
    let have = b"\0\0\0\x05\x04\0\0\0\x07";
    let count = (MAX_BITFIELD_LENGTH + MAX_MESSAGE_LENGTH) / have.len();
    let mut messages = MessageReader::new(Script::chunks(&have.repeat(count + 1), 4096, None));
    for _ in 0..count {
        messages.read().expect(RIGHT);
        messages.defer().expect("there is room");
    }
    messages.read().expect(RIGHT);
    assert!(matches!(messages.defer(), Err(MessageError::TooLong { .. })));
}

/// A `piece` message.
fn piece(index: u32, begin: u32, block: &[u8]) -> Vec<u8> {
    let length = 9 + block.len() as u32;
    [&length.to_be_bytes(), &b"\x07"[..], &index.to_be_bytes(), &begin.to_be_bytes(), block]
        .concat()
}

/// A block of the longest kind, the first of a run. With it in the buffer, there is room
/// for three more after it.
fn longest() -> Vec<u8> {
    piece(1, 0, &[b'x'; 16_384])
}

#[test]
fn a_busy_peer_is_read_four_blocks_at_a_time_and_no_more() {
    let block = 4 + 9 + 16_384;
    let stream = longest().repeat(100);
    let mut messages = MessageReader::new(Script::chunks(&stream, stream.len(), None));
    for number in 0..100 {
        let message = messages.read().expect(RIGHT);
        let expected = Message::Piece { index: 1, begin: 0, block: &[b'x'; 16_384] };
        assert!(message == expected, "block {number} of 100 differs from what was sent");
    }
    let (largest, busy) = (messages.get_mut().largest, 4 * block);
    assert_eq!(
        largest, busy,
        "the most bytes that a read was offered room for; a busy peer gets four blocks with their heads"
    );
}

#[test]
fn a_busy_peers_buffer_takes_the_memory_of_its_four_blocks_and_little_more() {
    let stream = longest().repeat(100);
    let mut messages = MessageReader::new(&stream[..]);
    let used = allocation_counter::measure(|| {
        for number in 0..100 {
            messages.read().unwrap_or_else(|error| panic!("block {number} of 100: {error}"));
        }
    });
    let (held, busy) = (used.bytes_current, 4 * (4 + 9 + 16_384));
    assert!(
        held <= busy + busy / 8,
        "the buffer has taken {held} bytes of memory for the {busy} that it offers to a read; with 200 peers, what is too much is there 200 times"
    );
}

#[test]
fn the_block_that_goes_on_where_one_ends_is_taken_with_it() {
    let stream = [
        longest(),
        piece(1, 16_384, &[b'y'; 16_384]),
        piece(1, 32_768, b"z"),
        b"\0\0\0\x01\x01".to_vec(),
    ]
    .concat();
    let mut messages = MessageReader::new(Script::only(&stream));
    let (message, mut rest) = messages.read_with_rest().expect(RIGHT);
    let first = Message::Piece { index: 1, begin: 0, block: &[b'x'; 16_384] };
    assert!(message == first, "the first block differs from what was sent");
    let taken = [rest.block(1, 16_384), rest.block(1, 32_768)];
    let count = 1 + taken.iter().flatten().count();
    assert_eq!(
        count, 3,
        "only {count} of 3 blocks were in the buffer: a read that fills it shows a busy peer, and it grows fourfold (chapter 5)"
    );
    assert!(taken == [Some(&[b'y'; 16_384][..]), Some(&b"z"[..])], "the other blocks differ");
    assert_eq!(rest.block(1, 32_769), None);
    assert!(!messages.begun().is_empty(), "there is an unchoke");
    assert_eq!(messages.read().expect(RIGHT), Message::Unchoke);
    assert!(messages.begun().is_empty());
}

#[test]
fn what_is_not_the_next_block_stays_to_be_read() {
    let next = piece(1, 16_384, b"eggs");
    let whole: [(&str, Vec<u8>, Message); 9] = [
        (
            "another piece",
            piece(2, 16_384, b"eggs"),
            Message::Piece { index: 2, begin: 16_384, block: b"eggs" },
        ),
        (
            "another begin",
            piece(1, 16_383, b"eggs"),
            Message::Piece { index: 1, begin: 16_383, block: b"eggs" },
        ),
        (
            "the one before",
            piece(1, 0, b"eggs"),
            Message::Piece { index: 1, begin: 0, block: b"eggs" },
        ),
        (
            "an empty block",
            piece(1, 16_384, b""),
            Message::Piece { index: 1, begin: 16_384, block: b"" },
        ),
        ("a keep-alive", b"\0\0\0\0".to_vec(), Message::KeepAlive),
        ("a choke", b"\0\0\0\x01\x00".to_vec(), Message::Choke),
        ("a have", b"\0\0\0\x05\x04\0\0\0\x07".to_vec(), Message::Have { index: 7 }),
        (
            "a request of the same numbers",
            b"\0\0\0\x0d\x06\0\0\0\x01\0\0\x40\0eggs".to_vec(),
            Message::Request(Request {
                index: 1,
                begin: 16_384,
                length: u32::from_be_bytes(*b"eggs"),
            }),
        ),
        (
            "an unknown one that looks like it",
            b"\0\0\0\x0d\x15\0\0\0\x01\0\0\x40\0eggs".to_vec(),
            Message::Unknown { id: 21, payload: b"\0\0\0\x01\0\0\x40\0eggs" },
        ),
    ];
    for (what, bytes, expected) in whole {
        let mut messages =
            MessageReader::new(Script::only(&[longest(), bytes, next.clone()].concat()));
        let (_, mut rest) = messages.read_with_rest().expect(RIGHT);
        // Asking again changes nothing.
        assert_eq!([rest.block(1, 16_384), rest.block(1, 16_384)], [None; 2], "{what}");
        let (message, mut rest) = messages.read_with_rest().expect(RIGHT);
        assert_eq!(message, expected, "{what}");
        // It is at the front now, but not part of any run yet.
        assert_eq!(rest.block(1, 16_384), Some(&b"eggs"[..]), "behind {what}");
    }
    let broken = [
        ("a piece without a block", b"\0\0\0\x05\x07\0\0\0\x01".to_vec()),
        ("a have of two bytes", b"\0\0\0\x03\x04\0\0".to_vec()),
        ("a block that is too long", piece(1, 16_384, &[b'y'; 16_385])),
        ("a length of 4 GiB", [&[0xff; 4], &next[4..]].concat()),
    ];
    for (what, bytes) in broken {
        let mut messages =
            MessageReader::new(Script::only(&[longest(), bytes, next.clone()].concat()));
        let (_, mut rest) = messages.read_with_rest().expect(RIGHT);
        assert_eq!(rest.block(1, 16_384), None, "{what}");
        match messages.read().map(|_| ()) {
            Err(MessageError::Size { .. } | MessageError::TooLong { .. }) => {}
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[test]
fn a_block_that_has_not_come_in_full_stays_to_be_read() {
    let next = piece(1, 16_384, b"eggs");
    for come in 0..next.len() {
        let comes = [
            Comes::Bytes([&longest()[..], &next[..come]].concat()),
            Comes::Fails(ErrorKind::TimedOut),
        ];
        let comes = comes.into_iter().chain([Comes::Bytes(next[come..].to_vec())]).collect();
        let mut messages = MessageReader::new(Script { comes, ends: false, largest: 0 });
        let (_, mut rest) = messages.read_with_rest().expect(RIGHT);
        assert_eq!(rest.block(1, 16_384), None, "{come} bytes of it");
        assert_eq!(!messages.begun().is_empty(), come > 0);
        assert!(messages.read().expect_err("it is not complete").is_timeout());
        assert_eq!(!messages.begun().is_empty(), come > 0);
        assert_eq!(
            messages.read().expect(RIGHT),
            Message::Piece { index: 1, begin: 16_384, block: b"eggs" }
        );
        assert!(messages.begun().is_empty());
    }
}

#[test]
fn blocks_that_were_taken_together_are_put_aside_together() {
    let stream = [
        piece(1, 0, b"spam"),
        piece(1, 4, b"eggs"),
        piece(1, 8, b"ham"),
        b"\0\0\0\x01\x01".to_vec(),
    ]
    .concat();
    let mut messages = MessageReader::new(Script::only(&stream));
    let (_, mut rest) = messages.read_with_rest().expect(RIGHT);
    assert_eq!(rest.block(1, 4), Some(&b"eggs"[..]));
    messages.defer().expect("it is short");
    assert_eq!(messages.read().expect(RIGHT), Message::Piece { index: 1, begin: 8, block: b"ham" });
    messages.replay();
    assert!(!messages.begun().is_empty());
    assert_eq!(
        messages.read().expect(RIGHT),
        Message::Piece { index: 1, begin: 0, block: b"spam" }
    );
    assert_eq!(
        messages.read().expect(RIGHT),
        Message::Piece { index: 1, begin: 4, block: b"eggs" }
    );
    assert_eq!(messages.read().expect(RIGHT), Message::Unchoke);
    assert!(messages.begun().is_empty());
}

#[test]
fn replay_right_behind_a_run_goes_on_with_what_came_after_it() {
    let stream =
        [piece(1, 0, b"spam"), piece(1, 4, b"eggs"), b"\0\0\0\x01\x01\0\0".to_vec()].concat();
    let mut messages = MessageReader::new(Script::only(&stream));
    let (_, mut rest) = messages.read_with_rest().expect(RIGHT);
    assert_eq!(rest.block(1, 4), Some(&b"eggs"[..]));
    messages.replay();
    assert_eq!(messages.read().expect(RIGHT), Message::Unchoke);
    assert!(!messages.begun().is_empty(), "two bytes of the next one");
}

/// A message that owns its bytes.
fn kept(message: &Message) -> (Option<(u32, u32, Vec<u8>)>, String) {
    match message {
        Message::Piece { index, begin, block } => {
            (Some((*index, *begin, block.to_vec())), String::new())
        }
        other => (None, format!("{other:?}")),
    }
}

#[test]
fn taken_in_runs_or_one_by_one_the_messages_are_the_same() {
    let mut random = StdRng::seed_from_u64(11);
    let (mut in_runs, mut alone) = (0, 0);
    for round in 0..300 {
        let mut stream = Vec::new();
        let (mut index, mut begin) = (0, 0);
        for _ in 0..random.random_range(1..60) {
            match random.random_range(0..10) {
                0 => (index, begin) = (random.random_range(0..2), random.random_range(0..9)),
                1 => stream.extend(GOLDEN[random.random_range(0..GOLDEN.len())].1),
                _ => {
                    let length = if random.random_range(0..6) == 0 {
                        16_384
                    } else {
                        random.random_range(0..300)
                    };
                    stream.extend(piece(index, begin, &vec![random.random(); length]));
                    begin += length as u32;
                }
            }
        }
        let mut expected = Vec::new();
        let mut messages = MessageReader::new(Script::chunks(&stream, stream.len().max(1), None));
        while let Ok(message) = messages.read() {
            expected.push(kept(&message));
        }
        // The same stream in chunks of random sizes, and now and then nothing for a while.
        let (mut comes, mut left) = (VecDeque::new(), &stream[..]);
        while !left.is_empty() {
            let most = [3, 200, 20_000, 300_000][round % 4];
            let (chunk, rest) = left.split_at(random.random_range(1..=most).min(left.len()));
            comes.push_back(Comes::Bytes(chunk.to_vec()));
            if random.random_range(0..4) == 0 {
                comes.push_back(Comes::Fails(
                    [ErrorKind::TimedOut, ErrorKind::Interrupted][random.random_range(0..2)],
                ));
            }
            left = rest;
        }
        let mut messages = MessageReader::new(Script { comes, ends: true, largest: 0 });
        let mut found = Vec::new();
        loop {
            match messages.read_with_rest() {
                Ok((message, mut rest)) => {
                    found.push(kept(&message));
                    let Message::Piece { index, begin, block } = message else { continue };
                    alone += 1;
                    let mut end = begin + block.len() as u32;
                    // Not always to the end of the run.
                    while random.random_range(0..8) > 0
                        && let Some(block) = rest.block(index, end)
                    {
                        found.push((Some((index, end, block.to_vec())), String::new()));
                        end += block.len() as u32;
                        in_runs += 1;
                    }
                }
                Err(error) if error.is_timeout() => {}
                Err(MessageError::HungUp { inside: false }) => break,
                Err(error) => panic!("round {round}: {error}"),
            }
        }
        assert!(
            found == expected,
            "round {round}: {} messages, not {}",
            found.len(),
            expected.len()
        );
    }
    assert!(in_runs > 1000 && alone > 1000, "{in_runs} in runs, {alone} alone");
}

#[test]
fn mutilated_messages_are_refused_or_read_but_never_panic() {
    let mut random = StdRng::seed_from_u64(5);
    for round in 0..20_000 {
        let mut stream = all();
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..stream.len());
            stream[at] = random.random();
        }
        let mut messages = MessageReader::new(Script::chunks(&stream, 1 + round % 40, None));
        let mut written = Vec::new();
        while let Ok(message) = messages.read() {
            message.encode_to(&mut written);
            if round % 7 == 0 {
                let _ = messages.defer();
            }
        }
        // Written again, it gives the same bytes.
        assert_eq!(written, stream[..written.len()]);
    }
}

#[test]
fn the_first_piece_is_the_highest_bit() {
    let bits = Bitfield::decode(&[0b1000_0001, 0b0100_0000], 10).expect(RIGHT);
    assert_read(
        &[0b1000_0001, 0b0100_0000],
        bits.iter().collect::<Vec<_>>(),
        [0, 7, 9],
        "BEP 3, bitfield",
    );
    assert_wire(&bits.encode(), &[0b1000_0001, 0b0100_0000], "BEP 3, bitfield");
    assert_eq!((bits.count(), bits.is_full()), (3, false));
    assert!(bits.has(7) && !bits.has(8) && !bits.has(10) && !bits.has(u32::MAX));
    let words: Vec<String> = bits.words().iter().map(|word| format!("{word:016x}")).collect();
    assert_eq!(words, ["8140000000000000"], "the first piece is the highest bit of a word");
}

/// Fails unless this bitfield was read. Its words are in hex, which shows their bits.
#[track_caller]
fn assert_bits(payload: &[u8], pieces: u32, expected: &Bitfield) {
    let found = reading(payload, || Bitfield::decode(payload, pieces));
    assert!(
        found.as_ref() == Ok(expected),
        "{payload:02x?} for {pieces} pieces:\n  expected  {expected:x?}\n  found     {found:x?}"
    );
}

#[test]
fn a_bitfield_of_the_wrong_length_is_refused_and_spare_bits_are_cleared() {
    for (pieces, bytes) in [(0, 0), (1, 1), (8, 1), (9, 2), (64, 8), (65, 9), (1000, 125)] {
        assert_bits(&vec![0; bytes], pieces, &Bitfield::new(pieces));
        for found in (0..bytes + 9).filter(|found| *found != bytes) {
            let length = BitfieldError::Length { expected: bytes, pieces, found };
            let payload = vec![0; found];
            assert_eq!(reading(&payload, || Bitfield::decode(&payload, pieces)), Err(length));
        }
        let full = Bitfield::full(pieces).encode();
        assert_eq!(Bitfield::decode(&full, pieces).map(|bits| bits.count()), Ok(pieces));
        if pieces % 8 != 0 {
            let mut spare = full.clone();
            spare[bytes - 1] |= 1 << (7 - pieces % 8);
            assert!(has_spare_bits(&spare, pieces) && !has_spare_bits(&full, pieces));
            assert_bits(&spare, pieces, &Bitfield::full(pieces));
            assert_bits(&vec![0xff; bytes], pieces, &Bitfield::full(pieces));
        }
    }
    assert_wire(&Bitfield::full(10).encode(), &[0xff, 0xc0], "BEP 3, bitfield");
    // The six lowest bits of the second byte belong to no piece; the two highest do.
    assert!([0x3f, 0x20, 0x01].iter().all(|last| has_spare_bits(&[0, *last], 10)));
    assert!([0x00, 0x40, 0x80, 0xc0].iter().all(|last| !has_spare_bits(&[0, *last], 10)));
    assert!(
        !has_spare_bits(&[], 0) && !has_spare_bits(&[0xff], 8) && !has_spare_bits(&[0xff, 0xff], 5)
    );
}

#[test]
fn a_bitfield_is_a_set_of_pieces() {
    let mut random = StdRng::seed_from_u64(6);
    for pieces in [1, 7, 8, 63, 64, 65, 128, 200] {
        let (mut bits, mut model) = (Bitfield::new(pieces), BTreeSet::new());
        for _ in 0..500 {
            let (index, has) = (random.random_range(0..pieces + 70), random.random());
            let changed =
                index < pieces && if has { model.insert(index) } else { model.remove(&index) };
            assert_eq!(
                bits.set(index, has),
                changed,
                "{pieces} pieces: whether set({index}, {has}) changes the set"
            );
            assert_eq!(
                bits.has(index),
                model.contains(&index),
                "{pieces} pieces: has({index}) after set({index}, {has})"
            );
        }
        assert_eq!(bits.iter().collect::<Vec<_>>(), model.iter().copied().collect::<Vec<_>>());
        assert_eq!(
            (bits.count() as usize, bits.is_full()),
            (model.len(), model.len() == pieces as usize)
        );
        assert_bits(&bits.encode(), pieces, &bits);
        assert!(Bitfield::full(pieces).is_full() && !Bitfield::new(pieces).is_full());
    }
}

/// Hands out one end of a pipe.
struct Pipe(Mutex<Option<Transport>>);

impl Dial for Pipe {
    fn dial(&self, _: SocketAddr, _: Instant) -> io::Result<Transport> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .ok_or_else(|| ErrorKind::ConnectionRefused.into())
    }
}

fn open(answer: &[u8], time: Duration) -> (Result<Connection, HandshakeError>, Transport) {
    let address = |last| SocketAddr::from(([192, 0, 2, last], 6881));
    let (near, mut far) = pair(4096, address(1), address(2));
    far.set_deadline(Instant::now() + Duration::from_secs(60));
    far.write_all(answer).expect("there is room");
    let ours = Handshake::new(InfoHash([b'a'; 20]), PeerId([b'b'; 20]));
    let until = Instant::now() + time;
    let opened = within(Duration::from_secs(120), move || {
        Connection::open(&Pipe(Mutex::new(Some(near))), address(2), &ours, until)
    });
    (opened, far)
}

#[test]
fn a_connection_shakes_hands_then_speaks_in_messages_and_hangs_up_when_dropped() {
    let hello = b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0aaaaaaaaaaaaaaaaaaaacccccccccccccccccccc";
    let (connection, mut far) =
        open(&[&hello[..], b"\0\0\0\x01\x01"].concat(), Duration::from_secs(60));
    let mut connection = connection.expect("it is the same torrent");
    assert_eq!((connection.theirs.peer_id.0, connection.peer.port()), ([b'c'; 20], 6881));
    assert_eq!(connection.read().expect("it has come"), Message::Unchoke);
    connection.send(&Message::Interested).expect("there is room");
    drop(connection);
    let mut all = Vec::new();
    far.read_to_end(&mut all).expect("it ends");
    assert_wire(&all[68..], b"\0\0\0\x01\x02", "BEP 3, messages");
    assert!(far.write_all(b"x").is_err());
}

#[test]
fn a_peer_that_stays_silent_is_given_up_at_the_deadline() {
    for answer in [&b""[..], b"\x13", b"\x13BitTorrent protocol\0\0"] {
        let (result, _far) = open(answer, Duration::from_millis(500));
        assert!(
            matches!(result.map(|_| ()), Err(HandshakeError::Io(error)) if error.kind() == ErrorKind::TimedOut)
        );
    }
}
