//! A swarm of ours that gives, with scripted peers that take. It goes on until the
//! last script is done.

use super::super::support::{
    Complaint, Must, Torrent, Verdict, bencode, insist_eq, leech, wire, wire_is,
};
use super::memory::{Memory, bits, within};
use super::net::{Net, Ran, Talk, plan, right};
use piecemeal::s02_metainfo::Info;
use piecemeal::s05_messages::bitfield::Bitfield;
use piecemeal::s10_storage::Store;
use piecemeal::s12_session::host::{Upload, UploadPeer, Uploads};
use piecemeal::s15_swarm::{Event, Plan, download};
use piecemeal::s16_uploading::{UnchokeAll, Uploader};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// The extension protocol and the fast extension.
pub const BOTH: [u8; 8] = [0, 0, 0, 0, 0, 0x10, 0, 0x04];
pub const SUGGEST: u8 = 13;
pub const ALLOWED_FAST: u8 = 17;

/// What a script hears `ut_metadata` and `lt_donthave` by.
pub const METADATA_ID: u8 = 3;
pub const DONT_HAVE_ID: u8 = 7;

/// Uploads, and stays when all pieces are there.
pub struct Stays(pub Uploader);

impl Uploads for Stays {
    fn open(&self, peer: UploadPeer) -> Option<Box<dyn Upload>> {
        self.0.open(peer)
    }

    fn stays(&self, _: u64, _: u64) -> bool {
        true
    }
}

pub fn staying() -> Arc<dyn Uploads> {
    Arc::new(Stays(Uploader::new(UnchokeAll)))
}

/// A store that has these pieces.
pub fn stocked(torrent: &Torrent, have: impl IntoIterator<Item = u32>) -> (Arc<Memory>, Bitfield) {
    let (store, have) = (Memory::of(torrent), bits(torrent.pieces() as u32, have));
    for piece in have.iter() {
        let offset = piece as usize * torrent.piece_length;
        store.write(offset as u64, torrent.piece(piece as usize)).expect("memory takes it");
    }
    (store, have)
}

/// The swarm, before it begins.
pub struct Giver {
    pub net: Arc<Net>,
    pub plan: Plan,
    pub store: Arc<dyn Store>,
    pub have: Bitfield,
    memory: Arc<Memory>,
    left: Arc<AtomicUsize>,
    peers: Vec<SocketAddr>,
    /// Whether it goes on until it has everything, too.
    completes: bool,
    /// Who must have left before it is over.
    leaving: Vec<SocketAddr>,
    /// How long it may take before it counts as hanging.
    pub time: Duration,
}

impl Giver {
    /// It has everything, and stays.
    pub fn new(torrent: &Torrent) -> Giver {
        Giver::with(torrent, 0..torrent.pieces() as u32, 1 << 16)
    }

    /// It has these pieces; each direction of a connection holds `room` bytes.
    pub fn with(torrent: &Torrent, have: impl IntoIterator<Item = u32>, room: usize) -> Giver {
        let net = Net::with_room(room);
        let mut plan = plan(&net, torrent, &[]);
        plan.sources.clear();
        plan.uploads = staying();
        // Nobody comes back before the test is over.
        plan.patience = Duration::from_secs(60);
        let (memory, have) = stocked(torrent, have);
        let store = Arc::clone(&memory) as Arc<dyn Store>;
        let time = Duration::from_secs(120);
        let (left, peers, leaving, completes) = Default::default();
        Giver { net, plan, store, have, memory, left, peers, leaving, completes, time }
    }

    /// It lacks something, and goes on until it has that, too.
    pub fn completes(mut self) -> Giver {
        self.completes = true;
        self.left.fetch_add(1, Ordering::SeqCst);
        self
    }

    /// It leaves when it has everything.
    pub fn leaves(mut self) -> Giver {
        self.plan.uploads = Arc::new(Uploader::new(UnchokeAll));
        self
    }

    /// A peer that must be able to follow its script to the end.
    pub fn taker(
        &mut self,
        script: impl Fn(&mut Talk) -> io::Result<()> + Send + Sync + 'static,
    ) -> SocketAddr {
        self.left.fetch_add(1, Ordering::SeqCst);
        let done = self.done();
        let host = self.peers.len() as u8 + 1;
        let peer = self.net.peer(host, move |talk| {
            let _done = &done.hold();
            let stopped = format!("peer {host} could not follow its script");
            script(talk).map_err(|error| match Complaint::of(&error) {
                Some(complaint) => complaint.into(),
                None => Complaint::new(format!("{stopped}: {error}")).into(),
            })
        });
        self.peers.push(peer);
        peer
    }

    /// It goes on until we know that this peer has left.
    pub fn until_left(&mut self, peer: SocketAddr) {
        self.leaving.push(peer);
        self.left.fetch_add(1, Ordering::SeqCst);
    }

    fn done(&self) -> Done {
        Done { left: Arc::clone(&self.left), stop: Arc::clone(&self.plan.stop) }
    }

    /// A peer that is there as long as we want it.
    pub fn other(
        &mut self,
        script: impl Fn(&mut Talk) -> io::Result<()> + Send + Sync + 'static,
    ) -> SocketAddr {
        let peer = self.net.peer(self.peers.len() as u8 + 1, script);
        self.peers.push(peer);
        peer
    }

    #[track_caller]
    pub fn run(self) -> Ran {
        self.run_with(|_, _| {})
    }

    /// Runs until all takers are done; `hook` sees each event, and may stop it.
    #[track_caller]
    pub fn run_with(self, mut hook: impl FnMut(&Event, &Arc<AtomicBool>) + Send + 'static) -> Ran {
        let done = self.done();
        let Giver {
            net, mut plan, store, have, memory, peers, mut leaving, completes, time, ..
        } = self;
        plan.sources.push(Box::new(super::net::Names(peers)));
        let stop = Arc::clone(&plan.stop);
        let (result, events) = within(time, move || {
            let mut events = Vec::new();
            let mut event = |event| {
                hook(&event, &stop);
                if completes && matches!(event, Event::Completed) {
                    drop(done.hold());
                }
                if let Event::Left(who, _) = &event
                    && let Some(at) = leaving.iter().position(|leaving| leaving == who)
                {
                    leaving.remove(at);
                    drop(done.hold());
                }
                events.push(event);
            };
            let result = download(plan, |_: &Info| Ok((store, have)), &mut event);
            (result, events)
        });
        net.check();
        Ran { result, events, store: memory }
    }
}

/// Says stop in a moment: what is not to happen would have happened by then.
pub fn stop_soon(stop: &Arc<AtomicBool>) {
    let stop = Arc::clone(stop);
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        stop.store(true, Ordering::SeqCst);
    });
}

struct Done {
    left: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

struct Held<'d>(&'d Done);

impl Done {
    fn hold(&self) -> Held<'_> {
        Held(self)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if self.0.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.stop.store(true, Ordering::SeqCst);
        }
    }
}

/// What a taker says and hears.
impl Talk {
    pub fn interested(&mut self) -> io::Result<()> {
        self.send(&wire::message(wire::INTERESTED, &[]))
    }

    pub fn not_interested(&mut self) -> io::Result<()> {
        self.send(&wire::message(wire::NOT_INTERESTED, &[]))
    }

    pub fn request(&mut self, piece: u32, begin: u32, length: u32) -> io::Result<()> {
        self.send(&wire::message(wire::REQUEST, &numbers(piece, begin, length)))
    }

    pub fn cancel(&mut self, piece: u32, begin: u32, length: u32) -> io::Result<()> {
        self.send(&wire::message(wire::CANCEL, &numbers(piece, begin, length)))
    }

    /// Wants something, and may ask.
    pub fn admitted(&mut self) -> io::Result<()> {
        self.interested()?;
        self.until(wire::UNCHOKE).map(drop)
    }

    /// The next answer to a request: a block, which must be right, or a reject
    /// (`false`). Other messages are passed over.
    pub fn answer(&mut self, torrent: &Torrent) -> io::Result<((u32, u32, u32), bool)> {
        loop {
            match self.next()? {
                (wire::PIECE, payload) => return Ok((block_of(torrent, &payload)?, true)),
                (wire::REJECT, payload) => {
                    return Ok((wire::three(&payload).must("three numbers")?, false));
                }
                (wire::CHOKE, _) => return Err(io::Error::other("a choke instead of an answer")),
                _ => {}
            }
        }
    }

    /// Asks for one block and gets it.
    pub fn takes(
        &mut self,
        torrent: &Torrent,
        piece: u32,
        begin: u32,
        length: u32,
    ) -> io::Result<()> {
        self.request(piece, begin, length)?;
        insist_eq!(self.answer(torrent)?, ((piece, begin, length), true));
        Ok(())
    }

    /// All of a piece.
    pub fn takes_piece(&mut self, torrent: &Torrent, piece: u32) -> io::Result<()> {
        let size = torrent.piece(piece as usize).len() as u32;
        for begin in (0..size).step_by(16_384) {
            self.takes(torrent, piece, begin, (size - begin).min(16_384))?;
        }
        Ok(())
    }

    /// Says what it hears extensions by, and with `more` keys; returns what we say.
    pub fn greet(&mut self, more: &[(&str, Vec<u8>)]) -> io::Result<bencode::Value> {
        let id = |id: u8| bencode::int(i64::from(id));
        let names =
            bencode::dict(&[("lt_donthave", id(DONT_HAVE_ID)), ("ut_metadata", id(METADATA_ID))]);
        let keys = [&[("m", names)][..], more].concat();
        self.send(&wire::extended(0, &bencode::dict(&keys)))?;
        self.greeted()
    }

    /// Our next extension handshake.
    pub fn greeted(&mut self) -> io::Result<bencode::Value> {
        loop {
            let payload = self.until(wire::EXTENDED)?;
            if payload[0] == 0 {
                return Ok(bencode::decode(&payload[1..]).must("it is bencode")?.0);
            }
        }
    }

    /// Waits until we have read all that was said, and sent all that is due: we refuse
    /// to give a metadata piece that there is not.
    pub fn fence(&mut self, ours: &bencode::Value) -> io::Result<Vec<(u8, Vec<u8>)>> {
        let id = ours
            .get("m")
            .and_then(|names| names.get("ut_metadata"))
            .and_then(bencode::Value::int)
            .must("an id")?;
        self.send(&wire::extended(id as u8, b"d8:msg_typei0e5:piecei99999ee"))?;
        let mut before = Vec::new();
        loop {
            let message = self.next()?;
            if message.0 == wire::EXTENDED && message.1 == b"\x03d8:msg_typei2e5:piecei99999ee" {
                return Ok(before);
            }
            before.push(message);
        }
    }
}

pub fn numbers(piece: u32, begin: u32, length: u32) -> Vec<u8> {
    [piece.to_be_bytes(), begin.to_be_bytes(), length.to_be_bytes()].concat()
}

/// Which block this is the payload of; it must be right.
pub fn block_of(torrent: &Torrent, payload: &[u8]) -> Verdict<(u32, u32, u32)> {
    let (piece, begin, bytes) = leech::block_of(payload).must("a block has a piece and a begin")?;
    let block = (piece, begin, bytes.len() as u32);
    // With its head, so that the words name the fields.
    let message = |block: &[u8]| wire::block(piece, begin, block)[4..].to_vec();
    wire_is(
        &message(bytes),
        &message(&right(torrent, block)?),
        "BEP 3, message without its length",
    )?;
    Ok(block)
}
