//! Which waiting piece to fetch next: one that was begun, else the rarest.
//!
//! If everybody fetched the pieces in order, everybody would have the first and
//! nobody the last, and when the only seed leaves the torrent is dead. So the piece
//! that fewest peers have goes first, and among equals a random one.
//!
//! A torrent may have a million pieces, and every claim asks this. So the waiting
//! pieces stand in one array that is always sorted, coarsely, by class:
//!
//! ```text
//! order   | begun | nobody | 1 peer | 2 peers | ...        | 30 and more |
//!         ^       ^        ^        ^
//! starts  0       1        2        3
//! ```
//! When a count changes by one, the piece swaps places with the first or last of
//! its class and the border moves over it: one step, however many pieces there are.
//! Peers that have everything are not counted, as they change nothing in the order.

use crate::s05_messages::bitfield::Bitfield;

/// Begun, 0 to 29 peers, 30 and more.
const CLASSES: usize = 32;
const BEGUN: usize = 0;
/// Where a piece is in the order when it is not waiting.
const NOWHERE: u32 = u32::MAX;
/// How many pieces of a class are looked at before the search turns to the words.
const LOOKS: usize = 64;
/// How many words of 64 pieces are compared in one turn at the lock.
pub const WORDS_A_TURN: usize = 256;

/// The pieces a peer has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Have {
    /// Everything: a seed.
    All,
    /// These.
    Some(Bitfield),
}

impl Have {
    /// Whether a piece is among them.
    pub fn has(&self, index: u32) -> bool {
        match self {
            Have::All => true,
            Have::Some(bits) => bits.has(index),
        }
    }
}

/// The waiting pieces, rarest first.
pub struct Waiting {
    order: Vec<u32>,
    /// Class `c` is `order[starts[c]..starts[c + 1]]`.
    starts: [usize; CLASSES + 1],
    /// Where each piece stands in `order`.
    place: Vec<u32>,
    /// How many partial peers have each piece, waiting or not.
    counts: Vec<u16>,
    begun: Bitfield,
    /// The same pieces as in `order`, a bit each.
    set: Bitfield,
}

impl Waiting {
    /// All pieces but those that are done; nobody has any yet.
    pub fn new(pieces: u32, done: &Bitfield) -> Waiting {
        let order: Vec<u32> = (0..pieces).filter(|piece| !done.has(*piece)).collect();
        let mut place = vec![NOWHERE; pieces as usize];
        let mut set = Bitfield::new(pieces);
        for (position, piece) in (0..).zip(&order) {
            place[*piece as usize] = position;
            set.set(*piece, true);
        }
        // Class 0 is empty, class 1 holds them all, and so the rest are empty too.
        let mut starts = [order.len(); CLASSES + 1];
        (starts[0], starts[1]) = (0, 0);
        Waiting { order, starts, place, counts: vec![0; pieces as usize], begun: Bitfield::new(pieces), set }
    }

    /// Whether no piece waits.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// How many pieces wait.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether this piece waits.
    pub fn has(&self, piece: u32) -> bool {
        self.set.has(piece)
    }

    /// A piece that was on loan waits again.
    pub fn insert(&mut self, piece: u32, begun: bool) {
        self.begun.set(piece, begun);
        self.set.set(piece, true);
        // In at the end, as the last of the last class, and then down.
        self.place[piece as usize] = self.order.len() as u32;
        self.order.push(piece);
        self.starts[CLASSES] += 1;
        for class in (self.class(piece)..CLASSES - 1).rev() {
            self.move_down(piece, class + 1);
        }
    }

    /// A waiting piece goes on loan.
    pub fn remove(&mut self, piece: u32) {
        for class in self.class(piece)..CLASSES - 1 {
            self.move_up(piece, class);
        }
        self.swap(piece, self.order.len() - 1);
        self.order.pop();
        self.starts[CLASSES] -= 1;
        self.place[piece as usize] = NOWHERE;
        self.set.set(piece, false);
        self.begun.set(piece, false);
    }

    /// One more partial peer has the piece.
    pub fn count_up(&mut self, piece: u32) {
        let before = self.class(piece);
        self.counts[piece as usize] = self.counts[piece as usize].saturating_add(1);
        if self.class(piece) != before && self.place[piece as usize] != NOWHERE {
            self.move_up(piece, before);
        }
    }

    /// One partial peer less has it.
    pub fn count_down(&mut self, piece: u32) {
        let before = self.class(piece);
        self.counts[piece as usize] = self.counts[piece as usize].saturating_sub(1);
        if self.class(piece) != before && self.place[piece as usize] != NOWHERE {
            self.move_down(piece, before);
        }
    }

    fn class(&self, piece: u32) -> usize {
        if self.begun.has(piece) { BEGUN } else { (1 + usize::from(self.counts[piece as usize])).min(CLASSES - 1) }
    }

    /// From a class to the next: last of its class, and the border passes it.
    fn move_up(&mut self, piece: u32, class: usize) {
        self.swap(piece, self.starts[class + 1] - 1);
        self.starts[class + 1] -= 1;
    }

    /// From a class to the one before: first of its class, and the border passes it.
    fn move_down(&mut self, piece: u32, class: usize) {
        self.swap(piece, self.starts[class]);
        self.starts[class] += 1;
    }

    fn swap(&mut self, piece: u32, position: usize) {
        let from = self.place[piece as usize] as usize;
        let other = self.order[position];
        self.order.swap(from, position);
        self.place[other as usize] = from as u32;
        self.place[piece as usize] = position as u32;
    }

    /// A piece that the peer has, from the lowest class where a short look finds one.
    pub fn find(&self, have: &Have) -> Option<u32> {
        self.find_where(have, |_| true)
    }

    /// The same, but only one that fits.
    pub fn find_where(&self, have: &Have, fits: impl Fn(u32) -> bool) -> Option<u32> {
        self.find_above(BEGUN, |piece| have.has(piece) && fits(piece))
    }

    /// The same, but for pieces that have been begun.
    pub fn find_unbegun(&self, have: &Have) -> Option<u32> {
        self.find_above(BEGUN + 1, |piece| have.has(piece))
    }

    fn find_above(&self, class: usize, fits: impl Fn(u32) -> bool) -> Option<u32> {
        self.starts.windows(2).skip(class).find_map(|borders| {
            let class = &self.order[borders[0]..borders[1]];
            if class.is_empty() {
                return None;
            }
            let start = rand::random_range(0..class.len());
            let around = class[start..].iter().chain(&class[..start]);
            around.take(LOOKS).copied().find(|piece| fits(*piece))
        })
    }

    /// Any waiting piece that the peer has, in [`WORDS_A_TURN`] words from `word` on.
    /// This finds what [`Waiting::find`] overlooks in a class of thousands, of which
    /// the peer has a few.
    pub fn find_from(&self, have: &Bitfield, word: usize) -> Option<u32> {
        let both = self.set.words().iter().zip(have.words()).enumerate().skip(word).take(WORDS_A_TURN);
        both.map(|(word, (waiting, have))| (word, waiting & have))
            .find(|(_, both)| *both != 0)
            .map(|(word, both)| word as u32 * 64 + both.leading_zeros())
    }
}
