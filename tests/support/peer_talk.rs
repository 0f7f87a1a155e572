//! One connection of a fake peer: it does what the plan says, and records what it
//! receives.

use super::bencode::{self, bytes, dict, int};
use super::jitter;
use super::peer::{Heard, Shared, Talk};
use super::peer_plan::{After, Blocks, Greeting, Metadata, Order, Plan, Unchoke};
use super::wire;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const METADATA_PIECE: usize = 16_384;

pub(super) struct Talker<'a> {
    stream: TcpStream,
    plan: &'a Plan,
    shared: &'a Shared,
    talk: &'a Mutex<Talk>,
    /// Bytes that are not a whole message yet.
    inbox: Vec<u8>,
    /// Messages that wait for an answer.
    pending: VecDeque<Heard>,
    /// Requests that `Blocks::Backwards` collects.
    held: Vec<(u32, u32, u32)>,
    /// The id the client wants ut_metadata messages under.
    their_metadata_id: Option<u8>,
    metadata_sent: usize,
    unchoked: bool,
    choked_once: bool,
    unchoke_at: Option<Instant>,
    /// Reads on, answers nothing.
    mute: bool,
}

/// The connection is over.
fn done() -> io::Error {
    ErrorKind::ConnectionAborted.into()
}

impl<'a> Talker<'a> {
    pub fn new(
        stream: TcpStream,
        shared: &'a Shared,
        talk: &'a Mutex<Talk>,
    ) -> io::Result<Talker<'a>> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_millis(15)))?;
        stream.set_write_timeout(Some(Duration::from_secs(2)))?;
        Ok(Talker {
            stream,
            plan: &shared.plan,
            shared,
            talk,
            inbox: Vec::new(),
            pending: VecDeque::new(),
            held: Vec::new(),
            their_metadata_id: None,
            metadata_sent: 0,
            unchoked: false,
            choked_once: false,
            unchoke_at: None,
            mute: false,
        })
    }

    pub fn run(&mut self) -> io::Result<()> {
        self.greet()?;
        match self.plan.after.clone() {
            After::Talk => {}
            After::Close => {
                self.mischief();
                // What the client says at the same time is still recorded;
                // closing on unread bytes would also reset the connection.
                let _ = self.stream.shutdown(std::net::Shutdown::Write);
                return self.hold();
            }
            After::Hold => {
                self.mischief();
                return self.hold();
            }
            After::Say(raw) => {
                self.send(&raw)?;
                self.mischief();
                return self.hold();
            }
            After::Drip(raw) => return self.drip(&raw),
        }
        self.open()?;
        loop {
            let quiet = !self.hear()?;
            if self.plan.gate.as_ref().is_some_and(|gate| !gate.is_open()) {
                continue;
            }
            if self.unchoke_at.is_some_and(|at| at <= Instant::now()) {
                self.unchoke_at = None;
                self.unchoke()?;
            }
            while let Some(message) = self.pending.pop_front() {
                if !self.mute {
                    self.answer(&message)?;
                }
            }
            if quiet && !self.held.is_empty() {
                self.mischief();
                while let Some((piece, begin, length)) = self.held.pop() {
                    self.good_block(piece, begin, length)?;
                }
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        jitter::around(|| self.stream.write_all(bytes))
    }

    fn mischief(&self) {
        self.shared.mischief.open();
    }

    fn greet(&mut self) -> io::Result<()> {
        let torrent = &self.plan.torrent;
        let ours = wire::handshake(self.plan.reserved(), torrent.info_hash, self.plan.peer_id);
        match &self.plan.greeting {
            Greeting::Eager => {
                self.send(&ours)?;
                self.read_handshake()
            }
            Greeting::Proper => {
                self.read_handshake()?;
                self.send(&ours)
            }
            Greeting::WrongInfoHash => {
                self.read_handshake()?;
                self.send(&wire::handshake(
                    self.plan.reserved(),
                    *b"another torrent's !!",
                    self.plan.peer_id,
                ))?;
                self.mischief();
                self.hold()
            }
            Greeting::Silent => {
                self.mischief();
                self.hold()
            }
            Greeting::Drip => self.drip(&ours),
            Greeting::Says(raw) => {
                // The client may hang up before it has taken all of it.
                let written = self.send(raw);
                self.mischief();
                written?;
                self.hold()
            }
            Greeting::Close => {
                self.mischief();
                Err(done())
            }
            Greeting::Half => {
                self.read_handshake()?;
                self.send(&ours[..30])?;
                self.mischief();
                Err(done())
            }
            Greeting::Echo => {
                self.read_handshake()?;
                let theirs = self.raw()[..68].to_vec();
                self.send(&theirs)?;
                self.mischief();
                self.hold()
            }
        }
    }

    fn raw(&self) -> Vec<u8> {
        jitter::lock(self.talk).raw.clone()
    }

    /// Waits for the client's 68 bytes; hangs up on one that wants another
    /// torrent.
    fn read_handshake(&mut self) -> io::Result<()> {
        while self.inbox.len() < 68 {
            self.take()?;
        }
        let hello: Vec<u8> = self.inbox.drain(..68).collect();
        let torrent = self.plan.torrent.info_hash;
        if &hello[..20] != b"\x13BitTorrent protocol" || hello[28..48] != torrent {
            Err(done())
        } else {
            Ok(())
        }
    }

    /// The messages that come unasked.
    fn open(&mut self) -> io::Result<()> {
        let mut bitfield = match (&self.plan.opening, self.plan.order) {
            (Some(raw), _) => {
                self.mischief();
                raw.clone()
            }
            (None, Order::NoBitfield) => Vec::new(),
            _ if self.plan.fast && self.plan.have.iter().all(|has| *has) => {
                wire::message(wire::HAVE_ALL, &[])
            }
            _ if self.plan.by_haves => {
                let pieces = self.plan.have.iter().enumerate().filter(|(_, has)| **has);
                pieces.flat_map(|(piece, _)| wire::have(piece as u32)).collect()
            }
            _ => wire::message(wire::BITFIELD, &wire::bitfield(&self.plan.have)),
        };
        if self.plan.noise {
            bitfield.extend(noise());
        }
        let extension = self.plan.extension && self.raw()[25] & wire::EXTENSION_BIT != 0;
        let extension = if extension { self.extension_handshake() } else { Vec::new() };
        let both = match self.plan.order {
            Order::ExtensionFirst => [extension, bitfield].concat(),
            _ => [bitfield, extension].concat(),
        };
        self.send(&both)?;
        if self.plan.unchoke == Unchoke::Early {
            self.unchoke()?;
        }
        Ok(())
    }

    fn extension_handshake(&self) -> Vec<u8> {
        if let Some(payload) = &self.plan.greets {
            self.mischief();
            return wire::extended(0, payload);
        }
        let mut names = Vec::new();
        if self.plan.metadata != Metadata::None {
            names.push(("ut_metadata", int(self.plan.metadata_id.into())));
        }
        let mut pairs = vec![("m", dict(&names))];
        match self.plan.metadata {
            Metadata::None => {}
            Metadata::Size(size) => pairs.push(("metadata_size", int(size))),
            _ => pairs.push(("metadata_size", int(self.plan.torrent.info.len() as i64))),
        }
        pairs.push(("reqq", int(250)));
        pairs.push(("v", bytes("fake peer 1")));
        wire::extended(0, &dict(&pairs))
    }

    fn unchoke(&mut self) -> io::Result<()> {
        self.unchoked = true;
        self.send(&wire::message(wire::UNCHOKE, &[]))
    }

    /// Reads what is there. False if nothing came for a moment.
    fn take(&mut self) -> io::Result<bool> {
        if self.shared.over() {
            return Err(done());
        }
        let mut chunk = [0; 16_384];
        match jitter::around(|| self.stream.read(&mut chunk)) {
            Ok(0) => Err(done()),
            Ok(n) => {
                self.inbox.extend_from_slice(&chunk[..n]);
                jitter::lock(self.talk).raw.extend_from_slice(&chunk[..n]);
                Ok(true)
            }
            Err(e)
                if matches!(
                    e.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) =>
            {
                Ok(false)
            }
            Err(e) => Err(e),
        }
    }

    /// Reads what is there, and records its messages with what we had sent until
    /// then.
    fn hear(&mut self) -> io::Result<bool> {
        let came = self.take()?;
        while let Some(prefix) = self.inbox.first_chunk::<4>() {
            let length = u32::from_be_bytes(*prefix) as usize;
            if self.inbox.len() < 4 + length {
                break;
            }
            let body: Vec<u8> = self.inbox.drain(..4 + length).skip(4).collect();
            let heard = Heard {
                id: body.first().copied(),
                payload: body.get(1..).unwrap_or_default().to_vec(),
                metadata_sent: self.metadata_sent,
                unchoked: self.unchoked,
            };
            jitter::lock(self.talk).messages.push(heard.clone());
            self.pending.push_back(heard);
        }
        Ok(came)
    }

    /// Reads without answering until the client goes away.
    fn hold(&mut self) -> io::Result<()> {
        loop {
            self.hear()?;
        }
    }

    fn drip(&mut self, raw: &[u8]) -> io::Result<()> {
        for byte in raw {
            self.send(&[*byte])?;
            self.mischief();
            let next = Instant::now() + Duration::from_secs(1);
            while Instant::now() < next {
                self.take()?;
            }
        }
        self.hold()
    }

    fn answer(&mut self, message: &Heard) -> io::Result<()> {
        match message.id {
            Some(wire::INTERESTED) => match self.plan.unchoke {
                Unchoke::OnInterest if !self.unchoked && self.unchoke_at.is_none() => {
                    self.unchoke()
                }
                Unchoke::Never => {
                    self.mischief();
                    Ok(())
                }
                _ => Ok(()),
            },
            Some(wire::REQUEST) => match wire::three(&message.payload) {
                Some((piece, begin, length)) => self.request(piece, begin, length),
                None => Err(done()),
            },
            Some(wire::EXTENDED) => self.extended(&message.payload),
            _ => Ok(()),
        }
    }

    fn request(&mut self, piece: u32, begin: u32, length: u32) -> io::Result<()> {
        let three = [piece.to_be_bytes(), begin.to_be_bytes(), length.to_be_bytes()].concat();
        if !self.unchoked {
            return if self.plan.fast {
                self.send(&wire::message(wire::REJECT, &three))
            } else {
                Ok(())
            };
        }
        std::thread::sleep(self.plan.pace);
        if self.plan.noise {
            self.send(&noise())?;
        }
        let served = self.shared.served.load(Ordering::SeqCst);
        match self.plan.blocks.clone() {
            Blocks::Good => self.good_block(piece, begin, length),
            Blocks::Corrupt => {
                let block: Vec<u8> = self.data(piece, begin, length)?.iter().map(|b| !b).collect();
                self.bad(&wire::block(piece, begin, &block))
            }
            Blocks::TooLong => {
                let block = [self.data(piece, begin, length)?, vec![0]].concat();
                self.bad(&wire::block(piece, begin, &block))
            }
            Blocks::TooShort => {
                let mut block = self.data(piece, begin, length)?;
                block.pop();
                self.bad(&wire::block(piece, begin, &block))
            }
            Blocks::Unasked => {
                // An offset inside the block, where no request begins.
                let block = vec![0xAA; (length as usize).min(100)];
                self.bad(&wire::block(piece, begin + 1, &block))?;
                self.good_block(piece, begin, length)
            }
            Blocks::OutOfRange => {
                self.bad(&wire::block(u32::MAX, begin, &[0xAA; 100]))?;
                self.good_block(piece, begin, length)
            }
            Blocks::Twice => {
                self.good_block(piece, begin, length)?;
                self.mischief();
                self.good_block(piece, begin, length)
            }
            Blocks::Backwards => {
                self.held.push((piece, begin, length));
                Ok(())
            }
            Blocks::ChokeAfter(n, again) if served >= n && !self.choked_once => {
                self.choked_once = true;
                self.unchoked = false;
                self.send(&wire::message(wire::CHOKE, &[]))?;
                if self.plan.fast {
                    self.send(&wire::message(wire::REJECT, &three))?;
                } else {
                    self.pending.clear();
                }
                if again {
                    self.unchoke_at = Some(Instant::now() + Duration::from_millis(100));
                }
                self.mischief();
                Ok(())
            }
            Blocks::ResetAfter(n) if served >= n => {
                // Closing while unread bytes wait makes the kernel send a reset.
                let begun = Instant::now();
                while begun.elapsed() < Duration::from_millis(300)
                    && !matches!(self.stream.peek(&mut [0]), Ok(1))
                {}
                self.die()
            }
            Blocks::CloseAfter(n) if served >= n => self.die(),
            Blocks::SilentAfter(n) if served >= n => {
                self.mute = true;
                self.mischief();
                Ok(())
            }
            Blocks::SayAfter(n, raw) if served >= n => {
                self.mute = true;
                self.bad(&raw)
            }
            Blocks::Reject => {
                self.mischief();
                self.send(&wire::message(wire::REJECT, &three))
            }
            _ => self.good_block(piece, begin, length),
        }
    }

    fn die(&mut self) -> io::Result<()> {
        self.shared.dead.store(true, Ordering::SeqCst);
        self.mischief();
        Err(done())
    }

    /// The requested bytes of the torrent; a request out of range ends the connection.
    fn data(&self, piece: u32, begin: u32, length: u32) -> io::Result<Vec<u8>> {
        let torrent = &self.plan.torrent;
        if piece as usize >= torrent.pieces() || !self.plan.have[piece as usize] || length > 16_384
        {
            return Err(done());
        }
        let piece = torrent.piece(piece as usize);
        let end = (begin as usize).saturating_add(length as usize);
        piece.get(begin as usize..end).map(<[u8]>::to_vec).ok_or_else(done)
    }

    fn good_block(&mut self, piece: u32, begin: u32, length: u32) -> io::Result<()> {
        let block = self.data(piece, begin, length)?;
        self.count();
        self.send(&wire::block(piece, begin, &block))
    }

    /// Sends something bad, and then reports it to the test.
    fn bad(&mut self, raw: &[u8]) -> io::Result<()> {
        self.count();
        self.send(raw)?;
        self.mischief();
        Ok(())
    }

    fn count(&self) {
        self.shared.served.fetch_add(1, Ordering::SeqCst);
        jitter::lock(self.talk).blocks += 1;
    }

    fn extended(&mut self, payload: &[u8]) -> io::Result<()> {
        let Some((&id, rest)) = payload.split_first() else { return Err(done()) };
        let Some((value, _)) = bencode::decode(rest) else { return Err(done()) };
        if id == 0 {
            let wanted =
                value.get("m").and_then(|m| m.get("ut_metadata")).and_then(bencode::Value::int);
            self.their_metadata_id =
                wanted.and_then(|id| u8::try_from(id).ok()).filter(|id| *id != 0);
            return Ok(());
        }
        if id != self.plan.metadata_id
            || value.get("msg_type").and_then(bencode::Value::int) != Some(0)
        {
            return Ok(());
        }
        let Some(piece) = value.get("piece").and_then(bencode::Value::int) else {
            return Err(done());
        };
        self.metadata(piece)
    }

    fn metadata(&mut self, piece: i64) -> io::Result<()> {
        let Some(their_id) = self.their_metadata_id else { return Err(done()) };
        let info = &self.plan.torrent.info;
        let total = match self.plan.metadata {
            Metadata::Size(size) => size,
            _ => info.len() as i64,
        };
        let begin = usize::try_from(piece).unwrap_or(usize::MAX).saturating_mul(METADATA_PIECE);
        let length = usize::try_from(total).unwrap_or(0).saturating_sub(begin).min(METADATA_PIECE);
        let mut data: Vec<u8> = info.iter().skip(begin).take(length).copied().collect();
        data.resize(length, 0);
        let head = |kind: i64, piece: i64| match kind {
            1 => dict(&[("msg_type", int(1)), ("piece", int(piece)), ("total_size", int(total))]),
            _ => dict(&[("msg_type", int(kind)), ("piece", int(piece))]),
        };
        let answer = match self.plan.metadata {
            Metadata::Silent => Vec::new(),
            Metadata::Reject => head(2, piece),
            Metadata::Garbage => b"this is no dictionary".to_vec(),
            Metadata::OutOfRange => [head(1, 1_000_000), data].concat(),
            Metadata::Corrupt => [head(1, piece), data.iter().map(|b| !b).collect()].concat(),
            Metadata::TooLong => [head(1, piece), data, vec![0]].concat(),
            Metadata::Good | Metadata::None | Metadata::Size(_) => [head(1, piece), data].concat(),
        };
        if self.plan.metadata != Metadata::Silent {
            self.metadata_sent += 1;
            self.send(&wire::extended(their_id, &answer))?;
        }
        if self.plan.metadata != Metadata::Good {
            self.mischief();
        }
        Ok(())
    }
}

/// Messages that a client must ignore: a keep-alive, an unknown id, an extended
/// message with an id that was never assigned, a DHT port.
fn noise() -> Vec<u8> {
    [
        wire::keep_alive(),
        wire::message(77, b"what is this"),
        wire::extended(99, b"d1:xi1ee"),
        wire::message(9, &[0x1A, 0xE1]),
        wire::keep_alive(),
    ]
    .concat()
}
