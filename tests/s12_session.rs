//! Stage 12: one peer's session. What it says to a whole swarm is tested with stage 15.

mod s12_session {
    mod depth;
    mod rate;
}
