//! The routing table: who gets a place, who keeps it, and who is named.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use piecemeal::s03_tracker::reach::Reach;
use piecemeal::s21_dht_lookup::krpc::Contact;
use piecemeal::s21_dht_lookup::node_id::NodeId;
use piecemeal::s22_dht_node::table::Table;

use crate::support::{assert_chosen, assert_number, assert_value};

const CLAUSE: &str = "BEP 5, routing table";

/// An id that begins with this byte.
fn id(first: u8, last: u8) -> NodeId {
    let mut id = [0; 20];
    (id[0], id[19]) = (first, last);
    NodeId(id)
}

fn node(first: u8, last: u8) -> Contact {
    // An address of its own for each: 198.18.0.0/15 is for tests, and is not near us.
    let address = SocketAddr::from(([198, 18, first, last], 6881));
    Contact { id: id(first, last), address }
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

/// The table of a node whose id is all zeros.
fn table(now: Instant) -> Table {
    Table::new(id(0, 0), now)
}

fn named(table: &Table) -> Vec<Contact> {
    table.named(id(0, 0), Reach::Internet)
}

#[test]
fn a_bucket_is_split_only_if_we_are_in_it() {
    let now = Instant::now();
    let mut table = table(now);
    // Nine with a first bit of 1: far away. The ninth finds no place.
    (1..=9).for_each(|last| table.answered(node(0x80, last), now));
    assert_value("the buckets after nine far nodes", table.sizes(), vec![8, 0], CLAUSE);
    // Twenty that are ever nearer: each half gets a bucket.
    for first in [0x40, 0x20, 0x10, 0x08] {
        (1..=5).for_each(|last| table.answered(node(first, last), now));
    }
    assert_value("the buckets after twenty near ones", table.sizes(), vec![8, 5, 5, 5, 5], CLAUSE);
}

#[test]
fn a_newcomer_does_not_displace_a_node_that_answers() {
    let begin = Instant::now();
    let mut table = table(begin);
    (1..=8).for_each(|last| table.answered(node(0x80, last), begin));
    table.answered(node(0x80, 9), begin);
    let has = |table: &Table, last| table.closest(id(0x80, last)).contains(&node(0x80, last));
    assert!(!has(&table, 9), "all eight are good");
    assert!(table.doubtful(begin).is_none(), "nobody is in doubt");
    // A quarter of an hour later they are questionable, and each is asked.
    let later = begin + minutes(15);
    let asked = table.doubtful(later).expect("one of the eight is asked");
    table.checks(asked.address, later);
    assert_ne!(table.doubtful(later), Some(asked), "the next one, since that one is asked already");
    // It answers, and keeps its place.
    table.answered(asked, later);
    assert!(table.closest(asked.id).contains(&asked) && !has(&table, 9));
    // Another is silent three times, and the newcomer gets its place.
    let gone = table.doubtful(later).expect("another is in doubt");
    for silences in 1..=3 {
        assert!(!has(&table, 9), "after {} silences", silences - 1);
        table.silent(gone.address, later);
    }
    assert!(has(&table, 9), "after three silences");
    assert!(!table.closest(gone.id).contains(&gone));
}

#[test]
fn a_node_is_good_for_a_quarter_of_an_hour_after_its_answer_or_its_question() {
    let begin = Instant::now();
    let mut table = table(begin);
    table.answered(node(0x80, 1), begin);
    table.answered(node(0x80, 2), begin);
    table.asked(node(0x80, 2), begin + minutes(10));
    let good = |minute| table.good(begin + minutes(minute));
    let (one, two) = (node(0x80, 1), node(0x80, 2));
    assert_value("good at once", good(0), vec![one, two], CLAUSE);
    assert_value("good after 14 minutes", good(14), vec![one, two], CLAUSE);
    assert_value("good after 15 minutes", good(15), vec![two], CLAUSE);
    assert_value("good after 25 minutes", good(25), vec![], CLAUSE);
}

#[test]
fn a_question_alone_gives_nobody_a_place() {
    let now = Instant::now();
    let mut table = table(now);
    assert!(table.asked(node(0x80, 1), now), "a newcomer is to be asked");
    assert_number("nodes after a question", table.len(), 0, CLAUSE, &[]);
    table.answered(node(0x80, 1), now);
    assert!(!table.asked(node(0x80, 1), now), "it is known now");
    (2..=8).for_each(|last| table.answered(node(0x80, last), now));
    assert!(table.asked(node(0x80, 9), now), "the bucket could be split");
    table.answered(node(0x80, 9), now);
    assert!(!table.asked(node(0x80, 10), now), "there is no place for it");
}

#[test]
fn bad_nodes_stay_until_somebody_takes_their_place_and_are_tried_when_all_are_bad() {
    let now = Instant::now();
    let mut table = table(now);
    let (one, two) = (node(0x80, 1), node(0x40, 2));
    table.answered(one, now);
    table.answered(two, now);
    (0..3).for_each(|_| table.silent(one.address, now));
    assert_value("where a lookup starts", table.closest(id(0, 0)), vec![two], CLAUSE);
    assert!(!table.is_cut_off());
    (0..3).for_each(|_| table.silent(two.address, now));
    assert!(table.is_cut_off(), "nobody answers");
    assert_value("where a lookup starts then", table.closest(id(0, 0)), vec![two, one], CLAUSE);
    table.answered(one, now);
    assert!(!table.is_cut_off());
}

#[test]
fn only_nodes_that_answered_our_last_question_are_named_to_others() {
    let now = Instant::now();
    let mut table = table(now);
    table.answered(node(0x80, 1), now);
    table.remember(node(0x80, 2), now);
    table.answered(node(0x80, 3), now);
    table.silent(node(0x80, 3).address, now);
    assert_value("named", named(&table), vec![node(0x80, 1)], CLAUSE);
    // A lookup of ours may start from any of them.
    assert_number("nodes to start from", table.closest(id(0, 0)).len(), 3, CLAUSE, &[]);
}

#[test]
fn the_eight_closest_are_named_the_closest_first() {
    let now = Instant::now();
    let mut table = table(now);
    for first in [0x80, 0x40, 0x20, 0x10] {
        (1..=8).for_each(|last| table.answered(node(first, last), now));
    }
    let near = table.named(id(0x20, 3), Reach::Internet);
    let expected: Vec<_> = [3, 2, 1, 7, 6, 5, 4, 8].map(|last| node(0x20, last)).into();
    assert_value("the nodes closest to 20..03", near, expected, CLAUSE);
}

#[test]
fn one_ip_has_one_place_unless_it_is_near_us() {
    let now = Instant::now();
    let at = |number: u16, ip: [u8; 4]| Contact {
        id: id(0x80 >> (number % 4), number as u8),
        address: SocketAddr::from((ip, 2000 + number)),
    };
    let mut table = table(now);
    (1..1000).for_each(|number| table.answered(at(number, [198, 18, 0, 1]), now));
    assert_number("places of one IP that sent a thousand answers", table.len(), 1, CLAUSE, &[]);
    table.admit(Reach::Machine);
    (11..=14).for_each(|number| table.answered(at(number, [127, 0, 0, 1]), now));
    assert_number("with four programs on this computer", table.len(), 5, CLAUSE, &[]);
    // All of a /64 are one computer.
    let six = |last: u16| Contact {
        id: id(0x03, last as u8),
        address: SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, last], 6881)),
    };
    (1..=4).for_each(|last| table.answered(six(last), now));
    assert_number("and four addresses of an IPv6 network", table.len(), 6, CLAUSE, &[]);
}

#[test]
fn a_node_that_changes_its_id_is_dropped() {
    let now = Instant::now();
    let mut table = table(now);
    let first = node(0x80, 1);
    let second = Contact { id: id(0x01, 1), address: first.address };
    table.answered(first, now);
    table.answered(second, now);
    assert_chosen(
        "the nodes after one has changed its id",
        named(&table),
        Vec::<Contact>::new(),
        "whoever changes its id wants to be near to something",
        CLAUSE,
    );
}

#[test]
fn an_id_belongs_to_whoever_had_it_first_while_it_answers() {
    let now = Instant::now();
    let mut table = table(now);
    let first = node(0x80, 1);
    let thief = Contact { id: first.id, address: "198.18.9.9:6881".parse().expect("an address") };
    table.answered(first, now);
    table.answered(thief, now);
    assert_value("who has the id", named(&table), vec![first], CLAUSE);
    (0..3).for_each(|_| table.silent(first.address, now));
    table.answered(thief, now);
    assert_value("who has it once the first is bad", named(&table), vec![thief], CLAUSE);
}

#[test]
fn addresses_near_us_and_those_of_nobody_have_no_place_in_the_table_of_a_node_on_the_internet() {
    let now = Instant::now();
    let mut table = table(now);
    let refused = [
        "127.0.0.1:6881",
        "10.0.0.1:6881",
        "192.168.1.1:6881",
        "169.254.0.1:6881",
        "[::1]:6881",
        "[fe80::1]:6881",
        "[fd00::1]:6881",
        "0.0.0.0:6881",
        "255.255.255.255:6881",
        "224.0.0.1:6881",
        "240.0.0.1:6881",
        "[ff02::1]:6881",
        "[::]:6881",
        "198.18.0.1:0",
        "198.18.0.1:53",
        "198.18.0.1:1023",
    ];
    for (number, address) in (1..).zip(refused) {
        let address = address.parse().expect("an address");
        table.answered(Contact { id: id(0x80, number), address }, now);
        assert_number(&format!("nodes after {address}"), table.len(), 0, CLAUSE, &[]);
    }
    // If there is a DHT near us, these are still nobody's.
    table.admit(Reach::Machine);
    for (number, address) in (1..).zip(refused) {
        let address: SocketAddr = address.parse().expect("an address");
        table.answered(Contact { id: id(0x80, number), address }, now);
    }
    assert_number("nodes near us", table.len(), 7, CLAUSE, &[]);
}

#[test]
fn somebody_far_away_is_not_told_who_is_near_us() {
    let now = Instant::now();
    let mut table = table(now);
    table.admit(Reach::Machine);
    let near =
        Contact { id: id(0x80, 1), address: "192.168.1.7:6881".parse().expect("an address") };
    table.answered(near, now);
    table.answered(node(0x80, 2), now);
    let all = vec![near, node(0x80, 2)];
    let told = |asker| table.named(id(0x80, 0), asker);
    assert_value("told to this network", told(Reach::Network), all, CLAUSE);
    assert_value("told to the internet", told(Reach::Internet), vec![node(0x80, 2)], CLAUSE);
}

#[test]
fn our_own_id_is_nobody_elses() {
    let now = Instant::now();
    let mut table = table(now);
    let ourselves = Contact { id: id(0, 0), ..node(0x80, 1) };
    assert!(!table.asked(ourselves, now));
    table.answered(ourselves, now);
    assert!(table.is_empty());
}

#[test]
fn a_bucket_that_has_not_changed_for_a_quarter_of_an_hour_is_refreshed() {
    let begin = Instant::now();
    let mut table = table(begin);
    (1..=8).for_each(|last| table.answered(node(0x80, last), begin));
    (1..=8).for_each(|last| table.answered(node(0x40, last), begin));
    (1..=8).for_each(|last| table.answered(node(0x20, last), begin));
    // Buckets 0, 1 and the rest. The middle one has changed since.
    table.answered(node(0x40, 1), begin + minutes(10));
    assert_eq!(table.refresh(begin + minutes(14), [0xff; 20]), None, "14 minutes");
    let now = begin + minutes(15);
    let mut looked = Vec::new();
    while let Some(target) = table.refresh(now, [0xa5; 20]) {
        let NodeId([first, rest @ ..]) = target;
        assert!(rest.iter().all(|byte| *byte == 0xa5), "the rest of it is random");
        looked.push(first);
    }
    // 1010 0101 with the first bits as each bucket has them: 1..., and 00..... of ours.
    looked.sort_unstable();
    assert_value("the first bytes of what is looked for", looked, vec![0x25, 0xa5], CLAUSE);
    assert_eq!(table.refresh(begin + minutes(24), [0; 20]), None, "all have had their turn");
    assert!(table.refresh(begin + minutes(25), [0; 20]).is_some(), "then the middle one");
}

#[test]
fn with_another_id_each_node_has_another_place_and_none_is_lost_that_has_one() {
    let now = Instant::now();
    let mut table = table(now);
    for first in [0x80, 0x40, 0x20] {
        (1..=8).for_each(|last| table.answered(node(first, last), now));
    }
    table.move_to(id(0xff, 1), now);
    // Seen from ff..., only 80... is near. The other sixteen share one bucket.
    assert_value("the buckets", table.sizes().iter().sum::<usize>(), 16, CLAUSE);
    assert_number(
        "nodes of the near half",
        table.named(id(0x80, 0), Reach::Internet).len(),
        8,
        CLAUSE,
        &[],
    );
}
