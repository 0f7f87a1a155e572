//! An experiment's answer: a short table for people, and every run for programs. (simulate)

use piecemeal::simulate::outcome::{Ending, Outcome, Row, Run};
use piecemeal::simulate::{Experiment, experiments, plot};
use serde_json::{Value, json};

use super::exit_codes::USAGE;
use super::failure::Failure;
use super::simulate_options::{ARENA, PAGE, did_you_mean};
use super::simulate_svg::SvgFile;
use super::{Answer, Options, json_line, print_line};

/// Returns the list of experiments, a line each.
pub fn list() -> Answer {
    let wide = experiments().iter().map(|it| it.name.len()).max().unwrap_or(0);
    let all = experiments().iter().map(|it| (it.name, it.title)).chain([ARENA]);
    let lines: Vec<String> = all.map(|(name, title)| format!("{name:<wide$}  {title}")).collect();
    let json = experiments().iter().map(
        |it| json!({ "name": it.name, "title": it.title, "known": it.known, "look_at": it.see }),
    );
    Answer { text: lines.join("\n"), json: json!({ "experiments": json.collect::<Vec<_>>() }) }
}

/// Returns the experiment of this name.
pub fn find(name: &str) -> Result<&'static Experiment, Failure> {
    experiments().iter().find(|it| it.name == name).ok_or_else(|| {
        let names = experiments().iter().map(|it| it.name).chain([ARENA.0]);
        let help = did_you_mean(name, names) + "`piecemeal simulate` lists them all";
        Failure::new(USAGE, format!("there is no experiment {name}")).help(help).see(PAGE)
    })
}

/// Shows what came out: the table, or a line of JSON for each run, and the page of plots.
pub fn show(
    experiment: &Experiment,
    outcome: &Outcome,
    page: SvgFile,
    options: &Options,
) -> Result<Answer, Failure> {
    if options.json {
        outcome.runs.iter().for_each(|run| print_line(&json_line(&run_json(experiment.name, run))));
    }
    outcome.warnings.iter().for_each(|warning| options.note(&format!("note: {warning}")));
    let title = headline(&format!("{}: {}", experiment.name, experiment.title), outcome);
    let known = format!("known: {}", experiment.known);
    let lines = [
        &title,
        &known,
        &table(&outcome.columns, &outcome.rows),
        &format!("look at: {}", experiment.see),
    ];
    let mut json = result_json(experiment.name, outcome);
    json["known"] = experiment.known.into();
    json["look_at"] = experiment.see.into();
    let answer = Answer { text: lines.map(String::as_str).join("\n"), json };
    page.write(|| plot::page(&title, &known, outcome), answer)
}

/// Returns the first line: what, how large, what was changed, and with which dice.
pub fn headline(title: &str, outcome: &Outcome) -> String {
    let scale = &outcome.scale;
    let seeds = match scale.seeds {
        (first, last) if first == last => format!("seed {first}"),
        (first, last) => format!("seeds {first}-{last}"),
    };
    // Not the peers that were asked for: more may come, or fewer.
    let peers = match scale.came {
        (1, 1) => "1 peer".to_owned(),
        (least, most) if least == most => format!("{most} peers"),
        (least, most) => format!("{least}-{most} peers"),
    };
    let set: String = set(outcome).iter().map(|set| format!("{set}, ")).collect();
    format!("{title}; {peers}, {} pieces, {set}{seeds}", scale.pieces)
}

/// Returns what was changed, as `stay=0`.
fn set(outcome: &Outcome) -> Vec<String> {
    outcome.set.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

/// Returns a table whose numbers are aligned at the right.
pub fn table(columns: &[String], rows: &[Row]) -> String {
    let head = Row { cells: columns.to_vec(), ..Row::default() };
    let all: Vec<&Row> = std::iter::once(&head).chain(rows).collect();
    let length = |text: &String| text.chars().count();
    let label = all.iter().map(|row| length(&row.label)).max().unwrap_or(0);
    let wide = |column: usize| {
        all.iter().filter_map(|row| row.cells.get(column)).map(length).max().unwrap_or(0)
    };
    let line = |row: &&Row| {
        let cells = row.cells.iter().enumerate();
        let cells: String =
            cells.map(|(at, cell)| format!("  {cell:>wide$}", wide = wide(at))).collect();
        format!("{:<label$}{cells}", row.label).trim_end().to_owned()
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Returns a result as JSON, without the words about the experiment.
pub fn result_json(name: &str, outcome: &Outcome) -> Value {
    let rows = outcome
        .rows
        .iter()
        .map(|row| json!({ "label": row.label, "cells": row.cells, "values": row.values }));
    let scale = &outcome.scale;
    json!({
        "experiment": name,
        "peers": scale.peers,
        "came": [scale.came.0, scale.came.1],
        "pieces": scale.pieces,
        "set": set(outcome),
        "seeds": [scale.seeds.0, scale.seeds.1],
        "columns": outcome.columns,
        "rows": rows.collect::<Vec<Value>>(),
        "warnings": outcome.warnings,
    })
}

/// Returns a run as JSON.
pub fn run_json(name: &str, run: &Run) -> Value {
    let samples = run.samples.iter().map(|it| {
        json!({ "t": it.t, "done": it.done, "rarest": it.rarest, "mean": it.mean, "leechers": it.leechers })
    });
    let peers = run.peers.iter().map(|it| {
        json!({
            "class": it.class, "arrived": it.arrived, "time": it.time,
            "given": it.given, "taken": it.taken, "from_seeds": it.from_seeds,
        })
    });
    json!({
        "event": "run",
        "experiment": name,
        "row": run.label,
        "seed": run.seed,
        "ending": ending(run.ending),
        "lasted": run.lasted,
        "classes": run.classes,
        "peers": peers.collect::<Vec<Value>>(),
        "samples": samples.collect::<Vec<Value>>(),
        "gave": run.gave,
        "gave_in_all": run.gave_in_all,
        "seed_copies": run.seed_copies,
        "whole_copy": run.whole_copy,
        "used": run.used,
        "alive": run.alive,
        "fallbacks": run.fallbacks,
    })
}

fn ending(ending: Ending) -> &'static str {
    match ending {
        Ending::AllDone => "all are done",
        Ending::TimeOver => "the time is over",
        Ending::NobodyCanFinish => "nobody can finish",
        Ending::TooLong => "too many events",
        Ending::Stopped => "stopped",
    }
}
