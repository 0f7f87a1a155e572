//! Which row of the sheet a peer is, by whatever an account calls it. (lab)

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use piecemeal::s01_bencode::printable;

use super::Row;
use super::accounts::{Peer, Teller};

/// The rows so far, and how to find one.
#[derive(Default)]
pub struct Rows {
    pub rows: Vec<Row>,
    places: HashMap<Key, usize>,
}

/// What shows that two accounts mean the same peer.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    /// All runs in one file are one laptop's, whose peer id is another in each.
    File(PathBuf),
    PeerId(String),
    Seeder(String),
    /// A program without an account that a lab has seen, and its IP address.
    Program(String, String),
}

impl Rows {
    /// Returns the row of a program with an account, and remembers how others may call it.
    pub fn teller(&mut self, file: &Path, name: &str, teller: &Teller) -> usize {
        let shown = Some(file.to_string_lossy().into_owned());
        match teller {
            Teller::Client { peer_id } => {
                let row = Row { name: printable(name), file: shown };
                let row = self.place(Key::File(file.to_owned()), row);
                self.places.insert(Key::PeerId(peer_id.clone()), row);
                row
            }
            Teller::Seeder { address } => {
                let row = Row { name: printable(address), file: shown };
                self.place(Key::Seeder(address.clone()), row)
            }
        }
    }

    /// Returns the row of a peer that an account names. A new one, if it has none yet.
    pub fn other(&mut self, peer: &Peer) -> usize {
        let keys = [Key::PeerId(peer.peer_id.clone()), Key::Seeder(peer.address.clone())];
        if let Some(row) = keys.iter().find_map(|key| self.places.get(key)) {
            return *row;
        }
        let [by_id, _] = keys;
        let (key, name) = match &peer.program {
            None => (by_id, peer.address.clone()),
            // Each command that a learner runs beside the lab has a peer id of its own.
            Some(program) => {
                let ip = peer.address.rsplit_once(':').map_or(peer.address.as_str(), |(ip, _)| ip);
                (Key::Program(program.clone(), ip.to_owned()), format!("{program} at {ip}"))
            }
        };
        self.place(key, Row { name: printable(&name), file: None })
    }

    fn place(&mut self, key: Key, row: Row) -> usize {
        let rows = &mut self.rows;
        *self.places.entry(key).or_insert_with(|| {
            rows.push(row);
            rows.len() - 1
        })
    }
}
