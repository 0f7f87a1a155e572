//! `piecemeal explain`: what some bytes mean, field by field. (lab)

use std::ffi::OsString;

use piecemeal::trace::Context;
use piecemeal::trace::text::{self, Look};

use super::captures::{View, show};
use super::explaining::{Thing, answer, broken};
use super::failure::Failure;
use super::{Answer, Options};

/// Show what bytes mean, field by field: a file, hex digits, a link (lab)
#[derive(clap::Args)]
#[command(after_help = "\
KIND is torrent, answer (of a tracker), extension (handshake), metadata (message),
bencode, handshake, messages, stream (one direction of a connection), udp or udp6
(packet of a tracker), magnet, url, peer-id or reserved (bytes of a handshake).
A capture, made by --capture FILE, is shown event by event. --as mermaid makes
a sequence diagram of it, --as html a page.

Examples:
  piecemeal explain lab/sample.torrent
  piecemeal explain 0000000d 06 00000002 00004000 00004000")]
pub struct Args {
    /// A file, - for stdin, hex digits, a magnet link, a tracker's URL, a peer id, bencode
    #[arg(allow_hyphen_values = true)]
    thing: OsString,
    /// The rest of it, where it was written with spaces
    #[arg(hide = true)]
    more: Vec<OsString>,
    /// What it is. Otherwise that is found out
    #[arg(long = "as", value_name = "KIND", value_parser = View::named)]
    view: Option<View>,
}

impl Args {
    pub fn run(self, _: &Options) -> Result<Answer, Failure> {
        let thing = Thing::read(self.thing, &self.more)?;
        let kind = match View::of(self.view, &thing).ok_or_else(|| thing.unknown())? {
            View::Kind(kind) => kind,
            view => return show(&thing, view),
        };
        let objects = kind.describe(&thing.bytes, &Context::default());
        let how = if self.view.is_some() { "Taken for" } else { "This looks like" };
        let mut lines = vec![format!("{how} {} ({}).", kind.is(), thing.name())];
        for placed in &objects {
            let bytes = thing.bytes.get(placed.at..).unwrap_or_default();
            lines.push(String::new());
            lines.push(text::object(&placed.object, bytes, Look { at: placed.at, color: false }));
        }
        let answer = answer(lines, kind, self.view.is_none(), &objects, &thing);
        match objects.last().and_then(|last| Some((last, last.object.broken.as_ref()?))) {
            None => Ok(answer),
            Some((last, why)) => Err(broken(last, why).about(thing.source).answer(answer)),
        }
    }
}
