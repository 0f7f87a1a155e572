//! Asks peers as they are found, several at once, until one answers. (stage 4)

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use piecemeal::s03_tracker::reach::part;
use piecemeal::s04_handshake::race::first_answer;
use piecemeal::s04_handshake::transport::{Dial, Tcp};

use super::exit_codes::NO_PEER;
use super::failure::Failure;
use super::find_peers::{FoundPeers, GRACE, Search, nobody};

/// Returns the way to reach peers: TCP, perhaps with a wiretap.
pub fn dial() -> Arc<dyn Dial> {
    let mut dial: Arc<dyn Dial> = Arc::new(Tcp);
    super::tracing::dial(&mut dial); // plugged in
    dial
}

impl Search {
    /// Asks the peers, several at once, until one answers.
    pub fn ask<T, F>(self, deadline: Instant, ask: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: Fn(SocketAddr) -> Result<T, Failure> + Clone + Send + 'static,
    {
        let Search { peers, failures, say } = self;
        let refusing = Arc::clone(&failures);
        // Unsafe addresses are filtered here, not in the search: the command `peers` shows them
        // all.
        let peers = peers.into_iter().map(move |FoundPeers { by, addresses }| {
            let (dialed, told) = part(addresses, by);
            if let Some(told) = told {
                say.say(3, &told);
                refusing.lock().unwrap_or_else(PoisonError::into_inner).refused(told);
            }
            dialed
        });
        let ask = move |peer| {
            say.say(
                4,
                format!(
                    "dialing {peer}, to agree on the torrent by a handshake of 68 bytes each way"
                ),
            );
            let answer = ask(peer).map_err(|failure| failure.about(peer));
            answer.inspect_err(|failure| {
                say.say(
                    4,
                    format!("that leads nowhere, so another peer has to help: {}", failure.what()),
                )
            })
        };
        first_answer(peers, deadline + GRACE, ask).map_err(|tried| {
            let count = tried.len();
            let mut reasons: Vec<Failure> = tried.into_iter().map(|(_, failure)| failure).collect();
            // A wrong hash tells the user more than a closed port does.
            reasons.sort_by_key(|failure| failure.code);
            match reasons.pop() {
                Some(failure) if count > 1 => {
                    failure.about(format!("{count} peers were tried in vain; one of them"))
                }
                Some(failure) => failure,
                None if Instant::now() >= deadline => {
                    Failure::new(NO_PEER, "no peer answered in time")
                        .help("allow more time with --timeout SECONDS")
                        .see("03-tracker")
                }
                None => nobody(&failures),
            }
        })
    }
}
