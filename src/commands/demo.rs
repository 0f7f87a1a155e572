//! `piecemeal demo`: two downloads from a swarm inside this process. (lab)

use std::time::Instant;

use piecemeal::lab::demo_swarm::{album, describe, film, start};
use serde_json::{Value, json};

use super::{download, magnet_download, verify};
use crate::cli::demo_report::{local, on_this_machine, outcome};
use crate::cli::failure::Failure;
use crate::cli::run_download::DownloadOptions;
use crate::cli::{Answer, Options, print_line};

/// Watch two downloads inside this process (lab)
#[derive(clap::Args)]
#[command(
    after_help = "Example, which needs no network, and leaves nothing behind:\n  piecemeal demo"
)]
pub struct Args;

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let folder = tempfile::tempdir().map_err(local)?;
        let wanted = |name| DownloadOptions::to(folder.path().join(name));

        let lab = start(&album()?).map_err(local)?;
        let torrent = lab.write_torrents(folder.path()).map_err(local)?.remove(0);
        say(options, &format!("1. A folder of five files, from its .torrent.\n{}", describe(&lab)));
        let (album, uploads) = (wanted("album"), on_this_machine());
        let check = verify::Args { torrent: torrent.clone(), path: album.to.output.clone() };
        let command = download::Args { wanted: album, torrent, uploads };
        let one = timed(|| command.run(options), check, options)?;

        let lab = start(&film()?).map_err(local)?;
        let torrent = lab.write_torrents(folder.path()).map_err(local)?.remove(0);
        let magnet = lab.magnet(&film()?);
        let what =
            format!("\n2. One file, from a magnet link alone.\n{}\n   {magnet}", describe(&lab));
        say(options, &what);
        let (film, uploads) = (wanted("film.bin"), on_this_machine());
        let check = verify::Args { torrent, path: film.to.output.clone() };
        let command = magnet_download::Args { wanted: film, magnet, uploads };
        let two = timed(|| command.run(options), check, options)?;

        let text =
            "\nBoth are complete, and every piece has the hash that its torrent says.".to_owned();
        Ok(Answer { text, json: json!({ "event": "demo", "downloads": [one, two] }) })
    }
}

/// Runs a download, and prints its time, which seeder sent what, and the verdict on the files.
fn timed(
    download: impl FnOnce() -> Result<Answer, Failure>,
    check: verify::Args,
    options: &Options,
) -> Result<Value, Failure> {
    let begun = Instant::now();
    let done = download()?.json;
    let seconds = begun.elapsed().as_secs_f64();
    say(options, &outcome(&done, seconds, &check.run(options)?.text));
    Ok(done)
}

fn say(options: &Options, line: &str) {
    if !options.json && !options.quiet {
        print_line(line);
    }
}
