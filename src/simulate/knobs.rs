//! What can be changed about an experiment: `--set NAME=VALUE`.

use std::ops::RangeInclusive;

use super::setup::{Class, Meeting, Setup, SlotRule, Stay};
use super::{Knob, SettingsError};

/// A KiB, in bytes.
pub(super) const KIB: f64 = 1024.0;
/// Lines, in KiB/s. A line may also have nothing; but with less than this a piece would take days,
/// and a day of rounds is a lot of work for nothing.
const RATES: RangeInclusive<f64> = 0.5..=1e7;
/// The most connections, and the most slots.
const MANY: f64 = 10_000.0;

/// What the names mean.
pub(super) const KNOBS: [Knob; 12] = [
    Knob { name: "seed-up", what: "what each seed gives, in KiB/s" },
    Knob { name: "up", what: "what each other peer gives, in KiB/s" },
    Knob { name: "down", what: "what each other peer can take, in KiB/s, or `all`" },
    Knob { name: "slots", what: "to how many a peer gives at a time" },
    Knob { name: "view", what: "how many peers each dials, or `all`" },
    Knob { name: "stay", what: "seconds that a peer stays when it has everything, or `forever`" },
    Knob { name: "announce", what: "seconds from one announce to the next" },
    Knob { name: "piece-length", what: "the length of a piece, in KiB" },
    Knob { name: "end-game", what: "whether the last pieces come from several peers: on or off" },
    Knob {
        name: "seed-rule",
        what: "to whom a seed gives: `turns`, or `fastest` as early clients",
    },
    Knob { name: "suggest", what: "whether a seed suggests a piece with each slot: on or off" },
    Knob { name: "evenly", what: "whether a seed stops those that take most: on or off" },
];

/// Applies a setting to the swarm of a row.
pub(super) fn apply(setup: &mut Setup, name: &str, value: &str) -> Result<(), SettingsError> {
    match name {
        "announce" => setup.meeting.interval = number(name, value, 30.0..=86_400.0)?,
        "piece-length" => {
            setup.piece_length = (number(name, value, 16.0..=65_536.0)? * KIB) as u32;
        }
        "end-game" => setup.end_game = switch(name, value)?,
        "suggest" => setup.suggests = switch(name, value)?,
        "evenly" => setup.scarce = switch(name, value)?,
        "view" => {
            let all: u32 = setup.classes.iter().map(|class| class.count).sum();
            let all = f64::from(all).min(MANY);
            let view = if value == "all" { all } else { number(name, value, 1.0..=MANY)? } as usize;
            let most = setup.meeting.most.max(view);
            setup.meeting = Meeting { dials: view, names: view, most, ..setup.meeting };
        }
        _ => return apply_to_peers(&mut setup.classes, name, value),
    }
    Ok(())
}

/// Applies what concerns peers: all of them, the seeds, or the others.
fn apply_to_peers(classes: &mut [Class], name: &str, value: &str) -> Result<(), SettingsError> {
    let change: Box<dyn Fn(&mut Class)> = match name {
        "seed-up" | "up" => {
            let up = rate(name, value)? * KIB;
            Box::new(move |class| class.up = up)
        }
        "down" => {
            let down = if value == "all" { f64::INFINITY } else { rate(name, value)? * KIB };
            Box::new(move |class| class.down = down)
        }
        "slots" => {
            let slots = number(name, value, 1.0..=MANY)? as usize;
            Box::new(move |class| class.slots = slots)
        }
        "stay" => {
            let forever = value == "forever";
            let seconds = if forever { 0.0 } else { number(name, value, 0.0..=1e6)? };
            let stay = if forever { Stay::Forever } else { Stay::Seconds(seconds) };
            Box::new(move |class| class.stay = stay)
        }
        "seed-rule" => {
            let fastest = match value {
                "turns" => false,
                "fastest" => true,
                _ => return Err(expected(name, value, "turns or fastest")),
            };
            let rule = move || if fastest { SlotRule::Fastest } else { SlotRule::Client };
            Box::new(move |class| class.slot_rule = rule())
        }
        // The experiment knows all names.
        _ => return Ok(()),
    };
    let of_seeds = name.starts_with("seed-");
    let all = name == "slots";
    let concerned = classes.iter_mut().filter(|class| all || class.is_seed() == of_seeds);
    concerned.for_each(change);
    Ok(())
}

/// Reads a line, in KiB/s: nothing, or something that a piece can come by.
fn rate(name: &str, value: &str) -> Result<f64, SettingsError> {
    let rate = number(name, value, 0.0..=*RATES.end())?;
    if rate != 0.0 && rate < *RATES.start() {
        return Err(expected(name, value, "0 or at least half a KiB/s"));
    }
    Ok(rate)
}

fn number(name: &str, value: &str, range: RangeInclusive<f64>) -> Result<f64, SettingsError> {
    let number: f64 = value.parse().map_err(|_| expected(name, value, "a number"))?;
    // Also what is not a number is in no range.
    if range.contains(&number) {
        return Ok(number);
    }
    Err(SettingsError::OutOfRange {
        name: name.to_owned(),
        found: value.to_owned(),
        least: range.start().to_string(),
        most: range.end().to_string(),
    })
}

fn switch(name: &str, value: &str) -> Result<bool, SettingsError> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(expected(name, value, "on or off")),
    }
}

fn expected(name: &str, value: &str, expected: &'static str) -> SettingsError {
    SettingsError::Value { name: name.to_owned(), value: value.to_owned(), expected }
}
