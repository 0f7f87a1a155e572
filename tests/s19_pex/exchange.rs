//! One peer's side: what it is told and when, and what is read of what it says.

use super::super::support::{assert_chosen, assert_wire};
use piecemeal::s03_tracker::PeerId;
use piecemeal::s07_extension::extension::{Extension, Reply};
use piecemeal::s19_pex::message::{PexFlags, PexMessage};
use piecemeal::s19_pex::{Gossip, INTERVAL, MAX_TOLD, Neighbor, UtPex};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const CLAUSE: &str = "BEP 11, peer exchange";

fn at(text: &str) -> SocketAddr {
    text.parse().expect("it is an address")
}

/// Who is connected; the test changes it.
#[derive(Clone, Default)]
struct Crowd(Arc<Mutex<Vec<Neighbor>>>);

impl Crowd {
    fn of(addresses: &[&str]) -> Crowd {
        let crowd = Crowd::default();
        crowd.set(addresses);
        crowd
    }

    fn set(&self, addresses: &[&str]) {
        let neighbor = |(place, address): (usize, &&str)| Neighbor {
            address: at(address),
            peer_id: PeerId([place as u8; 20]),
            flags: PexFlags::REACHABLE,
        };
        *self.0.lock().expect("one thread") = addresses.iter().enumerate().map(neighbor).collect();
    }

    /// Peer exchange with a peer of this address, and the peer id of no other.
    fn with(&self, peer: &str) -> UtPex {
        let crowd = self.clone();
        let gossip = Gossip::new(move || crowd.0.lock().expect("one thread").clone());
        UtPex::new(gossip, at(peer), PeerId([200; 20]))
    }
}

/// What is sent at this time.
fn told(pex: &mut UtPex, now: Instant) -> Option<PexMessage> {
    let mut reply = Reply::default();
    pex.tick(now, &mut reply);
    assert!(reply.plain.is_empty() && reply.lost.is_empty() && reply.send.len() < 2);
    let message = reply.send.first()?;
    Some(PexMessage::decode(message).expect("it is bencode"))
}

fn added(message: &PexMessage) -> Vec<String> {
    message.added.iter().map(|(address, _)| address.to_string()).collect()
}

#[test]
fn the_first_message_has_all_and_the_next_what_has_changed() {
    let (crowd, start) = (Crowd::of(&["192.0.2.7:1", "192.0.2.8:1"]), Instant::now());
    let mut pex = crowd.with("192.0.2.1:1");
    let mut reply = Reply::default();
    pex.tick(start, &mut reply);
    let first = b"d5:added12:\xc0\x00\x02\x07\0\x01\xc0\x00\x02\x08\0\x017:added.f2:\x10\x10e";
    assert_wire(&reply.send.concat(), first, CLAUSE);
    // Nobody is told anything before a minute has passed.
    crowd.set(&["192.0.2.8:1", "192.0.2.9:1"]);
    let minute = start + INTERVAL;
    assert!(told(&mut pex, minute - Duration::from_millis(1)).is_none());
    let second = told(&mut pex, minute).expect("there is news");
    let why = "it is what has changed since the first message";
    assert_chosen("added a minute later", added(&second), ["192.0.2.9:1"], why, CLAUSE);
    assert_chosen("dropped", &second.dropped[..], [at("192.0.2.7:1")], why, CLAUSE);
    // No news, no message. One that has gone and come back in between is no news either.
    crowd.set(&["192.0.2.9:1", "192.0.2.8:1"]);
    assert!(told(&mut pex, minute + INTERVAL).is_none());
}

#[test]
fn until_there_is_somebody_to_tell_of_it_looks_each_time_that_a_session_is_idle() {
    let (crowd, start) = (Crowd::default(), Instant::now());
    let mut pex = crowd.with("192.0.2.1:1");
    assert!(told(&mut pex, start).is_none());
    crowd.set(&["192.0.2.7:1"]);
    // An idle session looks every two seconds.
    assert!(told(&mut pex, start + Duration::from_secs(2)).is_some(), "as soon as it is idle");
}

#[test]
fn nobody_is_told_of_itself_or_of_peers_that_it_cannot_reach() {
    let all = [
        "192.0.2.1:1",
        "8.8.8.8:1",
        "192.168.1.7:1",
        "127.0.0.2:1",
        "[fe80::1]:1",
        "[2001:db8::7]:1",
    ];
    let rows: [(&str, &[&str]); 4] = [
        ("192.0.2.1:1", &["8.8.8.8:1", "[2001:db8::7]:1"]),
        ("9.9.9.9:1", &["8.8.8.8:1", "192.0.2.1:1", "[2001:db8::7]:1"]),
        (
            "192.168.1.9:1",
            &["8.8.8.8:1", "192.0.2.1:1", "192.168.1.7:1", "[2001:db8::7]:1", "[fe80::1]:1"],
        ),
        (
            "127.0.0.3:1",
            &[
                "8.8.8.8:1",
                "127.0.0.2:1",
                "192.0.2.1:1",
                "192.168.1.7:1",
                "[2001:db8::7]:1",
                "[fe80::1]:1",
            ],
        ),
    ];
    for (peer, expected) in rows {
        let mut pex = Crowd::of(&all).with(peer);
        let told = told(&mut pex, Instant::now()).expect("there is news");
        let what = format!("of all that we are connected to, for {peer}");
        let why = "it can reach these, and it is none of them";
        assert_chosen(&what, &added(&told)[..], expected, why, CLAUSE);
    }
    // It may be listed under another address: then its peer id shows who it is.
    let crowd = Crowd::of(&["192.0.2.7:1", "192.0.2.8:1"]);
    let own = crowd.clone();
    let gossip = Gossip::new(move || own.0.lock().expect("one thread").clone());
    let mut pex = UtPex::new(gossip, at("192.0.2.1:1"), PeerId([1; 20]));
    let told = told(&mut pex, Instant::now()).expect("there is news");
    let why = "the other one has its peer id, so it is the peer itself";
    assert_chosen("for 192.0.2.1:1", added(&told), ["192.0.2.7:1"], why, CLAUSE);
}

#[test]
fn a_message_has_fifty_at_most_and_the_rest_follows() {
    let crowd: Vec<String> = (0..120).map(|n| format!("198.18.0.{n}:1")).collect();
    let crowd: Vec<&str> = crowd.iter().map(String::as_str).collect();
    let (all, mut now) = (Crowd::of(&crowd), Instant::now());
    let mut pex = all.with("192.0.2.1:1");
    let mut sizes = Vec::new();
    for round in 0..6 {
        if round == 3 {
            all.set(&[]);
        }
        let message = told(&mut pex, now).expect("there is news");
        sizes.push((message.added.len(), message.dropped.len()));
        now += INTERVAL;
    }
    let expected = [(50, 0), (50, 0), (20, 0), (0, 50), (0, 50), (0, 20)];
    let why = "120 peers come, and later they go: the numbers added and dropped in each message";
    assert_chosen("how many", sizes, expected, why, CLAUSE);
    assert_eq!(MAX_TOLD, 50);
}
