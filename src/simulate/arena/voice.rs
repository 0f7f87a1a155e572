//! A program in a swarm: it speaks for one simulated peer, or for many.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use super::answer::{self, Wrong};
use super::program::{Gone, Program};
use super::question;
use crate::simulate::strategy::{ChokeQuestion, PieceQuestion, Strategy};

/// How a program did in a swarm, its play aside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manners {
    /// Questions that there were for it.
    pub questions: u64,
    /// Those that the client's rule decided, since its answer was wrong or it was gone.
    pub by_rule: u64,
    /// Swarms in which its time was over, and it was asked no more.
    pub late: u64,
    /// What was wrong with the first such answer, or why it is gone.
    pub fault: Option<String>,
}

impl Manners {
    /// Adds those of another swarm. The first fault stays.
    pub fn add(&mut self, other: Manners) {
        self.questions += other.questions;
        self.by_rule += other.by_rule;
        self.late += other.late;
        self.fault = self.fault.take().or(other.fault);
    }
}

/// A program's part in one swarm. All peers for which it decides share it.
#[derive(Clone)]
pub struct Voice(Arc<Mutex<Talk>>);

struct Talk {
    program: Option<Program>,
    manners: Manners,
    chooses_pieces: bool,
    stop: Arc<AtomicBool>,
}

impl Voice {
    /// Starts a program for one swarm. One that cannot be started is as one that ended at once.
    pub fn start(command_line: &str, stop: Arc<AtomicBool>) -> Voice {
        let mut manners = Manners::default();
        let program = match Program::start(command_line) {
            Ok(program) => Some(program),
            Err(gone) => {
                manners.fault = Some(gone.to_string());
                None
            }
        };
        Voice(Arc::new(Mutex::new(Talk { program, manners, chooses_pieces: true, stop })))
    }

    /// Returns how it did so far.
    pub fn manners(&self) -> Manners {
        self.lock().manners.clone()
    }

    /// Ends the program, and returns how it did.
    pub fn finish(&self) -> Manners {
        let mut talk = self.lock();
        talk.program = None;
        talk.manners.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Talk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Talk {
    /// Asks, and returns what `read` makes of the answer; `None` leaves it to the client's rule.
    fn ask<A>(
        &mut self,
        question: impl FnOnce() -> String,
        read: impl FnOnce(&[u8]) -> Result<Option<A>, Wrong>,
    ) -> Option<A> {
        self.manners.questions += 1;
        let answered = self.answer(question);
        let read = answered.and_then(|line| {
            read(&line).map_err(|wrong| {
                if matches!(wrong, Wrong::NoObject(_)) {
                    // A line that is no answer may stand before one. From here on nobody could
                    // say which line answers what.
                    self.program = None;
                }
                Some(wrong.to_string())
            })
        });
        read.unwrap_or_else(|fault| {
            self.manners.by_rule += 1;
            self.manners.fault = self.manners.fault.take().or(fault);
            None
        })
    }

    /// Returns the line that answers a question. A program that must be asked no more is ended.
    fn answer(&mut self, question: impl FnOnce() -> String) -> Result<Vec<u8>, Option<String>> {
        let program = self.program.as_mut().ok_or(None)?;
        program.ask(question(), &self.stop).map_err(|gone| {
            self.program = None;
            self.manners.late += u64::from(gone.is_late());
            Some(match gone {
                // That was not the program's doing.
                Gone::Stopped => return None,
                gone => gone.to_string(),
            })
        })
    }
}

impl Strategy for Voice {
    fn choke(&mut self, question: &ChokeQuestion) -> Option<Vec<(usize, f64)>> {
        self.lock().ask(|| question::choke(question), |line| answer::choke(line, question))
    }

    fn piece(&mut self, question: &PieceQuestion) -> Option<u32> {
        let mut talk = self.lock();
        let before = talk.manners.by_rule;
        let piece = talk.ask(|| question::piece(question), |line| answer::piece(line, question));
        // An empty object: it does not care about pieces, and is spared the other questions.
        if piece.is_none() && talk.manners.by_rule == before {
            talk.chooses_pieces = false;
        }
        piece
    }

    fn chooses_pieces(&self) -> bool {
        let talk = self.lock();
        talk.chooses_pieces && talk.program.is_some()
    }
}
