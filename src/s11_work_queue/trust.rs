//! Which peers have proved themselves, and which are suspects.
//!
//! **Skip at first reading.** This matters when somebody lies. A wrong hash is certain, and says
//! nothing about who: if several peers had a part in the piece, each of them may be honest. So
//! all of them are suspects, and work alone until a piece of theirs is right. A liar cannot
//! hide among honest peers twice.
//!
//! A liar may be gone before the piece is complete, and come back under another name. So
//! suspicion belongs to the address, and stays when the connection ends.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::PeerNumber;
use super::evidence::Verdict;
use crate::s04_handshake::origin::Origin;

/// How long a peer that has proved nothing leaves a spoilt piece to those that have. A suspect
/// leaves them any piece.
pub const HOLD_BACK: Duration = Duration::from_secs(10);
/// The number of addresses remembered as those of suspects that have gone.
const MAX_REMEMBERED: usize = 1000;

/// A peer that brings blocks, and its address if that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contributor {
    /// The peer, as long as it is connected.
    pub peer: PeerNumber,
    /// Its address, which it still has when it comes again.
    pub origin: Option<Origin>,
}

impl From<PeerNumber> for Contributor {
    fn from(peer: PeerNumber) -> Contributor {
        Contributor { peer, origin: None }
    }
}

/// What is known of the peers that are here, and of suspects that have gone.
#[derive(Default)]
pub(super) struct Trust {
    here: HashSet<PeerNumber>,
    /// The peers that had a part in a piece that was right, and when each last asked for a piece.
    proved: HashMap<PeerNumber, Option<Instant>>,
    /// The peers that have nothing that is missing. Nobody needs to wait for them.
    useless: HashSet<PeerNumber>,
    /// The suspects, each with the time since when it is one.
    suspects: HashMap<PeerNumber, Instant>,
    /// The addresses of suspects that have gone, the oldest first.
    gone: VecDeque<Origin>,
}

impl Trust {
    /// A peer comes. It is a suspect if it comes from a suspect's address.
    pub fn join(&mut self, who: Contributor, now: Instant) {
        self.here.insert(who.peer);
        if who.origin.is_some_and(|origin| self.gone.contains(&origin)) {
            self.suspects.insert(who.peer, now);
        }
    }

    /// A peer goes.
    pub fn leave(&mut self, who: Contributor) {
        self.here.remove(&who.peer);
        self.proved.remove(&who.peer);
        self.useless.remove(&who.peer);
        if self.suspects.remove(&who.peer).is_some() {
            self.remember(who);
        }
    }

    fn remember(&mut self, who: Contributor) {
        let Some(origin) = who.origin.filter(|origin| !self.gone.contains(origin)) else { return };
        if self.gone.len() == MAX_REMEMBERED {
            self.gone.pop_front();
        }
        self.gone.push_back(origin);
    }

    /// A piece was right. If one peer made all of it, that peer is no longer a suspect.
    pub fn right(&mut self, by: &[Contributor]) {
        if let [alone] = by {
            self.suspects.remove(&alone.peer);
            self.gone.retain(|origin| Some(*origin) != alone.origin);
        }
        for who in by.iter().filter(|who| self.here.contains(&who.peer)) {
            self.proved.entry(who.peer).or_insert(None);
        }
    }

    /// A piece that was wrong is right now, and shows who lied.
    pub fn judged(&mut self, verdict: &Verdict) {
        for who in &verdict.cleared {
            self.suspects.remove(&who.peer);
            self.gone.retain(|origin| Some(*origin) != who.origin);
        }
        for who in &verdict.liars {
            self.proved.remove(&who.peer);
            self.remember(*who);
        }
    }

    /// A piece was wrong. A peer that made all of it is banned; but an address has many ports,
    /// so the next peer from there is a suspect.
    pub fn wrong(&mut self, by: &[Contributor], now: Instant) {
        for who in by {
            if by.len() > 1 && self.here.contains(&who.peer) {
                self.suspects.insert(who.peer, now);
            } else {
                self.remember(*who);
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
            self.useless.remove(&peer);
        } else {
            self.useless.insert(peer);
        }
    }

    /// A peer asks for a piece. If it has proved itself, it may take what was left to such peers.
    pub fn asks(&mut self, peer: PeerNumber, now: Instant) {
        if let Some(asked) = self.proved.get_mut(&peer) {
            *asked = Some(now);
        }
    }

    /// A piece was taken from a peer. If that is a suspect, it leaves all pieces to others for a
    /// while.
    pub fn gave_way(&mut self, peer: PeerNumber, now: Instant) {
        self.suspects.entry(peer).and_modify(|since| *since = now);
    }

    /// Whether a peer leaves a piece to others that have proved themselves. `spoilt` is when the
    /// piece had the wrong hash, if it ever had. Nobody waits long, nor for a peer that has nothing of
    /// what is missing, or that could have had the piece and took none or another one.
    pub fn holds_back(&self, peer: PeerNumber, spoilt: Option<Instant>, now: Instant) -> bool {
        let useful = self.proved.iter().filter(|(other, _)| !self.useless.contains(other));
        let mut others = useful.map(|(_, asked)| asked).peekable();
        if self.is_proved(peer) || others.peek().is_none() {
            return false;
        }
        let lately = |since: &Instant| now.saturating_duration_since(*since) < HOLD_BACK;
        let mut all_asked = |spoilt| others.all(|asked| asked.is_some_and(|asked| asked > spoilt));
        let is_suspect = self.suspects.get(&peer).is_some_and(lately);
        is_suspect || spoilt.filter(lately).is_some_and(|spoilt| !all_asked(spoilt))
    }
}
