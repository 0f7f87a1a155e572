//! The demo's downloads: how they upload, and what is said when they are done. (lab)

use std::io;
use std::net::Ipv4Addr;

use piecemeal::lab::Lab;
use piecemeal::s01_bencode::counted;
use serde_json::Value;

use super::Options;
use super::dht_bootstrap::BootstrapOptions;
use super::exit_codes::LOCAL;
use super::failure::Failure;
use super::upload_options::{DownloadUploads, UploadOptions};

/// Returns which seeder sent what in a download, and the verdict on the files on disk.
pub fn outcome(done: &Value, seconds: f64, verdict: &str) -> String {
    let banned = done["banned"].as_array().cloned().unwrap_or_default();
    let brought = |from: &Value| {
        let note = if banned.contains(&from["peer"]) { ", and was banned" } else { "" };
        let bytes = counted(from["bytes"].as_u64().unwrap_or_default(), "byte");
        format!("   {} brought {bytes}{note}", from["peer"].as_str().unwrap_or_default())
    };
    let mut lines: Vec<String> =
        done["from"].as_array().into_iter().flatten().map(brought).collect();
    let verdict = verdict.lines().last().unwrap_or_default();
    lines.push(format!("   It took {seconds:.1} s. On disk, {verdict}"));
    lines.join("\n")
}

/// Returns the options of a command whose answer is part of another one's.
pub fn as_text(options: &Options) -> Options {
    Options { json: false, ..options.clone() }
}

/// Returns upload options for the downloads: they also give, but only on this machine.
pub fn on_this_machine() -> DownloadUploads {
    DownloadUploads {
        uploads: UploadOptions {
            bind: Some(Ipv4Addr::LOCALHOST.into()),
            ..UploadOptions::default()
        },
        keep_seeding: false,
    }
}

/// Returns the options with the lab's DHT as the one to begin with.
pub fn begin_at(lab: &Lab, options: &Options) -> Options {
    let mut begin = options.clone();
    begin.dht = lab.dht.as_ref().map_or(begin.dht, |dht| BootstrapOptions::at(dht.way_in()));
    begin
}

/// Returns the failure for a demo that this machine has no place for.
pub fn local(error: io::Error) -> Failure {
    Failure::new(LOCAL, error)
        .help("check the temporary folder, and that loopback addresses can be used")
        .see("README")
}
