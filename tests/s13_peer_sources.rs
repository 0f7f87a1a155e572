//! Stage 13 without a swarm: a tracker of the test's own, and a host that writes down what the
//! sources report. Nothing in here waits for time to pass, only for a report.

mod s13_peer_sources {
    mod announcing;
    mod ending;
    mod fakes;
    mod given;
    mod pausing;
}
