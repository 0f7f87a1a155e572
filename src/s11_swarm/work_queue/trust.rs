//! Which peers have proved themselves, and which are suspected.
//!
//! A piece with a wrong hash that several peers had a part in does not say which of them
//! lied. All of them are suspects then, and work alone until a piece of theirs is right: a
//! liar cannot hide among honest peers twice.
//!
//! A liar may be gone before the piece is complete, and come back under another
//! name. So suspicion belongs to the address, and stays when the connection ends.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::PeerNumber;
use crate::s11_swarm::sharing::Origin;

/// How long a peer that has proved nothing leaves a spoilt piece, or as a suspect any
/// piece, to those that have.
pub(super) const HOLDS_BACK: Duration = Duration::from_secs(10);
/// How many addresses that have gone are remembered as suspects.
const REMEMBERED: usize = 1000;

/// A peer that brought a block of a piece, and its address, if that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::s11_swarm) struct Part {
    pub peer: PeerNumber,
    pub origin: Option<Origin>,
}

/// What is known of the peers that are here, and of suspects that have gone.
#[derive(Default)]
pub(super) struct Trust {
    here: HashSet<PeerNumber>,
    /// Those that had a part in a piece that was right, and when each last asked for work.
    proved: HashMap<PeerNumber, Option<Instant>>,
    /// Those that have nothing that is missing. Nobody needs to wait for them.
    useless: HashSet<PeerNumber>,
    /// Since when each has been a suspect.
    suspects: HashMap<PeerNumber, Instant>,
    /// Addresses of suspects that have gone, the oldest first.
    gone: VecDeque<Origin>,
}

impl Trust {
    /// A peer comes. Whoever comes from a suspect's address is one.
    pub fn join(&mut self, part: Part, now: Instant) {
        self.here.insert(part.peer);
        if part.origin.is_some_and(|origin| self.gone.contains(&origin)) {
            self.suspects.insert(part.peer, now);
        }
    }

    /// A peer goes.
    pub fn leave(&mut self, part: Part) {
        self.here.remove(&part.peer);
        self.proved.remove(&part.peer);
        self.useless.remove(&part.peer);
        if self.suspects.remove(&part.peer).is_some() {
            self.remember(part);
        }
    }

    fn remember(&mut self, part: Part) {
        let Some(origin) = part.origin.filter(|origin| !self.gone.contains(origin)) else { return };
        if self.gone.len() == REMEMBERED {
            self.gone.pop_front();
        }
        self.gone.push_back(origin);
    }

    /// A piece was right. Made alone, it clears a suspect.
    pub fn right(&mut self, by: &[Part]) {
        if let [alone] = by {
            self.suspects.remove(&alone.peer);
            self.gone.retain(|origin| Some(*origin) != alone.origin);
        }
        for part in by.iter().filter(|part| self.here.contains(&part.peer)) {
            self.proved.entry(part.peer).or_insert(None);
        }
    }

    /// A piece that was wrong is right now, and shows who lied.
    pub fn judged(&mut self, liars: &[Part], cleared: &[Part]) {
        for part in cleared {
            self.suspects.remove(&part.peer);
            self.gone.retain(|origin| Some(*origin) != part.origin);
        }
        for part in liars {
            self.proved.remove(&part.peer);
            self.remember(*part);
        }
    }

    /// A piece was wrong. A peer that made it alone is banned; but an address has many
    /// ports, and the next one to come from there is a suspect.
    pub fn wrong(&mut self, by: &[Part], now: Instant) {
        for part in by {
            if by.len() > 1 && self.here.contains(&part.peer) {
                self.suspects.insert(part.peer, now);
            } else {
                self.remember(*part);
            }
        }
    }

    /// Whether a peer works alone.
    pub fn is_suspect(&self, peer: PeerNumber) -> bool {
        self.suspects.contains_key(&peer)
    }

    /// Whether a peer had a part in a piece that was right.
    pub fn is_proved(&self, peer: PeerNumber) -> bool {
        self.proved.contains_key(&peer)
    }

    /// Sets whether a peer has a piece that is missing.
    pub fn set_useful(&mut self, peer: PeerNumber, useful: bool) {
        if useful {
            self.useless.remove(&peer)
        } else {
            self.useless.insert(peer)
        };
    }

    /// A peer asks for work: if it has proved itself, it may take what was left to those that have.
    pub fn asks(&mut self, peer: PeerNumber, now: Instant) {
        if let Some(asked) = self.proved.get_mut(&peer) {
            *asked = Some(now);
        }
    }

    /// A piece was taken from a peer. If that is a suspect, it leaves all of them to others for a
    /// while.
    pub fn gave_way(&mut self, peer: PeerNumber, now: Instant) {
        self.suspects.entry(peer).and_modify(|since| *since = now);
    }

    /// Whether a peer leaves a piece to others that have proved themselves; it was
    /// spoilt at that time, if it was. Nobody waits for long, nor for a peer that has nothing
    /// of what is missing, or that could have had the piece and took none or another one.
    pub fn holds_back(&self, peer: PeerNumber, spoilt: Option<Instant>, now: Instant) -> bool {
        let mut others = self.proved.iter().filter(|(other, _)| !self.useless.contains(other)).map(|(_, asked)| asked);
        if self.is_proved(peer) || others.clone().next().is_none() {
            return false;
        }
        let lately = |since: &Instant| now.saturating_duration_since(*since) < HOLDS_BACK;
        let mut all_asked = |spoilt| others.all(|asked| asked.is_some_and(|asked| asked > spoilt));
        self.suspects.get(&peer).is_some_and(lately) || spoilt.filter(lately).is_some_and(|spoilt| !all_asked(spoilt))
    }
}
