//! Stage 17: seed, and choose which peers to upload to.
//!
//! Stage 16 answers every peer that is interested. With fifty peers, each would get a fiftieth of
//! the line, and no whole piece for long. This stage listens, gives slots to a few peers at a time,
//! and stays when the download is complete. A *seed* is a download that has everything, and stays.
//!
//! * **Run it:** `piecemeal seed lab/sample.torrent lab/original/sample.txt`
//! * **Spec:** BEP 3, 6, 21; **chapter:** `docs/17-seeding.md`
//! * **Builds on:** [`Choker`] from stage 16, [`PeerSource`] from stage 13
//!
//! # On the wire
//! ```text
//! A (has a slot)           us                        B (has none)
//!   request, request  ->
//!                     <-  piece
//!                                                <-  interested
//!                         the round is over: B has waited longest
//!                     <-  choke
//!                     <-  reject (BEP 6)
//!                         unchoke                ->
//!                         suggest (BEP 6)        ->
//!                                                <-  request, request
//! ```
//! # Decisions
//! * **A few peers at a time** ([`choking`]). Many streams side by side get into each other's
//!   way, and a few quick ones make new seeds sooner.
//! * **A download trades, a seed takes turns.** A download gives to the peers that give to it.
//!   A seed needs nothing, so the peer that has waited longest is next.
//! * **Slots are shared by address** ([`sharing_slots`]) when others wait for one. A stranger can
//!   open many connections, and would have a turn with each.
//! * **The choker decides, the peer's own threads act** (`waiting_list`). No decision waits for
//!   a socket. What it remembers is in [`slots`], which knows neither lock nor clock.
//! * **Where peers come in is a seam** ([`accept`]). TCP is the only way in here; the
//!   listener would take connections of any other.
//! * **Left out:** super seeding (BEP 16); `event=paused` of a partial seed (BEP 21);
//!   counting a block before all of it has left.
//!
//! # In two sittings
//! 1. This file, [`choking`], [`slots`] and `waiting_list`: who gets something.
//! 2. [`listener`] and [`accept`], the way in; [`sharing_slots`], against strangers with many
//!    connections.
//!
//! [`Choker`]: crate::s16_uploading::Choker
//! [`PeerSource`]: crate::s13_peer_sources::source::PeerSource

#![warn(clippy::indexing_slicing)] // decodes what strangers send

pub mod accept;
pub mod choking;
pub mod listener;
pub mod sharing_slots;
pub mod slots;
mod waiting_list;

use std::time::Duration;

use self::waiting_list::WaitingList;
use crate::s12_session::host::{Upload, UploadPeer, Uploads};
use crate::s16_uploading::Uploader;

/// How much is given, and for how long.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Number of peers that are unchoked at the same time.
    pub slots: usize,
    /// Time from one decision to the next.
    pub round: Duration,
    /// Whether what can be given is limited, by a rate or a ratio. A seed then shares it evenly
    /// ([`choking::is_ahead`]), even if part of its line stays idle.
    pub scarce: bool,
    /// Whether to stay when there is nothing more to take.
    pub stay: bool,
    /// How many times the torrent's length to give before leaving, if `stay` is set.
    pub ratio: Option<f64>,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules { slots: 5, round: choking::ROUND, scarce: false, stay: false, ratio: None }
    }
}

/// Uploads to a few peers at a time. Plugged into
/// [`Plan::uploads`](crate::s15_swarm::Plan::uploads).
pub struct Seeder {
    rules: Rules,
    uploader: Uploader,
}

impl Seeder {
    /// Gives by these rules.
    pub fn new(rules: Rules) -> Seeder {
        Seeder { uploader: Uploader::new(WaitingList::new(&rules)), rules }
    }
}

impl Uploads for Seeder {
    fn open(&self, peer: UploadPeer) -> Option<Box<dyn Upload>> {
        self.uploader.open(peer)
    }

    fn stays(&self, uploaded: u64, length: u64) -> bool {
        let enough = |ratio: f64| uploaded as f64 >= ratio * length as f64;
        self.rules.stay && !self.rules.ratio.is_some_and(enough)
    }
}
