//! What to do about a broken torrent. (stage 2)

use std::io::{self, ErrorKind};

use crate::cli::exit_codes::{BAD_INPUT, LOCAL};
use crate::cli::failure::Failure;
use piecemeal::s01_bencode::rules::Rule;
use piecemeal::s02_metainfo::MetainfoError;

/// Returns the advice for a torrent that cannot be read.
pub fn missing(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::IsADirectory => "give the .torrent file itself",
        ErrorKind::NotFound => {
            "check the path, and the folder you are in; `piecemeal lab` makes lab/sample.torrent"
        }
        _ => "check the path and its permissions",
    }
}

impl From<MetainfoError> for Failure {
    fn from(error: MetainfoError) -> Failure {
        let help = match &error {
            MetainfoError::Bencode(error) => {
                let help = match (error.at, &error.rule) {
                    (0, Rule::NotAValue { found: b'<' }) => {
                        "this is a web page: download the .torrent itself, which it may link to"
                    }
                    (0, Rule::Ended) => "the file is empty: download it again",
                    (0, Rule::NotAValue { .. }) => {
                        "this is not a torrent: check which file it is, and the order of the arguments"
                    }
                    _ => "it is damaged, or not a torrent; download it again",
                };
                return Failure::from(error.clone()).help(help);
            }
            MetainfoError::Io(error) => {
                return Failure::new(LOCAL, error).help(missing(error)).see("02-metainfo");
            }
            MetainfoError::UnsafePath { .. } => {
                "this torrent may be malicious; get it from somewhere else"
            }
            MetainfoError::NewerFormat { .. } => {
                "look for a version 1 or hybrid torrent of the same content, or a newer piecemeal"
            }
            MetainfoError::VersionTwo => {
                "look for a version 1 or hybrid torrent of the same content"
            }
            MetainfoError::Other(error) => return super::s23::failure(&**error), // s23 is plugged in
            _ => "it is damaged, or not a torrent; download it again",
        };
        Failure::new(BAD_INPUT, error).help(help).see("02-metainfo")
    }
}
