//! One direction of a connection between peers, cut into its objects.
//!
//! Here all bytes are in memory. Bytes that come bit by bit, in both directions, are for
//! `conversation`.

use super::{Context, Object, Placed, s04, s05};
use crate::s04_handshake::{HANDSHAKE_LENGTH, PROTOCOL};

/// The direction of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// To us.
    In,
    /// From us.
    Out,
}

impl Way {
    /// Returns the other direction.
    pub fn back(self) -> Way {
        match self {
            Way::In => Way::Out,
            Way::Out => Way::In,
        }
    }

    /// Returns `in` or `out`.
    pub fn word(self) -> &'static str {
        match self {
            Way::In => "in",
            Way::Out => "out",
        }
    }

    /// Returns the direction for the start of a line, where both have the same width.
    pub fn arrow(self) -> &'static str {
        match self {
            Way::In => "IN  <-",
            Way::Out => "OUT ->",
        }
    }
}

/// The next object in a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Next {
    /// The handshake, with which each direction begins.
    #[default]
    Handshake,
    /// Messages, to the end.
    Message,
}

impl Next {
    /// Returns the length of the object that starts here, if all of it is there.
    fn length(self, bytes: &[u8]) -> Option<usize> {
        let length = match self {
            Next::Handshake => HANDSHAKE_LENGTH,
            Next::Message => s05::length(bytes)?,
        };
        (bytes.len() >= length).then_some(length)
    }

    /// Describes the object in these bytes, or as much of it as there is.
    pub fn describe(self, bytes: &[u8], context: &Context) -> Object {
        match self {
            Next::Handshake => s04::handshake(bytes),
            Next::Message => s05::message(bytes, context),
        }
    }
}

/// Guesses what a stream begins with.
pub fn begins_with(bytes: &[u8]) -> Next {
    if bytes.first() == PROTOCOL.first() { Next::Handshake } else { Next::Message }
}

/// Returns at most `most` objects of a stream, and where they end. A broken one is the last.
pub fn all(bytes: &[u8], mut next: Next, context: &Context, most: usize) -> (Vec<Placed>, usize) {
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() && found.len() < most {
        let rest = bytes.get(at..).unwrap_or_default();
        let rest = next.length(rest).and_then(|length| rest.get(..length)).unwrap_or(rest);
        let object = next.describe(rest, context);
        let (length, broken) = (object.length, object.broken.is_some());
        found.push(Placed { at, object });
        at += length.max(1);
        next = Next::Message;
        if broken {
            break;
        }
    }
    (found, at)
}
