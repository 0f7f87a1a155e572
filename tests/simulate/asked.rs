//! Experiments by name, with settings as they are written on the command line.

use piecemeal::simulate::outcome::Outcome;
use piecemeal::simulate::{Experiment, Settings, SettingsError, experiments};
use std::sync::atomic::AtomicBool;

/// The experiment of this name.
pub fn experiment(name: &str) -> &'static Experiment {
    experiments().iter().find(|other| other.name == name).expect("there is such an experiment")
}

/// Runs an experiment with these settings, written as on the command line.
pub fn run(name: &str, settings: &str) -> Result<Outcome, SettingsError> {
    let stop = AtomicBool::new(false);
    let mut all = Settings::new(&stop);
    for setting in settings.split_whitespace() {
        let (name, value) = setting.split_once('=').expect("a name and a value");
        let number = || Some(value.parse().expect("a number"));
        match name {
            "peers" => all.peers = number(),
            "pieces" => all.pieces = number(),
            "repeat" => all.repeat = number(),
            "seed" => all.seed = number().unwrap_or(0),
            _ => all.set.push((name.to_owned(), value.to_owned())),
        }
    }
    experiment(name).run(&all)
}
