//! All checks, a file a stage. The ids never change.

mod peers;
mod s01;
mod s02;
mod s03;
mod s04;
mod s05;
mod s06;
mod s07;
mod s08;
mod s09;
mod s10;
mod s12;
mod s13;
mod s15;
mod s16;
mod s17;
mod s18;
mod s19;
mod s20;
mod s21;
mod s22;
mod s23;
mod s24;
mod trackers;

use super::check::Check;

/// The checks of each stage.
const STAGES: [&[Check]; 22] = [
    s01::CHECKS,
    s02::CHECKS,
    s03::CHECKS,
    s04::CHECKS,
    s05::CHECKS,
    s06::CHECKS,
    s07::CHECKS,
    s08::CHECKS,
    s09::CHECKS,
    s10::CHECKS,
    s12::CHECKS,
    s13::CHECKS,
    s15::CHECKS,
    s16::CHECKS,
    s17::CHECKS,
    s18::CHECKS,
    s19::CHECKS,
    s20::CHECKS,
    s21::CHECKS,
    s22::CHECKS,
    s23::CHECKS,
    s24::CHECKS,
];

/// Returns all checks, in order.
pub fn all() -> impl Iterator<Item = &'static Check> {
    STAGES.iter().flat_map(|checks| checks.iter())
}

/// Returns the check with this id.
pub fn find(id: &str) -> Option<&'static Check> {
    all().find(|check| check.id == id)
}
