//! A tracker whose places are all taken: which client has to go, and that newcomers are answered.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use piecemeal::lab::announce::ReceivedAnnounce;
use piecemeal::lab::notes::Notes;
use piecemeal::lab::phone_book::{AnnounceReply, Asker, PhoneBook};
use piecemeal::lab::tracker::LabTracker;
use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s03_tracker::PeerId;
use socket2::{Domain, SockAddr, Socket, Type};

#[cfg(unix)]
use crate::lab::running::Running;
use crate::lab::tracker::query;
#[cfg(unix)]
use crate::support::folder;

/// A phone book, its clock, and the client that asks it.
struct Scene {
    book: PhoneBook,
    now: Instant,
}

impl Scene {
    fn new() -> Scene {
        Scene { book: PhoneBook::default(), now: Instant::now() }
    }

    /// A client announces a torrent, a moment after the last one.
    fn announce(&mut self, ip: impl Into<IpAddr>, port: u16, torrent: u32) -> AnnounceReply {
        self.now += Duration::from_millis(1);
        let ip = ip.into();
        let mut heard = ReceivedAnnounce::decode(&query(port, "")).expect("a good announce");
        heard.announce.info_hash = hash(torrent);
        heard.announce.peer_id = peer_id(ip, port);
        self.book.announce(&Asker::new(ip, port, [10, 0, 0, 9].into()), &heard, self.now)
    }

    /// The torrents that are known, by their number.
    fn known(&mut self) -> Vec<InfoHash> {
        self.book.torrent_counts(self.now).iter().map(|counts| counts.info_hash).collect()
    }

    fn peers(&mut self) -> usize {
        self.book
            .torrent_counts(self.now)
            .iter()
            .map(|counts| counts.complete + counts.incomplete)
            .sum()
    }
}

fn hash(number: u32) -> InfoHash {
    let mut hash = [0; 20];
    hash[..4].copy_from_slice(&number.to_be_bytes());
    InfoHash(hash)
}

fn peer_id(ip: IpAddr, port: u16) -> PeerId {
    let mut id = [0; 20];
    let text = format!("{port:05}{ip:.>15}");
    id.copy_from_slice(&text.as_bytes()[..20]);
    PeerId(id)
}

const STRANGER: [u8; 4] = [10, 0, 6, 6];

#[test]
fn a_thousand_torrents_of_one_address_leave_room_for_a_class() {
    let mut scene = Scene::new();
    for (number, student) in (1..=3).enumerate() {
        scene.announce([10, 0, 0, student], 6881, number as u32);
    }
    for torrent in 100..1_200 {
        scene.announce(STRANGER, 6881, torrent);
    }
    assert!(
        (900..=1_000).contains(&scene.known().len()),
        "a tenth of what is too much goes at once"
    );
    assert!(
        (0..3).all(|torrent| scene.known().contains(&hash(torrent))),
        "what was there before stays"
    );
    scene.announce([10, 0, 0, 4], 6881, 50);
    let page = scene.announce([10, 0, 0, 5], 6881, 50);
    assert_eq!(
        page.peers.iter().map(|(peer, _)| *peer).collect::<Vec<_>>(),
        [SocketAddr::from(([10, 0, 0, 4], 6881))]
    );
    for torrent in 2_000..3_000 {
        scene.announce(STRANGER, 6881, torrent);
    }
    assert!(
        [0, 1, 2, 50].map(hash).iter().all(|torrent| scene.known().contains(torrent)),
        "and goes on to stay"
    );
}

#[test]
fn a_stranger_with_several_addresses_or_ports_in_each_torrent_gets_no_more() {
    let six = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 7, 0, 0, 0, last]);
    // Two addresses in each torrent; twenty in a tenth of them; any number of one IPv6 network; ten ports.
    type Who = Box<dyn Fn(u32) -> Vec<(IpAddr, u16)>>;
    let kinds: [Who; 4] = [
        Box::new(|_| vec![(STRANGER.into(), 1), ([10, 0, 6, 7].into(), 1)]),
        Box::new(|torrent| {
            (0..2).map(|n| ([10, 0, 6, ((torrent + n) % 20) as u8].into(), 1)).collect()
        }),
        Box::new(move |torrent| vec![(six(torrent as u16), 1)]),
        Box::new(|_| (1..=5).map(|port| (STRANGER.into(), port)).collect()),
    ];
    for (kind, who) in kinds.iter().enumerate() {
        let mut scene = Scene::new();
        scene.announce([10, 0, 0, 1], 6881, 1);
        // A torrent does not become the stranger's because the stranger is also in it.
        scene.announce(STRANGER, 6881, 1);
        for torrent in 100..1_150 {
            who(torrent).into_iter().for_each(|(ip, port)| drop(scene.announce(ip, port, torrent)));
        }
        scene.announce([10, 0, 0, 4], 6881, 50);
        assert_eq!(scene.announce([10, 0, 0, 5], 6881, 50).peers.len(), 1, "kind {kind}");
        assert!(scene.known().contains(&hash(1)), "kind {kind}");
        assert!(scene.known().len() <= 1_000, "kind {kind}");
    }
}

#[test]
fn a_thousand_ports_of_one_address_are_not_all_that_a_swarm_hears_of() {
    let mut scene = Scene::new();
    for student in 1..=10 {
        scene.announce([10, 0, 0, student], 6881, 1);
    }
    for port in 1..=1_500 {
        scene.announce(STRANGER, port, 1);
    }
    assert!((900..=1_000).contains(&scene.peers()), "{} peers", scene.peers());
    let page = scene.announce([10, 0, 0, 20], 6881, 1);
    assert_eq!(page.peers.len(), 50);
    let honest = page.peers.iter().filter(|(peer, _)| peer.ip() != IpAddr::from(STRANGER)).count();
    assert_eq!(honest, 10, "each address is named before one is named twice");
    // A class behind one router gets as many peers as it wants.
    let mut scene = Scene::new();
    (1..=60).for_each(|port| drop(scene.announce([10, 0, 0, 1], port, 1)));
    assert_eq!(scene.announce([10, 0, 0, 1], 99, 1).peers.len(), 50);
}

#[test]
fn memory_is_bounded_over_all_torrents() {
    let mut scene = Scene::new();
    scene.announce([10, 0, 0, 1], 6881, 1);
    for torrent in 100..200 {
        for port in 1..=130 {
            scene.announce(STRANGER, port, torrent);
        }
    }
    assert!((9_000..=10_000).contains(&scene.peers()), "{} peers", scene.peers());
    assert_eq!(scene.announce([10, 0, 0, 2], 6881, 1).peers.len(), 1, "the first is still there");
}

#[test]
fn what_was_entered_by_hand_stays_and_whoever_comes_then_is_still_answered() {
    let mut scene = Scene::new();
    for torrent in 0..1_000 {
        scene.book.add(hash(torrent), PeerId([7; 20]), SocketAddr::from(([10, 0, 0, 7], 6881)));
    }
    let page = scene.announce([10, 0, 0, 1], 6881, 5_000);
    assert_eq!((page.peers.len(), page.complete, page.incomplete), (0, 0, 0));
    assert_eq!(scene.announce([10, 0, 0, 1], 6881, 5).peers.len(), 1);
    assert_eq!(scene.known().len(), 1_000);
}

/// A client that connects, begins an announce and says no more, and connects again when closed.
struct Slow {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Slow {
    fn start(
        count: usize,
        from: impl Fn(usize) -> [u8; 4],
        tracker: SocketAddr,
        connected: &Arc<AtomicUsize>,
    ) -> Slow {
        let stop = Arc::new(AtomicBool::new(false));
        let hold = |number| {
            let (stop, connected, from) = (Arc::clone(&stop), Arc::clone(connected), from(number));
            std::thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    let Ok(mut stream) = connect(from, tracker) else { continue };
                    let _ = stream.write_all(b"GET /announce?");
                    connected.fetch_add(1, Ordering::SeqCst);
                    let until = Instant::now() + Duration::from_secs(10);
                    while !stop.load(Ordering::SeqCst) && Instant::now() < until {
                        match stream.read(&mut [0; 100]) {
                            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                            _ => break,
                        }
                    }
                }
            })
        };
        let threads = (0..count).map(hold).collect();
        Slow { stop, threads }
    }

    /// Makes a hundred of them, and waits until all have connected.
    fn hundred(from: impl Fn(usize) -> [u8; 4], tracker: SocketAddr) -> Slow {
        let connected = Arc::new(AtomicUsize::new(0));
        let slow = Slow::start(100, from, tracker, &connected);
        let begun = Instant::now();
        while connected.load(Ordering::SeqCst) < 100 {
            assert!(begun.elapsed() < Duration::from_secs(20), "{connected:?} of 100 came");
            std::thread::sleep(Duration::from_millis(5));
        }
        slow
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

fn connect(from: [u8; 4], to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SockAddr::from(SocketAddr::from((from, 0))))?;
    socket.connect_timeout(&to.into(), Duration::from_secs(5))?;
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(Duration::from_millis(100)))?;
    Ok(stream)
}

#[test]
fn slow_announces_do_not_silence_a_tracker() {
    let kinds: [fn(usize) -> [u8; 4]; 2] =
        [|_| [127, 0, 0, 3], |number| [127, 0, 4, number as u8 + 1]];
    for (kind, from) in kinds.into_iter().enumerate() {
        let tracker = LabTracker::start(SocketAddr::from(([127, 0, 0, 1], 0)), Notes::default())
            .expect("a port is free");
        let _slow = Slow::hundred(from, tracker.address());
        let answered = answered(tracker.address());
        assert!(answered >= least(kind), "kind {kind}: {answered} of 20 were answered");
    }
}

/// There are free places then, but no descriptors for new connections.
#[test]
#[cfg(unix)]
fn slow_announces_that_take_all_descriptors_do_not_silence_a_tracker_either() {
    let folder = folder();
    let tracker =
        Running::with_descriptors(40, folder.path(), &["tracker", "--listen", "127.0.0.1:0"]);
    let lines = tracker.lines_to("Ctrl-C");
    let url = lines.iter().find_map(|line| line.trim().strip_prefix("http://")).expect("a URL");
    let address = url.trim_end_matches("/announce").parse().expect("an address");
    let _slow = Slow::hundred(|_| [127, 0, 0, 3], address);
    assert_eq!(answered(address), 20);
}

/// Counts how many of 20 good announces are answered.
fn answered(tracker: SocketAddr) -> usize {
    let announce = |port: u16| {
        let mut stream = connect([127, 0, 0, 9], tracker).expect("the tracker is there");
        stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a socket takes a timeout");
        let request =
            format!("GET /announce?{} HTTP/1.1\r\nHost: x\r\n\r\n", query(7000 + port, ""));
        let mut answer = Vec::new();
        let _ = stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_end(&mut answer));
        answer.starts_with(b"HTTP/1.1 200 OK")
    };
    (0..20).filter(|port| announce(*port)).count()
}

/// If each slow client has an address of its own, an honest one has no better right to a place: it
/// must be quicker than the sixty-four that come after it.
fn least(kind: usize) -> usize {
    if kind == 0 { 20 } else { 10 }
}
