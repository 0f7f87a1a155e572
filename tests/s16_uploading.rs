//! Stage 16: a peer that answers requests.
//!
//! First what can be tested alone: the handshake of a peer that comes in, and which pieces a
//! newcomer may request. Then whole sessions: scripted peers that request blocks of us, and peers
//! of ours that request them of each other.

mod support;

mod s16_uploading {
    #[allow(dead_code)] // stage 11's tests use the rest
    #[path = "../s11_work_queue/memory.rs"]
    mod memory;
    #[allow(dead_code)]
    #[path = "../s15_swarm/net.rs"]
    mod net;

    mod allowed_fast;
    mod choking;
    #[allow(dead_code)] // stage 17's tests use the rest
    mod crowd;
    mod duplex;
    #[allow(dead_code)]
    mod giver;
    mod giving;
    mod greeting;
    mod incoming;
    mod seam;
    mod shelf;
    mod showing;
    mod taking;
}
