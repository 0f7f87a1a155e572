//! `piecemeal decode`: a bencoded value as JSON. (stage 1)

use std::ffi::OsString;
use std::path::Path;

use piecemeal::s01_bencode::{Kind, Value, decode};
use serde::{Serialize, Serializer};
use serde_json::json;

use crate::cli::exit_codes::USAGE;
use crate::cli::failure::Failure;
use crate::cli::{Answer, Options, json_line};

/// Decode a bencoded value, to JSON (stage 1)
#[derive(clap::Args)]
#[command(after_help = "Example:\n  piecemeal decode d3:cow3:moo4:spami7ee")]
pub struct Args {
    /// The value, such as 5:hello, i52e, l5:helloi52ee or d3:foo3:bare
    #[arg(value_name = "BENCODE", allow_hyphen_values = true)]
    value: OsString,
    /// What the shell has cut off at a space
    #[arg(hide = true)]
    more: Vec<OsString>,
}

impl Args {
    pub fn run(self, _: &Options) -> Result<Answer, Failure> {
        // Joining them would have to guess how many spaces there were.
        if let Some(second) = self.more.first() {
            let second = second.to_string_lossy();
            let what = format!("the value is one argument, but then comes {second:?}");
            return Err(Failure::new(USAGE, what)
                .help("put the value in quotes: the shell cuts it at spaces")
                .see("01-bencode"));
        }
        let bytes = self.value.as_encoded_bytes();
        let value = decode(bytes).map_err(|error| {
            let failure = Failure::from(error).about("the value");
            // A common first try: the name of a .torrent file.
            if Path::new(&self.value).is_file() {
                failure.help("this is a file; decode takes the value itself")
            } else {
                failure
            }
        })?;
        Ok(Answer { text: json_line(&Json(&value)), json: json!({ "value": Json(&value) }) })
    }
}

/// A bencoded value on its way to JSON, in the order of the input.
struct Json<'v>(&'v Value<'v>);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match &self.0.kind {
            Kind::Integer(number) => out.serialize_i64(*number),
            Kind::List(items) => out.collect_seq(items.iter().map(Json)),
            Kind::Dictionary(pairs) => {
                out.collect_map(pairs.iter().map(|(key, value)| (key_text(key), Json(value))))
            }
            Kind::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => out.serialize_str(text),
                Err(_) => out.collect_map([("$hex", hex::encode(bytes))]),
            },
        }
    }
}

fn key_text(key: &[u8]) -> String {
    std::str::from_utf8(key).map_or_else(|_| format!("$hex:{}", hex::encode(key)), str::to_owned)
}
