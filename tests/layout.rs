//! The architecture's own tests: `ls src` is the table of contents, a stage
//! knows only earlier ones, and chapter, module and test file go together.
//!
//! Nothing here parses Rust. Lines and words are enough for rules that are about
//! lines and words, and the code is formatted, so an import is where it looks to
//! be.

mod layout {
    mod chapters;
    mod commands;
    mod source;
    mod stages;
    mod tree;
}
