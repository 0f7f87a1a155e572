//! Lets the peers of a work queue take turns and tells what they do, or lets them run. (stage 11)

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use piecemeal::s01_bencode::counted;
use piecemeal::s02_metainfo::PieceIndex;
use piecemeal::s05_messages::bitfield::Bitfield;
use piecemeal::s10_storage::StorageError;
use piecemeal::s11_work_queue::board::Why;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::failure::Failure;
use super::queue_peers::{Fault, Files, Move, Peer, QueueRun};
use super::screen::piece_map::{cell, grid};
use super::{Answer, json_line, print_line};

/// The time that passes in a turn, as the queue sees it: a suspect gets some time on its own.
const TURN: Duration = Duration::from_secs(1);
/// The turns that other peers get for each turn of a slow one.
const QUICKER: usize = 4;
/// The idle turns in a row, for each peer, after which the run ends.
const MAX_IDLE_TURNS: usize = 12;

/// The totals of a run.
#[derive(Default)]
struct Totals {
    turns: usize,
    blocks: u64,
    too_late: u64,
    spoilt: u64,
    /// The peer that completed each piece.
    completed: Vec<(PieceIndex, char)>,
}

impl Totals {
    fn count(&mut self, name: char, what: &Move) {
        match what {
            Move::Brings(_, spoilt) => {
                self.blocks += 1;
                self.spoilt += u64::from(*spoilt);
            }
            Move::TooLate(_) => self.too_late += 1,
            Move::Completes(piece) => self.completed.push((*piece, name)),
            _ => {}
        }
    }

    fn add(&mut self, other: Totals) {
        self.turns += other.turns;
        self.blocks += other.blocks;
        self.too_late += other.too_late;
        self.spoilt += other.spoilt;
        self.completed.extend(other.completed);
    }

    /// Returns the map, with the letter of the peer that completed each piece, and the totals.
    fn answer(mut self, pieces: u32, end: &str) -> Answer {
        self.completed.sort();
        let letter = |range: Range<u32>| {
            let from = self.completed.partition_point(|(piece, _)| piece.get() < range.start);
            let first = self.completed.get(from).filter(|(piece, _)| piece.get() < range.end);
            first.map_or('.', |(_, name)| *name)
        };
        let (mut lines, each) = grid(pieces, 80, 16, letter);
        if each > 1 {
            lines.push(format!(
                "A letter stands for {each} pieces: the peer that completed the first of them."
            ));
        }
        let verified = self.completed.len();
        lines.push(format!(
            "{verified} of {pieces} pieces are verified{end}: {}, {} of them spoilt; {} came too late.",
            counted(self.blocks, "block"),
            self.spoilt,
            self.too_late
        ));
        let json = json!({
            "pieces": pieces, "verified": verified, "turns": self.turns, "blocks": self.blocks, "spoilt": self.spoilt,
            "too_late": self.too_late,
        });
        Answer { text: lines.join("\n"), json }
    }
}

/// A turn, handed to one peer: the peer that holds the dice moves.
struct Turn {
    now: Instant,
    dice: StdRng,
}

/// The outcome of a turn.
struct TurnOutcome {
    dice: StdRng,
    moves: Result<Vec<Move>, StorageError>,
    gone: bool,
}

/// Lets the peers move one at a time, in random order, and prints a line for each move.
pub fn tell(run: QueueRun, as_json: bool) -> Result<Answer, Failure> {
    let QueueRun { queue, peers, mut dice, files } = run;
    let pieces = files.info.piece_count();
    for peer in peers.iter().filter(|_| !as_json) {
        let (rows, _) = grid(pieces, 78, 16, |range| cell(&peer.has, range));
        rows.iter().for_each(|row| print_line(&format!("{} has  {row}", peer.name)));
    }
    let (start, mut sums, mut idle) = (Instant::now(), Totals::default(), Vec::new());
    let names: Vec<char> = peers.iter().map(|peer| peer.name).collect();
    let mut sets: Vec<Bitfield> = peers.iter().map(|peer| peer.has.clone()).collect();
    // A slow peer's number is in the hat once, any other several times.
    let weights = peers.iter().map(|peer| if peer.fault == Fault::Slow { 1 } else { QUICKER });
    let mut hat: Vec<usize> =
        weights.enumerate().flat_map(|(peer, weight)| vec![peer; weight]).collect();
    thread::scope(|scope| {
        let actors: Vec<(Sender<Turn>, Receiver<TurnOutcome>)> = peers
            .into_iter()
            .map(|peer| {
                let ((turns, theirs), (moved, ours)) = (mpsc::channel(), mpsc::channel());
                let files = &files;
                scope.spawn(move || act(peer, files, &theirs, &moved));
                (turns, ours)
            })
            .collect();
        while !hat.is_empty() && !queue.is_complete() && idle.len() < MAX_IDLE_TURNS * names.len() {
            let peer = hat[dice.random_range(0..hat.len())];
            sums.turns += 1;
            let now = start + TURN * sums.turns as u32;
            let (turns, replies) = &actors[peer];
            let moved = turns.send(Turn { now, dice }).ok().and_then(|()| replies.recv().ok());
            let moved = moved.expect("a peer's thread answers each turn");
            dice = moved.dice;
            for what in moved.moves? {
                sums.count(names[peer], &what);
                let holders =
                    |piece: PieceIndex| sets.iter().filter(|set| set.has(piece.get())).count();
                match (matches!(what, Move::Waits), idle.contains(&peer)) {
                    (true, true) => {}
                    _ if as_json => print_line(&json_line(&record(sums.turns, names[peer], &what))),
                    _ => print_line(&format!(
                        "{:>4} {} {}",
                        sums.turns,
                        names[peer],
                        sentence(&what, holders)
                    )),
                }
                if matches!(what, Move::Waits) { idle.push(peer) } else { idle.clear() }
            }
            if moved.gone {
                hat.retain(|other| *other != peer);
                sets[peer] = Bitfield::new(pieces);
            }
        }
        let end = if queue.is_complete() { "" } else { ", and nobody who is left has the rest" };
        let end = format!("{end}, after {}", counted(sums.turns, "turn"));
        Ok(sums.answer(pieces, &end))
    })
}

/// A peer's thread: moves when it has the dice, and hands them back.
fn act(mut peer: Peer, files: &Files, turns: &Receiver<Turn>, moved: &Sender<TurnOutcome>) {
    for Turn { now, mut dice } in turns {
        let moves = peer.step(files, now, &mut dice);
        if moved.send(TurnOutcome { dice, moves, gone: peer.is_gone() }).is_err() {
            return;
        }
    }
}

/// Returns a move in words. `holders` counts the peers that have a piece.
fn sentence(what: &Move, holders: impl Fn(PieceIndex) -> usize) -> String {
    match what {
        Move::Claims(piece, why) => {
            format!("claims piece {piece}: {}", reason(*why, holders(*piece)))
        }
        Move::Waits => "waits: there is nothing for it now".to_owned(),
        Move::Brings(request, spoilt) => {
            let bad = if *spoilt { ", with a wrong byte in it" } else { "" };
            format!("brings the block of piece {} at {}{bad}", request.index, request.begin)
        }
        Move::TooLate(request) => {
            format!("brings the block of piece {} at {}, too late", request.index, request.begin)
        }
        Move::Completes(piece) => format!("has completed piece {piece}, and its hash is right"),
        Move::Spoils(piece, by) => match by.as_slice() {
            [one] => format!(
                "has completed piece {piece}, and its hash is wrong: all of it came from {one}, which is sent away"
            ),
            by => format!(
                "has completed piece {piece}, and its hash is wrong: {} are suspects, and work alone",
                by.iter().map(char::to_string).collect::<Vec<_>>().join(" and ")
            ),
        },
        Move::GivesBack(piece) => {
            format!("gives piece {piece} back: it has no more of it to bring")
        }
        Move::Dies(piece) => format!("dies; piece {piece} goes back, with whatever has come of it"),
    }
}

/// Returns why a peer got a piece that `holders` peers have.
fn reason(why: Why, holders: usize) -> String {
    match why {
        Why::Begun => "it was begun, and given back".to_owned(),
        Why::Rarest(_) if holders == 1 => {
            "the rarest that it can give: nobody else has it".to_owned()
        }
        Why::Rarest(_) => format!("the rarest that it can give: {holders} peers have it"),
        Why::Spoilt => "its hash was wrong, so one peer fetches all of it".to_owned(),
        Why::Suspect => "as a suspect, it fetches all of a piece alone".to_owned(),
        Why::EndGame { takes_over: false } => {
            "no piece waits, so it helps with one that others fetch".to_owned()
        }
        Why::EndGame { takes_over: true } => {
            "no piece waits, so it takes over from a slower peer".to_owned()
        }
    }
}

/// Returns a move as JSON for programs.
fn record(turn: usize, name: char, what: &Move) -> Value {
    let (what, piece, more) = match what {
        Move::Claims(piece, why) => ("claims", Some(piece.get()), json!({ "why": word(*why) })),
        Move::Waits => ("waits", None, json!({})),
        Move::Brings(request, spoilt) => {
            ("brings", Some(request.index), json!({ "begin": request.begin, "spoilt": spoilt }))
        }
        Move::TooLate(request) => {
            ("too late", Some(request.index), json!({ "begin": request.begin }))
        }
        Move::Completes(piece) => ("completes", Some(piece.get()), json!({})),
        Move::Spoils(piece, by) => ("spoils", Some(piece.get()), json!({ "by": by })),
        Move::GivesBack(piece) => ("gives back", Some(piece.get()), json!({})),
        Move::Dies(piece) => ("dies", Some(piece.get()), json!({})),
    };
    let mut record =
        json!({ "event": "move", "turn": turn, "peer": name, "what": what, "piece": piece });
    if let (Value::Object(record), Value::Object(more)) = (&mut record, more) {
        record.extend(more);
    }
    record
}

fn word(why: Why) -> &'static str {
    match why {
        Why::Begun => "begun",
        Why::Rarest(_) => "rarest",
        Why::Spoilt => "spoilt",
        Why::Suspect => "suspect",
        Why::EndGame { takes_over: false } => "end game",
        Why::EndGame { takes_over: true } => "takes over",
    }
}

/// Lets all peers run as fast as their threads can.
pub fn run_freely(run: QueueRun) -> Result<Answer, Failure> {
    let QueueRun { queue, peers, mut dice, files } = run;
    let (start, turns, count) = (Instant::now(), AtomicUsize::new(0), peers.len());
    let run = |mut peer: Peer, mut dice: StdRng| -> Result<Totals, StorageError> {
        let (mut sums, mut idle) = (Totals::default(), 0);
        while !peer.is_gone() && !queue.is_complete() && idle < MAX_IDLE_TURNS {
            sums.turns += 1;
            let now = start + TURN * turns.fetch_add(1, Ordering::Relaxed) as u32;
            for what in peer.step(&files, now, &mut dice)? {
                sums.count(peer.name, &what);
                // While pieces are on loan, one may come back.
                let (_, on_loan, _) = queue.counts();
                idle = if matches!(what, Move::Waits) && on_loan == 0 { idle + 1 } else { 0 };
                if idle > 0 || peer.fault == Fault::Slow {
                    thread::yield_now();
                }
            }
        }
        Ok(sums)
    };
    let mut all = Totals::default();
    thread::scope(|scope| {
        let run = &run;
        let dice: Vec<StdRng> = peers.iter().map(|_| StdRng::from_rng(&mut dice)).collect();
        let threads: Vec<_> = peers
            .into_iter()
            .zip(dice)
            .map(|(peer, dice)| scope.spawn(move || run(peer, dice)))
            .collect();
        for thread in threads {
            all.add(thread.join().expect("no peer's thread panics")?);
        }
        let end = format!(
            " by {} in {:.1} ms",
            counted(count, "thread"),
            start.elapsed().as_secs_f64() * 1000.0
        );
        Ok(all.answer(files.info.piece_count(), &end))
    })
}
