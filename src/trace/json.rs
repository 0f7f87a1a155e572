//! An object as JSON, for programs.

use serde_json::{Value, json};

use super::{MAX_HEX, Object};

/// Returns an object as JSON. `at` is the offset of its start, from which all offsets count;
/// `bytes` are the object's own. A long field has only its first bytes.
pub fn object(object: &Object, bytes: &[u8], at: usize) -> Value {
    let fields = object.fields.iter().map(|field| {
        let start = field.range.start.min(bytes.len());
        let there = bytes.get(start..field.range.end.clamp(start, bytes.len())).unwrap_or_default();
        json!({
            "at": at + field.range.start,
            "length": field.range.len(),
            "hex": hex::encode(there.get(..MAX_HEX).unwrap_or(there)),
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
