//! The quirks of a seeder: in one thing it is not like the others.
//!
//! Many quirks are allowed, and a client has to cope with them: the order of the first messages,
//! no bitfield, blocks in another order. Others break a rule, and a client should lose nothing but
//! this peer.
//!
//! A quirk is a change to an actor's [`Plan`], and what is wrong in the bytes comes from there. In
//! all else the seeder is one of the lab's: it forgets what is canceled, keeps its rate, and says
//! what is wrong with the client.

use std::fmt;
use std::time::Duration;

use crate::actors::{Blocks, Greeting, Hashes, Metadata, Order, Plan, Unchoke, wire};

/// What is unusual about a seeder.
#[derive(Clone, Copy)]
pub struct Quirk {
    /// Its name as an option.
    pub name: &'static str,
    /// What such a seeder does, in a few words.
    pub does: &'static str,
    /// Turns the plan of a good seeder into this one's.
    change: fn(Plan) -> Plan,
}

/// Two quirks are the same if their names are: functions cannot be compared.
impl PartialEq for Quirk {
    fn eq(&self, other: &Quirk) -> bool {
        self.name == other.name
    }
}

impl Eq for Quirk {}

impl fmt::Debug for Quirk {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "Quirk({})", self.name)
    }
}

impl fmt::Display for Quirk {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str(self.does)
    }
}

impl Quirk {
    /// All quirks in the order of a conversation.
    pub const ALL: [Quirk; 37] = [
        Quirk::new("close", "hangs up at once", |plan| plan.greeting(Greeting::Close)),
        Quirk::new("half-shake", "sends half a handshake", |plan| plan.greeting(Greeting::Half)),
        Quirk::new("drip", "sends a byte a second", |plan| plan.greeting(Greeting::Drip)),
        Quirk::new("other-torrent", "says another info hash", |plan| {
            plan.greeting(Greeting::WrongInfoHash)
        }),
        Quirk::new("echo", "has your own peer id", |plan| plan.greeting(Greeting::Echo)),
        Quirk::new("reserved", "sets unknown bits", |plan| {
            plan.extra_reserved([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0])
        }),
        Quirk::new("no-extension", "has no extension bit", Plan::plain),
        Quirk::new("ext-first", "sends bitfield second", |plan| plan.order(Order::ExtensionFirst)),
        Quirk::new("haves", "says have, no bitfield", Plan::by_haves),
        Quirk::new("no-bitfield", "names no pieces", |plan| plan.order(Order::NoBitfield)),
        Quirk::new("half", "has only the first half", |plan| {
            let half = plan.have.len().div_ceil(2);
            plan.only(0..half)
        }),
        Quirk::new("empty", "has no piece", |plan| plan.only([])),
        Quirk::new("spare-bits", "sets the spare bits", |plan| {
            let all = plan.have.len().next_multiple_of(8);
            let spare = (plan.have.len()..all).map(|_| true);
            let bits = wire::bitfield(&plan.have.iter().copied().chain(spare).collect::<Vec<_>>());
            plan.opening(wire::message(wire::BITFIELD, &bits))
        }),
        Quirk::new("long-bitfield", "has a byte too many", |plan| {
            let bits = [wire::bitfield(&plan.have), vec![0]].concat();
            plan.opening(wire::message(wire::BITFIELD, &bits))
        }),
        Quirk::new("early-unchoke", "unchokes unasked", |plan| plan.unchoke(Unchoke::Early)),
        Quirk::new("late-unchoke", "unchokes after 2 s", |plan| {
            plan.unchoke_after(Duration::from_secs(2))
        }),
        Quirk::new("never-unchoke", "never unchokes", |plan| plan.unchoke(Unchoke::Never)),
        Quirk::new("choke-forever", "chokes for good", |plan| {
            plan.blocks(Blocks::ChokeAfter(1, false))
        }),
        Quirk::new("noise", "mixes in odd messages", Plan::noise),
        Quirk::new("backwards", "gives last block first", |plan| plan.blocks(Blocks::Backwards)),
        Quirk::new("twice", "gives each block twice", |plan| plan.blocks(Blocks::Twice)),
        Quirk::new("unasked", "gives blocks unasked", |plan| plan.blocks(Blocks::Unasked)),
        Quirk::new("no-such-piece", "gives pieces out of range", |plan| {
            plan.blocks(Blocks::OutOfRange)
        }),
        Quirk::new("wrong-block", "spoils one block a piece", |plan| {
            plan.blocks(Blocks::WrongAt(16 << 10))
        }),
        // It comes late, so that others have begun the piece in which it lies.
        Quirk::new("sly", "waits 1 s, and lies once", |plan| {
            plan.unchoke_after(Duration::from_secs(1)).blocks(Blocks::WrongFirst)
        }),
        Quirk::new("too-long", "gives a byte too many", |plan| plan.blocks(Blocks::TooLong)),
        Quirk::new("too-short", "gives a byte too few", |plan| plan.blocks(Blocks::TooShort)),
        Quirk::new("mute", "is silent after a block", |plan| plan.blocks(Blocks::SilentAfter(1))),
        Quirk::new("hang-up", "hangs up after a block", |plan| plan.blocks(Blocks::CloseAfter(1))),
        Quirk::new("giant", "announces 2 GiB", |plan| {
            plan.blocks(Blocks::SayAfter(1, vec![0x80, 0, 0, 0, wire::PIECE]))
        }),
        Quirk::new("chopped", "sends in small parts", |plan| {
            plan.chunks(&[3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 1_000])
        }),
        Quirk::new("no-meta", "offers no metadata", |plan| plan.metadata(Metadata::None)),
        Quirk::new("meta-reject", "rejects metadata requests", |plan| {
            plan.metadata(Metadata::Reject)
        }),
        Quirk::new("meta-silent", "keeps the metadata", |plan| plan.metadata(Metadata::Silent)),
        Quirk::new("meta-corrupt", "gives wrong metadata", |plan| plan.metadata(Metadata::Corrupt)),
        Quirk::new("meta-huge", "has 4 GB of metadata", |plan| {
            plan.metadata(Metadata::Size(4_000_000_000))
        }),
        Quirk::new("wrong-hashes", "gives wrong hashes", |plan| plan.hashes(Hashes::WrongHash)),
    ];

    const fn new(name: &'static str, does: &'static str, change: fn(Plan) -> Plan) -> Quirk {
        Quirk { name, does, change }
    }

    /// Returns the quirk with this name.
    pub fn named(name: &str) -> Option<Quirk> {
        Quirk::ALL.into_iter().find(|quirk| quirk.name == name)
    }

    /// Returns the plan of a seeder that would be good without this quirk.
    pub fn of(self, good: Plan) -> Plan {
        (self.change)(good)
    }
}
