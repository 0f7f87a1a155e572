//! `piecemeal tracker`: a tracker for a class, which shows each announce. (lab)

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use piecemeal::lab::TRACKER_PORT;
use piecemeal::lab::notes::Notes;
use piecemeal::lab::sockets::{at, everywhere};
use piecemeal::lab::tracker::LabTracker;
use serde_json::{Value, json};

use crate::cli::class_tracker::{cannot_start, urls_text};
use crate::cli::failure::Failure;
use crate::cli::until_ctrl_c::UntilCtrlC;
use crate::cli::{Answer, Options, json_line, shown};

/// Run a tracker for a class, and see each announce (lab)
#[derive(clap::Args)]
#[command(after_help = "Example, which Ctrl-C ends:\n  piecemeal tracker --listen 0.0.0.0:7000")]
pub struct Args {
    /// Where to listen [default: port 6969 on all addresses]
    #[arg(long, value_name = "ADDR:PORT", value_parser = listen)]
    listen: Option<SocketAddr>,
    /// The seconds between two announces of a client
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = clap::value_parser!(u64).range(5..=86400))]
    interval: u64,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let until_ctrl_c = UntilCtrlC::new()?;
        let place =
            self.listen.map_or(format!("port {TRACKER_PORT}"), |address| address.to_string());
        let sockets = self.listen.map_or_else(|| everywhere(TRACKER_PORT), at);
        let notes = Notes::default();
        crate::cli::tracing::lab(&notes);
        let started = sockets
            .and_then(|all| LabTracker::on(all, Duration::from_secs(self.interval), notes.clone()));
        let tracker = started.map_err(|error| cannot_start(error).about(place))?;
        let urls = tracker.urls();
        let start = json!({ "event": "started", "urls": urls, "local_url": tracker.local_url() });
        let print = |text: &str, json: &Value| {
            let line = if options.json { json_line(json) } else { shown(text) };
            writeln!(io::stdout().lock(), "{line}")
        };
        if print(&urls_text(&urls, &tracker.local_url()), &start).is_ok() {
            until_ctrl_c.show(&notes, |note| print(&note.text, &note.json));
        }
        let json = json!({ "event": "done", "refused": tracker.refused(), "torrents": tracker.torrent_counts_json() });
        Ok(Answer { text: tracker.table(), json })
    }
}

/// Parses `ADDR:PORT`.
fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "ADDR:PORT was expected, such as 0.0.0.0:7000".to_owned())
}
