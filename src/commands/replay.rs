//! `piecemeal replay`: plays one peer of a capture to the client again. (trace)

use std::path::PathBuf;

use piecemeal::s01_bencode::counted;
use piecemeal::trace::replay::{PATIENCE, replay};

use crate::cli::capture_views::read;
use crate::cli::exit_codes::OTHER;
use crate::cli::explain_input::ExplainInput;
use crate::cli::failure::Failure;
use crate::cli::failure::trace::PAGE;
use crate::cli::replay_report::describe;
use crate::cli::torrent_file::open;
use crate::cli::{Answer, Options};

/// Play a peer of a capture to the client, and see whether it says the same (trace)
#[derive(clap::Args)]
#[command(after_help = "Example:\n  piecemeal replay session.capture --torrent lab/sample.torrent")]
pub struct Args {
    /// The file that --capture wrote
    #[arg(value_name = "CAPTURE")]
    recording: PathBuf,
    /// The .torrent file; needed unless the info dictionary is in the capture
    #[arg(long, value_name = "FILE")]
    torrent: Option<PathBuf>,
    /// The connection to play [default: the one that brought the most bytes]
    #[arg(long, value_name = "N")]
    connection: Option<u64>,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let input = ExplainInput::file(&self.recording)?;
        let capture = read(&input)?;
        let info = self
            .torrent
            .as_deref()
            .map(|torrent| open(torrent, options))
            .transpose()?
            .map(|metainfo| metainfo.info);
        let patience = options.timeout.unwrap_or(PATIENCE);
        let report = replay(&capture, self.connection, info, patience)
            .map_err(|error| Failure::from(error).about(&input.source))?;
        let answer = describe(&report);
        let count = report.differences.len() + report.more;
        if count == 0 {
            return Ok(answer);
        }
        let what = format!(
            "connection {} was not the same as in the capture: {}",
            report.connection,
            counted(count, "difference")
        );
        let help = "if the change is meant, capture the session again; piecemeal explain shows what was said then";
        Err(Failure::new(OTHER, what).about(&input.source).help(help).see(PAGE).answer(answer))
    }
}
