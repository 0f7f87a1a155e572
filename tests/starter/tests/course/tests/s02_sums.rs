//! Stage 2 from outside.

use piecemeal::s02_sums::{sum, twice};

#[test]
fn nothing_sums_up_to_nothing() {
    assert_eq!(sum(&[]), 0);
}

#[test]
fn twice_the_sum_of_one_and_two_is_six() {
    assert_eq!(twice(&[1, 2]), 6);
}
