//! Where a download goes, and what may be overwritten there. (stage 12)

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use piecemeal::s01_bencode::counted;
use piecemeal::s02_metainfo::Info;
use piecemeal::s10_storage::output::Output;

use super::Options;
use super::failure::Failure;
use super::screen::progress::Progress;

/// Where a download goes.
#[derive(clap::Args, Default)]
pub struct OutputOptions {
    /// The file, or for several files the folder
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,
    /// Overwrite what is there; right pieces are kept
    #[arg(long)]
    pub force: bool,
}

impl OutputOptions {
    /// Opens the output. Content that is there already is hashed, and right pieces are kept.
    pub fn open(
        &self,
        info: &Info,
        stop: &AtomicBool,
        options: &Options,
    ) -> Result<Output, Failure> {
        super::tracing::keep_apart(&self.output, options)?; // plugged in
        let purpose = "what is there is hashed; then the rest is downloaded";
        let checking = Progress::hashing(options, "checking", info.length, purpose);
        let output =
            Output::open(info, &self.output, self.force, stop, &|bytes| drop(checking.set(bytes)))?;
        checking.clear();
        let (have, all) = (output.have.count(), counted(info.piece_count(), "piece"));
        if have > 0 {
            options.note(&format!("{have} of {all} are there already"));
        }
        Ok(output)
    }
}
