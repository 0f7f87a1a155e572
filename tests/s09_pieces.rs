//! Stage 9 from outside: one peer, scripted byte by byte, and the requests it gets.

#[path = "s02_metainfo/by_blocks.rs"]
mod by_blocks;
mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use by_blocks::by_blocks;
use piecemeal::s02_metainfo::{Info, InfoHash};
use piecemeal::s03_tracker::PeerId;
use piecemeal::s04_handshake::Handshake;
use piecemeal::s04_handshake::transport::{Transport, pair};
use piecemeal::s05_messages::MessageError;
use piecemeal::s05_messages::connection::Connection;
use piecemeal::s09_pieces::{PIPELINE, PieceError, PieceFetcher, blocks};
use sha1::{Digest, Sha1};
use support::{
    Complaint, Must, Script, Verdict, assert_value, assert_wire, insist, number_is, value_is,
    wire_is,
};

const BLOCK: usize = 16384;

const PIPELINED: &str = "a request does not wait for the answer to the one before it";

/// A torrent of this many bytes, and the bytes.
fn torrent(length: usize, piece_length: usize) -> (Info, Vec<u8>) {
    let content: Vec<u8> = (0..length).map(|n| (n % 251 + n / 16384) as u8).collect();
    let hashes: Vec<u8> = content
        .chunks(piece_length)
        .flat_map(|piece| <[u8; 20]>::from(Sha1::digest(piece)))
        .collect();
    let head = format!(
        "d6:lengthi{length}e4:name1:a12:piece lengthi{piece_length}e6:pieces{}:",
        hashes.len()
    );
    (Info::from_bytes(&[head.as_bytes(), &hashes, b"e"].concat()).expect("it is right"), content)
}

/// The other end of a connection, which speaks in bytes.
struct Peer(Transport);

impl Peer {
    /// The next message without its length, or `None` at the end or the deadline.
    fn hear(&mut self) -> Option<Vec<u8>> {
        let mut prefix = [0; 4];
        self.0.read_exact(&mut prefix).ok()?;
        let mut frame = vec![0; u32::from_be_bytes(prefix) as usize];
        self.0.read_exact(&mut frame).ok()?;
        Some(frame)
    }

    /// Checks that nothing comes. There is no event to wait for, so this waits for a while.
    #[track_caller]
    fn hears_nothing(&mut self) -> Verdict {
        self.0.set_deadline(Instant::now() + Duration::from_millis(60));
        let heard = self.hear();
        self.0.set_deadline(Instant::now() + Duration::from_secs(60));
        value_is("what comes without being due", heard, None, "BEP 3, requests")
    }

    /// Checks that the other side hangs up, without another word.
    #[track_caller]
    fn hears_the_end(&mut self) -> Verdict {
        value_is(
            "what comes when there is nothing left to say",
            self.hear(),
            None,
            "BEP 3, requests",
        )
    }

    /// Checks the next message.
    #[track_caller]
    fn hears(&mut self, expected: &[u8]) -> Verdict {
        let heard = self.hear().unwrap_or_default();
        wire_is(&heard, expected, "BEP 3, message without its length")
    }

    /// The next message, which must be a request: index, begin, length; `None` at the end.
    #[track_caller]
    fn asked(&mut self) -> Verdict<Option<[u32; 3]>> {
        let Some(frame) = self.hear() else { return Ok(None) };
        let numbers = frame.strip_prefix(&[6]).filter(|numbers| numbers.len() == 12);
        let numbers = numbers.must(&format!("a request was expected, but {frame:02x?} came"))?;
        let (words, _) = numbers.as_chunks::<4>();
        Ok(Some([0, 1, 2].map(|word| u32::from_be_bytes(words[word]))))
    }

    /// Checks the next message, which must be this request.
    #[track_caller]
    fn asks(&mut self, [index, begin, length]: [u32; 3]) -> Verdict {
        let numbers = [index, begin, length].map(u32::to_be_bytes).concat();
        self.hears(&[&[6], &numbers[..]].concat())
    }

    /// The next requests, which must be this many. `why` says so.
    #[track_caller]
    fn all_asked(&mut self, count: usize, why: &str) -> Verdict<Vec<[u32; 3]>> {
        let mut all = Vec::new();
        for number in 0..count {
            let missing = format!(
                "{count} requests were expected, but {number} came   \
                 [BEP 3, requests; piecemeal chapter 9]\nwhy: {why}"
            );
            all.push(self.asked()?.must(&missing)?);
        }
        Ok(all)
    }

    fn say(&mut self, id: u8, payload: &[u8]) {
        let length = u32::try_from(payload.len() + 1).expect("it is short").to_be_bytes();
        // They may have hung up meanwhile.
        let _ = self.0.write_all(&[&length, &[id][..], payload].concat());
    }

    fn block(&mut self, index: u32, begin: u32, data: &[u8]) {
        self.say(7, &[&index.to_be_bytes()[..], &begin.to_be_bytes(), data].concat());
    }

    /// Reads that they are interested, and unchokes them.
    #[track_caller]
    fn begin(&mut self) -> Verdict {
        self.hears(&[2])?;
        self.say(1, b"");
        Ok(())
    }

    /// The block they asked for, out of the whole content.
    #[track_caller]
    fn give(
        &mut self,
        [index, begin, length]: [u32; 3],
        content: &[u8],
        piece_length: usize,
    ) -> Verdict {
        let piece = content.chunks(piece_length).nth(index as usize).unwrap_or_default();
        let end = begin as usize + length as usize;
        let Some(block) = piece.get(begin as usize..end) else {
            return Err(Complaint::new(format!(
                "byte 9, request: length: it asks for {length} bytes of piece {index} from byte \
                 {begin} on, but the piece has {} bytes   [BEP 3, requests; piecemeal chapter 9]\n\
                 hint: the last block of a piece is what is left of it, so it is shorter",
                piece.len()
            )));
        };
        self.block(index, begin, block);
        Ok(())
    }

    #[track_caller]
    fn serve(&mut self, content: &[u8], piece_length: usize) -> Verdict {
        while let Some(request) = self.asked()? {
            self.give(request, content, piece_length)?;
        }
        Ok(())
    }
}

/// A connection to a peer that does this, on a thread of its own.
fn connect(peer: impl FnOnce(Peer) -> Verdict + Send + 'static) -> (Connection, Script) {
    let address = |last| SocketAddr::from(([192, 0, 2, last], 6881));
    let (near, mut far) = pair(1 << 17, address(1), address(2));
    far.set_deadline(Instant::now() + Duration::from_secs(60));
    let theirs = Handshake {
        reserved: [0; 8],
        info_hash: InfoHash([b'a'; 20]),
        peer_id: PeerId([b'b'; 20]),
    };
    (Connection::new(near, theirs, theirs), Script::start(move || peer(Peer(far))))
}

/// Fails unless these are the bytes of the content.
#[track_caller]
fn assert_content(found: &[u8], expected: &[u8]) {
    assert_wire(found, expected, "BEP 3, blocks");
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// Fetches one piece from a peer that does this. A complaint of the peer fails the test.
#[track_caller]
fn fetch(
    info: &Info,
    index: u32,
    until: Instant,
    peer: impl FnOnce(Peer) -> Verdict + Send + 'static,
) -> Result<Vec<u8>, PieceError> {
    let (mut connection, script) = connect(peer);
    let piece = info.piece(index).expect("there is such a piece");
    let fetched = PieceFetcher::new(&mut connection).fetch_piece(info, piece, until);
    drop(connection);
    script.verdict();
    fetched
}

#[test]
fn a_piece_is_cut_into_blocks_of_16_kib_of_which_the_last_is_the_rest() {
    for (size, expected) in [
        (0, &[][..]),
        (1, &[(0, 1)]),
        (16383, &[(0, 16383)]),
        (16384, &[(0, 16384)]),
        (16385, &[(0, 16384), (16384, 1)]),
        (32768, &[(0, 16384), (16384, 16384)]),
    ] {
        assert_value(
            &format!("begin and length of each block of a piece of {size} bytes"),
            blocks(size).collect::<Vec<_>>(),
            expected,
            "BEP 3, blocks",
        );
    }
    assert_eq!(blocks(512 << 20).last(), Some(((512 << 20) - 16384, 16384)));
}

#[test]
fn one_request_asks_for_a_block_and_not_for_a_byte() {
    let (info, content) = torrent(90_000, 40_000);
    let whole = content.clone();
    let fetched = fetch(&info, 1, soon(), move |mut peer| {
        peer.begin()?;
        // BEP 3: index, begin, length.
        peer.hears(b"\x06\0\0\0\x01\0\0\0\0\0\0\x40\0")?;
        peer.hears(b"\x06\0\0\0\x01\0\0\x40\0\0\0\x40\0")?;
        peer.hears(b"\x06\0\0\0\x01\0\0\x80\0\0\0\x1c\x40")?;
        [[1, 0, 16384], [1, 16384, 16384], [1, 32768, 7232]]
            .into_iter()
            .try_for_each(|asked| peer.give(asked, &whole, 40_000))?;
        peer.hears_the_end()
    });
    assert_content(&fetched.expect("it is all there"), &content[40_000..80_000]);
}

#[test]
fn sixteen_requests_are_on_their_way_and_never_more() {
    assert_eq!(PIPELINE, 16);
    let (info, content) = torrent(40 * BLOCK, 40 * BLOCK);
    let whole = content.clone();
    let fetched = fetch(&info, 0, soon(), move |mut peer| {
        peer.begin()?;
        let mut waiting = peer.all_asked(16, PIPELINED)?;
        peer.hears_nothing()?;
        for block in 16..40 {
            // For each that is answered, one more is requested.
            peer.give(waiting.remove(block % 16), &whole, 40 * BLOCK)?;
            peer.asks([0, (block * BLOCK) as u32, 16384])?;
            waiting.push([0, (block * BLOCK) as u32, 16384]);
        }
        peer.hears_nothing()?;
        waiting.into_iter().rev().try_for_each(|asked| peer.give(asked, &whole, 40 * BLOCK))?;
        peer.hears_the_end()
    });
    assert_content(&fetched.expect("it is all there"), &content);
}

#[test]
fn after_a_choke_in_the_middle_everything_that_is_missing_is_asked_again() {
    let (info, content) = torrent(20 * BLOCK, 20 * BLOCK);
    let whole = content.clone();
    let fetched = fetch(&info, 0, soon(), move |mut peer| {
        peer.begin()?;
        let first = peer.all_asked(16, PIPELINED)?;
        peer.give(first[0], &whole, 20 * BLOCK)?;
        peer.give(first[1], &whole, 20 * BLOCK)?;
        peer.say(0, b"");
        peer.give(first[2], &whole, 20 * BLOCK)?; // it was on its way: no offence
        peer.asks([0, 16 * 16384, 16384])?;
        peer.asks([0, 17 * 16384, 16384])?;
        peer.hears_nothing()?;
        peer.say(1, b"");
        let again =
            peer.all_asked(16, "a choke voids all requests: what is missing is asked for again")?;
        let missing: Vec<[u32; 3]> = (3..19).map(|block| [0, block * 16384, 16384]).collect();
        value_is("what is asked for again after a choke", &again, &missing, "BEP 3, requests")?;
        again.into_iter().try_for_each(|asked| peer.give(asked, &whole, 20 * BLOCK))?;
        peer.serve(&whole, 20 * BLOCK)
    });
    assert_content(&fetched.expect("it is all there"), &content);
}

#[test]
fn a_block_that_comes_twice_counts_once() {
    let (info, content) = torrent(3 * BLOCK, 3 * BLOCK);
    let whole = content.clone();
    let fetched = fetch(&info, 0, soon(), move |mut peer| {
        peer.begin()?;
        let asked = peer.all_asked(3, PIPELINED)?;
        for block in [2, 2, 2, 0, 2, 0, 1] {
            peer.give(asked[block], &whole, 3 * BLOCK)?;
        }
        peer.hears_the_end()
    });
    assert_content(&fetched.expect("it is all there"), &content);
}

#[test]
fn blocks_that_were_never_asked_for_change_nothing() {
    let (info, content) = torrent(5 * BLOCK, 2 * BLOCK);
    let whole = content.clone();
    let fetched = fetch(&info, 1, soon(), move |mut peer| {
        let junk = [b'x'; BLOCK];
        let all = |peer: &mut Peer| {
            for (index, begin, length) in [
                (0, 0, BLOCK),               // another piece
                (9, 0, BLOCK),               // no piece
                (u32::MAX, u32::MAX, BLOCK), // as far away as can be
                (1, 2 * 16384, BLOCK),       // after the end
                (1, u32::MAX, 1),
                (1, 8192, BLOCK), // across two blocks
                (1, 0, BLOCK - 1),
                (1, 0, 0),
            ] {
                peer.block(index, begin, &junk[..length]);
            }
        };
        all(&mut peer);
        peer.begin()?;
        while let Some(request) = peer.asked()? {
            all(&mut peer);
            peer.give(request, &whole, 2 * BLOCK)?;
        }
        Ok(())
    });
    assert_content(&fetched.expect("it is all there"), &content[2 * BLOCK..4 * BLOCK]);
}

#[test]
fn all_pieces_come_over_one_connection_whatever_the_last_ones_size() {
    // A whole number of pieces; a last piece of one byte; one piece shorter than a block; something in between.
    for (length, piece_length) in
        [(4 * BLOCK, 2 * BLOCK), (2 * BLOCK + 1, BLOCK), (5, BLOCK), (100_000, 30_001), (7, 1)]
    {
        let (info, content) = torrent(length, piece_length);
        let whole = content.clone();
        let (mut connection, script) = connect(move |mut peer| {
            peer.begin()?; // and no second time
            let pieces = whole.chunks(piece_length).count();
            let mut last = [0; 3];
            while let Some(request) = peer.asked()? {
                insist!(request[0] < pieces as u32, "there is no piece {}", request[0]);
                peer.give(request, &whole, piece_length)?;
                last = request;
            }
            let end = last[0] as usize * piece_length + (last[1] + last[2]) as usize;
            number_is("the end of the last block", end, length, "BEP 3, requests", &[])
        });
        let mut peer = PieceFetcher::new(&mut connection);
        let all: Result<Vec<Vec<u8>>, PieceError> =
            info.pieces().map(|piece| peer.fetch_piece(&info, piece, soon())).collect();
        drop(connection);
        script.verdict();
        assert_content(&all.expect("it is there").concat(), &content);
    }
}

#[test]
fn a_bitfield_is_optional_and_other_messages_do_no_harm() {
    let (info, content) = torrent(BLOCK, BLOCK);
    for says in [
        &b""[..],
        b"\0\0\0\x02\x05\x80",
        b"\0\0\0\0\0\0\0\x05\x04\0\0\0\0\0\0\0\x05\x04\xff\xff\xff\xff",
        b"\0\0\0\x0d\x06\0\0\0\0\0\0\0\0\0\0\x40\0\0\0\0\x01\x02\0\0\0\x03\x09\x1a\xe1\0\0\0\x02\x63x\0\0\0\x01\x00",
        b"\0\0\0\x04\x14\0de\0\0\0\x01\x0e",
    ] {
        let whole = content.clone();
        let fetched = fetch(&info, 0, soon(), move |mut peer| {
            peer.0.write_all(says)?;
            peer.begin()?;
            peer.serve(&whole, BLOCK)
        });
        assert_content(&fetched.unwrap_or_else(|error| panic!("{says:?}: {error}")), &content);
    }
}

#[test]
fn spare_bits_in_a_bitfield_do_no_harm_and_are_told_of() {
    for (bits, told) in [(0xff, true), (0x81, true), (0x80, false)] {
        let (info, content) = torrent(BLOCK, BLOCK);
        let whole = content.clone();
        let (mut connection, script) = connect(move |mut peer| {
            peer.0.write_all(&[0, 0, 0, 2, 5, bits])?;
            peer.begin()?;
            peer.serve(&whole, BLOCK)
        });
        let mut peer = PieceFetcher::new(&mut connection);
        let piece = info.piece(0).expect("there is one");
        let (fetched, passed_over) = (peer.fetch_piece(&info, piece, soon()), peer.passed_over);
        drop(connection);
        script.verdict();
        assert_content(&fetched.expect("it is all there"), &content);
        assert_eq!(passed_over.is_some(), told, "a note about the bits {bits:08b}");
    }
}

#[test]
fn the_choking_side_sends_unchoke_and_until_then_nothing_is_asked() {
    let (info, content) = torrent(BLOCK, BLOCK);
    let whole = content.clone();
    let fetched = fetch(&info, 0, soon(), move |mut peer| {
        peer.hears(&[2])?;
        peer.hears_nothing()?; // no request, and no unchoke from the side that is choked
        peer.say(1, b"");
        peer.asks([0, 0, 16384])?;
        peer.block(0, 0, &whole);
        peer.hears_the_end()
    });
    assert_content(&fetched.expect("it is all there"), &content);
}

#[test]
fn a_piece_with_the_wrong_hash_is_refused_wherever_it_differs() {
    let (info, content) = torrent(2 * BLOCK + 9, 2 * BLOCK);
    for (index, at) in [(0, 0), (0, 2 * BLOCK - 1), (1, 2 * BLOCK + 8)] {
        let mut corrupt = content.clone();
        corrupt[at] ^= 1;
        let fetched = fetch(&info, index, soon(), move |mut peer| {
            peer.begin()?;
            peer.serve(&corrupt, 2 * BLOCK)
        });
        assert!(matches!(fetched, Err(PieceError::WrongHash { .. })), "{fetched:?}");
    }
}

#[test]
fn a_peer_that_lacks_the_piece_is_left_at_once() {
    let (info, _) = torrent(3 * BLOCK, BLOCK);
    let fetched = fetch(&info, 1, soon(), |mut peer| {
        peer.say(5, &[0b1010_0000]);
        peer.hears(&[2])?;
        peer.hears_the_end()
    });
    assert!(
        matches!(fetched, Err(PieceError::NotThere { piece }) if piece.get() == 1),
        "{fetched:?}"
    );
}

#[test]
fn a_peer_known_to_lack_the_next_piece_is_not_asked_for_it() {
    let (info, content) = torrent(3 * BLOCK, BLOCK);
    let (mut connection, script) = connect(move |mut peer| {
        peer.say(5, &[0b1000_0000]);
        peer.begin()?;
        let request = peer.asked()?.must("a request for the first piece, which it has")?;
        peer.give(request, &content, BLOCK)?;
        peer.hears_the_end()
    });
    let mut peer = PieceFetcher::new(&mut connection);
    let mut fetch =
        |index, until| peer.fetch_piece(&info, info.piece(index).expect("there is"), until);
    let (first, second) = (fetch(0, soon()), fetch(1, Instant::now() + Duration::from_secs(1)));
    drop(connection);
    script.verdict();
    first.expect("it is there");
    assert!(matches!(second, Err(PieceError::NotThere { .. })), "{second:?}");
}

#[test]
fn a_bitfield_that_does_not_fit_the_torrent_is_refused() {
    let (info, _) = torrent(3 * BLOCK, BLOCK);
    for bits in [&[][..], &[0xe0, 0]] {
        let fetched = fetch(&info, 0, soon(), |mut peer| {
            peer.say(5, bits);
            while peer.hear().is_some() {}
            Ok(())
        });
        assert!(matches!(fetched, Err(PieceError::Bitfield(_))), "{fetched:?}");
    }
}

#[test]
fn a_peer_that_breaks_the_rules_or_hangs_up_in_the_middle_is_an_error() {
    let (info, content) = torrent(2 * BLOCK, 2 * BLOCK);
    let fetched = fetch(&info, 0, soon(), move |mut peer| {
        peer.begin()?;
        let request = peer.asked()?.must("a request")?;
        peer.give(request, &content, 2 * BLOCK)?;
        let Peer(Transport { reader: _still_reads, mut writer, .. }) = peer;
        writer.write_all(b"\0\0\x40\x09\x07\0\0")?;
        Ok(())
    });
    assert!(
        matches!(fetched, Err(PieceError::Message(MessageError::HungUp { inside: true }))),
        "{fetched:?}"
    );
    let fetched = fetch(&info, 0, soon(), |mut peer| {
        peer.begin()?;
        peer.block(0, 0, &[0; BLOCK + 1]);
        while peer.hear().is_some() {}
        Ok(())
    });
    assert!(
        matches!(fetched, Err(PieceError::Message(MessageError::TooLong { .. }))),
        "{fetched:?}"
    );
}

#[test]
fn a_peer_that_never_unchokes_or_only_keeps_alive_is_left_at_the_deadline() {
    let (info, _) = torrent(BLOCK, BLOCK);
    for unchokes in [false, true] {
        let (begun, begins) = mpsc::channel();
        let (mut connection, script) = connect(move |mut peer| {
            if unchokes {
                peer.say(1, b"");
            }
            begun.send(()).must("the test waits")?;
            while peer.0.write_all(b"\0\0\0\0").is_ok() {
                thread::sleep(Duration::from_millis(5));
            }
            Ok(())
        });
        // The unchoke has come, or it never comes.
        begins.recv().expect("the peer begins");
        let (piece, until) =
            (info.piece(0).expect("there is one"), Instant::now() + Duration::from_millis(500));
        let fetched = PieceFetcher::new(&mut connection).fetch_piece(&info, piece, until);
        drop(connection);
        script.verdict();
        match fetched {
            Err(PieceError::Message(MessageError::Io(error))) if unchokes => {
                assert_eq!(error.kind(), ErrorKind::TimedOut)
            }
            Err(PieceError::Choked { piece }) if !unchokes => assert_eq!(piece.get(), 0),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_piece_is_checked_as_the_torrent_says() {
    let (info, content) = torrent(3 * BLOCK + 9, 2 * BLOCK);
    let info = by_blocks(info, &content);
    for index in [0, 1] {
        let right = content.clone();
        let fetched = fetch(&info, index, soon(), move |mut peer| {
            peer.begin()?;
            peer.serve(&right, 2 * BLOCK)
        });
        let end = content.len().min((index as usize + 1) * 2 * BLOCK);
        assert_content(&fetched.expect("it is right"), &content[index as usize * 2 * BLOCK..end]);
    }
    let mut wrong = content.clone();
    wrong[BLOCK] ^= 1;
    let fetched = fetch(&info, 0, soon(), move |mut peer| {
        peer.begin()?;
        peer.serve(&wrong, 2 * BLOCK)
    });
    match fetched {
        Err(PieceError::WrongHash { expected, found, .. }) => {
            assert_eq!((expected.len(), &expected[..40]), (80, &found[..40]), "two blocks");
            assert_ne!(expected[40..], found[40..]);
        }
        other => panic!("{other:?}"),
    }
}

/// The most memory this process has ever had, in MiB.
#[cfg(target_os = "linux")]
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it is there");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") / 1024
}

#[test]
#[cfg(target_os = "linux")]
fn one_block_cannot_make_us_allocate_a_piece_of_512_mib() {
    let raw =
        b"d6:lengthi536870912e4:name1:a12:piece lengthi536870912e6:pieces20:aaaaaaaaaaaaaaaaaaaae";
    let info = Info::from_bytes(raw).expect("it is within the limits");
    let before = peak();
    let fetched = fetch(&info, 0, soon(), |mut peer| {
        peer.begin()?;
        peer.asked()?.must("a request")?;
        peer.block(0, (512 << 20) - 16384, &[0; BLOCK]); // the last block, when the first sixteen are wanted
        Ok(())
    });
    assert!(fetched.is_err());
    assert!(peak() - before < 100, "{} MiB for one block of 16 KiB", peak() - before);
}
