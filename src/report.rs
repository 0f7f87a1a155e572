//! Sentences for people: why a download waits, and how far it was when it gave up. (stage 15)
//!
//! The swarm reports facts as types: [`Waiting`] and [`FailureReport`]. Their English is written
//! here, once for the terminal, for JSON and for errors.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use crate::s01_bencode::counted;
use crate::s15_swarm::failure_report::{FailureReport, Reason};
use crate::s15_swarm::waiting::{Missing, Next, Wait, Waiting};

/// The number of reasons that an error lists.
const TOLD: usize = 3;

/// `piece 3`, `pieces 10 to 18`, `pieces 1, 3 to 4, 7 and 90 more`
impl fmt::Display for Missing {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let run = |run: &RangeInclusive<u32>| match run.end() - run.start() {
            0 => run.start().to_string(),
            _ => format!("{} to {}", run.start(), run.end()),
        };
        let named: u32 = self.first.iter().map(|run| run.end() - run.start() + 1).sum();
        let runs = self.first.iter().map(run).collect::<Vec<_>>().join(", ");
        let noun = if self.pieces == 1 { "piece" } else { "pieces" };
        write!(out, "{noun} {runs}")?;
        if self.pieces > named { write!(out, " and {} more", self.pieces - named) } else { Ok(()) }
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Wait::NoPeer { known: 0 } => write!(out, "no peer is known"),
            Wait::NoPeer { known: 1 } => write!(out, "the one peer that is known is not connected"),
            Wait::NoPeer { known } => {
                write!(out, "{} peers that are known is connected", none_of(*known))
            }
            Wait::Metadata { peers: 1, asked: 0 } => {
                write!(out, "the one connected peer does not have the info dictionary")
            }
            Wait::Metadata { peers, asked: 0 } => {
                write!(out, "{} connected peers has the info dictionary", none_of(*peers))
            }
            Wait::Metadata { asked: 1, .. } => {
                write!(out, "the peer that was asked for the info dictionary has not sent it")
            }
            Wait::Metadata { asked, .. } => {
                write!(
                    out,
                    "the {asked} peers that were asked for the info dictionary have not sent it"
                )
            }
            Wait::Hashes { files, peers, liars } => {
                write!(out, "the piece hashes of {} are missing: ", counted(*files, "file"))?;
                match peers {
                    0 => write!(out, "no peer is connected")?,
                    1 => write!(out, "the one connected peer has not sent them")?,
                    _ => write!(out, "{} connected peers has sent them", none_of(*peers))?,
                }
                match liars {
                    0 => Ok(()),
                    _ => write!(out, ", and {} sent wrong ones", have(*liars)),
                }
            }
            Wait::NobodyHasIt { peers, missing } => {
                let also = if missing.pieces == 1 {
                    "the last one missing"
                } else {
                    "all that are missing"
                };
                match peers {
                    1 => write!(out, "the one connected peer does not have {missing}, {also}"),
                    _ => write!(out, "{} connected peers has {missing}, {also}", none_of(*peers)),
                }
            }
            Wait::Choked { peers: 1 } => {
                write!(out, "the one peer that has what is missing chokes us")
            }
            Wait::Choked { peers: 2 } => {
                write!(out, "both peers that have what is missing choke us")
            }
            Wait::Choked { peers } => {
                write!(out, "all {peers} peers that have what is missing choke us")
            }
            Wait::NoAnswer { peers: 1 } => {
                write!(out, "the peer that was asked for blocks sends none")
            }
            Wait::NoAnswer { peers } => {
                write!(out, "the {peers} peers that were asked for blocks send none")
            }
            Wait::RateLimit => {
                write!(out, "our own limit on the download rate holds requests back")
            }
            Wait::Disk => write!(out, "the disk is slow: a block that came is still being written"),
            Wait::NoTaker { peers: 0, port } => {
                write!(out, "no peer is connected; we listen at port {port}")
            }
            Wait::NoTaker { peers: 1, port } => {
                write!(out, "the one connected peer wants nothing of us; we listen at port {port}")
            }
            Wait::NoTaker { peers, port } => {
                write!(
                    out,
                    "{} connected peers wants anything of us; we listen at port {port}",
                    none_of(*peers)
                )
            }
        }
    }
}

fn none_of(peers: usize) -> String {
    if peers == 2 { "neither of the 2".to_owned() } else { format!("none of the {peers}") }
}

fn have(peers: usize) -> String {
    if peers == 1 { "one has".to_owned() } else { format!("{peers} have") }
}

impl Next {
    fn text(&self, now: Instant) -> String {
        let time =
            self.at().map_or_else(String::new, |at| duration(at.saturating_duration_since(now)));
        match self {
            Next::Dialing { addresses: 1 } => "an address is being tried".to_owned(),
            Next::Dialing { addresses } => format!("{addresses} addresses are being tried"),
            Next::Dial { address, .. } => format!("{address} is tried again in {time}"),
            Next::Asking { source } if source.contains("://") => {
                format!("{source} was asked for peers and has not answered yet")
            }
            Next::Asking { source } => format!("{source} is still being looked up"),
            Next::Ask { source, .. } => format!("{source} is asked again in {time}"),
            Next::MakeRoom => {
                "others wait for a place; a peer that is of no use makes room, or the slowest does"
                    .to_owned()
            }
            Next::HangUp => "a peer that sends nothing for 20 s is left for others".to_owned(),
            Next::Request { .. } => format!("the next one goes out in {time}"),
            Next::GiveUp { .. } => format!("if that does not change, the download ends in {time}"),
            Next::NeedAddress => "no tracker knows of us, so others need our address".to_owned(),
        }
    }
}

/// `12 s`, `2 min`: rounded up, so that a countdown ends at 1 and not at 0.
fn duration(time: Duration) -> String {
    match time.as_millis().div_ceil(1000) {
        seconds @ 0..120 => format!("{} s", seconds.max(1)),
        seconds => format!("{} min", seconds.div_ceil(60)),
    }
}

impl Waiting {
    /// Returns the sentence, with times counted from `now`.
    pub fn text(&self, now: Instant) -> String {
        match &self.next {
            Some(next) => format!("{}; {}", self.why, next.text(now)),
            None => self.why.to_string(),
        }
    }
}

impl fmt::Display for FailureReport {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let mut parts: Vec<String> = Vec::new();
        parts.extend(self.pieces.map(|(have, all)| format!("{have} of {all} pieces are verified")));
        parts.extend(peers(self));
        parts.extend(self.reasons.iter().take(TOLD).map(
            |Reason { peers, example, why }| match peers {
                1 => format!("{example}: {why}"),
                _ => format!("{peers} peers: {why}"),
            },
        ));
        let others: usize = self.reasons.iter().skip(TOLD).map(|reason| reason.peers).sum();
        parts.extend((others > 0).then(|| format!("{others} more, for other reasons")));
        let room = TOLD.saturating_sub(self.reasons.len());
        parts.extend(self.failures.iter().take(room).cloned());
        write!(out, "{}", parts.join("; "))
    }
}

/// Says how many peers are known, or why none is.
fn peers(standing: &FailureReport) -> Option<String> {
    let nobody = if standing.only_us { "nobody but us" } else { "nobody" };
    match (standing.known, standing.answered) {
        (0, 0) if standing.sources == 0 => {
            Some("no tracker is named, and no peer is given".to_owned())
        }
        (0, 0) if standing.only_us => Some("the address that was given is our own".to_owned()),
        (0, 0) => None,
        (0, 1) if standing.trackers == 1 => Some(format!("the tracker names {nobody}")),
        (0, answered) if answered == standing.trackers => {
            Some(format!("{answered} trackers name {nobody}"))
        }
        (0, answered) => Some(format!(
            "{answered} of {} trackers answered, and named {nobody}",
            standing.trackers
        )),
        (1, _) => Some(format!("1 peer known, {} connected", standing.connected)),
        (known, _) => Some(format!("{known} peers known, {} connected", standing.connected)),
    }
}
