//! Peers that come by themselves.

use super::super::support::{
    Gate, Must, Script, Torrent, Verdict, insist, insist_eq, wire, wire_is,
};
use super::giver::{BOTH, Giver, stop_soon};
use super::net::{EXTENDED, Ran, Talk, US};
use super::rules::staying;
use piecemeal::s02_metainfo::InfoHash;
use piecemeal::s03_tracker::PeerId;
use piecemeal::s04_handshake::HandshakeError;
use piecemeal::s04_handshake::transport::{Tcp, Transport, WriteHalf, over_tcp};
use piecemeal::s07_extension::BoxError;
use piecemeal::s13_peer_sources::signals::Wake;
use piecemeal::s13_peer_sources::source::{Given, PeerSource, SourceHandle};
use piecemeal::s15_swarm::summary::Traded;
use piecemeal::s15_swarm::{Ended, Event};
use piecemeal::s17_seeding::listener::Listener;
use socket2::{Domain, Socket, Type};
use std::io::{self, ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const THEM: [u8; 20] = *b"-TH0001-them them ..";

#[test]
fn a_port_is_the_one_that_was_asked_for_or_any_that_is_free() {
    let any = Listener::bind(Some(LOOPBACK), Some(0)).expect("loopback has a free port");
    assert_ne!(any.port(), 0);
    assert_eq!(any.addresses(), [SocketAddr::new(LOOPBACK, any.port())]);
    assert!(Listener::bind(Some(LOOPBACK), Some(any.port())).is_err(), "it is taken");
    assert!(
        Listener::bind(Some("192.0.2.1".parse().expect("an address")), Some(0)).is_err(),
        "it is not ours"
    );
    // Without a wish, as many as one likes can listen side by side.
    let all: Vec<Listener> =
        (0..12).map(|_| Listener::bind(Some(LOOPBACK), None).expect("there is another")).collect();
    let mut ports: Vec<u16> = all.iter().map(Listener::port).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 12);
    let everywhere = Listener::bind(None, Some(0)).expect("there is a free port");
    assert!(!everywhere.addresses().is_empty());
    assert!(
        everywhere
            .addresses()
            .iter()
            .all(|address| address.port() == everywhere.port() && address.ip().is_unspecified())
    );
    assert!(
        TcpStream::connect((LOOPBACK, everywhere.port())).is_ok(),
        "IPv4 gets through, whatever the socket's family"
    );
}

/// A seed that listens, for as long as `client` runs.
#[track_caller]
pub fn listening(
    giver: Giver,
    client: impl FnOnce(SocketAddr) -> Verdict + Send + 'static,
) -> (Ran, SocketAddr) {
    listening_with(loopback(), giver, client)
}

/// A listener at a port that the system picks.
#[track_caller]
pub fn loopback() -> Listener {
    Listener::bind(Some(LOOPBACK), Some(0)).expect("loopback has a free port")
}

#[track_caller]
pub fn listening_with(
    listener: Listener,
    mut giver: Giver,
    client: impl FnOnce(SocketAddr) -> Verdict + Send + 'static,
) -> (Ran, SocketAddr) {
    let address = listener.addresses()[0];
    giver.plan.port = listener.port();
    giver.plan.sources.push(Box::new(listener));
    let stop = Arc::clone(&giver.plan.stop);
    let client = Script::start(move || {
        let verdict = client(address);
        stop.store(true, Ordering::SeqCst);
        verdict
    });
    let ran = giver.run();
    client.verdict();
    (ran, address)
}

#[track_caller]
fn connect(address: SocketAddr) -> Verdict<Talk> {
    connect_from(1, address)
}

/// Dials from 127.0.0.`host`.
#[track_caller]
pub fn connect_from(host: u8, address: SocketAddr) -> Verdict<Talk> {
    let socket =
        Socket::new(Domain::IPV4, Type::STREAM, None).must("there is room for a socket")?;
    socket
        .bind(&SocketAddr::from(([127, 0, 0, host], 0)).into())
        .must("loopback has many addresses")?;
    socket.connect(&address.into()).must("it listens")?;
    let by = Instant::now() + Duration::from_secs(60);
    Ok(Talk::over(over_tcp(socket.into(), by).must("it is connected")?))
}

/// Dials, says hello, and is answered.
#[track_caller]
fn met(
    address: SocketAddr,
    reserved: [u8; 8],
    torrent: &Torrent,
    peer_id: [u8; 20],
) -> Verdict<Talk> {
    met_over(connect(address)?, reserved, torrent, peer_id)
}

/// Says hello, and is answered.
#[track_caller]
pub fn met_over(
    mut talk: Talk,
    reserved: [u8; 8],
    torrent: &Torrent,
    peer_id: [u8; 20],
) -> Verdict<Talk> {
    talk.send(&wire::handshake(reserved, torrent.info_hash, peer_id)).must("it listens")?;
    let ours = talk.bytes(68).must("it answers")?;
    wire_is(&ours, &wire::handshake(BOTH, torrent.info_hash, US), "BEP 3, handshake")?;
    Ok(talk)
}

/// Checks that the other side hangs up without another word.
#[track_caller]
pub fn is_hung_up_on(talk: &mut Talk) -> Verdict {
    let error = talk.bytes(1).err().must("it is to be hung up on without a word")?;
    insist!(error.kind() != ErrorKind::TimedOut, "the connection goes on");
    Ok(())
}

#[test]
fn who_comes_by_itself_gets_what_it_wants_and_is_known_by_where_it_listens() {
    let torrent = Torrent::sample();
    let content = torrent.clone();
    let (ran, _) = listening(Giver::new(&torrent).rules(staying()), move |address| {
        let mut talk = met(address, BOTH, &content, THEM)?;
        let ours = talk.greet(&[("p", b"i50123e".to_vec())]).must("it greets")?;
        insist_eq!(ours.get("p").and_then(|port| port.int()), Some(i64::from(address.port())));
        talk.admitted().must("there is room")?;
        (0..5).try_for_each(|piece| talk.takes_piece(&content, piece)).must("it gives")?;
        talk.fence(&ours).map(drop).must("it hears")
    });
    let outcome = ran.result.expect("all is well");
    assert_eq!(
        outcome.traded,
        [Traded {
            peer: SocketAddr::new(LOOPBACK, 50123),
            peer_id: PeerId(THEM),
            taken: 0,
            given: 151_072
        }]
    );
}

/// A source that may still find somebody, without which whoever misses something gives up.
struct Hope;

impl PeerSource for Hope {
    fn name(&self) -> String {
        "hope".to_owned()
    }

    fn run(self: Box<Self>, mut finder: SourceHandle) -> Result<(), BoxError> {
        while finder.wait(Duration::from_secs(60)) != Wake::Stop {}
        Ok(())
    }
}

#[test]
fn who_comes_by_itself_has_one_address_in_all_that_is_told_of_it() {
    let torrent = Torrent::sample();
    let content = torrent.clone();
    let mut giver = Giver::with(&torrent, 0..4, 1 << 16).rules(staying());
    giver.plan.sources.push(Box::new(Hope));
    let (ran, _) = listening(giver, move |address| {
        let mut talk = met(address, BOTH, &content, THEM)?;
        talk.greet(&[("p", b"i50123e".to_vec())]).must("it greets")?;
        talk.has(&content, &[4]).must("it is interested")?;
        talk.asked().map(drop).must("it asks")
    });
    let joined = ran
        .events
        .iter()
        .find_map(|event| if let Event::Joined(who) = event { Some(*who) } else { None });
    let unchoked = ran
        .events
        .iter()
        .find_map(|event| if let Event::Choked(who, false) = event { Some(*who) } else { None });
    assert!(joined.is_some() && joined == unchoked, "{:?}", ran.told());
}

#[test]
fn forty_eight_bytes_are_enough_for_an_answer() {
    let torrent = Torrent::sample();
    let content = torrent.clone();
    listening(Giver::new(&torrent).rules(staying()), move |address| {
        let hello = wire::handshake(EXTENDED, content.info_hash, THEM);
        let mut talk = connect(address)?;
        for part in hello[..48].chunks(7) {
            talk.send(part).must("it listens")?;
        }
        insist_eq!(
            talk.bytes(68).must("it answers")?,
            wire::handshake(BOTH, content.info_hash, US)
        );
        talk.send(&hello[48..]).must("it listens")?;
        talk.admitted().must("there is room")?;
        talk.takes(&content, 4, 0, 100).must("it gives")
    });
}

#[test]
fn a_peer_may_use_any_name_of_the_torrent() {
    let torrent = Torrent::sample();
    let content = torrent.clone();
    let mut giver = Giver::new(&torrent).rules(staying());
    giver.plan.names = giver.plan.names.and(InfoHash([9; 20]));
    listening(giver, move |address| {
        for (name, peer_id) in [([9; 20], THEM), (content.info_hash, [b'x'; 20])] {
            let mut talk = connect(address)?;
            talk.send(&wire::handshake(EXTENDED, name, peer_id)).must("it listens")?;
            insist_eq!(talk.bytes(68).must("it answers")?, wire::handshake(BOTH, name, US));
            talk.admitted().must("there is room")?;
            talk.takes(&content, 4, 0, 100).must("it gives")?;
        }
        Ok(())
    });
}

#[test]
fn who_wants_something_else_is_hung_up_on_without_a_word() {
    let torrent = Torrent::sample();
    let content = torrent.clone();
    let (ran, _) = listening(Giver::new(&torrent).rules(staying()), move |address| {
        let mut other = content.info_hash;
        other[19] ^= 1;
        for said in [&wire::handshake(BOTH, other, THEM)[..], b"GET / HTTP/1.1\r\n\r\n"] {
            let mut talk = connect(address)?;
            talk.send(said).must("it listens")?;
            is_hung_up_on(&mut talk)?;
        }
        // Ourselves get an answer, and no more than that.
        is_hung_up_on(&mut met(address, BOTH, &content, US)?)
    });
    assert!(!ran.events.iter().any(|event| matches!(event, Event::Joined(_))), "{:?}", ran.told());
}

#[test]
fn our_own_address_is_tried_once() {
    let torrent = Torrent::sample();
    let mut giver = Giver::new(&torrent).rules(staying());
    giver.plan.dial = Arc::new(Tcp);
    // If it were dialed again, that would be soon.
    giver.plan.patience = Duration::from_millis(40);
    let listener = loopback();
    let address = listener.addresses()[0];
    giver.plan.sources.push(Box::new(listener));
    giver.plan.sources.push(Box::new(Given(address.to_string())));
    let ran = giver.run_with(|event, stop| {
        if matches!(event, Event::Left(..)) {
            stop_soon(stop);
        }
    });
    assert!(matches!(ran.left(address)[..], [Ended::Ourselves]), "{:?}", ran.told());
    assert!(!ran.events.iter().any(|event| matches!(event, Event::Joined(_))), "{:?}", ran.told());
}

#[test]
fn who_comes_twice_is_let_in_once() {
    let torrent = Torrent::sample();
    let content = torrent.clone();
    let (ran, _) = listening(Giver::new(&torrent).rules(staying()), move |address| {
        let mut first = met(address, BOTH, &content, THEM)?;
        let ours = first.greet(&[]).must("it greets")?;
        let mut second = connect(address)?;
        second.send(&wire::handshake(BOTH, content.info_hash, THEM)).must("it listens")?;
        second.bytes(68).must("it answers")?;
        is_hung_up_on(&mut second)?;
        first.fence(&ours).map(drop).must("the first goes on")
    });
    let joined = ran.events.iter().filter(|event| matches!(event, Event::Joined(_))).count();
    assert_eq!(joined, 1, "{:?}", ran.told());
}

#[test]
fn when_too_many_come_and_say_nothing_one_of_them_goes() {
    let torrent = Torrent::sample();
    let content = torrent.clone();
    listening(Giver::new(&torrent).rules(staying()), move |address| {
        let mut silent: Vec<Talk> = (0..128).map(|_| connect(address)).collect::<Verdict<_>>()?;
        // There is no room for one more before one of those has had its second.
        let mut last = met(address, BOTH, &content, THEM)?;
        last.admitted().must("there is room")?;
        last.takes(&content, 0, 0, 100).must("it gives")?;
        // The others still have their time.
        insist_eq!(gone(&mut silent, &content), 1);
        Ok(())
    });
}

/// Lets peers that have been silent say hello now; returns how many are not answered.
pub fn gone(silent: &mut [Talk], torrent: &Torrent) -> usize {
    for (number, talk) in silent.iter_mut().enumerate() {
        // A hang-up may already be known here.
        let _ = talk.send(&wire::handshake(BOTH, torrent.info_hash, [number as u8; 20]));
    }
    silent.iter_mut().filter_map(|talk| talk.bytes(68).err()).count()
}

/// Our side of a connection, which takes its time to write.
struct Slow {
    writer: Box<dyn WriteHalf>,
    begun: Gate,
    may_go_on: Gate,
}

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.open();
        self.may_go_on.opens()?;
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl WriteHalf for Slow {
    fn set_deadline(&mut self, until: Instant) {
        self.writer.set_deadline(until);
    }
}

#[test]
fn when_too_many_come_nobody_goes_because_we_are_slow_ourselves() {
    nobody_goes(false);
}

#[test]
fn when_too_many_come_nobody_goes_because_of_what_is_put_around_it() {
    nobody_goes(true);
}

/// The first one takes long, and not because it says nothing: our answer does, or what is put
/// `around` it.
#[track_caller]
fn nobody_goes(around: bool) {
    let torrent = Torrent::sample();
    let content = torrent.clone();
    let (begun, may_go_on, slow) = (Gate::default(), Gate::default(), AtomicBool::new(true));
    let gates = (begun.clone(), may_go_on.clone());
    let wrap = move |transport: Transport| -> Result<Transport, HandshakeError> {
        if !slow.swap(false, Ordering::SeqCst) {
            return Ok(transport);
        }
        let (begun, may_go_on) = gates.clone();
        if around {
            begun.open();
            may_go_on.opens().map_err(io::Error::from)?;
            return Ok(transport);
        }
        let writer = Box::new(Slow { writer: transport.writer, begun, may_go_on });
        Ok(Transport { writer, ..transport })
    };
    let listener = loopback().through(Box::new(wrap));
    listening_with(listener, Giver::new(&torrent).rules(staying()), move |address| {
        let mut first = connect(address)?;
        first.send(&wire::handshake(BOTH, content.info_hash, [1; 20])).must("it listens")?;
        begun.opens()?;
        let silent: Vec<Talk> = (1..128).map(|_| connect(address)).collect::<Verdict<_>>()?;
        // That this one is let in says that another had to go.
        met(address, BOTH, &content, THEM)?;
        may_go_on.open();
        first.bytes(68).must("it answers")?;
        drop(silent);
        Ok(())
    });
}

#[test]
fn when_the_swarm_is_over_nobody_listens_and_nobody_is_left_in_the_door() {
    let torrent = Torrent::sample();
    let guests: Arc<Mutex<Vec<Talk>>> = Arc::default();
    let come = Arc::clone(&guests);
    let content = torrent.clone();
    let (ran, address) = listening(Giver::new(&torrent).rules(staying()), move |address| {
        let mut silent: Vec<Talk> = (0..3).map(|_| connect(address)).collect::<Verdict<_>>()?;
        // It has taken in all that came before this one.
        let mut last = met(address, BOTH, &content, THEM)?;
        last.admitted().must("there is room")?;
        silent.push(last);
        come.lock().must("nobody panics with this lock")?.extend(silent);
        Ok(())
    });
    assert!(ran.result.is_ok());
    for guest in guests.lock().expect("nobody panics with this lock").iter_mut() {
        loop {
            match guest.next() {
                Ok(_) => {}
                Err(error) => {
                    break assert_ne!(error.kind(), ErrorKind::TimedOut, "it is left alone");
                }
            }
        }
    }
    // The sockets are closed: nobody answers, and somebody else can have the port.
    let begun = Instant::now();
    while TcpListener::bind(address).is_err() || TcpStream::connect(address).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(60), "somebody still listens");
        std::thread::sleep(Duration::from_millis(5));
    }
}
