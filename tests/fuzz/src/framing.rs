//! Framing: the same messages, in whatever chunks they come.

use std::sync::atomic::Ordering;

use piecemeal::s02_metainfo::MAX_PIECES;
use piecemeal::s05_messages::kinds::longest;
use piecemeal::s05_messages::{BLOCK_LENGTH, Message, MessageError, MessageReader};

use super::{Chunks, bounded, is_printable, parted};

/// How far the buffer grows for a peer that sends quickly: four blocks.
const BUSY: usize = 4 * (BLOCK_LENGTH as usize + 13);

/// What a reading of all messages must come to: the messages, each as its bytes, and the end.
#[derive(Debug, PartialEq)]
struct Told {
    messages: Vec<Vec<u8>>,
    end: &'static str,
}

/// The input is a list of chunk sizes, and what comes in such chunks.
pub fn check(input: &[u8]) {
    let (sizes, bytes) = parted(input);
    let told_pieces = expected(bytes, sizes.len() as u32);
    let stream = Chunks::new(bytes, sizes);
    let read = stream.read.clone();
    let told = bounded(input.len() + BUSY, 16, || {
        let mut messages = MessageReader::new(stream);
        messages.set_limit(sizes.len() as u32);
        all(&mut messages, sizes.len() % 2 == 0)
    });
    assert_eq!(told, told_pieces);
    let expected = expected(bytes, MAX_PIECES as u32);
    let framed: usize = expected.messages.iter().map(Vec::len).sum();
    assert!(framed <= read.load(Ordering::Relaxed));

    // Some are put aside, and come again before what had not been read.
    let mut messages = MessageReader::new(Chunks::new(bytes, sizes));
    let mut aside = Vec::new();
    let before = expected.messages.len().min(sizes.len());
    for (size, told) in sizes.iter().zip(&expected.messages) {
        let message = next(&mut messages).expect("it came the first time");
        assert_eq!(message, *told);
        if size.is_multiple_of(3) && messages.defer().is_ok() {
            aside.push(message);
        }
    }
    messages.replay();
    aside.extend_from_slice(&expected.messages[before..]);
    assert_eq!(all(&mut messages, false), Told { messages: aside, end: expected.end });
}

/// The next message, past all deadlines and signals.
fn next(messages: &mut MessageReader<Chunks>) -> Result<Vec<u8>, MessageError> {
    loop {
        match messages.read() {
            Ok(message) => return Ok(encoded(&message)),
            Err(error) if error.is_timeout() => {}
            Err(error) => return Err(error),
        }
    }
}

/// All messages. With `rest`, blocks that follow one another are taken at one go.
fn all(messages: &mut MessageReader<Chunks>, rest: bool) -> Told {
    let mut told = Vec::new();
    loop {
        match messages.read_with_rest() {
            Ok((message, mut behind)) => {
                told.push(encoded(&message));
                if let (Message::Piece { index, begin, block }, true) = (message, rest) {
                    let begin = begin.wrapping_add(block.len() as u32);
                    told.extend(
                        behind
                            .block(index, begin)
                            .map(|block| encoded(&Message::Piece { index, begin, block })),
                    );
                }
            }
            Err(error) if error.is_timeout() => {}
            Err(error) => {
                is_printable(&error);
                return Told { messages: told, end: name(&error) };
            }
        }
    }
}

fn encoded(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode_to(&mut bytes);
    bytes
}

fn name(error: &MessageError) -> &'static str {
    match error {
        MessageError::Io(_) => "broken",
        MessageError::HungUp { inside: true } => "hung up inside of a message",
        MessageError::HungUp { inside: false } => "hung up",
        MessageError::TooLong { .. } => "too long",
        MessageError::Size { .. } => "wrong size",
    }
}

/// The same by the specification, of bytes that are all there.
fn expected(mut bytes: &[u8], pieces: u32) -> Told {
    let mut messages = Vec::new();
    let end = loop {
        let Some((prefix, rest)) = bytes.split_first_chunk() else {
            break if bytes.is_empty() { "hung up" } else { "hung up inside of a message" };
        };
        let length = u32::from_be_bytes(*prefix) as usize;
        let limit = longest(rest.first().copied(), pieces);
        if length > limit {
            break "too long";
        }
        let Some(message) = rest.get(..length) else { break "hung up inside of a message" };
        let sizes = match message {
            [0..=3 | 14 | 15, ..] => 1..=1,
            [4 | 13 | 17, ..] => 5..=5,
            [6 | 8 | 16, ..] => 13..=13,
            [7, ..] => 9..=usize::MAX,
            [9, ..] => 3..=3,
            _ => 0..=usize::MAX,
        };
        if !sizes.contains(&length) {
            break "wrong size";
        }
        let (whole, behind) = bytes.split_at(4 + length);
        messages.push(whole.to_vec());
        bytes = behind;
    };
    Told { messages, end }
}
