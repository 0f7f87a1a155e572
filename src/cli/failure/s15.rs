//! What to do about a download that fails. (stage 15)

use crate::cli::exit_codes::{NO_PEER, TRACKER, stopped};
use crate::cli::failure::Failure;
use piecemeal::s02_metainfo::MetainfoError;
use piecemeal::s15_swarm::SwarmError;
use piecemeal::s15_swarm::failure_report::FailureReport;

/// Returns the advice for a download that gave up.
fn next_step(standing: &FailureReport) -> &'static str {
    match standing {
        _ if standing.has_some() => {
            "verified pieces are kept: the same command resumes; --peer HOST:PORT adds a peer"
        }
        _ if standing.no_tracker() => "give a peer with --peer HOST:PORT, or try again later",
        FailureReport { sources: 0, .. } => {
            "give a peer with --peer HOST:PORT, or take a torrent with a tracker"
        }
        FailureReport { known: 0, trackers: 0, .. } => {
            "check the address, or give another peer with --peer HOST:PORT"
        }
        FailureReport { known: 0, .. } => {
            "others may come later: try the same again then, or give a peer with --peer HOST:PORT"
        }
        FailureReport { pieces: None, .. } => {
            "try the same again later, or give a peer that has all of it with --peer HOST:PORT"
        }
        _ => "try the same again later; --peer HOST:PORT adds a peer",
    }
}

impl From<SwarmError> for Failure {
    fn from(error: SwarmError) -> Failure {
        let (code, help) = match error {
            SwarmError::Storage(error) => return error.into(),
            SwarmError::Unusable(error) => {
                // An error of a later stage has advice of its own.
                let is_advised = matches!(error, MetainfoError::Other(_));
                let failure = Failure::from(error).about("the info dictionary");
                if is_advised {
                    return failure;
                }
                return failure
                    .help("every peer has the same one; look for another torrent or link");
            }
            SwarmError::Stopped => (stopped(), "the same command resumes where it stopped"),
            SwarmError::NoHope { ref what, ref standing } => {
                let code = if standing.no_tracker() { TRACKER } else { NO_PEER };
                return Failure::new(code, format!("{what}: {standing}"))
                    .help(next_step(standing))
                    .see("15-swarm");
            }
        };
        Failure::new(code, error).help(help).see("15-swarm")
    }
}
