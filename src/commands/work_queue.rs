//! `piecemeal work_queue`: how peers share a torrent's pieces, told move by move. (stage 11)

use std::path::PathBuf;

use piecemeal::s10_storage::Storage;

use crate::cli::content_at::whole;
use crate::cli::failure::Failure;
use crate::cli::queue_peers::{Fault, QueueRun};
use crate::cli::queue_story::{run_freely, tell};
use crate::cli::torrent_file::open_whole;
use crate::cli::{Answer, Options};

/// Watch peers share out the pieces of a torrent; no network (stage 11)
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  piecemeal work_queue --peers 3 --faults none,die,corrupt --seed 1 \\\n    lab/sample.torrent lab/original/sample.txt"
)]
pub struct Args {
    /// Number of peers, one thread each
    #[arg(id = "count", long = "peers", value_name = "N", default_value = "4", value_parser = clap::value_parser!(u8).range(1..=26))]
    peers: u8,
    /// What the first, second, ... peer does wrong: none, die, corrupt or slow
    #[arg(long, value_name = "FAULT,...", value_delimiter = ',', hide_possible_values = true)]
    faults: Vec<Fault>,
    /// A different run for each number, and always the same run for one number
    #[arg(long, value_name = "N", default_value = "1")]
    seed: u64,
    /// Run as fast as the threads can, and print only the totals
    #[arg(long)]
    free: bool,
    /// The .torrent file
    torrent: PathBuf,
    /// The content that the peers give: the file, or the folder of several
    content: PathBuf,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let info = open_whole(&self.torrent, options)?.info;
        let content = Storage::through_links(&info, &self.content);
        whole(&info, &content, &self.content, options)?;
        let run = QueueRun::draw(info, content, self.peers, &self.faults, self.seed)?;
        if self.free { run_freely(run) } else { tell(run, options.json) }
    }
}
