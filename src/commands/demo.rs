//! `piecemeal demo`: three downloads from a swarm inside this process. (lab)

use std::path::PathBuf;
use std::time::Instant;

use piecemeal::lab::Lab;
use piecemeal::lab::demo_swarm::{album, describe, film, song, start, start_in_dht};
use serde_json::{Value, json};

use super::{download, magnet_download, verify};
use crate::cli::demo_report::{as_text, begin_at, local, on_this_machine, outcome};
use crate::cli::failure::Failure;
use crate::cli::run_download::DownloadOptions;
use crate::cli::{Answer, Options, print_line};

/// Watch three downloads inside this process (lab)
#[derive(clap::Args)]
#[command(
    after_help = "Example, which needs no network, and leaves nothing behind:\n  piecemeal demo"
)]
pub struct Args;

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let folder = tempfile::tempdir().map_err(local)?;
        let at = |name| folder.path().join(name);

        let lab = start(&album()?).map_err(local)?;
        let what = "1. A folder of five files, from its .torrent.";
        let one = act(&lab, at("album"), what, None, options)?;

        let lab = start(&film()?).map_err(local)?;
        let what = "\n2. One file, from a magnet link alone.";
        let two = act(&lab, at("film.bin"), what, Some(lab.magnet(&film()?)), options)?;

        let lab = start_in_dht(&song()?).map_err(local)?;
        let what = "\n3. One file, from an info hash alone: the DHT knows who has it.";
        let magnet = format!("magnet:?xt=urn:btih:{}", song()?.info_hash());
        let three = act(&lab, at("song.bin"), what, Some(magnet), &begin_at(&lab, options))?;

        let text =
            "\nAll are complete, and every piece has the hash that its torrent says.".to_owned();
        Ok(Answer { text, json: json!({ "event": "demo", "downloads": [one, two, three] }) })
    }
}

/// Downloads what a lab has, by its magnet link if one is given. Prints who is there, and how long
/// it took, which seeder sent what, and the verdict on the files.
fn act(
    lab: &Lab,
    output: PathBuf,
    what: &str,
    magnet: Option<String>,
    options: &Options,
) -> Result<Value, Failure> {
    let torrent = lab.write_torrents(output.parent().unwrap_or(&output)).map_err(local)?.remove(0);
    let link = magnet.as_ref().map(|magnet| format!("\n   {magnet}")).unwrap_or_default();
    say(options, &format!("{what}\n{}{link}", describe(lab)));
    let (wanted, uploads) = (DownloadOptions::to(output.clone()), on_this_machine());
    let begun = Instant::now();
    let done = match magnet {
        Some(magnet) => magnet_download::Args { wanted, magnet, uploads }.run(options)?,
        None => download::Args { wanted, torrent: torrent.clone(), uploads }.run(options)?,
    };
    let seconds = begun.elapsed().as_secs_f64();
    let verdict = verify::Args { torrent, path: output }.run(&as_text(options))?.text;
    say(options, &outcome(&done.json, seconds, &verdict));
    Ok(done.json)
}

fn say(options: &Options, line: &str) {
    if !options.json && !options.quiet {
        print_line(line);
    }
}
