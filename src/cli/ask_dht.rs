//! Asks the DHT for peers: a lookup for each family of addresses, and what they find. (stage 21)

use std::net::SocketAddr;
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use piecemeal::s01_bencode::counted;
use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s03_tracker::reach::{NamedBy, Reach, part};
use piecemeal::s21_dht_lookup::ask::{Asker, LookupError, open};
use piecemeal::s21_dht_lookup::node_id::NodeId;
use piecemeal::s21_dht_lookup::steps::{LookupCounts, Step};
use piecemeal::s21_dht_lookup::{Goal, Lookup, Neighbor};
use serde_json::{Value, json};

use super::exit_codes::NO_PEER;
use super::failure::Failure;
use super::lookup_story::Story;
use super::{Answer, Options, print_line};

/// Opens a socket, and asks with an id that nobody has seen before.
pub fn asker(is_ipv4: bool) -> Result<Asker, LookupError> {
    let socket = open(is_ipv4)?;
    let socket = super::tracing::datagrams(socket); // plugged in
    Ok(Asker::new(socket, NodeId::random()))
}

/// What all lookups have found.
pub struct Found {
    /// The peers, in the order in which they were named.
    pub peers: Vec<String>,
    /// What happened, in the order of time, and how long after the start.
    pub steps: Vec<(Duration, Step)>,
    counts: LookupCounts,
    closest: Vec<Neighbor>,
    /// Why a lookup failed.
    failed: Option<LookupError>,
}

/// How one lookup ended.
type Ended = (Lookup, Result<(), LookupError>);

/// Looks up the peers of a torrent, from these nodes, and prints each as it is named.
pub fn ask(
    info_hash: InfoHash,
    from: &[SocketAddr],
    deadline: Instant,
    options: &Options,
) -> Found {
    let (begun, mut story) = (Instant::now(), Story::new(options.narrator()));
    let (running, told) = start(info_hash, from, deadline);
    let (mut peers, mut steps) = (Vec::new(), Vec::new());
    for step in told {
        story.tell(&step);
        if let Step::Peers { by, peers: named } = &step {
            let (named, refused) = part(named.clone(), NamedBy::Peer(Reach::of(by.ip())));
            refused.iter().for_each(|what| options.narrator().say(21, format!("{by}: {what}")));
            for peer in named.iter().map(ToString::to_string) {
                // The other lookup may have found it as well.
                if peers.contains(&peer) {
                    continue;
                }
                // At once: more may come, but one may be all that is wanted.
                if !options.json {
                    print_line(&peer);
                }
                peers.push(peer);
            }
        }
        steps.push((begun.elapsed(), step));
    }
    let mut found =
        Found { peers, steps, counts: LookupCounts::default(), closest: Vec::new(), failed: None };
    for (lookup, ended) in running.into_iter().filter_map(|thread| thread.join().ok()) {
        found.counts = found.counts + lookup.counts();
        found.closest.extend(lookup.closest());
        found.failed = found.failed.or(ended.err());
    }
    found.closest.sort_by_key(|neighbor| neighbor.distance);
    story.end(found.counts, found.closest.len());
    found
}

/// Starts a lookup for each family that there is a node of. Each is a network of its own.
fn start(
    info_hash: InfoHash,
    from: &[SocketAddr],
    deadline: Instant,
) -> (Vec<JoinHandle<Ended>>, Receiver<Step>) {
    let (send, told) = mpsc::channel();
    let families = [true, false].into_iter();
    let families = families.filter(|is_ipv4| from.iter().any(|it| it.is_ipv4() == *is_ipv4));
    let run = |is_ipv4: bool| {
        let mut lookup = Lookup::new(Goal::Peers(info_hash), NodeId::random(), is_ipv4);
        from.iter().for_each(|address| lookup.start_from_host(*address));
        let send = send.clone();
        let work = move || {
            // The receiver listens until all senders are gone.
            let tell = |step| drop(send.send(step));
            let ended = asker(is_ipv4).and_then(|mut asker| asker.run(&mut lookup, deadline, tell));
            (lookup, ended)
        };
        // If the system refuses a thread, the other family may do.
        thread::Builder::new().name("lookup".to_owned()).spawn(work).ok()
    };
    (families.filter_map(run).collect(), told)
}

impl Found {
    /// Returns the answer of the command, or why there is none.
    pub fn answer(self) -> Result<Answer, Failure> {
        let answer = Answer { text: String::new(), json: self.json() };
        if !self.peers.is_empty() {
            return Ok(answer);
        }
        // Many computers have no IPv6. That is no news if nodes of IPv4 have answered.
        let failed = self.failed.filter(|_| self.counts.answered == 0);
        // For a program, how many were asked and who is nearest is a result all the same.
        Err(failed.map_or_else(|| nobody(self.counts), Failure::from).answer(answer))
    }

    fn json(&self) -> Value {
        let closest = self.closest.iter().map(|it| {
            json!({
                "node_id": it.contact.id.to_string(),
                "address": it.contact.address.to_string(),
                "distance": it.distance.bits(),
            })
        });
        json!({
            "peers": self.peers,
            "asked": self.counts.asked,
            "answered": self.counts.answered,
            "silent": self.counts.silent,
            "closest": closest.collect::<Vec<Value>>(),
        })
    }
}

/// What to say if nobody knows a peer.
fn nobody(counts: LookupCounts) -> Failure {
    let what = format!(
        "no peers: {} asked, {} answered, and none knows a peer of this torrent",
        counted(counts.asked, "DHT node"),
        counts.answered
    );
    let help = "others may come later: try again then; the nodes that know this torrent forget it half an hour after the last announce";
    Failure::new(NO_PEER, what).help(help).see("21-dht-lookup")
}
