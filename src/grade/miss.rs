//! What was wrong, in words that help: what came, what was expected, and the likely cause.

/// The most lines of detail under the first.
pub const MAX_DETAILS: usize = 4;

/// Why a check was not passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Miss {
    /// What happened, in one line.
    pub what: String,
    /// Lines that show it: bytes with their offsets, expected and found.
    pub details: Vec<String>,
    /// The likely cause.
    pub hint: Option<String>,
    /// What is special about the check: a cause to name if the bytes of the client do not show a
    /// better one, and if it passes where nothing is special.
    pub guess: Option<String>,
    /// Whether it is worth half: right in what it did, wrong in how.
    pub half: bool,
}

impl Miss {
    /// Returns a miss that says what happened.
    pub fn new(what: impl Into<String>) -> Miss {
        Miss { what: what.into(), details: Vec::new(), hint: None, guess: None, half: false }
    }

    /// Adds a line that shows it.
    pub fn detail(mut self, line: impl Into<String>) -> Miss {
        self.details.push(line.into());
        self
    }

    /// Adds what was expected, and what was found.
    pub fn instead(self, expected: impl std::fmt::Display, found: impl std::fmt::Display) -> Miss {
        self.detail(format!("expected {expected}")).detail(format!("found    {found}"))
    }

    /// Adds the likely cause. The first one counts.
    pub fn likely(mut self, cause: impl Into<String>) -> Miss {
        self.hint.get_or_insert_with(|| cause.into());
        self
    }

    /// Adds a guess at the cause: what is special about this check. It counts only for a client
    /// that has broken no rule on the wire, and that passes the plain check. The first one counts.
    pub fn perhaps(mut self, cause: impl Into<String>) -> Miss {
        self.guess.get_or_insert_with(|| cause.into());
        self
    }

    /// Sets the likely cause, also if another was thought of before.
    pub fn rather(mut self, cause: impl Into<String>) -> Miss {
        (self.hint, self.guess) = (Some(cause.into()), None);
        self
    }

    /// Sets a guess at the cause, in place of what was thought of before.
    pub fn perhaps_rather(mut self, cause: impl Into<String>) -> Miss {
        (self.hint, self.guess) = (None, Some(cause.into()));
        self
    }

    /// Decides between the guess and the hint: whether the plain check is passed is known now.
    pub fn settled(mut self, passes_plain: bool) -> Miss {
        let guess = self.guess.take().filter(|_| passes_plain);
        self.hint = guess.or(self.hint);
        self
    }

    /// Makes it worth half.
    pub fn half(mut self) -> Miss {
        self.half = true;
        self
    }

    /// Returns the text without the hint, as one message for a report.
    pub fn message(&self) -> String {
        let lines = self.details.iter().take(MAX_DETAILS);
        lines.fold(self.what.clone(), |text, line| text + "\n" + line)
    }
}

/// Fails with a miss unless the condition holds.
///
/// # Errors
/// The miss.
pub fn ensure(condition: bool, miss: impl FnOnce() -> Miss) -> Result<(), Miss> {
    if condition { Ok(()) } else { Err(miss()) }
}

/// Returns the worst of several findings: the first that is worth nothing, or else one worth half.
/// What comes after the first that is worth nothing is not tried.
///
/// # Errors
/// The miss.
pub fn worst(findings: impl IntoIterator<Item = Result<(), Miss>>) -> Result<(), Miss> {
    let mut worst = Ok(());
    for finding in findings {
        match finding {
            Err(miss) if miss.half => worst = worst.and(Err(miss)),
            other => other?,
        }
    }
    worst
}
