//! A peer that takes pieces from the learner's client, and compares each block.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::actors::leech::{block_of, request};
use crate::actors::line::{Heard, Line};
use crate::actors::torrent::Torrent;
use crate::actors::wire;
use crate::grade::check::Finding;
use crate::grade::miss::{Miss, ensure};
use crate::s01_bencode::counted;

/// The longest wait of a peer that was choked for its next turn.
const TURN: Duration = Duration::from_secs(15);

/// What a bitfield looks like.
const ORDER: &str = "piece 0 is the highest bit of the first byte, and the last byte is filled up \
                     with zeros";

/// A block: its piece, where it begins, and its length.
pub type Block = (u32, u32, u32);

/// A peer that has nothing, and has shaken hands.
pub struct Taker {
    /// The connection.
    pub line: Line,
    /// The handshake that came back.
    pub handshake: [u8; 68],
    /// The pieces that the client has, as far as it has said.
    pub has: Vec<bool>,
    /// Whether it answers requests.
    pub unchoked: bool,
    /// Its bitfield, if it has sent one.
    bitfield: Option<Vec<u8>>,
    torrent: Arc<Torrent>,
    patience: Duration,
}

/// Returns the blocks of a piece.
pub fn blocks(torrent: &Torrent, piece: usize) -> Vec<Block> {
    let length = torrent.piece(piece).len();
    let block = |begin: usize| (piece as u32, begin as u32, (length - begin).min(16_384) as u32);
    (0..length).step_by(16_384).map(block).collect()
}

/// Returns all blocks of a torrent.
pub fn all_blocks(torrent: &Torrent) -> Vec<Block> {
    (0..torrent.pieces()).flat_map(|piece| blocks(torrent, piece)).collect()
}

impl Taker {
    /// Takes over a connection behind the handshakes.
    pub fn new(
        line: Line,
        handshake: [u8; 68],
        torrent: Arc<Torrent>,
        patience: Duration,
    ) -> Taker {
        let has = vec![false; torrent.pieces()];
        Taker { line, handshake, has, unchoked: false, bitfield: None, torrent, patience }
    }

    /// Sends bytes. Whether they arrive shows in what comes back.
    pub fn say(&mut self, bytes: &[u8]) {
        let _ = self.line.send(bytes);
    }

    /// Returns what comes next, once it is noted.
    pub fn hear(&mut self, time: Duration) -> Heard {
        let heard = self.line.hear_within(time);
        match &heard {
            Heard::Message(wire::CHOKE, _) => self.unchoked = false,
            Heard::Message(wire::UNCHOKE, _) => self.unchoked = true,
            Heard::Message(wire::HAVE, payload) => {
                let piece = payload.as_slice().try_into().map(u32::from_be_bytes);
                if let Some(has) = piece.ok().and_then(|piece| self.has.get_mut(piece as usize)) {
                    *has = true;
                }
            }
            Heard::Message(wire::BITFIELD, payload) => {
                for (piece, has) in self.has.iter_mut().enumerate() {
                    let byte = payload.get(piece / 8).copied().unwrap_or_default();
                    *has |= byte & (0x80 >> (piece % 8)) != 0;
                }
                self.bitfield = Some(payload.clone());
            }
            _ => {}
        }
        heard
    }

    /// Waits until the client has said that it has these pieces, and no others.
    ///
    /// # Errors
    /// If it says something else, or not all of it.
    pub fn learns(&mut self, expected: &[bool]) -> Finding {
        let until = Instant::now() + self.patience;
        let lie = |has: &[bool]| has.iter().zip(expected).position(|(has, right)| *has && !right);
        while self.has != expected && lie(&self.has).is_none() {
            match self.hear(until.saturating_duration_since(Instant::now())) {
                Heard::Message(..) | Heard::KeepAlive => {}
                heard => return Err(self.too_little(expected, &heard)),
            }
        }
        if let Some(piece) = lie(&self.has) {
            let miss = Miss::new(format!("piece {piece} is offered, and its hash is wrong"));
            let miss = if self.is_reversed(expected) { miss.likely(ORDER) } else { miss };
            return Err(miss.likely(
                "hash each piece before you offer it: a damaged one is not in the bitfield",
            ));
        }
        self.bitfield.as_ref().map_or(Ok(()), |bitfield| is_right(bitfield, expected))
    }

    fn too_little(&self, expected: &[bool], heard: &Heard) -> Miss {
        let count = |pieces: &[bool]| pieces.iter().filter(|has| **has).count();
        let end = if *heard == Heard::Closed { "the connection was ended" } else { "nothing more" };
        let miss = Miss::new("the peer was not told of all pieces").instead(
            format!("{} of {} pieces", count(expected), expected.len()),
            format!("{} pieces, then {end}", count(&self.has)),
        );
        miss.likely(match &self.bitfield {
            None => {
                "a bitfield comes first, right after the handshakes: nobody asks for a piece that \
                 you have not said you have"
            }
            Some(_) => ORDER,
        })
    }

    /// Whether its bitfield is right, but for the order of the bits in a byte.
    fn is_reversed(&self, expected: &[bool]) -> bool {
        let right = wire::bitfield(expected);
        self.bitfield.as_ref().is_some_and(|bitfield| {
            bitfield.len() == right.len()
                && bitfield.iter().zip(right).all(|(found, right)| found.reverse_bits() == right)
        })
    }

    /// Says that it is interested, and waits for the unchoke.
    ///
    /// # Errors
    /// If none comes.
    pub fn waits_for_slot(&mut self) -> Finding {
        self.say(&wire::message(wire::INTERESTED, b""));
        let patience = self.patience;
        self.is_unchoked_within(patience)
    }

    /// Waits for the unchoke.
    ///
    /// # Errors
    /// If none comes.
    pub fn is_unchoked_within(&mut self, time: Duration) -> Finding {
        let begun = Instant::now();
        while !self.unchoked {
            match self.hear(time.saturating_sub(begun.elapsed())) {
                Heard::Message(..) | Heard::KeepAlive => {}
                heard => {
                    let seconds = begun.elapsed().as_secs_f64();
                    let miss = Miss::new(match heard {
                        Heard::Closed => {
                            "the peer was interested, and the connection was ended".to_owned()
                        }
                        _ => {
                            format!("the peer is interested, and still choked after {seconds:.1} s")
                        }
                    });
                    return Err(miss.likely(
                        "`interested` is a question and `unchoke` the answer: a connection begins \
                         choked, and a choked peer asks for nothing",
                    ));
                }
            }
        }
        Ok(())
    }

    /// Takes these blocks, with at most this many requests at a time, and compares each.
    ///
    /// # Errors
    /// If one does not come, or is wrong.
    pub fn takes(&mut self, mut wanted: Vec<Block>, ahead: usize) -> Finding {
        wanted.reverse();
        let all = wanted.len();
        let mut asked: Vec<Block> = Vec::new();
        // Asked for before a choke: an answer may still come, or not.
        let mut crossed: Vec<Block> = Vec::new();
        while !(wanted.is_empty() && asked.is_empty()) {
            let mut out = Vec::new();
            while self.unchoked && asked.len() < ahead {
                let Some(next) = wanted.pop() else { break };
                out.extend(request(next.0, next.1, next.2));
                asked.push(next);
            }
            self.say(&out);
            let was_unchoked = self.unchoked;
            match self.hear(if was_unchoked { self.patience } else { TURN }) {
                Heard::Message(wire::PIECE, payload) => {
                    let block = self.right_block(&payload, &asked, &crossed)?;
                    asked.retain(|asked| *asked != block);
                    crossed.retain(|crossed| *crossed != block);
                    wanted.retain(|wanted| *wanted != block);
                }
                Heard::Message(wire::CHOKE, _) => {
                    crossed.extend_from_slice(&asked);
                    wanted.append(&mut asked);
                }
                Heard::Message(..) | Heard::KeepAlive => {}
                heard => {
                    let left = wanted.len() + asked.len();
                    return Err(no_block(&heard, was_unchoked, &asked, all - left, all));
                }
            }
        }
        Ok(())
    }

    /// Returns the block in a `piece` message, which must be one of those asked for.
    fn right_block(
        &self,
        payload: &[u8],
        asked: &[Block],
        crossed: &[Block],
    ) -> Result<Block, Miss> {
        let (piece, begin, bytes) = block_of(payload).ok_or_else(|| {
            Miss::new(format!("a piece message has {} bytes behind its id", payload.len()))
                .likely("index and begin, four bytes each, then the block")
        })?;
        let block = (piece, begin, bytes.len() as u32);
        if !asked.contains(&block) && !crossed.contains(&block) {
            let length = asked.iter().find(|asked| asked.0 == piece && asked.1 == begin);
            let found = shown(&block);
            let miss = Miss::new("a block came that was not asked for");
            return Err(match length.or(asked.first()) {
                None => miss.detail(found),
                Some(asked) => miss.instead(shown(asked), found).likely(
                    "the answer has the index, the begin and as many bytes as the request: the \
                         last block of a torrent is a short one",
                ),
            });
        }
        let right = self.torrent.piece(piece as usize);
        let place = begin as usize..begin as usize + bytes.len();
        ensure(right.get(place.clone()) == Some(bytes), || {
            let miss = Miss::new(format!("piece {piece}, begin {begin}: the bytes are wrong"));
            if piece > 0 && self.torrent.content.get(place) == Some(bytes) {
                return miss.likely(format!(
                    "these are the bytes at {begin} of the whole content: a block begins at its \
                     piece's index times the piece length, plus `begin`"
                ));
            }
            miss.likely("a block begins at its piece's index times the piece length, plus `begin`")
        })?;
        Ok(block)
    }

    /// Sends a request that must not get what it asks for, and a good one behind it. Whether the
    /// client refuses with a word, with silence, or by hanging up, is its own choice.
    ///
    /// # Errors
    /// If a block comes that is forbidden.
    pub fn is_refused(
        &mut self,
        bad: Block,
        good: Block,
        forbidden: impl Fn(u32, u32, &[u8]) -> bool,
    ) -> Finding {
        let requests = [request(bad.0, bad.1, bad.2), request(good.0, good.1, good.2)].concat();
        self.say(&requests);
        let until = Instant::now() + self.patience;
        loop {
            match self.hear(until.saturating_duration_since(Instant::now())) {
                Heard::Message(wire::PIECE, payload) => {
                    let Some((piece, begin, bytes)) = block_of(&payload) else { continue };
                    if forbidden(piece, begin, bytes) {
                        let block = shown(&(piece, begin, bytes.len() as u32));
                        return Err(Miss::new(format!("the peer was given {block}")));
                    }
                    if (piece, begin, bytes.len() as u32) == good {
                        return Ok(());
                    }
                }
                Heard::Message(..) | Heard::KeepAlive => {}
                Heard::Closed | Heard::Silence => return Ok(()),
            }
        }
    }
}

/// Returns a block as text.
fn shown((piece, begin, length): &Block) -> String {
    format!("piece {piece}, begin {begin}, {}", counted(u64::from(*length), "byte"))
}

/// Insists on a bitfield of the right length with no spare bits.
fn is_right(bitfield: &[u8], expected: &[bool]) -> Finding {
    let right = wire::bitfield(expected);
    ensure(bitfield == right, || {
        Miss::new(format!("the bitfield of {} pieces is wrong", expected.len()))
            .instead(hex::encode(&right), hex::encode(&bitfield[..bitfield.len().min(40)]))
            .likely("a bit for each piece, and zeros up to the end of the last byte; no more bytes")
    })
}

/// Says that no block came.
fn no_block(heard: &Heard, unchoked: bool, asked: &[Block], came: usize, all: usize) -> Miss {
    let end = match heard {
        Heard::Closed => "then the connection was ended",
        _ if !unchoked => "then it was choked, and not unchoked again",
        _ => "then nothing more",
    };
    let miss = Miss::new(format!("the peer got {came} of {all} blocks, {end}"));
    let Some(first) = asked.first() else { return miss };
    let more = counted(asked.len() as u64 - 1, "more request");
    let miss = miss.detail(format!("not answered: {}, and {more}", shown(first)));
    if asked.len() > 1 {
        return miss.likely(
            "several requests may come in one packet, and one in two: each is answered, in turn",
        );
    }
    miss.likely("a request is three numbers of four bytes: index, begin, length")
}
