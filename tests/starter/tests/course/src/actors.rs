//! In every prefix.
