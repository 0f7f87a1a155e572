//! Signals that end the work in an orderly way: Ctrl-C, TERM and HUP. (stage 10)

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::exit_codes::{HUNG_UP, INTERRUPTED, OTHER, TERMINATED, signal_came};
use super::failure::Failure;
use super::screen::terminal::wipe;

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
        signal_came(code);
        if stop.swap(true, Ordering::SeqCst) && code == INTERRUPTED {
            LAST_ACT.get().into_iter().for_each(|act| act());
            wipe();
            std::process::exit(i32::from(INTERRUPTED));
        }
    });
    listening.map_err(|error| {
        Failure::new(OTHER, format!("Ctrl-C cannot be handled: {error}"))
            .help("start it from another terminal")
    })?;
    Ok(Arc::clone(stop))
}

/// What is done before the program ends at once.
static LAST_ACT: OnceLock<fn()> = OnceLock::new();

/// Sets what is done before a second Ctrl-C ends the program: nothing that threads of ours own is
/// dropped then, and what we have started would outlive us. The first one who asks is heard.
pub fn before_a_sudden_end(act: fn()) {
    LAST_ACT.get_or_init(|| act);
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
