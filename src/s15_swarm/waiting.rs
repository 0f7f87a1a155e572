//! Why no block comes, and what happens next. Its English is in `crate::report`.
//!
//! A download that has stopped may be waiting for a dozen things, and from outside they all look
//! alike. So the torrent loop takes a [`Snapshot`] of what it knows, and [`decide`] names the wait.
//! It is a pure function: no lock, no socket, and the time is an argument. Nothing here runs while
//! blocks come.
//!
//! A wait has two halves. *Why* names the obstacle nearest to the next block: of two peers, one
//! that chokes us and one that was asked, the second is nearer. *Next* names what will change that,
//! with its time, so that the user knows whether to go on waiting. [`Silence`] then decides whether
//! the wait is news.

use std::mem;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use crate::s05_messages::bitfield::Bitfield;
use crate::s12_session::stats::Supply;

/// The number of ranges of missing pieces that are listed. A torrent may lack a million.
const NAMED: usize = 3;
/// A wait must last this long before there is an event: some are over at once.
const SETTLED: Duration = Duration::from_secs(1);
/// The time after which a terminal shows a wait. It can take the sentence back just as easily.
const SHOWN: Duration = Duration::from_secs(2);

/// What a download, or a seed, waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // of the fields: the line above each names them
pub enum Wait {
    /// No peer is connected. This many addresses are known.
    NoPeer { known: usize },
    /// This many peers are connected, and this many of them were asked for the info dictionary. It
    /// has not come.
    Metadata { peers: usize, asked: usize },
    /// The info dictionary is there, and the hashes of this many files' pieces are not. None of the
    /// connected peers has sent them, and this many peers, connected or not, have sent wrong ones.
    Hashes { files: usize, peers: usize, liars: usize },
    /// None of this many peers has a missing piece.
    NobodyHasIt { peers: usize, missing: Missing },
    /// All peers with a missing piece, this many, choke us.
    Choked { peers: usize },
    /// This many peers were asked for blocks and send none.
    NoAnswer { peers: usize },
    /// Our own limit on the download rate.
    RateLimit,
    /// A block has come and is still being written.
    Disk,
    /// We only upload, and no peer wants anything. We listen at this port.
    NoTaker { peers: usize, port: u16 },
}

/// What happens next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // of the fields: the line above each names them
pub enum Next {
    /// This many addresses are being dialed.
    Dialing { addresses: usize },
    /// This address is dialed at this time.
    Dial { address: SocketAddr, at: Instant },
    /// A source of peers, such as a tracker, has been asked and has not answered yet.
    Asking { source: String },
    /// A source is asked again at this time.
    Ask { source: String, at: Instant },
    /// Addresses are waiting, but all places are taken. One becomes free after a while.
    MakeRoom,
    /// We hang up on a peer that does not answer.
    HangUp,
    /// Our rate limit allows the next request at this time.
    Request { at: Instant },
    /// The download ends with an error at this time.
    GiveUp { at: Instant },
    /// No tracker knows of us, so other peers need our address.
    NeedAddress,
}

/// A wait, and what ends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The wait.
    pub why: Wait,
    /// What happens next, if that is known.
    pub next: Option<Next>,
}

/// Pieces that are missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    /// The number of missing pieces.
    pub pieces: u32,
    /// The first ranges of them.
    pub first: Vec<RangeInclusive<u32>>,
}

/// What the torrent loop knows at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The time.
    pub now: Instant,
    /// What each connected peer, and each hand, can send, in any order.
    pub peers: Vec<Supply>,
    /// The number of peers that are interested in our pieces.
    pub takers: usize,
    /// What is missing before a piece can be requested; `None` if nothing is.
    pub learning: Option<Learning>,
    /// The missing pieces. Filled in only if no peer has any of them: finding them takes a look at
    /// every piece.
    pub missing: Missing,
    /// The time until which our rate limit holds requests back; `None` if it does not.
    pub rate: Option<Instant>,
    /// The port at which we listen, if we only upload.
    pub gives_at: Option<u16>,
    /// Where more peers can come from.
    pub hope: Hope,
}

/// What is missing before a piece can be requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // of the fields: the line above each names them
pub enum Learning {
    /// The info dictionary. This many peers were asked for it.
    Info { asked: usize },
    /// The hashes of this many files' pieces. This many peers have sent wrong ones.
    Hashes { files: usize, liars: usize },
}

/// Where more peers can come from, and for how long we hope.
#[derive(Debug, Clone, Default)]
pub struct Hope {
    /// The number of known addresses.
    pub known: usize,
    /// The number of those that are being dialed.
    pub dialing: usize,
    /// The address that is dialed next, and when. It may be due already, and only lack a place.
    pub dial: Option<(Instant, SocketAddr)>,
    /// Whether all places are taken.
    pub full: bool,
    /// Each source that looks for peers, and when it looks again; `None` if it is looking now.
    pub sources: Vec<(String, Option<Instant>)>,
    /// When the download gives up if nothing changes; `None` for a seed, which never does.
    pub gives_up: Option<Instant>,
}

/// Returns what the download waits for, or `None` if a block could come at any moment.
pub fn decide(state: &Snapshot) -> Option<Waiting> {
    let why = why(state)?;
    let next = match why {
        // Nobody knows when a disk will answer.
        Wait::Disk => None,
        Wait::RateLimit => state.rate.map(|at| Next::Request { at }),
        // The peer that was asked has a deadline. Whatever else happens, the wait ends then.
        Wait::NoAnswer { .. } => Some(Next::HangUp),
        Wait::Metadata { asked: 1.., .. } => Some(Next::HangUp),
        Wait::NoTaker { .. } => state.hope.next(state.now).or(Some(Next::NeedAddress)),
        _ => state.hope.next(state.now),
    };
    Some(Waiting { why, next })
}

/// Returns the obstacle nearest to the next block. The first row that fits decides:
///
/// | what is true | the wait |
/// |---|---|
/// | we only upload | for a peer that wants something, if there is none |
/// | hashes of pieces are missing, and a peer has sent wrong ones | for the hashes |
/// | no peer is connected | for a peer |
/// | the info dictionary is not known | for that: before it comes, nothing can be requested |
/// | hashes of pieces are missing | for these, likewise |
/// | a block is being written | for the disk |
/// | a peer is free, and our rate limit says no | for the limit |
/// | a peer was asked | for its answer |
/// | a peer is free | none: it is asked in a moment |
/// | a peer has something, and chokes us | for an unchoke |
/// | no peer has a missing piece | for a peer that has one |
fn why(state: &Snapshot) -> Option<Wait> {
    let count = |supply: Supply| state.peers.iter().filter(|peer| **peer == supply).count();
    let peers = state.peers.len();
    if let Some(port) = state.gives_at {
        // A peer that wants something is served in its turn, so the seed does not wait.
        return (state.takers == 0).then_some(Wait::NoTaker { peers, port });
    }
    match state.learning {
        // Also without a peer: that the last one has lied says more than that it is gone.
        Some(Learning::Hashes { files, liars }) if peers > 0 || liars > 0 => {
            return Some(Wait::Hashes { files, peers, liars });
        }
        _ if peers == 0 => return Some(Wait::NoPeer { known: state.hope.known }),
        Some(Learning::Info { asked }) => return Some(Wait::Metadata { peers, asked }),
        _ => {}
    }
    let (free, asked, choked) = (count(Supply::Free), count(Supply::Asked), count(Supply::Choked));
    if count(Supply::Storing) > 0 {
        return Some(Wait::Disk);
    }
    if free > 0 && state.rate.is_some() {
        return Some(Wait::RateLimit);
    }
    if asked > 0 {
        return Some(Wait::NoAnswer { peers: asked });
    }
    if free > 0 {
        return None; // it will be asked in a moment
    }
    if choked > 0 {
        return Some(Wait::Choked { peers: choked });
    }
    Some(Wait::NobodyHasIt { peers, missing: state.missing.clone() })
}

impl Hope {
    /// Returns what is happening now, or else what happens first.
    fn next(&self, now: Instant) -> Option<Next> {
        let due = |at: Instant| at <= now;
        // What is happening comes first: it may end the wait before any of the times below.
        if self.dialing > 0 {
            return Some(Next::Dialing { addresses: self.dialing });
        }
        // A source is looking if it has not said when it looks again, or if that time has come.
        let asking = self.sources.iter().find(|(_, at)| at.is_none_or(due));
        if let Some((source, _)) = asking {
            return Some(Next::Asking { source: source.clone() });
        }
        let dial = self.dial.map(|(at, address)| {
            // With all places taken, a due address does not help until a peer has made way.
            if self.full { (at, Next::MakeRoom) } else { (at, Next::Dial { address, at }) }
        });
        let ask =
            self.sources.iter().filter_map(|(source, at)| Some((*at.as_ref()?, source.clone())));
        // The smallest of (time, name): among equals always the same one, or the sentence would
        // flicker.
        let ask = ask.min().map(|(at, source)| (at, Next::Ask { source, at }));
        let give_up = self.gives_up.map(|at| (at, Next::GiveUp { at }));
        dial.into_iter().chain(ask).chain(give_up).min_by_key(|(at, _)| *at).map(|(_, next)| next)
    }
}

impl Missing {
    /// Returns the pieces that are not done. It stops at the last range that is listed: the rest is
    /// only counted.
    pub fn of(done: &Bitfield, pieces: u32) -> Missing {
        // The piece from which the search for the next range goes on.
        let mut next = 0;
        let run = || {
            let first = (next..pieces).find(|piece| !done.has(*piece))?;
            next = (first..pieces).find(|piece| done.has(*piece)).unwrap_or(pieces);
            Some(first..=next - 1)
        };
        let first: Vec<RangeInclusive<u32>> = std::iter::from_fn(run).take(NAMED).collect();
        Missing { pieces: pieces - done.count(), first }
    }
}

impl Next {
    /// Returns when it happens, if that is known.
    pub fn at(&self) -> Option<Instant> {
        match self {
            Next::Dial { at, .. }
            | Next::Ask { at, .. }
            | Next::Request { at }
            | Next::GiveUp { at } => Some(*at),
            _ => None,
        }
    }
}

/// Decides when a wait is shown, and when it is worth an event.
///
/// Both take some time without a block. An event also needs a kind of wait other than the last
/// event's: a logged line is never taken back.
#[derive(Debug)]
pub struct Silence {
    /// The time without a block after which there is an event.
    limit: Duration,
    /// The kind of wait at the last look, and when that kind began.
    current: Option<(Kind, Instant)>,
    /// The kind of wait that the last event was about. Forgotten once blocks come, with two
    /// exceptions.
    reported: Option<Kind>,
}

/// A wait without its numbers: a third peer that chokes us, after two, is no news.
type Kind = mem::Discriminant<Wait>;

impl Silence {
    /// Creates it for events after `limit` without a block.
    pub fn new(limit: Duration) -> Silence {
        Silence { limit, current: None, reported: None }
    }

    /// Whether no block has come for long enough to show the wait. Before that, [`decide`] need not
    /// run.
    pub fn is_shown(&self, silent: Duration) -> bool {
        silent >= self.limit.min(SHOWN)
    }

    /// Whether there is an event for this wait now: no block has come for long enough, and the last
    /// event was for another kind of wait. Call it at each look, even without a wait: it remembers
    /// how long the current kind has lasted.
    pub fn is_news(&mut self, now: Instant, silent: Duration, wait: Option<&Wait>) -> bool {
        if !self.is_shown(silent) {
            // The next wait gets an event again. But a seed without takers waits for days, and with
            // a strict rate limit there is a wait before each block: once is enough.
            let lasting = [Wait::NoTaker { peers: 0, port: 0 }, Wait::RateLimit]
                .map(|wait| mem::discriminant(&wait));
            self.reported = self.reported.filter(|kind| lasting.contains(kind));
        }
        let kind = wait.map(mem::discriminant);
        // The same kind as at the last look keeps its time; another one starts now.
        let since = self
            .current
            .filter(|(current, _)| Some(*current) == kind)
            .map_or(now, |(_, since)| since);
        self.current = kind.map(|kind| (kind, since));
        // With a very short limit, half of it is enough.
        let settled = now.duration_since(since) >= SETTLED.min(self.limit / 2);
        let news = kind.is_some() && kind != self.reported && silent >= self.limit && settled;
        if news {
            self.reported = kind;
        }
        news
    }
}
