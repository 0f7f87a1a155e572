//! The actors: scripted peers, leeches and trackers that behave well, or as badly as they are told.
//!
//! The tests talk to them, and so does whatever judges a client. An actor does what its plan or its
//! script says, and records every byte both ways. The lab's seeders take their quirks from the same
//! plans.
//!
//! * **Builds on:** nothing. No stage is imported, and the few lines of bencode and of wire format
//!   that the actors need are written a second time. The same error in our encoder and our decoder
//!   would cancel out, and only a real client would notice.
//!
//! # Who is there
//! ```text
//! Scripted         listens, and runs a closure for each connection
//! FakePeer         a seeder with a plan: what it sends, in which order, and what is wrong with it
//! Leech            dials, and asks a client for its pieces
//! FakeTracker      an HTTP tracker, a closure for each request
//! FakeUdpTracker   a UDP tracker, a closure for each packet
//! FakeDht          DHT nodes with a plan each: what a node knows, and what is wrong with it
//! FakeNode         one of them, which also asks a client's node
//! ```
//! # Decisions
//! * **What a plan makes of a good peer's bytes is in [`twists`],** which knows no socket and no
//!   clock. The lab's seeders have a conversation of their own, in which they tell a client what is
//!   wrong with it, and say the same wrong bytes.
//! * **No actor punishes what the protocol allows:** a second connection, a keep-alive, requests in
//!   any order, an early hang-up.
//! * **Nothing a client does makes an actor panic.** The code that drives the actor decides what
//!   counts as a mistake.
//! * **Every wait has a deadline, and every thread ends when its actor is dropped.**
//! * **No memory that a client chooses:** recordings, connections and messages are bounded.

pub mod bencode;
pub mod dht;
pub mod gate;
pub mod jitter;
pub mod leech;
pub mod line;
pub mod peer;
pub mod peer_plan;
mod peer_talk;
pub mod recording;
pub mod scripted;
pub mod talk;
pub mod torrent;
pub mod tracker;
pub mod tree;
pub mod twists;
pub mod udp_tracker;
pub mod version_two;
pub mod wire;

pub use dht::{FakeDht, FakeNode, NodePlan};
pub use leech::Leech;
pub use line::{Heard, Line};
pub use peer::{FakePeer, Gate, Talk};
pub use peer_plan::{After, Blocks, Greeting, Hashes, Metadata, Order, Plan, Unchoke};
pub use recording::{Chunk, Recording, Way};
pub use scripted::Scripted;
pub use torrent::{Recipe, Torrent, content};
pub use tracker::{FakeTracker, Reply};
pub use udp_tracker::{Deed, FakeUdpTracker};
