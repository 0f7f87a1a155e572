//! Stage 14: whom to dial, who has a place, and who is banned.
//!
//! Addresses are free to invent: a tracker's answer holds two hundred of them, and one stranger can
//! own a thousand ports. Places are few. So before a thread is started, somebody decides whom we
//! dial, and when all places are taken, who makes way.
//!
//! * **Run it:** `piecemeal peer_list --places 4`
//! * **Spec:** BEP 3 leaves it to the client; **chapter:** `docs/14-peer-list.md`
//! * **Builds on:** `Origin` and `Connection` from stages 4 and 5
//!
//! # The rule
//! > An address costs something; a name, a port and a connection do not. So whatever is short is
//! > shared among addresses.
//!
//! ```text
//!   named -----> addresses ----> dialled --\
//!                  ^   |                    >---- place ----> gone: dialled again later, or banned
//!                  |   banned, failed      /
//!   comes in ----------------> lobby -----/
//! ```
//! # Decisions
//! * **All of it decides and nothing waits.** No file here has a socket, a thread or a clock of its
//!   own, so a crowd of a thousand peers is a loop in a test.
//! * **A peer id is a claim.** Everybody who has talked to a peer knows its id ([`doubles`]).
//! * **A failure is not the end of an address.** It is dialled again, later and later ([`addresses`]).
//! * **Three strikes bar an IP** and what honest peers bring from there counts for it ([`bans`]).
//! * **Left out:** threads and sockets. That is stage 15.

pub mod addresses;
pub mod bans;
pub mod budget;
pub mod doubles;
pub mod manners;
pub mod places;
pub mod sharing;
