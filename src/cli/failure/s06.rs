//! What to do about a broken magnet link. (stage 6)

use crate::cli::exit_codes::BAD_INPUT;
use crate::cli::failure::Failure;
use piecemeal::s01_bencode::printable;
use piecemeal::s06_magnet::MagnetError;

/// Returns the advice for a link that was copied from HTML.
pub fn mend(should_be: &str) -> String {
    let should_be = printable(should_be);
    format!("it was copied from HTML, where & is written &amp;; it should be '{should_be}'")
}

/// Returns the advice for something that is not a magnet link.
fn instead(text: &str) -> &'static str {
    let is_hash =
        matches!(text.len(), 32 | 40) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match text {
        _ if is_hash => {
            "an info hash goes into a link, with a peer or a tracker: 'magnet:?xt=urn:btih:HASH&x.pe=HOST:PORT'"
        }
        _ if text.contains("://") => {
            "fetch the .torrent that a URL leads to, and give it to a command without magnet_ in its name"
        }
        _ if text.ends_with(".torrent") => {
            "commands without magnet_ in their names take a .torrent file: info, download"
        }
        _ => "copy the whole link, and put it in quotes: the shell would cut it at &",
    }
}

impl From<MagnetError> for Failure {
    fn from(error: MagnetError) -> Failure {
        if let MagnetError::NoTopic { should_be: Some(link) } = &error {
            let help = mend(link);
            return Failure::new(BAD_INPUT, error)
                .help_to_paste(help)
                .about("the magnet link")
                .see("06-magnet");
        }
        let help = match &error {
            MagnetError::VersionTwo => "look for a link that also has xt=urn:btih:".to_owned(),
            MagnetError::NotMagnet(text) => instead(text).to_owned(),
            _ => {
                "copy the whole link, and put it in quotes: the shell would cut it at &".to_owned()
            }
        };
        Failure::new(BAD_INPUT, error).help(help).about("the magnet link").see("06-magnet")
    }
}
