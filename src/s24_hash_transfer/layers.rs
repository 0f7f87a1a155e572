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
//! A part whose peer is silent comes around again after three seconds, and another peer is asked. A
//! part that a peer refuses, or leaves without giving, goes to the front.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::message::HashRequest;
use crate::s23_v2::merkle::Hash;

/// The most hashes in a request. BEP 52: "should not exceed 512".
pub const MAX_LENGTH: u32 = 512;
/// How long a part is left to the peer that was asked for it: as long as in libtorrent.
const PATIENCE: Duration = Duration::from_secs(3);

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
}

/// A part that has not come.
#[derive(Debug)]
struct Part {
    request: HashRequest,
    /// Whether it belongs to a layer.
    of_layer: bool,
    /// When a peer was asked for it.
    asked: Option<Instant>,
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
            missing.parts.extend(file.parts().map(|request| Part {
                request,
                of_layer: true,
                asked: None,
            }));
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

    /// How many parts are missing.
    pub fn parts(&self) -> usize {
        self.parts.len()
    }

    /// Returns the part that was asked for longest ago, or never, and of which `is_asked` does not
    /// say that this peer owes it already. `None` if there is none, or if the others that were
    /// asked for it have had too little time. It counts as asked for from now on.
    pub fn next(
        &mut self,
        is_asked: impl Fn(&HashRequest) -> bool,
        now: Instant,
    ) -> Option<HashRequest> {
        // Only the few that the peer owes are passed over, so this looks at no more than these.
        let position = self.parts.iter().position(|part| !is_asked(&part.request))?;
        let lately = |asked: &Instant| now.saturating_duration_since(*asked) < PATIENCE;
        if self.parts.get(position)?.asked.as_ref().is_some_and(lately) {
            return None;
        }
        let part = self.parts.remove(position)?;
        self.parts.push_back(Part { asked: Some(now), ..part });
        Some(part.request)
    }

    /// Sets what is wanted beside the layers: these, and no others. They go to the front, unless
    /// they are here already.
    pub fn want_too(&mut self, requests: &[HashRequest]) {
        self.parts.retain(|part| part.of_layer || requests.contains(&part.request));
        for request in requests {
            if self.position(request).is_none() {
                let part = Part { request: *request, of_layer: false, asked: None };
                self.parts.push_front(part);
            }
        }
    }

    /// Takes back a part that a peer will not give. Another peer is asked for it next.
    pub fn put_back(&mut self, request: &HashRequest) {
        if let Some(position) = self.position(request)
            && let Some(part) = self.parts.remove(position)
        {
            self.parts.push_front(Part { asked: None, ..part });
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
        let layer = self.layers.get_mut(&part.root)?;
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
