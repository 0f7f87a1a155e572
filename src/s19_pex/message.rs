//! The messages of peer exchange: lists of addresses, as a tracker packs them.
//!
//! ```text
//! d 5:added   12: <c0 00 02 07 1a e1> <c0 00 02 08 1a e1>   two peers that the sender has met
//!   7:added.f  2: <12> <00>                                 a byte of flags for each
//!   6:added6, 8:added6.f                                    the same with 18 bytes a peer, IPv6
//!   7:dropped  6: <c0 00 02 09 1a e1>                       a peer that it has lost
//!   8:dropped6 e
//! ```
//! Every key may be missing: one client sends `de` when nothing has changed. What is broken is
//! passed over, since a peer's slip here costs nothing but an address.

use std::net::{IpAddr, SocketAddr};

use crate::s01_bencode::forgiving::{PassedOver, decode_first_keys};
use crate::s01_bencode::limits::Limits;
use crate::s01_bencode::{BencodeError, Value, counted, encode};
use crate::s03_tracker::peers::{address_v4, address_v6};

/// The most addresses read from each list. Real messages have 50 at most, the first one perhaps
/// 200.
pub const MAX_READ: usize = 200;

/// Limits of the dictionary. It has six values, none of which is inside another.
const LIMITS: Limits = Limits { depth: 4, items: 100 };

/// What is said of a peer that was added. Bit 0 is the lowest.
///
/// | bit | means |
/// |---|---|
/// | 0 | it prefers encryption |
/// | 1 | it wants no pieces: a seed, or a peer that only uploads |
/// | 2 | it speaks uTP |
/// | 3 | it speaks `ut_holepunch` |
/// | 4 | it can be reached: the sender has dialed it |
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PexFlags(pub u8);

impl PexFlags {
    /// The peer wants no pieces.
    pub const SEED: PexFlags = PexFlags(0x02);
    /// The sender of the message has dialed the peer.
    pub const REACHABLE: PexFlags = PexFlags(0x10);

    /// Returns these flags, with another one set if `yes`.
    pub fn with(self, flag: PexFlags, yes: bool) -> PexFlags {
        if yes { PexFlags(self.0 | flag.0) } else { self }
    }

    /// Returns the names of the flags that are set.
    pub fn names(self) -> Vec<&'static str> {
        let names = ["encryption", "seed", "utp", "holepunch", "reachable"];
        let set = |(bit, name): (usize, _)| (self.0 >> bit & 1 == 1).then_some(name);
        names.into_iter().enumerate().filter_map(set).collect()
    }
}

/// What a peer says of its other peers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PexMessage {
    /// Peers that it has met since its last message.
    pub added: Vec<(SocketAddr, PexFlags)>,
    /// Peers that it has lost since.
    pub dropped: Vec<SocketAddr>,
    /// Notes about what was passed over. Never sent.
    pub passed_over: Vec<String>,
}

impl PexMessage {
    /// Encodes the message. Keys without a peer are left out.
    pub fn encode(&self) -> Vec<u8> {
        let added = |v4| packed(self.added.iter().map(|(address, _)| address), v4);
        let flags = |v4| -> Vec<u8> {
            let family = self.added.iter().filter(|(address, _)| address.is_ipv4() == v4);
            family.map(|(_, flags)| flags.0).collect()
        };
        let keys = [
            ("added", added(true)),
            ("added.f", flags(true)),
            ("added6", added(false)),
            ("added6.f", flags(false)),
            ("dropped", packed(self.dropped.iter(), true)),
            ("dropped6", packed(self.dropped.iter(), false)),
        ];
        let present = keys.into_iter().filter(|(_, list)| !list.is_empty());
        encode::dictionary(present.map(|(key, list)| (key, encode::bytes(list))))
    }

    /// Decodes a message. Unknown keys are skipped. Of each list, up to [`MAX_READ`] addresses are
    /// read. An address with port 0 is passed over, and so are spare bytes at the end of a list. A
    /// missing byte of flags counts as 0.
    ///
    /// # Errors
    /// If it is not bencode.
    pub fn decode(payload: &[u8]) -> Result<PexMessage, BencodeError> {
        let mut notes = PassedOver::default();
        let top = decode_first_keys(payload, LIMITS, &mut notes)?;
        if top.dictionary().is_none() {
            notes.skip("a ut_pex message", "a dictionary", &top);
        }
        let mut list =
            |key| notes.read(&top, key, "a byte string", Value::bytes).unwrap_or_default();
        let (added, flags, dropped) = (list("added"), list("added.f"), list("dropped"));
        let (added6, flags6, dropped6) = (list("added6"), list("added6.f"), list("dropped6"));
        // The two lists go side by side: the flags of an address that is passed over go with it.
        let v4 = unpacked("added", added, address_v4, &mut notes).zip(padded(flags));
        let mut all: Vec<_> = v4.collect();
        all.extend(unpacked("added6", added6, address_v6, &mut notes).zip(padded(flags6)));
        let mut lost: Vec<_> = unpacked("dropped", dropped, address_v4, &mut notes).collect();
        lost.extend(unpacked("dropped6", dropped6, address_v6, &mut notes));
        let usable = |address: &SocketAddr| address.port() != 0;
        Ok(PexMessage {
            added: all.into_iter().filter(|(address, _)| usable(address)).collect(),
            dropped: lost.into_iter().filter(usable).collect(),
            passed_over: notes.into_notes(),
        })
    }
}

/// Returns the addresses of one family, each packed into 6 or 18 bytes.
fn packed<'a>(addresses: impl Iterator<Item = &'a SocketAddr>, v4: bool) -> Vec<u8> {
    let family = addresses.filter(|address| address.is_ipv4() == v4);
    let pack = |address: &SocketAddr| {
        let mut bytes = match address.ip() {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        bytes.extend(address.port().to_be_bytes());
        bytes
    };
    family.flat_map(pack).collect()
}

/// Reads the first [`MAX_READ`] addresses of a list, `N` bytes each. A stranger has sent it, so
/// neither its length nor its contents are a reason to stop.
fn unpacked<const N: usize>(
    key: &str,
    list: &[u8],
    read: fn(&[u8; N]) -> SocketAddr,
    notes: &mut PassedOver,
) -> impl Iterator<Item = SocketAddr> {
    let (peers, rest) = list.as_chunks::<N>();
    if !rest.is_empty() {
        let found = counted(list.len(), "byte");
        let must = format!("{key} must be a multiple of {N} bytes, but is {found}");
        notes.add(|| format!("{must}; the last {} are passed over", rest.len()));
    }
    if peers.len() > MAX_READ {
        notes.add(|| {
            format!("{key} names {} peers; only the first {MAX_READ} are read", peers.len())
        });
    }
    peers.iter().take(MAX_READ).map(read)
}

/// Returns a list of flags without an end: after the last byte, no flag is set.
fn padded(flags: &[u8]) -> impl Iterator<Item = PexFlags> {
    flags.iter().copied().chain(std::iter::repeat(0)).map(PexFlags)
}
