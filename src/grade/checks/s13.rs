//! Stage 13: `announce TORRENT` announces again and again, until Ctrl-C.

mod announcing;
mod departures;
mod repeats;

use crate::grade::check::Check;

const TRACKERS: &str = "BEP 3, trackers";
const TIERS: &str = "BEP 12";
/// The checks that a client passes which does nothing wrong, and does something.
const STARTED: &str = "13.1";
const AGAIN: &str = "13.3";
const STOPPED: &str = "13.4";

/// The checks of stage 13.
pub const CHECKS: &[Check] = &[
    Check::new("13.1", "the first announce: started, and the port", TRACKERS, repeats::started)
        .points(2),
    Check::new("13.2", "interval 1800: no further one within 4 s", TRACKERS, repeats::kept),
    Check::new("13.3", "announces again after the interval, no event", TRACKERS, repeats::again)
        .points(2),
    Check::new(
        "13.4",
        "Ctrl-C: says stopped, under the same peer id",
        TRACKERS,
        departures::stopped,
    )
    .points(2),
    Check::new("13.5", "nothing downloaded: never says completed", TRACKERS, departures::completed)
        .refusal(STOPPED),
    Check::new("13.6", "nothing downloaded: left stays the length", TRACKERS, departures::left),
    Check::new("13.7", "the first tracker refuses: the next tier", TIERS, departures::refused),
    Check::new("13.8", "whoever took started hears stopped", TIERS, departures::down),
    Check::new("13.9", "a tracker id is sent back", "BEP 3's wiki, tracker id", departures::id),
    Check::new("13.10", "after a refusal it does not ask without pause", TRACKERS, repeats::hasty)
        .refusal(STARTED),
    Check::new("13.11", "a tracker that comes back hears started", TRACKERS, repeats::comes_back),
    Check::new("13.12", "Ctrl-C, and a silent tracker: over in 4 s", TRACKERS, departures::silence)
        .refusal(STOPPED),
    Check::new("13.13", "interval 0: it does not ask without pause", TRACKERS, repeats::zero)
        .refusal(AGAIN),
];
