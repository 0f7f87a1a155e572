//! What became of everybody in a crowd: a line for each address, and a sum. (stage 14)

use serde_json::{Value, json};

use super::Answer;
use super::crowd::{Fault, Peer};
use super::crowd_moves::clock;

/// What became of an address in the end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    HasPlace,
    Dialed,
    Waits,
    Due,
    DialedAgain(u64),
    GivenUp,
    Banned,
    Barred,
    LeftAlone,
    Gone,
}

impl Fate {
    fn words(self, now: u64) -> String {
        match self {
            Fate::HasPlace => "has a place".to_owned(),
            Fate::Dialed => "is being dialed".to_owned(),
            Fate::Waits => "waits for a place".to_owned(),
            Fate::Due => "was never dialed".to_owned(),
            Fate::DialedAgain(at) if at <= now => format!("due since {}", clock(at)),
            Fate::DialedAgain(at) => format!("due at {}", clock(at)),
            Fate::GivenUp => "given up".to_owned(),
            Fate::Banned => "banned".to_owned(),
            Fate::Barred => "barred with its IP".to_owned(),
            Fate::LeftAlone => "left alone with its IP".to_owned(),
            Fate::Gone => "gone; it dials us itself".to_owned(),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Fate::HasPlace => "has a place",
            Fate::Dialed => "dialed",
            Fate::Waits => "waits",
            Fate::Due | Fate::DialedAgain(_) => "due",
            Fate::GivenUp => "given up",
            Fate::Banned => "banned",
            Fate::Barred => "barred",
            Fate::LeftAlone => "left alone",
            Fate::Gone => "gone",
        }
    }
}

/// A line of the table at the end.
pub struct Row<'a> {
    pub peer: &'a Peer,
    pub fate: Fate,
}

impl Row<'_> {
    /// All but the address and the last words.
    fn cells(&self) -> String {
        let tally = &self.peer.tally;
        let (dialed, connected) = (tally.dialed, tally.connected);
        format!(
            "{:<7}{dialed:>7}{connected:>10}{:>7}{:>8}",
            group(self.peer.fault),
            clock(tally.seconds),
            tally.bytes >> 10
        )
    }

    fn json(&self) -> Value {
        let Peer { address, fault, dials_us, tally, .. } = self.peer;
        let again = if let Fate::DialedAgain(at) = self.fate { Some(at) } else { None };
        json!({
            "address": address.to_string(), "group": group(*fault), "dials_us": dials_us, "dialed": tally.dialed,
            "connected": tally.connected, "seconds": tally.seconds, "bytes": tally.bytes, "fate": self.fate.word(), "again": again,
        })
    }
}

fn group(fault: Fault) -> &'static str {
    match fault {
        Fault::None => "honest",
        Fault::Dead => "dead",
        Fault::Ports => "ports",
        Fault::Liars => "liars",
        Fault::Crowd => "crowd",
        Fault::Slow => "slow",
        Fault::Idle => "idle",
    }
}

/// The table of addresses, and a sum. Ports of one IP with the same lot share a line.
pub fn answer(mut rows: Vec<Row>, seconds: u64, places: usize) -> Answer {
    rows.sort_by_key(|row| row.peer.address);
    let json = json!({ "seconds": seconds, "places": places, "addresses": rows.iter().map(Row::json).collect::<Vec<_>>() });
    let mut lines = vec![format!(
        "{:<26}{:<7}{:>7}{:>10}{:>7}{:>8}  in the end",
        "address", "group", "dialed", "connected", "time", "KiB"
    )];
    let same = |one: &Row, other: &Row| {
        one.peer.address.ip() == other.peer.address.ip()
            && one.fate == other.fate
            && one.cells() == other.cells()
    };
    for rows in rows.chunk_by(same) {
        let Some(first) = rows.first() else { continue };
        let more = if rows.len() > 1 { format!(" +{}", rows.len() - 1) } else { String::new() };
        lines.push(format!(
            "{:<26}{}  {}",
            format!("{}{more}", first.peer.address),
            first.cells(),
            first.fate.words(seconds)
        ));
    }
    let given = rows.iter().map(|row| row.peer.tally.bytes).sum::<u64>() >> 20;
    let used = rows.iter().map(|row| row.peer.tally.seconds).sum::<u64>();
    let share = 100 * used / (seconds * places as u64);
    lines.push(format!(
        "{given} MiB came in {}. A place was connected {share}% of the time.",
        clock(seconds)
    ));
    Answer { text: lines.join("\n"), json }
}
