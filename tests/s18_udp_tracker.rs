//! Stage 18 from outside: packets byte by byte, a tracker that misbehaves, scraping, commands.
//!
//! The bytes that are expected are literals, after the tables of BEP 15, and the
//! tracker is the tests' own.

mod support;

mod s18_udp_tracker {
    mod announcing;
    mod commands;
    mod packets;
    mod scraping;
    mod trouble;
    mod urls;
}
