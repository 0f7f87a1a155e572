//! The commands, from outside: what they print, what they send, how they end.
//!
//! The eleven commands of the public "build your own BitTorrent" course must meet its
//! contract byte for byte. Their peers and trackers are fakes that never hang up first, so
//! a command that waits for the end of a stream, or for an unchoke it does not need, runs
//! into the deadline and fails.

mod support;

mod commands {
    mod announce;
    mod course_download;
    mod course_magnet;
    mod course_offline;
    mod course_peers;
    mod create;
    mod error_scene;
    mod error_table;
    mod errors;
    mod help;
    mod magnet_manners;
    mod narrating;
    mod options;
    mod passed_over;
    mod progress;
    mod secrets;
    mod seed;
    mod serve;
    mod session;
    mod signals;
    mod simulate;
    mod stages;
    mod swarm_sheet;
    #[cfg(target_os = "linux")]
    mod terminal;
    mod verify;
    mod waiting;
}
