//! Stage 12: one peer's session. Sessions in a swarm are tested with stage 15.

mod support;

mod s12_session {
    #[allow(dead_code)] // stage 11's tests use the rest
    #[path = "../s11_work_queue/memory.rs"]
    mod memory;

    mod deadlines;
    mod depth;
    mod limited;
    mod rate;
    mod send_path;
}
