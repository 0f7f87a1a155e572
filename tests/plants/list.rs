//! The list of plants, `tests/data/plants.txt`, and the source with one of them in it.

use std::path::Path;

/// A wrong solution, and what the test must say about it.
#[derive(Default)]
pub struct Plant {
    pub name: String,
    /// Below the crate.
    pub file: String,
    /// The test's target, and its name.
    pub test: (String, String),
    from: String,
    to: String,
    pub says: Vec<String>,
}

/// All plants, in order.
pub fn plants() -> Vec<Plant> {
    let mut plants: Vec<Plant> = Vec::new();
    let text = include_str!("../data/plants.txt");
    for (number, line) in (1..).zip(text.lines()) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("plant: ") {
            plants.push(Plant { name: name.to_owned(), ..Plant::default() });
        }
        let plant = plants.last_mut().expect("the first line names a plant");
        match line.split_once([' ', ':']).map(|(key, rest)| (key, rest.trim_start_matches(':'))) {
            Some(("plant", _)) => {}
            Some(("file", rest)) => plant.file = format!("src/{}", rest.trim()),
            Some(("test", rest)) => {
                let (target, name) = rest.trim().split_once(' ').expect("a target and a test");
                plant.test = (target.to_owned(), name.to_owned());
            }
            Some(("says", rest)) => plant.says.push(rest.trim_start().to_owned()),
            // The line is as it is in the file, after one blank.
            Some(("-", rest)) => plant.from += &format!("{rest}\n"),
            Some(("+", rest)) => plant.to += &format!("{rest}\n"),
            _ => panic!("tests/data/plants.txt:{number}: {line:?}"),
        }
    }
    plants
}

impl Plant {
    /// The text of its file with the plant in it.
    ///
    /// # Errors
    /// If the lines are not there, or more than once, or name no test.
    pub fn planted(&self, root: &Path) -> Result<String, String> {
        let read = |path: &str| {
            std::fs::read_to_string(root.join(path)).map_err(|error| format!("{path}: {error}"))
        };
        let text = read(&self.file)?;
        let times = text.matches(&self.from).count();
        if times != 1 || self.from.is_empty() || self.says.is_empty() {
            return Err(format!("{}: {}: its lines are there {times} times", self.name, self.file));
        }
        Ok(text.replace(&self.from, &self.to))
    }
}
