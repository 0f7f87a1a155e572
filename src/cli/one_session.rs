//! Runs a session with one peer on this thread. (stage 12)

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use piecemeal::s05_messages::connection::Connection;
use piecemeal::s07_extension::Extensions;
use piecemeal::s07_extension::dont_have::DontHave;
use piecemeal::s12_session::host::{Host, Report, SessionEnd, Torrent};
use piecemeal::s12_session::stats::PeerStats;
use piecemeal::s12_session::{self, Start};

use super::Options;
use super::exit_codes::{NO_PEER, stopped};
use super::failure::Failure;
use super::screen::progress::Progress;

const GOES_ON: &str = "the same command resumes from the verified pieces";

/// Downloads from the peer until nothing is missing.
pub fn run(
    connection: Connection,
    torrent: &Arc<Torrent>,
    stop: Arc<AtomicBool>,
    options: &Options,
) -> Result<(), Failure> {
    let (peer, length, done) = (connection.peer, torrent.queue.info().length, Arc::clone(&stop));
    let progress = Arc::new(Progress::new(options, "downloading", length));
    progress.start_at(length - torrent.queue.bytes_left());
    let bar = Arc::clone(&progress);
    let mut host = Host::new(move |report| match report {
        Report::Verified(left) => {
            bar.set(length - left);
            done.fetch_or(left == 0, Ordering::SeqCst);
        }
        Report::Choked(_, true) => bar.say(12, "the peer chokes us, and gives nothing for now"),
        Report::Choked(_, false) => {
            bar.say(9, "the peer unchokes us: now it answers requests for blocks, many at a time")
        }
        Report::PassedOver(_, what) => bar.say(7, &what),
        Report::Lied(..) => {} // there is only one peer
        Report::Corrupt(piece, _) => bar.news(12, &format!("piece {piece} had the wrong hash")),
    });
    host.stopping = stop;
    let start = Start {
        host: &Arc::new(host),
        torrent,
        number: 1,
        stats: &Arc::new(PeerStats::new(peer)),
        extensions: Extensions::new(vec![Box::new(DontHave)]),
        from_magnet: false,
    };
    let ended = s12_session::run(start, connection);
    progress.clear();
    let (_, _, verified) = torrent.queue.counts();
    let of_all =
        format!("{verified} of {} pieces are verified", torrent.queue.info().piece_count());
    match ended {
        _ if torrent.queue.is_complete() => Ok(()),
        Ok(()) => Err(Failure::new(stopped(), format!("stopped; {of_all}"))
            .help(GOES_ON)
            .see("12-session")),
        Err(SessionEnd::Local(error)) => Err(error.into()),
        Err(end) => {
            let help = format!("give another peer: {GOES_ON}");
            Err(Failure::new(NO_PEER, format!("{end}; {of_all}"))
                .about(peer)
                .help(help)
                .see("12-session"))
        }
    }
}
