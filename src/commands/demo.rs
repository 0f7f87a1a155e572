//! `piecemeal demo`: two downloads from a swarm inside this process. (lab)

use std::io;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use piecemeal::lab::content::Content;
use piecemeal::lab::show::{album, describe, film, start};
use piecemeal::s02_metainfo::Metainfo;
use piecemeal::s03_tracker::PeerId;
use piecemeal::s10_storage::{Storage, verify};
use piecemeal::s11_swarm::Plan;
use serde_json::{Value, json};

use super::download::{Place, add_sources};
use super::failure::{Failure, LOCAL, WRONG_HASH};
use super::fetching::fetch;
use super::info::open;
use super::{Answer, Options, print_line};

/// Watch two downloads from a swarm inside this process (lab)
#[derive(clap::Args)]
#[command(after_help = "Example:\n  piecemeal demo\n\nIt needs no network, and leaves nothing behind.")]
pub struct Args;

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let folder = tempfile::tempdir().map_err(local)?;
        let (first, second) = (album()?, film()?);
        say(options, "1. A folder of five files, from its .torrent.");
        let lab = start(&first).map_err(local)?;
        say(options, &describe(&lab));
        let torrent = first.write_torrent(folder.path(), &[lab.tracker.url()]).map_err(local)?;
        let Metainfo { info, tiers, .. } = open(&torrent)?;
        let plan = Plan::new(info.info_hash, Some(info), PeerId::random());
        let one = show(plan, tiers, &first, &folder.path().join("album"), options)?;

        say(options, "\n2. One file, from a magnet link: its info dictionary comes from a peer, too.");
        let lab = start(&second).map_err(local)?;
        say(options, &format!("{}\n   {}", describe(&lab), lab.magnet(&second)));
        let plan = Plan::new(second.info_hash(), None, PeerId::random());
        let two = show(plan, vec![vec![lab.tracker.url()]], &second, &folder.path().join("film.bin"), options)?;

        let text = "\nBoth are complete, and every piece has the hash that its torrent says.".to_owned();
        Ok(Answer { text, json: json!({ "event": "demo", "downloads": [one, two] }) })
    }
}

/// Downloads, hashes what is on disk once more, and tells who brought what.
fn show(mut plan: Plan, tiers: Vec<Vec<String>>, content: &Content, output: &Path, options: &Options) -> Result<Value, Failure> {
    let begun = Instant::now();
    add_sources(&mut plan, tiers, Vec::new(), options);
    let place = Place { output: output.to_owned(), force: false, max_peers: 50 };
    let done = fetch(plan, &place, &content.info.name, options)?.json;
    let time = begun.elapsed().as_secs_f64();
    let storage = Storage::new(&content.info, output, false);
    let right = verify(&content.info, &storage, &AtomicBool::new(false), &|_| ())?;
    if !right.is_full() {
        return Err(Failure::new(WRONG_HASH, "the demo's download is not what its seeders have, which is a bug in piecemeal"));
    }
    let banned = done["banned"].as_array().cloned().unwrap_or_default();
    for from in done["from"].as_array().into_iter().flatten() {
        let note = if banned.contains(&from["peer"]) { ", and was banned" } else { "" };
        let peer = from["peer"].as_str().unwrap_or_default();
        say(options, &format!("   {peer} brought {} bytes{note}", from["bytes"]));
    }
    let pieces = content.info.piece_count();
    say(options, &format!("   {} bytes in {time:.1} s; {pieces} of {pieces} pieces are right on disk.", content.info.length));
    Ok(done)
}

fn say(options: &Options, line: &str) {
    if !options.json && !options.quiet {
        print_line(line);
    }
}

fn local(error: io::Error) -> Failure {
    Failure::new(LOCAL, error).help("check the temporary folder, and that loopback addresses can be used")
}
