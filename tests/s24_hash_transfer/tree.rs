//! Trees of hashes by the plainest way: all leaves, filled up to a power of two, and each layer
//! above them. Written without the crate, to be a second opinion.

use sha2::{Digest, Sha256};

/// A hash.
pub type Plain = [u8; 32];

/// The hash of some bytes.
pub fn sha256(bytes: &[u8]) -> Plain {
    Sha256::digest(bytes).into()
}

/// The hash above two.
pub fn above(left: Plain, right: Plain) -> Plain {
    sha256(&[left, right].concat())
}

/// The blocks' hashes of some content.
pub fn leaves(content: &[u8]) -> Vec<Plain> {
    content.chunks(16_384).map(sha256).collect()
}

/// All hashes of a tree: the leaves first, filled up with zeros, and the root last.
pub fn layers(mut leaves: Vec<Plain>) -> Vec<Vec<Plain>> {
    leaves.resize(leaves.len().next_power_of_two(), [0; 32]);
    let mut layers = vec![leaves];
    while let Some(below) = layers.last().filter(|below| below.len() > 1) {
        layers.push(below.chunks(2).map(|pair| above(pair[0], pair[1])).collect());
    }
    layers
}

/// The payload of a hash request, or of what repeats it.
pub fn request(root: Plain, [base, index, length, proof]: [u32; 4]) -> Vec<u8> {
    let mut bytes = root.to_vec();
    [base, index, length, proof].iter().for_each(|number| bytes.extend(number.to_be_bytes()));
    bytes
}

/// The hashes that answer a request, by BEP 52: those that were asked for, and then the uncles, of
/// which the first log2(length) - 1 are left out.
pub fn answer(layers: &[Vec<Plain>], [base, index, length, proof]: [u32; 4]) -> Vec<Plain> {
    let (base, index, length) = (base as usize, index as usize, length as usize);
    let mut hashes = layers[base][index..index + length].to_vec();
    let implied = length.ilog2() - 1;
    // The place of the leftmost hash's ancestor in each layer above the base.
    let uncles = (1..=proof).map(|up| layers[base + up as usize][(index >> up) ^ 1]);
    hashes.extend(uncles.skip(implied as usize));
    hashes
}

/// A file by the rule of the torrents that the bytes here were captured from.
pub fn file(length: usize) -> Vec<u8> {
    (0..length).map(|i| (7 * i + i / 251) as u8).collect()
}
