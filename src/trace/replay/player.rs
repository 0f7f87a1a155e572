//! Plays the peer's part on a connection in memory, and records ours.

use std::collections::VecDeque;
use std::io::Write;
use std::time::{Duration, Instant};

use super::script::{Script, with_our_ids};
use super::side_record::{Asked, Side};
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
    pub now: Side,
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
pub(super) fn play(script: Script, line: Transport, patience: Duration) -> Played {
    let mut played = Played::default();
    let Transport { mut reader, writer, .. } = line;
    reader.set_deadline(Instant::now() + patience);
    match Handshake::read_from(&mut reader) {
        Ok(handshake) => played.now.handshake = Some(handshake),
        Err(error) => {
            played.waited.push(format!("our handshake did not come: {error}"));
            return played;
        }
    }
    let mut stage = Stage { script, writer, patience, played };
    let mut input = MessageReader::new(reader);
    // An error means that our side has hung up, so there is nothing to report.
    let _ = stage.open().and_then(|()| stage.go_on(&mut input));
    stage.played
}

struct Stage {
    script: Script,
    writer: Box<dyn WriteHalf>,
    patience: Duration,
    played: Played,
}

impl Stage {
    fn open(&mut self) -> Result<(), HungUp> {
        let handshake = self.script.theirs.encode();
        self.send(&handshake)
    }

    fn go_on(
        &mut self,
        input: &mut MessageReader<Box<dyn crate::s04_handshake::transport::ReadHalf>>,
    ) -> Result<(), HungUp> {
        loop {
            self.say_what_is_due()?;
            input.get_mut().set_deadline(Instant::now() + self.patience);
            let asked = match input.read() {
                Ok(message) => self.played.now.hear(&message, self.script.metadata_id),
                Err(error) if error.is_timeout() => {
                    self.lose_patience()?;
                    continue;
                }
                Err(_) => return Ok(()),
            };
            match asked {
                Some(Asked::Block(request)) => self.give(request)?,
                Some(Asked::Metadata(part)) => self.give_part(part)?,
                None => {}
            }
        }
    }

    /// Sends the lines whose conditions are met.
    fn say_what_is_due(&mut self) -> Result<(), HungUp> {
        while let Some(line) = self.script.lines.front() {
            let (needs, said) = (line.needs, self.played.now.counts);
            let due = said.greetings >= needs.greetings
                && said.interested >= needs.interested
                && said.not_interested >= needs.not_interested
                && self.played.blocks >= line.blocks
                && self.played.parts >= line.parts;
            if !due {
                break;
            }
            self.say_next()?;
        }
        Ok(())
    }

    fn say_next(&mut self) -> Result<(), HungUp> {
        let Some(line) = self.script.lines.pop_front() else { return Ok(()) };
        match with_our_ids(&line.bytes, &self.script.ours, &self.played.now) {
            Some(bytes) => self.send(&bytes),
            None => Ok(()),
        }
    }

    /// Handles a silence of our side: sends the next line all the same, and those that wait for
    /// nothing else. Ends if there is none, or after too many silences.
    fn lose_patience(&mut self) -> Result<(), HungUp> {
        let Played { waited, gave_up, .. } = &mut self.played;
        *gave_up = true;
        let Some(line) = self.script.lines.front() else {
            waited.push("our side still waits, where in the capture it has everything".to_owned());
            return Err(HungUp);
        };
        waited.push(format!(
            "our side did not say all that comes before the peer's {} in the capture",
            line.name
        ));
        if waited.len() > MAX_WAITS {
            return Err(HungUp);
        }
        *gave_up = false;
        self.patience = self.patience.min(IMPATIENT);
        let due = line.due();
        while self.script.lines.front().is_some_and(|line| line.due() == due) {
            self.say_next()?;
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
