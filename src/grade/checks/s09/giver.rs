//! The steps of a peer that gives blocks, for scripts.

use std::io;
use std::time::{Duration, Instant};

use super::said::Request;
use crate::actors::line::Line;
use crate::actors::torrent::Torrent;
use crate::actors::wire;
use crate::grade::scene::Scene;

/// How long the peer waits for whatever comes next.
const PATIENCE: Duration = Duration::from_secs(30);

/// A peer that has pieces of a torrent.
#[derive(Clone)]
pub(in crate::grade::checks) struct Giver {
    pub torrent: Torrent,
    /// What its bitfield says.
    pub have: Vec<bool>,
    peer_id: [u8; 20],
}

impl Giver {
    /// Returns a peer that has everything.
    pub fn of(scene: &mut Scene, torrent: &Torrent) -> Giver {
        let have = vec![true; torrent.pieces()];
        Giver { torrent: torrent.clone(), have, peer_id: scene.dice.peer_id() }
    }

    /// Returns the same peer, with these pieces only.
    pub fn with(&self, has: impl Fn(usize) -> bool) -> Giver {
        Giver { have: (0..self.torrent.pieces()).map(has).collect(), ..self.clone() }
    }

    /// Shakes hands, sends a bitfield, and unchokes the client once it is interested.
    pub fn begin(&self, line: &mut Line) -> Option<()> {
        let theirs = line.handshake(PATIENCE).ok()?;
        if theirs[28..48] != self.torrent.info_hash {
            return None;
        }
        line.send(&wire::handshake([0; 8], self.torrent.info_hash, self.peer_id)).ok()?;
        line.send(&wire::message(wire::BITFIELD, &wire::bitfield(&self.have))).ok()?;
        line.until(wire::INTERESTED, PATIENCE).ok()?;
        line.send(&wire::message(wire::UNCHOKE, &[])).ok()
    }

    /// Returns the next request; nothing at the end, or if none comes.
    pub fn asked(&self, line: &mut Line) -> Option<Request> {
        self.asked_within(line, PATIENCE)
    }

    /// Returns the next request, if one comes in this time.
    pub fn asked_within(&self, line: &mut Line, time: Duration) -> Option<Request> {
        wire::three(&line.until(wire::REQUEST, time).ok()?)
    }

    /// Returns the bytes that a request asks for; nothing if the peer has no such ones.
    pub fn block(&self, (piece, begin, length): Request) -> Option<&[u8]> {
        let (piece, begin, length) = (piece as usize, begin as usize, length as usize);
        let end = begin.checked_add(length).filter(|_| length <= 16_384)?;
        let has = self.have.get(piece).is_some_and(|has| *has);
        self.torrent.piece(piece).get(begin..end).filter(|_| has)
    }

    /// Sends what a request asks for.
    ///
    /// # Errors
    /// If there is no such block, or the client is gone. Then the peer hangs up.
    pub fn give(&self, line: &mut Line, request: Request) -> io::Result<()> {
        let block = self.block(request).ok_or(io::ErrorKind::InvalidInput)?;
        line.send(&wire::block(request.0, request.1, block))
    }

    /// Gives whatever is asked for, to the end.
    pub fn serve(&self, line: &mut Line) {
        while let Some(request) = self.asked(line) {
            if self.give(line, request).is_err() {
                return;
            }
        }
    }

    /// Collects requests without an answer until this many are there, or this much time has passed
    /// since the first. Then answers them all, and returns how many they were.
    pub fn hold(&self, line: &mut Line, wanted: usize, time: Duration) -> Option<usize> {
        let mut held = vec![self.asked(line)?];
        let until = Instant::now() + time;
        while held.len() < wanted {
            let left = until.saturating_duration_since(Instant::now());
            match self.asked_within(line, left) {
                Some(request) => held.push(request),
                None => break,
            }
        }
        let count = held.len();
        held.into_iter().try_for_each(|request| self.give(line, request)).ok()?;
        Some(count)
    }
}
