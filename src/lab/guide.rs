//! The text that `piecemeal lab` prints at its start: for each chapter, the command to paste.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Lab;
use super::seeder::Fault;
use crate::s01_bencode::counted;

/// The index of the torrent of version 2 in the chapters' lab.
const VERSION_TWO: usize = 5;

/// A lab's files in a folder, and how to use them. The chapters' lab has a file, a folder, a file
/// with much metadata, one to seed, a hybrid and one of version 2; a lab with one torrent uses it
/// for all.
pub struct Guide<'l> {
    lab: &'l Lab,
    /// The paths of the .torrent files and of the contents, in the order of the contents.
    torrents: Vec<String>,
    originals: Vec<String>,
}

impl Guide<'_> {
    /// Writes the .torrent files into a folder, and the content into one below it.
    ///
    /// # Errors
    /// If that fails, or other files are in the way.
    pub fn new<'l>(lab: &'l Lab, folder: &Path) -> io::Result<Guide<'l>> {
        let shown = |paths: Vec<PathBuf>| {
            paths.iter().map(|path| path.to_string_lossy().into_owned()).collect()
        };
        let torrents = shown(lab.write_torrents(folder)?);
        let originals = shown(lab.write_originals(&folder.join("original"))?);
        Ok(Guide { lab, torrents, originals })
    }

    /// Returns the tour as JSON for programs.
    pub fn json(&self) -> Value {
        let magnets: Vec<String> =
            self.lab.contents.iter().map(|content| self.lab.magnet(content)).collect();
        let peers: Vec<String> = self.lab.addresses().iter().map(ToString::to_string).collect();
        let faults: Vec<String> =
            self.lab.seeders.iter().map(|seeder| seeder.fault().to_string()).collect();
        let command =
            |(chapter, command): &(u8, String)| json!({ "chapter": chapter, "command": command });
        let commands: Vec<Value> = self.commands().iter().map(command).collect();
        json!({
            "event": "started", "tracker": self.lab.tracker.url(), "udp_tracker": self.lab.tracker.udp_url(),
            "dht": self.way_in(), "dht_nodes": self.lab.dht.as_ref().map_or(0, |dht| dht.addresses().len()),
            "peers": peers, "faults": faults,
            "torrents": self.torrents, "magnets": magnets, "originals": self.originals,
            "commands": commands,
        })
    }

    /// Returns the address at which the lab's DHT begins, if it has one.
    fn way_in(&self) -> Option<String> {
        self.lab.dht.as_ref().map(|dht| dht.way_in().to_string())
    }

    /// Returns the commands of the DHT, with the chapters' numbers.
    fn dht_commands(&self) -> Vec<(u8, String)> {
        let seeded = self.lab.contents.iter().find(|content| content.seeded);
        let Some((way_in, content)) = self.way_in().zip(seeded) else { return Vec::new() };
        let hash = content.info_hash();
        let out = quoted(&format!("{}-by-dht", content.info.name));
        vec![
            (21, format!("dht_ping {way_in}")),
            (21, format!("dht_peers --dht-bootstrap {way_in} {hash}")),
            (
                22,
                format!(
                    "magnet_download -o {out} --dht-bootstrap {way_in} 'magnet:?xt=urn:btih:{hash}'"
                ),
            ),
        ]
    }

    /// Returns a command for each chapter that has one, with the chapter's number.
    fn commands(&self) -> Vec<(u8, String)> {
        let path = |paths: &[String], index: usize| {
            paths.get(index).or(paths.last()).map(|path| quoted(path))
        };
        let [sample, album] = [0, 1].map(|index| path(&self.torrents, index).unwrap_or_default());
        let [original, folder] =
            [0, 1].map(|index| path(&self.originals, index).unwrap_or_default());
        let content = |index: usize| self.lab.contents.get(index).or(self.lab.contents.last());
        let link = |index: usize| {
            content(index).map(|content| quoted(&self.lab.magnet(content))).unwrap_or_default()
        };
        let (sample_link, album_link) = (link(0), link(1));
        // With one peer and no tracker, the same peer always answers.
        let first: Vec<_> = self.lab.addresses().into_iter().take(1).collect();
        let one_peer =
            content(0).map(|content| quoted(&content.magnet(&[], &first))).unwrap_or_default();
        let peer = first.first().map(ToString::to_string).unwrap_or_default();
        let last =
            content(0).map_or(0, |content| content.info.piece_count().saturating_sub(1)).min(2);
        let name = content(1).map(|content| content.info.name.clone()).unwrap_or_default();
        let [out, again] = [quoted(&name), quoted(&format!("{name}-again"))];
        let many = self.lab.contents.get(2).map(|many| quoted(&self.lab.magnet(many)));
        let mut commands = vec![
            (1, "decode d3:cow3:moo4:spami7ee".to_owned()),
            (2, format!("info {sample}")),
            (3, format!("peers {sample}")),
            (4, format!("handshake {sample} {peer}")),
            (6, format!("magnet_parse {sample_link}")),
            (7, format!("magnet_handshake {one_peer}")),
            (8, format!("magnet_info {sample_link}")),
            (9, format!("download_piece -o piece-0 {sample} 0")),
            (9, format!("magnet_download_piece -o piece-{last} {sample_link} {last}")),
            (10, format!("verify {sample} {original}")),
            (10, format!("create -o again.torrent {folder}")),
            (15, format!("download -o {out} {album}")),
            (15, format!("magnet_download -o {again} {album_link}")),
            (17, format!("seed {sample} {original}")),
            (18, format!("scrape {sample}")),
        ];
        // Behind the first command of its chapter: the loop that one metadata piece does not need.
        let after = commands.iter().position(|(chapter, _)| *chapter > 8).unwrap_or_default();
        commands.splice(after..after, many.map(|link| (8, format!("magnet_info {link}"))));
        commands.extend(self.dht_commands());
        if let Some(v2) = self.torrents.get(VERSION_TWO) {
            commands.push((23, format!("info {}", quoted(v2))));
            commands.push((23, format!("tree --piece-length 32KiB {original}")));
            commands.push((24, format!("hashes {} {peer}", quoted(v2))));
        }
        commands
    }
}

impl fmt::Display for Guide<'_> {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        writeln!(out, "A swarm of your own:\n\n  tracker   {}", self.lab.tracker.url())?;
        writeln!(out, "  and       {}", self.lab.tracker.udp_url())?;
        if let Some(dht) = &self.lab.dht {
            let nodes = counted(dht.addresses().len(), "node");
            writeln!(out, "  DHT       {}   {nodes}", dht.way_in())?;
        }
        for seeder in &self.lab.seeders {
            write!(
                out,
                "  seeder    {}   {}",
                seeder.address(),
                String::from_utf8_lossy(&seeder.peer_id().0)
            )?;
            writeln!(
                out,
                "{}",
                if seeder.fault() == Fault::None {
                    String::new()
                } else {
                    format!("   {}", seeder.fault())
                }
            )?;
        }
        for (content, torrent) in self.lab.contents.iter().zip(&self.torrents) {
            let yours = if content.seeded { "" } else { "   nobody has it: seed it yourself" };
            writeln!(out, "  torrent   {}{yours}", quoted(torrent))?;
            if content.seeded {
                writeln!(out, "  magnet    {}", quoted(&self.lab.magnet(content)))?;
            }
        }
        writeln!(out, "\nPaste these in another terminal, in this folder:\n")?;
        for (chapter, command) in self.commands() {
            writeln!(out, "  {chapter:>2}  piecemeal {command}")?;
        }
        write!(out, "\nBelow you see what the tracker and the seeders see. Ctrl-C ends the lab.")
    }
}

/// Quotes a word for a shell, if it holds anything that a shell would act on.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "-_./:,@%+=".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
