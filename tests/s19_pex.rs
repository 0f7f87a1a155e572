//! Stage 19 from outside: messages of peer exchange byte by byte, what a peer is told, and what
//! is believed of what it says.

mod support;

mod s19_pex {
    #[allow(dead_code)] // stage 13's tests use the rest
    #[path = "../s13_peer_sources/fakes.rs"]
    mod fakes;
    #[allow(dead_code)] // stage 11's tests use the rest
    #[path = "../s11_work_queue/memory.rs"]
    mod memory;
    #[allow(dead_code)] // stage 15's tests use the rest
    #[path = "../s15_swarm/net.rs"]
    mod net;

    mod alone;
    mod codec;
    mod exchange;
    mod hearing;
    mod private;
    mod swarm;
}
