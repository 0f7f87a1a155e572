//! Stage 4: `handshake TORRENT HOST:PORT` shakes hands with a peer.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use super::peers::{HOLD, bitfield_of, hear_handshake, spoken};
use crate::actors::line::Line;
use crate::actors::scripted::Scripted;
use crate::actors::torrent::Torrent;
use crate::actors::wire;
use crate::grade::check::{Check, Finding};
use crate::grade::miss::{Miss, ensure};
use crate::grade::outcome::Outcome;
use crate::grade::scene::Scene;

const PROTOCOL: &str = "BEP 3, peer protocol";

/// The checks of stage 4.
pub const CHECKS: &[Check] = &[
    Check::new("4.1", "a handshake is 68 bytes", PROTOCOL, sixty_eight)
        .points(2)
        .twin("peer handshake"),
    Check::new("4.2", "each start has a peer id of its own", PROTOCOL, own_id),
    Check::new("4.3", "the answer comes a byte at a time", PROTOCOL, drop_by_drop),
    Check::new("4.4", "messages come in one packet with the answer", PROTOCOL, one_packet),
    Check::new("4.5", "reserved bits that you do not know are ignored", PROTOCOL, unknown_bits),
    Check::new("4.6", "refuses a peer with another torrent", PROTOCOL, other_torrent)
        .refusal("4.1"),
    Check::new("4.7", "refuses a peer that hangs up", PROTOCOL, hangs_up).refusal("4.1"),
    Check::new("4.8", "refuses a web server", PROTOCOL, web_server).refusal("4.1"),
    Check::new("4.9", "gives up on silence within 10 s", PROTOCOL, silence).refusal("4.1"),
    Check::new("4.10", "says so when nobody listens", PROTOCOL, nobody).refusal("4.1"),
    Check::new("4.11", "gives up on a byte a second within 15 s", PROTOCOL, drip).refusal("4.1"),
    Check::new("4.12", "refuses to talk to itself", PROTOCOL, itself).refusal("4.1"),
    Check::new("4.13", "refuses half a handshake", PROTOCOL, half).refusal("4.1"),
];

/// What a peer of these checks is: a torrent, and an id.
#[derive(Clone)]
struct Role {
    torrent: Arc<Torrent>,
    id: [u8; 20],
    reserved: [u8; 8],
}

impl Role {
    fn new(scene: &mut Scene) -> Role {
        let torrent = Arc::new(scene.torrent(3));
        Role { torrent, id: scene.dice.peer_id(), reserved: [0; 8] }
    }

    fn handshake(&self) -> Vec<u8> {
        wire::handshake(self.reserved, self.torrent.info_hash, self.id)
    }

    fn bitfield(&self) -> Vec<u8> {
        bitfield_of(&vec![true; self.torrent.pieces()])
    }
}

/// Starts a peer. Once the client's handshake has come, the script goes on with it; then the peer
/// waits until the client leaves.
fn peer(
    scene: &mut Scene,
    role: &Role,
    script: impl Fn(&mut Line, &Role, [u8; 68]) + Send + Sync + 'static,
) -> Result<Arc<Scripted>, Miss> {
    let role = role.clone();
    scene.scripted(move |line, _| {
        if let Some(theirs) = hear_handshake(line, role.torrent.info_hash) {
            script(line, &role, theirs);
            line.hold(HOLD);
        }
    })
}

/// Runs `handshake` with a peer.
fn shake(scene: &mut Scene, role: &Role, address: SocketAddr) -> Result<Outcome, Miss> {
    let tracker = scene.tracker_of(&[address])?;
    let file = scene.torrent_file(&role.torrent, &tracker.url())?;
    let outcome = scene.run(&["handshake", &file, &address.to_string()])?;
    scene.settle();
    Ok(outcome)
}

/// Insists on the peer's id on stdout.
fn tells_id(outcome: &Outcome, role: &Role) -> Finding {
    outcome.prints(&format!("Peer ID: {}", hex::encode(role.id)))
}

/// Names the mistake behind a wrong peer id.
fn wrong_id(outcome: &Outcome, role: &Role, ours: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(&outcome.stdout).into_owned();
    let found = text.trim().strip_prefix("Peer ID:")?.trim();
    let hash = hex::encode(role.torrent.info_hash);
    let whole = hex::encode(role.handshake());
    Some(match found {
        _ if found == hex::encode(ours) => {
            "that is your own id: print the peer's, the last 20 bytes that come back"
        }
        _ if found == hash => "that is the info hash: the peer id is the last 20 bytes",
        _ if found.as_bytes() == role.id => "print the 20 bytes in hex, as 40 digits",
        _ if found.eq_ignore_ascii_case(&hex::encode(role.id)) => {
            "print hex digits in small letters"
        }
        _ if found.len() >= 20 && whole.contains(found) => {
            "the peer id is bytes 48 to 67 of what comes back, and no others"
        }
        _ => return None,
    })
}

fn sixty_eight(scene: &mut Scene) -> Finding {
    let role = Role::new(scene);
    let peer = peer(scene, &role, |line, role, _| {
        let _ = line.send(&role.handshake());
    })?;
    let outcome = shake(scene, &role, peer.address())?;
    let recording = spoken(peer.recordings(), peer.address(), &role.torrent, &outcome)?;
    let ours = recording.from_client().get(48..68).map(<[u8]>::to_vec).unwrap_or_default();
    tells_id(&outcome, &role).map_err(|miss| match wrong_id(&outcome, &role, &ours) {
        Some(cause) => miss.likely(cause),
        None => miss,
    })
}

fn own_id(scene: &mut Scene) -> Finding {
    let role = Role::new(scene);
    let peer = peer(scene, &role, |line, role, _| {
        let _ = line.send(&role.handshake());
    })?;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let before = peer.recordings().len();
        let outcome = shake(scene, &role, peer.address())?;
        let later = peer.recordings().split_off(before);
        let recording = spoken(later, peer.address(), &role.torrent, &outcome)?;
        ids.push(recording.from_client().get(48..68).map(<[u8]>::to_vec).unwrap_or_default());
    }
    let (Some(one), Some(two)) = (ids.first(), ids.last()) else { return Ok(()) };
    ensure(*one != role.id, || Miss::new("your handshake has the peer's id in place of your own"))?;
    ensure(one != two, || {
        Miss::new("two starts of your client had the same peer id")
            .detail(format!("both    {}", hex::encode(one)))
            .likely("draw some of its 20 bytes at random when you start: two clients with one id hang up on each other")
    })
}

fn drop_by_drop(scene: &mut Scene) -> Finding {
    let role = Role::new(scene);
    let peer = peer(scene, &role, |line, role, _| {
        let _ = line.send_slowly(&role.handshake(), 1, Duration::from_millis(5));
    })?;
    let outcome = shake(scene, &role, peer.address())?;
    tells_id(&outcome, &role).map_err(|miss| {
        miss.perhaps(
            "one read returns what is there, not what you want: read until all 68 bytes have come",
        )
    })
}

fn one_packet(scene: &mut Scene) -> Finding {
    let role = Role::new(scene);
    let peer = peer(scene, &role, |line, role, _| {
        let unchoke = wire::message(wire::UNCHOKE, &[]);
        let _ = line.send(&[role.handshake(), role.bitfield(), unchoke].concat());
    })?;
    let outcome = shake(scene, &role, peer.address())?;
    tells_id(&outcome, &role).map_err(|miss| {
        miss.perhaps("the handshake is the first 68 bytes of what comes: the rest are messages")
    })
}

fn unknown_bits(scene: &mut Scene) -> Finding {
    let mut role = Role::new(scene);
    let bits = scene.dice.bytes(8);
    role.reserved.copy_from_slice(&bits);
    // At least one that is unknown to everybody.
    role.reserved[2] |= 0x20;
    let peer = peer(scene, &role, |line, role, _| {
        let _ = line.send(&role.handshake());
    })?;
    let outcome = shake(scene, &role, peer.address())?;
    tells_id(&outcome, &role).map_err(|miss| {
        miss.perhaps(
            "the 8 reserved bytes of others may hold anything: look only at the bits that you know",
        )
    })
}

/// Runs `handshake` with a peer that does this once the client's handshake has come.
fn meet(
    scene: &mut Scene,
    script: impl Fn(&mut Line, &Role, [u8; 68]) + Send + Sync + 'static,
) -> Result<Outcome, Miss> {
    let role = Role::new(scene);
    let peer = peer(scene, &role, script)?;
    shake(scene, &role, peer.address())
}

/// The same, and insists on a refusal.
fn refuses(
    scene: &mut Scene,
    likely: &str,
    script: impl Fn(&mut Line, &Role, [u8; 68]) + Send + Sync + 'static,
) -> Finding {
    meet(scene, script)?.refuses().map_err(|miss| miss.perhaps(likely))
}

fn other_torrent(scene: &mut Scene) -> Finding {
    let hash = scene.dice.twenty();
    let likely = "compare the info hash in the answer with the one that you sent";
    refuses(scene, likely, move |line, role, _| {
        let _ = line.send(&wire::handshake(role.reserved, hash, role.id));
    })
}

fn hangs_up(scene: &mut Scene) -> Finding {
    refuses(scene, "a read of no bytes is the end of the stream", |line, _, _| line.close())
}

fn web_server(scene: &mut Scene) -> Finding {
    let words = scene.dice.word(60);
    let page = format!("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<p>{words}</p>");
    let likely = "the answer must begin with byte 19 and \"BitTorrent protocol\"";
    refuses(scene, likely, move |line, _, _| {
        let _ = line.send(page.as_bytes());
        line.close_ours();
    })
}

fn silence(scene: &mut Scene) -> Finding {
    scene.within(10);
    meet(scene, |_, _, _| {})?
        .refuses_after_a_wait()
        .map_err(|miss| miss.perhaps("set a limit for the whole handshake, of some seconds"))
}

fn nobody(scene: &mut Scene) -> Finding {
    let role = Role::new(scene);
    // An address that no other check has: the port is free once the listener is gone.
    let part = |scene: &mut Scene| scene.dice.number(1, 250) as u8;
    let host = match cfg!(target_os = "linux") {
        true => IpAddr::V4(Ipv4Addr::new(127, 200, part(scene), part(scene))),
        false => scene.host(),
    };
    let address = TcpListener::bind((host, 0)).and_then(|listener| listener.local_addr());
    let address = address.map_err(|error| Miss::new(format!("the grader has no port: {error}")))?;
    shake(scene, &role, address)?.refuses().map_err(|miss| {
        miss.perhaps(
            "a connection that is refused is an error: say so on stderr, and end with code 1",
        )
    })
}

fn drip(scene: &mut Scene) -> Finding {
    scene.within(15);
    let likely = "each read is in time, and all of them together are not: set a deadline, not a timeout of one read";
    let outcome = meet(scene, |line, role, _| {
        for byte in role.handshake() {
            if line.send(&[byte]).is_err() || line.hold(Duration::from_secs(1)) {
                return;
            }
        }
    })?;
    outcome.refuses_after_a_wait().map_err(|miss| miss.perhaps(likely))
}

fn itself(scene: &mut Scene) -> Finding {
    let likely = "trackers name you to yourself: an answer with your own peer id is your own";
    refuses(scene, likely, |line, _, theirs| {
        let _ = line.send(&theirs);
    })
}

fn half(scene: &mut Scene) -> Finding {
    let cut = scene.dice.length(49, 67);
    let likely = "the stream ends before 68 bytes: that is an error, not a short peer id";
    refuses(scene, likely, move |line, role, _| {
        let _ = line.send(role.handshake().get(..cut).unwrap_or_default());
        line.close_ours();
    })
}
