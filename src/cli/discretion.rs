//! Hides passkeys and passwords, unless the user asks for them. (stage 3)

use std::sync::atomic::{AtomicBool, Ordering};

use piecemeal::s03_tracker::secrets;

/// Whether secrets are shown: with `--show-secrets`, or if the answer repeats what was typed.
static SHOWN: AtomicBool = AtomicBool::new(false);

/// Shows secrets from now on.
pub fn show() {
    SHOWN.store(true, Ordering::Relaxed);
}

/// Whether secrets are hidden.
pub fn wanted() -> bool {
    !SHOWN.load(Ordering::Relaxed)
}

/// Returns the text without its secrets.
pub fn hide(text: &str) -> String {
    secrets::hide(text)
}
