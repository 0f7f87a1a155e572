//! Stage 5: length-prefixed messages: everything after the handshake.
//!
//! A connection carries two streams of messages, one in each direction. In each, one side says
//! which pieces it has (`bitfield`, `have`), whether it wants any (`interested`) and whether it
//! uploads (`choke`, `unchoke`), and it asks for blocks (`request`) or sends them (`piece`).
//!
//! * **Run it:** `piecemeal download_piece -o piece-0 lab/sample.torrent 0` (stage 9 speaks some of
//!   these)
//! * **Spec:** BEP 3, "peer messages"; BEP 6; **chapter:** `docs/05-messages.md`
//! * **Builds on:** the transport of stage 4
//!
//! # On the wire
//! ```text
//! 0          4    5
//! | length   | id | payload, length - 1 bytes |     length 0: keep-alive, no id
//!
//!  0 choke            5 bitfield  one bit per piece   if both handshakes have bit 2 (BEP 6):
//!  1 unchoke          6 request   index begin length  13 suggest piece   index
//!  2 interested       7 piece     index begin block   14 have all
//!  3 not interested   8 cancel    index begin length  15 have none
//!  4 have  index      9 port      of the DHT          16 reject request  index begin length
//!                                                     17 allowed fast    index
//! ```
//! All integers are four bytes, big-endian; `port` is two.
//!
//! # Decisions
//! * **Framing happens here and nowhere else**, in [`MessageReader`].
//! * **A message borrows from the buffer it was read into.** A block goes from
//!   that buffer to the disk without another copy.
//! * **The buffer grows with the bytes received,** never with what a length prefix claims.
//! * **Unknown ids are carried, not fatal** ([`Message::Unknown`]): extensions
//!   add messages, and the extension protocol (stage 7) is itself one of them.
//! * **Left out:** what the messages do; that begins in stage 9.

#![warn(clippy::indexing_slicing)] // decodes what strangers send

pub mod bitfield;
pub mod connection;
pub mod kinds;
pub mod rest;

use std::io::{self, ErrorKind, Read, Write};

use thiserror::Error;

use self::kinds::{MAX_MESSAGE_LENGTH, longest, name};
use self::rest::{BUSY_BUFFER, Rest, busier};
use crate::s02_metainfo::MAX_PIECES;

/// The length of a block, the part of a piece that one `request` asks for, in bytes.
/// Every client uses 16 KiB, and many hang up on a peer that asks for more.
pub const BLOCK_LENGTH: u32 = 16 * 1024;

/// The reserved bit that offers the fast extension (BEP 6).
pub const FAST_BIT: usize = 2;

/// A part of a piece, as `request`, `cancel` and `reject` name it. Compared as a whole: a block of
/// another length is not the one that was requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Request {
    /// The piece's number, as received: it may not exist.
    pub index: u32,
    /// Where the block starts in the piece, in bytes.
    pub begin: u32,
    /// The length of the block, in bytes.
    pub length: u32,
}

/// A message, in either direction. "I" is its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // of the fields, which are those of the table above
pub enum Message<'a> {
    /// "I am still here."
    KeepAlive,
    /// "I will not answer your requests for now."
    Choke,
    /// "I will answer your requests." A connection starts choked.
    Unchoke,
    /// "You have pieces that I lack."
    Interested,
    /// "You have nothing that I lack." A connection starts not interested.
    NotInterested,
    /// "I have this piece now."
    Have { index: u32 },
    /// "I have these pieces." At most once, right after the handshake.
    Bitfield { bits: &'a [u8] },
    /// "Send me this block."
    Request(Request),
    /// "Here is a block." BEP 3 calls this message `piece`, though it carries one block.
    Piece { index: u32, begin: u32, block: &'a [u8] },
    /// "I do not need this block any more."
    Cancel(Request),
    /// "My DHT node has this port" (BEP 5).
    Port { port: u16 },
    /// "This piece is cheap for me to send" (BEP 6).
    Suggest { index: u32 },
    /// A bitfield of all ones (BEP 6).
    HaveAll,
    /// A bitfield of all zeros (BEP 6).
    HaveNone,
    /// "I will not answer this request" (BEP 6).
    Reject(Request),
    /// "You may ask for this piece while choked" (BEP 6).
    AllowedFast { index: u32 },
    /// A message that this stage does not know.
    Unknown { id: u8, payload: &'a [u8] },
}

impl<'a> Message<'a> {
    /// Decodes a message without its length prefix. Only sizes are checked, not values: this stage
    /// does not know the torrent, so it cannot say which pieces exist.
    ///
    /// # Errors
    /// If the payload's size is not right for the id.
    pub fn decode(frame: &'a [u8]) -> Result<Message<'a>, MessageError> {
        let Some((&id, payload)) = frame.split_first() else { return Ok(Message::KeepAlive) };
        let size = |expected| MessageError::Size { id, expected, found: payload.len() };
        let request = || {
            let [index, begin, length] = [0, 4, 8].map(|at| word(id, payload, at, 12));
            Ok::<_, MessageError>(Request { index: index?, begin: begin?, length: length? })
        };
        let index = || word(id, payload, 0, 4);
        Ok(match id {
            0..=3 | 14 | 15 if !payload.is_empty() => return Err(size(0)),
            0 => Message::Choke,
            1 => Message::Unchoke,
            2 => Message::Interested,
            3 => Message::NotInterested,
            4 => Message::Have { index: index()? },
            5 => Message::Bitfield { bits: payload },
            6 => Message::Request(request()?),
            7 => {
                let (head, block) = payload.split_at_checked(8).ok_or(size(8))?;
                Message::Piece { index: word(id, head, 0, 8)?, begin: word(id, head, 4, 8)?, block }
            }
            8 => Message::Cancel(request()?),
            9 => match *payload {
                [high, low] => Message::Port { port: u16::from_be_bytes([high, low]) },
                _ => return Err(size(2)),
            },
            13 => Message::Suggest { index: index()? },
            14 => Message::HaveAll,
            15 => Message::HaveNone,
            16 => Message::Reject(request()?),
            17 => Message::AllowedFast { index: index()? },
            _ => Message::Unknown { id, payload },
        })
    }

    /// Appends the message to `out`, length prefix first. Several messages in one
    /// buffer leave in one write.
    pub fn encode_to(&self, out: &mut Vec<u8>) {
        let mut put = |id: u8, numbers: &[u32], tail: &[u8]| {
            // The id counts, the prefix itself does not.
            let length = 1 + 4 * numbers.len() + tail.len();
            out.extend_from_slice(
                &u32::try_from(length).expect("a message is far below 4 GiB").to_be_bytes(),
            );
            out.push(id);
            numbers.iter().for_each(|number| out.extend_from_slice(&number.to_be_bytes()));
            out.extend_from_slice(tail);
        };
        let numbers = |request: Request| [request.index, request.begin, request.length];
        match *self {
            Message::KeepAlive => out.extend_from_slice(&[0; 4]),
            Message::Choke => put(0, &[], &[]),
            Message::Unchoke => put(1, &[], &[]),
            Message::Interested => put(2, &[], &[]),
            Message::NotInterested => put(3, &[], &[]),
            Message::Have { index } => put(4, &[index], &[]),
            Message::Bitfield { bits } => put(5, &[], bits),
            Message::Request(request) => put(6, &numbers(request), &[]),
            Message::Piece { index, begin, block } => put(7, &[index, begin], block),
            Message::Cancel(request) => put(8, &numbers(request), &[]),
            Message::Port { port } => put(9, &[], &port.to_be_bytes()),
            Message::Suggest { index } => put(13, &[index], &[]),
            Message::HaveAll => put(14, &[], &[]),
            Message::HaveNone => put(15, &[], &[]),
            Message::Reject(request) => put(16, &numbers(request), &[]),
            Message::AllowedFast { index } => put(17, &[index], &[]),
            Message::Unknown { id, payload } => put(id, &[], payload),
        }
    }

    /// Appends the header of a `piece` message; the caller then appends `length` bytes of block. A
    /// seed reads these from the disk straight into the buffer that is sent.
    pub fn piece_head(index: u32, begin: u32, length: u32, out: &mut Vec<u8>) {
        out.extend_from_slice(&(9 + length).to_be_bytes()); // id 1, index 4, begin 4, block
        out.push(7);
        out.extend_from_slice(&index.to_be_bytes());
        out.extend_from_slice(&begin.to_be_bytes());
    }

    /// Sends this one message in one write: without Nagle's algorithm, each write is a packet.
    ///
    /// # Errors
    /// If the stream fails.
    pub fn write_to(&self, stream: &mut impl Write) -> io::Result<()> {
        let mut bytes = Vec::new();
        self.encode_to(&mut bytes);
        stream.write_all(&bytes)
    }
}

/// Returns the big-endian integer at `at` in a payload that must be `size` bytes long.
fn word(id: u8, payload: &[u8], at: usize, size: usize) -> Result<u32, MessageError> {
    match payload.get(at..).and_then(|rest| rest.first_chunk()) {
        Some(bytes) if payload.len() == size => Ok(u32::from_be_bytes(*bytes)),
        _ => Err(MessageError::Size { id, expected: size, found: payload.len() }),
    }
}

/// Reads messages from a stream.
///
/// One buffer serves all messages. Three indices divide it, and `start <= next <= end` always:
///
/// ```text
/// | returned earlier | the last message | received after it | room for the next read |
/// 0                start              next                 end             buffer.len()
/// ```
/// | index | is moved by |
/// |---|---|
/// | `start` | `read_with_rest`, at its beginning, to `next`: the last message is done with |
/// | `next` | `read_with_rest`, past the new message; [`Rest::block`], past one more |
/// | `end` | `fill`, by the number of bytes it received |
/// | all three | `fill`, down by `start`, to make room; `replay`, which makes a new buffer |
///
/// While a message is incomplete, `start` and `next` are equal: both are where it begins.
pub struct MessageReader<R> {
    stream: R,
    /// Its length is the room we have; `end` is where the received bytes end.
    buffer: Vec<u8>,
    start: usize,
    next: usize,
    end: usize,
    /// The number of pieces in the torrent; until it is known, the most there can be.
    pieces: u32,
    /// Messages put aside, with their prefixes, to be read again later.
    aside: Vec<u8>,
}

/// The size of a new buffer, in bytes: small, since most peers are idle most of the time.
const FIRST_BUFFER: usize = 1 << 10;

impl<R: Read> MessageReader<R> {
    /// Reads messages from here on.
    pub fn new(stream: R) -> MessageReader<R> {
        let (buffer, pieces) = (vec![0; FIRST_BUFFER], MAX_PIECES as u32);
        MessageReader { stream, buffer, start: 0, next: 0, end: 0, pieces, aside: Vec::new() }
    }

    /// The stream below, for setting a deadline.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.stream
    }

    /// Sets the number of pieces, which limits the length of a bitfield.
    pub fn set_limit(&mut self, pieces: u32) {
        self.pieces = pieces;
    }

    /// Bytes received after the last message: part of the next one, or more. If there are any
    /// when a read has timed out, the peer owes us the rest of a message.
    pub fn begun(&self) -> &[u8] {
        self.buffer.get(self.next..self.end).unwrap_or_default()
    }

    /// Returns the next message. After [`ErrorKind::TimedOut`], the bytes received are
    /// kept, and the next call goes on where this one stopped.
    ///
    /// # Errors
    /// If the stream ends or fails, or a message breaks a rule.
    pub fn read(&mut self) -> Result<Message<'_>, MessageError> {
        self.read_with_rest().map(|(message, _)| message)
    }

    /// Returns the next message, and the bytes received after it. Under load the blocks of
    /// a piece come one after another, and can be taken together.
    ///
    /// # Errors
    /// As [`MessageReader::read`].
    pub fn read_with_rest(&mut self) -> Result<(Message<'_>, Rest<'_>), MessageError> {
        self.start = self.next;
        let length = loop {
            match self.frame()? {
                Some(length) => break length,
                None => self.fill()?,
            }
        };
        self.next = self.start + 4 + length;
        let (message, rest) = self
            .buffer
            .get(self.start + 4..self.end)
            .unwrap_or_default()
            .split_at_checked(length)
            .unwrap_or_default();
        Ok((Message::decode(message)?, Rest { bytes: rest, next: &mut self.next }))
    }

    /// Returns the next message's length, once all of it is in the buffer.
    fn frame(&self) -> Result<Option<usize>, MessageError> {
        let come = self.buffer.get(self.start..self.end).unwrap_or_default();
        let Some((prefix, rest)) = come.split_first_chunk() else { return Ok(None) };
        let length = u32::from_be_bytes(*prefix) as usize;
        // Checked on the first bytes, so that we do not wait for a message we will refuse. (After
        // a length of 0 no id follows, but 0 is within any limit.)
        let limit = longest(rest.first().copied(), self.pieces);
        if length > limit {
            return Err(MessageError::TooLong { length, limit });
        }
        Ok((rest.len() >= length).then_some(length))
    }

    /// Reads more from the stream, once. The message at `start` is incomplete. A buffer without
    /// room doubles first; one that the read has filled grows fourfold after it. An interrupted
    /// read is no error. A timeout is, and loses nothing. 0 bytes mean that the peer hung up.
    fn fill(&mut self) -> Result<(), MessageError> {
        // If the buffer is full, move what is unread to the front; if nothing is unread, start over
        // there. Doing so before each read would move a message of many parts many times.
        if self.start > 0 && (self.start == self.end || self.end == self.buffer.len()) {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            (self.start, self.next) = (0, 0);
        }
        // Still full, and the message is not complete: double the buffer, but not beyond the
        // longest message and its length prefix.
        if self.end == self.buffer.len() {
            let most = BUSY_BUFFER.max(4 + longest(None, self.pieces));
            self.buffer.resize((self.buffer.len() * 2).min(most.max(self.end + 1)), 0);
        }
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        let (length, wanted) = match self.stream.read(room) {
            // A peer may hang up between two messages, but not inside one.
            Ok(0) => return Err(MessageError::HungUp { inside: !self.begun().is_empty() }),
            Ok(length) => (length, room.len()),
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        self.end += length;
        // A read that fills the buffer suggests that there is more: a busy peer.
        if length == wanted {
            self.buffer.resize(busier(self.buffer.len()), 0);
        }
        Ok(())
    }

    /// Puts aside the message that was just read, for [`MessageReader::replay`]: some stages wait
    /// for one message while others come.
    ///
    /// # Errors
    /// If the messages put aside exceed the longest message plus [`MAX_MESSAGE_LENGTH`].
    pub fn defer(&mut self) -> Result<(), MessageError> {
        let message = self.buffer.get(self.start..self.next).unwrap_or_default();
        let length = self.aside.len() + message.len();
        let limit = longest(None, self.pieces) + MAX_MESSAGE_LENGTH;
        if length > limit {
            return Err(MessageError::TooLong { length, limit });
        }
        self.aside.extend_from_slice(message);
        Ok(())
    }

    /// Makes the next reads return the messages put aside, once each, before anything new.
    pub fn replay(&mut self) {
        let new = self.buffer.get(self.next..self.end).unwrap_or_default();
        let mut buffer = std::mem::take(&mut self.aside);
        buffer.extend_from_slice(new);
        (self.start, self.next, self.end) = (0, 0, buffer.len());
        buffer.resize(buffer.len().max(FIRST_BUFFER), 0);
        self.buffer = buffer;
    }
}

/// Why no further message can be read.
#[derive(Debug, Error)]
#[allow(missing_docs)] // of the fields: the error texts say what they are
pub enum MessageError {
    /// The connection broke, or (kind [`ErrorKind::TimedOut`]) its deadline passed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The peer closed the connection.
    #[error("the peer hung up{}", if *inside { " in the middle of a message" } else { "" })]
    HungUp { inside: bool },
    /// A length prefix, or the total of the messages put aside, is over the limit.
    #[error("a message of {length} bytes is announced, at most {limit} are allowed")]
    TooLong { length: usize, limit: usize },
    /// The payload's size does not fit the message.
    #[error("message {id}, {}, must have {}{expected} bytes of payload, but has {found}", name(*id).unwrap_or("which has no name"), if *id == 7 { "at least " } else { "" })]
    Size { id: u8, expected: usize, found: usize },
}

impl MessageError {
    /// Whether only the deadline was reached: the message may still come.
    pub fn is_timeout(&self) -> bool {
        matches!(self, MessageError::Io(error) if error.kind() == ErrorKind::TimedOut)
    }
}
