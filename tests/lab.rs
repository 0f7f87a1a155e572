//! The lab, from outside: content that never changes, a tracker that says what is
//! wrong, seeders that give what they should and fail as they are told.
//!
//! What goes over the wire is written and read here by other code than the lab's.

mod support;

mod lab {
    mod client;
    mod command;
    mod content;
    mod seeder;
    mod seeder_faults;
    mod tracker;
    mod tracker_words;
    mod udp_tracker;
}
