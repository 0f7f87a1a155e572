//! Running the sources of peers, and handling what they report.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::{Running, TorrentLoop};
use crate::s01_bencode::counted;
use crate::s04_handshake::origin::Origin;
use crate::s13_peer_sources::source::{PeerSource, SourceHost, SourceReport};
use crate::s13_peer_sources::start;
use crate::s14_peer_list::addresses::Found;
use crate::s15_swarm::{Event, Swarm, SwarmMessage};

/// The number of IPs without room in the book after which the rest of an answer is skipped.
const MAX_REFUSED: usize = 50;

impl TorrentLoop<'_> {
    pub(super) fn start_source(&mut self, source: Box<dyn PeerSource>) {
        let (number, name, passive) = (self.next_source, source.name(), source.is_passive());
        self.next_source += 1;
        if !passive {
            self.record.source(name.clone());
        }
        self.sources.insert(number, Running { name, passive, again: None });
        start(source, number, &source_host(&self.swarm));
    }

    /// Handles what a source reports.
    pub(super) fn hear_source(&mut self, report: SourceReport) {
        match report {
            SourceReport::Found(addresses) => {
                self.found(addresses);
                if self.is_alone() && self.addresses.next_due().is_none() {
                    self.signal_hungry();
                }
            }
            SourceReport::Met(_) => {} // in the lobby already
            SourceReport::Announced { source, tracker, peers, notes, .. } => {
                let names = format!("{tracker} names {}", counted(peers, "peer"));
                self.said(source, [vec![names], notes].concat().join("; "), false);
            }
            SourceReport::Said { source, what, failed } => self.said(source, what, failed),
            SourceReport::Again { source, since, pause } => {
                if let Some(source) = self.sources.get_mut(&source) {
                    source.again = Some(since + pause);
                }
            }
            SourceReport::Gone(number) => drop(self.sources.remove(&number)),
        }
    }

    /// A source has something to tell the user.
    fn said(&mut self, name: String, what: String, failed: bool) {
        self.record.said(&name, &what, failed);
        (self.event)(Event::Source { name, what, failed });
    }

    /// A source has found addresses.
    fn found(&mut self, addresses: Vec<SocketAddr>) {
        // An answer may hold more addresses than will ever be dialed, and finding that out is not free.
        let (mut refused, now) = (HashSet::new(), Instant::now());
        for address in addresses {
            let origin = Origin::of(address.ip());
            let full = refused.len() >= MAX_REFUSED || refused.contains(&origin);
            if !full && self.addresses.found(address, now) == Found::NoRoom {
                refused.insert(origin);
            }
        }
    }
}

/// What the sources need of us.
fn source_host(swarm: &Arc<Swarm>) -> SourceHost {
    let (introduces, listens) = (Arc::clone(swarm), Arc::clone(swarm));
    SourceHost {
        signals: Arc::clone(&swarm.signals),
        counters: Arc::clone(&swarm.host.counters),
        handshake: Arc::new(move || introduces.handshake()),
        max_handshakes: swarm.max_handshakes,
        report: Arc::new(move |report| match report {
            // One message for all that wait: a flood of connections is not a flood of messages.
            SourceReport::Met(connection) => {
                !listens.lobby.enter(*connection)
                    || listens.messages.send(SwarmMessage::Came).is_ok()
            }
            report => listens.messages.send(SwarmMessage::Source(report)).is_ok(),
        }),
    }
}
