//! What the checks of the peer protocol share: peers that are scripted by hand, and what they have
//! seen of the client.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::actors::line::{Heard, Line};
use crate::actors::recording::{Recording, Way};
use crate::actors::torrent::Torrent;
use crate::actors::wire;
use crate::grade::check::Finding;
use crate::grade::miss::{Miss, ensure};
use crate::grade::outcome::Outcome;
use crate::s01_bencode::counted;
use crate::s04_handshake::{HANDSHAKE_LENGTH, PROTOCOL};

/// How long a scripted peer waits for what has to come.
pub const PATIENCE: Duration = Duration::from_secs(4);

/// How long it stays if the client does not leave: longer than any check.
pub const HOLD: Duration = Duration::from_secs(30);

/// The most bytes of a client's messages that are looked at. Those of a flood are not all of
/// interest.
pub const MAX_HEARD: usize = 256 << 10;

/// The longest block that a peer gives.
const MAX_BLOCK: u32 = 16_384;

/// Reads the client's handshake. A peer hangs up on one that is cut short, is none, or is about
/// another torrent.
pub fn hear_handshake(line: &mut Line, info_hash: [u8; 20]) -> Option<[u8; HANDSHAKE_LENGTH]> {
    let theirs = line.handshake(PATIENCE).ok()?;
    (theirs.starts_with(PROTOCOL) && theirs[28..48] == info_hash).then_some(theirs)
}

/// Returns the bitfield message of a peer that has these pieces.
pub fn bitfield_of(has: &[bool]) -> Vec<u8> {
    wire::message(wire::BITFIELD, &wire::bitfield(has))
}

/// Gives blocks to a client that is interested, until it leaves. `answer` may do something else
/// with a request; then it returns false, and that is the end.
pub fn serve(
    line: &mut Line,
    torrent: &Torrent,
    mut unchoked: bool,
    mut answer: impl FnMut(&mut Line, (u32, u32, u32)) -> bool,
) {
    let until = Instant::now() + HOLD;
    loop {
        match line.hear_within(until.saturating_duration_since(Instant::now())) {
            Heard::Closed | Heard::Silence => return,
            Heard::Message(wire::INTERESTED, _) if !unchoked => {
                unchoked = true;
                let _ = line.send(&wire::message(wire::UNCHOKE, &[]));
            }
            Heard::Message(wire::REQUEST, payload) if unchoked => {
                let Some((piece, begin, length)) = wire::three(&payload) else { return };
                if !answer(line, (piece, begin, length)) {
                    return;
                }
                let Some(block) = block(torrent, piece, begin, length) else { return };
                let _ = line.send(&wire::block(piece, begin, &block));
            }
            _ => {}
        }
    }
}

/// Returns a block, if it can be asked for.
pub fn block(torrent: &Torrent, piece: u32, begin: u32, length: u32) -> Option<Vec<u8>> {
    let end = (begin as usize).checked_add(length as usize)?;
    let data = torrent.piece(piece as usize).get(begin as usize..end)?;
    (1..=MAX_BLOCK).contains(&length).then(|| data.to_vec())
}

/// Returns the connection to a peer on which the client said the most. It may have tried something
/// else first, encryption for instance.
///
/// # Errors
/// If there was none, or no handshake for this torrent came.
pub fn spoken(
    recordings: Vec<Recording>,
    address: SocketAddr,
    torrent: &Torrent,
    outcome: &Outcome,
) -> Result<Recording, Miss> {
    let most = |recording: &Recording| {
        let begin = recording.opening(PROTOCOL.len());
        (begin == PROTOCOL, recording.counted(Way::FromClient))
    };
    let recording = recordings.into_iter().max_by_key(most);
    let recording = recording.ok_or_else(|| unreached(address, outcome))?;
    whole_handshake(&recording, torrent)?;
    Ok(recording)
}

/// Returns the miss of a client that has not connected to the peer.
fn unreached(address: SocketAddr, outcome: &Outcome) -> Miss {
    let miss = Miss::new(format!("your client did not connect to the peer at {address}"));
    match outcome.last_words() {
        Some(words) => miss.detail(format!("stderr: {words}")),
        None => miss,
    }
}

/// Insists on a whole handshake for this torrent.
///
/// # Errors
/// If it is cut short, is none, or is about another torrent.
fn whole_handshake(recording: &Recording, torrent: &Torrent) -> Finding {
    let sent = recording.opening(HANDSHAKE_LENGTH);
    if let Some(theirs) = sent.first_chunk::<HANDSHAKE_LENGTH>() {
        ensure(theirs.starts_with(PROTOCOL), || Miss::new("what you sent is no handshake"))?;
        return ensure(theirs[28..48] == torrent.info_hash, || {
            Miss::new("your handshake is about another torrent")
        });
    }
    let last = recording.chunks().into_iter().rfind(|chunk| chunk.way == Way::FromClient);
    let since = last.map_or(recording.begun(), |chunk| chunk.at);
    let end = recording.ended().unwrap_or_else(Instant::now);
    let quiet = end.saturating_duration_since(since).as_secs_f64();
    let waited = quiet > PATIENCE.as_secs_f64() - 0.3;
    let count = counted(sent.len(), "byte");
    Err(Miss::new(match (sent.is_empty(), waited) {
        (true, true) => format!("you sent nothing for {quiet:.1} s"),
        (true, false) => format!("you hung up after {quiet:.1} s, without a byte"),
        (false, true) => format!("you sent {count}, then nothing for {quiet:.1} s"),
        (false, false) => format!("you sent {count}, and that was all after {quiet:.1} s"),
    }))
}

/// Returns the messages that a client sent, without their lengths and without keep-alives, up to
/// what is none.
pub fn messages_in(recording: &Recording) -> Vec<Vec<u8>> {
    let bytes = recording.opening(MAX_HEARD);
    let mut rest = bytes.get(HANDSHAKE_LENGTH..).unwrap_or_default();
    let mut messages = Vec::new();
    while let Some((prefix, behind)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*prefix) as usize;
        let Some((message, next)) = behind.split_at_checked(length) else { break };
        if !message.is_empty() {
            messages.push(message.to_vec());
        }
        rest = next;
    }
    messages
}
