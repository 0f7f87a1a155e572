//! What each object of a connection changes, a line each: `am choked: yes -> no`.

use std::collections::{BTreeMap, BTreeSet};

use super::pieces::Pieces;
use super::{Conversation, Side};
use crate::s04_handshake::Handshake;
use crate::s05_messages::{FAST_BIT, Message, Request};
use crate::s07_extension::{EXTENDED, EXTENSION_BIT, ExtensionHandshake, dont_have};
use crate::s23_v2::names::UPGRADE_BIT;
use crate::trace::s07;
use crate::trace::stream::{Next, Way};

/// The most requests that are counted. No peer has to queue more.
const MAX_REQUESTS: usize = 4096;
/// The most extensions named in one line.
const MAX_NAMES: usize = 8;

impl Conversation {
    /// Applies an object, and returns its changes. `None` if its length does not fit its kind.
    pub fn changes(&mut self, way: Way, bytes: &[u8]) -> Option<Vec<String>> {
        if self.side(way).next == Next::Message {
            let message = Message::decode(bytes.get(4..)?).ok()?;
            return Some(self.message(way, &message));
        }
        let handshake = Handshake::read_from(&mut &*bytes).ok()?;
        let side = self.side_mut(way);
        (side.next, side.handshake) = (Next::Message, Some(handshake));
        Some(self.agreed())
    }

    /// Returns what both handshakes agree on.
    fn agreed(&self) -> Vec<String> {
        let (Some(ours), Some(theirs)) = (&self.ours.handshake, &self.theirs.handshake) else {
            return Vec::new();
        };
        let renamed = ours.info_hash != theirs.info_hash;
        // Only the side that dials sets it: the other one knows the better name, and answers by it.
        if renamed && !ours.has_bit(UPGRADE_BIT) && !theirs.has_bit(UPGRADE_BIT) {
            return vec![format!(
                "another torrent: we said {}, they say {}",
                ours.info_hash, theirs.info_hash
            )];
        }
        let bits = [
            (EXTENSION_BIT, "the extension protocol (BEP 10)"),
            (FAST_BIT, "the fast extension (BEP 6)"),
        ];
        let both: Vec<&str> = bits
            .iter()
            .filter(|(bit, _)| ours.has_bit(*bit) && theirs.has_bit(*bit))
            .map(|(_, name)| *name)
            .collect();
        let both =
            if both.is_empty() { "nothing beyond BEP 3".to_owned() } else { both.join(", ") };
        let other =
            "the same torrent by its other name: from here on, version 2 (BEP 52)".to_owned();
        let spoken = format!("both sides speak: {both}");
        renamed.then_some(other).into_iter().chain([spoken]).collect()
    }

    fn is_fast(&self) -> bool {
        let fast =
            |side: &Side| side.handshake.is_some_and(|handshake| handshake.has_bit(FAST_BIT));
        fast(&self.ours) && fast(&self.theirs)
    }

    /// Applies a message, and returns its changes.
    fn message(&mut self, way: Way, message: &Message) -> Vec<String> {
        let fast = self.is_fast();
        let (chokes, interested) = match way {
            Way::In => ("am choked", "peer interested"),
            Way::Out => ("peer choked", "am interested"),
        };
        let change = match *message {
            Message::Choke | Message::Unchoke => {
                let now = *message == Message::Unchoke;
                let before = std::mem::replace(&mut self.side_mut(way).unchokes, now);
                // BEP 3: a choke discards all requests. With BEP 6 each request still gets an
                // answer.
                let void = if now || fast {
                    None
                } else {
                    self.requests(way.back(), |requests| requests.clear())
                };
                return yes_no(chokes, !before, !now).into_iter().chain(void).collect();
            }
            Message::Interested | Message::NotInterested => {
                let now = *message == Message::Interested;
                yes_no(interested, std::mem::replace(&mut self.side_mut(way).interested, now), now)
            }
            Message::Have { index } => self.has(way, |has, pieces| has.set(index, true, pieces)),
            Message::Bitfield { bits } => self.has(way, |has, _| has.replace(bits)),
            Message::HaveAll => self.has(way, |has, _| has.all = true),
            Message::HaveNone => self.has(way, |has, _| has.replace(&[])),
            Message::Request(request) => self.requests(way, |requests| {
                if requests.len() < MAX_REQUESTS {
                    requests.insert(request);
                }
            }),
            Message::Cancel(request) if !fast => {
                self.requests(way, |requests| requests.remove(&request))
            }
            Message::Reject(request) => {
                self.requests(way.back(), |requests| requests.remove(&request))
            }
            Message::Unknown { id: EXTENDED, payload: [0, payload @ ..] } => {
                self.extension_handshake(way, payload)
            }
            Message::Unknown { id: EXTENDED, payload: &[id, a, b, c, d] }
                if self.extension(way, id).is_some_and(|name| name == dont_have::NAME) =>
            {
                self.has(way, |has, pieces| {
                    has.set(u32::from_be_bytes([a, b, c, d]), false, pieces)
                })
            }
            _ => None,
        };
        change.into_iter().collect()
    }

    /// Changes the pieces of a side.
    fn has(&mut self, way: Way, change: impl FnOnce(&mut Pieces, Option<u32>)) -> Option<String> {
        let (pieces, has) = (self.pieces, &mut self.side_mut(way).has);
        let before = has.shown(pieces);
        change(has, pieces);
        let now = has.shown(pieces);
        let who = if way == Way::In { "peer has" } else { "we offer" };
        let of = pieces.map_or(String::new(), |pieces| format!("of {pieces} "));
        (before != now).then(|| format!("{who} {before} -> {now} {of}pieces"))
    }

    /// Applies a block, and returns its changes.
    pub fn block(&mut self, way: Way, head: &[u8], length: usize) -> Vec<String> {
        let number = |at: usize| {
            head.get(at..)
                .and_then(|rest| rest.first_chunk())
                .map_or(0, |four| u32::from_be_bytes(*four))
        };
        let request = Request {
            index: number(5),
            begin: number(9),
            length: u32::try_from(length).unwrap_or(u32::MAX),
        };
        let mut known = false;
        let mut changes: Vec<String> = self
            .requests(way.back(), |requests| known = requests.remove(&request))
            .into_iter()
            .collect();
        if !known {
            changes.push("not asked for, or not any more".to_owned());
        }
        changes
    }

    /// Changes the requests of a side.
    fn requests<T>(
        &mut self,
        asks: Way,
        change: impl FnOnce(&mut BTreeSet<Request>) -> T,
    ) -> Option<String> {
        let side = self.side_mut(asks);
        let before = side.requests.len();
        change(&mut side.requests);
        let now = side.requests.len();
        let whose = if asks == Way::Out { "our" } else { "the peer's" };
        (before != now).then(|| format!("{whose} requests in flight: {before} -> {now}"))
    }

    /// Applies an extension handshake, which assigns ids.
    fn extension_handshake(&mut self, way: Way, payload: &[u8]) -> Option<String> {
        let handshake = ExtensionHandshake::decode(payload).ok()?;
        let side = self.side_mut(way);
        let before = names(&side.extensions);
        s07::learn(&mut side.extensions, handshake);
        let now = names(&side.extensions);
        let who = if way == Way::In { "peer takes" } else { "we take" };
        (before != now).then(|| format!("{who} extension messages: {before} -> {now}"))
    }
}

fn yes_no(what: &str, before: bool, now: bool) -> Option<String> {
    let word = |yes| if yes { "yes" } else { "no" };
    (before != now).then(|| format!("{what}: {} -> {}", word(before), word(now)))
}

/// Returns `ut_metadata 3, ut_pex 1`, in the order of the ids.
fn names(extensions: &BTreeMap<u8, String>) -> String {
    if extensions.is_empty() {
        return "none".to_owned();
    }
    let mut names: Vec<String> =
        extensions.iter().take(MAX_NAMES).map(|(id, name)| format!("{name} {id}")).collect();
    if extensions.len() > MAX_NAMES {
        names.push(format!("{} more", extensions.len() - MAX_NAMES));
    }
    names.join(", ")
}
