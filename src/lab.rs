//! The lab: a whole swarm inside the process, on loopback, for learning and for tests.
//!
//! It has a tracker, some seeders and content that is the same on every machine. All the
//! chapters' commands can be tried against it without a network, and so can a client
//! that is still being written: the lab says what is wrong with the messages it gets.
//!
//! * **Run it:** `piecemeal lab`, and for a class `piecemeal tracker`
//! * **Builds on:** the stages' own encoders and decoders, from the other side; the actors' plans,
//!   for what a seeder says, right or wrong
//!
//! # Who is there
//! ```text
//! 127.0.0.1:6969  tracker    knows the seeders from the start; over HTTP and over UDP
//! 127.0.0.2:6881  seeder 1   -LB0001-seeder000001   each on an address of its own,
//! 127.0.0.3:6881  seeder 2   ..                     where the system has more than one
//! 127.0.0.1:6881  DHT        over UDP: the way in to a dozen nodes ([`dht`])
//! ```
//! # Decisions
//! * **Every wait has a deadline, and dropping ends everything,** so that a test that
//!   fails leaves nothing behind.
//! * **Faults are made on purpose** ([`seeder::Fault`]), since a swarm in which
//!   everything works shows little of what a client must be able to handle.
//! * **A quirk is one thing.** A seeder with a [`seeder::quirk::Quirk`] has an actor's plan. In all
//!   else it is like the others, and still says what is wrong with a client. So a client that fails
//!   knows why.
//! * **Content is held in memory,** which bounds its size. Real seeders have files, and
//!   can share the tracker.
//! * **Left out:** leeching, choking by merit, the fast extension: a lab's seeders only
//!   upload.

pub mod announce;
pub mod checklist;
pub mod content;
pub mod demo_swarm;
pub mod dht;
pub mod guide;
pub(crate) mod hints;
pub mod http;
pub mod notes;
pub mod phone_book;
mod quota;
pub mod seeder;
mod service;
pub mod sockets;
pub mod tracker;
mod tracker_state;
mod udp_tracker;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use self::content::Content;
use self::dht::{Announced, LabDht, Layout};
use self::notes::Notes;
use self::seeder::{Holds, Plan, Seeder};
use self::tracker::LabTracker;
use self::tracker_state::lock;
use crate::s01_bencode::counted;
use crate::s02_metainfo::MetainfoError;
use crate::s19_pex::message::PexFlags;
use crate::s19_pex::{Gossip, Neighbor};

/// The tracker's port in the chapters, if it is free.
pub const TRACKER_PORT: u16 = 6969;

/// A tracker and seeders. Dropping it ends them all.
pub struct Lab {
    /// The tracker, which knows all the seeders.
    pub tracker: LabTracker,
    /// The seeders, each of which serves all the content.
    pub seeders: Vec<Seeder>,
    /// The contents to download.
    pub contents: Vec<Content>,
    /// Nodes of the DHT that know the seeders, once [`Lab::start_dht`] has started them.
    pub dht: Option<LabDht>,
    /// Notes of what the tracker, the seeders and the nodes see.
    pub notes: Notes,
}

impl Lab {
    /// Starts a seeder for each plan, and a tracker on this port of 127.0.0.1. If the port is
    /// taken or 0, the system chooses one.
    ///
    /// # Errors
    /// If the system has no address or thread left, or there are more plans than addresses.
    pub fn start(contents: Vec<Content>, plans: &[Plan], tracker_port: u16) -> io::Result<Lab> {
        let notes = Notes::default();
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let tracker = LabTracker::start(at(tracker_port), notes.clone())
            .or_else(|_| LabTracker::start(at(0), notes.clone()))?;
        Lab::around(tracker, contents, plans, notes)
    }

    /// Starts a lab in a room of its own: its tracker has this port of 127.room.0.1, and its
    /// seeders have the ports of their plans. So thirty labs on one machine differ in a single
    /// number.
    ///
    /// # Errors
    /// As [`Lab::start`], or if a port is taken, or the system has no such addresses.
    pub fn start_in_room(
        room: u8,
        contents: Vec<Content>,
        plans: &[Plan],
        tracker_port: u16,
    ) -> io::Result<Lab> {
        let notes = Notes::default();
        let at = SocketAddr::from((Ipv4Addr::new(127, room, 0, 1), tracker_port));
        let tracker =
            LabTracker::start(at, notes.clone()).map_err(|error| sockets::not_there(at, &error))?;
        let plans: Vec<Plan> = plans.iter().map(|plan| Plan { room, ..plan.clone() }).collect();
        Lab::around(tracker, contents, &plans, notes)
    }

    /// Starts the seeders of a tracker.
    fn around(
        tracker: LabTracker,
        contents: Vec<Content>,
        plans: &[Plan],
        notes: Notes,
    ) -> io::Result<Lab> {
        if plans.len() > MAX_SEEDERS {
            return Err(io::Error::other(format!("a lab has at most {MAX_SEEDERS} seeders")));
        }
        contents.iter().for_each(|content| tracker.knows(content));
        let seeded: Vec<Content> =
            contents.iter().filter(|content| content.seeded).cloned().collect();
        let mut seeders = Vec::new();
        let neighbors = Arc::new(Mutex::new(Vec::<Neighbor>::new()));
        for (number, plan) in (1..).zip(plans) {
            // Each names all others, as if it were connected to them, which costs no connection.
            let known = Arc::clone(&neighbors);
            let gossip = Gossip::new(move || {
                let others = lock(&known).clone().into_iter();
                others.filter(|other| other.peer_id != seeder::peer_id(number)).collect()
            });
            let seeder = Seeder::start(number, &seeded, plan, &gossip, notes.clone())?;
            let flags = PexFlags::REACHABLE.with(PexFlags::SEED, plan.holds == Holds::All);
            let (address, peer_id) = (seeder.address(), seeder.peer_id());
            lock(&neighbors).push(Neighbor { address, peer_id, flags });
            for name in seeded.iter().flat_map(Content::names) {
                tracker.add_peer(name, seeder.peer_id(), seeder.address());
            }
            seeders.push(seeder);
        }
        Ok(Lab { tracker, seeders, contents, dht: None, notes })
    }

    /// Starts nodes of the DHT, in which the seeders have announced all that they have. Each gets
    /// this port, if it is free; 0 lets the system choose.
    ///
    /// # Errors
    /// As [`LabDht::start`].
    pub fn start_dht(&mut self, nodes: usize, port: u16) -> io::Result<()> {
        let announced =
            |seeder: &Seeder| Announced { address: seeder.address(), is_seed: seeder.has_all() };
        let seeded = self.contents.iter().filter(|content| content.seeded);
        let room = match self.tracker.address().ip() {
            IpAddr::V4(ip) => ip.octets()[1],
            IpAddr::V6(_) => 0,
        };
        let layout = Layout {
            nodes,
            port,
            room,
            seeders: self.seeders.iter().map(announced).collect(),
            torrents: seeded.flat_map(Content::names).collect(),
        };
        self.dht = Some(LabDht::start(&layout, &self.notes)?);
        Ok(())
    }

    /// Returns the addresses of the seeders, in their order.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.seeders.iter().map(Seeder::address).collect()
    }

    /// Returns a magnet link that names the tracker.
    pub fn magnet(&self, content: &Content) -> String {
        content.magnet(&[self.tracker.url()], &[])
    }

    /// Returns a magnet link that names nobody: the DHT has to find the seeders.
    pub fn bare_magnet(&self, content: &Content) -> String {
        content.magnet(&[], &[])
    }

    /// Returns a magnet link that names the seeders, and no tracker.
    pub fn magnet_with_peers(&self, content: &Content) -> String {
        content.magnet(&[], &self.addresses())
    }

    /// Writes a .torrent file for each content into a folder.
    ///
    /// # Errors
    /// As [`Content::write_torrent`].
    pub fn write_torrents(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        self.contents
            .iter()
            .map(|content| content.write_torrent(folder, &[self.tracker.url()]))
            .collect()
    }

    /// Writes each content itself into a folder, to compare downloads with.
    ///
    /// # Errors
    /// As [`Content::write_original`].
    pub fn write_originals(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        self.contents.iter().map(|content| content.write_original(folder)).collect()
    }

    /// Returns the total that the seeders have given, a line for each of them, and the checklist.
    pub fn table(&self) -> String {
        let line = |seeder: &Seeder| {
            let (blocks, bytes) =
                (counted(seeder.blocks(), "block"), counted(seeder.bytes(), "byte"));
            let served = counted(seeder.served(), "peer");
            let end = if seeder.is_alive() { "" } else { ", and died" };
            format!("\n  {:<17} gave {blocks:>13}, {bytes:>16}, to {served}{end}", seeder.address())
        };
        let (blocks, bytes) = self.given();
        let lines: String = self.seeders.iter().map(line).collect();
        format!(
            "The lab has ended: its seeders gave {}, {}.{lines}{}",
            counted(blocks, "block"),
            counted(bytes, "byte"),
            self.notes.checklist().text()
        )
    }

    /// Returns the blocks that all seeders together have given, and the bytes in them.
    pub fn given(&self) -> (u64, u64) {
        let sum = |of: fn(&Seeder) -> u64| self.seeders.iter().map(of).sum();
        (sum(Seeder::blocks), sum(Seeder::bytes))
    }
}

/// Makes the chapters' contents, the first of them the one that most chapters use.
///
/// # Errors
/// None: they are torrents like any others.
pub fn chapters() -> Result<Vec<Content>, MetainfoError> {
    Ok(vec![sample()?, album()?, many()?, alone()?, hybrid()?, version_two()?])
}

/// The most seeders of a lab: each has an address 127.0.0.N of its own.
pub const MAX_SEEDERS: usize = 200;

/// Makes the chapters' single file: three pieces, the last one shorter.
///
/// # Errors
/// None: it is a torrent like any other.
pub fn sample() -> Result<Content, MetainfoError> {
    Content::single("sample.txt", 92_063, 32 << 10, 1)
}

/// Makes the chapters' folder, about 1 MiB: a file in a subfolder, an empty file, a name
/// that is not ASCII, and pieces that span files.
///
/// # Errors
/// None: it is a torrent like any other.
pub fn album() -> Result<Content, MetainfoError> {
    let files = [
        ("01 first light.txt", 350_000),
        ("02 low tide.txt", 262_144),
        ("03 夜の海.txt", 300_001),
        ("notes/empty.txt", 0),
        ("notes/thanks.txt", 137_000),
    ];
    Content::folder("album", &files, 32 << 10, 2)
}

/// Makes a file of 1,024 pieces, whose info dictionary does not fit into one metadata piece.
///
/// # Errors
/// None: it is a torrent like any other.
pub fn many() -> Result<Content, MetainfoError> {
    Content::single("many.txt", 1 << 20, 1 << 10, 3)
}

/// Makes a file that no seeder of the lab has. Whoever downloads it gets it from the client that
/// seeds it, or not at all.
///
/// # Errors
/// None: it is a torrent like any other.
pub fn alone() -> Result<Content, MetainfoError> {
    Ok(Content::single("alone.txt", 200_003, 32 << 10, 4)?.unseeded())
}

/// Makes a torrent of both versions, in which the sample's file is the second one.
///
/// # Errors
/// None: it is a torrent like any other.
pub fn hybrid() -> Result<Content, MetainfoError> {
    let files = [("notes/rain.txt", 50_000, 5), ("sample.txt", 92_063, 1)];
    Content::trees("hybrid", &files, 32 << 10, true)
}

/// Makes a torrent of version 2 alone: a file of one block, a file of many pieces, and the sample's
/// file once more. So one root is in two torrents.
///
/// # Errors
/// None: it is a torrent like any other.
pub fn version_two() -> Result<Content, MetainfoError> {
    let files = [("oak.txt", 600_000, 6), ("sample.txt", 92_063, 1), ("seed.txt", 1_000, 7)];
    Content::trees("v2", &files, 32 << 10, false)
}
