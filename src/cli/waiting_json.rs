//! Reports to programs what a download or a seed waits for. (stage 15)

use std::time::Instant;

use piecemeal::s15_swarm::waiting::{Next, Wait, Waiting};
use serde_json::{Value, json};

use super::screen::due_lines::HashingWait;
use super::{Options, json_line, print_line};

/// Returns the event `waiting`.
pub fn line(waiting: &Waiting) -> Value {
    let now = Instant::now();
    let why = match waiting.why {
        Wait::NoPeer { .. } => "no peer",
        Wait::Metadata { .. } => "metadata",
        Wait::Hashes { .. } => "piece hashes",
        Wait::NobodyHasIt { .. } => "nobody has it",
        Wait::Choked { .. } => "choked",
        Wait::NoAnswer { .. } => "no answer",
        Wait::RateLimit => "rate limit",
        Wait::Disk => "disk",
        Wait::NoTaker { .. } => "no taker",
    };
    let next = waiting.next.as_ref().map(|next| match next {
        Next::Dialing { .. } | Next::Dial { .. } => "dial",
        Next::Asking { .. } | Next::Ask { .. } => "ask",
        Next::MakeRoom => "make room",
        Next::HangUp => "hang up",
        Next::Request { .. } => "request",
        Next::GiveUp { .. } => "give up",
        Next::NeedAddress => "need address",
    });
    let at = waiting.next.as_ref().and_then(Next::at);
    let seconds = at.map(|at| at.saturating_duration_since(now).as_secs_f64().ceil() as u64);
    json!({ "event": "waiting", "why": why, "next": next, "seconds": seconds, "text": waiting.text(now) })
}

/// Reports to programs what the hashing of files waits for, if that is news.
pub fn tell_look(news: Option<(HashingWait, String)>, options: &Options) {
    let Some((look, text)) = news.filter(|_| options.json) else { return };
    let why = if look == HashingWait::Disk { "disk" } else { "hashing" };
    let none = Value::Null;
    print_line(&json_line(
        &json!({ "event": "waiting", "why": why, "next": none, "seconds": none, "text": text }),
    ));
}
