//! The hashes of a torrent with trees, for a peer that asks for them.
//!
//! A real client keeps the piece layers and knows nothing of the blocks. A seeder of the lab has
//! all of its small content in memory, and hashes the file that is asked about again each time.

use super::Session;
use crate::actors::tree::Asked;
use crate::lab::hints::{self, Mistake};
use crate::s23_v2::merkle::{BLOCK_LENGTH, Hash, height_of};
use crate::s23_v2::trees;
use crate::s24_hash_transfer::layers::MAX_LENGTH;
use crate::s24_hash_transfer::message::{HashMessage, HashRequest};
use crate::s24_hash_transfer::proof::possible;
use crate::s24_hash_transfer::subtree::{Subtree, answer};

impl Session<'_> {
    /// Answers a request for hashes: with them, with a reject, or as the plan has it.
    pub(super) fn about_hashes(&mut self, id: u8, payload: &[u8]) {
        match HashMessage::decode(id, payload) {
            Ok(Some(HashMessage::Request(request))) => {
                let right = self.hashes(&request);
                let right = right.map(|hashes| hashes.iter().map(|hash| hash.0).collect());
                let asked = Asked {
                    root: request.root.0,
                    base: request.base_layer,
                    index: request.index,
                    length: request.length,
                    proof: request.proof_layers,
                };
                // The plan has the last word, as with blocks: this seeder may be one that lies.
                let messages = self.holding.plan.hashes.messages(&asked, right);
                self.queue_encoded(&messages.concat());
            }
            Ok(_) => {} // a seeder asks for none
            Err(error) => {
                self.log.mistake(Mistake::new("hashes", error.to_string(), hints::HASHES));
            }
        }
    }

    /// Returns what answers a request, if it makes sense for one of the files.
    fn hashes(&self, request: &HashRequest) -> Option<Vec<Hash>> {
        let content = &self.holding.content;
        let file = trees(&content.info)?.of_root(request.root).next()?;
        let height = height_of(file.length);
        if possible(request, height).is_err() || request.length > MAX_LENGTH {
            return None;
        }
        let begin = content.info.files.get(file.number)?.offset as usize;
        let data = content.data.get(begin..begin + file.length as usize)?;
        let leaves = data.chunks(BLOCK_LENGTH).map(Hash::of_block).collect();
        answer(request, &[&Subtree::new(0, 0, leaves, height)])
    }
}
