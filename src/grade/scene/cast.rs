//! The actors of a scene, each started and written down until the scene is over.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use super::{Scene, ours};
use crate::actors::dht::{FakeDht, NodePlan};
use crate::actors::line::Line;
use crate::actors::peer::FakePeer;
use crate::actors::peer_plan::Plan;
use crate::actors::scripted::Scripted;
use crate::actors::torrent::Torrent;
use crate::actors::tracker::{FakeTracker, Reply};
use crate::actors::udp_tracker::{Deed, FakeUdpTracker};
use crate::grade::miss::Miss;
use crate::grade::room::{Neighbor, Room};

impl Scene<'_> {
    /// Returns the plan of a good seed of this torrent, with an id, an address and an extension id
    /// of its own, to be altered.
    pub fn plan(&mut self, torrent: &Torrent) -> Plan {
        self.known.add(torrent, None);
        let mut plan = FakePeer::of(torrent);
        plan.address = self.host();
        plan.peer_id = self.dice.peer_id();
        plan.metadata_id = self.dice.extension_id();
        plan
    }

    /// Starts a peer.
    ///
    /// # Errors
    /// If the system has no port left.
    pub fn peer(&mut self, plan: Plan) -> Result<Arc<FakePeer>, Miss> {
        let peer = Arc::new(FakePeer::start(plan).map_err(|error| ours(&error))?);
        let seen = peer.clone();
        self.actors.push(Box::new(move || seen.recordings()));
        Ok(peer)
    }

    /// Starts a good seed of this torrent.
    ///
    /// # Errors
    /// If the system has no port left.
    pub fn seed(&mut self, torrent: &Torrent) -> Result<Arc<FakePeer>, Miss> {
        let plan = self.plan(torrent);
        self.peer(plan)
    }

    /// Starts a peer that does what the script says for each connection.
    ///
    /// # Errors
    /// If the system has no port left.
    pub fn scripted(
        &mut self,
        script: impl Fn(&mut Line, usize) + Send + Sync + 'static,
    ) -> Result<Arc<Scripted>, Miss> {
        let address = self.host();
        let peer = Arc::new(Scripted::listen(address, script).map_err(|error| ours(&error))?);
        let seen = peer.clone();
        self.actors.push(Box::new(move || seen.recordings()));
        Ok(peer)
    }

    /// Starts an HTTP tracker; `answer` sees the request's target, and how many came before it.
    ///
    /// # Errors
    /// If the system has no port left.
    pub fn tracker(
        &mut self,
        answer: impl Fn(&str, usize) -> Reply + Send + Sync + 'static,
    ) -> Result<Arc<FakeTracker>, Miss> {
        let tracker = Arc::new(FakeTracker::start(answer).map_err(|error| ours(&error))?);
        let seen = tracker.clone();
        self.actors.push(Box::new(move || seen.recordings()));
        Ok(tracker)
    }

    /// Starts a good HTTP tracker that knows these peers.
    ///
    /// # Errors
    /// If the system has no port left.
    pub fn tracker_of(&mut self, peers: &[SocketAddr]) -> Result<Arc<FakeTracker>, Miss> {
        let reply = Reply::peers(peers);
        self.tracker(move |_, _| reply.clone())
    }

    /// Starts a UDP tracker; `deeds` sees the packet, and how many came before it.
    ///
    /// # Errors
    /// If the system has no port left.
    pub fn udp_tracker(
        &mut self,
        deeds: impl Fn(&[u8], usize) -> Vec<Deed> + Send + 'static,
    ) -> Result<Arc<FakeUdpTracker>, Miss> {
        let tracker = Arc::new(FakeUdpTracker::start(deeds).map_err(|error| ours(&error))?);
        let seen = tracker.clone();
        self.actors.push(Box::new(move || seen.recordings()));
        Ok(tracker)
    }

    /// Starts DHT nodes, each at an address of its own.
    ///
    /// # Errors
    /// If the system has no port left.
    pub fn dht(&mut self, plans: impl IntoIterator<Item = NodePlan>) -> Result<Arc<FakeDht>, Miss> {
        let plans = plans.into_iter().map(|plan| NodePlan { address: self.host(), ..plan });
        let dht = Arc::new(FakeDht::start(plans).map_err(|error| ours(&error))?);
        let seen = dht.clone();
        self.actors.push(Box::new(move || seen.recordings()));
        Ok(dht)
    }

    /// Opens a room on loopback; the client's datagrams are those that have this text in them.
    ///
    /// # Errors
    /// If the system has no multicast, or no port left.
    pub fn room(&self, marked: &str, neighbors: Vec<Neighbor>) -> Result<Room, Miss> {
        Room::open(marked, neighbors).map_err(|error| ours(&error))
    }

    /// Returns an address at which nobody listens, for as long as this scene lasts.
    ///
    /// # Errors
    /// If the system has no port left.
    pub fn nobody(&mut self) -> Result<SocketAddr, Miss> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| ours(&error))?;
        let dialed = listener.local_addr().and_then(TcpStream::connect);
        let caller = dialed.map_err(|error| ours(&error))?;
        let address = caller.local_addr().map_err(|error| ours(&error))?;
        // The port of one that has called: it is in use, so nobody else gets it, and yet nobody
        // listens there. The port of a listener that is gone could be another actor's next.
        self.actors.push(Box::new(move || {
            let _held = (&listener, &caller);
            Vec::new()
        }));
        Ok(address)
    }
}
