//! `PIECEMEAL_OFFLINE`: whether only those are reached whom the command line names. (stage 20)
//!
//! A download asks the local network, and later the DHT, without being told to. A test must not,
//! and neither must a class in a room without a network. So with this variable set, what nobody
//! has named is left alone.

/// Whether nobody is reached who is not named. Unset, empty and 0 mean no.
pub fn offline() -> bool {
    std::env::var_os("PIECEMEAL_OFFLINE").is_some_and(|value| !value.is_empty() && value != "0")
}
