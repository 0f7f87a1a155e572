//! Places are shared by address: the one rule for everything that can be full.
//!
//! A peer id costs nothing, and neither does another connection. An address costs something: an
//! IPv4 address, or the /64 of an IPv6 address ([`Origin`]). So whenever places are short (those of
//! a swarm, of a listener, of a tracker), they are shared by address, and what one address gets
//! does not depend on how often it tries.
//!
//! While there is room, nothing here applies. Twenty programs on one machine, or a class behind one
//! router, have all the places that they want.
//!
//! The functions are pure. They are told who has a place and who wants one, and return a position
//! in that list. The caller holds the lock and hangs up.
//!
//! * **A peer comes, and all places are taken:** [`makes_way`]. The address with the most places
//!   gives one up, if that leaves it no worse off than the newcomer's.
//! * **No address has too many, but others wait:** [`first_to_go`], one at a time, after a pause
//!   that the caller chooses.
//! * **A place is free:** [`next_in_turn`] among those that wait.

use std::collections::HashMap;

use crate::s04_handshake::origin::Origin;

/// A peer, an address or a guest that has a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder<W> {
    /// What its place counts against.
    pub origin: Origin,
    /// What its place is worth; the least goes first. It may be a rate, or the time of its arrival
    /// where the oldest is to go. `None` if it stays in any case.
    pub worth: Option<W>,
}

/// Returns the position of the holder that makes way for a newcomer from this address. All places
/// are taken.
///
/// It belongs to the address with the most places, and is worth least of those. `None` if no
/// address has at least two more than the newcomer's. To take a place from an address with only one
/// more would turn the inequality round, and the next to come would turn it back.
pub fn makes_way<W: Ord>(holders: &[Holder<W>], newcomer: Origin) -> Option<usize> {
    let position = first_to_go(holders)?;
    let held = |origin: Origin| holders.iter().filter(|holder| holder.origin == origin).count();
    let most = held(holders.get(position)?.origin);
    (most > held(newcomer) + 1).then_some(position)
}

/// Returns the position of the holder that goes if one has to. Of the addresses that could give up
/// a place, the one with the most places loses the one that is worth least. Among addresses with
/// the same number, worth alone decides.
pub fn first_to_go<W: Ord>(holders: &[Holder<W>]) -> Option<usize> {
    let held = count(holders.iter().map(|holder| holder.origin));
    let places = |origin: &Origin| held.get(origin).copied().unwrap_or(0);
    let could_go = holders.iter().enumerate().filter(|(_, holder)| holder.worth.is_some());
    let goes = could_go.max_by(|(_, one), (_, other)| {
        let by_places = places(&one.origin).cmp(&places(&other.origin));
        by_places.then_with(|| other.worth.cmp(&one.worth))
    });
    goes.map(|(position, _)| position)
}

/// Returns the position of the next one in a line that begins with the longest wait. It belongs to
/// the address with the fewest places.
pub fn next_in_turn(line: &[Origin], holders: impl IntoIterator<Item = Origin>) -> Option<usize> {
    let held = count(holders);
    let next =
        line.iter().enumerate().min_by_key(|(_, origin)| held.get(origin).copied().unwrap_or(0));
    next.map(|(position, _)| position)
}

fn count(origins: impl IntoIterator<Item = Origin>) -> HashMap<Origin, usize> {
    let mut held = HashMap::new();
    origins.into_iter().for_each(|origin| *held.entry(origin).or_default() += 1);
    held
}
