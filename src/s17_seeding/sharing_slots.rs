//! Slots are shared by address, when others wait for one.
//!
//! The choker looks at connections, and a stranger can have many of those. This has the last
//! word: an address with several slots gives one up to an address that has none. The rule
//! is that of stage 14's `sharing`.
//!
//! Five slots; A, B, C and D are addresses, and each letter is a connection:
//!
//! ```text
//!   the choker's decision    A A A A B     waiting, the longest wait first: A A C D
//!   A's turn                 A A A A B     it has the most already
//!   C's turn                 A A A C B     A has 4, C none: A gives one up
//!   D's turn                 A A D C B     A has 3, D none
//! ```

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use crate::s04_handshake::origin::Origin;
use crate::s14_peer_list::sharing::{Holder, makes_way};

/// One peer's claim.
pub struct Claim {
    /// What its slot counts against.
    pub origin: Origin,
    /// It wants something.
    pub interested: bool,
    /// What its slot is worth: bytes that have lately gone over its connection.
    pub moved: u64,
    /// Since when it waits for a slot, or has one.
    pub since: Instant,
}

/// Whether one of these addresses comes twice. Mostly none does, and nothing need be known of the
/// peers that wait.
pub fn has_two(origins: impl Iterator<Item = Origin>) -> bool {
    let mut origins: Vec<Origin> = origins.collect();
    let count = origins.len();
    origins.sort_unstable();
    origins.dedup();
    origins.len() < count
}

/// Evens out the choker's decision: peers at these positions have a slot. Nothing changes if no
/// address has two slots; [`has_two`] says so sooner.
pub fn share_slots(unchoked: &mut [usize], peers: &[Claim]) {
    // A peer that is not interested waits for nothing, even if its wait would be the longest.
    let waits = |position: &usize| peers.get(*position).is_some_and(|peer| peer.interested);
    let mut waiting: Vec<usize> =
        (0..peers.len()).filter(waits).filter(|position| !unchoked.contains(position)).collect();
    waiting.sort_by_key(|position| peers.get(*position).map(|peer| peer.since));
    // They take turns: the first of each address, then the second of each.
    let mut before: HashMap<Origin, usize> = HashMap::new();
    waiting.sort_by_cached_key(|position| {
        let before = peers.get(*position).map(|peer| before.entry(peer.origin).or_default());
        before.map(|before| std::mem::replace(before, *before + 1))
    });
    // Of hundreds that wait, most come from addresses that have been looked at.
    let mut have_enough = HashSet::new();
    for position in waiting {
        let Some(newcomer) = peers.get(position).filter(|peer| !have_enough.contains(&peer.origin))
        else {
            continue;
        };
        // Of an address's slots, one that is not used goes first, then the slowest, then the one
        // held longest.
        let holder = |peer: &Claim| Holder {
            origin: peer.origin,
            worth: Some((peer.interested, peer.moved, peer.since)),
        };
        let holders: Vec<_> =
            unchoked.iter().filter_map(|position| peers.get(*position)).map(holder).collect();
        match makes_way(&holders, newcomer.origin).and_then(|goes| unchoked.get_mut(goes)) {
            Some(slot) => *slot = position,
            None => drop(have_enough.insert(newcomer.origin)),
        }
    }
}
