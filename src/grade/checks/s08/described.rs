//! Info dictionaries to fetch, and what `magnet_info` must print of them.

use crate::actors::bencode::{bytes, dict, int};
use crate::actors::peer_plan::Plan;
use crate::actors::torrent::Torrent;
use crate::grade::scene::Scene;

/// The length of each metadata piece but the last.
pub(super) const METADATA_PIECE: usize = 16_384;

/// An info dictionary, and what it says. It has no content: nobody fetches a piece of it.
#[derive(Clone)]
pub(super) struct Described {
    pub torrent: Torrent,
    length: usize,
    hashes: Vec<[u8; 20]>,
}

impl Described {
    /// Returns an info dictionary of one metadata piece.
    pub fn small(scene: &mut Scene) -> Described {
        let size = scene.dice.length(400, 4_000);
        Described::of_size(scene, size)
    }

    /// Returns an info dictionary of this many metadata pieces, the last one short.
    pub fn of_pieces(scene: &mut Scene, pieces: usize) -> Described {
        let last = scene.dice.length(500, METADATA_PIECE - 500);
        Described::of_size(scene, (pieces - 1) * METADATA_PIECE + last)
    }

    /// Returns an info dictionary of exactly this many bytes, 400 or more.
    pub fn of_size(scene: &mut Scene, size: usize) -> Described {
        let piece_length = *scene.dice.one_of(&[16_384, 32_768, 65_536, 262_144]);
        // About 90 bytes of other keys; the last key brings it to the exact size.
        let hashes: Vec<[u8; 20]> =
            (0..size.saturating_sub(160) / 20).map(|_| scene.dice.twenty()).collect();
        let length = (hashes.len() - 1) * piece_length + scene.dice.length(1, piece_length);
        let mut pairs = vec![
            ("length", int(length as i64)),
            ("name", bytes(format!("{}.bin", scene.dice.word(8)))),
            ("piece length", int(piece_length as i64)),
            ("pieces", bytes(hashes.concat())),
        ];
        let missing = size.saturating_sub(dict(&pairs).len() + "6:source00:".len());
        pairs.push(("source", bytes(scene.dice.word(missing))));
        Described {
            torrent: Torrent::of_info(dict(&pairs), Vec::new(), piece_length),
            length,
            hashes,
        }
    }

    /// Returns the number of metadata pieces.
    pub fn metadata_pieces(&self) -> usize {
        self.torrent.info.len().div_ceil(METADATA_PIECE)
    }

    /// Returns a metadata piece; nothing if there is no such one.
    pub fn metadata_piece(&self, piece: usize) -> &[u8] {
        self.torrent.info.chunks(METADATA_PIECE).nth(piece).unwrap_or_default()
    }

    /// Returns what a seed says that it has: every piece.
    pub fn have(&self) -> Vec<bool> {
        vec![true; self.hashes.len()]
    }

    /// Returns the plan of a good seed.
    pub fn plan(&self, scene: &mut Scene) -> Plan {
        let plan = scene.plan(&self.torrent);
        Plan { have: self.have(), ..plan }
    }

    /// Returns the same, but with one wrong bit in the hash of the first piece. It is still a good
    /// dictionary: only its own hash shows that it is not the right one.
    pub fn forged(&self) -> Torrent {
        let mut forged = self.torrent.clone();
        let first = self.hashes.first().copied().unwrap_or_default();
        let place = forged.info.windows(20).position(|bytes| bytes == first);
        if let Some(byte) = place.and_then(|place| forged.info.get_mut(place)) {
            *byte ^= 1;
        }
        forged
    }

    /// Returns what `magnet_info` must print.
    pub fn shown(&self, tracker: &str) -> String {
        let hex = |hash: &[u8; 20]| hex::encode(hash);
        let lines = [
            format!("Tracker URL: {tracker}"),
            format!("Length: {}", self.length),
            format!("Info Hash: {}", self.torrent.hex()),
            format!("Piece Length: {}", self.torrent.piece_length),
            "Piece Hashes:".to_owned(),
        ];
        let hashes = self.hashes.iter().map(hex);
        lines.into_iter().chain(hashes).collect::<Vec<_>>().join("\n")
    }
}
