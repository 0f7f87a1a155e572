//! What this executable does in a process that was started with a role.

use crate::helper::TROUBLE;
use crate::{Summary, floor, leecher, relay, seeder, starter};

/// What a process does that was started with a role. Whoever started it is told what
/// went wrong in the place of the next line.
pub fn play(arguments: &[String]) -> Summary<()> {
    act(arguments).inspect_err(|error| println!("{TROUBLE}{error}"))
}

fn act(arguments: &[String]) -> Summary<()> {
    match arguments.split_first() {
        Some((role, rest)) => match role.as_str() {
            "starter" => starter::play(rest),
            "seeder" => seeder::play(rest),
            "leecher" => leecher::play(rest),
            "idlers" => leecher::idle(rest),
            "relay" => relay::play(rest),
            "floor" => floor::play(rest),
            "hash" => floor::hash(rest),
            _ => Err(format!("{role} is no role").into()),
        },
        None => Err("a role is missing".into()),
    }
}
