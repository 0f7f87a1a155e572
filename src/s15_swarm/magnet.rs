//! The peers of a magnet link, until one of them has sent the info dictionary.
//!
//! At most four are asked for a small one at a time, and one for a large one. The other threads
//! keep their connections and wait. Once the info dictionary has come, all go on as sessions, and
//! first read what their peers have sent meanwhile: bitfields, haves, an unchoke.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Ended, Swarm, SwarmMessage};
use crate::s05_messages::Message;
use crate::s05_messages::connection::{Connection, HANDSHAKE_TIMEOUT};
use crate::s07_extension::{EXTENDED, EXTENSION_BIT, Extensions, exchange_extensions};
use crate::s08_metadata::{MetadataError, NAME, fetch_metadata, offered_size};
use crate::s12_session::IDLE_TIMEOUT;
use crate::s12_session::host::{SessionEnd, Torrent};

/// The number of peers that are asked for the info dictionary at the same time: for a small one,
/// and for a large one. Only the hash at the end shows which is genuine. Four liars that offer
/// 48 MiB each would otherwise make us keep 192 MiB.
const FETCHES: [usize; 2] = [4, 1];
/// The size in bytes from which an info dictionary counts as large. Most are far smaller.
const LARGE: usize = 2 << 20;
/// How many changes in what a peer lacks are reported. A peer can offer the info dictionary and
/// take the offer back with each message.
const MAX_TOLD: usize = 8;
/// The time after which a waiting thread checks again whether the info dictionary is there.
const TICK: Duration = Duration::from_millis(100);
/// The longest time for one peer to send the whole info dictionary.
const FETCH_TIMEOUT: Duration = Duration::from_secs(600);

/// Returns the torrent once it is known, from this peer or another; `None` if the swarm is over.
pub(super) fn fetch_info_first(
    swarm: &Swarm,
    connection: &mut Connection,
    extensions: &mut Extensions,
) -> Result<Option<Arc<Torrent>>, Ended> {
    connection.set_deadline(Instant::now() + HANDSHAKE_TIMEOUT);
    if connection.theirs.has_bit(EXTENSION_BIT) {
        match exchange_extensions(connection, extensions) {
            // The peer cannot give the info dictionary, but it can give pieces later.
            Err(error) if error.is_unreadable() => extensions.pass_over_all(&error),
            other => other?,
        }
    }
    let over = || swarm.host.is_stopping() || swarm.torrent.get().is_some();
    let (mut tries, mut done, mut waiting) = (0, false, None);
    let (mut told, mut changes) = (None, 0);
    let mut heard = Instant::now();
    loop {
        // Before any return, so that no report on the last message is lost.
        swarm.host.report_passed_over(connection.peer, extensions);
        if swarm.host.is_stopping() {
            return Ok(None);
        }
        if let Some(torrent) = swarm.torrent.get() {
            connection.input.replay();
            return Ok(Some(Arc::clone(torrent)));
        }
        let offers =
            extensions.theirs.id(NAME).is_some() && extensions.theirs.said.metadata_size.is_some();
        let lacks = lacks(connection, offers, done);
        if lacks != told && changes < MAX_TOLD {
            (told, changes) = (lacks, changes + 1);
            swarm.send(SwarmMessage::Lacks(connection.peer, lacks));
        }
        if offers && !done {
            let lane = usize::from(offered_size(extensions)? >= LARGE);
            if let Some(place) = Place::take(swarm, lane, tries == 0) {
                waiting = None;
                tries += 1;
                let gives_way = || over() || place.is_wanted();
                match fetch_metadata(
                    connection,
                    extensions,
                    swarm.info_hash,
                    Instant::now() + FETCH_TIMEOUT,
                    &gives_way,
                ) {
                    Ok(Some(info)) => {
                        done = true;
                        swarm.send(SwarmMessage::Metadata(Box::new(info)));
                    }
                    Ok(None) => {}
                    // The peer can still give pieces later.
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

/// Returns why a peer cannot give the info dictionary, as far as we know.
fn lacks(connection: &Connection, offers: bool, done: bool) -> Option<&'static str> {
    match () {
        () if !connection.theirs.has_bit(EXTENSION_BIT) => {
            Some("it does not speak the extension protocol (BEP 10)")
        }
        () if !offers => Some("it does not offer the info dictionary (BEP 9)"),
        () if done => Some("it refuses to give the info dictionary"),
        () => None,
    }
}

/// Handles one message. Returns `false` if none came in time.
fn wait(connection: &mut Connection, extensions: &mut Extensions) -> Result<bool, Ended> {
    connection.set_deadline(Instant::now() + TICK);
    let mut answers = Vec::new();
    match connection.input.read() {
        Ok(Message::Unknown { id: EXTENDED, payload }) => {
            drop(extensions.hear(payload, &mut answers)?)
        }
        Ok(Message::KeepAlive | Message::Unknown { .. }) => {}
        Ok(_) => connection.input.defer()?,
        Err(error) if error.is_timeout() => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    connection.set_deadline(Instant::now() + HANDSHAKE_TIMEOUT);
    connection.send_bytes(&answers)?;
    Ok(true)
}

/// The fetches of a small info dictionary, and those of a large one.
pub(super) type Fetching = [Lane; 2];

#[derive(Default)]
pub(super) struct Lane {
    running: usize,
    /// Peers that have not had a try.
    waiting: usize,
}

/// Returns the number of peers that are being asked for the info dictionary.
pub(super) fn asked(swarm: &Swarm) -> usize {
    lock(swarm).iter().map(|lane| lane.running).sum()
}

fn lock(swarm: &Swarm) -> MutexGuard<'_, Fetching> {
    swarm.fetching.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One of the [`FETCHES`], given back when dropped. A slow peer, or one that has offered far more
/// than there is, must not keep it from peers that could be quick. So a peer that has had a try
/// waits for those that have not.
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

    /// Whether it has been held for long enough, and others wait.
    fn is_wanted(&self) -> bool {
        self.since.elapsed() > self.swarm.place_time && lock(self.swarm)[self.lane].waiting > 0
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        lock(self.swarm)[self.lane].running -= 1;
    }
}

/// A peer that waits for its first try.
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
