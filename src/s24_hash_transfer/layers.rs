//! Which hashes of pieces are missing, and which are asked for next.
//!
//! A file's piece layer is asked for in parts of 512 hashes, each with a proof up to the root. So
//! each answer can be checked alone, and kept: a peer that leaves costs no more than what it has
//! not sent yet. All sessions share one list of the parts. It is a carousel:
//!
//! ```text
//!        asked longest ago -->  [ p3 p4 p5 p0 p1 p2 ]  <-- asked just now
//!   A asks for p3                    [ p4 p5 p0 p1 p2 p3 ]
//!   p0 comes, and is right           [ p4 p5 p1 p2 p3 ]
//! ```
//! A part that does not come is asked for again, and the first right answer counts:
//!
//! | who may be asked for a part after others | when |
//! |---|---|
//! | a peer | half a second after the last one; a quarter after the second, and so on |
//! | a peer, if the last one has refused, or left | at once |
//! | a peer at an IP from which one has left without giving, or lied | after three seconds in any case |
//!
//! So nobody keeps a part from the others: neither by silence, which is a second for each part,
//! however many are silent, nor by hanging up and dialing again.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::message::HashRequest;
use crate::s04_handshake::origin::Origin;
use crate::s23_v2::merkle::Hash;

/// The most hashes in a request. BEP 52: "should not exceed 512".
pub const MAX_LENGTH: u32 = 512;
/// How long a part is left to the first peer that was asked for it. An answer has 16 KiB, so a line
/// of 64 KiB/s is quick enough. Each further peer has half as long as the one before it, up to
/// [`MAX_HALVED`] times: whoever is left, after a second, is asked at once.
const PATIENCE: Duration = Duration::from_millis(500);
const MAX_HALVED: u32 = 5;
/// How long a part that was asked for is kept from peers that go last.
const LAST: Duration = Duration::from_secs(3);
/// The number of origins that are remembered as those that go last. Whoever has more addresses than
/// that is many strangers.
const MAX_FAILED: usize = 256;

/// A file whose piece layer is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lacking {
    /// The root of the file's tree.
    pub root: Hash,
    /// How many pieces the file has: more than one, or its only piece would have the root's hash.
    pub pieces: u32,
    /// The layer in which a hash covers a piece.
    pub piece_layer: u32,
    /// The layer of the root.
    pub height: u32,
}

impl Lacking {
    /// Returns the requests for the whole layer.
    ///
    /// ```text
    /// 601 pieces, in a tree of 1,024:   | 0 .. 511 | 512 .. 1023 |    two requests of 512
    ///                                              hashes of pieces up to 600, then filler
    /// ```
    fn parts(self) -> impl Iterator<Item = HashRequest> {
        let above = self.height.saturating_sub(self.piece_layer);
        // With a file of few pieces, all of the layer, filler included.
        let length = MAX_LENGTH.min(1u32.checked_shl(above).unwrap_or(MAX_LENGTH));
        (0..self.pieces).step_by(length as usize).map(move |index| HashRequest {
            root: self.root,
            base_layer: self.piece_layer,
            index,
            length,
            proof_layers: above.saturating_sub(1), // up to the root
        })
    }
}

/// The piece layers that are missing.
#[derive(Debug, Default)]
pub struct MissingLayers {
    /// The parts that have not come. In front is the one that was asked for longest ago.
    parts: VecDeque<Part>,
    /// The layers of which parts are missing, by the root.
    layers: HashMap<Hash, Layer>,
    /// What is wanted beside the layers, as it was last set.
    beside: Vec<HashRequest>,
    /// The number of parts of layers that have come.
    received: u64,
    /// Where peers were that left with a part, or lied about one; the latest is at the back.
    failed: VecDeque<Origin>,
}

/// A part that has not come.
#[derive(Debug)]
struct Part {
    request: HashRequest,
    /// Whether it belongs to a layer.
    of_layer: bool,
    /// When a peer was last asked for it.
    asked: Option<Instant>,
    /// How often one was asked.
    times: u32,
    /// Whether the last one will not give it, and has said so, or has gone.
    free: bool,
}

impl Part {
    /// A part that nobody has been asked for.
    fn new(request: HashRequest, of_layer: bool) -> Part {
        Part { request, of_layer, asked: None, times: 0, free: false }
    }

    /// How long after it was asked for it may be asked of somebody else. Each that was silent so
    /// far makes it more likely that this is on purpose, and that the next one is too. So the
    /// pauses get shorter, and all of them together take a second: a hundred silent peers are not
    /// much worse than two.
    fn pause(&self, goes_last: bool) -> Duration {
        match (goes_last, self.free) {
            (true, _) => LAST,
            (false, true) => Duration::ZERO,
            (false, false) => PATIENCE / 2u32.pow(self.times.saturating_sub(1).min(MAX_HALVED)),
        }
    }
}

/// A piece layer of which parts are missing.
#[derive(Debug)]
struct Layer {
    pieces: u32,
    /// The number of parts that have not come.
    missing: usize,
    /// The hashes that have come, each in its place. It grows with them.
    hashes: Vec<Hash>,
}

impl MissingLayers {
    /// Begins with all parts of these layers. Files with the same root have the same layer, which
    /// is asked for once.
    pub fn new(files: impl IntoIterator<Item = Lacking>) -> MissingLayers {
        let mut missing = MissingLayers::default();
        let mut seen = HashSet::new();
        for file in files.into_iter().filter(|file| file.pieces > 1 && seen.insert(file.root)) {
            let before = missing.parts.len();
            missing.parts.extend(file.parts().map(|request| Part::new(request, true)));
            let layer = Layer {
                pieces: file.pieces,
                missing: missing.parts.len() - before,
                hashes: Vec::new(),
            };
            missing.layers.insert(file.root, layer);
        }
        missing
    }

    /// Whether no part is missing.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// How many parts of layers have come.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// How many parts are missing.
    pub fn parts(&self) -> usize {
        self.parts.len()
    }

    /// Returns the part to ask a peer for next: the one that was asked for longest ago, or never.
    /// Those that it owes already (`is_asked`) are passed over. `None` if no other is left, or if
    /// those who were asked have not had enough time. The part counts as asked for from now on.
    ///
    /// `origin` is where the peer is; `None` if it is the only one.
    pub fn next(
        &mut self,
        origin: Option<Origin>,
        is_asked: impl Fn(&HashRequest) -> bool,
        now: Instant,
    ) -> Option<HashRequest> {
        // Only the few that the peer owes are passed over, so this looks at no more than these.
        let position = self.parts.iter().position(|part| !is_asked(&part.request))?;
        let part = self.parts.get(position)?;
        let pause = part.pause(origin.is_some_and(|origin| self.failed.contains(&origin)));
        if part.asked.is_some_and(|asked| now.saturating_duration_since(asked) < pause) {
            return None;
        }
        let part = self.parts.remove(position)?;
        let times = part.times.saturating_add(1);
        self.parts.push_back(Part { asked: Some(now), times, free: false, ..part });
        Some(part.request)
    }

    /// Sets what is wanted beside the layers: these, and no others. They go to the front, unless
    /// they are here already.
    pub fn want_too(&mut self, requests: &[HashRequest]) {
        // Set at each message and tick of each session, and hardly ever changed. There may be a
        // hundred thousand parts to look through.
        if self.beside == requests {
            return;
        }
        self.beside = requests.to_vec();
        self.parts.retain(|part| part.of_layer || requests.contains(&part.request));
        for request in requests {
            if self.position(request).is_none() {
                self.parts.push_front(Part::new(*request, false));
            }
        }
    }

    /// Takes back a part that a peer will not give. Another peer is asked for it next. Returns
    /// whether it is still missing: somebody else may have given it.
    pub fn put_back(&mut self, request: &HashRequest) -> bool {
        let part = self.position(request).and_then(|position| self.parts.remove(position));
        let part = part.map(|part| Part { free: true, ..part });
        part.map(|part| self.parts.push_front(part)).is_some()
    }

    /// Lets peers from an origin go last, or no longer. A new connection costs a peer nothing, so
    /// what it did on the last one is remembered.
    pub fn note(&mut self, origin: Option<Origin>, failed: bool) {
        let Some(origin) = origin else { return };
        self.failed.retain(|known| *known != origin);
        if failed {
            self.failed.push_back(origin);
        }
        // The oldest is forgiven. It has cost us half a second, and that was long ago.
        if self.failed.len() > MAX_FAILED {
            self.failed.pop_front();
        }
    }

    /// Where a part is. One that was asked for lately is at the back.
    fn position(&self, request: &HashRequest) -> Option<usize> {
        self.parts.iter().rposition(|part| part.request == *request)
    }

    /// Keeps the hashes of a part, which have been proved. Returns the file's root and its whole
    /// layer, if this was the last part of it. A part that has come before changes nothing.
    pub fn keep(&mut self, part: &HashRequest, proved: &[Hash]) -> Option<(Hash, Vec<Hash>)> {
        self.parts.remove(self.position(part)?);
        self.beside.retain(|request| request != part);
        let layer = self.layers.get_mut(&part.root)?;
        self.received += 1;
        // Beyond the last piece there is only filler, which is not part of a layer.
        let end = layer.pieces.min(part.index.saturating_add(part.length)) as usize;
        let start = part.index as usize;
        layer.hashes.resize(layer.hashes.len().max(end), Hash::ZERO);
        for (place, hash) in layer.hashes.get_mut(start..end)?.iter_mut().zip(proved) {
            *place = *hash;
        }
        layer.missing -= 1;
        if layer.missing > 0 {
            return None;
        }
        let layer = self.layers.remove(&part.root)?;
        Some((part.root, layer.hashes))
    }
}
