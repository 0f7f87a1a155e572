//! Services on our own machine that a stranger names: no command connects to them.

use crate::all_at_once;
use crate::support::{FakePeer, FakeTracker, Reply, Run, Torrent, folder};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

/// A listener that is not a peer.
struct Service(TcpListener);

impl Service {
    fn start() -> Service {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        listener.set_nonblocking(true).expect("a listener can be polled");
        Service(listener)
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("it is bound")
    }

    /// Whether no connection has come. The command has ended, so none will.
    #[track_caller]
    fn is_left_alone(&self, what: &str) {
        let came = self.0.accept();
        assert!(
            came.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock),
            "{what}: {came:?}"
        );
    }
}

/// The commands that dial what a link names.
const OF_LINKS: [&[&str]; 4] = [
    &["magnet_handshake"],
    &["magnet_info"],
    &["magnet_download_piece", "-o", "out"],
    &["magnet_download", "-o", "out"],
];

/// Adds the arguments after the link.
fn run(words: &[&str], link: &str) -> Run {
    let run = Run::new(words).arg("--timeout").arg("2").arg(link);
    if words[0] == "magnet_download_piece" { run.arg("0") } else { run }
}

#[test]
fn a_link_sends_no_command_to_a_service_of_this_machine() {
    // Its info hash is `\r\nFLUSHALL\r\n` and eight dots: Redis would obey.
    let hash = "0d0a464c555348414c4c0d0a2e2e2e2e2e2e2e2e";
    all_at_once(OF_LINKS.to_vec(), |words| {
        let (folder, service) = (folder(), Service::start());
        for host in ["127.0.0.1", "localhost"] {
            let link =
                format!("magnet:?xt=urn:btih:{hash}&x.pe={host}:{}", service.address().port());
            let outcome = run(words, &link).arg("-v").dir(folder.path()).run();
            outcome
                .fails(&[5])
                .mentions("1 peer not dialed, for one 127.0.0.1:")
                .mentions("the info hash of the link");
            service.is_left_alone(words[0]);
        }
    });
}

#[test]
fn a_link_and_a_tracker_send_nobody_to_a_port_of_the_systems_own_services() {
    let torrent = Torrent::sample();
    // Also over a name. Nothing listens on port 9; if it had been dialed, the error would say so.
    let links = ["127.0.0.1:9", "localhost:9", "[::ffff:127.0.0.1]:9"]
        .map(|peer| format!("{}&x.pe={peer}", torrent.magnet(&[])));
    let cases: Vec<_> = OF_LINKS
        .iter()
        .flat_map(|words| links.iter().map(move |link| (*words, link.as_str())))
        .collect();
    all_at_once(cases, |(words, link)| {
        let folder = folder();
        let outcome = run(words, link).arg("-v").dir(folder.path()).run();
        outcome.fails(&[5]).mentions("a port below 1024 of this machine or its network");
        assert!(!outcome.err().contains("refused"), "{outcome}");
    });
    let commands: [(&[&str], &[&str]); 2] =
        [(&["download_piece", "-o", "out"], &["0"]), (&["download", "-o", "out"], &[])];
    all_at_once(commands.to_vec(), |(words, more)| {
        let folder = folder();
        let tracker = FakeTracker::knowing(&["127.0.0.1:9".parse().expect("an address")]);
        torrent.write(folder.path(), Some(&tracker.url()));
        let run = Run::new(words).arg("--timeout").arg("2").arg("-v").arg("test.torrent");
        let outcome = more.iter().fold(run, Run::arg).dir(folder.path()).run();
        outcome.fails(&[5]).mentions("a port below 1024 of this machine or its network");
        assert!(!outcome.err().contains("refused"), "{outcome}");
        // An address that the user names is dialed.
        let run = Run::new(words).arg("--timeout").arg("2").peer("127.0.0.1:9").arg("test.torrent");
        more.iter().fold(run, Run::arg).dir(folder.path()).run().fails(&[5]).mentions("refused");
    });
}

#[test]
fn a_torrent_sends_no_order_to_a_service_of_this_machine() {
    let torrent = Torrent::sample();
    let commands: [&[&str]; 5] = [
        &["peers"],
        &["scrape"],
        &["download", "-o", "out"],
        &["download_piece", "-o", "out"],
        &["download", "--trace", "-o", "out"],
    ];
    all_at_once(commands.to_vec(), |words| {
        let (folder, service) = (folder(), Service::start());
        let port = service.address().port();
        for url in ["127.0.0.1", "localhost", "127.1"]
            .map(|host| format!("http://{host}:{port}/shutdown?by=/announce"))
        {
            torrent.write(folder.path(), Some(&url));
            // That 127.1 is this machine shows only when it is looked up, and the network is asked
            // before.
            let run = Run::new(words).arg("--no-lsd").arg("--timeout").arg("2");
            let run = run.arg("test.torrent");
            let run = if words[0] == "download_piece" { run.arg("0") } else { run };
            run.dir(folder.path()).run().fails(&[4]);
            service.is_left_alone(words[0]);
        }
    });
    // A tracker that redirects there gets no further either.
    let (folder, service) = (folder(), Service::start());
    let order = format!("http://{}/shutdown", service.address());
    let tracker = FakeTracker::saying(Reply::Redirect(order));
    let file = torrent.write(folder.path(), Some(&tracker.url()));
    Run::new(["peers", "--timeout", "2"]).arg(file).run().fails(&[4]).mentions("/announce");
    service.is_left_alone("peers");
}

#[test]
fn a_peer_of_this_machine_that_a_link_names_is_dialed_as_ever() {
    let torrent = Torrent::sample();
    let peer = FakePeer::of(&torrent).start();
    let link = format!("{}&x.pe={}", torrent.magnet(&[]), peer.address());
    Run::new(["magnet_info", "--timeout", "60", &link]).run().succeeds();
}
