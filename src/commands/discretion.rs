//! What is shown of passkeys and passwords: nothing, unless somebody asks. (stage 3)

use std::sync::atomic::{AtomicBool, Ordering};

use piecemeal::s03_tracker::secrets;

/// Whether secrets are shown: `--show-secrets`, or a command whose answer is what was typed in.
static SHOWN: AtomicBool = AtomicBool::new(false);

/// From now on, secrets are shown.
pub fn show() {
    SHOWN.store(true, Ordering::Relaxed);
}

/// Whether they are not.
pub fn wanted() -> bool {
    !SHOWN.load(Ordering::Relaxed)
}

/// Returns the text without its secrets.
pub fn hide(text: &str) -> String {
    secrets::hide(text)
}
