//! What a swarm is made of, all of it by one number.

use super::support::{
    After, Blocks, FakePeer, Greeting, Metadata, Order, Plan, Recipe, Torrent, Unchoke, content,
};
use piecemeal::actors;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::fmt;
use std::time::Duration;

/// A swarm that has not been started.
pub struct Swarm {
    pub torrent: Torrent,
    /// Peers that are not ours.
    pub peers: Vec<Plan>,
    /// Downloads of ours.
    pub downloads: Vec<Download>,
    /// Whether there is a seed of ours.
    pub seed: bool,
    pub tracker: Tracker,
}

/// A download of ours.
#[derive(Debug, Clone)]
pub struct Download {
    /// From a magnet link.
    pub magnet: bool,
    /// How much may come, in bytes a second.
    pub rate: Option<u64>,
    /// How much is there from an earlier time, in pieces; the last of them is spoilt.
    pub there: usize,
}

/// What the tracker does, if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracker {
    /// There is none: the peers are given by address.
    None,
    Good,
    Fails,
    HangsUp,
    /// Answers, and names nobody.
    Empty,
}

impl Swarm {
    /// The swarm with this number.
    pub fn of(number: u64) -> Swarm {
        let dice = &mut StdRng::seed_from_u64(number);
        let torrent = torrent(dice);
        let count = dice.random_range(0..=8);
        let peers = (0..count).map(|host| peer(dice, &torrent, host + 10)).collect();
        let downloads = (0..dice.random_range(1..=3)).map(|_| download(dice, &torrent)).collect();
        let tracker = match dice.random_range(0..20) {
            0 => Tracker::Fails,
            1 => Tracker::HangsUp,
            2 => Tracker::Empty,
            3..=7 => Tracker::None,
            _ => Tracker::Good,
        };
        Swarm { peers, downloads, seed: dice.random_bool(0.4), tracker, torrent }
    }

    /// Whether a peer gives all that it says it has, to anybody who asks in the usual way.
    fn is_honest(plan: &Plan) -> bool {
        matches!(plan.greeting, Greeting::Proper | Greeting::Eager)
            && plan.after == After::Talk
            && plan.unchoke != Unchoke::Never
            && matches!(plan.blocks, Blocks::Good | Blocks::Backwards)
    }

    /// How long a download goes on without a peer; ten times as long without a block. A piece that
    /// was wrong is lent to one peer alone, and one that does not give it is let go after 20 s:
    /// for each of these, others get so much more time.
    pub fn patience(&self) -> Duration {
        let gives = [Blocks::Good, Blocks::Backwards, Blocks::Corrupt, Blocks::Reject];
        let keeps_waiting = self.peers.iter().filter(|plan| !gives.contains(&plan.blocks)).count();
        Duration::from_secs(3) + Duration::from_secs(2) * keeps_waiting as u32
    }

    /// Whether this download must be complete in the end: others that are honest, and do not
    /// leave, have all of it between them.
    pub fn must_complete(&self, download: &Download) -> bool {
        let honest = || self.peers.iter().filter(|plan| Swarm::is_honest(plan));
        let metadata =
            self.seed || honest().any(|plan| plan.extension && plan.metadata == Metadata::Good);
        let has = |piece| self.seed || honest().any(|plan| plan.have[piece]);
        self.is_known() && (!download.magnet || metadata) && (0..self.torrent.pieces()).all(has)
    }

    /// Whether somebody says where the peers are.
    fn is_known(&self) -> bool {
        matches!(self.tracker, Tracker::None | Tracker::Good)
    }

    /// Whether no one but we ourselves has some piece, so that it cannot be complete.
    pub fn cannot_complete(&self) -> bool {
        let has = |piece: usize| {
            let gives = |plan: &Plan| {
                plan.have[piece] && plan.blocks != Blocks::Corrupt && plan.blocks != Blocks::Reject
            };
            let there = self.downloads.iter().any(|download| piece + 1 < download.there);
            self.seed || there || self.peers.iter().any(gives)
        };
        !(0..self.torrent.pieces()).all(has)
    }
}

fn torrent(dice: &mut StdRng) -> Torrent {
    let piece_length = [1_000, 16_384, 32_768, 65_536, 50_000][dice.random_range(0..5)];
    let length = match dice.random_range(0..10) {
        0 => 1,
        1..=6 => dice.random_range(1..300_000),
        _ => dice.random_range(300_000..2_000_000),
    };
    let seed = dice.random();
    if dice.random_bool(0.5) {
        return Recipe::single("soak", piece_length, content(length, seed)).build();
    }
    let all = content(length, seed);
    let mut recipe = Recipe::files("soak", piece_length, &[]);
    let (mut at, mut number) = (0, 0);
    while at < length {
        let end = (at + dice.random_range(1..=length)).min(length);
        let name = format!("file {number}");
        recipe = recipe.file(
            &[format!("folder {}", number % 3).as_bytes(), name.as_bytes()],
            all[at..end].to_vec(),
            "",
        );
        (at, number) = (end, number + 1);
    }
    recipe.file(&[b"nothing"], Vec::new(), "").build()
}

fn download(dice: &mut StdRng, torrent: &Torrent) -> Download {
    Download {
        magnet: dice.random_bool(0.4),
        rate: dice.random_bool(0.2).then(|| dice.random_range(500_000..4_000_000)),
        there: if dice.random_bool(0.3) { dice.random_range(0..=torrent.pieces()) } else { 0 },
    }
}

fn peer(dice: &mut StdRng, torrent: &Torrent, host: u8) -> Plan {
    let mut plan = FakePeer::of(torrent).host(host);
    if dice.random_bool(0.4) {
        let share = dice.random_range(0.2..1.0);
        plan = plan
            .only((0..torrent.pieces()).filter(|_| dice.random_bool(share)).collect::<Vec<_>>());
    }
    plan.extension = dice.random_bool(0.8);
    plan.fast = dice.random_bool(0.5);
    plan.by_haves = dice.random_bool(0.2);
    plan.noise = dice.random_bool(0.2);
    plan.pace = Duration::from_millis([0, 0, 0, 1, 3][dice.random_range(0..5)]);
    plan.order = if dice.random_bool(0.3) { Order::ExtensionFirst } else { Order::BitfieldFirst };
    plan.unchoke = if dice.random_bool(0.2) { Unchoke::Early } else { Unchoke::OnInterest };
    // More than half of them have a fault.
    let after = dice.random_range(0..20);
    match dice.random_range(0..36) {
        0 => plan.greeting(Greeting::WrongInfoHash),
        1 => plan.greeting(Greeting::Silent),
        2 => plan.greeting(Greeting::Says(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())),
        3 => plan.greeting(Greeting::Close),
        4 => plan.greeting(Greeting::Half),
        5 => plan.after(After::Close),
        6 => plan.after(After::Hold),
        7 => plan.after(After::Say(b"\xff\xff\xff\xff\x05".to_vec())),
        8 => plan.unchoke(Unchoke::Never),
        9 => plan.blocks(Blocks::Corrupt),
        10 => plan.blocks(Blocks::TooLong),
        11 => plan.blocks(Blocks::Unasked),
        12 => plan.blocks(Blocks::Twice),
        13 => plan.blocks(Blocks::Backwards),
        14 => plan.blocks(Blocks::ChokeAfter(after, dice.random())),
        15 => plan.blocks(Blocks::ResetAfter(after)),
        16 => plan.blocks(Blocks::CloseAfter(after)),
        17 => plan.blocks(Blocks::SilentAfter(after)),
        18 => plan.blocks(Blocks::SayAfter(after, b"\0\0\0\x02\x05\xff".to_vec())),
        19 => plan.fast().blocks(Blocks::Reject),
        20 => plan.metadata(Metadata::Corrupt),
        21 => plan.metadata(Metadata::Reject),
        22 => plan.metadata(Metadata::None),
        23 => plan.greeting(Greeting::Eager),
        _ => plan,
    }
}

impl fmt::Display for Swarm {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let (pieces, bytes) = (self.torrent.pieces(), self.torrent.content.len());
        let seed = if self.seed { ", a seed of ours" } else { "" };
        write!(out, "{pieces} pieces, {bytes} bytes; tracker: {:?}{seed}", self.tracker)?;
        for download in &self.downloads {
            write!(out, "\n    {download:?}")?;
        }
        for Plan(plan) in &self.peers {
            let actors::Plan { have, greeting, after, blocks, metadata, unchoke, .. } = plan;
            let (extension, fast) = (plan.extension, plan.fast);
            let has = have.iter().filter(|has| **has).count();
            write!(
                out,
                "\n    a peer with {has} pieces: {greeting:?}, {after:?}, {blocks:?}, {metadata:?}, {unchoke:?}, "
            )?;
            write!(out, "extensions {extension}, fast {fast}")?;
        }
        Ok(())
    }
}
