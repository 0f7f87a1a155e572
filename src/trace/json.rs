//! An object as JSON, for programs.

use serde_json::{Value, json};

use super::{MOST_HEX, Object};

/// One object. `at` is where it starts, and what all its offsets are counted from; `bytes`
/// are its own. Of a long field the first bytes are given.
pub fn object(object: &Object, bytes: &[u8], at: usize) -> Value {
    let fields = object.fields.iter().map(|field| {
        let start = field.range.start.min(bytes.len());
        let there = bytes.get(start..field.range.end.clamp(start, bytes.len())).unwrap_or_default();
        json!({
            "at": at + field.range.start,
            "length": field.range.len(),
            "hex": hex::encode(there.get(..MOST_HEX).unwrap_or(there)),
            "name": field.name,
            "value": field.value,
            "note": field.note,
        })
    });
    let broken = object.broken.as_ref().map(|broken| {
        json!({
            "at": at + broken.range.start,
            "length": broken.range.len(),
            "expected": broken.expected,
            "found": broken.found,
        })
    });
    json!({
        "at": at,
        "length": object.length,
        "name": object.name,
        "summary": object.summary,
        "stage": object.stage,
        "spec": object.spec,
        "fields": fields.collect::<Vec<_>>(),
        "broken": broken,
    })
}
