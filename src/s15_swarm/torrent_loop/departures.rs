//! What follows when a peer's thread has ended: its bytes are counted, its place is free, and its
//! address is dialed again, or not.
//!
//! Which end leads to what is the table at [`Ended`]. The rules about time are in stage 14.

use std::net::SocketAddr;
use std::time::Instant;

use super::TorrentLoop;
use crate::s02_metainfo::MetainfoError;
use crate::s04_handshake::HandshakeError;
use crate::s04_handshake::descriptors::is_exhausted;
use crate::s07_extension::ExtensionError;
use crate::s07_extension::extension::PeerLied;
use crate::s11_work_queue::PeerNumber;
use crate::s12_session::host::SessionEnd;
use crate::s15_swarm::{Ended, Event, Live, SwarmError};

/// Above this many `known` peers, the oldest that has gone is forgotten. A peer that reconnects for
/// each block would otherwise fill our memory.
const MAX_KNOWN: usize = 10_000;

impl TorrentLoop<'_> {
    /// Handles the last message of a peer's thread. `address` is the one that we dialed, or that
    /// the peer has dialed from.
    ///
    /// # Errors
    /// If the end is not the peer's alone: our store has failed, or the torrent is unusable.
    pub(super) fn ended(
        &mut self,
        number: PeerNumber,
        address: SocketAddr,
        why: Ended,
    ) -> Result<(), SwarmError> {
        let now = Instant::now();
        // The place is free from here on, and not from the moment at which we hung up: until its
        // end the thread has a stack and a socket.
        self.threads.remove(&number);
        // `None` if the peer had not joined: the dial failed, or it was connected already.
        let live = self.swarm.live().remove(&number);
        self.forget(number, live.as_ref().is_some_and(has_brought));
        if let Some(live) = &live {
            self.outcome.add(live.peer_id, &live.stats);
            self.addresses.brought(address, live.stats.take_pieces());
        }
        // Dials may be under way, but a tracker asked now will have answered if they fail.
        if self.swarm.live().is_empty() {
            self.signal_hungry();
        }
        // What ends the download comes after the counting: its summary has this peer's bytes.
        let why = match why {
            Ended::Session(SessionEnd::Local(error)) => return Err(error.into()),
            Ended::Unusable(error) => return Err(SwarmError::Unusable(error)),
            // An extension has found out that no content fits the torrent. The peer was right.
            Ended::Session(SessionEnd::Extension(ExtensionError::Extension { name, error })) => {
                match error.downcast::<MetainfoError>() {
                    Ok(error) => return Err(SwarmError::Unusable(*error)),
                    Err(error) => {
                        SessionEnd::from(ExtensionError::Extension { name, error }).into()
                    }
                }
            }
            why => why,
        };
        self.settle(address, &why, live.as_ref(), now);
        let (parted, doubles) =
            live.map_or_else(Default::default, |live| (live.parted, live.doubles));
        // We took them for this peer's. Now they may lead somewhere else.
        doubles.into_iter().for_each(|double| self.addresses.double_gone(double, now));
        // If we hung up, the thread only saw a closed connection. We know the reason.
        let why = parted.unwrap_or(why);
        match why {
            // The peer's other connection stays.
            Ended::Twice | Ended::Crossed => {}
            Ended::Ourselves => self.record.ourselves(address),
            ref lie if is_lie(lie) => self.record.lied(address, lie.to_string()),
            _ => self.record.lost(address, why.to_string()),
        }
        (self.event)(Event::Left(address, why));
        Ok(())
    }

    /// Forgets a peer or a hand that has gone and sent nothing, since no wrong piece can be its
    /// work. Of those that have, forgets the oldest, if there are too many. One that is still here
    /// stays.
    pub(super) fn forget(&mut self, number: PeerNumber, has_brought: bool) {
        if !has_brought {
            self.known.remove(&number);
        }
        let gone = |number: &&PeerNumber| {
            !self.threads.contains_key(number) && !self.hands.contains_key(number)
        };
        if self.known.len() > MAX_KNOWN
            && let Some(oldest) = self.known.keys().find(gone).copied()
        {
            self.known.remove(&oldest);
        }
    }

    /// Decides what becomes of an address, by the table at [`Ended`]. `why` is how the peer's
    /// thread saw the end.
    fn settle(&mut self, address: SocketAddr, why: &Ended, gone: Option<&Live>, now: Instant) {
        let here_too = gone.is_some_and(|gone| self.note_double(gone, address));
        if matches!(why, Ended::Handshake(HandshakeError::HungUp)) {
            self.addresses.note_hung_up(address);
        }
        match why {
            Ended::Session(SessionEnd::Corrupt(_)) | Ended::WrongMetadata(_) => self.ban(address),
            Ended::Ourselves | Ended::Session(SessionEnd::BothComplete) => {
                self.addresses.give_up(address)
            }
            // Comes after the ends that tell us something about the peer: any other may only be its
            // way to leave a second connection.
            _ if here_too => self.addresses.may_be_a_double(address, now),
            // We are out of sockets, which is not the peer's fault. It loses no attempt.
            Ended::Handshake(HandshakeError::Io(error)) if is_exhausted(error) => {
                self.addresses.put_back(address, now);
                self.places.pause_dialing(now);
            }
            Ended::Twice => self.left_double(address, now),
            // The usual end: it hung up, broke a rule, was too slow, or nobody was there.
            _ => {
                self.addresses.ended(address, gone.is_some(), gone.is_some_and(has_brought), now);
                // Meanwhile, the address it listens on may have been dialed and given up.
                let listened = gone.map(|gone| gone.stats.address());
                if let Some(listened) = listened.filter(|listened| *listened != address) {
                    self.addresses.revive(listened, now);
                }
            }
        }
    }

    /// Settles an address whose peer seemed to be connected already, so that we hung up. It is not
    /// dialed while that is certain.
    ///
    /// | the other connection | the address is |
    /// |---|---|
    /// | was dialed by us, and a block has gone over it | given up, until that connection ends |
    /// | has proved nothing, or dialed us | dialed after a minute: an id is only a claim |
    /// | has ended meanwhile | dialed in a moment |
    fn left_double(&mut self, address: SocketAddr, now: Instant) {
        let live = self.swarm.live();
        let certain = live
            .values()
            .find(|live| live.doubles.contains(&address))
            .map(|live| live.dialed && live.link().proved);
        drop(live);
        match certain {
            Some(true) => self.addresses.give_up(address),
            Some(false) => self.addresses.may_be_a_double(address, now),
            // Only an address that is given up can be revived, so both steps are needed.
            None => {
                self.addresses.give_up(address);
                self.addresses.double_gone(address, now);
            }
        }
    }

    /// Notes, and returns, whether a dialed connection ended at once while one that claims to be
    /// the same peer is up. The address is dialed again when that one ends, if not before.
    ///
    /// A peer that is connected to us already hangs up on our second connection, each client in its
    /// own way. We cannot tell that from a peer that hangs up only to start over, and would dial it
    /// again within seconds.
    fn note_double(&self, gone: &Live, address: SocketAddr) -> bool {
        let mut live = self.swarm.live();
        let gone = gone.link();
        let here =
            live.values_mut().find(|here| gone.was_short() && here.link().claims_to_be(&gone));
        here.map(|here| here.add_double(address)).is_some()
    }
}

/// Whether a peer has sent something that is proved to be wrong, as an extension says: the hashes
/// of pieces.
fn is_lie(why: &Ended) -> bool {
    matches!(why, Ended::Session(SessionEnd::Extension(ExtensionError::Extension { error, .. }))
        if error.is::<PeerLied>())
}

/// Whether a peer has sent us a block.
fn has_brought(peer: &Live) -> bool {
    peer.stats.downloaded() > 0
}
