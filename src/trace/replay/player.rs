//! Plays the peer's part on a connection in memory, and records ours.

use std::collections::VecDeque;
use std::io::Write;
use std::time::{Duration, Instant};

use super::script::{Script, with_our_ids};
use super::side_record::{Requested, SideRecord};
use crate::s04_handshake::Handshake;
use crate::s04_handshake::transport::{Transport, WriteHalf};
use crate::s05_messages::{Message, MessageReader, Request};

/// The wait after our side has let the peer wait in vain.
const IMPATIENT: Duration = Duration::from_secs(1);

/// The most waits in vain; a capture could have any number.
const MAX_WAITS: usize = 10;

/// The outcome of playing.
#[derive(Debug, Default)]
pub(super) struct Played {
    /// Our side.
    pub now: SideRecord,
    pub blocks: usize,
    parts: usize,
    /// The places where our side did not say what the capture has.
    pub waited: Vec<String>,
    /// Whether the peer hung up because our side said no more; otherwise our side hung up.
    pub gave_up: bool,
}

/// Our side has hung up.
struct HungUp;

/// Plays until our side hangs up, or has nothing more to say.
pub(super) fn play(script: Script, transport: Transport, patience: Duration) -> Played {
    let mut played = Played::default();
    let Transport { mut reader, writer, .. } = transport;
    reader.set_deadline(Instant::now() + patience);
    match Handshake::read_from(&mut reader) {
        Ok(handshake) => played.now.handshake = Some(handshake),
        Err(error) => {
            played.waited.push(format!("our handshake did not come: {error}"));
            return played;
        }
    }
    let mut peer = PlayedPeer { script, writer, patience, played };
    let mut input = MessageReader::new(reader);
    // An error means that our side has hung up, so there is nothing to report.
    let _ = peer.send_handshake().and_then(|()| peer.answer_requests(&mut input));
    peer.played
}

struct PlayedPeer {
    script: Script,
    writer: Box<dyn WriteHalf>,
    patience: Duration,
    played: Played,
}

impl PlayedPeer {
    fn send_handshake(&mut self) -> Result<(), HungUp> {
        let handshake = self.script.theirs.encode();
        self.send(&handshake)
    }

    fn answer_requests(
        &mut self,
        input: &mut MessageReader<Box<dyn crate::s04_handshake::transport::ReadHalf>>,
    ) -> Result<(), HungUp> {
        loop {
            self.send_what_is_due()?;
            input.get_mut().set_deadline(Instant::now() + self.patience);
            let asked = match input.read() {
                Ok(message) => self.played.now.record(&message, self.script.metadata_id),
                Err(error) if error.is_timeout() => {
                    self.lose_patience()?;
                    continue;
                }
                Err(_) => return Ok(()),
            };
            match asked {
                Some(Requested::Block(request)) => self.give(request)?,
                Some(Requested::Metadata(part)) => self.give_part(part)?,
                None => {}
            }
        }
    }

    /// Sends the lines whose conditions are met.
    fn send_what_is_due(&mut self) -> Result<(), HungUp> {
        while let Some(message) = self.script.messages.front() {
            let (needs, sent) = (message.needs, self.played.now.counts);
            let due = sent.extension_handshakes >= needs.extension_handshakes
                && sent.interested >= needs.interested
                && sent.not_interested >= needs.not_interested
                && self.played.blocks >= message.blocks
                && self.played.parts >= message.parts;
            if !due {
                break;
            }
            self.send_next()?;
        }
        Ok(())
    }

    fn send_next(&mut self) -> Result<(), HungUp> {
        let Some(message) = self.script.messages.pop_front() else { return Ok(()) };
        match with_our_ids(&message.bytes, &self.script.ours, &self.played.now) {
            Some(bytes) => self.send(&bytes),
            None => Ok(()),
        }
    }

    /// Handles a silence of our side: sends the next line all the same, and those that wait for
    /// nothing else. Ends if there is none, or after too many silences.
    fn lose_patience(&mut self) -> Result<(), HungUp> {
        let Played { waited, gave_up, .. } = &mut self.played;
        *gave_up = true;
        let Some(message) = self.script.messages.front() else {
            waited.push("our side still waits, where in the capture it has everything".to_owned());
            return Err(HungUp);
        };
        waited.push(format!(
            "our side did not say all that comes before the peer's {} in the capture",
            message.name
        ));
        if waited.len() > MAX_WAITS {
            return Err(HungUp);
        }
        *gave_up = false;
        self.patience = self.patience.min(IMPATIENT);
        let due = message.due();
        while self.script.messages.front().is_some_and(|message| message.due() == due) {
            self.send_next()?;
        }
        Ok(())
    }

    fn give(&mut self, request: Request) -> Result<(), HungUp> {
        let key = (request.index, request.begin, request.length);
        let Some(answer) = self.script.blocks.get_mut(&key).and_then(next) else { return Ok(()) };
        self.send(&answer)?;
        if matches!(Message::decode(answer.get(4..).unwrap_or_default()), Ok(Message::Piece { .. }))
        {
            self.played.blocks += 1;
            self.played.now.got_block();
        }
        Ok(())
    }

    fn give_part(&mut self, part: u32) -> Result<(), HungUp> {
        let Some(answer) = self.script.metadata.get_mut(&part).and_then(next) else {
            return Ok(());
        };
        self.played.parts += 1;
        match with_our_ids(&answer, &self.script.ours, &self.played.now) {
            Some(answer) => self.send(&answer),
            None => Ok(()),
        }
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), HungUp> {
        self.writer.set_deadline(Instant::now() + self.patience.max(IMPATIENT));
        self.writer.write_all(bytes).map_err(|_| HungUp)
    }
}

/// Returns the next answer. The last one is repeated for a repeated request.
fn next(answers: &mut VecDeque<Vec<u8>>) -> Option<Vec<u8>> {
    if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
}
