//! Reads an announce as a tracker does, and says what is wrong with a wrong one.
//!
//! Stage 3 writes these queries. Here they are read by hand: `info_hash` and
//! `peer_id` are raw bytes, which a URL library would take for text.

use thiserror::Error;

use super::hints;
use crate::s01_bencode::{counted, excerpt};
use crate::s02_metainfo::InfoHash;
use crate::s03_tracker::{AnnounceRequest, Event, PeerId};

/// The keys that every announce must have.
const REQUIRED: [&str; 6] = ["info_hash", "peer_id", "port", "uploaded", "downloaded", "left"];

/// A good announce.
#[derive(Debug, Clone)]
pub struct ReceivedAnnounce {
    /// What the client says.
    pub announce: AnnounceRequest,
    /// Whether the client takes the compact form (BEP 23); `None`, which it does not say, means
    /// yes.
    pub compact: Option<bool>,
    /// The address that the client claims to have (`ip`).
    pub ip: Option<String>,
    /// Whether the query has `left=NaN`, as WebTorrent sends it with only a magnet link.
    pub nan: bool,
}

impl ReceivedAnnounce {
    /// Reads the part of the URL after the `?`.
    ///
    /// # Errors
    /// If a required value is missing or wrong, with a hint for the author of the client.
    pub fn decode(query: &str) -> Result<ReceivedAnnounce, AnnounceError> {
        let query = Query::decode(query)?;
        let info_hash = InfoHash(query.twenty_bytes("info_hash")?);
        let peer_id = PeerId(query.twenty_bytes("peer_id")?);
        let port = query.number("port", "1 to 65535", |port: u16| port != 0)?;
        let bytes = |key| query.number(key, "a number of bytes", |_: u64| true);
        let nan = query.get("left") == Some(b"NaN");
        let mut announce =
            AnnounceRequest::new(info_hash, peer_id, if nan { 1 } else { bytes("left")? });
        announce.port = port;
        announce.uploaded = bytes("uploaded")?;
        announce.downloaded = bytes("downloaded")?;
        announce.event = query.event()?;
        announce.numwant = match query.get("numwant") {
            // Some clients write -1 for "any number".
            None | Some(b"-1") => None,
            Some(_) => Some(query.number("numwant", "a number of peers", |_: u32| true)?),
        };
        announce.key = query
            .get("key")
            .and_then(|key| u32::from_str_radix(std::str::from_utf8(key).ok()?, 16).ok());
        let compact = match query.get("compact") {
            None => None,
            Some(_) => Some(query.number("compact", "0 or 1", |compact: u8| compact <= 1)? == 1),
        };
        let ip = query.get("ip").filter(|ip| !ip.is_empty()).map(excerpt);
        Ok(ReceivedAnnounce { announce, compact, ip, nan })
    }

    /// Returns what is odd about a good announce.
    pub fn oddities(&self) -> Vec<String> {
        let ask = &self.announce;
        // If it were believed, anyone could send a whole swarm to a third party.
        let ip = self
            .ip
            .as_ref()
            .map(|ip| format!("its ip={ip} is ignored: the address that it calls from counts"));
        let nan = self.nan.then(|| {
            "its left=NaN is taken for 1, the value to send while the length is unknown".to_owned()
        });
        let plain = self.compact.is_none();
        let list = plain.then(|| {
            format!(
                "without compact=1 others may answer with a list of dictionaries; see {}",
                hints::TRACKER
            )
        });
        let seed = (ask.left == 0
            && ask.downloaded == 0
            && matches!(ask.event, None | Some(Event::Started)))
        .then(|| "with nothing left it counts as a seed".to_owned());
        let early = (ask.event == Some(Event::Completed) && ask.left > 0)
            .then(|| "it says completed, but also that bytes are left".to_owned());
        let port =
            hints::reversed_port(ask.port).map(|hint| format!("{hint}; see {}", hints::TRACKER));
        ip.into_iter().chain(early).chain(nan).chain(list).chain(seed).chain(port).collect()
    }
}

/// Reads the query of a scrape (BEP 48), and returns the torrents that it asks for.
///
/// # Errors
/// If it names no torrent, or a wrong one.
pub fn scraped(query: &str) -> Result<Vec<InfoHash>, AnnounceError> {
    let query = Query::decode(query)?;
    let torrents = query.pairs.iter().filter(|pair| pair.key == "info_hash");
    let torrents: Vec<InfoHash> = torrents
        .map(|pair| pair.twenty_bytes("info_hash").map(InfoHash))
        .collect::<Result<_, _>>()?;
    if torrents.is_empty() {
        Err(AnnounceError::Missing { keys: "info_hash".to_owned() })
    } else {
        Ok(torrents)
    }
}

/// The pairs of a query string.
struct Query<'q> {
    pairs: Vec<Pair<'q>>,
}

struct Pair<'q> {
    key: &'q str,
    raw: &'q str,
    value: Vec<u8>,
}

impl Pair<'_> {
    fn twenty_bytes(&self, key: &'static str) -> Result<[u8; 20], AnnounceError> {
        if self.raw.contains('+') {
            return Err(AnnounceError::Plus { key });
        }
        let wrong =
            |_| AnnounceError::Length { key, found: self.value.len(), hint: hint(&self.value) };
        self.value.as_slice().try_into().map_err(wrong)
    }
}

impl<'q> Query<'q> {
    fn decode(query: &'q str) -> Result<Query<'q>, AnnounceError> {
        let mut pairs = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, raw) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode(raw)
                .ok_or_else(|| AnnounceError::Escape { key: excerpt(key.as_bytes()) })?;
            pairs.push(Pair { key, raw, value });
        }
        Ok(Query { pairs })
    }

    fn get(&self, key: &str) -> Option<&[u8]> {
        self.pairs.iter().find(|pair| pair.key == key).map(|pair| pair.value.as_slice())
    }

    fn need(&self, key: &'static str) -> Result<&Pair<'q>, AnnounceError> {
        let mut found = self.pairs.iter().filter(|pair| pair.key == key);
        let first = found.next().ok_or_else(|| self.missing())?;
        if found.next().is_some() {
            return Err(AnnounceError::Twice { key });
        }
        Ok(first)
    }

    /// Names all required keys that are missing: one round is enough to add them.
    fn missing(&self) -> AnnounceError {
        let lacks = |key: &&&str| !self.pairs.iter().any(|pair| pair.key == **key);
        let keys: Vec<&str> = REQUIRED.iter().filter(lacks).copied().collect();
        let keys = match keys.split_last() {
            Some((last, others @ [_, ..])) => format!("{} and {last}", others.join(", ")),
            _ => keys.concat(),
        };
        AnnounceError::Missing { keys }
    }

    fn twenty_bytes(&self, key: &'static str) -> Result<[u8; 20], AnnounceError> {
        self.need(key)?.twenty_bytes(key)
    }

    /// Parses a number of digits only: Rust's own parser would also take `+7`.
    fn number<T: std::str::FromStr + Copy>(
        &self,
        key: &'static str,
        expected: &'static str,
        allowed: impl Fn(T) -> bool,
    ) -> Result<T, AnnounceError> {
        let value = &self.need(key)?.value;
        let text = std::str::from_utf8(value)
            .ok()
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let number = text.and_then(|text| text.parse().ok()).filter(|number| allowed(*number));
        number.ok_or_else(|| AnnounceError::Value { key, expected, found: excerpt(value) })
    }

    fn event(&self) -> Result<Option<Event>, AnnounceError> {
        match self.get("event").unwrap_or_default() {
            // `paused` (BEP 21) is not an event that changes anything here.
            b"" | b"empty" | b"paused" => Ok(None),
            b"started" => Ok(Some(Event::Started)),
            b"completed" => Ok(Some(Event::Completed)),
            b"stopped" => Ok(Some(Event::Stopped)),
            other => {
                let expected = "started, completed or stopped, or be absent";
                Err(AnnounceError::Value { key: "event", expected, found: excerpt(other) })
            }
        }
    }
}

/// Decodes percent-encoding; `None` if a `%` is not followed by two hex digits.
fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        bytes.push(match first {
            b'%' => {
                let (digits, behind) = rest.split_first_chunk::<2>()?;
                rest = behind;
                let [byte] = <[u8; 1]>::try_from(hex::decode(digits).ok()?).ok()?;
                byte
            }
            plain => *plain,
        });
    }
    Some(bytes)
}

/// Returns the likely mistake of a client that sent this instead of 20 bytes.
fn hint(value: &[u8]) -> &'static str {
    let text = std::str::from_utf8(value);
    if value.len() == 40 && value.iter().all(u8::is_ascii_hexdigit) {
        "send the 20 raw bytes, percent-encoded, not hex"
    } else if text.is_ok_and(|text| {
        !text.is_ascii() && (text.chars().count() == 20 || text.contains('\u{fffd}'))
    }) {
        "they were taken for text, which spoils them; percent-encode the bytes one by one"
    } else if value.contains(&b'%') {
        "they were percent-encoded twice"
    } else if matches!(value.len(), 27 | 28)
        && value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/-_=".contains(byte))
    {
        "send the 20 raw bytes, percent-encoded, not base64"
    } else if value.len() < 20 {
        "it must be exactly 20, percent-encoded; a bare & or # would cut it short"
    } else {
        "it must be exactly 20, percent-encoded"
    }
}

/// What is wrong with an announce.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs)] // of the fields: the messages say what they are
pub enum AnnounceError {
    /// A `%` that is not followed by two hex digits.
    #[error("{key} has a % that is not followed by two hex digits")]
    Escape { key: String },
    /// Required values are missing; these are their keys, in words.
    #[error("{keys} {} missing", if keys.contains(' ') { "are" } else { "is" })]
    Missing { keys: String },
    /// A value appears twice.
    #[error("{key} appears twice")]
    Twice { key: &'static str },
    /// A value is not 20 bytes long.
    #[error("{key} is {}: {hint}", counted(*found, "byte"))]
    Length { key: &'static str, found: usize, hint: &'static str },
    /// A value has a plus, on whose meaning programs do not agree.
    #[error("{key} has a +, which some read as a plus and some as a space: send %2B or %20")]
    Plus { key: &'static str },
    /// A value that makes no sense.
    #[error("{key} must be {expected}, but is \"{found}\"")]
    Value { key: &'static str, expected: &'static str, found: String },
}
