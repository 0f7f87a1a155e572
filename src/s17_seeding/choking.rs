//! Choking: who gets something now, and who waits.
//!
//! Pure functions over what is known of the peers, so that each rule can be tried on its
//! own. The slots are dealt out every 10 s.
//!
//! * **A download trades** ([`decide`]). The peers that lately gave us most get the slots. That is
//!   what makes giving worthwhile. A peer that snubs us by giving nothing for a minute comes behind
//!   all others.
//! * **A seed gives in turn** ([`take_turns`]). It needs nothing, so it has nothing to trade for.
//!   The peers that have waited longest get the slots, for three rounds each. Where its giving is
//!   limited, a peer that takes much more than the others makes room sooner ([`is_ahead`]): turns
//!   of the same length would give most to the quickest line.
//! * **One slot is for luck** in both ("optimistic unchoke"). It goes to somebody at
//!   random, for 30 s. Newcomers have nothing to give yet, and get three tickets each.
//!   A download finds better partners this way, and a newcomer its first piece.
//! * **A peer that is not interested** gets no slot: it would not use it. A peer that has a slot
//!   and makes no use of it comes behind those that wait.

use std::cmp::Reverse;
use std::time::Duration;

/// How often the slots are dealt out.
pub const ROUND: Duration = Duration::from_secs(10);
/// For how many rounds a peer keeps a seed's slot. TCP needs a few seconds to find its speed; a
/// slot that is lost within a round was spent on little else.
pub const TURN: u32 = 3;
/// For how many rounds a lucky peer keeps its slot.
pub const LUCKY_ROUNDS: u32 = 3;
/// A peer that has given nothing for this long snubs us.
pub const SNUBBED: Duration = Duration::from_secs(60);
/// A peer that came more recently than this is a newcomer.
pub const NEWCOMER: Duration = Duration::from_secs(60);
/// A newcomer's tickets in the draw; others have one.
const TICKETS: usize = 3;

/// What matters about a peer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// It wants something.
    pub interested: bool,
    /// It has a slot now.
    pub unchoked: bool,
    /// Rounds begun since it got this slot, including the one that begins now.
    pub rounds: u32,
    /// Bytes in the last two rounds: given to us or, if we seed, taken.
    pub bytes: u64,
    /// It has had a slot for a round or more, and nothing has come of it.
    pub idle: bool,
    /// It has given nothing for [`SNUBBED`], while we lack pieces.
    pub snubs: bool,
    /// It came less than [`NEWCOMER`] ago.
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

/// A peer, and its place in the slice that we are given.
type Ranked<'p> = (usize, &'p Standing);

/// Deals out the slots by the rule of a seed, or by that of a download.
pub fn deal(
    seeding: bool,
    peers: &[Standing],
    slots: usize,
    lucky: Option<usize>,
    draw: impl FnMut(usize) -> usize,
) -> Decision {
    let rule = if seeding { take_turns } else { decide };
    rule(peers, slots, lucky, draw)
}

/// Deals out a download's slots. The first of `peers` has waited longest. `lucky` has the slot for
/// luck, and keeps it if still in the draw; `draw` draws a number below its argument.
pub fn decide(
    peers: &[Standing],
    slots: usize,
    lucky: Option<usize>,
    draw: impl FnMut(usize) -> usize,
) -> Decision {
    let Some(by_merit) = slots.checked_sub(1) else { return Decision::default() };
    let mut ranked = interested(peers);
    // Among equals, a peer that has a slot keeps it; then the longest wait comes first.
    ranked.sort_by_key(|(_, peer)| (peer.snubs, Reverse(peer.bytes), peer.idle, !peer.unchoked));
    let (chosen, others) = ranked.split_at(by_merit.min(ranked.len()));
    let stays = lucky.filter(|number| others.iter().any(|(other, _)| other == number));
    let lucky = stays.or_else(|| draw_one(others, draw));
    let unchoked = chosen.iter().map(|(number, _)| *number).chain(lucky).collect();
    Decision { unchoked, lucky }
}

/// Deals out a seed's slots; the arguments are those of [`decide`].
///
/// What a peer took does not decide who is next. The peers that take fastest are the ones
/// with the fastest lines, not those that pass most on.
pub fn take_turns(
    peers: &[Standing],
    slots: usize,
    lucky: Option<usize>,
    draw: impl FnMut(usize) -> usize,
) -> Decision {
    let has_turn = |(number, peer): &Ranked| {
        peer.unchoked && !peer.idle && (peer.rounds < TURN || lucky == Some(*number))
    };
    let (mut chosen, mut others): (Vec<Ranked>, Vec<Ranked>) =
        interested(peers).into_iter().partition(has_turn);
    chosen.truncate(slots);
    // First those that wait. A peer whose turn is over keeps its slot only if nobody needs it; of
    // several such slots, the one held longest goes first.
    others.sort_by_key(|(_, peer)| (peer.idle, peer.rounds));
    let waiting = others.iter().filter(|(_, peer)| !peer.unchoked).count();

    let lucky = lucky.filter(|number| chosen.iter().any(|(other, _)| other == number));
    let free = slots - chosen.len();
    // A seed with a single slot has none for luck: no peer could be sure of a turn.
    let draws = lucky.is_none() && slots > 1 && (1..waiting).contains(&free);
    let by_wait = if draws { free - 1 } else { free.min(others.len()) };
    let hat = others.get(by_wait..waiting).filter(|_| draws);
    let drawn = hat.and_then(|hat| draw_one(hat, draw));
    chosen.extend(others.iter().take(by_wait));
    let unchoked = chosen.iter().map(|(number, _)| *number).chain(drawn).collect();
    Decision { unchoked, lucky: lucky.or(drawn) }
}

/// Returns whether a peer that lately took this many bytes from a seed must make room for those
/// that wait: it took more than 1.5 times the average. `all` is what each peer took, this one
/// included. Peers that took nothing do not count. Otherwise those that only pretend to be
/// interested could have all the others choked.
pub fn is_ahead(took: u64, all: &[u64]) -> bool {
    let takers = all.iter().filter(|took| **took > 0).count() as u64;
    2 * took * takers > 3 * all.iter().sum::<u64>()
}

/// Returns the peers that want something, in their order.
fn interested(peers: &[Standing]) -> Vec<Ranked<'_>> {
    peers.iter().enumerate().filter(|(_, peer)| peer.interested).collect()
}

/// Draws one of these peers, if there is any.
fn draw_one(peers: &[Ranked], mut draw: impl FnMut(usize) -> usize) -> Option<usize> {
    let tickets = |(number, peer): &Ranked| {
        std::iter::repeat_n(*number, if peer.newcomer { TICKETS } else { 1 })
    };
    let hat: Vec<usize> = peers.iter().flat_map(tickets).collect();
    if hat.is_empty() { None } else { hat.get(draw(hat.len())).copied() }
}
