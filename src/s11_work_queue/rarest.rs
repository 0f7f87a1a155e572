//! Finds the rarest waiting piece without looking at all of them.
//!
//! **Skip at first reading.** A loop over all pieces gives the same answers. This pays off from
//! about 10,000 pieces: with a million, a claim takes 1 µs, and the loop some milliseconds.
//!
//! If all peers fetched the pieces in order, they would all have the first and none the last, and
//! the torrent would die with its only seed. So the piece that the fewest peers have goes first,
//! and among equals a random one.
//!
//! The waiting pieces are kept in one array that is always sorted, coarsely, by class:
//!
//! ```text
//! order   | begun | no one | 1 peer | 2 peers | ...        | 30 and more |
//!         ^       ^        ^        ^
//! starts  0       1        2        3
//! ```
//! When a count changes by one, the piece swaps places with the first or last of its class and
//! the border moves over it: one step, however many pieces there are. Seeds are not counted,
//! because they change nothing in the order.

use crate::s05_messages::bitfield::Bitfield;

/// The dice: returns a number below the one it is given, which is never 0.
pub type Draw<'d> = &'d mut dyn FnMut(usize) -> usize;

/// The number of classes: begun, 0 to 29 peers, 30 and more. Pieces that many peers have are not
/// rare, and need no order among themselves.
const CLASSES: usize = 32;
/// The class of pieces that were begun. It comes before even the rarest.
const BEGUN: usize = 0;
/// The position of a piece that is not waiting.
const NOWHERE: u32 = u32::MAX;
/// The most pieces of one class to look at before the search goes on to the next.
const MAX_LOOKS: usize = 64;
/// The number of words, of 64 pieces each, to compare in one turn at the lock.
pub const WORDS_A_TURN: usize = 256;

/// The waiting pieces, rarest first.
///
/// Three views of the same set: `order` to find a piece by rarity, `position` to find it in
/// `order`, and `set` to compare it with a peer's bitfield, 64 pieces at a time.
pub struct Waiting {
    /// The waiting pieces, class by class. Within a class in no order.
    order: Vec<u32>,
    /// Class `c` is `order[starts[c]..starts[c + 1]]`.
    starts: [usize; CLASSES + 1],
    /// The position of each piece in `order`.
    position: Vec<u32>,
    /// The number of partial peers that have each piece, waiting or not: a piece on loan may come
    /// back, and must then have its right place.
    counts: Vec<u16>,
    /// The waiting pieces that were begun, and that any peer may go on with.
    begun: Bitfield,
    /// The same pieces as in `order`, a bit each.
    set: Bitfield,
}

impl Waiting {
    /// Starts with those pieces waiting for which `waits` is true. No peer has any yet.
    pub fn new(pieces: u32, waits: impl Fn(u32) -> bool) -> Waiting {
        let mut order = Vec::with_capacity(pieces as usize);
        order.extend((0..pieces).filter(|piece| waits(*piece)));
        let mut position = vec![NOWHERE; pieces as usize];
        let mut set = Bitfield::new(pieces);
        for (at, piece) in (0..).zip(&order) {
            position[*piece as usize] = at;
            set.set(*piece, true);
        }
        // Class 0 is empty and class 1 holds them all, so the others are empty as well.
        let mut starts = [order.len(); CLASSES + 1];
        (starts[0], starts[1]) = (0, 0);
        let (counts, begun) = (vec![0; pieces as usize], Bitfield::new(pieces));
        Waiting { order, starts, position, counts, begun, set }
    }

    /// Whether no piece waits.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The number of waiting pieces.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// The waiting pieces, in their order in the torrent.
    pub fn pieces(&self) -> &Bitfield {
        &self.set
    }

    /// Whether this piece waits.
    pub fn has(&self, piece: u32) -> bool {
        self.set.has(piece)
    }

    /// The number of partial peers that have this piece.
    pub fn holders(&self, piece: u32) -> u16 {
        self.counts.get(piece as usize).copied().unwrap_or(0)
    }

    /// Puts back a piece that was on loan.
    pub fn insert(&mut self, piece: u32, begun: bool) {
        self.begun.set(piece, begun);
        self.set.set(piece, true);
        // It enters as the last piece of the last class, and moves down from there: 31 swaps at
        // most, where inserting it in the middle would move all pieces behind it.
        self.position[piece as usize] = self.order.len() as u32;
        self.order.push(piece);
        self.starts[CLASSES] += 1;
        for class in (self.class(piece)..CLASSES - 1).rev() {
            self.move_down(piece, class + 1);
        }
    }

    /// Removes a piece that goes on loan.
    pub fn remove(&mut self, piece: u32) {
        for class in self.class(piece)..CLASSES - 1 {
            self.move_up(piece, class);
        }
        // It is in the last class now, and the last of that can be taken off.
        self.swap(piece, self.order.len() - 1);
        self.order.pop();
        self.starts[CLASSES] -= 1;
        self.position[piece as usize] = NOWHERE;
        self.set.set(piece, false);
        self.begun.set(piece, false);
    }

    /// Counts one more partial peer that has the piece.
    pub fn count_up(&mut self, piece: u32) {
        let before = self.class(piece);
        self.counts[piece as usize] = self.counts[piece as usize].saturating_add(1);
        if self.class(piece) != before && self.position[piece as usize] != NOWHERE {
            self.move_up(piece, before);
        }
    }

    /// Counts one fewer partial peer that has the piece.
    pub fn count_down(&mut self, piece: u32) {
        let before = self.class(piece);
        self.counts[piece as usize] = self.counts[piece as usize].saturating_sub(1);
        // Beyond 30 peers the class stays the same, and there is nothing to move.
        if self.class(piece) != before && self.position[piece as usize] != NOWHERE {
            self.move_down(piece, before);
        }
    }

    /// The class that a piece belongs to by its count, whether or not it waits.
    fn class(&self, piece: u32) -> usize {
        if self.begun.has(piece) {
            return BEGUN;
        }
        (1 + usize::from(self.counts[piece as usize])).min(CLASSES - 1)
    }

    /// Moves a piece to the next class: it becomes the last of its own, and the border passes it.
    fn move_up(&mut self, piece: u32, class: usize) {
        self.swap(piece, self.starts[class + 1] - 1);
        self.starts[class + 1] -= 1;
    }

    /// Moves a piece to the class before: it becomes the first of its own, and the border
    /// passes it.
    fn move_down(&mut self, piece: u32, class: usize) {
        self.swap(piece, self.starts[class]);
        self.starts[class] += 1;
    }

    /// Swaps a waiting piece with the one at this place in `order`, which may be itself.
    fn swap(&mut self, piece: u32, to: usize) {
        let from = self.position[piece as usize] as usize;
        let other = self.order[to];
        self.order.swap(from, to);
        self.position[other as usize] = from as u32;
        self.position[piece as usize] = to as u32;
    }

    /// Finds a piece that `fits`, in the lowest class in which a short search finds one. Without
    /// `begun_too`, only pieces that are not begun count. `None` does not mean that nothing fits:
    /// of a large class, only 64 pieces are examined, from a random place on. An empty class is
    /// passed over without rolling the dice.
    pub fn find(&self, begun_too: bool, fits: impl Fn(u32) -> bool, draw: Draw) -> Option<u32> {
        let lowest = if begun_too { BEGUN } else { BEGUN + 1 };
        self.starts.windows(2).skip(lowest).find_map(|borders| {
            let class = &self.order[borders[0]..borders[1]];
            if class.is_empty() {
                return None;
            }
            // From a random place, or all threads would want the same piece, and all peers would
            // have the same ones. Both halves: from `start` to the end, and then from the front.
            // Without the second half, pieces at the front would be found less often than the
            // others, and a start near the end would look at hardly any.
            let start = draw(class.len());
            let around = class[start..].iter().chain(&class[..start]);
            around.take(MAX_LOOKS).copied().find(|piece| fits(*piece))
        })
    }

    /// Finds any waiting piece that the peer has, in [`WORDS_A_TURN`] words from `word` on. This
    /// finds what [`Waiting::find`] misses in a class of thousands if the peer has only a few of
    /// them.
    pub fn find_from(&self, pieces: &Bitfield, word: usize) -> Option<u32> {
        // 64 pieces a step: those that wait, and that the peer has.
        let words = self.set.words().iter().zip(pieces.words()).enumerate();
        let mut both =
            words.skip(word).take(WORDS_A_TURN).map(|(word, (waiting, has))| (word, waiting & has));
        let (word, both) = both.find(|(_, both)| *both != 0)?;
        Some(word as u32 * 64 + both.leading_zeros()) // the first piece is the highest bit
    }
}
