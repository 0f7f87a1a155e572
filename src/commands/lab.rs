//! `piecemeal lab`: a tracker and seeders on this machine, to try every command against. (lab)

use std::path::PathBuf;

use piecemeal::lab::guide::Guide;

use crate::cli::failure::Failure;
use crate::cli::lab_options::{
    ContentOptions, DhtOptions, SeederOptions, as_in_the_chapters, fault_list, folder_failure,
    start, the_end,
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
    /// For many labs on one machine: 127.N.0.x instead of 127.0.0.x, with the usual ports
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=254))]
    room: Option<u8>,
    #[command(flatten)]
    seeders: SeederOptions,
    #[command(flatten)]
    dht: DhtOptions,
    #[command(flatten)]
    content: ContentOptions,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        if self.seeders.asks_for_help() {
            return Ok(fault_list());
        }
        let contents = self.content.contents()?;
        let plans = self.seeders.plans(&contents)?;
        let until_ctrl_c = UntilCtrlC::new()?;
        let mut lab = start(self.room, contents, &plans)?;
        self.dht.start(&mut lab)?;
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
        Ok(the_end(&lab))
    }
}
