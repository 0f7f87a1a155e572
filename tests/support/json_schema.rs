//! The part of JSON Schema that `docs/json.md` uses, and an error for any other keyword: an
//! ignored keyword would promise something that no test checks.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Schemas by their `$id`, to which a `$ref` in another schema refers.
pub type Shared = BTreeMap<String, Value>;

/// Returns what is wrong with a value, and where; empty if the value fits.
///
/// # Panics
/// If the schema itself is wrong.
pub fn faults(schema: &Value, shared: &Shared, value: &Value) -> Vec<String> {
    let mut check = Check { shared, found: Vec::new() };
    check.value(schema, value, "$");
    check.found
}

struct Check<'s> {
    shared: &'s Shared,
    found: Vec<String>,
}

impl Check<'_> {
    fn value(&mut self, schema: &Value, value: &Value, at: &str) {
        let schema = keywords(schema, at);
        if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
            let shared = self
                .shared
                .get(name)
                .unwrap_or_else(|| panic!("{at}: no schema has the $id {name}"));
            return self.value(shared, value, at);
        }
        let mut fault = |what: String| self.found.push(format!("{at} {what}: {value}"));
        if let Some(types) = schema.get("type") {
            let types: Vec<&str> = match types {
                Value::String(one) => vec![one.as_str()],
                Value::Array(several) => {
                    several.iter().map(|one| one.as_str().expect("a type is a string")).collect()
                }
                other => panic!("{at}: no type: {other}"),
            };
            if !types.iter().any(|name| is_of_type(name, value)) {
                fault(format!("must be {}", types.join(" or ")));
            }
        }
        if schema.get("const").is_some_and(|expected| expected != value) {
            fault(format!("must be {}", schema["const"]));
        }
        if schema
            .get("enum")
            .is_some_and(|allowed| !allowed.as_array().expect("an enum is a list").contains(value))
        {
            fault(format!("must be one of {}", schema["enum"]));
        }
        if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
            for (number, value) in values.iter().enumerate() {
                self.value(items, value, &format!("{at}[{number}]"));
            }
        }
        if let (Some(properties), Some(object)) = (schema.get("properties"), value.as_object()) {
            self.object(
                schema,
                properties.as_object().expect("properties are an object"),
                object,
                at,
            );
        }
    }

    fn object(
        &mut self,
        schema: &Map<String, Value>,
        properties: &Map<String, Value>,
        object: &Map<String, Value>,
        at: &str,
    ) {
        for key in schema["required"].as_array().expect("required is a list") {
            let key = key.as_str().expect("required keys are strings");
            assert!(properties.contains_key(key), "{at}: {key} is required, but not described");
            if !object.contains_key(key) {
                self.found.push(format!("{at}.{key} is missing"));
            }
        }
        for (key, value) in object {
            match properties.get(key) {
                Some(schema) => self.value(schema, value, &format!("{at}.{key}")),
                None => self.found.push(format!("{at}.{key} is not described: {value}")),
            }
        }
        // The order of the keys is a part of the promise.
        let known: Vec<&String> =
            object.keys().filter(|key| properties.contains_key(*key)).collect();
        let expected: Vec<&String> =
            properties.keys().filter(|key| object.contains_key(*key)).collect();
        if known != expected {
            self.found.push(format!("{at} has its keys in the order {known:?}, not {expected:?}"));
        }
    }
}

/// The schema's keywords, all of which are known here.
fn keywords<'s>(schema: &'s Value, at: &str) -> &'s Map<String, Value> {
    let schema =
        schema.as_object().unwrap_or_else(|| panic!("{at}: a schema is an object: {schema}"));
    for (keyword, value) in schema {
        match keyword.as_str() {
            "title" | "description" | "$id" => {
                assert!(value.is_string(), "{at}: {keyword} is a string: {value}")
            }
            "type" | "const" | "enum" | "items" | "properties" | "required" => {}
            "$ref" => assert!(
                value.is_string() && schema.len() == 1,
                "{at}: a $ref is a string, and stands alone: {schema:?}"
            ),
            "additionalProperties" => {
                assert!(value == &Value::Bool(false), "{at}: only false is known here: {value}")
            }
            other => panic!("{at}: the keyword {other} is not known here"),
        }
    }
    let is_object = schema.get("type").is_some_and(|kind| {
        kind == "object" || kind.as_array().is_some_and(|all| all.contains(&"object".into()))
    });
    for keyword in ["properties", "required", "additionalProperties"] {
        assert_eq!(
            schema.contains_key(keyword),
            is_object,
            "{at}: {keyword} belongs to an object, and each object has it"
        );
    }
    schema
}

fn is_of_type(name: &str, value: &Value) -> bool {
    match name {
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the type {other} is not known here"),
    }
}
