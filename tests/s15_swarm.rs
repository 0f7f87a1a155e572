//! Stage 15: many peers at once.
//!
//! Whole downloads from scripted peers. Their side of the protocol is written out in `net`,
//! a second time, so that no error of the crate's own codec cancels out.

mod support;

mod s15_swarm {
    #[allow(dead_code)] // stage 11's tests use the rest
    #[path = "../s11_work_queue/memory.rs"]
    mod memory;

    mod announcing;
    mod claims;
    mod ends;
    mod extensions;
    mod hands;
    mod magnet;
    mod manners;
    mod net;
    mod peers;
    mod places;
    mod private;
    mod seats;
    mod together;
    mod trouble;
    mod views;
    mod waiting;
}
