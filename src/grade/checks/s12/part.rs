//! A peer that gives a part of the torrent, and then no more.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::actors::line::Line;
use crate::grade::checks::s09::giver::Giver;
use crate::grade::checks::s09::said::Request;

/// The blocks that a peer has given.
#[derive(Clone, Default)]
pub(super) struct Given(Arc<Mutex<BTreeSet<Request>>>);

impl Given {
    fn add(&self, request: Request) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(request);
    }

    /// Returns the pieces of which every byte has been given.
    pub fn whole(&self, giver: &Giver) -> Vec<u32> {
        let given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_whole = |piece: &u32| {
            let blocks = given.iter().filter(|(index, ..)| index == piece);
            // The blocks may overlap; they are sorted by where they begin.
            let end = blocks.fold(
                0,
                |end, (_, begin, length)| {
                    if *begin <= end { end.max(begin + length) } else { end }
                },
            );
            end as usize == giver.torrent.piece(*piece as usize).len()
        };
        (0..giver.torrent.pieces() as u32).filter(is_whole).collect()
    }
}

/// Gives what is asked for until this many pieces have been given whole; returns whether they have.
pub(super) fn serve_until(line: &mut Line, giver: &Giver, pieces: usize, given: &Given) -> bool {
    while given.whole(giver).len() < pieces {
        let Some(request) = giver.asked(line) else { return false };
        if giver.give(line, request).is_err() {
            return false;
        }
        given.add(request);
    }
    true
}
