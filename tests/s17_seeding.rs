//! Stage 17: a peer that chooses which others to upload to.
//!
//! First what decides, alone: which peers get a slot. Then whole swarms: scripted peers that
//! download from us, and peers of ours that download from each other.

mod support;

mod s17_seeding {
    #[allow(dead_code)] // stage 11's tests use the rest
    #[path = "../s11_work_queue/memory.rs"]
    mod memory;
    #[allow(dead_code)]
    #[path = "../s15_swarm/net.rs"]
    mod net;

    #[allow(dead_code)] // stage 16's tests use the rest
    #[path = "../s16_uploading/crowd.rs"]
    mod crowd;
    #[allow(dead_code)]
    #[path = "../s16_uploading/giver.rs"]
    mod giver;

    mod accept;
    mod addresses;
    mod bookkeeping;
    mod choking;
    mod crossing;
    mod ending;
    mod listener;
    mod rules;
    mod slots;
    mod together;
    mod turns;
    mod visitors;
}
