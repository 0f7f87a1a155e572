//! Parses the URL of a UDP tracker: `udp://HOST:PORT/PATH?QUERY`.
//!
//! The rules are those of an HTTP URL, but for one: there is no default port.

use super::UdpError;
use crate::s03_tracker::http::uri;

/// The longest path and query, in bytes. With its options and the 98 bytes before them, an announce
/// then stays below the 1,500 bytes of an Ethernet frame.
const MAX_PATH_LENGTH: usize = 1_000;

/// The parts of a tracker's URL. Nothing has been looked up yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// A name or an address; an IPv6 address without its brackets.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
    /// Path and query: `/announce?key=1`. Empty if the URL ends after the port.
    pub path: String,
}

impl Place {
    /// Parses a URL, whose scheme the caller has checked.
    ///
    /// # Errors
    /// If a part is missing or not allowed. The error says which.
    pub fn parse(url: &str) -> Result<Place, UdpError> {
        let wrong = |expected| UdpError::Url { expected };
        let url = uri(url);
        let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        // A user name and a password have no place in the protocol, so they are dropped.
        let authority = authority.rsplit('@').next().unwrap_or_default();
        let (host, port) = authority.rsplit_once(':').ok_or_else(|| wrong("a host and a port"))?;
        // `[::1]:80`. Without the brackets, a part of the address would be taken for the port.
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = bracketed.unwrap_or(host);
        if host.is_empty() || host.contains(['[', ']']) || bracketed.is_none() && host.contains(':')
        {
            return Err(wrong("a host name or address, IPv6 in brackets"));
        }
        // Rust's parser would also accept `+80`.
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port
            .parse()
            .ok()
            .filter(|port| digits && *port != 0)
            .ok_or_else(|| wrong("a port from 1 to 65535"))?;
        if path.len() > MAX_PATH_LENGTH {
            return Err(wrong("a path and query of at most 1000 bytes"));
        }
        Ok(Place { host: host.to_owned(), port, path: path.to_owned() })
    }
}
