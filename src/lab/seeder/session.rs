//! One peer's connection to a seeder, from our bitfield to its last block.
//!
//! One thread reads and writes in turn. While there is something to send, it reads only
//! from the buffer, never from the socket. So it can wait for the peer or for its own rate,
//! but not for both at once.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::end::{End, IDLE_TIME, MAX_QUEUE, WRITE_TIMEOUT};
use super::outgoing::{Outgoing, Sent};
use super::peer_log::PeerLog;
use super::request_check::check;
use super::shared::Shared;
use super::{Fault, handshake};
use crate::lab::content::Content;
use crate::lab::hints::{self, Mistake};
use crate::lab::service::AfterServing;
use crate::s04_handshake::transport::Transport;
use crate::s05_messages::bitfield::{Bitfield, has_spare_bits};
use crate::s05_messages::connection::Connection;
use crate::s05_messages::{Message, MessageError, Request};
use crate::s07_extension::{EXTENDED, EXTENSION_BIT, Extensions};
use crate::s08_metadata::{NAME, UtMetadata};

/// The silence after which a note says what the client may have forgotten.
const LULL: Duration = Duration::from_secs(5);
/// The longest silence of ours.
const KEEP_ALIVE: Duration = Duration::from_secs(100);
/// The time that [`Fault::Chokes`] keeps a peer choked.
const CHOKE_TIME: Duration = Duration::from_millis(300);
/// The most bytes of metadata answers that wait to be sent. Some clients ask for all of it at once.
const MAX_UNSENT: usize = 1 << 20;
/// The number of blocks in one write.
const BATCH: u64 = 4;
/// Serves one connection, and notes how it went.
pub fn serve(seeder: &Arc<Shared>, transport: Transport) -> AfterServing {
    let mut log = PeerLog::new(&seeder.notes, seeder.address, transport.peer);
    let end = match seeder.fault {
        Fault::Silent => say_nothing(transport),
        _ => talk(seeder, transport, &mut log),
    };
    log.end(&end.to_string(), end.mistake());
    if matches!(end, End::Died) { AfterServing::Stop } else { AfterServing::GoOn }
}

/// Reads without answering, for [`Fault::Silent`], so that it notices the end.
fn say_nothing(mut transport: Transport) -> End {
    transport.set_deadline(Instant::now() + IDLE_TIME);
    match io::copy(&mut Read::by_ref(&mut transport.reader).take(1 << 20), &mut io::sink()) {
        Ok(_) => MessageError::HungUp { inside: false }.into(),
        Err(error) => MessageError::Io(error).into(),
    }
}

fn talk(seeder: &Shared, transport: Transport, log: &mut PeerLog) -> End {
    let served =
        handshake::receive(seeder, transport, log).and_then(|(mut connection, content, has)| {
            let mut session = Session::new(seeder, content, has, log);
            session.run(&mut connection)
        });
    match served {
        Ok(never) => match never {},
        Err(end) => end,
    }
}

/// Our side of a connection. It writes only into buffers; [`Session::run`] sends them.
struct Session<'s> {
    seeder: &'s Shared,
    content: &'s Content,
    has: &'s Bitfield,
    log: &'s mut PeerLog,
    extensions: Extensions,
    choking: bool,
    /// The time at which [`Fault::Chokes`] unchokes again.
    unchoke_at: Option<Instant>,
    /// The number of blocks since the last unchoke.
    since_unchoke: u64,
    queue: VecDeque<Request>,
    /// Messages to send, before the next block but never inside one.
    messages: Vec<u8>,
    blocks: Outgoing,
    last_received: Instant,
    last_sent: Instant,
    /// Whether a bitfield may no longer come.
    bitfield_is_late: bool,
    /// Whether the last message was a keep-alive.
    keep_alive: bool,
    asked: bool,
    /// Whether both sides speak the extension protocol.
    extended: bool,
}

enum Never {}

impl<'s> Session<'s> {
    fn new(
        seeder: &'s Shared,
        content: &'s Content,
        has: &'s Bitfield,
        log: &'s mut PeerLog,
    ) -> Session<'s> {
        let now = Instant::now();
        let metadata = UtMetadata::new(Some(Arc::clone(&content.metadata)));
        Session {
            seeder,
            content,
            has,
            log,
            extensions: Extensions::new(vec![Box::new(metadata)]),
            choking: true,
            unchoke_at: None,
            since_unchoke: 0,
            queue: VecDeque::new(),
            messages: Vec::new(),
            blocks: Outgoing::default(),
            last_received: now,
            last_sent: now,
            bitfield_is_late: false,
            keep_alive: false,
            asked: false,
            extended: false,
        }
    }

    /// Serves the peer until something ends the connection.
    fn run(&mut self, connection: &mut Connection) -> Result<Never, End> {
        connection.send_bytes(&connection.ours.encode())?;
        // Clients of the tutorials insist on the bitfield first.
        self.queue_message(&Message::Bitfield { bits: &self.has.encode() });
        self.extended = connection.has_bit(EXTENSION_BIT);
        if self.extended {
            let handshake = self.extensions.greeting(connection.peer.ip()).encode();
            self.queue_message(&Message::Unknown {
                id: EXTENDED,
                payload: &[&[0], handshake.as_slice()].concat(),
            });
        }
        connection.input.set_limit(self.content.info.piece_count());
        loop {
            let now = Instant::now();
            self.tick(now, connection.input.begun())?;
            let next = self.send(connection, now)?;
            connection.input.get_mut().set_deadline(next);
            match connection.input.read() {
                Ok(message) => {
                    self.last_received = Instant::now();
                    let choked = self.choking;
                    self.receive(message)?;
                    if choked && !self.choking && hints::hasty(connection.input.begun()) {
                        self.log.mistake(Mistake::new("hasty", hints::HASTY, hints::PIECES));
                    }
                }
                Err(error) if error.is_timeout() => {}
                Err(MessageError::HungUp { inside: true }) => {
                    return Err(End::Unfinished {
                        hint: hints::unfinished(connection.input.begun()),
                    });
                }
                Err(error) => {
                    let hint = hints::message(&error, self.keep_alive);
                    return Err(End::Message { error, hint });
                }
            }
        }
    }

    /// Does what is due by now.
    fn tick(&mut self, now: Instant, begun: &[u8]) -> Result<(), End> {
        if now >= self.last_received + LULL {
            self.silence(begun);
        }
        if now >= self.last_received + IDLE_TIME {
            return Err(End::Idle);
        }
        if self.unchoke_at.is_some_and(|at| now >= at) {
            self.unchoke();
        }
        if now >= self.last_sent + KEEP_ALIVE {
            self.queue_message(&Message::KeepAlive);
        }
        Ok(())
    }

    /// Notes a silence, once each.
    fn silence(&mut self, begun: &[u8]) {
        let (kind, what, see) = match begun {
            [] if self.asked || self.unchoke_at.is_some() => return,
            [] if self.choking => ("no interest", hints::NOT_INTERESTED.to_owned(), hints::PIECES),
            [] => ("no request", hints::NO_REQUEST.to_owned(), hints::PIECES),
            begun => ("unfinished", hints::unfinished(begun), hints::MESSAGES),
        };
        let what = format!("nothing has come for {} s: {what}", LULL.as_secs());
        self.log.mistake(Mistake::new(kind, what, see));
    }

    /// Sends what may go now, and returns the time until which to listen.
    fn send(&mut self, connection: &mut Connection, now: Instant) -> Result<Instant, End> {
        connection.output.set_deadline(now + WRITE_TIMEOUT);
        if self.blocks.is_empty() && !self.messages.is_empty() {
            connection.send_bytes(&self.messages)?;
            self.messages.clear();
            self.last_sent = now;
        }
        if self.blocks.is_empty() && !self.choking {
            self.fill()?;
        }
        let left = self.blocks.left();
        if left.is_empty() {
            return Ok(self.next_tick());
        }
        let count = match self.seeder.take(left.len(), now) {
            Err(later) => return Ok(later.min(self.next_tick())),
            Ok(count) => count,
        };
        connection.send_bytes(left.get(..count).unwrap_or(left))?;
        self.last_sent = now;
        if let Some(sent) = self.blocks.sent(count) {
            self.count(sent)?;
        }
        Ok(now) // there may be more to send: only look in the buffer
    }

    fn next_tick(&self) -> Instant {
        // A silence that has ended was noted before.
        let lull = Some(self.last_received + LULL).filter(|lull| *lull > Instant::now());
        let next = (self.last_received + IDLE_TIME).min(self.last_sent + KEEP_ALIVE);
        let next = lull.map_or(next, |lull| lull.min(next));
        self.unchoke_at.map_or(next, |at| at.min(next))
    }

    /// Fills the next batch of blocks. With a rate limit it is a single block, since nothing
    /// else can be sent before it is out.
    fn fill(&mut self) -> Result<(), End> {
        let batch = if self.seeder.rate.is_limited() { 1 } else { BATCH };
        while self.blocks.count() < batch
            && let Some(request) = self.queue.pop_front()
        {
            let number = self.seeder.begun.fetch_add(1, Ordering::Relaxed);
            if matches!(self.seeder.fault, Fault::Dies { after_blocks } if number >= after_blocks) {
                // Another connection's last block may still be on its way, but ours is not.
                if self.blocks.is_empty() {
                    return Err(End::Died);
                }
                break;
            }
            let offset = u64::from(request.index) * u64::from(self.content.info.piece_length)
                + u64::from(request.begin);
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let block = self
                .content
                .data
                .get(start..start.saturating_add(request.length as usize))
                .unwrap_or_default();
            let Request { index, begin, .. } = request;
            let message = Message::Piece { index, begin, block };
            self.blocks.add(&message, request.length);
            self.log.sent(&message);
            self.log.gives(index);
            if matches!(self.seeder.fault, Fault::Corrupt { every } if number.is_multiple_of(every.max(1)))
            {
                self.blocks.spoil_last();
                self.log.spoiled(index, begin);
            }
            self.since_unchoke += 1;
            if matches!(self.seeder.fault, Fault::Chokes { every } if self.since_unchoke >= every) {
                self.queue_message(&Message::Choke);
                self.log.choked(self.queue.len());
                // Without the fast extension, a choke throws all requests away.
                self.queue.clear();
                self.choking = true;
                self.unchoke_at = Some(Instant::now() + CHOKE_TIME);
            }
        }
        Ok(())
    }

    /// Counts a batch that was sent whole.
    fn count(&mut self, Sent { blocks, bytes }: Sent) -> Result<(), End> {
        if let Some(peer_id) = self.log.gave(blocks, bytes) {
            self.seeder.remember(peer_id);
        }
        self.seeder.bytes.fetch_add(bytes, Ordering::Relaxed);
        let all = self.seeder.blocks.fetch_add(blocks, Ordering::Relaxed) + blocks;
        match self.seeder.fault {
            Fault::Dies { after_blocks } if all >= after_blocks => Err(End::Died),
            _ => Ok(()),
        }
    }

    fn queue_message(&mut self, message: &Message) {
        message.encode_to(&mut self.messages);
        self.log.sent(message);
    }

    fn unchoke(&mut self) {
        self.queue_message(&Message::Unchoke);
        self.choking = false;
        self.unchoke_at = None;
        self.since_unchoke = 0;
    }

    fn receive(&mut self, message: Message) -> Result<(), End> {
        self.log.received(&message);
        let asks = |payload: &[u8]| payload.first().is_some_and(|id| *id != 0);
        self.asked |= match &message {
            Message::Unknown { id: EXTENDED, payload } => asks(payload),
            message => matches!(message, Message::Request(_)),
        };
        self.keep_alive = matches!(message, Message::KeepAlive);
        let choked = self.choking && self.unchoke_at.is_none();
        if let Some(mistake) = hints::out_of_place(&message, self.bitfield_is_late, choked) {
            self.log.mistake(mistake);
        }
        let pieces = self.content.info.piece_count();
        self.bitfield_is_late |=
            !matches!(message, Message::KeepAlive | Message::Port { .. } | Message::Unknown { .. });
        match message {
            Message::Interested if self.choking && self.unchoke_at.is_none() => self.unchoke(),
            // A request that comes while we choke was sent before the peer knew.
            Message::Request(request) if !self.choking => {
                let odd = check(request, self.content, self.has)?;
                odd.into_iter().for_each(|mistake| self.log.mistake(mistake));
                if self.queue.len() == MAX_QUEUE {
                    return Err(End::TooMany);
                }
                self.queue.push_back(request);
            }
            Message::Bitfield { bits } => {
                Bitfield::decode(bits, pieces)?;
                if has_spare_bits(bits, pieces) {
                    self.log.mistake(hints::spare_bits(bits, pieces));
                }
            }
            Message::Have { index } if index >= pieces => return Err(End::Have { index, pieces }),
            Message::Cancel(request) => self.queue.retain(|other| *other != request),
            Message::Unknown { id: EXTENDED, .. } if !self.extended => {
                self.log.mistake(Mistake::new("no bit", hints::NO_BIT, hints::EXTENSION));
            }
            Message::Unknown { id: EXTENDED, payload } => {
                let ours = self.extensions.our_id(NAME).unwrap_or_default();
                let (theirs, metadata) = (&self.extensions.theirs, self.content.metadata.len());
                if let Some(mistake) = hints::extended(payload, ours, theirs, metadata) {
                    self.log.mistake(mistake);
                }
                let mut answer = Vec::new();
                self.extensions.hear(payload, &mut answer)?;
                if let Some(payload) = answer.get(5..) {
                    self.log.sent(&Message::Unknown { id: EXTENDED, payload });
                }
                self.messages.append(&mut answer);
                if self.messages.len() > MAX_UNSENT {
                    return Err(End::TooMany);
                }
            }
            _ => {}
        }
        Ok(())
    }
}
