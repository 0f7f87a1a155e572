//! The learner's node while it runs: started with a way in, asked, and still alive.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::actors::bencode::bytes;
use crate::actors::dht::{FakeDht, FakeNode, Id, NodePlan, Reply};
use crate::grade::check::Finding;
use crate::grade::hints::krpc;
use crate::grade::miss::{Miss, ensure};
use crate::grade::process::Running;
use crate::grade::scene::Scene;

/// How long it may take until it listens, beside the time that the program needs to start.
const START: Duration = Duration::from_secs(8);
/// How long an answer may take. UDP may lose it, and a node may have a rate: each query is sent
/// three times.
const PATIENCE: Duration = Duration::from_millis(1_500);
const TRIES: usize = 3;
/// Pause between two queries of a check that asks until something is so.
pub const PAUSE: Duration = Duration::from_millis(150);
/// How long it may take until a node that has asked is named to others.
pub const LEARNS: Duration = Duration::from_secs(12);

/// Starts nodes that ask it, each with an id of its own.
pub fn askers(scene: &mut Scene, count: usize) -> Result<Arc<FakeDht>, Miss> {
    let plans: Vec<NodePlan> = (0..count).map(|_| NodePlan::new(scene.dice.twenty())).collect();
    scene.dht(plans)
}

/// `dht_node`, running.
pub struct Node {
    /// The id that it printed.
    pub id: Id,
    /// Where it is asked.
    pub address: SocketAddr,
    /// The nodes of its swarm; the first is its way in.
    pub dht: Arc<FakeDht>,
    running: Option<Running>,
}

impl Node {
    /// Starts it, with a node as its way in that knows nobody.
    pub fn start(scene: &mut Scene) -> Result<Node, Miss> {
        let plan = NodePlan::new(scene.dice.twenty());
        Node::among(scene, [plan])
    }

    /// Starts it; the first of these nodes is its way in.
    pub fn among(
        scene: &mut Scene,
        plans: impl IntoIterator<Item = NodePlan>,
    ) -> Result<Node, Miss> {
        let dht = scene.dht(plans)?;
        let (port, way) = (scene.free_port()?, dht.address(0).to_string());
        let words = ["dht_node", "--port", &port.to_string(), "--dht-bootstrap", &way];
        let mut running = scene.start(&words)?;
        let limit = START + scene.start_time();
        let lines = |running: &Running| running.stdout().iter().filter(|b| **b == b'\n').count();
        let begun = Instant::now();
        let there = running.wait_for(|running| lines(running) >= 2 || begun.elapsed() > limit);
        let printed = String::from_utf8_lossy(&running.stdout()).into_owned();
        if running.is_over() {
            let outcome = running.finish();
            return Err(outcome.succeeds().err().unwrap_or_else(|| {
                Miss::new("`dht_node` ended, and was to answer until it is stopped")
                    .likely("receive in a loop, for as long as the program runs")
            }));
        }
        let id = id(&printed).filter(|_| there && lines(&running) >= 2).ok_or_else(|| {
            let found = if printed.is_empty() { "nothing" } else { printed.trim_end() };
            Miss::new("the first lines on stdout are other ones")
                .instead(
                    "Node ID: and 40 hex digits, then Listening on: IP:PORT",
                    krpc::shown(found.as_bytes()),
                )
                .likely("print both when the socket is bound, and flush: a pipe is not a terminal")
        })?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Ok(Node { id, address, dht, running: Some(running) })
    }

    /// Insists that it has not ended.
    pub fn is_alive(&mut self) -> Finding {
        let over = self.running.as_mut().is_none_or(Running::is_over);
        match self.running.take_if(|_| over).map(Running::finish) {
            None if over => Err(Miss::new("`dht_node` has ended")),
            None => Ok(()),
            Some(outcome) => Err(outcome.succeeds().err().unwrap_or_else(|| {
                Miss::new("`dht_node` ended, and was to answer until it is stopped")
            })),
        }
    }

    /// Asks it to end, as Ctrl-C does; its exit code must be 0.
    pub fn ends_politely(&mut self) -> Finding {
        self.is_alive()?;
        match self.running.take().map(Running::interrupt) {
            None => Ok(()),
            Some(outcome) => outcome.succeeds().map(drop).map_err(|miss| {
                miss.likely("Ctrl-C is the usual end of this command: catch SIGINT, and end with 0")
            }),
        }
    }

    /// Asks it; insists on an answer, of any kind.
    pub fn ask(
        &mut self,
        asker: &FakeNode,
        method: &str,
        arguments: &[(&str, Vec<u8>)],
    ) -> Result<Reply, Miss> {
        for _ in 0..TRIES {
            if let Some(reply) = asker.ask(self.address, method, arguments, PATIENCE) {
                return match krpc::broken(&reply.bytes) {
                    Some(cause) => Err(Miss::new(format!("the answer to {method} breaks a rule"))
                        .detail(format!("found    {}", krpc::shown(&reply.bytes)))
                        .likely(cause)),
                    None => Ok(reply),
                };
            }
        }
        Err(self.silent(method))
    }

    /// Returns what is to be said of a query without an answer.
    pub fn silent(&mut self, method: &str) -> Miss {
        self.is_alive().err().unwrap_or_else(|| {
            Miss::new(format!("{method} was not answered")).perhaps(
                "an answer repeats `t`, and goes back to the address that the query came from",
            )
        })
    }

    /// Asks it; insists on a response with its id.
    pub fn response(
        &mut self,
        asker: &FakeNode,
        method: &str,
        arguments: &[(&str, Vec<u8>)],
    ) -> Result<Reply, Miss> {
        let reply = self.ask(asker, method, arguments)?;
        if let Some((code, text)) = reply.error() {
            return Err(Miss::new(format!("{method} was answered with an error")).instead(
                "a response, `y` r",
                format!("error {code}, {}", krpc::shown(text.as_bytes())),
            ));
        }
        ensure(reply.id() == Some(self.id), || {
            let found = reply.id().map_or_else(|| "no id".to_owned(), hex::encode);
            Miss::new(format!("the answer to {method} has another id"))
                .instead(hex::encode(self.id), found)
                .likely("a node has one id: the one that it prints is in all that it says")
        })?;
        Ok(reply)
    }

    /// Asks for the peers of an info hash.
    pub fn get_peers(&mut self, asker: &FakeNode, info_hash: Id) -> Result<Reply, Miss> {
        self.response(asker, "get_peers", &[("info_hash", bytes(info_hash))])
    }

    /// Insists that an error with this code comes.
    pub fn refuses(
        &mut self,
        asker: &FakeNode,
        method: &str,
        arguments: &[(&str, Vec<u8>)],
        code: i64,
    ) -> Finding {
        let reply = self.ask(asker, method, arguments)?;
        let found = reply.error().map(|(code, _)| code);
        ensure(found == Some(code), || {
            let found = match found {
                Some(code) => format!("error {code}"),
                None => format!("a response: {}", krpc::shown(&reply.bytes)),
            };
            Miss::new(format!("{method} was to be refused")).instead(
                format!("error {code}: `y` is e, and `e` a list of the code and a text"),
                found,
            )
        })
    }

    /// Asks again and again until a response is as it should be, or for some time; returns the
    /// last miss.
    pub fn until(&mut self, mut is_so: impl FnMut(&mut Node) -> Result<Finding, Miss>) -> Finding {
        let deadline = Instant::now() + LEARNS;
        loop {
            match is_so(self)? {
                Err(miss) if Instant::now() > deadline => return Err(miss),
                Err(_) => sleep(PAUSE),
                Ok(()) => return Ok(()),
            }
        }
    }
}

/// Returns the id of the first line.
fn id(printed: &str) -> Option<Id> {
    let line = printed.lines().next()?.strip_prefix("Node ID: ")?;
    hex::decode(line.trim_end()).ok()?.try_into().ok()
}
