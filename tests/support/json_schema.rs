//! The part of JSON Schema that `docs/json.md` uses, and an error for any other: a
//! keyword that nobody looks at would promise what nobody checks.

use serde_json::{Map, Value};

/// What is wrong with a value, with the way to it; nothing if it fits.
///
/// # Panics
/// If the schema itself is wrong.
pub fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, value, "$", &mut found);
    found
}

fn check(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let schema = keywords(schema, at);
    let mut fault = |what: String| found.push(format!("{at} {what}: {value}"));
    if let Some(types) = schema.get("type") {
        let types: Vec<&str> = match types {
            Value::String(one) => vec![one.as_str()],
            Value::Array(several) => several.iter().map(|one| one.as_str().expect("a type is a string")).collect(),
            other => panic!("{at}: no type: {other}"),
        };
        if !types.iter().any(|name| is_of_type(name, value)) {
            fault(format!("must be {}", types.join(" or ")));
        }
    }
    if schema.get("const").is_some_and(|expected| expected != value) {
        fault(format!("must be {}", schema["const"]));
    }
    if schema.get("enum").is_some_and(|allowed| !allowed.as_array().expect("an enum is a list").contains(value)) {
        fault(format!("must be one of {}", schema["enum"]));
    }
    if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
        for (number, value) in values.iter().enumerate() {
            check(items, value, &format!("{at}[{number}]"), found);
        }
    }
    if let (Some(properties), Some(object)) = (schema.get("properties"), value.as_object()) {
        check_object(schema, properties.as_object().expect("properties are an object"), object, at, found);
    }
}

fn check_object(
    schema: &Map<String, Value>,
    properties: &Map<String, Value>,
    object: &Map<String, Value>,
    at: &str,
    found: &mut Vec<String>,
) {
    for key in schema["required"].as_array().expect("required is a list") {
        let key = key.as_str().expect("required keys are strings");
        assert!(properties.contains_key(key), "{at}: {key} is required, but not described");
        if !object.contains_key(key) {
            found.push(format!("{at}.{key} is missing"));
        }
    }
    for (key, value) in object {
        match properties.get(key) {
            Some(schema) => check(schema, value, &format!("{at}.{key}"), found),
            None => found.push(format!("{at}.{key} is not described: {value}")),
        }
    }
    // The order of the keys is a part of the promise.
    let known: Vec<&String> = object.keys().filter(|key| properties.contains_key(*key)).collect();
    let expected: Vec<&String> = properties.keys().filter(|key| object.contains_key(*key)).collect();
    if known != expected {
        found.push(format!("{at} has its keys in the order {known:?}, not {expected:?}"));
    }
}

/// The schema's keywords, all of which are known here.
fn keywords<'s>(schema: &'s Value, at: &str) -> &'s Map<String, Value> {
    let schema = schema.as_object().unwrap_or_else(|| panic!("{at}: a schema is an object: {schema}"));
    for (keyword, value) in schema {
        match keyword.as_str() {
            "title" | "description" => assert!(value.is_string(), "{at}: {keyword} is a string: {value}"),
            "type" | "const" | "enum" | "items" | "properties" | "required" => {}
            "additionalProperties" => assert!(value == &Value::Bool(false), "{at}: only false is known here: {value}"),
            other => panic!("{at}: the keyword {other} is not known here"),
        }
    }
    let is_object = schema
        .get("type")
        .is_some_and(|kind| kind == "object" || kind.as_array().is_some_and(|all| all.contains(&"object".into())));
    for keyword in ["properties", "required", "additionalProperties"] {
        assert_eq!(schema.contains_key(keyword), is_object, "{at}: {keyword} belongs to an object, and each object has it");
    }
    schema
}

fn is_of_type(name: &str, value: &Value) -> bool {
    match name {
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the type {other} is not known here"),
    }
}
