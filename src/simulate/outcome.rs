//! What an experiment shows: a table, and for each run what a plot needs.

/// What an experiment showed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// The number of peers, of pieces, and the first and the last seed.
    pub scale: Scale,
    /// What was changed, as in `--set`.
    pub set: Vec<(String, String)>,
    /// The heads of the columns, the row's label not among them.
    pub columns: Vec<String>,
    /// The table.
    pub rows: Vec<Row>,
    /// Every run, row by row, and by seed within a row.
    pub runs: Vec<Run>,
    /// What the theory says, for a plot.
    pub theory: Vec<Theory>,
    /// What hides the thing that the experiment is about, in sentences.
    pub warnings: Vec<String>,
}

/// How large it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scale {
    /// Peers that were asked for, seeds not among them.
    pub peers: u64,
    /// The fewest and the most that came in a run: where peers arrive one by one, the dice say how
    /// many, and a class has at least one.
    pub came: (u64, u64),
    /// Pieces.
    pub pieces: u64,
    /// The first and the last seed of the dice.
    pub seeds: (u64, u64),
}

impl Scale {
    /// Counts the peers that came in these runs.
    pub fn count(mut self, runs: &[Run]) -> Scale {
        let came = || runs.iter().map(Run::came);
        self.came = (came().min().unwrap_or(0), came().max().unwrap_or(0));
        self
    }
}

/// A line of the table.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    /// What is compared: `rarest first`.
    pub label: String,
    /// A cell for each column, as it is printed.
    pub cells: Vec<String>,
    /// The same as numbers, for JSON and for tests. `None` where there is nothing to say.
    pub values: Vec<Option<f64>>,
}

/// A line that the theory draws: the leechers of a row, by time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Theory {
    /// The row's label.
    pub label: String,
    /// Points of the line: seconds, and leechers.
    pub points: Vec<(f64, f64)>,
}

/// One simulated swarm.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Run {
    /// The row's label.
    pub label: String,
    /// The seed of its dice.
    pub seed: u64,
    /// The labels of its classes of peers; the seeds are one of them.
    pub classes: Vec<String>,
    /// What became of each peer, in the order in which they came.
    pub peers: Vec<PeerResult>,
    /// How long each peer that has everything took, in seconds, in the order of `peers`.
    pub times: Vec<f64>,
    /// The swarm at regular times.
    pub samples: Vec<Sample>,
    /// Bytes that one class gave to another until the first peer was done: `gave[from][to]`. Those
    /// that stay when they are done give to anybody, which would hide who trades with whom.
    pub gave: Vec<Vec<f64>>,
    /// Bytes that one class gave to another until the end.
    pub gave_in_all: Vec<Vec<f64>>,
    /// Copies of the whole content that the seeds had given when there was a whole copy elsewhere.
    pub seed_copies: Option<f64>,
    /// When the last piece had left the seeds, in seconds.
    pub whole_copy: Option<f64>,
    /// The share of their upload lines that the peers used until they were done, seeds not counted.
    pub used: f64,
    /// The share of pieces of which there is a copy at the end.
    pub alive: f64,
    /// Why it ended.
    pub ending: Ending,
    /// The virtual time at the end, in seconds.
    pub lasted: f64,
    /// Answers of strategies that could not be used; the built-in rule decided in their place.
    pub fallbacks: u64,
    /// The most connections that there were at a time.
    pub connections: u64,
    /// Number of events that were simulated.
    pub events: u64,
}

impl Run {
    /// Whether a peer is a seed of the set-up. Their class has this name in all experiments.
    pub fn is_seed(&self, peer: &PeerResult) -> bool {
        self.classes.get(peer.class).is_some_and(|label| label == "seed")
    }

    /// The number of peers that came, seeds not among them.
    pub fn came(&self) -> u64 {
        self.peers.iter().filter(|peer| !self.is_seed(peer)).count() as u64
    }
}

/// What became of a peer.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PeerResult {
    /// The position of its class in [`Run::classes`].
    pub class: usize,
    /// When it came, in seconds.
    pub arrived: f64,
    /// How long it took to get everything, in seconds; `None` if it did not.
    pub time: Option<f64>,
    /// Bytes that it gave until it was done.
    pub given: f64,
    /// Bytes that it took.
    pub taken: f64,
    /// Bytes that it took from seeds of the set-up.
    pub from_seeds: f64,
}

/// The swarm at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sample {
    /// Seconds since the start.
    pub t: f64,
    /// Peers that are done, in all.
    pub done: u64,
    /// Copies of the rarest piece.
    pub rarest: u64,
    /// Copies of a piece, on average.
    pub mean: f64,
    /// Peers that are here and not done.
    pub leechers: u64,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ending {
    /// All peers are done.
    #[default]
    AllDone,
    /// The time that the experiment looks at is over.
    TimeOver,
    /// Nobody here has what the others lack, and nobody will bring it.
    NobodyCanFinish,
    /// It took more events than allowed.
    TooLong,
    /// The user ended it.
    Stopped,
}
