//! Before there are pieces: a magnet link's peers, until one has brought the info
//! dictionary.
//!
//! Up to four peers are asked at a time, and a fifth that offers a large one; the others
//! keep their connections and wait. When it is there, all of them go on as peers of the
//! download, and read what their peers have said meanwhile: bitfields, haves, an unchoke.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Ended, Note, Swarm};
use crate::s05_messages::Message;
use crate::s05_messages::connection::{Connection, HANDSHAKE_TIME};
use crate::s07_extension::{EXTENDED, EXTENSION_BIT, Extensions, exchange_extensions};
use crate::s08_metadata::{MetadataError, NAME, fetch_metadata, offered_size};
use crate::s12_session::IDLE_TIMEOUT;
use crate::s12_session::host::{SessionEnd, Torrent};

/// How many peers are asked for the info dictionary at the same time: small ones, and large ones.
/// Only the hash at the end shows which is genuine. Four liars that offer 48 MiB each would
/// otherwise have us keep 192 MiB.
const FETCHES: [usize; 2] = [4, 1];
/// From this size on, in bytes, an info dictionary is a large one. Most are far below it.
const LARGE: usize = 2 << 20;
/// How many changes in what a peer lacks are told. It can offer the info dictionary, and take that
/// back, with each message.
const MOST_TOLD: usize = 8;
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
    let (mut told, mut changes) = (None, 0);
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
        if lacks != told && changes < MOST_TOLD {
            (told, changes) = (lacks, changes + 1);
            swarm.note(Note::Lacks(connection.peer, lacks));
        }
        if offers && !done {
            let lane = usize::from(offered_size(extensions)? >= LARGE);
            if let Some(place) = Place::take(swarm, lane, tries == 0) {
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
                waiting = Some(Waiting::new(swarm, lane));
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

/// Who fetches, and how many that have not had a try wait for it: small ones, and large ones.
pub(super) type Fetching = [Lane; 2];

#[derive(Default)]
pub(super) struct Lane {
    running: usize,
    waiting: usize,
}

/// How many peers are being asked for the info dictionary.
pub(super) fn asked(swarm: &Swarm) -> usize {
    lock(swarm).iter().map(|lane| lane.running).sum()
}

fn lock(swarm: &Swarm) -> MutexGuard<'_, Fetching> {
    swarm.fetching.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One of the [`FETCHES`] places, given back when dropped. A peer that drips, or has
/// offered far more than there is, must not keep it from those who could be done soon:
/// who has had a try comes behind those who have not.
struct Place<'s> {
    swarm: &'s Swarm,
    lane: usize,
    since: Instant,
}

impl Place<'_> {
    fn take(swarm: &Swarm, lane: usize, first_try: bool) -> Option<Place<'_>> {
        let fetching = &mut lock(swarm)[lane];
        let free = fetching.running < FETCHES[lane] && (first_try || fetching.waiting == 0);
        free.then(|| {
            fetching.running += 1;
            Place { swarm, lane, since: Instant::now() }
        })
    }

    /// Whether it has been held long enough, and others wait.
    fn is_wanted(&self) -> bool {
        self.since.elapsed() > self.swarm.place_time && lock(self.swarm)[self.lane].waiting > 0
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        lock(self.swarm)[self.lane].running -= 1;
    }
}

/// A first try that waits for a place.
struct Waiting<'s>(&'s Swarm, usize);

impl Waiting<'_> {
    fn new(swarm: &Swarm, lane: usize) -> Waiting<'_> {
        lock(swarm)[lane].waiting += 1;
        Waiting(swarm, lane)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        lock(self.0)[self.1].waiting -= 1;
    }
}
