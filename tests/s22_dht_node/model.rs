//! Random operations on a table, and on a list that follows the same rules in the simplest way.
//!
//! The list knows no buckets: it counts. What must always hold is checked after each step.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use piecemeal::s03_tracker::reach::Reach;
use piecemeal::s21_dht_lookup::krpc::Contact;
use piecemeal::s21_dht_lookup::node_id::NodeId;
use piecemeal::s22_dht_node::table::Table;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// A node in the list.
#[derive(Debug, Clone, Copy)]
struct Known {
    contact: Contact,
    answered: Instant,
    silences: u32,
}

/// The list. Only nodes that have a place are in it.
struct Model {
    own: NodeId,
    known: Vec<Known>,
    /// When each node last answered, also those that wait.
    heard: BTreeMap<Contact, Instant>,
    /// How many groups there are: ids that share 0, 1, ... leading bits with ours, and the rest.
    groups: usize,
}

impl Model {
    fn group(&self, id: NodeId) -> usize {
        let shared = self.own.0.iter().zip(id.0).map(|(ours, theirs)| ours ^ theirs);
        let mut bits = 0;
        for byte in shared {
            bits += byte.leading_zeros() as usize;
            if byte != 0 {
                break;
            }
        }
        bits.min(self.groups - 1)
    }

    fn in_group(&self, group: usize) -> usize {
        self.known.iter().filter(|known| self.group(known.contact.id) == group).count()
    }

    /// A node has answered. Whoever waits for a place is not in the list: see the test.
    fn answered(&mut self, contact: Contact, now: Instant) {
        self.heard.insert(contact, now);
        if let Some(at) = self.known.iter().position(|it| it.contact.address == contact.address) {
            if self.known[at].contact.id == contact.id {
                (self.known[at].answered, self.known[at].silences) = (now, 0);
            } else {
                self.known.remove(at);
            }
            return;
        }
        let alike = |it: &Known| {
            it.contact.id == contact.id || it.contact.address.ip() == contact.address.ip()
        };
        self.known.retain(|it| !(alike(it) && it.silences >= 3));
        if self.known.iter().any(alike) || contact.id == self.own {
            return;
        }
        loop {
            let group = self.group(contact.id);
            if self.in_group(group) >= 8 {
                let bad = self
                    .known
                    .iter()
                    .position(|it| self.group(it.contact.id) == group && it.silences >= 3);
                bad.map(|at| self.known.remove(at));
            }
            if self.in_group(group) < 8 {
                self.known.push(Known { contact, answered: now, silences: 0 });
                return;
            }
            if group + 1 < self.groups || self.groups == 160 {
                return;
            }
            self.groups += 1;
        }
    }
}

/// Ids and addresses come from small sets, so that they meet again and again.
fn contact(dice: &mut SmallRng, own: NodeId) -> Contact {
    let mut id = own.0;
    // Each bit is a little more likely to be the other one the farther right it is.
    let shared = dice.random_range(0..12);
    let flip = 0x80_u8 >> (shared % 8);
    id[shared / 8] ^= flip;
    id[19] = dice.random_range(0..16);
    let last = dice.random_range(0..200_u8);
    let address = SocketAddr::from(([198, 18, 0, last], 6881 + u16::from(dice.random_bool(0.05))));
    Contact { id: NodeId(id), address }
}

#[test]
fn a_table_does_what_a_list_with_the_same_rules_does() {
    for seed in 0..20 {
        let mut dice = SmallRng::seed_from_u64(seed);
        let own = NodeId([0x5a; 20]);
        let mut now = Instant::now();
        let mut table = Table::new(own, now);
        let mut model = Model { own, known: Vec::new(), heard: BTreeMap::new(), groups: 1 };
        for step in 0..500 {
            now += Duration::from_secs(dice.random_range(0..60));
            let what = format!("seed {seed}, step {step}");
            match dice.random_range(0..10) {
                0..=6 => {
                    let contact = contact(&mut dice, own);
                    table.answered(contact, now);
                    model.answered(contact, now);
                }
                7 => {
                    let contact = contact(&mut dice, own);
                    table.asked(contact, now);
                }
                _ if model.known.is_empty() => {}
                _ => {
                    let at = dice.random_range(0..model.known.len());
                    let address = model.known[at].contact.address;
                    table.silent(address, now);
                    model.known[at].silences += 1;
                }
            }
            follow(&mut model, &table, &what);
            check(&model, &table, now, own, &what);
        }
    }
}

/// If a node has just become bad, one that waited may have its place. Which one is the table's
/// choice, so the list takes it over, but only one, and only there.
fn follow(model: &mut Model, table: &Table, what: &str) {
    let held: Vec<Contact> = table.contacts();
    let new: Vec<_> = held
        .iter()
        .filter(|it| !model.known.iter().any(|known| known.contact == **it))
        .copied()
        .collect();
    assert!(new.len() <= 1, "{what}: {new:?} have come at once");
    for contact in new {
        let gone = model.known.iter().position(|it| !held.contains(&it.contact));
        let gone = gone.unwrap_or_else(|| panic!("{what}: {contact:?} has come from nowhere"));
        assert_eq!(
            model.known[gone].silences, 3,
            "{what}: it took the place of a node that answers"
        );
        assert_eq!(model.group(contact.id), model.group(model.known[gone].contact.id), "{what}");
        model.known[gone] = Known { contact, answered: model.heard[&contact], silences: 0 };
    }
    // It may also be that nobody fit, as all that waited are alike to others.
    model.known.retain(|it| it.silences != 3 || held.contains(&it.contact));
}

fn check(model: &Model, table: &Table, now: Instant, own: NodeId, what: &str) {
    let mut held = table.contacts();
    let mut expected: Vec<Contact> = model.known.iter().map(|it| it.contact).collect();
    held.sort();
    expected.sort();
    assert_eq!(held, expected, "{what}: who has a place");
    let sizes = table.sizes();
    assert_eq!(sizes.len(), model.groups, "{what}: buckets");
    assert!(sizes.iter().all(|size| *size <= 8), "{what}: {sizes:?}");
    // Those named are the closest of those that answered the last question.
    for target in [own, NodeId([0; 20]), NodeId([0xff; 20])] {
        let mut fit: Vec<Contact> =
            model.known.iter().filter(|it| it.silences == 0).map(|it| it.contact).collect();
        fit.sort_by_cached_key(|it| {
            it.id.0.iter().zip(target.0).map(|(a, b)| a ^ b).collect::<Vec<_>>()
        });
        fit.truncate(8);
        assert_eq!(table.named(target, Reach::Internet), fit, "{what}: named near {target}");
    }
    let good = model.known.iter().filter(|it| {
        it.silences < 3 && now.duration_since(it.answered) < Duration::from_secs(15 * 60)
    });
    let found = table.good(now);
    for node in good {
        assert!(found.contains(&node.contact), "{what}: {node:?} is good");
    }
}
