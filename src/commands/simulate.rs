//! `piecemeal simulate`: a swarm in virtual time, to see what a rule does. (simulate)

use crate::cli::failure::Failure;
use crate::cli::interrupt::interrupt;
use crate::cli::simulate_experiment::{find, list, show};
use crate::cli::simulate_options::{ARENA, SimulateOptions};
use crate::cli::simulate_svg::SvgFile;
use crate::cli::{Answer, Options, simulate_arena};

/// Try the rules of a swarm, in virtual time (simulate)
#[derive(clap::Args)]
#[command(after_help = "Examples:
  piecemeal simulate pieces --peers 60 --pieces 60 --svg pieces.svg
  piecemeal simulate arena --peers 16 --pieces 20 \\
    --strategy mine='python3 mine.py'")]
pub struct Args {
    #[command(flatten)]
    options: SimulateOptions,
    /// The experiment's name, or arena [default: list them]
    experiment: Option<String>,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let Some(name) = self.experiment else { return Ok(list()) };
        // Before the simulation: a page that cannot be written need not take a minute to say so.
        let page = SvgFile::for_option(self.options.svg.clone())?;
        if name == ARENA.0 {
            return simulate_arena::play(&self.options, &interrupt()?, page, options);
        }
        let experiment = find(&name)?;
        if self.options.asks_for_help() {
            return Ok(SimulateOptions::what_can_be_set(experiment));
        }
        let outcome = self.options.run(experiment, &interrupt()?, options)?;
        show(experiment, &outcome, page, options)
    }
}
