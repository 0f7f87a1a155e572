//! Tokens: whoever wants to be written down must first have asked, from the same address.
//!
//! Anybody can send a datagram with a false sender. If an `announce_peer` were believed as it is,
//! one stranger could write a victim's address into ten thousand nodes, and whole swarms would dial
//! it. So an answer to `get_peers` contains a token, and `announce_peer` must bring it back. It
//! reaches only an address that really receives datagrams.
//!
//! We do not remember whom we have given one. A token is a hash of the address and a secret, so we
//! can make it a second time and compare. The secret changes every five minutes. The one before is
//! valid as well, so a token is good for five to ten minutes (BEP 5).

use std::net::IpAddr;
use std::time::{Duration, Instant};

use sha1::{Digest, Sha1};

/// How long a secret is used for new tokens.
pub const ROTATION: Duration = Duration::from_secs(5 * 60);
/// The length of a token in bytes. A guess is right once in 2^64.
pub const LENGTH: usize = 8;

/// A secret. It is never sent, nor saved.
pub type Secret = [u8; 16];

/// Makes tokens, and knows them again.
#[derive(Debug)]
pub struct Tokens {
    secret: Secret,
    previous: Secret,
    /// When the secret was made.
    since: Instant,
}

impl Tokens {
    /// Starts with two random secrets: nobody has a token of the previous one.
    pub fn new(now: Instant, dice: &mut impl FnMut() -> Secret) -> Tokens {
        Tokens { secret: dice(), previous: dice(), since: now }
    }

    /// Makes a new secret if the present one is five minutes old. To be called before each use.
    pub fn rotate(&mut self, now: Instant, dice: &mut impl FnMut() -> Secret) {
        let age = now.saturating_duration_since(self.since);
        if age < ROTATION {
            return;
        }
        // Dated back to when it was due: if nobody asks for nine minutes, the secret before must
        // not count for another five. After ten, it is too old to be the previous one.
        (self.previous, self.since) =
            if age < 2 * ROTATION { (self.secret, self.since + ROTATION) } else { (dice(), now) };
        self.secret = dice();
    }

    /// Returns the token for an address.
    pub fn token(&self, ip: IpAddr) -> Vec<u8> {
        made(&self.secret, ip)
    }

    /// Whether this is the token for an address, of this secret or the previous one.
    pub fn knows(&self, token: &[u8], ip: IpAddr) -> bool {
        [&self.secret, &self.previous].into_iter().any(|secret| made(secret, ip) == token)
    }
}

/// The IP alone counts, without the port: a router may give us another port for each datagram.
fn made(secret: &Secret, ip: IpAddr) -> Vec<u8> {
    let mut hash = Sha1::new();
    // The secret comes last. In front, SHA-1 would let one who knows a token make those of longer
    // inputs; all of ours have one of two lengths, so here it is only a habit.
    match ip {
        IpAddr::V4(ip) => hash.update(ip.octets()),
        IpAddr::V6(ip) => hash.update(ip.octets()),
    }
    hash.update(secret);
    let mut token = hash.finalize().to_vec();
    token.truncate(LENGTH);
    token
}
