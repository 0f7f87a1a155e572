//! Random pauses, to find tests that depend on which side is faster. Off unless
//! `PIECEMEAL_JITTER` is a number, the seed.
//!
//! The actors pause before and after each thing they send or
//! receive, and before each lock they take. Most pauses are zero and a few are long: a short
//! pause everywhere would only slow all sides down alike.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The longest pause.
const MAX_SLEEP: u64 = 20_000;
/// One call in this many pauses.
const ONE_IN: u64 = 8;

/// Sleeps up to 20 ms, now and then.
pub fn pause() {
    static SEED: LazyLock<Option<u64>> =
        LazyLock::new(|| std::env::var("PIECEMEAL_JITTER").ok()?.parse().ok());
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let Some(seed) = *SEED else { return };
    let dice = mixed(seed.wrapping_add(mixed(CALLS.fetch_add(1, Ordering::Relaxed))));
    if dice.is_multiple_of(ONE_IN) {
        std::thread::sleep(Duration::from_micros(dice / ONE_IN % MAX_SLEEP));
    }
}

/// Runs `act` with a pause before and after it, and returns its result.
pub fn around<T>(act: impl FnOnce() -> T) -> T {
    pause();
    let done = act();
    pause();
    done
}

/// Locks, with a pause before it, and one while the others wait.
///
/// A script that panics with the lock, as a test's may, does not make the others panic.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    around(|| mutex.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The last steps of SplitMix64: close numbers become far apart.
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}
