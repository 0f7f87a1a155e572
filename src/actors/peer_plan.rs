//! The behavior of a fake peer.

use super::gate::Gate;
use super::torrent::Torrent;
use super::wire;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

/// The pause after each write of a plan's `chunks`.
pub const PAUSE: Duration = Duration::from_millis(2);

/// The first thing that happens on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Greeting {
    /// Reads the client's handshake, then answers with its own.
    Proper,
    /// Sends its handshake without waiting for the client's.
    Eager,
    /// Reads the client's handshake, answers with another torrent's.
    WrongInfoHash,
    /// Accepts, and says nothing.
    Silent,
    /// Its handshake, one byte a second.
    Drip,
    /// These bytes instead of a handshake, and then nothing.
    Says(Vec<u8>),
    /// Accepts and closes.
    Close,
    /// Half a handshake, then closes.
    Half,
    /// Reads the client's handshake, answers with the client's own peer id.
    Echo,
}

/// The action after the handshakes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// The conversation.
    Talk,
    /// The end of the connection.
    Close,
    /// Nothing, forever.
    Hold,
    /// These bytes, and then nothing.
    Say(Vec<u8>),
    /// These bytes, one a second.
    Drip(Vec<u8>),
}

/// Which comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The bitfield, then the extension handshake.
    BitfieldFirst,
    /// The extension handshake, then the bitfield.
    ExtensionFirst,
    /// No bitfield at all.
    NoBitfield,
}

/// When the peer unchokes the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unchoke {
    /// When the client is interested.
    OnInterest,
    /// Right after the opening messages, asked or not.
    Early,
    /// Not at all.
    Never,
}

/// The answers to requests for blocks. The numbers count blocks served well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocks {
    /// What was asked for.
    Good,
    /// Of the right length, with wrong bytes.
    Corrupt,
    /// Wrong bytes in the block that begins here in each piece, and in no other.
    WrongAt(u32),
    /// Wrong bytes in the first block, and in no other.
    WrongFirst,
    /// One byte more than asked for.
    TooLong,
    /// One byte less than asked for.
    TooShort,
    /// An unrequested block of a piece that exists, before each block.
    Unasked,
    /// A block of a piece that does not exist, before each block.
    OutOfRange,
    /// Each block twice.
    Twice,
    /// The requests of a moment, last one first.
    Backwards,
    /// Chokes with requests outstanding; unchokes after a moment, or never.
    ChokeAfter(usize, bool),
    /// The process dies, and the connection is reset.
    ResetAfter(usize),
    /// The process dies, and the connection is closed.
    CloseAfter(usize),
    /// Says nothing more.
    SilentAfter(usize),
    /// Says these bytes, and nothing more.
    SayAfter(usize, Vec<u8>),
    /// With the fast extension: rejects everything.
    Reject,
    /// What was asked for, at most this many thousand bytes a second over all connections.
    KilobytesPerSecond(u32),
}

/// The answers to requests for metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Metadata {
    /// What was asked for.
    Good,
    /// Does not offer ut_metadata.
    None,
    /// Says this size, and serves zeros where it has nothing.
    Size(i64),
    /// Of the right size, with a wrong byte.
    Corrupt,
    /// A reject for each request.
    Reject,
    /// No answer.
    Silent,
    /// A data message whose dictionary is not one.
    Garbage,
    /// A data message with one byte too many.
    TooLong,
    /// A data message for a metadata piece that does not exist.
    OutOfRange,
}

/// The answers to requests for hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hashes {
    /// What was asked for, with the proof.
    Good,
    /// The first hash has a wrong bit.
    WrongHash,
    /// The same, but the first part of a layer is right.
    WrongLater,
    /// One hash less than asked for.
    TooShort,
    /// One hash more than asked for.
    TooLong,
    /// Wrong hashes, said to be those of another file, before each answer.
    OtherRoot,
    /// Wrong hashes, said to be others of the same file, before each answer.
    OtherRange,
    /// The requests of a moment, last one first.
    Backwards,
    /// A reject for each request.
    Reject,
    /// No answer.
    Silent,
}

/// The whole behavior of a fake peer. The default is a good seeder.
#[derive(Clone)]
pub struct Plan {
    /// The content that it has or talks about.
    pub torrent: Arc<Torrent>,
    /// Where it listens.
    pub address: IpAddr,
    /// Its peer id.
    pub peer_id: [u8; 20],
    /// The first thing on a connection.
    pub greeting: Greeting,
    /// The action after the handshakes.
    pub after: After,
    /// Which of the opening messages comes first.
    pub order: Order,
    /// Whether it speaks the extension protocol.
    pub extension: bool,
    /// Whether it speaks the fast extension.
    pub fast: bool,
    /// The pieces that it has.
    pub have: Vec<bool>,
    /// `have` messages instead of a bitfield.
    pub by_haves: bool,
    /// Raw bytes in place of the bitfield message.
    pub opening: Option<Vec<u8>>,
    /// The extension handshake's payload, if it is not the usual one.
    pub greets: Option<Vec<u8>>,
    /// The id it wants ut_metadata messages under.
    pub metadata_id: u8,
    /// The answers to requests for metadata.
    pub metadata: Metadata,
    /// The answers to requests for hashes, if the torrent has trees.
    pub hashes: Hashes,
    /// When it unchokes the client.
    pub unchoke: Unchoke,
    /// The answers to requests for blocks.
    pub blocks: Blocks,
    /// Keep-alives and unknown messages, between everything else.
    pub noise: bool,
    /// A rest before each block.
    pub pace: Duration,
    /// Answers nothing after the opening messages until this opens.
    pub gate: Option<Gate>,
    /// The sizes of the writes in which bytes go out, the last one again and again. They are
    /// [`PAUSE`] apart. Without any, there is one write.
    pub chunks: Vec<usize>,
    /// A rest between the client's interest and the unchoke.
    pub unchoke_after: Duration,
    /// The first block is held back until this many requests are outstanding, or for this long.
    pub hold_until: Option<(usize, Duration)>,
    /// Bits that are set in the reserved bytes, besides its own.
    pub extra_reserved: [u8; 8],
}

impl Plan {
    /// A good seeder of this torrent on 127.0.0.1.
    pub fn new(torrent: &Torrent) -> Plan {
        Plan {
            torrent: Arc::new(torrent.clone()),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            peer_id: *b"-FP0001-0123456789ab",
            greeting: Greeting::Proper,
            after: After::Talk,
            order: Order::BitfieldFirst,
            extension: true,
            fast: false,
            have: vec![true; torrent.pieces()],
            by_haves: false,
            opening: None,
            greets: None,
            metadata_id: 3,
            metadata: Metadata::Good,
            hashes: Hashes::Good,
            unchoke: Unchoke::OnInterest,
            blocks: Blocks::Good,
            noise: false,
            pace: Duration::ZERO,
            gate: None,
            chunks: Vec::new(),
            unchoke_after: Duration::ZERO,
            hold_until: None,
            extra_reserved: [0; 8],
        }
    }

    /// Listens on 127.0.0.`last`, for clients that keep one connection per address.
    pub fn host(mut self, last: u8) -> Plan {
        self.address = IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
        self.peer_id[19] = last;
        self
    }

    /// Has this peer id.
    pub fn peer_id(mut self, peer_id: [u8; 20]) -> Plan {
        self.peer_id = peer_id;
        self
    }

    /// Does this first.
    pub fn greeting(mut self, greeting: Greeting) -> Plan {
        self.greeting = greeting;
        self
    }

    /// Does this after the handshakes.
    pub fn after(mut self, after: After) -> Plan {
        self.after = after;
        self
    }

    /// Opens in this order.
    pub fn order(mut self, order: Order) -> Plan {
        self.order = order;
        self
    }

    /// Answers requests for blocks like this.
    pub fn blocks(mut self, blocks: Blocks) -> Plan {
        self.blocks = blocks;
        self
    }

    /// Answers requests for metadata like this.
    pub fn metadata(mut self, metadata: Metadata) -> Plan {
        self.metadata = metadata;
        self
    }

    /// Answers requests for hashes like this.
    pub fn hashes(mut self, hashes: Hashes) -> Plan {
        self.hashes = hashes;
        self
    }

    /// Unchokes the client then.
    pub fn unchoke(mut self, unchoke: Unchoke) -> Plan {
        self.unchoke = unchoke;
        self
    }

    /// Neither the extension bit nor extension messages.
    pub fn plain(mut self) -> Plan {
        self.extension = false;
        self
    }

    /// The fast extension's bit, and `have all` when it has all.
    pub fn fast(mut self) -> Plan {
        self.fast = true;
        self
    }

    /// Only these pieces.
    pub fn only(mut self, pieces: impl IntoIterator<Item = usize>) -> Plan {
        self.have.fill(false);
        for piece in pieces {
            if let Some(has) = self.have.get_mut(piece) {
                *has = true;
            }
        }
        self
    }

    /// Sends `have` messages instead of a bitfield.
    pub fn by_haves(mut self) -> Plan {
        self.by_haves = true;
        self
    }

    /// Sends these bytes instead of the bitfield message.
    pub fn opening(mut self, bytes: Vec<u8>) -> Plan {
        self.opening = Some(bytes);
        self
    }

    /// Sends this payload in its extension handshake.
    pub fn greets(mut self, payload: impl Into<Vec<u8>>) -> Plan {
        self.greets = Some(payload.into());
        self
    }

    /// Sends keep-alives and unknown messages between everything else.
    pub fn noise(mut self) -> Plan {
        self.noise = true;
        self
    }

    /// Rests before each block.
    pub fn pace(mut self, milliseconds: u64) -> Plan {
        self.pace = Duration::from_millis(milliseconds);
        self
    }

    /// Serves only once this has happened: otherwise a test could pass because it was quicker.
    pub fn once(mut self, gate: Gate) -> Plan {
        self.gate = Some(gate);
        self
    }

    /// Sends everything in writes of at most this many bytes.
    pub fn chunk(self, bytes: usize) -> Plan {
        self.chunks(&[bytes])
    }

    /// Sends everything in writes of these sizes, the last one again and again.
    pub fn chunks(mut self, sizes: &[usize]) -> Plan {
        self.chunks = sizes.to_vec();
        self
    }

    /// Rests between the client's interest and the unchoke.
    pub fn unchoke_after(mut self, time: Duration) -> Plan {
        self.unchoke_after = time;
        self
    }

    /// Holds the first block back until this many requests are outstanding, or for this long.
    pub fn hold_until(mut self, requests: usize, time: Duration) -> Plan {
        self.hold_until = Some((requests, time));
        self
    }

    /// Sets these bits in the reserved bytes, besides its own.
    pub fn extra_reserved(mut self, bits: [u8; 8]) -> Plan {
        self.extra_reserved = bits;
        self
    }

    /// The reserved bytes of its handshake.
    pub fn reserved(&self) -> [u8; 8] {
        let mut bits = self.extra_reserved;
        if self.extension {
            bits[5] |= wire::EXTENSION_BIT;
        }
        if self.fast {
            bits[7] |= wire::FAST_BIT;
        }
        bits
    }
}
