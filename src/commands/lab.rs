//! `piecemeal lab`: a tracker and seeders on this machine, to try every command against. (lab)

use std::path::PathBuf;

use piecemeal::lab::guide::Guide;
use piecemeal::lab::seeder::Seeder;
use piecemeal::lab::{Lab, TRACKER_PORT};
use serde_json::{Value, json};

use crate::cli::failure::Failure;
use crate::cli::lab_options::{
    ContentOptions, SeederOptions, as_in_the_chapters, cannot_start, folder_failure,
};
use crate::cli::until_ctrl_c::UntilCtrlC;
use crate::cli::{Answer, Options, json_line, print_line};

/// Run a swarm on this machine to try things on (lab)
#[derive(clap::Args)]
#[command(after_help = "Examples, which Ctrl-C ends; -v shows every message, --trace every byte:
  piecemeal lab
  piecemeal lab --seeders 4 --faults corrupt,choke,die --size 20MiB --files 5")]
pub struct Args {
    /// The folder for the .torrent files
    #[arg(long, default_value = "lab")]
    dir: PathBuf,
    #[command(flatten)]
    seeders: SeederOptions,
    #[command(flatten)]
    content: ContentOptions,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let plans = self.seeders.plans()?;
        let until_ctrl_c = UntilCtrlC::new()?;
        let lab =
            Lab::start(self.content.contents()?, &plans, TRACKER_PORT).map_err(cannot_start)?;
        crate::cli::tracing::lab(&lab.notes);
        lab.contents.iter().for_each(|content| crate::cli::tracing::learn(&content.info));
        if options.verbose {
            lab.notes.watch_closely();
        }
        let guide =
            Guide::new(&lab, &self.dir).map_err(|error| folder_failure(error, &self.dir))?;
        print_line(&if options.json { json_line(&guide.json()) } else { guide.to_string() });
        if !options.json && !as_in_the_chapters(&lab) {
            options.note("The chapters' addresses are taken (by another lab?) or not available here: type those above instead.");
        }
        until_ctrl_c.show(&lab.notes, |note| {
            if options.json {
                print_line(&json_line(&note.json));
            } else {
                options.note(&note.to_string());
            }
            Ok(())
        });
        let (blocks, bytes) = lab.given();
        let seeders: Vec<Value> = lab.seeders.iter().map(counts).collect();
        Ok(Answer {
            text: lab.table(),
            json: json!({ "event": "done", "blocks": blocks, "bytes": bytes, "seeders": seeders }),
        })
    }
}

fn counts(seeder: &Seeder) -> Value {
    let (address, peers) = (seeder.address().to_string(), seeder.served());
    json!({ "seeder": address, "blocks": seeder.blocks(), "bytes": seeder.bytes(), "peers": peers })
}
