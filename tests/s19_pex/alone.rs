//! One peer without a swarm, which is silent or speaks of other things before it names anybody.

use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s03_tracker::PeerId;
use piecemeal::s04_handshake::Handshake;
use piecemeal::s04_handshake::transport::{ReadHalf, Transport, WriteHalf};
use piecemeal::s05_messages::connection::Connection;
use piecemeal::s07_extension::{EXTENSION_BIT, Extensions, exchange_extensions};
use piecemeal::s19_pex::one_peer::wait_for_peers;
use piecemeal::s19_pex::{Gossip, UtPex};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What the peer says: its extension handshake, which gives `ut_pex` the id 3.
const EXTENDED_HANDSHAKE: &[u8] = b"\0\0\0\x14\x14\0d1:md6:ut_pexi3eee";
/// "I have piece 0."
const HAVE: &[u8] = b"\0\0\0\x05\x04\0\0\0\0";
/// It has met 192.0.2.7:6881. Our side has given `ut_pex` the id 1.
const NAMES_ONE: &[u8] = b"\0\0\0\x13\x14\x01d5:added6:\xc0\x00\x02\x07\x1a\xe1e";

/// A connection to a peer that speaks by a script, and what happens on it. A wait is not waited
/// for: where the script says so, its deadline is over at once.
#[derive(Default)]
struct Line {
    /// Each is read at once; `None`: nothing comes until the deadline.
    script: VecDeque<Option<&'static [u8]>>,
    /// The latest deadline that is over.
    over: Option<Instant>,
    /// The deadlines of the reads.
    deadlines: Vec<Instant>,
    sent: Vec<u8>,
}

/// One direction of it.
struct Half {
    line: Arc<Mutex<Line>>,
    deadline: Instant,
}

impl Read for Half {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut line = self.line.lock().expect("one thread");
        line.deadlines.push(self.deadline);
        let Some(bytes) = line.script.pop_front().expect("the script goes on") else {
            line.over = Some(self.deadline);
            return Err(ErrorKind::TimedOut.into());
        };
        buffer[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }
}

impl Write for Half {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut line = self.line.lock().expect("one thread");
        if line.over.is_some_and(|over| self.deadline <= over) {
            return Err(ErrorKind::TimedOut.into());
        }
        line.sent.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ReadHalf for Half {
    fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    fn has_ended(&self) -> bool {
        false
    }
}

impl WriteHalf for Half {
    fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }
}

/// Listens for five minutes to a peer that has shaken hands and then follows this script. Returns
/// whom it named, what we sent meanwhile, and the deadlines of the reads.
fn listen(
    script: &[Option<&'static [u8]>],
) -> (Result<Vec<String>, String>, Vec<u8>, Vec<Instant>) {
    let deadline = Instant::now() + Duration::from_secs(300);
    let script = [Some(EXTENDED_HANDSHAKE)].into_iter().chain(script.iter().copied()).collect();
    let line = Arc::new(Mutex::new(Line { script, ..Line::default() }));
    let half = || Box::new(Half { line: Arc::clone(&line), deadline });
    let peer = "192.0.2.1:6881".parse().expect("it is an address");
    let (reader, writer) = (half(), half());
    let transport = Transport { peer, reader, writer, hang_up: Arc::new(|| {}) };
    let ours = Handshake::new(InfoHash([7; 20]), PeerId([1; 20])).with_bit(EXTENSION_BIT);
    let theirs = Handshake { peer_id: PeerId([2; 20]), ..ours };
    let mut connection = Connection::new(transport, ours, theirs);
    let pex = UtPex::new(Gossip::new(Vec::new), peer, theirs.peer_id);
    let mut extensions = Extensions::new(vec![Box::new(pex)]);
    exchange_extensions(&mut connection, &mut extensions).expect("the peer speaks ut_pex");
    {
        let mut line = line.lock().expect("one thread");
        line.sent.clear();
        line.deadlines.clear();
    }
    let named = wait_for_peers(&mut connection, &mut extensions, deadline)
        .map(|message| message.added.iter().map(|(address, _)| address.to_string()).collect())
        .map_err(|error| error.to_string());
    let line = line.lock().expect("one thread");
    (named, line.sent.clone(), line.deadlines.clone())
}

#[test]
fn a_peer_that_is_silent_for_minutes_gets_keep_alives_and_may_still_name_others() {
    let (named, sent, _) = listen(&[None, None, Some(NAMES_ONE)]);
    assert_eq!(named, Ok(vec!["192.0.2.7:6881".to_owned()]));
    assert_eq!(sent, [0; 8], "a keep-alive is a length of 0; there were two minutes of silence");
}

#[test]
fn what_a_peer_says_of_pieces_does_not_put_off_our_keep_alive() {
    let (named, sent, deadlines) = listen(&[Some(HAVE), Some(HAVE), None, Some(NAMES_ONE)]);
    assert_eq!(named, Ok(vec!["192.0.2.7:6881".to_owned()]));
    assert_eq!(sent, [0; 4], "one minute is over, and one keep-alive was sent");
    let [first, second, third, fourth] = deadlines[..] else { panic!("{deadlines:?}") };
    assert_eq!([second, third], [first; 2], "the minute began before the first message");
    assert!(fourth > first, "the next minute begins with the keep-alive");
}
