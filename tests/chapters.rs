//! The documents do what they say: their transcripts are run, as are the commands on the stages'
//! cards, and the tests they name exist. `make docs` runs the transcripts and writes their new output.
//!
//! (`tests/layout.rs` checks the chapters' template, docs/book their links, their diagrams and the
//! names in "Read along"; their Rust is compiled by `cargo test --doc`.)

mod support;

mod chapters {
    mod errata;
    #[cfg(unix)]
    mod json;
    mod markdown;
    mod readme;
    #[cfg(unix)]
    mod rewriting;
    #[cfg(unix)]
    mod run_it;
    mod teaching;
    #[cfg(unix)]
    mod transcripts;
}
