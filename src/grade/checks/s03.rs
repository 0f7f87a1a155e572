//! Stage 3: `peers TORRENT` asks the trackers for peers.

mod answers;
mod requests;

use crate::grade::check::Check;

const TRACKERS: &str = "BEP 3, trackers";
const COMPACT: &str = "BEP 23";
const TIERS: &str = "BEP 12";
/// The check with a good tracker, whose input differs from that of a refusal in one thing.
const GOOD: &str = "3.1";

/// The checks of stage 3.
pub const CHECKS: &[Check] = &[
    Check::new("3.1", "six bytes for each peer: address, then port", COMPACT, answers::compact)
        .points(2)
        .twin("discover peers"),
    Check::new("3.2", "info_hash is 20 raw bytes, percent-encoded", TRACKERS, requests::info_hash)
        .points(2),
    Check::new("3.3", "who asks, at which port, and what is left", TRACKERS, requests::parameters),
    Check::new("3.4", "a peer may have any byte: a newline, a space", COMPACT, answers::any_byte),
    Check::new("3.5", "peers in a list of dictionaries", TRACKERS, answers::dictionaries),
    Check::new("3.6", "nobody: no line, and no error", TRACKERS, answers::nobody).refusal(GOOD),
    Check::new("3.7", "a failure reason is told on stderr", TRACKERS, answers::failure)
        .refusal(GOOD),
    Check::new("3.8", "the tracker's URL has a ? of its own", TRACKERS, requests::own_query),
    Check::new("3.9", "the first tracker is down: the next tier", TIERS, requests::down),
    Check::new("3.10", "peers with IPv6 addresses, in peers6", "BEP 7", answers::peers6),
    Check::new("3.11", "a newline behind the answer", TRACKERS, answers::newline),
    Check::new("3.12", "31 bytes of peers are refused", COMPACT, answers::cut).refusal(GOOD),
    Check::new("3.13", "a web page with status 502 is refused", TRACKERS, answers::web_page)
        .refusal(GOOD),
    Check::new("3.14", "a tracker that says nothing: over in 7 s", TRACKERS, answers::silence)
        .refusal(GOOD),
    Check::new("3.15", "an answer without end is given up", TRACKERS, answers::flood).refusal(GOOD),
    Check::new("3.16", "a warning, and keys that you do not know", TRACKERS, answers::extras),
    Check::new("3.17", "the first tracker refuses: the next tier", TIERS, requests::refused),
    Check::new("3.18", "of several files, all bytes are left", TRACKERS, requests::several_files),
    Check::new("3.19", "an answer in small parts, of no known length", TRACKERS, answers::slowly),
];
