//! The judge: runs a learner's client, in any language, against scripted peers and trackers.
//!
//! * **Run it:** `piecemeal grade --until 2 -- ./my_client`
//! * **Builds on:** `actors`, which play the other side; `trace`, which names what they saw; the
//!   lab's hints; `offspring`, which ends what a client has started
//!
//! # How a check works
//! ```text
//! Exam ── a Check ──> Scene ── starts ──> actors on loopback   (scripted peers, trackers)
//!   │                   │                    ▲
//!   │                   └─── runs ──> Learner: COMMAND download_piece ...
//!   │                                    │
//!   └── Graded <── a Miss, or none <── Outcome: stdout, stderr, how it ended, how long it took
//! ```
//! # Decisions
//! * **A refusal has a control.** Whoever fails at everything also "refuses" what is broken. So
//!   such a check counts only if the same input without the fault was handled in the same run.
//! * **To die is not to refuse.** An exit code and a sentence on stderr are full credit, a stack
//!   trace is half, a signal or a time-out is none.
//! * **Nothing is fixed.** Contents, names, piece lengths, ids and ports come from a seed, which
//!   the report names, so an answer cannot be learned by heart, and a failure can be had again.
//! * **The learner's program is hostile input.** Its output is read up to 1 MiB, each run has a
//!   deadline, and what it leaves behind is ended.
//! * **What the protocol allows costs nothing.** Another connection, a keep-alive or a request in
//!   another order is never a mistake.

pub mod check;
pub mod checks;
pub mod class;
mod crash;
pub mod dice;
pub mod evidence;
pub mod exam;
pub mod guard;
mod hints;
mod kept;
pub mod learner;
mod left_behind;
pub mod miss;
pub mod outcome;
mod process;
pub mod report;
pub mod room;
pub mod scene;
pub mod watch;
