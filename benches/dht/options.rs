//! The command line of a bench that makes a page of figures: how many runs, and of which parts.

use crate::Summary;

/// What is to be run.
pub struct Options {
    /// How often.
    pub runs: usize,
    only: Vec<String>,
}

impl Options {
    /// Reads it. Without `--runs` there are this many. `None`: help was wanted, and given.
    pub fn parse(
        mut arguments: impl Iterator<Item = String>,
        help: &str,
        runs: usize,
    ) -> Summary<Option<Options>> {
        let mut options = Options { runs, only: Vec::new() };
        while let Some(argument) = arguments.next() {
            let mut value =
                || arguments.next().ok_or_else(|| format!("{argument} needs a value\n\n{help}"));
            match argument.as_str() {
                // What cargo adds.
                "--bench" => {}
                "--runs" => options.runs = value()?.parse::<usize>()?.clamp(1, 200),
                "--only" => options.only.push(value()?.to_lowercase()),
                "-h" | "--help" => {
                    println!("{help}");
                    return Ok(None);
                }
                _ => return Err(format!("{argument} is not known\n\n{help}").into()),
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
