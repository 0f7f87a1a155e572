//! What happens in a crowd, move by move, in words and for programs. (stage 14)

use std::net::{IpAddr, SocketAddr};

use piecemeal::s01_bencode::counted;
use piecemeal::s14_peer_list::places::Why;
use serde_json::{Value, json};

use super::crowd::Again;
use super::{json_line, print_line};

/// What came of the tracker's answer: how many addresses of each kind.
#[derive(Default)]
pub struct Named {
    pub new: usize,
    pub known: usize,
    pub banned: usize,
    pub nobody_there: usize,
    pub no_room: usize,
}

/// An address, and how many places its IP has.
#[derive(Clone, Copy)]
pub struct Rival {
    pub address: SocketAddr,
    pub places: usize,
}

/// What happened.
pub enum Move {
    Named(Named),
    /// The rival is a connection that waits.
    Dials {
        address: Rival,
        attempt: u32,
        over: Option<Rival>,
    },
    Connects(SocketAddr),
    Fails {
        address: SocketAddr,
        again: Again,
    },
    /// Nobody is at many ports of an IP, and this many others are forgotten.
    LeftAlone {
        ip: IpAddr,
        removed: usize,
    },
    DialsUs {
        address: SocketAddr,
        waits: bool,
    },
    /// The rival is an address that is due.
    ComesIn {
        address: Rival,
        over: Option<Rival>,
    },
    /// It is banned, or others of its IP are.
    Refused {
        address: SocketAddr,
        lied: bool,
    },
    GoesAway(SocketAddr),
    MakesWay {
        address: Rival,
        why: Why,
        /// Seconds since its last block.
        idle: u64,
        waits: Option<Rival>,
        named: Option<Rival>,
    },
    /// With its ban its IP is barred, and this many addresses there are forgotten.
    Lies {
        address: SocketAddr,
        barred: Option<usize>,
    },
    Leaves {
        address: SocketAddr,
        again: Again,
    },
}

/// Prints moves.
pub struct Teller {
    /// For programs.
    pub as_json: bool,
}

impl Teller {
    /// Prints a move that happens at this second.
    pub fn tell(&self, second: u64, what: &Move) {
        print_line(&match self.as_json {
            true => json_line(&record(second, what)),
            false => format!("{:>6}  {}", clock(second), sentence(second, what)),
        });
    }
}

/// Returns a second of the story as `m:ss`.
pub fn clock(second: u64) -> String {
    format!("{}:{:02}", second / 60, second % 60)
}

fn places(count: usize) -> String {
    if count == 0 { "no place".to_owned() } else { counted(count, "place") }
}

fn sentence(second: u64, what: &Move) -> String {
    match what {
        Move::Named(named) => names(named),
        Move::Dials { address, attempt, over } => {
            let again = if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
            format!("dials {}{again}: {}", address.address, why_dialed(*address, *over))
        }
        Move::Connects(address) => format!("{address} is connected"),
        Move::Fails { address, again } => {
            format!("{address} does not answer; {}", later(second, *again))
        }
        Move::LeftAlone { ip, removed } => {
            format!("{ip} has nobody at any port: {removed} others are not even tried")
        }
        Move::DialsUs { address, waits: false } => format!("{address} dials us"),
        Move::DialsUs { address, waits: true } => {
            format!("{address} dials us, and waits: all places are taken")
        }
        Move::ComesIn { address, over } => {
            format!("{} comes in: {}", address.address, why_received(*address, *over))
        }
        Move::Refused { address, lied: true } => {
            format!("{address} dials us, and is refused: it is banned")
        }
        Move::Refused { address, lied: false } => {
            format!("{address} dials us, and is refused: its IP is barred")
        }
        Move::GoesAway(address) => format!("{address} has waited long enough, and hangs up"),
        Move::MakesWay { address, why, idle, waits, named } => {
            make_way(*address, *why, *idle, *waits, *named)
        }
        Move::Lies { address, barred } => {
            let more = barred.map(|removed| {
                format!(
                    "; three of its IP are banned now, so the IP is barred, {removed} more with it"
                )
            });
            format!("{address} sent a wrong piece, and is banned{}", more.unwrap_or_default())
        }
        Move::Leaves { address, again } => format!("{address} leaves; {}", later(second, *again)),
    }
}

fn names(named: &Named) -> String {
    let Named { new, known, banned, nobody_there, no_room } = named;
    let kinds = [
        (new, "new"),
        (known, "known already"),
        (banned, "banned"),
        (nobody_there, "of an IP where nobody answers"),
        (no_room, "without room for them"),
    ];
    let parts: Vec<String> = kinds
        .iter()
        .filter(|(count, _)| **count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let count = kinds.iter().map(|(count, _)| **count).sum::<usize>();
    let parts = if parts.is_empty() { "nobody".to_owned() } else { parts.join(", ") };
    format!("the tracker names {count}: {parts}")
}

fn why_dialed(address: Rival, over: Option<Rival>) -> String {
    match over {
        Some(over) if over.places > address.places => {
            format!(
                "its IP has {}, that of {}, which waits, {}",
                places(address.places),
                over.address,
                over.places
            )
        }
        Some(_) => "an address has its turn after a connection".to_owned(),
        None if address.places == 0 => {
            "its IP has no place, and it has been due longest".to_owned()
        }
        None => format!("its IP has {}, and no IP with fewer is due", places(address.places)),
    }
}

fn why_received(address: Rival, over: Option<Rival>) -> String {
    match over {
        None => "a place is free, and no address is due".to_owned(),
        Some(over) if over.places > address.places => {
            format!(
                "its IP has {}, that of {}, which is due, {}",
                places(address.places),
                over.address,
                over.places
            )
        }
        Some(_) => "a connection has its turn after an address".to_owned(),
    }
}

fn make_way(
    address: Rival,
    why: Why,
    idle: u64,
    waits: Option<Rival>,
    named: Option<Rival>,
) -> String {
    let (goes, its) = (address.address, places(address.places));
    let rival = |rival: Option<Rival>, what| {
        rival.map_or_else(String::new, |rival| {
            format!("{}, {what}, {}", rival.address, places(rival.places))
        })
    };
    let (waits, named) = (|what| rival(waits, what), |what| rival(named, what));
    match why {
        Why::Crowded => {
            format!("{goes} makes way: its IP has {its}, that of {}", waits("which waits"))
        }
        Why::Unproved => {
            format!(
                "{goes} makes way: it gave nothing yet, and its IP has {its}, that of {}",
                named("which is due")
            )
        }
        Why::Useless => {
            format!("{goes} makes way, as others want its place: it gave nothing for {idle} s")
        }
        Why::Slowest => format!(
            "{goes} makes way, as others want its place: it is the slowest whose speed is known"
        ),
    }
}

fn later(second: u64, again: Again) -> String {
    match again {
        Again::At(at) => format!("it is dialed again in {} s", at.saturating_sub(second)),
        Again::Never => "it is given up".to_owned(),
        Again::DialsUs => "it may dial us again".to_owned(),
    }
}

/// A move for programs.
fn record(second: u64, what: &Move) -> Value {
    let again = |again: &Again| match again {
        Again::At(at) => json!(at),
        Again::Never | Again::DialsUs => Value::Null,
    };
    let (what, address, more) = match what {
        Move::Named(Named { new, known, banned, nobody_there, no_room }) => (
            "named",
            None,
            json!({ "new": new, "known": known, "banned": banned, "nobody_there": nobody_there, "no_room": no_room }),
        ),
        Move::Dials { address, attempt, over } => (
            "dials",
            Some(address.address),
            json!({ "attempt": attempt, "places": address.places, "over": over.map(|over| over.address.to_string()) }),
        ),
        Move::Connects(address) => ("connects", Some(*address), json!({})),
        Move::Fails { address, again: at } => {
            ("fails", Some(*address), json!({ "again": again(at) }))
        }
        Move::LeftAlone { ip, removed } => {
            ("left alone", None, json!({ "ip": ip.to_string(), "removed": removed }))
        }
        Move::DialsUs { address, waits } => ("dials us", Some(*address), json!({ "waits": waits })),
        Move::ComesIn { address, over } => (
            "comes in",
            Some(address.address),
            json!({ "places": address.places, "over": over.map(|over| over.address.to_string()) }),
        ),
        Move::Refused { address, lied } => {
            ("refused", Some(*address), json!({ "why": if *lied { "banned" } else { "barred" } }))
        }
        Move::GoesAway(address) => ("goes away", Some(*address), json!({})),
        Move::MakesWay { address, why, waits, named, .. } => {
            let rival = match why {
                Why::Crowded => *waits,
                Why::Unproved => *named,
                // Whoever gets the place is found out when it is free.
                Why::Useless | Why::Slowest => None,
            };
            let rival = rival.map(|rival| rival.address.to_string());
            (
                "makes way",
                Some(address.address),
                json!({ "places": address.places, "why": word(*why), "for": rival }),
            )
        }
        Move::Lies { address, barred } => {
            ("lies", Some(*address), json!({ "barred": barred.is_some() }))
        }
        Move::Leaves { address, again: at } => {
            ("leaves", Some(*address), json!({ "again": again(at) }))
        }
    };
    let address = address.map(|address| address.to_string());
    let mut record = json!({ "event": "move", "second": second, "what": what, "address": address });
    if let (Value::Object(record), Value::Object(more)) = (&mut record, more) {
        record.extend(more);
    }
    record
}

fn word(why: Why) -> &'static str {
    match why {
        Why::Crowded => "crowded",
        Why::Unproved => "unproved",
        Why::Useless => "useless",
        Why::Slowest => "slowest",
    }
}
