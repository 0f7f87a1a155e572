//! Notes of what a seeder sees of one peer: a handful of lines for each connection, or
//! every message if the user asks for that.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::shared::Shared;
use crate::lab::checklist::{Client, Shown, Step};
use crate::lab::hints::{self, Mistake};
use crate::lab::notes::Notes;
use crate::s01_bencode::counted;
use crate::s02_metainfo::Info;
use crate::s03_tracker::PeerId;
use crate::s05_messages::bitfield::Bitfield;
use crate::s05_messages::{Message, Request};
use crate::s07_extension::EXTENDED;
use crate::trace::client;

/// The most runs of pieces that the last line names.
const MAX_RUNS: usize = 5;

/// The notes about one connection.
pub struct PeerLog {
    notes: Notes,
    us: SocketAddr,
    peer: SocketAddr,
    /// The number that we gave ut_metadata.
    metadata_id: u8,
    /// The client's line in the checklist; `None` before the handshake.
    client: Option<Client>,
    /// The peer id, and the pieces of which it received blocks; `None` before the handshake.
    handshake: Option<(PeerId, Bitfield)>,
    /// The kinds of notes that were added and are not repeated.
    told: Vec<&'static str>,
    /// The number of blocks sent whole, and the bytes in them.
    pub blocks: u64,
    pub bytes: u64,
    spoiled: u64,
    chokes: u64,
}

impl PeerLog {
    pub fn new(seeder: &Shared, peer: SocketAddr) -> PeerLog {
        PeerLog {
            notes: seeder.notes.clone(),
            us: seeder.address,
            peer,
            metadata_id: seeder.metadata_id,
            client: None,
            handshake: None,
            told: Vec::new(),
            blocks: 0,
            bytes: 0,
            spoiled: 0,
            chokes: 0,
        }
    }

    fn note(&self, event: &str, what: &str, more: Value) {
        let mut json = json!({ "peer": self.peer.to_string() });
        if let (Some(all), Value::Object(more)) = (json.as_object_mut(), more) {
            all.extend(more);
        }
        self.notes.add(self.us, event, format!("{} {what}", self.peer), json);
    }

    fn once(&mut self, event: &'static str, what: &str, more: Value) {
        if !self.told.contains(&event) {
            self.told.push(event);
            self.note(event, what, more);
        }
    }

    /// Enters something into the checklist.
    fn shows(&self, change: impl FnOnce(&mut Shown)) {
        if let Some(client) = &self.client {
            self.notes.checklist().update(client, change);
        }
    }

    fn took(&self, step: Step) {
        self.shows(|shown| shown.steps.extend([step]));
    }

    /// Notes a broken rule, or something that the client has most likely forgotten.
    pub fn mistake(&mut self, mistake: Mistake) {
        let more = json!({ "what": mistake.what, "see": mistake.see });
        if !self.told.contains(&mistake.kind) {
            self.told.push(mistake.kind);
            self.shows(|shown| shown.mistakes += 1);
            self.note("mistake", &format!("makes a mistake: {mistake}"), more);
        }
    }

    /// Notes a handshake for a torrent that is here.
    pub fn handshake(&mut self, peer_id: PeerId, info: &Info) {
        let client = client::named(&peer_id);
        let more = json!({ "client": client, "peer_id": peer_id.to_string(), "info_hash": info.info_hash.to_string() });
        self.once("joined", &format!("({client}) wants {}", info.name), more);
        self.handshake = Some((peer_id, Bitfield::new(info.piece_count())));
        self.client = Some((self.peer.ip().to_canonical(), client));
        self.took(Step::ShookHands);
    }

    /// Notes a message from the peer.
    pub fn received(&mut self, message: &Message) {
        if self.notes.closely() {
            let what = describe(message);
            self.note("heard", &format!("says {what}"), json!({ "message": what }));
        }
        match message {
            Message::Bitfield { .. } | Message::Have { .. } => self.took(Step::Bitfield),
            Message::Interested => {
                self.took(Step::Interested);
                self.once("interested", "is interested", json!({}));
            }
            Message::Request(Request { index, begin, .. }) => {
                self.took(Step::Requested);
                let more = json!({ "piece": index, "begin": begin });
                self.once(
                    "asked",
                    &format!("asks for its first block: piece {index}, begin {begin}"),
                    more,
                );
            }
            Message::Unknown { id: EXTENDED, payload: [0, ..] } => self.took(Step::Extended),
            // There is one extension here.
            Message::Unknown { id: EXTENDED, payload: [id, ..] } if *id == self.metadata_id => {
                self.took(Step::Metadata);
                self.once("metadata", "asks for the info dictionary", json!({}));
            }
            _ => {}
        }
    }

    /// Notes encoded messages to the peer, up to one that is broken on purpose.
    pub fn sent(&self, mut encoded: &[u8]) {
        while self.notes.closely()
            && let Some((length, rest)) = encoded.split_first_chunk()
            && let Some((frame, rest)) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)
            && let Ok(message) = Message::decode(frame)
        {
            let what = describe(&message);
            self.note("said", &format!("is told {what}"), json!({ "message": what }));
            encoded = rest;
        }
    }

    /// Notes a choke that is a fault on purpose.
    pub fn choked(&mut self, forgotten: usize) {
        self.chokes += 1;
        let what = format!("is choked, and loses {}", counted(forgotten, "request"));
        self.once("choked", &what, json!({ "forgotten": forgotten }));
    }

    /// Notes requests that came while the peer was choked again. The checklist does not count
    /// them: they may have been on their way when the choke was.
    pub fn forgotten(&mut self, count: usize) {
        let (are, see) = (if count == 1 { "is" } else { "are" }, hints::PIECES);
        let requests = counted(count, "request");
        let what = format!(
            "is unchoked: {requests} came while it was choked and {are} forgotten: ask again after unchoke; see {see}"
        );
        self.once("forgotten", &what, json!({ "count": count, "see": see }));
    }

    /// Counts a request that came before the first unchoke.
    pub fn asked_too_early(&mut self) {
        self.shows(|shown| shown.while_choked += 1);
    }

    /// Notes a block that was spoiled on purpose.
    pub fn spoiled(&mut self, index: u32, begin: u32) {
        self.spoiled += 1;
        let what = format!("is given a spoiled block: piece {index}, begin {begin}");
        self.once("spoiled", &what, json!({ "piece": index, "begin": begin }));
    }

    /// Records that a block of this piece is on its way.
    pub fn gives(&mut self, index: u32) {
        if let Some((_, pieces)) = &mut self.handshake {
            pieces.set(index, true);
        }
    }

    /// Records blocks that were sent. Returns the peer id if they are the peer's first.
    pub fn gave(&mut self, blocks: u64, bytes: u64) -> Option<PeerId> {
        let first = self.blocks == 0 && blocks > 0;
        self.blocks += blocks;
        self.bytes += bytes;
        self.shows(|shown| {
            shown.blocks += blocks;
            shown.steps.insert(Step::Blocks);
        });
        self.handshake.as_ref().filter(|_| first).map(|(peer_id, _)| *peer_id)
    }

    /// Notes the end of the connection. A mistake that caused it gets a note of its own.
    pub fn end(&mut self, why: &str, mistake: Option<Mistake>) {
        let ours = mistake.is_some();
        mistake.into_iter().for_each(|mistake| self.mistake(mistake));
        let (blocks, bytes) = (self.blocks, self.bytes);
        let runs = self.handshake.as_ref().map(|(_, pieces)| runs(pieces)).unwrap_or_default();
        let several = if runs.contains(' ') { "s" } else { "" };
        let pieces = if runs.is_empty() { runs } else { format!(", of piece{several} {runs}") };
        let spoiled = if self.spoiled > 0 {
            format!(", {} of the blocks spoiled", self.spoiled)
        } else {
            String::new()
        };
        let chokes = if self.chokes > 0 {
            format!(", and was choked {}", counted(self.chokes, "time"))
        } else {
            String::new()
        };
        let told = if ours { "that mistake ended it" } else { why };
        let got = format!("{}, {}", counted(blocks, "block"), counted(bytes, "byte"));
        let what = format!("got {got}{pieces}{spoiled}{chokes}; {told}");
        let counts = json!({ "blocks": blocks, "bytes": bytes, "spoiled": self.spoiled, "chokes": self.chokes, "why": why });
        self.note("left", &what, counts);
    }
}

/// Returns the runs of some pieces: `0 to 3, 7`, with dots if there are more.
fn runs(pieces: &Bitfield) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for index in pieces.iter() {
        let full = runs.len() > MAX_RUNS;
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == index => *last = index,
            _ if full => break,
            _ => runs.push((index, index)),
        }
    }
    let shown = |(first, last): &(u32, u32)| {
        if first == last { first.to_string() } else { format!("{first} to {last}") }
    };
    let dots = if runs.len() > MAX_RUNS { ", …" } else { "" };
    runs.iter().take(MAX_RUNS).map(shown).collect::<Vec<_>>().join(", ") + dots
}

/// Returns a message by its name in the specification, with its fields.
fn describe(message: &Message) -> String {
    let fields = |name: &str, request: &Request| {
        format!("{name} {} {} {}", request.index, request.begin, request.length)
    };
    match message {
        Message::KeepAlive => "keep-alive".to_owned(),
        Message::Choke => "choke".to_owned(),
        Message::Unchoke => "unchoke".to_owned(),
        Message::Interested => "interested".to_owned(),
        Message::NotInterested => "not interested".to_owned(),
        Message::Have { index } => format!("have {index}"),
        Message::Bitfield { bits } => format!("bitfield, {}", counted(bits.len(), "byte")),
        Message::Request(request) => fields("request", request),
        Message::Piece { index, begin, block } => {
            format!("piece {index} {begin}, {}", counted(block.len(), "byte"))
        }
        Message::Cancel(request) => fields("cancel", request),
        Message::Port { port } => format!("port {port}"),
        Message::Suggest { index } => format!("suggest piece {index}"),
        Message::HaveAll => "have all".to_owned(),
        Message::HaveNone => "have none".to_owned(),
        Message::Reject(request) => fields("reject", request),
        Message::AllowedFast { index } => format!("allowed fast {index}"),
        Message::Unknown { id: EXTENDED, payload } if payload.first() == Some(&0) => {
            format!("extended: its handshake, {}", counted(payload.len(), "byte"))
        }
        Message::Unknown { id: EXTENDED, payload: [id, payload @ ..] } => {
            format!("extended {id}, {}", counted(payload.len() + 1, "byte"))
        }
        Message::Unknown { id, payload } => {
            format!("message {id}, {}", counted(payload.len(), "byte"))
        }
    }
}
