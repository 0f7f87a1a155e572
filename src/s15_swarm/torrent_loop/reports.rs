//! Handling what the sessions report, and banning peers that sent wrong blocks.
//!
//! A ban needs proof, because a wrong one costs us an honest peer. A wrong hash shows that the
//! piece is spoilt, but not which block of it:
//!
//! | what is reported | what that proves | what is done |
//! |---|---|---|
//! | a wrong piece, all of it from one peer | this peer has lied | it is banned |
//! | a wrong piece from several peers | one of them has lied | none is banned; the queue keeps fingerprints of the blocks (stage 11) |
//! | the same piece, right at last | the peers whose blocks differ have lied | they are banned, and we hang up |
//!
//! A hand (stage 13) is judged in the same way. It has no address to ban; it gets nothing more.

use std::net::SocketAddr;
use std::sync::Arc;

use super::TorrentLoop;
use crate::s11_work_queue::PeerNumber;
use crate::s12_session::host::Report;
use crate::s15_swarm::Event;
use crate::s15_swarm::ended::Ended;
use crate::s15_swarm::summary::Giver;

impl TorrentLoop<'_> {
    /// Handles a report of a session, or of a hand about a piece. Either has gone on meanwhile, or
    /// has ended.
    pub(super) fn hear(&mut self, report: Report) {
        match report {
            Report::Choked(address, yes) => (self.event)(Event::Choked(address, yes)),
            Report::PassedOver(address, what) => (self.event)(Event::PassedOver(address, what)),
            Report::Corrupt(piece, by) => {
                // A peer may be gone by now, and if that was long ago, it may be forgotten.
                let who: Vec<Giver> =
                    by.iter().filter_map(|number| self.known.get(number).cloned()).collect();
                // Both must be one: of two peers, one of which is forgotten, the other may be
                // honest. A hand has taken note of its fault itself.
                if let ([_], [Giver::Peer(address)]) = (by.as_slice(), who.as_slice()) {
                    // Its session ends on its own. But until we hear of that, the peer must not
                    // come in over another connection.
                    self.ban(*address);
                }
                (self.event)(Event::Corrupt(piece, who));
            }
            Report::Lied(piece, number) => {
                let Some(liar) = self.known.get(&number).cloned() else { return };
                (self.event)(Event::Lied(piece, liar.clone()));
                // The liar knows nothing of it: another's piece was the proof.
                match liar {
                    Giver::Peer(address) => {
                        self.ban(address);
                        self.hang_up_on_banned();
                    }
                    Giver::Hand(_) => self.convict_hand(number, piece),
                }
            }
            // Only reported when nothing is left, and perhaps twice.
            Report::Verified(_) => self.finish(),
        }
    }

    /// Hangs up on banned peers. Others at their IP stay, even if the IP is barred now: that only
    /// keeps newcomers out.
    fn hang_up_on_banned(&mut self) {
        let (threads, addresses) = (&self.threads, &self.addresses);
        let mut live = self.swarm.live();
        let banned = |number: &PeerNumber| {
            threads.get(number).is_some_and(|address| addresses.has_ban(*address))
        };
        let gone = live
            .iter_mut()
            // A peer that we have hung up on already keeps its first reason.
            .filter(|(number, live)| live.parted.is_none() && banned(number))
            .map(|(_, live)| {
                live.parted = Some(Ended::Banned);
                Arc::clone(&live.hang_up)
            });
        // Collected, so that the lock is released first: a hang-up is a system call.
        let hang_ups: Vec<_> = gone.collect();
        drop(live);
        hang_ups.iter().for_each(|hang_up| hang_up());
    }

    /// Bans an address: it is neither dialed nor let in any more. A second ban of the same address
    /// changes nothing.
    pub(super) fn ban(&mut self, address: SocketAddr) {
        self.addresses.ban(address);
        self.outcome.ban(address);
    }
}
