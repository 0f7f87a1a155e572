//! Turns trackers and addresses into peers, for the commands that need one. (stage 3)

use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use piecemeal::s01_bencode::counted;
use piecemeal::s03_tracker::http::HttpTracker;
use piecemeal::s03_tracker::names::Lookups;
use piecemeal::s03_tracker::reach::{NamedBy, first_urls};
use piecemeal::s03_tracker::tiers::Tier;
use piecemeal::s03_tracker::{AnnounceRequest, AnnounceResponse, Tracker, TrackerError};

use super::Options;
use super::exit_codes::NO_PEER;
use super::failure::Failure;
use super::screen::narrator::Narrator;

/// The time after its deadline that we wait for a thread to report why it failed. Usually it takes
/// a millisecond, on a busy machine longer; then the error would be less exact.
pub const GRACE: Duration = Duration::from_secs(2);

/// The most names looked up side by side, a thread each. A link has fewer; a user may give more.
const MAX_TRACKERS: usize = 100;

/// Returns the clients for the URL schemes of trackers.
pub fn trackers() -> Arc<Vec<Box<dyn Tracker>>> {
    let mut trackers: Vec<Box<dyn Tracker>> = vec![Box::new(HttpTracker)];
    trackers.push(Box::new(piecemeal::s18_udp_tracker::UdpTracker::default())); // plugged in
    super::tracing::trackers(&mut trackers); // plugged in
    Arc::new(trackers)
}

/// Peers from one tracker or one address.
pub struct FoundPeers {
    pub by: NamedBy,
    pub addresses: Vec<SocketAddr>,
}

/// Peers as they are found, and the sources that found none.
pub struct Search {
    /// Peers from each source that answers.
    pub peers: Receiver<FoundPeers>,
    pub failures: Arc<Mutex<Failures>>,
    /// The narrator for what is done with them.
    pub say: Narrator,
}

/// The sources that named no usable peer.
#[derive(Default)]
pub struct Failures {
    /// The error of each failed source.
    why: Vec<Failure>,
    /// The number of tiers that were asked, and of those that answered.
    asked: usize,
    answered: usize,
    /// The failure if no named peer is safe to dial.
    refused: Option<Failure>,
}

impl Failures {
    /// Notes that peers were named that are not safe to dial.
    pub fn refused(&mut self, told: String) {
        let help = "if you know that a peer is there, name it with --peer HOST:PORT";
        self.refused = Some(Failure::new(NO_PEER, told).help(help).see("03-tracker"));
    }
}

/// Says that an address was given as a peer.
pub fn tell_given(address: &str, say: Narrator) {
    say.say(4, format!("{address} is given as a peer, so it needs no tracker to name it"));
}

/// Says that a tier of trackers is about to be asked. A seed (`gives`) asks for no peers.
pub fn tell_asking(urls: &[String], gives: bool, say: Narrator) {
    let chapter = |url: &String| if url.starts_with("udp:") { 18 } else { 3 };
    match urls {
        [] => {}
        [url, ..] if gives => say.say(
            chapter(url),
            format!("telling the tracker {url} where we are, so that it names us to others"),
        ),
        [url] => say.say(
            chapter(url),
            format!("asking the tracker {url} for peers, since the torrent names it"),
        ),
        [url, others @ ..] => {
            let why = "each is a fallback for the one before it";
            say.say(
                chapter(url),
                format!(
                    "asking one of {} trackers for peers, such as {url}: {why}",
                    others.len() + 1
                ),
            );
        }
    }
}

/// Returns the peers that the user gave with `--peer`.
pub fn given(options: &Options) -> Vec<(String, NamedBy)> {
    options.peers.iter().map(|address| (address.clone(), NamedBy::User)).collect()
}

/// Asks all tiers of trackers and looks up all given `HOST:PORT`s, side by side.
pub fn search(
    tiers: Vec<Vec<String>>,
    addresses: Vec<(String, NamedBy)>,
    ask: &AnnounceRequest,
    deadline: Instant,
    say: Narrator,
) -> Search {
    let (found, peers) = mpsc::channel();
    let tiers: Vec<_> = first_urls(tiers).collect();
    let failures = Arc::new(Mutex::new(Failures { asked: tiers.len(), ..Failures::default() }));
    if tiers.is_empty() && addresses.is_empty() {
        let failure = Failure::new(
            NO_PEER,
            "there is nobody to ask: no tracker is named, and no peer is given",
        );
        let failure = failure.help("give a peer with --peer HOST:PORT").see("03-tracker");
        failures.lock().unwrap_or_else(PoisonError::into_inner).why.push(failure);
    }
    let trackers = trackers();
    let spawn =
        |name: String, work: Box<dyn FnOnce() -> Result<FoundPeers, Vec<Failure>> + Send>| {
            let (found, failures) = (found.clone(), Arc::clone(&failures));
            let work = move || match work() {
                // Once the command has what it wants, the receiver is gone.
                Ok(peers) => drop(found.send(peers)),
                Err(why) => failures.lock().unwrap_or_else(PoisonError::into_inner).why.extend(why),
            };
            // If the system refuses a thread, this source stays silent; the others go on.
            let _ = thread::Builder::new().name(name).spawn(work);
        };
    for (address, by) in addresses.into_iter().take(MAX_TRACKERS) {
        tell_given(&address, say);
        let lookup = move || match address.to_socket_addrs() {
            Ok(found) => Ok(FoundPeers { by, addresses: found.collect() }),
            Err(error) => Err(vec![
                Failure::new(NO_PEER, format!("{address}: {error}"))
                    .help("check the name, or give an IP address")
                    .see("03-tracker"),
            ]),
        };
        spawn("look up".to_owned(), Box::new(lookup));
    }
    for urls in tiers {
        tell_asking(&urls, false, say);
        let (trackers, ask, failures) = (Arc::clone(&trackers), ask.clone(), Arc::clone(&failures));
        let announce = move || match Tier::new(urls).announce(&trackers, &ask, deadline) {
            Ok((url, announced)) => {
                failures.lock().unwrap_or_else(PoisonError::into_inner).answered += 1;
                let by = NamedBy::Tracker(announced.from);
                Ok(FoundPeers { by, addresses: peers_of(&url, announced, deadline, say) })
            }
            Err(why) => {
                Err(why.into_iter().map(|(url, error)| failed(&url, error).about(url)).collect())
            }
        };
        spawn("tracker".to_owned(), Box::new(announce));
    }
    Search { peers, failures, say }
}

/// The longest time that a lookup of peers' names may take.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

/// Returns the peers in a tracker's answer. Host names are looked up here, where a thread
/// may wait.
fn peers_of(
    url: &str,
    announced: AnnounceResponse,
    deadline: Instant,
    say: Narrator,
) -> Vec<SocketAddr> {
    let AnnounceResponse { mut peers, named, passed_over, .. } = announced;
    let count = counted(peers.len() + named.len(), "peer");
    let few = peers.iter().map(ToString::to_string).chain(named.iter().map(ToString::to_string));
    let few: Vec<String> = few.take(5).collect();
    let more = if peers.len() + named.len() > 5 { ", ..." } else { "" };
    say.say(3, format!("{url} names {count}: {}{more}", few.join(", ")));
    for what in passed_over {
        say.say(3, format!("{url}: {what}"));
    }
    let (found, lost) =
        Lookups::default().find_peers(&named, deadline.min(Instant::now() + LOOKUP_TIMEOUT));
    peers.extend(found);
    for what in lost {
        // Without this line it would look as if the tracker had named no peer.
        if peers.is_empty() {
            say.note(format!("{url}: {what}"))
        } else {
            say.say(3, format!("{url}: {what}"))
        }
    }
    peers
}

/// Returns the failure when no peer was found. A tracker that answers may be the only one
/// that knows the torrent, so its answer counts more than another one's error.
pub fn nobody(failures: &Mutex<Failures>) -> Failure {
    let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
    let Failures { why, asked, answered, refused } = &mut *failures;
    if let Some(refused) = refused.take() {
        return refused;
    }
    let what = match (why.pop(), *asked, *answered) {
        (Some(failure), _, 0) => return failure,
        (Some(failure), asked, answered) => {
            format!(
                "no peers: of {} {answered} answered, and named none; {}",
                counted(asked, "tracker"),
                failure.what()
            )
        }
        (None, 0, _) => "no peers: the name leads to no address".to_owned(),
        (None, asked @ 1.., 0) => {
            format!("no peers: asked {}, and no answer came in time", counted(asked, "tracker"))
        }
        (None, 1, _) => "no peers: the tracker was asked, and named none".to_owned(),
        (None, asked, _) => format!("no peers: {asked} trackers were asked, and named none"),
    };
    let help = "others may come later: try again then, or give a peer with --peer HOST:PORT";
    Failure::new(NO_PEER, what).help(help).see("03-tracker")
}

impl Search {
    /// Returns the peers of the first source that names any.
    pub fn first(self, deadline: Instant) -> Result<Vec<SocketAddr>, Failure> {
        let mut all = Vec::new();
        let mut answered = false;
        while all.is_empty() {
            match self
                .peers
                .recv_timeout((deadline + GRACE).saturating_duration_since(Instant::now()))
            {
                Ok(found) => all = found.addresses,
                Err(_) if answered => return Ok(all),
                Err(_) => return Err(nobody(&self.failures)),
            }
            answered = true;
        }
        Ok(all)
    }
}

/// Returns the failure for a tracker that gave no answer.
fn failed(url: &str, error: TrackerError) -> Failure {
    let at_home = nobody_at_home(url, &error);
    let failure = Failure::from(error);
    let help = "nothing listens there: check the URL, or give a peer with --peer HOST:PORT; is the lab running?";
    if at_home { failure.help(help) } else { failure }
}

/// Whether this machine refused the connection: then the tracker is most likely the lab's.
pub fn nobody_at_home(url: &str, error: &TrackerError) -> bool {
    let host = url.split_once("://").map_or("", |(_, rest)| rest);
    let local = ["127.", "localhost:", "[::1]:"].iter().any(|local| host.starts_with(local));
    let TrackerError::Transport(error) = error else { return false };
    let mut cause: Option<&(dyn Error + 'static)> = Some(&**error);
    while let Some(error) = cause {
        let refused = error
            .downcast_ref()
            .is_some_and(|error: &io::Error| error.kind() == ErrorKind::ConnectionRefused);
        if refused {
            return local;
        }
        cause = error.source();
    }
    false
}
