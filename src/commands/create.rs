//! `piecemeal create`: a .torrent of your own files. (stage 10)

use std::path::PathBuf;

use piecemeal::s01_bencode::counted;
use piecemeal::s10_storage::create::{Content, Draft};

use crate::cli::created_torrent::describe;
use crate::cli::draft_options::{DraftOptions, Make};
use crate::cli::failure::Failure;
use crate::cli::interrupt::interrupt;
use crate::cli::screen::progress::Progress;
use crate::cli::{Answer, Options};

/// Make a .torrent of a file or a folder (stage 10)
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  piecemeal create --announce http://127.0.0.1:6969/announce lab/original/album"
)]
pub struct Args {
    /// Where to write it [default: NAME.torrent, here]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Overwrite that file
    #[arg(long)]
    force: bool,
    /// Its name [default: that of the file or folder]
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    draft: DraftOptions,
    #[command(flatten)] // new_version is plugged in
    version: crate::cli::new_version::VersionOptions, // new_version is plugged in
    /// The file or folder
    path: PathBuf,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let content = Content::find(&self.path, self.name.as_deref())?;
        self.version.allows(&self.draft)?; // new_version is plugged in
        let output = self.output.unwrap_or_else(|| format!("{}.torrent", content.name).into());
        crate::cli::tracing::keep_apart(&output, options)?; // plugged in
        content.allows(&output, self.force)?;
        let purpose = "each piece is hashed; the torrent is written when all are";
        let progress = Progress::hashing(options, "hashing", content.length, purpose);
        let all = counted(content.length, "byte");
        let what = format!("hashing {all} in pieces: a downloader can check each one");
        options.narrator().say(10, what);
        let draft = Draft::from(self.draft);
        let make: Make = Content::torrent;
        let make = self.version.maker(make); // new_version is plugged in
        let created = make(&content, &draft, &*interrupt()?, &|bytes| drop(progress.set(bytes)))?;
        progress.clear();
        created.write(&output, self.force)?;
        Ok(describe(&created, draft.web_seeds, &output))
    }
}
