//! A swarm that runs: its peers, its tracker, our downloads and our seed, over loopback.

use super::dice::{Download, Swarm, Tracker};
use super::report::Report;
use super::support::{FakePeer, FakeTracker, Reply, folder};
use piecemeal::s02_metainfo::Info;
use piecemeal::s03_tracker::PeerId;
use piecemeal::s03_tracker::http::HttpTracker;
use piecemeal::s05_messages::bitfield::Bitfield;
use piecemeal::s10_storage::output::Output;
use piecemeal::s10_storage::{Storage, StorageError, Store, verify};
use piecemeal::s12_session::rate::Rate;
use piecemeal::s13_peer_sources::announcer::Announcer;
use piecemeal::s13_peer_sources::source::Given;
use piecemeal::s15_swarm::summary::Summary;
use piecemeal::s15_swarm::{Event, Plan, SwarmError, download};
use piecemeal::s17_seeding::listener::Listener;
use piecemeal::s17_seeding::{Rules, Seeder};
use std::cell::OnceCell;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Runs it to its end, and looks at what is there then.
pub fn run(number: u64, swarm: &Swarm, report: &mut Report) {
    let info = Info::from_bytes(&swarm.torrent.info).expect("it is a good torrent");
    let peers: Vec<FakePeer> = swarm.peers.iter().cloned().map(FakePeer::start).collect();
    let count = swarm.downloads.len() + usize::from(swarm.seed);
    let listeners: Vec<Listener> = (0..count)
        .map(|member| {
            let ip = IpAddr::V4(Ipv4Addr::new(127, 0, 1, member as u8 + 1));
            Listener::bind(Some(ip), Some(0)).expect("loopback has a free port")
        })
        .collect();
    let ours = listeners.iter().flat_map(Listener::addresses);
    let addresses: Vec<SocketAddr> = peers.iter().map(FakePeer::address).chain(ours).collect();
    let tracker = tracker(swarm.tracker, &addresses);
    let url = tracker.as_ref().map(FakeTracker::url);
    let folders: Vec<_> = swarm.downloads.iter().map(|_| folder()).collect();

    let stop = Arc::new(AtomicBool::new(false));
    let mut listeners = listeners.into_iter();
    let plan = |listener: Listener, magnet: bool| {
        let plan = plan(&info, listener, &addresses, url.clone(), swarm.patience());
        Plan { info: plan.info.filter(|_| !magnet), ..plan }
    };
    let ends: Vec<Result<Summary, SwarmError>> = thread::scope(|scope| {
        if swarm.seed {
            let mut plan = plan(listeners.next().expect("one for each"), false);
            (plan.upload_only, plan.stop) = (true, Arc::clone(&stop));
            plan.uploads = Arc::new(Seeder::new(Rules { stay: true, ..Rules::default() }));
            let (content, info) = (&swarm.torrent.content, &info);
            scope.spawn(move || seed(plan, content, info));
        }
        let downloads = swarm.downloads.iter().zip(listeners).zip(&folders);
        let downloads: Vec<_> = downloads
            .map(|((how, listener), folder)| {
                let plan = plan(listener, how.magnet);
                let (content, info) = (&swarm.torrent.content, &info);
                scope.spawn(move || fetch(plan, how, content, info, folder.path()))
            })
            .collect();
        let ends = downloads
            .into_iter()
            .map(|thread| thread.join().expect("a download does not panic"))
            .collect();
        stop.store(true, Ordering::SeqCst);
        ends
    });
    for ((how, end), folder) in swarm.downloads.iter().zip(ends).zip(folders) {
        if let Err(what) = judge(swarm, how, end, &info, folder.path(), report) {
            report.wrong(number, format!("{what}\n  {swarm}"));
        }
    }
}

fn tracker(how: Tracker, addresses: &[SocketAddr]) -> Option<FakeTracker> {
    Some(FakeTracker::saying(match how {
        Tracker::None => return None,
        Tracker::Good => Reply::peers(addresses),
        Tracker::Fails => Reply::failure("not today"),
        Tracker::HangsUp => Reply::HangUp,
        Tracker::Empty => Reply::peers(&[]),
    }))
}

/// What all of ours have in common.
fn plan(
    info: &Info,
    listener: Listener,
    addresses: &[SocketAddr],
    url: Option<String>,
    patience: Duration,
) -> Plan {
    let peer_id = PeerId::random();
    let mut plan = Plan::new(info.info_hash, Some(info.clone()), peer_id);
    plan.patience = patience;
    plan.port = listener.port();
    plan.uploads = Arc::new(Seeder::new(Rules::default()));
    match url {
        Some(url) => {
            let trackers = Arc::new(vec![Box::new(HttpTracker) as Box<_>]);
            let announcer =
                Announcer::new(vec![url], trackers, info.info_hash, peer_id, plan.retry());
            plan.sources.push(Box::new(announcer.at_port(plan.port)));
        }
        None => plan
            .sources
            .extend(addresses.iter().map(|address| Box::new(Given(address.to_string())) as Box<_>)),
    }
    plan.sources.push(Box::new(listener));
    plan
}

/// Gives all of it until it is told to stop.
fn seed(plan: Plan, content: &[u8], info: &Info) {
    let place = folder();
    let output = open(info, &place.path().join("out")).expect("the folder is empty");
    output
        .storage
        .write(0, content)
        .and_then(|()| output.complete())
        .expect("there is room for the content");
    let store = Arc::clone(&output.storage) as Arc<dyn Store>;
    let have = Bitfield::full(info.piece_count());
    let given = download(plan, |_| Ok((store, have)), &mut |_| {});
    given.expect("a seed ends when it is told to");
}

fn open(info: &Info, path: &Path) -> Result<Output, StorageError> {
    Output::open(info, path, false, &AtomicBool::new(false), &|_| {})
}

/// Downloads to a file or folder, as the command does.
fn fetch(
    mut plan: Plan,
    how: &Download,
    content: &[u8],
    info: &Info,
    folder: &Path,
) -> Result<Summary, SwarmError> {
    let path = folder.join("out");
    leave(how.there, content, info, &path).expect("there is room for a part of the content");
    plan.download_rate = Rate::new(how.rate);
    let output = OnceCell::new();
    let prepare = |info: &Info| {
        let output = output
            .get_or_init(|| open(info, &path).expect("what is there is a part of this torrent"));
        if output.have.is_full() {
            output.complete()?;
        }
        Ok((Arc::clone(&output.storage) as Arc<dyn Store>, output.have.clone()))
    };
    download(plan, prepare, &mut |event| {
        if let (Event::Completed, Some(output)) = (event, output.get()) {
            output.complete().expect("all of it was written");
        }
    })
}

/// Leaves so many pieces from an earlier time, of which the last is wrong.
fn leave(pieces: usize, content: &[u8], info: &Info, path: &Path) -> Result<(), StorageError> {
    if pieces == 0 {
        return Ok(());
    }
    let end = content.len().min(pieces * info.piece_length as usize);
    let mut part = content[..end].to_vec();
    part[end - 1] ^= 1;
    open(info, path)?.storage.write(0, &part)
}

/// Whether a download has ended as it should.
fn judge(
    swarm: &Swarm,
    how: &Download,
    end: Result<Summary, SwarmError>,
    info: &Info,
    folder: &Path,
    report: &mut Report,
) -> Result<(), String> {
    let storage = Storage::new(info, &folder.join("out"), false);
    let right = verify(info, &storage, &AtomicBool::new(false), &|_| {})
        .map_err(|error| error.to_string())?;
    let entries = fs::read_dir(folder).expect("the folder is there");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("it can be read").file_name()).collect();
    names.sort();
    match end {
        Ok(outcome) => {
            report.complete(outcome.downloaded);
            let whole = right.is_full() && storage.has_right_sizes() && names == ["out"];
            let possible = !swarm.cannot_complete();
            (whole && possible)
                .then_some(())
                .ok_or(format!("it says that it is complete: {} right, {names:?}", right.count()))
        }
        Err(SwarmError::NoHope { what, standing }) => {
            report.ended(&what);
            if swarm.must_complete(how) {
                return Err(format!("it could have been completed, but: {what}: {standing}"));
            }
            if names.iter().any(|name| name != "out" && name != "out.piecemeal") {
                return Err(format!("{names:?} are left"));
            }
            let told = standing.pieces.map_or(how.magnet, |(done, all)| {
                (done, all) == (right.count(), info.piece_count())
            });
            told.then_some(())
                .ok_or(format!("{} pieces are right, but: {what}: {standing}", right.count()))
        }
        Err(error) => Err(error.to_string()),
    }
}
