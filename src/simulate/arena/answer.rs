//! What a program may answer. An answer is right as a whole, or it counts as none.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use thiserror::Error;

use crate::s01_bencode::printable;
use crate::simulate::strategy::{ChokeQuestion, PieceQuestion};

/// The weights that an answer may give: far apart enough for any plan, and no sum overflows.
const WEIGHTS: std::ops::RangeInclusive<f64> = 0.001..=1000.0;
/// How much of a line an error quotes.
const QUOTED: usize = 40;

/// Why an answer does not count.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs)] // of the fields: the messages say what they are
pub enum Wrong {
    /// It cannot be read.
    #[error("a JSON object on one line is expected, not `{0}`")]
    NoObject(String),
    /// It can be read, and says nothing of what was asked for.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// It can be read, and a part of it is not what the question asks for.
    #[error("`{key}` must be {expected}")]
    Shape { key: &'static str, expected: &'static str },
    /// It gives more than there is.
    #[error("it unchokes {found} peers, with {slots} slots")]
    TooMany { found: usize, slots: usize },
    /// It names a peer that the asking one does not know.
    #[error("it unchokes peer {0}, which is not in `peers`")]
    NoSuchPeer(u64),
    /// It names a peer twice.
    #[error("it unchokes peer {0} twice")]
    Twice(u64),
    /// It weighs with what is no weight.
    #[error("a weight of {0} is not between {least} and {most}", least = WEIGHTS.start(), most = WEIGHTS.end())]
    Weight(String),
    /// It wants a piece that it cannot have.
    #[error("piece {0} is not in `offers`")]
    NoSuchPiece(u64),
}

/// Reads the answer to a choke question: positions in its list of peers, with weights. `None` is
/// an empty object, which leaves it to the client's rule.
///
/// # Errors
/// If the answer does not count.
pub fn choke(line: &[u8], question: &ChokeQuestion) -> Result<Option<Vec<(usize, f64)>>, Wrong> {
    let answer = object(line)?;
    if answer.is_empty() {
        return Ok(None);
    }
    let shape = || Wrong::Shape { key: "unchoke", expected: "a list of peers' ids" };
    let ids = answer.get("unchoke").ok_or(Wrong::Missing("unchoke"))?;
    let ids = ids.as_array().ok_or_else(shape)?;
    if ids.len() > question.slots {
        return Err(Wrong::TooMany { found: ids.len(), slots: question.slots });
    }
    let weights = weights(&answer, ids.len())?;
    let mut seen = BTreeSet::new();
    let mut chosen = Vec::with_capacity(ids.len());
    for (id, weight) in ids.iter().zip(weights) {
        let id = id.as_u64().ok_or_else(shape)?;
        let is_it = |position: &usize| {
            question.peers.get(*position).is_some_and(|known| u64::from(known.id) == id)
        };
        let position = (0..question.peers.len()).find(is_it).ok_or(Wrong::NoSuchPeer(id))?;
        if !seen.insert(id) {
            return Err(Wrong::Twice(id));
        }
        chosen.push((position, weight));
    }
    Ok(Some(chosen))
}

/// Reads the weights of an answer, one for each peer that it names; without them all are alike.
fn weights(answer: &Map<String, Value>, count: usize) -> Result<Vec<f64>, Wrong> {
    let Some(weights) = answer.get("weights") else { return Ok(vec![1.0; count]) };
    let shape = Wrong::Shape { key: "weights", expected: "a list of a number for each peer" };
    let Some(weights) = weights.as_array().filter(|list| list.len() == count) else {
        return Err(shape);
    };
    let read = |value: &Value| match value.as_f64() {
        Some(weight) if WEIGHTS.contains(&weight) => Ok(weight),
        _ => Err(Wrong::Weight(quoted(value.to_string().as_bytes()))),
    };
    weights.iter().map(read).collect()
}

/// Reads the answer to a piece question: the piece's number. `None` is an empty object.
///
/// # Errors
/// If the answer does not count.
pub fn piece(line: &[u8], question: &PieceQuestion) -> Result<Option<u32>, Wrong> {
    let answer = object(line)?;
    if answer.is_empty() {
        return Ok(None);
    }
    let shape = || Wrong::Shape { key: "piece", expected: "a piece's number" };
    let wanted = answer.get("piece").ok_or(Wrong::Missing("piece"))?;
    let wanted = wanted.as_u64().ok_or_else(shape)?;
    let offered = question.offers.iter().find(|offer| u64::from(**offer) == wanted);
    offered.copied().map(Some).ok_or(Wrong::NoSuchPiece(wanted))
}

fn object(line: &[u8]) -> Result<Map<String, Value>, Wrong> {
    match serde_json::from_slice(line) {
        Ok(Value::Object(object)) => Ok(object),
        _ => Err(Wrong::NoObject(quoted(line))),
    }
}

/// Returns the beginning of a text, safe to print.
fn quoted(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let text = text.trim();
    let cut: String = text.chars().take(QUOTED).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("{}{more}", printable(&cut))
}
