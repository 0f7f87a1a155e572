//! What a fake holds against the code under test, and how the test's thread comes to know it.
//!
//! A fake runs on a thread of its own. A panic there prints a line that names no test, and then the
//! test fails with words about something else. So a script returns a [`Verdict`], and the test's
//! thread raises it. `insist!`, `insist_eq!` and [`Must::must`] are for scripts what `assert!`,
//! `assert_eq!` and `expect` are for a test.

use super::LIMIT;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// What a script came to.
pub type Verdict<T = ()> = Result<T, Complaint>;

/// The words of a fake that ends its script, and the place in the script.
#[derive(Debug, Clone)]
pub struct Complaint {
    words: String,
    place: &'static Location<'static>,
}

impl Complaint {
    #[track_caller]
    pub fn new(words: impl Into<String>) -> Complaint {
        Complaint { words: words.into(), place: Location::caller() }
    }

    /// What is wrong, without the place.
    pub fn words(&self) -> &str {
        &self.words
    }

    /// Fails the test.
    #[track_caller]
    pub fn raise(self) -> ! {
        panic!("{self}")
    }

    /// The complaint in an error, where a script's errors are those of a stream.
    pub fn of(error: &io::Error) -> Option<Complaint> {
        error.get_ref()?.downcast_ref::<Complaint>().cloned()
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "{}\n  in the script at {}", self.words, self.place)
    }
}

impl std::error::Error for Complaint {}

impl From<Complaint> for io::Error {
    fn from(complaint: Complaint) -> io::Error {
        io::Error::other(complaint)
    }
}

impl From<io::Error> for Complaint {
    #[track_caller]
    fn from(error: io::Error) -> Complaint {
        let place = Location::caller();
        error.downcast().unwrap_or_else(|error: io::Error| Complaint {
            words: format!("the script could not go on: {error}"),
            place,
        })
    }
}

/// Whether the other side has hung up: any error but a complaint, which is handed on.
pub fn has_hung_up<T>(result: io::Result<T>) -> Verdict<bool> {
    match result.map_err(|error| Complaint::of(&error)) {
        Ok(_) => Ok(false),
        Err(None) => Ok(true),
        Err(Some(complaint)) => Err(complaint),
    }
}

/// For what a script needs in order to go on.
pub trait Must<T> {
    /// Returns the value, or a complaint in these words.
    fn must(self, words: &str) -> Verdict<T>;
}

impl<T> Must<T> for Option<T> {
    #[track_caller]
    fn must(self, words: &str) -> Verdict<T> {
        match self {
            Some(value) => Ok(value),
            None => Err(Complaint::new(words)),
        }
    }
}

impl<T, E: fmt::Debug> Must<T> for Result<T, E> {
    #[track_caller]
    fn must(self, words: &str) -> Verdict<T> {
        match self {
            Ok(value) => Ok(value),
            Err(error) => Err(Complaint::new(format!("{words}: {error:?}"))),
        }
    }
}

/// Ends the script with a complaint, unless this holds.
macro_rules! insist {
    ($holds:expr $(,)?) => {
        $crate::support::insist!($holds, "it must be true that {}", stringify!($holds))
    };
    ($holds:expr, $($words:tt)+) => {
        if !$holds {
            return Err($crate::support::Complaint::new(format!($($words)+)).into());
        }
    };
}

/// Ends the script with a complaint, unless the first is equal to the second.
macro_rules! insist_eq {
    ($found:expr, $expected:expr $(,)?) => {
        $crate::support::insist_eq!($found, $expected, "{}", stringify!($found))
    };
    ($found:expr, $expected:expr, $($words:tt)+) => {
        match (&$found, &$expected) {
            (found, expected) => $crate::support::insist!(
                *found == *expected,
                "{}: expected {expected:?}, found {found:?}",
                format_args!($($words)+)
            ),
        }
    };
}

pub(crate) use {insist, insist_eq};

/// A script on a thread of its own.
pub struct Script<T = ()>(Receiver<thread::Result<Verdict<T>>>);

impl<T: Send + 'static> Script<T> {
    pub fn start(script: impl FnOnce() -> Verdict<T> + Send + 'static) -> Script<T> {
        Script(on_a_thread(script))
    }

    /// Waits for its end, and returns what it came to. A complaint fails the test.
    #[track_caller]
    pub fn verdict(self) -> T {
        match result(&self.0, LIMIT) {
            Ok(value) => value,
            Err(complaint) => complaint.raise(),
        }
    }
}

/// Returns what `work` does; fails the test if that is not done within this time. A panic of the
/// code under test becomes the test's own.
#[track_caller]
pub fn within<T: Send + 'static>(time: Duration, work: impl FnOnce() -> T + Send + 'static) -> T {
    result(&on_a_thread(work), time)
}

/// Returns what `work` does; fails the test if that hangs.
#[track_caller]
pub fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    within(LIMIT, work)
}

/// Runs this on a thread that has the name of the test's, so that a panic names the test.
fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Receiver<thread::Result<T>> {
    let (done, result) = mpsc::channel();
    let name = thread::current().name().unwrap_or("a test").to_owned();
    thread::Builder::new()
        .name(name)
        .spawn(move || drop(done.send(catch_unwind(AssertUnwindSafe(work)))))
        .expect("the system has room for a thread");
    result
}

#[track_caller]
fn result<T>(done: &Receiver<thread::Result<T>>, time: Duration) -> T {
    match done.recv_timeout(time) {
        Ok(Ok(value)) => value,
        Ok(Err(panic)) => resume_unwind(panic),
        Err(RecvTimeoutError::Timeout) => panic!("after {} s it goes on: it hangs", time.as_secs()),
        Err(RecvTimeoutError::Disconnected) => unreachable!("it sends before it ends"),
    }
}
