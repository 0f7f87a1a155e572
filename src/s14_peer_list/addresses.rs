//! The addresses we know, and what came of each: whom to dial next.
//!
//! The book and the dialling are shared by address, as places are: a name costs nothing, and one
//! address could have thousands of them.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::bans::Bans;
use super::doubles::UNPROVED;
use super::manners::Knocks;
use super::sharing::{Holder, makes_way};
use crate::s04_handshake::origin::Origin;

/// How many addresses are remembered.
pub const REMEMBERED: usize = 2000;
/// How often an address is dialled again after a failure.
const MOST_RETRIES: u32 = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// To be dialled from this time on.
    Due(Instant),
    /// Being dialled, or connected.
    Busy,
    /// Not to be dialled any more.
    Over,
}

struct Known {
    state: State,
    /// How often it has been dialled since it last was of use.
    dialled: u32,
    /// Whether it has had its early second chance since then.
    forgiven: bool,
    /// Whether a verified piece came from there.
    proved: bool,
}

/// The address book.
pub struct Addresses {
    known: HashMap<SocketAddr, Known>,
    bans: Bans,
    knocks: Knocks,
    retry: Duration,
}

impl Addresses {
    /// An empty one; a failed address is dialled again after `retry`, then twice
    /// that, and so on.
    pub fn new(retry: Duration) -> Addresses {
        Addresses { known: HashMap::new(), bans: Bans::default(), knocks: Knocks::default(), retry }
    }

    /// Remembers an address, if it is new and not banned. `false` if there is no room for it.
    pub fn found(&mut self, address: SocketAddr, now: Instant) -> bool {
        if address.port() == 0
            || self.is_banned(address)
            || self.knocks.is_enough(address.ip())
            || self.known.contains_key(&address)
        {
            return true;
        }
        let room = self.known.len() < REMEMBERED || self.make_room(Origin::of(address.ip()));
        if room {
            self.known.insert(address, Known { state: State::Due(now), dialled: 0, forgiven: false, proved: false });
        }
        room
    }

    /// Makes room for one more from this origin, and some to spare, as it takes a look at all.
    /// First those go that are no longer dialled. Then the origin with the most gives up a tenth
    /// of what it has, those first that have been dialled most often.
    fn make_room(&mut self, newcomer: Origin) -> bool {
        self.known.retain(|_, known| known.state != State::Over);
        if self.known.len() < REMEMBERED {
            return true;
        }
        let all: Vec<SocketAddr> = self.known.keys().copied().collect();
        let holder = |(address, known): (&SocketAddr, &Known)| Holder {
            origin: Origin::of(address.ip()),
            worth: matches!(known.state, State::Due(_)).then_some(()),
        };
        let holders: Vec<_> = self.known.iter().map(holder).collect();
        let Some(crowded) = makes_way(&holders, newcomer).and_then(|goes| holders.get(goes)) else { return false };
        let of_crowded = all.iter().zip(&holders).filter(|(_, holder)| holder.origin == crowded.origin && holder.worth.is_some());
        let mut go: Vec<SocketAddr> = of_crowded.map(|(address, _)| *address).collect();
        go.sort_by_key(|address| self.known.get(address).map(|known| std::cmp::Reverse(known.dialled)));
        go.truncate(1 + go.len() / 10);
        self.known.retain(|address, _| !go.contains(address));
        true
    }

    /// An address to dial now. It is busy then.
    pub fn next(&mut self, now: Instant) -> Option<SocketAddr> {
        let address = self.due(now)?;
        if let Some(known) = self.known.get_mut(&address) {
            known.state = State::Busy;
            known.dialled += 1;
        }
        Some(address)
    }

    /// The address that [`Addresses::next`] would return, which stays as it is: one of the origin
    /// with the fewest that are busy, and of those the one that has waited longest.
    pub fn due(&self, now: Instant) -> Option<SocketAddr> {
        let mut busy: HashMap<Origin, usize> = HashMap::new();
        for (address, _) in self.known.iter().filter(|(_, known)| known.state == State::Busy) {
            *busy.entry(Origin::of(address.ip())).or_default() += 1;
        }
        let due = self.known.iter().filter_map(|(address, known)| match known.state {
            State::Due(time) if time <= now => Some((busy.get(&Origin::of(address.ip())).copied().unwrap_or(0), time, *address)),
            _ => None,
        });
        due.min().map(|(_, _, address)| address)
    }

    /// It could not even be tried; it is due at once.
    pub fn put_back(&mut self, address: SocketAddr, now: Instant) {
        if let Some(known) = self.known.get_mut(&address) {
            known.state = State::Due(now);
            known.dialled = known.dialled.saturating_sub(1);
        }
    }

    /// The connection is over. One that was of use is dialled again as if it were
    /// new; one that was not, later and later, and at last no more. A peer that we had
    /// `met` is there: it gets one early second chance, whatever came before, since some
    /// hang up only to go on in another state. What follows is as long as for the others.
    pub fn ended(&mut self, address: SocketAddr, met: bool, was_useful: bool, now: Instant) {
        let retry = self.retry;
        self.knocked(address, met);
        if let Some(known) = self.known.get_mut(&address).filter(|known| known.state == State::Busy) {
            if was_useful {
                (known.dialled, known.forgiven) = (1, false);
            }
            let again = known.dialled <= MOST_RETRIES;
            let pause = if met && !known.forgiven {
                known.forgiven = true;
                retry / 8
            } else {
                // The early chance is not counted among the failures.
                let failures = known.dialled.saturating_sub(1 + u32::from(known.forgiven));
                retry * 2u32.pow(failures.min(MOST_RETRIES))
            };
            known.state = if again { State::Due(now + pause) } else { State::Over };
        }
    }

    /// There is a peer at this IP: others at it are worth dialling.
    pub fn answered(&mut self, ip: IpAddr) {
        self.knocks.answered(ip);
    }

    /// Notes whether there was a peer at an address that has been dialled. If an IP has many
    /// ports and a peer at none, those that have not been dialled are forgotten. They may be
    /// found again once somebody from there has answered.
    fn knocked(&mut self, address: SocketAddr, met: bool) {
        let ip = address.ip();
        if met {
            return self.answered(ip);
        }
        if self.known.get(&address).is_some_and(|known| known.dialled == 1) {
            self.knocks.in_vain(ip);
        }
        if self.knocks.is_enough(ip) {
            let origin = Origin::of(ip);
            self.known.retain(|other, known| Origin::of(other.ip()) != origin || known.dialled > 0);
        }
    }

    /// Nothing will ever come of it: it is ourselves, or a peer we have already.
    pub fn forget(&mut self, address: SocketAddr) {
        if let Some(known) = self.known.get_mut(&address) {
            known.state = State::Over;
        }
    }

    /// A peer that listens there has gone: if we had given the address up because it was
    /// here, it can be dialled again.
    pub fn revive(&mut self, address: SocketAddr, now: Instant) {
        self.revive_at(now + self.retry, address);
    }

    /// The peer that we took for the one at this address has gone, and may have been
    /// another: the address is dialled again soon.
    pub fn was_no_double(&mut self, address: SocketAddr, now: Instant) {
        let soon = now + self.retry / 8;
        if matches!(self.known.get(&address), Some(Known { state: State::Due(time), .. }) if *time > soon) {
            self.forget(address);
        }
        self.revive_at(soon, address);
    }

    /// The peer at this address is here already, or another that uses its name. It is dialled a few
    /// more times, each after a pause in which the other one could have ended.
    pub fn may_be_a_double(&mut self, address: SocketAddr, now: Instant) {
        let again = State::Due(now + UNPROVED * self.retry);
        if let Some(known) = self.known.get_mut(&address).filter(|known| known.state == State::Busy) {
            known.state = if known.dialled <= MOST_RETRIES { again } else { State::Over };
        }
    }

    fn revive_at(&mut self, time: Instant, address: SocketAddr) {
        let banned = self.is_banned(address);
        if let Some(known) = self.known.get_mut(&address).filter(|known| known.state == State::Over && !banned) {
            *known = Known { state: State::Due(time), dialled: 1, forgiven: false, ..*known };
        }
    }

    /// It has sent bad data.
    pub fn ban(&mut self, address: SocketAddr) {
        self.bans.add(address);
        self.forget(address);
        // With the last one, the others of the IP are over, too: they may be found again if it
        // comes to be let in again.
        let over: Vec<SocketAddr> = self.known.keys().copied().filter(|known| self.is_banned(*known)).collect();
        self.known.retain(|known, _| self.bans.has(*known) || !over.contains(known));
    }

    /// It has completed this many pieces, and they are verified.
    pub fn brought(&mut self, address: SocketAddr, pieces: u32) {
        if pieces > 0 {
            self.bans.credit(address, pieces);
            self.known.entry(address).and_modify(|known| known.proved = true);
        }
    }

    /// Whether this very address is banned.
    pub fn has_lied(&self, address: SocketAddr) -> bool {
        self.bans.has(address)
    }

    /// Whether nobody is let in from there: it is banned, or others of its IP are and it has not
    /// proved itself. Peers that are connected already stay.
    pub fn is_banned(&self, address: SocketAddr) -> bool {
        let proved = self.known.get(&address).is_some_and(|known| known.proved);
        self.bans.has(address) || self.bans.bar(address) && !proved
    }

    /// Whether every address has been dialled twice, or is not dialled any more.
    pub fn all_tried_twice(&self) -> bool {
        self.known.values().all(|known| known.state == State::Over || known.dialled >= 2)
    }

    /// Whether no address can be dialled, now or later, and none is busy.
    pub fn is_hopeless(&self) -> bool {
        self.known.values().all(|known| known.state == State::Over)
    }

    /// When the next address is due, and which it is.
    pub fn next_due(&self) -> Option<(Instant, SocketAddr)> {
        let due = |(address, known): (&SocketAddr, &Known)| match known.state {
            State::Due(time) => Some((time, *address)),
            _ => None,
        };
        self.known.iter().filter_map(due).min()
    }

    /// How many are remembered.
    pub fn count(&self) -> usize {
        self.known.len()
    }

    /// Whether none is known at all.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Each that is remembered.
    pub fn all(&self) -> impl Iterator<Item = SocketAddr> {
        self.known.keys().copied()
    }
}
