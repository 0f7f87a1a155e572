//! The table at the end of each test: every download, whatever became of it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long it took and what there is to say of it, or what went wrong.
pub type Outcome = Result<(Duration, String), String>;

/// Collects rows from many threads; prints them when it goes, panic or not.
pub struct Report {
    title: &'static str,
    rows: Mutex<Vec<Row>>,
}

struct Row {
    client: String,
    fixture: &'static str,
    how: &'static str,
    bytes: u64,
    outcome: Outcome,
}

impl Report {
    pub fn new(title: &'static str) -> Self {
        Self { title, rows: Mutex::default() }
    }

    /// Adds a row.
    pub fn add(
        &self,
        client: &str,
        fixture: &'static str,
        how: &'static str,
        bytes: u64,
        outcome: Outcome,
    ) {
        let row = Row { client: client.to_owned(), fixture, how, bytes, outcome };
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).push(row);
    }

    /// Ends the test: it fails if any row did.
    pub fn finish(mut self) {
        let rows = self.rows.get_mut().unwrap_or_else(PoisonError::into_inner);
        let failures = rows.iter().filter(|row| row.outcome.is_err()).count();
        assert!(failures == 0, "{}: {failures} failed, see the table", self.title);
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        println!("\n{}", self.title);
        println!(
            "{:<28} {:<20} {:<18} {:>8} {:>11}  result",
            "client", "fixture", "how", "seconds", "bytes"
        );
        for row in self.rows.get_mut().unwrap_or_else(PoisonError::into_inner) {
            let (seconds, bytes, result) = match &row.outcome {
                Ok((elapsed, note)) => {
                    (format!("{:.2}", elapsed.as_secs_f64()), row.bytes.to_string(), note.clone())
                }
                Err(error) => (String::new(), String::new(), format!("FAILED: {error}")),
            };
            println!(
                "{:<28} {:<20} {:<18} {seconds:>8} {bytes:>11}  {result}",
                row.client, row.fixture, row.how
            );
        }
    }
}
