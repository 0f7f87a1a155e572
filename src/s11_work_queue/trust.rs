//! Which peers have proved themselves, and which are suspects.
//!
//! **Skip at first reading.** This matters when a peer lies. A wrong hash is certain, but does not
//! say which peer lied: if several brought blocks of the piece, each of them may be honest. So all
//! of them are suspects, and work alone until a piece of theirs is right. A liar cannot hide among
//! honest peers twice.
//!
//! A liar may be gone before the piece is complete, and come back under another name. So
//! suspicion belongs to the address, and stays when the connection ends.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::PeerNumber;
use crate::s04_handshake::origin::Origin;

/// The time for which a peer that has not proved itself leaves a spoilt piece to those that have.
/// A suspect leaves any piece to them.
pub const HOLD_BACK: Duration = Duration::from_secs(10);
/// The most addresses remembered of suspects that have gone.
const MAX_REMEMBERED: usize = 1000;

/// A peer that brings blocks, and its address if that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contributor {
    /// The peer, as long as it is connected.
    pub peer: PeerNumber,
    /// Its address, which is the same when it comes back.
    pub origin: Option<Origin>,
}

impl From<PeerNumber> for Contributor {
    fn from(peer: PeerNumber) -> Contributor {
        Contributor { peer, origin: None }
    }
}

/// What the evidence says about the peers once the piece is right.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Peers that brought a wrong block.
    pub liars: Vec<Contributor>,
    /// Peers that are no longer suspects.
    pub cleared: Vec<Contributor>,
}

/// What is known about the peers that are connected, and about suspects that have gone.
///
/// | a peer | is a suspect | has proved itself |
/// |---|---|---|
/// | that is new | no, or yes if a suspect from its address has left | no |
/// | that brought blocks of a right piece | as before | yes |
/// | that brought all of a right piece | no longer | yes |
/// | that brought some of a wrong piece | yes; its address, if it has left | as before |
/// | that brought all of a wrong piece | its address is; stage 12 hangs up | as before |
/// | that a right piece convicts | its address is | no longer; stage 15 bans it |
/// | that a right piece clears | no longer | as before |
#[derive(Default)]
pub(super) struct Trust {
    /// The peers that are connected. A piece may be completed after one of its contributors has
    /// left, and anything kept about that peer would never be removed.
    here: HashSet<PeerNumber>,
    /// The peers that brought blocks of a piece that was right, and when each last asked for a
    /// piece.
    proved: HashMap<PeerNumber, Option<Instant>>,
    /// The peers that have none of the missing pieces. No other peer needs to wait for them.
    useless: HashSet<PeerNumber>,
    /// The suspects, and since when each has been one.
    suspects: HashMap<PeerNumber, Instant>,
    /// The addresses of liars and of suspects that have gone, the oldest first.
    gone: VecDeque<Origin>,
    /// The liars that a right piece has convicted. Each is banned for it, so there are few.
    convicted: HashSet<PeerNumber>,
}

impl Trust {
    /// Adds a peer. It is a suspect if it comes from a suspect's address.
    pub fn join(&mut self, who: Contributor, now: Instant) {
        self.here.insert(who.peer);
        if who.origin.is_some_and(|origin| self.gone.contains(&origin)) {
            self.suspects.insert(who.peer, now);
        }
    }

    /// Removes a peer.
    pub fn leave(&mut self, who: Contributor) {
        self.here.remove(&who.peer);
        self.proved.remove(&who.peer);
        self.useless.remove(&who.peer);
        if self.suspects.remove(&who.peer).is_some() {
            self.remember(who);
        }
    }

    /// Remembers the address of a suspect that has gone, for as long as there is room: the oldest
    /// goes first. A peer whose address is not known leaves nothing behind.
    fn remember(&mut self, who: Contributor) {
        let Some(origin) = who.origin.filter(|origin| !self.gone.contains(origin)) else { return };
        if self.gone.len() == MAX_REMEMBERED {
            self.gone.pop_front();
        }
        self.gone.push_back(origin);
    }

    /// Records that a piece was right. If one peer brought all of it, that peer is no longer a
    /// suspect. Returns it if it was one.
    pub fn right(&mut self, by: &[Contributor]) -> Option<PeerNumber> {
        let mut cleared = None;
        // Beside others it proves little: a suspect may have brought only a few of the blocks.
        // A liar that has just been convicted by its own second try is not here anymore.
        if let [alone] = by
            && self.here.contains(&alone.peer)
        {
            cleared = self.suspects.remove(&alone.peer).map(|_| alone.peer);
            self.gone.retain(|origin| Some(*origin) != alone.origin);
        }
        for who in by.iter().filter(|who| self.here.contains(&who.peer)) {
            self.proved.entry(who.peer).or_insert(None); // keeps when it last asked
        }
        cleared
    }

    /// Records a verdict: a piece that was wrong is now right, and shows which peers lied.
    pub fn judged(&mut self, verdict: &Verdict) {
        for who in verdict.cleared.iter().filter(|who| !self.convicted.contains(&who.peer)) {
            self.suspects.remove(&who.peer);
            self.gone.retain(|origin| Some(*origin) != who.origin);
        }
        for who in &verdict.liars {
            // As if it had left, even if it is not hung up on yet. What it has told the truth about
            // before may come to light only now, and does not clear it.
            self.here.remove(&who.peer);
            self.proved.remove(&who.peer);
            self.convicted.insert(who.peer);
            self.remember(*who);
        }
    }

    /// Records that a piece was wrong. A peer that brought all of it is banned elsewhere; but an
    /// address has many ports, so the next peer from there is a suspect.
    pub fn wrong(&mut self, by: &[Contributor], now: Instant) {
        for who in by {
            if by.len() > 1 && self.here.contains(&who.peer) {
                self.suspects.insert(who.peer, now);
            } else {
                self.remember(*who);
            }
        }
    }

    /// Whether a peer is a suspect, and so works alone.
    pub fn is_suspect(&self, peer: PeerNumber) -> bool {
        self.suspects.contains_key(&peer)
    }

    /// Whether a peer brought blocks of a piece that was right.
    pub fn is_proved(&self, peer: PeerNumber) -> bool {
        self.proved.contains_key(&peer)
    }

    /// Sets whether a peer has a missing piece.
    pub fn set_useful(&mut self, peer: PeerNumber, useful: bool) {
        if useful {
            self.useless.remove(&peer);
        } else {
            self.useless.insert(peer);
        }
    }

    /// Notes that a peer asks for a piece. If it has proved itself, it may take a piece that others
    /// left to it.
    pub fn asks(&mut self, peer: PeerNumber, now: Instant) {
        if let Some(asked) = self.proved.get_mut(&peer) {
            *asked = Some(now);
        }
    }

    /// Notes that a piece was taken from a peer. A suspect then leaves all pieces to others for a
    /// while.
    pub fn gave_way(&mut self, peer: PeerNumber, now: Instant) {
        self.suspects.entry(peer).and_modify(|since| *since = now);
    }

    /// Whether a peer leaves a piece to others that have proved themselves. `spoilt` is when the
    /// piece had the wrong hash, if it ever had. No peer waits long, or for a peer with no missing
    /// piece. Only a suspect waits for one that has asked since and left this piece.
    pub fn holds_back(&self, peer: PeerNumber, spoilt: Option<Instant>, now: Instant) -> bool {
        // It is hung up on in a moment. Until then it gets nothing: least of all what it spoilt.
        if self.convicted.contains(&peer) {
            return true;
        }
        // A proved peer waits for no one. Without a proved peer that could take the piece, no one
        // waits.
        let useful = self.proved.iter().filter(|(other, _)| !self.useless.contains(other));
        let mut others = useful.map(|(_, asked)| asked).peekable();
        if self.is_proved(peer) || others.peek().is_none() {
            return false;
        }
        let lately = |since: &Instant| now.saturating_duration_since(*since) < HOLD_BACK;
        // Each of the others has had its chance since the piece was spoilt.
        let mut all_asked = |spoilt| others.all(|asked| asked.is_some_and(|asked| asked > spoilt));
        let is_suspect = self.suspects.get(&peer).is_some_and(lately);
        is_suspect || spoilt.filter(lately).is_some_and(|spoilt| !all_asked(spoilt))
    }
}
