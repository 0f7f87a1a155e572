//! The extension handshake, and what follows it.

use std::sync::Arc;

use piecemeal::s07_extension::dont_have::{self, DontHave};
use piecemeal::s07_extension::{EXTENDED, ExtensionHandshake, Extensions, PeerExtensions};
use piecemeal::s08_metadata::UtMetadata;

use super::{bounded, is_printable, parted};

/// The input is a handshake; and also a row of messages, each behind its length.
pub fn check(input: &[u8]) {
    match bounded(input.len(), 512, || ExtensionHandshake::decode(input)) {
        Ok(theirs) => {
            let again =
                ExtensionHandshake::decode(&theirs.encode()).expect("what we write, we can read");
            assert_eq!(again.encode(), theirs.encode());
            // What was passed over in theirs is not written again.
            assert_eq!(again, ExtensionHandshake { passed_over: Vec::new(), ..theirs.clone() });
            theirs.passed_over.iter().for_each(is_printable);
            theirs.v.iter().for_each(is_printable);
            let mut peer = PeerExtensions::default();
            peer.update(theirs.clone());
            let once = peer.clone();
            peer.update(theirs);
            assert_eq!(peer, once, "said twice is said once");
        }
        Err(error) => is_printable(error),
    }
    talk(input);
}

/// A peer that sends one extension message after the other, to one that has an info dictionary.
fn talk(input: &[u8]) {
    let metadata: Arc<[u8]> = vec![7; 40_000].into();
    let mut extensions =
        Extensions::new(vec![Box::new(UtMetadata::new(Some(metadata))), Box::new(DontHave)]);
    let (mut rest, mut out) = (input, Vec::new());
    let mut most = 0;
    while !rest.is_empty() {
        let payload;
        (payload, rest) = parted(rest);
        most += usize::from(payload.first() == Some(&1)) * (16_384 + 200);
        match extensions.hear(payload, &mut out) {
            Ok(lost) if lost.is_empty() => {}
            Ok(lost) => {
                assert_eq!((payload[0], &payload[1..]), (2, &dont_have::encode(lost[0])[..]))
            }
            Err(error) => {
                is_printable(error);
                break;
            }
        }
        assert!(
            out.len() <= most.min(8 * 3 * (16_384 + 200) + input.len() * 30),
            "no peer gets the dictionary again and again"
        );
        assert!(extensions.theirs.said.m.len() <= 255);
    }
    // What goes out are whole messages, to the id that the peer has given.
    let mut answers = &out[..];
    while let Some((prefix, behind)) = answers.split_first_chunk() {
        let (message, next) = behind.split_at(u32::from_be_bytes(*prefix) as usize);
        assert!(message[0] == EXTENDED && message[1] != 0);
        answers = next;
    }
    assert!(answers.is_empty());
}
