//! The command line of the simulator's figures.

use crate::Summary;

const HELP: &str = "\
cargo bench --locked --bench simulate -- [--runs N] [--only PART]...

  --runs N      runs of each small swarm, of which the median counts [default: 3]
  --only PART   only a part with this in its name: peers, pieces, neighbors, targets;
                then no file in docs/ is written";

/// What is to be run.
pub struct Options {
    /// How often.
    pub runs: usize,
    only: Vec<String>,
}

impl Options {
    /// `None`: help was wanted, and given.
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Summary<Option<Options>> {
        let mut options = Options { runs: 3, only: Vec::new() };
        while let Some(argument) = arguments.next() {
            let mut value =
                || arguments.next().ok_or_else(|| format!("{argument} needs a value\n\n{HELP}"));
            match argument.as_str() {
                // What cargo adds.
                "--bench" => {}
                "--runs" => options.runs = value()?.parse::<usize>()?.clamp(1, 100),
                "--only" => options.only.push(value()?.to_lowercase()),
                "-h" | "--help" => {
                    println!("{HELP}");
                    return Ok(None);
                }
                _ => return Err(format!("{argument} is not known\n\n{HELP}").into()),
            }
        }
        Ok(Some(options))
    }

    /// Whether this part is to be run.
    pub fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|word| part.contains(word.as_str()))
    }

    /// Whether nothing was left out.
    pub fn is_whole(&self) -> bool {
        self.only.is_empty()
    }
}
