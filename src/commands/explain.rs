//! `piecemeal explain`: what some bytes mean, field by field. (trace)

use std::ffi::OsString;

use serde_json::Value;

use crate::cli::capture_views::{View, show};
use crate::cli::discretion::wanted;
use crate::cli::explain_input::{ExplainInput, as_json, as_text, broken};
use crate::cli::failure::Failure;
use crate::cli::{Answer, Options, shown};

/// Show what bytes mean, field by field: a file, hex digits, a link (trace)
#[derive(clap::Args)]
#[command(after_help = "\
KIND is torrent, answer (of a tracker), extension (handshake), metadata
(message), bencode, handshake, messages, stream (one direction of a connection),
udp or udp6 (packet of a tracker), bt-search, krpc, magnet, url, info-hash,
peer-id or reserved (bytes of a handshake).
A capture, made by --capture FILE, is shown event by event. --as mermaid makes
a sequence diagram of it, --as html a page.

Examples:
  piecemeal explain lab/sample.torrent
  piecemeal explain 0000000d 06 00000002 00004000 00004000")]
pub struct Args {
    /// A file, - for stdin, hex digits, a magnet link, a tracker's URL, a peer id, bencode
    #[arg(allow_hyphen_values = true)]
    thing: OsString,
    /// The rest, if it was written with spaces
    #[arg(hide = true)]
    more: Vec<OsString>,
    /// What it is [default: guessed from the bytes]
    #[arg(long = "as", value_name = "KIND", value_parser = View::named)]
    view: Option<View>,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let mut input = ExplainInput::read(self.thing, &self.more)?;
        let kind = match View::of(self.view, &input).ok_or_else(|| input.unknown())? {
            View::Kind(kind) => kind,
            view => return show(&input, view, options.json),
        };
        let objects = input.describe(kind, wanted());
        let guessed = self.view.is_none();
        let answer = if options.json {
            Answer { text: String::new(), json: as_json(kind, guessed, &objects, &input) }
        } else {
            Answer { text: shown(&as_text(kind, guessed, &objects, &input)), json: Value::Null }
        };
        match objects.last().and_then(|last| Some((last, last.object.broken.as_ref()?))) {
            None => Ok(answer),
            Some((last, why)) => Err(broken(last, why).about(input.source).answer(answer)),
        }
    }
}
