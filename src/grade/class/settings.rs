//! What a teacher sets for a class: `grade.toml` in the class's folder.
//!
//! ```toml
//! run = "python3 client.py"        # in place of each folder's ./run
//! build = "make"                   # before the first check
//! seconds = 240                    # for all checks of one student
//! seed = 7                         # the same contents in each run of the class
//!
//! [runs]                           # a line for a student
//! anna = "node client.js"
//!
//! [builds]
//! anna = "npm install --offline"
//!
//! [weights]                        # of a stage, or of a check: times the points of --list
//! 9 = 2
//! "9.4" = 0
//!
//! [hidden]                         # only their titles are shown before that day (UTC)
//! until = 2027-01-31
//! checks = ["5.3", "9"]
//! ```

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use toml::{Table, Value};

use crate::grade::check::Check;
use crate::grade::checks;

/// The name of the file.
pub const FILE: &str = "grade.toml";

/// How long all checks of one student may take, unless the file says otherwise.
const SECONDS: u64 = 240;

/// The most that the file may say.
const MAX_SECONDS: u64 = 24 * 3600;

/// The largest settings file that is read.
const MAX_FILE: u64 = 1 << 20;

/// The settings of a class.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The command of every student who has none of their own.
    pub run: String,
    /// The command that makes the program, if it has to be made.
    pub build: Option<String>,
    /// The commands of single students.
    pub runs: BTreeMap<String, String>,
    /// What makes the programs of single students.
    pub builds: BTreeMap<String, String>,
    /// The start of all dice, if it is always the same.
    pub seed: Option<u64>,
    /// The file itself.
    pub text: String,
    /// How long all checks of one student may take.
    pub time: Duration,
    /// How much a check counts, by its id or its stage.
    weights: BTreeMap<String, f64>,
    hidden: Option<HiddenUntil>,
}

#[derive(Debug, Clone)]
struct HiddenUntil {
    /// The day, as it is written.
    day: String,
    /// The day, counted from 1970-01-01.
    number: i64,
    checks: Vec<String>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            run: "./run".to_owned(),
            build: None,
            runs: BTreeMap::new(),
            builds: BTreeMap::new(),
            seed: None,
            text: String::new(),
            time: Duration::from_secs(SECONDS),
            weights: BTreeMap::new(),
            hidden: None,
        }
    }
}

impl Settings {
    /// Reads the settings of a class; without a file there are none.
    ///
    /// # Errors
    /// If the file cannot be read, or says what nobody understands: where, what was expected, and
    /// what was found.
    pub fn read(folder: &Path) -> Result<Settings, String> {
        let path = folder.join(FILE);
        let about = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
        let text = match std::fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Settings::default());
            }
            Ok(file) if file.len() > MAX_FILE => {
                return Err(about(&format!("{} bytes are too many for settings", file.len())));
            }
            _ => std::fs::read_to_string(&path).map_err(|error| about(&error))?,
        };
        Settings::parse(&text).map_err(|error| about(&error))
    }

    /// Reads settings from their text.
    ///
    /// # Errors
    /// As [`Settings::read`].
    pub fn parse(text: &str) -> Result<Settings, String> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            format!("line {line}: {}", error.message())
        })?;
        let mut settings = Settings { text: text.to_owned(), ..Settings::default() };
        for (key, value) in &table {
            match key.as_str() {
                "run" => settings.run = command(key, value)?,
                "build" => settings.build = Some(command(key, value)?),
                "seconds" => settings.time = seconds(value)?,
                "seed" => settings.seed = Some(seed(value)?),
                "runs" => settings.runs = commands(key, value)?,
                "builds" => settings.builds = commands(key, value)?,
                "weights" => {
                    for (id, value) in dictionary(key, value)? {
                        settings.weights.insert(known(key, id)?, weight(id, value)?);
                    }
                }
                "hidden" => settings.hidden = Some(hidden(dictionary(key, value)?)?),
                _ => {
                    return Err(format!(
                        "there is no setting {key:?}: there are run, build, seconds, seed, runs, builds, weights and hidden"
                    ));
                }
            }
        }
        Ok(settings)
    }

    /// Returns the command of a student.
    pub fn run_of(&self, name: &str) -> &str {
        self.runs.get(name).unwrap_or(&self.run)
    }

    /// Returns what makes the program of a student.
    pub fn build_of(&self, name: &str) -> Option<&str> {
        self.builds.get(name).or(self.build.as_ref()).map(String::as_str)
    }

    /// Returns a name in it that none of these students has, with its table.
    pub fn stranger<'a>(&'a self, is_known: impl Fn(&str) -> bool) -> Option<(&'a str, &'a str)> {
        let names = |table, names: &'a BTreeMap<String, String>| {
            names.keys().map(move |name| (table, name.as_str()))
        };
        let mut all = names("runs", &self.runs).chain(names("builds", &self.builds));
        all.find(|(_, name)| !is_known(name))
    }

    /// Returns how much a check counts.
    pub fn weight(&self, check: &Check) -> f64 {
        let of_stage = || self.weights.get(&check.stage().to_string());
        self.weights.get(check.id).or_else(of_stage).copied().unwrap_or(1.0)
    }

    /// Returns the day from which on everything is shown, and what is hidden until then, if it is
    /// not over.
    pub fn hidden_now(&self) -> Option<(String, impl Fn(&Check) -> bool)> {
        let today = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let today = i64::try_from(today / 86_400).unwrap_or(i64::MAX);
        let hidden = self.hidden.as_ref().filter(|hidden| today < hidden.number)?;
        Some((hidden.day.clone(), move |check: &Check| {
            let stage = check.stage().to_string();
            hidden.checks.iter().any(|id| id == check.id || *id == stage)
        }))
    }
}

fn command(key: &str, value: &Value) -> Result<String, String> {
    let line = value.as_str().map(str::trim).filter(|line| !line.is_empty());
    line.map(str::to_owned).ok_or_else(|| expected(key, "a command in quotes", value))
}

fn commands(key: &str, value: &Value) -> Result<BTreeMap<String, String>, String> {
    let lines = dictionary(key, value)?.iter();
    lines.map(|(name, line)| Ok((name.clone(), command(&format!("{key}.{name}"), line)?))).collect()
}

fn seed(value: &Value) -> Result<u64, String> {
    let seed = value.as_integer().and_then(|seed| u64::try_from(seed).ok());
    seed.ok_or_else(|| expected("seed", "a number from 0 on", value))
}

fn seconds(value: &Value) -> Result<Duration, String> {
    let seconds = value.as_integer().and_then(|seconds| u64::try_from(seconds).ok());
    seconds
        .filter(|seconds| (1..=MAX_SECONDS).contains(seconds))
        .map(Duration::from_secs)
        .ok_or_else(|| expected("seconds", &format!("1 to {MAX_SECONDS}"), value))
}

fn dictionary<'a>(key: &str, value: &'a Value) -> Result<&'a Table, String> {
    value.as_table().ok_or_else(|| expected(key, &format!("a table: [{key}]"), value))
}

fn weight(id: &str, value: &Value) -> Result<f64, String> {
    // TOML reads 9.4 = 2 as a table 9 with a 4 in it.
    if let Some((number, _)) = value.as_table().and_then(|table| table.iter().next()) {
        return Err(format!("weights: write \"{id}.{number}\" in quotes"));
    }
    let number = value.as_float().or_else(|| value.as_integer().map(|number| number as f64));
    number
        .filter(|number| (0.0..=1000.0).contains(number))
        .ok_or_else(|| expected(&format!("weights.{id}"), "a number from 0 to 1000", value))
}

/// Returns an id of a check or of a stage, if there is one.
fn known(key: &str, id: &str) -> Result<String, String> {
    let is_stage = || checks::all().any(|check| check.stage().to_string() == id);
    if checks::find(id).is_some() || is_stage() {
        Ok(id.to_owned())
    } else {
        Err(format!(
            "{key}: there is no check and no stage {id:?}; `piecemeal grade --list` has them all"
        ))
    }
}

fn hidden(table: &Table) -> Result<HiddenUntil, String> {
    let (mut until, mut checks) = (None, Vec::new());
    for (key, value) in table {
        match (key.as_str(), value) {
            ("until", Value::Datetime(time)) if time.date.is_some() => until = time.date,
            ("until", other) => return Err(expected("hidden.until", "a day: 2027-01-31", other)),
            ("checks", Value::Array(ids)) => {
                for id in ids {
                    let id = id.as_str().ok_or_else(|| {
                        expected("hidden.checks", "ids in quotes: [\"5.3\", \"9\"]", id)
                    })?;
                    checks.push(known("hidden.checks", id)?);
                }
            }
            ("checks", other) => return Err(expected("hidden.checks", "a list of ids", other)),
            _ => return Err(format!("hidden: there is no setting {key:?}, only until and checks")),
        }
    }
    let day = until.ok_or("hidden: until is missing: the day from which on they are shown")?;
    let number = days(i64::from(day.year), i64::from(day.month), i64::from(day.day));
    Ok(HiddenUntil { day: day.to_string(), number, checks })
}

fn expected(key: &str, what: &str, found: &Value) -> String {
    format!("{key}: expected {what}, found {found}")
}

/// Returns the number of a day, counted from 1970-01-01, in a calendar whose year begins in March:
/// there the leap day is the last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let century = year.div_euclid(100);
    365 * year + year.div_euclid(4) - century + century.div_euclid(4) + (153 * month + 2) / 5 + day
        - 719_469
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_as_the_calendar_does() {
        assert_eq!(days(1970, 1, 1), 0);
        assert_eq!(days(2000, 2, 29), 11_016);
        assert_eq!(days(2000, 3, 1), 11_017);
        assert_eq!(days(2026, 11, 30), 20_787);
    }
}
