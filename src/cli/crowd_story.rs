//! Plays a crowd against stage 14: its rules decide, and this carries them out. (stage 14)

mod filling;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use piecemeal::s04_handshake::origin::Origin;
use piecemeal::s11_work_queue::PeerNumber;
use piecemeal::s14_peer_list::addresses::{Addresses, Found};
use piecemeal::s14_peer_list::places::{Activity, Aims, Places};
use rand::RngExt;

use super::Answer;
use super::crowd::{Again, Crowd, Fault, Visit};
use super::crowd_moves::{Move, Named, Teller};
use super::crowd_table::{Fate, Row, answer};

/// The pause after a failed address, and the turn of the slowest, as in a download.
const RETRY: Duration = Duration::from_secs(15);
/// Seconds until the tracker is asked again.
const ANNOUNCE: u64 = 300;
/// When the tracker's first answer is here. Some peers have heard of us before that.
const FIRST_ANSWER: u64 = 10;
/// Seconds that a dial to nobody takes. A dial to a peer takes one.
const CONNECT: u64 = 5;
/// Seconds that a peer waits in the lobby. When it has gone, it dials us again after as many.
const PATIENCE: u64 = 60;
/// What an honest peer's verified piece has in bytes.
const PIECE: u64 = 256 * 1024;
/// We download, and have the info dictionary.
const AIMS: Aims = Aims { learning: false, gives_only: false };

/// A place that is taken.
struct TakenPlace {
    number: PeerNumber,
    /// Its peer's position in the crowd.
    peer: usize,
    /// Nothing until the connection is made, or has failed.
    connected: Option<(Activity, Visit)>,
    /// When the dial began, or the connection was made.
    since: u64,
}

/// A connection that waits for a place.
struct WaitingConnection {
    peer: usize,
    since: u64,
}

/// The crowd, and what we know of it.
pub struct Story {
    crowd: Crowd,
    addresses: Addresses,
    places: Places,
    taken: Vec<TakenPlace>,
    max_places: usize,
    lobby: Vec<WaitingConnection>,
    next_number: PeerNumber,
    start: Instant,
    second: u64,
    teller: Teller,
}

impl Story {
    /// The crowd at the beginning, before anybody has a place.
    pub fn new(crowd: Crowd, max_places: usize, as_json: bool) -> Story {
        Story {
            crowd,
            addresses: Addresses::new(RETRY),
            places: Places::default(),
            taken: Vec::new(),
            max_places,
            lobby: Vec::new(),
            next_number: 0,
            start: Instant::now(),
            second: 0,
            teller: Teller { as_json },
        }
    }

    /// Plays this many seconds, prints a line for each move, and returns what became of everybody.
    pub fn tell(mut self, seconds: u64) -> Answer {
        for second in 0..seconds {
            self.second = second;
            if second % ANNOUNCE == FIRST_ANSWER {
                self.announce();
            }
            self.move_on();
            self.arrive();
            self.fill();
        }
        self.second = seconds;
        for place in self.taken.iter().filter(|place| place.connected.is_some()) {
            self.crowd.peers[place.peer].tally.seconds += seconds - place.since;
        }
        let rows = (0..self.crowd.peers.len())
            .map(|peer| Row { fate: self.fate(peer), peer: &self.crowd.peers[peer] });
        answer(rows.collect(), seconds, self.max_places)
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_secs(self.second)
    }

    fn say(&self, what: Move) {
        self.teller.tell(self.second, &what);
    }

    fn address(&self, peer: usize) -> SocketAddr {
        self.crowd.peers[peer].address
    }

    fn origin(&self, peer: usize) -> Origin {
        Origin::of(self.address(peer).ip())
    }

    /// The tracker names everybody that does not dial us.
    fn announce(&mut self) {
        let (mut named, now) = (Named::default(), self.now());
        for (peer, place) in self.crowd.peers.iter().filter(|peer| !peer.dials_us).zip(0..) {
            // The order of the answer is the order of dialing, as long as nothing else counts.
            let count = match self.addresses.found(peer.address, now + Duration::from_micros(place))
            {
                Found::New => &mut named.new,
                Found::Known => &mut named.known,
                Found::Banned => &mut named.banned,
                Found::NobodyThere => &mut named.nobody_there,
                Found::NoRoom | Found::NoPort => &mut named.no_room,
            };
            *count += 1;
        }
        self.say(Move::Named(named));
    }

    /// What the peers with a place do in this second.
    fn move_on(&mut self) {
        let numbers: Vec<PeerNumber> = self.taken.iter().map(|place| place.number).collect();
        for number in numbers {
            let Some(at) = self.taken.iter().position(|place| place.number == number) else {
                continue;
            };
            let (peer, since) = (self.taken[at].peer, self.taken[at].since);
            match self.taken[at].connected {
                None if self.crowd.peers[peer].answers(self.second) => self.connect(at),
                None if self.second >= since + CONNECT => self.fail(at),
                None => {}
                Some((_, visit)) if visit.lies_at.is_some_and(|lies| lies <= self.second) => {
                    self.ban(at)
                }
                Some((_, visit)) if visit.leaves_at <= self.second => self.leave(at),
                Some((_, visit)) if visit.gives_from.is_some_and(|gives| gives <= self.second) => {
                    self.give(at)
                }
                Some(_) => {}
            }
        }
    }

    fn connect(&mut self, at: usize) {
        let (now, second) = (self.now(), self.second);
        let Crowd { peers, dice } = &mut self.crowd;
        let peer = &mut peers[self.taken[at].peer];
        peer.tally.connected += 1;
        let wants = peer.fault != Fault::Idle;
        let activity = Activity {
            since: now,
            last_useful: None,
            bytes: 0,
            am_interested: wants,
            peer_interested: false,
        };
        let address = peer.address;
        self.taken[at].connected = Some((activity, peer.visit(second, dice)));
        self.taken[at].since = second;
        self.addresses.answered(address.ip());
        if !self.crowd.peers[self.taken[at].peer].dials_us {
            self.say(Move::Connects(address));
        }
    }

    fn give(&mut self, at: usize) {
        let now = self.now();
        let place = &mut self.taken[at];
        let (Some((activity, _)), peer) = (&mut place.connected, &mut self.crowd.peers[place.peer])
        else {
            return;
        };
        let pieces = (activity.bytes + peer.rate) / PIECE - activity.bytes / PIECE;
        (activity.bytes, activity.last_useful) = (activity.bytes + peer.rate, Some(now));
        peer.tally.bytes += peer.rate;
        // No piece of a liar is ever right.
        if peer.fault != Fault::Liars {
            self.addresses.brought(peer.address, pieces as u32);
        }
    }

    fn fail(&mut self, at: usize) {
        let address = self.address(self.taken[at].peer);
        let before = self.addresses.count();
        let again = self.end(at);
        self.say(Move::Fails { address, again });
        let removed = before - self.addresses.count();
        if removed > 0 {
            self.say(Move::LeftAlone { ip: address.ip(), removed });
        }
    }

    fn leave(&mut self, at: usize) {
        let peer = self.taken[at].peer;
        let again = self.end(at);
        self.crowd.peers[peer].there_from = self.second + self.crowd.dice.random_range(60..240);
        self.say(Move::Leaves { address: self.address(peer), again });
    }

    /// A piece that came from one peer alone is wrong.
    fn ban(&mut self, at: usize) {
        let peer = self.taken[at].peer;
        let address = self.address(peer);
        let (was_barred, before) = (self.is_barred(address.ip()), self.addresses.count());
        self.addresses.ban(address);
        let addresses = &self.addresses;
        let peers = &self.crowd.peers;
        self.lobby.retain(|waiting| !addresses.is_banned(peers[waiting.peer].address));
        let barred =
            (self.is_barred(address.ip()) && !was_barred).then(|| before - self.addresses.count());
        self.end(at);
        self.say(Move::Lies { address, barred });
        // It tries to come back.
        self.crowd.peers[peer].dials_us = true;
        self.crowd.peers[peer].there_from = self.second + PATIENCE;
    }

    /// Whether a new port of this IP would be refused.
    fn is_barred(&self, ip: IpAddr) -> bool {
        self.addresses.is_banned(SocketAddr::new(ip, 1))
    }

    /// Frees a place; returns when the peer may have one again.
    fn end(&mut self, at: usize) -> Again {
        let place = self.taken.remove(at);
        let (now, second, start) = (self.now(), self.second, self.start);
        let peer = &mut self.crowd.peers[place.peer];
        let met = place.connected.is_some();
        let useful = place.connected.is_some_and(|(activity, _)| activity.bytes > 0);
        if met {
            peer.tally.seconds += second - place.since;
        }
        if peer.dials_us {
            peer.there_from = second + PATIENCE;
            return Again::DialsUs;
        }
        let again = match self.addresses.ended(peer.address, met, useful, now) {
            // The first whole second at which it is due.
            Some(due) => Again::At((due - start).as_millis().div_ceil(1000) as u64),
            None => Again::Never,
        };
        peer.tally.again = Some(again);
        again
    }

    /// Peers dial us, and others that have waited for long hang up.
    fn arrive(&mut self) {
        let (second, peers) = (self.second, &mut self.crowd.peers);
        let mut moves = Vec::new();
        self.lobby.retain(|waiting| {
            let stays = second < waiting.since + PATIENCE;
            if !stays {
                peers[waiting.peer].there_from = second + PATIENCE;
                moves.push(Move::GoesAway(peers[waiting.peer].address));
            }
            stays
        });
        for (number, peer) in peers
            .iter_mut()
            .enumerate()
            .filter(|(_, peer)| peer.dials_us && peer.there_from == second)
        {
            if self.addresses.is_banned(peer.address) {
                moves.push(Move::Refused {
                    address: peer.address,
                    lied: self.addresses.has_ban(peer.address),
                });
            } else {
                moves.push(Move::DialsUs {
                    address: peer.address,
                    waits: self.taken.len() == self.max_places,
                });
                self.lobby.push(WaitingConnection { peer: number, since: second });
            }
        }
        moves.into_iter().for_each(|what| self.say(what));
    }

    fn fate(&self, peer: usize) -> Fate {
        let address = self.address(peer);
        let place = self.taken.iter().find(|place| place.peer == peer);
        match (place, self.crowd.peers[peer].tally.again) {
            (Some(place), _) if place.connected.is_none() => Fate::Dialed,
            (Some(_), _) => Fate::HasPlace,
            _ if self.addresses.has_ban(address) => Fate::Banned,
            _ if self.addresses.is_banned(address) => Fate::Barred,
            _ if self.lobby.iter().any(|waiting| waiting.peer == peer) => Fate::Waits,
            (None, Some(Again::At(at))) => Fate::DialedAgain(at),
            (None, Some(Again::Never)) => Fate::GivenUp,
            _ if self.addresses.all().any(|known| known == address) => Fate::Due,
            _ if self.crowd.peers[peer].dials_us => Fate::Gone,
            _ => Fate::LeftAlone,
        }
    }
}
