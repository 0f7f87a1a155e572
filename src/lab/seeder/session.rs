//! One peer's connection to a seeder, from our bitfield to its last block.
//!
//! One thread reads and writes in turn. While there is something to send, it reads only
//! from the buffer, never from the socket. So it can wait for the peer or for its own rate,
//! but not for both at once.

mod hashes;
mod missing;
mod opening;
mod serving;

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::missing::Partner;
use super::end::{End, IDLE_TIME, MAX_QUEUE, WRITE_TIMEOUT, is_hangup};
use super::outgoing::Outgoing;
use super::peer_log::PeerLog;
use super::request_check::check;
use super::shared::{Holding, Shared};
use super::{Fault, handshake};
use crate::actors::{Blocks, Greeting, Metadata, Unchoke};
use crate::lab::hints::{self, Mistake};
use crate::lab::service::AfterServing;
use crate::s04_handshake::transport::Transport;
use crate::s05_messages::bitfield::{Bitfield, has_spare_bits};
use crate::s05_messages::connection::Connection;
use crate::s05_messages::{Message, MessageError, Request};
use crate::s07_extension::extension::Extension;
use crate::s07_extension::{EXTENDED, EXTENSION_BIT, Extensions};
use crate::s08_metadata::UtMetadata;
use crate::s19_pex::UtPex;
use crate::s23_v2::trees;
use crate::s24_hash_transfer::message::{HASH_REJECT, HASH_REQUEST};

/// The silence after which a note says what the client may have forgotten.
const LULL: Duration = Duration::from_secs(5);
/// The longest silence of ours.
const KEEP_ALIVE: Duration = Duration::from_secs(100);
/// The time that [`Fault::Chokes`] keeps a peer choked.
const CHOKE_TIME: Duration = Duration::from_millis(300);
/// The time in which [`Blocks::Backwards`] collects requests.
const COLLECTING: Duration = Duration::from_millis(100);
/// The most bytes of metadata answers that wait to be sent. Some clients ask for all of it at once.
const MAX_UNSENT: usize = 1 << 20;
/// The number of blocks in one write.
const BATCH: u64 = 4;

/// Serves one connection, and notes how it went.
pub fn serve(seeder: &Arc<Shared>, transport: Transport) -> AfterServing {
    let mut log = PeerLog::new(seeder, transport.peer);
    // It is one quirk for all torrents.
    let closes = seeder.torrents.iter().any(|holding| holding.plan.greeting == Greeting::Close);
    let end = match seeder.fault {
        Fault::Silent => say_nothing(transport),
        _ if closes => End::Quirk,
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
    let ended = handshake::receive(seeder, transport, log).and_then(|(mut connection, holding)| {
        let mut session = Session::new(seeder, holding, &connection, log);
        session.run(&mut connection)
    });
    match ended {
        Ok(never) => match never {},
        Err(end) => end,
    }
}

/// Our side of a connection. It writes only into buffers; [`Session::run`] sends them.
struct Session<'s> {
    seeder: &'s Shared,
    holding: &'s Holding,
    log: &'s mut PeerLog,
    extensions: Extensions,
    partner: Partner,
    choking: bool,
    /// The time at which a seeder that made the peer wait unchokes it.
    unchoke_at: Option<Instant>,
    /// The blocks given since the last unchoke, and in all.
    since_unchoke: u64,
    given: usize,
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
        holding: &'s Holding,
        connection: &Connection,
        log: &'s mut PeerLog,
    ) -> Session<'s> {
        let now = Instant::now();
        let metadata = UtMetadata::new(Some(Arc::clone(&holding.content.metadata)));
        let peer_id = connection.theirs.peer_id;
        let pex = UtPex::new(Arc::clone(&seeder.gossip), connection.peer, peer_id);
        let offered: Vec<Box<dyn Extension>> = match holding.plan.metadata {
            Metadata::None => Vec::new(),
            _ => vec![Box::new(metadata), Box::new(pex)],
        };
        Session {
            seeder,
            holding,
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
        self.last_received = Instant::now(); // a drip has taken a minute
        self.open(connection);
        connection.input.set_limit(self.holding.content.info.piece_count());
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
        let collects = matches!(self.holding.plan.blocks, Blocks::Backwards);
        collects.then(|| self.last_received + COLLECTING)
    }

    fn queue_message(&mut self, message: &Message) {
        let mut encoded = Vec::new();
        message.encode_to(&mut encoded);
        self.queue_encoded(&encoded);
    }

    fn queue_encoded(&mut self, messages: &[u8]) {
        self.messages.extend_from_slice(messages);
        self.log.sent(messages);
    }

    /// Unchokes a peer that is interested, now or later, unless the plan is against it.
    fn answer_interest(&mut self) {
        let plan = &self.holding.plan;
        match (plan.unchoke, &plan.blocks) {
            (Unchoke::Never, _) => {}
            (_, Blocks::ChokeAfter(count, false)) if self.given >= *count => {}
            _ if plan.unchoke_after.is_zero() => self.unchoke(),
            _ => self.unchoke_at = Some(Instant::now() + plan.unchoke_after),
        }
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
        if let Message::Unknown { id: id @ HASH_REQUEST..=HASH_REJECT, payload } = message
            && trees(&self.holding.content.info).is_some()
        {
            self.about_hashes(id, payload);
            return Ok(());
        }
        let asks = |payload: &[u8]| payload.first().is_some_and(|id| *id != 0);
        match &message {
            Message::Unknown { id: EXTENDED, payload } => self.partner.asked |= asks(payload),
            Message::Request(_) => self.partner.asked = true,
            Message::Unchoke => self.partner.unchoked_us = true,
            Message::Interested => self.partner.interested = true,
            _ => {}
        }
        self.keep_alive = matches!(message, Message::KeepAlive);
        // After a choke of ours it may ask before it knows.
        let choked = self.choking && self.unchoke_at.is_none() && self.given == 0;
        if choked && matches!(message, Message::Request(_)) {
            self.log.asked_too_early();
        }
        if let Some(mistake) = hints::out_of_place(&message, self.bitfield_is_late, choked) {
            self.log.mistake(mistake);
        }
        let pieces = self.holding.content.info.piece_count();
        self.bitfield_is_late |=
            !matches!(message, Message::KeepAlive | Message::Port { .. } | Message::Unknown { .. });
        match message {
            Message::Interested if self.choking && self.unchoke_at.is_none() => {
                self.answer_interest()
            }
            // It may have been sent before the peer knew. It is forgotten all the same.
            Message::Request(_) if self.unchoke_at.is_some() => self.partner.while_choked += 1,
            Message::Request(request) if !self.choking => {
                self.partner.forgotten = 0;
                let odd = check(request, &self.holding.content, &self.holding.has)?;
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
