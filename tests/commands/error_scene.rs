//! The files, peers and trackers that the command lines in `errors.txt` name, each broken in one
//! way.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;

use crate::support::bencode::{bytes, dict, int, list};
use crate::support::udp_tracker::{action, answer, good};
use crate::support::{
    After, Blocks, Deed, FakePeer, FakeTracker, FakeUdpTracker, Greeting, Metadata, Plan, Recipe,
    Reply, Torrent, Unchoke, dead_address, folder, wire,
};
use piecemeal::actors::dht::{Answer, FakeNode, NodePlan};
use tempfile::TempDir;

/// A folder with the files that a command line names, and the peers and trackers.
pub struct Scene {
    pub folder: TempDir,
    torrent: Torrent,
    peers: Vec<FakePeer>,
    trackers: Vec<FakeTracker>,
    udp_trackers: Vec<FakeUdpTracker>,
    nodes: Vec<FakeNode>,
    listeners: Vec<TcpListener>,
    /// The texts to replace in the output, with their replacements.
    names: BTreeMap<String, String>,
}

impl Scene {
    pub fn new() -> Scene {
        let torrent = Torrent::sample();
        let scene = Scene {
            folder: folder(),
            peers: Vec::new(),
            trackers: Vec::new(),
            udp_trackers: Vec::new(),
            nodes: Vec::new(),
            listeners: Vec::new(),
            names: BTreeMap::new(),
            torrent,
        };
        scene.files();
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, data: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(name).parent().expect("a file is in a folder"))
            .expect("the folder can be made");
        fs::write(self.path(name), data).expect("the test's folder takes a file");
    }

    /// The files that are always there.
    fn files(&self) {
        self.write("sample.torrent", self.torrent.file(None));
        self.write("sample.bin", &self.torrent.content);
        const CAPTURE: &str = include_str!("../data/captures/aria2.capture");
        self.write("session.capture", CAPTURE);
        // An unchoke with a byte too many, and a handshake of ours with another bit.
        self.write("broken.capture", CAPTURE.replace("\"0000000101\"", "\"000000020101\""));
        self.write(
            "other-bits.capture",
            CAPTURE.replacen("0000000000100004", "0000000000100005", 1),
        );
        self.write("captured.torrent", include_bytes!("../data/captures/captured.torrent"));
        self.write("notes.txt", "these are notes");
        self.write(
            "ada.json",
            "{\"event\":\"done\",\"info_hash\":\"aa\",\"peer_id\":\"bb\",\"from\":[],\"to\":[]}",
        );
        self.write("album/one.txt", "one");
        self.write("linked/one.txt", "one");
        fs::create_dir(self.path("empty")).expect("the test's folder takes a folder");
        #[cfg(unix)]
        std::os::unix::fs::symlink("one.txt", self.path("linked/two.txt"))
            .expect("the test's folder takes a link");
        #[cfg(target_os = "linux")]
        {
            use std::os::unix::ffi::OsStrExt;
            fs::create_dir(self.path("latin")).expect("the test's folder takes a folder");
            let name = std::ffi::OsStr::from_bytes(b"caf\xe9.txt");
            fs::write(self.path("latin").join(name), "one")
                .expect("the test's folder takes any name");
        }
        // Of zeros, and nothing on the disk.
        for (name, length) in [("large.bin", 3 << 20), ("huge.torrent", (64 << 20) + 1)] {
            fs::File::create(self.path(name))
                .and_then(|file| file.set_len(length))
                .expect("the test's folder takes a file");
        }
        let mut half = self.torrent.content.clone();
        half[40_000] ^= 1;
        self.write("half.bin", half);
        self.write("longer.bin", [&self.torrent.content[..], b"more"].concat());
        self.write("lab-in-the-way/sample.torrent", "mine");
    }

    /// Makes the thing that a word names, and returns the word with its real address or path.
    pub fn set(&mut self, word: &str) -> String {
        if let Some(name) = word.strip_suffix("-tracker.torrent") {
            let url = self.tracker(name);
            self.write(word, self.torrent.file(Some(&url)));
        } else if let Some(data) = word.strip_suffix(".torrent").and_then(broken_torrent) {
            self.write(word, data);
        }
        let mut word = word.to_owned();
        while let Some((before, rest)) = word.clone().split_once('{') {
            let (name, after) = rest.split_once('}').expect("a brace is closed");
            word = format!("{before}{}{after}", self.value(name));
        }
        word
    }

    fn value(&mut self, name: &str) -> String {
        if name == "hash" {
            return self.torrent.hex();
        }
        if let Some(name) = name.strip_prefix("hash of ") {
            return unusable(name).hex();
        }
        if let Some(name) = name.strip_suffix(" tracker") {
            let url = self.tracker(name);
            return urlencoding::encode(&url).into_owned();
        }
        let address = match name {
            "nobody" => dead_address().to_string(),
            "taken" => {
                let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
                let address =
                    listener.local_addr().expect("a bound listener has an address").to_string();
                self.listeners.push(listener);
                address
            }
            "taken port" => {
                let taken = self.value("taken");
                let (_, port) = taken.split_once(':').expect("an address has a port");
                self.names.insert(format!("port {port}"), "port {taken port}".to_owned());
                return port.to_owned();
            }
            name if name.ends_with("-node") => {
                let plan = NodePlan::new([7; 20]);
                let plan = match name {
                    "silent-node" => plan.silent(),
                    "refusing-node" => plan.saying([Answer::Error(202, "busy\x1b[2J".to_owned())]),
                    _ => plan,
                };
                let node = FakeNode::start(plan).expect("loopback has a free port");
                let address = node.address().to_string();
                self.nodes.push(node);
                address
            }
            name => {
                let torrent =
                    name.strip_prefix("peer of ").map_or_else(|| self.torrent.clone(), unusable);
                let plan = if name.starts_with("peer of ") {
                    FakePeer::of(&torrent)
                } else {
                    plan(name, &torrent)
                };
                let peer = plan.start();
                let address = peer.address().to_string();
                self.peers.push(peer);
                address
            }
        };
        self.names.insert(address.clone(), format!("{{{name}}}"));
        address
    }

    /// The URL of a tracker.
    fn tracker(&mut self, name: &str) -> String {
        let place = format!("{{{name} tracker}}");
        if name == "dead" {
            let address = dead_address().to_string();
            self.names.insert(address.clone(), place);
            return format!("http://{address}/announce");
        }
        if let Some(name) =
            name.strip_prefix("udp-").filter(|name| ["silent", "refusing", "short"].contains(name))
        {
            let tracker = udp_tracker(name);
            self.names.insert(tracker.address().to_string(), place);
            let url = tracker.url();
            self.udp_trackers.push(tracker);
            return url;
        }
        let url = match name {
            "websocket" => return "wss://tracker.example/announce".to_owned(),
            "misspelt" => return "htp//tracker.example".to_owned(),
            // This machine refuses an impossible name on its own, without a network.
            "udp-unknown" => return "udp://no..name:6969/announce".to_owned(),
            "udp-without-port" => return "udp://tracker.example/announce".to_owned(),
            "udp-dead" => {
                let socket = std::net::UdpSocket::bind("127.0.0.99:0")
                    .and_then(|socket| socket.local_addr());
                let address = socket.expect("loopback has a free port").to_string();
                self.names.insert(address.clone(), place);
                return format!("udp://{address}/announce");
            }
            "unknown" => return "http://no..name/announce".to_owned(),
            "unscrapable" => Some("/track"),
            _ => None,
        };
        let tracker = match name {
            "circular" => FakeTracker::redirecting(100, &[]),
            name => FakeTracker::saying(reply(name)),
        };
        self.names.insert(tracker.address().to_string(), place);
        let whole = tracker.url();
        self.trackers.push(tracker);
        url.map_or(whole.clone(), |path| whole.replace("/announce", path))
    }

    /// Where temporary files go: for the demo, nowhere.
    pub fn temporary(&self, command: &str) -> String {
        let folder = if command.starts_with("demo") {
            self.path("no-such-folder")
        } else {
            self.folder.path().to_owned()
        };
        folder.to_string_lossy().into_owned()
    }

    /// Returns the output, with names for what varies.
    pub fn shown(&self, printed: &str) -> String {
        let folder = format!("{}/", self.folder.path().display());
        let text = self
            .names
            .iter()
            .fold(printed.replace(&folder, ""), |text, (real, name)| text.replace(real, name));
        text.lines().map(|line| settled(line) + "\n").collect()
    }
}

/// Returns a line without what differs from system to system.
fn settled(line: &str) -> String {
    const LOOKUP: &str = "failed to lookup address information";
    if let Some((before, _)) = line.split_once(LOOKUP) {
        return format!("{before}{LOOKUP}: ...");
    }
    // A temporary folder has a name of its own each time, at the end.
    let line =
        line.split_once("/.tmp").map_or(line.to_owned(), |(before, _)| format!("{before}/.tmp..."));
    let mut parts = line.split("(os error ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |line, rest| {
        line + "(os error N" + rest.trim_start_matches(|letter: char| letter.is_ascii_digit())
    })
}

/// An info dictionary of one file of 5 bytes, with another value for one key, or without it.
fn info_with(changed: &str, value: Option<Vec<u8>>) -> Vec<u8> {
    let usual = [
        ("length", int(5)),
        ("name", bytes("five.txt")),
        ("piece length", int(4)),
        ("pieces", bytes([b'x'; 40])),
    ];
    let mut pairs: Vec<(&str, Vec<u8>)> =
        usual.into_iter().filter(|(key, _)| *key != changed).collect();
    pairs.extend(value.map(|value| (changed, value)));
    pairs.sort_by_key(|(key, _)| *key);
    dict(&[("info", dict(&pairs))])
}

/// A torrent whose info dictionary matches the link's hash, but cannot be used.
fn unusable(name: &str) -> Torrent {
    let file = broken_torrent(name).unwrap_or_else(|| panic!("no torrent is {name:?}"));
    let length = if name == "poisoned" { 4 } else { 5 };
    Torrent::of_info(file["d4:info".len()..file.len() - 1].to_vec(), vec![0; length], 4)
}

/// A torrent of several files with these paths.
fn of_paths(paths: &[&[&str]]) -> Vec<u8> {
    let files: Vec<Vec<u8>> = paths
        .iter()
        .map(|path| {
            let path: Vec<Vec<u8>> = path.iter().map(bytes).collect();
            dict(&[("length", int(1)), ("path", list(&path))])
        })
        .collect();
    let pairs = [
        ("files", list(&files)),
        ("name", bytes("top")),
        ("piece length", int(1)),
        ("pieces", bytes(vec![b'x'; 20 * paths.len()])),
    ];
    dict(&[("info", dict(&pairs))])
}

/// A .torrent file that breaks one rule.
fn broken_torrent(name: &str) -> Option<Vec<u8>> {
    Some(match name {
        "nothing" => Vec::new(),
        "web-page" => b"<!DOCTYPE html><html><title>404 Not Found</title></html>".to_vec(),
        "list" => b"le".to_vec(),
        "without-info" => dict(&[("announce", bytes("http://tracker.example/announce"))]),
        "info-is-text" => dict(&[("info", bytes("five"))]),
        "cut-short" => Torrent::sample().file(None)[..100].to_vec(),
        "cut-in-name" => b"d4:infod6:lengthi5e4:name40:cut".to_vec(),
        "length-and-files" => info_with("files", Some(list(&[]))),
        "version-3" => info_with("meta version", Some(int(3))),
        "key-twice" => b"d7:comment1:a7:comment1:be".to_vec(),
        "without-name" => info_with("name", None),
        "without-length" => info_with("length", None),
        "length-is-text" => info_with("length", Some(bytes("5"))),
        "negative-length" => info_with("length", Some(int(-5))),
        "piece-length-0" => info_with("piece length", Some(int(0))),
        "huge-pieces" => info_with("piece length", Some(int(1 << 40))),
        "half-a-hash" => info_with("pieces", Some(bytes([b'x'; 30]))),
        "missing-hash" => info_with("pieces", Some(bytes([b'x'; 20]))),
        "empty-name" => info_with("name", Some(bytes(""))),
        "many-values" => [b"l".to_vec(), b"le".repeat(3_000_001), b"e".to_vec()].concat(),
        "climbing-name" => info_with("name", Some(bytes(".."))),
        "climbing-path" => of_paths(&[&["good.txt"], &["..", "..", "evil.txt"]]),
        "file-as-folder" => of_paths(&[&["a"], &["a", "b"]]),
        "empty-path" => of_paths(&[&[]]),
        "poisoned" => {
            let pairs = [
                ("length", int(4)),
                ("name", bytes("four.txt")),
                ("piece length", int(4)),
                ("pieces", bytes([b'x'; 20])),
            ];
            dict(&[("info", dict(&pairs))])
        }
        "version-2" => {
            let tree = dict(&[("five.txt", dict(&[("", dict(&[("length", int(5))]))]))]);
            dict(&[(
                "info",
                dict(&[
                    ("file tree", tree),
                    ("meta version", int(2)),
                    ("name", bytes("five.txt")),
                    ("piece length", int(16_384)),
                ]),
            )])
        }
        "unsorted-tree" => {
            let tree = dict(&[("b.txt", v2_file(5)), ("a.txt", v2_file(5))]);
            v2_torrent(tree, &[], &[])
        }
        "two-halves" => {
            let half = [("length", int(5)), ("pieces", bytes([b'x'; 20]))];
            v2_torrent(dict(&[("five.txt", v2_file(4))]), &half, &[])
        }
        // A file of two pieces, and hashes that are not below its root; and without them.
        "wrong-layer" => v2_torrent(dict(&[("five.txt", v2_file(20_000))]), &[], &[b'x'; 64]),
        "no-layers" => v2_torrent(dict(&[("five.txt", v2_file(20_000))]), &[], &[]),
        "private" => {
            Recipe::single("t", 4, b"one".to_vec()).extra("private", int(1)).build().file(None)
        }
        "album" => {
            Recipe::files("album", 4, &[("one.txt", b"one".to_vec()), ("two.txt", b"two".to_vec())])
                .build()
                .file(None)
        }
        _ => return None,
    })
}

/// The extension handshake of a peer that speaks ut_pex.
const PEX_GREETING: &[u8] = b"d1:md6:ut_pexi7eee";

/// A peer that behaves in one way.
fn plan(name: &str, torrent: &Torrent) -> Plan {
    let plan = FakePeer::of(torrent);
    match name {
        "good" => plan,
        "silent" => plan.greeting(Greeting::Silent),
        "closing" => plan.greeting(Greeting::Close),
        "half" => plan.greeting(Greeting::Half),
        "web server" => plan.greeting(Greeting::Says(
            b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nServer: nginx\r\n\r\n....".to_vec(),
        )),
        "other torrent" => plan.greeting(Greeting::WrongInfoHash),
        "mirror" => plan.greeting(Greeting::Echo),
        "leaving" => plan.after(After::Close),
        "mute" => plan.after(After::Hold),
        "without piece 1" => plan.only([0, 2]),
        "choking" => plan.unchoke(Unchoke::Never),
        "corrupt" => plan.blocks(Blocks::Corrupt),
        "dying" => plan.blocks(Blocks::CloseAfter(1)),
        "resetting" => plan.blocks(Blocks::ResetAfter(1)),
        "refusing" => plan.fast().blocks(Blocks::Reject),
        "too long" => plan.blocks(Blocks::SayAfter(0, vec![0xff, 0xff, 0xff, 0xff, 7])),
        "short have" => plan.after(After::Say(vec![0, 0, 0, 2, 4, 0])),
        "long bitfield" => plan.opening(vec![0, 0, 0, 3, 5, 0xff, 0xff]),
        "stalling" => plan.blocks(Blocks::SilentAfter(1)),
        // By their peer ids they would be the same.
        "plain again" => plan.plain().peer_id(*b"-FK0001-secondpeerid"),
        "another without metadata" => {
            plan.metadata(Metadata::None).peer_id(*b"-FK0001-third-peerid")
        }
        "plain" => plan.plain(),
        "without metadata" => plan.metadata(Metadata::None),
        "no size" => plan.metadata(Metadata::Size(0)),
        "huge size" => plan.metadata(Metadata::Size(1 << 40)),
        "wrong metadata" => plan.metadata(Metadata::Corrupt),
        "rejecting metadata" => plan.metadata(Metadata::Reject),
        "garbled metadata" => plan.metadata(Metadata::Garbage),
        "stray metadata" => plan.metadata(Metadata::OutOfRange),
        "rechoking" => plan.blocks(Blocks::ChokeAfter(1, false)),
        "overlong blocks" => plan.blocks(Blocks::TooLong),
        "long metadata" => plan.metadata(Metadata::TooLong),
        "silent metadata" => plan.metadata(Metadata::Silent),
        "garbled greeting" => plan.greets(*b"d1:mi1"),
        "list greeting" => plan.greets(*b"le"),
        "lonely" => plan.greets(PEX_GREETING),
        "babbling" => {
            let said = [wire::extended(0, PEX_GREETING), wire::extended(1, b"junk")];
            plan.after(After::Say(said.concat()))
        }
        other => panic!("no peer is {other:?}"),
    }
}

/// An HTTP tracker that says one thing.
fn reply(name: &str) -> Reply {
    match name {
        "lonely" | "other lonely" | "unscrapable" => Reply::peers(&[]),
        "refusing" => Reply::failure("unregistered torrent"),
        "busy" => Reply::Status(503, b"come back later".to_vec()),
        "missing" => Reply::Status(404, b"<html>not here</html>".to_vec()),
        "html" => Reply::Body(b"<html>It works!</html>".to_vec()),
        "list" => Reply::Body(b"le".to_vec()),
        "silent" => Reply::Silence,
        "closing" => Reply::HangUp,
        "garbled" => Reply::Raw(b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()),
        "endless" => Reply::Flood,
        "odd-peers" => Reply::Body(dict(&[("interval", int(1800)), ("peers", bytes(b"1234567"))])),
        "number-peers" => Reply::Body(dict(&[("interval", int(1800)), ("peers", int(5))])),
        "empty" => Reply::Body(Vec::new()),
        other => panic!("no tracker is {other:?}"),
    }
}

/// A UDP tracker that says one thing.
fn udp_tracker(name: &str) -> FakeUdpTracker {
    match name {
        "silent" => FakeUdpTracker::silent(),
        "refusing" => FakeUdpTracker::start(|packet, _| {
            let reply = if action(packet) == 0 {
                good(packet, &[])
            } else {
                answer(packet, 3, b"unregistered torrent")
            };
            vec![Deed::Send(reply)]
        }),
        "short" => FakeUdpTracker::start(|packet, _| {
            let reply = if action(packet) == 0 {
                good(packet, &[])
            } else {
                answer(packet, action(packet), b"1234")
            };
            vec![Deed::Send(reply)]
        }),
        other => panic!("no UDP tracker is {other:?}"),
    }
}

/// A file in the tree of a version 2 torrent.
fn v2_file(length: i64) -> Vec<u8> {
    dict(&[("", dict(&[("length", int(length)), ("pieces root", bytes([7; 32]))]))])
}

/// A version 2 torrent with this tree, more keys in its info dictionary, and the piece layer of its
/// file if there is one.
fn v2_torrent(tree: Vec<u8>, more: &[(&'static str, Vec<u8>)], layer: &[u8]) -> Vec<u8> {
    let mut pairs = vec![
        ("file tree", tree),
        ("meta version", int(2)),
        ("name", bytes("five.txt")),
        ("piece length", int(16_384)),
    ];
    pairs.extend(more.iter().cloned());
    pairs.sort_by_key(|(key, _)| *key);
    let layers = match layer {
        [] => b"de".to_vec(),
        layer => [b"d".to_vec(), bytes([7; 32]), bytes(layer), b"e".to_vec()].concat(),
    };
    dict(&[("info", dict(&pairs)), ("piece layers", layers)])
}
