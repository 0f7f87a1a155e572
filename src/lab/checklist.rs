//! What each client has shown so far: the checklist at the lab's end.
//!
//! A client is known by its address and by the program that its peer id names. So all runs of a
//! program that makes up a new peer id each time are one line.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::s01_bencode::counted;

/// The most clients that are told apart.
const MAX_CLIENTS: usize = 1_000;
/// The most clients in the text.
const MAX_LISTED: usize = 40;

/// A client: its address, and its program.
pub type Client = (IpAddr, String);

/// A step of a download that the lab can see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// It has announced itself to the tracker.
    Announced,
    /// It has exchanged handshakes with a seeder.
    ShookHands,
    /// It has said which pieces it has.
    Bitfield,
    /// It has sent an extension handshake.
    Extended,
    /// It has asked for the info dictionary.
    Metadata,
    /// It has said that it is interested.
    Interested,
    /// It has asked for a block.
    Requested,
    /// It was given a block.
    Blocks,
    /// It has announced that its download is complete.
    Completed,
    /// It has announced that it leaves.
    Stopped,
}

/// All steps, each with its name for programs and for people.
const STEPS: [(Step, &str, &str); 10] = [
    (Step::Announced, "announced", "announced"),
    (Step::ShookHands, "shook_hands", "shook hands"),
    (Step::Bitfield, "bitfield", "bitfield"),
    (Step::Extended, "extended", "extension handshake"),
    (Step::Metadata, "metadata", "metadata"),
    (Step::Interested, "interested", "interested"),
    (Step::Requested, "requested", "requests"),
    (Step::Blocks, "got_blocks", "blocks"),
    (Step::Completed, "completed", "event completed"),
    (Step::Stopped, "stopped", "event stopped"),
];

/// What a client has shown.
#[derive(Debug, Default)]
pub struct Shown {
    /// The steps that it has taken.
    pub steps: BTreeSet<Step>,
    /// The number of blocks that it was given.
    pub blocks: u64,
    /// The number of requests that it sent before the first unchoke of a connection.
    pub while_choked: u64,
    /// The number of mistakes that were noted.
    pub mistakes: u64,
}

/// The list of all clients.
#[derive(Debug, Default)]
pub struct Checklist(Mutex<BTreeMap<Client, Shown>>);

impl Checklist {
    /// Changes what this client has shown. A client too many is not listed.
    pub fn update(&self, client: &Client, change: impl FnOnce(&mut Shown)) {
        let mut clients = self.lock();
        if !clients.contains_key(client) && clients.len() >= MAX_CLIENTS {
            return;
        }
        change(clients.entry(client.clone()).or_default());
    }

    /// Returns two or three lines for each client; nothing if there was none.
    pub fn text(&self) -> String {
        let clients = self.lock();
        if clients.is_empty() {
            return String::new();
        }
        let mut text = "\nWhat each client has shown:".to_owned();
        for ((ip, program), shown) in clients.iter().take(MAX_LISTED) {
            let words = |seen: bool| {
                let some = STEPS.iter().filter(|(step, ..)| shown.steps.contains(step) == seen);
                some.map(|(step, _, words)| match step {
                    Step::Blocks if seen => counted(shown.blocks, "block"),
                    _ => (*words).to_owned(),
                })
                .collect::<Vec<_>>()
                .join(", ")
            };
            text += &format!("\n  {program} from {ip}: {}", words(true));
            if shown.steps.len() < STEPS.len() {
                text += &format!("\n    not yet: {}", words(false));
            }
            let mistakes = (shown.mistakes > 0).then(|| counted(shown.mistakes, "mistake"));
            let early = (shown.while_choked > 0).then(|| {
                let requests = counted(shown.while_choked, "request");
                format!("{requests} before the first unchoke")
            });
            let wrong: Vec<String> = mistakes.into_iter().chain(early).collect();
            if !wrong.is_empty() {
                text += &format!("\n    wrong: {}", wrong.join(", "));
            }
        }
        let more = clients.len().saturating_sub(MAX_LISTED);
        if more > 0 {
            text += &format!("\n  and {more} more");
        }
        text
    }

    /// Returns an object for each client.
    pub fn json(&self) -> Vec<Value> {
        let object = |((ip, program), shown): (&Client, &Shown)| {
            let steps: serde_json::Map<String, Value> = STEPS
                .iter()
                .map(|(step, key, _)| ((*key).to_owned(), shown.steps.contains(step).into()))
                .collect();
            json!({
                "client": program, "from": ip.to_string(), "steps": steps, "blocks": shown.blocks,
                "requests_while_choked": shown.while_choked, "mistakes": shown.mistakes,
            })
        };
        self.lock().iter().map(object).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Client, Shown>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
