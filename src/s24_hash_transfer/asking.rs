//! What one peer owes us: hashes that we have asked it for.
//!
//! Nobody can hurry a peer. If it is silent, or refuses, it loses nothing but the questions that we
//! would have asked it: the parts come around to another one ([`MissingLayers`]). A peer that
//! leaves with them, or lies, goes last from then on.

use std::time::{Duration, Instant};

use super::layers::MissingLayers;
use super::message::HashRequest;
use crate::s04_handshake::origin::Origin;

/// The hashes that one peer may owe us: four answers of the usual size, 64 KiB.
const MAX_OWED: u32 = 4 * super::layers::MAX_LENGTH;
/// The answers that it may owe us. A torrent of many small files has small layers.
const MAX_REQUESTS: usize = 32;
/// How long a peer that has refused is left alone: it may still be fetching the same hashes itself.
/// Twice as long each further time, up to [`MAX_DOUBLED`] times.
const REST: Duration = Duration::from_secs(2);
const MAX_DOUBLED: u32 = 5;

/// What one peer owes us, and whether it is asked for more.
///
/// | what comes | what it is asked next |
/// |---|---|
/// | hashes | more, at once, up to [`MAX_OWED`] |
/// | a reject | nothing for a while: 2 s, then 4 s, up to 64 s |
/// | nothing | nothing more than what it owes; others are asked for the same after half a second |
#[derive(Debug, Default)]
pub struct Owed {
    requests: Vec<HashRequest>,
    /// Where the peer is; `None` if it is the only one.
    origin: Option<Origin>,
    /// How often it has refused since it last gave us something.
    refusals: u32,
    /// Until when it is not asked.
    rests_until: Option<Instant>,
}

impl Owed {
    /// Begins with a peer that is there. It owes nothing.
    pub fn at(origin: Origin) -> Owed {
        Owed { origin: Some(origin), ..Owed::default() }
    }

    /// Chooses what to ask the peer for now. It then owes that.
    pub fn ask(&mut self, missing: &mut MissingLayers, now: Instant) -> Vec<HashRequest> {
        let before = self.requests.len();
        // Counted in hashes: four requests of a large file, or a few dozen of small ones. One at a
        // time would cost a round trip for each.
        while !self.rests(now) && self.requests.len() < MAX_REQUESTS {
            let owed: u32 = self.requests.iter().map(|request| request.length).sum();
            let is_asked = |part: &HashRequest| self.requests.contains(part);
            match (owed < MAX_OWED).then(|| missing.next(self.origin, is_asked, now)).flatten() {
                Some(part) => self.requests.push(part),
                None => break,
            }
        }
        self.requests.get(before..).unwrap_or_default().to_vec()
    }

    /// Whether the peer is not asked at this time, because it has refused.
    pub fn rests(&self, now: Instant) -> bool {
        self.rests_until.is_some_and(|until| now < until)
    }

    /// Notes that an answer has come; returns whether the peer owed it.
    pub fn given(&mut self, request: &HashRequest) -> bool {
        let owed = self.settle(request);
        // Only for what was asked for: anything else would be a way to be asked, and refuse, again
        // and again.
        if owed {
            self.refusals = 0;
        }
        owed
    }

    /// Notes that the peer refuses a request; returns whether it owed that.
    pub fn refused(&mut self, request: &HashRequest, now: Instant) -> bool {
        let owed = self.settle(request);
        // It may refuse all that it was asked for at once. That counts as one time.
        if owed && !self.rests(now) {
            self.rests_until = Some(now + REST * 2u32.pow(self.refusals.min(MAX_DOUBLED)));
            self.refusals += 1;
        }
        owed
    }

    fn settle(&mut self, request: &HashRequest) -> bool {
        let position = self.requests.iter().position(|owed| owed == request);
        position.map(|position| self.requests.swap_remove(position)).is_some()
    }

    /// The peer leaves. What it owes may be asked of others at once. It goes last if it comes back,
    /// unless all that it owes has come from others.
    pub fn leave(&self, missing: &mut MissingLayers) {
        // Each must be put back, so this must not end at the first that is still missing.
        let put_back = |request| missing.put_back(request);
        if self.requests.iter().map(put_back).fold(false, |any, one| any | one) {
            missing.note(self.origin, true);
        }
    }

    /// Notes whether an answer was right. A right one makes good for what others did from there:
    /// many people may share one address.
    pub fn proved(&self, missing: &mut MissingLayers, is_right: bool) {
        missing.note(self.origin, !is_right);
    }

    /// All that it owes.
    pub fn requests(&self) -> &[HashRequest] {
        &self.requests
    }
}
