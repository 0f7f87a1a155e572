//! Stage 14: whom to dial, who gets a place, and who is banned.
//!
//! Addresses are free to invent: one tracker answer can name two hundred, and one stranger can have
//! a thousand ports. Places are few, since each takes a thread and a connection. So three questions
//! come up all the time. Which address do we dial next? When a place is free, which peer gets it?
//! When none is free and others wait, which peer makes way?
//!
//! * **Run it:** `piecemeal peer_list --places 4`
//! * **Spec:** BEP 3 leaves it to the client; **chapter:** `docs/14-peer-list.md`
//! * **Builds on:** [`PeerId`](crate::s03_tracker::PeerId) from stage 3,
//!   [`Origin`](crate::s04_handshake::origin::Origin) from stage 4,
//!   [`PeerNumber`](crate::s11_work_queue::PeerNumber) from stage 11
//!
//! # The rule
//! > An IP costs something. A port, a peer id, a connection and the mention of an address do not.
//! > So what is scarce is shared by IP.
//!
//! ```text
//!   named ------> addresses ---- dialed ----\
//!                   ^                         >---- place ----> gone: dialed again later,
//!                   |                        /        |         or never, if given up
//!   dials us -------|-----> lobby ----------/         |
//!                   +---------------------------------+
//! ```
//! # How to read it
//! 1. [`sharing`]: three functions on lists. The next two use them.
//! 2. [`addresses`]: what is known of each address, and which is due. It asks [`bans`] and
//!    [`failed_ports`] which addresses are not worth dialing.
//! 3. [`places`]: who gets a free place, and who makes way.
//! 4. [`doubles`]: two connections that lead to one peer, and which of them stays.
//! 5. [`budget`]: how many connections the system allows. Skip it at first reading.
//!
//! # Decisions
//! * **Everything decides, and nothing waits.** No file here has a socket, a thread, a lock or a
//!   clock. The time is an argument, so an hour with a thousand peers is a loop in a test.
//! * **A failure is not the end of an address.** It is dialed six times in all, with growing
//!   pauses, in eight minutes.
//! * **Three bans bar an IP,** and what honest peers bring from there counts in its favor.
//! * **A peer id is a claim.** Everybody who has talked to a peer knows its id and can use it.
//! * **Left out:** threads and sockets. They come in stage 15.

pub mod addresses;
pub mod bans;
pub mod budget;
pub mod doubles;
pub mod failed_ports;
pub mod places;
pub mod sharing;
