//! The options of `simulate`, and how they become settings. (simulate)

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use piecemeal::simulate::outcome::Outcome;
use piecemeal::simulate::{Experiment, Knob, Settings, SettingsError};
use serde_json::json;

use super::exit_codes::{USAGE, stopped};
use super::failure::Failure;
use super::simulate_progress::Runs;
use super::{Answer, Options};

/// The page about it.
pub const PAGE: &str = "policies";
/// What stands among the experiments and is none: its name, and what it is.
pub const ARENA: (&str, &str) =
    ("arena", "strategies of your own, in any language, against five that are known");

/// How an experiment is changed.
#[derive(Args)]
pub struct SimulateOptions {
    /// Number of peers [default: the experiment's]
    #[arg(id = "count", long = "peers", value_name = "N")]
    pub peers: Option<u64>,
    /// Number of pieces [default: the experiment's]
    #[arg(long, value_name = "N")]
    pub pieces: Option<u64>,
    /// Number for the dice: the same one, the same run
    #[arg(long, value_name = "N", default_value = "0")]
    pub seed: u64,
    /// Runs of each row [default: the experiment's]
    #[arg(long, value_name = "N")]
    pub repeat: Option<u64>,
    /// Change something: `--set help` lists what
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub set: Vec<(String, String)>,
    /// A program that plays in the arena
    #[arg(long, value_name = "NAME=CMD", value_parser = pair)]
    pub strategy: Vec<(String, String)>,
    /// Write a page with plots
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

/// Splits `NAME=VALUE` at the first `=`.
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() && !value.trim().is_empty() => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("a name, `=` and a value were expected".to_owned()),
    }
}

/// The same, and `help` stands alone.
fn setting(text: &str) -> Result<(String, String), String> {
    if text == "help" { Ok((text.to_owned(), String::new())) } else { pair(text) }
}

impl SimulateOptions {
    /// Whether the names of what can be set are asked for.
    pub fn asks_for_help(&self) -> bool {
        self.set.iter().any(|(name, value)| name == "help" && value.is_empty())
    }

    /// Returns a line for everything that can be set in an experiment.
    pub fn what_can_be_set(experiment: &Experiment) -> Answer {
        let knobs: Vec<Knob> = experiment.knobs().collect();
        let wide = knobs.iter().map(|knob| knob.name.len()).max().unwrap_or(0);
        let lines: Vec<String> =
            knobs.iter().map(|knob| format!("{:<wide$}  {}", knob.name, knob.what)).collect();
        let json = knobs.iter().map(|knob| json!({ "name": knob.name, "what": knob.what }));
        Answer { text: lines.join("\n"), json: json!({ "set": json.collect::<Vec<_>>() }) }
    }

    /// Runs an experiment with these options.
    pub fn run(
        &self,
        experiment: &Experiment,
        stop: &Arc<AtomicBool>,
        options: &Options,
    ) -> Result<Outcome, Failure> {
        if !self.strategy.is_empty() {
            let what = format!("--strategy is for the arena, and not for {}", experiment.name);
            let help = "`piecemeal simulate arena` with the same option lets it play";
            return Err(Failure::new(USAGE, what).help(help).see(PAGE));
        }
        let runs = Runs::new(options);
        let settings = Settings {
            peers: self.peers,
            pieces: self.pieces,
            seed: self.seed,
            repeat: self.repeat,
            set: self.set.clone(),
            stop,
            progress: &|done, all| runs.tell(done, all),
        };
        let outcome = experiment.run(&settings).map_err(bad_setting)?;
        not_stopped(stop)?;
        Ok(outcome)
    }
}

/// How alike two names must be: the measure and the bound of clap, which finds options by it.
const ALIKE: f64 = 0.7;

/// Returns a question with the name that is most like a wrong one, if any is.
pub fn did_you_mean(wrong: &str, names: impl Iterator<Item = &'static str>) -> String {
    let alike = names.map(|name| (strsim::jaro(wrong, name), name));
    let best = alike.filter(|(alike, _)| *alike > ALIKE).max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.map(|(_, name)| format!("did you mean {name}? ")).unwrap_or_default()
}

/// Returns the failure for a setting that cannot be used.
pub fn bad_setting(error: SettingsError) -> Failure {
    const HELP: &str = "`piecemeal simulate EXPERIMENT --set help` says what each name takes";
    let help = match &error {
        SettingsError::Unknown { name, known } => {
            let help = did_you_mean(name, known.iter().copied()) + HELP;
            return Failure::new(USAGE, error).help(help).see(PAGE);
        }
        SettingsError::Value { .. } => HELP,
        SettingsError::TooMuch { .. } | SettingsError::TooConnected { .. } => {
            "fewer --peers or fewer --pieces show the same shapes"
        }
        SettingsError::Taken { .. } => "call your program something else: --strategy NAME=CMD",
        SettingsError::Compared { .. } => "its rows have different values of it: see the table",
        SettingsError::OutOfRange { .. } => "leave it out, and the experiment's own value counts",
    };
    Failure::new(USAGE, error).help(help).see(PAGE)
}

/// Fails if a signal has ended the simulation: what half a run shows is no result.
pub fn not_stopped(stop: &AtomicBool) -> Result<(), Failure> {
    if !stop.load(Ordering::SeqCst) {
        return Ok(());
    }
    let help = "fewer --peers, --pieces or --repeat take less time";
    Err(Failure::new(stopped(), "stopped before the simulation had ended").help(help).see(PAGE))
}
