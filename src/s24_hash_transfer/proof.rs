//! Proofs: which hashes must come along, so that nobody need be believed.
//!
//! A receiver knows the root of a file's tree. Given some hashes of a layer, it can compute the
//! hash above all of them, but not the ones above that: there it lacks the other child. These
//! missing ones are the *uncles*, one a layer. With all of them it arrives at the root, or does
//! not, and then one of the hashes is wrong.
//!
//! ```text
//!                root                 known
//!               /    \
//!              o      U2              sent
//!            /   \
//!          U1     o                   sent; computed
//!         / \    / \
//!        .   .  H   H                 asked for: index 2, length 2
//! ```
//! Which uncle is on which side follows from `index`, bit by bit: an odd number is a right child.
//! Nothing here knows of files, sockets or time.

use thiserror::Error;

use super::message::HashRequest;
use crate::s23_v2::merkle::Hash;

/// Checks that a request makes sense in a tree of this height: that its hashes exist, padding
/// included, that they make a whole subtree, and that the proof ends below the root. The height is
/// the layer of the root, log2 of the number of leaves.
///
/// # Errors
/// The rule that is broken.
pub fn possible(request: &HashRequest, height: u32) -> Result<(), Impossible> {
    let HashRequest { base_layer, index, length, proof_layers, .. } = *request;
    if !request.has_good_length() {
        return Err(Impossible::Length { found: length });
    }
    // The root itself is known to whoever asks, and a file of one block has no other hash.
    let above = height.checked_sub(base_layer).filter(|above| *above > 0);
    let above = above.ok_or(Impossible::Layer { height, found: base_layer })?;
    // Only then the hashes are the leaves of one subtree, and the uncles are the right ones.
    if index % length != 0 {
        return Err(Impossible::Index { length, found: index });
    }
    // In 64 bits: an index and a length of 2^31 are claims like any others.
    let end = u64::from(index) + u64::from(length);
    let width = 1u64.checked_shl(above).unwrap_or(u64::MAX);
    if end > width {
        return Err(Impossible::End { width, end });
    }
    if proof_layers > above - 1 {
        return Err(Impossible::Proof { most: above - 1, found: proof_layers });
    }
    Ok(())
}

/// Returns the positions of the hashes that answer a request, as a layer and a place in it, in the
/// order in which they are sent: first those that were asked for, then the uncles. The request must
/// be [`possible`].
pub fn positions(request: &HashRequest) -> impl Iterator<Item = (u32, u32)> + use<> {
    let HashRequest { base_layer, index, length, .. } = *request;
    let computed = length.checked_ilog2().unwrap_or(0);
    // The range is one node at this layer. The first uncle is its sibling.
    let (top, place) = (base_layer + computed, index >> computed);
    let range = (0..length).map(move |number| (base_layer, index + number));
    // A file of 2^32 blocks has a tree so high that nothing is left of a place near its root.
    let above = move |up: u32| place.checked_shr(up).unwrap_or(0);
    let uncles = (0..request.uncles()).map(move |up| (top + up, above(up) ^ 1));
    range.chain(uncles)
}

/// Returns the layer up to which a proof leads.
pub fn proved_layer(request: &HashRequest) -> u32 {
    let computed = request.length.checked_ilog2().unwrap_or(0);
    request.base_layer.saturating_add(computed).saturating_add(request.uncles())
}

/// Returns the hash that follows from an answer: that of the node in [`proved_layer`] that is above
/// all the hashes that were asked for.
///
/// # Errors
/// If there are more or fewer hashes than the request asks for.
pub fn climb(request: &HashRequest, hashes: &[Hash]) -> Result<Hash, ProofError> {
    let length = request.length as usize;
    let expected = length + request.uncles() as usize;
    let found = hashes.len();
    let (range, uncles) = hashes
        .split_at_checked(length)
        .filter(|_| request.has_good_length() && found == expected)
        .ok_or(ProofError::Count { expected, found })?;
    let mut layer = range.to_vec();
    // Each turn computes the layer above, of half as many hashes, until a single one is left.
    while layer.len() > 1 {
        let pairs = layer.as_chunks().0.iter();
        layer = pairs.map(|[left, right]| Hash::parent(*left, *right)).collect();
    }
    let mut hash = layer.first().copied().unwrap_or(Hash::ZERO);
    let mut place = request.index >> request.length.ilog2();
    for uncle in uncles {
        hash = match place % 2 {
            0 => Hash::parent(hash, *uncle),
            _ => Hash::parent(*uncle, hash),
        };
        place /= 2;
    }
    Ok(hash)
}

/// Checks an answer against a hash that is known to be right, such as the file's root.
///
/// # Errors
/// If it does not follow from the hashes, or their number is wrong. One of them is wrong, or more;
/// which one, nobody can say.
pub fn check(request: &HashRequest, hashes: &[Hash], known: Hash) -> Result<(), ProofError> {
    let found = climb(request, hashes)?;
    if found == known { Ok(()) } else { Err(ProofError::Wrong { expected: known, found }) }
}

/// Why there are no hashes to answer a request, whoever is asked.
#[derive(Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)] // of the fields: the messages say what they are
pub enum Impossible {
    /// Not a whole subtree.
    #[error("length must be a power of two, at least 2, but is {found}")]
    Length { found: u32 },
    /// There is nothing to prove at the root, and nothing above it.
    #[error("the base layer must be below the root's, which is {height}, but is {found}")]
    Layer { height: u32, found: u32 },
    /// Not a whole subtree either.
    #[error("index must be a multiple of {length}, the length, but is {found}")]
    Index { length: u32, found: u32 },
    /// The layer ends before.
    #[error("the layer has {width} hashes, but those up to {end} are asked for")]
    End { width: u64, end: u64 },
    /// The proof reaches beyond the root.
    #[error("a proof up to the root has {most} layers, but {found} are asked for")]
    Proof { most: u32, found: u32 },
}

/// Why hashes are not believed.
#[derive(Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)] // of the fields: the messages say what they are
pub enum ProofError {
    /// Too few or too many hashes.
    #[error("the answer must have {expected} hashes, but has {found}")]
    Count { expected: usize, found: usize },
    /// They do not lead to what is known.
    #[error(
        "the hashes lead to {found}, but must lead to {expected}: at least one of them is wrong"
    )]
    Wrong { expected: Hash, found: Hash },
}
