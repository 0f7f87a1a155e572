//! Running the sources of peers, and handling what they report.
//!
//! A source has a thread, and knows neither the swarm nor the loop: it is given a [`SourceHost`],
//! with a function to report to (stage 13). Two kinds of reports take two ways:
//!
//! ```text
//!   an incoming connection --> the lobby ----+
//!                                            +--> the loop looks, and decides
//!   all else ----------------> the channel --+
//! ```
//! Addresses are claims, and cost a stranger nothing. So each is only remembered here, and stage 14
//! decides whether it is dialed, and when.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Instant;

use super::{Running, TorrentLoop};
use crate::s01_bencode::counted;
use crate::s04_handshake::origin::Origin;
use crate::s13_peer_sources::hand::Hands;
use crate::s13_peer_sources::source::{PeerSource, SourceHost, SourceReport};
use crate::s13_peer_sources::start;
use crate::s14_peer_list::addresses::Found;
use crate::s15_swarm::{Event, Swarm, SwarmMessage};

/// After this many IPs without room in the book, the rest of an answer is skipped: each refusal
/// costs a pass over the whole book, and an answer may hold 2,000 peers.
const MAX_REFUSED: usize = 50;

impl TorrentLoop<'_> {
    /// Starts a source on a thread of its own, under a new number: two sources may have one name,
    /// as when `--peer` is given twice.
    pub(super) fn start_source(&mut self, source: Box<dyn PeerSource>) {
        let (name, passive, open) = (source.name(), source.is_passive(), source.is_open());
        if open && self.is_private() {
            let why = "not asked: this torrent is private, so only its trackers name peers";
            return self.said(name, why.to_owned(), false);
        }
        let number = self.next_source;
        self.next_source += 1;
        // A failed download blames its sources, but not a listener: nobody had to come.
        if !passive {
            self.record.source(name.clone());
        }
        self.sources.insert(number, Running { name, passive, open, again: None });
        start(source, number, &source_host(&self.swarm, &self.numbers));
    }

    /// Handles what a source reports. Reports of one source come in order; two sources may be
    /// interleaved in any way.
    pub(super) fn hear_source(&mut self, report: SourceReport) {
        match report {
            SourceReport::Found { source, addresses } => {
                // A source that has ended may still report, from another thread. Only open sources
                // have such threads.
                let open = self.sources.get(&source).is_none_or(|source| source.open);
                self.found(addresses, open);
                // Nothing in it was of use, and we have nobody. So the sources need not keep to
                // their usual pauses.
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
                // Kept for whoever asks what we wait for. The source keeps time on its own.
                if let Some(source) = self.sources.get_mut(&source) {
                    source.again = Some(since + pause);
                }
            }
            // Without an active source, and without an address, there is no hope (`check_hope`).
            SourceReport::Gone(number) => drop(self.sources.remove(&number)),
        }
    }

    /// A source has something to tell the user. Kept as well, for the error if the download fails.
    fn said(&mut self, name: String, what: String, failed: bool) {
        self.record.said(&name, &what, failed);
        (self.event)(Event::Source { name, what, failed });
    }

    /// Whether the torrent is known to be private (BEP 27).
    fn is_private(&self) -> bool {
        self.swarm.torrent.get().is_some_and(|torrent| torrent.queue.info().private)
    }

    /// Ends the open sources, and forgets what they have found: the torrent is private. From a
    /// magnet link we learn that only now.
    pub(super) fn close_sources(&mut self) {
        self.swarm.signals.private();
        self.addresses.forget_open();
    }

    /// A source has found addresses. They are tried one after the other, as there is room (`dial`).
    fn found(&mut self, addresses: Vec<SocketAddr>, open: bool) {
        // It was found before the source heard that it must stop.
        if open && self.is_private() {
            return;
        }
        // An answer may hold more addresses than will ever be dialed, and finding that out is not
        // free: in a full book, each new address takes a pass over all of it. So an IP is refused
        // once, not once for each of its ports.
        let (mut refused, now) = (HashSet::new(), Instant::now());
        for address in addresses {
            let origin = Origin::of(address.ip());
            let full = refused.len() >= MAX_REFUSED || refused.contains(&origin);
            let mut remember = || match open {
                true => self.addresses.found_openly(address, now),
                false => self.addresses.found(address, now),
            };
            if !full && remember() == Found::NoRoom {
                refused.insert(origin);
            }
        }
    }
}

/// Returns what a source is given of the swarm. Its functions run on the sources' threads, so they
/// only pass on, and never wait.
fn source_host(swarm: &Arc<Swarm>, numbers: &Arc<AtomicU32>) -> SourceHost {
    let (introduces, listens) = (Arc::clone(swarm), Arc::clone(swarm));
    SourceHost {
        signals: Arc::clone(&swarm.signals),
        counters: Arc::clone(&swarm.host.counters),
        // A function and not a value: our handshake changes when the info dictionary comes.
        handshake: Arc::new(move || introduces.handshake()),
        names: swarm.names.clone(),
        max_handshakes: swarm.max_handshakes,
        // `false` means that nobody wants reports any more: the loop, which has the receiver, is
        // gone.
        report: Arc::new(move |report| match report {
            // One message for all that wait: a flood of connections is not a flood of messages.
            SourceReport::Met(connection) => {
                !listens.lobby.enter(*connection)
                    || listens.messages.send(SwarmMessage::Came).is_ok()
            }
            report => listens.messages.send(SwarmMessage::Source(report)).is_ok(),
        }),
        hands: Some(hands(swarm, numbers)),
    }
}

/// Returns what the hands of a source are made of. Like peers' threads, they report to the loop,
/// and have their numbers from the same counter.
fn hands(swarm: &Arc<Swarm>, numbers: &Arc<AtomicU32>) -> Hands {
    let tells = Arc::clone(swarm);
    Hands {
        torrent: Arc::clone(&swarm.torrent),
        host: Arc::clone(&swarm.host),
        numbers: Arc::clone(numbers),
        report: Arc::new(move |report| tells.send(SwarmMessage::Hand(report))),
    }
}
