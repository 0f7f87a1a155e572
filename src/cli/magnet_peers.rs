//! Turns a magnet link into a search for peers and the handshake for them. (stage 7)

use std::net::SocketAddr;
use std::time::Instant;

use piecemeal::s01_bencode::counted;
use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s03_tracker::reach::NamedBy;
use piecemeal::s03_tracker::{AnnounceRequest, PeerId};
use piecemeal::s04_handshake::Handshake;
use piecemeal::s06_magnet::Magnet;
use piecemeal::s07_extension::{EXTENSION_BIT, Extensions};

use super::Options;
use super::exit_codes::NO_PEER;
use super::failure::Failure;
use super::failure::s06::mend;
use super::find_peers::{Search, given, search};
use super::magnet_link::names;
use super::screen::narrator::Narrator;

/// Starts the search for peers of a magnet link; also returns the handshake for them.
pub fn start(
    magnet: &Magnet,
    options: &Options,
    deadline: Instant,
) -> Result<(Handshake, Search), Failure> {
    let ours = Handshake::new(names(magnet)?.first(), PeerId::random()).with_bit(EXTENSION_BIT);
    need_somebody(magnet, options)?;
    let say = options.narrator();
    tell_link(magnet, ours.info_hash, say);
    // The length is not known yet. With 1 byte missing, we are at least not a seed.
    let ask = AnnounceRequest::new(ours.info_hash, ours.peer_id, 1);
    let tiers = magnet.trackers.iter().map(|url| vec![url.clone()]).collect();
    let linked = magnet.peers.iter().map(|peer| (peer.to_string(), NamedBy::Link(ours.info_hash)));
    let addresses = given(options).into_iter().chain(linked).collect();
    Ok((ours, search(tiers, addresses, &ask, deadline, say)))
}

/// Checks that the link names a tracker or a peer. If not, a shell has most likely cut it.
pub fn need_somebody(magnet: &Magnet, options: &Options) -> Result<(), Failure> {
    if magnet.trackers.is_empty() && magnet.peers.is_empty() && options.peers.is_empty() {
        let failure = Failure::new(NO_PEER, NOBODY);
        return Err(failure
            .help_to_paste(magnet.should_be.as_deref().map_or(CUT.to_owned(), mend))
            .see("06-magnet"));
    }
    Ok(())
}

/// What is wrong with a link that names nobody.
pub const NOBODY: &str = "the magnet link names no tracker and no peer";
/// What to do about it.
pub const CUT: &str = "put the link in quotes, if it goes on with &: the shell cuts it there; or give a peer with --peer HOST:PORT";

/// Says what the link contains.
pub fn tell_link(magnet: &Magnet, info_hash: InfoHash, say: Narrator) {
    let trackers = counted(magnet.trackers.len(), "tracker");
    let peers = counted(magnet.peers.len(), "peer");
    say.say(6, format!("the link has the info hash {info_hash}, {trackers} and {peers}; the rest comes from peers"));
}

/// Reports harmless mistakes in the peer's extension handshake.
pub fn tell_broken_keys(peer: SocketAddr, extensions: &mut Extensions, say: Narrator) {
    for what in extensions.take_passed_over() {
        say.say(7, format!("{peer}: {what}"));
    }
}
