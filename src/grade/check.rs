//! A check: one sentence about a client, and the function that finds out whether it is true.

use super::miss::Miss;
use super::scene::Scene;

/// What a check runs. `Err` says what was wrong.
pub type Finding = Result<(), Miss>;

/// One check. Its id never changes, so that reports of different times can be compared.
#[derive(Debug)]
pub struct Check {
    /// `4.1`: the stage, and a number in it.
    pub id: &'static str,
    /// What is true of a client that passes.
    pub title: &'static str,
    /// What it is worth.
    pub points: u32,
    /// Where the specification asks for it.
    pub clause: &'static str,
    /// The check with the same input without its one fault. This one counts only if that passed.
    pub control: Option<&'static str>,
    /// The stage of the public course that asks for the same.
    pub twin: Option<&'static str>,
    /// Whether it measures speed, and so runs while nothing else does.
    pub alone: bool,
    /// Finds out whether it is true.
    pub run: fn(&mut Scene) -> Finding,
}

impl Check {
    /// Returns a check that is worth one point.
    pub const fn new(
        id: &'static str,
        title: &'static str,
        clause: &'static str,
        run: fn(&mut Scene) -> Finding,
    ) -> Check {
        Check { id, title, points: 1, clause, control: None, twin: None, alone: false, run }
    }

    /// Sets what it is worth.
    pub const fn points(self, points: u32) -> Check {
        Check { points, ..self }
    }

    /// Makes it a refusal: it counts only if the check with this id has passed.
    pub const fn refusal(self, control: &'static str) -> Check {
        Check { control: Some(control), ..self }
    }

    /// Names the stage of the public course that asks for the same.
    pub const fn twin(self, stage: &'static str) -> Check {
        Check { twin: Some(stage), ..self }
    }

    /// Has it run while nothing else does.
    pub const fn alone(self) -> Check {
        Check { alone: true, ..self }
    }

    /// Returns the stage, which is also the number of the chapter.
    pub fn stage(&self) -> u8 {
        self.id.split('.').next().and_then(|stage| stage.parse().ok()).unwrap_or_default()
    }
}
