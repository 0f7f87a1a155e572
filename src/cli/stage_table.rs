//! The table of stages in `lib.rs`, which `stages` prints. (every stage)

/// The crate's first page. Its table is the only one: cutting off a stage cuts its line,
/// and the stage disappears from this command as well.
pub const MAP: &str = include_str!("../lib.rs");
