//! `piecemeal lab`: a tracker and seeders on this machine, to try everything against. (lab)

use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use piecemeal::lab::seeder::Plan;
use piecemeal::lab::tour::Tour;
use piecemeal::lab::{Lab, MAX_SEEDERS, TRACKER_PORT, album, sample};
use piecemeal::s03_tracker::DEFAULT_PORT;
use serde_json::json;

use super::failure::{Failure, LOCAL, OTHER};
use super::{Answer, Options, print_line};

/// How often notes are printed.
const TICK: Duration = Duration::from_millis(200);

/// Run a swarm on this machine to try every chapter against (lab)
#[derive(clap::Args)]
#[command(after_help = "Example:\n  piecemeal lab --dir lab --seeders 3\n\nCtrl-C ends it.")]
pub struct Args {
    /// The folder for the .torrent files
    #[arg(long, default_value = "lab")]
    dir: PathBuf,
    /// How many seeders there are
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u64).range(1..=MAX_SEEDERS as u64))]
    seeders: u64,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let (end, ended) = mpsc::channel();
        let on_ctrl_c = move || {
            let _ = end.send(()); // nobody listens any more once the lab is ending
        };
        ctrlc::set_handler(on_ctrl_c).map_err(|error| Failure::new(OTHER, format!("Ctrl-C cannot be handled: {error}")))?;
        let plans = vec![Plan { port: DEFAULT_PORT, ..Plan::default() }; self.seeders as usize];
        let lab = Lab::start(vec![sample()?, album()?], &plans, TRACKER_PORT).map_err(local)?;
        let tour = Tour::new(&lab, &self.dir).map_err(local)?;
        print_line(&if options.json { tour.json().to_string() } else { tour.to_string() });
        loop {
            let over = ended.recv_timeout(TICK) != Err(RecvTimeoutError::Timeout);
            for note in lab.notes.take().iter().filter(|_| !options.quiet) {
                let _ = writeln!(io::stderr(), "{note}"); // a lab that nobody reads is still of use
            }
            if over {
                break;
            }
        }
        let (blocks, bytes) = lab.given();
        let text = format!("The lab is over: its seeders gave {blocks} blocks, {bytes} bytes.");
        Ok(Answer { text, json: json!({ "event": "done", "blocks": blocks, "bytes": bytes }) })
    }
}

fn local(error: io::Error) -> Failure {
    let help = match error.kind() {
        ErrorKind::AlreadyExists => "remove it, or choose another folder with --dir",
        _ => "check the folder, its permissions and the free space, or choose another one with --dir",
    };
    Failure::new(LOCAL, error).help(help)
}
