//! The games of the arena: who is in the swarm, and by which rules.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use super::voice::{Manners, Voice};
use super::{Arena, Contestant, Player};
use crate::simulate::outcome::Run;
use crate::simulate::setup::{Class, Setup, SlotRule, Stay};
use crate::simulate::simulate;

const KIB: f64 = 1024.0;
/// The capacities of the peers, in KiB/s: from a phone's line to a good one.
pub const CAPACITIES: [u32; 8] = [16, 32, 48, 64, 96, 128, 256, 384];
/// The seed's line, in KiB/s. Where the seed is slow, all end when it has given the last piece,
/// and no strategy matters. It is more than twice as quick as the quickest peer.
const SEED_UP: f64 = 1024.0;

/// A game, with the seed of its dice. Contestants and capacities are positions in their lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Game {
    /// One peer of this capacity plays, all others follow the client's rule.
    Alone { contestant: usize, capacity: usize, seed: u64 },
    /// All peers play the same.
    Everybody { contestant: usize, seed: u64 },
    /// Equally many peers of each contestant.
    League { seed: u64 },
}

/// A game that is over.
pub struct Played {
    pub game: Game,
    pub run: Run,
    /// How the programs did, by contestant.
    pub manners: Vec<(usize, Manners)>,
}

/// Returns all games for this many contestants.
pub fn all(contestants: usize, seeds: RangeInclusive<u64>) -> Vec<Game> {
    let mut games = Vec::new();
    for seed in seeds {
        games.push(Game::League { seed });
        for contestant in 0..contestants {
            games.push(Game::Everybody { contestant, seed });
            let each = 0..CAPACITIES.len();
            games.extend(each.map(|capacity| Game::Alone { contestant, capacity, seed }));
        }
    }
    games
}

impl Game {
    /// The contestants that play in it.
    fn players(self, all: usize) -> Range<usize> {
        match self {
            Game::Alone { contestant, .. } | Game::Everybody { contestant, .. } => {
                contestant..contestant + 1
            }
            Game::League { .. } => 0..all,
        }
    }

    /// Plays it. The programs of its players are started for it, and end with it: what one learns
    /// in a game is of no use in another.
    pub fn play(self, arena: &Arena, contestants: &[Contestant]) -> Played {
        let seed = self.seed();
        let mut voices = Vec::new();
        let mut rules = Vec::new();
        for number in self.players(contestants.len()) {
            rules.push((
                number,
                match &contestants[number].player {
                    Player::BuiltIn(rule) => rule(seed),
                    Player::Program(command_line) => {
                        let voice = Voice::start(command_line, Arc::clone(&arena.stop));
                        voices.push((number, voice.clone()));
                        SlotRule::Strategy(Arc::new(move |_| Box::new(voice.clone())))
                    }
                },
            ));
        }
        let setup = self.setup(arena, contestants, &rules);
        let run = simulate(&setup, &self.label(contestants), seed, &arena.stop);
        let manners = voices.iter().map(|(number, voice)| (*number, voice.finish())).collect();
        Played { game: self, run, manners }
    }

    fn seed(self) -> u64 {
        match self {
            Game::Alone { seed, .. } | Game::Everybody { seed, .. } | Game::League { seed } => seed,
        }
    }

    /// Returns what it is called among the runs.
    fn label(self, contestants: &[Contestant]) -> String {
        match self {
            Game::Alone { contestant, capacity, .. } => {
                format!("{} alone, {} KiB/s", contestants[contestant].name, CAPACITIES[capacity])
            }
            Game::Everybody { contestant, .. } => {
                format!("{} everybody", contestants[contestant].name)
            }
            Game::League { .. } => "league".to_owned(),
        }
    }

    /// Returns the swarm. The first class, or in the league the first classes, are the players'.
    fn setup(
        self,
        arena: &Arena,
        contestants: &[Contestant],
        rules: &[(usize, SlotRule)],
    ) -> Setup {
        let name = |number: usize| contestants[number].name.as_str();
        let mut classes = Vec::new();
        // At least one of each capacity, and of every player equally many.
        let each = |players: usize| {
            let share = arena.peers as usize / players.max(1) / CAPACITIES.len();
            share.max(1) as u32
        };
        if let Game::Alone { capacity, .. } = self {
            for (number, rule) in rules {
                classes.push(class(name(*number), 1, CAPACITIES[capacity], rule.clone()));
            }
            for (other, up) in CAPACITIES.into_iter().enumerate() {
                let count = each(1) - u32::from(other == capacity);
                classes.push(class("others", count, up, SlotRule::Client));
            }
        } else {
            for (number, rule) in rules {
                for up in CAPACITIES {
                    classes.push(class(name(*number), each(rules.len()), up, rule.clone()));
                }
            }
        }
        classes.retain(|class| class.count > 0);
        classes.push(Class::seed(SEED_UP * KIB));
        Setup::new(arena.pieces as u32, classes)
    }
}

/// Peers that leave when they are done. As seeds they would give to anybody, and the quick ones
/// would in the end feed those that never gave them anything.
fn class(label: &str, count: u32, up: u32, slot_rule: SlotRule) -> Class {
    let stay = Stay::Seconds(0.0);
    Class { slot_rule, stay, ..Class::new(label, count, f64::from(up) * KIB) }
}
