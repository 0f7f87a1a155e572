//! Stage 7: `magnet_handshake LINK` makes the extension handshake.

use std::sync::Arc;

use super::peers::{HOLD, PATIENCE, bitfield_of, hear_handshake, messages_in, spoken};
use crate::actors::bencode::{self, Value, bytes, dict, int, list};
use crate::actors::peer_plan::{After, Metadata, Order, Plan};
use crate::actors::recording::Recording;
use crate::actors::torrent::Torrent;
use crate::actors::wire;
use crate::grade::check::{Check, Finding};
use crate::grade::miss::{Miss, ensure};
use crate::grade::outcome::Outcome;
use crate::grade::scene::Scene;

const BIT: &str = "BEP 10: bit 20";
const MESSAGE: &str = "BEP 10: handshake message";
const IDS: &str = "BEP 10: m";

/// The checks of stage 7.
pub const CHECKS: &[Check] = &[
    Check::new("7.1", "sets bit 20 of the reserved bytes", BIT, bit)
        .twin("announce extension support"),
    Check::new("7.2", "prints the id that the peer gives ut_metadata", IDS, their_id)
        .points(2)
        .twin("receive extension handshake"),
    Check::new("7.3", "sends an extension handshake: 20, 0, and a dictionary m", MESSAGE, ours)
        .twin("send extension handshake"),
    Check::new(
        "7.4",
        "the extension handshake may come before the bitfield",
        MESSAGE,
        first_of_all,
    ),
    Check::new("7.5", "there may be no bitfield", MESSAGE, no_bitfield),
    Check::new("7.6", "keep-alives and unknown messages may come before it", MESSAGE, noise),
    Check::new("7.7", "passes over keys and names that it does not know", MESSAGE, unknown_keys),
    Check::new("7.8", "a peer without the bit: its peer id, and no second line", BIT, plain),
    Check::new("7.9", "a peer without ut_metadata: no second line", IDS, not_offered),
    Check::new(
        "7.10",
        "refuses an extension handshake that is no dictionary",
        MESSAGE,
        no_dictionary,
    )
    .refusal("7.2"),
    Check::new("7.11", "gives up on a peer that sends no extension handshake", MESSAGE, silence)
        .refusal("7.2"),
    Check::new("7.12", "an id of 0 means: not offered", IDS, turned_off),
    Check::new("7.13", "the keys of its dictionaries are sorted", "BEP 3, bencoding", sorted),
    Check::new("7.14", "does not wait for the peer's extension handshake", MESSAGE, ours_first),
    Check::new("7.15", "sends no message 20 to a peer without the bit", BIT, nothing_to_plain)
        .refusal("7.8"),
];

/// A run of `magnet_handshake`.
struct Run {
    outcome: Outcome,
    /// The connection on which the client said the most.
    connection: Recording,
    /// The peer's id, and the id that it gives `ut_metadata`.
    peer_id: [u8; 20],
    extension_id: u8,
}

/// Runs it with a peer that has a plan.
fn run(scene: &mut Scene, alter: impl FnOnce(Plan) -> Plan) -> Result<Run, Miss> {
    let torrent = scene.torrent(3);
    let plan = alter(scene.plan(&torrent));
    let (peer_id, extension_id) = (plan.peer_id, plan.metadata_id);
    let peer = scene.peer(plan)?;
    let outcome = shake(scene, &torrent, peer.address())?;
    let connection = spoken(peer.recordings(), peer.address(), &torrent, &outcome)?;
    Ok(Run { outcome, connection, peer_id, extension_id })
}

/// Runs it with a peer at this address.
fn shake(
    scene: &mut Scene,
    torrent: &Torrent,
    address: std::net::SocketAddr,
) -> Result<Outcome, Miss> {
    let tracker = scene.tracker_of(&[address])?;
    let link = torrent.magnet(&[&tracker.url()]);
    let outcome = scene.run(&["magnet_handshake", &link])?;
    scene.settle();
    Ok(outcome)
}

/// Returns what is to be on stdout.
fn lines(peer_id: [u8; 20], extension_id: Option<u8>) -> String {
    let first = format!("Peer ID: {}", hex::encode(peer_id));
    match extension_id {
        Some(id) => format!("{first}\nPeer Metadata Extension ID: {id}"),
        None => first,
    }
}

impl Run {
    /// Insists on both lines.
    fn prints_both(&self) -> Finding {
        let expected = lines(self.peer_id, Some(self.extension_id));
        self.outcome.prints(&expected).map_err(|miss| match self.wrong_id() {
            Some(cause) => miss.likely(cause),
            None => miss,
        })
    }

    /// Insists on the first line alone.
    fn prints_peer_id(&self) -> Finding {
        self.outcome.prints(&lines(self.peer_id, None))
    }

    /// Names the mistake behind a wrong extension id.
    fn wrong_id(&self) -> Option<&'static str> {
        let text = self.outcome.text();
        let found =
            text.lines().find_map(|line| line.strip_prefix("Peer Metadata Extension ID:"))?;
        let found: i64 = found.trim().parse().ok()?;
        let own = self.dictionary().ok().and_then(|own| own.get("m")?.get("ut_metadata")?.int());
        match found {
            20 => {
                Some("20 is the id of the message: the peer's number for ut_metadata is in its m")
            }
            _ if own == Some(found) => {
                Some("that is your own number for ut_metadata: print the peer's, from its m")
            }
            _ => None,
        }
    }

    /// Returns the dictionary of the client's extension handshake.
    fn dictionary(&self) -> Result<Value, Miss> {
        let messages = messages_in(&self.connection);
        let extended = messages.iter().find_map(|message| message.strip_prefix(&[wire::EXTENDED]));
        let payload = extended.ok_or_else(|| Miss::new("no message 20 came"))?;
        let Some(dictionary) = payload.strip_prefix(&[0]) else {
            return Err(Miss::new("your first message 20 is no extension handshake").instead(
                "extension id 0 behind the message id 20",
                payload.first().map_or("nothing".to_owned(), u8::to_string),
            ));
        };
        match bencode::decode(dictionary) {
            Some((value @ Value::Dict(_), _)) => Ok(value),
            _ => Err(Miss::new("your extension handshake is no bencoded dictionary")),
        }
    }
}

fn bit(scene: &mut Scene) -> Finding {
    let run = run(scene, |plan| plan)?;
    let sent = run.connection.from_client();
    let reserved = sent.get(20..28).unwrap_or_default();
    let byte = reserved.get(5).copied().unwrap_or_default();
    ensure(byte & wire::EXTENSION_BIT != 0, || {
        let miss = Miss::new("your handshake does not say that you speak the extension protocol");
        match reserved.iter().position(|byte| byte & wire::EXTENSION_BIT != 0) {
            Some(place) => miss.likely(format!(
                "0x10 is in byte {place} of the reserved ones: it belongs in byte 5, counted from 0"
            )),
            _ if reserved.get(2).is_some_and(|byte| byte & 0x08 != 0) => {
                miss.likely("bit 20 is counted from the right: it is 0x10 in byte 5")
            }
            None if byte == 10 => miss.likely("byte 5 is 0x10, which is 16, and not 10"),
            None => miss,
        }
    })
}

fn their_id(scene: &mut Scene) -> Finding {
    run(scene, |plan| plan)?.prints_both()
}

fn ours(scene: &mut Scene) -> Finding {
    let run = run(scene, |plan| plan)?;
    let dictionary = run.dictionary()?;
    let Some(m) = dictionary.get("m").filter(|m| matches!(m, Value::Dict(_))) else {
        return Err(Miss::new("your extension handshake has no dictionary m")
            .likely("names and numbers are in a dictionary of their own, at the key m"));
    };
    let id = m.get("ut_metadata").and_then(Value::int);
    ensure(id.is_some_and(|id| (1..=255).contains(&id)), || {
        Miss::new("your m does not offer ut_metadata").instead(
            "ut_metadata with a number from 1 to 255",
            id.map_or("no number".to_owned(), |id| id.to_string()),
        )
    })
}

fn first_of_all(scene: &mut Scene) -> Finding {
    run(scene, |plan| plan.order(Order::ExtensionFirst))?.prints_both().map_err(|miss| {
        miss.perhaps("look at the id of each message: either of the two may come first, or alone")
    })
}

fn no_bitfield(scene: &mut Scene) -> Finding {
    run(scene, |plan| plan.order(Order::NoBitfield))?.prints_both().map_err(|miss| {
        miss.perhaps("it waits for a bitfield, which is not there: look at the id of each message")
    })
}

fn noise(scene: &mut Scene) -> Finding {
    run(scene, Plan::noise)?.prints_both().map_err(|miss| {
        miss.perhaps("read messages until one has the id 20 and, behind that, the extension id 0")
    })
}

fn unknown_keys(scene: &mut Scene) -> Finding {
    let name = scene.dice.word(9);
    let (ip, port) = (scene.dice.bytes(4), scene.dice.number(1_024, 60_000) as i64);
    let others = [(); 2].map(|()| int(i64::from(scene.dice.extension_id())));
    let other = scene.dice.word(5);
    let run = run(scene, |plan| {
        let [before, after] = others;
        let id = int(i64::from(plan.metadata_id));
        let m = [("lt_donthave", before), ("ut_metadata", id), ("ut_pex", after)];
        let inner = dict(&[("a", list(&[int(-1), bytes(&other)])), ("b", dict(&[]))]);
        let payload = dict(&[
            ("complete_ago", int(-1)),
            ("e", int(0)),
            ("m", dict(&m)),
            ("metadata_size", int(plan.torrent.info.len() as i64)),
            ("p", int(port)),
            ("v", bytes(&name)),
            ("yourip", bytes(&ip)),
            ("zz", list(&[inner, int(7)])),
        ]);
        plan.greets(payload)
    })?;
    run.prints_both().map_err(|miss| {
        miss.perhaps(
            "of the dictionary you need only ut_metadata inside m: anything else may be there",
        )
    })
}

fn plain(scene: &mut Scene) -> Finding {
    run(scene, Plan::plain)?.prints_peer_id().map_err(|miss| {
        miss.perhaps_rather(
            "look at bit 20 of the peer's reserved bytes: without it no extension handshake comes",
        )
    })
}

fn not_offered(scene: &mut Scene) -> Finding {
    run(scene, |plan| plan.metadata(Metadata::None))?.prints_peer_id().map_err(|miss| {
        miss.perhaps_rather("a peer need not offer ut_metadata: then its m does not have that name")
    })
}

fn turned_off(scene: &mut Scene) -> Finding {
    let payload = dict(&[("m", dict(&[("ut_metadata", int(0))]))]);
    run(scene, |plan| plan.greets(payload))?.prints_peer_id().map_err(|miss| {
        miss.perhaps_rather("id 0 is that of the handshake itself: a name with 0 is turned off")
    })
}

fn no_dictionary(scene: &mut Scene) -> Finding {
    let payload = list(&[bytes(scene.dice.word(6)), int(3)]);
    run(scene, |plan| plan.greets(payload))?.outcome.refuses().map_err(|miss| {
        miss.perhaps(
            "what came is bencode, but a list: make sure of a dictionary before you look for m",
        )
    })
}

fn silence(scene: &mut Scene) -> Finding {
    scene.within(10);
    run(scene, |plan| plan.after(After::Hold))?
        .outcome
        .refuses_after_a_wait()
        .map_err(|miss| miss.perhaps("set a limit for the whole wait, of some seconds"))
}

fn sorted(scene: &mut Scene) -> Finding {
    let run = run(scene, |plan| plan)?;
    let dictionary = run.dictionary()?;
    let Some((first, second)) = unsorted(&dictionary) else { return Ok(()) };
    let [first, second] = [first, second].map(|key| String::from_utf8_lossy(&key).into_owned());
    Err(Miss::new(format!("in your extension handshake \"{second}\" comes after \"{first}\""))
        .likely("the keys of a dictionary are sorted as bytes, whatever the order in your program"))
}

/// Returns two keys in the wrong order, if there are any.
fn unsorted(value: &Value) -> Option<(Vec<u8>, Vec<u8>)> {
    let Value::Dict(pairs) = value else { return None };
    let here = pairs.windows(2).find_map(|pair| match pair {
        [(first, _), (second, _)] if first > second => Some((first.clone(), second.clone())),
        _ => None,
    });
    here.or_else(|| pairs.iter().find_map(|(_, value)| unsorted(value)))
}

/// The peer answers only: its extension handshake comes after the client's.
fn ours_first(scene: &mut Scene) -> Finding {
    let torrent = Arc::new(scene.torrent(3));
    let (peer_id, id) = (scene.dice.peer_id(), scene.dice.extension_id());
    let peer = scene.scripted({
        let torrent = torrent.clone();
        move |line, _| {
            if hear_handshake(line, torrent.info_hash).is_none() {
                return;
            }
            let reserved = [0, 0, 0, 0, 0, wire::EXTENSION_BIT, 0, 0];
            let handshake = wire::handshake(reserved, torrent.info_hash, peer_id);
            let has = bitfield_of(&vec![true; torrent.pieces()]);
            let _ = line.send(&[handshake, has].concat());
            if line.until(wire::EXTENDED, PATIENCE).is_err() {
                return;
            }
            let m = dict(&[("ut_metadata", int(i64::from(id)))]);
            let size = int(torrent.info.len() as i64);
            let payload = dict(&[("m", m), ("metadata_size", size)]);
            let _ = line.send(&wire::extended(0, &payload));
            line.hold(HOLD);
        }
    })?;
    let outcome = shake(scene, &torrent, peer.address())?;
    let connection = spoken(peer.recordings(), peer.address(), &torrent, &outcome)?;
    let came =
        messages_in(&connection).iter().any(|message| message.first() == Some(&wire::EXTENDED));
    ensure(came, || {
        Miss::new("your extension handshake did not come while the peer waited for it").likely(
            "both sides send it right after the handshakes: two that wait for each other wait forever",
        )
    })?;
    outcome.prints(&lines(peer_id, Some(id)))
}

fn nothing_to_plain(scene: &mut Scene) -> Finding {
    let run = run(scene, Plan::plain)?;
    let messages = messages_in(&run.connection);
    ensure(messages.iter().all(|message| message.first() != Some(&wire::EXTENDED)), || {
        Miss::new("you sent message 20 to a peer that has not set the bit")
    })
}
