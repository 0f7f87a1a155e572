//! The seam for giving: what a session does with a peer that wants something.

use super::super::support::{Gate, Must, Torrent, insist_eq, wire};
use super::giver::block_of;
use super::memory::{Memory, bits};
use super::net::{FAST, Net, PLAIN, Talk, plan, right, run, run_into};
use piecemeal::s04_handshake::transport::Hangup;
use piecemeal::s05_messages::{Message, Request};
use piecemeal::s07_extension::BoxError;
use piecemeal::s10_storage::Store;
use piecemeal::s12_session::host;
use piecemeal::s12_session::host::SessionEnd;
use piecemeal::s12_session::host::{Upload, UploadPeer, Uploads};
use piecemeal::s12_session::send_path::SendPath;
use piecemeal::s15_swarm::{Ended, Plan};
use piecemeal::s16_uploading::send_queue::{Blocks, SendQueue, Writer};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// Gives whatever is asked for, and writes down what happens.
struct Generous {
    torrent: Torrent,
    told: Arc<Mutex<Vec<String>>>,
}

struct One {
    torrent: Torrent,
    peer: UploadPeer,
    queue: Arc<SendQueue>,
    told: Arc<Mutex<Vec<String>>>,
}

fn tell(told: &Mutex<Vec<String>>, what: String) {
    told.lock().expect("nobody panics with this lock").push(what);
}

impl Uploads for Generous {
    fn open(&self, peer: UploadPeer) -> Option<Box<dyn Upload>> {
        tell(&self.told, format!("open {}", peer.stats.address().port()));
        let (torrent, told) = (self.torrent.clone(), Arc::clone(&self.told));
        Some(Box::new(One { torrent, peer, queue: Arc::default(), told }))
    }

    fn stays(&self, _: u64, _: u64) -> bool {
        false
    }
}

/// Has every block.
struct Every(Torrent);

impl Blocks for Every {
    fn append(&self, _: &host::Torrent, request: Request, out: &mut Vec<u8>) -> bool {
        let block = (request.index, request.begin, request.length);
        let Ok(block) = right(&self.0, block) else { return false };
        out.extend(wire::block(request.index, request.begin, &block));
        true
    }
}

/// The writer of an upload that has every block.
pub fn writer(peer: &UploadPeer, torrent: &Torrent, queue: &Arc<SendQueue>) -> Writer {
    Writer {
        host: Arc::clone(&peer.host),
        torrent: Arc::clone(&peer.torrent),
        stats: Arc::clone(&peer.stats),
        fast: peer.fast,
        blocks: Arc::new(Every(torrent.clone())),
        queue: Arc::clone(queue),
    }
}

impl Upload for One {
    fn take_over(&mut self, path: Box<dyn SendPath>, hang_up: &Hangup) -> Box<dyn SendPath> {
        writer(&self.peer, &self.torrent, &self.queue).take_over(path, hang_up)
    }

    fn set_interested(&mut self, yes: bool) {
        tell(&self.told, format!("interested {yes}"));
        let message = if yes { Message::Unchoke } else { Message::Choke };
        self.queue.edit(|queued| message.encode_to(&mut queued.messages));
    }

    fn request(&mut self, request: Request) -> Result<(), BoxError> {
        if request.length > 16_384 {
            return Err("it is too much".into());
        }
        self.queue.edit(|queued| queued.blocks.push_back(request));
        Ok(())
    }

    fn cancel(&mut self, request: Request) {
        tell(&self.told, format!("cancel {}", request.begin));
        self.queue.edit(|queued| queued.blocks.retain(|other| *other != request));
    }
}

/// We have pieces 0 and 2 of five, and give.
fn giving(
    net: &Arc<Net>,
    torrent: &Torrent,
    peers: &[SocketAddr],
) -> (Plan, Arc<Memory>, Arc<Mutex<Vec<String>>>) {
    let told = Arc::default();
    let mut plan = plan(net, torrent, peers);
    plan.uploads = Arc::new(Generous { torrent: torrent.clone(), told: Arc::clone(&told) });
    let store = Memory::of(torrent);
    store.write(0, torrent.piece(0)).expect("memory takes it");
    store.write(65_536, torrent.piece(2)).expect("memory takes it");
    (plan, store, told)
}

fn request(piece: u32, begin: u32, length: u32) -> Vec<u8> {
    wire::message(
        wire::REQUEST,
        &[piece.to_be_bytes(), begin.to_be_bytes(), length.to_be_bytes()].concat(),
    )
}

/// Takes four blocks from us while it gives what we lack; the last of that only once
/// it has its four.
fn take_and_give(talk: &mut Talk, torrent: &Torrent) -> io::Result<()> {
    talk.has(torrent, &[1, 3, 4])?;
    talk.send(&wire::message(wire::INTERESTED, &[]))?;
    let (mut taken, mut given, mut held) = (0, 0, Vec::new());
    loop {
        match talk.next()? {
            (wire::UNCHOKE, _) => {
                for (piece, begin) in [(0, 0), (2, 16_384), (0, 16_384), (2, 0)] {
                    talk.send(&request(piece, begin, 16_384))?;
                }
            }
            (wire::PIECE, payload) => {
                insist_eq!(block_of(torrent, &payload)?.2, 16_384, "the length of a block");
                taken += 1;
            }
            (wire::INTERESTED, _) => talk.unchoke()?,
            (wire::REQUEST, payload) => {
                held.push(wire::three(&payload).must("a request has three numbers")?)
            }
            _ => {}
        }
        while !held.is_empty() && (given < 5 || taken == 4) {
            let asked = held.remove(0);
            talk.block(torrent, asked)?;
            given += 1;
        }
    }
}

#[test]
fn a_peer_takes_and_gives_at_the_same_time() {
    // With room for less than a message, each side often waits for the other to read.
    for room in [64, 1 << 16] {
        let (net, torrent) = (Net::with_room(room), Torrent::sample());
        let content = torrent.clone();
        let peer = net.peer(1, move |talk| {
            talk.hello(PLAIN, &content)?;
            take_and_give(talk, &content)
        });
        let (plan, store, told) = giving(&net, &torrent, &[peer]);
        let mut ran = run_into(&net, plan, Arc::clone(&store) as Arc<dyn Store>, bits(5, [0, 2]));
        ran.store = store;
        ran.is_complete(&torrent);
        let told = told.lock().expect("nobody panics with this lock").clone();
        assert_eq!(told, ["open 6881", "interested true"], "room {room}");
    }
}

#[test]
fn what_the_peer_says_reaches_the_upload() {
    let (net, torrent, heard) = (Net::new(), Torrent::sample(), Gate::default());
    let (content, gate) = (torrent.clone(), heard.clone());
    let peer = net.peer(1, move |talk| {
        talk.hello(PLAIN, &content)?;
        talk.send(&wire::message(wire::INTERESTED, &[]))?;
        talk.until(wire::UNCHOKE)?;
        talk.send(&wire::message(wire::CANCEL, &request(0, 77, 16_384)[5..]))?;
        talk.send(&wire::message(wire::NOT_INTERESTED, &[]))?;
        talk.until(wire::CHOKE)?;
        talk.send(&wire::message(wire::INTERESTED, &[]))?;
        talk.until(wire::UNCHOKE)?;
        // It breaks a rule, and we hang up.
        talk.send(&request(0, 0, 20_000))?;
        let ended = talk.hold();
        gate.open();
        ended
    });
    let content = torrent.clone();
    let good = net.peer(2, move |talk| {
        talk.hello(PLAIN, &content)?;
        heard.opens()?;
        talk.has(&content, &[0, 1, 2, 3, 4])?;
        talk.give(&content)
    });
    let (plan, store, told) = giving(&net, &torrent, &[peer, good]);
    let mut ran = run_into(&net, plan, Arc::clone(&store) as Arc<dyn Store>, bits(5, [0, 2]));
    ran.store = store;
    ran.is_complete(&torrent);
    let told = told.lock().expect("nobody panics with this lock").clone();
    assert_eq!(
        told[..5],
        ["open 6881", "interested true", "cancel 77", "interested false", "interested true"]
    );
    assert!(
        matches!(ran.left(peer)[..], [Ended::Session(SessionEnd::Upload(_)), ..]),
        "{:?}",
        ran.left(peer)
    );
}

#[test]
fn who_gives_nothing_says_so_where_the_fast_extension_lets_it() {
    let (net, torrent) = (Net::new(), Torrent::sample());
    let content = torrent.clone();
    let fast = net.peer(1, move |talk| {
        talk.hello(FAST, &content)?;
        talk.send(&wire::message(wire::INTERESTED, &[]))?;
        for piece in [0, u32::MAX] {
            talk.send(&request(piece, 5, u32::MAX))?;
            insist_eq!(talk.until(wire::REJECT)?, request(piece, 5, u32::MAX)[5..]);
        }
        talk.send(&wire::message(wire::HAVE_ALL, &[]))?;
        talk.give(&content)
    });
    run(&net, plan(&net, &torrent, &[fast]), &torrent).is_complete(&torrent);
    let (net, content) = (Net::new(), torrent.clone());
    let plain = net.peer(1, move |talk| {
        talk.hello(PLAIN, &content)?;
        talk.send(&wire::message(wire::INTERESTED, &[]))?;
        talk.send(&request(0, 0, 16_384))?;
        talk.has(&content, &[0, 1, 2, 3, 4])?;
        let (id, _) = talk.next()?;
        insist_eq!(id, wire::INTERESTED, "a request gets no answer, and costs nothing");
        talk.unchoke()?;
        talk.give(&content)
    });
    run(&net, plan(&net, &torrent, &[plain]), &torrent).is_complete(&torrent);
}
