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
use super::phone_book::{INTERVAL, PhoneBook, Tally};
use super::service::{After, Crowd, Service};
use super::sockets::{Sockets, at, own_addresses};
pub use super::tracker_state::Logged;
use super::tracker_state::{Desk, lock};
use super::udp_tracker::UdpDesk;
use crate::s01_bencode::counted;
use crate::s02_metainfo::InfoHash;
use crate::s03_tracker::PeerId;

/// The most clients served at a time.
const MAX_CONNECTIONS: usize = 64;

/// The tracker. Dropping it ends it.
pub struct LabTracker {
    /// The listeners over HTTP, at least one.
    services: Vec<Service>,
    desk: Arc<Desk>,
    _udp: Vec<UdpDesk>,
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
        let desk = Arc::new(Desk { book, notes, ..Desk::default() });
        let serve = |(listener, socket)| {
            let udp = UdpDesk::start(socket, Arc::clone(&desk))?;
            let desk = Arc::clone(&desk);
            let serve = move |transport, reached: SocketAddr| {
                desk.serve(transport, reached.ip());
                After::GoOn
            };
            Ok((
                Service::start(
                    listener,
                    "tracker",
                    MAX_CONNECTIONS,
                    Crowd::OneGoes,
                    Arc::new(serve),
                )?,
                udp,
            ))
        };
        let (services, _udp) = sockets.into_iter().map(serve).collect::<io::Result<_>>()?;
        Ok(LabTracker { services, desk, _udp })
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
        lock(&self.desk.book).add(info_hash, peer_id, address);
    }

    /// Adds a known torrent. From now on, an announce for an unknown one is noted as odd.
    pub fn knows(&self, content: &Content) {
        let mut known = lock(&self.desk.known);
        known.torrents.insert(content.info_hash());
        known.wrong.extend(hints::wrong_hashes(content, &[self.url()]));
    }

    /// Returns the last thousand announces, oldest first.
    pub fn announces(&self) -> Vec<Logged> {
        lock(&self.desk.log).iter().cloned().collect()
    }

    /// Returns the counts of each torrent.
    pub fn tallies(&self) -> Vec<Tally> {
        lock(&self.desk.book).tallies(Instant::now())
    }

    /// Returns the number of requests that were wrong.
    pub fn refused(&self) -> u64 {
        self.desk.refused.load(Ordering::Relaxed)
    }

    /// Returns the total, and a line for each torrent with its peers.
    pub fn table(&self) -> String {
        let tallies = self.tallies();
        let (torrents, refused) = (tallies.len(), self.refused());
        let peers: usize = tallies.iter().map(|tally| tally.complete + tally.incomplete).sum();
        let announces: u64 = tallies.iter().map(|tally| tally.announces).sum();
        let line = |tally: &Tally| {
            let Tally { info_hash, complete, incomplete, announces, completed } = tally;
            format!("\n{info_hash}  {complete:>5}  {incomplete:>6}  {announces:>9}  {completed:>9}")
        };
        let head = if torrents > 0 {
            format!("\n\n{:<40}  seeds  others  announces  completed", "torrent")
        } else {
            String::new()
        };
        let lines: String = tallies.iter().map(line).collect();
        let there = [
            counted(torrents, "torrent"),
            counted(peers, "peer") + " there",
            counted(announces, "announce"),
        ];
        format!("The tracker has ended: {}, {refused} refused.{head}{lines}", there.join(", "))
    }

    /// Returns the counts of each torrent as JSON for programs.
    pub fn tallies_json(&self) -> Vec<Value> {
        let object = |tally: &Tally| {
            json!({
                "info_hash": tally.info_hash.to_string(), "complete": tally.complete, "incomplete": tally.incomplete,
                "announces": tally.announces, "completed": tally.completed,
            })
        };
        self.tallies().iter().map(object).collect()
    }
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}/announce")
}

fn udp_url(address: SocketAddr) -> String {
    format!("udp://{address}/announce")
}
