//! An IP with many ports and nobody at any of them, and one with a swarm behind it.

use piecemeal::s14_peer_list::addresses::{Addresses, Found};
use piecemeal::s14_peer_list::failed_ports::MAX_FAILED_PORTS;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Dials all that is due, and only the given port answers; returns how many were dialed.
fn dial_all(book: &mut Addresses, answers: Option<u16>) -> usize {
    let mut dialed = 0;
    while let Some(address) = book.next(Instant::now()) {
        dialed += 1;
        book.ended(address, answers == Some(address.port()), false, Instant::now());
    }
    dialed
}

#[test]
fn an_address_with_many_ports_and_nobody_at_any_is_left_alone() {
    let at = |port: u16| SocketAddr::from(([192, 0, 2, 1], port));
    let elsewhere: SocketAddr = "192.0.2.2:6881".parse().expect("an address");
    let retry = Duration::from_secs(3600);
    let mut book = Addresses::new(retry);
    (2000..2200).for_each(|port| {
        book.found(at(port), Instant::now());
    });
    book.found(elsewhere, Instant::now());
    let dialed = dial_all(&mut book, None);
    assert!(dialed as u32 <= MAX_FAILED_PORTS + 1, "{dialed} were dialed");
    assert_eq!(book.found(at(3000), Instant::now()), Found::NobodyThere);
    assert_eq!(dial_all(&mut book, None), 0, "no more of it");
    // A peer from there has dialed us: those that were removed may be found again.
    book.answered(at(50_000).ip());
    book.found(at(3001), Instant::now());
    book.found(at(2199), Instant::now());
    assert_eq!(dial_all(&mut book, None), 2);
    // A swarm on one address: there is a peer at one of the first ports, and so all are tried.
    let mut book = Addresses::new(retry);
    (2000..2100).for_each(|port| {
        book.found(at(port), Instant::now());
    });
    assert_eq!(dial_all(&mut book, Some(2010)), 100);
}
