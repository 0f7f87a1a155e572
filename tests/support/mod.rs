//! The code that starts the program, and the actors that it talks to, with what only a test
//! wants of them: they start without a word about errors, and they insist.
//!
//! Nothing in here uses the crate under test but `actors`, which imports nothing else of it. An
//! error that our encoder and our decoder share would cancel out, and only a real client would
//! notice it.
//!
//! Every wait in here has a deadline, and every thread ends when the value that
//! started it is dropped.

// Each test file compiles its own copy of this module and uses a part of it.
#![allow(dead_code, unused_imports, unused_macros)]

pub mod browser;
pub mod fields;
pub mod json_schema;
pub mod leech;
mod mistakes;
pub mod mount;
pub mod network;
pub mod peer;
mod plan;
pub mod run;
pub mod screen;
pub mod serving;
pub mod told;
pub mod torrent;
pub mod tracker;
pub mod udp_tracker;
pub mod verdict;

pub use leech::{Heard, Leech};
pub use peer::{FakePeer, Gate, Talk};
pub use piecemeal::actors::{bencode, jitter, wire};
pub use plan::{After, Blocks, Greeting, Metadata, Order, Plan, Unchoke};
pub use run::{Outcome, Run, Running};
pub use serving::Serving;
pub use told::{
    assert_bytes, assert_chosen, assert_number, assert_read, assert_value, assert_wire, number_is,
    read_is, reading, value_is, wire_is,
};
pub use torrent::{Recipe, Torrent, content};
pub use tracker::{FakeTracker, Reply};
pub use udp_tracker::{Deed, FakeUdpTracker};
pub use verdict::{Complaint, Must, Script, Verdict, has_hung_up, in_time, within};
pub(crate) use verdict::{insist, insist_eq};

/// The limit for any wait. It is far more than anything takes, even if all cores are busy, and
/// only stops a hang.
pub const LIMIT: std::time::Duration = std::time::Duration::from_secs(60);

/// A folder that vanishes with the test.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("the system has room for a temporary folder")
}

/// The names of all commands, from the one list of them.
pub fn commands() -> Vec<&'static str> {
    let source = include_str!("../../src/commands.rs");
    let list = source
        .split("\ncommands! {")
        .nth(1)
        .and_then(|rest| rest.split('}').next())
        .expect("the list of commands");
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).collect()
}

/// A port on loopback where nothing listens. No fake uses this address, so another test
/// cannot get the port a moment later.
pub fn dead_address() -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.99:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("a bound listener has an address");
    drop(listener);
    // A process that another test is just starting holds a copy of every socket until its program runs.
    while std::net::TcpStream::connect(address).is_ok() {
        std::thread::yield_now();
    }
    address
}
