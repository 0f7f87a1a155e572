//! `dht_ping` and `dht_peers`, and what keeps them from asking anybody who is not named.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use piecemeal::actors::dht::krpc::at_distance;
use piecemeal::actors::dht::{Answer, FakeDht, FakeNode, NodePlan};
use serde_json::{Value, json};

use super::sockets::{HASH, peer, plan};
use crate::support::{LIMIT, Run, folder};

fn hash() -> String {
    hex::encode(HASH)
}

/// A node that knows the nearest, which know the peers.
fn dht() -> FakeDht {
    let mut plans = vec![plan(160).knowing(1..6)];
    plans.extend((0..5).map(|number| plan(150 - number).knowing(1..6)));
    plans[5] = plans[5].clone().having(HASH, &[peer(1), peer(2)]);
    FakeDht::start(plans).expect("loopback has free ports")
}

fn dht_peers(from: SocketAddr, words: &[&str]) -> Run {
    Run::new(["dht_peers", "--dht-bootstrap", &from.to_string()].iter().chain(words))
}

#[test]
fn a_ping_prints_the_id() {
    let node = FakeNode::start(plan(160)).expect("loopback has a free port");
    let address = node.address().to_string();
    Run::new(["dht_ping", &address])
        .run()
        .prints(&format!("Node ID: {}\n", hex::encode(node.id())));
    let outcome = Run::new(["dht-ping", "--json", &address]).run();
    let mut json: Value = serde_json::from_str(&outcome.out()).expect("one object");
    assert!(json["milliseconds"].as_u64().is_some_and(|time| time < 3_000), "{outcome}");
    json["milliseconds"] = json!(0);
    assert_eq!(
        json,
        json!({ "node_id": hex::encode(node.id()), "address": address, "version": null, "seen_as": null, "milliseconds": 0 })
    );
}

#[test]
fn a_ping_says_what_the_node_says_of_itself_and_of_us() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has a free port");
    socket.set_read_timeout(Some(LIMIT)).expect("a timeout can be set");
    let address = socket.local_addr().expect("it is bound").to_string();
    let run = Run::new(["dht_ping", "--json", &address]).start();
    let mut buffer = [0; 1_500];
    let (length, from) = socket.recv_from(&mut buffer).expect("a ping comes");
    let at = buffer[..length].windows(5).position(|it| it == b"1:t2:").expect("a transaction") + 5;
    // As libtorrent 2.0.17 answers.
    let answer = [
        &b"d2:ip6:\x7f\x09\x09\x01\x1f\x901:rd2:id20:mnopqrstuvwxyz1234561:pi8080ee1:t2:"[..],
        &buffer[at..at + 2],
        b"1:v4:LT\x02\x111:y1:re",
    ]
    .concat();
    socket.send_to(&answer, from).expect("it is sent");
    let outcome = run.finish();
    let json: Value = serde_json::from_str(&outcome.succeeds().out()).expect("one object");
    assert_eq!(json["version"], "LT 2.17", "{outcome}");
    assert_eq!(json["seen_as"], "127.9.9.1", "{outcome}");
}

#[test]
fn a_ping_without_an_answer_ends_with_5() {
    let node = FakeNode::start(plan(160).silent()).expect("loopback has a free port");
    let address = node.address().to_string();
    let outcome = Run::new(["dht_ping", "--timeout", "1.4", &address]).run();
    outcome.fails(&[5]).mentions(&format!("{address}: no answer"));
    assert!(outcome.elapsed < Duration::from_secs(3), "{outcome}");
}

#[test]
fn the_peers_are_printed_a_line_each() {
    let dht = dht();
    let expected = "127.7.7.1:6881\n127.7.7.2:6881\n";
    dht_peers(dht.address(0), &[&hash()]).run().prints(expected);
    dht_peers(dht.address(0), &[&hash().to_uppercase()]).run().prints(expected);
    let link = format!("magnet:?xt=urn:btih:{}", hash());
    dht_peers(dht.address(0), &[&link]).run().prints(expected);
    // It only asks.
    let methods = dht.queries().into_iter().map(|(_, asked)| asked.query.method);
    assert!(methods.into_iter().all(|it| it == "get_peers" || it == "find_node"));
}

#[test]
fn json_is_one_object_with_the_nearest() {
    let dht = dht();
    let outcome = dht_peers(dht.address(0), &["--json", &hash()]).run();
    let json: Value = serde_json::from_str(&outcome.succeeds().out()).expect("one object");
    let closest: Vec<Value> = (0..5).rev().map(|number| &dht.nodes[number + 1]).map(|node| {
        json!({ "node_id": hex::encode(node.id()), "address": node.address().to_string() })
    }).collect();
    let mut found = json.clone();
    let distances: Vec<Value> = found["closest"]
        .as_array_mut()
        .expect("a list")
        .iter_mut()
        .map(|it| it.as_object_mut().expect("an object").remove("distance").expect("a distance"))
        .collect();
    assert_eq!(distances, [146, 147, 148, 149, 150, 160]);
    assert_eq!(found["closest"].as_array().expect("a list")[..5], closest);
    assert_eq!(json["peers"], json!(["127.7.7.1:6881", "127.7.7.2:6881"]));
    assert_eq!([&json["asked"], &json["answered"], &json["silent"]], [6, 6, 0]);
}

#[test]
fn a_peer_is_printed_when_it_is_named_and_not_at_the_end() {
    // The first knows a peer; the second makes the lookup wait.
    let first = plan(160).knowing([1]).having(HASH, &[peer(1)]);
    let dht = FakeDht::start([first, plan(150).silent()]).expect("loopback has free ports");
    let folder = folder();
    let path = folder.path().join("out");
    let out = std::fs::File::create(&path).expect("the folder takes a file");
    let run = dht_peers(dht.address(0), &["--timeout", "30", &hash()]).stdout(out);
    let mut run = run.start();
    let begun = std::time::Instant::now();
    while std::fs::read_to_string(&path).expect("it is text") != "127.7.7.1:6881\n" {
        assert!(begun.elapsed() < LIMIT && !run.is_over(), "nothing is printed before the end");
        std::thread::sleep(Duration::from_millis(5));
    }
    run.finish().succeeds();
}

#[test]
fn each_step_is_told() {
    let late = plan(149).silent();
    let dht = FakeDht::start([
        plan(160).knowing([1, 2, 3]),
        plan(150).having(HASH, &[peer(1)]),
        late,
        plan(148).saying([Answer::NewId]),
    ])
    .expect("loopback has free ports");
    let [first, knows, silent, liar] = [0, 1, 2, 3].map(|number| dht.address(number).to_string());
    let outcome = dht_peers(dht.address(0), &["-v", &hash()]).run();
    outcome.succeeds();
    for said in [
        format!("asking {first}, where the lookup begins (chapter 21)"),
        format!(
            "{first} answers and names 3 nodes, 3 of them new; the nearest is now 160 bits away"
        ),
        format!("asking {liar}, 148 bits away, which {first} has named"),
        format!("{liar} says that its id is "),
        format!(
            "{knows} answers and names 0 nodes, 0 of them new; the nearest is now 150 bits away"
        ),
        format!("{knows} knows 1 peer of the torrent"),
        format!("{silent} is silent for a second"),
        format!("asking {knows} again, for nodes about as far away as the eighth"),
        "asked 4 nodes: 2 answered, 1 silent, 1 lied; the 2 nearest keep this torrent's page"
            .to_owned(),
    ] {
        assert!(outcome.err().contains(&said), "no {said:?} in {outcome}");
    }
}

#[test]
fn the_lookup_is_drawn() {
    let dht = FakeDht::start([
        plan(160).knowing([1, 2, 3]),
        plan(150).having(HASH, &[peer(1)]),
        plan(149).silent(),
        plan(148).saying([Answer::NewId]),
    ])
    .expect("loopback has free ports");
    let folder = folder();
    dht_peers(dht.address(0), &["--map", "lookup.svg", &hash()])
        .dir(folder.path())
        .run()
        .prints("127.7.7.1:6881\n");
    let svg = std::fs::read_to_string(folder.path().join("lookup.svg")).expect("it is drawn");
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
    for (number, mark) in
        [(0, "answered nearest"), (1, "answered nearest"), (2, "silent"), (3, "lied")]
    {
        let hint = format!("class=\"{mark}\"><title>{}, ", dht.address(number));
        assert!(svg.contains(&hint), "no {hint} in {svg}");
    }
    assert_eq!(svg.matches("marker-end").count(), 3, "three were named");
    assert!(
        svg.contains("4 nodes asked: 2 answered, 0 of them late; 1 silent, 0 refused, 1 lied.")
    );
    assert!(svg.contains("@media (prefers-color-scheme: dark)"));
    // A lookup that finds nobody is drawn as well.
    let other = hex::encode([7; 20]);
    dht_peers(dht.address(0), &["--map", "none.svg", &other]).dir(folder.path()).run().fails(&[5]);
    assert!(folder.path().join("none.svg").exists());
    dht_peers(dht.address(0), &["--map", "no/where.svg", &hash()])
        .dir(folder.path())
        .run()
        .explains_itself();
    let outcome = dht_peers(dht.address(0), &["--map", &hash(), &hash()]).run();
    assert_eq!(outcome.code, Some(2), "{outcome}");
}

#[test]
fn no_peers_ends_with_5_and_says_how_many_were_asked() {
    let dht = dht();
    let outcome = dht_peers(dht.address(0), &[&hex::encode([7; 20])]).run();
    outcome.fails(&[5]).mentions("no peers: 6 DHT nodes asked, 6 answered, and none knows a peer");
    // A program gets the numbers as such.
    let outcome = dht_peers(dht.address(0), &["--json", &hex::encode([7; 20])]).run();
    outcome.explains_itself();
    let json: Value = serde_json::from_str(&outcome.out()).expect("one object");
    assert_eq!([&json["asked"], &json["answered"], &json["silent"]], [6, 6, 0], "{outcome}");
    assert_eq!(json["closest"].as_array().map(Vec::len), Some(6), "{outcome}");
    assert_eq!((&json["peers"], &json["exit_code"]), (&json!([]), &json!(5)), "{outcome}");
}

#[test]
fn peers_that_the_node_may_not_name_are_left_out() {
    let named = [peer(1), SocketAddr::from(([127, 0, 0, 1], 22))];
    let node = FakeNode::start(plan(160).having(HASH, &named)).expect("loopback has a free port");
    let outcome = dht_peers(node.address(), &["-v", &hash()]).run();
    outcome.prints("127.7.7.1:6881\n").mentions("1 peer not dialed, for one 127.0.0.1:22");
}

#[test]
fn of_several_ways_in_one_that_leads_somewhere_is_enough() {
    let dht = dht();
    let silent = FakeNode::start(plan(155).silent()).expect("loopback has a free port");
    let words = [
        "--dht-bootstrap",
        &silent.address().to_string(),
        "--dht-bootstrap",
        "no..name:6881",
        &hash(),
    ];
    dht_peers(dht.address(0), &words).run().prints("127.7.7.1:6881\n127.7.7.2:6881\n");
}

#[test]
fn both_families_are_asked_if_there_is_a_way_into_both() {
    let here = std::net::Ipv6Addr::LOCALHOST.into();
    let six = NodePlan { address: here, ..NodePlan::new(at_distance(&HASH, 151, &[1; 20])) };
    let Ok(six) = FakeNode::start(six.having(HASH, &[peer(1), peer(9)])) else {
        return println!("SKIPPED: this machine has no IPv6");
    };
    let dht = dht();
    let words = ["--dht-bootstrap", &six.address().to_string(), &hash()];
    let outcome = dht_peers(dht.address(0), &words).run();
    let mut lines: Vec<String> = outcome.succeeds().out().lines().map(str::to_owned).collect();
    lines.sort();
    // One of them is known in both networks, and is printed once.
    assert_eq!(lines, ["127.7.7.1:6881", "127.7.7.2:6881", "127.7.7.9:6881"], "{outcome}");
}

#[test]
fn offline_nobody_is_asked_who_is_not_named() {
    let run = Run::new(["dht_peers", &hash()]).env("PIECEMEAL_OFFLINE", "1").run();
    run.fails(&[5]).mentions("PIECEMEAL_OFFLINE is set, and no DHT node is named");
    assert!(run.elapsed < Duration::from_secs(2), "{run}");
    let link = format!("magnet:?xt=urn:btih:{}", hash());
    let run = Run::new(["lsd_peers", &link]).env("PIECEMEAL_OFFLINE", "1").run();
    run.fails(&[7]).mentions("PIECEMEAL_OFFLINE is set, and no network is named");
    // Cargo says so to all that it runs.
    assert_eq!(std::env::var("PIECEMEAL_OFFLINE").as_deref(), Ok("1"), "see .cargo/config.toml");
}
