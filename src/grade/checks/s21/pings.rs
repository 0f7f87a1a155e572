//! `dht_ping HOST:PORT`: one query, and its answer among others.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::actors::dht::{Answer, Asked, FakeDht, Id, NodePlan};
use crate::grade::check::Finding;
use crate::grade::hints::krpc;
use crate::grade::miss::{Miss, ensure};
use crate::grade::outcome::Outcome;
use crate::grade::scene::Scene;

/// How long a silent node may be waited for.
const PATIENCE: u64 = 12;
/// Time between the wrong answer and the right one.
const BETWEEN: Duration = Duration::from_millis(60);

/// A run of `dht_ping` with one node.
struct Ping {
    id: Id,
    dht: Arc<FakeDht>,
    outcome: Outcome,
}

impl Ping {
    /// Runs it with a node that says this.
    fn run(scene: &mut Scene, says: &[Answer]) -> Result<Ping, Miss> {
        let id = scene.dice.twenty();
        let dht = scene.dht([NodePlan::new(id).saying(says.to_vec())])?;
        let outcome = scene.run(&["dht_ping", &dht.address(0).to_string()])?;
        let ping = Ping { id, dht, outcome };
        ping.was_sent()?;
        Ok(ping)
    }

    /// Returns the queries that came.
    fn asked(&self) -> Vec<Asked> {
        self.dht.queries().into_iter().map(|(_, asked)| asked).collect()
    }

    /// Insists that the node got a query.
    fn was_sent(&self) -> Finding {
        ensure(!self.asked().is_empty(), || {
            let what = match self.dht.nodes.iter().any(|node| node.garbage() > 0) {
                true => "the node cannot read what your client sends",
                false => "the node got no datagram",
            };
            self.outcome.with_last_words(Miss::new(what))
        })
    }

    /// Insists that the node's id is printed. `cause` is why a wrong answer's may have been.
    fn prints(&self, cause: &str) -> Finding {
        let expected = format!("Node ID: {}", hex::encode(self.id));
        let found = self.outcome.prints(&expected);
        let decoy: Vec<u8> = self.id.iter().map(|byte| !byte).collect();
        let is_decoy = self.outcome.text().contains(&hex::encode(decoy));
        found.map_err(|miss| if is_decoy { miss.rather(cause) } else { miss.perhaps(cause) })
    }
}

pub fn id(scene: &mut Scene) -> Finding {
    let ping = Ping::run(scene, &[Answer::Good])?;
    ping.prints("the id is the 20 bytes at r.id of the answer, in hex")
}

pub fn query(scene: &mut Scene) -> Finding {
    let asked = Ping::run(scene, &[Answer::Good])?.asked();
    for Asked { query, .. } in &asked {
        if let Some(cause) = krpc::broken(&query.bytes) {
            return Err(Miss::new("the query breaks a rule")
                .instead("d1:ad2:id20:…e1:q4:ping1:t2:…1:y1:qe", krpc::shown(&query.bytes))
                .likely(cause));
        }
    }
    ensure(asked.iter().any(|asked| asked.query.method == "ping"), || {
        let found = asked.first().map_or("nothing", |asked| asked.query.method.as_str());
        Miss::new("the node was not pinged").instead("q is ping", format!("q is {found}"))
    })
}

pub fn transactions(scene: &mut Scene) -> Finding {
    let mut seen = BTreeSet::new();
    for _ in 0..4 {
        let ping = Ping::run(scene, &[Answer::Good])?;
        ping.prints("the id is the 20 bytes at r.id of the answer, in hex")?;
        seen.extend(ping.asked().first().map(|asked| asked.query.transaction.clone()));
    }
    // Two bytes at random are the same in two of four runs once in ten thousand times.
    ensure(seen.len() > 2, || {
        let same: Vec<String> = seen.iter().map(hex::encode).collect();
        Miss::new("four runs had the same transactions")
            .instead("four random ones", same.join(", "))
            .likely("choose `t` at random: whoever can guess it can answer in the node's name")
    })
}

pub fn other(scene: &mut Scene) -> Finding {
    let ping = Ping::run(scene, &[Answer::OtherTransaction, Answer::Late(BETWEEN)])?;
    ping.prints("an answer repeats your `t`: pass over one with another, and wait on")
}

pub fn forged(scene: &mut Scene) -> Finding {
    let ping = Ping::run(scene, &[Answer::Forged, Answer::Late(BETWEEN)])?;
    ping.prints("the answer came from another port: compare where each datagram comes from")
}

pub fn garbage(scene: &mut Scene) -> Finding {
    let noise = scene.dice.bytes(90);
    let length = scene.dice.length(20, 40);
    let wrong = [
        Answer::Raw(noise),
        Answer::Raw(Vec::new()),
        Answer::Raw(b"d1:y1:re".to_vec()),
        Answer::Raw(b"i7e".to_vec()),
        Answer::Raw(b"l".repeat(1_200)),
        Answer::Cut(length),
    ];
    for answer in wrong {
        let ping = Ping::run(scene, &[answer, Answer::Late(BETWEEN)])?;
        ping.prints("anybody may send anything: pass over what is no answer to you, and wait on")?;
    }
    Ok(())
}

pub fn error(scene: &mut Scene) -> Finding {
    let word = scene.dice.word(8);
    let text = format!("the node is busy with {word}");
    let Ping { outcome, .. } = Ping::run(scene, &[Answer::Error(202, text.clone())])?;
    outcome
        .refuses()
        .map_err(|miss| miss.perhaps("`y` is e: at `e` is a list of a code and a text"))?;
    ensure(String::from_utf8_lossy(&outcome.stderr).contains(&word), || {
        Miss::new("what the node says is not on stderr")
            .instead(format!("\"{text}\""), outcome.last_words().unwrap_or_default())
            .likely("`y` is e: at `e` is a list of a code and a text. Tell the text")
            .half()
    })
}

pub fn silence(scene: &mut Scene) -> Finding {
    scene.within(PATIENCE);
    Ping::run(scene, &[])?
        .outcome
        .refuses_after_a_wait()
        .map_err(|miss| miss.likely("UDP tells you nothing: set a time limit for the answer"))
}
