//! A piece that two peers brought, and that is wrong: the hashes of its blocks show whose block
//! was, and only that one is fetched again.

use super::super::support::{Gate, Must, assert_number, assert_value, insist, wire};
use super::memory::{Memory, queue_of, seed};
use super::net::{EXTENDED, Names, Net, Ran, Talk, US, run};
use super::torrents::{V2, numbers};
use super::tree;
use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s03_tracker::PeerId;
use piecemeal::s04_handshake::transport::Dial;
use piecemeal::s07_extension::extension::{Extension, Reply};
use piecemeal::s10_storage::Store;
use piecemeal::s11_work_queue::board::explained::BLOCK_HASH_TIMEOUT;
use piecemeal::s11_work_queue::claimant::{Claim, Claimant};
use piecemeal::s11_work_queue::lease::Written;
use piecemeal::s12_session::host::Torrent;
use piecemeal::s15_swarm::summary::Giver;
use piecemeal::s15_swarm::{Event, Plan};
use piecemeal::s24_hash_transfer::message::HashMessage;
use piecemeal::s24_hash_transfer::{HashTransfer, Hashes, plug};
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const CLAUSE: &str = "BEP 52, hash proofs";
const BLOCK: u32 = 16_384;

/// A download of a torrent whose info dictionary is known.
fn plan(net: &Arc<Net>, v2: &V2, peers: &[SocketAddr]) -> Plan {
    let info = v2.info();
    let mut plan = Plan::new(info.names.clone(), Some(info), PeerId(US));
    plan.dial = Arc::clone(net) as Arc<dyn Dial>;
    plan.patience = Duration::from_secs(10);
    plan.sources.push(Box::new(Names(peers.to_vec())));
    plug(&mut plan);
    plan
}

/// The block that is asked for by a request's payload.
fn block_of(payload: &[u8]) -> io::Result<(u32, u32, u32)> {
    Ok(wire::three(payload).must("a request has three numbers")?)
}

/// Gives the first two blocks, and the hashes of all; then whatever is asked for.
fn honest(talk: &mut Talk, v2: &V2, begun: &Gate) -> io::Result<()> {
    talk.hello(EXTENDED, &v2.torrent)?;
    talk.send(&wire::extended(0, b"de"))?;
    talk.has(&v2.torrent, &[0])?;
    talk.unchoke()?;
    let (mut explained, mut held) = (false, Vec::new());
    loop {
        match talk.next()? {
            (wire::REQUEST, payload) => {
                let asked = block_of(&payload)?;
                // The rest is left to the other one, until it has lied.
                if !explained && (asked.1 >= 2 * BLOCK || begun.is_open()) {
                    held.push(asked);
                    continue;
                }
                talk.block(&v2.torrent, asked)?;
                if asked.1 == BLOCK {
                    begun.open();
                }
            }
            (21, request) => {
                insist!(numbers(&request) == [0, 0, 4, 1], "all blocks: {:?}", numbers(&request));
                talk.send(&wire::message(22, &v2.answer(&request)))?;
                explained = true;
                for asked in held.drain(..) {
                    talk.block(&v2.torrent, asked)?;
                }
            }
            _ => {}
        }
    }
}

/// Gives the last block, and a wrong one before it; refuses hashes, and gives nothing more.
fn liar(talk: &mut Talk, v2: &V2, begun: &Gate) -> io::Result<()> {
    talk.hello(EXTENDED, &v2.torrent)?;
    talk.send(&wire::extended(0, b"de"))?;
    begun.opens()?;
    talk.has(&v2.torrent, &[0])?;
    talk.unchoke()?;
    let mut given = 0;
    loop {
        match talk.next()? {
            (wire::REQUEST, payload) if given < 2 => {
                given += 1;
                let asked = block_of(&payload)?;
                match asked.1 / BLOCK {
                    2 => talk.wrong_block(&v2.torrent, asked)?,
                    _ => talk.block(&v2.torrent, asked)?,
                }
            }
            (21, request) => talk.send(&wire::message(23, &request))?,
            _ => {}
        }
    }
}

#[test]
fn only_the_wrong_block_is_fetched_again_and_only_its_sender_is_banned() {
    for v2 in [V2::new(65_536, 65_536 - 100), V2::hybrid(65_536, 65_536 - 100)] {
        let (net, begun) = (Net::new(), Gate::default());
        let (content, gate) = (v2.clone(), begun.clone());
        // Both go by the name of version 2, whichever they were dialed by.
        let honest = net.peer(1, move |talk| honest(talk, &content, &gate));
        let content = v2.clone();
        let liar = net.peer(2, move |talk| liar(talk, &content, &begun));
        let mut plan = plan(&net, &v2, &[honest, liar]);
        plan.names = super::swarm::only(&v2);
        let ran = run(&net, plan, &v2.torrent);
        blames(&ran, &v2, liar);
        assert!(ran.left(honest).is_empty(), "{:?}", ran.told());
        assert_value("how often each block was written", times(&ran, 4), [1, 1, 2, 1], CLAUSE);
    }
}

/// Insists that the download is complete, and that this peer alone is found out, once, and banned.
#[track_caller]
fn blames(ran: &Ran, v2: &V2, liar: SocketAddr) {
    let banned = &ran.is_complete(&v2.torrent).banned;
    assert_value("who is banned", &banned[..], [liar], CLAUSE);
    let lied = |event: &&Event| matches!(event, Event::Lied(_, Giver::Peer(peer)) if *peer == liar);
    let found_out = ran.events.iter().filter(lied).count();
    assert_number("times that it is found out", found_out, 1, CLAUSE, &[]);
}

/// How often each of so many blocks was written.
fn times(ran: &Ran, blocks: u64) -> Vec<usize> {
    let writes = ran.store.writes();
    let times = |block: u64| {
        let at = block * u64::from(BLOCK);
        writes.iter().filter(|range| range.contains(&at)).count()
    };
    (0..blocks).map(times).collect()
}

/// The piece of the tests that follow has this many blocks. One peer brings the first half, and the
/// liar the second.
const BLOCKS: u32 = 64;
/// What the liar sends wrong.
const WRONG: [u32; 2] = [40, 51];

/// How a peer answers when it is asked for hashes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Tells {
    Hashes,
    Reject,
    Nothing,
}

/// A piece that two peers bring, as fast as memory is. Others join once it is wrong.
#[derive(Clone)]
struct Scene {
    v2: V2,
    /// The first half has been sent.
    half: Gate,
    /// So has the second, but for the last block.
    whole: Gate,
    /// When a block was asked for that had been given, and when the last one was sent.
    again: Arc<Mutex<Option<Instant>>>,
    sent: Arc<Mutex<Option<Instant>>>,
}

impl Scene {
    fn new() -> Scene {
        Scene {
            v2: V2::new((BLOCKS * BLOCK) as usize, (BLOCKS * BLOCK) as usize - 100),
            half: Gate::default(),
            whole: Gate::default(),
            again: Arc::default(),
            sent: Arc::default(),
        }
    }

    fn begin(&self, talk: &mut Talk) -> io::Result<()> {
        talk.hello(EXTENDED, &self.v2.torrent)?;
        talk.send(&wire::extended(0, b"de"))
    }

    fn offer(&self, talk: &mut Talk) -> io::Result<()> {
        talk.has(&self.v2.torrent, &[0])?;
        talk.unchoke()
    }

    fn tell(&self, talk: &mut Talk, request: &[u8], tells: Tells) -> io::Result<()> {
        match tells {
            Tells::Hashes => talk.send(&wire::message(22, &self.v2.answer(request))),
            Tells::Reject => talk.send(&wire::message(23, request)),
            Tells::Nothing => Ok(()),
        }
    }

    /// Answers requests for these blocks, as `give` does, until both halves are there; then it
    /// gives whatever it is asked for.
    fn serve(
        &self,
        talk: &mut Talk,
        (mine, tells): (Range<u32>, Tells),
        give: impl Fn(&mut Talk, (u32, u32, u32)) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut given = Vec::new();
        loop {
            match talk.next()? {
                (wire::REQUEST, payload) => {
                    let asked = block_of(&payload)?;
                    let block = asked.1 / BLOCK;
                    if self.whole.is_open() {
                        if block < BLOCKS / 2 {
                            note(&self.again);
                        }
                        talk.block(&self.v2.torrent, asked)?;
                    } else if mine.contains(&block) {
                        given.push(block);
                        if given.len() == mine.len() {
                            note(&self.sent);
                            if mine.start > 0 { self.whole.open() } else { self.half.open() }
                        }
                        give(talk, asked)?;
                    }
                }
                (21, request) => self.tell(talk, &request, tells)?,
                _ => {}
            }
        }
    }

    /// Gives the first half.
    fn honest(&self, talk: &mut Talk, tells: Tells) -> io::Result<()> {
        self.begin(talk)?;
        self.offer(talk)?;
        let blocks = (0..BLOCKS / 2, tells);
        self.serve(talk, blocks, |talk, asked| talk.block(&self.v2.torrent, asked))
    }

    /// Gives the second half, with lies in it.
    fn liar(&self, talk: &mut Talk, tells: Tells) -> io::Result<()> {
        self.begin(talk)?;
        self.half.opens()?;
        self.offer(talk)?;
        self.serve(talk, (BLOCKS / 2..BLOCKS, tells), |talk, asked| {
            match WRONG.contains(&(asked.1 / BLOCK)) {
                true => talk.wrong_block(&self.v2.torrent, asked),
                false => talk.block(&self.v2.torrent, asked),
            }
        })
    }

    /// Has nothing better to do than to give whatever it is asked for, when all has been sent.
    fn idle(&self, talk: &mut Talk) -> io::Result<()> {
        self.begin(talk)?;
        self.whole.opens()?;
        self.offer(talk)?;
        loop {
            match talk.next()? {
                (wire::REQUEST, payload) => talk.block(&self.v2.torrent, block_of(&payload)?)?,
                (21, request) => self.tell(talk, &request, Tells::Hashes)?,
                _ => {}
            }
        }
    }
}

/// Notes the time, if it is the first time.
fn note(time: &Mutex<Option<Instant>>) {
    let mut time = time.lock().expect("nobody panics with this lock");
    time.get_or_insert_with(Instant::now);
}

#[test]
fn however_fast_the_peers_are_only_the_wrong_blocks_are_fetched_again() {
    for tells in [Tells::Hashes, Tells::Reject, Tells::Nothing] {
        let (net, scene) = (Net::new(), Scene::new());
        let [one, two] = [scene.clone(), scene.clone()];
        let honest = net.peer(1, move |talk| one.honest(talk, Tells::Hashes));
        let liar = net.peer(2, move |talk| two.liar(talk, tells));
        let mut peers = vec![honest, liar];
        peers.extend([3, 4, 5].map(|host| {
            let scene = scene.clone();
            net.peer(host, move |talk| scene.idle(talk))
        }));
        let mut plan = plan(&net, &scene.v2, &peers);
        plan.names = super::swarm::only(&scene.v2);
        let ran = run(&net, plan, &scene.v2.torrent);
        blames(&ran, &scene.v2, liar);
        for peer in peers.iter().filter(|peer| **peer != liar) {
            assert!(ran.left(*peer).is_empty(), "{peer}, {:?}", ran.told());
        }
        let expected: Vec<usize> =
            (0..BLOCKS).map(|block| 1 + usize::from(WRONG.contains(&block))).collect();
        let what = format!("how often each block was written; the liar tells: {tells:?}");
        assert_value(&what, times(&ran, BLOCKS.into()), expected, CLAUSE);
    }
}

#[test]
fn if_nobody_tells_the_hashes_the_download_goes_on_after_a_while() {
    let (net, scene) = (Net::new(), Scene::new());
    let [one, two] = [scene.clone(), scene.clone()];
    let honest = net.peer(1, move |talk| one.honest(talk, Tells::Nothing));
    let liar = net.peer(2, move |talk| two.liar(talk, Tells::Nothing));
    let mut plan = plan(&net, &scene.v2, &[honest, liar]);
    plan.names = super::swarm::only(&scene.v2);
    let ran = run(&net, plan, &scene.v2.torrent);
    blames(&ran, &scene.v2, liar);
    let at = |time: &Mutex<Option<Instant>>| {
        time.lock().expect("nobody panics with this lock").expect("it came to that")
    };
    let pause = at(&scene.again).saturating_duration_since(at(&scene.sent));
    assert!(pause >= BLOCK_HASH_TIMEOUT, "a block was asked for again after {pause:?}");
}

/// A torrent of one piece, which two peers have spoilt; what its sessions share; its newcomer.
fn spoilt(v2: &V2, before: impl FnOnce(&Arc<Hashes>)) -> Claimant {
    let store = Memory::of(&v2.torrent);
    let info = v2.info();
    let known = Arc::new(info.clone());
    let queue = queue_of(info, []);
    let torrent = Arc::new(Torrent {
        queue: Arc::clone(&queue),
        store: Arc::clone(&store) as Arc<dyn Store>,
        upload_only: false,
    });
    before(&Hashes::new(move || Some(Arc::clone(&known)), move || Some(Arc::clone(&torrent))));
    let halves = v2.torrent.content.chunks(BLOCK as usize);
    for (peer, block) in (0..).zip(halves) {
        let mut lease = seed(&queue, peer).claim_piece(0).expect("it waits");
        let wrong: Vec<u8> = block.iter().map(|byte| !byte).collect();
        let written = lease.write(peer * BLOCK, &[&wrong], &*store).expect("memory takes it");
        assert_eq!(matches!(written, Written::Corrupt(_)), peer == 1);
    }
    seed(&queue, 9)
}

/// What we ask a peer for at this time.
fn ask(peer: &mut HashTransfer, now: Instant) -> Vec<u8> {
    let mut reply = Reply::default();
    peer.tick(now, &mut reply);
    reply.plain
}

#[test]
fn a_wrong_piece_waits_only_while_somebody_can_tell() {
    let v2 = V2::hybrid(32_768, 32_768);
    let (better, sha1) = (InfoHash(v2.torrent.info_hash), InfoHash(v2.sha1));
    let gets = |newcomer: &mut Claimant| matches!(newcomer.claim(true), Claim::Lease(_));
    let now = Instant::now();
    for (name, waits) in [(better, true), (sha1, false)] {
        for leaves in [true, false] {
            let mut peer = None;
            let mut newcomer = spoilt(&v2, |hashes| {
                let peer = peer.insert(HashTransfer::new(Arc::clone(hashes), name));
                assert!(ask(peer, now).is_empty(), "nothing is wrong yet");
            });
            let mut peer = peer.expect("it was made");
            assert_eq!(!gets(&mut newcomer), waits, "a session by {name:?}");
            if leaves {
                drop(peer);
            } else {
                let asked = ask(&mut peer, now);
                assert_eq!(!asked.is_empty(), waits, "a session by {name:?}");
                let request = tree::request(v2.root(), [0, 0, 2, 0]);
                assert!(asked.is_empty() || asked[5..] == request);
                let reject = HashMessage::decode(23, &request).expect("it is whole");
                let heard = peer.hear(reject.expect("a reject"), now, &mut Reply::default());
                heard.expect("to refuse is no crime");
            }
            assert!(gets(&mut newcomer), "nobody is left that could tell; it leaves: {leaves}");
        }
    }
}
