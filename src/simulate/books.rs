//! What is noted while a swarm runs, for its table and its plots.

use super::clock::{Micros, SECOND, seconds};
use super::outcome::{PeerResult, Run, Sample};
use super::peer::Peer;
use super::setup::Setup;
use crate::s05_messages::bitfield::{Bitfield, PeerPieces};

/// The most samples of a run: a plot is not wider.
const MAX_SAMPLES: usize = 400;

/// The notes of a run.
pub struct Books {
    /// The time from one sample to the next.
    pub step: Micros,
    /// When something last moved, as far as was seen.
    pub last_moved: Micros,
    /// Peers that are here and not done.
    pub leechers: u64,
    /// Peers that are done, those that have left included.
    done: u64,
    /// Answers of strategies that could not be used.
    pub fallbacks: u64,
    /// Connections that there are now, and the most that there were.
    connections: u64,
    most_connections: u64,
    copies: Copies,
    gave: Gave,
    samples: Vec<Sample>,
}

/// How many copies there are of each piece.
struct Copies {
    /// Among the peers that are here.
    here: Vec<u32>,
    /// The pieces that some peer has had, seeds of the set-up not counted.
    elsewhere: Bitfield,
    /// When these were all pieces, and what the seeds had given by then, in bytes.
    whole: Option<(Micros, f64)>,
}

/// Bytes that one class gave to another.
struct Gave {
    until_first: Vec<Vec<f64>>,
    in_all: Vec<Vec<f64>>,
    /// Which classes are seeds, and what those gave.
    is_seed: Vec<bool>,
    by_seeds: f64,
}

impl Books {
    pub fn new(setup: &Setup) -> Books {
        let classes = setup.classes.len();
        let nothing = vec![vec![0.0; classes]; classes];
        let is_seed = setup.classes.iter().map(|class| class.is_seed()).collect();
        Books {
            step: SECOND,
            last_moved: 0,
            leechers: 0,
            done: 0,
            fallbacks: 0,
            connections: 0,
            most_connections: 0,
            copies: Copies {
                here: vec![0; setup.pieces as usize],
                elsewhere: Bitfield::new(setup.pieces),
                whole: None,
            },
            gave: Gave { until_first: nothing.clone(), in_all: nothing, is_seed, by_seeds: 0.0 },
            samples: Vec::new(),
        }
    }

    /// A peer has come with these pieces.
    pub fn came(&mut self, have: &Bitfield, is_seed: bool) {
        self.leechers += u64::from(!have.is_full());
        for piece in have.iter() {
            self.copies.here[piece as usize] += 1;
            if !is_seed {
                self.copies.elsewhere.set(piece, true);
            }
        }
    }

    /// A peer that had these pieces has left. It was done.
    pub fn left(&mut self, pieces: &PeerPieces) {
        for (piece, count) in (0..).zip(&mut self.copies.here) {
            *count -= u32::from(pieces.has(piece));
        }
    }

    /// Two peers have connected.
    pub fn connected(&mut self) {
        self.connections += 1;
        self.most_connections = self.most_connections.max(self.connections);
    }

    /// A connection has ended.
    pub fn disconnected(&mut self) {
        self.connections -= 1;
    }

    /// A peer has one more piece. Returns whether there is a whole copy outside of the seeds now,
    /// for the first time; [`Books::whole_copy`] notes what it took.
    pub fn copied(&mut self, piece: u32) -> bool {
        self.copies.here[piece as usize] += 1;
        self.copies.elsewhere.set(piece, true)
            && self.copies.whole.is_none()
            && self.copies.elsewhere.is_full()
    }

    /// Notes that there is a whole copy outside of the seeds.
    pub fn whole_copy(&mut self, now: Micros) {
        self.copies.whole = Some((now, self.gave.by_seeds));
    }

    /// A peer is done.
    pub fn finished(&mut self) {
        self.done += 1;
        self.leechers -= 1;
    }

    /// Bytes have gone from one class to another.
    pub fn moved(&mut self, giver: usize, taker: usize, bytes: f64) {
        self.gave.in_all[giver][taker] += bytes;
        if self.done == 0 {
            self.gave.until_first[giver][taker] += bytes;
        }
        if self.gave.is_seed[giver] {
            self.gave.by_seeds += bytes;
        }
    }

    /// The number of copies of the rarest piece among those that are here.
    pub fn rarest(&self) -> u32 {
        self.copies.here.iter().copied().min().unwrap_or(0)
    }

    /// Notes the state of the swarm.
    pub fn sample(&mut self, now: Micros) {
        if self.samples.len() >= MAX_SAMPLES {
            // Every second one, and from now on half as often: how long a run takes is not known
            // before its end.
            let mut odd = false;
            self.samples.retain(|_| {
                odd = !odd;
                odd
            });
            self.step *= 2;
        }
        let all: u64 = self.copies.here.iter().map(|count| u64::from(*count)).sum();
        self.samples.push(Sample {
            t: seconds(now),
            done: self.done,
            rarest: u64::from(self.rarest()),
            mean: all as f64 / self.copies.here.len().max(1) as f64,
            leechers: self.leechers,
        });
    }

    /// Closes the books: completes what is known of a run.
    pub fn close(self, peers: &[Peer], setup: &Setup, now: Micros, run: Run) -> Run {
        let results: Vec<PeerResult> = peers.iter().map(|peer| result(peer, setup)).collect();
        let is_leecher = |peer: &&PeerResult| {
            setup.classes.get(peer.class).is_some_and(|class| !class.is_seed())
        };
        let leechers: Vec<PeerResult> = results.iter().filter(is_leecher).copied().collect();
        // What each could have given while it was not done.
        let could = |peer: &PeerResult| {
            let time = peer.time.unwrap_or(seconds(now) - peer.arrived);
            setup.classes.get(peer.class).map_or(0.0, |class| class.up * time)
        };
        let line: f64 = leechers.iter().map(could).sum();
        let given: f64 = leechers.iter().map(|peer| peer.given).sum();
        let alive = self.copies.here.iter().filter(|count| **count > 0).count();
        Run {
            classes: setup.classes.iter().map(|class| class.label.clone()).collect(),
            times: leechers.iter().filter_map(|peer| peer.time).collect(),
            peers: results,
            samples: self.samples,
            gave: self.gave.until_first,
            gave_in_all: self.gave.in_all,
            seed_copies: self.copies.whole.map(|(_, bytes)| bytes / setup.length()),
            whole_copy: self.copies.whole.map(|(time, _)| seconds(time)),
            used: if line > 0.0 { given / line } else { 0.0 },
            alive: alive as f64 / self.copies.here.len().max(1) as f64,
            lasted: seconds(now),
            fallbacks: self.fallbacks,
            connections: self.most_connections,
            ..run
        }
    }
}

/// What became of a peer.
fn result(peer: &Peer, setup: &Setup) -> PeerResult {
    let class = usize::from(peer.class);
    let was_seed = setup.classes[class].is_seed();
    let account = &peer.account;
    let done = peer.done.filter(|_| !was_seed);
    PeerResult {
        class,
        arrived: seconds(peer.arrived),
        time: done.map(|done| seconds(done - peer.arrived)),
        given: if done.is_some() { account.given_when_done } else { account.given },
        taken: account.taken,
        from_seeds: account.from_seeds,
    }
}
