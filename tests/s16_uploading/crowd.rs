//! Several peers of ours that know each other, each a whole download of its own.

use super::super::support::{Torrent, jitter};
use super::giver::stocked;
use super::memory::{Memory, info};
use piecemeal::s02_metainfo::Info;
use piecemeal::s03_tracker::PeerId;
use piecemeal::s03_tracker::reach::NamedBy;
use piecemeal::s04_handshake::transport::{Dial, Transport, over_tcp, pair};
use piecemeal::s05_messages::connection::Connection;
use piecemeal::s07_extension::BoxError;
use piecemeal::s10_storage::Store;
use piecemeal::s12_session::host::Uploads;
use piecemeal::s13_peer_sources::signals::Wake;
use piecemeal::s13_peer_sources::source::{IncomingPeers, PeerSource, SourceHandle};
use piecemeal::s15_swarm::summary::Summary;
use piecemeal::s15_swarm::{Event, Plan, SwarmError, download};
use piecemeal::s16_uploading::incoming::answer;
use socket2::{Domain, Socket, Type};
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// What each member gives to the others.
pub type NewUploads = fn() -> Arc<dyn Uploads>;

/// Makes both ends of a connection from one address to another.
pub type Link =
    Box<dyn Fn(SocketAddr, SocketAddr) -> io::Result<(Transport, Transport)> + Send + Sync>;

/// Pipes that hold so many bytes in each direction.
pub fn pipes(room: usize) -> Link {
    Box::new(move |from, to| Ok(pair(room, from, to)))
}

/// Loopback; with buffers that hold less than a block, if they are to be `narrow`. (With the
/// smallest receive buffer that there is, Linux throws segments away and waits for its own
/// timers: 2 KB/s, at times.)
pub fn tcp(narrow: bool) -> Link {
    let socket = move || -> io::Result<Socket> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        if narrow {
            // Before connecting and listening: what is accepted inherits it.
            socket.set_send_buffer_size(1)?;
            socket.set_recv_buffer_size(4096)?;
        }
        Ok(socket)
    };
    Box::new(move |from, to| {
        let (listener, dialler) = (socket()?, socket()?);
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
        listener.listen(1)?;
        dialler.connect(&listener.local_addr()?)?;
        let (accepted, _) = listener.accept()?;
        let until = Instant::now() + Duration::from_secs(60);
        let end = |socket: Socket, peer| -> io::Result<Transport> {
            Ok(Transport { peer, ..over_tcp(socket.into(), until)? })
        };
        Ok((end(dialler, to)?, end(accepted, from)?))
    })
}

pub fn at(number: usize) -> SocketAddr {
    SocketAddr::from(([10, 200, 0, number as u8], 6881))
}

/// Who is where.
pub struct Crowd {
    link: Link,
    doors: Mutex<HashMap<SocketAddr, IncomingPeers>>,
}

impl Crowd {
    fn doors(&self) -> std::sync::MutexGuard<'_, HashMap<SocketAddr, IncomingPeers>> {
        self.doors.lock().expect("nobody panics with this lock")
    }
}

/// One of them dials.
struct Line {
    crowd: Arc<Crowd>,
    here: SocketAddr,
    /// To be passed by all before anybody gets through, the first time.
    together: Mutex<Option<Arc<Barrier>>>,
}

impl Dial for Line {
    fn dial(&self, peer: SocketAddr, until: Instant) -> io::Result<Transport> {
        let together = self.together.lock().expect("nobody panics with this lock").take();
        if let Some(together) = together {
            together.wait();
        }
        let introducer =
            self.crowd.doors().get(&peer).cloned().ok_or(ErrorKind::ConnectionRefused)?;
        // As in life: nobody listens at the port that somebody dials from.
        let from = SocketAddr::new(self.here.ip(), 50_000);
        let (ours, mut theirs) = (self.crowd.link)(from, peer)?;
        thread::spawn(move || {
            theirs.set_deadline(until);
            let hello = introducer.handshake();
            if let Ok(their_hello) = answer(&mut theirs, &hello, introducer.names()) {
                introducer.met(Connection::new(theirs, hello, their_hello));
            }
        });
        Ok(ours)
    }
}

/// One of them can be reached, and knows some others.
struct Door {
    crowd: Arc<Crowd>,
    here: SocketAddr,
    names: Vec<SocketAddr>,
    /// Nobody dials before all can be reached.
    open: Arc<Barrier>,
}

impl PeerSource for Door {
    fn name(&self) -> String {
        "the test".to_owned()
    }

    fn run(self: Box<Self>, mut finder: SourceHandle) -> Result<(), BoxError> {
        self.crowd.doors().insert(self.here, finder.incoming());
        self.open.wait();
        finder.found(NamedBy::User, self.names.clone());
        while finder.wait(Duration::from_secs(3600)) != Wake::Stop {}
        self.crowd.doors().remove(&self.here);
        Ok(())
    }
}

/// What one of them has at the start, and whom it dials.
#[derive(Clone)]
pub struct Member {
    pub have: Vec<u32>,
    pub dials: Vec<usize>,
}

/// What became of one of them.
pub struct Ran {
    pub result: Result<Summary, SwarmError>,
    pub store: Arc<Memory>,
}

/// Runs them all until `over` says stop; it sees each event, and whose it is. Nothing is tried
/// again within the test.
pub fn run_until(
    link: Link,
    torrent: &Torrent,
    members: &[Member],
    uploads: NewUploads,
    together: bool,
    over: impl FnMut(usize, &Event, &Arc<AtomicBool>) + Send,
) -> Vec<Ran> {
    run_with_patience(Duration::from_secs(60), link, torrent, members, uploads, together, over)
}

/// The same with this much patience: what failed is tried again after a quarter of it.
pub fn run_with_patience(
    patience: Duration,
    link: Link,
    torrent: &Torrent,
    members: &[Member],
    uploads: NewUploads,
    together: bool,
    over: impl FnMut(usize, &Event, &Arc<AtomicBool>) + Send,
) -> Vec<Ran> {
    let crowd = Arc::new(Crowd { link, doors: Mutex::default() });
    let (open, stop) = (Arc::new(Barrier::new(members.len())), Arc::new(AtomicBool::new(false)));
    let together = together.then(|| Arc::new(Barrier::new(members.len())));
    let over = Mutex::new(over);
    thread::scope(|scope| {
        let start = |(number, member): (usize, &Member)| {
            let here = at(number);
            let info = info(torrent);
            let mut id = *b"-OU0001-one of us ..";
            id[19] = number as u8;
            let mut plan = Plan::new(info.info_hash, Some(info), PeerId(id));
            plan.patience = patience;
            plan.stop = Arc::clone(&stop);
            plan.uploads = uploads();
            plan.dial = Arc::new(Line {
                crowd: Arc::clone(&crowd),
                here,
                together: Mutex::new(together.clone()),
            });
            let names = member.dials.iter().map(|number| at(*number)).collect();
            plan.sources.push(Box::new(Door {
                crowd: Arc::clone(&crowd),
                here,
                names,
                open: Arc::clone(&open),
            }));
            let (store, have) = stocked(torrent, member.have.iter().copied());
            let (over, stop) = (&over, Arc::clone(&stop));
            scope.spawn(move || {
                let given = Arc::clone(&store) as Arc<dyn Store>;
                let result = download(plan, |_: &Info| Ok((given, have)), &mut |event| {
                    jitter::lock(over)(number, &event, &stop);
                });
                Ran { result, store }
            })
        };
        let threads: Vec<_> = members.iter().enumerate().map(start).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    })
}

/// Runs them all until each has everything, which each must say once.
pub fn complete(
    link: Link,
    torrent: &Torrent,
    members: &[Member],
    uploads: NewUploads,
) -> Vec<Ran> {
    let mut left = members.iter().filter(|member| member.have.len() < torrent.pieces()).count();
    let ran = run_until(link, torrent, members, uploads, false, |_, event, stop| {
        left -= usize::from(matches!(event, Event::Completed));
        stop.fetch_or(left == 0, Ordering::SeqCst);
    });
    for (number, ran) in ran.iter().enumerate() {
        assert!(ran.result.is_ok(), "{number}: {:?}", ran.result);
        assert!(ran.store.content() == torrent.content, "{number}: the content is there");
    }
    ran
}

/// So many, each with the pieces whose number leaves this rest, and each dialing those
/// behind it.
pub fn equals(count: usize, pieces: usize) -> Vec<Member> {
    let share = |number: usize| (number as u32..pieces as u32).step_by(count).collect();
    (0..count)
        .map(|number| Member { have: share(number), dials: (number + 1..count).collect() })
        .collect()
}
