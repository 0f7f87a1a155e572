//! The architecture's own tests: `ls src` is the table of contents, a stage
//! knows only earlier ones, and chapter, module and test file go together.
//!
//! Nothing here parses Rust. Lines and words are enough for rules about lines and
//! words, and since the code is formatted, an import is easy to find.

mod layout {
    mod answers;
    mod chapters;
    mod circles;
    mod commands;
    mod exercises;
    mod scripts;
    mod source;
    mod stages;
    mod tree;
}
