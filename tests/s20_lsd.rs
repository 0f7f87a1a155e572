//! Stage 20 from outside: datagrams byte by byte, a room without a network, and a network of the
//! test's own, in which clients find each other.
//!
//! The datagrams that are expected are those of libtorrent, Transmission and aria2.

mod support;

mod s20_lsd {
    #[allow(dead_code)] // stage 11's tests use the rest
    #[path = "../s11_work_queue/memory.rs"]
    mod memory;
    #[allow(dead_code)] // stage 15's tests use the rest
    #[path = "../s15_swarm/net.rs"]
    mod net;

    mod datagrams;
    mod fakes;
    mod hearing;
    #[cfg(target_os = "linux")]
    mod network;
    mod rules;
    mod swarm;
}
