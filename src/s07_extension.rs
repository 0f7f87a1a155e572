//! Stage 7: the extension handshake, with which peers agree on new messages.
//!
//! BEP 3 has one byte for the message id, and no authority that assigns the ids.
//! The extension protocol needs none: all extensions share message 20, and each
//! side lists by *name* the ones it speaks, and the id it wants for each.
//!
//! * **Run it:** `piecemeal magnet_handshake 'magnet:?xt=urn:btih:cda492889448d540ee036365137eedd24308d22c&x.pe=127.0.0.2:6881'`
//! * **Spec:** BEP 10, 54; **chapter:** `docs/07-extension.md`
//! * **Builds on:** bencode from stage 1, [`Message::Unknown`] from stage 5
//!
//! # On the wire
//! ```text
//! 0        4    5              6
//! | length | 20 | extension id | payload |
//!
//! extension id 0: the extension handshake, a bencoded dictionary
//!   d 1:m d 11:ut_metadata i3e e  1:p i6881e  4:reqq i500e  1:v 15:piecemeal 0.1.0 e
//!         "to reach my ut_metadata, send me message 20 with extension id 3"
//! any other: the extension that the *receiver* gave this id
//! ```
//! # Decisions
//! * **Ids belong to the receiver.** Ours are fixed by the order of our extensions;
//!   theirs are kept per peer, in [`PeerExtensions`].
//! * **A later handshake adds to the earlier one;** id 0 turns an extension off. Neither is a
//!   reason to hang up.
//! * **[`Extension`] is a seam.** Each extension handles its own messages, so this
//!   stage does not change when one is added.
//! * **Unknown keys and names are skipped,** as BEP 10 asks. A key of the wrong type, or
//!   a repeated one, is passed over with a note. A peer whose handshake is not bencode
//!   counts as a peer without extensions: it still has pieces for us.
//! * **Left out:** the use of `ipv4` and `ipv6`; `p` is used in stage 12.

#![warn(clippy::indexing_slicing)] // decodes what strangers send

pub mod dont_have;
pub mod extension;
pub mod kept;

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::time::Instant;

use thiserror::Error;

use self::extension::{Extension, Reply};
use self::kept::{LIMITS, add_names, client_name, extension};
use crate::s01_bencode::forgiving::{PassedOver, decode_first_keys};
use crate::s01_bencode::{BencodeError, Value, encode};
use crate::s05_messages::connection::Connection;
use crate::s05_messages::{Message, MessageError};

/// The reserved bit in the handshake that means "I speak the extension protocol". Alone,
/// it makes the bytes `00 00 00 00 00 10 00 00`.
pub const EXTENSION_BIT: usize = 20;

/// The message id that all extensions share.
pub const EXTENDED: u8 = 20;

/// The `reqq` assumed if a peer sends none: libtorrent's default, says BEP 10.
pub const DEFAULT_REQQ: u32 = 250;

/// The number of requests we queue for a peer before we drop any: our own `reqq`.
pub const OUR_REQQ: u32 = 500;

/// The most notes that are kept about one peer's handshakes.
const MAX_NOTES: usize = 8;

/// The dictionary of an extension handshake. Every key may be absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExtensionHandshake {
    /// `m`: extension names, and the id the sender wants for each. 0 turns it off.
    pub m: BTreeMap<String, u8>,
    /// `p`: the port the sender listens on. A peer that dialed us appears at another one.
    pub p: Option<u16>,
    /// `v`: the client's name and version.
    pub v: Option<String>,
    /// `yourip`: the receiver's address as the sender sees it.
    pub yourip: Option<IpAddr>,
    /// `ipv4`: the sender's IPv4 address.
    pub ipv4: Option<IpAddr>,
    /// `ipv6`: the sender's IPv6 address.
    pub ipv6: Option<IpAddr>,
    /// `reqq`: the number of requests the sender queues before it drops any.
    pub reqq: Option<u32>,
    /// `metadata_size`: the size of the info dictionary in bytes, if the sender has it (BEP 9).
    pub metadata_size: Option<u64>,
    /// `upload_only`: the sender wants no more pieces, whether or not it has all of them
    /// (BEP 21).
    pub upload_only: Option<bool>,
    /// Notes about keys that break a rule and were passed over. Never sent.
    pub passed_over: Vec<String>,
}

impl ExtensionHandshake {
    /// Encodes the dictionary.
    pub fn encode(&self) -> Vec<u8> {
        let ids = self.m.iter().map(|(name, id)| (name.as_str(), encode::integer(*id)));
        let ip = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => encode::bytes(ip.octets()),
            IpAddr::V6(ip) => encode::bytes(ip.octets()),
        };
        let keys = [
            ("m", Some(encode::dictionary(ids))),
            ("p", self.p.map(encode::integer)),
            ("v", self.v.as_ref().map(encode::bytes)),
            ("yourip", self.yourip.map(ip)),
            ("ipv4", self.ipv4.map(ip)),
            ("ipv6", self.ipv6.map(ip)),
            ("reqq", self.reqq.map(encode::integer)),
            ("metadata_size", self.metadata_size.map(encode::integer)),
            ("upload_only", self.upload_only.map(|yes| encode::integer(u64::from(yes)))),
        ];
        encode::dictionary(keys.into_iter().filter_map(|(key, value)| Some((key, value?))))
    }

    /// Decodes the dictionary. Bytes after it are ignored. All keys are optional: one of the
    /// wrong type is passed over, and so is a repeated one.
    ///
    /// # Errors
    /// If it is not a bencoded dictionary, or exceeds [`LIMITS`].
    pub fn decode(payload: &[u8]) -> Result<ExtensionHandshake, ExtensionError> {
        let mut notes = PassedOver::default();
        let top = decode_first_keys(payload, LIMITS, &mut notes)?;
        if top.dictionary().is_none() {
            return Err(ExtensionError::NotDictionary { found: top.type_name() });
        }
        let ip = |value: &Value| {
            let v4 = <[u8; 4]>::try_from(value.bytes()?).map(IpAddr::from);
            v4.or_else(|_| {
                <[u8; 16]>::try_from(value.bytes().unwrap_or_default()).map(IpAddr::from)
            })
            .ok()
        };
        let m = notes.read(&top, "m", "a dictionary", Value::dictionary).unwrap_or_default();
        Ok(ExtensionHandshake {
            m: m.iter().filter_map(|(name, id)| extension(name, id, &mut notes)).collect(),
            p: notes.read(&top, "p", "a port", |port| u16::try_from(port.unsigned()?).ok()),
            v: notes.read(&top, "v", "a byte string", Value::bytes).map(client_name),
            yourip: notes.read(&top, "yourip", "4 or 16 bytes", ip),
            ipv4: notes.read(&top, "ipv4", "4 bytes", |value| ip(value).filter(IpAddr::is_ipv4)),
            ipv6: notes.read(&top, "ipv6", "16 bytes", |value| ip(value).filter(IpAddr::is_ipv6)),
            reqq: notes
                .read(&top, "reqq", "a number of requests", Value::unsigned)
                .map(|count| u32::try_from(count).unwrap_or(u32::MAX)),
            metadata_size: notes.read(&top, "metadata_size", "a number of bytes", Value::unsigned),
            upload_only: notes
                .read(&top, "upload_only", "0 or 1", Value::unsigned)
                .map(|yes| yes != 0),
            passed_over: notes.into_notes(),
        })
    }
}

/// What a peer has said about its extensions so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerExtensions {
    /// All its extension handshakes, merged.
    pub said: ExtensionHandshake,
}

impl PeerExtensions {
    /// Merges a first or later extension handshake: keys it does not mention stay
    /// as they were.
    pub fn update(&mut self, later: ExtensionHandshake) {
        let said = &mut self.said;
        said.p = later.p.or(said.p);
        said.v = later.v.or(said.v.take());
        said.yourip = later.yourip.or(said.yourip);
        said.ipv4 = later.ipv4.or(said.ipv4);
        said.ipv6 = later.ipv6.or(said.ipv6);
        said.reqq = later.reqq.or(said.reqq);
        said.metadata_size = later.metadata_size.or(said.metadata_size);
        said.upload_only = later.upload_only.or(said.upload_only);
        add_names(said, later.m);
    }

    /// The id this peer wants for messages of an extension. `None` if the peer does
    /// not speak it, or has turned it off.
    pub fn id(&self, name: &str) -> Option<u8> {
        self.said.m.get(name).copied().filter(|id| *id != 0)
    }
}

/// An extension's own error.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The extensions of one connection, ours and theirs.
#[derive(Default)]
pub struct Extensions {
    ours: Vec<Box<dyn Extension>>,
    /// The ids before that of our first extension, none of which is used.
    unused_ids: u8,
    /// When they are told the time next. `None` before the first time.
    next_tick: Option<Instant>,
    /// The port we listen on, if we do.
    pub port: Option<u16>,
    /// Whether we want no more pieces.
    pub upload_only: bool,
    /// What the peer has said.
    pub theirs: PeerExtensions,
    /// Notes about the peer's handshakes that have not been taken yet.
    passed_over: Vec<String>,
    /// The number of notes so far, taken ones included.
    noted: usize,
}

impl Extensions {
    /// Starts with our extensions. The first gets id 1, and so on.
    pub fn new(ours: Vec<Box<dyn Extension>>) -> Extensions {
        Extensions { ours, ..Extensions::default() }
    }

    /// Gives our first extension this id instead of 1. A peer that ignores our handshake is found
    /// out sooner if its own numbers are not ours.
    pub fn numbered_from(mut self, first: u8) -> Extensions {
        self.unused_ids = first.saturating_sub(1);
        self
    }

    /// Returns the id that the peer must use for this extension of ours.
    pub fn our_id(&self, name: &str) -> Option<u8> {
        let position = self.ours.iter().position(|extension| extension.name() == name)?;
        u8::try_from(position + 1 + usize::from(self.unused_ids)).ok()
    }

    /// Returns our extension handshake for the peer at this address. When a key changes, the
    /// whole handshake is sent again: some clients forget keys that are not repeated.
    pub fn greeting(&self, peer: IpAddr) -> ExtensionHandshake {
        let v = Some(concat!("piecemeal ", env!("CARGO_PKG_VERSION")).to_owned());
        let (yourip, reqq) = (Some(peer.to_canonical()), Some(OUR_REQQ));
        // Sent only if true: a missing key means 0.
        let upload_only = self.upload_only.then_some(true);
        let mut ours =
            ExtensionHandshake { p: self.port, v, yourip, reqq, upload_only, ..Default::default() };
        for (extension, id) in self.ours.iter().zip(self.unused_ids + 1..=u8::MAX) {
            if extension.is_listed() {
                ours.m.insert(extension.name().to_owned(), id);
            }
            extension.offer(&mut ours);
        }
        ours
    }

    /// Merges the dictionary of an extension handshake from the peer.
    fn greeted(&mut self, payload: &[u8]) -> Result<(), ExtensionError> {
        let mut said = ExtensionHandshake::decode(payload)?;
        std::mem::take(&mut said.passed_over).into_iter().for_each(|note| self.pass_over(note));
        self.theirs.update(said);
        Ok(())
    }

    /// Notes that the peer's whole handshake is passed over, and why.
    pub fn pass_over_all(&mut self, why: &ExtensionError) {
        self.pass_over(format!("{why}; it counts as a peer without extensions"));
    }

    fn pass_over(&mut self, note: String) {
        // A peer can send any number of handshakes.
        if self.noted < MAX_NOTES {
            self.noted += 1;
            self.passed_over.push(note);
        }
    }

    /// Returns the notes since the last call.
    pub fn take_passed_over(&mut self) -> Vec<String> {
        std::mem::take(&mut self.passed_over)
    }

    /// Handles the payload of a message 20. Appends encoded answers to `out`, and returns
    /// the pieces that the peer has lost. A handshake that cannot be read is passed over.
    ///
    /// # Errors
    /// If there is no extension id, or an extension's rules are broken.
    pub fn hear(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<Vec<u32>, ExtensionError> {
        let (&id, payload) = payload.split_first().ok_or(ExtensionError::NoId)?;
        if id == 0 {
            self.greeted(payload).unwrap_or_else(|error| self.pass_over_all(&error));
            return Ok(Vec::new());
        }
        // Ignore an id that we never assigned.
        let position = id.checked_sub(self.unused_ids + 1).map(usize::from);
        let extension = position.and_then(|position| self.ours.get_mut(position));
        let Some(extension) = extension.filter(|extension| extension.is_listed()) else {
            return Ok(Vec::new());
        };
        let mut reply = Reply::default();
        extension.message(payload, &mut reply).map_err(|error| refused(&**extension, error))?;
        reply.encode_to(self.theirs.id(extension.name()), out);
        reply.passed_over.into_iter().for_each(|note| self.pass_over(note));
        Ok(reply.lost)
    }
}

/// The error of an extension that refuses a message.
fn refused(extension: &dyn Extension, error: BoxError) -> ExtensionError {
    ExtensionError::Extension { name: extension.name(), error }
}

/// Appends a message 20 to `out`.
pub fn encode_extended(id: u8, payload: &[u8], out: &mut Vec<u8>) {
    let payload = [&[id], payload].concat();
    Message::Unknown { id: EXTENDED, payload: &payload }.encode_to(out);
}

/// Sends our extension handshake and waits for the peer's.
///
/// A peer may send its bitfield first, later, or never: meanwhile, messages with a known id are put
/// aside for [`MessageReader::replay`]. The connection's deadline applies.
///
/// # Errors
/// If the peer lacks the protocol, hangs up, is silent, or cannot be read.
///
/// [`MessageReader::replay`]: crate::s05_messages::MessageReader::replay
pub fn exchange_extensions(
    connection: &mut Connection,
    extensions: &mut Extensions,
) -> Result<(), ExtensionError> {
    if !connection.theirs.has_bit(EXTENSION_BIT) {
        return Err(ExtensionError::NotSpoken);
    }
    let mut bytes = Vec::new();
    encode_extended(0, &extensions.greeting(connection.peer.ip()).encode(), &mut bytes);
    connection.send_bytes(&bytes)?;
    loop {
        match connection.read()? {
            Message::Unknown { id: EXTENDED, payload: [0, payload @ ..] } => {
                return extensions.greeted(payload);
            }
            Message::KeepAlive | Message::Unknown { .. } => {}
            _ => connection.input.defer()?,
        }
    }
}

/// Why the extension protocol failed with a peer.
#[derive(Debug, Error)]
#[allow(missing_docs)] // of the fields: the messages say what they are
pub enum ExtensionError {
    /// The connection failed (stage 5).
    #[error("its extension handshake was expected, but {0}")]
    Message(#[from] MessageError),
    /// The peer's handshake does not have the bit set.
    #[error("the peer does not speak the extension protocol (BEP 10)")]
    NotSpoken,
    /// A message 20 without an extension id.
    #[error("an extended message must start with an extension id, but is empty")]
    NoId,
    /// The extension handshake is not bencode.
    #[error("the extension handshake is not bencode: {0}")]
    Bencode(#[from] BencodeError),
    /// The extension handshake is bencode, but not a dictionary.
    #[error("the extension handshake must be a dictionary, but is {found}")]
    NotDictionary { found: &'static str },
    /// An extension refused a message.
    #[error("{name}: {error}")]
    Extension { name: &'static str, error: BoxError },
}

impl ExtensionError {
    /// Whether only the peer's extension handshake is broken. The peer may still have pieces.
    pub fn is_unreadable(&self) -> bool {
        matches!(self, ExtensionError::Bencode(_) | ExtensionError::NotDictionary { .. })
    }
}

impl From<io::Error> for ExtensionError {
    fn from(error: io::Error) -> ExtensionError {
        MessageError::from(error).into()
    }
}
