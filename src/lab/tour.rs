//! What `piecemeal lab` says at its start: for each chapter, the command to paste.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Lab;

/// A lab's files in a folder, and how to use them. A lab of two torrents, the first a
/// single file, is expected.
pub struct Tour<'l> {
    lab: &'l Lab,
    /// The .torrent files, and the contents themselves, in the order of the contents.
    torrents: Vec<String>,
    originals: Vec<String>,
}

impl Tour<'_> {
    /// Writes the .torrent files into a folder, and the content into one below it.
    ///
    /// # Errors
    /// If that fails, or other files are in the way.
    pub fn new<'l>(lab: &'l Lab, folder: &Path) -> io::Result<Tour<'l>> {
        let shown = |paths: Vec<PathBuf>| paths.iter().map(|path| path.to_string_lossy().into_owned()).collect();
        let torrents = shown(lab.write_torrents(folder)?);
        let originals = shown(lab.write_originals(&folder.join("original"))?);
        Ok(Tour { lab, torrents, originals })
    }

    /// The same for programs, without the commands.
    pub fn json(&self) -> Value {
        let magnets: Vec<String> = self.lab.contents.iter().map(|content| self.lab.magnet(content)).collect();
        let peers: Vec<String> = self.lab.addresses().iter().map(ToString::to_string).collect();
        json!({
            "event": "started", "tracker": self.lab.tracker.url(), "udp_tracker": self.lab.tracker.udp_url(), "peers": peers,
            "torrents": self.torrents, "magnets": magnets, "originals": self.originals,
        })
    }

    /// A command for each chapter that has one, and the chapter's number.
    fn commands(&self) -> [(u8, String); 13] {
        let path = |paths: &[String], index: usize| paths.get(index).map(|path| quoted(path)).unwrap_or_default();
        let (sample, album) = (path(&self.torrents, 0), path(&self.torrents, 1));
        let original = path(&self.originals, 0);
        let content = |index: usize| self.lab.contents.get(index);
        let link = |index: usize| content(index).map(|content| quoted(&self.lab.magnet(content))).unwrap_or_default();
        let (sample_link, album_link) = (link(0), link(1));
        // With one peer and no tracker it is always the same peer that answers.
        let first: Vec<_> = self.lab.addresses().into_iter().take(1).collect();
        let one_peer = content(0).map(|content| quoted(&content.magnet(&[], &first))).unwrap_or_default();
        let peer = first.first().map(ToString::to_string).unwrap_or_default();
        [
            (1, "decode d3:cow3:moo4:spami7ee".to_owned()),
            (2, format!("info {sample}")),
            (3, format!("peers {sample}")),
            (4, format!("handshake {sample} {peer}")),
            (6, format!("magnet_parse {sample_link}")),
            (7, format!("magnet_handshake {one_peer}")),
            (8, format!("magnet_info {sample_link}")),
            (9, format!("download_piece -o piece-0 {sample} 0")),
            (9, format!("magnet_download_piece -o piece-2 {sample_link} 2")),
            (10, format!("verify {sample} {original}")),
            (11, format!("download -o album {album}")),
            (11, format!("magnet_download -o album-again {album_link}")),
            (13, format!("scrape {sample}")),
        ]
    }
}

impl fmt::Display for Tour<'_> {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        writeln!(out, "A swarm of your own:\n\n  tracker   {}", self.lab.tracker.url())?;
        writeln!(out, "  and       {}", self.lab.tracker.udp_url())?;
        for seeder in &self.lab.seeders {
            writeln!(out, "  seeder    {}   {}", seeder.address(), String::from_utf8_lossy(&seeder.peer_id().0))?;
        }
        for (content, torrent) in self.lab.contents.iter().zip(&self.torrents) {
            writeln!(out, "  torrent   {}", quoted(torrent))?;
            writeln!(out, "  magnet    {}", quoted(&self.lab.magnet(content)))?;
        }
        writeln!(out, "\nPaste these in another terminal, in this folder:\n")?;
        for (chapter, command) in self.commands() {
            writeln!(out, "  {chapter:>2}  piecemeal {command}")?;
        }
        write!(out, "\nBelow you see what the tracker and the seeders see. Ctrl-C ends the lab.")
    }
}

/// A word for a shell: in single quotes where it holds anything a shell would act on.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "-_./:,@%+=".contains(letter);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}
