//! IPs with many ports and nobody at any of them: when to stop dialing more ports there.
//!
//! A tracker can name a thousand ports of somebody's machine, and have us scan it. Twenty programs
//! on one machine are a swarm, however, and look the same at first. What tells them apart is an
//! answer: after [`MAX_FAILED_PORTS`] ports without one, the IP is left alone, until a peer there
//! answers or comes to us.
//!
//! Which addresses are never dialed at all is a table in stage 3
//! ([`refusal`](crate::s03_tracker::reach::refusal)).

use std::collections::HashMap;
use std::net::IpAddr;

use crate::s04_handshake::origin::Origin;

/// How many ports of an IP may fail before the others are left alone.
pub const MAX_FAILED_PORTS: u32 = 30;

/// The most IPs counted.
const MAX_IPS: usize = 2000;

/// Counts, for each IP, the ports at which nobody was.
#[derive(Debug, Default)]
pub struct FailedPorts {
    /// The number of ports that failed. `None` once a peer has answered: from then on, all ports
    /// are worth dialing.
    failed: HashMap<Origin, Option<u32>>,
}

impl FailedPorts {
    /// Counts a port that was dialed for the first time, and had no peer.
    pub fn count(&mut self, ip: IpAddr) {
        self.make_room();
        if let Some(failed) = self.failed.entry(Origin::of(ip)).or_insert(Some(0)) {
            *failed += 1;
        }
    }

    /// Notes that there is a peer at this IP.
    pub fn answered(&mut self, ip: IpAddr) {
        self.make_room();
        self.failed.insert(Origin::of(ip), None);
    }

    /// Whether no more ports of this IP are dialed.
    pub fn is_enough(&self, ip: IpAddr) -> bool {
        self.failed
            .get(&Origin::of(ip))
            .is_some_and(|failed| failed.is_some_and(|failed| failed >= MAX_FAILED_PORTS))
    }

    // To start over is crude, and costs at most 30 more dials for each IP. An order of age would
    // cost more code than it saves.
    fn make_room(&mut self) {
        if self.failed.len() >= MAX_IPS {
            self.failed.clear();
        }
    }
}
