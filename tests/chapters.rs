//! The documents do what they say: their transcripts are run, their links lead
//! somewhere, the tests they name exist. The commands on the stages' cards are run as well. `make docs` writes the transcripts anew.
//!
//! (`tests/layout.rs` checks the chapters' template, docs/book the names in "Read along";
//! their Rust is compiled by `cargo test --doc`.)

mod support;

mod chapters {
    #[cfg(unix)]
    mod json;
    mod links;
    mod markdown;
    mod readme;
    #[cfg(unix)]
    mod rewriting;
    #[cfg(unix)]
    mod run_it;
    #[cfg(unix)]
    mod transcripts;
}
