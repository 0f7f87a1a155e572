//! What was measured.

/// One run.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Seconds.
    pub wall: f64,
    /// Seconds, user and system.
    pub cpu: f64,
    /// MiB.
    pub peak: f64,
}

/// Wall, CPU, peak.
pub const VALUES: [fn(&Sample) -> f64; 3] =
    [|sample| sample.wall, |sample| sample.cpu, |sample| sample.peak];

/// One client's runs of one work.
pub struct Cell {
    pub client: String,
    pub samples: Vec<Sample>,
}

impl Cell {
    /// The median of one of the three.
    pub fn median(&self, value: fn(&Sample) -> f64) -> f64 {
        let mut values: Vec<f64> = self.samples.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        match values.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => values[middle],
            _ => f64::midpoint(values[middle - 1], values[middle]),
        }
    }
}

/// One work, and who did it.
pub struct Work {
    pub name: String,
    pub cells: Vec<Cell>,
}

/// Everything.
#[derive(Default)]
pub struct Table {
    pub works: Vec<Work>,
    /// What could not be run, and other things to know.
    pub notes: Vec<String>,
    /// Nanoseconds, by name.
    pub costs: Vec<(&'static str, f64)>,
}

impl Table {
    /// Adds one run.
    pub fn add(&mut self, work: &str, client: &str, sample: Sample) {
        eprintln!(
            "{work:44} {client:18} {:8.3} s {:8.3} s {:8.1} MiB",
            sample.wall, sample.cpu, sample.peak
        );
        let place = self.works.iter().position(|known| known.name == work).unwrap_or_else(|| {
            self.works.push(Work { name: work.into(), cells: Vec::new() });
            self.works.len() - 1
        });
        let cells = &mut self.works[place].cells;
        match cells.iter_mut().find(|cell| cell.client == client) {
            Some(cell) => cell.samples.push(sample),
            None => cells.push(Cell { client: client.into(), samples: vec![sample] }),
        }
    }

    /// Says something once.
    pub fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            eprintln!("{note}");
            self.notes.push(note);
        }
    }

    /// A work by its name.
    pub fn work(&self, name: &str) -> Option<&Work> {
        self.works.iter().find(|work| work.name == name)
    }

    /// A median.
    pub fn median(&self, work: &str, client: &str, value: fn(&Sample) -> f64) -> Option<f64> {
        let cell = self.work(work)?.cells.iter().find(|cell| cell.client == client)?;
        Some(cell.median(value))
    }

    /// The cost of a step of the work queue.
    pub fn cost(&self, name: &str) -> Option<f64> {
        self.costs.iter().find(|(known, _)| *known == name).map(|(_, cost)| *cost)
    }
}
