//! Rules that are not the client's: what they are asked, and what they answer.
//!
//! A strategy knows only what a peer in its place could know: no lines, and nobody else's
//! connections.

/// A peer's own rules.
pub trait Strategy {
    /// Deals out the slots for a new round: the positions in [`ChokeQuestion::peers`] of those that
    /// get one, each with its weight, from 0.000001 to a million. The line is shared by weight.
    /// `None` leaves this round to the client's own rule. So does an answer that cannot be used,
    /// which is counted in [`Run::fallbacks`](super::outcome::Run::fallbacks).
    fn choke(&mut self, question: &ChokeQuestion) -> Option<Vec<(usize, f64)>>;

    /// Chooses the next piece to fetch, by its number. `None` leaves it to the client's own rule.
    fn piece(&mut self, question: &PieceQuestion) -> Option<u32> {
        let _ = question;
        None
    }

    /// Whether [`Strategy::piece`] is to be asked: a question costs a list of all pieces on offer.
    fn chooses_pieces(&self) -> bool {
        false
    }

    /// Whether slots are always the client's affair, also between two rounds: then
    /// [`Strategy::choke`] is never asked.
    fn leaves_it_to_the_client(&self) -> bool {
        false
    }
}

/// Asked at each round.
#[derive(Debug, Clone, PartialEq)]
pub struct ChokeQuestion {
    /// The number of the peer that is asked.
    pub peer: u32,
    /// The number of rounds that it has had.
    pub round: u32,
    /// Virtual time, in seconds.
    pub now: f64,
    /// The number of slots that the client would give.
    pub slots: usize,
    /// Its own line, in bytes a second.
    pub up: f64,
    /// Whether it has everything.
    pub seeding: bool,
    /// The length of a piece, in bytes.
    pub piece_length: u64,
    /// The peers that it is connected to.
    pub peers: Vec<Known>,
}

/// What a peer knows of another.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// Its number.
    pub id: u32,
    /// It wants something from us.
    pub interested: bool,
    /// It has a slot of ours.
    pub unchoked: bool,
    /// We have none of its slots.
    pub chokes_us: bool,
    /// We want something from it.
    pub interesting: bool,
    /// Bytes that came from it in the last two rounds.
    pub came: u64,
    /// Bytes that went to it in the last two rounds.
    pub went: u64,
    /// Bytes that have come from it in all.
    pub came_in_all: u64,
    /// Bytes that have gone to it in all.
    pub went_in_all: u64,
    /// The number of pieces that it has.
    pub has: u32,
    /// How long it has been connected, in seconds.
    pub since: f64,
}

/// Asked when a peer may fetch something.
#[derive(Debug, Clone, PartialEq)]
pub struct PieceQuestion {
    /// The number of the peer that is asked.
    pub peer: u32,
    /// The number of the peer that gives.
    pub from: u32,
    /// The pieces that it can give and that we lack, and that nobody else is giving us.
    pub offers: Vec<u32>,
    /// How many of our neighbors have each of them.
    pub copies: Vec<u16>,
}
