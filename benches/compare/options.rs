//! The command line of the comparison.

use crate::Summary;

const HELP: &str = "\
cargo bench --locked --bench compare -- [--rounds N] [--only WORK]...

  --rounds N    how often each client does each work; the medians count [default: 5]
  --only WORK   only work with this in its name; then no file in docs/ is written

PIECEMEAL_BENCH_DIR     where the data goes [default: /dev/shm, or else the temporary folder]
PIECEMEAL_BENCH_PREFIX  where benches/install.sh put an optimized rqbit [default: target/bench-clients]";

/// What is to be run.
pub struct Options {
    /// How often.
    pub rounds: usize,
    only: Vec<String>,
}

impl Options {
    /// `None`: help was wanted, and given.
    pub fn parse(arguments: &[String]) -> Summary<Option<Options>> {
        let mut options = Options { rounds: 5, only: Vec::new() };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value =
                || arguments.next().ok_or_else(|| format!("{argument} needs a value\n\n{HELP}"));
            match argument.as_str() {
                // What cargo adds.
                "--bench" => {}
                "--rounds" => options.rounds = value()?.parse::<usize>()?.max(1),
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

    /// Whether this work is to be done.
    pub fn wants(&self, work: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| work.to_lowercase().contains(part))
    }

    /// Whether nothing was left out.
    pub fn is_whole(&self) -> bool {
        self.only.is_empty()
    }
}
