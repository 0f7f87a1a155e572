//! What a fake peer remembers of a conversation.

use super::recording::Recording;
use super::wire;

/// One message from the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// `None` is a keep-alive.
    pub id: Option<u8>,
    /// What follows the id.
    pub payload: Vec<u8>,
    /// Metadata pieces that the peer had sent when it came.
    pub metadata_sent: usize,
    /// Whether the client was unchoked when it came.
    pub unchoked: bool,
}

/// One connection's story, as the peer saw it.
#[derive(Debug, Clone)]
pub struct Talk {
    /// The messages of the client, after its handshake.
    pub messages: Vec<Heard>,
    /// Whether the connection is over.
    pub closed: bool,
    /// Blocks sent over it, good or bad.
    pub blocks: usize,
    /// Requests that came while the peer choked, without the fast extension.
    pub choked_requests: usize,
    /// All bytes, both ways, with their times.
    pub recording: Recording,
}

impl Talk {
    /// A connection that has just begun.
    pub fn new(recording: Recording) -> Talk {
        Talk { messages: Vec::new(), closed: false, blocks: 0, choked_requests: 0, recording }
    }

    /// The messages' ids, keep-alives as 255.
    pub fn ids(&self) -> Vec<u8> {
        self.messages.iter().map(|m| m.id.unwrap_or(255)).collect()
    }

    /// The requests: piece, begin, length.
    pub fn requests(&self) -> Vec<(u32, u32, u32)> {
        self.messages
            .iter()
            .filter(|m| m.id == Some(wire::REQUEST))
            .filter_map(|m| wire::three(&m.payload))
            .collect()
    }
}
