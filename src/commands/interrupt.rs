//! Ctrl-C, for work that is to end in good order. (stage 10)

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::failure::{Failure, INTERRUPTED, OTHER};

/// A flag that Ctrl-C sets. The first one ends the work politely, the second at once.
pub fn interrupt() -> Result<Arc<AtomicBool>, Failure> {
    static PRESSED: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    if let Some(pressed) = PRESSED.get() {
        return Ok(Arc::clone(pressed));
    }
    let pressed = PRESSED.get_or_init(Arc::default);
    let handler = ctrlc::set_handler(|| {
        if pressed.swap(true, Ordering::SeqCst) {
            crate::progress::wipe();
            std::process::exit(i32::from(INTERRUPTED));
        }
    });
    handler.map_err(|error| {
        Failure::new(OTHER, format!("Ctrl-C cannot be handled: {error}")).help("start it from another terminal")
    })?;
    Ok(Arc::clone(pressed))
}
