//! A file's tree of hashes as lines, from the root down. (stage 23)

use std::io::{self, Write};

use piecemeal::s01_bencode::{counted, printable};
use piecemeal::s02_metainfo::MAX_PIECE_LENGTH;
use piecemeal::s10_storage::create::CreateError;
use piecemeal::s23_v2::merkle::{BLOCK_LENGTH, Hash, height_of, zeros};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

use super::exit_codes::USAGE;
use super::failure::Failure;
use super::size::size;
use super::{Answer, Options, print_long, write_json};

/// The largest tree that is drawn whole without being asked for, in leaves: it takes 31 lines.
const SMALL: u64 = 16;
/// The digits of a hash that are shown.
const DIGITS: usize = 16;

/// Which part of a tree to show, and how.
#[derive(clap::Args)]
pub struct TreeOptions {
    /// Bytes in a piece: a power of two [default: fits the size]
    #[arg(long, value_name = "N", value_parser = piece_length)]
    pub piece_length: Option<u64>,
    /// Show the way to this block [default in a large file: the last]
    #[arg(long, value_name = "N", conflicts_with = "all")]
    block: Option<u64>,
    /// Show the whole tree, however large
    #[arg(long)]
    all: bool,
    /// Show all 64 digits of each hash
    #[arg(long)]
    pub whole: bool,
}

/// The hashes to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// All of them, but for padding in large trees.
    All,
    /// Those on the way from the root to this block, and the one beside each.
    WayTo(u64),
}

/// The tree of one file.
pub struct WholeTree<'f> {
    file: &'f str,
    length: u64,
    piece_length: u64,
    /// The hashes of each height, the leaves first. Those that have no block below are not there.
    levels: Vec<Vec<Hash>>,
}

/// A hash with its place in the tree.
pub struct Node {
    /// The number of steps from a leaf.
    pub height: u32,
    /// Its number among all of this height, from the left.
    pub index: u64,
    pub hash: Hash,
    /// Whether the two hashes below it are shown.
    pub is_open: bool,
    /// What is before it on its line: whether each node above it has a right neighbor to come.
    lead: String,
}

/// Explains why a file has no tree: most likely it is empty.
pub fn rootless(error: CreateError) -> Failure {
    let is_empty = matches!(error, CreateError::Empty { .. });
    let failure = Failure::from(error);
    if !is_empty {
        return failure;
    }
    failure.help("an empty file has no block, and so no root: choose another file").see("23-v2")
}

impl<'f> WholeTree<'f> {
    /// The tree over these leaves, one for each block of a file.
    pub fn new(file: &'f str, length: u64, piece_length: u64, leaves: Vec<Hash>) -> WholeTree<'f> {
        let mut levels = vec![leaves];
        for height in 0..height_of(length) {
            let below = levels.last().map(Vec::as_slice).unwrap_or_default();
            let parents = below.chunks(2).filter_map(|two| {
                let right = two.get(1).copied().unwrap_or_else(|| zeros(height));
                Some(Hash::parent(*two.first()?, right))
            });
            let parents = parents.collect();
            levels.push(parents);
        }
        WholeTree { file, length, piece_length, levels }
    }

    /// The number of steps from a leaf to the root.
    pub fn height(&self) -> u32 {
        height_of(self.length)
    }

    /// The height of the piece layer. In a file that is shorter than a piece, nothing is so high.
    pub fn piece_height(&self) -> u32 {
        height_of(self.piece_length)
    }

    /// The number of hashes at this height that have a block below them.
    fn count(&self, height: u32) -> u64 {
        self.levels.get(height as usize).map_or(1, Vec::len) as u64
    }

    fn pieces(&self) -> u64 {
        self.count(self.piece_height())
    }

    /// The hash at this place: without any block below it, that of zeros.
    fn hash(&self, height: u32, index: u64) -> Hash {
        let known = self.levels.get(height as usize).and_then(|level| level.get(index as usize));
        known.copied().unwrap_or_else(|| zeros(height))
    }

    /// Whether there is no block of the file below this node.
    pub fn is_padding(&self, node: &Node) -> bool {
        node.index >= self.count(node.height)
    }

    /// Chooses the part to show.
    pub fn choose(&self, options: &TreeOptions) -> Result<Shown, Failure> {
        let (blocks, leaves) = (self.count(0), 1_u64 << self.height());
        match options.block {
            Some(block) if block >= blocks => {
                let what = format!("there is no block {block}: the file has {blocks}");
                let help = format!("blocks are counted from 0: the last is {}", blocks - 1);
                Err(Failure::new(USAGE, what).help(help).see("23-v2"))
            }
            Some(block) => Ok(Shown::WayTo(block)),
            None if options.all || leaves <= SMALL => Ok(Shown::All),
            None => Ok(Shown::WayTo(blocks - 1)),
        }
    }

    /// Returns the hashes to show, each before those below it.
    pub fn nodes(&self, shown: Shown) -> impl Iterator<Item = Node> {
        let mut waiting = vec![(self.height(), 0_u64, String::new())];
        std::iter::from_fn(move || {
            let (height, index, lead) = waiting.pop()?;
            let mut node =
                Node { height, index, hash: self.hash(height, index), is_open: false, lead };
            // Padding in a large tree would be many lines that say nothing.
            let is_worth_it = !self.is_padding(&node) || 1 << self.height() <= SMALL;
            node.is_open = height > 0
                && match shown {
                    Shown::All => is_worth_it,
                    Shown::WayTo(block) => block >> height == index,
                };
            if node.is_open {
                // The last one in is the first one out. The root has no branch before it.
                let inner = node.lead.replace("├─ ", "│  ").replace("└─ ", "   ");
                waiting.push((height - 1, 2 * index + 1, format!("{inner}└─ ")));
                waiting.push((height - 1, 2 * index, format!("{inner}├─ ")));
            }
            Some(node)
        })
    }

    /// Returns what a node is, in a few words. One between the root and a piece is nothing special.
    pub fn label(&self, node: &Node) -> String {
        let (height, pieces_at) = (node.height, self.piece_height().min(self.height()));
        if self.is_padding(node) {
            return match height {
                0 => "no block".to_owned(),
                _ => format!("no blocks: {} zeros", 1_u64 << height),
            };
        }
        let block =
            || match node.index + 1 == self.count(0) && self.last_block() < BLOCK_LENGTH as u64 {
                true => format!("block {}, of {}", node.index, counted(self.last_block(), "byte")),
                false => format!("block {}", node.index),
            };
        let mut words = Vec::new();
        words.extend((height == self.height()).then(|| "root".to_owned()));
        words.extend((height == pieces_at).then(|| format!("piece {}", node.index)));
        words.extend((height == 0).then(block));
        if words.is_empty() && !node.is_open {
            let (what, at) = if height > pieces_at { ("pieces", pieces_at) } else { ("blocks", 0) };
            words.push(self.below(node, what, at));
        }
        words.join(", ")
    }

    /// Returns which pieces or blocks, the nodes of height `at`, are below a node.
    fn below(&self, node: &Node, what: &str, at: u32) -> String {
        let width = 1 << (node.height - at);
        let (first, last) = (node.index * width, (node.index + 1) * width - 1);
        let there = self.count(at) - 1;
        let rest = if there < last { ", and leaves without a block" } else { "" };
        match last.min(there) {
            only if only == first => format!("{} {first}{rest}", what.trim_end_matches('s')),
            last => format!("{what} {first} to {last}{rest}"),
        }
    }

    /// The length of the last block.
    fn last_block(&self) -> u64 {
        (self.length - 1) % BLOCK_LENGTH as u64 + 1 // no file here is empty
    }

    /// Prints the tree.
    pub fn print(&self, which: Shown, whole: bool, options: &Options) -> Result<Answer, Failure> {
        print_long(|out| {
            if options.json {
                write_json(out, &Described { tree: self, which })?;
                return writeln!(out);
            }
            self.print_facts(out)?;
            if let Shown::WayTo(block) = which {
                writeln!(out, "Shown: the way to block {block}, and the hash beside each step")?;
            }
            writeln!(out)?;
            let digits = if whole { 2 * size_of::<Hash>() } else { DIGITS };
            self.nodes(which).try_for_each(|node| {
                let (hash, label) = (node.hash.to_string(), self.label(&node));
                let line = format!("{}{}  {label}", node.lead, hash.get(..digits).unwrap_or(&hash));
                writeln!(out, "{}", line.trim_end())
            })
        })
    }

    /// The title of a drawing.
    pub fn title(&self) -> String {
        format!("The tree of {}", printable(self.file))
    }

    /// The tree in a sentence, for a drawing and for those who do not see it.
    pub fn in_words(&self) -> String {
        let (blocks, leaves) = (self.count(0), 1_u64 << self.height());
        format!(
            "{} in {}, filled up to {}; {} of {} bytes",
            counted(self.length, "byte"),
            counted(blocks, "block"),
            counted(leaves, "leaf").replace("leafs", "leaves"),
            counted(self.pieces(), "piece"),
            self.piece_length
        )
    }

    fn print_facts(&self, out: &mut dyn Write) -> io::Result<()> {
        let (blocks, leaves) = (self.count(0), 1_u64 << self.height());
        writeln!(out, "File: {}\nLength: {}", printable(self.file), self.length)?;
        writeln!(out, "Blocks: {blocks} of {BLOCK_LENGTH}, the last of {}", self.last_block())?;
        writeln!(out, "Leaves: {leaves}, of which {} have no block", leaves - blocks)?;
        writeln!(out, "Pieces: {} of {}", self.pieces(), self.piece_length)?;
        writeln!(out, "Root: {}", self.hash(self.height(), 0))
    }
}

/// A tree as JSON, for programs.
struct Described<'t> {
    tree: &'t WholeTree<'t>,
    which: Shown,
}

impl Serialize for Described<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let tree = self.tree;
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("file", tree.file)?;
        object.serialize_entry("length", &tree.length)?;
        object.serialize_entry("blocks", &tree.count(0))?;
        object.serialize_entry("height", &tree.height())?;
        object.serialize_entry("piece_length", &tree.piece_length)?;
        object.serialize_entry("piece_height", &tree.piece_height())?;
        object.serialize_entry("pieces", &tree.pieces())?;
        object.serialize_entry("root", &tree.hash(tree.height(), 0).to_string())?;
        object.serialize_entry("hashes", &Nodes(self))?;
        object.end()
    }
}

/// The hashes that are shown. With `--all` there may be millions.
struct Nodes<'t>(&'t Described<'t>);

impl Serialize for Nodes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Described { tree, which } = self.0;
        let node = |node: Node| -> Value {
            json!({
                "height": node.height, "index": node.index, "hash": node.hash.to_string(), "padding": tree.is_padding(&node),
            })
        };
        serializer.collect_seq(tree.nodes(*which).map(node))
    }
}

/// Takes the length of a piece of version 2.
fn piece_length(text: &str) -> Result<u64, String> {
    let is_fit = |length: &u64| {
        length.is_power_of_two() && (BLOCK_LENGTH as u64..=MAX_PIECE_LENGTH).contains(length)
    };
    size(text).ok().filter(is_fit).ok_or_else(|| {
        format!("a power of two from {BLOCK_LENGTH} to {MAX_PIECE_LENGTH} bytes was expected, such as 32768, 256KiB or 1MiB")
    })
}
