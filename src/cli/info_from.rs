//! The info dictionary from a peer, for commands that begin with a link. (stage 8)

use std::time::Instant;

use piecemeal::s02_metainfo::{Info, Names};
use piecemeal::s05_messages::connection::Connection;
use piecemeal::s07_extension::{Extensions, exchange_extensions};
use piecemeal::s08_metadata::{UtMetadata, fetch_metadata};

use super::failure::Failure;
use super::magnet_peers::tell_broken_keys;
use super::screen::narrator::Narrator;

/// Exchanges extension handshakes and fetches the info dictionary. The connection stays usable.
pub fn info_from(
    connection: &mut Connection,
    names: &Names,
    deadline: Instant,
    say: Narrator,
) -> Result<Info, Failure> {
    let peer = connection.peer;
    say.say(7, format!("asking {peer} for its extensions: ut_metadata is the one that gives the info dictionary"));
    let mut extensions = Extensions::new(vec![Box::new(UtMetadata::new(None))]);
    exchange_extensions(connection, &mut extensions)?;
    tell_broken_keys(peer, &mut extensions, say);
    say.say(
        8,
        format!(
            "asking {peer} for the info dictionary, in pieces of 16 KiB: a link has only its hash"
        ),
    );
    let info = fetch_metadata(connection, &mut extensions, names, deadline, &|| false)?;
    say.say(8, "what came has the hash that the link names, so it is genuine");
    connection.input.replay();
    let info = info.expect("a fetch that is never cancelled returns the info dictionary");
    super::tracing::learn(&info); // plugged in
    Ok(info)
}
