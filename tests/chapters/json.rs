//! `docs/json.md` against the program: every line of JSON that a command prints fits the
//! schema there, and every schema there is met.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use piecemeal::actors::dht::{FakeNode, NodePlan};
use piecemeal::lab::content::Content;
use piecemeal::lab::seeder::{Fault, Plan};
use piecemeal::lab::{Lab, album, sample, version_two};
use serde_json::{Value, json};

use super::markdown::{Document, documents};
use crate::support::json_schema::{Shared, faults};
use crate::support::{FakePeer, Run, Torrent, commands, dead_address, folder, wire};

/// Events that no test can order, or only by luck: their examples are checked, no more.
const RARE: [&str; 3] = ["lied", "lost", "withdrawn"];

/// How long a program may take to say what is waited for.
const LIMIT: Duration = Duration::from_secs(60);

/// A schema of the page.
struct Described {
    /// The commands that print such an object, or the option with which any does; of none: all.
    commands: Vec<String>,
    schema: Value,
    /// Whether something printed by a program has fitted it.
    met: bool,
}

impl Described {
    fn event(&self) -> Option<&str> {
        self.schema["properties"]["event"]["const"].as_str()
    }
}

/// The schemas, each after its example.
struct Page {
    described: Vec<Described>,
    /// Those that are a part of others, by their `$id`.
    shared: Shared,
}

impl Page {
    fn read() -> Page {
        let is_it = |document: &Document| document.path == Path::new("docs/json.md");
        let document = documents().into_iter().find(is_it).expect("docs/json.md is there");
        let mut page = Page { described: Vec::new(), shared: Shared::new() };
        let mut example = None;
        for block in &document.blocks {
            let place = format!("{}:{}", document.path.display(), block.line);
            let json: Value = serde_json::from_str(&block.lines.join("\n"))
                .unwrap_or_else(|error| panic!("{place}: {error}"));
            if block.kind == "json example" {
                assert!(
                    example.replace(json).is_none(),
                    "{place}: an example without its schema before it"
                );
                continue;
            }
            assert_eq!(block.kind, "json schema", "{place}");
            let example =
                example.take().unwrap_or_else(|| panic!("{place}: there is no example of it"));
            assert_eq!(
                faults(&json, &page.shared, &example),
                Vec::<String>::new(),
                "{place}: the example does not fit"
            );
            if let Some(id) = json["$id"].as_str() {
                page.shared.insert(id.to_owned(), json);
                continue;
            }
            let heading = document
                .text
                .iter()
                .rfind(|(line, text)| *line < block.line && text.starts_with("## "));
            let (_, heading) = heading.unwrap_or_else(|| panic!("{place}: under which heading?"));
            let commands = heading.split('`').skip(1).step_by(2).map(str::to_owned).collect();
            page.described.push(Described { commands, schema: json, met: false });
        }
        page
    }

    /// Finds the schema that an object of a command fits.
    fn meet(&mut self, command: &str, object: &Value) {
        let is_for = |described: &&mut Described| {
            let named = described.commands.is_empty()
                || described.commands.iter().any(|name| name == command);
            named && described.event() == object["event"].as_str()
        };
        let mut candidates: Vec<&mut Described> =
            self.described.iter_mut().filter(is_for).collect();
        let wrong: Vec<_> = candidates
            .iter()
            .map(|described| faults(&described.schema, &self.shared, object))
            .collect();
        match wrong.iter().position(Vec::is_empty) {
            Some(at) => candidates[at].met = true,
            None => panic!("{command} prints what docs/json.md does not say: {object}: {wrong:#?}"),
        }
    }

    /// The same for all that it printed.
    fn meet_all(&mut self, command: &str, printed: &str) {
        assert!(!printed.is_empty(), "{command} printed nothing");
        for line in printed.lines() {
            let object: Value = serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("{command}: {error}: {line}"));
            assert!(object.is_object(), "{command}: {line}");
            self.meet(command, &object);
        }
    }

    /// Runs a command with `--json`.
    fn run(&mut self, folder: &Path, words: &[&str], code: i32) -> String {
        let outcome = Run::new(words).arg("--json").dir(folder).run();
        assert_eq!(outcome.code, Some(code), "{outcome}");
        self.meet_all(words[0], &outcome.out());
        outcome.out()
    }

    /// The same, with its trace in a file.
    fn run_traced(&mut self, folder: &Path, words: &[&str], code: i32) {
        self.run(folder, &[words, &["--trace=trace.json"]].concat(), code);
        let trace = fs::read_to_string(folder.join("trace.json")).expect("there is a trace");
        self.meet_all("--trace", &trace);
    }
}

/// A command that stays up, with its output in a file. It ends with the test.
struct Beside {
    child: Child,
    path: PathBuf,
}

impl Beside {
    fn start(folder: &Path, words: &[&str]) -> Beside {
        let path = folder.join(format!(".{}", words[0]));
        let file = fs::File::create(&path).expect("the folder can be written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_piecemeal"));
        command
            .args(words)
            .arg("--json")
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(Stdio::null());
        Beside { child: command.spawn().expect("the program starts"), path }
    }

    fn printed(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.path).expect("what it printed is there"))
            .into_owned()
    }

    /// Waits until it has printed an event, and returns the first.
    fn event(&self, name: &str) -> Value {
        let until = Instant::now() + LIMIT;
        loop {
            let printed = self.printed();
            let whole = &printed[..printed.rfind('\n').map_or(0, |end| end + 1)];
            let objects =
                whole.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
            if let Some(event) = objects.into_iter().find(|object| object["event"] == name) {
                return event;
            }
            assert!(Instant::now() < until, "no event {name} in {printed}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ctrl-C; all that it printed.
    fn end(mut self) -> String {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill runs").success());
        let until = Instant::now() + LIMIT;
        while self.child.try_wait().expect("it can be waited for").is_none() {
            assert!(Instant::now() < until, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
        self.printed()
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One GET request, whatever comes of it.
fn get(address: &str, target: &str) {
    let mut stream = TcpStream::connect(address).expect("the tracker listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a stream takes a deadline");
    write!(stream, "GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
        .expect("the request is sent");
    stream.read_to_end(&mut Vec::new()).expect("there is an answer");
}

fn lab(contents: Vec<Content>, faults: &[Fault]) -> Lab {
    let plans: Vec<Plan> = faults.iter().map(|fault| Plan::with_fault(*fault)).collect();
    Lab::start(contents, &plans, 0).expect("a lab")
}

/// The commands that print one object.
fn short_commands(page: &mut Page, folder: &Path) {
    let lab = lab(
        [sample(), album(), version_two()].map(|content| content.expect("a torrent")).into(),
        &[Fault::None, Fault::None],
    );
    lab.write_torrents(&folder.join("lab")).expect("written");
    lab.write_originals(&folder.join("lab/original")).expect("written");
    let (torrent, link) = ("lab/sample.torrent", lab.magnet(&lab.contents[0]));
    let peer = lab.addresses()[0].to_string();
    page.run(folder, &["decode", "d3:cow3:moo4:spaml2:\u{7f}\u{1}i-7ee1:xdee"], 0);
    page.run(folder, &["info", torrent], 0);
    page.run(folder, &["info", "lab/album.torrent"], 0);
    let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/s23_v2/data");
    for name in ["d-v2.torrent", "d-hybrid.torrent"] {
        fs::copy(made.join(name), folder.join(name)).expect("the test's folder takes a file");
        page.run(folder, &["info", name], 0);
    }
    page.run(folder, &["peers", torrent], 0);
    page.run(folder, &["handshake", torrent, &peer], 0);
    page.run(folder, &["hashes", "lab/v2.torrent", &peer], 0);
    page.run(folder, &["download_piece", "-o", "piece-0", torrent, "0"], 0);
    page.run(folder, &["magnet_parse", &link], 0);
    let whole = format!(
        "{link}&xl=92063&x.pe={peer}&so=0,2-4&ws=http://127.0.0.1/&xt=urn:btmh:1220{}",
        "ab".repeat(32)
    );
    page.run(folder, &["magnet_parse", &whole], 0);
    page.run(folder, &["magnet_handshake", &link], 0);
    page.run(folder, &["magnet_info", &link], 0);
    page.run(folder, &["magnet_download_piece", "-o", "piece-2", &link, "2"], 0);
    page.run(folder, &["create", "-o", "new.torrent", "lab/original/album"], 0);
    for version in ["2", "hybrid"] {
        let words = ["create", "--force", "--version", version, "lab/original/album"];
        page.run(folder, &words, 0);
    }
    page.run(folder, &["tree", "lab/original/sample.txt"], 0);
    page.run(folder, &["tree", "--block", "3", "lab/original/album/01 first light.txt"], 0);
    page.run(folder, &["verify", "lab/album.torrent", "lab/original/album"], 0);
    fs::create_dir(folder.join("album")).expect("the folder takes a folder");
    fs::write(folder.join("album/01 first light.txt"), "too short").expect("written");
    page.run(folder, &["verify", "lab/album.torrent", "album"], 6);
    page.run(folder, &["verify", torrent, "missing"], 7);
    let faults = [
        "work_queue",
        "--faults",
        "none,die,corrupt,slow",
        "--seed",
        "2",
        "lab/album.torrent",
        "lab/original/album",
    ];
    page.run(folder, &faults, 0);
    page.run(folder, &["download_from", "-o", "from-one", torrent, &peer], 0);
    let serving = Beside::start(folder, &["serve", "--once", "--port", "0", torrent, "from-one"]);
    let address =
        serving.event("listening")["addresses"][0].as_str().expect("an address").to_owned();
    page.run(folder, &["download_from", "-o", "from-ours", torrent, &address], 0);
    serving.event("done");
    page.meet_all("serve", &serving.printed());
    page.run(folder, &["peer_list"], 0);
    page.run(folder, &["peer_list", "--faults", "ports,idle,liars", "--minutes", "60"], 0);
    page.run(folder, &["work_queue", "--free", "lab/album.torrent", "lab/original/album"], 0);
    page.run(folder, &["explain", torrent], 0);
    page.run(folder, &["explain", "0000000d 06 00000002"], 3);
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/captures");
    for name in ["aria2.capture", "captured.torrent"] {
        fs::copy(captures.join(name), folder.join(name)).expect("a copy");
    }
    page.run(folder, &["replay", "aria2.capture", "--torrent", "captured.torrent"], 0);
    page.run(folder, &["replay", "aria2.capture", "--torrent", torrent], 3);
    page.run(folder, &["stages"], 0);
    page.run(folder, &["chapter"], 0);
    page.run(folder, &["chapter", "4"], 0);
    page.run(folder, &["completions", "fish"], 0);
    let dead = format!(
        "{}{}",
        lab.magnet(&lab.contents[0]),
        format_args!("&tr=http://{}/announce", dead_address())
    );
    page.run(folder, &["scrape", &dead], 0);
    page.run(folder, &["info", "missing.torrent"], 7);
    page.run(folder, &["decode", "x"], 3);
    let nobody = lab.contents[0].magnet(&[], &[dead_address()]);
    page.run(folder, &["magnet_download", "-o", "none", "--timeout", "3", &nobody], 5);
    let silent = lab.contents[0].magnet(&[format!("http://{}/announce", dead_address())], &[]);
    page.run(folder, &["magnet_download", "-o", "none", "--timeout", "3", &silent], 4);
}

/// The trace of conversations with peers and trackers, and captures, explained.
fn traces(page: &mut Page, folder: &Path) {
    let lab = lab(vec![sample().expect("a torrent")], &[Fault::None, Fault::None]);
    lab.write_torrents(folder).expect("written");
    let peer = lab.addresses()[0].to_string();
    let alone =
        Run::new(["handshake", "--trace", "--json", "sample.torrent", &peer]).dir(folder).run();
    page.meet_all("handshake", &alone.out());
    page.meet_all("--trace", &alone.err());
    page.run_traced(folder, &["handshake", "sample.torrent", &dead_address().to_string()], 5);
    page.run_traced(
        folder,
        &["download", "-o", "out", "--bind", "127.0.0.1", "--port", "0", "sample.torrent"],
        0,
    );
    page.run_traced(folder, &["magnet_info", &lab.magnet(&lab.contents[0])], 0);
    let plan = NodePlan::new([7; 20]).having([9; 20], &[dead_address()]);
    let node = FakeNode::start(plan).expect("loopback has a free port");
    let (from, hash) = (node.address().to_string(), "09".repeat(20));
    page.run_traced(folder, &["dht_peers", "--dht-bootstrap", &from, &hash], 0);
    let captured = ["dht_peers", "--capture", "dht.capture", "--dht-bootstrap", &from, &hash];
    page.run(folder, &captured, 0);
    page.run(folder, &["explain", "dht.capture"], 0);
    let silent = format!("http://{}/announce", dead_address());
    for (url, code) in [(lab.tracker.url(), 0), (lab.tracker.udp_url(), 0), (silent, 4)] {
        page.run(folder, &["create", "--force", "--announce", &url, "-o", "new.torrent", "out"], 0);
        page.run_traced(folder, &["peers", "new.torrent"], code);
        page.run_traced(folder, &["scrape", "new.torrent"], code);
    }
    page.run(
        folder,
        &["download", "--force", "-o", "out", "--capture", "session.capture", "sample.torrent"],
        0,
    );
    page.run(folder, &["explain", "session.capture"], 0);
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/captures");
    fs::copy(captures.join("libtorrent-magnet.capture"), folder.join("other.capture"))
        .expect("a copy");
    page.run(folder, &["explain", "other.capture"], 0);
    let broken =
        "{\"piecemeal_capture\":1}\n{\"t\":1,\"c\":1,\"peer\":\"x\",\"d\":\"in\",\"hex\":\"00\"}";
    fs::write(folder.join("broken.capture"), broken).expect("written");
    page.run(folder, &["explain", "broken.capture"], 3);
}

/// Downloads, one of them from a seeder that lies, and a seed.
fn long_commands(page: &mut Page, folder: &Path) {
    let content = Content::single("film.bin", 3 << 20, 32 << 10, 5).expect("a torrent");
    let liar = lab(vec![content.clone()], &[Fault::Corrupt { every: 1 }]);
    page.run(
        folder,
        &["magnet_download", "--timeout", "3", "-o", "never", &liar.magnet_with_peers(&content)],
        5,
    );
    let lab = lab(vec![content], &[Fault::None, Fault::None]);
    let torrent = lab.write_torrents(folder).expect("written").remove(0);
    let torrent = torrent.to_string_lossy();
    let link = format!("{}&tr=http://{}/announce", lab.magnet(&lab.contents[0]), dead_address());
    page.run(
        folder,
        &["download", "-q", "-o", "film", "--bind", "127.0.0.1", "--port", "0", &torrent],
        0,
    );
    page.run(
        folder,
        &["magnet_download", "-o", "film-again", "--bind", "127.0.0.1", "--port", "0", &link],
        0,
    );

    // With little patience it says soon that it waits.
    let seed = Beside::start(
        folder,
        &["seed", "--timeout", "1", "--bind", "127.0.0.1", "--port", "0", &torrent, "film"],
    );
    seed.event("waiting");
    let address = seed.event("listening")["addresses"][0].as_str().expect("an address").to_owned();
    let other = Beside::start(
        folder,
        &["magnet_download", "-o", "third", "--keep-seeding", "--peer", &address, &link],
    );
    other.event("completed");
    page.meet_all("magnet_download", &other.end());
    page.meet_all("seed", &seed.end());
    // What the two have printed is still in their files.
    page.run(folder, &["swarm_sheet", ".seed", ".magnet_download"], 0);
    let announce = Beside::start(folder, &["announce", &link]);
    announce.event("announced");
    announce.event("failed");
    page.meet_all("announce", &announce.end());
    let odd = Torrent::sample();
    let peer = FakePeer::of(&odd).greets("junk!").start();
    let file = odd.write(folder, None);
    let words = [
        "download",
        "-o",
        "odd",
        "--port",
        "0",
        "--peer",
        &peer.address().to_string(),
        &file.to_string_lossy(),
    ];
    page.run(folder, &words, 0);
    page.run(folder, &["demo"], 0);
}

/// A lab with all faults that show, and a tracker that is asked wrongly, too.
fn labs(page: &mut Page, folder: &Path) {
    page.run(folder, &["lab", "--faults", "help"], 0);
    // One seeder at a time, so that it is that one who is asked.
    let made = ["lab", "-v", "--seeders", "1", "--size", "256KiB", "--faults"];
    let lab = Beside::start(folder, &[&made[..], &["corrupt"]].concat());
    let started = lab.event("started");
    page.run(
        folder,
        &[
            "magnet_download",
            "-o",
            "never",
            started["magnets"][0].as_str().expect("a link"),
            "--timeout",
            "3",
        ],
        5,
    );
    lab.event("spoiled");
    page.meet_all("lab", &lab.end());

    let lab = Beside::start(folder, &[&made[..], &["choke"]].concat());
    let started = lab.event("started");
    let (torrent, link) = (
        started["torrents"][0].as_str().expect("a path"),
        started["magnets"][0].as_str().expect("a link"),
    );
    page.run(folder, &["magnet_download", "-o", "content", link], 0);
    page.run(folder, &["scrape", torrent], 0);
    let address: SocketAddr =
        started["tracker"].as_str().and_then(host).expect("a tracker has an address");
    get(&address.to_string(), "/announce?info_hash=short");
    let seeder = started["peers"][0].as_str().expect("an address");
    TcpStream::connect(seeder)
        .and_then(|mut stream| stream.write_all(b"no handshake"))
        .expect("it listens");
    let _asking = ask_twice(seeder, link);
    let way_in = started["dht"].as_str().expect("a way into its DHT");
    page.run(folder, &["dht_peers", "--dht-bootstrap", way_in, link], 0);
    let events =
        ["refused", "choked", "forgotten", "left", "metadata", "said", "heard", "mistake", "dht"];
    for event in events {
        lab.event(event);
    }
    page.meet_all("lab", &lab.end());

    let lab = Beside::start(folder, &["lab", "--seeders", "2", "--size", "256KiB"]);
    let started = lab.event("started");
    let (torrent, seeder) = (&started["torrents"][0], &started["peers"][0]);
    let [torrent, seeder] = [torrent, seeder].map(|it| it.as_str().expect("text"));
    page.run(folder, &["pex_peers", torrent, seeder], 0);
    page.meet_all("lab", &lab.end());

    let node = Beside::start(folder, &["dht_node", "--listen", "127.0.0.1", "--port", "0"]);
    let address = node.event("listening")["address"].as_str().expect("an address").to_owned();
    page.run(folder, &["dht_ping", &address], 0);
    page.meet_all("dht_node", &node.end());

    let tracker = Beside::start(folder, &["tracker", "--listen", "127.0.0.1:0"]);
    let url = tracker.event("started")["local_url"].as_str().expect("a URL").to_owned();
    page.run(folder, &["create", "--announce", &url, "-o", "class.torrent", "content"], 0);
    page.run(folder, &["peers", "class.torrent"], 0);
    page.run(folder, &["scrape", "class.torrent"], 0);
    get(&host(&url).expect("an address").to_string(), "/announce?info_hash=short");
    tracker.event("refused");
    page.meet_all("tracker", &tracker.end());
}

#[cfg(unix)]
fn grades(page: &mut Page, folder: &Path) {
    page.run(folder, &["grade", "--list"], 0);
    fs::create_dir_all(folder.join("class/ada")).expect("the folder takes a folder");
    fs::write(folder.join("class/ada/client.sh"), "exit 1").expect("written");
    fs::create_dir(folder.join("class/bob")).expect("the folder takes a folder");
    let words = ["grade", "--check", "1.1", "--class", "class", "--run", "sh client.sh"];
    page.run(folder, &words, 0);
    let words = ["grade", "--json", "--check", "1.1", "--", "sh", "class/ada/client.sh"];
    let outcome = Run::new(words).dir(folder).run();
    assert_eq!(outcome.code, Some(1), "{outcome}");
    page.meet_all("grade", &outcome.out());
}

#[cfg(not(unix))]
fn grades(_: &mut Page, _: &Path) {}

fn simulations(page: &mut Page, folder: &Path) {
    page.run(folder, &["simulate"], 0);
    page.run(folder, &["simulate", "pieces", "--set", "help"], 0);
    page.run(folder, &["simulate", "pieces", "--peers", "16", "--pieces", "8"], 0);
    page.run(folder, &["simulate", "arena", "--peers", "16", "--pieces", "2"], 0);
}

/// Asks for two blocks at once of a seeder that chokes after each.
fn ask_twice(seeder: &str, link: &str) -> TcpStream {
    let (_, hash) = link.split_once("btih:").expect("a link names a torrent");
    let hash = hex::decode(&hash[..40]).expect("it is hex").try_into().expect("it is 20 bytes");
    let request =
        |begin: u8| wire::message(wire::REQUEST, &[0, 0, 0, 0, 0, 0, 0, begin, 0, 0, 0, 1]);
    let handshake = wire::handshake([0; 8], hash, *b"-XX0000-tester000001");
    let mut stream = TcpStream::connect(seeder).expect("it listens");
    let interested = wire::message(wire::INTERESTED, b"");
    let all = [handshake, interested, wire::keep_alive(), request(0), request(1)];
    stream.write_all(&all.concat()).expect("it reads");
    stream
}

fn host(url: &str) -> Option<SocketAddr> {
    url.strip_prefix("http://")?.split('/').next()?.parse().ok()
}

#[test]
fn every_line_of_json_is_as_described_and_every_description_is_met() {
    let mut page = Page::read();
    for part in [short_commands, traces, long_commands, labs, grades, simulations] {
        part(&mut page, folder().path());
    }
    let unmet = page.described.iter().filter(|described| !described.met);
    let unmet: Vec<String> =
        unmet.map(|it| format!("{:?} {}", it.commands, it.schema["title"])).collect();
    let unmet: Vec<&String> = unmet
        .iter()
        .filter(|name| !RARE.iter().any(|rare| name.ends_with(&format!("\"{rare}\""))))
        .collect();
    assert!(unmet.is_empty(), "nothing printed these: {unmet:#?}");
    for id in page.shared.keys() {
        let part = format!("{{\"$ref\":\"{id}\"}}");
        assert!(
            page.described.iter().any(|it| it.schema.to_string().contains(&part)),
            "{id} is a part of nothing"
        );
    }
}

#[test]
fn every_command_is_described() {
    let page = Page::read();
    let named = page.described.iter().flat_map(|described| &described.commands).map(String::as_str);
    let described: BTreeSet<&str> = named.filter(|name| !name.starts_with('-')).collect();
    let there: BTreeSet<&str> = commands().into_iter().collect();
    assert_eq!(described, there, "docs/json.md and the list of commands");
}

#[test]
fn a_schema_refuses_what_it_does_not_describe() {
    let schema = json!({
        "title": "t", "type": "object", "additionalProperties": false, "required": ["a", "b"],
        "properties": {
            "a": { "type": ["integer", "null"] },
            "b": { "type": "array", "items": { "enum": ["x", "y"] } },
            "c": { "const": true, "description": "d" },
            "d": { "type": "array", "items": { "$ref": "small" } },
        },
    });
    let shared = Shared::from([("small".to_owned(), json!({ "$id": "small", "enum": [1, 2] }))]);
    let wrong = |value: Value| faults(&schema, &shared, &value);
    assert_eq!(wrong(json!({ "a": 1, "b": ["x"], "c": true })), Vec::<String>::new());
    assert_eq!(wrong(json!({ "a": null, "b": [], "d": [1, 2] })), Vec::<String>::new());
    for (value, fault) in [
        (json!([]), "$ must be object: []"),
        (json!({ "b": [] }), "$.a is missing"),
        (json!({ "a": 1.5, "b": [] }), "$.a must be integer or null: 1.5"),
        (json!({ "a": "1", "b": [] }), "$.a must be integer or null: \"1\""),
        (json!({ "a": 1, "b": ["x", "z"] }), "$.b[1] must be one of [\"x\",\"y\"]: \"z\""),
        (json!({ "a": 1, "b": [], "c": 1 }), "$.c must be true: 1"),
        (json!({ "a": 1, "b": [], "d": [1, 3] }), "$.d[1] must be one of [1,2]: 3"),
        (json!({ "a": 1, "b": [], "e": 1 }), "$.e is not described: 1"),
        (
            json!({ "b": [], "a": 1 }),
            "$ has its keys in the order [\"b\", \"a\"], not [\"a\", \"b\"]",
        ),
    ] {
        assert_eq!(wrong(value.clone()), [fault], "{value}");
    }
}

#[test]
#[should_panic(expected = "no schema has the $id large")]
fn a_schema_that_refers_to_nothing_is_refused() {
    faults(&json!({ "$ref": "large" }), &Shared::new(), &json!("y"));
}

#[test]
#[should_panic(expected = "the keyword pattern is not known here")]
fn a_schema_with_a_keyword_that_nobody_checks_is_refused() {
    faults(&json!({ "type": "string", "pattern": "x" }), &Shared::new(), &json!("y"));
}

#[test]
#[should_panic(expected = "additionalProperties belongs to an object")]
fn an_object_that_is_open_to_more_is_refused() {
    faults(
        &json!({ "type": "object", "required": [], "properties": {} }),
        &Shared::new(),
        &json!({}),
    );
}
