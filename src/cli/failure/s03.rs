//! What to do about trackers that give no answer. (stage 3)

use crate::cli::exit_codes::TRACKER;
use crate::cli::failure::Failure;
use piecemeal::s03_tracker::TrackerError;

impl From<TrackerError> for Failure {
    fn from(error: TrackerError) -> Failure {
        let help = match error {
            TrackerError::Failure { .. } => {
                "the tracker may not know this torrent; --peer HOST:PORT does without it"
            }
            TrackerError::Scheme { .. } => {
                "use a torrent with an http tracker, or give a peer with --peer HOST:PORT"
            }
            TrackerError::TimedOut => {
                "allow more time with --timeout SECONDS, or give a peer with --peer HOST:PORT"
            }
            TrackerError::Status(_) => {
                "try again later, or check the URL; --peer HOST:PORT does without a tracker"
            }
            TrackerError::OffLimits(_) => {
                "get the torrent from a source you trust, or give a peer with --peer HOST:PORT"
            }
            TrackerError::Bencode(_) | TrackerError::Answer { .. } | TrackerError::TooLong(_) => {
                "that may not be a tracker; check the URL, or give a peer with --peer HOST:PORT"
            }
            _ => {
                "check the URL, and whether the tracker is up; or give a peer with --peer HOST:PORT"
            }
        };
        Failure::new(TRACKER, error).help(help).see("03-tracker")
    }
}
