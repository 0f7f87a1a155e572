//! What draws on the terminal: the narrator, the progress line, the peer table, the maps. (stage 1)
//!
//! [`progress`] is the entry: a command reports how far it is, and the bar, the lines below it and
//! the notes beside it go to stderr in one order. [`terminal`] is the only file that moves a
//! cursor.

pub mod due_lines;
pub mod live_map;
pub mod live_view;
pub mod narrator;
pub mod peer_table;
pub mod piece_map;
pub mod progress;
pub mod progress_line;
pub mod short_text;
pub mod speed;
pub mod terminal;
