//! What a client has asked for, and the first rule that it breaks.

use crate::actors::peer::FakePeer;
use crate::actors::torrent::Torrent;
use crate::actors::tree::{Asked, BLOCK, REQUEST_SIZE, TreeFile};
use crate::actors::wire;
use crate::grade::check::Finding;
use crate::grade::miss::{Miss, ensure};
use crate::s01_bencode::counted;

/// The most hashes in a request.
const MOST: u32 = 512;

/// Returns the payloads of the requests for hashes that came to a peer.
fn requests(peer: &FakePeer) -> Vec<Vec<u8>> {
    let talks = peer.talks();
    let messages = talks.iter().flat_map(|talk| &talk.messages);
    let asked = messages.filter(|message| message.id == Some(wire::HASH_REQUEST));
    asked.map(|message| message.payload.clone()).collect()
}

/// Insists on a request, and that each is right.
pub fn right_requests(torrent: &Torrent, peer: &FakePeer) -> Finding {
    let asked = requests(peer);
    ensure(!asked.is_empty(), || {
        Miss::new("the peer was asked for no hashes").likely(
            "message 21 asks for them, right after the handshakes: nobody has to unchoke you",
        )
    })?;
    let files = torrent.version_two.as_ref().map(|two| &two.files[..]).unwrap_or_default();
    asked.iter().try_for_each(|payload| is_right(torrent, files, payload))
}

/// Adds the rule that a request has broken, if one has.
pub fn explained(miss: Miss, torrent: &Torrent, peer: &FakePeer) -> Miss {
    match right_requests(torrent, peer) {
        Ok(()) => miss,
        Err(Miss { what, details, hint, .. }) => {
            let miss = details.into_iter().fold(miss.detail(what), Miss::detail);
            match hint {
                Some(hint) => miss.likely(hint),
                None => miss,
            }
        }
    }
}

/// Insists that a request is right.
fn is_right(torrent: &Torrent, files: &[TreeFile], payload: &[u8]) -> Finding {
    let asked = Asked::read(payload).filter(|_| payload.len() == REQUEST_SIZE);
    let asked = asked.ok_or_else(|| {
        Miss::new("a request for hashes has another size")
            .instead("48 bytes behind the id", counted(payload.len() as u64, "byte"))
            .likely("root (32), base layer, index, length, proof layers (4 each)")
    })?;
    let wrong = |what: &str, expected: String, found: u32, cause: &str| {
        Miss::new(format!("a request for hashes has a wrong {what}"))
            .instead(expected, found)
            .likely(cause)
    };
    let Some(file) = files.iter().find(|file| file.tree.root() == asked.root) else {
        return Err(Miss::new("a request for hashes of no file of the torrent")
            .detail(format!("found    {}", hex::encode(asked.root)))
            .likely("the 32 bytes at the start are the file's `pieces root`"));
    };
    let Asked { base, index, length, proof, .. } = asked;
    let piece_layer = (torrent.piece_length / BLOCK).max(1).ilog2();
    let height = file.tree.height() as u32;
    ensure(base == piece_layer, || {
        wrong(
            "base layer",
            piece_layer.to_string(),
            base,
            "layer 0 are the blocks' hashes, and each layer above has half as many: a piece's hash is log2(piece length / 16384) layers above",
        )
    })?;
    ensure((2..=MOST).contains(&length) && length.is_power_of_two(), || {
        wrong(
            "length",
            "a power of two from 2 to 512".to_owned(),
            length,
            "a range is a whole subtree, so its length is a power of two, 512 at most; what is behind the last piece is padding, and comes along",
        )
    })?;
    ensure(index.is_multiple_of(length), || {
        wrong(
            "index",
            format!("a multiple of {length}, the length"),
            index,
            "a range is a whole subtree: it begins at a multiple of its length",
        )
    })?;
    let end = u64::from(index) + u64::from(length);
    let width = file.tree.layer(base as usize).len() as u64;
    ensure(end <= width, || {
        wrong(
            "length",
            format!("{} at most, up to the end of the layer", width.saturating_sub(index.into())),
            length,
            "a layer is as wide as the number of its pieces, rounded up to a power of two",
        )
    })?;
    let most = height.saturating_sub(base + 1);
    ensure(proof == most, || {
        wrong(
            "proof layers",
            most.to_string(),
            proof,
            "a proof goes from the base layer up to the two hashes below the root: that many layers are above the base layer, less one",
        )
    })
}
