//! A peer with a listener of its own, which records everything that it receives.

use super::jitter;
use super::peer_plan::Plan;
use super::peer_talk::{Shared, Talker};
use super::recording::Recording;
use super::scripted::Scripted;
use super::torrent::Torrent;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

pub use super::gate::Gate;
pub use super::talk::{Heard, Talk};

/// A running peer. Dropping it closes everything.
pub struct FakePeer {
    scripted: Scripted,
    shared: Arc<Shared>,
}

impl FakePeer {
    /// The plan of a good seeder of this torrent, to be altered.
    pub fn of(torrent: &Torrent) -> Plan {
        Plan::new(torrent)
    }

    /// Starts a peer with this plan.
    ///
    /// # Errors
    /// If the plan's address is none of this machine's.
    pub fn start(plan: Plan) -> io::Result<FakePeer> {
        let shared = Arc::new(Shared::new(plan));
        let scripted = Scripted::start(
            shared.plan.address,
            &|address| address.to_string(),
            shared.stop.clone(),
            {
                let shared = shared.clone();
                move |line, number| {
                    let talk = shared.talk(number, line.recording());
                    // An error is the client hanging up, which is its right.
                    let _ = Talker::new(line, &shared, &talk).run();
                    jitter::lock(&talk).closed = true;
                }
            },
        )?;
        Ok(FakePeer { scripted, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.scripted.address()
    }

    /// Opens when the peer has misbehaved as planned.
    pub fn mischief(&self) -> Gate {
        self.shared.mischief.clone()
    }

    /// Blocks served so far.
    pub fn served(&self) -> usize {
        self.shared.served()
    }

    /// All connections so far, in order.
    pub fn talks(&self) -> Vec<Talk> {
        // A connection that was accepted counts, even if its thread has not begun.
        let recordings = self.recordings();
        let talk = |(number, recording)| {
            let talk = self.shared.talk(number, recording);
            jitter::lock(&talk).clone()
        };
        recordings.iter().enumerate().map(talk).collect()
    }

    /// The recordings of [`FakePeer::talks`].
    pub fn recordings(&self) -> Vec<Recording> {
        self.scripted.recordings()
    }
}
