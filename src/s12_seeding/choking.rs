//! Choking: who gets something now, and who waits.
//!
//! A pure function over what is known of the peers, so that each rule can be tried by
//! itself. The rules are those of the original client:
//!
//! * **Reciprocation.** Every 10 s the peers that have given us most lately get the
//!   slots. That is what makes giving worth while. A seed, which needs nothing, prefers
//!   those that take fastest: what they have got, they can pass on.
//! * **One slot is for luck** ("optimistic unchoke"). It goes to somebody at random, for
//!   30 s. Newcomers, who have nothing to give yet, get three tickets each. How else
//!   would one find a better partner?
//! * **Who snubs us** (nothing for a minute) comes behind all others.
//! * **Who is not interested** gets no slot: it would stand empty. Who has one and makes
//!   nothing of it comes behind those that wait, the longest first.

use std::cmp::Reverse;
use std::time::Duration;

/// How often the slots are dealt out anew.
pub const ROUND: Duration = Duration::from_secs(10);
/// For how many rounds the lucky one keeps its slot.
pub const LUCKY_ROUNDS: u32 = 3;
/// Who has given nothing for so long, snubs us.
pub const SNUBBED: Duration = Duration::from_secs(60);
/// Who has come less long ago is a newcomer.
pub const NEWCOMER: Duration = Duration::from_secs(60);
/// A newcomer's tickets in the draw; others have one.
const TICKETS: usize = 3;

/// What counts of one peer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// It wants something.
    pub interested: bool,
    /// It has a slot now.
    pub unchoked: bool,
    /// Bytes in the last two rounds: that it gave us or, if we seed, took.
    pub bytes: u64,
    /// It has had a slot for a round or more, and nothing has come of it.
    pub idle: bool,
    /// It has given nothing for [`SNUBBED`], while we lack pieces.
    pub snubs: bool,
    /// It has come less than [`NEWCOMER`] ago.
    pub newcomer: bool,
}

/// Who has a slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// The peers that get one, in no particular order.
    pub unchoked: Vec<usize>,
    /// Which of them got it by luck.
    pub lucky: Option<usize>,
}

/// Deals out the slots to `peers`, of whom those come first that have waited longest.
/// `lucky` has the slot for luck, and keeps it if it still may; `draw` draws a number
/// below the one it is given.
pub fn decide(peers: &[Standing], slots: usize, lucky: Option<usize>, mut draw: impl FnMut(usize) -> usize) -> Decision {
    let Some(by_merit) = slots.checked_sub(1) else { return Decision::default() };
    let interested = peers.iter().enumerate().filter(|(_, peer)| peer.interested);
    let mut ranked: Vec<(usize, &Standing)> = interested.collect();
    // Among equals, who has a slot keeps it, and who has waited longest comes first.
    ranked.sort_by_key(|(_, peer)| (peer.snubs, Reverse(peer.bytes), peer.idle, !peer.unchoked));
    let (chosen, others) = ranked.split_at(by_merit.min(ranked.len()));
    let mut unchoked: Vec<usize> = chosen.iter().map(|(number, _)| *number).collect();

    let stays = lucky.filter(|number| others.iter().any(|(other, _)| other == number));
    let lucky = stays.or_else(|| {
        let tickets = |(number, peer): &(usize, &Standing)| std::iter::repeat_n(*number, if peer.newcomer { TICKETS } else { 1 });
        let hat: Vec<usize> = others.iter().flat_map(tickets).collect();
        if hat.is_empty() { None } else { hat.get(draw(hat.len())).copied() }
    });
    unchoked.extend(lucky);
    Decision { unchoked, lucky }
}
