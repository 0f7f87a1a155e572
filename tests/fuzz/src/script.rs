//! A peer that follows a script of bytes: what it says next, the next byte decides. Its two
//! halves of the connection are in memory, and nobody waits.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use piecemeal::s04_handshake::transport::{ReadHalf, Transport, WriteHalf};
use piecemeal::s05_messages::{BLOCK_LENGTH, Message, Request};
use piecemeal::s07_extension::encode_extended;
use piecemeal::s08_metadata::MetadataPieceIndex;
use piecemeal::s08_metadata::message::MetadataMessage;

use super::torrent::Made;

/// The numbers by which the peer wants to be reached, and by which it reaches us.
const THEIR_METADATA: u8 = 3;
const OUR_METADATA: u8 = 1;
const OUR_DONT_HAVE: u8 = 2;

/// The peer's side of a connection.
pub struct Peer {
    made: Arc<Made>,
    state: Mutex<State>,
}

struct State {
    /// What decides, and how much of it has been used.
    script: Vec<u8>,
    at: usize,
    /// What the peer has said and nobody has read.
    said: VecDeque<u8>,
    /// What it has heard that is no whole message yet.
    heard: Vec<u8>,
    /// What we have asked it for, and the parts of the info dictionary.
    asked: VecDeque<Request>,
    /// What we had asked it for when it choked us: we may ask again, and it may answer late.
    late: VecDeque<Request>,
    metadata: VecDeque<u32>,
    /// What it has asked us for.
    asks: Vec<Request>,
    /// Whether it has sent bytes that mean anything: then less can be said of the answers.
    wild: bool,
    /// Whether what comes from us may be older than what the peer has said: once it is interested,
    /// we write on a thread of its own; and before the info dictionary is there, what it says is
    /// put aside.
    apart: bool,
    closed: bool,
}

impl Peer {
    /// A peer of this torrent that does what the script says, and then hangs up. With `aside`
    /// some of what it says may be heard later.
    pub fn new(made: &Arc<Made>, script: &[u8], aside: bool) -> Arc<Peer> {
        let (said, heard, asked, late, metadata, asks, wild, closed, at) = Default::default();
        let script = script.to_vec();
        let state = State {
            script,
            at,
            said,
            heard,
            asked,
            late,
            metadata,
            asks,
            wild,
            apart: aside,
            closed,
        };
        Arc::new(Peer { made: Arc::clone(made), state: Mutex::new(state) })
    }

    /// The way to it.
    pub fn transport(self: &Arc<Peer>, address: SocketAddr) -> Transport {
        let half = || Box::new(Half(Arc::clone(self)));
        let peer = Arc::clone(self);
        let hang_up = Arc::new(move || peer.lock().closed = true);
        Transport { peer: address, reader: half(), writer: half(), hang_up }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pieces(&self) -> u32 {
        self.made.content.len().div_ceil(self.made.piece_length) as u32
    }

    fn block(&self, request: Request) -> Option<&[u8]> {
        let start = (request.index as usize)
            .checked_mul(self.made.piece_length)?
            .checked_add(request.begin as usize)?;
        self.made.content.get(start..start.checked_add(request.length as usize)?)
    }
}

impl State {
    /// The next byte of the script; 0 when it is over.
    fn byte(&mut self) -> u8 {
        let byte = self.script.get(self.at).copied().unwrap_or_default();
        self.at += 1;
        byte
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = usize::from(self.byte()) % 96;
        (0..length).map(|_| self.byte()).collect()
    }

    fn say(&mut self, message: &Message) {
        let mut bytes = Vec::new();
        message.encode_to(&mut bytes);
        self.said.extend(bytes);
    }

    fn say_extended(&mut self, id: u8, payload: &[u8]) {
        let mut bytes = Vec::new();
        encode_extended(id, payload, &mut bytes);
        self.said.extend(bytes);
    }

    fn request(&mut self, pieces: u32) -> Request {
        let (index, begin, length) = (self.byte(), self.byte(), self.byte());
        let length = if length < 200 { BLOCK_LENGTH } else { u32::from(length) << (length % 16) };
        Request {
            index: u32::from(index) % (pieces + 1),
            begin: u32::from(begin % 4) * BLOCK_LENGTH,
            length,
        }
    }
}

impl Peer {
    /// Says one thing. `false` says that this was a moment of nothing.
    fn act(&self, state: &mut State) -> bool {
        let pieces = self.pieces();
        let index = |state: &mut State| u32::from(state.byte()) % (pieces + 1);
        match state.byte() % 32 {
            0 => return false,
            1 => state.say(&Message::KeepAlive),
            2 => {
                state.say(&Message::Choke);
                let late: Vec<Request> = state.asked.drain(..).collect();
                state.late.extend(late);
            }
            3 | 4 => state.say(&Message::Unchoke),
            5 => {
                state.say(&Message::Interested);
                state.apart = true;
            }
            6 => state.say(&Message::NotInterested),
            7 => {
                let index = index(state);
                state.say(&Message::Have { index });
            }
            8 => {
                let bits: Vec<u8> = (0..pieces.div_ceil(8)).map(|_| state.byte()).collect();
                state.say(&Message::Bitfield { bits: &bits });
            }
            9 => state.say(&Message::HaveAll),
            10 => state.say(&Message::HaveNone),
            11..=14 => self.answer(state, true, 1),
            15 => self.answer(state, true, usize::MAX),
            16 => self.answer(state, false, 1),
            17 => {
                if let Some(request) = state.asked.pop_front() {
                    state.say(&Message::Reject(request));
                }
            }
            18 => {
                if let Some(request) = state.late.pop_front() {
                    self.give(state, request);
                } else {
                    state.asked.rotate_left(1.min(state.asked.len()));
                }
            }
            19 => {
                let request = state.request(pieces);
                self.give(state, request);
            }
            20 | 21 => {
                let request = state.request(pieces);
                state.asks.push(request);
                state.say(&Message::Request(request));
            }
            22 => {
                let request = state.request(pieces);
                state.say(&Message::Cancel(request));
            }
            23 => {
                let index = index(state);
                let suggest = state.byte().is_multiple_of(2);
                state.say(&if suggest {
                    Message::Suggest { index }
                } else {
                    Message::AllowedFast { index }
                });
            }
            24 => self.greet(state),
            25 | 26 => self.metadata(state),
            27 => {
                let lost = index(state).to_be_bytes();
                state.say_extended(OUR_DONT_HAVE, &lost);
            }
            28 => {
                let (id, payload) = (state.byte(), state.bytes());
                state.say_extended(id, &payload);
            }
            29 => {
                state.wild = true;
                let (id, payload) = (state.byte(), state.bytes());
                let length = payload.len() as u32 + 1;
                state.said.extend(length.to_be_bytes().into_iter().chain([id]).chain(payload));
            }
            30 => {
                state.wild = true;
                let bytes = state.bytes();
                state.said.extend(bytes);
            }
            _ => {}
        }
        true
    }

    /// Gives a block, asked for or not. If it was, this is the answer.
    fn give(&self, state: &mut State, request: Request) {
        state.asked.retain(|asked| *asked != request);
        let block = self.block(request).unwrap_or_default();
        state.say(&Message::Piece { index: request.index, begin: request.begin, block });
    }

    /// Gives blocks that it was asked for.
    fn answer(&self, state: &mut State, right: bool, most: usize) {
        for _ in 0..most.min(state.asked.len()) {
            let Some(request) = state.asked.pop_front() else { return };
            let mut block =
                self.block(request).expect("a request was checked when it was heard").to_vec();
            if let (false, Some(first)) = (right, block.first_mut()) {
                *first ^= 1;
            }
            state.say(&Message::Piece {
                index: request.index,
                begin: request.begin,
                block: &block,
            });
        }
    }

    /// An extension handshake: a good one, or one with any size of the info dictionary.
    fn greet(&self, state: &mut State) {
        let size = match state.byte() {
            0..=199 => self.made.info.len(),
            other => usize::from(other) << (other % 32),
        };
        let greeting = format!(
            "d1:md11:lt_donthavei7e11:ut_metadatai{THEIR_METADATA}ee13:metadata_sizei{size}e1:pi6881e4:reqqi9ee"
        );
        state.say_extended(0, greeting.as_bytes());
    }

    /// Answers a request for the info dictionary, rightly or not; or asks for it.
    fn metadata(&self, state: &mut State) {
        let how = state.byte();
        let piece = if how < 230 { state.metadata.pop_front() } else { Some(how.into()) };
        let Some(number) = piece else {
            return state.say_extended(
                OUR_METADATA,
                &MetadataMessage::Request { piece: MetadataPieceIndex(how.into()) }.encode(),
            );
        };
        let piece = MetadataPieceIndex(number);
        let mut part =
            self.made.info.chunks(16_384).nth(number as usize).unwrap_or_default().to_vec();
        if let (200..=229, Some(first)) = (how, part.first_mut()) {
            *first ^= 1;
        }
        let total_size = Some(self.made.info.len() as u64);
        let answer = match how {
            190..=199 => MetadataMessage::Reject { piece },
            _ => MetadataMessage::Data { piece, total_size, data: &part },
        };
        state.say_extended(OUR_METADATA, &answer.encode());
    }

    /// Takes in what we say, and checks that all of it may be said.
    fn hear(&self, state: &mut State, bytes: &[u8]) {
        state.heard.extend_from_slice(bytes);
        while let Some((prefix, rest)) = state.heard.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*prefix) as usize;
            assert!(length <= 1 << 20, "a message of {length} bytes");
            let Some(message) = rest.get(..length).map(<[u8]>::to_vec) else { return };
            state.heard.drain(..4 + length);
            self.heard(state, Message::decode(&message).expect("what we send can be read"));
        }
    }

    fn heard(&self, state: &mut State, message: Message) {
        let pieces = self.pieces();
        match message {
            Message::Request(request) => {
                assert!(
                    request.length <= BLOCK_LENGTH && request.begin % BLOCK_LENGTH == 0,
                    "{request:?}"
                );
                let end = request.begin as usize + request.length as usize;
                assert!(
                    end <= self.made.piece_length && self.block(request).is_some(),
                    "{request:?}"
                );
                let once = state.wild || state.apart || !state.asked.contains(&request);
                assert!(once, "asked for twice: {request:?}");
                state.asked.push_back(request);
            }
            Message::Cancel(request) => state.asked.retain(|asked| *asked != request),
            Message::Piece { index, begin, block } => {
                let request = Request { index, begin, length: block.len() as u32 };
                assert!(
                    state.wild || state.asks.contains(&request),
                    "nobody asked for {request:?}"
                );
                assert!(self.block(request) == Some(block), "what is given is right");
            }
            Message::Have { index }
            | Message::Suggest { index }
            | Message::AllowedFast { index } => assert!(index < pieces),
            Message::Bitfield { bits } => assert_eq!(bits.len(), pieces.div_ceil(8) as usize),
            Message::Unknown { id, payload } => {
                assert!(id == 20 && !payload.is_empty(), "message {id}");
                if let [THEIR_METADATA, payload @ ..] = payload
                    && let Ok(MetadataMessage::Request { piece }) = MetadataMessage::decode(payload)
                {
                    state.metadata.push_back(piece.0);
                }
            }
            _ => {}
        }
    }
}

/// Both halves of our side.
struct Half(Arc<Peer>);

impl Read for Half {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.lock();
        while state.said.is_empty() {
            if state.closed || state.at >= state.script.len() {
                return Ok(0);
            }
            if !self.0.act(&mut state) {
                return Err(ErrorKind::TimedOut.into());
            }
        }
        state.said.read(buffer)
    }
}

impl Write for Half {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.lock();
        if state.closed {
            return Err(ErrorKind::BrokenPipe.into());
        }
        self.0.hear(&mut state, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ReadHalf for Half {
    fn set_deadline(&mut self, _: Instant) {}

    fn has_ended(&self) -> bool {
        self.0.lock().closed
    }
}

impl WriteHalf for Half {
    fn set_deadline(&mut self, _: Instant) {}
}
