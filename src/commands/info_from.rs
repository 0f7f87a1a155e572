//! The info dictionary from a peer, for commands that begin with a link. (stage 8)

use std::time::Instant;

use piecemeal::s02_metainfo::{Info, InfoHash};
use piecemeal::s05_messages::connection::Connection;
use piecemeal::s07_extension::{ExtensionError, Extensions, exchange_extensions};
use piecemeal::s08_metadata::{MetadataError, UtMetadata, fetch_metadata};

use super::failure::{BAD_INPUT, Failure, MORE_TIME, NO_PEER, WRONG_HASH};
use super::magnet_handshake::tell_broken_keys;
use crate::progress::Narrator;

/// Exchanges extension handshakes and fetches the info dictionary. The connection stays usable.
pub fn info_from(connection: &mut Connection, info_hash: InfoHash, until: Instant, say: Narrator) -> Result<Info, Failure> {
    let peer = connection.peer;
    say.say(7, format!("asking {peer} for its extensions: ut_metadata is the one that gives the info dictionary"));
    let mut extensions = Extensions::new(vec![Box::new(UtMetadata::new(None))]);
    exchange_extensions(connection, &mut extensions)?;
    tell_broken_keys(peer, &mut extensions, say);
    say.say(8, format!("asking {peer} for the info dictionary, in pieces of 16 KiB: a link has only its hash"));
    let info = fetch_metadata(connection, &mut extensions, info_hash, until, &|| false)?;
    say.say(8, "the SHA-1 of what came is the info hash of the link, so it is genuine");
    connection.input.replay();
    let info = info.expect("a fetch that is never cancelled returns the info dictionary");
    super::tracing::learn(&info); // plugged in
    Ok(info)
}

impl From<MetadataError> for Failure {
    fn from(error: MetadataError) -> Failure {
        let (code, help) = match error {
            MetadataError::Extension(ExtensionError::Message(ref error)) if error.is_timeout() => (NO_PEER, MORE_TIME),
            MetadataError::WrongHash { .. } => (WRONG_HASH, "try another peer: the hash tells a right answer from a wrong one"),
            MetadataError::Metainfo(_) => (BAD_INPUT, "every peer has the same one; look for another link"),
            MetadataError::Extension(_) | MetadataError::NotOffered | MetadataError::Rejected { .. } => {
                (NO_PEER, "try another peer: this one does not give it")
            }
            _ => (NO_PEER, "try another peer: this one breaks the rules"),
        };
        Failure::new(code, error).help(help).see("08-metadata")
    }
}
