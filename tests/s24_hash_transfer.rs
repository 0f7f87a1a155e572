//! Stage 24 from outside: hashes with proofs, byte by byte, from peers that are honest, and from
//! peers that are not.

mod support;

mod s24_hash_transfer {
    #[allow(dead_code)] // stage 11's tests use the rest
    #[path = "../s11_work_queue/memory.rs"]
    mod memory;
    #[allow(dead_code)] // stage 15's tests use the rest
    #[path = "../s15_swarm/net.rs"]
    mod net;

    mod torrents;
    mod tree;

    mod asking;
    mod blame;
    mod budget;
    mod codec;
    mod giving;
    mod proofs;
    mod strangers;
    mod swarm;
    mod told;
}
