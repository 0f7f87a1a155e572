//! From trackers and addresses to peers, for the commands that need one. (stage 3)

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use piecemeal::s03_tracker::http::HttpTracker;
use piecemeal::s03_tracker::{Announce, Tier, Tracker, TrackerError};
use piecemeal::s04_handshake::race::first_answer;

use super::failure::{Failure, NO_PEER, TRACKER};

/// Peers as they are found, and who could not name any.
pub struct Search {
    /// Some peers from each that answers.
    pub peers: Receiver<Vec<SocketAddr>>,
    failures: Arc<Mutex<Vec<Failure>>>,
}

/// Asks all tiers of trackers and looks up all `HOST:PORT`s, side by side.
pub fn search(tiers: Vec<Vec<String>>, addresses: Vec<String>, ask: &Announce, until: Instant) -> Search {
    let (found, peers) = mpsc::channel();
    let failures = Arc::new(Mutex::new(Vec::new()));
    let trackers: Arc<Vec<Box<dyn Tracker>>> = Arc::new(vec![Box::new(HttpTracker)]);
    let spawn = |name: String, work: Box<dyn FnOnce() -> Result<Vec<SocketAddr>, Vec<Failure>> + Send>| {
        let (found, failures) = (found.clone(), Arc::clone(&failures));
        let work = move || match work() {
            // Nobody listens any more once the command has what it wants.
            Ok(peers) => drop(found.send(peers)),
            Err(why) => failures.lock().unwrap_or_else(PoisonError::into_inner).extend(why),
        };
        // Without a thread, this source stays silent; the others go on.
        let _ = thread::Builder::new().name(name).spawn(work);
    };
    for address in addresses {
        let lookup = move || match address.to_socket_addrs() {
            Ok(found) => Ok(found.collect()),
            Err(error) => Err(vec![Failure::new(NO_PEER, format!("{address}: {error}"))]),
        };
        spawn("look up".to_owned(), Box::new(lookup));
    }
    for urls in tiers {
        let (trackers, ask) = (Arc::clone(&trackers), ask.clone());
        let announce = move || match Tier::new(urls).announce(&trackers, &ask, until) {
            Ok((_, announced)) => Ok(announced.peers),
            Err(why) => Err(why.into_iter().map(|(url, error)| Failure::from(error).about(url)).collect()),
        };
        spawn("tracker".to_owned(), Box::new(announce));
    }
    Search { peers, failures }
}

/// When nobody was found: whose fault it was.
fn nobody(failures: &Mutex<Vec<Failure>>) -> Failure {
    let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
    failures.pop().unwrap_or_else(|| {
        let help = "give one with --peer HOST:PORT, or try again later";
        Failure::new(NO_PEER, "no peers: no tracker named any").help(help).see("03-tracker")
    })
}

impl Search {
    /// The first peers that anybody names, if there are any.
    pub fn first(self, until: Instant) -> Result<Vec<SocketAddr>, Failure> {
        let mut all = Vec::new();
        let mut answered = false;
        while all.is_empty() {
            match self.peers.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(peers) => all = peers,
                Err(_) if answered => return Ok(all),
                Err(_) => return Err(nobody(&self.failures)),
            }
            answered = true;
        }
        Ok(all)
    }

    /// Asks the peers, several at once, until one answers.
    pub fn ask<T, F>(self, until: Instant, ask: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Fn(SocketAddr) -> Result<T, Failure> + Clone + Send + 'static,
    {
        let Search { peers, failures } = self;
        first_answer(peers, until, move |peer| ask(peer).map_err(|failure| failure.about(peer))).map_err(|tried| {
            let count = tried.len();
            let mut reasons: Vec<Failure> = tried.into_iter().map(|(_, failure)| failure).collect();
            // Wrong content says more than a closed port does.
            reasons.sort_by_key(|failure| failure.code);
            match reasons.pop() {
                Some(failure) if count > 1 => failure.about(format!("{count} peers were tried in vain; for one")),
                Some(failure) => failure,
                None if Instant::now() >= until => Failure::new(NO_PEER, "no peer answered in time")
                    .help("allow for more time with --timeout SECONDS")
                    .see("03-tracker"),
                None => nobody(&failures),
            }
        })
    }
}

impl From<TrackerError> for Failure {
    fn from(error: TrackerError) -> Failure {
        let help = match error {
            TrackerError::Failure { .. } => "the tracker may not know this torrent; --peer HOST:PORT does without it",
            TrackerError::Scheme(_) => "use a torrent with an http tracker, or give a peer with --peer HOST:PORT",
            _ => "check that the tracker is up, or give a peer with --peer HOST:PORT",
        };
        Failure::new(TRACKER, error).help(help).see("03-tracker")
    }
}
