//! Shows a running download: `--peers` and `--map`. (stage 15)

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use piecemeal::s11_work_queue::PeerNumber;
use piecemeal::s15_swarm::view::Watch;

use super::peer_table::{Row, Widest};
use super::speed::Speed;
use super::{live_map, peer_table};

/// Options for what is shown under the bar.
#[derive(clap::Args, Clone, Copy, Default)]
pub struct WatchOptions {
    /// Show the peers: chokes, pieces, requests, rates
    #[arg(id = "peer table", long = "peers")]
    pub peers: bool,
    /// Show the pieces: missing, lent, verified, bad
    #[arg(long)]
    pub map: bool,
}

/// The observations so far: a rate needs two of them.
pub struct LiveView {
    watching: WatchOptions,
    watch: Arc<Watch>,
    peers: HashMap<PeerNumber, WatchedPeer>,
    rows: Vec<Row>,
    widest: Widest,
}

/// A peer's letter, which it keeps while it is connected, and its rates.
struct WatchedPeer {
    letter: char,
    down: Speed,
    up: Speed,
}

impl LiveView {
    pub fn new(watching: WatchOptions, watch: Arc<Watch>) -> LiveView {
        LiveView {
            watching,
            watch,
            peers: HashMap::new(),
            rows: Vec::new(),
            widest: Widest::default(),
        }
    }

    /// Observes the download; call it several times a second. Costs nothing without `--peers`
    /// and `--map`.
    pub fn observe(&mut self) {
        if !self.watching.peers && !self.watching.map {
            return;
        }
        let now = Instant::now();
        let peers = self.watch.peers();
        self.peers
            .retain(|number, _| peers.binary_search_by_key(number, |peer| peer.number).is_ok());
        let rows = peers.into_iter().map(|peer| {
            if !self.peers.contains_key(&peer.number) {
                let letter = free_letter(&self.peers);
                self.peers.insert(
                    peer.number,
                    WatchedPeer { letter, down: Speed::default(), up: Speed::default() },
                );
            }
            let watched = self.peers.get_mut(&peer.number).expect("it has just been put there");
            watched.down.add(now, peer.downloaded);
            watched.up.add(now, peer.uploaded);
            Row { letter: watched.letter, down: watched.down.get(), up: watched.up.get(), peer }
        });
        self.rows = rows.collect();
        self.widest.see(&self.rows);
    }

    /// Returns the table and the map, in at most `width` columns and `height` lines. The table
    /// comes first, but a long one leaves half of the room to the map.
    pub fn lines(&self, width: usize, height: usize) -> Vec<String> {
        let WatchOptions { peers, map } = self.watching;
        let places = if map { self.watch.places() } else { None };
        let mut lines = Vec::new();
        if peers {
            let room = if places.is_some() { height - (height / 2).min(18) } else { height };
            lines = peer_table::lines(&self.rows, &self.widest, width, room);
        }
        if let Some(places) = places {
            let letter =
                |peer: PeerNumber| self.peers.get(&peer).map_or('*', |watched| watched.letter);
            // Without a table, a line says which peer each letter is.
            let key = usize::from(!peers && height > 2 && !places.on_loan.is_empty());
            lines.extend(live_map::lines(&places, &letter, width, height - lines.len() - key));
            lines.extend(self.key(width).into_iter().take(key));
        }
        lines
    }

    /// Returns the letters' peers: `a 127.0.0.2:6881  b 127.0.0.3:6881  and 3 more`.
    fn key(&self, width: usize) -> Option<String> {
        let name = |row: &Row| format!("{} {}", row.letter, row.peer.address);
        let all = self.rows.len();
        // No name is shorter than `a 1.2.3.4:5`, so of 500 peers only these can fit.
        let names: Vec<String> = self.rows.iter().take(width / 11).map(name).collect();
        let line = |shown: usize| {
            let more = (shown < all).then(|| format!("and {} more", all - shown));
            names.iter().take(shown).cloned().chain(more).collect::<Vec<_>>().join("  ")
        };
        (1..=names.len()).rev().map(line).find(|line| line.len() <= width)
    }
}

/// Returns the first of a to z and A to Z that no peer has, or else a star.
fn free_letter(peers: &HashMap<PeerNumber, WatchedPeer>) -> char {
    let taken = |letter: &char| peers.values().any(|watched| watched.letter == *letter);
    ('a'..='z').chain('A'..='Z').find(|letter| !taken(letter)).unwrap_or('*')
}
