//! The hashes of a file from its piece layer up, of which almost nothing is kept.
//!
//! The piece layer is there anyway, to check pieces against. Above it are as many hashes again, and
//! whoever asks for 512 hashes of the layer gets few of them: the layers next to it follow from the
//! 512. So the piece layer and the eight above it are not kept here, and a hash within these is
//! computed from at most 256 of the layer, when somebody wants it.
//!
//! ```text
//!                       root
//!                     /      \
//!                   o          o            kept, for each root: TopLayers
//!                 /   \      /   \
//!               T       T  T       T        kept: one for each 512 P
//!              / \     / \
//!             .   .   .   .                 computed when somebody asks
//!            P P P P P P P P                the piece layer, known as long as the torrent is
//! ```
//! A torrent of 2^21 pieces has 4,096 T, and 256 KiB are kept. A file of up to 512 pieces has none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::message::HashRequest;
use super::proof::positions;
use super::subtree::Subtree;
use crate::s23_v2::merkle::{BLOCK_LENGTH, Hash, height_of, root_of_layer, zeros};
use crate::s23_v2::trees::{FileTree, Trees};

/// The number of layers next to the piece layer, itself included, that are not kept.
const COMPUTED: u32 = 9;
/// What is hashed to get a hash from two others, in bytes.
const PAIR: u64 = 64;

/// What is kept of all files, by their roots.
///
/// The lock is held while it is computed. That happens once for each file that has any: for 2^21
/// pieces it is as much hashing as for 128 MiB of content, and whoever asks meanwhile needs the
/// same. A thread for each that asks would take the memory for each as well.
#[derive(Default)]
pub struct TopLayers(Mutex<HashMap<Hash, Arc<Subtree>>>);

impl TopLayers {
    fn lock(&self) -> MutexGuard<'_, HashMap<Hash, Arc<Subtree>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what is kept for this root. Whoever is the first to ask computes it, by `compute`.
    pub fn of(&self, root: Hash, compute: impl FnOnce() -> Subtree) -> Arc<Subtree> {
        Arc::clone(self.lock().entry(root).or_insert_with(|| Arc::new(compute())))
    }

    /// Returns how many hashes are kept, for all files together.
    pub fn hashes(&self) -> usize {
        self.lock().values().map(|tops| tops.hashes()).sum()
    }
}

/// The hashes of one file from its piece layer up.
pub struct UpperLayers<'t> {
    /// The piece layer, its height, and the hash in all places after it.
    layer: &'t [Hash],
    base: u32,
    filler: Hash,
    /// What is more than [`COMPUTED`] layers up. `None` if the root is not.
    tops: Option<Arc<Subtree>>,
}

impl<'t> UpperLayers<'t> {
    /// The hashes of a file, if its piece layer is known.
    pub fn of(file: &'t FileTree, trees: &Trees, kept: &TopLayers) -> Option<UpperLayers<'t>> {
        let layer = file.layer()?;
        let (base, height) = (trees.height_at(file), height_of(file.length));
        let compute = || {
            let parts = layer.chunks(1 << COMPUTED);
            let tops = parts.map(|part| above(part, base, base + COMPUTED)).collect();
            Subtree::new(base + COMPUTED, 0, tops, height)
        };
        let is_high = height > base + COMPUTED;
        let tops = is_high.then(|| kept.of(file.root, compute));
        Some(UpperLayers { layer, base, filler: zeros(base), tops })
    }

    /// Returns the hash at a place of a layer, both counted in the file. `None` if it is below the
    /// piece layer, or above all that a request can ask for.
    pub fn at(&self, layer: u32, place: u32) -> Option<Hash> {
        let up = layer.checked_sub(self.base)?;
        if up >= COMPUTED {
            return self.tops.as_ref()?.at(layer, place);
        }
        // In 64 bits: the place comes from a peer. Behind the layer's end is nothing but fillers.
        let below = |place: u64| usize::try_from(place << up).unwrap_or(usize::MAX);
        let (first, end) = (below(place.into()), below(u64::from(place) + 1));
        let part = self.layer.get(first..end.min(self.layer.len())).unwrap_or_default();
        match up {
            0 => Some(part.first().copied().unwrap_or(self.filler)),
            _ => Some(above(part, self.base, layer)),
        }
    }

    /// Returns how many bytes are hashed to answer a request.
    pub fn cost(&self, request: &HashRequest) -> u64 {
        let up = positions(request).filter_map(|(layer, _)| layer.checked_sub(self.base));
        up.filter(|up| *up < COMPUTED).map(|up| ((1 << up) - 1) * PAIR).sum()
    }
}

/// Returns the hash at a height that is above some hashes of the piece layer, filled up.
fn above(part: &[Hash], base: u32, height: u32) -> Hash {
    root_of_layer(part, base, (BLOCK_LENGTH as u64) << height)
}
