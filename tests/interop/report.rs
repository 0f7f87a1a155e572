//! The table at the end of each test: every download, whatever became of it.

use std::sync::Mutex;
use std::time::Duration;

/// Collects rows from many threads; prints them when it goes, panic or not.
pub struct Report {
    title: &'static str,
    rows: Mutex<Vec<Row>>,
}

struct Row {
    client: String,
    fixture: String,
    how: String,
    elapsed: Option<Duration>,
    bytes: Option<u64>,
    result: String,
    failed: bool,
}

impl Report {
    pub fn new(title: &'static str) -> Self {
        Self { title, rows: Mutex::default() }
    }

    /// A download, or a resumption of one, that ended as it should or did not.
    pub fn done(&self, client: &str, fixture: &str, how: &str, bytes: u64, outcome: Result<(Duration, String), String>) {
        let (elapsed, result, failed) = match outcome {
            Ok((elapsed, note)) => (Some(elapsed), note, false),
            Err(error) => (None, format!("FAILED: {error}"), true),
        };
        self.push(Row {
            client: client.to_owned(),
            fixture: fixture.to_owned(),
            how: how.to_owned(),
            elapsed,
            bytes: (!failed).then_some(bytes),
            result,
            failed,
        });
    }

    /// Something that was expected not to work, and why.
    pub fn refused(&self, client: &str, fixture: &str, why: &str) {
        self.push(Row {
            client: client.to_owned(),
            fixture: fixture.to_owned(),
            how: String::new(),
            elapsed: None,
            bytes: None,
            result: format!("refused, as known: {why}"),
            failed: false,
        });
    }

    /// Ends the test: it fails if any row did.
    pub fn finish(self) {
        let failures = self.rows.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let failures = failures.iter().filter(|row| row.failed).count();
        assert!(failures == 0, "{}: {failures} failed, see the table", self.title);
    }

    fn push(&self, row: Row) {
        self.rows.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(row);
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        let rows = self.rows.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner());
        println!("\n{}", self.title);
        println!("{:<20} {:<20} {:<18} {:>8} {:>11}  result", "client", "fixture", "how", "seconds", "bytes");
        for row in rows {
            let elapsed = row.elapsed.map_or(String::new(), |elapsed| format!("{:.2}", elapsed.as_secs_f64()));
            let bytes = row.bytes.map_or(String::new(), |bytes| bytes.to_string());
            let (client, fixture, how) = (&row.client, &row.fixture, &row.how);
            println!("{client:<20} {fixture:<20} {how:<18} {elapsed:>8} {bytes:>11}  {}", row.result);
        }
    }
}
