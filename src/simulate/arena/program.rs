//! A student's program: a child that gets one line a question, and gives one line an answer.
//!
//! The program is hostile input. It cannot make us wait longer than [`PATIENCE`] for one answer or
//! [`BUDGET`] for all of them, and it cannot make us keep more than a few lines. Virtual time
//! stands still meanwhile, so thinking costs it nothing, and costs the other programs nothing.
//!
//! Both are real time: a program that sleeps must end as well, and no clock but that of the wall
//! goes on then. On a busy machine it may run out for a program that is only slow. So both are many
//! times what an answer needs, and that it was late is told beside the score.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel,
};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::offspring::Offspring;
use crate::s01_bencode::printable;

/// How long an answer may take. One of Python comes in a fifth of a millisecond, and the first,
/// for which it has to start, in a tenth of a second.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How long all answers of a run may take together. Ten thousand of Python take two seconds.
pub const BUDGET: Duration = Duration::from_secs(120);
/// The longest line that is read. An answer names a few peers.
const MAX_LINE: u64 = 64 << 10;
/// Lines that are kept before they are looked at. After that the pipe is full, and it waits.
const LINES: usize = 2;
/// How much is kept of what it says on stderr: the end, where an interpreter says what went wrong.
const MAX_LAST_WORDS: usize = 4 << 10;
/// How many letters of it are quoted.
const MAX_QUOTED: usize = 200;
/// How often a signal is noticed while an answer is waited for.
const TICK: Duration = Duration::from_millis(50);
/// How long a program may take to end once its questions are over.
const FAREWELL: Duration = Duration::from_millis(300);

/// Why a program is asked no more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Gone {
    /// It could not be started.
    #[error("it could not be started: {0}")]
    NotStarted(String),
    /// It ended before its questions did.
    #[error("it ended ({status}){}", quoted(.said))]
    Ended {
        /// How it ended, in words.
        status: String,
        /// The last line that it wrote to stderr.
        said: String,
    },
    /// It did not answer in time.
    #[error("it was silent for {} s (does it flush what it prints?)", PATIENCE.as_secs())]
    Silent,
    /// All its answers together took too long.
    #[error("its answers took more than {} s together", BUDGET.as_secs())]
    Slow,
    /// It wrote a line that nobody had asked for.
    #[error("it prints more than one line for each question (notes belong on stderr)")]
    Unasked,
    /// It wrote a line without an end.
    #[error("it printed a line of more than {} KiB", MAX_LINE >> 10)]
    Flood,
    /// It answers without reading what it is asked.
    #[error("it does not read its questions")]
    Deaf,
    /// The user stopped the whole run.
    #[error("the run was stopped")]
    Stopped,
}

impl Gone {
    /// Whether its time was over, which it may not be on an idle machine.
    pub fn is_late(&self) -> bool {
        matches!(self, Gone::Silent | Gone::Slow)
    }
}

/// Returns what a program said last, as the end of a sentence.
fn quoted(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

/// What the thread that reads its stdout brings.
enum Heard {
    Line(Vec<u8>),
    TooLong,
}

/// A program that is running. Dropping it ends it, with all that it started.
pub struct Program {
    child: Offspring,
    questions: Option<SyncSender<String>>,
    answers: Receiver<Heard>,
    last_words: Arc<Mutex<Vec<u8>>>,
    stderr: Option<JoinHandle<()>>,
    thought: Duration,
}

impl Program {
    /// Starts a command line.
    ///
    /// # Errors
    /// If the system starts no shell, or no thread.
    pub fn start(command_line: &str) -> Result<Program, Gone> {
        let not_started = |error: std::io::Error| Gone::NotStarted(error.to_string());
        let mut command = shell(command_line);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = Offspring::start(&mut command).map_err(not_started)?;
        let (questions, to_write) = sync_channel(1);
        let (heard, answers) = sync_channel(LINES);
        let last_words = Arc::<Mutex<Vec<u8>>>::default();
        let (stdin, stdout, stderr) = child.pipes();
        let kept = Arc::clone(&last_words);
        // Made before the threads: if one of those cannot start, dropping it ends the child.
        let (questions, thought) = (Some(questions), Duration::ZERO);
        let mut program = Program { child, questions, answers, last_words, stderr: None, thought };
        // Threads, since each of the three pipes may block, and only one can be waited for.
        let begin = |name: &str, work: Box<dyn FnOnce() + Send>| {
            thread::Builder::new().name(format!("strategy's {name}")).spawn(work)
        };
        begin("questions", Box::new(move || write_lines(stdin, &to_write))).map_err(not_started)?;
        begin("answers", Box::new(move || read_lines(stdout, &heard))).map_err(not_started)?;
        let stderr = begin("stderr", Box::new(move || keep_the_end(stderr, &kept)));
        program.stderr = Some(stderr.map_err(not_started)?);
        Ok(program)
    }

    /// Asks a question, which is one line without its end, and returns the line that answers it.
    ///
    /// # Errors
    /// If the program is to be asked no more. The caller drops it then.
    pub fn ask(&mut self, question: String, stop: &AtomicBool) -> Result<Vec<u8>, Gone> {
        if stop.load(Ordering::Relaxed) {
            return Err(Gone::Stopped);
        }
        // A line that is there before the question belongs to none. From then on nobody could say
        // which line answers what.
        match self.answers.try_recv() {
            Ok(Heard::TooLong) => return Err(Gone::Flood),
            Ok(Heard::Line(_)) => return Err(Gone::Unasked),
            Err(TryRecvError::Disconnected) => return Err(self.ended()),
            Err(TryRecvError::Empty) => {}
        }
        match self.questions.as_ref().map(|line| line.try_send(question)) {
            Some(Ok(())) => {}
            // The thread that writes is still at the question before the last.
            Some(Err(TrySendError::Full(_))) => return Err(Gone::Deaf),
            Some(Err(TrySendError::Disconnected(_))) | None => return Err(self.ended()),
        }
        let begun = Instant::now();
        let heard = self.wait(begun + PATIENCE, stop);
        self.thought += begun.elapsed();
        match heard? {
            None => Err(Gone::Silent),
            Some(Heard::TooLong) => Err(Gone::Flood),
            Some(Heard::Line(_)) if self.thought > BUDGET => Err(Gone::Slow),
            Some(Heard::Line(line)) => Ok(line),
        }
    }

    /// Waits for the next line until a deadline; `None` if there is none by then.
    fn wait(&mut self, deadline: Instant, stop: &AtomicBool) -> Result<Option<Heard>, Gone> {
        let mut has_ended = false;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.answers.recv_timeout(left.min(TICK)) {
                Ok(heard) => return Ok(Some(heard)),
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
                Err(RecvTimeoutError::Timeout) if stop.load(Ordering::Relaxed) => {
                    return Err(Gone::Stopped);
                }
                Err(RecvTimeoutError::Timeout) if has_ended => return Err(self.ended()),
                Err(RecvTimeoutError::Timeout) if left.is_zero() => return Ok(None),
                // What it has left behind may hold its stdout open, and would be waited for. Its
                // last line may still be on its way, so there is one more tick.
                Err(RecvTimeoutError::Timeout) => has_ended = self.child.status().is_some(),
            }
        }
    }

    /// Returns how it ended. If it is its stdout that is closed, it is about to.
    fn ended(&mut self) -> Gone {
        let deadline = Instant::now() + FAREWELL;
        let status = self.end_by(deadline);
        // Its last words may still be on their way.
        while self.stderr.as_ref().is_some_and(|it| !it.is_finished()) && Instant::now() < deadline
        {
            thread::sleep(Duration::from_millis(2));
        }
        let status = match status {
            Some(status) => status.to_string(),
            None => "it closed its stdout".to_owned(),
        };
        let said = self.last_words.lock().unwrap_or_else(PoisonError::into_inner);
        let said = String::from_utf8_lossy(&said);
        let said = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
        let said: String = said.chars().take(MAX_QUOTED).collect();
        Gone::Ended { status, said: printable(&said) }
    }

    /// Waits for its end until a deadline.
    fn end_by(&mut self, deadline: Instant) -> Option<ExitStatus> {
        loop {
            let status = self.child.status();
            if status.is_some() || Instant::now() >= deadline {
                return status;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Its stdin ends, which a loop over lines takes as the end. What does not end by itself is
        // ended with `child`, and so is what it has started.
        self.questions = None;
        self.end_by(Instant::now() + FAREWELL);
    }
}

/// Returns the command that runs a command line.
fn shell(command_line: &str) -> Command {
    let (program, option) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let mut command = Command::new(program);
    command.arg(option).arg(command_line);
    command
}

/// Writes each question, until nobody asks or nobody reads.
fn write_lines(to: Option<impl Write>, questions: &Receiver<String>) {
    let Some(mut to) = to else { return };
    for mut question in questions {
        question.push('\n');
        if to.write_all(question.as_bytes()).and_then(|()| to.flush()).is_err() {
            return;
        }
    }
}

/// Reads lines, until the end or a line that is too long.
fn read_lines(from: Option<impl Read>, heard: &SyncSender<Heard>) {
    let Some(from) = from else { return };
    let mut from = BufReader::new(from);
    loop {
        let mut line = Vec::new();
        match from.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            // Part of a line before the end of the stream is read as a line: it was its last word.
            Ok(read) if read as u64 == MAX_LINE && !line.ends_with(b"\n") => {
                let _ = heard.send(Heard::TooLong);
                return;
            }
            Ok(_) if heard.send(Heard::Line(line)).is_err() => return,
            Ok(_) => {}
        }
    }
}

/// Reads all of stderr, and keeps its end.
fn keep_the_end(from: Option<impl Read>, kept: &Mutex<Vec<u8>>) {
    let Some(mut from) = from else { return };
    let mut chunk = [0; 1024];
    while let Ok(count @ 1..) = from.read(&mut chunk) {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(&chunk[..count]);
        let surplus = kept.len().saturating_sub(MAX_LAST_WORDS);
        kept.drain(..surplus);
    }
}
