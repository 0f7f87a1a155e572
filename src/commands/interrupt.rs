//! Ctrl-C and SIGTERM, for work that is to end in good order. (stage 10)

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

#[cfg(unix)]
use signal_hook::{consts::SIGTERM, flag};

use super::failure::{Failure, INTERRUPTED, OTHER};

/// A flag that Ctrl-C sets, or SIGTERM. The first one ends the work politely, the second at once.
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
    #[cfg(unix)]
    {
        // In this order: the first looks at the flag before the second sets it. Where they cannot
        // be registered, SIGTERM ends us at once, as it ends any program.
        let _ = flag::register_conditional_shutdown(SIGTERM, i32::from(INTERRUPTED), Arc::clone(pressed));
        let _ = flag::register(SIGTERM, Arc::clone(pressed));
    }
    Ok(Arc::clone(pressed))
}
