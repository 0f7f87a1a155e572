//! `piecemeal tracker`: a tracker for a class, which shows each announce. (lab)

use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::time::Duration;

use piecemeal::lab::TRACKER_PORT;
use piecemeal::lab::notes::Notes;
use piecemeal::lab::sockets::{at, everywhere};
use piecemeal::lab::tracker::LabTracker;
use serde_json::{Value, json};

use crate::cli::exit_codes::LOCAL;
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
        let tracker = started.map_err(|error| local(error).about(place))?;
        let urls = tracker.urls();
        let start = json!({ "event": "started", "urls": urls, "local_url": tracker.local_url() });
        let print = |text: &str, json: &Value| {
            let line = if options.json { json_line(json) } else { shown(text) };
            writeln!(io::stdout().lock(), "{line}")
        };
        if print(&greeting(&urls, &tracker.local_url()), &start).is_ok() {
            until_ctrl_c.show(&notes, |note| print(&note.text, &note.json));
        }
        let json = json!({ "event": "done", "refused": tracker.refused(), "torrents": tracker.tallies_json() });
        Ok(Answer { text: tracker.table(), json })
    }
}

/// Parses `ADDR:PORT`.
fn listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "ADDR:PORT was expected, such as 0.0.0.0:7000".to_owned())
}

fn local(error: io::Error) -> Failure {
    let help = match error.kind() {
        ErrorKind::AddrNotAvailable => {
            "choose an address of this computer, or all of them with --listen 0.0.0.0:7000"
        }
        _ => "end what listens there, or choose another place, such as --listen 0.0.0.0:7000",
    };
    Failure::new(LOCAL, error).help(help).see("a-swarm-in-class")
}

fn greeting(urls: &[String], local_url: &str) -> String {
    let mut lines = vec!["The tracker is running. Its announce URLs:\n".to_owned()];
    lines.extend(urls.iter().map(|url| format!("  {url}")));
    if !urls.iter().any(|url| url == local_url) {
        lines.push(format!("  {local_url}   on this machine only"));
    }
    lines.push("\nA line for each announce follows. Ctrl-C ends the tracker.\n".to_owned());
    lines.join("\n")
}
