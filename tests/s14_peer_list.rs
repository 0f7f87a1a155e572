//! Stage 14: whom to dial, who has a place, and who is banned. Nothing here waits.

mod support;

mod s14_peer_list {
    mod book;
    mod budget;
    mod crowds;
    mod doubles;
    mod failed_ports;
    mod places;
    mod sharing;
    mod story;
}
