//! Another way in than TCP, and what is put around the connections that come in.

use super::super::support::{Gate, LIMIT, Must, Torrent, Verdict, insist, insist_eq, jitter};
use super::giver::{BOTH, Giver};
use super::listener::{connect_from, gone, is_hung_up_on, listening_with, loopback, met_over};
use super::net::Talk;
use super::rules::staying;
use piecemeal::s04_handshake::HandshakeError;
use piecemeal::s04_handshake::transport::{ReadHalf, Transport, pair};
use piecemeal::s15_swarm::Event;
use piecemeal::s17_seeding::accept::Accept;
use piecemeal::s17_seeding::listener::Listener;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// A way in without a network.
#[derive(Default)]
struct Lane {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    connections: VecDeque<Transport>,
    closed: bool,
}

impl Accept for Lane {
    fn accept(&self) -> io::Result<Transport> {
        let nothing = |queue: &mut Queue| queue.connections.is_empty() && !queue.closed;
        let queue = self.changed.wait_while(jitter::lock(&self.queue), nothing);
        let mut queue = queue.map_err(|_| ErrorKind::Other)?;
        queue.connections.pop_front().ok_or(ErrorKind::NotConnected.into())
    }

    fn close(&self) {
        jitter::lock(&self.queue).closed = true;
        self.changed.notify_all();
    }
}

impl Lane {
    /// Comes in from 10.9.0.`host`.
    fn connect(&self, host: u8) -> Talk {
        self.connect_to(host, |ours| ours)
    }

    /// The same; our end is changed first.
    fn connect_to(&self, host: u8, change: impl FnOnce(Transport) -> Transport) -> Talk {
        let at = |host: u8| SocketAddr::from(([10, 9, 0, host], 50_000));
        let (mut ours, theirs) = pair(1 << 16, at(0), at(host));
        // The listener has to set its own, which is earlier.
        ours.set_deadline(Instant::now() + Duration::from_secs(3600));
        jitter::lock(&self.queue).connections.push_back(change(ours));
        self.changed.notify_all();
        Talk::over(theirs)
    }
}

fn host(transport: &Transport) -> u8 {
    match transport.peer {
        SocketAddr::V4(peer) => peer.ip().octets()[3],
        SocketAddr::V6(_) => 0,
    }
}

/// Reads 600 bytes, all of them 7, before anything else.
fn reads_first(mut transport: Transport) -> Result<Transport, HandshakeError> {
    let mut first = [0; 600];
    transport.read_exact(&mut first)?;
    if first == [7; 600] { Ok(transport) } else { Err(HandshakeError::HungUp) }
}

/// A seed that can be reached over TCP and by a lane, for as long as `client` runs.
#[track_caller]
fn with_a_lane(
    torrent: &Torrent,
    change: impl FnOnce(Listener) -> Listener,
    client: impl FnOnce(&Lane, SocketAddr) -> Verdict + Send + 'static,
) -> usize {
    let lane = Arc::new(Lane::default());
    let listener = change(loopback().also(Arc::clone(&lane) as Arc<dyn Accept>));
    let way = Arc::clone(&lane);
    let giver = Giver::new(torrent).rules(staying());
    let (ran, _) = listening_with(listener, giver, move |address| client(&way, address));
    assert!(ran.result.is_ok());
    // Nobody waits in the lane any more.
    let begun = Instant::now();
    while Arc::strong_count(&lane) > 1 {
        assert!(begun.elapsed() < LIMIT, "a thread still waits");
        std::thread::sleep(Duration::from_millis(3));
    }
    ran.events.iter().filter(|event| matches!(event, Event::Joined(_))).count()
}

/// Says hello as a peer with this number, and takes a piece.
fn takes_a_piece(talk: Talk, number: u8, torrent: &Torrent) -> Verdict {
    let mut talk = met_over(talk, BOTH, torrent, [number; 20])?;
    talk.admitted().must("there is room")?;
    talk.takes_piece(torrent, 3).must("it gives")
}

#[test]
fn who_comes_another_way_is_a_peer_like_any_other() {
    let torrent = Torrent::sample();
    let content = torrent.clone();
    let joined = with_a_lane(
        &torrent,
        |listener| listener,
        move |lane, address| {
            takes_a_piece(lane.connect(1), 1, &content)?;
            takes_a_piece(connect_from(1, address)?, 2, &content)
        },
    );
    assert_eq!(joined, 2);
}

#[test]
fn what_is_put_around_a_connection_reads_first_and_holds_up_nobody_else() {
    let (torrent, begun) = (Torrent::sample(), Gate::default());
    let (content, gate) = (torrent.clone(), begun.clone());
    let wrap = move |transport: Transport| {
        if host(&transport) != 1 {
            return Ok(transport);
        }
        gate.open();
        reads_first(transport)
    };
    let joined = with_a_lane(
        &torrent,
        |listener| listener.through(Box::new(wrap)),
        move |lane, _| {
            let mut slow = lane.connect(1);
            slow.send(&[7; 599]).must("it listens")?;
            begun.opens()?;
            takes_a_piece(lane.connect(2), 2, &content)?;
            slow.send(&[7]).must("it waits for this")?;
            takes_a_piece(slow, 1, &content)
        },
    );
    assert_eq!(joined, 2);
}

#[test]
fn a_connection_that_nothing_can_be_put_around_is_hung_up_on_without_a_word() {
    let (torrent, reached) = (Torrent::sample(), Gate::default());
    let (content, gate) = (torrent.clone(), reached.clone());
    let inner = |transport: Transport| match host(&transport) {
        1 => Err(HandshakeError::HungUp),
        _ => Ok(transport),
    };
    let outer = move |transport: Transport| {
        if host(&transport) == 1 {
            gate.open();
        }
        reads_first(transport)
    };
    let joined = with_a_lane(
        &torrent,
        |listener| listener.through(Box::new(inner)).through(Box::new(outer)),
        move |lane, _| {
            is_hung_up_on(&mut lane.connect(1))?;
            insist!(!reached.is_open(), "what fails inside gets no further");
            let mut good = lane.connect(2);
            good.send(&[7; 600]).must("it listens")?;
            takes_a_piece(good, 2, &content)?;
            // The outer one refuses it.
            let mut wrong = lane.connect(3);
            wrong.send(&[8; 600]).must("it listens")?;
            is_hung_up_on(&mut wrong)
        },
    );
    assert_eq!(joined, 1);
}

/// A reader whose clock is fast: ten seconds take a fifth of one.
struct Hurried(Box<dyn ReadHalf>);

impl Read for Hurried {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl ReadHalf for Hurried {
    fn set_deadline(&mut self, deadline: Instant) {
        let left = deadline.saturating_duration_since(Instant::now());
        self.0.set_deadline(Instant::now() + left / 50);
    }

    fn has_ended(&self) -> bool {
        self.0.has_ended()
    }
}

#[test]
fn what_waits_in_vain_around_a_connection_is_ended_by_the_deadline_of_the_handshake() {
    let (torrent, late) = (Torrent::sample(), Gate::default());
    let gate = late.clone();
    let wrap = move |transport: Transport| {
        reads_first(transport).inspect_err(|error| {
            if matches!(error, HandshakeError::Io(error) if error.kind() == ErrorKind::TimedOut) {
                gate.open();
            }
        })
    };
    let joined = with_a_lane(
        &torrent,
        |listener| listener.through(Box::new(wrap)),
        move |lane, _| {
            let hurried =
                |ours: Transport| Transport { reader: Box::new(Hurried(ours.reader)), ..ours };
            let mut silent = lane.connect_to(1, hurried);
            is_hung_up_on(&mut silent)?;
            // It was the deadline. That may be noted a moment after the hang-up.
            late.opens()
        },
    );
    assert_eq!(joined, 0);
}

#[test]
fn when_too_many_wait_to_have_something_put_around_them_one_of_them_goes() {
    let torrent = Torrent::sample();
    let content = torrent.clone();
    with_a_lane(
        &torrent,
        |listener| listener.through(Box::new(reads_first)),
        move |lane, _| {
            let mut silent: Vec<Talk> = (0..128).map(|_| lane.connect(1)).collect();
            let mut last = lane.connect(1);
            last.send(&[7; 600]).must("it listens")?;
            takes_a_piece(last, 200, &content)?;
            for talk in &mut silent {
                // A hang-up may already be known here.
                let _ = talk.send(&[7; 600]);
            }
            insist_eq!(gone(&mut silent, &content), 1);
            Ok(())
        },
    );
}
