//! The arena: programs in any language deal out the slots of simulated peers, and are compared.
//!
//! * **Run it:** `piecemeal simulate arena --strategy mine='python3 mine.py'`
//!
//! What is good for one peer need not be good for all. So each contestant plays three games:
//! * **alone**, as one peer among others that all follow the client's rule: does it pay to deviate?
//! * **everybody** follows it: what becomes of the swarm?
//! * **the league**, all contestants in one swarm with equally many peers: who is first?
//!
//! Each game has peers of eight capacities, and is repeated with other dice. A program gets a
//! question a line and gives an answer a line ([`program`]). Where it gives none that counts, the
//! client's own rule decides, and that is counted.

mod answer;
mod games;
pub mod program;
mod question;
mod score;
pub mod voice;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use self::games::{Game, Played};
use super::SettingsError;
use super::baselines::{ProportionalShare, Tyrant};
use super::outcome::Outcome;
use super::plot::panel::Panel;
use super::setup::SlotRule;
use super::strategy::Strategy;

/// The least and the most peers of a game.
const PEERS: (u64, u64) = (16, 1_000);
/// The least and the most pieces.
const PIECES: (u64, u64) = (1, 2_000);
/// The most repetitions.
const MAX_REPEAT: u64 = 100;
/// The most contestants, the built-in ones included.
const MAX_CONTESTANTS: u64 = 60;

/// Names of peers in a game that belong to nobody.
const CLASSES: [&str; 2] = ["seed", "others"];

/// Makes a rule from the seed of a game.
pub type MakeRule = fn(u64) -> SlotRule;

/// What decides for a contestant.
#[derive(Clone)]
pub enum Player {
    /// A rule of the simulator, made from the seed of a game.
    BuiltIn(MakeRule),
    /// A program, by the command line that starts it.
    Program(String),
}

/// A strategy with its name.
#[derive(Clone)]
pub struct Contestant {
    /// The name in the table.
    pub name: String,
    /// The rule or the program that decides for it.
    pub player: Player,
}

/// What is played.
pub struct Arena {
    /// The programs. The built-in strategies play in any case.
    pub programs: Vec<Contestant>,
    /// Peers of a game, about.
    pub peers: u64,
    /// Pieces.
    pub pieces: u64,
    /// The first seed of the dice.
    pub seed: u64,
    /// The number of seeds.
    pub repeat: u64,
    /// Set to end all games soon.
    pub stop: Arc<AtomicBool>,
}

/// What came out: a table, and its plots.
pub struct Scored {
    /// The table, the runs, and what went wrong with whose program.
    pub outcome: Outcome,
    /// The page of plots.
    pub panels: Vec<Panel>,
}

impl Arena {
    /// Plays all games, side by side on all cores. `told` hears how many of them are over.
    ///
    /// # Errors
    /// If a setting cannot be used, or two contestants have one name.
    pub fn play(&self, told: &(dyn Fn(u64, u64) + Sync)) -> Result<Scored, SettingsError> {
        let contestants = self.contestants()?;
        let games = games::all(contestants.len(), self.seed..=self.last_seed());
        let played = self.play_each(&contestants, &games, told);
        Ok(score::of(self, &contestants, played))
    }

    /// Returns the last seed of the dice.
    fn last_seed(&self) -> u64 {
        self.seed.saturating_add(self.repeat.saturating_sub(1))
    }

    /// Returns the programs, and behind them the built-in strategies.
    fn contestants(&self) -> Result<Vec<Contestant>, SettingsError> {
        within("--peers", self.peers, PEERS)?;
        within("--pieces", self.pieces, PIECES)?;
        within("--repeat", self.repeat, (1, MAX_REPEAT))?;
        let all: Vec<Contestant> = self.programs.iter().cloned().chain(built_in()).collect();
        within("the number of contestants", all.len() as u64, (1, MAX_CONTESTANTS))?;
        for (number, contestant) in all.iter().enumerate() {
            let name = contestant.name.as_str();
            if CLASSES.contains(&name) || all[..number].iter().any(|other| other.name == name) {
                return Err(SettingsError::Taken { name: name.to_owned() });
            }
        }
        Ok(all)
    }

    fn play_each(
        &self,
        contestants: &[Contestant],
        games: &[Game],
        told: &(dyn Fn(u64, u64) + Sync),
    ) -> Vec<Played> {
        let (next, over) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let played = Mutex::new(Vec::new());
        let work = || {
            while let Some((number, game)) = {
                let number = next.fetch_add(1, Ordering::Relaxed);
                games.get(number).map(|game| (number, game))
            } {
                if self.stop.load(Ordering::Relaxed) {
                    return;
                }
                let result = game.play(self, contestants);
                played.lock().unwrap_or_else(PoisonError::into_inner).push((number, result));
                told(over.fetch_add(1, Ordering::Relaxed) as u64 + 1, games.len() as u64);
            }
        };
        thread::scope(|scope| {
            let others = thread::available_parallelism().map_or(1, NonZeroUsize::get) - 1;
            for _ in 0..others {
                // Without another thread, this one does all of the work.
                let _ = thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
        // In the order of the games, whichever was over first.
        let mut played = played.into_inner().unwrap_or_else(PoisonError::into_inner);
        played.sort_by_key(|(number, _)| *number);
        played.into_iter().map(|(_, played)| played).collect()
    }
}

/// Returns the contestants that every program plays against.
fn built_in() -> Vec<Contestant> {
    let all: [(&str, MakeRule); 5] = [
        ("tit for tat", |_| SlotRule::Client),
        ("proportional share", |seed| {
            // Each peer has dice of its own, or all would be lucky at the same time.
            let dice = move |peer: u32| seed.wrapping_mul(1 << 20).wrapping_add(u64::from(peer));
            let made =
                move |peer| -> Box<dyn Strategy> { Box::new(ProportionalShare::new(dice(peer))) };
            SlotRule::Strategy(Arc::new(made))
        }),
        ("random slots", |_| SlotRule::Random),
        ("free rider", |_| SlotRule::Nobody),
        ("tyrant", |_| SlotRule::Strategy(Arc::new(|_| Box::<Tyrant>::default()))),
    ];
    let contestant = |(name, rule): (&str, MakeRule)| Contestant {
        name: name.to_owned(),
        player: Player::BuiltIn(rule),
    };
    all.map(contestant).to_vec()
}

fn within(name: &str, found: u64, (least, most): (u64, u64)) -> Result<(), SettingsError> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    Err(SettingsError::OutOfRange {
        name: name.to_owned(),
        found: found.to_string(),
        least: least.to_string(),
        most: most.to_string(),
    })
}
