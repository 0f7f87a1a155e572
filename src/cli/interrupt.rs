//! Signals that end the work in an orderly way: Ctrl-C, TERM and HUP. (stage 10)

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use super::failure::{Failure, HUNG_UP, INTERRUPTED, OTHER, TERMINATED};

/// The exit code of the first signal that came; 0 before that.
static FIRST: AtomicU8 = AtomicU8::new(0);

/// Returns a flag that a signal sets. The first signal ends the work politely; a second
/// one that is Ctrl-C ends the program at once.
///
/// Only Ctrl-C does, since it shows an impatient user. The other two come in pairs: a
/// terminal that closes sends HUP, and its shell sends another; systemd sends TERM and HUP.
pub fn interrupt() -> Result<Arc<AtomicBool>, Failure> {
    static STOP: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    if let Some(stop) = STOP.get() {
        return Ok(Arc::clone(stop));
    }
    let stop = STOP.get_or_init(Arc::default);
    let listening = on_signal(|code| {
        let _ = FIRST.compare_exchange(0, code, Ordering::SeqCst, Ordering::SeqCst);
        if stop.swap(true, Ordering::SeqCst) && code == INTERRUPTED {
            crate::progress::wipe();
            std::process::exit(i32::from(INTERRUPTED));
        }
    });
    listening.map_err(|error| {
        Failure::new(OTHER, format!("Ctrl-C cannot be handled: {error}"))
            .help("start it from another terminal")
    })?;
    Ok(Arc::clone(stop))
}

/// Returns the exit code for work that was stopped before its end.
pub fn stopped() -> u8 {
    match FIRST.load(Ordering::SeqCst) {
        0 => INTERRUPTED,
        code => code,
    }
}

/// Returns the exit code for work that has its answer although a signal ended it. Ctrl-C
/// is the normal end of `seed` and `tracker`, so it counts as success; the other signals
/// come from elsewhere, and the parent process may want to know.
pub fn answered() -> u8 {
    match FIRST.load(Ordering::SeqCst) {
        INTERRUPTED => 0,
        code => code,
    }
}

/// Calls `act` with the exit code of each signal, on a thread of its own.
#[cfg(unix)]
fn on_signal(act: impl Fn(u8) + Send + 'static) -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

    // `nohup` starts us with HUP ignored, and it must stay ignored.
    let signals = [SIGINT, SIGTERM, SIGHUP]
        .into_iter()
        .filter(|signal| *signal != SIGHUP || !ignored(*signal));
    let mut signals = signal_hook::iterator::Signals::new(signals)?;
    let listen = move || {
        signals.forever().for_each(|signal| {
            act(match signal {
                SIGTERM => TERMINATED,
                SIGHUP => HUNG_UP,
                _ => INTERRUPTED,
            });
        });
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(listen).map(drop)
}

/// Calls `act` on Ctrl-C. Windows has neither TERM nor HUP.
#[cfg(not(unix))]
fn on_signal(act: impl Fn(u8) + Send + 'static) -> io::Result<()> {
    ctrlc::set_handler(move || act(INTERRUPTED)).map_err(io::Error::other)
}

/// Whether a signal was ignored when we were started. Asking the system needs unsafe code,
/// but Linux also has it in a file. Elsewhere the answer is no.
#[cfg(unix)]
fn ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}
