//! Stage 1 from outside.

use piecemeal::s01_numbers::words::spell;
use piecemeal::s01_numbers::{Counter, double, evens};

#[test]
fn twice_two_is_four() {
    assert_eq!(double(2), 4, "twice two");
}

#[test]
fn twice_nothing_is_nothing() {
    assert_eq!(double(0), 0);
}

#[test]
fn four_is_not_below_four() {
    assert_eq!(evens(4).collect::<Vec<_>>(), [0, 2]);
}

#[test]
fn a_counter_begins_with_one() {
    assert_eq!(Counter::default().take(3).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn three_has_no_word() {
    assert_eq!((spell(2), spell(3)), (Some("two"), None));
}
