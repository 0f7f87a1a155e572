//! The lab, from outside: content that never changes, a tracker that says what is wrong, and
//! seeders that give what they should and fail as they are told.
//!
//! These tests write and read the bytes on the wire without the lab's code.

mod support;

mod lab {
    mod class;
    mod client;
    mod command;
    mod content;
    mod crowded;
    mod dht;
    #[cfg(unix)]
    mod examples;
    mod mistakes;
    mod options;
    mod quirks;
    #[cfg(unix)]
    mod rooms;
    #[cfg(unix)]
    mod running;
    mod seeder;
    mod seeder_faults;
    #[cfg(unix)]
    mod traced;
    mod tracker;
    #[cfg(unix)]
    mod tracker_command;
    mod tracker_words;
    mod trees;
    mod udp_tracker;
    mod waits;
}
