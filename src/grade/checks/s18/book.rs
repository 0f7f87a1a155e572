//! A UDP tracker's book: what it knows, and its answers.

use std::net::SocketAddr;

use crate::actors::tracker::compact;
use crate::actors::udp_tracker::{Deed, action, answer};
use crate::grade::dice::Dice;
use crate::s18_udp_tracker::packet::PROTOCOL_ID;

/// The shortest announce.
pub const ANNOUNCE: usize = 98;

/// What a tracker knows.
#[derive(Debug, Clone)]
pub struct Book {
    /// The connection id that it gives.
    pub id: [u8; 8],
    pub peers: Vec<SocketAddr>,
    /// Seeders, downloads and leechers: the order of a scrape's answer.
    pub counts: [u32; 3],
}

impl Book {
    /// Returns a book with these peers; its connection id and its counts are random.
    pub fn new(dice: &mut Dice, peers: &[SocketAddr]) -> Book {
        let mut id = [0; 8].map(|_: u8| dice.number(0, 255) as u8);
        // Negative for a program that takes it for a number with a sign.
        id[0] |= 0x80;
        let counts = [0; 3].map(|_: u32| dice.number(2, 90_000) as u32);
        Book { id, peers: peers.to_vec(), counts }
    }

    /// Returns the answer to a packet, as a good tracker gives it. What is no request gets none.
    pub fn answer(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let known = packet.get(..8)? == self.id;
        match action(packet)? {
            0 => (packet.get(..8)? == PROTOCOL_ID.to_be_bytes()).then(|| self.reply(packet))?,
            _ if !known => Some(answer(packet, 3, b"this connection id is unknown: connect first")),
            _ => self.reply(packet),
        }
    }

    /// Returns an answer to a packet whatever its connection id is.
    pub fn reply(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let numbers =
            |all: &[u32]| all.iter().flat_map(|one| one.to_be_bytes()).collect::<Vec<_>>();
        let [seeders, _, leechers] = self.counts;
        match action(packet)? {
            0 if packet.len() >= 16 => Some(answer(packet, 0, &self.id)),
            1 if packet.len() >= ANNOUNCE => {
                let rest = [numbers(&[1800, leechers, seeders]), compact(&self.peers)].concat();
                Some(answer(packet, 1, &rest))
            }
            1 => Some(answer(packet, 3, b"an announce has at least 98 bytes")),
            2 => {
                let torrents = packet.len().saturating_sub(16) / 20;
                Some(answer(packet, 2, &numbers(&self.counts).repeat(torrents)))
            }
            _ => None,
        }
    }

    /// Returns what a tracker does that answers once.
    pub fn deeds(&self, packet: &[u8]) -> Vec<Deed> {
        self.answer(packet).map(Deed::Send).into_iter().collect()
    }
}
