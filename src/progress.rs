//! The one place that knows about terminals.
