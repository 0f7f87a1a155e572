//! The actors: what they record, what they wait for, and that no client ends them.
//!
//! The clients in here are bare sockets.

mod actors {
    mod dht;
    mod version_two;
}

use piecemeal::actors::line::MAX_MESSAGE;
use piecemeal::actors::recording::MAX;
use piecemeal::actors::udp_tracker::{ID, action};
use piecemeal::actors::{
    Blocks, FakePeer, FakeTracker, FakeUdpTracker, Heard, Leech, Plan, Recording, Scripted,
    Torrent, Unchoke, Way, wire,
};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::mpsc;
use std::time::{Duration, Instant};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Far more than anything takes.
const LIMIT: Duration = Duration::from_secs(60);
/// Far less than anything waits that is to wait forever.
const MOMENT: Duration = Duration::from_millis(200);

fn dial(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the actor listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a socket takes a timeout");
    stream
}

fn take(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).expect("the actor sends this much");
    bytes
}

fn say(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).expect("the actor reads");
}

fn is_at_its_end(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0]), Ok(0))
}

/// Waits for something that an actor's thread does.
#[track_caller]
fn wait_until(what: impl Fn() -> bool) {
    let begun = Instant::now();
    while !what() {
        assert!(begun.elapsed() < LIMIT, "what this test waits for did not happen");
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// Listens, and runs this once a client connects; returns what it returned.
fn scripted<T: Send + 'static>(
    client: impl FnOnce(TcpStream),
    script: impl Fn(&mut piecemeal::actors::Line) -> T + Send + Sync + 'static,
) -> T {
    let (tell, told) = mpsc::sync_channel(1);
    let scripted = Scripted::listen(HERE, move |line, _| {
        let _ = tell.send(script(line));
    })
    .expect("loopback has a free port");
    client(dial(scripted.address()));
    told.recv_timeout(LIMIT).expect("the script ends")
}

/// Shakes hands with a peer as a client without extensions; returns the reserved bytes that came.
fn shake(stream: &mut TcpStream, torrent: &Torrent, reserved: [u8; 8]) -> Vec<u8> {
    say(stream, &wire::handshake(reserved, torrent.info_hash, [b'c'; 20]));
    take(stream, wire::HANDSHAKE)[20..28].to_vec()
}

fn message(stream: &mut TcpStream) -> Vec<u8> {
    let length = u32::from_be_bytes(take(stream, 4).try_into().expect("four bytes"));
    take(stream, length as usize)
}

/// Messages until one with this id, which must come.
fn until(stream: &mut TcpStream, id: u8) -> Vec<u8> {
    loop {
        let body = message(stream);
        if body.first() == Some(&id) {
            return body;
        }
    }
}

fn request(block: u32) -> Vec<u8> {
    piecemeal::actors::leech::request(block / 2, block % 2 * 16_384, 16_384)
}

fn start(plan: Plan) -> FakePeer {
    FakePeer::start(plan).expect("loopback has a free port")
}

/// Connects to a peer, is interested and waits for the unchoke.
fn unchoked(peer: &FakePeer, torrent: &Torrent) -> TcpStream {
    let mut stream = dial(peer.address());
    shake(&mut stream, torrent, [0; 8]);
    say(&mut stream, &wire::message(wire::INTERESTED, b""));
    until(&mut stream, wire::UNCHOKE);
    stream
}

#[test]
fn a_script_runs_for_each_connection_and_all_is_recorded() {
    let scripted = Scripted::listen(HERE, |line, number| {
        let _ = line.send(&[b'0' + number as u8]);
        let _ = line.read_exact_within(3, LIMIT);
    })
    .expect("loopback has a free port");
    for said in [b"abc", b"xyz"] {
        let mut stream = dial(scripted.address());
        take(&mut stream, 1);
        say(&mut stream, said);
        assert!(is_at_its_end(&mut stream), "the end of the script is the end of the connection");
    }
    let recordings = scripted.recordings();
    let heard: Vec<Vec<u8>> = recordings.iter().map(Recording::from_client).collect();
    let said: Vec<Vec<u8>> = recordings.iter().map(Recording::to_client).collect();
    assert_eq!(heard, [b"abc", b"xyz"]);
    assert_eq!(said, [b"0", b"1"]);
    for recording in &recordings {
        assert_eq!(recording.partner(), scripted.address().to_string());
        assert!(!recording.is_tracker());
        wait_until(|| recording.ended().is_some());
        let chunks = recording.chunks();
        assert!(chunks.is_sorted_by_key(|chunk| chunk.at) && chunks[0].way == Way::ToClient);
        assert!(recording.ended() >= chunks.last().map(|chunk| chunk.at));
    }
}

#[test]
fn dropping_a_script_ends_its_waits_and_its_connections() {
    let (tell, told) = mpsc::sync_channel(1);
    // An address of its own, so that no other test gets the port a moment later.
    let scripted = Scripted::listen(Ipv4Addr::new(127, 0, 0, 98).into(), move |line, _| {
        let _ = tell.send(());
        line.rest(LIMIT);
        line.hold(LIMIT);
        let _ = line.until(0, LIMIT);
    })
    .expect("loopback has a free port");
    let (address, mut stream) = (scripted.address(), dial(scripted.address()));
    told.recv_timeout(LIMIT).expect("the script begins");
    let begun = Instant::now();
    drop(scripted);
    assert!(begun.elapsed() < LIMIT / 2, "{:?}", begun.elapsed());
    assert!(is_at_its_end(&mut stream));
    assert!(TcpStream::connect(address).is_err(), "nothing listens any more");
}

#[test]
fn a_message_that_is_longer_than_any_never_comes() {
    let sent = 5 + 2 * MAX_MESSAGE;
    let heard = scripted(
        |mut stream| {
            say(&mut stream, &[0xFF, 0xFF, 0xFF, 0xFF, 7]);
            say(&mut stream, &vec![0; 2 * MAX_MESSAGE]);
            is_at_its_end(&mut stream);
        },
        move |line| {
            let mut heard = vec![line.hear_within(MOMENT)];
            // It is read all the same.
            while line.recording().counted(Way::FromClient) < sent as u64 {
                heard.push(line.hear_within(MOMENT));
            }
            heard
        },
    );
    assert!(heard.iter().all(|heard| *heard == Heard::Silence), "{heard:?}");
}

#[test]
fn messages_are_heard_one_by_one_and_then_the_end() {
    let heard = scripted(
        |mut stream| {
            let bytes = [wire::keep_alive(), wire::have(3), wire::message(wire::CHOKE, b"")];
            say(&mut stream, &[bytes.concat(), vec![0, 0, 0, 9, 1]].concat());
        },
        |line| [0; 4].map(|_| line.hear_within(LIMIT)),
    );
    let expected = [
        Heard::KeepAlive,
        Heard::Message(wire::HAVE, vec![0, 0, 0, 3]),
        Heard::Message(wire::CHOKE, vec![]),
        Heard::Closed,
    ];
    assert_eq!(heard, expected);
}

#[test]
fn until_has_one_deadline_for_all_that_it_skips() {
    let heard = scripted(
        |mut stream| while stream.write_all(&wire::keep_alive()).is_ok() {},
        |line| {
            let begun = Instant::now();
            (line.until(wire::UNCHOKE, MOMENT), begun.elapsed() < LIMIT / 2)
        },
    );
    assert_eq!(heard, (Err(Heard::Silence), true));
}

#[test]
fn what_came_of_a_short_handshake_is_told() {
    let heard = scripted(
        |mut stream| say(&mut stream, b"\x13BitTorrent"),
        |line| (line.handshake(LIMIT), line.is_closed(), line.recording().ended().is_some()),
    );
    assert_eq!(heard, (Err(b"\x13BitTorrent".to_vec()), true, true));
}

#[test]
fn no_more_is_kept_of_a_flood_than_there_is_room_for() {
    let recording = Recording::new("127.0.0.1:1".to_owned(), None);
    for _ in 0..20 {
        recording.add(Way::FromClient, &vec![7; 1 << 20]);
    }
    let kept = recording.from_client().len();
    assert!(kept <= MAX, "{kept}");
    assert_eq!(recording.counted(Way::FromClient), 20 << 20);
    for _ in 0..100_000 {
        recording.add_packet(Way::ToClient, b"1");
    }
    assert!(recording.chunks().len() <= 65_536);
}

#[test]
fn a_peer_sends_in_small_writes_and_with_further_reserved_bits() {
    let torrent = Torrent::sample();
    let peer =
        start(FakePeer::of(&torrent).plain().chunk(100).extra_reserved([0, 1, 0, 0, 0, 0, 0, 2]));
    let mut stream = unchoked(&peer, &torrent);
    say(&mut stream, &request(0));
    assert_eq!(until(&mut stream, wire::PIECE)[9..], torrent.piece(0)[..16_384]);
    let recording = &peer.recordings()[0];
    let sent = recording.to_client();
    assert_eq!(sent[20..28], [0, 1, 0, 0, 0, 0, 0, 2]);
    let chunks = recording.chunks();
    let mut ours = chunks.iter().filter(|chunk| chunk.way == Way::ToClient);
    assert!(ours.all(|chunk| chunk.bytes.len() <= 100), "each write is a chunk of its own");
}

#[test]
fn a_peer_sends_in_writes_of_several_sizes() {
    let torrent = Torrent::sample();
    let peer = start(FakePeer::of(&torrent).plain().chunks(&[3, 5, 30]));
    shake(&mut dial(peer.address()), &torrent, [0; 8]);
    let sizes = || -> Vec<usize> {
        let chunks = peer.recordings()[0].chunks().into_iter();
        chunks.filter(|chunk| chunk.way == Way::ToClient).map(|chunk| chunk.bytes.len()).collect()
    };
    wait_until(|| sizes().len() >= 4);
    assert_eq!(sizes()[..4], [3, 5, 30, 30]);
}

#[test]
fn a_peer_rests_before_it_unchokes() {
    let torrent = Torrent::sample();
    let peer = start(FakePeer::of(&torrent).plain().unchoke_after(3 * MOMENT));
    let begun = Instant::now();
    unchoked(&peer, &torrent);
    assert!(begun.elapsed() >= 3 * MOMENT, "{:?}", begun.elapsed());
}

#[test]
fn a_peer_holds_the_first_block_back_until_enough_is_asked_for() {
    let torrent = Torrent::sample();
    let peer = start(FakePeer::of(&torrent).plain().hold_until(3, LIMIT));
    let mut stream = unchoked(&peer, &torrent);
    say(&mut stream, &request(0));
    say(&mut stream, &request(1));
    stream.set_read_timeout(Some(MOMENT)).expect("a socket takes a timeout");
    assert!(stream.peek(&mut [0]).is_err(), "two requests are not three");
    stream.set_read_timeout(Some(LIMIT)).expect("a socket takes a timeout");
    say(&mut stream, &request(2));
    let pieces = [0; 3].map(|_| until(&mut stream, wire::PIECE)[4]);
    assert_eq!(pieces, [0, 0, 1]);
    say(&mut stream, &request(3));
    until(&mut stream, wire::PIECE);
}

#[test]
fn a_peer_holds_the_first_block_back_only_for_a_time() {
    let torrent = Torrent::sample();
    let peer = start(FakePeer::of(&torrent).plain().hold_until(3, MOMENT));
    let mut stream = unchoked(&peer, &torrent);
    let begun = Instant::now();
    say(&mut stream, &request(0));
    until(&mut stream, wire::PIECE);
    assert!(begun.elapsed() >= MOMENT, "{:?}", begun.elapsed());
}

#[test]
fn a_peer_counts_requests_while_it_chokes() {
    let torrent = Torrent::sample();
    // It speaks the fast extension, and the client does not.
    let peer = start(FakePeer::of(&torrent).plain().fast().unchoke(Unchoke::Never));
    let mut stream = dial(peer.address());
    shake(&mut stream, &torrent, [0; 8]);
    assert_eq!(message(&mut stream)[0], wire::BITFIELD, "`have all` is for those who know it");
    say(&mut stream, &[request(0), request(1)].concat());
    wait_until(|| peer.talks()[0].choked_requests == 2);
    let mut knows = dial(peer.address());
    shake(&mut knows, &torrent, [0, 0, 0, 0, 0, 0, 0, wire::FAST_BIT]);
    say(&mut knows, &request(0));
    until(&mut knows, wire::REJECT);
    assert_eq!(peer.talks()[1].choked_requests, 0);
}

#[test]
fn the_connections_of_a_peer_share_its_upload_limit() {
    let torrent = Torrent::sample();
    let peer = start(FakePeer::of(&torrent).plain().blocks(Blocks::KilobytesPerSecond(300)));
    let mut both = [unchoked(&peer, &torrent), unchoked(&peer, &torrent)];
    let begun = Instant::now();
    for block in 0..4 {
        both.iter_mut().for_each(|stream| say(stream, &request(block)));
    }
    for _ in 0..4 {
        both.iter_mut().for_each(|stream| drop(until(stream, wire::PIECE)));
    }
    // The first of eight blocks does not wait.
    let least = Duration::from_secs_f64(7.0 * 16_384.0 / 300_000.0);
    assert!(begun.elapsed() >= least, "{:?} of {least:?}", begun.elapsed());
}

#[test]
fn a_leech_records_what_it_hears() {
    let torrent = Torrent::sample();
    let peer = start(FakePeer::of(&torrent).plain());
    let mut leech = Leech::plain(peer.address(), &torrent).expect("the peer takes us in");
    assert!(matches!(leech.hear_within(LIMIT), Heard::Message(wire::BITFIELD, _)));
    let recording = leech.recording();
    assert_eq!(recording.client(), Some(peer.address()));
    assert!(recording.from_client().starts_with(&leech.handshake));
    assert_eq!(recording.to_client().len(), wire::HANDSHAKE);
}

#[test]
fn a_tracker_records_requests_and_answers() {
    let tracker = FakeTracker::knowing(&[SocketAddr::from(([127, 0, 0, 9], 6881))])
        .expect("loopback has a free port");
    let mut stream = dial(tracker.address());
    say(&mut stream, b"GET /announce?x=%41 HTTP/1.0\r\n\r\n");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the tracker answers");
    let recording = &tracker.recordings()[0];
    assert!(recording.is_tracker() && recording.partner() == tracker.url());
    assert_eq!(recording.from_client(), b"GET /announce?x=%41 HTTP/1.0\r\n\r\n");
    assert_eq!(recording.to_client(), answer);
    assert!(answer.ends_with(b"5:peers6:\x7f\x00\x00\x09\x1a\xe1e"), "{answer:?}");
    assert_eq!(tracker.asked(), ["/announce?x=%41"]);
}

#[test]
fn a_udp_tracker_records_each_client_and_ignores_rubbish() {
    let tracker = FakeUdpTracker::knowing(&[]).expect("loopback has a free port");
    let clients = [0; 2].map(|_| UdpSocket::bind((HERE, 0)).expect("loopback has a free port"));
    let connect = [&[0, 0, 4, 0x17, 0x27, 0x10, 0x19, 0x80][..], &[0; 4], b"abcd"].concat();
    for client in &clients {
        client.set_read_timeout(Some(LIMIT)).expect("a socket takes a timeout");
        for rubbish in [&b""[..], b"x", &[0xFF; 16], &[0; 15]] {
            client.send_to(rubbish, tracker.address()).expect("loopback takes packets");
        }
        client.send_to(&connect, tracker.address()).expect("loopback takes packets");
        let mut answer = [0; 100];
        let length = client.recv(&mut answer).expect("the tracker answers");
        assert_eq!(answer[..length], [&[0; 4][..], b"abcd", &ID].concat());
    }
    let recordings = tracker.recordings();
    let ports: Vec<_> = recordings.iter().filter_map(Recording::client).collect();
    assert_eq!(ports, clients.map(|client| client.local_addr().expect("it is bound")));
    assert!(recordings.iter().all(|recording| recording.to_client().len() == 16));
    assert_eq!(action(&connect), Some(0));
}

#[test]
fn rubbish_does_not_end_a_peer() {
    let torrent = Torrent::sample();
    let peer = start(FakePeer::of(&torrent));
    let hello = wire::handshake([0, 0, 0, 0, 0, 0x10, 0, 4], torrent.info_hash, [b'c'; 20]);
    let rubbish: [&[u8]; 8] = [
        &[0; 200],
        &[0xFF; 200],
        &wire::message(wire::REQUEST, &[0xFF; 12]),
        &wire::message(wire::REQUEST, b"short"),
        &wire::extended(0, b"d1:md11:ut_metadatai-3eee"),
        &wire::extended(3, b"d8:msg_typei0e5:piecei-9223372036854775808ee"),
        &wire::extended(3, &b"l".repeat(100_000)),
        &[0, 0, 0, 1, wire::EXTENDED],
    ];
    for bytes in rubbish {
        let mut stream = dial(peer.address());
        say(&mut stream, &[&hello, bytes].concat());
        let _ = stream.shutdown(std::net::Shutdown::Write);
        // A reset is an end as well.
        let _ = stream.read_to_end(&mut Vec::new());
    }
    wait_until(|| peer.talks().iter().all(|talk| talk.closed));
    assert_eq!(peer.talks().len(), rubbish.len());
    let mut stream = unchoked(&peer, &torrent);
    say(&mut stream, &request(0));
    until(&mut stream, wire::PIECE);
}
