//! One connection of a fake peer: it does what the plan says, and records what it
//! receives.

mod answers;

use super::bencode::{bytes, dict, int};
use super::gate::Gate;
use super::jitter;
use super::line::Line;
use super::peer_plan::{After, Greeting, Metadata, PAUSE, Plan, Unchoke};
use super::recording::Recording;
use super::talk::{Heard, Talk};
use super::tree::Asked;
use super::twists::noise;
use super::wire;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The time between two looks at what else there is to do.
const LOOK: Duration = Duration::from_millis(15);
/// The shortest wait for something that may be there.
const MOMENT: Duration = Duration::from_millis(1);
/// A client that takes no byte for this long is given up.
const STALL: Duration = Duration::from_secs(2);
/// The most bytes of all talks of a peer that are kept, and the most that wait for an answer.
const MAX_KEPT: usize = 1 << 20;
/// The bytes that a message takes beside its payload. An allocation of four bytes takes 32.
const OVERHEAD: usize = size_of::<Heard>() + 32;

/// The state that all connections of a peer share.
pub(super) struct Shared {
    pub plan: Plan,
    /// Whether the peer has ended or its process has "died": nothing listens any more.
    pub stop: Arc<AtomicBool>,
    /// Blocks served over all connections.
    served: AtomicUsize,
    pub mischief: Gate,
    /// The talks, by the number of their connection.
    talks: Mutex<BTreeMap<usize, Arc<Mutex<Talk>>>>,
    /// Bytes in the talks.
    kept: AtomicUsize,
    /// The time until which the limit of `Blocks::KilobytesPerSecond` is used up.
    paid_until: Mutex<Instant>,
}

impl Shared {
    pub fn new(plan: Plan) -> Shared {
        Shared {
            plan,
            stop: Arc::default(),
            served: AtomicUsize::new(0),
            mischief: Gate::default(),
            talks: Mutex::default(),
            kept: AtomicUsize::new(0),
            paid_until: Mutex::new(Instant::now()),
        }
    }

    /// The talk over a connection, which begins with the first call.
    pub fn talk(&self, number: usize, recording: &Recording) -> Arc<Mutex<Talk>> {
        let new = || Arc::new(Mutex::new(Talk::new(recording.clone())));
        jitter::lock(&self.talks).entry(number).or_insert_with(new).clone()
    }

    /// Blocks served so far.
    pub fn served(&self) -> usize {
        self.served.load(Ordering::SeqCst)
    }

    /// Whether this many more bytes may be kept; then they count.
    fn may_keep(&self, bytes: usize) -> bool {
        let has_room = self.kept.load(Ordering::Relaxed) + bytes <= MAX_KEPT;
        if has_room {
            self.kept.fetch_add(bytes, Ordering::Relaxed);
        }
        has_room
    }
}

/// A conversation, as long as it lasts.
pub(super) struct Talker<'a> {
    line: &'a mut Line,
    plan: &'a Plan,
    shared: &'a Shared,
    talk: &'a Mutex<Talk>,
    /// The reserved bytes of the client's handshake.
    theirs: [u8; 8],
    /// The client's peer id.
    client: [u8; 20],
    /// The torrent's name on this connection.
    name: [u8; 20],
    /// Messages that wait for an answer.
    pending: VecDeque<Heard>,
    /// Bytes in them.
    pending_bytes: usize,
    /// Requests that are answered later.
    held: Held,
    /// The id the client wants ut_metadata messages under.
    their_metadata_id: Option<u8>,
    metadata_sent: usize,
    unchoked: bool,
    choked_once: bool,
    unchoke_at: Option<Instant>,
    /// Reads on, answers nothing.
    mute: bool,
}

/// Requests that are answered later.
#[derive(Default)]
struct Held {
    /// Those that `Blocks::Backwards` collects.
    backwards: Vec<(u32, u32, u32)>,
    /// Those that `Hashes::Backwards` collects, and when the last of them came.
    hashes: Vec<(Asked, Instant)>,
    /// Those that a plan's `hold_until` holds back.
    first: Vec<(u32, u32, u32)>,
    /// When the first of these came.
    since: Option<Instant>,
    /// Whether they have been let go.
    let_go: bool,
}

/// The connection is over.
fn done() -> io::Error {
    ErrorKind::ConnectionAborted.into()
}

impl<'a> Talker<'a> {
    pub fn new(line: &'a mut Line, shared: &'a Shared, talk: &'a Mutex<Talk>) -> Talker<'a> {
        line.set_stall(STALL);
        Talker {
            line,
            plan: &shared.plan,
            shared,
            talk,
            theirs: [0; 8],
            client: [0; 20],
            name: shared.plan.torrent.info_hash,
            pending: VecDeque::new(),
            pending_bytes: 0,
            held: Held::default(),
            their_metadata_id: None,
            metadata_sent: 0,
            unchoked: false,
            choked_once: false,
            unchoke_at: None,
            mute: false,
        }
    }

    pub fn run(&mut self) -> io::Result<()> {
        self.greet()?;
        match self.plan.after.clone() {
            After::Talk => {}
            After::Close => {
                self.mischief();
                // What the client says at the same time is still recorded;
                // closing on unread bytes would also reset the connection.
                self.line.close_ours();
                return self.hold();
            }
            After::Hold => {
                self.mischief();
                return self.hold();
            }
            After::Say(raw) => {
                self.send(&raw)?;
                self.mischief();
                return self.hold();
            }
            After::Drip(raw) => return self.drip(&raw),
        }
        self.open()?;
        loop {
            let quiet = !self.hear(LOOK)?;
            if self.plan.gate.as_ref().is_some_and(|gate| !gate.is_open()) {
                continue;
            }
            if self.unchoke_at.is_some_and(|at| at <= Instant::now()) {
                self.unchoke_at = None;
                self.unchoke()?;
            }
            while let Some(message) = self.pending.pop_front() {
                self.pending_bytes -= message.payload.len();
                if !self.mute {
                    self.answer(&message)?;
                }
                // A slow peer goes on reading: a cancel, or a request for hashes, comes before
                // the blocks that are still to be sent.
                if !self.plan.pace.is_zero() {
                    self.hear(MOMENT)?;
                }
            }
            self.let_go(quiet)?;
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.plan.chunks.is_empty() {
            return self.line.send(bytes);
        }
        for write in self.plan.writes(bytes) {
            self.line.send(write)?;
            self.line.rest(PAUSE);
        }
        Ok(())
    }

    fn mischief(&self) {
        self.shared.mischief.open();
    }

    fn greet(&mut self) -> io::Result<()> {
        let plan = self.plan;
        let hello = |name, client| plan.handshake(name, plan.reserved(), client);
        match &plan.greeting {
            Greeting::Eager => {
                self.send(&hello(self.name, self.client))?;
                return self.read_handshake();
            }
            Greeting::Silent => {
                self.mischief();
                return self.hold();
            }
            Greeting::Drip => return self.drip(&hello(self.name, self.client)),
            Greeting::Says(raw) => {
                // The client may hang up before it has taken all of it.
                let written = self.send(raw);
                self.mischief();
                written?;
                return self.hold();
            }
            Greeting::Close => {
                self.mischief();
                return Err(done());
            }
            Greeting::Proper | Greeting::WrongInfoHash | Greeting::Half | Greeting::Echo => {}
        }
        self.read_handshake()?;
        self.send(&hello(self.name, self.client))?;
        if plan.greeting == Greeting::Proper {
            return Ok(());
        }
        self.mischief();
        if plan.greeting == Greeting::Half { Err(done()) } else { self.hold() }
    }

    /// Whether both sides speak the fast extension.
    fn is_fast(&self) -> bool {
        self.plan.fast && self.theirs[7] & wire::FAST_BIT != 0
    }

    /// Waits for the client's 68 bytes; hangs up on one that wants another
    /// torrent.
    fn read_handshake(&mut self) -> io::Result<()> {
        while self.line.input().len() < wire::HANDSHAKE {
            self.line.fill(LOOK)?;
        }
        let hello: Vec<u8> = self.line.input().drain(..wire::HANDSHAKE).collect();
        self.theirs.copy_from_slice(&hello[20..28]);
        self.client.copy_from_slice(&hello[48..]);
        let torrent = &self.plan.torrent;
        let second = torrent.version_two.as_ref().map(|two| two.short());
        let is_ours =
            hello[28..48] == torrent.info_hash || second.is_some_and(|s| hello[28..48] == s);
        if &hello[..20] != b"\x13BitTorrent protocol" || !is_ours {
            return Err(done());
        }
        // BEP 52: whoever sets the bit may be answered by the other name.
        let upgrades =
            hello[28..48] != torrent.info_hash || self.theirs[7] & wire::UPGRADE_BIT != 0;
        if let Some(second) = second.filter(|_| upgrades) {
            self.name = second;
        }
        Ok(())
    }

    /// Whether this is a connection of version 2.
    fn is_version_two(&self) -> bool {
        self.plan.torrent.version_two.as_ref().is_some_and(|two| two.short() == self.name)
    }

    /// The messages that come unasked.
    fn open(&mut self) -> io::Result<()> {
        if self.plan.opening.is_some() {
            self.mischief();
        }
        let mut pieces = self.plan.pieces(self.is_fast());
        if self.plan.noise {
            pieces.extend(noise());
        }
        let extension = self.plan.extension && self.theirs[5] & wire::EXTENSION_BIT != 0;
        let extension = if extension { self.extension_handshake() } else { Vec::new() };
        self.send(&self.plan.in_order(pieces, extension))?;
        if self.plan.unchoke == Unchoke::Early {
            self.unchoke()?;
        }
        Ok(())
    }

    fn extension_handshake(&self) -> Vec<u8> {
        if let Some(payload) = &self.plan.greets {
            self.mischief();
            return wire::extended(0, payload);
        }
        let mut names = Vec::new();
        if self.plan.metadata != Metadata::None {
            names.push(("ut_metadata", int(self.plan.metadata_id.into())));
        }
        let mut pairs = vec![("m", dict(&names))];
        match self.plan.metadata {
            Metadata::None => {}
            Metadata::Size(size) => pairs.push(("metadata_size", int(size))),
            _ => pairs.push(("metadata_size", int(self.plan.torrent.info.len() as i64))),
        }
        pairs.push(("reqq", int(250)));
        pairs.push(("v", bytes("fake peer 1")));
        wire::extended(0, &dict(&pairs))
    }

    fn unchoke(&mut self) -> io::Result<()> {
        self.unchoked = true;
        self.send(&wire::message(wire::UNCHOKE, &[]))
    }

    /// Reads what is there, and records its messages with what we had sent until
    /// then. False if nothing came within this time.
    fn hear(&mut self, time: Duration) -> io::Result<bool> {
        let came = self.line.fill(time)?;
        while let Some(body) = self.line.next_message() {
            let heard = Heard {
                id: body.first().copied(),
                payload: body.get(1..).unwrap_or_default().to_vec(),
                metadata_sent: self.metadata_sent,
                unchoked: self.unchoked,
            };
            if self.shared.may_keep(OVERHEAD + heard.payload.len()) {
                jitter::lock(self.talk).messages.push(heard.clone());
            }
            self.queue(heard);
        }
        let waiting = self.pending_bytes + self.pending.len() * OVERHEAD;
        if waiting > MAX_KEPT { Err(done()) } else { Ok(came) }
    }

    /// Keeps a message that has an answer. Hashes need not wait for blocks.
    fn queue(&mut self, heard: Heard) {
        let bytes = heard.payload.len();
        match heard.id {
            Some(wire::INTERESTED | wire::REQUEST | wire::EXTENDED) => {
                self.pending.push_back(heard)
            }
            Some(wire::HASH_REQUEST) => self.pending.push_front(heard),
            Some(wire::CANCEL) => {
                // A slow peer has not sent the block yet.
                if !self.plan.pace.is_zero() {
                    let before = self.pending.len();
                    let is_it =
                        |one: &Heard| one.id == Some(wire::REQUEST) && one.payload == heard.payload;
                    self.pending.retain(|one| !is_it(one));
                    self.pending_bytes -= (before - self.pending.len()) * bytes;
                }
                self.pending.push_back(heard);
            }
            _ => return,
        }
        self.pending_bytes += bytes;
    }

    /// Reads without answering until the client goes away.
    fn hold(&mut self) -> io::Result<()> {
        loop {
            self.hear(LOOK)?;
            self.pending.clear();
            self.pending_bytes = 0;
        }
    }

    fn drip(&mut self, raw: &[u8]) -> io::Result<()> {
        for byte in raw {
            self.send(&[*byte])?;
            self.mischief();
            let next = Instant::now() + Duration::from_secs(1);
            while Instant::now() < next {
                self.line.fill(LOOK)?;
            }
        }
        self.hold()
    }
}
