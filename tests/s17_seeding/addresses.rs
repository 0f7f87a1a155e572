//! One address with many connections, and others that want something, too.

use super::super::support::{Must, Torrent, Verdict, insist_eq, wire};
use super::giver::{BOTH, Giver};
use super::listener::{connect_from, gone, listening, met_over};
use super::net::Talk;
use super::rules::staying;
use piecemeal::s04_handshake::origin::Origin;
use piecemeal::s15_swarm::Event;
use piecemeal::s17_seeding::Rules;
use piecemeal::s17_seeding::sharing_slots::{Claim, share_slots};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// A peer at 127.0.0.`host`, met and interested.
#[track_caller]
fn interested(host: u8, number: u8, address: SocketAddr, torrent: &Torrent) -> Verdict<Talk> {
    let mut talk = met_over(connect_from(host, address)?, BOTH, torrent, [number; 20])?;
    talk.interested().must("it listens")?;
    Ok(talk)
}

#[test]
fn an_address_that_has_all_places_gives_one_up_to_another() {
    let torrent = Torrent::sample();
    let content = torrent.clone();
    let mut giver = Giver::new(&torrent).rules(staying());
    giver.plan.max_peers = 8;
    listening(giver, move |address| {
        // More than there are places for: the last ones wait in the lobby.
        // Five have slots, and make something of them.
        let with_slot = |number| {
            let mut talk = interested(1, number, address, &content)?;
            talk.until(wire::UNCHOKE).must("there is room")?;
            talk.takes(&content, 0, 0, 16).must("it gives")?;
            Ok(talk)
        };
        let _first: Vec<Talk> = (1..=5).map(with_slot).collect::<Verdict<_>>()?;
        let _others: Vec<Talk> = (6..=12)
            .map(|number| interested(1, number, address, &content))
            .collect::<Verdict<_>>()?;
        for host in [8, 9] {
            let mut talk = interested(host, host, address, &content)?;
            talk.until(wire::UNCHOKE).must("its address has nothing yet")?;
            (0..5).try_for_each(|piece| talk.takes_piece(&content, piece)).must("it gives")?;
        }
        Ok(())
    });
}

#[test]
fn an_address_that_has_all_slots_gives_one_up_to_another_and_then_no_more() {
    let torrent = Torrent::sample();
    let content = torrent.clone();
    // No round ends before the test does: that would deal the slots out again.
    let giver = Giver::new(&torrent).rules(Rules {
        slots: 3,
        round: Duration::from_secs(3600),
        ..staying()
    });
    listening(giver, move |address| {
        let mut crowd: Vec<Talk> = (1..=3)
            .map(|number| interested(1, number, address, &content))
            .collect::<Verdict<_>>()?;
        for talk in &mut crowd {
            talk.until(wire::UNCHOKE).must("there is room")?;
        }
        // The one that makes nothing of its slot is the one to lose it.
        for number in [0, 2] {
            crowd[number].takes(&content, 0, 0, 16_384).must("it gives")?;
            // A block is counted after it was sent, and before the next one is.
            crowd[number].takes(&content, 0, 0, 16).must("it gives")?;
        }
        let mut other = interested(9, 9, address, &content)?;
        other.until(wire::UNCHOKE).must("its address has nothing yet")?;
        crowd[1].until(wire::CHOKE).must("it is told")?;
        // A second one from there would leave the first address with less.
        let mut second = interested(9, 10, address, &content)?;
        second.request(0, 0, 16).must("it listens")?;
        insist_eq!(second.answer(&content).must("it is refused")?, ((0, 0, 16), false));
        for number in [0, 2] {
            crowd[number].takes(&content, 0, 0, 16).must("it has its slot still")?;
        }
        Ok(())
    });
}

#[test]
fn an_address_that_holds_all_handshakes_loses_one_although_another_is_older() {
    let torrent = Torrent::sample();
    let content = torrent.clone();
    listening(Giver::new(&torrent).rules(staying()), move |address| {
        let oldest = connect_from(8, address)?;
        let mut crowd: Vec<Talk> =
            (0..127).map(|_| connect_from(1, address)).collect::<Verdict<_>>()?;
        let newcomer = interested(9, 9, address, &content)?;
        for mut talk in [met_over(oldest, BOTH, &content, [8; 20])?, newcomer] {
            talk.admitted().must("there is room")?;
            talk.takes(&content, 0, 0, 100).must("it gives")?;
        }
        insist_eq!(gone(&mut crowd, &content), 1);
        Ok(())
    });
}

#[test]
fn a_peer_that_hangs_up_while_it_waits_gets_no_place() {
    let torrent = Torrent::sample();
    let content = torrent.clone();
    let mut giver = Giver::new(&torrent).rules(staying());
    giver.plan.max_peers = 2;
    let (ran, _) = listening(giver, move |address| {
        let mut first = interested(1, 1, address, &content)?;
        let mut second = interested(2, 2, address, &content)?;
        first.until(wire::UNCHOKE).must("there is room")?;
        second.until(wire::UNCHOKE).must("there is room")?;
        // It leaves something to be read.
        drop(interested(9, 9, address, &content)?);
        let mut waits = interested(1, 3, address, &content)?;
        drop(second);
        waits.until(wire::UNCHOKE).must("a place is free")?;
        drop(first);
        Ok(())
    });
    let joined = |event: &Event| matches!(event, Event::Joined(who) if who.ip() == IpAddr::from([127, 0, 0, 9]));
    assert!(!ran.events.iter().any(joined), "{:?}", ran.told());
}

/// `A5 B-3 C0`: peers, longest wait first, each with what has gone over its connection; with `-` it is
/// not interested. Returns which have a slot.
fn shared(peers: &str, mut unchoked: Vec<usize>) -> Vec<usize> {
    let begin = Instant::now();
    let claim = |(position, text): (usize, &str)| Claim {
        origin: Origin::of([192, 0, 2, text.as_bytes()[0]].into()),
        interested: !text.contains('-'),
        moved: text[1..].trim_start_matches('-').parse().expect("a number"),
        since: begin + Duration::from_secs(position as u64),
    };
    let claims: Vec<Claim> = peers.split_whitespace().enumerate().map(claim).collect();
    share_slots(&mut unchoked, &claims);
    unchoked.sort_unstable();
    unchoked
}

#[test]
fn slots_are_evened_out_by_address_and_no_further() {
    for (peers, before, after) in [
        // One address has them all, and another waits: the one that moves least goes.
        ("A9 A5 A7 B0", vec![0, 1, 2], vec![0, 2, 3]),
        // One that wants nothing any more goes first.
        ("A9 A5 A-12 B0", vec![0, 1, 2], vec![0, 1, 3]),
        // Each has its own, or nobody wants anything.
        ("A9 B5 C0 D0", vec![0, 1], vec![0, 1]),
        ("A9 A5 B-0", vec![0, 1], vec![0, 1]),
        ("A9 A5 A0", vec![0, 1], vec![0, 1]),
        // Of those that wait, each address gets one, the longest wait first.
        ("A9 A8 A7 A6 B0 B0 C0", vec![0, 1, 2, 3], vec![0, 1, 4, 6]),
        ("A9 A8 A7 B0 B0 C0", vec![0, 1, 2], vec![0, 3, 5]),
    ] {
        assert_eq!(shared(peers, before.clone()), after, "{peers}, of which {before:?} had slots");
    }
}
