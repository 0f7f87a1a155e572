//! The quirks of a seeder: in one thing it is not like the others.
//!
//! Many quirks are allowed, and a client has to cope with them: the order of the first messages,
//! no bitfield, blocks in another order. Others break a rule, and a client should lose nothing but
//! this peer.

use std::fmt;

/// What is unusual about a seeder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quirk {
    /// Accepts, and hangs up.
    Close,
    /// Hangs up in the middle of its handshake.
    HalfShake,
    /// Sends its handshake a byte a second.
    Drip,
    /// Answers with another info hash.
    OtherTorrent,
    /// Answers with the client's own peer id.
    Echo,
    /// Sets reserved bits that nobody has defined.
    Reserved,
    /// Does not set the bit of the extension protocol.
    NoExtension,
    /// Sends its extension handshake before its bitfield.
    ExtFirst,
    /// Sends a `have` for each piece instead of a bitfield.
    Haves,
    /// Says nothing about its pieces, and gives what it is asked for.
    NoBitfield,
    /// Has the first half of the pieces.
    Half,
    /// Has no piece.
    Empty,
    /// Sets the bits after the last piece.
    SpareBits,
    /// Sends a bitfield with a byte too many.
    LongBitfield,
    /// Unchokes before the client is interested.
    EarlyUnchoke,
    /// Unchokes two seconds after the client is interested.
    LateUnchoke,
    /// Never unchokes.
    NeverUnchoke,
    /// Chokes after the first block, for good.
    ChokeForever,
    /// Sends keep-alives, a port and unknown messages between the blocks.
    Noise,
    /// Answers the requests of a moment last one first.
    Backwards,
    /// Gives each block twice.
    Twice,
    /// Sends a block that was not asked for before each block.
    Unasked,
    /// Sends a block of a piece that does not exist before each block.
    NoSuchPiece,
    /// Gives a byte more than was asked for.
    TooLong,
    /// Gives a byte less than was asked for.
    TooShort,
    /// Says nothing more after the first block.
    Mute,
    /// Hangs up after the first block.
    HangUp,
    /// Announces a message of 2 GiB after the first block.
    Giant,
    /// Sends everything in small parts.
    Chopped,
    /// Does not offer the info dictionary.
    NoMeta,
    /// Rejects requests for the info dictionary.
    MetaReject,
    /// Does not answer requests for the info dictionary.
    MetaSilent,
    /// Gives a wrong info dictionary.
    MetaCorrupt,
    /// Says that the info dictionary has 4 GB.
    MetaHuge,
}

impl Quirk {
    /// All quirks in the order of a conversation, each with its name and what such a seeder does.
    pub const ALL: [(Quirk, &'static str, &'static str); 34] = [
        (Quirk::Close, "close", "hangs up at once"),
        (Quirk::HalfShake, "half-shake", "sends half a handshake"),
        (Quirk::Drip, "drip", "sends a byte a second"),
        (Quirk::OtherTorrent, "other-torrent", "says another info hash"),
        (Quirk::Echo, "echo", "has your own peer id"),
        (Quirk::Reserved, "reserved", "sets unknown bits"),
        (Quirk::NoExtension, "no-extension", "has no extension bit"),
        (Quirk::ExtFirst, "ext-first", "sends bitfield second"),
        (Quirk::Haves, "haves", "says have, no bitfield"),
        (Quirk::NoBitfield, "no-bitfield", "names no pieces"),
        (Quirk::Half, "half", "has only the first half"),
        (Quirk::Empty, "empty", "has no piece"),
        (Quirk::SpareBits, "spare-bits", "sets the spare bits"),
        (Quirk::LongBitfield, "long-bitfield", "has a byte too many"),
        (Quirk::EarlyUnchoke, "early-unchoke", "unchokes unasked"),
        (Quirk::LateUnchoke, "late-unchoke", "unchokes after 2 s"),
        (Quirk::NeverUnchoke, "never-unchoke", "never unchokes"),
        (Quirk::ChokeForever, "choke-forever", "chokes for good"),
        (Quirk::Noise, "noise", "mixes in odd messages"),
        (Quirk::Backwards, "backwards", "gives last block first"),
        (Quirk::Twice, "twice", "gives each block twice"),
        (Quirk::Unasked, "unasked", "gives blocks unasked"),
        (Quirk::NoSuchPiece, "no-such-piece", "gives pieces out of range"),
        (Quirk::TooLong, "too-long", "gives a byte too many"),
        (Quirk::TooShort, "too-short", "gives a byte too few"),
        (Quirk::Mute, "mute", "is silent after a block"),
        (Quirk::HangUp, "hang-up", "hangs up after a block"),
        (Quirk::Giant, "giant", "announces 2 GiB"),
        (Quirk::Chopped, "chopped", "sends in small parts"),
        (Quirk::NoMeta, "no-meta", "offers no metadata"),
        (Quirk::MetaReject, "meta-reject", "rejects metadata requests"),
        (Quirk::MetaSilent, "meta-silent", "keeps the metadata"),
        (Quirk::MetaCorrupt, "meta-corrupt", "gives wrong metadata"),
        (Quirk::MetaHuge, "meta-huge", "has 4 GB of metadata"),
    ];

    /// Returns the quirk with this name.
    pub fn named(name: &str) -> Option<Quirk> {
        Quirk::ALL.iter().find(|(_, known, _)| *known == name).map(|(quirk, _, _)| *quirk)
    }
}

impl fmt::Display for Quirk {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let this = Quirk::ALL.iter().find(|(quirk, _, _)| quirk == self);
        out.write_str(this.map_or("", |(_, _, does)| does))
    }
}
