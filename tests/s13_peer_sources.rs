//! Stage 13 without a swarm: a tracker of the test's own, and a host that writes down what the
//! sources report. Nothing in here waits for time to pass, only for a report.

mod support;

mod s13_peer_sources {
    #[allow(dead_code)] // stage 11's tests use the rest
    #[path = "../s11_work_queue/memory.rs"]
    mod memory;

    mod announcing;
    mod ending;
    mod fakes;
    mod given;
    mod hands;
    mod pausing;
}
