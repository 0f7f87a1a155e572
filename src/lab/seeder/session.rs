//! One peer's connection to a seeder, from our bitfield to its last block.
//!
//! One thread reads and writes in turn. While there is something to send, it reads only
//! from the buffer, never from the socket. So it can wait for the peer or for its own rate,
//! but not for both at once.

mod missing;
mod opening;
mod serving;

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::missing::Partner;
pub use self::opening::holds;
use super::end::{End, IDLE_TIME, MAX_QUEUE, WRITE_TIMEOUT, is_hangup};
use super::outgoing::Outgoing;
use super::peer_log::PeerLog;
use super::quirk::Quirk;
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
use crate::s07_extension::{EXTENDED, EXTENSION_BIT, Extension, Extensions};
use crate::s08_metadata::UtMetadata;

/// The silence after which a note says what the client may have forgotten.
const LULL: Duration = Duration::from_secs(5);
/// The longest silence of ours.
const KEEP_ALIVE: Duration = Duration::from_secs(100);
/// The time that [`Fault::Chokes`] keeps a peer choked.
const CHOKE_TIME: Duration = Duration::from_millis(300);
/// The time that [`Quirk::LateUnchoke`] takes.
const LATE: Duration = Duration::from_secs(2);
/// The time in which [`Quirk::Backwards`] collects requests.
const COLLECTING: Duration = Duration::from_millis(100);
/// The most bytes of metadata answers that wait to be sent. Some clients ask for all of it at once.
const MAX_UNSENT: usize = 1 << 20;
/// The number of blocks in one write.
const BATCH: u64 = 4;
/// Serves one connection, and notes how it went.
pub fn serve(seeder: &Arc<Shared>, transport: Transport) -> AfterServing {
    let mut log = PeerLog::new(seeder, transport.peer);
    let end = match seeder.fault {
        Fault::Silent => say_nothing(transport),
        Fault::Quirk(Quirk::Close) => End::Quirk,
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
    quirk: Option<Quirk>,
    content: &'s Content,
    has: &'s Bitfield,
    log: &'s mut PeerLog,
    extensions: Extensions,
    partner: Partner,
    choking: bool,
    /// The time at which a seeder that made the peer wait unchokes it.
    unchoke_at: Option<Instant>,
    /// The blocks given since the last unchoke, and in all.
    since_unchoke: u64,
    given: u64,
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
        let quirk = seeder.fault.quirk();
        let metadata = UtMetadata::new(Some(Arc::clone(&content.metadata)));
        let offered: Vec<Box<dyn Extension>> =
            if quirk == Some(Quirk::NoMeta) { Vec::new() } else { vec![Box::new(metadata)] };
        Session {
            seeder,
            quirk,
            content,
            has,
            log,
            extensions: Extensions::new(offered).numbered_from(seeder.metadata_id),
            partner: Partner::default(),
            choking: true,
            unchoke_at: None,
            since_unchoke: 0,
            given: 0,
            queue: VecDeque::new(),
            messages: Vec::new(),
            blocks: Outgoing::default(),
            last_received: now,
            last_sent: now,
            bitfield_is_late: false,
            keep_alive: false,
            extended: false,
        }
    }

    /// Serves the peer until something ends the connection.
    fn run(&mut self, connection: &mut Connection) -> Result<Never, End> {
        self.extended = connection.has_bit(EXTENSION_BIT);
        self.shake(connection)?;
        self.open(connection);
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
                Err(error) if is_hangup(&error) => {
                    self.hung_up();
                    return Err(error.into());
                }
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

    /// Sends what may go now, and returns the time until which to listen.
    fn send(&mut self, connection: &mut Connection, now: Instant) -> Result<Instant, End> {
        connection.output.set_deadline(now + WRITE_TIMEOUT);
        if self.blocks.is_empty() && !self.messages.is_empty() {
            let messages = std::mem::take(&mut self.messages);
            self.write(connection, &messages)?;
            self.last_sent = now;
        }
        if self.blocks.is_empty()
            && !self.choking
            && self.collects_until().is_none_or(|until| until <= now)
        {
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
        self.write(connection, left.get(..count).unwrap_or(left))?;
        self.last_sent = now;
        if let Some(sent) = self.blocks.sent(count) {
            self.count(sent)?;
        }
        Ok(now) // there may be more to send: only look in the buffer
    }

    fn next_tick(&self) -> Instant {
        let next = (self.last_received + IDLE_TIME).min(self.last_sent + KEEP_ALIVE);
        // With blocks on their way, the queue waits for them.
        let waits = !self.queue.is_empty() && self.blocks.is_empty();
        let collected = self.collects_until().filter(|_| waits);
        [self.lull_at(), self.unchoke_at, collected].into_iter().flatten().fold(next, Instant::min)
    }

    /// Returns the time from which requests are answered. Only one quirk waits for more of them.
    fn collects_until(&self) -> Option<Instant> {
        (self.quirk == Some(Quirk::Backwards)).then(|| self.last_received + COLLECTING)
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
        self.tell_forgotten();
    }

    fn receive(&mut self, message: Message) -> Result<(), End> {
        self.log.received(&message);
        let asks = |payload: &[u8]| payload.first().is_some_and(|id| *id != 0);
        match &message {
            Message::Unknown { id: EXTENDED, payload } => self.partner.asked |= asks(payload),
            Message::Request(_) => self.partner.asked = true,
            Message::Unchoke => self.partner.unchoked_us = true,
            Message::Interested => self.partner.interested = true,
            _ => {}
        }
        self.keep_alive = matches!(message, Message::KeepAlive);
        let choked = self.choking && self.unchoke_at.is_none();
        if choked && matches!(message, Message::Request(_)) {
            self.log.asked_too_early();
        }
        if let Some(mistake) = hints::out_of_place(&message, self.bitfield_is_late, choked) {
            self.log.mistake(mistake);
        }
        let pieces = self.content.info.piece_count();
        self.bitfield_is_late |=
            !matches!(message, Message::KeepAlive | Message::Port { .. } | Message::Unknown { .. });
        match message {
            Message::Interested if self.choking && self.unchoke_at.is_none() => match self.quirk {
                Some(Quirk::NeverUnchoke) => {}
                Some(Quirk::ChokeForever) if self.given > 0 => {}
                Some(Quirk::LateUnchoke) => self.unchoke_at = Some(Instant::now() + LATE),
                _ => self.unchoke(),
            },
            // It may have been sent before the peer knew. It is forgotten all the same.
            Message::Request(_) if self.unchoke_at.is_some() => self.partner.while_choked += 1,
            Message::Request(request) if !self.choking => {
                self.partner.forgotten = 0;
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
            Message::Unknown { id: EXTENDED, payload } => return self.extended(payload),
            _ => {}
        }
        Ok(())
    }
}
