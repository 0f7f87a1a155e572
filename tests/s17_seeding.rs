//! Stage 17: a peer that gives, too.
//!
//! First what decides, alone: who gets a slot, which pieces need none, how long a
//! limit makes us wait. Then whole swarms: scripted peers that take from us, and
//! peers of ours that take from each other.

mod support;

mod s17_seeding {
    #[allow(dead_code)] // stage 11's tests use the rest
    #[path = "../s11_work_queue/memory.rs"]
    mod memory;
    #[allow(dead_code)]
    #[path = "../s15_swarm/net.rs"]
    mod net;

    mod addresses;
    mod allowed_fast;
    mod choking;
    mod crossing;
    mod crowd;
    mod duplex;
    mod ending;
    mod giver;
    mod giving;
    mod greeting;
    mod listener;
    mod seam;
    mod shelf;
    mod slots;
    mod taking;
    mod turns;
    mod visitors;
}
