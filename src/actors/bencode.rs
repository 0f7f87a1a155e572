//! The actors' own bencode: encoders that can also write nonsense, and a decoder that says
//! where the value ended.

/// A decoded value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// An integer.
    Int(i64),
    /// A string.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<Value>),
    /// A dictionary's pairs, in the order in which they came.
    Dict(Vec<(Vec<u8>, Value)>),
}

impl Value {
    /// The value at a key, if this is a dictionary that has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self {
            Value::Dict(pairs) => pairs.iter().find(|(k, _)| k == key.as_bytes()).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The number, if this is an integer.
    pub fn int(&self) -> Option<i64> {
        match self {
            Value::Int(i) => Some(*i),
            _ => None,
        }
    }
}

/// An integer, encoded.
pub fn int(value: i64) -> Vec<u8> {
    format!("i{value}e").into_bytes()
}

/// A string, encoded.
pub fn bytes(value: impl AsRef<[u8]>) -> Vec<u8> {
    let value = value.as_ref();
    let mut out = format!("{}:", value.len()).into_bytes();
    out.extend_from_slice(value);
    out
}

/// A list of values that are encoded already.
pub fn list(items: &[Vec<u8>]) -> Vec<u8> {
    [b"l".to_vec(), items.concat(), b"e".to_vec()].concat()
}

/// A dictionary of values that are encoded already, in the order given: it
/// may be meant to be wrong.
pub fn dict(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut out = b"d".to_vec();
    for (key, value) in pairs {
        out.extend(bytes(key));
        out.extend_from_slice(value);
    }
    out.push(b'e');
    out
}

/// The value at the start of `input`, and how many bytes it took.
pub fn decode(input: &[u8]) -> Option<(Value, usize)> {
    let mut at = 0;
    let value = read(input, &mut at, 0)?;
    Some((value, at))
}

/// The most lists and dictionaries inside each other: each takes a part of the stack.
const MAX_DEPTH: usize = 64;

fn read(input: &[u8], at: &mut usize, depth: usize) -> Option<Value> {
    if depth > MAX_DEPTH {
        return None;
    }
    match input.get(*at)? {
        b'i' => {
            let end = *at + input[*at..].iter().position(|b| *b == b'e')?;
            let text = std::str::from_utf8(&input[*at + 1..end]).ok()?;
            *at = end + 1;
            Some(Value::Int(text.parse().ok()?))
        }
        b'l' => {
            *at += 1;
            let mut items = Vec::new();
            while *input.get(*at)? != b'e' {
                items.push(read(input, at, depth + 1)?);
            }
            *at += 1;
            Some(Value::List(items))
        }
        b'd' => {
            *at += 1;
            let mut pairs = Vec::new();
            while *input.get(*at)? != b'e' {
                let Value::Bytes(key) = read(input, at, depth + 1)? else { return None };
                pairs.push((key, read(input, at, depth + 1)?));
            }
            *at += 1;
            Some(Value::Dict(pairs))
        }
        b'0'..=b'9' => {
            let colon = *at + input[*at..].iter().position(|b| *b == b':')?;
            let length: usize = std::str::from_utf8(&input[*at..colon]).ok()?.parse().ok()?;
            let end = (colon + 1).checked_add(length)?;
            let value = input.get(colon + 1..end)?.to_vec();
            *at = end;
            Some(Value::Bytes(value))
        }
        _ => None,
    }
}
