//! `piecemeal demo`: two downloads from a swarm inside this process. (lab)

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Instant;

use piecemeal::lab::show::{album, describe, film, start};
use piecemeal::s01_bencode::counted;
use serde_json::{Value, json};

use super::{download, magnet_download, verify};
use crate::cli::exit_codes::LOCAL;
use crate::cli::failure::Failure;
use crate::cli::giving::{Afterwards, Giving};
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
        let wanted = |name| DownloadOptions {
            output: folder.path().join(name),
            max_peers: 50,
            ..DownloadOptions::default()
        };

        let lab = start(&album()?).map_err(local)?;
        let torrent = lab.write_torrents(folder.path()).map_err(local)?.remove(0);
        say(options, &format!("1. A folder of five files, from its .torrent.\n{}", describe(&lab)));
        let begun = Instant::now();
        let done =
            download::Args { wanted: wanted("album"), torrent: torrent.clone(), giving: at_home() }
                .run(options)?;
        let one = tell(
            done.json,
            begun,
            verify::Args { torrent, path: wanted("album").output },
            options,
        )?;

        let lab = start(&film()?).map_err(local)?;
        let torrent: PathBuf = lab.write_torrents(folder.path()).map_err(local)?.remove(0);
        let magnet = lab.magnet(&film()?);
        say(
            options,
            &format!("\n2. One file, from a magnet link alone.\n{}\n   {magnet}", describe(&lab)),
        );
        let begun = Instant::now();
        let done = magnet_download::Args { wanted: wanted("film.bin"), magnet, giving: at_home() }
            .run(options)?;
        let two = tell(
            done.json,
            begun,
            verify::Args { torrent, path: wanted("film.bin").output },
            options,
        )?;

        let text =
            "\nBoth are complete, and every piece has the hash that its torrent says.".to_owned();
        Ok(Answer { text, json: json!({ "event": "demo", "downloads": [one, two] }) })
    }
}

/// Prints which seeder sent what, and the verdict on the files on disk.
fn tell(
    done: Value,
    begun: Instant,
    check: verify::Args,
    options: &Options,
) -> Result<Value, Failure> {
    let time = begun.elapsed().as_secs_f64();
    let verdict = check.run(options)?;
    let banned = done["banned"].as_array().cloned().unwrap_or_default();
    for from in done["from"].as_array().into_iter().flatten() {
        let note = if banned.contains(&from["peer"]) { ", and was banned" } else { "" };
        let bytes = counted(from["bytes"].as_u64().unwrap_or_default(), "byte");
        say(
            options,
            &format!("   {} brought {bytes}{note}", from["peer"].as_str().unwrap_or_default()),
        );
    }
    say(
        options,
        &format!(
            "   It took {time:.1} s. On disk, {}",
            verdict.text.lines().last().unwrap_or_default()
        ),
    );
    Ok(done)
}

/// Returns upload options for the downloads: they also give, but only on this machine.
fn at_home() -> Afterwards {
    Afterwards {
        giving: Giving { bind: Some(Ipv4Addr::LOCALHOST.into()), ..Giving::default() },
        keep_seeding: false,
    }
}

fn say(options: &Options, line: &str) {
    if !options.json && !options.quiet {
        print_line(line);
    }
}

fn local(error: io::Error) -> Failure {
    Failure::new(LOCAL, error)
        .help("check the temporary folder, and that loopback addresses can be used")
        .see("README")
}
