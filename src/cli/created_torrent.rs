//! What `create` says about a torrent that it has made. (stage 10)

use std::path::Path;

use piecemeal::s01_bencode::printable;
use piecemeal::s06_magnet::Magnet;
use piecemeal::s10_storage::create::Created;
use serde_json::json;

use super::Answer;

/// Returns the torrent's names and a link to it, which also names these web seeds.
#[allow(unused_mut)] // before stage 23
pub fn describe(created: &Created, web_seeds: Vec<String>, output: &Path) -> Answer {
    let info = &created.metainfo.info;
    let (info_hash, output) = (info.info_hash, output.to_string_lossy());
    let mut magnet = Magnet {
        info_hash: Some(info_hash),
        name: Some(info.name.clone()),
        trackers: created.metainfo.trackers().map(str::to_owned).collect(),
        web_seeds,
        ..Magnet::default()
    };
    super::new_version::add_to_link(info, &mut magnet); // new_version is plugged in
    let mut names = format!("Info Hash: {info_hash}");
    super::version_two::name(info, &mut names); // version_two is plugged in
    let files = || info.files.iter().filter(|file| !file.padding);
    let length: u64 = files().map(|file| file.length).sum();
    let mut json = json!({
        "info_hash": info_hash.to_string(), "magnet": magnet.to_string(), "output": output, "pieces": info.piece_count(),
        "piece_length": info.piece_length, "length": length, "files": files().count(),
    });
    super::version_two::add_to_json(info, &mut json, &mut []); // version_two is plugged in
    let text = format!("{names}\nMagnet: {magnet}\nCreated {}.", printable(&output));
    Answer { text, json }
}
