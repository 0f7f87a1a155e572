//! A swarm as it is set up: who comes, with which line, and by which rules.

use std::fmt;
use std::sync::Arc;

use super::strategy::Strategy;

/// Makes a strategy for the peer of this number, on the thread of the run.
pub type MakeStrategy = Arc<dyn Fn(u32) -> Box<dyn Strategy> + Send + Sync>;

/// Which peers get a slot.
#[derive(Clone, Default)]
pub enum SlotRule {
    /// The client's: a download trades, a seed gives in turn.
    #[default]
    Client,
    /// The client's, but a download has no slot for luck (no optimistic unchoke).
    NoLuck,
    /// As early clients had it: a seed gives to those that take fastest.
    Fastest,
    /// In each round, peers at random.
    Random,
    /// All that want something.
    Everybody,
    /// None: it is a free rider's.
    Nobody,
    /// The client's, but a peer that took this many pieces more than it gave gets nothing until it
    /// gives.
    Blocks(u32),
    /// A strategy's.
    Strategy(MakeStrategy),
}

impl fmt::Debug for SlotRule {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            SlotRule::Client => "Client",
            SlotRule::NoLuck => "NoLuck",
            SlotRule::Fastest => "Fastest",
            SlotRule::Random => "Random",
            SlotRule::Everybody => "Everybody",
            SlotRule::Nobody => "Nobody",
            SlotRule::Blocks(_) => "Blocks",
            SlotRule::Strategy(_) => "Strategy",
        })
    }
}

/// Which piece is fetched next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PieceRule {
    /// The client's.
    #[default]
    RarestFirst,
    /// Any, each with the same chance.
    Random,
    /// The first that is missing.
    InOrder,
}

/// When the peers of a class come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Arrival {
    /// All within this many seconds, evenly at random: a flash crowd.
    Crowd(f64),
    /// All at once, this many seconds after the start.
    At(f64),
    /// One by one, this many a second on average, until the run ends.
    Poisson(f64),
}

/// What a peer has when it comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Holds {
    /// Nothing.
    #[default]
    Nothing,
    /// All but this piece.
    AllBut(u32),
    /// Everything: it is a seed of the set-up.
    Everything,
}

/// How long a peer stays.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Stay {
    /// To the end.
    #[default]
    Forever,
    /// For this many seconds after it has everything; with 0 it leaves at once.
    Seconds(f64),
    /// Until it has given this many copies of the whole.
    Copies(f64),
}

/// Peers of one kind.
#[derive(Debug, Clone)]
pub struct Class {
    /// What it is called: `fast`.
    pub label: String,
    /// How many come; with [`Arrival::Poisson`], how many at most.
    pub count: u32,
    /// When they come.
    pub arrival: Arrival,
    /// What they have.
    pub holds: Holds,
    /// How long they stay.
    pub stay: Stay,
    /// What they can give, in bytes a second.
    pub up: f64,
    /// What they can take, in bytes a second; may be infinite.
    pub down: f64,
    /// The number of slots that they give.
    pub slots: usize,
    /// To whom they give.
    pub slot_rule: SlotRule,
    /// What they fetch.
    pub piece_rule: PieceRule,
    /// The most peers that they dial; `None` leaves it to the [`Meeting`].
    pub view: Option<usize>,
    /// Whether they show each peer one piece at a time (BEP 16).
    pub super_seed: bool,
}

impl Class {
    /// Peers that come in the first ten seconds with nothing, stay, take whatever comes, have five
    /// slots and decide as the client does.
    pub fn new(label: &str, count: u32, up: f64) -> Class {
        Class {
            label: label.to_owned(),
            count,
            arrival: Arrival::Crowd(10.0),
            holds: Holds::Nothing,
            stay: Stay::Forever,
            up,
            down: f64::INFINITY,
            slots: 5,
            slot_rule: SlotRule::Client,
            piece_rule: PieceRule::RarestFirst,
            view: None,
            super_seed: false,
        }
    }

    /// A seed that is there from the start, and stays.
    pub fn seed(up: f64) -> Class {
        let (holds, arrival) = (Holds::Everything, Arrival::At(0.0));
        Class { holds, arrival, ..Class::new("seed", 1, up) }
    }

    /// Whether they have everything from the start.
    pub fn is_seed(&self) -> bool {
        self.holds == Holds::Everything
    }
}

/// How peers find each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Meeting {
    /// How many names the tracker gives.
    pub names: usize,
    /// A peer dials until it has this many connections.
    pub dials: usize,
    /// The most connections that a peer has.
    pub most: usize,
    /// Seconds from one announce to the next.
    pub interval: f64,
}

impl Default for Meeting {
    fn default() -> Meeting {
        Meeting { names: 50, dials: 35, most: 55, interval: 300.0 }
    }
}

/// A whole swarm.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The number of pieces, 1 at least.
    pub pieces: u32,
    /// The length of each, in bytes.
    pub piece_length: u32,
    /// The peers, class by class.
    pub classes: Vec<Class>,
    /// How they meet.
    pub meeting: Meeting,
    /// Whether a piece that one peer is giving is also fetched from others, once none is left that
    /// nobody gives.
    pub end_game: bool,
    /// Whether seeds share evenly what they give, as the client does with `--max-upload`.
    pub scarce: bool,
    /// Whether a seed suggests a piece with each slot (BEP 6), as the client does.
    pub suggests: bool,
    /// When the run ends at the latest, in seconds.
    pub until: Option<f64>,
}

impl Setup {
    /// A swarm of these, with pieces of 256 KiB and the end game.
    pub fn new(pieces: u32, classes: Vec<Class>) -> Setup {
        Setup {
            pieces,
            piece_length: 256 << 10,
            classes,
            meeting: Meeting::default(),
            end_game: true,
            scarce: false,
            suggests: true,
            until: None,
        }
    }

    /// The most connections that there can be at a time, both ends counted.
    pub(super) fn most_connections(&self) -> u64 {
        let count = |class: &Class| match class.arrival {
            // As many as are expected.
            Arrival::Poisson(rate) => (rate * self.until.unwrap_or(0.0)) as u64,
            _ => u64::from(class.count),
        };
        let peers: u64 = self.classes.iter().map(count).sum();
        let each = |class: &Class| {
            let most = self.meeting.most.max(class.view.unwrap_or(0)) as u64;
            count(class) * most.min(peers)
        };
        self.classes.iter().map(each).sum()
    }

    /// The length of the whole, in bytes.
    pub fn length(&self) -> f64 {
        f64::from(self.pieces) * f64::from(self.piece_length)
    }
}
