//! `piecemeal swarm_sheet`: who gave what to whom, from the files of all laptops. (lab)

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::cli::failure::Failure;
use crate::cli::output_file::make;
use crate::cli::swarm_sheet::{Sheet, local};
use crate::cli::{Answer, Options};

/// Merge what all machines of a swarm say: who gave what to whom (lab)
#[derive(clap::Args)]
#[command(after_help = "\
A file is what download, magnet_download, seed or lab printed with --json.

Example:
  piecemeal swarm_sheet --svg sheet.svg seed.json ada.json bob.json")]
pub struct Args {
    /// Also write it for spreadsheets, in bytes
    #[arg(long, value_name = "FILE.csv", value_parser = |text: &str| named(text, ".csv"))]
    csv: Option<PathBuf>,
    /// Also draw it
    #[arg(long, value_name = "FILE.svg", value_parser = |text: &str| named(text, ".svg"))]
    svg: Option<PathBuf>,
    /// The torrent [default: the one that most results are about]
    #[arg(long, value_name = "HASH")]
    info_hash: Option<String>,
    /// The files, or folders with such files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Args {
    pub fn run(self, options: &Options) -> Result<Answer, Failure> {
        let wanted = self.info_hash.map(|hash| hash.to_ascii_lowercase());
        let sheet = Sheet::read(&self.files, wanted.as_deref(), options)?;
        for (path, text) in [(&self.csv, sheet.csv()), (&self.svg, sheet.svg())] {
            path.iter().try_for_each(|path| write(path, &text))?;
        }
        Ok(Answer { text: sheet.text(), json: sheet.json() })
    }
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let written = make(path, false).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| local(path, &error))
}

/// Takes a name with this ending only. In `--csv *.json`, the first file of the class would
/// be overwritten.
fn named(text: &str, ending: &str) -> Result<PathBuf, String> {
    let fits = text.to_ascii_lowercase().ends_with(ending);
    fits.then(|| text.into()).ok_or_else(|| format!("a name that ends in {ending} was expected"))
}
