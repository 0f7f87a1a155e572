//! Stage 4 from outside: 68 bytes, deadlines that hold, and races between peers.

mod support;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use piecemeal::s02_metainfo::{InfoHash, Names};
use piecemeal::s03_tracker::PeerId;
use piecemeal::s04_handshake::race::{AT_ONCE, first_answer};
use piecemeal::s04_handshake::transport::{Dial, Tcp, Transport, over_tcp, pair};
use piecemeal::s04_handshake::{Handshake, HandshakeError, exchange};
use support::{Must, Script as Fake, assert_read, assert_value, assert_wire, in_time};

/// BEP 3's handshake: 19, the name, 8 reserved bytes, the info hash, the peer id.
const THEIRS: &[u8; 68] =
    b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\x05aaaaaaaaaaaaaaaaaaaa-TR4060-bbbbbbbbbbbb";

/// Ours, with no reserved bit set.
const OURS: &[u8; 68] =
    b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0aaaaaaaaaaaaaaaaaaaa-PM0001-cccccccccccc";

fn ours() -> Handshake {
    Handshake::new(InfoHash(*b"aaaaaaaaaaaaaaaaaaaa"), PeerId(*b"-PM0001-cccccccccccc"))
}

/// The only name of the torrent that we mean.
fn names() -> Names {
    ours().info_hash.into()
}

fn millis(millis: u64) -> Instant {
    Instant::now() + Duration::from_millis(millis)
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 6881))
}

/// A stream that returns fixed bytes, and keeps what is written to it. A read before the write gets nothing.
struct Script {
    says: io::Cursor<Vec<u8>>,
    told: Vec<u8>,
    at_a_time: usize,
}

impl Script {
    fn new(says: &[u8], at_a_time: usize) -> Script {
        Script { says: io::Cursor::new(says.to_vec()), told: Vec::new(), at_a_time }
    }
}

impl Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(self.at_a_time);
        if self.told.len() < 68 {
            return Err(io::Error::other("who dials speaks first"));
        }
        self.says.read(&mut buffer[..length])
    }
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(self.at_a_time);
        self.told.write(&bytes[..length])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_handshake_is_68_bytes_the_reserved_ones_included() {
    assert_wire(&ours().encode(), OURS, "BEP 3, handshake");
    let theirs = Handshake::read_from(&mut &THEIRS[..]).expect("it is right");
    let read = |found: &[u8], expected: &[u8]| {
        assert_read(THEIRS, found, expected, "BEP 3, handshake");
    };
    read(&theirs.reserved, &[0, 0, 0, 0, 0, 0x10, 0, 5]);
    read(&theirs.info_hash.0, b"aaaaaaaaaaaaaaaaaaaa");
    read(&theirs.peer_id.0, b"-TR4060-bbbbbbbbbbbb");
}

#[test]
fn the_extension_bit_is_16_in_the_sixth_reserved_byte() {
    let right = [0, 0, 0, 0, 0, 0x10, 0, 0];
    assert_wire(&ours().with_bit(20).reserved, &right, "BEP 10, reserved bytes");
    assert_wire(&ours().with_bit(20).encode()[20..28], &right, "BEP 10, reserved bytes");
    let fast = ours().with_bit(2).reserved;
    assert_wire(&fast, &[0, 0, 0, 0, 0, 0, 0, 4], "BEP 6, reserved bytes");
    let ends = ours().with_bit(0).with_bit(63).reserved;
    assert_wire(&ends, &[0x80, 0, 0, 0, 0, 0, 0, 1], "BEP 3, reserved bytes");
    let theirs = Handshake::read_from(&mut &THEIRS[..]).expect("it is right");
    assert_value(
        "the bits that are set in 00 00 00 00 00 10 00 05",
        (0..64).filter(|bit| theirs.has_bit(*bit)).collect::<Vec<_>>(),
        [0, 2, 20],
        "BEP 10, reserved bytes",
    );
}

#[test]
fn our_handshake_is_sent_before_theirs_is_read_and_nothing_is_read_behind_it() {
    for at_a_time in [1, 7, 68, 500] {
        let mut stream = Script::new(&[&THEIRS[..], b"\0\0\0\x02\x05\xff"].concat(), at_a_time);
        let theirs = exchange(&mut stream, &ours(), &names()).expect("it is the same torrent");
        assert_eq!(theirs.peer_id.0, *b"-TR4060-bbbbbbbbbbbb");
        assert_wire(&stream.told, OURS, "BEP 3, handshake");
        assert_eq!(stream.says.position(), 68, "bytes that were read");
    }
}

#[test]
fn a_handshake_cut_at_any_length_is_a_peer_that_hung_up() {
    for length in 0..68 {
        let result = exchange(&mut Script::new(&THEIRS[..length], 500), &ours(), &names());
        assert!(matches!(result, Err(HandshakeError::HungUp)), "{length}: {result:?}");
    }
}

#[test]
fn another_protocol_is_recognised_by_its_first_20_bytes() {
    // A reader that waits for more than these bytes sees the end of the stream.
    let table: [&[u8; 20]; 5] = [
        b"HTTP/1.1 400 Bad Req",
        b"\x12BitTorrent protocol",
        b"\x13bittorrent protocol",
        b"\x13BitTorrent protocoL",
        b"\x1b[2J\0\xff\xfe\r\n-----------",
    ];
    for first in table {
        match exchange(&mut Script::new(first, 500), &ours(), &names()) {
            Err(error @ HandshakeError::OtherProtocol { .. }) => {
                assert!(!error.to_string().chars().any(char::is_control))
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn peer_serving_another_torrent_is_refused() {
    let mut other = *THEIRS;
    other[47] = b'b';
    match exchange(&mut Script::new(&other, 500), &ours(), &names()) {
        Err(HandshakeError::OtherTorrent { expected, found }) => {
            assert_eq!((&expected.0, &found.0), (b"aaaaaaaaaaaaaaaaaaaa", b"aaaaaaaaaaaaaaaaaaab"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_peer_may_answer_with_any_name_of_the_torrent() {
    let names = names().and(InfoHash(*b"bbbbbbbbbbbbbbbbbbbb"));
    let answered = |name: &[u8; 20]| {
        let mut theirs = *THEIRS;
        theirs[28..48].copy_from_slice(name);
        let mut stream = Script::new(&theirs, 500);
        let answered = exchange(&mut stream, &ours(), &names);
        assert_wire(&stream.told, OURS, "BEP 3, handshake");
        answered.map(|theirs| theirs.info_hash.0)
    };
    for name in [b"aaaaaaaaaaaaaaaaaaaa", b"bbbbbbbbbbbbbbbbbbbb"] {
        assert_eq!(answered(name).expect("it is one of the names"), *name);
    }
    // The error has the name that we said.
    match answered(b"aaaaaaaaaaaaaaaaaaab") {
        Err(HandshakeError::OtherTorrent { expected, .. }) => {
            assert_eq!(expected, ours().info_hash);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_info_hash_that_ends_in_zeros_or_spaces_is_still_the_same_torrent() {
    for hash in [b"aaaaaaaaaaaaaaaaaa\0\0", b"aaaaaaaaaaaaaaaaa  \n", b"                    "] {
        let mut theirs = *THEIRS;
        theirs[28..48].copy_from_slice(hash);
        exchange(
            &mut Script::new(&theirs, 500),
            &Handshake { info_hash: InfoHash(*hash), ..ours() },
            &InfoHash(*hash).into(),
        )
        .expect("it is the same");
    }
}

#[test]
fn our_own_peer_id_coming_back_is_ourselves() {
    let mut ourselves = *THEIRS;
    ourselves[48..].copy_from_slice(b"-PM0001-cccccccccccc");
    assert!(matches!(
        exchange(&mut Script::new(&ourselves, 500), &ours(), &names()),
        Err(HandshakeError::Ourselves)
    ));
}

#[test]
fn mutilated_handshakes_are_refused_or_read_but_never_panic() {
    for at in 0..68 {
        for byte in 0..=255 {
            let mut theirs = *THEIRS;
            theirs[at] = byte;
            let result = Handshake::read_from(&mut &theirs[..]);
            assert_eq!(result.is_ok(), at >= 20 || byte == THEIRS[at], "byte {at} is {byte}");
        }
    }
}

/// Two ends of a TCP connection, the first as a transport.
fn tcp() -> (Transport, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let transport =
        Tcp.dial(listener.local_addr().expect("it is bound"), millis(60_000)).expect("it listens");
    (transport, listener.accept().expect("somebody dialed").0)
}

/// A transport, and a writer and a reader on its other side.
type Connected = (Transport, Box<dyn Write + Send>, Box<dyn Read + Send>);

/// One over each kind of connection.
fn all_kinds() -> Vec<Connected> {
    let (transport, stream) = tcp();
    let again = stream.try_clone().expect("it is open");
    let (near, mut far) = pair(64, address(1), address(2));
    far.set_deadline(millis(20_000));
    vec![
        (transport, Box::new(stream), Box::new(again)),
        (near, Box::new(far.writer), Box::new(far.reader)),
    ]
}

fn kind<T: std::fmt::Debug>(result: io::Result<T>) -> ErrorKind {
    result.expect_err("it must fail").kind()
}

#[test]
fn a_transport_carries_bytes_both_ways_and_knows_the_other_side() {
    for (mut transport, mut writer, mut reader) in all_kinds() {
        let echo = Fake::start(move || {
            let mut bytes = [0; 1000];
            reader.read_exact(&mut bytes).must("1000 bytes must come")?;
            writer.write_all(&bytes).must("they must be read")
        });
        transport.set_deadline(millis(60_000));
        let bytes: Vec<u8> = (0..1000).map(|n| (n % 251) as u8).collect();
        transport.write_all(&bytes).expect("it is read");
        let mut back = vec![0; 1000];
        let come = transport.read_exact(&mut back);
        echo.verdict();
        come.expect("it comes");
        assert_eq!(back, bytes);
        assert_eq!(transport.read(&mut back).expect("the other side is gone"), 0);
    }
    let (near, far) = pair(1, address(1), address(2));
    assert_eq!((near.peer, far.peer), (address(2), address(1)));
}

#[test]
fn the_end_of_a_connection_shows_even_behind_what_is_left_to_read() {
    for (mut transport, mut writer, reader) in all_kinds() {
        assert!(!transport.reader.has_ended(), "nothing has happened");
        writer.write_all(b"left").expect("there is room");
        assert!(!transport.reader.has_ended(), "something has come");
        drop((writer, reader));
        assert!(transport.reader.has_ended(), "it is over");
        transport.set_deadline(millis(20_000));
        let mut left = [0; 4];
        transport.read_exact(&mut left).expect("it had come before");
        assert_eq!(&left, b"left", "nothing was taken");
        assert!(transport.reader.has_ended());
    }
}

#[test]
fn a_byte_drip_does_not_hold_a_reader_beyond_its_deadline() {
    for (mut transport, mut writer, reader) in all_kinds() {
        thread::spawn(move || {
            while writer.write_all(b"x").is_ok() {
                thread::sleep(Duration::from_millis(10));
            }
            drop(reader);
        });
        let error = in_time(move || {
            transport.reader.set_deadline(millis(150));
            transport.read_exact(&mut [0; 100_000])
        });
        assert_eq!(kind(error), ErrorKind::TimedOut);
    }
}

#[test]
fn a_peer_that_does_not_read_does_not_hold_a_writer_beyond_its_deadline() {
    for (mut transport, _writer, _reader) in all_kinds() {
        let error = in_time(move || {
            transport.writer.set_deadline(millis(100));
            transport.write_all(&vec![0; 64 << 20])
        });
        assert_eq!(kind(error), ErrorKind::TimedOut);
    }
}

#[test]
fn after_the_deadline_nothing_is_read_or_written_even_where_it_could_be() {
    for (mut transport, mut writer, _reader) in all_kinds() {
        writer.write_all(b"here I am").expect("there is room");
        transport.set_deadline(millis(60_000));
        transport.read_exact(&mut [0; 4]).expect("it has come");
        transport.set_deadline(Instant::now());
        assert_eq!(kind(transport.read(&mut [0; 4])), ErrorKind::TimedOut);
        assert_eq!(kind(transport.write(b"x")), ErrorKind::TimedOut);
    }
}

#[test]
fn a_later_deadline_lets_a_reader_go_on_where_it_stopped() {
    for (mut transport, mut writer, _reader) in all_kinds() {
        for round in 0..3u8 {
            transport.reader.set_deadline(millis(20));
            assert_eq!(kind(transport.read(&mut [0; 4])), ErrorKind::TimedOut);
            writer.write_all(&[round]).expect("there is room");
            transport.reader.set_deadline(millis(60_000));
            let mut byte = [0];
            transport.read_exact(&mut byte).expect("it comes");
            assert_eq!(byte, [round]);
        }
    }
}

#[test]
fn hanging_up_wakes_a_reader_and_a_writer_that_wait() {
    for (transport, _writer, _reader) in all_kinds() {
        let Transport { mut reader, mut writer, hang_up, .. } = transport;
        reader.set_deadline(millis(60_000));
        writer.set_deadline(millis(60_000));
        let (ended, ends) = mpsc::channel();
        let also = ended.clone();
        thread::spawn(move || ended.send(reader.read(&mut [0; 4]).map_or(0, |length| length)));
        thread::spawn(move || also.send(usize::from(writer.write_all(&vec![0; 64 << 20]).is_ok())));
        // Whether they are waiting already or start later, they must not stay.
        thread::sleep(Duration::from_millis(20));
        hang_up();
        for _ in 0..2 {
            assert_eq!(ends.recv_timeout(Duration::from_secs(60)), Ok(0));
        }
    }
}

#[test]
fn a_refused_connection_is_an_error_of_that_kind() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let nobody = listener.local_addr().expect("it is bound");
    drop(listener);
    let result = in_time(move || Tcp.dial(nobody, millis(60_000)).map(drop));
    assert_eq!(kind(result), ErrorKind::ConnectionRefused);
}

#[test]
fn a_peer_that_drips_its_handshake_is_given_up() {
    let (transport, mut stream) = tcp();
    thread::spawn(move || {
        THEIRS.iter().cycle().all(|byte| {
            thread::sleep(Duration::from_millis(20));
            stream.write_all(&[*byte]).is_ok()
        })
    });
    let result = in_time(move || {
        let mut transport = transport;
        transport.set_deadline(millis(200));
        exchange(&mut transport, &ours(), &names())
    });
    assert!(
        matches!(result, Err(HandshakeError::Io(error)) if error.kind() == ErrorKind::TimedOut)
    );
}

#[test]
fn an_accepted_stream_becomes_a_transport_with_its_first_deadline() {
    let (_near, stream) = tcp();
    let mut transport = over_tcp(stream, millis(20)).expect("it is connected");
    let result = in_time(move || transport.read(&mut [0; 1]));
    assert_eq!(kind(result), ErrorKind::TimedOut);
}

/// A source of these peers and no others.
fn only(peers: impl IntoIterator<Item = u8>) -> Receiver<Vec<SocketAddr>> {
    let (found, peers_found) = mpsc::channel();
    found.send(peers.into_iter().map(address).collect()).expect("it is open");
    peers_found
}

#[test]
fn the_first_peer_that_answers_wins_and_nobody_waits_for_the_others() {
    let (never, hang) = mpsc::channel::<()>();
    let hang = Arc::new(std::sync::Mutex::new(hang));
    let answer = in_time(move || {
        first_answer(only(1..=8), millis(60_000), move |peer| {
            if peer != address(5) {
                let _ = hang.lock().map(|hang| hang.recv());
            }
            Ok::<_, ()>(peer)
        })
    });
    assert_eq!(answer, Ok(address(5)));
    drop(never);
}

#[test]
fn when_all_peers_fail_each_is_named_once_with_its_reason() {
    let (found, peers) = mpsc::channel();
    found.send(vec![address(1), address(2), address(1)]).expect("it is open");
    found.send(vec![]).expect("it is open");
    found.send(vec![address(2), address(3)]).expect("it is open");
    drop(found);
    let failed = in_time(move || {
        first_answer(peers, millis(60_000), |peer| Err::<(), _>(format!("no {peer}")))
    });
    let mut failed = failed.expect_err("nobody answers");
    failed.sort_by_key(|(peer, _)| *peer);
    assert_eq!(failed, [1, 2, 3].map(|n| (address(n), format!("no 192.0.2.{n}:6881"))));
}

#[test]
fn when_nobody_can_be_found_the_race_is_over_at_once() {
    let failed = in_time(|| first_answer(only([]), millis(60_000), |_| Ok::<(), ()>(())));
    assert_eq!(failed, Err(vec![]));
}

#[test]
fn dead_peers_do_not_hide_the_one_that_lives() {
    let asked = in_time(|| {
        first_answer(only(1..=100), millis(60_000), |peer| {
            if peer == address(100) { Ok(peer) } else { Err(()) }
        })
    });
    assert_eq!(asked, Ok(address(100)));
}

#[test]
fn eight_peers_are_asked_at_once_and_no_more() {
    assert_eq!(AT_ONCE, 8);
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, peak) = (Arc::clone(&running), Arc::clone(&most));
    // No thread passes the barrier alone: eight must be there at the same time.
    let barrier = Arc::new(Barrier::new(8));
    let failed = in_time(move || {
        first_answer(only(1..=24), millis(60_000), move |_| {
            peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            barrier.wait();
            now.fetch_sub(1, Ordering::SeqCst);
            Err::<(), _>(())
        })
    });
    assert_eq!(failed.map_err(|failed| failed.len()), Err(24));
    assert!(most.load(Ordering::SeqCst) <= 8);
}

#[test]
fn peers_found_later_are_asked_while_others_are_still_silent() {
    let (found, peers) = mpsc::channel();
    let answer = in_time(move || {
        found.send(vec![address(1)]).expect("the race listens");
        first_answer(peers, millis(60_000), move |peer| {
            if peer == address(1) {
                found.send(vec![address(2)]).expect("the race listens");
                thread::sleep(Duration::from_secs(60));
            }
            Ok::<_, ()>(peer)
        })
    });
    assert_eq!(answer, Ok(address(2)));
}

#[test]
fn a_race_ends_at_its_deadline_with_the_failures_so_far() {
    let (found, peers) = mpsc::channel();
    found.send(vec![address(1), address(2)]).expect("it is open");
    let failed = in_time(move || {
        let failed = first_answer(peers, millis(2000), |peer| {
            if peer == address(2) {
                thread::sleep(Duration::from_secs(60));
            }
            Err::<(), _>(())
        });
        drop(found); // somebody was still looking for peers
        failed
    });
    assert_eq!(failed, Err(vec![(address(1), ())]));
}

#[test]
fn an_ask_that_panics_is_not_waited_for() {
    let answer = in_time(|| {
        first_answer(only(1..=20), millis(60_000), |peer| {
            if peer != address(20) {
                resume_unwind(Box::new("a bug, without a message on the terminal"));
            }
            Ok::<_, ()>(peer)
        })
    });
    assert_eq!(answer, Ok(address(20)));
}
