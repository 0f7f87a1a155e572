//! The command line. (every stage)
