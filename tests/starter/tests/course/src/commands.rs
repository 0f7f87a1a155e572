//! The commands. (every stage)
