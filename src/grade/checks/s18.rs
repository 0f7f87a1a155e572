//! Stage 18: UDP trackers, asked by `peers`, and `scrape`.

mod book;
mod packets;
mod requests;
mod scrapes;

use crate::grade::check::Check;

const UDP: &str = "BEP 15";
const SCRAPE: &str = "BEP 48";
/// The checks with a good tracker.
const GOOD: &str = "18.1";
const SCRAPED: &str = "18.10";

/// The checks of stage 18.
pub const CHECKS: &[Check] = &[
    Check::new("18.1", "connects, then announces: the peers", UDP, requests::peers_of).points(2),
    Check::new("18.2", "transaction ids are random", UDP, requests::transaction_ids),
    Check::new("18.3", "an announce is 98 bytes, each field in its place", UDP, requests::fields)
        .points(2),
    Check::new("18.4", "a packet that is lost is sent again", UDP, packets::lost),
    Check::new("18.5", "a wrong transaction id: the packet is ignored", UDP, packets::other_id),
    Check::new("18.6", "each tracker's own connection id", UDP, requests::own_connection),
    Check::new("18.7", "an error packet is told on stderr", UDP, packets::error).refusal(GOOD),
    Check::new("18.8", "a packet from another port is ignored", UDP, packets::forged),
    Check::new("18.9", "scrape: seeders, leechers, downloads", UDP, scrapes::udp).points(2),
    Check::new("18.10", "scrape over HTTP: announce becomes scrape", SCRAPE, scrapes::http)
        .points(2),
    Check::new("18.11", "a tracker that has no scrape URL is refused", SCRAPE, scrapes::no_url)
        .refusal(SCRAPED),
    Check::new("18.12", "a tracker that says nothing: over in 20 s", UDP, packets::silence)
        .refusal(GOOD),
    Check::new("18.13", "packets that are too short are ignored", UDP, packets::short),
    Check::new("18.14", "a packet that comes twice does no harm", UDP, packets::twice),
    Check::new(
        "18.15",
        "the HTTP tracker is down: the UDP one is asked",
        "BEP 12",
        requests::mixed,
    ),
    Check::new("18.16", "an answer with 200 peers", UDP, packets::many),
];
