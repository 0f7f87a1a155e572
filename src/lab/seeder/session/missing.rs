//! What a client may have forgotten that waits, or that has waited and left.

use std::time::{Duration, Instant};

use super::{LULL, Session};
use crate::actors::Order;
use crate::lab::hints::{self, Mistake};
use crate::lab::seeder::end::SHORTEST_WAIT;
use crate::s01_bencode::counted;
use crate::s08_metadata::METADATA_PIECE_LENGTH;

/// A client that leaves later after its last message has probably no timeout, and its reasons.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What the peer has done so far, as far as it says what is missing.
#[derive(Default)]
pub struct Partner {
    /// It has said that it is interested.
    pub interested: bool,
    /// It has sent `unchoke`.
    pub unchoked_us: bool,
    /// It has asked for something.
    pub asked: bool,
    /// The number of requests that came in this choke.
    pub while_choked: usize,
    /// The number of requests that a choke threw away, if none came since the unchoke.
    pub forgotten: usize,
    /// The pieces of the info dictionary that it was given.
    pub metadata_given: usize,
}

impl Session<'_> {
    /// Notes a silence, once each.
    pub(super) fn silence(&mut self, begun: &[u8]) {
        let (kind, what, see) = if begun.is_empty() {
            let Some(missing) = self.missing(false) else { return };
            missing
        } else {
            ("unfinished", hints::unfinished(begun), hints::MESSAGES)
        };
        let what = format!("nothing has come for {} s: {what}", LULL.as_secs());
        self.log.mistake(Mistake::new(kind, what, see));
    }

    /// Notes what was missing when the peer hung up after a wait. Its timeout may be shorter than
    /// ours.
    pub(super) fn hung_up(&mut self) {
        self.tell_forgotten();
        let waited = self.last_received.elapsed();
        if !(SHORTEST_WAIT..LONGEST_WAIT).contains(&waited) {
            return;
        }
        if let Some((kind, what, see)) = self.missing(true).or_else(|| self.metadata_missing()) {
            let what = format!("it hung up after {} s; {what}", waited.as_secs());
            self.log.mistake(Mistake::new(kind, what, see));
        }
    }

    /// Returns what we wait for, or have waited for if the peer has left: the kind of mistake, a
    /// sentence, and a chapter.
    fn missing(&self, has_left: bool) -> Option<(&'static str, String, &'static str)> {
        let Partner { interested, unchoked_us, asked, forgotten, .. } = self.partner;
        if forgotten > 0 && !self.choking {
            let what = format!(
                "it lost {} to a choke, and has not asked again after unchoke",
                counted(forgotten, "request")
            );
            return Some(("not again", what, hints::PIECES));
        }
        if asked || self.unchoke_at.is_some() {
            return None;
        }
        if !self.choking {
            return Some(("no request", hints::no_request(has_left), hints::PIECES));
        }
        let unchoke = if unchoked_us { "; its unchoke only lets us ask it" } else { "" };
        let what = hints::not_interested(has_left) + unchoke;
        // Nobody is interested in a seeder that has said nothing of its pieces, or has none.
        let offers = self.holding.plan.order != Order::NoBitfield && self.holding.has.count() > 0;
        (offers && !interested).then_some(("no interest", what, hints::PIECES))
    }

    /// Returns what a client may have missed that was given metadata and did not go on.
    fn metadata_missing(&self) -> Option<(&'static str, String, &'static str)> {
        let given = self.partner.metadata_given;
        let all = self.holding.content.metadata.len().div_ceil(METADATA_PIECE_LENGTH);
        let what = match given {
            _ if given == 0 || self.given > 0 || self.partner.interested => return None,
            _ if given < all => format!("it had asked for {given} of the {all} pieces of the metadata"),
            _ => "it was given all the metadata: in a message the bytes begin right after the dictionary, and total_size counts all pieces together".to_owned(),
        };
        Some(("metadata wait", what, hints::METADATA))
    }

    /// Notes the requests that came while the peer was choked.
    pub(super) fn tell_forgotten(&mut self) {
        let count = std::mem::take(&mut self.partner.while_choked);
        if count > 0 {
            self.partner.forgotten += count;
            self.log.forgotten(count);
        }
    }

    /// Returns the time at which the silence is a lull; `None` if that was noted before.
    pub(super) fn lull_at(&self) -> Option<Instant> {
        Some(self.last_received + LULL).filter(|lull| *lull > Instant::now())
    }
}
