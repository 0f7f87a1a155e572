//! The lab's DHT: a bare info hash leads to its seeders.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde_json::{Value, json};

use piecemeal::lab::seeder::Plan;
use piecemeal::lab::{Lab, chapters};

use crate::lab::client::soon;
use crate::lab::running::Running;
use crate::support::{Run, folder};

/// A lab with the chapters' content, three seeders and this many nodes.
fn lab(nodes: usize) -> (Lab, String) {
    let contents = chapters().expect("they are torrents");
    let mut lab = Lab::start(contents, &vec![Plan::default(); 3], 0).expect("a lab");
    lab.start_dht(nodes, 0).expect("there are loopback addresses");
    let way_in = lab.dht.as_ref().expect("it was started").way_in().to_string();
    (lab, way_in)
}

/// Whom the DHT names for a content of the lab.
fn found(lab: &Lab, way_in: &str, content: usize) -> BTreeSet<String> {
    let info_hash = lab.contents[content].info_hash().to_string();
    let outcome = Run::new(["dht_peers", "--dht-bootstrap", way_in, &info_hash]).run();
    outcome.out().lines().map(str::to_owned).collect()
}

fn seeders(lab: &Lab) -> BTreeSet<String> {
    lab.addresses().iter().map(SocketAddr::to_string).collect()
}

#[test]
fn a_bare_info_hash_leads_to_the_seeders() {
    let (lab, way_in) = lab(12);
    assert_eq!(found(&lab, &way_in, 0), seeders(&lab), "at once for the first content");
    for content in 1..3 {
        soon("the others are announced", || found(&lab, &way_in, content) == seeders(&lab));
    }
    let folder = folder();
    let out = folder.path().join("sample.txt");
    let magnet = format!("magnet:?xt=urn:btih:{}", lab.contents[0].info_hash());
    let command = ["magnet_download", "--bind", "127.0.0.1", "--dht-bootstrap", &way_in, &magnet];
    Run::new(command).arg("-o").arg(&out).run().succeeds();
    assert!(std::fs::read(&out).expect("the file") == *lab.contents[0].data, "the same bytes");
}

#[test]
fn what_no_seeder_has_is_not_in_the_dht() {
    let (lab, way_in) = lab(12);
    let alone = lab.contents[3].info_hash().to_string();
    let outcome = Run::new(["dht_peers", "--dht-bootstrap", &way_in, &alone]).run();
    assert_eq!(outcome.code, Some(5), "{outcome}");
}

#[test]
fn every_node_of_a_hundred_is_a_way_in() {
    let (lab, _) = lab(100);
    let nodes = lab.dht.as_ref().expect("it was started").addresses();
    assert_eq!(nodes.len(), 100);
    for node in nodes.iter().step_by(9) {
        assert_eq!(found(&lab, &node.to_string(), 0), seeders(&lab), "from {node}");
    }
}

/// So that a lookup in the lab can be told in a chapter.
#[test]
fn a_node_has_the_same_id_on_every_machine() {
    let (_lab, way_in) = lab(4);
    let outcome = Run::new(["dht_ping", &way_in]).run();
    outcome.succeeds();
    // The SHA-1 of "lab node 0".
    assert_eq!(outcome.out(), "Node ID: 0d2b4ee537029fafb8549d332248bdaa47afc536\n");
}

#[test]
fn there_are_as_many_nodes_as_asked_for_but_one_for_each_seeder() {
    for (asked, nodes) in [(1, 4), (4, 4), (20, 20)] {
        // The UDP port of a seeder's number may be somebody else's, and its node then takes another
        // one. That does not happen three times in a row.
        let mut seen = Vec::new();
        let are_nodes = (0..3).any(|_| {
            let (lab, _) = lab(asked);
            let dht = lab.dht.as_ref().expect("it was started");
            assert_eq!(dht.addresses().len(), nodes, "of {asked}");
            seen.push((dht.addresses()[1..4].to_vec(), lab.addresses()));
            seen.last().is_some_and(|(nodes, seeders)| nodes == seeders)
        });
        assert!(are_nodes, "the seeders are nodes; (nodes, seeders): {seen:?}");
    }
}

#[cfg(unix)]
#[test]
fn the_command_says_where_its_dht_begins_and_who_asks() {
    let folder = folder();
    let mut lab = Running::start(folder.path(), &["lab", "-v", "--json"]);
    let started = lab.object();
    assert_eq!(started["dht_nodes"], 12, "{started}");
    let way_in = started["dht"].as_str().expect("an address");
    let commands = started["commands"].as_array().expect("a list");
    let of_dht = |command: &&Value| [21, 22].contains(&command["chapter"].as_u64().unwrap_or(0));
    assert_eq!(commands.iter().filter(of_dht).count(), 3, "{started}");
    Run::new(["dht_ping", way_in]).run().succeeds();
    // Others on this machine may ask it as well: a lab takes the usual port.
    let who = format!("{way_in}, DHT");
    let is_ours = |note: &Value| note["question"] == "ping" && note["who"] == who;
    while !is_ours(&lab.object()) {}
    lab.end();
}

#[cfg(unix)]
#[test]
fn a_lab_need_not_have_a_dht() {
    let folder = folder();
    let mut lab = Running::start(folder.path(), &["lab", "--json", "--dht-nodes", "0"]);
    let started = lab.object();
    assert_eq!([&started["dht"], &started["dht_nodes"]], [&Value::Null, &json!(0)], "{started}");
    lab.end();
    let too_many = Run::new(["lab", "--dht-nodes", "1001"]).run();
    assert_eq!(too_many.code, Some(2), "{too_many}");
}

#[test]
fn the_third_act_of_the_demo_has_nothing_but_an_info_hash() {
    let outcome = Run::new(["demo"]).run();
    outcome.succeeds();
    let out = outcome.out();
    let (_, third) = out.split_once("\n3. ").expect("a third act");
    let link = third.lines().find_map(|line| line.trim().strip_prefix("magnet:?"));
    assert_eq!(link, Some("xt=urn:btih:e7ef2eadb0aeaaddbd6e53fc9c3c760d3ec621a4"), "{outcome}");
    assert!(third.contains("DHT ") && !third.contains("tracker "), "{outcome}");
    assert!(third.contains("On disk, 32 of 32 pieces are right."), "{outcome}");
}
