//! The hands of sources that bring pieces themselves (stage 13).
//!
//! A hand is a peer to the queue, and none to the rest: it has no place, no address and no
//! connection. The loop needs to know of it for four things.
//!
//! | the loop | because |
//! |---|---|
//! | counts it among the connected peers when it asks whether there is hope | a web server alone is enough |
//! | keeps its name | a wrong piece may be its work |
//! | tells it that it lied | it learns of the proof no other way |
//! | adds up its bytes | they are in the summary |

use std::sync::Arc;

use super::TorrentLoop;
use crate::s02_metainfo::PieceIndex;
use crate::s11_work_queue::PeerNumber;
use crate::s13_peer_sources::hand::{HandReport, HandStats};
use crate::s15_swarm::SwarmError;
use crate::s15_swarm::summary::Giver;

impl TorrentLoop<'_> {
    /// Handles what became of a hand.
    ///
    /// # Errors
    /// If our store has failed under its blocks.
    pub(super) fn hear_hand(&mut self, report: HandReport) -> Result<(), SwarmError> {
        match report {
            HandReport::Began(number, stats) => {
                self.known.insert(number, Giver::Hand(stats.name().to_owned()));
                self.hands.insert(number, stats);
            }
            HandReport::Failed(error) => return Err(error.into()),
            HandReport::Ended(number) => {
                if let Some(stats) = self.hands.remove(&number) {
                    self.outcome.add_hand(&stats);
                    self.forget(number, stats.brought() > 0);
                }
            }
        }
        Ok(())
    }

    /// The hands that bring pieces, as opposed to those that have lied and are still held.
    pub(super) fn working_hands(&self) -> impl Iterator<Item = &Arc<HandStats>> {
        self.hands.values().filter(|hand| hand.fault().is_none())
    }

    /// Tells a hand that its blocks of this piece were wrong. It may be gone by now.
    pub(super) fn convict_hand(&self, number: PeerNumber, piece: PieceIndex) {
        if let Some(hand) = self.hands.get(&number) {
            hand.convict(piece);
            self.wake_hands();
        }
    }

    /// Wakes the hands that wait for a piece, to hear that there will be none for them.
    pub(super) fn wake_hands(&self) {
        if let Some(torrent) = self.swarm.torrent.get() {
            torrent.queue.wake();
        }
    }
}
