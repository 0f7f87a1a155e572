//! Stage 8 from outside: metadata messages byte by byte, and fetching from peers good and bad.

mod support;

use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use piecemeal::s02_metainfo::{Info, InfoHash};
use piecemeal::s03_tracker::PeerId;
use piecemeal::s04_handshake::Handshake;
use piecemeal::s04_handshake::transport::{Transport, WriteHalf, pair};
use piecemeal::s05_messages::connection::Connection;
use piecemeal::s05_messages::{Message, MessageError};
use piecemeal::s07_extension::{ExtensionError, Extensions};
use piecemeal::s08_metadata::lt_metadata::LtMetadata;
use piecemeal::s08_metadata::message::{MetadataMessage, MetadataMessageError};
use piecemeal::s08_metadata::{MetadataError, MetadataPieceIndex, UtMetadata, fetch_metadata};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sha1::{Digest, Sha1};
use support::{
    Complaint, Must, Script, Verdict, assert_read, assert_value, assert_wire, number_is, value_is,
    wire_is,
};

const ZERO: MetadataPieceIndex = MetadataPieceIndex(0);

fn decode(payload: &[u8]) -> MetadataMessage<'_> {
    MetadataMessage::decode(payload)
        .unwrap_or_else(|error| panic!("{:?}: {error}", String::from_utf8_lossy(payload)))
}

#[test]
fn the_three_messages_of_bep_9_are_read_and_written() {
    let data = MetadataMessage::Data { piece: ZERO, total_size: Some(3425), data: b"xxxxxxxx" };
    for (message, bytes) in [
        (MetadataMessage::Request { piece: ZERO }, &b"d8:msg_typei0e5:piecei0ee"[..]),
        (data, b"d8:msg_typei1e5:piecei0e10:total_sizei3425eexxxxxxxx"),
        (MetadataMessage::Reject { piece: MetadataPieceIndex(9) }, b"d8:msg_typei2e5:piecei9ee"),
    ] {
        assert_read(bytes, decode(bytes), message.clone(), "BEP 9, metadata message");
        assert_wire(&message.encode(), bytes, "BEP 9, metadata message");
    }
}

#[test]
fn the_total_size_that_bep_9_prints_has_a_digit_too_many() {
    // "{'msg_type': 1, 'piece': 0, 'total_size': 3425}", it says, is this:
    let printed = decode(b"d8:msg_typei1e5:piecei0e10:total_sizei34256eexxxxxxxx");
    assert_eq!(
        printed,
        MetadataMessage::Data { piece: ZERO, total_size: Some(34256), data: b"xxxxxxxx" }
    );
}

#[test]
fn reject_is_2_and_what_bep_9_prints_as_reject_is_data() {
    assert_eq!(decode(b"d8:msg_typei2e5:piecei0ee"), MetadataMessage::Reject { piece: ZERO });
    let printed = decode(b"d8:msg_typei1e5:piecei0ee");
    assert_eq!(printed, MetadataMessage::Data { piece: ZERO, total_size: None, data: b"" });
}

#[test]
fn the_data_starts_where_the_dictionary_ends_whatever_is_in_it() {
    for dictionary in [
        &b"d8:msg_typei1e5:piecei0e10:total_sizei9ee"[..],
        b"d1:ad1:bl1:cee8:msg_typei1e5:piecei0e10:total_sizei9e1:zi0ee",
        b"d10:total_sizei9e5:piecei0e8:msg_typei1ee",
    ] {
        for data in [&b""[..], b"e", b"ee", b"d1:a", b"4:spam", b"\0\xff"] {
            let payload = [dictionary, data].concat();
            let expected = MetadataMessage::Data { piece: ZERO, total_size: Some(9), data };
            assert_read(&payload, decode(&payload), expected, "BEP 9, metadata message");
        }
    }
}

#[test]
fn malformed_metadata_messages_are_refused() {
    let missing = |key| MetadataMessageError::Missing { key };
    for (payload, expected) in [
        (&b"de"[..], missing("msg_type")),
        (b"le", missing("msg_type")),
        (b"i1e", missing("msg_type")),
        (b"d8:msg_type1:0e", missing("msg_type")),
        (b"d8:msg_typei-1e5:piecei0ee", missing("msg_type")),
        (b"d8:msg_typei0ee", missing("piece")),
        (b"d8:msg_typei1e5:piecei-1ee", missing("piece")),
        (b"d8:msg_typei2e5:piecei4294967296ee", missing("piece")),
        (b"d8:msg_typei0e5:piecelee", missing("piece")),
    ] {
        assert_eq!(
            MetadataMessage::decode(payload),
            Err(expected),
            "{:?}",
            String::from_utf8_lossy(payload)
        );
    }
    let whole = b"d8:msg_typei0e5:piecei0ee";
    for length in 0..whole.len() {
        assert!(matches!(
            MetadataMessage::decode(&whole[..length]),
            Err(MetadataMessageError::Bencode(_))
        ));
    }
    assert!(matches!(
        MetadataMessage::decode(b"d99999999999:"),
        Err(MetadataMessageError::Bencode(_))
    ));
    assert_eq!(decode(b"d8:msg_typei7ee"), MetadataMessage::Unknown { msg_type: 7 });
}

#[test]
fn a_dictionary_of_too_many_values_is_refused() {
    let message = |values: usize| {
        format!("d1:al{}e8:msg_typei0e5:piecei0ee", "0:".repeat(values - 4)).into_bytes()
    };
    assert_eq!(decode(&message(50)), MetadataMessage::Request { piece: MetadataPieceIndex(0) });
    let error = MetadataMessage::decode(&message(51)).expect_err("one more").to_string();
    assert!(error.ends_with("there are more than 50 values"), "{error}");
}

#[test]
fn lt_metadata_counts_in_256ths_and_sends_one_less() {
    let all = LtMetadata::Request { start: 0, size: 256 };
    let part = LtMetadata::Data { total_size: 0x0102_0304, offset: 5, bytes: b"spam" };
    for (message, bytes) in [
        (all, &b"\x00\x00\xff"[..]),
        (LtMetadata::Request { start: 255, size: 1 }, b"\x00\xff\x00"),
        (part, b"\x01\x01\x02\x03\x04\x00\x00\x00\x05spam"),
        (LtMetadata::Data { total_size: 0, offset: 0, bytes: b"" }, b"\x01\0\0\0\0\0\0\0\0"),
        (LtMetadata::DontHave, b"\x02"),
    ] {
        assert_eq!(LtMetadata::decode(bytes).as_ref(), Ok(&message));
        assert_eq!(message.encode(), bytes);
    }
    for bytes in [
        &b""[..],
        b"\0",
        b"\0\0",
        b"\0\0\0\0",
        b"\x01",
        b"\x01\0\0\0\0\0\0\0",
        b"\x02\0",
        b"\x03",
        b"\xff\0\0",
    ] {
        let error = LtMetadata::decode(bytes).expect_err("it is none of the three");
        assert_eq!((error.msg_type, error.length), (bytes.first().copied(), bytes.len()));
    }
}

#[test]
fn mutilated_metadata_messages_are_refused_or_read_but_never_panic() {
    let mut random = StdRng::seed_from_u64(9);
    for _ in 0..20_000 {
        let mut payload = b"d8:msg_typei1e5:piecei0e10:total_sizei3425eexxxxxxxx".to_vec();
        for _ in 0..random.random_range(1..5) {
            let at = random.random_range(0..payload.len());
            payload[at] = if random.random() {
                random.random()
            } else {
                b"ilde0123456789:-"[random.random_range(0..16)]
            };
        }
        let _ = MetadataMessage::decode(&payload);
        payload[0] = random.random_range(0..4);
        payload.truncate(random.random_range(0..12));
        let _ = LtMetadata::decode(&payload);
    }
}

/// An info dictionary that is `size` bytes long: as many pieces of one byte as fit, and a name for the rest.
fn metadata(size: usize) -> Vec<u8> {
    let pieces = (size - 200) / 20;
    let build = |name: usize| {
        let head = format!(
            "d6:lengthi{pieces}e4:name{name}:{}12:piece lengthi1e6:pieces{}:",
            "n".repeat(name),
            pieces * 20
        );
        [head.as_bytes(), &(0..pieces * 20).map(|n| (n % 253) as u8).collect::<Vec<u8>>(), b"e"]
            .concat()
    };
    (1..250).map(build).find(|info| info.len() == size).expect("a name makes up the rest")
}

/// The other end of a connection, which speaks in bytes.
struct Peer(Transport);

impl Peer {
    /// The next message without its length, or `None` at the end.
    fn hear(&mut self) -> Option<Vec<u8>> {
        let mut prefix = [0; 4];
        self.0.read_exact(&mut prefix).ok()?;
        let mut frame = vec![0; u32::from_be_bytes(prefix) as usize];
        self.0.read_exact(&mut frame).ok()?;
        Some(frame)
    }

    /// Which metadata piece they want next, `None` at the end; they must send it to `id`, and say
    /// nothing else.
    #[track_caller]
    fn wanted(&mut self, id: u8) -> Verdict<Option<usize>> {
        let Some(frame) = self.hear() else { return Ok(None) };
        let (before, behind) = (b"d8:msg_typei0e5:piecei", b"ee");
        let piece = frame.get(2..).and_then(|rest| rest.strip_prefix(before)?.strip_suffix(behind));
        let piece = piece.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        // What no request has shows as a difference from one for piece 0.
        let right = format!("d8:msg_typei0e5:piecei{}ee", piece.unwrap_or(0));
        wire_is(
            &frame,
            &[&[20, id][..], right.as_bytes()].concat(),
            "BEP 9, message without its length",
        )?;
        Ok(piece)
    }

    /// Checks which metadata piece they want next.
    #[track_caller]
    fn wants(&mut self, piece: usize) -> Verdict {
        value_is("the next metadata piece", self.wanted(3)?, Some(piece), "BEP 9, metadata")
    }

    /// The metadata piece that they want first.
    #[track_caller]
    fn first(&mut self) -> Verdict<usize> {
        self.wanted(3)?.ok_or_else(|| Complaint::new("a request for metadata was expected"))
    }

    /// Hears everything until they hang up.
    fn listens(&mut self) -> Verdict {
        while self.hear().is_some() {}
        Ok(())
    }

    fn say(&mut self, id: u8, payload: &[u8]) {
        let length = u32::try_from(payload.len() + 1).expect("it is short").to_be_bytes();
        // They may have hung up meanwhile.
        let _ = self.0.write_all(&[&length, &[id][..], payload].concat());
    }

    /// An extended message to their only extension, which has id 1.
    fn extended(&mut self, parts: &[&[u8]]) {
        self.say(20, &[b"\x01", &parts.concat()[..]].concat());
    }

    fn data(&mut self, metadata: &[u8], piece: usize) {
        let head = format!("d8:msg_typei1e5:piecei{piece}e10:total_sizei{}ee", metadata.len());
        self.extended(&[head.as_bytes(), metadata.chunks(16384).nth(piece).unwrap_or_default()]);
    }

    /// Answers every request.
    #[track_caller]
    fn serve(&mut self, metadata: &[u8]) -> Verdict {
        while let Some(piece) = self.wanted(3)? {
            self.data(metadata, piece);
        }
        Ok(())
    }
}

type Fetched = Result<Option<Info>, MetadataError>;

/// Fetches from a peer whose extension handshake had these keys, and that then does this. A
/// complaint of the peer fails the test.
#[track_caller]
fn fetch(
    greeting: &str,
    hash: [u8; 20],
    peer: impl FnOnce(Peer) -> Verdict + Send + 'static,
) -> Fetched {
    let until = Instant::now() + Duration::from_secs(60);
    let (fetched, connection, script) = fetch_by(until, &|| false, greeting, hash, peer);
    drop(connection);
    script.verdict();
    fetched
}

fn fetch_by<T: Send + 'static>(
    until: Instant,
    over: &dyn Fn() -> bool,
    greeting: &str,
    hash: [u8; 20],
    peer: impl FnOnce(Peer) -> Verdict<T> + Send + 'static,
) -> (Fetched, Connection, Script<T>) {
    let (near, far) = ends();
    let script = Script::start(move || peer(Peer(far)));
    let (fetched, connection) = fetch_over(near, until, over, greeting, hash);
    (fetched, connection, script)
}

/// Our end of a connection, and the peer's.
fn ends() -> (Transport, Transport) {
    let address = |last| SocketAddr::from(([192, 0, 2, last], 6881));
    let (near, mut far) = pair(1 << 16, address(1), address(2));
    far.set_deadline(Instant::now() + Duration::from_secs(60));
    (near, far)
}

fn fetch_over(
    near: Transport,
    until: Instant,
    over: &dyn Fn() -> bool,
    greeting: &str,
    hash: [u8; 20],
) -> (Fetched, Connection) {
    let theirs = Handshake {
        reserved: [0, 0, 0, 0, 0, 16, 0, 0],
        info_hash: InfoHash(hash),
        peer_id: PeerId([b'b'; 20]),
    };
    let mut connection = Connection::new(near, theirs, theirs);
    let mut extensions = Extensions::new(vec![Box::new(UtMetadata::new(None))]);
    extensions.hear(format!("\0d{greeting}e").as_bytes(), &mut Vec::new()).expect("a greeting");
    let names = InfoHash(hash).into();
    let fetched = fetch_metadata(&mut connection, &mut extensions, &names, until, over);
    (fetched, connection)
}

fn greeting(size: usize) -> String {
    format!("1:md11:ut_metadatai3ee13:metadata_sizei{size}e")
}

/// Fetches this from a peer that does this with it.
#[track_caller]
fn fetch_this(
    metadata: Vec<u8>,
    peer: impl FnOnce(Peer, &[u8]) -> Verdict + Send + 'static,
) -> Fetched {
    fetch(&greeting(metadata.len()), Sha1::digest(&metadata).into(), move |end| {
        peer(end, &metadata)
    })
}

#[track_caller]
fn expect(fetched: Fetched, metadata: &[u8]) {
    let found = fetched.unwrap_or_else(|error| {
        panic!(
            "the metadata must be fetched, but: {error}   [BEP 9, metadata; piecemeal chapter 8]"
        )
    });
    assert_wire(&found.expect("nobody was faster").raw, metadata, "BEP 9, info dictionary");
}

/// A write half that remembers the deadlines it is given.
struct Remembering(Box<dyn WriteHalf>, Arc<Mutex<Vec<Instant>>>);

impl Write for Remembering {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl WriteHalf for Remembering {
    fn set_deadline(&mut self, deadline: Instant) {
        self.1.lock().expect("no thread panics with it").push(deadline);
        self.0.set_deadline(deadline);
    }
}

/// Ten seconds for each, and not for all of it: over a slow line a large dictionary takes minutes.
#[test]
fn each_metadata_piece_gives_the_peer_more_time_up_to_the_deadline() {
    let whole = metadata(20 * 16384);
    let hash = Sha1::digest(&whole).into();
    for (total, moves) in [(600, true), (3, false)] {
        let (mut near, far) = ends();
        let deadlines = Arc::new(Mutex::new(Vec::new()));
        near.writer = Box::new(Remembering(near.writer, Arc::clone(&deadlines)));
        let served = whole.clone();
        let script = Script::start(move || Peer(far).serve(&served));
        let until = Instant::now() + Duration::from_secs(total);
        let (fetched, connection) =
            fetch_over(near, until, &|| false, &greeting(whole.len()), hash);
        drop(connection);
        script.verdict();
        expect(fetched, &whole);
        let deadlines = deadlines.lock().expect("no thread panics with it");
        assert_eq!(deadlines.len(), 20, "one for each metadata piece");
        assert!(deadlines.windows(2).all(|two| (two[0] < two[1]) == moves), "{deadlines:?}");
        assert!(deadlines.iter().all(|deadline| *deadline <= until));
    }
}

#[test]
fn metadata_of_any_number_of_pieces_is_fetched_whole_and_no_piece_too_many() {
    for (size, pieces) in
        [(300, 1), (16383, 1), (16384, 1), (16385, 2), (32768, 2), (32769, 3), (200_000, 13)]
    {
        let whole = metadata(size);
        let fetched = fetch_this(whole.clone(), move |mut peer, metadata| {
            let mut wanted = Vec::new();
            while let Some(piece) = peer.wanted(3)? {
                wanted.push(piece);
                peer.data(metadata, piece);
            }
            let what = format!("the metadata pieces that {size} bytes make");
            value_is(&what, wanted, (0..pieces).collect::<Vec<_>>(), "BEP 9, metadata")
        });
        expect(fetched, &whole);
    }
}

#[test]
fn total_size_is_the_size_of_the_whole_and_not_of_the_piece() {
    // Both messages say 20000; one brings 16384 bytes and the other 3616.
    let whole = metadata(20_000);
    let fetched = fetch_this(whole.clone(), |mut peer, metadata| {
        peer.extended(&[b"d8:msg_typei1e5:piecei0e10:total_sizei20000ee", &metadata[..16384]]);
        peer.extended(&[b"d8:msg_typei1e5:piecei1e10:total_sizei20000ee", &metadata[16384..]]);
        peer.listens()
    });
    expect(fetched, &whole);
}

#[test]
fn keys_nobody_knows_do_not_shift_the_data() {
    let whole = metadata(20_000);
    let fetched = fetch_this(whole.clone(), |mut peer, metadata| {
        while let Some(piece) = peer.wanted(3)? {
            let head = format!("d5:piecei{piece}e8:msg_typei1e1:xl1:de1:y3:eeee");
            peer.extended(&[
                head.as_bytes(),
                metadata.chunks(16384).nth(piece).unwrap_or_default(),
            ]);
        }
        Ok(())
    });
    expect(fetched, &whole);
}

#[test]
fn pieces_may_come_in_any_order_twice_or_unasked() {
    let whole = metadata(60_000);
    let fetched = fetch_this(whole.clone(), |mut peer, metadata| {
        (0..4).try_for_each(|piece| peer.wants(piece))?;
        for piece in [3, 3, 1, 7, 4_000_000_000, 1, 0, 0, 2] {
            peer.data(metadata, piece);
        }
        peer.listens()
    });
    expect(fetched, &whole);
}

#[test]
fn a_bitfield_in_the_middle_is_kept_for_the_download() {
    let whole = metadata(40_000);
    let hash = Sha1::digest(&whole).into();
    let until = Instant::now() + Duration::from_secs(60);
    let metadata = whole.clone();
    let greeting = greeting(whole.len());
    let (fetched, mut connection, script) =
        fetch_by(until, &|| false, &greeting, hash, move |mut peer| {
            let metadata = &metadata[..];
            peer.say(5, &[0xff; 3]);
            let first = peer.first()?;
            peer.data(metadata, first);
            peer.say(1, b"");
            peer.say(99, b"whatever that is");
            let _ = peer.0.write_all(b"\0\0\0\0");
            peer.say(4, b"\0\0\0\x05");
            peer.serve(metadata)
        });
    connection.input.replay();
    let kept: Vec<String> = (0..3)
        .map_while(|_| connection.read().ok().map(|message| format!("{message:?}")))
        .collect();
    drop(connection);
    script.verdict();
    expect(fetched, &whole);
    let expected = ["Bitfield { bits: [255, 255, 255] }", "Unchoke", "Have { index: 5 }"];
    assert_value("what came beside the metadata and is kept", kept, expected, "BEP 9, metadata");
}

#[test]
fn requests_from_the_peer_are_answered_with_a_reject() {
    let whole = metadata(300);
    let fetched = fetch_this(whole.clone(), |mut peer, metadata| {
        let wanted = peer.first()?;
        peer.extended(&[b"d8:msg_typei0e5:piecei7ee"]);
        // They get what they want only after the reject has come.
        wire_is(
            &peer.hear().unwrap_or_default(),
            b"\x14\x03d8:msg_typei2e5:piecei7ee",
            "BEP 9, message without its length",
        )?;
        peer.data(metadata, wanted);
        Ok(())
    });
    expect(fetched, &whole);
}

#[test]
fn messages_to_extensions_we_do_not_have_are_skipped() {
    let whole = metadata(300);
    let fetched = fetch_this(whole.clone(), |mut peer, metadata| {
        peer.say(20, b"\x02d8:msg_typei2e5:piecei0ee");
        peer.say(20, b"\x03d8:msg_typei1e5:piecei0eexxx");
        peer.extended(&[b"d8:msg_typei9ee"]);
        peer.serve(metadata)
    });
    expect(fetched, &whole);
}

const OLD_ID: &[(u8, &str)] =
    &[(3, "a later extension handshake has changed it, and counts from then on")];

#[test]
fn an_id_that_a_later_handshake_changes_is_used_from_then_on() {
    let whole = metadata(200_000);
    let fetched = fetch_this(whole.clone(), |mut peer, metadata| {
        let first = peer.first()?;
        peer.say(20, b"\0d1:md11:ut_metadatai9eee");
        peer.data(metadata, first);
        // Requests from before they heard of the change still have the old id, but the last one does not.
        while let Some(frame) = peer.hear() {
            let (id, rest) = frame.split_at_checked(2).must("an extended message")?;
            let piece = String::from_utf8_lossy(rest)
                .replace("d8:msg_typei0e5:piecei", "")
                .replace("ee", "");
            match piece.parse().must("a request for metadata")? {
                // Nobody listens to the old id any more.
                12 => {
                    number_is("extension id", id[1], 9, "BEP 10, extended messages", OLD_ID)?;
                    peer.data(metadata, 12);
                }
                piece => peer.data(metadata, piece),
            }
        }
        Ok(())
    });
    expect(fetched, &whole);
}

#[test]
fn a_peer_that_rejects_is_left_at_once() {
    let fetched = fetch_this(metadata(20_000), |mut peer, metadata| {
        peer.data(metadata, 0);
        peer.extended(&[b"d8:msg_typei2e5:piecei1ee"]);
        peer.listens()
    });
    assert!(matches!(fetched, Err(MetadataError::Rejected { piece: 1 })), "{fetched:?}");
}

#[test]
fn a_piece_of_the_wrong_size_is_refused() {
    for (piece, size) in
        [(0, 0), (0, 16383), (0, 16385), (1, 3615), (1, 3617), (2, 1), (4_294_967_295u32, 16384)]
    {
        let fetched = fetch_this(metadata(20_000), move |mut peer, _| {
            let head = format!("d8:msg_typei1e5:piecei{piece}e10:total_sizei20000ee");
            peer.extended(&[head.as_bytes(), &vec![b'x'; size]]);
            peer.listens()
        });
        match fetched {
            Err(MetadataError::Data { piece: of, found, .. }) => {
                assert_eq!((of, found), (piece, size))
            }
            other => panic!("piece {piece}, {size} bytes: {other:?}"),
        }
    }
}

#[test]
fn metadata_with_another_hash_is_refused_wherever_it_differs() {
    for at in [0, 16383, 16384, 19_999] {
        let fetched = fetch_this(metadata(20_000), move |mut peer, metadata| {
            let mut corrupt = metadata.to_vec();
            corrupt[at] ^= 1;
            peer.serve(&corrupt)
        });
        assert!(matches!(fetched, Err(MetadataError::WrongHash { .. })), "{fetched:?}");
    }
}

#[test]
fn metadata_with_the_right_hash_that_is_no_torrent_is_an_error_of_its_own() {
    for text in [&b"d1:ai1ee"[..], b"hello", b"d12:meta versioni2e4:name1:ae"] {
        let fetched = fetch_this(text.to_vec(), |mut peer, metadata| peer.serve(metadata));
        assert!(matches!(fetched, Err(MetadataError::Metainfo(_))), "{fetched:?}");
    }
}

#[test]
fn a_peer_that_offers_no_metadata_or_an_absurd_size_is_asked_nothing() {
    let m = "1:md11:ut_metadatai3ee";
    for (keys, size) in [
        (format!("{m}13:metadata_sizei0e"), Some(0)),
        (format!("{m}13:metadata_sizei50331649e"), Some(50_331_649)), // 48 MiB and one
        (format!("{m}13:metadata_sizei9223372036854775807e"), Some(i64::MAX as u64)),
        (format!("{m}13:metadata_sizei-1e"), None),
        (m.to_owned(), None),
        ("1:md11:ut_metadatai0ee13:metadata_sizei5e".to_owned(), None),
        ("1:md6:ut_pexi3ee13:metadata_sizei5e".to_owned(), None),
        ("13:metadata_sizei5e".to_owned(), None),
    ] {
        let fetched = fetch(&keys, [0; 20], |mut peer| {
            value_is("what such a peer is asked", peer.hear(), None, "BEP 9, metadata")
        });
        match (&fetched, size) {
            (Err(MetadataError::Size { found }), Some(size)) => assert_eq!(*found, size),
            (Err(MetadataError::NotOffered), None) => {}
            _ => panic!("{keys}: {fetched:?}"),
        }
    }
}

#[test]
fn a_peer_that_hangs_up_or_speaks_nonsense_in_the_middle_is_an_error() {
    let fetched = fetch_this(metadata(20_000), |mut peer, metadata| {
        (0..2).try_for_each(|piece| peer.wants(piece))?;
        peer.data(metadata, 0);
        Ok(())
    });
    assert!(
        matches!(
            fetched,
            Err(MetadataError::Extension(ExtensionError::Message(MessageError::HungUp { .. })))
        ),
        "{fetched:?}"
    );
    let fetched = fetch_this(metadata(20_000), |mut peer, _| {
        peer.extended(&[b"d8:msg_type"]);
        peer.listens()
    });
    assert!(matches!(fetched, Err(MetadataError::Codec(_))), "{fetched:?}");
}

#[test]
fn a_peer_that_only_keeps_alive_is_left_at_the_deadline() {
    let until = Instant::now() + Duration::from_millis(300);
    let (fetched, ..) = fetch_by(until, &|| false, &greeting(300), [0; 20], |mut peer| {
        while peer.0.write_all(b"\0\0\0\0").is_ok() {
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    });
    match fetched {
        Err(MetadataError::Extension(ExtensionError::Message(MessageError::Io(error)))) => {
            assert_eq!(error.kind(), ErrorKind::TimedOut);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn when_somebody_else_was_faster_the_connection_is_still_good() {
    let asked = Cell::new(0);
    let over = || asked.replace(asked.get() + 1) > 0;
    let until = Instant::now() + Duration::from_secs(60);
    let (fetched, mut connection, _) =
        fetch_by(until, &over, &greeting(300), [0; 20], |mut peer| {
            while peer.hear().is_some_and(|frame| frame != [2]) {}
            peer.say(1, b"");
            peer.listens()
        });
    assert!(matches!(fetched, Ok(None)), "{fetched:?}");
    connection.set_deadline(until);
    connection.send(&Message::Interested).expect("it is still open");
    assert_eq!(connection.read().expect("they answer"), Message::Unchoke);
}

#[test]
fn our_metadata_is_served_in_pieces_of_16_kib() {
    let whole: Arc<[u8]> = metadata(40_000).into();
    let mut ours = Extensions::new(vec![Box::new(UtMetadata::new(Some(Arc::clone(&whole))))]);
    let peer = [192, 0, 2, 1].into();
    assert_eq!(ours.greeting(peer).metadata_size, Some(40_000));
    assert_eq!(
        Extensions::new(vec![Box::new(UtMetadata::new(None))]).greeting(peer).metadata_size,
        None
    );
    ours.hear(b"\0d1:md11:ut_metadatai3eee", &mut Vec::new()).expect("a greeting");
    let mut answer = |request: &str| {
        let mut out = Vec::new();
        ours.hear(format!("\x01{request}").as_bytes(), &mut out).map(|_| out)
    };
    for (piece, bytes) in whole.chunks(16384).enumerate() {
        let dictionary = format!("d8:msg_typei1e5:piecei{piece}e10:total_sizei40000ee");
        let length =
            u32::try_from(2 + dictionary.len() + bytes.len()).expect("it is short").to_be_bytes();
        let expected = [&length, &b"\x14\x03"[..], dictionary.as_bytes(), bytes].concat();
        assert_wire(
            &answer(&format!("d8:msg_typei0e5:piecei{piece}ee")).expect("a request"),
            &expected,
            "BEP 9, extended messages",
        );
    }
    assert_wire(
        &answer("d8:msg_typei0e5:piecei3ee").expect("a request"),
        b"\0\0\0\x1b\x14\x03d8:msg_typei2e5:piecei3ee",
        "BEP 9, extended messages",
    );
    for ignored in ["d8:msg_typei1e5:piecei0eexx", "d8:msg_typei2e5:piecei0ee", "d8:msg_typei9ee"] {
        assert_eq!(answer(ignored).expect("not for us"), b"");
    }
    answer("d8:msg_typei0ee").expect_err("it does not say which");
}
