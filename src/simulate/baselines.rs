//! Strategies to compare others with.

use super::dice::Dice;
use super::strategy::{ChokeQuestion, Known, Strategy};

/// Tit for tat as the client has it: every question is left to the built-in rule.
pub struct TitForTat;

impl Strategy for TitForTat {
    fn choke(&mut self, _: &ChokeQuestion) -> Option<Vec<(usize, f64)>> {
        None
    }

    fn leaves_it_to_the_client(&self) -> bool {
        true
    }
}

/// Gives to each peer in proportion to what came from it ("PropShare", Levin 2008). A tenth of the
/// line goes to somebody at random: otherwise a newcomer, from whom nothing has come, would never
/// find a partner.
pub struct ProportionalShare(Dice);

impl ProportionalShare {
    /// Returns the strategy, with the dice of this seed.
    pub fn new(seed: u64) -> ProportionalShare {
        ProportionalShare(Dice::new(seed))
    }
}

/// The part of the line that is spent on finding partners.
const SEARCH: f64 = 0.1;

impl Strategy for ProportionalShare {
    fn choke(&mut self, question: &ChokeQuestion) -> Option<Vec<(usize, f64)>> {
        // A seed has nothing to share out by.
        if question.seeding {
            return None;
        }
        let wants = |known: &Known| known.interested;
        let came: u64 = question.peers.iter().filter(|known| wants(known)).map(|k| k.came).sum();
        let mut chosen = Vec::new();
        let mut others = Vec::new();
        for (position, known) in question.peers.iter().enumerate().filter(|(_, k)| wants(k)) {
            let part = (1.0 - SEARCH) * known.came as f64 / came.max(1) as f64;
            // Less than a hundredth of a line moves no piece.
            if part > 0.01 {
                chosen.push((position, part));
            } else {
                others.push(position);
            }
        }
        // A peer with few partners looks for more.
        let strangers = question.slots.saturating_sub(chosen.len()).max(1);
        for _ in 0..strangers.min(others.len()) {
            let stranger = others.swap_remove(self.0.below(others.len()));
            chosen.push((stranger, SEARCH));
        }
        Some(chosen)
    }
}

/// Gives to peers at random.
pub struct RandomSlots(Dice);

impl RandomSlots {
    /// Returns the strategy, with the dice of this seed.
    pub fn new(seed: u64) -> RandomSlots {
        RandomSlots(Dice::new(seed))
    }
}

impl Strategy for RandomSlots {
    fn choke(&mut self, question: &ChokeQuestion) -> Option<Vec<(usize, f64)>> {
        let interested = question.peers.iter().enumerate().filter(|(_, known)| known.interested);
        let mut left: Vec<usize> = interested.map(|(position, _)| position).collect();
        let mut chosen = Vec::new();
        while chosen.len() < question.slots && !left.is_empty() {
            chosen.push((left.swap_remove(self.0.below(left.len())), 1.0));
        }
        Some(chosen)
    }
}

/// Takes, and gives nothing.
pub struct FreeRider;

impl Strategy for FreeRider {
    fn choke(&mut self, _: &ChokeQuestion) -> Option<Vec<(usize, f64)>> {
        Some(Vec::new())
    }
}

/// Gives no more than it must to be given something ("BitTyrant", Piatek 2007).
///
/// For each peer it guesses the price of a slot there, and what the slot would bring. It buys what
/// is cheapest for what it brings, until its line is used up. Where it was given a slot for three
/// rounds, it pays 10 % less the next time; where it paid and got none, 20 % more.
#[derive(Default)]
pub struct Tyrant {
    deals: std::collections::BTreeMap<u32, Deal>,
}

/// What a tyrant thinks of a peer.
#[derive(Clone, Copy)]
struct Deal {
    /// What a slot costs, in bytes a second.
    price: f64,
    /// What it brings, in bytes a second.
    brings: f64,
    /// Rounds in a row in which we had one.
    good: u32,
    /// Whether we paid in the last round.
    paid: bool,
}

/// The length of two rounds, in seconds: what [`Known::came`] counts came in this time.
const SPAN: f64 = 20.0;
/// Rounds in a row with a slot before the price is lowered.
const GOOD_ROUNDS: u32 = 3;

impl Strategy for Tyrant {
    fn choke(&mut self, question: &ChokeQuestion) -> Option<Vec<(usize, f64)>> {
        if question.seeding {
            return None;
        }
        let part = question.up / question.slots.max(1) as f64;
        for known in &question.peers {
            let new = Deal { price: part, brings: part, good: 0, paid: false };
            self.deals.entry(known.id).or_insert(new).learn(known);
        }
        let offers = |known: &Known| known.interested && known.interesting;
        let mut wares: Vec<(f64, usize, Deal)> = question
            .peers
            .iter()
            .enumerate()
            .filter(|(_, known)| offers(known))
            .filter_map(|(position, known)| Some((position, *self.deals.get(&known.id)?)))
            .map(|(position, deal)| (deal.brings / deal.price, position, deal))
            .collect();
        wares.sort_by(|(one, ..), (other, ..)| other.total_cmp(one));
        let mut left = question.up;
        let mut chosen = Vec::new();
        for (_, position, deal) in wares {
            if deal.price > left && !chosen.is_empty() {
                break;
            }
            left -= deal.price;
            chosen.push((position, deal.price.max(1.0)));
        }
        let paid: Vec<u32> = chosen.iter().map(|(at, _)| question.peers[*at].id).collect();
        self.deals.iter_mut().for_each(|(id, deal)| deal.paid = paid.contains(id));
        Some(chosen)
    }
}

impl Deal {
    /// Learns from what a peer did since the last round.
    fn learn(&mut self, known: &Known) {
        if known.chokes_us {
            self.good = 0;
            if self.paid {
                self.price *= 1.2;
            }
        } else {
            self.good += 1;
            if known.came > 0 {
                self.brings = known.came as f64 / SPAN;
            }
            if self.good >= GOOD_ROUNDS && self.paid {
                self.price *= 0.9;
            }
        }
    }
}
