//! `piecemeal scrape`: ask the trackers how many peers have the torrent. (stage 18)

use std::path::PathBuf;

use serde_json::json;

use crate::cli::failure::Failure;
use crate::cli::magnet_link::{names, read};
use crate::cli::scrape_all::{as_json, ask_all, line, no_tracker};
use crate::cli::screen::progress::Progress;
use crate::cli::torrent_file::open;
use crate::cli::{Answer, Options};

/// Ask the trackers how many peers have a torrent (stage 18)
#[derive(clap::Args)]
#[command(after_help = "Example:\n  piecemeal scrape lab/sample.torrent")]
pub struct Args {
    /// The .torrent file, or the magnet link in quotes
    #[arg(value_name = "TORRENT|MAGNET")]
    torrent: PathBuf,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let deadline = options.deadline();
        let link =
            self.torrent.to_str().filter(|text| text.to_ascii_lowercase().starts_with("magnet:"));
        let of_link = link.is_some();
        let (info_hash, urls) = if let Some(link) = link {
            let magnet = read(link, options)?;
            (names(&magnet)?.first(), magnet.trackers)
        } else {
            let metainfo = open(&self.torrent, options)?;
            (metainfo.info.info_hash, metainfo.tiers.concat())
        };
        let (mut lines, mut objects, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        for (url, counts) in ask_all(urls, info_hash, deadline) {
            match counts {
                Ok(counts) => {
                    lines.push(line(&url, &counts));
                    objects.push(as_json(&url, &counts));
                }
                Err(failure) => {
                    objects.push(json!({ "url": url, "error": failure.json()["error"] }));
                    failures.push(failure.about(&url));
                }
            }
        }
        let fatal = if lines.is_empty() {
            Some(failures.pop().unwrap_or_else(|| no_tracker(of_link)))
        } else {
            None
        };
        let notes = Progress::new(options, "asking", 0);
        failures
            .iter()
            .for_each(|failure| notes.note(failure.json()["error"].as_str().unwrap_or_default()));
        fatal.map_or_else(
            || Ok(Answer { text: lines.join("\n"), json: json!({ "trackers": objects }) }),
            Err,
        )
    }
}
