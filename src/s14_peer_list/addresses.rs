//! The addresses we know, and what came of each: whom to dial next.
//!
//! Naming an address costs nothing, and one IP could be named with thousands of ports. So both the
//! room here and dialing are shared among IPs.
//!
//! ```text
//!           found                 next                  ended: it is tried again later
//!   unknown ------> Due(at once) ------> Busy ---------------------------------------> Due(later)
//!                                         |   banned, a double, ourselves,
//!                                         +-- or of no use too many times -----------> GivenUp
//! ```

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::bans::Bans;
use super::doubles::UNPROVED;
use super::failed_ports::FailedPorts;
use super::sharing::{Holder, makes_way};
use crate::s04_handshake::origin::Origin;

/// The most addresses remembered.
pub const REMEMBERED: usize = 2000;
/// How many retries an address gets, unless it is of use in between.
const MAX_RETRIES: u32 = 5;
/// What the usual pause is divided by for an early second chance.
const EARLY_DIVISOR: u32 = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// To be dialed from this time on.
    Due(Instant),
    /// Being dialed, or connected.
    Busy,
    /// Not dialed any more, unless the reason for that goes away.
    GivenUp,
}

/// What is known of an address.
struct Entry {
    state: State,
    /// Number of dials since it was last of use, counting that one.
    attempts: u32,
    /// Its early second chance has been used up.
    was_early: bool,
    /// A verified piece came from there, at any time.
    proved: bool,
    /// Only open sources have named it: no tracker, and not the user.
    open: bool,
    /// How many dials ended before its handshake. Somebody is there, but may know the torrent by
    /// another name.
    hung_up: usize,
}

/// What came of naming an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It is new, and due at once.
    New,
    /// It is remembered already.
    Known,
    /// Nobody is let in from there.
    Banned,
    /// Many ports of its IP have been dialed, and nobody was at any of them.
    NobodyThere,
    /// There is no room for another address of its IP.
    NoRoom,
    /// Port 0 cannot be dialed.
    NoPort,
}

/// The address book.
pub struct Addresses {
    entries: HashMap<SocketAddr, Entry>,
    bans: Bans,
    failed_ports: FailedPorts,
    retry: Duration,
}

impl Addresses {
    /// An empty book. A failed address is redialed after `retry`, doubled each time.
    pub fn new(retry: Duration) -> Addresses {
        Addresses {
            entries: HashMap::new(),
            bans: Bans::default(),
            failed_ports: FailedPorts::default(),
            retry,
        }
    }

    /// Remembers an address that somebody has named, if it is new and worth dialing.
    pub fn found(&mut self, address: SocketAddr, now: Instant) -> Found {
        self.remember(address, false, now)
    }

    /// The same, of an address that an open source has named, such as a DHT.
    pub fn found_openly(&mut self, address: SocketAddr, now: Instant) -> Found {
        self.remember(address, true, now)
    }

    /// Forgets all addresses that only open sources have named: the torrent is private (BEP 27).
    /// Peers that are connected stay, but are not dialed again.
    pub fn forget_open(&mut self) {
        self.entries.retain(|_, entry| !entry.open);
    }

    fn remember(&mut self, address: SocketAddr, open: bool, now: Instant) -> Found {
        if address.port() == 0 {
            return Found::NoPort;
        }
        if self.is_banned(address) {
            return Found::Banned;
        }
        if let Some(entry) = self.entries.get_mut(&address) {
            entry.open &= open;
            return Found::Known;
        }
        if self.failed_ports.is_enough(address.ip()) {
            return Found::NobodyThere;
        }
        if self.entries.len() >= REMEMBERED && !self.make_room(Origin::of(address.ip())) {
            return Found::NoRoom;
        }
        let state = State::Due(now);
        let (attempts, hung_up) = Default::default();
        let entry = Entry { state, attempts, was_early: false, proved: false, open, hung_up };
        self.entries.insert(address, entry);
        Found::New
    }

    /// Makes room for one more from this origin, and some to spare, since a scan is slow; returns
    /// whether there is any. Given-up addresses go first. Then the origin with the most loses a
    /// tenth of its own, the most often dialed first.
    fn make_room(&mut self, newcomer: Origin) -> bool {
        self.entries.retain(|_, entry| entry.state != State::GivenUp);
        if self.entries.len() < REMEMBERED {
            return true;
        }
        // In order: that of a `HashMap` differs from run to run, and so would the one that goes.
        let mut all: Vec<SocketAddr> = self.entries.keys().copied().collect();
        all.sort_unstable();
        // One that is busy counts for its origin, and stays.
        let holder = |(address, entry): (&SocketAddr, &Entry)| Holder {
            origin: Origin::of(address.ip()),
            worth: matches!(entry.state, State::Due(_)).then_some(()),
        };
        let known = all.iter().filter_map(|address| self.entries.get_key_value(address));
        let holders: Vec<_> = known.map(holder).collect();
        let Some(crowded) = makes_way(&holders, newcomer).and_then(|goes| holders.get(goes)) else {
            return false;
        };
        let of_crowded = all
            .iter()
            .zip(&holders)
            .filter(|(_, holder)| holder.origin == crowded.origin && holder.worth.is_some());
        let mut go: Vec<SocketAddr> = of_crowded.map(|(address, _)| *address).collect();
        go.sort_by_key(|address| {
            self.entries.get(address).map(|entry| std::cmp::Reverse(entry.attempts))
        });
        go.truncate(1 + go.len() / 10);
        self.entries.retain(|address, _| !go.contains(address));
        true
    }

    /// Returns the address to dial now, if one is due. It is busy from here on.
    pub fn next(&mut self, now: Instant) -> Option<SocketAddr> {
        let address = self.due(now)?;
        if let Some(entry) = self.entries.get_mut(&address) {
            entry.state = State::Busy;
            entry.attempts += 1;
        }
        Some(address)
    }

    /// Returns the address that [`Addresses::next`] would, and leaves it as it is. It is of the
    /// origin with the fewest busy addresses; among equals, it has been due longest.
    pub fn due(&self, now: Instant) -> Option<SocketAddr> {
        let mut busy: HashMap<Origin, usize> = HashMap::new();
        for (address, _) in self.entries.iter().filter(|(_, entry)| entry.state == State::Busy) {
            *busy.entry(Origin::of(address.ip())).or_default() += 1;
        }
        let due = self.entries.iter().filter_map(|(address, entry)| match entry.state {
            State::Due(time) if time <= now => {
                Some((busy.get(&Origin::of(address.ip())).copied().unwrap_or(0), time, *address))
            }
            _ => None,
        });
        due.min().map(|(_, _, address)| address)
    }

    /// Takes back an address that could not even be tried, as when the system refuses a thread. It
    /// is due at once.
    pub fn put_back(&mut self, address: SocketAddr, now: Instant) {
        if let Some(entry) = self.entries.get_mut(&address) {
            entry.state = State::Due(now);
            entry.attempts = entry.attempts.saturating_sub(1);
        }
    }

    /// Notes that a dialed connection has ended; returns when the address is dialed again.
    ///
    /// An address that was of use is as good as new. One that was not waits longer each time, until
    /// it is given up. A peer that we had `met` is certainly there, and gets one early second
    /// chance, if it has attempts left: some peers hang up only to start over. After that its
    /// pauses are as long as those of others.
    pub fn ended(
        &mut self,
        address: SocketAddr,
        met: bool,
        was_useful: bool,
        now: Instant,
    ) -> Option<Instant> {
        self.count_failed_port(address, met);
        if self.is_banned(address) && !self.bans.has(address) {
            // Its IP was barred while it was connected, and it has not proved itself since.
            self.entries.remove(&address);
            return None;
        }
        let entry = self.entries.get_mut(&address).filter(|entry| entry.state == State::Busy)?;
        if was_useful {
            (entry.attempts, entry.was_early) = (1, false);
        }
        let again = entry.attempts <= MAX_RETRIES;
        let pause = if met && !entry.was_early {
            entry.was_early = true;
            self.retry / EARLY_DIVISOR
        } else {
            // The early chance is not counted among the failures.
            let failures = entry.attempts.saturating_sub(1 + u32::from(entry.was_early));
            self.retry * 2u32.pow(failures.min(MAX_RETRIES))
        };
        entry.state = if again { State::Due(now + pause) } else { State::GivenUp };
        again.then_some(now + pause)
    }

    /// Notes that somebody at this address has hung up before its handshake was complete.
    pub fn note_hung_up(&mut self, address: SocketAddr) {
        self.entries.entry(address).and_modify(|entry| entry.hung_up += 1);
    }

    /// How many times that has happened.
    pub fn hung_up(&self, address: SocketAddr) -> usize {
        self.entries.get(&address).map_or(0, |entry| entry.hung_up)
    }

    /// Notes that there is a peer at this IP: others there are worth dialing.
    pub fn answered(&mut self, ip: IpAddr) {
        self.failed_ports.answered(ip);
    }

    /// Notes whether there was a peer at an address that has been dialed. If many ports of its IP
    /// have failed, and none has answered, those that have not been dialed yet are removed. They
    /// may be found again once a peer there has answered.
    fn count_failed_port(&mut self, address: SocketAddr, met: bool) {
        let ip = address.ip();
        if met {
            return self.answered(ip);
        }
        if self.entries.get(&address).is_some_and(|entry| entry.attempts == 1) {
            self.failed_ports.count(ip);
        }
        if self.failed_ports.is_enough(ip) {
            let origin = Origin::of(ip);
            self.entries
                .retain(|other, entry| Origin::of(other.ip()) != origin || entry.attempts > 0);
        }
    }

    /// Gives up an address at which there is nothing for us: ourselves, or a peer that is here
    /// already. Until the book is full it stays, and is not new if named again.
    pub fn give_up(&mut self, address: SocketAddr) {
        if let Some(entry) = self.entries.get_mut(&address) {
            entry.state = State::GivenUp;
        }
    }

    /// Makes due again an address that was given up because its peer had dialed us: that connection
    /// has ended.
    pub fn revive(&mut self, address: SocketAddr, now: Instant) {
        self.revive_at(now + self.retry, address);
    }

    /// Makes an address due soon: the peer taken for its double has gone, and may not have been
    /// one.
    pub fn double_gone(&mut self, address: SocketAddr, now: Instant) {
        let soon = now + self.retry / EARLY_DIVISOR;
        if matches!(self.entries.get(&address), Some(Entry { state: State::Due(time), .. }) if *time > soon)
        {
            self.give_up(address);
        }
        self.revive_at(soon, address);
    }

    /// Notes that the peer at a dialed address has an id that is here already. The address is
    /// dialed a few more times, each after a pause in which the other connection may end.
    pub fn may_be_a_double(&mut self, address: SocketAddr, now: Instant) {
        let again = State::Due(now + UNPROVED * self.retry);
        if let Some(entry) =
            self.entries.get_mut(&address).filter(|entry| entry.state == State::Busy)
        {
            entry.state = if entry.attempts <= MAX_RETRIES { again } else { State::GivenUp };
        }
    }

    fn revive_at(&mut self, time: Instant, address: SocketAddr) {
        let banned = self.is_banned(address);
        if let Some(entry) =
            self.entries.get_mut(&address).filter(|entry| entry.state == State::GivenUp && !banned)
        {
            *entry = Entry { state: State::Due(time), attempts: 1, was_early: false, ..*entry };
        }
    }

    /// Bans an address that has sent bad data. If its IP is barred now, the other addresses there
    /// are removed, except for those that have proved themselves, or are connected and still may.
    pub fn ban(&mut self, address: SocketAddr) {
        self.bans.add(address);
        self.give_up(address);
        // Removed, and not only given up: if the IP earns its way back, they can be found again.
        let bans = &self.bans;
        self.entries.retain(|known, entry| {
            let stays = entry.proved || entry.state == State::Busy;
            stays || bans.has(*known) || !bans.bars(*known)
        });
    }

    /// Notes that a peer has completed this many pieces, and that their hashes are right.
    pub fn brought(&mut self, address: SocketAddr, pieces: u32) {
        if pieces > 0 {
            self.bans.credit(address, pieces);
            self.entries.entry(address).and_modify(|entry| entry.proved = true);
        }
    }

    /// Whether this very address is banned, not only its IP barred.
    pub fn has_ban(&self, address: SocketAddr) -> bool {
        self.bans.has(address)
    }

    /// Whether nobody is let in from there: the address is banned, or its IP is barred and the
    /// address has not proved itself. Peers that are connected already stay.
    pub fn is_banned(&self, address: SocketAddr) -> bool {
        let proved = self.entries.get(&address).is_some_and(|entry| entry.proved);
        self.bans.has(address) || self.bans.bars(address) && !proved
    }

    /// Whether every address has used two attempts, or is given up.
    pub fn all_tried_twice(&self) -> bool {
        self.entries.values().all(|entry| entry.state == State::GivenUp || entry.attempts >= 2)
    }

    /// Whether no address can be dialed, now or later, and none is busy.
    pub fn is_hopeless(&self) -> bool {
        self.entries.values().all(|entry| entry.state == State::GivenUp)
    }

    /// When the next address is due, and which it is.
    pub fn next_due(&self) -> Option<(Instant, SocketAddr)> {
        let due = |(address, entry): (&SocketAddr, &Entry)| match entry.state {
            State::Due(time) => Some((time, *address)),
            _ => None,
        };
        self.entries.iter().filter_map(due).min()
    }

    /// How many are remembered.
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Each address that is remembered, in no order.
    pub fn all(&self) -> impl Iterator<Item = SocketAddr> {
        self.entries.keys().copied()
    }
}
