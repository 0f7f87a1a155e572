//! Which version of BitTorrent a new torrent is for. (stage 23)

use clap::ValueEnum;
use piecemeal::s02_metainfo::{Info, MAX_PIECE_LENGTH};
use piecemeal::s06_magnet::Magnet;
use piecemeal::s23_v2::create::{Version, torrent};
use piecemeal::s23_v2::merkle::BLOCK_LENGTH;
use piecemeal::s23_v2::trees;

use super::draft_options::{DraftOptions, Make};
use super::exit_codes::USAGE;
use super::failure::Failure;
use super::version_two::is_hybrid;

/// Options of `create`.
#[derive(clap::Args)]
pub struct VersionOptions {
    /// 1, 2, or `hybrid` for both [default: 1]
    #[arg(long, value_name = "V", value_enum, hide_possible_values = true)]
    version: Option<Format>,
}

/// A version on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    #[value(name = "1")]
    One,
    #[value(name = "2")]
    Two,
    Hybrid,
}

impl VersionOptions {
    /// Checks that pieces of the length that is wanted can have trees.
    pub fn allows(&self, draft: &DraftOptions) -> Result<(), Failure> {
        let is_tree = |length: u64| length.is_power_of_two() && length >= BLOCK_LENGTH as u64;
        let length = draft.piece_length.filter(|length| !is_tree(*length));
        let (Some(length), Some(Format::Two | Format::Hybrid)) = (length, self.version) else {
            return Ok(());
        };
        let what = format!(
            "--piece-length {length}: versions 2 and hybrid need a power of two, at least 16384"
        );
        let next = length.next_power_of_two().clamp(BLOCK_LENGTH as u64, MAX_PIECE_LENGTH);
        let help = format!("a piece is a part of a tree of blocks: take {next}");
        Err(Failure::new(USAGE, what).help(help).see("23-v2"))
    }

    /// Returns what makes a torrent of the version that is wanted; `one` makes version 1.
    pub fn maker(&self, one: Make) -> Make {
        match self.version {
            None | Some(Format::One) => one,
            Some(Format::Two) => {
                |content, draft, stop, hashed| torrent(content, Version::Two, draft, stop, hashed)
            }
            Some(Format::Hybrid) => |content, draft, stop, hashed| {
                torrent(content, Version::Hybrid, draft, stop, hashed)
            },
        }
    }
}

/// Puts the torrent's long name into a link to it.
pub fn add_to_link(info: &Info, magnet: &mut Magnet) {
    let Some(trees) = trees(info) else { return };
    magnet.info_hash_v2 = Some(trees.name);
    // Cut to 20 bytes, the name is for messages. In a link it would look like a SHA-1.
    magnet.info_hash = magnet.info_hash.filter(|_| is_hybrid(info));
}
