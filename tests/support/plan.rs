//! The actors' plan of a peer, which a test starts without a word about errors.

use super::peer::{FakePeer, Gate};
use piecemeal::actors::{Torrent, peer_plan};
use std::ops::{Deref, DerefMut};

pub use piecemeal::actors::peer_plan::{After, Blocks, Greeting, Hashes, Metadata, Order, Unchoke};

/// The whole behavior of a fake peer. The default is a good seeder.
#[derive(Clone)]
pub struct Plan(pub peer_plan::Plan);

/// The same methods, which return this plan.
macro_rules! builders {
    ($($name:ident($($argument:ident: $kind:ty)?);)*) => {
        $(pub fn $name(self $(, $argument: $kind)?) -> Plan {
            Plan(self.0.$name($($argument)?))
        })*
    };
}

impl Plan {
    pub fn new(torrent: &Torrent) -> Plan {
        Plan(peer_plan::Plan::new(torrent))
    }

    builders! {
        host(last: u8);
        peer_id(peer_id: [u8; 20]);
        greeting(greeting: Greeting);
        after(after: After);
        order(order: Order);
        blocks(blocks: Blocks);
        metadata(metadata: Metadata);
        hashes(hashes: Hashes);
        unchoke(unchoke: Unchoke);
        plain();
        fast();
        only(pieces: impl IntoIterator<Item = usize>);
        by_haves();
        opening(bytes: Vec<u8>);
        greets(payload: impl Into<Vec<u8>>);
        noise();
        pace(milliseconds: u64);
        chunk(bytes: usize);
        unchoke_after(time: std::time::Duration);
        extra_reserved(bits: [u8; 8]);
    }

    pub fn hold_until(self, requests: usize, time: std::time::Duration) -> Plan {
        Plan(self.0.hold_until(requests, time))
    }

    pub fn once(self, gate: Gate) -> Plan {
        Plan(self.0.once(gate.0))
    }

    pub fn start(self) -> FakePeer {
        FakePeer::start(self)
    }
}

impl Deref for Plan {
    type Target = peer_plan::Plan;

    fn deref(&self) -> &peer_plan::Plan {
        &self.0
    }
}

impl DerefMut for Plan {
    fn deref_mut(&mut self) -> &mut peer_plan::Plan {
        &mut self.0
    }
}
