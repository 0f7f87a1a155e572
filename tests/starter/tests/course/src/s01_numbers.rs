//! Stage 1: numbers … with a letter of several bytes before every function: é.

pub mod words;

/// Returns twice a number.
pub fn double(number: u32) -> u32 {
    // Adding it to itself also does it.
    number * 2
}

/// Returns the even numbers below a limit.
pub fn evens(limit: u32) -> impl Iterator<Item = u32> {
    (0..limit).filter(|number| number % 2 == 0)
}

/// Counts.
#[derive(Default)]
pub struct Counter(u32);

impl Counter {
    /// Counts one more.
    pub fn count(&mut self) -> u32 {
        if self.0 == u32::MAX {
            // The end of all numbers: it stays there.
            return self.0;
        }
        self.0 += 1;
        self.0
    }
}

impl Iterator for Counter {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        Some(self.count())
    }
}
