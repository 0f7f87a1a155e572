//! Which field a byte belongs to, and which chapter explains it.
//!
//! Written out a second time, like the actors: a prefix of the stages has no `trace`, and the
//! expected side of a test must not come from the code under test.

use super::wire;

/// How a field is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Bytes,
    /// A number, high byte first.
    Number,
    Text,
}

/// A part of some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    /// The offset of its first byte.
    pub at: usize,
    pub length: usize,
    pub kind: Kind,
}

/// What a clause is about: its name, its chapter, and its fields.
pub struct Subject {
    pub name: &'static str,
    pub chapter: u32,
    layout: Layout,
}

/// Cuts bytes into their fields.
type Layout = fn(&mut Fields);

const SUBJECTS: [(&str, u32, Layout); 52] = [
    ("bencode", 1, |fields| fields.bencode()),
    ("info dictionary", 2, |fields| fields.bencode()),
    ("pieces of the info dictionary", 2, |_| ()),
    ("query", 3, |fields| fields.query()),
    ("compact peers", 3, |fields| fields.peers()),
    ("handshake", 4, |fields| fields.handshake()),
    ("reserved bytes", 4, |fields| fields.reserved()),
    ("messages", 5, |fields| fields.messages()),
    ("message without its length", 5, |fields| fields.message()),
    ("limits", 5, |fields| fields.messages()),
    ("bitfield", 5, |fields| fields.bitfield()),
    ("magnet link", 6, |_| ()),
    ("info hash", 6, |_| ()),
    ("extended messages", 7, |fields| fields.messages()),
    ("extension handshake", 7, |fields| fields.bencode()),
    ("metadata message", 8, |fields| fields.dictionary_and_data()),
    ("metadata", 8, |_| ()),
    ("blocks", 9, |_| ()),
    ("requests", 9, |_| ()),
    ("files", 10, |_| ()),
    ("work queue", 11, |_| ()),
    ("rarest first", 11, |_| ()),
    ("request queue", 12, |_| ()),
    ("announcing", 13, |_| ()),
    ("peer list", 14, |_| ()),
    ("swarm", 15, |fields| fields.messages()),
    ("allowed fast set", 16, |_| ()),
    ("choking", 17, |_| ()),
    ("packets", 18, |fields| fields.packet()),
    ("peer exchange", 19, |fields| fields.bencode()),
    ("BT-SEARCH", 20, |_| ()),
    ("local discovery", 20, |_| ()),
    ("KRPC", 21, |fields| fields.bencode()),
    ("node ids", 21, |_| ()),
    ("lookup", 21, |_| ()),
    ("routing table", 22, |_| ()),
    ("tokens", 22, |_| ()),
    ("rates", 22, |_| ()),
    ("filter of addresses", 22, |_| ()),
    ("ids tied to addresses", 22, |_| ()),
    ("peer store", 22, |_| ()),
    ("samples", 22, |_| ()),
    ("saved table", 22, |fields| fields.bencode()),
    ("a node's answers", 22, |fields| fields.bencode()),
    ("a node's questions", 22, |fields| fields.bencode()),
    ("trees of hashes", 23, |_| ()),
    ("file tree", 23, |fields| fields.bencode()),
    ("piece layers", 23, |fields| fields.bencode()),
    ("hybrid torrents", 23, |_| ()),
    ("hash messages", 24, |fields| fields.messages()),
    ("hash proofs", 24, |_| ()),
    ("upgrade", 24, |fields| fields.handshake()),
];

impl Subject {
    /// The subject of a clause, which is `BEP 3, handshake`: a specification, and one of the names
    /// above.
    #[track_caller]
    pub fn of(clause: &str) -> Subject {
        let name = clause.split_once(", ").map_or(clause, |(_, name)| name);
        let found = SUBJECTS.into_iter().find(|(known, ..)| *known == name);
        let (name, chapter, layout) =
            found.unwrap_or_else(|| panic!("tests/support/fields.rs has no subject {name:?}"));
        Subject { name, chapter, layout }
    }

    /// The fields of these bytes. What no field covers has no name.
    pub fn fields(&self, bytes: &[u8]) -> Vec<Field> {
        let mut fields = Fields { rest: bytes, at: 0, found: Vec::new() };
        (self.layout)(&mut fields);
        fields.found
    }
}

/// Cuts bytes into fields, front to back.
struct Fields<'b> {
    rest: &'b [u8],
    at: usize,
    found: Vec<Field>,
}

/// The ids of messages, and their names.
const NAMES: [(u8, &str); 18] = [
    (wire::CHOKE, "choke"),
    (wire::UNCHOKE, "unchoke"),
    (wire::INTERESTED, "interested"),
    (wire::NOT_INTERESTED, "not interested"),
    (wire::HAVE, "have"),
    (wire::BITFIELD, "bitfield"),
    (wire::REQUEST, "request"),
    (wire::PIECE, "piece"),
    (wire::CANCEL, "cancel"),
    (9, "port"),
    (wire::HAVE_ALL, "have all"),
    (wire::HAVE_NONE, "have none"),
    (wire::REJECT, "reject"),
    (wire::ALLOWED_FAST, "allowed fast"),
    (wire::EXTENDED, "extended"),
    (21, "hash request"),
    (22, "hashes"),
    (23, "hash reject"),
];

impl<'b> Fields<'b> {
    /// Takes a field of this length, or what is left.
    fn take(&mut self, name: impl Into<String>, length: usize, kind: Kind) -> &'b [u8] {
        let (bytes, rest) = self.rest.split_at(length.min(self.rest.len()));
        let field = Field { name: name.into(), at: self.at, length: bytes.len(), kind };
        if !bytes.is_empty() {
            self.found.push(field);
        }
        (self.rest, self.at) = (rest, self.at + bytes.len());
        bytes
    }

    fn skip(&mut self, name: impl Into<String>, length: usize, kind: Kind) {
        self.take(name, length, kind);
    }

    fn numbers(&mut self, names: &[&str], length: usize) {
        names.iter().for_each(|name| self.skip(*name, length, Kind::Number));
    }

    fn number(&mut self, name: impl Into<String>, length: usize) -> u64 {
        let bytes = self.take(name, length, Kind::Number);
        bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    fn handshake(&mut self) {
        self.take("length of the name", 1, Kind::Number);
        self.take("name", 19, Kind::Text);
        self.take("reserved bytes", 8, Kind::Bytes);
        self.take("info hash", 20, Kind::Bytes);
        self.take("peer id", 20, Kind::Text);
        self.messages();
    }

    fn reserved(&mut self) {
        self.take("reserved bytes", 8, Kind::Bytes);
    }

    fn messages(&mut self) {
        while let Some((prefix, behind)) = self.rest.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*prefix) as usize;
            let id = behind.first().copied().filter(|_| length > 0);
            let name = if id.is_none() && length > 0 { "a message".to_owned() } else { name(id) };
            self.number(format!("{name}: length prefix"), 4);
            self.body(length);
        }
    }

    fn message(&mut self) {
        self.body(self.rest.len());
    }

    /// A message without its length, which is this.
    fn body(&mut self, length: usize) {
        let Some(id) = self.rest.first().copied().filter(|_| length > 0) else { return };
        let end = self.at + length;
        let of = |field: &str| format!("{}: {field}", name(Some(id)));
        self.number(of("id"), 1);
        match id {
            wire::HAVE | 13 | wire::ALLOWED_FAST => self.numbers(&[&of("index")], 4),
            wire::BITFIELD => self.skip(of("bits"), length - 1, Kind::Bytes),
            wire::REQUEST | wire::CANCEL | wire::REJECT => {
                self.numbers(&[&of("index"), &of("begin"), &of("length")], 4);
            }
            wire::PIECE => {
                self.numbers(&[&of("index"), &of("begin")], 4);
                self.skip(of("block"), length.saturating_sub(9), Kind::Bytes);
            }
            9 => self.numbers(&[&of("port")], 2),
            21..=23 => {
                self.skip(of("pieces root"), 32, Kind::Bytes);
                let names = ["base layer", "index", "length", "proof layers"];
                self.numbers(&names.map(of).each_ref().map(String::as_str), 4);
            }
            wire::EXTENDED => {
                self.number(of("extension id"), 1);
                self.value(end, "");
            }
            _ => {}
        }
        self.take(of("payload"), end.saturating_sub(self.at), Kind::Bytes);
    }

    fn bitfield(&mut self) {
        for byte in 0..self.rest.len() {
            self.take(format!("pieces {} to {}", byte * 8, byte * 8 + 7), 1, Kind::Bytes);
        }
    }

    fn query(&mut self) {
        while let Some(letter) = self.rest.first() {
            let end = self.rest.iter().skip(1).position(|byte| *byte == b'&');
            let pair = end.map_or(self.rest.len(), |end| end + 1);
            let start = usize::from(*letter == b'&');
            let key: Vec<u8> =
                self.rest[start..pair].iter().take_while(|byte| **byte != b'=').copied().collect();
            self.take(String::from_utf8_lossy(&key), pair, Kind::Text);
        }
    }

    fn peers(&mut self) {
        for peer in 0.. {
            if self.rest.is_empty() {
                break;
            }
            self.take(format!("peer {peer}: address"), 4, Kind::Bytes);
            self.number(format!("peer {peer}: port"), 2);
        }
    }

    fn bencode(&mut self) {
        self.value(self.at + self.rest.len(), "");
    }

    fn dictionary_and_data(&mut self) {
        self.value(self.at + self.rest.len(), "");
        self.take("data", self.rest.len(), Kind::Bytes);
    }

    /// A bencoded value that ends before `end`, cut into its keys and values. `path` leads to it.
    fn value(&mut self, end: usize, path: &str) {
        let shown = if path.is_empty() { "the value" } else { path };
        match self.rest.first() {
            _ if self.at >= end => {}
            Some(b'i') => {
                let digits = self.rest.iter().position(|byte| *byte == b'e');
                self.take(shown, digits.map_or(1, |digits| digits + 1), Kind::Text);
            }
            Some(b'0'..=b'9') => drop(self.string(shown)),
            Some(b'l') => {
                self.take(format!("the l of {shown}"), 1, Kind::Text);
                for item in 0.. {
                    if self.is_over(end) {
                        break;
                    }
                    self.value(end, &format!("{path}[{item}]"));
                }
                self.take(format!("the e of {shown}"), 1, Kind::Text);
            }
            Some(b'd') => {
                self.take(format!("the d of {shown}"), 1, Kind::Text);
                while !self.is_over(end) && self.rest[0].is_ascii_digit() {
                    let key = self.string("a key");
                    let dot = if path.is_empty() { "" } else { "." };
                    self.value(end, &format!("{path}{dot}{key}"));
                }
                self.take(format!("the e of {shown}"), 1, Kind::Text);
            }
            _ => {}
        }
    }

    /// Whether a list or a dictionary goes no further.
    fn is_over(&self, end: usize) -> bool {
        self.at >= end || !self.rest.first().is_some_and(|byte| b"ild0123456789".contains(byte))
    }

    /// A string with its length; returns what it says.
    fn string(&mut self, name: &str) -> String {
        let colon = self.rest.iter().position(|byte| *byte == b':').unwrap_or(0);
        let digits = std::str::from_utf8(&self.rest[..colon]).unwrap_or_default();
        let length = colon + 1 + digits.parse::<usize>().unwrap_or(0).min(self.rest.len());
        let bytes = self.take(name, length, Kind::Text);
        String::from_utf8_lossy(bytes.get(colon + 1..).unwrap_or_default()).into_owned()
    }

    /// A UDP tracker's packet. A request has its action at byte 8, an answer at byte 0, and no
    /// connection id begins with four zeros and a small number.
    fn packet(&mut self) {
        if matches!(self.rest, [0, 0, 0, 0..=3, _, _, _, _, ..]) {
            return self.answer();
        }
        self.take("connection id", 8, Kind::Bytes);
        let action = self.number("action", 4);
        self.take("transaction id", 4, Kind::Bytes);
        if action == 2 {
            return self.skip("info hashes", self.rest.len(), Kind::Bytes);
        }
        self.take("info hash", 20, Kind::Bytes);
        self.take("peer id", 20, Kind::Text);
        self.numbers(&["downloaded", "left", "uploaded"], 8);
        self.number("event", 4);
        self.take("IP address", 4, Kind::Bytes);
        self.take("key", 4, Kind::Bytes);
        self.number("num_want", 4);
        self.number("port", 2);
        self.take("options", self.rest.len(), Kind::Text);
    }

    fn answer(&mut self) {
        let action = self.number("action", 4);
        self.take("transaction id", 4, Kind::Bytes);
        match action {
            0 => self.skip("connection id", 8, Kind::Bytes),
            1 => {
                self.numbers(&["interval", "leechers", "seeders"], 4);
                self.peers();
            }
            2 => {
                while !self.rest.is_empty() {
                    self.numbers(&["seeders", "completed", "leechers"], 4);
                }
            }
            _ => self.skip("message", self.rest.len(), Kind::Text),
        }
    }
}

/// What a message is called.
fn name(id: Option<u8>) -> String {
    let Some(id) = id else { return "keep-alive".to_owned() };
    let known = NAMES.iter().find(|(known, _)| *known == id);
    known.map_or_else(|| format!("message {id}"), |(_, name)| (*name).to_owned())
}
