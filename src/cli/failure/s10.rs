//! What to do about files. (stage 10)

use crate::cli::exit_codes::{BAD_INPUT, LOCAL, USAGE, stopped};
use crate::cli::failure::{Failure, at_the_disk};
use piecemeal::s02_metainfo::MetainfoError;
use piecemeal::s10_storage::StorageError;
use piecemeal::s10_storage::create::CreateError;

impl From<StorageError> for Failure {
    fn from(error: StorageError) -> Failure {
        let help = match error {
            StorageError::Exists { .. } | StorageError::Foreign { .. } => {
                "choose another -o, or overwrite it with --force"
            }
            StorageError::Link { .. } => "remove the link, or choose another place",
            StorageError::NotAFile { .. } => {
                "give the path of the file itself, with its name; this path is a folder, or the like"
            }
            StorageError::Contradiction { .. } => {
                let help = "no content fits this torrent: get another torrent of the same content";
                return Failure::new(BAD_INPUT, error).help(help).see("10-storage");
            }
            StorageError::Gone { .. } => "download again to the same place",
            StorageError::Stopped => {
                return Failure::new(stopped(), error)
                    .help("the same command starts over")
                    .see("10-storage");
            }
            StorageError::Io { ref error, .. } => at_the_disk(error),
        };
        Failure::new(LOCAL, error).help(help).see("10-storage")
    }
}

impl From<CreateError> for Failure {
    fn from(error: CreateError) -> Failure {
        let (code, help) = match &error {
            CreateError::Storage(StorageError::Link { .. } | StorageError::NotAFile { .. }) => {
                (LOCAL, "only files and folders go in: take it out, or put a file in its place")
            }
            CreateError::Storage(StorageError::Stopped) => {
                (stopped(), "the same command starts over")
            }
            CreateError::Storage(StorageError::Exists { .. }) => {
                (LOCAL, "choose another -o, or overwrite it with --force")
            }
            CreateError::Storage(StorageError::Io { error, .. }) => (LOCAL, at_the_disk(error)),
            CreateError::Storage(_) => {
                (LOCAL, "check the path, its permissions and the free space")
            }
            CreateError::Empty { .. } => {
                (LOCAL, "choose a file, or a folder with one, that is not empty")
            }
            CreateError::NotText { .. } | CreateError::Misread { .. } => {
                (LOCAL, "rename it; if it is the torrent's own name, choose another --name")
            }
            CreateError::Changed { .. } => (LOCAL, "create it again once nothing writes there"),
            CreateError::Inside { .. } => (LOCAL, "choose another -o, outside of it"),
            CreateError::TooLarge { .. } => (USAGE, "make several torrents of it"),
            CreateError::PieceLength { enough, .. } => {
                let help = format!("use --piece-length {enough} or more");
                return Failure::new(USAGE, error).help(help).see("10-storage");
            }
            CreateError::Refused(MetainfoError::Broken { path, .. })
                if path.ends_with("length") =>
            {
                (USAGE, "use a power of two as --piece-length, such as 256KiB")
            }
            CreateError::Refused(MetainfoError::Bencode(_)) => {
                (LOCAL, "folders are nested too deep for readers: move the inner ones up")
            }
            CreateError::Refused(_) => (USAGE, "choose another --name"),
        };
        Failure::new(code, error).help(help).see("10-storage")
    }
}
