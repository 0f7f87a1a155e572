//! The tests' own bencode: encoders that can also write nonsense, and a decoder that says
//! where the value ended.

/// A decoded value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Int(i64),
    Bytes(Vec<u8>),
    List(Vec<Value>),
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

    pub fn int(&self) -> Option<i64> {
        match self {
            Value::Int(i) => Some(*i),
            _ => None,
        }
    }
}

pub fn int(value: i64) -> Vec<u8> {
    format!("i{value}e").into_bytes()
}

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

/// A dictionary of values that are encoded already, in the order given: a test
/// may want it wrong.
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
    let value = read(input, &mut at)?;
    Some((value, at))
}

fn read(input: &[u8], at: &mut usize) -> Option<Value> {
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
                items.push(read(input, at)?);
            }
            *at += 1;
            Some(Value::List(items))
        }
        b'd' => {
            *at += 1;
            let mut pairs = Vec::new();
            while *input.get(*at)? != b'e' {
                let Value::Bytes(key) = read(input, at)? else { return None };
                pairs.push((key, read(input, at)?));
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
