//! The program: downloads that find their peer by the DHT alone, when they must not, and `dht_node`.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use piecemeal::actors::dht::{FakeDht, NodePlan};

use super::super::support::{
    FakePeer, LIMIT, Plan, Recipe, Run, Torrent, bencode, content, folder,
};
use super::net::Wire;

/// A small torrent, a peer that has it, and a DHT of three nodes that know the peer.
struct Scene {
    torrent: Torrent,
    dht: FakeDht,
    _peer: FakePeer,
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Scene {
        Scene::of(Recipe::single("t", 32 << 10, content(100_000, 2)))
    }

    fn of(recipe: Recipe) -> Scene {
        let torrent = recipe.build();
        let peer = Plan::new(&torrent).start();
        let known = [peer.address()];
        let plans = (1..=3).map(|id| NodePlan::new([id; 20]).having(torrent.info_hash, &known));
        let dht = FakeDht::mesh(plans).expect("loopback has ports");
        let folder = folder();
        Scene { torrent, dht, _peer: peer, folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn way(&self) -> String {
        self.dht.address(0).to_string()
    }

    /// Whether anybody in the DHT was asked anything.
    fn is_asked(&self) -> bool {
        !self.dht.queries().is_empty()
    }

    fn is_downloaded(&self) -> bool {
        fs::read(self.path().join("out")).is_ok_and(|found| found == self.torrent.content)
    }
}

/// A run that uses nothing that the user who runs the tests has saved.
fn program(arguments: &[&str], folder: &Path) -> Run {
    Run::new(arguments).env("PIECEMEAL_OFFLINE", "1").dir(folder)
}

#[test]
fn a_download_and_a_link_find_their_peer_by_the_dht_alone() {
    for from_link in [false, true] {
        let scene = Scene::new();
        let way = scene.way();
        scene.torrent.write(scene.path(), None);
        let link = scene.torrent.magnet(&[]);
        let file = format!("{}.torrent", "t");
        let (command, what) =
            if from_link { ("magnet_download", &link) } else { ("download", &file) };
        let file = scene.path().join(&file);
        if !from_link && !file.exists() {
            fs::write(&file, scene.torrent.file(None)).expect("the folder can be written");
        }
        let words = [command, "-o", "out", "--port", "0", "--dht-bootstrap", &way, what];
        let outcome = program(&words, scene.path()).run();
        outcome.succeeds();
        assert!(scene.is_downloaded());
        assert!(!outcome.err().contains("names no tracker"), "{outcome}");
        // It listens, so it is written down by the nodes closest to the torrent.
    }
}

/// The torrent's file, in which a node of the DHT is a way in.
fn with_nodes(scene: &Scene, tracker: Option<&str>) -> Vec<u8> {
    let address = scene.dht.address(0);
    let node = bencode::list(&[
        bencode::bytes(address.ip().to_string()),
        bencode::int(address.port().into()),
    ]);
    let tracker = tracker
        .map_or(Vec::new(), |url| [bencode::bytes("announce"), bencode::bytes(url)].concat());
    let info: &[u8] = &scene.torrent.info;
    [b"d", &tracker[..], b"4:info", info, b"5:nodes", &bencode::list(&[node]), b"e"].concat()
}

#[test]
fn the_nodes_in_a_torrent_are_ways_in() {
    let scene = Scene::new();
    let file = with_nodes(&scene, None);
    fs::write(scene.path().join("t.torrent"), file).expect("the folder can be written");
    let words = ["download", "-o", "out", "--port", "0", "t.torrent"];
    program(&words, scene.path()).run().succeeds();
    assert!(scene.is_downloaded());
}

/// Runs a download that cannot find anybody, and is not to ask the DHT.
#[track_caller]
fn asks_nobody(scene: &Scene, file: &[u8], options: &[&str]) {
    fs::write(scene.path().join("t.torrent"), file).expect("the folder can be written");
    let words =
        [&["download", "-o", "out", "--port", "0", "--timeout", "1"], options, &["t.torrent"]];
    let outcome = program(&words.concat(), scene.path()).run();
    assert_ne!(outcome.code, Some(0), "{outcome}");
    assert!(!scene.is_asked(), "{:?}\n{outcome}", scene.dht.queries());
}

#[test]
fn the_dht_is_not_asked_if_that_is_switched_off() {
    let scene = Scene::new();
    let way = scene.way();
    let options = ["--no-dht", "--dht-bootstrap", way.as_str()];
    asks_nobody(&scene, &scene.torrent.file(None), &options);
}

#[test]
fn the_dht_is_not_asked_about_a_private_torrent() {
    let recipe = Recipe::single("t", 32 << 10, content(100_000, 2));
    let scene = Scene::of(recipe.extra("private", bencode::int(1)));
    let way = scene.way();
    asks_nobody(&scene, &scene.torrent.file(None), &["--dht-bootstrap", way.as_str()]);
}

#[test]
fn the_dht_is_not_asked_about_a_swarm_on_this_computer() {
    let scene = Scene::new();
    for (tracker, options) in [
        (Some("http://127.0.0.1:9/announce"), &[][..]),
        (None, &["--bind", "127.0.0.1"]),
        (None, &["--peer", "127.0.0.99:9"]),
    ] {
        asks_nobody(&scene, &with_nodes(&scene, tracker), options);
    }
}

#[test]
fn a_link_without_anybody_still_says_so_without_the_dht() {
    let scene = Scene::new();
    let link = scene.torrent.magnet(&[]);
    let words = ["magnet_download", "-o", "out", "--no-dht", "--no-lsd", &link];
    let outcome = program(&words, scene.path()).run();
    assert!(outcome.err().contains("the magnet link names no tracker and no peer"), "{outcome}");
}

/// The lines that a node prints first: its id and its address.
fn begun(out: &str) -> (String, SocketAddr) {
    let mut lines = out.lines();
    let id = lines.next().and_then(|line| line.strip_prefix("Node ID: ")).expect("an id");
    let address = lines.next().and_then(|line| line.strip_prefix("Listening on: "));
    (id.to_owned(), address.and_then(|it| it.parse().ok()).expect("an address"))
}

#[test]
fn dht_node_answers_until_ctrl_c_and_keeps_its_table() {
    let scene = Scene::new();
    let way = scene.way();
    let table = scene.path().join("nodes");
    let path = table.to_string_lossy().into_owned();
    let words = ["dht_node", "--listen", "127.0.0.1", "--port", "0", "--dht-table", &path];
    let first = program(&[&words[..], &["--dht-bootstrap", &way]].concat(), scene.path()).start();
    let known = scene.dht.nodes[2].is_asked(|asked| asked.query.method == "find_node", LIMIT);
    assert!(known, "the node asks those that it hears of");
    // Asked by the same node, so it has a place there by now or in a moment.
    let outcome = end(first);
    let (id, address) = begun(&outcome.out());
    assert_eq!((id.len(), address.ip().to_string()), (40, "127.0.0.1".to_owned()), "{outcome}");
    let saved = fs::read(&table).expect("the table is saved");
    assert!(saved.starts_with(b"d2:id20:"), "{}", String::from_utf8_lossy(&saved));
    // A later one needs no way in.
    let before = scene.dht.queries().len();
    let second = program(&words, scene.path()).start();
    let deadline = Instant::now() + LIMIT;
    while scene.dht.queries().len() == before {
        assert!(Instant::now() < deadline, "a node that is saved is asked");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    end(second).succeeds();
}

/// Ctrl-C, a moment after what was awaited.
fn end(running: super::super::support::Running) -> super::super::support::Outcome {
    std::thread::sleep(super::net::SHORT);
    running.interrupt();
    running.finish()
}

#[test]
fn dht_node_tells_programs_where_it_is_and_what_it_was_asked() {
    let folder = folder();
    let socket = std::net::UdpSocket::bind("127.0.0.77:0").expect("loopback has ports");
    let port = socket.local_addr().expect("it is bound").port().to_string();
    let words = ["dht_node", "--json", "--listen", "127.0.0.77", "--port", &port];
    // The port is taken.
    let plain: Vec<&str> = words.iter().copied().filter(|word| *word != "--json").collect();
    let outcome = program(&plain, folder.path()).run();
    outcome.fails(&[7]).explains_itself();
    outcome.mentions(&format!("127.0.0.77:{port}, UDP: ")).mentions("choose another --port");
    drop(socket);
    let running = program(&words, folder.path()).start();
    let wire = Wire::new();
    let ping = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping2:roi1e1:t2:aa1:y1:qe";
    let deadline = Instant::now() + LIMIT;
    loop {
        let _ = wire.socket.send_to(ping, format!("127.0.0.77:{port}"));
        if wire.answer(super::net::SHORT).is_some() {
            break;
        }
        assert!(Instant::now() < deadline, "the node answers");
    }
    running.interrupt();
    let outcome = running.finish();
    outcome.succeeds();
    let out = outcome.out();
    let lines: Vec<serde_json::Value> =
        out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines[0]["event"], "listening", "{outcome}");
    assert_eq!(lines[0]["address"], format!("127.0.0.77:{port}"), "{outcome}");
    assert_eq!(lines[0]["node_id"].as_str().map(str::len), Some(40), "{outcome}");
    assert!(lines[1]["queries"]["ping"].as_u64() >= Some(1), "{outcome}");
    for key in ["dropped", "nodes", "torrents", "peers"] {
        assert_eq!(lines[1][key], 0, "{key}: {outcome}");
    }
    assert_eq!(lines.len(), 2, "{outcome}");
}
