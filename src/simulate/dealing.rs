//! How slots are dealt out: by the client's own rules, and by those that they are compared with.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use super::clock::{Event, Micros, micros};
use super::peer::{Link, Links, NONE, Peer};
use super::setup::SlotRule;
use super::strategy::{ChokeQuestion, Known};
use super::swarm::Swarm;
use crate::s04_handshake::origin::Origin;
use crate::s11_work_queue::rarest::Draw;
use crate::s17_seeding::choking::{Decision, ROUND, Standing, deal, decide};
use crate::s17_seeding::slots::{Change, Moment, Slots, Traffic};

/// The network of the simulated peers, 10.0.0.0/8: each has an address of its own.
const NETWORK: u32 = 10 << 24;

/// What has gone over a connection, as the client's bookkeeping wants it.
fn traffic(start: Instant, link: &Link) -> Traffic {
    let at = |time: Micros| start + Duration::from_micros(time);
    Traffic {
        came: link.came as u64,
        went: link.went as u64,
        heard: at(link.heard),
        start: at(link.since),
        origin: Origin::of(Ipv4Addr::from_bits(NETWORK | link.to & 0xFF_FFFF).into()),
    }
}

impl Swarm<'_> {
    /// Lets a peer's slots decide.
    fn with_slots(
        &mut self,
        peer: u32,
        decide: impl FnOnce(&mut Slots<u32>, &Moment<u32>, Draw) -> Vec<Change<u32>>,
    ) {
        let (start, now) = (self.start, self.instant());
        let piece_length = u64::from(self.setup.piece_length);
        let dice = &mut self.dice;
        let Peer { slots, links, done, .. } = &mut self.peers[peer as usize];
        let links: &Links = links;
        let traffic = |link: &u32| traffic(start, links.get(*link));
        let seeding = done.is_some();
        let moment = Moment { now, seeding, piece_length, traffic: &traffic };
        let changes = decide(slots, &moment, &mut |below| dice.below(below));
        for (link, unchoked) in changes {
            self.give_slot(peer, link, unchoked);
        }
    }

    /// Gives free slots to peers that wait. If a strategy has dealt them out, they stay free until
    /// its next round.
    pub(super) fn fill(&mut self, peer: u32) {
        if !self.peer(peer).extras.has_dealt {
            self.with_slots(peer, |slots, moment, _| slots.fill(moment));
        }
    }

    /// Whether a peer's slots are dealt out by a strategy.
    fn is_strategic(&self, peer: u32) -> bool {
        let strategy = &self.peer(peer).extras.strategy;
        strategy.as_ref().is_some_and(|strategy| !strategy.leaves_it_to_the_client())
    }

    /// Looks again at whether the other end of a connection wants something from a peer.
    pub(super) fn review(&mut self, peer: u32, link: u32) {
        let our = self.peer(peer).links.get(link);
        let entered = our.flags.entered;
        let wants = self.peer(our.to).links.get(our.back).wanted > 0 && !self.owes(peer, link);
        if !entered && !wants {
            return;
        }
        let (start, now) = (self.start, self.instant());
        let Peer { slots, links, .. } = self.peer_mut(peer);
        let our = links.get_mut(link);
        if !entered {
            our.flags.entered = true;
            slots.enter(link, &traffic(start, our), now);
        }
        slots.set_interested(&link, wants, now);
        self.fill(peer);
    }

    /// Whether the other end of a giver's connection has taken so much more than it gave that it
    /// gets nothing until it gives.
    pub(super) fn owes(&self, giver: u32, link: u32) -> bool {
        let SlotRule::Blocks(most) = self.class(giver).slot_rule else { return false };
        let our = self.peer(giver).links.get(link);
        let debt = our.went - our.came;
        // Not to a seed: it takes nothing, so nobody could pay it back.
        self.peer(giver).done.is_none()
            && debt >= f64::from(most) * f64::from(self.setup.piece_length) - 1.0
    }

    /// Gives a slot, or takes it away.
    fn give_slot(&mut self, peer: u32, link: u32, unchoked: bool) {
        let our = self.peer_mut(peer).links.get_mut(link);
        our.flags.unchoked = unchoked;
        let (taker, back) = (our.to, our.back);
        if unchoked {
            self.suggest(peer, taker, back);
        } else {
            self.put_back(taker, back);
        }
        self.again.push_back((taker, back));
    }

    /// With a slot, a seed suggests a piece to begin with, another one each time (BEP 6).
    fn suggest(&mut self, giver: u32, taker: u32, back: u32) {
        let (pieces, suggests) = (self.setup.pieces, self.setup.suggests);
        let Peer { done, extras, .. } = self.peer_mut(giver);
        if suggests && done.is_some() && extras.shown.is_none() {
            let piece = extras.suggests;
            extras.suggests = (piece + 1) % pieces;
            self.peer_mut(taker).links.get_mut(back).suggested = piece;
        }
    }

    /// A peer deals out its slots.
    pub(super) fn round(&mut self, peer: u32) {
        if !self.peer(peer).here {
            return;
        }
        self.clock.after(micros(ROUND.as_secs_f64()), Event::Round { peer });
        // The rules look at what has moved, so all of that must be counted first.
        self.settle_all_of(peer);
        self.leave_if_it_gave_enough(peer);
        if self.is_strategic(peer) {
            return self.strategic_round(peer);
        }
        let rule = &self.class(peer).slot_rule;
        self.with_slots(peer, |slots, moment, draw| {
            slots.round(moment, |standings, count, lucky| {
                by_rule(rule, moment.seeding, (standings, count, lucky), draw)
            })
        });
        self.fill(peer);
    }

    /// A round of a peer with its own rules.
    fn strategic_round(&mut self, peer: u32) {
        let line: Vec<u32> = self.peer_mut(peer).slots.line().copied().collect();
        let question = self.question(peer, &line);
        let strategy = self.peer_mut(peer).extras.strategy.as_mut();
        let answer = strategy.and_then(|strategy| strategy.choke(&question));
        let answered = answer.is_some();
        let usable = answer.filter(|chosen| is_usable(chosen, line.len()));
        self.books.fallbacks += u64::from(answered && usable.is_none());
        self.peer_mut(peer).extras.has_dealt = usable.is_some();
        if let Some(chosen) = &usable {
            let Peer { links, extras, .. } = self.peer_mut(peer);
            extras.weights.resize(links.end() as usize, 1.0);
            for (position, weight) in chosen {
                extras.weights[line[*position] as usize] = *weight as f32;
            }
        }
        let before = self.peer(peer).links.given_to.clone();
        self.with_slots(peer, |slots, moment, draw| {
            slots.round(moment, |standings, count, lucky| match usable {
                Some(chosen) => Decision {
                    // What wants nothing gets nothing: its slot would be empty.
                    unchoked: chosen
                        .into_iter()
                        .map(|(position, _)| position)
                        .filter(|at| standings.get(*at).is_some_and(|peer| peer.interested))
                        .collect(),
                    lucky: None,
                },
                None => deal(moment.seeding, standings, count, lucky, draw),
            })
        });
        // New weights change the rates of those that keep their slots.
        if !before.is_empty() {
            self.changed[0].push(peer);
        }
        self.fill(peer);
    }

    /// Returns the question to a strategy, with its peers in this order, and begins the counts of
    /// the next round.
    fn question(&mut self, peer: u32, line: &[u32]) -> ChokeQuestion {
        let now = self.clock.now();
        let (class, seeding) = (self.class(peer), self.peer(peer).done.is_some());
        let end = self.peer(peer).links.end() as usize;
        let extras = &mut self.peer_mut(peer).extras;
        extras.rounds += 1;
        extras.counted.resize(end, [(0.0, 0.0); 2]);
        let round = extras.rounds;
        let peers = line.iter().map(|link| self.known(peer, *link, now)).collect();
        let Peer { links, extras, .. } = self.peer_mut(peer);
        for (link, our) in links.iter() {
            let counted = &mut extras.counted[link as usize];
            *counted = [counted[1], (our.came, our.went)];
        }
        ChokeQuestion {
            peer,
            round,
            now: super::clock::seconds(now),
            slots: class.slots,
            up: class.up,
            seeding,
            piece_length: u64::from(self.setup.piece_length),
            peers,
        }
    }

    /// What a peer knows of another.
    fn known(&self, peer: u32, link: u32, now: Micros) -> Known {
        let our = self.peer(peer).links.get(link);
        let theirs = self.peer(our.to).links.get(our.back);
        let (came, went) = self.peer(peer).extras.counted[link as usize][0];
        // The number of a connection is used again, and begins at nothing.
        let since = |now: f64, before: f64| (now - before).max(0.0) as u64;
        Known {
            id: our.to,
            interested: theirs.wanted > 0,
            unchoked: our.flags.unchoked,
            chokes_us: !theirs.flags.unchoked,
            interesting: our.wanted > 0,
            came: since(our.came, came),
            went: since(our.went, went),
            came_in_all: our.came as u64,
            went_in_all: our.went as u64,
            has: self.setup.pieces - self.lacks(our.to),
            since: super::clock::seconds(now - our.since),
        }
    }

    /// The number of pieces that a peer lacks.
    fn lacks(&self, peer: u32) -> u32 {
        let (waiting, on_loan, _) = self.peer(peer).board.counts();
        (waiting + on_loan) as u32
    }

    /// Whether a peer's connection could give something right now; for the checks. A debt counts
    /// when a piece is finished, so with debts it is not certain.
    pub(super) fn could_give(&self, taker: u32, link: u32) -> bool {
        let our = self.peer(taker).links.get(link);
        let unchoked = self.peer(our.to).links.get(our.back).flags.unchoked;
        let counts_debts = matches!(self.class(our.to).slot_rule, SlotRule::Blocks(_));
        our.loan == NONE && our.wanted > 0 && unchoked && !counts_debts
    }
}

/// Whether each position is there, and comes once, with a weight.
fn is_usable(chosen: &[(usize, f64)], count: usize) -> bool {
    let once =
        |at: usize, position: usize| chosen[..at].iter().all(|(other, _)| *other != position);
    chosen.iter().enumerate().all(|(at, (position, weight))| {
        // The bounds keep every share of a line above nothing.
        *position < count && (1e-6..=1e6).contains(weight) && once(at, *position)
    })
}

/// Deals out the slots by a rule: the client's, or one that it is compared with.
fn by_rule(
    rule: &SlotRule,
    seeding: bool,
    (standings, slots, lucky): (&[Standing], usize, Option<usize>),
    draw: Draw,
) -> Decision {
    match rule {
        // The early rule is the client's for a download, applied to what a peer took.
        SlotRule::Fastest => decide(standings, slots, lucky, draw),
        SlotRule::NoLuck if !seeding => {
            // One slot more, and then without the one for luck.
            let mut decision = decide(standings, slots.saturating_add(1), None, draw);
            let lucky = decision.lucky.take();
            decision.unchoked.retain(|position| Some(*position) != lucky);
            decision
        }
        SlotRule::Random => {
            let interested = standings.iter().enumerate().filter(|(_, peer)| peer.interested);
            let mut left: Vec<usize> = interested.map(|(position, _)| position).collect();
            let mut unchoked = Vec::new();
            while unchoked.len() < slots && !left.is_empty() {
                unchoked.push(left.swap_remove(draw(left.len())));
            }
            Decision { unchoked, lucky: None }
        }
        _ => deal(seeding, standings, slots, lucky, draw),
    }
}
