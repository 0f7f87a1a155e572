//! `lab --trace` and `tracker --trace`: the bytes of a client that is still being written, and
//! its mistakes.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

use piecemeal::lab::sample;
use serde_json::Value;

use super::client::{Client, PLAIN, soon};
use super::running::Running;
use crate::support::{Run, folder, wire};

const LIMIT: Duration = Duration::from_secs(60);

/// A connect packet of BEP 15: magic, action 0, transaction id.
const CONNECT: [u8; 16] = [0, 0, 4, 0x17, 0x27, 0x10, 0x19, 0x80, 0, 0, 0, 0, 1, 2, 3, 4];

/// Starts a command that writes `its.trace` and `its.capture`.
fn traced(folder: &Path, words: &[&str]) -> (Running, Value) {
    let running = Running::start(
        folder,
        &[words, &["--json", "--trace=its.trace", "--capture", "its.capture"]].concat(),
    );
    let started = running.object();
    assert_eq!(started["event"], "started", "{started}");
    (running, started)
}

/// The events with an object so far.
fn objects(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("its.trace")).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    let events = whole.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    events.filter(|event| event.get("object").is_some()).collect()
}

/// Waits until this many objects have passed, and returns the direction and the name of each.
fn passed(folder: &Path, count: usize) -> Vec<String> {
    soon("the trace has it all", || objects(folder).len() >= count);
    let name = |event: &Value| {
        format!("{} {}", event["direction"], event["object"]["name"]).replace('"', "")
    };
    objects(folder).iter().map(name).collect()
}

fn asks(tracker: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect_timeout(&tracker, LIMIT).expect("it listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a socket has timeouts");
    stream.write_all(request.as_bytes()).expect("it takes a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

fn address(url: &Value) -> SocketAddr {
    let url = url.as_str().expect("a URL");
    url.split('/').nth(2).and_then(|host| host.parse().ok()).unwrap_or_else(|| panic!("{url}"))
}

#[test]
fn the_lab_shows_what_a_client_sent_it_and_where_it_breaks() {
    let folder = folder();
    let (mut lab, started) = traced(folder.path(), &["lab"]);
    let seeder: SocketAddr =
        started["peers"][0].as_str().and_then(|at| at.parse().ok()).expect("an address");
    let info_hash = sample().expect("a torrent").info_hash().0;
    let mut client = Client::dial(seeder);
    client.stream.set_read_timeout(Some(LIMIT)).expect("a socket has timeouts");
    client
        .stream
        .write_all(&wire::handshake(PLAIN, info_hash, *b"-XX0001-abcdefghijkl"))
        .expect("it reads");
    client.stream.read_exact(&mut [0; 68 + 6]).expect("a handshake and a bitfield");
    // One byte too few, a common mistake in a length that should count the id.
    client.stream.write_all(&[0, 0, 0, 12, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64]).expect("it reads");
    let names = passed(folder.path(), 4);
    assert_eq!(names, ["in handshake", "out handshake", "out bitfield", "in request"]);
    let events = objects(folder.path());
    assert_eq!(events[3]["object"]["broken"]["expected"], "4 bytes of length", "{}", events[3]);
    assert_eq!(events[3]["thread"], "seeder 1 peer");
    assert_eq!(events[2]["changes"][0], "we offer 0 -> 3 of 3 pieces", "it knows its torrents");
    drop(client);
    lab.end();

    let explained = Run::new(["explain", "its.capture"]).dir(folder.path()).run();
    assert_eq!(explained.code, Some(3), "{explained}");
    assert!(explained.out().contains("-XX0001-"), "{explained}");
    assert!(
        explained.err().contains("the request: byte 16: expected 4 bytes of length"),
        "{explained}"
    );
}

#[test]
fn the_tracker_shows_requests_over_http_and_udp() {
    let folder = folder();
    let (mut tracker, started) = traced(folder.path(), &["tracker", "--listen", "127.0.0.1:0"]);
    let address = address(&started["local_url"]);
    let refused = asks(
        address,
        "GET /announce?info_hash=cda492889448d540ee036365137eedd24308d22c&port=1 HTTP/1.1\r\n\r\n",
    );
    assert!(refused.contains("not hex"), "{refused}");
    assert!(asks(address, "HELLO\r\n\r\n").starts_with("HTTP/1.1 400"));
    let names = passed(folder.path(), 4);
    assert_eq!(
        names,
        ["in announce", "out tracker answer", "in HTTP request", "out tracker answer"]
    );
    let events = objects(folder.path());
    assert_eq!(
        events[0]["object"]["broken"]["expected"], "info_hash to be 20 bytes",
        "{}",
        events[0]
    );
    assert!(
        events[0]["asker"].as_str().is_some_and(|asker| asker.starts_with("http://127.0.0.1:")),
        "{}",
        events[0]
    );
    assert_eq!(events[2]["object"]["broken"]["found"], "\"HELLO\"", "{}", events[2]);
    assert_eq!(events[3]["changes"][0], "HTTP status 400");

    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    socket.set_read_timeout(Some(LIMIT)).expect("a socket has timeouts");
    socket.send_to(&CONNECT, address).expect("it leaves");
    assert_eq!(socket.recv(&mut [0; 100]).expect("it answers"), 16);
    assert_eq!(passed(folder.path(), 6)[4..], ["in UDP connect", "out UDP connect answer"]);
    tracker.end();

    let explained = Run::new(["explain", "--json", "its.capture"]).dir(folder.path()).run();
    let json: Value = serde_json::from_str(&explained.out()).expect("JSON");
    let names: Vec<&Value> = json["events"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| &event["object"]["name"])
        .collect();
    let expected = [
        "announce",
        "tracker answer",
        "HTTP request",
        "tracker answer",
        "UDP connect",
        "UDP connect answer",
    ];
    assert_eq!(names, expected, "{explained}");
}
