//! A subtree with all of its hashes, from which any proof can be made.
//!
//! A file's tree is given from two kinds of these. The upper one has its root, and is kept as long
//! as the torrent is given, except for the layers that follow from a few others
//! ([`UpperLayers`](super::upper::UpperLayers)). The lower one is a piece's own, and is made of the
//! piece's content when somebody asks. All lower ones together would be 64 bytes a block, 4 MiB for
//! each gigabyte, and hardly anybody ever asks.
//!
//! ```text
//!                 o             root
//!             o       o                      the upper subtree
//!           P   P   P   0       piece layer; beyond the file's end, as if its leaves were zero
//!          / \ / \ / \
//!          b b b b b 0          blocks       a lower subtree for each piece
//! ```

use super::message::HashRequest;
use super::proof::positions;
use crate::s23_v2::merkle::{Hash, zeros};

/// All hashes of a subtree, layer by layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subtree {
    /// The layer of the lowest hashes here, counted from the leaves of the file.
    base_layer: u32,
    /// The place of the first of them, counted within the file's layer.
    first: u32,
    /// The lowest layer first, the root's last. There is at least one.
    layers: Vec<Layer>,
}

/// The hashes of one layer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Layer {
    /// From the left, those that stand for something.
    hashes: Vec<Hash>,
    /// The hash in all places after these: beyond the file's end, each leaf counts as zero.
    filler: Hash,
}

impl Layer {
    /// Computes the layer above.
    fn above(&self) -> Layer {
        let parent = |pair: &[Hash]| match *pair {
            [left, right] => Hash::parent(left, right),
            [left] => Hash::parent(left, self.filler),
            _ => unreachable!("chunks of two have one or two"),
        };
        Layer {
            hashes: self.hashes.chunks(2).map(parent).collect(),
            filler: Hash::parent(self.filler, self.filler),
        }
    }
}

impl Subtree {
    /// Makes a subtree with its root in `root_layer` of the hashes that it has in `base_layer`.
    /// `first` is the place of the first one, counted within the file's layer.
    pub fn new(base_layer: u32, first: u32, hashes: Vec<Hash>, root_layer: u32) -> Subtree {
        let mut layers = vec![Layer { hashes, filler: zeros(base_layer) }];
        for _ in base_layer..root_layer {
            layers.extend(layers.last().map(Layer::above));
        }
        Subtree { base_layer, first, layers }
    }

    /// Returns how many hashes are in memory: fillers are not.
    pub fn hashes(&self) -> usize {
        self.layers.iter().map(|layer| layer.hashes.len()).sum()
    }

    /// Returns the hash at the top.
    pub fn root(&self) -> Option<Hash> {
        self.layers.last().map(|top| top.hashes.first().copied().unwrap_or(top.filler))
    }

    /// Returns the hash at a place of a layer, both counted in the file. `None` if it is not in
    /// this subtree.
    pub fn at(&self, layer: u32, place: u32) -> Option<Hash> {
        let up = layer.checked_sub(self.base_layer)?;
        let hashes = self.layers.get(up as usize)?;
        let place = place.checked_sub(self.first.checked_shr(up).unwrap_or(0))?;
        // How many places there are in this layer, fillers included.
        let below_root = self.layers.len() as u32 - 1 - up;
        if u64::from(place) >= 1u64.checked_shl(below_root)? {
            return None;
        }
        Some(hashes.hashes.get(place as usize).copied().unwrap_or(hashes.filler))
    }
}

/// Returns the hashes that answer a request, from whichever of these subtrees has each. `None` if
/// one of them is in none.
pub fn answer(request: &HashRequest, subtrees: &[&Subtree]) -> Option<Vec<Hash>> {
    answer_with(request, |layer, place| subtrees.iter().find_map(|it| it.at(layer, place)))
}

/// Does the same with a function that knows the hash at a place of a layer.
pub fn answer_with(
    request: &HashRequest,
    at: impl Fn(u32, u32) -> Option<Hash>,
) -> Option<Vec<Hash>> {
    positions(request).map(|(layer, place)| at(layer, place)).collect()
}
