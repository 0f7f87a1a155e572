//! A network in memory, and peers that follow a script. Their side of the protocol
//! is written out by hand.

use super::super::support::{
    Complaint, LIMIT, Must, Torrent, Verdict, bencode, insist, jitter, wire, wire_is,
};
use super::memory::{Memory, in_time, info};
use piecemeal::actors::line::MAX_MESSAGE;
use piecemeal::s02_metainfo::Info;
use piecemeal::s03_tracker::PeerId;
use piecemeal::s03_tracker::reach::NamedBy;
use piecemeal::s04_handshake::transport::{Dial, Transport, pair};
use piecemeal::s05_messages::bitfield::Bitfield;
use piecemeal::s07_extension::BoxError;
use piecemeal::s10_storage::{StorageError, Store};
use piecemeal::s13_peer_sources::source::{PeerSource, SourceHandle};
use piecemeal::s15_swarm::summary::Summary;
use piecemeal::s15_swarm::{Ended, Event, Plan, SwarmError, download};
use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// We call ourselves this.
pub const US: [u8; 20] = *b"-US0001-us us us us!";
/// Neither extension protocol nor fast extension.
pub const PLAIN: [u8; 8] = [0; 8];
pub const FAST: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 0x04];
pub const EXTENDED: [u8; 8] = [0, 0, 0, 0, 0, 0x10, 0, 0];

/// What a script does on each connection. It ends with an error when we hang up.
type Script = Arc<dyn Fn(&mut Talk) -> io::Result<()> + Send + Sync>;

/// Addresses, and who answers there.
pub struct Net {
    number: u8,
    room: usize,
    scripts: Mutex<HashMap<SocketAddr, Script>>,
    dials: Mutex<Vec<SocketAddr>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// What the scripts hold against us.
    complaints: Arc<Mutex<Vec<Complaint>>>,
    /// How many connections there are, and were at most.
    live: Arc<(AtomicUsize, AtomicUsize)>,
}

impl Net {
    pub fn new() -> Arc<Net> {
        Net::with_room(1 << 16)
    }

    /// Each direction of a connection holds so many bytes.
    pub fn with_room(room: usize) -> Arc<Net> {
        static NUMBER: AtomicU8 = AtomicU8::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let (scripts, dials, threads, complaints, live) = Default::default();
        Arc::new(Net { number, room, scripts, dials, threads, complaints, live })
    }

    /// An address that no other test uses.
    pub fn at(&self, host: u8) -> SocketAddr {
        SocketAddr::from(([10, self.number, 0, host], 6881))
    }

    /// From now on this happens at `at(host)`.
    pub fn peer(
        &self,
        host: u8,
        script: impl Fn(&mut Talk) -> io::Result<()> + Send + Sync + 'static,
    ) -> SocketAddr {
        self.peer_at(self.at(host), script)
    }

    /// From now on this happens at this address.
    pub fn peer_at(
        &self,
        address: SocketAddr,
        script: impl Fn(&mut Talk) -> io::Result<()> + Send + Sync + 'static,
    ) -> SocketAddr {
        jitter::lock(&self.scripts).insert(address, Arc::new(script));
        address
    }

    /// A peer that has these pieces and gives them.
    pub fn seed(
        &self,
        host: u8,
        torrent: &Torrent,
        has: impl IntoIterator<Item = usize>,
    ) -> SocketAddr {
        let (torrent, has) = (torrent.clone(), has.into_iter().collect::<Vec<_>>());
        self.peer(host, move |talk| {
            talk.hello(PLAIN, &torrent)?;
            talk.has(&torrent, &has)?;
            talk.give(&torrent)
        })
    }

    /// How often this address was dialed.
    pub fn dials(&self, peer: SocketAddr) -> usize {
        jitter::lock(&self.dials).iter().filter(|dialed| **dialed == peer).count()
    }

    /// How many connections there were at once.
    pub fn most(&self) -> usize {
        self.live.1.load(Ordering::SeqCst)
    }

    /// Waits for all scripts, and fails where one of them has complained.
    #[track_caller]
    pub fn check(&self) {
        let threads = std::mem::take(&mut *jitter::lock(&self.threads));
        for thread in threads {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
        let complaint = jitter::lock(&self.complaints).first().cloned();
        if let Some(complaint) = complaint {
            complaint.raise();
        }
    }
}

impl Dial for Net {
    fn dial(&self, peer: SocketAddr, _: Instant) -> io::Result<Transport> {
        jitter::lock(&self.dials).push(peer);
        let script = jitter::lock(&self.scripts).get(&peer).cloned();
        let script = script.ok_or(ErrorKind::ConnectionRefused)?;
        let (ours, theirs) = pair(self.room, SocketAddr::from(([10, 0, 0, 1], 1)), peer);
        let (hang_up, live) = (Arc::clone(&ours.hang_up), Arc::clone(&self.live));
        let now = live.0.fetch_add(1, Ordering::SeqCst) + 1;
        live.1.fetch_max(now, Ordering::SeqCst);
        let mut talk =
            Talk { transport: theirs, address: peer, dialed: self.dials(peer), unchoked: false };
        let complaints = Arc::clone(&self.complaints);
        let thread = std::thread::spawn(move || {
            // Any other error is our hanging up, which is our right.
            let complaint = script(&mut talk).err().as_ref().and_then(Complaint::of);
            jitter::lock(&complaints).extend(complaint);
            live.0.fetch_sub(1, Ordering::SeqCst);
            hang_up();
        });
        jitter::lock(&self.threads).push(thread);
        Ok(ours)
    }
}

/// A block that was asked for: piece, begin, length.
pub type Asked = (u32, u32, u32);

/// The peer's side of one connection.
pub struct Talk {
    transport: Transport,
    pub address: SocketAddr,
    /// How often this address has been dialed by now.
    pub dialed: usize,
    unchoked: bool,
}

/// The peer id of the script at an address.
pub fn peer_id_of(address: SocketAddr) -> [u8; 20] {
    let mut id = *b"-SC0001-a script....";
    id[18] = address.to_string().as_bytes()[3];
    id[19] = match address.ip() {
        std::net::IpAddr::V4(ip) => ip.octets()[3],
        std::net::IpAddr::V6(_) => 0,
    };
    id
}

impl Talk {
    /// With somebody that the test has reached by itself.
    #[allow(dead_code)] // for stage 17
    pub fn over(transport: Transport) -> Talk {
        Talk { address: transport.peer, transport, dialed: 1, unchoked: false }
    }

    /// Reads our handshake and answers it.
    pub fn hello(&mut self, reserved: [u8; 8], torrent: &Torrent) -> io::Result<Vec<u8>> {
        self.hello_as(reserved, torrent, peer_id_of(self.address))
    }

    pub fn hello_as(
        &mut self,
        reserved: [u8; 8],
        torrent: &Torrent,
        peer_id: [u8; 20],
    ) -> io::Result<Vec<u8>> {
        let ours = self.bytes(68)?;
        // The reserved bytes and the peer id are ours to choose.
        let mut expected = wire::handshake([0; 8], torrent.info_hash, [0; 20]);
        expected[20..28].copy_from_slice(&ours[20..28]);
        expected[48..].copy_from_slice(&ours[48..]);
        wire_is(&ours, &expected, "BEP 3, handshake")?;
        self.send(&wire::handshake(reserved, torrent.info_hash, peer_id))?;
        Ok(ours)
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.transport.set_deadline(Instant::now() + LIMIT);
        jitter::around(|| self.transport.write_all(bytes))
    }

    pub fn bytes(&mut self, length: usize) -> io::Result<Vec<u8>> {
        self.transport.set_deadline(Instant::now() + LIMIT);
        let mut bytes = vec![0; length];
        jitter::around(|| self.transport.read_exact(&mut bytes))?;
        Ok(bytes)
    }

    /// The next message that is not a keep-alive.
    pub fn next(&mut self) -> io::Result<(u8, Vec<u8>)> {
        loop {
            let prefix = self.bytes(4)?;
            let length = prefix.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            // Nothing that we say is longer, and a wrong length is not to take all memory.
            insist!(length <= MAX_MESSAGE, "byte 0, length prefix: {length}, from {prefix:02x?}");
            let message = self.bytes(length)?;
            if let Some((id, payload)) = message.split_first() {
                // Scripts look at the extension id without asking whether there is one.
                insist!(*id != wire::EXTENDED || !payload.is_empty(), "byte 5, extension id: none");
                return Ok((*id, payload.to_vec()));
            }
        }
    }

    /// The payload of the next message with this id; others are passed over.
    pub fn until(&mut self, id: u8) -> io::Result<Vec<u8>> {
        loop {
            let (found, payload) = self.next()?;
            if found == id {
                return Ok(payload);
            }
        }
    }

    /// Says what it has in a bitfield.
    pub fn has(&mut self, torrent: &Torrent, pieces: &[usize]) -> io::Result<()> {
        let bits: Vec<bool> = (0..torrent.pieces()).map(|piece| pieces.contains(&piece)).collect();
        self.send(&wire::message(wire::BITFIELD, &wire::bitfield(&bits)))
    }

    /// Says hello, and gives the info dictionary.
    pub fn give_info(&mut self, torrent: &Torrent) -> io::Result<()> {
        self.hello(EXTENDED, torrent)?;
        let (_, greeting) = self.next()?;
        let (ours, _) = bencode::decode(&greeting[1..]).must("it is bencode")?;
        let ours = ours.get("m").and_then(|m| m.get("ut_metadata")).and_then(bencode::Value::int);
        let ours = u8::try_from(ours.must("we speak it")?).must("an id is a byte")?;
        let size = bencode::int(torrent.info.len() as i64);
        let names = bencode::dict(&[("ut_metadata", bencode::int(3))]);
        let greeting = bencode::dict(&[("m", names), ("metadata_size", size.clone())]);
        self.send(&wire::extended(0, &greeting))?;
        self.until(wire::EXTENDED)?;
        let (msg_type, piece) = (("msg_type", bencode::int(1)), ("piece", bencode::int(0)));
        let head = bencode::dict(&[msg_type, piece, ("total_size", size)]);
        self.send(&wire::extended(ours, &[&head[..], &torrent.info].concat()))
    }

    pub fn unchoke(&mut self) -> io::Result<()> {
        self.unchoked = true;
        self.send(&wire::message(wire::UNCHOKE, &[]))
    }

    pub fn choke(&mut self) -> io::Result<()> {
        self.unchoked = false;
        self.send(&wire::message(wire::CHOKE, &[]))
    }

    /// Waits for the next request; unchokes us once we are interested.
    pub fn asked(&mut self) -> io::Result<Asked> {
        loop {
            match self.next()? {
                (wire::INTERESTED, _) if !self.unchoked => self.unchoke()?,
                (wire::REQUEST, payload) => {
                    return Ok(wire::three(&payload).must("a request has three numbers")?);
                }
                _ => {}
            }
        }
    }

    /// The first requests that come, so many.
    pub fn all_asked(&mut self, count: usize) -> io::Result<Vec<Asked>> {
        (0..count).map(|_| self.asked()).collect()
    }

    /// The next request, if it comes before anything else and within a moment.
    pub fn asked_soon(&mut self) -> io::Result<Option<Asked>> {
        self.transport.set_deadline(Instant::now() + Duration::from_millis(60));
        let mut prefix = [0; 4];
        match self.transport.read(&mut prefix[..1]) {
            Err(error) if error.kind() == ErrorKind::TimedOut => return Ok(None),
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            other => other?,
        };
        prefix[1..].copy_from_slice(&self.bytes(3)?);
        let length = u32::from_be_bytes(prefix) as usize;
        insist!(length <= MAX_MESSAGE, "byte 0, length prefix: {length}, from {prefix:02x?}");
        let message = self.bytes(length)?;
        let request = message.strip_prefix(&[wire::REQUEST]);
        Ok(request.and_then(wire::three))
    }

    /// Answers with the block as it should be.
    pub fn block(&mut self, torrent: &Torrent, (piece, begin, length): Asked) -> io::Result<()> {
        self.send(&wire::block(piece, begin, &right(torrent, (piece, begin, length))?))
    }

    /// Answers with a block of the right size, and wrong.
    pub fn wrong_block(
        &mut self,
        torrent: &Torrent,
        (piece, begin, length): Asked,
    ) -> io::Result<()> {
        let wrong: Vec<u8> =
            right(torrent, (piece, begin, length))?.iter().map(|byte| !byte).collect();
        self.send(&wire::block(piece, begin, &wrong))
    }

    pub fn reject(&mut self, (piece, begin, length): Asked) -> io::Result<()> {
        self.send(&wire::message(
            wire::REJECT,
            &[piece.to_be_bytes(), begin.to_be_bytes(), length.to_be_bytes()].concat(),
        ))
    }

    /// Answers every request from now on.
    pub fn give(&mut self, torrent: &Torrent) -> io::Result<()> {
        loop {
            let asked = self.asked()?;
            self.block(torrent, asked)?;
        }
    }

    /// Listens and says nothing, until we hang up.
    pub fn hold(&mut self) -> io::Result<()> {
        loop {
            let prefix = self.bytes(1);
            match prefix {
                Err(error) if error.kind() == ErrorKind::TimedOut => {}
                other => drop(other?),
            }
        }
    }
}

/// The block as it should be, which the torrent must have.
pub fn right(torrent: &Torrent, (piece, begin, length): Asked) -> Verdict<Vec<u8>> {
    let most = "request: length: a block has at most 16384 bytes, and is in its piece";
    let end = begin.checked_add(length).filter(|_| length <= 16_384).must(most)?;
    let block = torrent.piece(piece as usize).get(begin as usize..end as usize);
    Ok(block.must(&format!("{most}; found {:?}", (piece, begin, length)))?.to_vec())
}

/// A source that names these and has no more to say.
pub struct Names(pub Vec<SocketAddr>);

impl PeerSource for Names {
    fn name(&self) -> String {
        "the test".to_owned()
    }

    fn run(self: Box<Self>, finder: SourceHandle) -> Result<(), BoxError> {
        finder.found(NamedBy::User, self.0);
        Ok(())
    }
}

/// How much patience a test has that means to lose it.
pub const LITTLE: Duration = Duration::from_secs(1);

/// A download of this torrent over this network. It has more patience than any test with a
/// peer needs, also on a machine whose cores are all busy.
pub fn plan(net: &Arc<Net>, torrent: &Torrent, peers: &[SocketAddr]) -> Plan {
    let info = info(torrent);
    let mut plan = Plan::new(info.info_hash, Some(info), PeerId(US));
    plan.dial = Arc::clone(net) as Arc<dyn Dial>;
    plan.patience = Duration::from_secs(10);
    plan.sources.push(Box::new(Names(peers.to_vec())));
    plan
}

/// The same from a magnet link.
pub fn magnet(net: &Arc<Net>, torrent: &Torrent, peers: &[SocketAddr]) -> Plan {
    Plan { info: None, ..plan(net, torrent, peers) }
}

/// What a download came to.
pub struct Ran {
    pub result: Result<Summary, SwarmError>,
    pub events: Vec<Event>,
    pub store: Arc<Memory>,
}

/// Downloads into memory. Hanging fails the test, and so does a script that fails.
#[track_caller]
pub fn run(net: &Arc<Net>, plan: Plan, torrent: &Torrent) -> Ran {
    let store = Memory::of(torrent);
    let ran = run_into(
        net,
        plan,
        Arc::clone(&store) as Arc<dyn Store>,
        Bitfield::new(torrent.pieces() as u32),
    );
    Ran { store, ..ran }
}

#[track_caller]
pub fn run_into(net: &Arc<Net>, plan: Plan, store: Arc<dyn Store>, have: Bitfield) -> Ran {
    run_with(net, plan, move |_| Ok((store, have)))
}

#[track_caller]
pub fn run_with<P>(net: &Arc<Net>, plan: Plan, prepare: P) -> Ran
where
    P: FnOnce(&Info) -> Result<(Arc<dyn Store>, Bitfield), StorageError> + Send + 'static,
{
    let (result, events) = in_time(move || {
        let mut events = Vec::new();
        let result = download(plan, prepare, &mut |event| events.push(event));
        (result, events)
    });
    net.check();
    Ran { result, events, store: Memory::new(0) }
}

impl Ran {
    /// It succeeded, and all of the content is there.
    #[track_caller]
    pub fn is_complete(&self, torrent: &Torrent) -> &Summary {
        let outcome =
            self.result.as_ref().unwrap_or_else(|error| panic!("{error}; {:#?}", self.told()));
        assert!(self.store.content() == torrent.content, "the content is there");
        outcome
    }

    /// It ended for want of hope, and says so in these words.
    #[track_caller]
    pub fn is_hopeless(&self, words: &str) {
        let Err(SwarmError::NoHope { what, standing }) = &self.result else {
            panic!("{:?}; {:#?}", self.result, self.told())
        };
        let error = format!("{what}: {standing}");
        assert!(error.contains(words), "no word of {words:?} in {error}");
    }

    /// The events, without progress.
    pub fn told(&self) -> Vec<&Event> {
        self.events.iter().filter(|event| !matches!(event, Event::Progress { .. })).collect()
    }

    /// Why connections to this address ended, before the end of all.
    pub fn left(&self, peer: SocketAddr) -> Vec<&Ended> {
        let of_peer = |event| {
            if let &Event::Left(who, ref why) = event { (who == peer).then_some(why) } else { None }
        };
        self.events.iter().filter_map(of_peer).collect()
    }
}

/// Who brought how many bytes.
pub fn brought(outcome: &Summary) -> Vec<(SocketAddr, u64)> {
    outcome.traded.iter().map(|traded| (traded.peer, traded.taken)).collect()
}
