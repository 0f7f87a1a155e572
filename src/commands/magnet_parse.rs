//! `piecemeal magnet_parse`: what a magnet link says. (stage 6)

use piecemeal::s01_bencode::printable;
use piecemeal::s06_magnet::{Magnet, MagnetError};
use serde_json::json;

use super::failure::{BAD_INPUT, Failure};
use super::opening::tell_passed_over;
use super::{Answer, Options};

/// Show a magnet link: trackers, info hash (stage 6)
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  piecemeal magnet_parse \\\n    'magnet:?xt=urn:btih:cda492889448d540ee036365137eedd24308d22c'"
)]
pub struct Args {
    /// The magnet link, in quotes
    magnet: String,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let magnet = read(&self.magnet, options)?;
        let v1 = magnet.info_hash.map(|hash| hash.to_string());
        let v2 = magnet.info_hash_v2.map(hex::encode);
        let peers: Vec<String> = magnet.peers.iter().map(ToString::to_string).collect();
        let ranges = magnet
            .select_only
            .iter()
            .map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") });
        let files: Vec<String> = ranges.collect();
        let mut lines: Vec<String> = magnet.trackers.iter().map(|url| format!("Tracker URL: {}", printable(url))).collect();
        lines.extend(v1.iter().map(|hash| format!("Info Hash: {hash}")));
        lines.extend(v2.iter().map(|hash| format!("Info Hash v2: {hash}")));
        lines.extend(peers.iter().map(|peer| format!("Peer: {}", printable(peer))));
        lines.extend(
            Some(files.join(",")).filter(|files| !files.is_empty()).map(|files| format!("Select Only: {files} (not obeyed yet)")),
        );
        lines.extend(magnet.web_seeds.iter().map(|url| format!("Web Seed: {} (not used yet)", printable(url))));
        let json = json!({
            "trackers": magnet.trackers, "info_hash": v1, "info_hash_v2": v2, "name": magnet.name, "length": magnet.length,
            "peers": peers, "select_only": files, "web_seeds": magnet.web_seeds,
        });
        Ok(Answer { text: lines.join("\n"), json })
    }
}

/// Reads a magnet link, and tells what is passed over in it.
pub fn read(link: &str, options: &Options) -> Result<Magnet, Failure> {
    let magnet = Magnet::parse(link)?;
    tell_passed_over("the magnet link", &magnet.passed_over, options);
    Ok(magnet)
}

/// What to do with a link that was copied from HTML.
pub fn mend(should_be: &str) -> String {
    let should_be = printable(should_be);
    format!("it was copied from HTML, where & is written &amp;; it should be '{should_be}'")
}

/// What to do with something else.
fn instead(text: &str) -> &'static str {
    let is_hash = matches!(text.len(), 32 | 40) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match text {
        _ if is_hash => "an info hash goes into a link, with a peer or a tracker: 'magnet:?xt=urn:btih:HASH&x.pe=HOST:PORT'",
        _ if text.contains("://") => {
            "fetch the .torrent that a URL leads to, and give it to a command without magnet_ in its name"
        }
        _ if text.ends_with(".torrent") => "commands without magnet_ in their names take a .torrent file: info, download",
        _ => "copy the whole link, and put it in quotes: the shell would cut it at &",
    }
}

impl From<MagnetError> for Failure {
    fn from(error: MagnetError) -> Failure {
        let help = match &error {
            MagnetError::VersionTwo => "look for a link that also has xt=urn:btih:".to_owned(),
            MagnetError::NotMagnet(text) => instead(text).to_owned(),
            MagnetError::NoTopic { should_be: Some(link) } => mend(link),
            _ => "copy the whole link, and put it in quotes: the shell would cut it at &".to_owned(),
        };
        Failure::new(BAD_INPUT, error).help(help).about("the magnet link").see("06-magnet")
    }
}
