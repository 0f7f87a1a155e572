//! `piece layers`: the hashes of the pieces, from the .torrent file.
//!
//! They are outside of the info dictionary, so its hash does not cover them. But each layer leads
//! to a root that it does cover, and so a wrong one shows.
//!
//! What a layer may take is known before it is read: 32 bytes for each piece of a file that the
//! info dictionary has, and there are at most 2^21 of those.

use super::V2Error;
use super::merkle::Hash;
use super::trees::Trees;
use crate::s01_bencode::Value;
use crate::s01_bencode::forgiving::PassedOver;
use crate::s02_metainfo::MetainfoError;
use crate::s02_metainfo::keys::broken;

/// Reads the layers, and puts each where it belongs. A missing one is no error.
pub(super) fn read(
    top: &Value,
    trees: &Trees,
    notes: &mut PassedOver,
) -> Result<(), MetainfoError> {
    let expected = "a dictionary of hashes";
    let layers = notes.read(top, "piece layers", expected, Value::dictionary).unwrap_or_default();
    // In any order: they are found by their roots.
    for (key, value) in layers {
        let root = <[u8; 32]>::try_from(*key).map(Hash).map_err(|_| {
            broken(
                "piece layers",
                "by roots of 32 bytes".to_owned(),
                format!("one of {}", key.len()),
            )
        })?;
        let bytes = value
            .bytes()
            .ok_or_else(|| broken("piece layers", "byte strings".to_owned(), value.type_name()))?;
        // Some programs write the layer of a file of one piece, which is its root.
        if *key == bytes && trees.of_root(root).next().is_some() {
            notes.add(|| format!("piece layers: {root} is of one piece, and needs no layer"));
            continue;
        }
        // A layer that no file needs could be of any size, and a wrong key means that the file was
        // changed: this is not passed over.
        let (hashes, rest) = bytes.as_chunks();
        let pieces = trees.of_root(root).find(|file| file.pieces > 1).map(|file| file.pieces);
        let Some(pieces) = pieces else { return Err(V2Error::UnknownRoot { root }.into()) };
        // Before it is copied: a size that is wrong costs nothing.
        if hashes.len() != pieces as usize || !rest.is_empty() {
            let (expected, found) = (pieces as usize * 32, bytes.len());
            return Err(V2Error::LayerSize { root, expected, found }.into());
        }
        // Here the root is compared.
        trees.learn(root, hashes.iter().copied().map(Hash).collect())?;
    }
    Ok(())
}
