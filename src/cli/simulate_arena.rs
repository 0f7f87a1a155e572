//! The arena: programs against each other and against the built-in strategies. (simulate)

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use piecemeal::s01_bencode::printable;
use piecemeal::simulate::arena::{Arena, Contestant, Player};
use piecemeal::simulate::plot;

use super::exit_codes::USAGE;
use super::failure::Failure;
use super::orphans::adopt;
use super::simulate_experiment::{headline, result_json, run_json, table};
use super::simulate_options::{ARENA, PAGE, SimulateOptions, bad_setting, not_stopped};
use super::simulate_progress::Runs;
use super::simulate_svg::SvgFile;
use super::{Answer, Options, json_line, print_line};

const KNOWN: &str = "what is best for one peer need not be best for all (Piatek 2007, Levin 2008)";
const SEE: &str = "who is good alone, and what becomes of everybody";
/// Peers of a game, unless the user says otherwise.
const PEERS: u64 = 120;
/// And pieces.
const PIECES: u64 = 200;
/// The longest name of a program: it stands in a table and in plots.
const MAX_NAME: usize = 24;

/// Plays all games, and shows the table.
pub fn play(
    chosen: &SimulateOptions,
    stop: &Arc<AtomicBool>,
    page: SvgFile,
    options: &Options,
) -> Result<Answer, Failure> {
    let programs = chosen.strategy.iter().map(contestant).collect::<Result<Vec<_>, Failure>>()?;
    if let Some((name, _)) = chosen.set.first() {
        let what = format!("--set {name} is for the experiments, and not for the arena");
        let help = "the arena takes --peers, --pieces, --seed and --repeat";
        return Err(Failure::new(USAGE, what).help(help).see(PAGE));
    }
    let arena = Arena {
        programs,
        peers: chosen.peers.unwrap_or(PEERS),
        pieces: chosen.pieces.unwrap_or(PIECES),
        seed: chosen.seed,
        repeat: chosen.repeat.unwrap_or(1),
        stop: Arc::clone(stop),
    };
    let runs = Runs::new(options);
    // What a program leaves behind ends with the arena, whatever it did to get away.
    let _orphans = adopt();
    let result = arena.play(&|done, all| runs.tell(done, all)).map_err(bad_setting)?;
    not_stopped(stop)?;
    let outcome = &result.outcome;
    if options.json {
        outcome.runs.iter().for_each(|run| print_line(&json_line(&run_json(ARENA.0, run))));
    }
    outcome.warnings.iter().for_each(|warning| options.note(&format!("note: {warning}")));
    let title = headline(&format!("{}: {}", ARENA.0, ARENA.1), outcome);
    let known = format!("known: {KNOWN}");
    let lines =
        [&title, &known, &table(&outcome.columns, &outcome.rows), &format!("look at: {SEE}")];
    let mut json = result_json(ARENA.0, outcome);
    json["known"] = KNOWN.into();
    json["look_at"] = SEE.into();
    let answer = Answer { text: lines.map(String::as_str).join("\n"), json };
    page.write(|| plot::draw(&title, &known, &result.panels), answer)
}

/// Returns the contestant of a `--strategy`.
fn contestant((name, command_line): &(String, String)) -> Result<Contestant, Failure> {
    let fits = |letter: char| letter.is_alphanumeric() || " .-_".contains(letter);
    if name.chars().count() > MAX_NAME || !name.chars().all(fits) {
        let what = format!("--strategy {}: a table has no room for this name", printable(name));
        let help = format!("choose a name of at most {MAX_NAME} letters and digits");
        return Err(Failure::new(USAGE, what).help(help).see(PAGE));
    }
    Ok(Contestant { name: name.clone(), player: Player::Program(command_line.clone()) })
}
