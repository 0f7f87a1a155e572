//! Cuts starters for a classroom from the reference, and checks what becomes of them.
//!
//! A starter is a cargo project of its own: the stages before are whole, and in its own stage the
//! functions that `docs/exercises.toml` names are empty. It has a copy of this crate and of the
//! tree, so it works wherever it is copied to.
//!
//! | module | what it does |
//! |---|---|
//! | [`list`] | the list of exercises, checked against the tree |
//! | [`source`] | takes the bodies of functions out, and puts others in |
//! | [`prefix`] | cuts the tree of stages 1 to N from the whole tree |
//! | [`matrix`] | which tests each hole breaks |
//! | [`workshop`] | the crate in which a body is tried |
//! | [`tests`] | runs tests, each in a process of its own |
//! | [`process`] | a process with limits, ended with all that it has started |
//! | [`starter`], [`readme`] | makes the folder of a starter, and what it says about itself |
//! | [`learner`] | what is in the holes, and what has changed outside of them |
//! | [`check`], [`report`] | the verdict on each hole, and how it is printed |
//! | [`progress`] | what is solved, and how many hints were asked for |
//! | [`hints`], [`skeleton`], [`diff`] | hints made of the reference, and the comparison |
//! | [`trial`], [`round`] | empties each hole in turn, and makes the matrix |
//! | [`mark`] | whether a stage has changed since |
//! | [`onward`] | the starter after this one |

pub mod check;
pub mod diff;
pub mod failure;
pub mod hints;
pub mod learner;
pub mod list;
pub mod mark;
pub mod matrix;
pub mod onward;
pub mod prefix;
pub mod process;
pub mod progress;
pub mod readme;
pub mod report;
pub mod round;
pub mod skeleton;
pub mod source;
pub mod starter;
pub mod tests;
pub mod trial;
pub mod workshop;
