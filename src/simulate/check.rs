//! What must hold after every event, whatever the rules: checked in debug builds.
//!
//! A simulator that is wrong does not fail; it prints a plot. So each event is followed by the
//! checks that cost little, and now and then by all of them.

use super::peer::NONE;
use super::swarm::Swarm;
use crate::s05_messages::bitfield::{Bitfield, PeerPieces};

/// After this many events everything is checked; after the others, one peer.
const FULL: u64 = 4096;
/// What may be lost by adding up a million numbers.
const ROUNDING: f64 = 1e-6;

impl Swarm<'_> {
    /// Checks everything that must hold after an event.
    ///
    /// # Panics
    /// If the simulator is wrong.
    pub(super) fn check(&self, event: u64) {
        assert!(self.again.is_empty(), "something is left to be tried");
        if !event.is_multiple_of(FULL) {
            // One peer in turn, so that each is looked at often.
            let count = self.peers.len() as u64;
            if let Some(peer) = event.checked_rem(count) {
                check_peer(self, peer as u32);
            }
            return;
        }
        (0..self.peers.len() as u32).for_each(|peer| check_peer(self, peer));
        let given: f64 = self.peers.iter().map(|peer| peer.account.given).sum();
        let taken: f64 = self.peers.iter().map(|peer| peer.account.taken).sum();
        let off = (given - taken).abs();
        assert!(off <= ROUNDING * (1.0 + given), "{given} bytes are given, and {taken} are taken");
        let leechers = self.peers.iter().filter(|peer| peer.here && peer.done.is_none()).count();
        assert_eq!(self.books.leechers, leechers as u64, "peers that are not done");
    }
}

fn check_peer(swarm: &Swarm, number: u32) {
    let peer = swarm.peer(number);
    if !peer.here {
        assert_eq!(peer.links.count(), 0, "peer {number} has left, and is connected");
        return;
    }
    let pieces = &swarm.pieces[number as usize];
    let (waiting, on_loan, done) = peer.board.counts();
    assert_eq!(waiting + on_loan + done, swarm.setup.pieces as usize, "every piece is somewhere");
    assert_eq!(on_loan, peer.loans.active().count(), "peer {number}: the board and the loans");
    let mut flowing = 0;
    for (link, our) in peer.links.iter() {
        let theirs = swarm.peer(our.to).links.get(our.back);
        assert_eq!((theirs.to, theirs.back), (number, link), "both ends of a connection agree");
        assert!(theirs.is_here(), "the other end is there");
        assert_eq!(our.flags.flowing, our.loan != NONE, "what flows is a piece");
        assert!(!our.flags.flowing || theirs.flags.unchoked, "what flows needs a slot");
        let offers = swarm.offers(our.to, our.back);
        let waits =
            words(offers, peer.board.waiting()).any(|(offered, waits)| offered & waits != 0);
        assert!(
            our.flags.flowing || !waits || !swarm.could_give(number, link),
            "peer {number} could fetch something from {} and does not",
            our.to
        );
        flowing += u32::from(our.flags.flowing);
        let wanted: u32 = match pieces {
            PeerPieces::All => 0,
            PeerPieces::Some(have) => {
                words(offers, have).map(|(offered, has)| (offered & !has).count_ones()).sum()
            }
        };
        // Spare bits of a seed's words are ones.
        let spare = if matches!((offers, pieces), (PeerPieces::All, PeerPieces::Some(_))) {
            swarm.setup.pieces.div_ceil(64) * 64 - swarm.setup.pieces
        } else {
            0
        };
        assert_eq!(our.wanted, wanted - spare, "peer {number} wants from {}", our.to);
    }
    assert_eq!(flowing, peer.links.flowing, "peer {number}: the number of flows");
    check_line(swarm, number);
}

/// Both sets, 64 pieces at a time.
fn words<'b>(offers: &'b PeerPieces, other: &'b Bitfield) -> impl Iterator<Item = (u64, u64)> + 'b {
    let offered = |at: usize| match offers {
        PeerPieces::All => u64::MAX,
        PeerPieces::Some(pieces) => pieces.words().get(at).copied().unwrap_or(0),
    };
    other.words().iter().enumerate().map(move |(at, word)| (offered(at), *word))
}

/// A line carries no more than it can, in either direction, and slots are not exceeded.
fn check_line(swarm: &Swarm, number: u32) {
    let (peer, class) = (swarm.peer(number), swarm.class(number));
    let up: f64 = peer
        .links
        .given_to
        .iter()
        .map(|link| {
            let our = peer.links.get(*link);
            swarm.peer(our.to).links.get(our.back).rate
        })
        .sum();
    assert!(up <= class.up * (1.0 + ROUNDING), "peer {number} gives {up} of {} B/s", class.up);
    let down: f64 = peer.links.iter().map(|(_, our)| our.rate).sum();
    assert!(down <= class.down * (1.0 + ROUNDING), "peer {number} takes {down} B/s");
}
