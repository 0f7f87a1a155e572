//! Lookups in the network of a thousand, ours and libtorrent's: twenty of each, each by a node of
//! its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s21_dht_lookup::node_id::NodeId;
use piecemeal::s22_dht_node::bootstrap::Hosts;
use piecemeal::s22_dht_node::searches::{Announce, Found};
use piecemeal::s22_dht_node::{Node, Setup};

use crate::libtorrent::Session;
use crate::nodes::{Dice, K, Mix, Network, PORT};
use crate::rig::{Rig, Seen, What};
use crate::{Summary, report};

/// What kinds of networks there are.
pub const MIXES: [(&str, Mix); 3] = [
    ("all answer", Mix::thousand(0, 0, 1)),
    ("20 % silent", Mix::thousand(20, 0, 2)),
    ("20 % silent, 10 % liars", Mix::thousand(20, 10, 3)),
];
/// The end of a lookup: no announce for so long, after the first.
const QUIET: Duration = Duration::from_secs(3);
/// An announce of libtorrent may take 19 seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// The time for a node of ours to fill its table.
const WARM_UP: Duration = Duration::from_secs(4);

/// One lookup, as the network saw it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lookup {
    /// Questions for the torrent's peers.
    pub get_peers: usize,
    /// And those before the first peer.
    pub before_first: usize,
    /// Seconds until the first peer.
    pub first_peer: f64,
    /// The nodes to which the client announced itself, ..
    pub announced: usize,
    /// .. and those of them that are among the eight nearest.
    pub right: usize,
    /// Seconds until the last announce.
    pub done: f64,
}

/// libtorrent's lookups in one network, some side by side.
pub fn libtorrent(python: &Path, mix: Mix, runs: usize) -> Summary<Vec<Lookup>> {
    let rig = Rig::start(Network::new(mix))?;
    let mut lookups = Vec::new();
    for batch in (0..runs).collect::<Vec<_>>().chunks(5) {
        let mut started = Vec::new();
        for run in batch {
            let (mut dice, own) = (Dice::new(1000 + *run as u64), own_address(*run));
            let way_in = rig.network.way_in(&mut dice).address;
            started.push((Session::start(python, own, way_in)?, own, InfoHash(dice.id().0)));
        }
        started.iter_mut().try_for_each(|(session, ..)| session.wait_until_ready())?;
        let mut begun = Vec::new();
        for (session, own, torrent) in &mut started {
            rig.seed(*torrent);
            begun.push((session.announce(*torrent)?, *own, *torrent));
            std::thread::sleep(Duration::from_millis(300));
        }
        for (begin, own, torrent) in begun {
            wait_until_quiet(&rig, begin, own, torrent);
            lookups.push(judge(&rig, begin, own, torrent));
            report::lookup("libtorrent", lookups.last());
        }
    }
    Ok(lookups)
}

/// Our lookups in one network, one after the other. Those that are warm have had their time.
pub fn ours(client: &str, mix: Mix, is_warm: bool, runs: usize) -> Summary<Vec<Lookup>> {
    let rig = Rig::start(Network::new(mix))?;
    let mut dice: Vec<Dice> = (0..runs).map(|run| Dice::new(1000 + run as u64)).collect();
    let start = |(run, dice): (usize, &mut Dice)| {
        let named = vec![rig.network.way_in(dice).address.to_string()];
        let hosts = Hosts { named, ..Hosts::default() };
        Node::start(Setup { hosts, ..Setup::at(own_address(run)) })
    };
    let mut nodes = Vec::new();
    if is_warm {
        nodes = dice.iter_mut().enumerate().map(start).collect::<Result<_, _>>()?;
        std::thread::sleep(WARM_UP);
    }
    let (mut nodes, mut lookups) = (nodes.into_iter(), Vec::new());
    for (run, dice) in dice.iter_mut().enumerate() {
        let torrent = InfoHash(dice.id().0);
        rig.seed(torrent);
        let (begin, announce) = (Instant::now(), Announce { port: PORT, is_seed: false });
        let node = nodes.next().map_or_else(|| start((run, dice)), Ok)?;
        let found = node.handle().search(torrent, Some(announce));
        while !matches!(found.recv_timeout(PATIENCE)?, Found::Done { .. }) {}
        lookups.push(judge(&rig, begin, own_address(run), torrent));
        report::lookup(client, lookups.last());
    }
    Ok(lookups)
}

/// The address of the client of a run.
pub fn own_address(run: usize) -> SocketAddr {
    (Ipv4Addr::new(127, 200, 0, 1 + run as u8), PORT).into()
}

/// Waits until a client has announced itself, and does so no more.
fn wait_until_quiet(rig: &Rig, begin: Instant, client: SocketAddr, torrent: InfoHash) {
    while begin.elapsed() < PATIENCE {
        let seen = rig.seen_of(client);
        let last = seen.iter().rev().find(|seen| is_announce(seen, torrent));
        if last.is_some_and(|last| last.at.elapsed() > QUIET) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn is_announce(seen: &Seen, torrent: InfoHash) -> bool {
    matches!(seen.what, What::Announced(of, _) if of == torrent)
}

/// What the network saw of a lookup.
pub fn judge(rig: &Rig, begin: Instant, client: SocketAddr, torrent: InfoHash) -> Lookup {
    let seen = rig.seen_of(client);
    let since = |seen: &Seen| seen.at.saturating_duration_since(begin).as_secs_f64();
    let asks = |seen: &&Seen| matches!(seen.what, What::GetPeers(of) if of == torrent);
    let first = seen.iter().find(|seen| matches!(seen.what, What::Told(of) if of == torrent));
    let mut at: Vec<usize> = Vec::new();
    let mut done = f64::NAN;
    for seen in seen.iter().filter(|seen| seen.at >= begin) {
        if let What::Announced(of, node) = seen.what
            && of == torrent
            && !at.contains(&node)
        {
            at.push(node);
            done = since(seen);
        }
    }
    let closest = rig.network.closest(NodeId::from(torrent));
    debug_assert_eq!(closest.len(), K);
    Lookup {
        get_peers: seen.iter().filter(asks).count(),
        before_first: seen
            .iter()
            .filter(asks)
            .filter(|seen| first.is_none_or(|first| seen.at < first.at))
            .count(),
        first_peer: first.map_or(f64::NAN, since),
        announced: at.len(),
        right: at.iter().filter(|node| closest.contains(node)).count(),
        done,
    }
}
