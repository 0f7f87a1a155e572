//! The peers of a magnet link, until one of them has sent the info dictionary.
//!
//! At most four at a time are asked if it is small, and one if it is large. The other threads keep
//! their connections and wait. Once the info dictionary has come, all go on as sessions, and first
//! read what their peers have sent meanwhile: bitfields, haves, an unchoke. Without the number of
//! pieces, none of that could be checked before.
//!
//! There are torrents with hashes outside of the info dictionary, which a peer must send as well
//! ([`Info::is_whole`]). Extensions ask for these. Until all are here, the threads wait on, also if
//! the user has the info dictionary from a file.

use std::io;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Ended, Swarm, SwarmMessage};
use crate::s02_metainfo::Info;
use crate::s05_messages::Message;
use crate::s05_messages::connection::{Connection, HANDSHAKE_TIMEOUT};
use crate::s07_extension::{EXTENDED, EXTENSION_BIT, Extensions, exchange_extensions};
use crate::s08_metadata::{MetadataError, NAME, fetch_metadata, offered_size};
use crate::s12_session::deadlines::IDLE_TIMEOUT;
use crate::s12_session::host::{SessionEnd, Torrent};

/// The number of peers that are asked for the info dictionary at the same time: for a small one,
/// and for a large one. Only the hash at the end shows which is genuine. Four liars that offer
/// 48 MiB each would otherwise make us keep 192 MiB.
const FETCHES: [usize; 2] = [4, 1];
/// The size in bytes from which an info dictionary counts as large. Most are far smaller.
const LARGE: usize = 2 << 20;
/// How many changes in what a peer lacks are reported. A peer can make the offer or take it back
/// with each message.
const MAX_TOLD: usize = 8;
/// The time after which a waiting thread checks again whether the info dictionary is there. It
/// reads from its peer meanwhile, so another thread cannot wake it.
const TICK: Duration = Duration::from_millis(100);
/// The longest time for one peer to send the whole info dictionary. The largest, 48 MiB, needs 82
/// KiB/s. Each metadata piece has a time limit of its own (stage 8).
const FETCH_TIMEOUT: Duration = Duration::from_secs(600);

/// What a peer lacks, for the error if the download fails, once the info dictionary is known.
const NO_HASHES: &str = "it has not sent the hashes of all pieces (BEP 52)";

/// Returns the torrent once it is known, from this peer or another; `None` if the swarm is over. By
/// then extension handshakes have been exchanged, if the peer speaks that protocol, and what it has
/// sent about pieces is read again as the session's first messages.
///
/// | the peer | what its thread does |
/// |---|---|
/// | offers nothing, or has refused | waits: another may bring the info dictionary |
/// | offers it, and no place is free | waits, and is counted among those that wait |
/// | offers it, and a place is free | fetches it, until it is there or others want the place |
///
/// # Errors
/// If the peer breaks a rule, lies, or is silent for 180 s.
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
    let mut fetcher = Fetcher::new(swarm);
    loop {
        // Before any return, so that no report on the last message is lost.
        swarm.host.report_passed_over(connection.peer, extensions);
        if swarm.host.is_stopping() {
            return Ok(None);
        }
        if let Some(torrent) = swarm.torrent.get() {
            // What was put aside comes before what is still unread: it was sent earlier.
            connection.input.replay();
            return Ok(Some(Arc::clone(torrent)));
        }
        // Looked up each time: a later extension handshake may make the offer, or take it back.
        let offers =
            extensions.theirs.id(NAME).is_some() && extensions.theirs.said.metadata_size.is_some();
        // Told before the fetch: if that ends the peer, the torrent loop knows of the offer.
        fetcher.report_lack(connection, offers);
        if !offers || swarm.info.get().is_some() {
            // An offer that was taken back must not hold up peers that have had their first try.
            fetcher.waiting = None;
        } else if !fetcher.done {
            fetcher.fetch(connection, extensions)?;
        }
        if let Some(info) = swarm.info.get() {
            fetcher.complete(info, connection, extensions)?;
        }
        if fetcher.heard.elapsed() > IDLE_TIMEOUT {
            return Err(SessionEnd::Slow("it said nothing for 180 s").into());
        }
        if wait(connection, extensions)? {
            fetcher.heard = Instant::now();
        }
    }
}

/// What one peer's thread remembers while there is no info dictionary.
struct Fetcher<'s> {
    swarm: &'s Swarm,
    /// How many times the peer has been asked. After the first, it waits for those that have not
    /// been asked at all.
    tries: usize,
    /// The peer has sent the info dictionary, or has refused. It is not asked again.
    done: bool,
    /// It has refused.
    refused: bool,
    /// The torrent loop has been told that nothing is missing any more.
    told: bool,
    /// Counts the peer among those that wait for their first try.
    waiting: Option<Waiting<'s>>,
    /// What the peer lacks, as last reported. `None` at first: nothing.
    reported: Option<&'static str>,
    /// How many reports there have been.
    reports: usize,
    /// When the peer's last message came, or its last fetch ended.
    heard: Instant,
}

impl<'s> Fetcher<'s> {
    fn new(swarm: &'s Swarm) -> Fetcher<'s> {
        Fetcher {
            swarm,
            tries: 0,
            done: false,
            refused: false,
            told: false,
            waiting: None,
            reported: None,
            reports: 0,
            heard: Instant::now(),
        }
    }

    /// Tells the torrent loop why the peer cannot give the info dictionary, if that has changed. If
    /// the download fails, its error has it.
    fn report_lack(&mut self, connection: &Connection, offers: bool) {
        let lacks = match self.swarm.info.get() {
            Some(_) => Some(NO_HASHES),
            None => lacks(connection, offers, self.refused),
        };
        if lacks != self.reported && self.reports < MAX_TOLD {
            self.reported = lacks;
            self.reports += 1;
            self.swarm.send(SwarmMessage::Lacks(connection.peer, lacks));
        }
    }

    /// Tells the torrent loop if nothing is missing any more, now that the info dictionary is
    /// known. Otherwise tells the extensions the time: one of them asks for what is missing.
    ///
    /// # Errors
    /// If the connection ends.
    fn complete(
        &mut self,
        info: &Arc<Info>,
        connection: &mut Connection,
        extensions: &mut Extensions,
    ) -> Result<(), Ended> {
        if !info.is_whole() {
            let mut requests = Vec::new();
            extensions.tick(Instant::now(), &mut requests);
            return Ok(send(connection, &requests)?);
        }
        if !self.told {
            self.told = true;
            self.swarm.send(SwarmMessage::Metadata(Arc::clone(info)));
        }
        Ok(())
    }

    /// Fetches the info dictionary if a place is free, and notes it. Returns
    /// without it if the peer refuses, or has to give way.
    ///
    /// # Errors
    /// If the peer breaks a rule, is too slow, or sends another info dictionary.
    fn fetch(
        &mut self,
        connection: &mut Connection,
        extensions: &mut Extensions,
    ) -> Result<(), Ended> {
        let swarm = self.swarm;
        let lane = usize::from(offered_size(extensions)? >= LARGE);
        let Some(place) = Place::take(swarm, lane, self.tries == 0) else {
            if self.tries == 0 && self.waiting.is_none() {
                self.waiting = Some(Waiting::new(swarm, lane));
            }
            return Ok(());
        };
        self.waiting = None;
        self.tries += 1;
        // Checked after each message, and a few times a second. What has been fetched by then is
        // lost.
        let gives_way =
            || swarm.host.is_stopping() || swarm.info.get().is_some() || place.is_wanted();
        let deadline = Instant::now() + FETCH_TIMEOUT;
        match fetch_metadata(connection, extensions, &swarm.names, deadline, &gives_way) {
            Ok(Some(info)) => {
                self.done = true;
                swarm.know(&Arc::new(info));
            }
            // We gave way, or the peer has taken the offer back.
            Ok(None) | Err(MetadataError::NotOffered) => {}
            // The peer can still give pieces later.
            Err(MetadataError::Rejected { .. }) => (self.done, self.refused) = (true, true),
            Err(error) => return Err(error.into()),
        }
        self.heard = Instant::now();
        Ok(())
    }
}

/// Returns why a peer cannot give the info dictionary, as far as we know.
fn lacks(connection: &Connection, offers: bool, refused: bool) -> Option<&'static str> {
    if !connection.theirs.has_bit(EXTENSION_BIT) {
        Some("it does not speak the extension protocol (BEP 10)")
    } else if !offers {
        Some("it does not offer the info dictionary (BEP 9)")
    } else if refused {
        Some("it refuses to give the info dictionary")
    } else {
        None
    }
}

/// Handles one message. Returns `false` if none came within [`TICK`].
///
/// # Errors
/// If the connection ends, or the peer sends more than may be put aside.
fn wait(connection: &mut Connection, extensions: &mut Extensions) -> Result<bool, Ended> {
    connection.set_deadline(Instant::now() + TICK);
    let mut answers = Vec::new();
    match connection.input.read() {
        // The peer may ask us for the info dictionary; the answer is a reject until we have it.
        // That it has lost a piece is not kept: the session may ask for that piece in vain.
        Ok(Message::Unknown { id: EXTENDED, payload }) => {
            drop(extensions.hear(payload, &mut answers)?)
        }
        Ok(message @ Message::Unknown { .. }) => extensions.hear_plain(&message, &mut answers)?,
        Ok(Message::KeepAlive) => {}
        // Everything about pieces is for the session.
        Ok(_) => connection.input.defer()?,
        Err(error) if error.is_timeout() => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    send(connection, &answers)?;
    Ok(true)
}

/// Sends what extensions have to say.
fn send(connection: &mut Connection, bytes: &[u8]) -> io::Result<()> {
    // A tick is too short for a write: a peer whose line is slow would be cut off.
    connection.set_deadline(Instant::now() + HANDSHAKE_TIMEOUT);
    connection.send_bytes(bytes)
}

/// The fetches of a small info dictionary, and those of a large one. The size is what the peer
/// claims; they are counted apart, so that claims of a large one do not hold up the others.
pub(super) type Fetching = [Lane; 2];

/// The fetches of one kind.
#[derive(Default)]
pub(super) struct Lane {
    /// The number of peers that are being asked, limited by [`FETCHES`].
    running: usize,
    /// The number of peers that have offered it and have not had a try.
    waiting: usize,
}

/// Returns the number of peers that are being asked for the info dictionary, of either size. While
/// the download waits for it, the user is told this number.
pub(super) fn asked(swarm: &Swarm) -> usize {
    lock(swarm).iter().map(|lane| lane.running).sum()
}

/// Locks the counts. Held for one addition or comparison.
fn lock(swarm: &Swarm) -> MutexGuard<'_, Fetching> {
    swarm.fetching.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One of the [`FETCHES`], given back when dropped. A slow peer, or one that has offered far more
/// than there is, must not keep it from peers that could be quick. So a peer that has had a try
/// waits for those that have not.
struct Place<'s> {
    swarm: &'s Swarm,
    lane: usize,
    /// When it was taken.
    since: Instant,
}

impl Place<'_> {
    /// Takes a place if one is free. On a later try, only if no peer waits for its first.
    fn take(swarm: &Swarm, lane: usize, first_try: bool) -> Option<Place<'_>> {
        let fetching = &mut lock(swarm)[lane];
        let free = fetching.running < FETCHES[lane] && (first_try || fetching.waiting == 0);
        free.then(|| {
            fetching.running += 1;
            Place { swarm, lane, since: Instant::now() }
        })
    }

    /// Whether it has been held for long enough, and others wait. Alone, a slow peer may take its
    /// time.
    fn is_wanted(&self) -> bool {
        self.since.elapsed() > self.swarm.place_time && lock(self.swarm)[self.lane].waiting > 0
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        lock(self.swarm)[self.lane].running -= 1;
    }
}

/// A peer that waits for its first try. Uncounted when dropped, so a peer that leaves is never
/// waited for.
///
/// The lane is kept: a later extension handshake may change the size, and so the lane, but the
/// count goes down where it went up.
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
