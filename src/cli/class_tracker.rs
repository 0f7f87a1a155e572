//! What `tracker` says at its start, and why it may not start. (lab)

use std::io::{self, ErrorKind};

use super::exit_codes::LOCAL;
use super::failure::Failure;

/// Returns the failure for a tracker that has no place to listen at.
pub fn cannot_start(error: io::Error) -> Failure {
    let help = match error.kind() {
        ErrorKind::AddrNotAvailable => {
            "choose an address of this computer, or all of them with --listen 0.0.0.0:7000"
        }
        _ => "end what listens there, or choose another place, such as --listen 0.0.0.0:7000",
    };
    Failure::new(LOCAL, error).help(help).see("a-swarm-in-class")
}

/// Returns the text with the announce URLs that `tracker` begins with.
pub fn urls_text(urls: &[String], local_url: &str) -> String {
    let mut lines = vec!["The tracker is running. Its announce URLs:\n".to_owned()];
    lines.extend(urls.iter().map(|url| format!("  {url}")));
    if !urls.iter().any(|url| url == local_url) {
        lines.push(format!("  {local_url}   on this machine only"));
    }
    lines.push("\nA line for each announce follows. Ctrl-C ends the tracker.\n".to_owned());
    lines.join("\n")
}
