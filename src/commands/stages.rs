//! `piecemeal stages`: the map, as far as it goes. (every stage)

use serde_json::{Value, json};

use crate::cli::failure::Failure;
use crate::cli::stage_table::MAP;
use crate::cli::{Answer, Options};

/// List the stages: BEPs, chapter, commands
#[derive(clap::Args)]
#[command(after_help = "Example:\n  piecemeal stages")]
pub struct Args;

impl Args {
    pub fn run(self, _: &Options) -> Result<Answer, Failure> {
        let (lines, stages): (Vec<String>, Vec<Value>) = MAP.lines().filter_map(row).unzip();
        Ok(Answer { text: lines.join("\n"), json: json!({ "stages": stages }) })
    }
}

/// Parses a row of the crate's table of stages: module, subject, BEPs, commands.
fn row(line: &str) -> Option<(String, Value)> {
    let cells = line.strip_prefix("//! | [`")?.strip_suffix(" |")?.replace('`', "");
    let [module, does, beps, commands] = cells.split('|').map(str::trim).collect::<Vec<_>>()[..]
    else {
        return None;
    };
    if beps.is_empty() && commands.is_empty() {
        return None; // no stage, and nothing to run
    }
    let module = module.trim_end_matches(']');
    // `s04_handshake` is stage 4, and its chapter is `docs/04-handshake.md`.
    let stage = module.strip_prefix('s').and_then(|rest| rest.split_once('_'));
    let stage =
        stage.and_then(|(digits, subject)| Some((digits.parse::<u8>().ok()?, digits, subject)));
    let chapter =
        stage.map(|(_, digits, subject)| format!("docs/{digits}-{}.md", subject.replace('_', "-")));
    let number = stage.map(|(number, ..)| number);

    let listed = |cell: &str| -> Vec<String> {
        cell.split(", ").filter(|it| !it.is_empty()).map(str::to_owned).collect()
    };
    let spec = if beps.is_empty() { String::new() } else { format!("BEP {beps}") };
    let beps: Vec<u16> = listed(beps).iter().filter_map(|bep| bep.parse().ok()).collect();
    let mut facts = vec![spec, chapter.clone().unwrap_or_default(), commands.to_owned()];
    facts.retain(|fact| !fact.is_empty());
    let first = number.map_or(String::new(), |number| number.to_string());
    let text = format!("{first:>2}  {module:<16} {does}\n    {}", facts.join("; "));
    let json = json!({
        "number": number, "module": module, "does": does, "beps": beps, "chapter": chapter, "commands": listed(commands),
    });
    Some((text, json))
}
