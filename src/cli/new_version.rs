//! Which version of BitTorrent a new torrent is for. (stage 23)

use clap::ValueEnum;
use piecemeal::s02_metainfo::Info;
use piecemeal::s06_magnet::Magnet;
use piecemeal::s23_v2::create::{Version, torrent};
use piecemeal::s23_v2::trees;

use super::draft_options::Make;
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
