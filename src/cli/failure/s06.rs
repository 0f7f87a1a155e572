//! What to do about a broken magnet link. (stage 6)

use crate::cli::failure::{BAD_INPUT, Failure};
use crate::cli::reading_link::{instead, mend};
use piecemeal::s06_magnet::MagnetError;

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
