//! Before there are pieces: a magnet link's peers, until one has brought the info
//! dictionary.
//!
//! Up to four peers are asked at a time; the others keep their connections and
//! wait. When it is there, all of them go on as peers of the download, and read what
//! their peers have said meanwhile: bitfields, haves, an unchoke.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Ended, Note, Swarm};
use crate::s05_messages::Message;
use crate::s05_messages::connection::{Connection, HANDSHAKE_TIME};
use crate::s07_extension::{EXTENDED, EXTENSION_BIT, Extensions, exchange_extensions};
use crate::s08_metadata::{MetadataError, NAME, fetch_metadata};
use crate::s12_session::IDLE_TIMEOUT;
use crate::s12_session::host::{SessionEnd, Torrent};

/// How many peers are asked for the info dictionary at the same time.
const FETCHES: usize = 4;
/// How often a waiting thread looks whether the info dictionary is there.
const TICK: Duration = Duration::from_millis(100);
/// How long one peer may take for all of the info dictionary.
const FETCH_TIME: Duration = Duration::from_secs(600);

/// Returns when the torrent is known, from this peer or another; `None` if the
/// swarm is over.
pub(super) fn learn(
    swarm: &Swarm,
    connection: &mut Connection,
    extensions: &mut Extensions,
) -> Result<Option<Arc<Torrent>>, Ended> {
    connection.set_deadline(Instant::now() + HANDSHAKE_TIME);
    if connection.theirs.has_bit(EXTENSION_BIT) {
        match exchange_extensions(connection, extensions) {
            // It cannot give the info dictionary, but pieces later.
            Err(error) if error.is_unreadable() => extensions.pass_over_all(&error),
            other => other?,
        }
    }
    let over = || swarm.host.is_stopping() || swarm.torrent.get().is_some();
    let (mut tries, mut done, mut waiting) = (0, false, None);
    let mut told = None;
    let mut heard = Instant::now();
    loop {
        // Before the ways out, so that no note on what was heard last is lost.
        swarm.host.report_passed_over(connection.peer, extensions);
        if swarm.host.is_stopping() {
            return Ok(None);
        }
        if let Some(torrent) = swarm.torrent.get() {
            connection.input.replay();
            return Ok(Some(Arc::clone(torrent)));
        }
        let offers = extensions.theirs.id(NAME).is_some() && extensions.theirs.said.metadata_size.is_some();
        let lacks = lacks(connection, offers, done);
        if lacks != told {
            told = lacks;
            swarm.note(Note::Lacks(connection.peer, lacks));
        }
        if offers && !done {
            if let Some(place) = Place::take(swarm, tries == 0) {
                waiting = None;
                tries += 1;
                let gives_way = || over() || place.is_wanted();
                match fetch_metadata(connection, extensions, swarm.info_hash, Instant::now() + FETCH_TIME, &gives_way) {
                    Ok(Some(info)) => {
                        done = true;
                        swarm.note(Note::Metadata(Box::new(info)));
                    }
                    Ok(None) => {}
                    // It may still have pieces for us later.
                    Err(MetadataError::Rejected { .. }) => done = true,
                    Err(error) => return Err(error.into()),
                }
                heard = Instant::now();
            } else if tries == 0 && waiting.is_none() {
                waiting = Some(Waiting::new(swarm));
            }
        }
        if heard.elapsed() > IDLE_TIMEOUT {
            return Err(SessionEnd::Slow("it said nothing for 180 s").into());
        }
        if wait(connection, extensions)? {
            heard = Instant::now();
        }
    }
}

/// Why the info dictionary will not come from a peer, as far as is known.
fn lacks(connection: &Connection, offers: bool, done: bool) -> Option<&'static str> {
    match () {
        () if !connection.theirs.has_bit(EXTENSION_BIT) => Some("it does not speak the extension protocol (BEP 10)"),
        () if !offers => Some("it does not offer the info dictionary (BEP 9)"),
        () if done => Some("it refuses to give the info dictionary"),
        () => None,
    }
}

/// Takes in one message, or a moment of nothing (`false`).
fn wait(connection: &mut Connection, extensions: &mut Extensions) -> Result<bool, Ended> {
    connection.set_deadline(Instant::now() + TICK);
    let mut answers = Vec::new();
    match connection.input.read() {
        Ok(Message::Unknown { id: EXTENDED, payload }) => drop(extensions.hear(payload, &mut answers)?),
        Ok(Message::KeepAlive | Message::Unknown { .. }) => {}
        Ok(_) => connection.input.put_aside()?,
        Err(error) if error.is_timeout() => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    connection.set_deadline(Instant::now() + HANDSHAKE_TIME);
    connection.send_bytes(&answers)?;
    Ok(true)
}

/// Who fetches, and how many that have not had a try wait for it.
#[derive(Default)]
pub(super) struct Fetching {
    running: usize,
    waiting: usize,
}

/// How many peers are being asked for the info dictionary.
pub(super) fn asked(swarm: &Swarm) -> usize {
    lock(swarm).running
}

fn lock(swarm: &Swarm) -> MutexGuard<'_, Fetching> {
    swarm.fetching.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One of the [`FETCHES`] places, given back when dropped. A peer that drips, or has
/// offered far more than there is, must not keep it from those who could be done soon:
/// who has had a try comes behind those who have not.
struct Place<'s> {
    swarm: &'s Swarm,
    since: Instant,
}

impl Place<'_> {
    fn take(swarm: &Swarm, first_try: bool) -> Option<Place<'_>> {
        let mut fetching = lock(swarm);
        let free = fetching.running < FETCHES && (first_try || fetching.waiting == 0);
        free.then(|| {
            fetching.running += 1;
            Place { swarm, since: Instant::now() }
        })
    }

    /// Whether it has been held long enough, and others wait.
    fn is_wanted(&self) -> bool {
        self.since.elapsed() > self.swarm.place_time && lock(self.swarm).waiting > 0
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        lock(self.swarm).running -= 1;
    }
}

/// A first try that waits for a place.
struct Waiting<'s>(&'s Swarm);

impl Waiting<'_> {
    fn new(swarm: &Swarm) -> Waiting<'_> {
        lock(swarm).waiting += 1;
        Waiting(swarm)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        lock(self.0).waiting -= 1;
    }
}
