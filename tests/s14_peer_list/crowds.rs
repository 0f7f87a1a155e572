//! Random crowds, and what must hold in each of them at any time.

use piecemeal::s04_handshake::origin::Origin;
use piecemeal::s14_peer_list::addresses::{Addresses, Found};
use piecemeal::s14_peer_list::places::{Activity, Aims, Contenders, Member, Places};
use piecemeal::s14_peer_list::sharing::next_in_turn;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const RETRY: Duration = Duration::from_secs(15);
const AIMS: Aims = Aims { learning: false, gives_only: false };
/// Newcomers come for this long, and after that for a few times as long nobody new is named.
const NAMING: u64 = 300;
const SECONDS: u64 = 6000;
/// No dial and no peer takes longer, in seconds.
const MAX_DIAL: u64 = 6;
const MAX_STAY: u64 = 20;

struct Peer {
    number: u32,
    address: SocketAddr,
    dialed: bool,
    activity: Option<Activity>,
    until: u64,
}

struct Crowd {
    dice: StdRng,
    book: Addresses,
    places: Places,
    max_places: usize,
    taken: Vec<Peer>,
    lobby: Vec<SocketAddr>,
    /// Each new address, and when it was named.
    named: BTreeMap<SocketAddr, u64>,
    dialed: BTreeSet<SocketAddr>,
    numbers: u32,
    /// The longest time from the name to the first dial.
    longest: u64,
    start: Instant,
    second: u64,
}

fn origin(address: SocketAddr) -> Origin {
    Origin::of(address.ip())
}

impl Crowd {
    fn new(seed: u64) -> Crowd {
        let mut dice = StdRng::seed_from_u64(seed);
        Crowd {
            max_places: dice.random_range(1..9),
            dice,
            book: Addresses::new(RETRY),
            places: Places::default(),
            taken: Vec::new(),
            lobby: Vec::new(),
            named: BTreeMap::new(),
            dialed: BTreeSet::new(),
            numbers: 0,
            longest: 0,
            start: Instant::now(),
            second: 0,
        }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_secs(self.second)
    }

    fn one_in(&mut self, chances: u32) -> bool {
        self.dice.random_range(0..chances) == 0
    }

    /// Few IPs, so that they get in each other's way, and one of them with many ports.
    fn address(&mut self) -> SocketAddr {
        let host = self.dice.random_range(1..12);
        let ports = if host == 1 { 60 } else { 6 };
        SocketAddr::from(([192, 0, 2, host], self.dice.random_range(1..=ports)))
    }

    fn held(&self) -> Vec<Origin> {
        self.taken.iter().map(|peer| origin(peer.address)).collect()
    }

    fn count(&self, of: Origin) -> usize {
        self.held().into_iter().filter(|held| *held == of).count()
    }

    /// Peers are named and dial us; those with a place give, lie, or leave.
    fn happen(&mut self) {
        if self.second < NAMING && self.one_in(3) {
            let (address, now) = (self.address(), self.now());
            if self.book.found(address, now) == Found::New {
                self.named.insert(address, self.second);
            }
        }
        if self.one_in(4) {
            let address = self.address();
            self.lobby.push(SocketAddr::new(address.ip(), address.port() + 1000));
        }
        if self.lobby.len() > 20 {
            self.lobby.remove(0);
        }
        for number in self.taken.iter().map(|peer| peer.number).collect::<Vec<_>>() {
            let Some(at) = self.taken.iter().position(|peer| peer.number == number) else {
                continue;
            };
            match self.dice.random_range(0..40) {
                0 if self.taken[at].activity.is_some() => {
                    let address = self.taken[at].address;
                    self.book.ban(address);
                    self.end(at);
                }
                1..20 => self.give(at),
                _ if self.taken[at].until <= self.second => {
                    // A dial to the first IP fails, and some others do.
                    let address = self.taken[at].address;
                    let fails = self.taken[at].activity.is_none()
                        && (address.ip() == SocketAddr::from(([192, 0, 2, 1], 1)).ip()
                            || self.one_in(5));
                    if fails || self.taken[at].activity.is_some() {
                        self.end(at)
                    } else {
                        self.connect(at)
                    }
                }
                _ => {}
            }
        }
    }

    fn give(&mut self, at: usize) {
        let (now, bytes) = (self.now(), self.dice.random_range(1..1000));
        let peer = &mut self.taken[at];
        if let Some(activity) = &mut peer.activity {
            (activity.bytes, activity.last_useful) = (activity.bytes + bytes, Some(now));
            self.book.brought(peer.address, u32::from(bytes > 900));
        }
    }

    fn connect(&mut self, at: usize) {
        let stay = self.dice.random_range(0..MAX_STAY);
        let (now, second, wants) = (self.now(), self.second, self.one_in(2));
        let activity = Activity {
            since: now,
            last_useful: None,
            bytes: 0,
            am_interested: wants,
            peer_interested: false,
        };
        (self.taken[at].activity, self.taken[at].until) = (Some(activity), second + stay);
        self.book.answered(self.taken[at].address.ip());
    }

    fn end(&mut self, at: usize) {
        let (peer, now) = (self.taken.remove(at), self.now());
        if peer.dialed {
            let bytes = peer.activity.map_or(0, |activity| activity.bytes);
            self.book.ended(peer.address, peer.activity.is_some(), bytes > 0, now);
        }
    }

    fn take(&mut self, address: SocketAddr, dialed: bool) {
        assert!(!self.book.is_banned(address), "{address} is banned, and gets a place");
        self.numbers += 1;
        let until = self.second + self.dice.random_range(1..MAX_DIAL);
        self.taken.push(Peer { number: self.numbers, address, dialed, activity: None, until });
        if !dialed {
            self.connect(self.taken.len() - 1);
        }
    }

    fn contenders(&self) -> (Option<usize>, Contenders) {
        let line: Vec<Origin> = self.lobby.iter().map(|address| origin(*address)).collect();
        let waits = next_in_turn(&line, self.held());
        (
            waits,
            Contenders {
                waits: waits.map(|at| line[at]),
                named: self.book.due(self.now()).map(origin),
            },
        )
    }

    fn fill(&mut self) {
        loop {
            let book = &self.book;
            self.lobby.retain(|address| !book.is_banned(*address));
            let (waits, contenders) = self.contenders();
            if self.taken.len() < self.max_places {
                let receives = self.places.lobby_first(&self.held(), contenders);
                self.places.note_filled(!receives);
                match waits.filter(|_| receives) {
                    Some(at) => {
                        let address = self.lobby.remove(at);
                        self.take(address, false);
                    }
                    None => {
                        let Some(address) = self.book.next(self.now()) else { return };
                        if self.dialed.insert(address) {
                            let waited = self.second - self.named[&address];
                            self.longest = self.longest.max(waited);
                        }
                        self.take(address, true);
                    }
                }
            } else {
                let member = |peer: &Peer| Member {
                    number: peer.number,
                    origin: origin(peer.address),
                    activity: peer.activity,
                };
                let members: Vec<Member> = self.taken.iter().map(member).collect();
                let goes = self.places.who_leaves(&members, contenders, AIMS, RETRY, self.now());
                let Some((number, _)) = goes else { return };
                let at = self
                    .taken
                    .iter()
                    .position(|peer| peer.number == number)
                    .expect("it has a place");
                assert!(self.taken[at].activity.is_some(), "it is being dialed");
                self.end(at);
            }
        }
    }

    /// What must hold once all have been served.
    fn check(&self) {
        let what = format!("after {} s", self.second);
        assert!(self.taken.len() <= self.max_places, "{what}: too many");
        if self.taken.len() < self.max_places {
            assert!(
                self.lobby.is_empty() && self.book.due(self.now()).is_none(),
                "{what}: a place is free, and others wait"
            );
        }
        for waits in self.lobby.iter().map(|address| origin(*address)) {
            for peer in self.taken.iter().filter(|peer| peer.activity.is_some()) {
                let (more, fewer) = (self.count(origin(peer.address)), self.count(waits));
                assert!(
                    more < fewer + 2,
                    "{what}: {} has {more} places, {waits:?} waits and has {fewer}",
                    peer.address
                );
            }
        }
    }

    fn play(mut self) {
        for second in 0..SECONDS {
            self.second = second;
            self.happen();
            self.fill();
            self.check();
        }
        // All that are named, one after the other, in all places: each takes a dial and a stay at most.
        let most = self.named.len() as u64 * (MAX_DIAL + MAX_STAY) / self.max_places as u64;
        assert!(
            self.longest <= most,
            "one was dialed after {} s, {most} s are enough",
            self.longest
        );
        for address in self.named.keys().filter(|address| !self.dialed.contains(address)) {
            let left_alone = self.book.all().all(|known| known != *address);
            let (barred, now) = (self.book.is_banned(*address), self.now());
            let nobody = left_alone && self.book.found(*address, now) == Found::NobodyThere;
            assert!(barred || nobody, "{address} was never dialed: {} were", self.dialed.len());
        }
        assert!(self.dialed.len() > 20, "{} were dialed", self.dialed.len());
    }
}

#[test]
fn in_any_crowd_places_are_shared_and_everybody_is_dialed_in_time() {
    for seed in 0..20 {
        println!("seed {seed}");
        Crowd::new(seed).play();
    }
}
