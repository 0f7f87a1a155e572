//! What a program is asked, as one line of JSON.

use serde_json::{Value, json};

use crate::simulate::strategy::{ChokeQuestion, Known, PieceQuestion};

/// Returns the line of a choke question.
pub fn choke(question: &ChokeQuestion) -> String {
    let known = |peer: &Known| {
        json!({
            "id": peer.id,
            "interested": peer.interested,
            "unchoked": peer.unchoked,
            "chokes_us": peer.chokes_us,
            "interesting": peer.interesting,
            "came": peer.came,
            "went": peer.went,
            "came_in_all": peer.came_in_all,
            "went_in_all": peer.went_in_all,
            "has": peer.has,
            "since": peer.since,
        })
    };
    let peers: Vec<Value> = question.peers.iter().map(known).collect();
    let line = json!({
        "ask": "choke",
        "peer": question.peer,
        "round": question.round,
        "now": question.now,
        "slots": question.slots,
        "up": question.up,
        "seeding": question.seeding,
        "piece_length": question.piece_length,
        "peers": peers,
    });
    line.to_string()
}

/// Returns the line of a piece question.
pub fn piece(question: &PieceQuestion) -> String {
    let line = json!({
        "ask": "piece",
        "peer": question.peer,
        "from": question.from,
        "offers": question.offers,
        "copies": question.copies,
    });
    line.to_string()
}
