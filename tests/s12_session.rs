//! Stage 12: one peer's session. Sessions in a swarm are tested with stage 15.

mod s12_session {
    mod depth;
    mod rate;
}
