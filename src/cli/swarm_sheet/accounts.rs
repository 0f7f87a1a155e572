//! Reads what the programs of a swarm printed with `--json`: an account each. (lab)

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde_json::Value;

/// The longest file that is read.
const MAX_LENGTH: u64 = 64 << 20;

/// The number of lines in a file that are named if they are not JSON.
const MAX_NAMED: usize = 3;

/// What one program took and gave, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub info_hash: String,
    /// The torrent's name and length, if they were said.
    pub content: Option<(String, u64)>,
    pub teller: Teller,
    pub took: Vec<(Peer, u64)>,
    pub gave: Vec<(Peer, u64)>,
}

/// The program whose account it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Teller {
    /// A download or a seed, by its peer id, which is new in each run.
    Client { peer_id: String },
    /// A seeder of the lab, by its address.
    Seeder { address: String },
}

impl Teller {
    fn seeder(&self) -> Option<&str> {
        match self {
            Teller::Client { .. } => None,
            Teller::Seeder { address } => Some(address),
        }
    }
}

/// The other side of a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    pub peer_id: String,
    pub address: String,
    /// The name of its program, if that is known.
    pub program: Option<String>,
}

/// Reads the accounts in a file. What cannot be used is described in `passed_over`.
///
/// # Errors
/// If the file cannot be read.
pub fn read(path: &Path, passed_over: &mut Vec<String>) -> io::Result<Vec<Account>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_LENGTH + 1).read_to_end(&mut bytes)?;
    let mut say = |what: String| passed_over.push(format!("{}: {what}", path.display()));
    if bytes.len() as u64 > MAX_LENGTH {
        say(format!("is over {MAX_LENGTH} bytes, and is passed over"));
        return Ok(Vec::new());
    }
    let (mut accounts, mut reader) = (Vec::new(), Reader::default());
    let (mut lines, mut broken) = (0_usize, Vec::new());
    for (number, line) in
        (1..).zip(text(&bytes).lines()).filter(|(_, line)| !line.trim().is_empty())
    {
        lines += 1;
        match serde_json::from_str::<Value>(line) {
            Ok(object) if object.is_object() => match reader.add(&object) {
                Ok(account) => accounts.extend(account),
                Err(why) => say(format!("line {number}: {why}; it is passed over")),
            },
            _ => broken.push(number),
        }
    }
    // Connections to a lab end in any order.
    accounts.sort_by(|one, other| one.teller.seeder().cmp(&other.teller.seeder()));
    match broken.len() {
        0 if lines == 0 => say("is empty".to_owned()),
        0 => {}
        all if all == lines => say("is not what --json prints: no line of it is JSON".to_owned()),
        _ => say(format!("{} not JSON, and passed over", named(&broken))),
    }
    if accounts.is_empty() && broken.len() < lines {
        say("has no result: its program still runs or was killed, or moves no pieces".to_owned());
    }
    Ok(accounts)
}

/// Returns the text of a file. PowerShell's `>` writes UTF-16, with a mark in front.
fn text(bytes: &[u8]) -> String {
    let Some(wide) = bytes.strip_prefix(b"\xff\xfe") else {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        return String::from_utf8_lossy(bytes).into_owned();
    };
    let units = wide.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    String::from_utf16_lossy(&units.collect::<Vec<u16>>())
}

/// Returns lines in words: `line 3 is`, `lines 3, 4, 9 and 12 more are`.
fn named(lines: &[usize]) -> String {
    let first: Vec<String> = lines.iter().take(MAX_NAMED).map(usize::to_string).collect();
    let more = lines.len().saturating_sub(MAX_NAMED);
    match (&first[..], more) {
        ([only], _) => format!("line {only} is"),
        (some, 0) => format!("lines {} are", some.join(", ")),
        (some, more) => format!("lines {} and {more} more are", some.join(", ")),
    }
}

/// Reads events in their order.
#[derive(Default)]
struct Reader {
    /// Of the run whose result is to come.
    content: Option<(String, u64)>,
    /// The connections of a lab that have not ended: seeder and address to peer id, program and
    /// info hash.
    connections: HashMap<(String, String), (String, String, String)>,
}

impl Reader {
    /// Takes the next event, and returns the account in it, if there is one.
    ///
    /// # Errors
    /// If the event has one but lacks a part of it, in words.
    fn add(&mut self, event: &Value) -> Result<Option<Account>, String> {
        let of_lab = event.get("who").is_some();
        match event["event"].as_str() {
            Some("metadata") if !of_lab => {
                self.content = word(event, "name").ok().zip(number(event, "length").ok());
                Ok(None)
            }
            Some("done" | "unfinished") if event.get("from").is_some() => {
                self.client(event).map(Some)
            }
            Some("joined") if of_lab => {
                let joined =
                    (word(event, "peer_id")?, word(event, "client")?, word(event, "info_hash")?);
                self.connections.insert((word(event, "who")?, word(event, "peer")?), joined);
                Ok(None)
            }
            Some("left") if of_lab => self.seeder(event),
            _ => Ok(None),
        }
    }

    /// Reads the result of a download or a seed.
    fn client(&mut self, event: &Value) -> Result<Account, String> {
        Ok(Account {
            info_hash: word(event, "info_hash")?,
            content: self.content.take(),
            teller: Teller::Client { peer_id: word(event, "peer_id")? },
            took: moved(event, "from")?,
            gave: moved(event, "to")?,
        })
    }

    /// Reads the end of a connection to a seeder of a lab.
    fn seeder(&mut self, event: &Value) -> Result<Option<Account>, String> {
        let (who, address) = (word(event, "who")?, word(event, "peer")?);
        let bytes = number(event, "bytes")?;
        let joined = self.connections.remove(&(who.clone(), address.clone()));
        let Some((peer_id, program, info_hash)) = joined.filter(|_| bytes > 0) else {
            return Ok(None);
        };
        let peer = Peer { peer_id, address, program: Some(program) };
        let teller = Teller::Seeder { address: who };
        let gave = vec![(peer, bytes)];
        Ok(Some(Account { info_hash, content: None, teller, took: Vec::new(), gave }))
    }
}

fn moved(event: &Value, key: &str) -> Result<Vec<(Peer, u64)>, String> {
    let list = event[key].as_array().ok_or_else(|| format!("its {key} is not a list"))?;
    let one = |entry: &Value| {
        let (peer_id, address) = (word(entry, "peer_id")?, word(entry, "peer")?);
        Ok((Peer { peer_id, address, program: None }, number(entry, "bytes")?))
    };
    list.iter().map(one).collect()
}

fn word(object: &Value, key: &str) -> Result<String, String> {
    let text = object[key].as_str().filter(|text| !text.is_empty());
    text.map(str::to_owned).ok_or_else(|| format!("its {key} is missing, or no text"))
}

fn number(object: &Value, key: &str) -> Result<u64, String> {
    object[key].as_u64().ok_or_else(|| format!("its {key} is missing, or no number of bytes"))
}
