//! A small tracker that says what is wrong with an announce.
//!
//! It accepts any torrent, keeps everything in memory, and answers a wrong announce with a
//! `failure reason` that helps the author of the client. This file answers over HTTP; the
//! thread in `udp_tracker.rs` answers over UDP on the same port number. A lab has a tracker on
//! loopback; `piecemeal tracker` is one for a class.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::content::Content;
use super::hints;
use super::notes::Notes;
use super::phone_book::{INTERVAL, PhoneBook, TorrentCounts};
use super::service::{AfterServing, Service, WhenFull};
use super::sockets::{Sockets, at, own_addresses};
pub use super::tracker_state::LoggedAnnounce;
use super::tracker_state::{TrackerState, lock};
use super::udp_tracker::UdpService;
use crate::s01_bencode::counted;
use crate::s02_metainfo::InfoHash;
use crate::s03_tracker::PeerId;

/// The most clients served at a time.
const MAX_CONNECTIONS: usize = 64;

/// The tracker. Dropping it ends it.
pub struct LabTracker {
    /// The listeners over HTTP, at least one.
    services: Vec<Service>,
    state: Arc<TrackerState>,
    _udp: Vec<UdpService>,
}

impl LabTracker {
    /// Starts a tracker on `address`, over TCP and UDP; port 0 lets the system choose one.
    ///
    /// # Errors
    /// If the address is taken, or the system refuses a thread.
    pub fn start(address: SocketAddr, notes: Notes) -> io::Result<LabTracker> {
        LabTracker::on(at(address)?, INTERVAL, notes)
    }

    /// Starts a tracker on these sockets, which asks clients to announce at this interval.
    ///
    /// # Errors
    /// If there is no listener, or the system refuses a thread.
    pub fn on(sockets: Vec<Sockets>, interval: Duration, notes: Notes) -> io::Result<LabTracker> {
        if sockets.is_empty() {
            return Err(io::Error::other("a tracker needs an address to listen at"));
        }
        let book = Mutex::new(PhoneBook::new(interval));
        let state = Arc::new(TrackerState { book, notes, ..TrackerState::default() });
        let serve = |(listener, socket)| {
            let udp = UdpService::start(socket, Arc::clone(&state))?;
            let state = Arc::clone(&state);
            let serve = move |transport, reached: SocketAddr| {
                state.serve(transport, reached.ip());
                AfterServing::GoOn
            };
            Ok((
                Service::start(
                    listener,
                    "tracker",
                    MAX_CONNECTIONS,
                    WhenFull::OneGoes,
                    Arc::new(serve),
                )?,
                udp,
            ))
        };
        let (services, _udp) = sockets.into_iter().map(serve).collect::<io::Result<_>>()?;
        Ok(LabTracker { services, state, _udp })
    }

    /// Returns the address it listens on, or the first one.
    pub fn address(&self) -> SocketAddr {
        self.services.first().map_or(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), Service::address)
    }

    /// Returns the announce URL.
    pub fn url(&self) -> String {
        url(self.address())
    }

    /// Returns announce URLs for other machines. For a tracker on all interfaces they have the
    /// machine's own addresses, if there are any besides loopback.
    pub fn urls(&self) -> Vec<String> {
        let addresses = self.services.iter().flat_map(|service| {
            let at = service.address();
            let own = || {
                own_addresses(at.is_ipv6())
                    .into_iter()
                    .map(|ip| SocketAddr::new(ip, at.port()))
                    .collect()
            };
            if at.ip().is_unspecified() { own() } else { vec![at] }
        });
        let mut urls: Vec<String> = addresses.flat_map(|at| [url(at), udp_url(at)]).collect();
        urls.sort(); // two sockets may share an address
        urls.dedup();
        urls
    }

    /// Returns the announce URL for programs on the same machine.
    pub fn local_url(&self) -> String {
        let at = self.address();
        if at.ip().is_unspecified() {
            url((Ipv4Addr::LOCALHOST, at.port()).into())
        } else {
            url(at)
        }
    }

    /// Returns the announce URL over UDP.
    pub fn udp_url(&self) -> String {
        udp_url(self.address())
    }

    /// Enters a complete peer that need not announce itself.
    pub fn add_peer(&self, info_hash: InfoHash, peer_id: PeerId, address: SocketAddr) {
        lock(&self.state.book).add(info_hash, peer_id, address);
    }

    /// Adds a known torrent. From now on, an announce for an unknown one is noted as odd.
    pub fn knows(&self, content: &Content) {
        let mut known = lock(&self.state.known);
        known.torrents.extend(content.names());
        let torrent = content.torrent(&[self.url()]);
        known.wrong.extend(hints::wrong_hashes(&content.metadata, Some(&torrent)));
    }

    /// Returns the last thousand announces, oldest first.
    pub fn announces(&self) -> Vec<LoggedAnnounce> {
        lock(&self.state.log).iter().cloned().collect()
    }

    /// Returns the counts of each torrent.
    pub fn torrent_counts(&self) -> Vec<TorrentCounts> {
        lock(&self.state.book).torrent_counts(Instant::now())
    }

    /// Returns the number of requests that were wrong.
    pub fn refused(&self) -> u64 {
        self.state.refused.load(Ordering::Relaxed)
    }

    /// Returns the total, and a line for each torrent with its peers.
    pub fn table(&self) -> String {
        let torrent_counts = self.torrent_counts();
        let (torrents, refused) = (torrent_counts.len(), self.refused());
        let peers: usize =
            torrent_counts.iter().map(|counts| counts.complete + counts.incomplete).sum();
        let announces: u64 = torrent_counts.iter().map(|counts| counts.announces).sum();
        let line = |counts: &TorrentCounts| {
            let TorrentCounts { info_hash, complete, incomplete, announces, completed } = counts;
            format!("\n{info_hash}  {complete:>5}  {incomplete:>6}  {announces:>9}  {completed:>9}")
        };
        let head = if torrents > 0 {
            format!("\n\n{:<40}  seeds  others  announces  completed", "torrent")
        } else {
            String::new()
        };
        let lines: String = torrent_counts.iter().map(line).collect();
        let there = [
            counted(torrents, "torrent"),
            counted(peers, "peer") + " there",
            counted(announces, "announce"),
        ];
        format!("The tracker has ended: {}, {refused} refused.{head}{lines}", there.join(", "))
    }

    /// Returns the counts of each torrent as JSON for programs.
    pub fn torrent_counts_json(&self) -> Vec<Value> {
        let object = |counts: &TorrentCounts| {
            json!({
                "info_hash": counts.info_hash.to_string(), "complete": counts.complete, "incomplete": counts.incomplete,
                "announces": counts.announces, "completed": counts.completed,
            })
        };
        self.torrent_counts().iter().map(object).collect()
    }
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}/announce")
}

fn udp_url(address: SocketAddr) -> String {
    format!("udp://{address}/announce")
}
