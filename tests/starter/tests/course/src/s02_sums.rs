//! Stage 2: sums.

use crate::s01_numbers::double;

/// Returns the sum of all numbers.
pub fn sum(numbers: &[u32]) -> u32 {
    numbers.iter().sum()
}

/// Returns twice the sum of all numbers.
pub fn twice(numbers: &[u32]) -> u32 {
    double(sum(numbers))
}
