//! Why nothing comes, and what happens next. The sentences are in `report`.
//!
//! A download that has stopped moving may wait for a dozen things, and from outside they all
//! look alike. So the torrent loop takes a [`Snapshot`] of what it knows, and [`decide`] names
//! the wait. It is a pure function: no lock, no socket, and the time is given. Nothing of
//! this runs while blocks come.

use std::mem;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use crate::s05_messages::bitfield::Bitfield;
use crate::s12_session::stats::Supply;

/// How many ranges of missing pieces are named.
const NAMED: usize = 3;
/// A sentence must be true for this long before it is said: some waits are over at once.
const SETTLED: Duration = Duration::from_secs(1);
/// A terminal shows the wait this soon. It takes the sentence back just as easily.
const SHOWN: Duration = Duration::from_secs(2);

/// What a download, or a seed, waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // of the fields: the line above each says what they are
pub enum Wait {
    /// Nobody is connected; this many addresses are known.
    NoPeer { known: usize },
    /// Peers are connected, and the info dictionary has not come from them. Some may have been
    /// asked for it.
    Metadata { peers: usize, asked: usize },
    /// Nobody connected has a piece that is missing.
    NobodyHasIt { peers: usize, missing: Missing },
    /// Each peer that has a missing piece chokes us.
    Choked { peers: usize },
    /// Peers were asked for blocks, and send none.
    NoAnswer { peers: usize },
    /// Our own limit on the download rate.
    RateLimit,
    /// A block came and is still being written.
    Disk,
    /// We only give, and nobody wants anything. `port` is where we listen.
    NoTaker { peers: usize, port: u16 },
}

/// What happens next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // of the fields: the line above each says what they are
pub enum Next {
    /// This many addresses are being tried at this moment.
    Dialing { addresses: usize },
    /// This address is tried then.
    Dial { address: SocketAddr, at: Instant },
    /// A source of peers, such as a tracker, has been asked and has not answered yet.
    Asking { source: String },
    /// It is asked again then.
    Ask { source: String, at: Instant },
    /// Addresses are waiting, but all places are taken: one becomes free after a while.
    MakeRoom,
    /// A peer that does not answer is hung up on.
    HangUp,
    /// Our rate limit lets the next request go then.
    Request { at: Instant },
    /// The download ends then, with an error.
    GiveUp { at: Instant },
    /// No tracker knows of us: others need our address.
    NeedAddress,
}

/// A wait with what ends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// What is waited for.
    pub why: Wait,
    /// What happens next, if anything does that can be foretold.
    pub next: Option<Next>,
}

/// Pieces that are missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    /// How many.
    pub pieces: u32,
    /// The first of them.
    pub first: Vec<RangeInclusive<u32>>,
}

/// What the torrent loop knows at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The moment.
    pub now: Instant,
    /// What can come from each connected peer.
    pub peers: Vec<Supply>,
    /// How many of them want something of us.
    pub takers: usize,
    /// How many were asked for the info dictionary; nothing once we have it.
    pub learning: Option<usize>,
    /// What is missing.
    pub missing: Missing,
    /// Until when our rate limit holds requests back.
    pub rate: Option<Instant>,
    /// Where we listen, if all we do is give.
    pub gives_at: Option<u16>,
    /// Where more peers may come from.
    pub hope: Hope,
}

/// Where more peers may come from, and for how long we hope.
#[derive(Debug, Clone, Default)]
pub struct Hope {
    /// How many addresses are known.
    pub known: usize,
    /// How many of them are being tried.
    pub dialing: usize,
    /// The one that is tried next, and when.
    pub dial: Option<(Instant, SocketAddr)>,
    /// Whether all places for peers are taken.
    pub full: bool,
    /// Each source that looks for peers, and when it does so again; without a time, it is
    /// looking now.
    pub sources: Vec<(String, Option<Instant>)>,
    /// When the download is given up if nothing changes.
    pub gives_up: Option<Instant>,
}

/// Names what is waited for; nothing, if what is missing could come at any moment.
pub fn decide(state: &Snapshot) -> Option<Waiting> {
    let why = why(state)?;
    let next = match why {
        Wait::Disk => None,
        Wait::RateLimit => state.rate.map(|at| Next::Request { at }),
        Wait::NoAnswer { .. } => Some(Next::HangUp),
        Wait::Metadata { asked: 1.., .. } => Some(Next::HangUp),
        Wait::NoTaker { .. } => state.hope.next(state.now).or(Some(Next::NeedAddress)),
        _ => state.hope.next(state.now),
    };
    Some(Waiting { why, next })
}

fn why(state: &Snapshot) -> Option<Wait> {
    let count = |supply: Supply| state.peers.iter().filter(|peer| **peer == supply).count();
    let peers = state.peers.len();
    if let Some(port) = state.gives_at {
        // Whoever wants something is served in its turn.
        return (state.takers == 0).then_some(Wait::NoTaker { peers, port });
    }
    if peers == 0 {
        return Some(Wait::NoPeer { known: state.hope.known });
    }
    if let Some(asked) = state.learning {
        return Some(Wait::Metadata { peers, asked });
    }
    // From what is nearest to a block to what is farthest from one.
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
    /// What happens now, or else first.
    fn next(&self, now: Instant) -> Option<Next> {
        let due = |at: Instant| at <= now;
        if self.dialing > 0 {
            return Some(Next::Dialing { addresses: self.dialing });
        }
        let asking = self.sources.iter().find(|(_, at)| at.is_none_or(due));
        if let Some((source, _)) = asking {
            return Some(Next::Asking { source: source.clone() });
        }
        let dial = self.dial.map(|(at, address)| if self.full { (at, Next::MakeRoom) } else { (at, Next::Dial { address, at }) });
        let ask = self.sources.iter().filter_map(|(source, at)| Some((*at.as_ref()?, source.clone())));
        let ask = ask.min().map(|(at, source)| (at, Next::Ask { source, at }));
        let give_up = self.gives_up.map(|at| (at, Next::GiveUp { at }));
        dial.into_iter().chain(ask).chain(give_up).min_by_key(|(at, _)| *at).map(|(_, next)| next)
    }
}

impl Missing {
    /// All pieces that are not done.
    pub fn of(done: &Bitfield, pieces: u32) -> Missing {
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
    /// When, if that is known.
    pub fn at(&self) -> Option<Instant> {
        match self {
            Next::Dial { at, .. } | Next::Ask { at, .. } | Next::Request { at } | Next::GiveUp { at } => Some(*at),
            _ => None,
        }
    }
}

/// Which waits have been told.
#[derive(Debug)]
pub struct Silence {
    /// How long nothing may come without a word.
    limit: Duration,
    /// What is waited for, without numbers, and since when.
    current: Option<(Kind, Instant)>,
    told: Option<Kind>,
}

type Kind = mem::Discriminant<Wait>;

impl Silence {
    /// Nothing has been told yet; a wait is, once it lasts for `limit`.
    pub fn new(limit: Duration) -> Silence {
        Silence { limit, current: None, told: None }
    }

    /// Whether nothing has come for so long that the wait is shown. Before, nobody need find
    /// out what it is.
    pub fn is_shown(&self, silent: Duration) -> bool {
        silent >= self.limit.min(SHOWN)
    }

    /// Whether this wait is told now: nothing has come for long enough, and what was told last
    /// was a wait of another kind.
    pub fn is_news(&mut self, now: Instant, silent: Duration, wait: Option<&Wait>) -> bool {
        if !self.is_shown(silent) {
            // The next silence is told again. But a seed that nobody takes from waits for days, and
            // with a strict rate limit there is a silence before each block: once is enough.
            let lasting = [Wait::NoTaker { peers: 0, port: 0 }, Wait::RateLimit].map(|wait| mem::discriminant(&wait));
            self.told = self.told.filter(|told| lasting.contains(told));
        }
        let kind = wait.map(mem::discriminant);
        let since = self.current.filter(|(current, _)| Some(*current) == kind).map_or(now, |(_, since)| since);
        self.current = kind.map(|kind| (kind, since));
        let settled = now.duration_since(since) >= SETTLED.min(self.limit / 2);
        let news = kind.is_some() && kind != self.told && silent >= self.limit && settled;
        if news {
            self.told = kind;
        }
        news
    }
}
