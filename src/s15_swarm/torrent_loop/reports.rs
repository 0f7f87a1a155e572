//! Handling what the sessions report, and banning peers that sent wrong blocks.

use std::net::SocketAddr;
use std::sync::Arc;

use super::TorrentLoop;
use crate::s11_work_queue::PeerNumber;
use crate::s12_session::host::Report;
use crate::s15_swarm::Event;
use crate::s15_swarm::peer_thread::Ended;

impl TorrentLoop<'_> {
    /// Handles a report of a peer's session.
    pub(super) fn hear(&mut self, report: Report) {
        match report {
            Report::Choked(address, yes) => (self.event)(Event::Choked(address, yes)),
            Report::PassedOver(address, what) => (self.event)(Event::PassedOver(address, what)),
            Report::Corrupt(piece, by) => {
                let who: Vec<SocketAddr> =
                    by.iter().filter_map(|number| self.known.get(number).copied()).collect();
                if let ([_], [address]) = (by.as_slice(), who.as_slice()) {
                    self.ban(*address);
                }
                (self.event)(Event::Corrupt(piece, who));
            }
            Report::Lied(piece, number) => {
                if let Some(address) = self.known.get(&number).copied() {
                    (self.event)(Event::Lied(piece, address));
                    self.ban(address);
                    self.hang_up_on_banned();
                }
            }
            Report::Verified(_) => self.finish(),
        }
    }

    /// Hangs up on banned peers. Others at their IP stay.
    fn hang_up_on_banned(&mut self) {
        let (threads, addresses) = (&self.threads, &self.addresses);
        let mut live = self.swarm.live();
        let banned = |number: &PeerNumber| {
            threads.get(number).is_some_and(|address| addresses.has_lied(*address))
        };
        let gone = live
            .iter_mut()
            .filter(|(number, live)| live.parted.is_none() && banned(number))
            .map(|(_, live)| {
                live.parted = Some(Ended::Banned);
                Arc::clone(&live.hang_up)
            });
        let hang_ups: Vec<_> = gone.collect();
        drop(live);
        hang_ups.iter().for_each(|hang_up| hang_up());
    }

    pub(super) fn ban(&mut self, address: SocketAddr) {
        self.addresses.ban(address);
        self.outcome.ban(address);
    }
}
