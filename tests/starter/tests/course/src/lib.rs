//! A course of two stages, as small as one can be: the starter's tests make starters of it.

pub mod s01_numbers;
pub mod s02_sums;

pub mod actors;

#[cfg(doctest)]
#[doc = include_str!("../docs/01-numbers.md")]
struct Chapter01;

#[cfg(doctest)]
#[doc = include_str!("../docs/02-sums.md")]
struct Chapter02;
